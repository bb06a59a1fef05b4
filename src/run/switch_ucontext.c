#include "run/switch.h"
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

/* For processors without a file of their own. Each switch costs a system call (the signal mask); the saved context
 * lies on the stack it belongs to, a new one at the top of its stack. */

struct first {
        ucontext_t context;
        void (*entry)(void *arg);
        void *arg;
};

void switch_stack(void **save, void *load)
{
        ucontext_t self;

        *save = &self;
        if (swapcontext(&self, load) < 0)
                abort();
}

/* makecontext passes ints only: the pointer comes in two halves. */
static void first_frame(unsigned high, unsigned low)
{
        struct first *f = (struct first *)(((uintptr_t)high << 16 << 16) | low);

        f->entry(f->arg);
        abort();
}

void *switch_prepare(void *low, size_t size, void (*entry)(void *arg), void *arg)
{
        uintptr_t top = ((uintptr_t)low + size - sizeof(struct first)) & ~(uintptr_t)63;
        struct first *f = (struct first *)top;

        if (getcontext(&f->context) < 0)
                abort();
        f->entry = entry;
        f->arg = arg;
        f->context.uc_stack.ss_sp = low;
        f->context.uc_stack.ss_size = top - (uintptr_t)low;
        f->context.uc_link = NULL;
        makecontext(&f->context, (void (*)(void))first_frame, 2, (unsigned)(top >> 16 >> 16), (unsigned)top);
        return f;
}
