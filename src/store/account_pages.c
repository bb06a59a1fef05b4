/* Counters and pages: the numbers of a mailbox, and its placements as they lie packed. */
#include "base/mem.h"
#include "store/account_inside.h"
#include <errno.h>

int counter_read(struct db *d, uint32_t mailbox, struct counter *c)
{
        struct db_row q = db_query(d, COUNTER_READ);
        int rc = -ENOENT;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        if (db_next(&q)) {
                *c = (struct counter){ mailbox,       db_u64(&q, 0), db_u64(&q, 1), db_u64(&q, 2),
                                       db_u64(&q, 3), db_u64(&q, 4), db_u64(&q, 5), db_u64(&q, 6),
                                       db_u64(&q, 7), db_u64(&q, 8), db_u64(&q, 9), db_u64(&q, 10) };
                rc = ring_from(c, db_blob(&q, 11)) ? 0 : -EBADMSG;
        }
        return db_end(&q) ? db_end(&q) : rc;
}

int counter_write(struct db *d, const struct counter *c)
{
        struct db_row q = db_query(d, COUNTER_WRITE);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, c->mailbox);
        db_bind_u64(&q, 3, c->uidnext);
        db_bind_u64(&q, 4, c->safe);
        db_bind_u64(&q, 5, c->modseq);
        db_bind_u64(&q, 6, c->modsafe);
        db_bind_u64(&q, 7, c->count);
        db_bind_u64(&q, 8, c->octets);
        db_bind_u64(&q, 9, c->unseen);
        db_bind_u64(&q, 10, c->deleted);
        db_bind_u64(&q, 11, c->deleted_octets);
        db_bind_u64(&q, 12, c->reserved);
        db_bind_u64(&q, 13, c->recent);
        db_bind_blob(&q, 14, str_from(c->ring, c->ring_n * sizeof *c->ring));
        return db_exec(&q);
}

void counter_took(struct counter *c, const struct placed *p)
{
        bool deleted = p->flags & FLAG_DELETED;

        c->count++;
        c->octets += p->size;
        c->unseen += !(p->flags & FLAG_SEEN);
        c->deleted += deleted;
        c->deleted_octets += deleted ? p->size : 0;
}

void counter_lost(struct counter *c, const struct placed *p)
{
        bool deleted = p->flags & FLAG_DELETED;

        c->count--;
        c->octets -= p->size;
        c->unseen -= !(p->flags & FLAG_SEEN);
        c->deleted -= deleted;
        c->deleted_octets -= deleted ? p->size : 0;
}

int counter_ahead(struct db *d, struct counter *c, uint64_t uids, uint64_t modseqs)
{
        bool reserved = c->uidnext + uids <= c->reserved;
        int rc;

        if (c->uidnext + uids > UINT32_MAX - UIDS_AHEAD)
                return -EOVERFLOW;
        if (uids > UIDS_AHEAD && !reserved)
                return -ENOSR;
        if ((reserved || c->uidnext + uids - c->safe <= UIDS_AHEAD / 2) &&
            c->modseq + modseqs - c->modsafe <= MODSEQS_AHEAD / 2)
                return 0;
        if (!db_all_synced(d)) {
                if ((reserved || c->uidnext + uids - c->safe <= UIDS_AHEAD) &&
                    c->modseq + modseqs - c->modsafe <= MODSEQS_AHEAD)
                        return 0; /* perhaps somebody settles before it is needed */
                rc = db_sync_inside(d);
                if (rc)
                        return rc;
        }
        c->safe = c->uidnext;
        c->modsafe = c->modseq;
        return 0;
}

struct reserve {
        uint32_t mailbox;
        uint64_t uids;
};

static int reserve(struct db *d, void *arg)
{
        struct reserve *r = arg;
        struct counter c;
        int rc = account_writes(d);

        if (!rc)
                rc = counter_read(d, r->mailbox, &c);
        if (rc)
                return rc;
        if (c.uidnext + r->uids > UINT32_MAX - UIDS_AHEAD)
                return -EOVERFLOW;
        if (c.reserved < c.uidnext + r->uids)
                c.reserved = c.uidnext + r->uids;
        return counter_write(d, &c);
}

int account_reserve(struct account *a, uint32_t mailbox, uint64_t uids)
{
        struct reserve r = { mailbox, uids };

        return account_change_quietly(a, "reserve numbers", reserve, &r, DB_SYNC);
}

bool page_from(struct page *p, uint64_t place, struct str data)
{
        *p = (struct page){ .place = place };
        if (data.n != sizeof p->at)
                return false;
        mem_copy((char *)p->at, sizeof p->at, data);
        return true;
}

static int page_read(struct db *d, unsigned statement, uint64_t first, uint64_t last, struct page *p)
{
        struct db_row q = db_query(d, statement);
        int rc = 0;

        p->place = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, first);
        db_bind_u64(&q, 3, last);
        if (db_next(&q) && !page_from(p, db_u64(&q, 0), db_blob(&q, 1)))
                rc = -EBADMSG;
        return db_end(&q) ? db_end(&q) : rc;
}

int page_last(struct db *d, uint32_t mailbox, struct page *p)
{
        return page_read(d, PAGE_LAST, place_of(mailbox, 0), place_of(mailbox, UINT32_MAX), p);
}

int page_of(struct db *d, uint32_t mailbox, uint32_t uid, struct page *p)
{
        return page_read(d, PAGE_OF, place_of(mailbox, 0), place_of(mailbox, uid), p);
}

unsigned page_used(const struct page *p)
{
        unsigned low = 0, high = PAGE_PLACED;

        while (low < high) {
                unsigned middle = (low + high) / 2;

                if (p->at[middle].uid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct placed *page_find(struct page *p, uint32_t uid)
{
        unsigned low = 0, high = page_used(p);

        while (low < high) {
                unsigned middle = (low + high) / 2;

                if (p->at[middle].uid == uid)
                        return &p->at[middle];
                if (p->at[middle].uid < uid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

int page_store(struct db *d, struct page *p)
{
        bool left = false;
        struct db_row q;

        if (!p->place || !p->changed)
                return 0;
        for (unsigned i = 0; i < PAGE_PLACED && !left; i++)
                left = p->at[i].letter != 0;
        if (!left && p->fresh)
                return 0;
        q = db_query(d, !left ? PAGE_DROP : p->fresh ? PAGE_ADD : PAGE_WRITE);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, p->place);
        if (left)
                db_bind_blob(&q, 3, str_from(p->at, sizeof p->at));
        p->fresh = p->changed = false;
        return db_exec(&q);
}
