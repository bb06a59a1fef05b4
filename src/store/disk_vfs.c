/* A SQLite VFS around the default one that records what is written, cut, made, removed and synced (disk_trace.h).
 * The -shm file is no part of it: after a power cut SQLite makes it anew. */
#include "base/mem.h"
#include "store/disk.h"
#include "store/disk_trace.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct recorded_file {
        sqlite3_file base;
        bool on;       /* below the root, and no -shm */
        bool dir_sync; /* the default VFS syncs the folder at the first sync of a new journal or WAL */
        char path[TRACE_PATH];
        sqlite3_file *inner; /* lies behind this struct */
};

static sqlite3_vfs *inner_vfs;
static sqlite3_vfs recording;

static struct recorded_file *file_of(sqlite3_file *f)
{
        return (struct recorded_file *)f;
}

static bool recorded(const struct recorded_file *r)
{
        return r->on && trace_on();
}

/* The folder that holds a path of the trace. */
static void parent_of(const char *path, char parent[static TRACE_PATH])
{
        size_t slash = str_rfind(str_of(path), '/');
        struct str s = slash == STR_NONE ? S(".") : str_sub(str_of(path), 0, slash);

        mem_copy(parent, TRACE_PATH, s);
        parent[s.n] = 0;
}

static int file_close(sqlite3_file *f)
{
        return file_of(f)->inner->pMethods->xClose(file_of(f)->inner);
}

static int file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
        return file_of(f)->inner->pMethods->xRead(file_of(f)->inner, to, n, at);
}

static int file_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
        struct recorded_file *r = file_of(f);
        struct iovec v = { (void *)from, (size_t)n };
        int rc;

        if (!recorded(r))
                return r->inner->pMethods->xWrite(r->inner, from, n, at);
        trace_lock();
        rc = r->inner->pMethods->xWrite(r->inner, from, n, at);
        if (rc == SQLITE_OK)
                trace_put(TRACE_WRITE, r->path, "", (uint64_t)at, &v, 1);
        trace_unlock();
        return rc;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
        struct recorded_file *r = file_of(f);
        int rc;

        if (!recorded(r))
                return r->inner->pMethods->xTruncate(r->inner, size);
        trace_lock();
        rc = r->inner->pMethods->xTruncate(r->inner, size);
        if (rc == SQLITE_OK)
                trace_put(TRACE_TRUNCATE, r->path, "", (uint64_t)size, NULL, 0);
        trace_unlock();
        return rc;
}

