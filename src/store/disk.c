#include "store/disk.h"
#include "store/disk_trace.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE_PIECES = 64 };

static atomic_uint fail_in; /* 0: do not */
static atomic_int fail_error;

static int result(int rc)
{
        return rc < 0 ? -errno : rc;
}

/* One operation on names: done and recorded as one. The path is taken before, while the name still stands. */
struct named {
        bool on;
        char path[TRACE_PATH], to[TRACE_PATH];
};

static void named_begin(struct named *t, int dir, const char *name, int to_dir, const char *to)
{
        t->on = trace_on();
        if (!t->on)
                return;
        trace_lock();
        if (!trace_path(dir, name, t->path))
                t->path[0] = 0;
        if (!to || !trace_path(to_dir, to, t->to))
                t->to[0] = 0;
}

static int named_end(struct named *t, enum trace_kind kind, int rc)
{
        int saved = errno;

        if (!t->on)
                return result(rc);
        if (rc >= 0 && t->path[0])
                trace_put(kind, t->path, t->to, 0, NULL, 0);
        trace_unlock();
        errno = saved;
        return result(rc);
}

int disk_create(int dir, const char *name, int flags)
{
        struct named t;

        named_begin(&t, dir, name, -1, NULL);
        return named_end(&t, TRACE_CREATE,
                         openat(dir, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | flags, 0600));
}

int disk_open(int dir, const char *name, int flags)
{
        return result(openat(dir, name, (flags & ~O_CREAT) | O_CLOEXEC));
}

int disk_open_dir(int dir, const char *name)
{
        return result(openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int disk_mkdir(int dir, const char *name)
{
        struct named t;

        named_begin(&t, dir, name, -1, NULL);
        return named_end(&t, TRACE_MKDIR, mkdirat(dir, name, 0700));
}

int disk_rmdir(int dir, const char *name)
{
        struct named t;

        named_begin(&t, dir, name, -1, NULL);
        return named_end(&t, TRACE_UNLINK, unlinkat(dir, name, AT_REMOVEDIR));
}

int disk_rename(int from_dir, const char *from, int to_dir, const char *to)
{
        struct named t;

        named_begin(&t, from_dir, from, to_dir, to);
        return named_end(&t, TRACE_RENAME, renameat(from_dir, from, to_dir, to));
}

int disk_rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
        struct named t;

        named_begin(&t, from_dir, from, to_dir, to);
        return named_end(&t, TRACE_RENAME, renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE));
}

int disk_link(int from_dir, const char *from, int to_dir, const char *to)
{
        struct named t;

        named_begin(&t, from_dir, from, to_dir, to);
        return named_end(&t, TRACE_LINK, linkat(from_dir, from, to_dir, to, 0));
}

int disk_unlink(int dir, const char *name)
{
        struct named t;

        named_begin(&t, dir, name, -1, NULL);
        return named_end(&t, TRACE_UNLINK, unlinkat(dir, name, 0));
}

/* Skips what was written; *v and *n then say what is left. */
static void skip(struct iovec *v, int *from, int n, size_t done)
{
        while (*from < n && done >= v[*from].iov_len)
                done -= v[(*from)++].iov_len;
        if (*from < n) {
                v[*from].iov_base = (char *)v[*from].iov_base + done;
                v[*from].iov_len -= done;
        }
}

static int write_all(int fd, const struct iovec *v, int n, off_t at)
{
        struct iovec left[WRITE_PIECES];

        for (int start = 0; start < n; start += WRITE_PIECES) {
                int count = n - start < WRITE_PIECES ? n - start : WRITE_PIECES, from = 0;

                for (int i = 0; i < count; i++)
                        left[i] = v[start + i];
                skip(left, &from, count, 0); /* empty ones at the start */
                while (from < count) {
                        ssize_t done = pwritev(fd, left + from, count - from, at);

                        if (done < 0 && errno == EINTR)
                                continue;
                        if (done <= 0)
                                return done ? -errno : -EIO;
                        at += done;
                        skip(left, &from, count, (size_t)done);
                }
        }
        return 0;
}

int disk_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
        char path[TRACE_PATH];
        int rc;

        if (!trace_on())
                return write_all(fd, v, n, at);
        trace_lock();
        rc = write_all(fd, v, n, at);
        if (!rc && trace_path(fd, NULL, path))
                trace_put(TRACE_WRITE, path, "", (uint64_t)at, v, n);
        trace_unlock();
        return rc;
}

int disk_truncate(int fd, off_t size)
{
        char path[TRACE_PATH];
        int rc;

        if (!trace_on())
                return result(ftruncate(fd, size));
        trace_lock();
        rc = result(ftruncate(fd, size));
        if (!rc && trace_path(fd, NULL, path))
                trace_put(TRACE_TRUNCATE, path, "", (uint64_t)size, NULL, 0);
        trace_unlock();
        return rc;
}

int disk_symlink(const char *target, int dir, const char *name)
{
        return result(symlinkat(target, dir, name));
}

/* By hand: for file systems that cannot copy, and for the record. */
static ssize_t copy_piece(int from, off_t from_at, int to, off_t to_at, size_t n)
{
        char piece[4096];
        ssize_t got = pread(from, piece, n < sizeof piece ? n : sizeof piece, from_at);
        struct iovec v = { piece, got > 0 ? (size_t)got : 0 };
        int rc = got > 0 ? disk_pwritev(to, &v, 1, to_at) : 0;

        return got < 0 ? -errno : rc < 0 ? rc : got;
}

ssize_t disk_copy(int from, off_t from_at, int to, off_t to_at, size_t n)
{
        ssize_t done = -1;

        if (trace_on())
                return copy_piece(from, from_at, to, to_at, n);
        done = copy_file_range(from, &from_at, to, &to_at, n, 0);
        if (done < 0 &&
            (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM))
                return copy_piece(from, from_at, to, to_at, n);
        return done < 0 ? -errno : done;
}

/* While recording the sync itself is left out: what counts is the record, and tests run many. */
static int synced(int fd, enum trace_kind kind, int (*sync)(int fd))
{
        char path[TRACE_PATH];

        if (!trace_on())
                return result(sync(fd));
        trace_lock();
        if (kind == TRACE_SYNC_ALL)
                trace_put(kind, "", "", 0, NULL, 0);
        else if (trace_path(fd, NULL, path))
                trace_put(kind, path, "", 0, NULL, 0);
        trace_unlock();
        return 0;
}

bool disk_failing(int *error)
{
        unsigned n = atomic_load(&fail_in);

        while (n && !atomic_compare_exchange_weak(&fail_in, &n, n - 1))
                ;
        *error = atomic_load(&fail_error);
        return n == 1;
}

int disk_datasync(int fd)
{
        int error;

        if (disk_failing(&error))
                return -error;
        return synced(fd, TRACE_SYNC, fdatasync);
}

int disk_sync(int fd)
{
        int error;

        if (disk_failing(&error))
                return -error;
        return synced(fd, TRACE_SYNC, fsync);
}

int disk_sync_dir(int dir)
{
        return synced(dir, TRACE_SYNC_DIR, fsync);
}

int disk_sync_all(int any_fd)
{
        return synced(any_fd, TRACE_SYNC_ALL, syncfs);
}

void disk_fail_datasync(unsigned nth, int error)
{
        atomic_store(&fail_error, error);
        atomic_store(&fail_in, nth);
}
