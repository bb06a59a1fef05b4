/* Uploads, till their last octet. The first ones stay in memory; then they go to a part. files_commit.c is their end. */
#include "store/files_upload.h"
#include "base/mem.h"
#include "run/offload.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

/* --- the beginning ----------------------------------------------------------------------------------------------- */

/* The name is the client's and a dot and 12 random digits: nobody else has it. */
static int unique_name(struct upload *u)
{
        enum { END = 13 };
        struct str name = str_sub(str_of(u->spot.name), 0, NAME_MOST - END);
        struct str parent = str_sub(str_of(u->path), 0, strlen(u->path) - strlen(u->spot.name));
        struct buf b auto_buf;
        uint64_t number;

        buf_init(&b, (size_t)2 * PATH_MOST);
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
                return -EIO;
        buf_printf(&b, PRS PRS ".%012llx", STR(parent), STR(name),
                   (unsigned long long)number & 0xffffffffffffu);
        if (b.n > PATH_MOST)
                return -ENAMETOOLONG;
        mem_free(u->path);
        u->path = mem_string(buf_str(&b));
        u->unique = u->path + parent.n;
        u->spot.name = u->unique;
        return 0;
}

static struct upload *upload_new(struct root *r, struct str path, enum upload_how how)
{
        struct upload *u = mem_new(struct upload);

        while (path.n > 1 && path.p[path.n - 1] == '/')
                path.n--;
        u->root = r;
        u->how = how;
        u->path = mem_string(path);
        u->fd = u->from = -1;
        u->spot.dir = -1;
        buf_init(&u->first, SMALL);
        return u;
}

static int open_spot(void *arg)
{
        struct upload *u = arg;

        return spot_reopen(u->root, &u->spot, false);
}

/* How much is there already that will be replaced; a folder will not. */
static int look_at_target(struct upload *u)
{
        struct statx x;
        int rc = look_at(u->spot.dir, u->spot.name, &x);

        if (rc)
                return rc == -ENOENT ? 0 : rc;
        if (S_ISDIR(x.stx_mode))
                return -EISDIR;
        if (S_ISREG(x.stx_mode))
                u->credit = octets_of(u->root->files, &x);
        else if (!S_ISLNK(x.stx_mode) || spot_leads_out(u->root, &u->spot))
                return -EACCES;
        u->before = x.stx_ino;
        return 0;
}

static int look_at_target_job(void *arg)
{
        return look_at_target(arg);
}

static int begin_counting(void *arg)
{
        struct upload *u = arg;

        return tally_need(u->root, &u->tally);
}

int upload_need_tally(struct upload *u)
{
        u->tally = atomic_load(&u->root->tally);
        if (u->tally && (!u->root->quota || tally_counted(u->tally)))
                return 0;
        return offload(u->root->quota ? LONG : QUICK, begin_counting, u);
}

static int begin_at_rest(void *arg)
{
        struct upload *u = arg;
        int rc = look_at_target(u);

        if (rc)
                return rc;
        return u->how == UPLOAD_APPEND ? upload_go_on(u) : upload_go_back(u);
}

/* As far as the kernel knows without asking the disk. */
static bool is_known_folder(const struct spot *s)
{
        int fd = jail_open(s->dir, s->name, O_PATH | O_DIRECTORY | O_NOFOLLOW, true);

        if (fd >= 0)
                close(fd);
        return fd >= 0;
}

static int begin(struct upload *u)
{
        struct root *r = u->root;
        int rc = spot_open(r, str_of(u->path), &u->spot, true);

        if (rc == -EAGAIN)
                rc = offload(QUICK, open_spot, u);
        if (!rc)
                rc = upload_need_tally(u);
        if (rc)
                return rc;
        if (u->how == UPLOAD_UNIQUE)
                return unique_name(u);
        if (u->how != UPLOAD_NEW) {
                rc = offload(LONG, begin_at_rest, u);
                return rc ? rc : upload_take_rest(u);
        }
        if (r->quota)
                return offload(QUICK, look_at_target_job, u);
        return is_known_folder(&u->spot) ? -EISDIR : 0; /* else it is seen when the part is made */
}

static int begin_as(struct root *r, struct str path, enum upload_how how, uint64_t at, bool joins,
                    struct upload **out)
{
        struct upload *u;
        int rc;

