#include "fibers.h"
#include "run/annotate.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Waiting and waking */

struct meeting {
        struct waitlist list;
        const char *name;
        nsec deadline;
        int rc;
};

static void waits(void *arg)
{
        struct meeting *m = arg;

        m->rc = wait_on(&m->list, "the test", m->deadline);
        note(m->rc == 0            ? "woken "
             : m->rc == -ETIMEDOUT ? "late "
             : m->rc == -ECANCELED ? "cancelled "
                                   : "? ");
}

static void wakes_one_then_all(void *arg)
{
        struct meeting *m = arg;

        note("one ");
        wake_one(&m->list);
        fiber_yield();
        note("all ");
        wake_all(&m->list);
        assert_true(waitlist_empty(&m->list));
        wake_one(&m->list); /* nobody: nothing */
}

static void wakes_in_order(void **state)
{
        struct meeting m = { .deadline = NEVER };

        (void)state;
        for (int i = 0; i < 3; i++)
                spawn(waits, &m);
        spawn(wakes_one_then_all, &m);
        assert_int_equal(fiber_count(), 4);
        assert_null(fiber_self());
        run_all();
        assert_string_equal(story, "one woken all woken woken ");
}

/* A deadline first far, then near, then far again: the lazy timer must neither fire early nor late. */
static void three_deadlines(void *arg)
{
        struct waitlist *w = arg;
        nsec start = now();

        assert_int_equal(wait_on(w, "near", start + 5 * MSECOND), -ETIMEDOUT);
        assert_true(now() >= start + 5 * MSECOND);
        assert_int_equal(wait_on(w, "far", start + 30 * MSECOND), -ETIMEDOUT);
        assert_true(now() >= start + 30 * MSECOND);
        assert_int_equal(wait_on(w, "past", 1), -ETIMEDOUT);
        assert_int_equal(fiber_sleep(now() + MSECOND), 0);
        note("done");
}

static void wakes_twice(void *arg)
{
        struct meeting *m = arg;

        m[0].rc = wait_on(&m[0].list, "a wake long before the deadline", now() + 10 * MSECOND);
        m[1].rc = wait_on(&m[1].list, "a wake after that deadline", NEVER);
}

static void sleeps_past_that_deadline(void *arg)
{
        struct meeting *m = arg;

        wake_all(&m[0].list);
        fiber_sleep(now() + 20 * MSECOND);
        wake_all(&m[1].list);
}

static void deadlines_are_kept(void **state)
{
        struct waitlist w = { 0 };
        struct meeting m[2] = { { .rc = 1 }, { .rc = 1 } };

        (void)state;
        spawn(three_deadlines, &w);
        spawn(wakes_twice, m);
        spawn(sleeps_past_that_deadline, m);
        run_all();
        assert_string_equal(story, "done");
        assert_int_equal(m[0].rc, 0);
        assert_int_equal(m[1].rc, 0);
}

static struct fiber *victim;

static void is_cancelled(void *arg)
{
        struct waitlist w = { 0 };

        (void)arg;
        victim = fiber_self();
        assert_int_equal(wait_on(&w, "a cancel", NEVER), -ECANCELED);
        assert_true(fiber_cancelled());
        assert_int_equal(wait_on(&w, "sticky", NEVER), -ECANCELED);
        assert_int_equal(fiber_sleep(NEVER), -ECANCELED);
        fiber_yield(); /* works */
        note("ended ");
}

static void cancels(void *arg)
{
        (void)arg;
        fiber_cancel(victim);
        assert_false(fiber_cancelled());
        note("cancelled ");
}

static void cancel_is_sticky(void **state)
{
        (void)state;
        spawn(is_cancelled, NULL);
        spawn(cancels, NULL);
        run_all();
        assert_string_equal(story, "cancelled ended ");
}

/* Woken first, cancelled before it runs: the wake-up must not get lost. */
static void wakes_and_cancels(void *arg)
{
        struct meeting *m = arg;

        wake_one(&m->list);
        fiber_cancel_all();
        spawn(waits, &(struct meeting){ 0 }); /* born cancelled: does not wait, so its meeting may go */
        fiber_yield();
}

