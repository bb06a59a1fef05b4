/* pail check: every fact that is written down twice is compared, in one read transaction. */
#include "base/mem.h"
#include "store/account_check_inside.h"
#include <errno.h>

enum { LINES_MAX = 200 };

void check_complain(struct check *c, const char *format, ...)
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

void *check_more(void *list, size_t n, size_t *room, size_t size)
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
                        check_complain(c, "the database file is damaged: " PRS, STR(db_text(&q, 0)));
        return db_end(&q);
}

static int load_letters(struct check *c, struct db *d)
{
        struct db_row q = db_query(d, LETTER_ALL);
        struct mime m;
        uint64_t octets = 0, counted = 0;
        int rc;

        mime_init(&m);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, 0);
        while (db_next(&q)) {
                struct known *k;

                c->letters = check_more(c->letters, c->n, &c->room, sizeof *c->letters);
                k = &c->letters[c->n++];
                *k = (struct known){ (uint32_t)db_u64(&q, 0), (uint32_t)db_u64(&q, 2), db_u64(&q, 1),
                                     db_u64(&q, 3) };
                check_places(c, k, db_blob(&q, 4));
                if (!mime_unpack(&m, db_blob(&q, 5)) || m.size != k->size)
                        check_complain(c, "the structure of letter %u cannot be read", k->letter);
                octets += k->doomed ? 0 : k->size;
                counted += !k->doomed;
                if (k->letter >= c->all.uidnext)
                        check_complain(c, "letter %u has a number not yet given out", k->letter);
        }
        rc = db_end(&q);
        mime_finish(&m);
        if (!rc && counted != c->all.count)
                check_complain(c, "there are %llu letters, counted are %llu", (unsigned long long)counted,
                               (unsigned long long)c->all.count);
        if (!rc && octets != c->all.octets)
                check_complain(c, "the letters have %llu octets, counted are %llu",
                               (unsigned long long)octets, (unsigned long long)c->all.octets);
        return rc;
}

struct known *check_letter(struct check *c, uint32_t letter)
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
        struct known *k = check_letter(c, p->letter);

        if (p->modseq > c->all.modseq)
                check_complain(c, PRS ": uid %u has a modseq not yet given out", STR(name), p->uid);
        if (!k) {
                check_complain(c, PRS ": uid %u is letter %u, which is not there", STR(name), p->uid,
                               p->letter);
                return;
        }
        if (k->size != p->size)
                check_complain(c, PRS ": uid %u says %u octets, its letter %llu", STR(name), p->uid, p->size,
                               (unsigned long long)k->size);
        for (size_t i = 0; i < k->places_n; i++)
                if (c->places[k->places + i].at.mailbox == mailbox &&
                    c->places[k->places + i].at.uid == p->uid) {
                        c->places[k->places + i].seen = true;
                        return;
                }
        check_complain(c, PRS ": letter %u does not know that it lies here as uid %u", STR(name), p->letter,
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
                        check_complain(c, PRS ": uid %u is out of order", STR(name), at->uid);
                *last = at->uid;
                if (!at->letter)
                        continue;
                check_placed(c, name, sum->mailbox, at);
                counter_took(sum, at);
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
                        check_complain(c, PRS ": a page has the wrong size", STR(name));
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
                check_complain(c, PRS ": has no counter", STR(name));
                return 0;
        }
        if (!rc)
                rc = check_pages(c, d, name, &sum, &last);
        if (rc)
                return rc;
        if (sum.count != want.count || sum.octets != want.octets)
                check_complain(c, PRS ": holds %llu letters of %llu octets, counted are %llu of %llu",
                               STR(name), (unsigned long long)sum.count, (unsigned long long)sum.octets,
                               (unsigned long long)want.count, (unsigned long long)want.octets);
        if (sum.deleted_octets != want.deleted_octets)
                check_complain(c, PRS ": the deleted have %llu octets, counted are %llu", STR(name),
                               (unsigned long long)sum.deleted_octets,
                               (unsigned long long)want.deleted_octets);
        if (sum.unseen != want.unseen || sum.deleted != want.deleted)
                check_complain(c, PRS ": holds %llu unseen, %llu deleted; counted are %llu, %llu", STR(name),
                               (unsigned long long)sum.unseen, (unsigned long long)sum.deleted,
                               (unsigned long long)want.unseen, (unsigned long long)want.deleted);
        if (last >= want.uidnext)
                check_complain(c, PRS ": uid %u was not yet given out", STR(name), last);
        if (want.modseq > c->all.modseq)
                check_complain(c, PRS ": its modseq was not yet given out", STR(name));
        return check_seen(c, d, name, mailbox);
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
                        const struct known_place *p = &c->places[c->letters[i].places + j];

                        if (!p->seen)
                                check_complain(
                                    c, "letter %u believes to lie in mailbox %u as uid %u, and does not",
                                    c->letters[i].letter, p->at.mailbox, p->at.uid);
                }
        return rc;
}

static int check_all(struct db *d, void *arg)
{
        struct check *c = arg;
        int rc = check_integrity(c, d);

        if (!rc)
                rc = counter_read(d, 0, &c->all);
        if (!rc)
                rc = check_load_places(c, d);
        if (!rc)
                rc = load_letters(c, d);
        if (!rc)
                rc = check_mailboxes(c, d);
        if (!rc)
                rc = check_names(c, d);
        if (!rc)
                rc = check_bodies(c, d);
        return rc ? rc : check_threads(c, d);
}

int account_check(struct account *a, struct buf *out, unsigned *wrong)
{
        struct check c = { .a = a, .out = out };
        int rc = db_transact(a->db, "check account", check_all, &c, DB_READ);

        if (rc == -EBADMSG) { /* the check itself ran into what is wrong */
                check_complain(&c, "the database file is damaged and cannot be read to its end");
                rc = 0;
        }
        *wrong += c.wrong;
        mem_free(c.letters);
        mem_free(c.places);
        mem_free(c.bodies);
        mem_free(c.placing);
        mem_free(c.doomed);
        return rc;
}
