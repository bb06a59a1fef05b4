#include "run/inside.h"
#include "run/log.h"
#include "run/offload.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Jobs lie on the stacks of the fibers that wait for them. A pool is a queue under a mutex. Waking a thread is what
 * costs, so few are woken: one at a time, and a thread that finds more work than its own wakes the next. What is done
 * goes on one lock-free list, at which the loop looks each turn; the eventfd is written only if the loop sleeps. */

struct job {
        int (*fn)(void *arg);
        void *arg;
        int rc;
        struct fiber *fiber;
        struct job *next;
};

struct workers {
        const char *name, *what;
        pthread_mutex_t mutex;
        pthread_cond_t work;
        struct job *head, *tail;
        unsigned idle; /* threads waiting for work */
        bool waking;   /* one of them was signalled, and does not run yet */
        bool stop;
        unsigned n;
        pthread_t *threads;
};

static struct workers pools[] = {
        [QUICK] = { "quick", "quick work", PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP, PTHREAD_COND_INITIALIZER },
        [LONG] = { "long", "long work", PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP, PTHREAD_COND_INITIALIZER },
};
#define POOLS (sizeof pools / sizeof pools[0])

static _Atomic(struct job *) done;
static atomic_bool loop_sleeps;
static struct watch bell = { .fd = -1 };

/* The list and the flag are both looked at after the other was written, here and in offload_sleep, and in one order
 * for all: so either we see that the loop sleeps, or it sees that there is something to take back. */
static void hand_back(struct job *j)
{
        struct job *first = atomic_load_explicit(&done, memory_order_relaxed);
        static const uint64_t one = 1;

        do
                j->next = first;
        while (!atomic_compare_exchange_weak(&done, &first, j));
        if (atomic_load(&loop_sleeps) && atomic_exchange(&loop_sleeps, false) &&
            write(bell.fd, &one, sizeof one) != sizeof one)
                die("eventfd: %s", strerror(errno));
}

bool offload_sleep(void)
{
        if (bell.fd < 0)
                return true;
        atomic_store(&loop_sleeps, true);
        return !atomic_load(&done);
}

/* The list is newest first; fibers go on in the order their work was done. */
void offload_take_back(void)
{
        struct job *j, *next, *oldest = NULL;

        if (bell.fd < 0)
                return;
        atomic_store_explicit(&loop_sleeps, false, memory_order_relaxed);
        if (!atomic_load_explicit(&done, memory_order_relaxed))
                return;
        for (j = atomic_exchange(&done, NULL); j; j = next) {
                next = j->next;
                j->next = oldest;
                oldest = j;
        }
        for (j = oldest; j; j = next) {
                next = j->next; /* j is gone once its fiber runs */
                fiber_unblock(j->fiber);
        }
}

/* That it rings is enough: each turn takes back. Edge-triggered, so nobody reads the counter. */
static void rung(struct watch *w, uint32_t events)
{
        (void)w;
        (void)events;
}

/* With the mutex held: shall a thread be signalled? */
static bool wake_another(struct workers *w)
{
        if (!w->head || !w->idle || w->waking)
                return false;
        w->waking = true;
        return true;
}

static struct job *next_job(struct workers *w)
{
        struct job *j;
        bool another;

        pthread_mutex_lock(&w->mutex);
        while (!w->head && !w->stop) {
                w->idle++;
                pthread_cond_wait(&w->work, &w->mutex);
                w->idle--;
                w->waking = false;
        }
        j = w->head;
        if (j) {
                w->head = j->next;
                if (!w->head)
                        w->tail = NULL;
        }
        another = wake_another(w);
        pthread_mutex_unlock(&w->mutex);
        if (another)
                pthread_cond_signal(&w->work);
        return j;
}

static void *worker(void *arg)
{
        struct workers *w = arg;
        struct job *j;

        while ((j = next_job(w))) {
                j->rc = j->fn(j->arg);
                hand_back(j);
        }
        return NULL;
}

/* They inherit the loop's signal mask: all blocked but what a fault raises. */
static int start_threads(struct workers *w, unsigned n)
{
        int rc = 0;

        w->threads = mem_array(n ? n : 1, sizeof *w->threads);
        w->stop = false;
        for (w->n = 0; w->n < n && !rc; w->n++) {
                char name[16];

                rc = pthread_create(&w->threads[w->n], NULL, worker, w);
                if (rc)
                        break;
                snprintf(name, sizeof name, "%s-%u", w->name, w->n % 1000);
                pthread_setname_np(w->threads[w->n], name);
        }
        return -rc;
}

int offload_start(unsigned quick_threads, unsigned long_threads)
{
        int rc;

        assert(bell.fd < 0);
        bell = (struct watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = rung };
        if (bell.fd < 0)
                return -errno;
        rc = watch_add(&bell, EPOLLIN);
        if (rc < 0) {
                close(bell.fd);
                bell.fd = -1;
                return rc;
        }
        rc = start_threads(&pools[QUICK], quick_threads);
        if (rc == 0)
                rc = start_threads(&pools[LONG], long_threads);
        if (rc < 0)
                offload_finish();
        return rc;
}

int offload(enum pool pool, int (*fn)(void *arg), void *arg)
{
        struct workers *w = &pools[pool];
        struct job j = { .fn = fn, .arg = arg, .fiber = fiber_self() };
        bool wake;

        if (!j.fiber || !w->n)
                return fn(arg);
        pthread_mutex_lock(&w->mutex);
        if (w->tail)
                w->tail->next = &j;
        else
                w->head = &j;
        w->tail = &j;
        wake = wake_another(w);
        pthread_mutex_unlock(&w->mutex);
        if (wake)
                pthread_cond_signal(&w->work);
        fiber_block(w->what);
        return j.rc;
}

void offload_finish(void)
{
        size_t i;

        if (bell.fd < 0)
                return;
        for (i = 0; i < POOLS; i++) {
                struct workers *w = &pools[i];

                pthread_mutex_lock(&w->mutex);
                w->stop = true;
                pthread_mutex_unlock(&w->mutex);
                pthread_cond_broadcast(&w->work);
                while (w->n)
                        pthread_join(w->threads[--w->n], NULL);
                mem_free(w->threads);
                w->threads = NULL;
        }
        watch_remove(&bell);
        close(bell.fd);
        bell.fd = -1;
}
