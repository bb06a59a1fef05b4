/* Changes of names, rights and times. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/disk.h"
#include "store/files_upload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct name_change {
        struct step step; /* first */
        struct root *root;
        struct str path, to;
        struct spot from_spot, to_spot;
        struct tally *tally;
        const char *target;        /* of a link */
        const struct taken *taken; /* a file that is removed is this one; NULL: any */
};

static int run(struct name_change *c, int (*act)(struct step *s))
{
        int rc;

        if (c->root->read_only)
                return -EROFS;
        c->from_spot.dir = c->to_spot.dir = -1;
        c->step.act = act;
        c->step.data = c->step.dirs[0] = c->step.dirs[1] = -1;
        rc = step_run(c->root->files, &c->step);
        spot_close(&c->from_spot);
        spot_close(&c->to_spot);
        return rc;
}

static struct name_change *change_of(struct step *s)
{
        return (struct name_change *)s;
}

/* On a disk so full that the counters cannot even be made, what is there can still be removed: they are made, and counted, later. */
static int need_counters(struct name_change *c)
{
        int rc = tally_of(c->root, &c->tally);

        return rc == -ENOSPC || rc == -EDQUOT ? 0 : rc;
}

/* A name of it is gone: the octets that counted. */
static uint64_t let_go(struct files *f, const struct statx *x)
{
        uint64_t octets = octets_of(f, x);

        if (S_ISREG(x->stx_mode) && x->stx_nlink == 1)
                beside_drop(f, x);
        return octets;
}

struct taken taken_of(const struct statx *x)
{
        return (struct taken){ x->stx_ino, x->stx_btime };
}

static bool is_another(const struct taken *what, const struct statx *x)
{
        return what && S_ISREG(x->stx_mode) &&
               (x->stx_ino != what->inode || x->stx_btime.tv_sec != what->born.tv_sec ||
                x->stx_btime.tv_nsec != what->born.tv_nsec);
}

/* With the account's lock: the octets of what goes. */
static int remove_one(struct name_change *c, int64_t *freed)
{
        struct spot *s = &c->from_spot;
        struct statx x;
        int rc = look_at(s->dir, s->name, &x);

        if (rc)
                return rc;
        if (S_ISDIR(x.stx_mode))
                return -EISDIR;
        if (is_another(c->taken, &x) || (S_ISLNK(x.stx_mode) && spot_leads_out(c->root, s)))
                return -ENOENT;
        rc = disk_unlink(s->dir, s->name);
        if (!rc)
                *freed = (int64_t)let_go(c->root->files, &x);
        return rc;
}

static int remove_step(struct step *st)
{
        struct name_change *c = change_of(st);
        int64_t freed = 0;
        int rc = spot_open(c->root, c->path, &c->from_spot, false);
        bool begun;

        if (!rc)
                rc = need_counters(c);
        if (rc)
                return rc;
        st->dirs[0] = c->from_spot.dir;
        begun = tally_begin(c->tally);
        tally_lock(c->tally);
        rc = remove_one(c, &freed);
        tally_unlock(c->tally);
        tally_end(c->root, c->tally, begun, -freed, 0);
        if (!rc)
                part_forget(c->root, c->tally, c->path);
        return rc;
}

int file_remove(struct root *r, struct str path)
{
        struct name_change c = { .root = r, .path = path };

        return run(&c, remove_step);
}

int file_remove_taken(struct root *r, struct str path, const struct taken *what)
{
        struct name_change c = { .root = r, .path = path, .taken = what };

        return run(&c, remove_step);
}

