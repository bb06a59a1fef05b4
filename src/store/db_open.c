/* Opening, making, migrating and closing a file. */
#include "base/mem.h"
#include "run/log.h"
#include "run/offload.h"
#include "store/db.h"
#include "store/db_inside.h"
#include "store/disk.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
        BUSY_MS = 5,  /* then the fiber queues again */
        CACHE_KB = 96 /* an account's whole cost is about 155 KB */
};

/* SQLite's locks and its shared memory do not work, or lie, over a network. */
static bool on_network(const char *path)
{
        static const uint32_t types[] = {
                0x6969,                 /* NFS */
                0x517b,     0xff534d42, /* SMB, CIFS */
                0xfe534d42, 0x5346414f, /* SMB2, AFS */
                0x00c36400, 0x73757245, /* Ceph, Coda */
                0x01021997, 0x0bd00bd0, /* 9P, Lustre */
        };
        size_t slash = str_rfind(str_of(path), '/');
        struct statfs s;
        char *folder;
        int rc;

        folder = mem_string(slash == STR_NONE ? S(".") : str_sub(str_of(path), 0, slash + 1));
        rc = statfs(folder, &s);
        mem_free(folder);
        for (size_t i = 0; !rc && i < sizeof types / sizeof types[0]; i++)
                if ((uint32_t)s.f_type == types[i])
                        return true;
        return false;
}

static int read_number(struct db *d, const char *sql, uint64_t *out)
{
        sqlite3_stmt *s = NULL;
        int rc = db_failed(d, sqlite3_prepare_v2(d->handle, sql, -1, &s, NULL));

        if (!rc)
                rc = db_failed(d, sqlite3_step(s));
        if (!rc)
                *out = (uint64_t)sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        return rc;
}

static int set_version(struct db *d, unsigned version)
{
        char sql[48];

        snprintf(sql, sizeof sql, "PRAGMA user_version = %u", version);
        return db_run(d, sql);
}

/* Several processes may come at once: who is second finds it done. */
static int make(struct db *d)
{
        char sql[64];
        uint64_t version = 0;
        int rc;

        snprintf(sql, sizeof sql, "PRAGMA page_size = %u", d->store->page_size ? d->store->page_size : 4096);
        rc = db_run(d, sql);
        if (!rc)
                rc = db_run(d, d->flags & DB_ROLLBACK_JOURNAL ? "PRAGMA journal_mode = DELETE"
                                                              : "PRAGMA journal_mode = WAL");
        if (!rc)
                rc = db_own(d, OWN_BEGIN_WRITE);
        if (rc)
                return rc;
        rc = read_number(d, "PRAGMA user_version", &version);
        if (!rc && !version) {
                rc = db_run(d, d->store->schema);
                if (!rc)
                        rc = set_version(d, d->store->version);
        }
        if (!rc)
                rc = db_own(d, OWN_COMMIT);
        if (rc)
                (void)db_own(d, OWN_ROLLBACK);
        d->commits++;
        return rc ? rc : db_sync_inside(d);
}

/* The file's data and the names in its folder. */
static int make_durable(const char *path)
{
        size_t slash = str_rfind(str_of(path), '/');
        char *folder = mem_string(slash == STR_NONE ? S(".") : str_sub(str_of(path), 0, slash + 1));
        int fd = disk_open(AT_FDCWD, path, O_RDWR);
        int rc = fd < 0 ? fd : disk_datasync(fd);

        if (fd >= 0)
                close(fd);
        fd = rc ? -1 : disk_open_dir(AT_FDCWD, folder);
        if (!rc)
                rc = fd < 0 ? fd : disk_sync_dir(fd);
        if (fd >= 0)
                close(fd);
        mem_free(folder);
        return rc;
}

