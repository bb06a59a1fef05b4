#include "unit.h"
#include "run/annotate.h"
#include "run/channel.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What happened, in order: every test notes letters and compares the whole text at its end. */
static char story[256];

static void note(const char *what)
{
        size_t n = strlen(story);

        assert_true(n + strlen(what) < sizeof story);
        memcpy(story + n, what, strlen(what) + 1);
}

static void spawn(fiber_fn *fn, void *arg)
{
        assert_int_equal(fiber_spawn("test", fn, arg), 0);
}

/* Until every fiber has ended. */
static void run_all(void)
{
        loop_stop();
        loop_run();
        assert_int_equal(fiber_count(), 0);
}

static int begin(void **state)
{
        (void)state;
        story[0] = '\0';
        loop_init();
        return 0;
}

static int finish(void **state)
{
        (void)state;
        offload_finish();
        loop_finish();
        return 0;
}

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

/* Channels */

enum { ASK_DOUBLE = 1, ASK_SLOW, TELL_STORY, ASK_FD, TELL_SINK };

static struct channel *left, *right;
static struct waitlist slow, slow_begun;
static unsigned sunk, slow_handlers;

static void doubles(struct channel_message *m)
{
        char text[16];
        int n = snprintf(text, sizeof text, "%d", 2 * atoi(m->body.p ? m->body.p : ""));

        fiber_yield();
        channel_answer(m, str_from(text, (size_t)n), -1);
}

static void never_answers(struct channel_message *m)
{
        slow_handlers++;
        wake_all(&slow_begun);
        (void)wait_on(&slow, "for ever", NEVER);
        slow_handlers--;
        (void)channel_answer(m, S("too late"), -1); /* nobody waits any more, or the channel is gone */
}

static void tells(struct channel_message *m)
{
        assert_ptr_equal(m->context, story);
        assert_int_equal(m->body.n, 6);
        note("told ");
}

