/* Files on this side. What a server named is made only by names that pass ftp_name_safe, in a folder that is open, without following links;
 * what a person named may be anywhere. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "run/offload.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAME_MOST = 255 };

struct str local_base(const char *remote)
{
        struct str s = str_of(remote);

        while (s.n > 1 && s.p[s.n - 1] == '/')
                s.n--;
        return str_from_at(s, str_rfind(s, '/') == STR_NONE ? 0 : str_rfind(s, '/') + 1);
}

int local_parent(int at, const char *path, const char **name)
{
        struct str base = local_base(path);
        char folder[PATH_ROOM];
        size_t n = (size_t)(base.p - path);
        int fd;

        *name = base.p;
        if (!n)
                fd = openat(at, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        else if (n >= sizeof(folder))
                return -ENAMETOOLONG;
        else {
                mem_copy(folder, sizeof(folder), str_from(path, n));
                folder[n] = 0;
                fd = openat(at, folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        }
        return fd < 0 ? -errno : fd;
}

/* NAME.pail-part; a name too long for that loses its end. Two who fetch the same at once: the second is told. */
int local_part(int dir, const char *name, char part[static NAME_ROOM], bool truncate, uint64_t *size)
{
        size_t n = strlen(name), most = NAME_MOST - (sizeof(PART_SUFFIX) - 1);
        struct stat st, to;
        int fd, rc = 0;

        if (!n || n > NAME_MOST)
                return -ENAMETOOLONG;
        if (fstatat(dir, name, &to, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(to.st_mode))
                return -EISDIR;
        n = n < most ? n : most;
        mem_copy(part, NAME_ROOM, str_from(name, n));
        mem_copy(part + n, NAME_ROOM - n, str_from(PART_SUFFIX, sizeof(PART_SUFFIX)));
        fd = openat(dir, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                rc = -errno;
        else if (!S_ISREG(st.st_mode) || st.st_nlink > 1) /* another name of it is somebody's file */
                rc = -EPERM;
        else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                rc = -EBUSY;
        else if (truncate && st.st_size && ftruncate(fd, 0) < 0)
                rc = -errno;
        if (rc < 0) {
                close(fd);
                return rc;
        }
        *size = truncate ? 0 : (uint64_t)st.st_size;
        return fd;
}

int local_whole(int dir, const char *part, const char *name)
{
        return renameat(dir, part, dir, name) < 0 ? -errno : 0;
}

struct writing {
        int fd;
        const char *p;
        size_t n;
};

static int write_all(void *arg)
{
        struct writing *w = arg;

        while (w->n) {
                ssize_t k = write(w->fd, w->p, w->n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                w->p += k;
                w->n -= (size_t)k;
        }
        return 0;
}

int local_write_all(int fd, const char *p, size_t n)
{
        struct writing w = { fd, p, n };

        return offload(LONG, write_all, &w);
}

bool name_allowed(struct str name)
{
        return ftp_name_safe(name) && !str_ends(name, S(PART_SUFFIX));
}

/* Below an open folder, without a link anywhere on the way. */
int local_beneath(int root, const char *path, int flags)
{
        struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC | O_NOCTTY),
                                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
        long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));

        return fd < 0 ? -errno : (int)fd;
}