/* Where the header of a file keeps user_version (https://www.sqlite.org/fileformat.html §1.3), big-endian. */
static bool has_version(const char *path, unsigned version)
{
        unsigned char v[4] = { 0 };
        int fd = disk_open(AT_FDCWD, path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : pread(fd, v, sizeof v, 60);

        if (fd >= 0)
                close(fd);
        return n == sizeof v &&
               ((unsigned)v[0] << 24 | (unsigned)v[1] << 16 | (unsigned)v[2] << 8 | v[3]) == version;
}

static int vacuum_into(struct db *d, const char *path)
{
        sqlite3_stmt *s = NULL;
        int rc = db_failed(d, sqlite3_prepare_v2(d->handle, "VACUUM INTO ?1", -1, &s, NULL));

        if (!rc)
                rc = db_failed(d, sqlite3_bind_text(s, 1, path, -1, SQLITE_STATIC));
        if (!rc)
                rc = db_failed(d, sqlite3_step(s));
        sqlite3_finalize(s);
        return rc;
}

/* FILE.schema-N, whole and durable before the file itself is touched. Several processes may come at once: each makes
 * its own, and what a later one copied after another's change is no copy of the old schema and goes again. */
static int copy_aside(struct db *d, unsigned version)
{
        struct buf copy auto_buf, fresh auto_buf;
        int rc;

        buf_init(&copy, 4096);
        buf_init(&fresh, 4096);
        buf_printf(&copy, "%s.schema-%u", d->path, version);
        buf_printf(&fresh, "%s.new-%ld", copy.p, (long)getpid());
        if (!buf_u8(&copy, 0) || !buf_u8(&fresh, 0))
                return -ENAMETOOLONG;
        rc = disk_unlink(AT_FDCWD, fresh.p); /* half of one, from before */
        if (rc && rc != -ENOENT)
                return rc;
        rc = vacuum_into(d, fresh.p);
        if (!rc && !has_version(fresh.p, version))
                return disk_unlink(AT_FDCWD, fresh.p);
        if (!rc)
                rc = make_durable(fresh.p);
        if (!rc)
                rc = disk_rename(AT_FDCWD, fresh.p, AT_FDCWD, copy.p);
        return rc ? rc : make_durable(copy.p);
}

static int migrate(struct db *d, unsigned from)
{
        uint64_t found = 0;
        int rc = copy_aside(d, from);

        if (!rc)
                rc = db_own(d, OWN_BEGIN_WRITE);
        if (rc)
                return rc;
        rc = read_number(d, "PRAGMA user_version", &found);
        for (unsigned v = (unsigned)found; !rc && v < d->store->version; v++) {
                rc = db_run(d, d->store->migrations[v]);
                if (!rc && d->store->migrated)
                        rc = d->store->migrated(d, v);
                assert(!d->rows);
        }
        if (!rc)
                rc = set_version(d, d->store->version);
        if (!rc)
                rc = db_own(d, OWN_COMMIT);
        if (rc)
                (void)db_own(d, OWN_ROLLBACK);
        d->commits++;
        return rc ? rc : db_sync_inside(d);
}

static int committed(void *arg, sqlite3 *handle, const char *name, int pages)
{
        struct db *d = arg;

        (void)handle;
        (void)name;
        d->wal_pages = (unsigned)pages;
        return SQLITE_OK;
}

static int settle_in(struct db *d)
{
        char sql[256];

        sqlite3_db_config(d->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
        sqlite3_db_config(d->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
        sqlite3_busy_timeout(d->handle, BUSY_MS);
        sqlite3_wal_hook(d->handle, committed, d); /* in place of the automatic checkpoint */
        /* A rollback journal is durable only with its folder's entry, so there every commit is. secure_delete, on in
         * Debian's SQLite, would write pages for nothing. */
        snprintf(sql, sizeof sql,
                 "PRAGMA cache_size = -%d; PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY; "
                 "PRAGMA synchronous = %s; %s",
                 CACHE_KB,
                 d->flags & DB_UNSYNCED           ? "OFF"
                 : d->flags & DB_ROLLBACK_JOURNAL ? "EXTRA"
                                                  : "NORMAL",
                 d->flags & DB_READONLY ? "PRAGMA query_only = ON" : "");
        return db_run(d, sql);
}

struct opening {
        struct db *d;
        void *context;
};

static int bring_to_version(struct db *d)
{
        uint64_t version = 0;
        int rc = read_number(d, "PRAGMA user_version", &version);

        if (rc || version == d->store->version)
                return rc;
        if (version > d->store->version) {
                d->failed = -EPROTONOSUPPORT;
                snprintf(d->why, sizeof d->why, "schema %u is newer than this pail's, %u", (unsigned)version,
                         d->store->version);
                return -EPROTONOSUPPORT;
        }
        if (d->flags & DB_READONLY)
                return -EROFS;
        if (version)
                return migrate(d, (unsigned)version);
        return d->flags & DB_CREATE ? make(d) : -EBADMSG;
}

static int call_opened(struct db *d, void *context)
{
        int before = sqlite3_total_changes(d->handle), rc;

        if (!d->store->opened)
                return 0;
        rc = db_own(d, OWN_BEGIN);
        if (rc)
                return rc;
        rc = d->store->opened(d, context);
        assert(!d->rows);
        if (!rc)
                rc = db_own(d, OWN_COMMIT);
        if (rc && !sqlite3_get_autocommit(d->handle))
                (void)db_own(d, OWN_ROLLBACK);
        if (rc || sqlite3_total_changes(d->handle) == before)
                return rc;
        d->commits++;
        return db_sync_inside(d);
}

static int open_job(void *arg)
{
        struct opening *o = arg;
        struct db *d = o->d;
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
        int rc;

        if (on_network(d->path)) {
                d->failed = -EOPNOTSUPP;
                snprintf(d->why, sizeof d->why, "SQLite files cannot lie on a network file system");
                return -EOPNOTSUPP;
        }
        if (d->flags & DB_CREATE)
                flags |= SQLITE_OPEN_CREATE;
        rc = sqlite3_open_v2(d->path, &d->handle, flags, disk_vfs());
        if (rc != SQLITE_OK && access(d->path, F_OK) < 0)
                return -ENOENT;
        rc = db_failed(d, rc);
        if (!rc)
                rc = settle_in(d);
        if (!rc)
                rc = bring_to_version(d);
        return rc ? rc : call_opened(d, o->context);
}

/* Leaves it as it was before it was opened. */
static int close_job(void *arg)
{
        struct db *d = arg;

        for (size_t i = 0; i < OWN_STATEMENTS; i++) {
                sqlite3_finalize(d->own[i]);
                d->own[i] = NULL;
        }
        for (size_t i = 0; i < d->store->statement_count; i++) {
                sqlite3_finalize(d->statements[i]);
                d->statements[i] = NULL;
        }
        sqlite3_close(d->handle);
        d->handle = NULL;
        return 0;
}

/* Without the statistics SQLite takes no lock of all threads for each piece of memory. */
static void configure(void)
{
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        sqlite3_initialize();
}

int db_open(struct db **out, const struct db_store *store, const char *path, unsigned flags, void *context)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        struct db *d = mem_new(struct db);
        struct opening o = { d, context };
        nsec deadline = in_seconds(60);
        int rc;

        pthread_once(&once, configure);
        d->store = store;
        d->path = mem_string(str_of(path));
        d->flags = flags;
        d->statements = mem_array(store->statement_count, sizeof *d->statements);
        d->commits = 1; /* what others left may not be durable yet */
        while ((rc = offload(QUICK, open_job, &o)) == -EBUSY) {
                (void)offload(QUICK, close_job, d);
                if (now() > deadline)
                        rc = -ETIMEDOUT;
                else if (!fiber_self() || !(rc = fiber_sleep(now() + 5 * MSECOND)))
                        continue;
                break;
        }
        db_say(d);
        if (rc)
                db_close(&d);
        *out = d;
        return rc;
}

void db_close(struct db **dp)
{
        struct db *d = *dp;

        *dp = NULL;
        if (!d)
                return;
        assert(!d->users && !d->lock.held);
        (void)offload(QUICK, close_job, d);
        mem_free(d->statements);
        mem_free(d->path);
        mem_free(d);
}

int db_sync_inside(struct db *d)
{
        uint64_t commits = d->commits;
        uint32_t version = 0;
        sqlite3_file *wal = NULL;
        int rc, frames = 0, done = -1;

        if (d->flags & (DB_ROLLBACK_JOURNAL | DB_UNSYNCED)) {
                d->synced = commits;
                return 0;
        }
        rc = db_read_version(d, &version); /* first: what is committed from here on is not promised */
        if (rc)
                return rc;
        if (d->sync_failed) { /* the kernel has forgotten those pages; they must be written elsewhere */
                rc = sqlite3_wal_checkpoint_v2(d->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, &frames, &done);
                if (rc != SQLITE_OK || frames != done)
                        return rc == SQLITE_OK || rc == SQLITE_BUSY ? -EIO : db_failed(d, rc);
                d->sync_failed = false;
        } else {
                rc = sqlite3_file_control(d->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
                if (rc == SQLITE_OK && wal && wal->pMethods)
                        rc = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
                if (rc != SQLITE_OK) {
                        d->sync_failed = true;
                        d->failed = -EIO;
                        snprintf(d->why, sizeof d->why, "sync of the WAL failed (%d)", rc);
                        return -EIO;
                }
        }
        d->synced = commits;
        d->synced_version = version;
        return 0;
}