        *out = NULL;
        if (r->read_only)
                return -EROFS;
        if (path.n > PATH_MOST)
                return -ENAMETOOLONG;
        if (at > INT64_MAX / 4)
                return -EINVAL;
        u = upload_new(r, path, how == UPLOAD_RESUME && !at ? UPLOAD_NEW : how);
        u->at = how == UPLOAD_RESUME ? at : 0;
        u->joins = joins;
        rc = begin(u);
        if (rc)
                upload_free(&u, false, 0);
        *out = u;
        return rc;
}

int upload_begin(struct root *r, struct str path, enum upload_how how, uint64_t at, struct upload **out)
{
        return begin_as(r, path, how, at, false, out);
}

int upload_begin_join(struct root *r, struct str path, struct upload **out)
{
        return begin_as(r, path, UPLOAD_APPEND, 0, true, out);
}

struct str upload_name(const struct upload *u)
{
        return str_of(u->spot.name);
}

uint64_t upload_at(const struct upload *u)
{
        return u->at;
}

int upload_descriptor(const struct upload *u)
{
        return u->fd;
}

/* --- room -------------------------------------------------------------------------------------------------------- */

int upload_charge(struct upload *u, uint64_t size, bool slice)
{
        uint64_t need = upload_owed(u, size);
        int rc = -EDQUOT;

        if (size > INT64_MAX / 4)
                return -EFBIG;
        if (size > u->room) {
                uint64_t more = size - u->room + (slice ? SLICE_OF_QUOTA : 0);

                rc = disk_room(u->root->files, more, NULL);
                if (rc && slice)
                        rc = disk_room(u->root->files, more = size - u->room, NULL);
                if (rc)
                        return rc;
                u->room += more;
        }
        if (need <= u->charged)
                return 0;
        rc = -EDQUOT;
        if (slice) {
                rc = tally_charge(u->root, u->tally, need - u->charged + SLICE_OF_QUOTA);
                if (!rc)
                        u->charged = need + SLICE_OF_QUOTA;
        }
        if (rc) {
                rc = tally_charge(u->root, u->tally, need - u->charged);
                if (!rc)
                        u->charged = need;
        }
        return rc;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

struct put {
        struct upload *upload;
        uint64_t at;
        struct str bytes;
};

int upload_make_part(struct upload *u)
{
        struct iovec v = { u->first.p, u->first.n };
        int rc;

        if (u->fd >= 0)
                return 0;
        if (u->how == UPLOAD_NEW && !u->step.act) { /* at its end it is seen anyway */
                rc = look_at_target(u);
                if (rc)
                        return rc;
        }
        u->fd = part_make(u->root, str_of(u->path), u->part);
        if (u->fd < 0)
                return u->fd;
        rc = u->first.n ? disk_pwritev(u->fd, &v, 1, 0) : 0;
        if (u->end < u->first.n)
                u->end = u->first.n;
        return rc;
}

static int put_bytes(void *arg)
{
        struct put *p = arg;
        struct upload *u = p->upload;
        struct iovec v = { (void *)p->bytes.p, p->bytes.n };
        int rc = upload_make_part(u);

        if (!rc && v.iov_len)
                rc = disk_pwritev(u->fd, &v, 1, (off_t)p->at);
        return rc;
}

static int put(struct upload *u, uint64_t at, struct str bytes)
{
        struct put p = { u, at, bytes };
        int rc = offload(bytes.n > SMALL ? LONG : QUICK, put_bytes, &p);

        if (u->fd >= 0)
                buf_free(&u->first);
        return rc;
}

int upload_room(struct upload *u, uint64_t at, uint64_t n)
{
        int rc = at > INT64_MAX / 4 || n > INT64_MAX / 4 ? -EFBIG : upload_need_tally(u);

        if (!rc && u->fd < 0)
                rc = put(u, 0, S(""));
        if (!rc)
                rc = upload_charge(u, at + n, true);
        if (!rc && at + n > u->end)
                u->end = at + n;
        return rc;
}

int upload_write(struct upload *u, uint64_t at, struct str bytes)
{
        bool small = u->fd < 0 && at == u->first.n && bytes.n <= SMALL - u->first.n;
        int rc;

        if (at > INT64_MAX / 4)
                return -EFBIG;
        rc = upload_need_tally(u);
        if (!rc)
                rc = upload_charge(u, at + bytes.n, !small);
        if (rc)
                return rc;
        if (small)
                buf_puts(&u->first, bytes);
        else
                rc = put(u, at, bytes);
        if (!rc && at + bytes.n > u->end)
                u->end = at + bytes.n;
        return rc;
}

void upload_facts(struct upload *u, struct str facts)
{
        buf_free(&u->facts);
        buf_init(&u->facts, facts.n + 1);
        buf_puts(&u->facts, facts);
}
