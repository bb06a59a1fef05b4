/* Where flags were changed lately: a few (modseq, first uid, last uid) beside the counters of a mailbox, so that who
 * asks what is new reads those pages only. The oldest entry covers all that was before the next one: entries are joined,
 * never dropped, so that an answer may name too much and never too little. */
#include "base/mem.h"
#include "store/account_inside.h"

_Static_assert(sizeof(struct ring_entry) == 16, "as it lies in the row");

bool ring_from(struct counter *c, struct str blob)
{
        c->ring_n = (unsigned)(blob.n / sizeof *c->ring);
        if (blob.n > sizeof c->ring || blob.n % sizeof *c->ring)
                return false;
        mem_copy((char *)c->ring, sizeof c->ring, blob);
        return true;
}

static void join(struct ring_entry *to, const struct ring_entry *from)
{
        if (from->first < to->first)
                to->first = from->first;
        if (from->last > to->last)
                to->last = from->last;
        if (from->modseq > to->modseq)
                to->modseq = from->modseq;
}

void ring_note(struct counter *c, uint64_t modseq, uint32_t first, uint32_t last)
{
        struct ring_entry e = { modseq, first, last };

        if (c->ring_n == RING) {
                join(&c->ring[1], &c->ring[0]);
                for (unsigned i = 1; i < RING; i++)
                        c->ring[i - 1] = c->ring[i];
                c->ring_n--;
        }
        c->ring[c->ring_n++] = e;
}

bool ring_since(const struct counter *c, uint64_t modseq, uint32_t *first, uint32_t *last)
{
        struct ring_entry all = { 0, UINT32_MAX, 0 };

        for (unsigned i = 0; i < c->ring_n; i++)
                if (c->ring[i].modseq > modseq)
                        join(&all, &c->ring[i]);
        *first = all.first;
        *last = all.last;
        return all.modseq > 0;
}
