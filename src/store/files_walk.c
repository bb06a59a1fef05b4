/* How much an account's files take. A list of the folders yet to be read, and one of them open at a time: no depth is too deep. */
#include "base/mem.h"
#include "store/files_inside.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct todo {
        struct todo *next;
        char *rel;
};

static void todo_add(struct todo **list, const char *above, const char *name)
{
        struct buf b auto_buf;
        struct todo *t;

        buf_init(&b, (size_t)2 * PATH_MOST);
        if (!str_eq(str_of(above), S(".")))
                buf_printf(&b, "%s/", above);
        if (!buf_puts(&b, str_of(name)) || b.n > PATH_MOST)
                return; /* no client can name it either */
        t = mem_new(struct todo);
        t->rel = mem_string(buf_str(&b));
        t->next = *list;
        *list = t;
}

static int add_up(struct files *f, int fd, const char *rel, struct todo **list, uint64_t *octets)
{
        DIR *d = fdopendir(fd);
        struct dirent *e;

        if (!d) {
                close(fd);
                return -ENOMEM;
        }
        while ((e = readdir(d))) {
                struct statx x;

                if (str_eq(str_of(e->d_name), S(".")) || str_eq(str_of(e->d_name), S("..")))
                        continue;
                if (e->d_type == DT_DIR) {
                        todo_add(list, rel, e->d_name);
                        continue;
                }
                if (look_at(fd, e->d_name, &x))
                        continue; /* gone meanwhile */
                *octets += octets_of(f, &x);
                if (S_ISDIR(x.stx_mode))
                        todo_add(list, rel, e->d_name);
        }
        closedir(d);
        return 0;
}

int files_walk(struct root *r, uint64_t *octets)
{
        struct todo *list = NULL, *t;
        int rc = 0;

        *octets = 0;
        todo_add(&list, ".", ".");
        while ((t = list)) {
                int fd = rc ? -1 : jail_open(r->fd, t->rel, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, false);

                list = t->next;
                if (fd >= 0)
                        rc = add_up(r->files, fd, t->rel, &list, octets);
                else if (!rc && fd != -ENOENT && fd != -ENOTDIR && fd != -EACCES)
                        rc = fd;
                mem_free(t->rel);
                mem_free(t);
        }
        return rc;
}
