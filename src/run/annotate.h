/* Tells the sanitizers and Valgrind about stacks of our own. All #ifdefs about them live here; without them every
 * function is empty. The order of calls is theirs: switch_start right before the switch, switch_done first thing after
 * landing (also at the entry of a new fiber), `last` on the switch a stack never comes back from. The bounds of the
 * thread's own stack are learnt when the first fiber lands. Guard pages are no part of the bounds. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define PAIL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PAIL_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define PAIL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PAIL_TSAN 1
#endif
#endif
#ifdef PAIL_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef PAIL_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define PAIL_VALGRIND 1
#endif

struct annotation {
        const void *low; /* the stack's bounds */
        size_t size;
        void *fake;        /* ASan's fake stack while switched away */
        void *tsan;        /* TSan's idea of the fiber */
        unsigned valgrind; /* Valgrind's number of the stack */
};

/* Compilers make bigger frames when they instrument. */
#if defined(PAIL_ASAN) || defined(PAIL_TSAN)
#define STACK_FACTOR 4
#else
#define STACK_FACTOR 1
#endif

static inline void annotate_thread(struct annotation *a)
{
        *a = (struct annotation){ 0 };
#ifdef PAIL_TSAN
        a->tsan = __tsan_get_current_fiber();
#endif
}

static inline void annotate_new(struct annotation *a, void *low, size_t size)
{
        *a = (struct annotation){ .low = low, .size = size };
#ifdef PAIL_ASAN
        __asan_unpoison_memory_region(low, size); /* whoever had this stack before left red zones */
#endif
#ifdef PAIL_TSAN
        a->tsan = __tsan_create_fiber(0);
#endif
#ifdef PAIL_VALGRIND
        a->valgrind = VALGRIND_STACK_REGISTER(low, (char *)low + size);
#endif
}

/* Called on another stack than a's. */
static inline void annotate_free(struct annotation *a)
{
        (void)a;
#ifdef PAIL_TSAN
        __tsan_destroy_fiber(a->tsan);
#endif
#ifdef PAIL_VALGRIND
        VALGRIND_STACK_DEREGISTER(a->valgrind);
#endif
}

static inline __attribute__((always_inline)) void annotate_switch_start(struct annotation *from,
                                                                        struct annotation *to, bool last)
{
        (void)from, (void)to, (void)last;
#ifdef PAIL_ASAN
        __sanitizer_start_switch_fiber(last ? NULL : &from->fake, to->low, to->size);
#endif
#ifdef PAIL_TSAN
        __tsan_switch_to_fiber(to->tsan, 0);
#endif
}

static inline __attribute__((always_inline)) void annotate_switch_done(struct annotation *self,
                                                                       struct annotation *came)
{
        (void)self, (void)came;
#ifdef PAIL_ASAN
        __sanitizer_finish_switch_fiber(self->fake, &came->low, &came->size);
#endif
}
