/* pail check: the tables beside the letters: placing, doomed, seen. */
#include "base/mem.h"
#include "store/account_check_inside.h"
#include "store/change_inside.h"
#include <errno.h>
#include <stdlib.h>

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static int load_doomed(struct check *c, struct db *d)
{
        uint64_t row = 0;
        bool more = true;
        int rc = 0;

        while (more && !rc) {
                struct db_row q = db_query(d, DOOMED_NEXT);
                struct unpack u;

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, row);
                more = db_next(&q);
                u = unpack_of(more ? db_blob(&q, 2) : S(""));
                row = db_u64(&q, 0);
                while (!u.bad && !unpack_done(&u)) {
                        c->doomed = check_more(c->doomed, c->doomed_n, &c->doomed_room, sizeof *c->doomed);
                        c->doomed[c->doomed_n++] = unpack_u32(&u);
                }
                if (u.bad)
                        check_complain(c, "the list of removed letters cannot be read");
                rc = db_end(&q);
        }
        if (c->doomed_n)
                qsort(c->doomed, c->doomed_n, sizeof *c->doomed, by_number);
        return rc;
}

static void load_row(struct check *c, uint32_t first, struct str data)
{
        struct unpack u = unpack_of(data);
        uint32_t last = c->placing_n ? c->placing[c->placing_n - 1].letter : 0;
        size_t before = c->placing_n;

        if (last >= first)
                check_complain(c, "where letters lie: row %u begins before another one ends", first);
        while (!u.bad && !unpack_done(&u)) {
                struct placing p = { unpack_u32(&u), { unpack_u32(&u), unpack_u32(&u) } };

                if (u.bad || p.letter < last || (c->placing_n == before && p.letter != first)) {
                        check_complain(c, "where letters lie: row %u is damaged", first);
                        return;
                }
                last = p.letter;
                c->placing = check_more(c->placing, c->placing_n, &c->placing_room, sizeof *c->placing);
                c->placing[c->placing_n++] = p;
        }
}

int check_load_places(struct check *c, struct db *d)
{
        uint64_t first = 0;
        bool more = true;
        int rc = load_doomed(c, d);

        while (more && !rc) {
                struct db_row q = db_query(d, PLACING_NEXT);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, first);
                more = db_next(&q);
                if (more) {
                        first = db_u64(&q, 0);
                        load_row(c, (uint32_t)first, db_blob(&q, 1));
                }
                rc = db_end(&q);
        }
        return rc;
}

static void add(struct check *c, struct known *k, struct place p)
{
        c->places = check_more(c->places, c->places_n, &c->places_room, sizeof *c->places);
        c->places[c->places_n++] = (struct known_place){ p, false };
        k->places_n++;
}

static size_t first_of(const struct check *c, uint32_t letter)
{
        size_t low = 0, high = c->placing_n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (c->placing[middle].letter < letter)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

void check_places(struct check *c, struct known *k, struct str home)
{
        struct unpack u = unpack_of(home);

        k->places = c->places_n;
        k->places_n = 0;
        k->doomed = c->doomed_n && bsearch(&k->letter, c->doomed, c->doomed_n, sizeof *c->doomed, by_number);
        for (size_t i = first_of(c, k->letter); i < c->placing_n && c->placing[i].letter == k->letter; i++)
                add(c, k, c->placing[i].at);
        if (k->doomed) {
                if (k->places_n)
                        check_complain(c, "letter %u is to be removed, and lies in a mailbox", k->letter);
                return;
        }
        while (!k->places_n && !u.bad && !unpack_done(&u)) {
                struct place p = { unpack_u32(&u), unpack_u32(&u) };

                if (!u.bad)
                        add(c, k, p);
        }
        if (u.bad || !k->places_n)
                check_complain(c, "letter %u lies in no mailbox", k->letter);
}

/* The uids of a mailbox, ascending. */
static uint32_t *uids_of(const struct check *c, uint32_t mailbox, size_t *n)
{
        uint32_t *uids = mem_array(c->places_n + 1, sizeof *uids);

        *n = 0;
        for (size_t i = 0; i < c->places_n; i++)
                if (c->places[i].at.mailbox == mailbox)
                        uids[(*n)++] = c->places[i].at.uid;
        if (*n)
                qsort(uids, *n, sizeof *uids, by_number);
        return uids;
}

/* Every bit of a reader is a letter's that lies there: they are counted. */
int check_seen(struct check *c, struct db *d, struct str name, uint32_t mailbox)
{
        struct db_row q = db_query(d, SEEN_READERS);
        size_t n;
        uint32_t *uids = uids_of(c, mailbox, &n);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        while (db_next(&q)) {
                struct str bits = db_blob(&q, 2);

                if (bits.n != SEEN_PIECE / 8)
                        check_complain(c, PRS ": what reader %llu has seen cannot be read", STR(name),
                                       (unsigned long long)db_u64(&q, 0));
                for (size_t i = 0; i < bits.n * 8; i++) {
                        uint32_t uid = (uint32_t)(db_u64(&q, 1) * SEEN_PIECE + i);

                        if ((unsigned char)bits.p[i / 8] >> i % 8 & 1 &&
                            !bsearch(&uid, uids, n, sizeof *uids, by_number))
                                check_complain(c, PRS ": reader %llu has seen uid %u, which is not there",
                                               STR(name), (unsigned long long)db_u64(&q, 0), uid);
                }
        }
        mem_free(uids);
        return db_end(&q);
}
