#include "run/inside.h"
#include "run/log.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS 1024
#define SLOW   (50 * MSECOND)

static struct {
        int epoll;
        bool exists, running, stop;
        struct epoll_event events[EVENTS]; /* of this turn */
        int n, at;                         /* how many, and which is being looked at */
        struct turn_end *ends;
        struct watch signals;
        sigset_t handled, mask_before;
        void (*handlers[65])(int signo);
} loop = { .epoll = -1 };
static _Thread_local bool loop_thread;

bool loop_exists(void)
{
        return loop.exists && loop_thread;
}

bool loop_running(void)
{
        return loop.running && loop_thread;
}

int watch_add(struct watch *w, uint32_t events)
{
        struct epoll_event e = { .events = events | EPOLLET, .data.ptr = w };

        return epoll_ctl(loop.epoll, EPOLL_CTL_ADD, w->fd, &e) < 0 ? -errno : 0;
}

void watch_change(struct watch *w, uint32_t events)
{
        struct epoll_event e = { .events = events | EPOLLET, .data.ptr = w };

        if (epoll_ctl(loop.epoll, EPOLL_CTL_MOD, w->fd, &e) < 0)
                die("watch_change: descriptor %d: %s", w->fd, strerror(errno));
}

void watch_remove(struct watch *w)
{
        int i;

        if (epoll_ctl(loop.epoll, EPOLL_CTL_DEL, w->fd, NULL) < 0)
                die("watch_remove: descriptor %d: %s", w->fd, strerror(errno));
        for (i = loop.at; i < loop.n; i++) /* the rest of this turn's */
                if (loop.events[i].data.ptr == w)
                        loop.events[i].data.ptr = NULL;
}

void loop_at_turn_end(struct turn_end *t)
{
        struct turn_end **last = &loop.ends;

        while (*last)
                last = &(*last)->next;
        t->next = NULL;
        *last = t;
}

void loop_not_at_turn_end(struct turn_end *t)
{
        for (struct turn_end **at = &loop.ends; *at; at = &(*at)->next)
                if (*at == t) {
                        *at = t->next;
                        return;
                }
}

static void signals_ready(struct watch *w, uint32_t events)
{
        struct signalfd_siginfo info;

        (void)events;
        while (read(w->fd, &info, sizeof info) == sizeof info)
                if (info.ssi_signo < 65 && loop.handlers[info.ssi_signo])
                        loop.handlers[info.ssi_signo]((int)info.ssi_signo);
}

void loop_signal(int signo, void (*fn)(int signo))
{
        assert(loop.exists && signo > 0 && signo < 65);
        loop.handlers[signo] = fn;
        if (fn)
                sigaddset(&loop.handled, signo);
        else
                sigdelset(&loop.handled, signo);
        if (signalfd(loop.signals.fd, &loop.handled, 0) < 0)
                die("signalfd: %s", strerror(errno));
}

/* All signals wait for the signalfd, but those a fault raises at once, and those by which a person stops and
 * continues a program at a terminal. */
static void block_signals(void)
{
        static const int open[] = { SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT, SIGTRAP,
                                    SIGSYS,  SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU, SIGPROF };
        sigset_t blocked;
        size_t i;

        sigfillset(&blocked);
        for (i = 0; i < sizeof open / sizeof open[0]; i++)
                sigdelset(&blocked, open[i]);
        sigprocmask(SIG_SETMASK, &blocked, &loop.mask_before);
        signal(SIGPIPE, SIG_IGN);
}

void loop_init(void)
{
        assert(!loop.exists);
        block_signals();
        sigemptyset(&loop.handled);
        loop.epoll = epoll_create1(EPOLL_CLOEXEC);
        loop.signals = (struct watch){ .fd = signalfd(-1, &loop.handled, SFD_CLOEXEC | SFD_NONBLOCK),
                                       .ready = signals_ready };
        if (loop.epoll < 0 || loop.signals.fd < 0 || watch_add(&loop.signals, EPOLLIN) < 0)
                die("no loop: %s", strerror(errno));
        loop.exists = loop_thread = true;
        fibers_init();
        crash_init();
}

/* Rounded up: waking a little early would be a turn for nothing. */
static int milliseconds_to_sleep(void)
{
        nsec next, t;

        if (fibers_ready() || (loop.stop && !fiber_count()))
                return 0;
        next = timers_next();
        if (next == NEVER)
                return -1;
        t = now();
        if (next <= t)
                return 0;
        return next - t > 3600 * SECOND ? 3600 * 1000 : (int)((next - t + MSECOND - 1) / MSECOND);
}

static void turn(void)
{
        struct longest longest = { 0, "-" };
        struct turn_end *e;
        int sleep = milliseconds_to_sleep();
        nsec begin, took;

        if (sleep && !offload_sleep())
                sleep = 0;
        loop.n = epoll_wait(loop.epoll, loop.events, EVENTS, sleep);
        if (loop.n < 0 && errno != EINTR)
                die("epoll_wait: %s", strerror(errno));
        begin = now();
        for (loop.at = 0; loop.at < loop.n; loop.at++) {
                struct watch *w = loop.events[loop.at].data.ptr;

                if (w)
                        w->ready(w, loop.events[loop.at].events);
        }
        loop.n = 0;
        timers_fire(begin);
        offload_take_back();
        fibers_run(&longest);
        for (e = loop.ends; e; e = e->next)
                e->run(e);
        took = now() - begin;
        if (took > SLOW)
                log_warn("loop-slow", "ms=%lld fiber=%s fiber_ms=%lld", (long long)(took / MSECOND),
                         longest.name, (long long)(longest.took / MSECOND));
        log_flush();
}

void loop_run(void)
{
        assert(loop.exists && !loop.running && !fiber_self());
        loop.running = true;
        while (!loop.stop || fiber_count())
                turn();
        loop.running = loop.stop = false;
        fibers_loop_ended();
}

void loop_stop(void)
{
        loop.stop = true;
}

void loop_finish(void)
{
        int signo;

        assert(loop.exists && !loop.running);
        for (signo = 0; signo < 65; signo++)
                loop.handlers[signo] = NULL;
        close(loop.signals.fd);
        close(loop.epoll);
        loop.epoll = -1;
        loop.exists = loop_thread = false;
        loop.ends = NULL;
        timers_finish();
        fibers_finish();
        crash_finish();
        sigprocmask(SIG_SETMASK, &loop.mask_before, NULL);
}
