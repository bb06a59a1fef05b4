#include "base/mem.h"
#include "store/disk.h"
#include "store/search_part.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LOCK "lock"

int shelf_open(struct shelf *s, struct account *a, bool make)
{
        struct buf name auto_buf;
        int rc;

        *s = (struct shelf){ .dir = -1, .lock = -1 };
        buf_init(&name, 300);
        buf_printf(&name, PRS "/search", STR(account_name(a)));
        if (!buf_u8(&name, 0))
                return -ENAMETOOLONG;
        rc = disk_open_dir(a->set->dir, name.p);
        if (rc == -ENOENT && make) {
                rc = disk_mkdir(a->set->dir, name.p);
                if (!rc || rc == -EEXIST)
                        rc = disk_open_dir(a->set->dir, name.p);
        }
        s->dir = rc < 0 ? -1 : rc;
        return rc < 0 ? rc : 0;
}

void shelf_close(struct shelf *s)
{
        if (s->lock >= 0)
                close(s->lock);
        if (s->dir >= 0)
                close(s->dir);
        mem_free(s->parts);
        *s = (struct shelf){ .dir = -1, .lock = -1 };
}

int shelf_lock(struct shelf *s)
{
        struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        s->lock = disk_open(s->dir, LOCK, O_RDWR | O_NOFOLLOW);
        if (s->lock == -ENOENT)
                s->lock = disk_create(s->dir, LOCK, 0);
        if (s->lock == -EEXIST)
                s->lock = disk_open(s->dir, LOCK, O_RDWR | O_NOFOLLOW);
        if (s->lock < 0)
                return s->lock;
        if (fcntl(s->lock, F_OFD_SETLK, &whole) < 0)
                return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
        return 0;
}

void shelf_remove(struct shelf *s, const char *name)
{
        (void)disk_unlink(s->dir, name);
}

static int by_range(const void *x, const void *y)
{
        const struct shelf_part *a = x, *b = y;

        if (a->first != b->first)
                return a->first < b->first ? -1 : 1;
        return (a->last < b->last) - (a->last > b->last); /* the longer one first */
}

static int read_names(struct shelf *s)
{
        int fd = dup(s->dir);
        size_t room = 0;
        struct dirent *e;
        DIR *list = fd < 0 ? NULL : fdopendir(fd);

        if (!list) {
                if (fd >= 0)
                        close(fd);
                return -errno;
        }
        rewinddir(list);
        s->n = 0;
        while ((e = readdir(list))) {
                struct shelf_part p;

                if (!part_name(e->d_name, &p.first, &p.last))
                        continue;
                if (s->n == room) {
                        room = room ? room * 2 : 32;
                        s->parts = mem_grow(s->parts, room, sizeof *s->parts);
                }
                part_name_make(p.first, p.last, p.name);
                s->parts[s->n++] = p;
        }
        closedir(list);
        return 0;
}

int shelf_list(struct shelf *s, bool tidy)
{
        size_t kept = 0;
        uint32_t last = 0;
        int rc;

        mem_free(s->parts);
        s->parts = NULL;
        rc = read_names(s);
        if (s->n)
                qsort(s->parts, s->n, sizeof *s->parts, by_range);
        for (size_t i = 0; i < s->n; i++) {
                if (s->parts[i].first > last) {
                        last = s->parts[i].last;
                        s->parts[kept++] = s->parts[i];
                } else if (tidy) { /* what it was merged into got its name, and then somebody died */
                        shelf_remove(s, s->parts[i].name);
                }
        }
        s->n = kept;
        if (tidy)
                shelf_remove(s, PART_NEW);
        return rc;
}

void shelf_remove_all(struct shelf *s)
{
        (void)read_names(s);
        for (size_t i = 0; i < s->n; i++)
                shelf_remove(s, s->parts[i].name);
        s->n = 0;
}

void witness_add(struct witness *w, const struct part *p)
{
        if (w->n + PART_SAMPLES > w->room) {
                w->room = w->room ? w->room * 2 : 32;
                w->samples = mem_grow(w->samples, w->room, sizeof *w->samples);
        }
        for (unsigned i = 0; i < p->sample_n; i++)
                w->samples[w->n++] = p->samples[i];
        if (p->last > w->last)
                w->last = p->last;
}

static int compare(struct db *d, void *arg)
{
        struct witness *w = arg;
        struct counter all;
        int rc = counter_read(d, 0, &all);

        w->lies = !rc && w->last >= all.uidnext;
        for (size_t i = 0; i < w->n && !rc && !w->lies; i++) {
                struct db_row q = db_query(d, LETTER_STAMP);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, w->samples[i].letter);
                if (db_next(&q))
                        w->lies =
                            db_u64(&q, 0) != w->samples[i].size || db_u64(&q, 1) != w->samples[i].received;
                rc = db_end(&q);
        }
        return rc;
}

int witness_ask(struct witness *w, struct account *a)
{
        return w->last ? db_transact(a->db, "look at index", compare, w, DB_READ) : 0;
}

void witness_free(struct witness *w)
{
        mem_free(w->samples);
        *w = (struct witness){ 0 };
}
