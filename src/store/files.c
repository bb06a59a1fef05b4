#include "store/files.h"
#include "base/mem.h"
#include "run/offload.h"
#include "store/boot.h"
#include "store/disk.h"
#include "store/files_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

static int folder_of(int dir, const char *name)
{
        int rc = disk_mkdir(dir, name);

        return rc && rc != -EEXIST ? rc : disk_open_dir(dir, name);
}

static uint64_t device_in_memory(int dir)
{
        struct statfs kind;
        struct file_facts facts = { 0 };
        struct statx x;

        if (fstatfs(dir, &kind) == 0 && kind.f_type == TMPFS_MAGIC && look_at(dir, "", &x) == 0)
                facts_from(NULL, &x, &facts);
        return facts.device;
}

static int open_folders(void *arg)
{
        struct files *f = arg;
        int rc = 0;

        f->memory = device_in_memory(f->dir);
        f->parts = folder_of(f->dir, ".parts");
        f->usage = folder_of(f->dir, ".usage");
        if (f->parts < 0 || f->usage < 0)
                return f->parts < 0 ? f->parts : f->usage;
        if (f->how.durable)
                rc = disk_sync_dir(f->dir);
        if (!rc)
                rc = parts_open(f);
        if (!rc)
                parts_sweep(f, false);
        return rc;
}

int files_open(struct files **out, int folder, const struct files_how *how)
{
        struct files *f = mem_new(struct files);
        int rc;

        boot_id();
        f->dir = folder;
        f->parts = f->usage = f->id_lock = -1;
        atomic_store(&f->facts, -1);
        f->how = *how;
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->stepped, NULL);
        rc = offload(LONG, open_folders, f);
        *out = f;
        if (rc)
                files_close(out);
        return rc;
}

void files_change(struct files *f, const struct files_how *how)
{
        pthread_mutex_lock(&f->lock);
        f->how = *how;
        f->room_at = 0; /* the reserve may be another */
        pthread_mutex_unlock(&f->lock);
}

