/* How a path is followed: by the kernel, which keeps it beneath the account's folder whatever links and renames others make meanwhile. */
#include "base/mem.h"
#include "store/files_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TRIES = 64 };

int jail_path(struct str path, char **rel)
{
        *rel = NULL;
        if (path.n > PATH_MOST)
                return -ENAMETOOLONG;
        if (!path.n || path.p[0] != '/' || str_find(path, 0) != STR_NONE)
                return -EINVAL;
        while (path.n && path.p[0] == '/')
                path = str_from_at(path, 1);
        while (path.n && path.p[path.n - 1] == '/')
                path.n--;
        *rel = mem_string(path.n ? path : S("."));
        return 0;
}

int jail_open(int root, const char *rel, int flags, bool cached)
{
        struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                                .resolve =
                                    RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (cached ? RESOLVE_CACHED : 0) };
        long fd;

        /* -EAGAIN without RESOLVE_CACHED: something was renamed while the kernel looked. */
        for (int tries = 0; tries < TRIES; tries++) {
                fd = syscall(SYS_openat2, root, rel, &how, sizeof how);
                if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || cached)
                        break;
        }
        if (fd >= 0)
                return (int)fd;
        switch (errno) {
        case EXDEV: return -ENOENT; /* it leads out */
        case EAGAIN: return cached ? -EAGAIN : -EBUSY;
        case ENXIO:
        case ENODEV:
        case EPERM: return -EACCES; /* a socket, a device */
        default: return -errno;
        }
}

static int look_plain(int fd, struct statx *x)
{
        int rc = look_at(fd, "", x);

        return rc ? rc : S_ISREG(x->stx_mode) || S_ISDIR(x->stx_mode) ? 0 : -EACCES;
}

/* Looked at twice: another may have got the name in between. */
int jail_open_plain(int root, const char *rel, bool cached, struct statx *x)
{
        int fd = jail_open(root, rel, O_PATH, cached), rc;

        if (fd < 0)
                return fd;
        rc = look_plain(fd, x);
        close(fd);
        if (rc)
                return rc;
        fd = jail_open(root, rel, O_RDONLY | O_NONBLOCK | O_NOCTTY, cached);
        rc = fd < 0 ? fd : look_plain(fd, x);
        if (rc && fd >= 0)
                close(fd);
        return rc ? rc : fd;
}

int spot_reopen(struct root *r, struct spot *s, bool cached)
{
        const char *parent = s->name == s->rel ? "." : s->rel;
        int fd = jail_open(r->fd, parent, O_RDONLY | O_DIRECTORY, cached);

        s->dir = fd < 0 ? -1 : fd;
        return fd < 0 ? fd : 0;
}

int spot_open(struct root *r, struct str path, struct spot *s, bool cached)
{
        int rc = jail_path(path, &s->rel);
        size_t slash;

        s->dir = -1;
        if (rc)
                return rc;
        slash = str_rfind(str_of(s->rel), '/');
        s->name = s->rel;
        if (slash != STR_NONE) {
                s->rel[slash] = '\0';
                s->name = s->rel + slash + 1;
        }
        if (strlen(s->name) > NAME_MOST)
                return -ENAMETOOLONG;
        if (str_eq(str_of(s->name), S(".")))
                return -EISDIR;
        if (str_eq(str_of(s->name), S("..")))
                return -EINVAL;
        return spot_reopen(r, s, cached);
}

void spot_close(struct spot *s)
{
        if (s->dir >= 0)
                close(s->dir);
        mem_free(s->rel);
        *s = (struct spot){ .dir = -1 };
}

int look_at(int dir, const char *name, struct statx *x)
{
        return statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH),
                     STATX_BASIC_STATS | STATX_BTIME, x) < 0
                   ? -errno
                   : 0;
}

static int64_t usec_of(const struct statx_timestamp *t)
{
        return t->tv_sec * 1000000 + t->tv_nsec / 1000;
}

static enum file_kind kind_of(unsigned mode)
{
        switch (mode & S_IFMT) {
        case S_IFREG: return FILE_REGULAR;
        case S_IFDIR: return FILE_FOLDER;
        case S_IFLNK: return FILE_LINK;
        default: return FILE_OTHER;
        }
}

void facts_from(struct files *f, const struct statx *x, struct file_facts *out)
{
        *out = (struct file_facts){
                .kind = kind_of(x->stx_mode),
                .size = x->stx_size,
                .inode = x->stx_ino,
                .device = (uint64_t)x->stx_dev_major << 32 | x->stx_dev_minor,
                .modified = usec_of(&x->stx_mtime),
                .changed = usec_of(&x->stx_ctime),
                .mode = x->stx_mode & 07777,
                .links = x->stx_nlink,
                .uid = x->stx_uid,
                .gid = x->stx_gid,
        };
        if (f && out->kind == FILE_REGULAR)
                out->coded = beside_size(f, x);
}

uint64_t octets_of(struct files *f, const struct statx *x)
{
        return S_ISREG(x->stx_mode) ? x->stx_size + beside_size(f, x) : 0;
}

/* The kernel says EXDEV for exactly this. */
bool leads_out(int root, const char *rel)
{
        struct open_how how = { .flags = O_PATH | O_CLOEXEC,
                                .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
        long fd = syscall(SYS_openat2, root, rel, &how, sizeof how);

        if (fd >= 0)
                close((int)fd);
        return fd < 0 && errno == EXDEV;
}

bool spot_leads_out(struct root *r, const struct spot *s)
{
        char *whole;
        bool out;

        if (s->name == s->rel)
                return leads_out(r->fd, s->name);
        whole = mem_string((struct str){ s->rel, (size_t)(s->name - s->rel) + strlen(s->name) });
        whole[s->name - s->rel - 1] = '/';
        out = leads_out(r->fd, whole);
        mem_free(whole);
        return out;
}
