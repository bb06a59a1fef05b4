#include "run/inside.h"
#include "run/log.h"
#include "run/stack.h"
#include "run/switch.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Fibers never switch to each other, always to the loop and from it: one order of things, and the annotations for the
 * sanitizers stay simple. */

#define ROUNDS 16 /* of ready fibers before the loop looks at its descriptors again */
#define SLICE  (5 * MSECOND)

static struct {
        struct waitlist ready, yielded;
        struct fiber *current;
        struct fiber *youngest; /* of all */
        unsigned count;
        bool ending; /* fiber_cancel_all was called */
        nsec slice;  /* when the running fiber began to run */
        void *loop_sp;
        struct annotation loop;
        size_t most_stack; /* measured only when asked for */
        const char *most_stack_name;
        bool measure;
} fibers;

static void enlist(struct waitlist *w, struct fiber *f)
{
        f->in = w;
        f->next = NULL;
        f->prev = w->tail;
        if (w->tail)
                w->tail->next = f;
        else
                w->head = f;
        w->tail = f;
}

static void delist(struct fiber *f)
{
        struct waitlist *w = f->in;

        if (f->prev)
                f->prev->next = f->next;
        else
                w->head = f->next;
        if (f->next)
                f->next->prev = f->prev;
        else
                w->tail = f->prev;
        f->in = NULL;
}

static void make_ready(struct fiber *f, int result)
{
        if (f->in)
                delist(f);
        timer_set(&f->deadline, NEVER); /* stays in the heap: the next wait likely needs it there */
        f->result = result;
        f->state = FIBER_READY;
        enlist(&fibers.ready, f);
}

static void deadline_passed(struct timer *t)
{
        struct fiber *f = (struct fiber *)((char *)t - offsetof(struct fiber, deadline));

        assert(f->state == FIBER_WAITING);
        make_ready(f, -ETIMEDOUT);
}

/* To the loop. Comes back when the loop runs f again. */
static void leave(struct fiber *f)
{
        annotate_switch_start(&f->annotation, &fibers.loop, f->state == FIBER_ENDED);
        switch_stack(&f->sp, fibers.loop_sp);
        annotate_switch_done(&f->annotation, &fibers.loop);
}

static void first(void *arg)
{
        struct fiber *f = arg;

        annotate_switch_done(&f->annotation, &fibers.loop);
        f->fn(f->arg);
        f->state = FIBER_ENDED;
        leave(f);
        __builtin_unreachable();
}

int fiber_spawn(const char *name, fiber_fn *fn, void *arg)
{
        char *low = stack_get();
        size_t size = (stack_size() - sizeof(struct fiber)) & ~(size_t)63;
        struct fiber *f;

        if (!low)
                return -ENOMEM;
        f = (struct fiber *)(low + size);
        *f = (struct fiber){
                .name = name,
                .what = "its first turn",
                .fn = fn,
                .arg = arg,
                .low = low,
                .cancelled = fibers.ending,
                .since = fibers.slice,
                .older = fibers.youngest,
                .deadline = { .at = NEVER, .fire = deadline_passed },
        };
        annotate_new(&f->annotation, low, size);
        f->sp = switch_prepare(low, size, first, f);
        if (f->older)
                f->older->younger = f;
        fibers.youngest = f;
        fibers.count++;
        enlist(&fibers.ready, f);
        return 0;
}

/* On the loop's stack: f's own goes away. */
static void bury(struct fiber *f)
{
        void *low = f->low;

        timer_stop(&f->deadline);
        if (f->younger)
                f->younger->older = f->older;
        else
                fibers.youngest = f->older;
        if (f->older)
                f->older->younger = f->younger;
        fibers.count--;
        annotate_free(&f->annotation);
        if (fibers.measure) {
                size_t used = stack_used(low);

                if (used > fibers.most_stack) {
                        fibers.most_stack = used;
                        fibers.most_stack_name = f->name;
                }
        }
        stack_put(low);
}

static void run(struct fiber *f)
{
        delist(f);
        f->state = FIBER_RUNNING;
        fibers.current = f;
        annotate_switch_start(&fibers.loop, &f->annotation, false);
        switch_stack(&fibers.loop_sp, f->sp);
        annotate_switch_done(&fibers.loop, &f->annotation);
        fibers.current = NULL;
}

/* A round is everybody who is ready at its begin. Who was made ready meanwhile runs in the next one, who yielded
 * after the loop has looked at its descriptors; it looks every 5 ms, however many are ready. */
