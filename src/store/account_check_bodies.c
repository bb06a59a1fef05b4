/* pail check: bodies, their files, threads. */
#include "base/mem.h"
#include "store/account_check_inside.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct known_body *find_body(struct check *c, uint64_t body)
{
        size_t low = 0, high = c->bodies_n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (c->bodies[middle].body == body)
                        return &c->bodies[middle];
                if (c->bodies[middle].body < body)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static int load_bodies(struct check *c, struct db *d)
{
        struct db_row q = db_query(d, BODY_ALL);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q)) {
                c->bodies = check_more(c->bodies, c->bodies_n, &c->bodies_room, sizeof *c->bodies);
                c->bodies[c->bodies_n++] = (struct known_body){ .body = db_u64(&q, 0),
                                                                .uses = db_u64(&q, 1),
                                                                .size = db_u64(&q, 2),
                                                                .file = db_null(&q, 2) };
        }
        return db_end(&q);
}

/* "000000000000002a" -> 42; 0: no such name */
static uint64_t number_of(const char *name)
{
        char back[24], *stop;
        uint64_t id = strtoull(name, &stop, 16);

        body_name(id, back);
        return str_eq(str_of(name), str_of(back)) ? id : 0;
}

static int check_files(struct check *c)
{
        int dir = account_bodies(c->a), rc;
        DIR *list;
        struct dirent *e;

        if (dir < 0) {
                check_complain(c, "the folder bodies cannot be opened: %s", strerror(-dir));
                return 0;
        }
        dir = dup(dir);
        list = dir < 0 ? NULL : fdopendir(dir);
        if (!list)
                return -errno;
        rewinddir(list);
        while ((e = readdir(list))) {
                struct known_body *b = find_body(c, number_of(e->d_name));

                if (str_eq(str_of(e->d_name), S(".")) || str_eq(str_of(e->d_name), S("..")))
                        continue;
                if (!b || !b->file) {
                        check_complain(c, "bodies/%s belongs to no letter", e->d_name);
                        continue;
                }
                b->seen = true;
                rc = body_size(dirfd(list), e->d_name, &b->size);
                if (rc)
                        check_complain(c, "bodies/%s is damaged: %s", e->d_name, strerror(-rc));
        }
        closedir(list);
        return 0;
}

int check_bodies(struct check *c, struct db *d)
{
        int rc = load_bodies(c, d);

        if (!rc)
                rc = check_files(c);
        for (size_t i = 0; i < c->n && !rc; i++) {
                struct known_body *b = find_body(c, c->letters[i].body);

                if (!b) {
                        check_complain(c, "letter %u has no body", c->letters[i].letter);
                        continue;
                }
                b->found++;
                b->doomed |= c->letters[i].doomed;
                if (b->size != c->letters[i].size && (!b->file || b->seen))
                        check_complain(c, "letter %u has %llu octets, its body %llu", c->letters[i].letter,
                                       (unsigned long long)c->letters[i].size, (unsigned long long)b->size);
        }
        for (size_t i = 0; i < c->bodies_n && !rc; i++) {
                const struct known_body *b = &c->bodies[i];

                if (b->file && !b->seen && !b->doomed)
                        check_complain(c, "body %llu should lie in a file, which is not there",
                                       (unsigned long long)b->body);
                if (b->found != b->uses)
                        check_complain(c, "body %llu is used by %llu letters, counted are %llu",
                                       (unsigned long long)b->body, (unsigned long long)b->found,
                                       (unsigned long long)b->uses);
        }
        return rc;
}

int check_threads(struct check *c, struct db *d)
{
        struct db_row q = db_query(d, THREAD_ALL);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q)) {
                uint32_t thread = (uint32_t)db_u64(&q, 0);
                struct unpack u = unpack_of(db_blob(&q, 1));

                while (!u.bad && !unpack_done(&u)) {
                        uint32_t letter = unpack_u32(&u);
                        struct known *k = check_letter(c, letter);

                        if (!k || k->thread != thread)
                                check_complain(c, "thread %u names letter %u, which is not in it", thread,
                                               letter);
                }
        }
        return db_end(&q);
}
