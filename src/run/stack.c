#include "run/stack.h"
#include "run/annotate.h"
#include "run/kernel.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUARD ((size_t)16 * 1024) /* four pages: libraries are not compiled to touch each page in turn */
#define HOT   ((size_t)12 * 1024) /* what a pooled stack keeps resident, at its top */
#define POOL  128                 /* most stacks kept: 128 * HOT resident */
#define WHOLE 32                  /* of these, the ones used last keep all: they are used again at once */

/* A pooled stack's first word at its top links to the next. */
struct pooled {
        struct pooled *next;
};
static struct pooled *pool;
static unsigned pooled;
static size_t stack_bytes = (size_t)128 * 1024 * STACK_FACTOR;
static bool no_guard_pages; /* the kernel is older than 6.13: guards by mprotect, two mappings each */

static struct pooled *link_of(void *low)
{
        return (struct pooled *)((char *)low + stack_bytes - sizeof(struct pooled));
}

/* Some emulated kernels take any advice and do nothing, so the first guard is tried: a system call that would read
 * there must fail (if it does read, it finds zeros: no signal to block). */
static bool is_guarded(const void *map)
{
        static bool tried;

        if (tried)
                return true;
        tried = true;
        return syscall(SYS_rt_sigprocmask, SIG_BLOCK, map, NULL, (size_t)8) < 0 && errno == EFAULT;
}

static bool guard(void *map)
{
        if (!no_guard_pages && madvise(map, GUARD, MADV_GUARD_INSTALL) == 0 && is_guarded(map))
                return true;
        no_guard_pages = true;
        return mprotect(map, GUARD, PROT_NONE) == 0;
}

void *stack_get(void)
{
        char *map;

        if (pool) {
                struct pooled *p = pool;

                pool = p->next;
                pooled--;
                return (char *)(p + 1) - stack_bytes;
        }
        /* libc's mmap, not the bare system call: TSan forgets old shadow there */
        map = mmap(NULL, GUARD + stack_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (map == MAP_FAILED)
                return NULL;
        (void)madvise(map, GUARD + stack_bytes, MADV_NOHUGEPAGE); /* else two touched pages may cost 2 MB */
        if (!guard(map)) {
                munmap(map, GUARD + stack_bytes);
                return NULL;
        }
        return map + GUARD;
}

void stack_put(void *low)
{
        struct pooled *p;

#ifdef PAIL_ASAN
        __asan_unpoison_memory_region(low, stack_bytes);
#endif
        if (pooled >= POOL) {
                munmap((char *)low - GUARD, GUARD + stack_bytes);
                return;
        }
        if (pooled >= WHOLE)
                (void)madvise(low, stack_bytes - HOT, MADV_DONTNEED);
        p = link_of(low);
        p->next = pool;
        pool = p;
        pooled++;
}

size_t stack_size(void)
{
        return stack_bytes;
}

void stack_set_size(size_t bytes)
{
        assert(!pool && bytes % 4096 == 0);
        stack_bytes = bytes * STACK_FACTOR;
}

bool stack_guards(const void *low, const void *at)
{
        uintptr_t l = (uintptr_t)low, a = (uintptr_t)at;

        return a < l && a >= l - GUARD;
}

size_t stack_used(const void *low)
{
        unsigned char resident[64];
        size_t page = (size_t)sysconf(_SC_PAGESIZE), untouched = 0;

        for (; untouched < stack_bytes; untouched += sizeof(resident) * page) {
                size_t left = (stack_bytes - untouched) / page,
                       n = left < sizeof(resident) ? left : sizeof(resident), i;

                if (mincore((char *)(uintptr_t)low + untouched, n * page, resident) < 0)
                        return 0;
                for (i = 0; i < n && !(resident[i] & 1); i++)
                        ;
                if (i < n)
                        return stack_bytes - untouched - i * page;
        }
        return 0;
}

void stack_finish(void)
{
        while (pool) {
                struct pooled *p = pool;

                pool = p->next;
                munmap((char *)(p + 1) - stack_bytes - GUARD, GUARD + stack_bytes);
        }
        pooled = 0;
}
