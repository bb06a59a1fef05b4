#include "base/page.h"
#include "base/mem.h"

#include <pthread.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define ON_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ON_HEAP 1
#endif
#endif
#ifdef ON_HEAP
char *page_get(void)
{
        return mem_grow(NULL, PAGE, 1);
}

void page_put(char *page)
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
        pthread_mutex_t lock;
        char **pages;
        size_t n, room;
        size_t bare; /* pages[0..bare) were given back to the kernel */
} spare = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void keep(char *page)
{
        if (spare.n == spare.room) {
                spare.room = spare.room ? 2 * spare.room : REGION;
                spare.pages = mem_grow(spare.pages, spare.room, sizeof(*spare.pages));
        }
        spare.pages[spare.n++] = page;
}

static void take_region(void)
{
        char *page = mmap(NULL, REGION * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page == MAP_FAILED)
                mem_die("out of memory for a session");
        (void)madvise(page, REGION * PAGE, MADV_NOHUGEPAGE); /* else one page in use costs 2 MB */
        for (size_t i = REGION; i-- > 0;)
                keep(page + i * PAGE);
        spare.bare = spare.n;
}

char *page_get(void)
{
        char *page;

        pthread_mutex_lock(&spare.lock);
        if (spare.n == 0)
                take_region();
        page = spare.pages[--spare.n];
        if (spare.bare > spare.n)
                spare.bare = spare.n;
        pthread_mutex_unlock(&spare.lock);
        return page;
}

void page_put(char *page)
{
        pthread_mutex_lock(&spare.lock);
        keep(page);
        if (spare.n - spare.bare > AT_HAND)
                (void)madvise(spare.pages[spare.bare++], PAGE, MADV_DONTNEED);
        pthread_mutex_unlock(&spare.lock);
}
#endif
