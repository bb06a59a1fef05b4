/* The loop of a process: descriptors (epoll, edge-triggered, registered once), timers, signals, and the ready fibers.
 * Callbacks run on the loop's own stack: they may wake or spawn fibers, never wait.
 *
 * A turn that takes more than 50 ms is logged with the name of the fiber that took longest. */
#pragma once
#include "base/time.h"
#include <stdint.h>
#include <sys/epoll.h>

void loop_init(void); /* once a process; blocks all signals; ignores SIGPIPE */
void loop_run(void);  /* until loop_stop was called and every fiber has ended */
void loop_stop(void);
void loop_finish(void);

struct watch {
        int fd;
        void (*ready)(struct watch *w, uint32_t events);
};
[[nodiscard]] int watch_add(struct watch *w, uint32_t events); /* EPOLLET is added; 0 or -errno */
void watch_change(struct watch *w, uint32_t events);           /* and what stands already is told anew */
void watch_remove(struct watch *w);                            /* before close; no callback comes after */

struct timer {
        nsec at;
        void (*fire)(struct timer *t);
        unsigned slot; /* 0: not set; the heap's business */
};
void timer_set(struct timer *t, nsec at); /* t->fire must stand; sets anew if set already */
void timer_stop(struct timer *t);
/* Called at the end of every turn, before the loop sleeps: for what gathers a turn's work (logs, bells). */
struct turn_end {
        void (*run)(struct turn_end *t);
        struct turn_end *next;
};
void loop_at_turn_end(struct turn_end *t);
void loop_not_at_turn_end(struct turn_end *t); /* not from within a turn's end */

void loop_signal(int signo, void (*fn)(int signo)); /* runs on the loop */
