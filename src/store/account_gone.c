/* What has gone, kept for those who were not looking: packed, a removal of thousands writes some dozens of rows. */
#include "base/buf.h"
#include "store/account_inside.h"
#include <errno.h>

enum { GONE_ROW = 112 /* pairs in a row: it needs no overflow page */ };

static int add_row(struct db *d, uint32_t mailbox, uint64_t modseq, const struct placed *list, size_t n,
                   uint64_t now)
{
        uint32_t more[2 * GONE_ROW];
        struct db_row q = db_query(d, GONE_ADD);

        for (size_t i = 1; i < n; i++) {
                more[2 * (i - 1)] = list[i].uid;
                more[2 * (i - 1) + 1] = list[i].letter;
        }
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, modseq);
        db_bind_u64(&q, 3, mailbox);
        db_bind_u64(&q, 4, list[0].uid);
        db_bind_u64(&q, 5, list[n - 1].uid);
        db_bind_u64(&q, 6, list[0].letter);
        db_bind_u64(&q, 7, now);
        if (n > 1)
                db_bind_blob(&q, 8, str_from(more, (n - 1) * 2 * sizeof *more));
        else
                db_bind_null(&q, 8);
        return db_exec(&q);
}

int gone_add(struct db *d, uint32_t mailbox, uint64_t modseq, const struct placed *list, size_t n,
             uint64_t now)
{
        int rc = 0;

        for (size_t i = 0; i < n && !rc; i += GONE_ROW)
                rc = add_row(d, mailbox, modseq, list + i, n - i < GONE_ROW ? n - i : GONE_ROW, now);
        return rc;
}

int gone_since(struct db *d, uint32_t mailbox, uint64_t modseq,
               int (*each)(void *context, uint32_t uid, uint32_t letter, uint64_t modseq), void *context)
{
        struct db_row q = db_query(d, GONE_SINCE);
        int rc = 0;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, modseq);
        db_bind_u64(&q, 3, mailbox);
        while (!rc && db_next(&q)) {
                struct unpack u = unpack_of(db_blob(&q, 4));
                uint64_t at = db_u64(&q, 3);

                rc = each(context, (uint32_t)db_u64(&q, 0), (uint32_t)db_u64(&q, 2), at);
                while (!rc && !unpack_done(&u)) {
                        uint32_t uid = unpack_u32(&u), letter = unpack_u32(&u);

                        rc = u.bad ? -EBADMSG : each(context, uid, letter, at);
                }
        }
        return db_end(&q) ? db_end(&q) : rc;
}
