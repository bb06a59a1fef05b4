/* Walking over the placements of a mailbox, page by page; and adding at its end. */
#include "base/mem.h"
#include "store/change_inside.h"
#include <errno.h>

enum { FAR = 4096 /* uids: it is worth to look for the page instead of reading on */ };

struct walk {
        const struct uid_range *r;
        size_t n, at; /* ranges before `at` are done */
        placed_fn *each;
        void *context;
        bool stop;
};

static int look_at_page(struct walk *w, struct page *p)
{
        int rc = 0;

        for (unsigned i = 0; i < PAGE_PLACED && !w->stop; i++) {
                struct placed *placed = &p->at[i];

                if (!placed->uid)
                        break;
                while (w->at < w->n && w->r[w->at].last < placed->uid)
                        w->at++;
                if (w->at == w->n)
                        break;
                if (!placed->letter || placed->uid < w->r[w->at].first)
                        continue;
                rc = w->each(w->context, placed);
                if (rc < 0)
                        return rc;
                w->stop = rc == PLACED_STOP;
                p->changed |= rc == PLACED_CHANGED;
        }
        return 0;
}

static uint32_t last_uid(const struct page *p)
{
        unsigned used = page_used(p);

        return used ? p->at[used - 1].uid : 0;
}

/* Reads on from the page that would hold `uid`. *next: the first uid wanted that lies far ahead, or 0 at the end. */
static int read_on(struct db *d, uint32_t mailbox, struct walk *w, struct page *p, uint32_t *next)
{
        struct db_row q = db_query(d, PAGE_FROM);
        int rc = 0;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, place_of(mailbox, 0));
        db_bind_u64(&q, 3, place_of(mailbox, *next));
        db_bind_u64(&q, 4, place_of(mailbox, w->r[w->n - 1].last));
        *next = 0;
        while (!rc && !w->stop && w->at < w->n && db_next(&q)) {
                if (!page_from(p, db_u64(&q, 0), db_blob(&q, 1))) {
                        rc = -EBADMSG;
                        break;
                }
                rc = look_at_page(w, p);
                if (w->at < w->n && w->r[w->at].first > (uint64_t)last_uid(p) + FAR) {
                        *next = w->r[w->at].first;
                        break;
                }
        }
        return db_end(&q) ? db_end(&q) : rc;
}

int pages_read(struct db *d, uint32_t mailbox, const struct uid_range *r, size_t n, placed_fn *each,
               void *context)
{
        struct walk w = { r, n, 0, each, context, false };
        struct page p;
        uint32_t next = n ? r[0].first : 0;
        int rc = 0;

        if (!n)
                return 0;
        do
                rc = read_on(d, mailbox, &w, &p, &next);
        while (!rc && next);
        return rc;
}

/* The page that would hold uid, else the next one; place 0: there is none. */
static int page_at(struct db *d, uint32_t mailbox, uint32_t uid, struct page *p)
{
        struct db_row q = db_query(d, PAGE_FROM);
        int rc = 0;

        p->place = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, place_of(mailbox, 0));
        db_bind_u64(&q, 3, place_of(mailbox, uid));
        db_bind_u64(&q, 4, place_of(mailbox, UINT32_MAX));
        if (db_next(&q) && !page_from(p, db_u64(&q, 0), db_blob(&q, 1)))
                rc = -EBADMSG;
        return db_end(&q) ? db_end(&q) : rc;
}

static int page_after(struct db *d, uint32_t mailbox, uint64_t place, struct page *p)
{
        struct db_row q = db_query(d, PAGE_AFTER);
        int rc = 0;

        p->place = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, place);
        db_bind_u64(&q, 3, place_of(mailbox, UINT32_MAX));
        if (db_next(&q) && !page_from(p, db_u64(&q, 0), db_blob(&q, 1)))
                rc = -EBADMSG;
        return db_end(&q) ? db_end(&q) : rc;
}

int pages_write(struct db *d, uint32_t mailbox, const struct uid_range *r, size_t n, placed_fn *each,
                void *context)
{
        struct walk w = { r, n, 0, each, context, false };
        struct page p;
        int rc = n ? page_at(d, mailbox, r[0].first, &p) : 0;

        while (!rc && n && p.place && !w.stop) {
                uint32_t last = last_uid(&p);
                uint64_t place = p.place;

                rc = look_at_page(&w, &p);
                if (!rc)
                        rc = page_store(d, &p);
                if (rc || w.at == n || w.stop)
                        break;
                if (w.r[w.at].first > last)
                        rc = page_at(d, mailbox, w.r[w.at].first, &p);
                if (!rc && p.place && p.place <= place)
                        rc = page_after(d, mailbox, place, &p);
        }
        return rc;
}

int end_begin(struct db *d, struct counter *c, struct mailbox_end *e)
{
        int rc = page_last(d, c->mailbox, &e->page);

        e->c = c;
        e->from = c->uidnext;
        e->used = rc || !e->page.place ? PAGE_PLACED : page_used(&e->page);
        return rc;
}

int end_add(struct db *d, struct mailbox_end *e, const struct placed *p)
{
        if (e->used == PAGE_PLACED) {
                int rc = page_store(d, &e->page);

                if (rc)
                        return rc;
                e->page = (struct page){ .place = place_of(e->c->mailbox, p->uid), .fresh = true };
                e->used = 0;
        }
        e->page.at[e->used++] = *p;
        e->page.changed = true;
        counter_took(e->c, p);
        e->c->modseq = e->c->modsafe = p->modseq; /* modsafe is of use in row 0 only */
        return 0;
}

int end_finish(struct db *d, struct mailbox_end *e)
{
        if (e->c->uidnext > e->from)
                ring_note(e->c, e->c->modseq, (uint32_t)e->from, (uint32_t)e->c->uidnext - 1);
        return page_store(d, &e->page);
}

int mailbox_current(struct db *d, uint32_t mailbox, uint32_t uidvalidity)
{
        struct db_row q = db_query(d, MAILBOX_VALID);
        bool same;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        same = db_next(&q) && db_u64(&q, 0) == uidvalidity;
        return db_end(&q) ? db_end(&q) : same ? 0 : -ESTALE;
}