static int make_step(struct step *st)
{
        struct name_change *c = change_of(st);
        int rc = spot_open(c->root, c->path, &c->from_spot, false), fd;
        struct spot *s = &c->from_spot;

        if (rc)
                return rc == -EISDIR ? -EEXIST : rc;
        st->dirs[0] = s->dir;
        rc = disk_mkdir(s->dir, s->name);
        if (rc || !(0077 & ~c->root->lacks))
                return rc;
        fd = disk_open(s->dir, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (fd >= 0) { /* gone again already: then its rights are nobody's business */
                (void)fchmod(fd, (0777 & ~c->root->lacks) | 0700);
                close(fd);
        }
        return 0;
}

int folder_make(struct root *r, struct str path)
{
        struct name_change c = { .root = r, .path = path };

        return run(&c, make_step);
}

static int remove_folder_step(struct step *st)
{
        struct name_change *c = change_of(st);
        int rc = spot_open(c->root, c->path, &c->from_spot, false);

        if (rc)
                return rc == -EISDIR ? -EACCES : rc;
        st->dirs[0] = c->from_spot.dir;
        rc = disk_rmdir(c->from_spot.dir, c->from_spot.name);
        return rc == -EEXIST ? -ENOTEMPTY : rc;
}

int folder_remove(struct root *r, struct str path)
{
        struct name_change c = { .root = r, .path = path };

        return run(&c, remove_folder_step);
}

/* With the account's lock. What is no folder may be replaced by what is none; the kernel keeps it so if things change meanwhile. */
static int replace(struct name_change *c, int64_t *freed)
{
        struct spot *a = &c->from_spot, *b = &c->to_spot;
        struct statx from, to;
        int rc = look_at(a->dir, a->name, &from), there;

        if (rc)
                return rc;
        there = look_at(b->dir, b->name, &to);
        if (there && there != -ENOENT)
                return there;
        if (!there && from.stx_ino == to.stx_ino && from.stx_dev_minor == to.stx_dev_minor &&
            from.stx_dev_major == to.stx_dev_major)
                return 0;
        if (!there && (S_ISDIR(to.stx_mode) || S_ISDIR(from.stx_mode)))
                return S_ISDIR(to.stx_mode) ? -EEXIST : -ENOTDIR;
        if (!there && S_ISLNK(to.stx_mode) && spot_leads_out(c->root, b))
                return -EACCES;
        rc = disk_rename(a->dir, a->name, b->dir, b->name);
        if (!rc && !there)
                *freed = (int64_t)let_go(c->root->files, &to);
        return rc;
}

static bool lies_in(struct str path, struct str folder)
{
        return str_starts(path, folder) && path.n > folder.n && path.p[folder.n] == '/';
}

static int rename_step(struct step *st)
{
        struct name_change *c = change_of(st);
        struct spot *a = &c->from_spot, *b = &c->to_spot;
        int64_t freed = 0;
        int rc = spot_open(c->root, c->path, a, false);
        bool begun;

        if (!rc)
                rc = spot_open(c->root, c->to, b, false);
        if (rc)
                return rc == -EISDIR ? -EACCES : rc;
        rc = need_counters(c);
        if (!rc && spot_leads_out(c->root, a))
                rc = -ENOENT;
        if (rc)
                return rc;
        st->dirs[0] = a->dir;
        st->dirs[1] = b->dir;
        begun = tally_begin(c->tally);
        tally_lock(c->tally);
        rc = disk_rename_new(a->dir, a->name, b->dir, b->name);
        if (rc == -EEXIST || (rc == -EINVAL && !lies_in(c->to, c->path)))
                rc = replace(c, &freed);
        tally_unlock(c->tally);
        tally_end(c->root, c->tally, begun, -freed, 0);
        if (!rc)
                part_forget(c->root, c->tally, c->to);
        return rc == -EXDEV ? -EACCES : rc;
}

int file_rename(struct root *r, struct str from, struct str to)
{
        struct name_change c = { .root = r, .path = from, .to = to };

        return run(&c, rename_step);
}

/* --- links ------------------------------------------------------------------------------------------------------- */

/* How deep `path` lies, or -1 if it leaves the root on its way, beginning at `depth`. */
static int depth_after(int depth, struct str path)
{
        struct str part;

        while (path.n && depth >= 0) {
                str_cut(&path, '/', &part);
                if (str_eq(part, S("..")))
                        depth--;
                else if (part.n && !str_eq(part, S(".")))
                        depth++;
        }
        return depth;
}

/* What is written into the link is relative, since the kernel follows nothing else beneath a root. */
static int link_text(struct str path, struct str target, struct buf *out)
{
        int depth = depth_after(0, path) - 1; /* of the folder it lies in */

        if (!target.n || str_find(target, 0) != STR_NONE || depth < 0)
                return -EINVAL;
        if (target.p[0] != '/') {
                if (depth_after(depth, target) < 0)
                        return -EACCES;
                buf_puts(out, target);
        } else {
                if (depth_after(0, target) < 0)
                        return -EACCES;
                for (int i = 0; i < depth; i++)
                        buf_puts(out, S("../"));
                while (target.n && target.p[0] == '/')
                        target = str_from_at(target, 1);
                buf_puts(out, target.n ? target : S("."));
        }
        return buf_u8(out, 0) ? 0 : -ENAMETOOLONG;
}

static int link_step(struct step *st)
{
        struct name_change *c = change_of(st);
        struct spot *s = &c->from_spot;
        int rc = spot_open(c->root, c->path, s, false);

        if (rc)
                return rc == -EISDIR ? -EEXIST : rc;
        st->dirs[0] = s->dir;
        rc = disk_symlink(c->target, s->dir, s->name);
        /* The words were right, but a folder on the way is itself a link. */
        if (!rc && spot_leads_out(c->root, s)) {
                (void)disk_unlink(s->dir, s->name);
                rc = -EACCES;
        }
        return rc;
}

int file_link(struct root *r, struct str path, struct str target)
{
        struct name_change c = { .root = r, .path = path };
        struct buf text auto_buf;
        int rc;

        buf_init(&text, PATH_MOST + 1);
        rc = link_text(path, target, &text);
        if (rc)
                return rc;
        c.target = text.p;
        return run(&c, link_step);
}

/* --- rights and times -------------------------------------------------------------------------------------------- */

struct trait_change {
        struct root *root;
        struct str path;
        const unsigned *mode; /* or NULL: */
        int64_t modified, accessed;
};

static struct timespec time_of(int64_t usec)
{
        struct timespec t = { usec / 1000000, usec % 1000000 * 1000 };

        if (!usec)
                return (struct timespec){ .tv_nsec = UTIME_OMIT };
        if (t.tv_nsec < 0) {
                t.tv_sec--;
                t.tv_nsec += 1000000000;
        }
        return t;
}

static int set_trait(struct trait_change *c, int fd)
{
        struct timespec t[2] = { time_of(c->accessed), time_of(c->modified) };
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!c->mode)
                return futimens(fd, t) < 0 ? -errno : 0;
        return fchmod(fd, (*c->mode & 0777) | (S_ISDIR(st.st_mode) ? 0700 : 0600)) < 0 ? -errno : 0;
}

static int change_trait(void *arg)
{
        struct trait_change *c = arg;
        struct statx x;
        char *rel;
        int rc = jail_path(c->path, &rel), fd;

        if (rc)
                return rc;
        fd = jail_open_plain(c->root->fd, rel, false, &x);
        mem_free(rel);
        if (fd < 0)
                return fd;
        rc = set_trait(c, fd);
        if (!rc && c->root->files->how.durable)
                rc = disk_sync(fd);
        close(fd);
        return rc;
}

int file_chmod(struct root *r, struct str path, unsigned mode)
{
        struct trait_change c = { .root = r, .path = path, .mode = &mode };

        return r->read_only ? -EROFS : offload(LONG, change_trait, &c);
}

int file_times(struct root *r, struct str path, int64_t modified, int64_t accessed)
{
        struct trait_change c = { .root = r, .path = path, .modified = modified, .accessed = accessed };

        return r->read_only ? -EROFS : offload(LONG, change_trait, &c);
}
