/* The end of an upload: its part takes its name, or is kept, or goes. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/disk.h"
#include "store/files_upload.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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

/* With the account's lock, so that `old` stays what it was. What must be paid for it now is charged first. */
static int rename_over(struct upload *u, const struct statx *old, uint64_t freed)
{
        struct files *f = u->root->files;
        struct spot *s = &u->spot;
        int rc = 0;

        u->credit = freed; /* not what it was when we began */
        if (upload_owed(u, u->octets) > u->charged)
                rc = tally_charge(u->root, u->tally, upload_owed(u, u->octets) - u->charged);
        if (rc)
                return rc;
        if (upload_owed(u, u->octets) > u->charged)
                u->charged = upload_owed(u, u->octets);
        /* A free name others may take without the lock. */
        if (!old)
                rc = disk_rename_new(f->parts, u->part, s->dir, s->name);
        if (rc == -EEXIST)
                return -EAGAIN;
        if (old || rc == -EINVAL)
                rc = disk_rename(f->parts, u->part, s->dir, s->name);
        if (!rc && old && S_ISREG(old->stx_mode) && old->stx_nlink == 1)
                beside_drop(f, old);
        return rc;
}

/* The name is free, or what has it is replaced, and its octets are given back. */
static int take_name(struct upload *u, uint64_t *freed)
{
        struct spot *s = &u->spot;
        struct statx x;
        int rc = look_at(s->dir, s->name, &x);

        if (rc && rc != -ENOENT)
                return rc;
        *freed = 0;
        /* What somebody else has appended meanwhile, and was told is kept, would be lost. */
        if (u->how == UPLOAD_APPEND && (rc ? 0 : x.stx_ino) != u->before)
                return -EBUSY;
        if (!rc && u->how == UPLOAD_UNIQUE)
                return -EEXIST;
        if (!rc && S_ISDIR(x.stx_mode))
                return -EISDIR;
        if (!rc && S_ISREG(x.stx_mode))
                *freed = octets_of(u->root->files, &x);
        else if (!rc && (!S_ISLNK(x.stx_mode) || spot_leads_out(u->root, s)))
                return -EACCES;
        return rename_over(u, rc ? NULL : &x, *freed);
}

static int publish(struct step *s)
{
        struct upload *u = (struct upload *)s;
        struct root *r = u->root;
        uint64_t freed = 0;
        int rc = -EEXIST;
        bool begun;

        part_forget(r, u->tally, str_of(u->path));
        begun = tally_begin(u->tally);
        if (!begun)
                return -ENOSPC;
        /* With all of it charged it does not matter what is there. */
        if (u->charged >= u->octets)
                rc = disk_rename_new(r->files->parts, u->part, u->spot.dir, u->spot.name);
        if (rc == -EEXIST || rc == -EINVAL) { /* or a file system that cannot promise not to replace */
                tally_lock(u->tally);
                while ((rc = take_name(u, &freed)) == -EAGAIN)
                        ;
                tally_unlock(u->tally);
        }
        if (rc) {
                tally_end(r, u->tally, begun, 0, 0);
                return rc == -EXDEV ? -EACCES : rc;
        }
        tally_end(r, u->tally, begun, (int64_t)u->octets - (int64_t)freed, u->charged);
        u->charged = 0;
        u->part[0] = '\0';
        u->committed = true;
        u->step.dirs[0] = u->spot.dir;
        return 0;
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
        if (size > INT64_MAX / 4)
                return -EFBIG;
        rc = upload_need_tally(u);
        if (!rc)
                rc = upload_charge(u, size + u->facts.n, false);
        if (rc)
                return rc;
        u->size = size;
        u->octets = size + u->facts.n;
        u->modified = modified;
        u->step = (struct step){ .prepare = prepare, .act = publish, .data = -1, .dirs = { -1, -1 } };
        u->step.brief = u->fd < 0;
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
        if (u->from >= 0)
                close(u->from);
        if (u->fd >= 0)
                close(u->fd);
        spot_close(&u->spot);
        buf_free(&u->first);
        buf_free(&u->facts);
        mem_free(u->path);
        mem_free(u);
}