static void shutdown_ends_all(void **state)
{
        struct meeting m[4] = { { .deadline = NEVER }, { .deadline = NEVER }, { .deadline = NEVER } };

        (void)state;
        for (int i = 0; i < 3; i++)
                spawn(waits, &m[i]);
        spawn(wakes_and_cancels, &m[1]);
        loop_run(); /* fiber_cancel_all stops it */
        assert_int_equal(fiber_count(), 0);
        assert_string_equal(story, "woken cancelled cancelled cancelled ");
}

static void says(void *arg)
{
        for (int i = 0; i < 3; i++) {
                note(arg);
                fiber_yield();
        }
}

static void hogs(void *arg)
{
        nsec start = now();

        (void)arg;
        fiber_yield_if_due(); /* not yet */
        note("begins ");
        while (now() - start < 6 * MSECOND)
                ;
        fiber_yield_if_due();
        note("ends ");
}

static void yields_take_turns(void **state)
{
        (void)state;
        spawn(says, (char[]){ "a" });
        spawn(says, (char[]){ "b" });
        spawn(says, (char[]){ "c" });
        run_all();
        assert_string_equal(story, "abcabcabc");
        story[0] = '\0';
        spawn(hogs, NULL);
        spawn(hogs, NULL);
        run_all();
        assert_string_equal(story, "begins begins ends ends ");
}

/* Many */

#if defined(PAIL_TSAN)
#define MANY 2000 /* the sanitizer knows 8,000 threads at most, ended ones included */
#else
#define MANY 10000
#endif

struct crowd {
        struct waitlist list;
        unsigned arrived, left;
        double sum;
};

static void joins(void *arg)
{
        struct crowd *c = arg;
        double mine = ++c->arrived; /* lives in a register or on the stack across the switch */

        assert_int_equal(wait_on(&c->list, "everybody", in_seconds(600)), 0);
        c->sum += mine;
        c->left++;
}

static void lets_go(void *arg)
{
        struct crowd *c = arg;

        assert_int_equal(c->arrived, MANY);
        wake_all(&c->list);
}

static void ten_thousand(void **state)
{
        (void)state;
        for (int round = 0; round < 2; round++) { /* the second on pooled stacks */
                struct crowd c = { 0 };

                for (int i = 0; i < MANY; i++)
                        spawn(joins, &c);
                spawn(lets_go, &c);
                run_all();
                assert_int_equal(c.left, MANY);
                assert_true(c.sum == (double)MANY * (MANY + 1) / 2);
        }
}

static void deep(void *arg)
{
        volatile char space[6000];

        space[0] = space[sizeof space - 1] = 1;
        (void)arg;
        fiber_yield();
        assert_int_equal(space[0] + space[sizeof space - 1], 2);
}

static void stack_use_is_measured(void **state)
{
        const char *name;

        (void)state;
        fiber_measure_stacks();
        spawn(deep, NULL);
        run_all();
        assert_true(fiber_most_stack(&name) >= 6000);
        assert_string_equal(name, "test");
        print_message("deepest stack: %zu bytes in fiber %s\n", fiber_most_stack(&name), name);
}

/* Locks */

struct locked {
        struct fiber_lock lock;
        struct waitlist given_up;
        unsigned inside;
};

static void takes_lock(void *arg)
{
        struct locked *l = arg;

        for (int i = 0; i < 3; i++) {
                static unsigned turn;
                static const char *const names[] = { "a", "b", "c" };

                assert_int_equal(lock_take(&l->lock, "the lock", NEVER), 0);
                assert_int_equal(l->inside++, 0);
                note(names[turn++ % 3]);
                fiber_yield();
                l->inside--;
                lock_drop(&l->lock);
        }
}

static void holds(void *arg)
{
        struct locked *l = arg;

        assert_int_equal(lock_take(&l->lock, "the lock", NEVER), 0);
        assert_int_equal(wait_on(&l->given_up, "the other", NEVER), 0);
        lock_drop(&l->lock);
        assert_true(lock_try(&l->lock)); /* nobody waited any more */
        lock_drop(&l->lock);
}

