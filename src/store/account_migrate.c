/* What SQL alone cannot do when an older file is brought to this pail's schema. */
#include "store/account_inside.h"
#include <errno.h>

/* Schema 2 counts the octets of what is marked \Deleted, and knows where changes were. */
static int bring_counter(struct db *d, uint32_t mailbox)
{
        struct counter c;
        struct page p;
        struct db_row q;
        int rc = counter_read(d, mailbox, &c);

        if (rc || !mailbox)
                return rc;
        ring_note(&c, c.modseq, 1, UINT32_MAX); /* nobody knows what was changed when */
        q = db_query(d, PAGE_RANGE);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, place_of(mailbox, 0));
        db_bind_u64(&q, 3, place_of(mailbox, UINT32_MAX));
        while (db_next(&q) && !rc) {
                rc = page_from(&p, db_u64(&q, 0), db_blob(&q, 1)) ? 0 : -EBADMSG;
                for (unsigned i = 0; i < PAGE_PLACED && !rc; i++)
                        if (p.at[i].letter && p.at[i].flags & FLAG_DELETED)
                                c.deleted_octets += p.at[i].size;
        }
        if (db_end(&q))
                rc = db_end(&q);
        return rc ? rc : counter_write(d, &c);
}

int account_migrated(struct db *d, unsigned version)
{
        uint32_t mailbox = 0;
        bool more = version == 1;
        int rc = 0;

        while (more && !rc) {
                struct db_row q = db_query(d, COUNTER_NEXT);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, mailbox);
                more = db_next(&q);
                if (more)
                        mailbox = (uint32_t)db_u64(&q, 0);
                rc = db_end(&q);
                if (more && !rc)
                        rc = bring_counter(d, mailbox);
        }
        return rc;
}