/* Reads a byte from the descriptor it got, and gives a pipe with another one back. */
static void swaps_fd(struct channel_message *m)
{
        char c = '?';
        int p[2];

        assert_int_equal(read(m->fd, &c, 1), 1);
        assert_int_equal(fcntl(m->fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        c++;
        assert_int_equal(write(p[1], &c, 1), 1);
        assert_int_equal(channel_answer(m, S("here"), p[0]), 0);
        close(p[0]);
        close(p[1]);
}

static void sinks(struct channel_message *m)
{
        assert_int_equal(m->body.n, CHANNEL_BODY);
        sunk++;
}

static const struct channel_kind kinds[] = {
        {ASK_DOUBLE,     "double", doubles },
        { ASK_SLOW,       "slow", never_answers },
        { TELL_STORY,      "story", tells },
        { ASK_FD, "fd", swaps_fd },
        { TELL_SINK,    "sink", sinks },
        { 0        },
};

static void right_closed(struct channel *c, void *context)
{
        assert_ptr_equal(c, right);
        assert_ptr_equal(context, story);
        note("closed ");
        channel_free(&right);
}

static void connect_both(void)
{
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        left = channel_new(pair[0], NULL, NULL, NULL);
        right = channel_new(pair[1], kinds, story, right_closed);
}

static unsigned asked;
static void asks_double(void *arg)
{
        char text[16];
        auto_buf struct buf answer;
        int n = snprintf(text, sizeof text, "%u", ++asked);

        (void)arg;
        buf_init(&answer, 64);
        n = n + 1; /* with its NUL */
        assert_int_equal(
            channel_ask(left, ASK_DOUBLE, str_from(text, (size_t)n), -1, &answer, NULL, in_seconds(60)), 0);
        buf_u8(&answer, 0);
        assert_int_equal(atoi(answer.p), 2 * atoi(text));
}

static void asks_the_rest(void *arg)
{
        auto_buf struct buf answer;
        int p[2], fd;
        char c = 'a';

        (void)arg;
        buf_init(&answer, 64);
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        assert_int_equal(write(p[1], &c, 1), 1);
        assert_int_equal(channel_ask(left, ASK_FD, S("take"), p[0], &answer, &fd, NEVER), 0);
        assert_true(str_eq(buf_str(&answer), S("here")));
        assert_int_equal(read(fd, &c, 1), 1);
        assert_int_equal(c, 'b');
        close(fd), close(p[0]), close(p[1]);
        assert_int_equal(channel_tell(left, TELL_STORY, S("a word"), -1), 0);
        assert_int_equal(channel_ask(left, ASK_SLOW, S(""), -1, NULL, NULL, now() + 2 * MSECOND), -ETIMEDOUT);
        while (!slow_handlers)
                fiber_yield();
        wake_all(&slow);
}

static void asks_in_vain(void *arg)
{
        (void)arg;
        assert_int_equal(channel_ask(left, ASK_SLOW, S(""), -1, NULL, NULL, NEVER), -EPIPE);
        assert_int_equal(channel_ask(left, ASK_SLOW, S(""), -1, NULL, NULL, NEVER), -EPIPE);
        assert_int_equal(channel_tell(left, TELL_STORY, S("a word"), -1), -EPIPE);
        note("broken ");
}

static void hangs_up(void *arg)
{
        (void)arg;
        assert_int_equal(wait_on(&slow_begun, "the question", NEVER), 0);
        channel_free(&right);
        wake_all(&slow); /* the handlers, which outlive their channel */
}

static void channel_asks_and_tells(void **state)
{
        (void)state;
        connect_both();
        for (int i = 0; i < 1500; i++) /* more than may be handled at once */
                spawn(asks_double, NULL);
        run_all();
        spawn(asks_the_rest, NULL);
        run_all();
        spawn(asks_in_vain, NULL);
        spawn(hangs_up, NULL);
        run_all();
        assert_string_equal(story, "told broken ");
        channel_free(&left);
}

/* Nobody reads while the fiber runs: the socket fills, then the queue, then it is refused. Later all arrive. */
static void floods(void *arg)
{
        static char body[CHANNEL_BODY];
        unsigned *sent = arg, i;
        int rc = 0;

        for (i = 0; i < 10000 && rc == 0; i++)
                rc = channel_tell(left, TELL_SINK, str_from(body, sizeof body), -1);
        *sent = i - 1;
        assert_int_equal(rc, -ENOBUFS);
        while (sunk < *sent)
                fiber_yield();
        channel_free(&left);
        while (right)
                fiber_yield();
}

static void channel_queue_is_bounded(void **state)
{
        unsigned sent = 0;

        (void)state;
        connect_both();
        spawn(floods, &sent);
        run_all();
        assert_true(sent > 64); /* the queue's MB alone holds 64 */
        assert_int_equal(sunk, sent);
        assert_string_equal(story, "closed ");
}

/* The other side is a thread that reads and writes plain packets: what a verb sees. */
static void *other_side(void *arg)
{
        struct {
                uint16_t kind, flags;
                uint32_t id;
                char body[4];
        } m;
        int fd = *(int *)arg;

        while (recv(fd, &m, 12, 0) == 8) {
                m.id -= 1; /* an answer nobody waits for */
                m.flags = 1;
                send(fd, &m, 12, 0);
                m.id += 1;
                memcpy(m.body, "fine", 4);
                send(fd, &m, 12, 0);
        }
        close(fd);
        return NULL;
}

static void channel_without_loop(void **state)
{
        auto_buf struct buf answer;
        pthread_t thread;
        int pair[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        pthread_create(&thread, NULL, other_side, &pair[1]);
        left = channel_new(pair[0], NULL, NULL, NULL);
        buf_init(&answer, 64);
        for (int i = 0; i < 3; i++) {
                buf_clear(&answer);
                assert_int_equal(channel_ask(left, 1, S(""), -1, &answer, NULL, in_seconds(60)), 0);
                assert_str(buf_str(&answer), S("fine"));
        }
        assert_int_equal(channel_tell(left, 1, S("bye"), -1), 0); /* 11 bytes: ends the other side */
        assert_int_equal(channel_ask(left, 1, S(""), -1, NULL, NULL, in_seconds(60)), -EPIPE);
        channel_free(&left);
        pthread_join(thread, NULL);
}

/* Children */

struct child {
        void (*run)(void);
        bool killed; /* by a signal, not by exit */
        const char *says;
};

/* Deeper than any stack here. */
static int overflow(unsigned depth)
{
        volatile char frame[512];

        frame[depth % sizeof frame] = 1;
        return depth ? overflow(depth - 1) + frame[0] : 0;
}

static void overflows(void *arg)
{
        fiber_note("k3f9");
        *(volatile int *)arg = overflow(10000000);
}

static void child_overflows(void)
{
        loop_init();
        (void)fiber_spawn("deep-thinker", overflows, &(int){ 0 });
        loop_run();
}

static void child_sends_nonsense(void)
{
        loop_init();
        connect_both();
        channel_tell(left, 77, S(""), -1);
        loop_run();
}

static void aborts(void *arg)
{
        (void)arg;
        log_event("last", "word=%s", log_str(S("a\nb")));
        abort();
}

static void child_aborts(void)
{
        log_role("mail.0");
        loop_init();
        (void)fiber_spawn("quitter", aborts, NULL);
        loop_run();
}

static void hogs_long(void *arg)
{
        nsec start = now();

        (void)arg;
        while (now() - start < 60 * MSECOND)
                ;
}

static void child_is_slow(void)
{
        loop_init();
        (void)fiber_spawn("snail", hogs_long, NULL);
        loop_stop();
        loop_run();
}

static void waits_for_mail(void *arg)
{
        struct waitlist w = { 0 };

        (void)arg;
        fiber_note("k3f9");
        raise(SIGQUIT); /* blocked: seen by the loop, when this fiber waits */
        (void)wait_on(&w, "mail", NEVER);
}

static void dumps(int signo)
{
        (void)signo;
        fiber_dump(STDERR_FILENO);
        fiber_cancel_all();
}

static void child_dumps(void)
{
        loop_init();
        loop_signal(SIGQUIT, dumps);
        (void)fiber_spawn("reader", waits_for_mail, NULL);
        loop_run();
}

/* A reader that stops reading: writing the log does not block, what is lost is counted, and the count is told. */
static void child_floods_log(void)
{
        static char text[256 * 1024];
        int p[2], out = dup(STDERR_FILENO);
        size_t total = 0;
        char *line;
        ssize_t n;

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        dup2(p[1], STDERR_FILENO);
        for (int i = 0; i < 3000; i++)
                log_event("flood", "number=%d padding=%0100d", i, 0);
        fcntl(p[0], F_SETFL, O_NONBLOCK);
        for (int i = 0; i < 3; i++) { /* what lies in the pipe, what lay in the buffer, what came after */
                while ((n = read(p[0], text + total, sizeof text - 1 - total)) > 0)
                        total += (size_t)n;
                if (i < 2)
                        log_event("after", "%s", "");
        }
        line = strstr(text, "event=log-dropped");
        if (line && strstr(line, "event=after") && write(out, line, strlen(line)) > 0)
                _exit(0);
        _exit(1);
}

/* Runs it in a child and gives what it wrote to stderr. */
static bool run_child(void (*run)(void), char *text, size_t room)
{
        int p[2], status;
        size_t n = 0;
        ssize_t got;
        pid_t pid;

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                dup2(p[1], STDERR_FILENO);
                for (int s = 1; s < 32; s++)
                        signal(s, SIG_DFL); /* not cmocka's */
                run();
                _exit(0);
        }
        close(p[1]);
        while (n < room - 1 && (got = read(p[0], text + n, room - 1 - n)) > 0)
                n += (size_t)got;
        text[n] = '\0';
        close(p[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void last_words(void **state)
{
        static const struct {
                void (*run)(void);
                bool fails;
                const char *says;
        } rows[] = {
                {child_overflows,       true,  "stack overflow in fiber deep-thinker note=k3f9\n"                 },
                { child_sends_nonsense, true,  "the other side sent kind 77"                                      },
                { child_aborts,         true,  "role=mail.0 event=last word=\"a\\x0ab\"\ncrash in fiber quitter\n"},
                { child_is_slow,        false, "event=loop-slow level=warn ms="                                   },
                { child_is_slow,        false, "fiber=snail"                                                      },
                { child_dumps,          false, "fiber=reader note=k3f9 waiting for mail since"                    },
                { child_floods_log,     false, "event=log-dropped level=warn lines="                              },
        };
        char text[4096];

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                bool failed = run_child(rows[i].run, text, sizeof text);

                if (!strstr(text, rows[i].says))
                        fail_msg("row %zu: \"%s\" does not say \"%s\"", i, text, rows[i].says);
                assert_int_equal(failed, rows[i].fails);
        }
}

static void log_quotes(void **state)
{
        static const struct {
                struct str in;
                const char *out;
        } rows[] = {
                {S("jack@town.com"),         "jack@town.com"            },
                { S(""),                     "\"\""                     },
                { S("a b"),                  "\"a b\""                  },
                { S("x=\"\\"),               "\"x=\\\"\\\\\""           },
                { S("a\r\n\0\x7f"),          "\"a\\x0d\\x0a\\x00\\x7f\""},
                { S("j\xc3\xb6rg"),          "\"j\xc3\xb6rg\""          },
                { S("\xff\xc3"),             "\"\\xff\\xc3\""           },
                { S("\xc2\x9b"
                    "31m"),
                 "\"\\xc2\\x9b"
                  "31m\""                                               }, /* a terminal's CSI */
        };
        char big[2000];

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_string_equal(log_str(rows[i].in), rows[i].out);
        memset(big, '\n', sizeof big);
        assert_true(strlen(log_str(str_from(big, sizeof big))) < 512);
}

int main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, begin, finish)
        static const struct CMUnitTest tests[] = {
                row(wakes_in_order),           row(deadlines_are_kept),
                row(cancel_is_sticky),         row(shutdown_ends_all),
                row(yields_take_turns),        row(ten_thousand),
                row(stack_use_is_measured),    row(lock_is_fair),
                row(timers_fire_in_order),     row(two_at_once),
                row(hooks_and_signals),        row(offload_order),
                row(offload_at_once),          row(channel_asks_and_tells),
                row(channel_queue_is_bounded), cmocka_unit_test(channel_without_loop),
                cmocka_unit_test(last_words),  cmocka_unit_test(log_quotes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
