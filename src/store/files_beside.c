/* Facts beside a file (records, pages): .facts/INODE-BORN. STATES.md says why this name. */
#include "base/mem.h"
#include "store/disk.h"
#include "store/files_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FOLDER ".facts"
enum { NAME_ROOM = 48, FACTS_MOST = 16 << 20 };

static void name_of(const struct statx *x, char name[static NAME_ROOM])
{
        bool born = x->stx_mask & STATX_BTIME;

        snprintf(name, NAME_ROOM, "%llx-%llx.%x", (unsigned long long)x->stx_ino,
                 born ? (unsigned long long)x->stx_btime.tv_sec : 0, born ? x->stx_btime.tv_nsec : 0);
}

/* The folder, once anybody has made it. */
static int folder(struct files *f)
{
        int fd = atomic_load(&f->facts), none = -1;

        if (fd >= 0)
                return fd;
        fd = disk_open_dir(f->dir, FOLDER);
        if (fd < 0)
                return fd;
        if (atomic_compare_exchange_strong(&f->facts, &none, fd))
                return fd;
        close(fd);
        return none;
}

static int make_folder(struct files *f)
{
        int rc = disk_mkdir(f->dir, FOLDER);

        if (rc && rc != -EEXIST)
                return rc;
        if (!rc && f->how.durable)
                rc = disk_sync_dir(f->dir);
        return rc && rc != -EEXIST ? rc : folder(f);
}

bool beside_any(struct files *f)
{
        return folder(f) >= 0;
}

uint64_t beside_size(struct files *f, const struct statx *x)
{
        char name[NAME_ROOM];
        struct stat st;
        int dir = folder(f);

        if (dir < 0)
                return 0;
        name_of(x, name);
        return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (uint64_t)st.st_size;
}

int beside_read(struct files *f, const struct statx *x, struct buf *out)
{
        char name[NAME_ROOM], *room;
        int dir = folder(f), fd;
        struct stat st;
        ssize_t n = 0;

        if (dir < 0)
                return dir == -ENOENT ? 0 : dir;
        name_of(x, name);
        fd = disk_open(dir, name, O_RDONLY);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        if (fstat(fd, &st) < 0)
                n = -errno;
        else if (!st.st_size || !(room = buf_room(out, (size_t)st.st_size)))
                n = st.st_size ? -EFBIG : 0;
        else if ((n = pread(fd, room, (size_t)st.st_size, 0)) < 0)
                n = -errno;
        else
                buf_added(out, (size_t)n);
        close(fd);
        return n < 0 ? (int)n : 0;
}

int beside_write(struct files *f, const struct statx *x, struct str facts)
{
        struct iovec v = { (void *)facts.p, facts.n };
        char name[NAME_ROOM];
        int dir, fd, rc;

        if (facts.n > FACTS_MOST)
                return -EFBIG;
        dir = make_folder(f);
        if (dir < 0)
                return dir;
        name_of(x, name);
        (void)disk_unlink(dir, name);
        fd = disk_create(dir, name, O_NOFOLLOW);
        if (fd < 0)
                return fd;
        rc = disk_pwritev(fd, &v, 1, 0);
        if (!rc && f->how.durable)
                rc = disk_datasync(fd);
        if (!rc && f->how.durable)
                rc = disk_sync_dir(dir);
        close(fd);
        return rc;
}

void beside_drop(struct files *f, const struct statx *x)
{
        char name[NAME_ROOM];
        int dir = folder(f);

        if (dir < 0)
                return;
        name_of(x, name);
        (void)disk_unlink(dir, name);
}
