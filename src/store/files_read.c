/* Reading: what the kernel has at hand is answered on the loop, the rest by a worker. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/files_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

struct file {
        struct files *files;
        int fd;
        bool memory;    /* it never waits */
        bool no_nowait; /* this file system does not know RWF_NOWAIT */
};

struct look_job {
        struct root *root;
        char *rel;
        bool follow, cached;
        struct file_facts *out;
};

static int look(void *arg)
{
        struct look_job *j = arg;
        struct statx x;
        int fd = jail_open(j->root->fd, j->rel, O_PATH | (j->follow ? 0 : O_NOFOLLOW), j->cached);
        int rc = fd < 0 ? fd : look_at(fd, "", &x);

        if (fd >= 0)
                close(fd);
        if (!rc && S_ISLNK(x.stx_mode) && !j->follow) {
                if (j->cached) /* what it leads to may have to be asked of the disk */
                        return -EAGAIN;
                if (leads_out(j->root->fd, j->rel))
                        return -ENOENT;
        }
        if (!rc)
                facts_from(j->root->files, &x, j->out);
        return rc;
}

int file_facts(struct root *r, struct str path, bool follow, struct file_facts *out)
{
        struct look_job j = { r, NULL, follow, true, out };
        int rc = jail_path(path, &j.rel);

        if (!rc)
                rc = look(&j);
        if (rc == -EAGAIN) {
                j.cached = false;
                rc = offload(QUICK, look, &j);
        }
        mem_free(j.rel);
        return rc;
}

struct open_job {
        struct root *root;
        char *rel;
        bool cached;
        int fd;
        struct file_facts *out;
};

static int open_to_read(void *arg)
{
        struct open_job *j = arg;
        struct statx x;

        j->fd = jail_open_plain(j->root->fd, j->rel, j->cached, &x);
        if (j->fd < 0)
                return j->fd;
        if (S_ISDIR(x.stx_mode)) {
                close(j->fd);
                return -EISDIR;
        }
        facts_from(j->root->files, &x, j->out);
        return 0;
}

int file_open(struct root *r, struct str path, struct file **out, struct file_facts *facts)
{
        struct file_facts unwanted;
        struct open_job j = { r, NULL, true, -1, facts ? facts : &unwanted };
        int rc = jail_path(path, &j.rel);

        *out = NULL;
        if (!rc)
                rc = open_to_read(&j);
        if (rc == -EAGAIN) {
                j.cached = false;
                rc = offload(QUICK, open_to_read, &j);
        }
        mem_free(j.rel);
        if (rc)
                return rc;
        *out = mem_new(struct file);
        **out = (struct file){ .files = r->files,
                               .fd = j.fd,
                               .memory = r->files->memory && r->files->memory == j.out->device };
        return 0;
}

int file_descriptor(const struct file *f)
{
        return f->fd;
}

struct read_job {
        int fd;
        uint64_t at;
        char *room;
        size_t n, got;
};

static int read_piece(void *arg)
{
        struct read_job *j = arg;
        ssize_t n;

        while ((n = pread(j->fd, j->room, j->n, (off_t)j->at)) < 0 && errno == EINTR)
                ;
        if (n < 0)
                return -errno;
        j->got = (size_t)n;
        return 0;
}

int file_read(struct file *f, uint64_t at, char *room, size_t n, size_t *got)
{
        struct iovec v = { room, n };
        struct read_job j = { f->fd, at, room, n < PIECE_MOST ? n : PIECE_MOST, 0 };
        ssize_t done = -1;
        int rc;

        *got = 0;
        if (at > INT64_MAX)
                return -EINVAL;
        if (!f->no_nowait) {
                done = preadv2(f->fd, &v, 1, (off_t)at, f->memory ? 0 : RWF_NOWAIT);
                if (done < 0 && errno == EOPNOTSUPP)
                        f->no_nowait = true;
        }
        if (done >= 0) {
                *got = (size_t)done;
                return 0;
        }
        rc = offload(n > SMALL ? LONG : QUICK, read_piece, &j);
        *got = j.got;
        return rc;
}

struct coded_job {
        struct file *file;
        struct buf *out;
};

static int read_coded(void *arg)
{
        struct coded_job *j = arg;
        struct statx x;
        int rc = look_at(j->file->fd, "", &x);

        return rc ? rc : beside_read(j->file->files, &x, j->out);
}

int file_coded(struct file *f, struct buf *out)
{
        struct coded_job j = { f, out };

        return offload(QUICK, read_coded, &j);
}

void file_close(struct file **f)
{
        if (!*f)
                return;
        close((*f)->fd);
        mem_free(*f);
        *f = NULL;
}
