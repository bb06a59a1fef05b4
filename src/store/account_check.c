/* pail check: every fact that is written down twice is compared, in one read transaction. */
#include "base/mem.h"
#include "store/account_inside.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINES_MAX = 200 };

struct place {
        uint32_t mailbox, uid;
        bool seen; /* in a page */
};
struct known {
        uint32_t letter, thread;
        uint64_t body, size;
        size_t places, places_n;
};
struct known_body {
        uint64_t body, uses, size, found;
        bool file, seen;
};
struct check {
        struct account *a;
        struct buf *out;
        unsigned wrong;
        struct known *letters;
        size_t n, room;
        struct place *places;
        size_t places_n, places_room;
        struct known_body *bodies;
        size_t bodies_n, bodies_room;
        struct counter all;
};

static void __attribute__((format(printf, 2, 3))) complain(struct check *c, const char *format, ...)
{
        va_list args;

        if (c->wrong++ >= LINES_MAX)
                return;
        buf_printf(c->out, "%s: ", c->a->name);
        va_start(args, format);
        buf_vprintf(c->out, format, args);
        va_end(args);
        buf_puts(c->out, S("\n"));
}

static void *more(void *list, size_t n, size_t *room, size_t size)
{
        if (n < *room)
                return list;
        *room = *room ? *room * 2 : 256;
        return mem_grow(list, *room, size);
}

static int check_integrity(struct check *c, struct db *d)
{
        struct db_row q = db_query(d, INTEGRITY);

        while (db_next(&q))
                if (!str_eq(db_text(&q, 0), S("ok")))
                        complain(c, "the database file is damaged: " PRS, STR(db_text(&q, 0)));
        return db_end(&q);
}

static void add_places(struct check *c, struct known *k, struct str packed)
{
        struct unpack u = unpack_of(packed);

        k->places = c->places_n;
        while (!u.bad && !unpack_done(&u)) {
                c->places = more(c->places, c->places_n, &c->places_room, sizeof *c->places);
                c->places[c->places_n] = (struct place){ .mailbox = unpack_u32(&u) };
                c->places[c->places_n++].uid = unpack_u32(&u);
        }
        k->places_n = c->places_n - k->places;
        if (u.bad || !k->places_n)
                complain(c, "letter %u lies in no mailbox", k->letter);
}

static int load_letters(struct check *c, struct db *d)
{
        struct db_row q = db_query(d, LETTER_ALL);
        struct mime m;
        uint64_t octets = 0;
        int rc;

        mime_init(&m);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, 0);
        while (db_next(&q)) {
                struct known *k;

                c->letters = more(c->letters, c->n, &c->room, sizeof *c->letters);
                k = &c->letters[c->n++];
                *k = (struct known){
                        (uint32_t)db_u64(&q, 0), (uint32_t)db_u64(&q, 2), db_u64(&q, 1), db_u64(&q, 3), 0, 0
                };
                add_places(c, k, db_blob(&q, 4));
                if (!mime_unpack(&m, db_blob(&q, 5)) || m.size != k->size)
                        complain(c, "the structure of letter %u cannot be read", k->letter);
                octets += k->size;
                if (k->letter >= c->all.uidnext)
                        complain(c, "letter %u has a number not yet given out", k->letter);
        }
        rc = db_end(&q);
        mime_finish(&m);
        if (!rc && c->n != c->all.count)
                complain(c, "there are %zu letters, counted are %llu", c->n,
                         (unsigned long long)c->all.count);
        if (!rc && octets != c->all.octets)
                complain(c, "the letters have %llu octets, counted are %llu", (unsigned long long)octets,
                         (unsigned long long)c->all.octets);
        return rc;
}

