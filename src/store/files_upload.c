/* Uploads. The first octets stay in memory; then they go to a part. What both ends of it have in common with copies and joins is at the
 * bottom of the page: a part takes its name by upload_publish. */
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

struct upload *upload_new(struct root *r, struct str path, enum upload_how how)
{
        struct upload *u = mem_new(struct upload);

        while (path.n > 1 && path.p[path.n - 1] == '/')
                path.n--;
        u->root = r;
        u->how = how;
        u->path = mem_string(path);
        u->fd = -1;
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
                u->credit = x.stx_size;
        else if (!S_ISLNK(x.stx_mode) || spot_leads_out(u->root, &u->spot))
                return -EACCES;
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

static int need_tally(struct upload *u)
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

static int begin(struct upload *u)
{
        struct root *r = u->root;
        int rc = spot_open(r, str_of(u->path), &u->spot, true);

        if (rc == -EAGAIN)
                rc = offload(QUICK, open_spot, u);
        if (!rc)
                rc = need_tally(u);
        if (rc)
                return rc;
        if (u->how == UPLOAD_UNIQUE)
                return unique_name(u);
        if (u->how != UPLOAD_NEW)
                return offload(LONG, begin_at_rest, u);
        /* Without a quota that is seen soon enough when the part is made. */
        return r->quota ? offload(QUICK, look_at_target_job, u) : 0;
}

int upload_begin(struct root *r, struct str path, enum upload_how how, uint64_t at, struct upload **out)
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
        rc = begin(u);
        if (rc)
                upload_free(&u, false, 0);
        *out = u;
        return rc;
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

/* What will be replaced is given back at commit: so much need not be charged. */
static uint64_t owed(const struct upload *u, uint64_t size)
{
        return size > u->credit ? size - u->credit : 0;
}

int upload_charge(struct upload *u, uint64_t size, bool slice)
{
        uint64_t need = owed(u, size);
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
        int rc = at > INT64_MAX / 4 || n > INT64_MAX / 4 ? -EFBIG : need_tally(u);

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
        rc = need_tally(u);
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

/* --- the end ----------------------------------------------------------------------------------------------------- */

static int set_times(struct upload *u, int64_t modified)
{
        struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
                                 { modified / 1000000, modified % 1000000 * 1000 } };

        if (t[1].tv_nsec < 0) {
                t[1].tv_sec--;
                t[1].tv_nsec += 1000000000;
        }
        return futimens(u->fd, t) < 0 ? -errno : 0;
}

static int prepare(struct step *s)
{
        struct upload *u = (struct upload *)s; /* its first member */
        struct statx x;
        int rc = upload_make_part(u);

        if (!rc && u->end != u->size)
                rc = disk_truncate(u->fd, (off_t)u->size);
        if (!rc && u->facts.n) {
                rc = look_at(u->fd, "", &x);
                if (!rc)
                        rc = beside_write(u->root->files, &x, buf_str(&u->facts));
        }
        if (!rc && u->modified)
                rc = set_times(u, u->modified);
        /* fdatasync leaves times to chance. */
        if (!rc && u->modified && u->root->files->how.durable)
                rc = disk_sync(u->fd);
        else
                u->step.data = u->synced ? -1 : u->fd;
        return rc;
}

/* The name is free, or what has it is replaced, and its octets are given back. */
static int take_name(struct upload *u, uint64_t *freed)
{
        struct files *f = u->root->files;
        struct spot *s = &u->spot;
        struct statx x;
        int rc = look_at(s->dir, s->name, &x), renamed;

        if (!rc && S_ISDIR(x.stx_mode))
                return -EISDIR;
        if (!rc && !S_ISREG(x.stx_mode) && (!S_ISLNK(x.stx_mode) || spot_leads_out(u->root, s)))
                return -EACCES;
        if (rc && rc != -ENOENT)
                return rc;
        *freed = rc || !S_ISREG(x.stx_mode) ? 0 : x.stx_size;
        u->credit = *freed; /* not what it was when we began */
        if (owed(u, u->size) > u->charged) {
                int over = tally_charge(u->root, u->tally, owed(u, u->size) - u->charged);

                if (over)
                        return over;
                u->charged = owed(u, u->size);
        }
        if (!rc && u->how == UPLOAD_UNIQUE)
                return -EEXIST;
        renamed = disk_rename(f->parts, u->part, s->dir, s->name);
        if (!renamed && !rc && S_ISREG(x.stx_mode) && x.stx_nlink == 1)
                beside_drop(f, &x);
        return renamed;
}

int upload_publish(struct upload *u)
{
        struct root *r = u->root;
        uint64_t freed = 0;
        int rc = -EEXIST;
        bool begun;

        part_forget(r, u->tally, str_of(u->path));
        begun = tally_begin(u->tally);
        if (!begun)
                return -ENOSPC;
        /* With all of it charged it does not matter what is there. */
        if (u->charged >= u->size)
                rc = disk_rename_new(r->files->parts, u->part, u->spot.dir, u->spot.name);
        if (rc == -EEXIST || rc == -EINVAL) { /* or a file system that cannot promise not to replace */
                tally_lock(u->tally);
                rc = take_name(u, &freed);
                tally_unlock(u->tally);
        }
        if (rc) {
                tally_end(r, u->tally, begun, 0, 0);
                return rc == -EXDEV ? -EACCES : rc;
        }
        tally_end(r, u->tally, begun, (int64_t)u->size - (int64_t)freed, u->charged);
        u->charged = 0;
        u->part[0] = '\0';
        u->committed = true;
        u->step.dirs[0] = u->spot.dir;
        return 0;
}

static int publish_step(struct step *s)
{
        return upload_publish((struct upload *)s);
}

/* A long one alone, so that nobody else waits for it. */
static int sync_alone(void *arg)
{
        struct upload *u = arg;
        int rc = prepare(&u->step);

        if (!rc && u->step.data >= 0)
                rc = disk_datasync(u->fd);
        u->synced = true;
        return rc;
}

int upload_commit(struct upload *u, uint64_t size, int64_t modified)
{
        bool long_one = u->root->files->how.durable && size > ALONE;
        int rc;

        if (u->committed)
                return -EINVAL;
        rc = need_tally(u);
        if (!rc && size > u->end)
                rc = upload_charge(u, size, false);
        if (rc)
                return rc;
        u->size = size;
        u->modified = modified;
        u->step = (struct step){ .prepare = prepare, .act = publish_step, .data = -1, .dirs = { -1, -1 } };
        if (long_one) {
                rc = offload(LONG, sync_alone, u);
                if (rc)
                        return rc;
                u->step.prepare = NULL;
                u->step.data = -1;
        }
        return step_run(u->root->files, &u->step);
}

static int finish(void *arg)
{
        struct upload *u = arg;
        int rc = -EINVAL;

        if (u->keep) {
                if (u->fd < 0)
                        rc = upload_make_part(u);
                else
                        rc = 0;
                if (!rc)
                        rc = upload_charge(u, u->size, false);
                if (!rc && u->size > u->charged) { /* a part replaces nothing: all of it counts */
                        rc = tally_charge(u->root, u->tally, u->size - u->charged);
                        if (!rc)
                                u->charged = u->size;
                }
                if (!rc) {
                        rc = part_keep(u->root, u->tally, str_of(u->path), u->part, u->fd, u->size,
                                       u->charged);
                        u->charged = 0;
                }
        }
        if (rc && u->part[0]) {
                struct statx x;

                if (u->facts.n && !look_at(u->fd, "", &x))
                        beside_drop(u->root->files, &x);
                (void)disk_unlink(u->root->files->parts, u->part);
        }
        return 0;
}

void upload_free(struct upload **up, bool keep, uint64_t size)
{
        struct upload *u = *up;

        *up = NULL;
        if (!u)
                return;
        u->keep = keep && size && !u->committed && size <= u->end && u->tally &&
                  u->root->files->how.keep_parts && u->how != UPLOAD_UNIQUE && !u->appends;
        u->size = size;
        if (u->keep || u->part[0])
                (void)offload(LONG, finish, u);
        if (u->tally)
                tally_uncharge(u->tally, u->charged);
        if (u->fd >= 0)
                close(u->fd);
        spot_close(&u->spot);
        buf_free(&u->first);
        buf_free(&u->facts);
        mem_free(u->path);
        mem_free(u);
}
