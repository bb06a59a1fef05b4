/* Files that a dialog finds on the server: put into the demo's folder past the server, as its owner's. */
#include "dialog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* D/files/ACCOUNT/PATH; all folders above it are made. NULL, with a reason. */
static const char *place(struct call *c, struct str name, struct stat *owner)
{
        static char path[4096];
        size_t skip = strlen(c->d->dir) + strlen("/files");

        snprintf(path, sizeof(path), "%s/files/" PRS, c->d->dir, STR(name));
        if (stat(c->d->dir, owner) < 0) {
                buf_printf(&c->d->why, "%s: %m", c->d->dir);
                return NULL;
        }
        for (char *slash = path + skip; slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(path, 0700) == 0) {
                        if (chown(path, owner->st_uid, owner->st_gid) < 0)
                                buf_printf(&c->d->why, "%s: %m", path);
                } else if (errno != EEXIST) {
                        buf_printf(&c->d->why, "%s: %m", path);
                        return NULL;
                }
                *slash = '/';
        }
        return path;
}

static bool failed(struct call *c, const char *path)
{
        buf_printf(&c->d->why, "%s: %m", path);
        return false;
}

/* ... dated YYYYMMDDHHMMSS: as the last two words */
static bool finish(struct call *c, const char *path, const struct stat *owner)
{
        struct tm t = { 0 };
        struct timespec times[2];

        if (lchown(path, owner->st_uid, owner->st_gid) < 0)
                return failed(c, path);
        if (c->n < 4 || !str_eq(c->words[c->n - 2], S("dated")))
                return true;
        if (!strptime(c->words[c->n - 1].p, "%Y%m%d%H%M%S", &t))
                return wrong(c, "dated YYYYMMDDHHMMSS");
        times[0] = times[1] = (struct timespec){ .tv_sec = timegm(&t) };
        return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0 || failed(c, path);
}

/* file ACCOUNT/PATH "bytes" [dated TIME], file ACCOUNT/PATH size N [dated TIME] */
bool do_file(struct call *c)
{
        bool sized = c->n > 3 && str_eq(c->words[2], S("size"));
        struct stat owner;
        const char *path = place(c, c->words[1], &owner);
        uint64_t n = 0;
        bool good;
        int fd;

        if (!path)
                return false;
        if (sized && !str_u64(c->words[3], &n))
                return wrong(c, "file ACCOUNT/PATH size N");
        fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0)
                return failed(c, path);
        good = sized ? ftruncate(fd, (off_t)n) == 0
                     : write(fd, c->words[2].p, c->words[2].n) == (ssize_t)c->words[2].n;
        if (fchmod(fd, 0644) < 0)
                good = false;
        close(fd);
        return good ? finish(c, path, &owner) : failed(c, path);
}

/* folder ACCOUNT/PATH [dated TIME] */
bool do_folder(struct call *c)
{
        struct stat owner;
        const char *path = place(c, c->words[1], &owner);

        if (!path)
                return false;
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return failed(c, path);
        return finish(c, path, &owner);
}

/* link ACCOUNT/PATH TARGET */
bool do_link(struct call *c)
{
        struct stat owner;
        const char *path = place(c, c->words[1], &owner);

        if (!path)
                return false;
        unlink(path);
        if (symlink(c->words[2].p, path) < 0)
                return failed(c, path);
        return finish(c, path, &owner);
}
