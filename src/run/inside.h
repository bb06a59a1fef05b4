/* What the files of this folder share and nobody else needs. */
#pragma once
#include "run/annotate.h"
#include "run/fiber.h"
#include "run/loop.h"

enum fiber_state {
        FIBER_READY,   /* in the ready or the yielded list */
        FIBER_RUNNING, /* one at most */
        FIBER_WAITING, /* in a waitlist */
        FIBER_BLOCKED, /* in no list: an offload brings it back, nothing else does */
        FIBER_ENDED,
};

/* Lies at the top of its own stack. tools/gdb/fibers.py reads it. */
struct fiber {
        void *sp;                  /* of the switched-away stack */
        struct fiber *next, *prev; /* in the list it is in */
        struct waitlist *in;       /* that list */
        enum fiber_state state;
        int result; /* of the wait */
        bool cancelled;
        char note[32];
        const char *name, *what;
        nsec since; /* it waits, or is ready */
        struct timer deadline;
        fiber_fn *fn;
        void *arg;
        struct fiber *older, *younger; /* in the list of all */
        struct annotation annotation;
        void *low; /* the stack */
};

/* The longest uninterrupted run of a fiber in a turn. */
struct longest {
        nsec took;
        const char *name;
};

/* fiber.c for loop.c: runs what is ready, a few rounds of it. */
void fibers_init(void);
void fibers_finish(void);
void fibers_run(struct longest *longest);
bool fibers_ready(void);
void fibers_loop_ended(void); /* fibers spawned from now on are not born cancelled */
/* A wait that neither deadline nor cancel ends. */
void fiber_block(const char *what);
void fiber_unblock(struct fiber *f);

/* loop.c: is loop_run running (or has loop_init been called), and is this its thread? */
bool loop_running(void);
bool loop_exists(void);

/* offload.c for loop.c. offload_sleep right before sleeping: false if work came back meanwhile, then do not sleep.
 * offload_take_back every turn, after that. */
bool offload_sleep(void);
void offload_take_back(void);

/* timers.c */
void timers_fire(nsec t);
nsec timers_next(void); /* NEVER: none */
void timers_finish(void);

/* log.c */
void log_flush(void);      /* writes what the turn gathered */
void log_last_words(void); /* the same from a signal handler */

/* crash.c: SIGSEGV and its kin name the fiber; in a guard page: "stack overflow in fiber NAME". */
void crash_init(void);
void crash_finish(void);