static struct known *find_letter(struct check *c, uint32_t letter)
{
        size_t low = 0, high = c->n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (c->letters[middle].letter == letter)
                        return &c->letters[middle];
                if (c->letters[middle].letter < letter)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static void check_placed(struct check *c, struct str name, uint32_t mailbox, const struct placed *p)
{
        struct known *k = find_letter(c, p->letter);

        if (p->modseq > c->all.modseq)
                complain(c, PRS ": uid %u has a modseq not yet given out", STR(name), p->uid);
        if (!k) {
                complain(c, PRS ": uid %u is letter %u, which is not there", STR(name), p->uid, p->letter);
                return;
        }
        if (k->size != p->size)
                complain(c, PRS ": uid %u says %u octets, its letter %llu", STR(name), p->uid, p->size,
                         (unsigned long long)k->size);
        for (size_t i = 0; i < k->places_n; i++)
                if (c->places[k->places + i].mailbox == mailbox && c->places[k->places + i].uid == p->uid) {
                        c->places[k->places + i].seen = true;
                        return;
                }
        complain(c, PRS ": letter %u does not know that it lies here as uid %u", STR(name), p->letter,
                 p->uid);
}

static void check_page(struct check *c, struct str name, struct counter *sum, uint32_t *last,
                       const struct page *p)
{
        bool ended = false;

        for (unsigned i = 0; i < PAGE_PLACED; i++) {
                const struct placed *at = &p->at[i];

                if (!at->uid) {
                        ended = true;
                        continue;
                }
                if (ended || at->uid <= *last || place_of(sum->mailbox, at->uid) < p->place)
                        complain(c, PRS ": uid %u is out of order", STR(name), at->uid);
                *last = at->uid;
                if (!at->letter)
                        continue;
                check_placed(c, name, sum->mailbox, at);
                sum->count++;
                sum->octets += at->size;
                sum->unseen += !(at->flags & FLAG_SEEN);
                sum->deleted += !!(at->flags & FLAG_DELETED);
        }
}

static int check_pages(struct check *c, struct db *d, struct str name, struct counter *sum, uint32_t *last)
{
        struct db_row q = db_query(d, PAGE_RANGE);
        struct page *p = mem_new(struct page);
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, place_of(sum->mailbox, 0));
        db_bind_u64(&q, 3, place_of(sum->mailbox, UINT32_MAX));
        while (db_next(&q))
                if (page_from(p, db_u64(&q, 0), db_blob(&q, 1)))
                        check_page(c, name, sum, last, p);
                else
                        complain(c, PRS ": a page has the wrong size", STR(name));
        rc = db_end(&q);
        mem_free(p);
        return rc;
}

static int check_mailbox(struct check *c, struct db *d, struct str name, uint32_t mailbox)
{
        struct counter sum = { .mailbox = mailbox }, want;
        uint32_t last = 0;
        int rc = counter_read(d, mailbox, &want);

        if (rc == -ENOENT) {
                complain(c, PRS ": has no counter", STR(name));
                return 0;
        }
        if (!rc)
                rc = check_pages(c, d, name, &sum, &last);
        if (rc)
                return rc;
        if (sum.count != want.count || sum.octets != want.octets)
                complain(c, PRS ": holds %llu letters of %llu octets, counted are %llu of %llu", STR(name),
                         (unsigned long long)sum.count, (unsigned long long)sum.octets,
                         (unsigned long long)want.count, (unsigned long long)want.octets);
        if (sum.unseen != want.unseen || sum.deleted != want.deleted)
                complain(c, PRS ": holds %llu unseen, %llu deleted; counted are %llu, %llu", STR(name),
                         (unsigned long long)sum.unseen, (unsigned long long)sum.deleted,
                         (unsigned long long)want.unseen, (unsigned long long)want.deleted);
        if (last >= want.uidnext)
                complain(c, PRS ": uid %u was not yet given out", STR(name), last);
        if (want.modseq > c->all.modseq)
                complain(c, PRS ": its modseq was not yet given out", STR(name));
        return 0;
}