void files_close(struct files **fp)
{
        struct files *f = *fp;
        int fds[4];

        *fp = NULL;
        if (!f)
                return;
        parts_close(f);
        fds[0] = f->dir;
        fds[1] = f->parts;
        fds[2] = f->usage;
        fds[3] = atomic_load(&f->facts);
        for (unsigned i = 0; i < 4; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        pthread_mutex_destroy(&f->lock);
        pthread_cond_destroy(&f->stepped);
        mem_free(f);
}

static int tidy(void *arg)
{
        parts_sweep(arg, true);
        return 0;
}

void files_tidy(struct files *f)
{
        (void)offload(LONG, tidy, f);
}

/* --- an account's folder ----------------------------------------------------------------------------------------- */

static bool name_valid(struct str name)
{
        return name.n && name.n <= NAME_MOST && name.p[0] != '.' && str_find(name, '/') == STR_NONE &&
               str_find(name, 0) == STR_NONE;
}

/* The administrator may have put a link there: it is no path of a client's. */
static int open_root(struct root *r)
{
        int fd = openat(r->files->dir, r->account, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

        if (fd < 0 && errno == ENOENT && !r->read_only) {
                rc = disk_mkdir(r->files->dir, r->account);
                if (!rc && r->files->how.durable)
                        rc = disk_sync_dir(r->files->dir);
                if (rc && rc != -EEXIST)
                        return rc;
                fd = openat(r->files->dir, r->account, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        r->fd = fd;
        return fd < 0 ? -errno : 0;
}

static int open_root_job(void *arg)
{
        return open_root(arg);
}

/* The mail role goes by what was said last: where quotas are shared, it must have been counted once. */
static int tell_usage(void *arg)
{
        struct root *r = arg;
        struct tally *t;

        return tally_need(r, &t);
}

int root_open(struct files *f, struct str account, bool read_only, uint64_t quota, struct root **out)
{
        struct root *r;
        int rc;

        *out = NULL;
        if (!name_valid(account))
                return -EINVAL;
        r = mem_new(struct root);
        r->files = f;
        r->read_only = read_only;
        r->quota = quota;
        r->lacks = 022;
        r->account = mem_string(account);
        part_tag(r->account, r->tag);
        r->fd = jail_open(f->dir, r->account, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, true);
        rc = r->fd < 0 ? offload(QUICK, open_root_job, r) : 0;
        if (!rc && f->how.usage && quota && !read_only)
                (void)offload(LONG, tell_usage,
                              r); /* if it cannot be counted now, the first upload says so */
        if (rc)
                root_close(&r);
        *out = r;
        return rc;
}

void root_close(struct root **rp)
{
        struct root *r = *rp;
        struct tally *t;

        *rp = NULL;
        if (!r)
                return;
        t = atomic_load(&r->tally);
        tally_put(r->files, &t);
        if (r->fd >= 0)
                close(r->fd);
        mem_free(r->account);
        mem_free(r);
}

void root_umask(struct root *r, unsigned bits)
{
        r->lacks = bits & 0777;
}

struct room_job {
        struct root *root;
        struct root_room *out;
};

static int ask_room(void *arg)
{
        struct room_job *j = arg;
        struct root *r = j->root;
        uint64_t left = 0, quota, total;
        struct tally *t;
        int rc = tally_of(r, &t);

        if (!rc && !tally_counted(t))
                rc = tally_count(r, t);
        if (!rc)
                rc = disk_room(r->files, 0, &left);
        if (rc)
                return rc;
        quota = quota_of(r);
        total = tally_total(t);
        *j->out = (struct root_room){ .used = tally_used(t), .quota = r->quota, .available = left };
        if (total >= quota)
                j->out->available = 0;
        else if (quota - total < left)
                j->out->available = quota - total;
        return 0;
}

int root_room(struct root *r, struct root_room *out)
{
        struct room_job j = { r, out };

        return offload(LONG, ask_room, &j);
}

/* --- the disk ---------------------------------------------------------------------------------------------------- */

int disk_room(struct files *f, uint64_t octets, uint64_t *left)
{
        struct statfs s;
        nsec t = now();
        int rc = 0;

        pthread_mutex_lock(&f->lock);
        if (!f->room_at || t - f->room_at > SECOND / 4 || octets > f->room_left) {
                if (fstatfs(f->dir, &s) < 0) {
                        rc = -errno;
                } else {
                        uint64_t room = (uint64_t)s.f_bavail * (uint64_t)s.f_bsize;

                        f->room_left = room > f->how.disk_reserve ? room - f->how.disk_reserve : 0;
                        f->room_at = t;
                }
        }
        if (!rc && octets > f->room_left)
                rc = -ENOSPC;
        if (!rc)
                f->room_left -= octets;
        if (left)
                *left = f->room_left;
        pthread_mutex_unlock(&f->lock);
        return rc;
}

/* --- paths ------------------------------------------------------------------------------------------------------- */

/* Appends the parts of `path` to what stands in out, which begins with '/' or is empty. False: too long. */
static bool add_parts(char *out, size_t *n, struct str path)
{
        while (path.n) {
                struct str part;

                str_cut(&path, '/', &part);
                if (!part.n || str_eq(part, S(".")))
                        continue;
                if (str_eq(part, S(".."))) {
                        while (*n && out[--*n] != '/')
                                ;
                        continue;
                }
                if (part.n > PATH_MOST - 1 - *n || *n >= PATH_MOST)
                        return false;
                out[(*n)++] = '/';
                mem_copy(out + *n, PATH_MOST - *n, part);
                *n += part.n;
        }
        return true;
}

struct str path_join(struct arena *a, struct str cwd, struct str path)
{
        static const struct str none = { NULL, 0 };
        char *out;
        size_t n = 0;

        if (str_find(path, 0) != STR_NONE || str_find(cwd, 0) != STR_NONE)
                return none;
        out = arena_alloc(a, PATH_MOST + 1);
        if (path.n && path.p[0] == '/')
                cwd = S("");
        if (!add_parts(out, &n, cwd) || !add_parts(out, &n, path))
                return none;
        if (!n)
                out[n++] = '/';
        out[n] = '\0';
        return str_from(out, n);
}