static void gives_up(void *arg)
{
        struct locked *l = arg;

        assert_false(lock_try(&l->lock));
        assert_int_equal(lock_take(&l->lock, "the lock", now() + MSECOND), -ETIMEDOUT);
        note("gave up");
        wake_all(&l->given_up);
}

/* Each takes it again at once after dropping it, but those who wait come first. */
static void lock_is_fair(void **state)
{
        struct locked l = { 0 };

        (void)state;
        assert_int_equal(lock_take(&l.lock, "free, outside of fibers", NEVER), 0);
        lock_drop(&l.lock);
        for (int i = 0; i < 3; i++)
                spawn(takes_lock, &l);
        run_all();
        assert_string_equal(story, "abcabcabc");
        assert_false(l.lock.held);
        story[0] = '\0';
        spawn(holds, &l);
        spawn(gives_up, &l);
        run_all();
        assert_string_equal(story, "gave up");
}

/* Timers: a model of the heap. Random sets, moves both ways and stops; then all must fire, in order, none early. */

static struct alarm {
        struct timer timer;
        unsigned fired;
} alarms[500];
static nsec last_fired;
static unsigned fired;

static void rings(struct timer *t)
{
        struct alarm *a = (struct alarm *)t;

        assert_true(t->at <= now());
        assert_true(t->at >= last_fired);
        assert_int_equal(t->slot, 0);
        last_fired = t->at;
        a->fired++;
        fired++;
}

static void rings_again(struct timer *t)
{
        if (++fired < 3)
                timer_set(t, 0); /* long past: fires in the next turn, not for ever in this one */
}

static void sets_timers(void *arg)
{
        nsec base = now() + 20 * MSECOND;
        unsigned stopped = 0, i;

        (void)arg;
        srand(20);
        for (i = 0; i < 5000; i++) {
                struct alarm *a = &alarms[rand() % 500];

                a->timer.fire = rings;
                if (rand() % 8 == 0)
                        timer_stop(&a->timer);
                else
                        timer_set(&a->timer, base + rand() % 1000 * 10000);
        }
        for (i = 0; i < 500; i++)
                stopped += alarms[i].timer.slot == 0;
        for (i = 0; i < 10; i++)
                if (alarms[i].timer.slot) {
                        timer_set(&alarms[i].timer, NEVER); /* stays in the heap, but does not fire */
                        stopped++;
                }
        while (now() < base + 10 * MSECOND) /* all at once, so that their order is only the heap's */
                ;
        fiber_sleep(now() + 2 * MSECOND);
        assert_true(stopped > 10 && stopped < 250);
        assert_int_equal(fired, 500 - stopped);
        for (i = 0; i < 500; i++)
                assert_true(alarms[i].fired <= 1);
}

static void sleeps_a_while(void *arg)
{
        (void)arg;
        fiber_sleep(now() + 5 * MSECOND);
}

static void timers_fire_in_order(void **state)
{
        struct timer again = { .fire = rings_again };

        (void)state;
        spawn(sets_timers, NULL);
        run_all();
        fired = 0;
        timer_set(&again, 1);
        spawn(sleeps_a_while, NULL);
        run_all();
        assert_int_equal(fired, 3);
}

/* Descriptors, hooks, signals */

static struct watch ends[2];

static void removes_other(struct watch *w, uint32_t events)
{
        assert_true(events & EPOLLIN);
        watch_remove(w == &ends[0] ? &ends[1] : &ends[0]);
        note("ready ");
}

