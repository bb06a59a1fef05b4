/* An account is removed: nothing of its files is left to whoever gets its name next. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/disk.h"
#include "store/files_inside.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static DIR *list_of(int dir, const char *name)
{
        int fd = disk_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d && fd >= 0)
                close(fd);
        return d;
}

static struct dirent *next_entry(DIR *d)
{
        struct dirent *e = readdir(d);

        while (e && (str_eq(str_of(e->d_name), S(".")) || str_eq(str_of(e->d_name), S(".."))))
                e = readdir(d);
        return e;
}

static int forget_file(struct files *f, int dir, const char *name, const struct statx *x)
{
        int rc = disk_unlink(dir, name);

        if (!rc && x->stx_nlink == 1)
                beside_drop(f, x);
        return rc;
}

/* Moved up beside the folder it lies in: so no depth needs more than these few descriptors. */
static int lift(int dir, const char *name, int top, unsigned *number)
{
        char lifted[32];
        int rc = -EEXIST;

        while (rc == -EEXIST) {
                snprintf(lifted, sizeof lifted, "%u", (*number)++);
                rc = disk_rename_new(dir, name, top, lifted);
        }
        return rc;
}

static int forget_folder(struct files *f, int top, const char *name, unsigned *number)
{
        DIR *d = list_of(top, name);
        struct dirent *e;
        struct statx x;
        int rc = d ? 0 : -errno;

        while (!rc && (e = next_entry(d))) {
                rc = look_at(dirfd(d), e->d_name, &x);
                if (!rc && S_ISDIR(x.stx_mode))
                        rc = lift(dirfd(d), e->d_name, top, number);
                else if (!rc)
                        rc = forget_file(f, dirfd(d), e->d_name, &x);
        }
        if (d)
                closedir(d);
        return rc ? rc : disk_rmdir(top, name);
}

/* One pass; what is lifted while it runs may be left to the next. */
static int forget_pass(struct files *f, DIR *top, bool *found)
{
        unsigned number = 0;
        struct dirent *e;
        struct statx x;
        int rc = 0;

        *found = false;
        while (!rc && (e = next_entry(top))) {
                *found = true;
                rc = look_at(dirfd(top), e->d_name, &x);
                if (!rc && S_ISDIR(x.stx_mode))
                        rc = forget_folder(f, dirfd(top), e->d_name, &number);
                else if (!rc)
                        rc = forget_file(f, dirfd(top), e->d_name, &x);
        }
        return rc;
}

static int forget_tree(struct files *f, const char *account)
{
        bool found = true;
        int rc = 0;

        while (!rc && found) {
                DIR *top = list_of(f->dir, account);

                if (!top)
                        return -errno;
                rc = forget_pass(f, top, &found);
                closedir(top);
        }
        return rc ? rc : disk_rmdir(f->dir, account);
}

/* Kept parts, and those of processes that died. */
static int forget_parts(struct files *f, const char *tag)
{
        DIR *d = list_of(f->parts, ".");
        struct dirent *e;
        struct statx x;
        int rc = d ? 0 : -errno;

        while (!rc && (e = next_entry(d))) {
                if (!str_starts(str_of(e->d_name), str_of(tag)) || e->d_name[ID_DIGITS] != '-')
                        continue;
                rc = look_at(f->parts, e->d_name, &x);
                if (!rc)
                        rc = forget_file(f, f->parts, e->d_name, &x);
        }
        if (d)
                closedir(d);
        return rc;
}

struct forget {
        struct files *files;
        char account[NAME_MOST + 1];
};

static int forget(void *arg)
{
        struct forget *job = arg;
        struct files *f = job->files;
        char tag[ID_DIGITS + 1];
        int rc;

        part_tag(job->account, tag);
        rc = forget_parts(f, tag);
        rc = rc ? rc : forget_tree(f, job->account);
        if (!rc || rc == -ENOENT) {
                int gone = disk_unlink(f->usage, tag);

                rc = rc == -ENOENT || gone == -ENOENT ? 0 : gone;
        }
        return rc ? rc : disk_sync_dir(f->dir);
}

int files_forget(struct files *f, struct str account)
{
        struct forget job = { .files = f };

        if (!account.n || account.n > NAME_MOST || account.p[0] == '.' ||
            str_find(account, '/') != STR_NONE || str_find(account, '\0') != STR_NONE)
                return -EINVAL;
        mem_copy(job.account, NAME_MOST, account);
        return offload(LONG, forget, &job);
}
