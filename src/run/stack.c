#include "run/stack.h"
#include "run/annotate.h"
#include "run/kernel.h"
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE  ((size_t)128 * 1024 * STACK_FACTOR)
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
static bool no_guard_pages; /* the kernel is older than 6.13: guards by mprotect, two mappings each */

static struct pooled *link_of(void *low)
{
        return (struct pooled *)((char *)low + SIZE - sizeof(struct pooled));
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
                return (char *)(p + 1) - SIZE;
        }
        /* libc's mmap, not the bare system call: TSan forgets old shadow there */
        map = mmap(NULL, GUARD + SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (map == MAP_FAILED)
                return NULL;
        (void)madvise(map, GUARD + SIZE, MADV_NOHUGEPAGE); /* else two touched pages may cost 2 MB */
        if (!guard(map)) {
                munmap(map, GUARD + SIZE);
                return NULL;
        }
        return map + GUARD;
}

void stack_put(void *low)
{
        struct pooled *p;

#ifdef PAIL_ASAN
        __asan_unpoison_memory_region(low, SIZE);
#endif
        if (pooled >= POOL) {
                munmap((char *)low - GUARD, GUARD + SIZE);
                return;
        }
        if (pooled >= WHOLE)
                (void)madvise(low, SIZE - HOT, MADV_DONTNEED);
        p = link_of(low);
        p->next = pool;
        pool = p;
        pooled++;
}

size_t stack_size(void)
{
        return SIZE;
}

bool stack_guards(const void *low, const void *at)
{
        uintptr_t l = (uintptr_t)low, a = (uintptr_t)at;

        return a < l && a >= l - GUARD;
}

size_t stack_used(const void *low)
{
        unsigned char resident[SIZE / 4096];
        size_t page = (size_t)sysconf(_SC_PAGESIZE), i;

        if (mincore((void *)(uintptr_t)low, SIZE, resident) < 0)
                return 0;
        for (i = 0; i < SIZE / page && !(resident[i] & 1); i++)
                ;
        return SIZE - i * page;
}

void stack_finish(void)
{
        while (pool) {
                struct pooled *p = pool;

                pool = p->next;
                munmap((char *)(p + 1) - SIZE - GUARD, GUARD + SIZE);
        }
        pooled = 0;
}
