/* Where an upload goes on: in the part that an earlier one left, or behind what a file holds. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/disk.h"
#include "store/files_upload.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { SLICE = 64 << 20 };

static int take_slice(void *arg)
{
        struct upload *u = arg;
        uint64_t stop = u->from_end - u->from_at > SLICE ? u->from_at + SLICE : u->from_end;

        while (u->from_at < stop) {
                uint64_t left = stop - u->from_at;
                ssize_t got = disk_copy(u->from, (off_t)u->from_at, u->fd, (off_t)u->end,
                                        left < PIECE_MOST ? (size_t)left : PIECE_MOST);

                if (got <= 0)
                        return got < 0 ? (int)got : -EIO; /* it has become shorter */
                u->from_at += (uint64_t)got;
                u->end += (uint64_t)got;
        }
        if (u->from_at == u->from_end) {
                close(u->from);
                u->from = -1;
        }
        return 0;
}

int upload_take_in(struct upload *u, int from, uint64_t n)
{
        int rc;

        u->from = from;
        u->from_at = 0;
        u->from_end = n;
        rc = upload_make_part(u);
        if (!rc)
                rc = upload_charge(u, u->end + n, false);
        return rc ? rc : take_slice(u);
}

int upload_take_rest(struct upload *u)
{
        int rc = 0;

        while (!rc && u->from >= 0)
                rc = offload(LONG, take_slice, u);
        return rc;
}

static int claim(struct upload *u, uint64_t *size)
{
        u->fd = part_claim(u->root, u->tally, str_of(u->path), u->part, size);
        if (u->fd < 0)
                return u->fd;
        u->charged = u->end = u->room = *size;
        return 0;
}

/* The file itself, to be read; -ENOENT: no regular file. */
static int open_file(struct upload *u, uint64_t *size)
{
        struct statx x;
        char *rel;
        int rc = jail_path(str_of(u->path), &rel), fd;

        if (rc)
                return rc;
        fd = jail_open_plain(u->root->fd, rel, false, &x);
        mem_free(rel);
        if (fd >= 0 && !S_ISREG(x.stx_mode)) {
                close(fd);
                return -EACCES;
        }
        if (fd >= 0)
                *size = x.stx_size;
        return fd;
}

int upload_go_on(struct upload *u)
{
        uint64_t size;
        int fd = open_file(u, &size), rc;

        if (fd == -ENOENT) {
                rc = u->joins ? -ENOENT : claim(u, &size);
                u->at = u->end;
                return rc == -ENOENT ? 0 : rc; /* then it is a new file */
        }
        if (fd < 0)
                return fd;
        u->appends = true;
        u->at = size;
        return upload_take_in(u, fd, size);
}

int upload_go_back(struct upload *u)
{
        uint64_t size;
        int fd, rc = part_kept_size(u->root, str_of(u->path), false, &size);

        if (!rc && size >= u->at)
                rc = claim(u, &size);
        else
                rc = -ENOENT;
        if (rc && rc != -ENOENT)
                return rc;
        if (!rc && size < u->at) /* another one, claimed in between */
                return -EINVAL;
        if (!rc) {
                rc = disk_truncate(u->fd, (off_t)u->at);
                u->end = u->at;
                return rc;
        }
        fd = open_file(u, &size);
        if (fd < 0)
                return fd == -ENOENT ? -EINVAL : fd;
        if (size >= u->at)
                return upload_take_in(u, fd, u->at);
        close(fd);
        return -EINVAL;
}

struct kept_job {
        struct root *root;
        struct str path;
        uint64_t *size;
        bool cached;
};

static int ask_kept(void *arg)
{
        struct kept_job *j = arg;
        int rc = part_kept_size(j->root, j->path, j->cached, j->size), fd;
        char *rel;

        if (rc)
                return rc;
        rc = jail_path(j->path, &rel);
        if (rc)
                return rc;
        fd = jail_open(j->root->fd, rel, O_PATH, j->cached);
        mem_free(rel);
        if (fd >= 0)
                close(fd);
        return fd >= 0 ? -ENOENT : fd == -ENOENT ? 0 : fd;
}

int upload_kept(struct root *r, struct str path, uint64_t *size)
{
        struct kept_job j = { r, path, size, true };
        int rc;

        while (j.path.n > 1 && j.path.p[j.path.n - 1] == '/')
                j.path.n--;
        rc = ask_kept(&j);
        j.cached = false;
        return rc == -EAGAIN ? offload(QUICK, ask_kept, &j) : rc;
}
