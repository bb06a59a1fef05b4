#include "cli/home.h"
#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_MOST = 4096 };

bool home_path(struct buf *out, enum home kind, const char *below)
{
        const char *own = getenv(kind == HOME_CONFIG ? "XDG_CONFIG_HOME" : "XDG_DATA_HOME"),
                   *home = getenv("HOME");

        buf_init(out, PATH_MOST);
        if (own && own[0] == '/') /* the XDG specification: relative ones do not count */
                buf_printf(out, "%s/pail", own);
        else if (home && *home)
                buf_printf(out, "%s/%s/pail", home, kind == HOME_CONFIG ? ".config" : ".local/share");
        else
                return false;
        if (below)
                buf_printf(out, "/%s", below);
        return buf_u8(out, 0);
}

bool home_expand(struct buf *out, struct str typed)
{
        const char *home = getenv("HOME");

        buf_init(out, PATH_MOST);
        if (home && *home && (str_eq(typed, S("~")) || str_starts(typed, S("~/")))) {
                buf_puts(out, str_of(home));
                typed = str_from_at(typed, 1);
        }
        buf_puts(out, typed);
        return buf_u8(out, 0);
}

/* Each folder above, too. One that may not be made may be there: that is seen when it is opened. */
static int make_all(char *path)
{
        int refused = 0;

        for (size_t i = 1; path[i - 1]; i++) {
                char c = path[i];
                int rc;

                if (c != '/' && c != 0)
                        continue;
                path[i] = 0;
                rc = mkdir(path, 0700);
                path[i] = c;
                if (rc < 0 && (errno == EROFS || errno == EACCES))
                        refused = -errno;
                else if (rc < 0 && errno != EEXIST && errno != EISDIR)
                        return refused ? refused : -errno;
                if (!c)
                        break;
        }
        return refused;
}

int home_open(enum home kind, const char *below, bool make)
{
        struct buf auto_buf path = { 0 };
        int refused = 0, rc = home_path(&path, kind, below) ? 0 : -ENOENT;

        if (rc == 0 && make)
                refused = make_all(path.p);
        if (rc == 0)
                rc = disk_open_dir(AT_FDCWD, path.p);
        return rc == -ENOENT && refused ? refused : rc;
}

int home_read(int folder, const char *name, struct buf *text)
{
        int fd = disk_open(folder, name, O_RDONLY);
        ssize_t n = 0;

        if (fd < 0)
                return fd;
        do {
                char *room = buf_room(text, 64 * 1024);

                n = room ? read(fd, room, 64 * 1024) : -1;
                if (n < 0)
                        n = room ? -errno : -EFBIG;
                else
                        buf_added(text, (size_t)n);
        } while (n > 0);
        close(fd);
        return (int)n;
}

int home_write(int folder, const char *name, struct str text)
{
        char draft[256];
        int fd, rc;

        snprintf(draft, sizeof draft, ".%.200s.%d", name, (int)getpid());
        (void)disk_unlink(folder, draft); /* of one that died with our number */
        fd = disk_create(folder, draft, 0);
        if (fd < 0)
                return fd;
        rc = disk_pwritev(fd, &(struct iovec){ (void *)(uintptr_t)text.p, text.n }, 1, 0);
        rc = rc < 0 ? rc : disk_datasync(fd);
        close(fd);
        rc = rc < 0 ? rc : disk_rename(folder, draft, folder, name);
        if (rc < 0)
                (void)disk_unlink(folder, draft);
        return rc < 0 ? rc : disk_sync_dir(folder);
}