static int file_sync(sqlite3_file *f, int flags)
{
        struct recorded_file *r = file_of(f);
        char parent[TRACE_PATH];
        int error;

        if (recorded(r) && disk_failing(&error))
                return SQLITE_IOERR_FSYNC;
        if (recorded(r)) {
                trace_lock();
                trace_put(TRACE_SYNC, r->path, "", 0, NULL, 0);
                if (r->dir_sync) {
                        parent_of(r->path, parent);
                        trace_put(TRACE_SYNC_DIR, parent, "", 0, NULL, 0);
                        r->dir_sync = false;
                }
                trace_unlock();
                return SQLITE_OK; /* the record is what counts */
        }
        return r->inner->pMethods->xSync(r->inner, flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size)
{
        return file_of(f)->inner->pMethods->xFileSize(file_of(f)->inner, size);
}

static int file_lock(sqlite3_file *f, int level)
{
        return file_of(f)->inner->pMethods->xLock(file_of(f)->inner, level);
}

static int file_unlock(sqlite3_file *f, int level)
{
        return file_of(f)->inner->pMethods->xUnlock(file_of(f)->inner, level);
}

static int file_reserved(sqlite3_file *f, int *out)
{
        return file_of(f)->inner->pMethods->xCheckReservedLock(file_of(f)->inner, out);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
        return file_of(f)->inner->pMethods->xFileControl(file_of(f)->inner, op, arg);
}

static int file_sector(sqlite3_file *f)
{
        return file_of(f)->inner->pMethods->xSectorSize(file_of(f)->inner);
}

static int file_traits(sqlite3_file *f)
{
        return file_of(f)->inner->pMethods->xDeviceCharacteristics(file_of(f)->inner);
}

static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **to)
{
        return file_of(f)->inner->pMethods->xShmMap(file_of(f)->inner, page, size, extend, to);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
        return file_of(f)->inner->pMethods->xShmLock(file_of(f)->inner, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
        file_of(f)->inner->pMethods->xShmBarrier(file_of(f)->inner);
}

static int file_shm_unmap(sqlite3_file *f, int remove)
{
        return file_of(f)->inner->pMethods->xShmUnmap(file_of(f)->inner, remove);
}

static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = file_close,
        .xRead = file_read,
        .xWrite = file_write,
        .xTruncate = file_truncate,
        .xSync = file_sync,
        .xFileSize = file_size,
        .xLock = file_lock,
        .xUnlock = file_unlock,
        .xCheckReservedLock = file_reserved,
        .xFileControl = file_control,
        .xSectorSize = file_sector,
        .xDeviceCharacteristics = file_traits,
        .xShmMap = file_shm_map,
        .xShmLock = file_shm_lock,
        .xShmBarrier = file_shm_barrier,
        .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
        struct recorded_file *r = file_of(f);
        struct stat s;
        bool made;
        int rc;

        (void)v;
        r->inner = (sqlite3_file *)(r + 1);
        r->on = trace_on() && name && trace_full_path(name, r->path);
        r->dir_sync = r->on && flags & SQLITE_OPEN_CREATE &&
                      flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL);
        if (r->on)
                trace_lock();
        made = r->on && flags & SQLITE_OPEN_CREATE && stat(name, &s) < 0;
        rc = inner_vfs->xOpen(inner_vfs, name, r->inner, flags, out);
        if (rc == SQLITE_OK && made)
                trace_put(TRACE_CREATE, r->path, "", 0, NULL, 0);
        if (r->on)
                trace_unlock();
        r->base.pMethods = r->inner->pMethods ? &methods : NULL;
        return rc;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
        char path[TRACE_PATH], parent[TRACE_PATH];
        int rc;

        (void)v;
        if (!trace_on() || !trace_full_path(name, path))
                return inner_vfs->xDelete(inner_vfs, name, sync_dir);
        parent_of(path, parent);
        trace_lock();
        rc = inner_vfs->xDelete(inner_vfs, name, sync_dir);
        if (rc == SQLITE_OK) {
                trace_put(TRACE_UNLINK, path, "", 0, NULL, 0);
                if (sync_dir)
                        trace_put(TRACE_SYNC_DIR, parent, "", 0, NULL, 0);
        }
        trace_unlock();
        return rc;
}

void disk_vfs_register(void)
{
        if (inner_vfs)
                return;
        inner_vfs = sqlite3_vfs_find(NULL);
        recording = *inner_vfs;
        recording.pNext = NULL;
        recording.zName = DISK_VFS;
        recording.szOsFile = (int)sizeof(struct recorded_file) + inner_vfs->szOsFile;
        recording.xOpen = vfs_open;
        recording.xDelete = vfs_delete;
        sqlite3_vfs_register(&recording, 0);
}

/* The default VFS, but for one thing: it looks at every folder above the file to make its path absolute, and a role
 * that is not root may not pass those (a data folder below somebody's home). A path stands as it is given: the
 * working directory of a process never changes. */
#define PLAIN_VFS "pail"
static sqlite3_vfs plain;

static int plain_path(sqlite3_vfs *v, const char *name, int room, char *out)
{
        struct str path = str_of(name);

        (void)v;
        if (path.n >= (size_t)room)
                return SQLITE_CANTOPEN;
        mem_copy(out, (size_t)room, path);
        out[path.n] = '\0';
        return SQLITE_OK;
}

static void plain_register(void)
{
        plain = *sqlite3_vfs_find(NULL);
        plain.pNext = NULL;
        plain.zName = PLAIN_VFS;
        plain.xFullPathname = plain_path;
        sqlite3_vfs_register(&plain, 0);
}

const char *disk_vfs(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, plain_register);
        return trace_on() ? DISK_VFS : PLAIN_VFS;
}
