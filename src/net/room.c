#include "net/room.h"
#include "base/mem.h"
#include "base/page.h"

char *room_need(struct room *r, size_t want, size_t large, size_t most)
{
        size_t need = r->n + want;
        struct room bigger;

        if (need <= r->cap)
                return r->p + r->n;
        if (want > most || need > most)
                return NULL;
        bigger.n = r->n;
        if (need <= ROOM_PAGE) {
                bigger.cap = ROOM_PAGE;
                bigger.p = page_get();
        } else {
                if (need < large)
                        need = large;
                if (need < 2 * (size_t)r->cap && r->cap > ROOM_PAGE)
                        need = 2 * (size_t)r->cap < most ? 2 * (size_t)r->cap : most;
                bigger.cap = (uint32_t)need;
                bigger.p = mem_grow(NULL, need, 1);
        }
        if (r->n > 0)
                mem_copy(bigger.p, bigger.cap, (struct str){ r->p, r->n });
        room_free(r);
        *r = bigger;
        return r->p + r->n;
}

void room_drop(struct room *r, size_t n)
{
        r->n -= (uint32_t)n;
        if (n > 0 && r->n > 0)
                memmove(r->p, r->p + n, r->n);
}

void room_free(struct room *r)
{
        if (r->cap == ROOM_PAGE)
                page_put(r->p);
        else
                mem_free(r->p);
        *r = (struct room){ 0 };
}
