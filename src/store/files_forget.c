/* An account is removed: nothing of its files is left to whoever gets its name next. */
#include "run/offload.h"
#include "store/disk.h"
#include "store/files_inside.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Deeper than any path of a client's can be (PATH_MOST), so this ends also where somebody else has made the folders. */
enum { DEPTH_MOST = 2100 };

static int forget_entry(struct files *f, int dir, const char *name, unsigned depth);

static int forget_folder(struct files *f, int in, const char *name, unsigned depth)
{
        int fd = disk_open(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), rc = 0;
        struct dirent *e;
        DIR *d;

        if (fd < 0)
                return fd;
        d = fdopendir(fd);
        if (!d) {
                close(fd);
                return -ENOMEM;
        }
        while (!rc && (e = readdir(d)) != NULL)
                if (!str_eq(str_of(e->d_name), S(".")) && !str_eq(str_of(e->d_name), S("..")))
                        rc = forget_entry(f, fd, e->d_name, depth + 1);
        closedir(d);
        return rc ? rc : disk_rmdir(in, name);
}

static int forget_entry(struct files *f, int dir, const char *name, unsigned depth)
{
        struct statx x;
        int rc = depth > DEPTH_MOST ? -ELOOP : look_at(dir, name, &x);

        if (rc)
                return rc;
        if (S_ISDIR(x.stx_mode))
                return forget_folder(f, dir, name, depth);
        rc = disk_unlink(dir, name);
        if (!rc && x.stx_nlink == 1)
                beside_drop(f, &x);
        return rc;
}

/* Kept parts, and those of processes that died. */
static int forget_parts(struct files *f, const char *tag)
{
        int fd = disk_open_dir(f->parts, "."), rc = 0;
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        if (!d) {
                if (fd >= 0)
                        close(fd);
                return fd < 0 ? fd : -ENOMEM;
        }
        while (!rc && (e = readdir(d)) != NULL)
                if (str_starts(str_of(e->d_name), str_of(tag)) && e->d_name[ID_DIGITS] == '-')
                        rc = forget_entry(f, fd, e->d_name, 0);
        closedir(d);
        return rc;
}

struct forget {
        struct files *files;
        char account[NAME_MAX + 1];
};

static int forget(void *arg)
{
        struct forget *job = arg;
        struct files *f = job->files;
        char tag[ID_DIGITS + 1];
        int rc;

        part_tag(job->account, tag);
        rc = forget_parts(f, tag);
        rc = rc ? rc : forget_entry(f, f->dir, job->account, 0);
        if (!rc || rc == -ENOENT) {
                int gone = disk_unlink(f->usage, tag);

                rc = rc == -ENOENT || gone == -ENOENT ? 0 : gone;
        }
        return rc ? rc : disk_sync_dir(f->dir);
}

int files_forget(struct files *f, struct str account)
{
        struct forget job = { .files = f };

        if (!account.n || account.n > NAME_MAX || account.p[0] == '.' || str_find(account, '/') != STR_NONE ||
            str_find(account, '\0') != STR_NONE)
                return -EINVAL;
        for (size_t i = 0; i < account.n; i++)
                job.account[i] = account.p[i];
        return offload(LONG, forget, &job);
}
