/* Fibers: a session is a function that waits where it stands. One thread runs all fibers of a process; only a wait,
 * a yield or offload() lets others run, so between waits a fiber owns everything. Stacks have a guard page and come
 * from a capped pool. A fiber ends by returning; nobody kills it: fiber_cancel makes its waits return -ECANCELED.
 *
 *      static void session(void *arg) { ... }
 *      if (fiber_spawn("smtp", session, s) < 0)
 *              refuse(s);                      // no memory for a stack: one connection is refused, no more
 *
 * A waitlist is the one thing a fiber waits on. wait_on returns 0 when woken, -ETIMEDOUT at the deadline (absolute,
 * see base/time.h), -ECANCELED when cancelled. A wake-up is no promise that the condition holds: look again. */
#pragma once
#include "base/time.h"
#include <stdbool.h>
#include <stddef.h>

struct fiber;
struct waitlist {
        struct fiber *head, *tail;
};
typedef void fiber_fn(void *arg);

/* 0 or -ENOMEM. It first runs at the loop's next turn. `name` must be static text. */
[[nodiscard]] int fiber_spawn(const char *name, fiber_fn *fn, void *arg);
struct fiber *fiber_self(void);    /* NULL outside any fiber (the loop itself, a verb, a unit test) */
void fiber_note(const char *text); /* what SIGQUIT shows beside the name (a session id); copied, 31 bytes */
[[nodiscard]] int wait_on(struct waitlist *w, const char *what, nsec deadline);
void wake_one(struct waitlist *w);
void wake_all(struct waitlist *w);
static inline bool waitlist_empty(const struct waitlist *w)
{
        return !w->head;
}
int fiber_sleep(nsec deadline);     /* 0 at the deadline, -ECANCELED */
void fiber_yield(void);             /* lets every other ready fiber run once */
void fiber_yield_if_due(void);      /* yields if this fiber has run for 5 ms; call it in long loops */
void fiber_cancel(struct fiber *f); /* sticky: every later wait of f returns -ECANCELED too */
/* For shutdown: loop_stop, and every fiber is cancelled, also those spawned from now on (until loop_run returns, which
 * it does when the last has ended). Locks that are free, offload and yields still work in a cancelled fiber. */
void fiber_cancel_all(void);
bool fiber_cancelled(void); /* is the running fiber cancelled? */
unsigned fiber_count(void);
void fiber_dump(int fd);                    /* one line a fiber: name, note, what it waits for, since when */
void fiber_measure_stacks(void);            /* tests: note how deep the stacks of ended fibers were */
size_t fiber_most_stack(const char **name); /* bytes, by pages, and whose */

/* A lock between fibers of one process, fair. Never taken outside a fiber unless free. */
struct fiber_lock {
        struct fiber *owner;
        bool held;
        struct waitlist queue;
};
[[nodiscard]] int lock_take(struct fiber_lock *l, const char *what, nsec deadline);
bool lock_try(struct fiber_lock *l);
void lock_drop(struct fiber_lock *l);