static int check_mailboxes(struct check *c, struct db *d)
{
        struct db_row q = db_query(d, MAILBOX_ALL);
        int rc = 0;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q) && !rc)
                rc = check_mailbox(c, d, db_text(&q, 1), (uint32_t)db_u64(&q, 0));
        if (db_end(&q))
                rc = db_end(&q);
        for (size_t i = 0; i < c->n && !rc; i++)
                for (size_t j = 0; j < c->letters[i].places_n; j++) {
                        const struct place *p = &c->places[c->letters[i].places + j];

                        if (!p->seen)
                                complain(c, "letter %u believes to lie in mailbox %u as uid %u, and does not",
                                         c->letters[i].letter, p->mailbox, p->uid);
                }
        return rc;
}

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
                c->bodies = more(c->bodies, c->bodies_n, &c->bodies_room, sizeof *c->bodies);
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
                complain(c, "the folder bodies cannot be opened: %s", strerror(-dir));
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
                        complain(c, "bodies/%s belongs to no letter", e->d_name);
                        continue;
                }
                b->seen = true;
                rc = body_size(dirfd(list), e->d_name, &b->size);
                if (rc)
                        complain(c, "bodies/%s is damaged: %s", e->d_name, strerror(-rc));
        }
        closedir(list);
        return 0;
}

static int check_bodies(struct check *c, struct db *d)
{
        int rc = load_bodies(c, d);

        if (!rc)
                rc = check_files(c);
        for (size_t i = 0; i < c->n && !rc; i++) {
                struct known_body *b = find_body(c, c->letters[i].body);

                if (!b) {
                        complain(c, "letter %u has no body", c->letters[i].letter);
                        continue;
                }
                b->found++;
                if (b->size != c->letters[i].size && (!b->file || b->seen))
                        complain(c, "letter %u has %llu octets, its body %llu", c->letters[i].letter,
                                 (unsigned long long)c->letters[i].size, (unsigned long long)b->size);
        }
        for (size_t i = 0; i < c->bodies_n && !rc; i++) {
                const struct known_body *b = &c->bodies[i];

                if (b->file && !b->seen)
                        complain(c, "body %llu should lie in a file, which is not there",
                                 (unsigned long long)b->body);
                if (b->found != b->uses)
                        complain(c, "body %llu is used by %llu letters, counted are %llu",
                                 (unsigned long long)b->body, (unsigned long long)b->found,
                                 (unsigned long long)b->uses);
        }
        return rc;
}

static int check_threads(struct check *c, struct db *d)
{
        struct db_row q = db_query(d, THREAD_ALL);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q)) {
                uint32_t thread = (uint32_t)db_u64(&q, 0);
                struct unpack u = unpack_of(db_blob(&q, 1));

                while (!u.bad && !unpack_done(&u)) {
                        uint32_t letter = unpack_u32(&u);
                        struct known *k = find_letter(c, letter);

                        if (!k || k->thread != thread)
                                complain(c, "thread %u names letter %u, which is not in it", thread, letter);
                }
        }
        return db_end(&q);
}

static int check_all(struct db *d, void *arg)
{
        struct check *c = arg;
        int rc = check_integrity(c, d);

        if (!rc)
                rc = counter_read(d, 0, &c->all);
        if (!rc)
                rc = load_letters(c, d);
        if (!rc)
                rc = check_mailboxes(c, d);
        if (!rc)
                rc = check_bodies(c, d);
        return rc ? rc : check_threads(c, d);
}

int account_check(struct account *a, struct buf *out, unsigned *wrong)
{
        struct check c = { .a = a, .out = out };
        int rc = db_transact(a->db, "check account", check_all, &c, DB_READ);

        if (rc == -EBADMSG) { /* the check itself ran into what is wrong */
                complain(&c, "the database file is damaged and cannot be read to its end");
                rc = 0;
        }
        *wrong += c.wrong;
        mem_free(c.letters);
        mem_free(c.places);
        mem_free(c.bodies);
        return rc;
}
