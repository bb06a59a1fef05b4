#include "net/room.h"
#include "base/mem.h"
#include "run/annotate.h"

#include <sys/mman.h>

#ifdef PAIL_ASAN
/* On the heap, where a byte too far or too late is seen. */
static char *page_get(void)
{
        return mem_grow(NULL, ROOM_PAGE, 1);
}

static void page_put(char *page)
{
        mem_free(page);
}
#else
enum {
        REGION = 256,  /* pages taken from the kernel at once */
        AT_HAND = 256, /* free pages that stay resident: what a busy moment gives and takes */
};

/* Free pages, the last AT_HAND of them perhaps resident, the others surely not. Regions are never unmapped: without
 * resident pages they cost nothing. */
static struct {
        char **pages;
        size_t n, room;
        size_t bare; /* pages[0..bare) were given back to the kernel */
} spare;

static void keep(char *page)
{
        if (spare.n == spare.room) {
                spare.room = spare.room ? 2 * spare.room : REGION;
                spare.pages = mem_grow(spare.pages, spare.room, sizeof(*spare.pages));
        }
        spare.pages[spare.n++] = page;
}

static char *page_get(void)
{
        char *page;

        if (spare.n == 0) {
                page = mmap(NULL, REGION * ROOM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                            0);
                if (page == MAP_FAILED)
                        mem_die("out of memory for a connection");
                /* else one page in use costs 2 MB */
                (void)madvise(page, REGION * ROOM_PAGE, MADV_NOHUGEPAGE);
                for (size_t i = REGION; i-- > 0;)
                        keep(page + i * ROOM_PAGE);
                spare.bare = spare.n;
        }
        page = spare.pages[--spare.n];
        if (spare.bare > spare.n)
                spare.bare = spare.n;
        return page;
}

static void page_put(char *page)
{
        keep(page);
        if (spare.n - spare.bare > AT_HAND)
                (void)madvise(spare.pages[spare.bare++], ROOM_PAGE, MADV_DONTNEED);
}
#endif

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
