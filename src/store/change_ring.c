/* Where a mailbox was changed, by new letters and by flags: a few (modseq, first uid, last uid) beside its counters, so
 * that who asks what is new reads those pages only. Entries are joined, never dropped, so that an answer may name too
 * much and never too little. */
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

/* Room for one more: the two neighbours become one that together cover least. */
static void make_room(struct counter *c)
{
        uint64_t least = UINT64_MAX;
        unsigned best = 0;

        for (unsigned i = 0; i + 1 < c->ring_n; i++) {
                struct ring_entry both = c->ring[i];

                join(&both, &c->ring[i + 1]);
                if ((uint64_t)both.last - both.first <= least) {
                        least = (uint64_t)both.last - both.first;
                        best = i;
                }
        }
        join(&c->ring[best], &c->ring[best + 1]);
        for (unsigned i = best + 1; i + 1 < c->ring_n; i++)
                c->ring[i] = c->ring[i + 1];
        c->ring_n--;
}

void ring_note(struct counter *c, uint64_t modseq, uint32_t first, uint32_t last)
{
        if (c->ring_n == RING)
                make_room(c);
        c->ring[c->ring_n++] = (struct ring_entry){ modseq, first, last };
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
