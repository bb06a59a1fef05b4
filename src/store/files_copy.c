/* Copies and joins: new files, made as uploads are, from files that are there. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/disk.h"
#include "store/files_upload.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct taking {
        struct upload *upload;
        struct str from;
        bool with_facts;
        struct taken *taken;
};

static int take(struct taking *t, int fd, const struct statx *x)
{
        struct upload *u = t->upload;
        struct buf facts auto_buf;
        int rc = S_ISREG(x->stx_mode) ? 0 : -EISDIR;

        buf_init(&facts, (size_t)16 << 20);
        if (!rc && t->with_facts)
                rc = beside_read(u->root->files, x, &facts);
        if (!rc && facts.n)
                upload_facts(u, buf_str(&facts));
        *t->taken = taken_of(x);
        if (!rc)
                return upload_take_in(u, fd, x->stx_size);
        close(fd);
        return rc;
}

static int take_file(void *arg)
{
        struct taking *t = arg;
        struct statx x;
        char *rel;
        int rc = jail_path(t->from, &rel), fd;

        if (rc)
                return rc;
        fd = jail_open_plain(t->upload->root->fd, rel, false, &x);
        mem_free(rel);
        return fd < 0 ? fd : take(t, fd, &x);
}

static int take_and_commit(struct upload *u, const struct str *from, size_t n, bool with_facts,
                           struct taken *taken)
{
        int rc = 0;

        for (size_t i = 0; i < n && !rc; i++) {
                struct taking t = { u, from[i], with_facts, &taken[i] };

                rc = offload(LONG, take_file, &t);
                if (!rc)
                        rc = upload_take_rest(u);
        }
        return rc ? rc : upload_commit(u, u->end, 0);
}

int file_copy(struct root *r, struct str from, struct str to)
{
        struct taken taken;
        struct upload *u;
        int rc = upload_begin(r, to, UPLOAD_NEW, 0, &u);

        if (rc)
                return rc;
        rc = take_and_commit(u, &from, 1, true, &taken);
        upload_free(&u, false, 0);
        return rc;
}

/* The target by another name, over a link, would be joined to itself and then removed. */
static int check_parts(struct root *r, struct str to, const struct str *from, size_t n)
{
        struct file_facts target, part;
        int rc = file_facts(r, to, true, &target);

        for (size_t i = 0; i < n; i++)
                if (str_eq(from[i], to))
                        return -EINVAL;
        if (rc)
                return rc == -ENOENT ? 0 : rc;
        if (target.kind != FILE_REGULAR)
                return target.kind == FILE_FOLDER ? -EISDIR : -EACCES;
        for (size_t i = 0; i < n && !rc; i++) {
                rc = file_facts(r, from[i], true, &part);
                if (!rc && part.inode == target.inode && part.device == target.device)
                        rc = -EINVAL;
        }
        return rc;
}

/* What was appended to the target meanwhile would be lost with its file: then the commit is -EBUSY, and all is as it was. A part that is named
 * twice is gone when it is to be removed again. */
int file_append(struct root *r, struct str to, const struct str *from, size_t n)
{
        struct taken *taken = mem_array(n ? n : 1, sizeof *taken);
        struct upload *u = NULL;
        int rc = check_parts(r, to, from, n);

        if (!rc)
                rc = upload_begin_join(r, to, &u);
        if (!rc)
                rc = take_and_commit(u, from, n, false, taken);
        upload_free(&u, false, 0);
        for (size_t i = 0; i < n && !rc; i++) {
                rc = file_remove_taken(r, from[i], &taken[i]);
                if (rc == -ENOENT)
                        rc = 0;
        }
        mem_free(taken);
        return rc;
}