void fibers_run(struct longest *longest)
{
        nsec begin = now();
        unsigned round;

        fibers.slice = begin;
        while (fibers.yielded.head) {
                struct fiber *f = fibers.yielded.head;

                delist(f);
                enlist(&fibers.ready, f);
        }
        for (round = 0; round < ROUNDS && fibers.ready.head && fibers.slice - begin < SLICE; round++) {
                struct fiber *last = fibers.ready.tail, *f;

                do {
                        const char *name;
                        nsec t;

                        f = fibers.ready.head;
                        name = f->name;
                        run(f);
                        t = now();
                        if (t - fibers.slice > longest->took)
                                *longest = (struct longest){ t - fibers.slice, name };
                        fibers.slice = t;
                        if (f->state == FIBER_ENDED)
                                bury(f);
                } while (f != last && fibers.slice - begin < SLICE);
        }
}

bool fibers_ready(void)
{
        return fibers.ready.head || fibers.yielded.head;
}

struct fiber *fiber_self(void)
{
        return fibers.current;
}

void fiber_note(const char *text)
{
        struct fiber *f = fibers.current;
        size_t n = strnlen(text, sizeof f->note - 1);

        if (!f)
                return;
        mem_copy(f->note, sizeof f->note - 1, str_from(text, n));
        f->note[n] = '\0';
}

int wait_on(struct waitlist *w, const char *what, nsec deadline)
{
        struct fiber *f = fibers.current;

        if (!f)
                die("wait for %s outside of a fiber", what);
        if (f->cancelled)
                return -ECANCELED;
        f->what = what;
        f->since = fibers.slice;
        f->state = FIBER_WAITING;
        enlist(w, f);
        timer_set(&f->deadline, deadline);
        leave(f);
        return f->result;
}

void wake_one(struct waitlist *w)
{
        if (w->head)
                make_ready(w->head, 0);
}

void wake_all(struct waitlist *w)
{
        while (w->head)
                make_ready(w->head, 0);
}

void fiber_block(const char *what)
{
        struct fiber *f = fibers.current;

        f->what = what;
        f->since = fibers.slice;
        f->state = FIBER_BLOCKED;
        leave(f);
}

void fiber_unblock(struct fiber *f)
{
        assert(f->state == FIBER_BLOCKED);
        make_ready(f, 0);
}

int fiber_sleep(nsec deadline)
{
        struct waitlist nobody = { 0 };
        int rc = wait_on(&nobody, "the end of a pause", deadline);

        return rc == -ETIMEDOUT ? 0 : rc;
}

void fiber_yield(void)
{
        struct fiber *f = fibers.current;

        if (!f)
                return;
        f->what = "its next turn";
        f->since = fibers.slice;
        f->state = FIBER_READY;
        enlist(&fibers.yielded, f);
        leave(f);
}

void fiber_yield_if_due(void)
{
        if (fibers.current && now() - fibers.slice >= SLICE)
                fiber_yield();
}

void fiber_cancel(struct fiber *f)
{
        f->cancelled = true;
        if (f->state == FIBER_WAITING)
                make_ready(f, -ECANCELED);
}

void fiber_cancel_all(void)
{
        struct fiber *f;

        fibers.ending = true;
        loop_stop();
        for (f = fibers.youngest; f; f = f->older)
                fiber_cancel(f);
}

bool fiber_cancelled(void)
{
        return fibers.current && fibers.current->cancelled;
}

unsigned fiber_count(void)
{
        return fibers.count;
}

void fiber_measure_stacks(void)
{
        fibers.measure = true;
}

size_t fiber_most_stack(const char **name)
{
        *name = fibers.most_stack_name;
        return fibers.most_stack;
}

void fiber_dump(int fd)
{
        static const char *const states[] = { "ready for", "running, last waited for", "waiting for",
                                              "waiting for", "ended after" };
        nsec t = now();
        struct fiber *f;

        for (f = fibers.youngest; f; f = f->older) {
                char line[256];
                int n = snprintf(line, sizeof line, "fiber=%s note=%s %s %s since %.3f s%s\n", f->name,
                                 f->note[0] ? f->note : "-", states[f->state], f->what,
                                 (double)(t - f->since) / 1e9, f->cancelled ? " (cancelled)" : "");

                if (n > 0 && write(fd, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1) < 0)
                        return;
        }
}

void fibers_init(void)
{
        annotate_thread(&fibers.loop);
        fibers.slice = now();
        fibers.ending = false;
}

void fibers_loop_ended(void)
{
        fibers.ending = false;
}

void fibers_finish(void)
{
        stack_finish();
}
