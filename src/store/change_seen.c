/* \Seen of those who look at another's mailbox: a bit a uid, 4,096 in a row. */
#include "base/mem.h"
#include "store/change_inside.h"
#include <errno.h>

static int load(struct db *d, struct seen_piece *s, uint32_t uid)
{
        struct db_row q;
        int rc = 0;

        if (s->loaded && s->piece == uid / SEEN_PIECE)
                return 0;
        rc = seen_store(d, s);
        if (rc)
                return rc;
        *s = (struct seen_piece){ .mailbox = s->mailbox, .reader = s->reader, .piece = uid / SEEN_PIECE };
        q = db_query(d, SEEN_OF);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, s->mailbox);
        db_bind_u64(&q, 3, s->reader);
        db_bind_u64(&q, 4, s->piece);
        if (db_next(&q)) {
                if (db_blob(&q, 0).n == sizeof s->bits)
                        mem_copy((char *)s->bits, sizeof s->bits, db_blob(&q, 0));
                else
                        rc = -EBADMSG;
        }
        if (db_end(&q))
                rc = db_end(&q);
        s->loaded = !rc;
        return rc;
}

int seen_get(struct db *d, struct seen_piece *s, uint32_t uid, bool *seen)
{
        int rc = load(d, s, uid);

        *seen = !rc && s->bits[uid % SEEN_PIECE / 8] >> uid % 8 & 1;
        return rc;
}

int seen_set(struct db *d, struct seen_piece *s, uint32_t uid, bool seen)
{
        unsigned char bit = (unsigned char)(1u << uid % 8), *at;
        int rc = load(d, s, uid);

        if (rc)
                return rc;
        at = &s->bits[uid % SEEN_PIECE / 8];
        if (!(*at & bit) == !seen)
                return 0;
        *at ^= bit;
        s->changed = true;
        return 0;
}

int seen_store(struct db *d, struct seen_piece *s)
{
        struct db_row q;

        if (!s->changed)
                return 0;
        s->changed = false;
        q = db_query(d, SEEN_WRITE);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, s->mailbox);
        db_bind_u64(&q, 3, s->reader);
        db_bind_u64(&q, 4, s->piece);
        db_bind_blob(&q, 5, str_from(s->bits, sizeof s->bits));
        return db_exec(&q);
}

int seen_count(struct db *d, uint32_t mailbox, uint32_t reader, uint64_t *n)
{
        struct db_row q = db_query(d, SEEN_ALL);

        *n = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        db_bind_u64(&q, 3, reader);
        while (db_next(&q)) {
                struct str bits = db_blob(&q, 1);

                for (size_t i = 0; i < bits.n; i++)
                        *n += (unsigned)__builtin_popcount((unsigned char)bits.p[i]);
        }
        return db_end(&q);
}

static int forget_in(struct db *d, struct seen_piece *s, const struct placed *list, size_t n)
{
        int rc = 0;

        for (size_t i = 0; i < n && !rc; i++)
                if (list[i].uid / SEEN_PIECE == s->piece)
                        rc = seen_set(d, s, list[i].uid, false);
        return rc ? rc : seen_store(d, s);
}

enum { PIECES = 64 /* looked at in one go */ };

/* So that the bits of a reader count what is there. */
int seen_forget(struct db *d, uint32_t mailbox, const struct placed *list, size_t n)
{
        struct seen_piece s = { .mailbox = mailbox };
        uint64_t after_reader = 0, after_piece = UINT64_MAX >> 1;
        uint32_t readers[PIECES], pieces[PIECES];
        size_t found;
        int rc = 0;

        do {
                struct db_row q = db_query(d, SEEN_AFTER);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, mailbox);
                db_bind_u64(&q, 3, after_reader);
                db_bind_u64(&q, 4, after_piece);
                for (found = 0; found < PIECES && db_next(&q); found++) {
                        readers[found] = (uint32_t)(after_reader = db_u64(&q, 0));
                        pieces[found] = (uint32_t)(after_piece = db_u64(&q, 1));
                }
                rc = db_end(&q);
                for (size_t i = 0; i < found && !rc; i++) {
                        s.reader = readers[i];
                        s.loaded = false;
                        rc = load(d, &s, pieces[i] * SEEN_PIECE);
                        if (!rc)
                                rc = forget_in(d, &s, list, n);
                }
        } while (!rc && found == PIECES);
        return rc;
}