static void two_at_once(void **state)
{
        int a[2], b[2];

        (void)state;
        assert_int_equal(pipe2(a, O_CLOEXEC) + pipe2(b, O_CLOEXEC), 0);
        ends[0] = (struct watch){ a[0], removes_other };
        ends[1] = (struct watch){ b[0], removes_other };
        assert_int_equal(watch_add(&ends[0], EPOLLIN), 0);
        assert_int_equal(watch_add(&ends[1], EPOLLIN), 0);
        assert_int_equal(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
        spawn(sleeps_a_while, NULL);
        run_all();
        assert_string_equal(story,
                            "ready "); /* the second was removed while its event lay in the same turn */
        for (int i = 0; i < 2; i++)
                close(a[i]), close(b[i]);
}

static void turn_ends(struct turn_end *t)
{
        (void)t;
        if (!strstr(story, "end"))
                note("end ");
}

static void signalled(int signo)
{
        note(signo == SIGUSR1 ? "usr1 " : "term ");
        if (signo == SIGTERM)
                loop_stop();
}

static void raises(void *arg)
{
        (void)arg;
        kill(getpid(), SIGUSR2); /* blocked, nobody asked for it */
        kill(getpid(), SIGUSR1);
        note("raised ");
        fiber_sleep(now() + MSECOND);
        kill(getpid(), SIGTERM);
}

static void hooks_and_signals(void **state)
{
        static struct turn_end hook = { .run = turn_ends };

        (void)state;
        loop_at_turn_end(&hook);
        loop_signal(SIGUSR1, signalled);
        loop_signal(SIGTERM, signalled);
        spawn(raises, NULL);
        loop_run();
        assert_string_equal(story, "raised end usr1 term ");
        signal(SIGUSR2, SIG_IGN); /* it is pending still */
}

/* Offload */

struct task {
        int n;
        pthread_barrier_t *together;
        pthread_t thread;
};

static int works(void *arg)
{
        struct task *t = arg;

        if (t->together)
                pthread_barrier_wait(t->together); /* ends only if all of them run at the same time */
        t->thread = pthread_self();
        return t->n * 2;
}

static void offloads(void *arg)
{
        struct task *t = arg;

        assert_int_equal(offload(QUICK, works, t), t->n * 2);
        if (!t->together) {
                char digit[2] = { (char)('0' + t->n), 0 };

                note(digit);
        }
}

static void ends_though_cancelled(void *arg)
{
        struct task *t = arg;

        victim = fiber_self();
        assert_int_equal(offload(LONG, works, t), 18);
        assert_true(fiber_cancelled());
        note("whole ");
}

static void offload_order(void **state)
{
        struct task tasks[8] = { 0 };

        (void)state;
        assert_int_equal(offload(QUICK, works, &(struct task){ 21 }), 42); /* no threads, no fiber: inline */
        assert_int_equal(offload_start(1, 1), 0);
        for (int i = 0; i < 8; i++) {
                tasks[i].n = i;
                spawn(offloads, &tasks[i]);
        }
        run_all();
        assert_string_equal(story, "01234567"); /* one thread: first come, first served */
        assert_true(pthread_equal(tasks[0].thread, tasks[7].thread));
        assert_false(pthread_equal(tasks[0].thread, pthread_self()));
        story[0] = '\0';
        spawn(ends_though_cancelled, &(struct task){ 9 });
        spawn(cancels, NULL);
        run_all();
        assert_string_equal(story, "cancelled whole ");
}

static void offload_at_once(void **state)
{
        static struct task tasks[400];
        pthread_barrier_t together;

        (void)state;
        pthread_barrier_init(&together, NULL, 4);
        assert_int_equal(offload_start(4, 0), 0);
        for (int i = 0; i < 400; i++) {
                tasks[i] = (struct task){ .n = i, .together = &together };
                spawn(offloads, &tasks[i]);
        }
        run_all();
        pthread_barrier_destroy(&together);
}

int main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, begin, finish)
        static const struct CMUnitTest tests[] = {
                row(wakes_in_order),        row(deadlines_are_kept), row(cancel_is_sticky),
                row(shutdown_ends_all),     row(yields_take_turns),  row(ten_thousand),
                row(stack_use_is_measured), row(lock_is_fair),       row(timers_fire_in_order),
                row(two_at_once),           row(hooks_and_signals),  row(offload_order),
                row(offload_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
