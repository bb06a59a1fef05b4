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

/* Jobs lie on the stacks of the fibers that wait for them. A pool is a queue under a mutex; its idle threads are
 * counted, so that a busy pool is never signalled. What is done goes on one lock-free list; who finds it empty writes
 * the eventfd: one wake-up of the loop for all that gathers until it looks. */

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
        unsigned idle; /* waiting for work, less those signalled */
        bool stop;
        unsigned n;
        pthread_t *threads;
};

static struct workers pools[] = {
        [QUICK] = {"quick", "quick work", PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER},
        [LONG] = { "long", "long work",  PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER},
};
#define POOLS (sizeof pools / sizeof pools[0])

static _Atomic(struct job *) done;
static struct watch done_watch = { .fd = -1 };

static void hand_back(struct job *j)
{
        struct job *first = atomic_load_explicit(&done, memory_order_relaxed);
        static const uint64_t one = 1;

        do
                j->next = first;
        while (!atomic_compare_exchange_weak_explicit(&done, &first, j, memory_order_release,
                                                      memory_order_relaxed));
        if (!first && write(done_watch.fd, &one, sizeof one) != sizeof one)
                die("eventfd: %s", strerror(errno));
}

/* On the loop. The list is newest first; fibers go on in the order their work was done. */
static void take_back(struct watch *w, uint32_t events)
{
        struct job *j, *next, *oldest = NULL;
        uint64_t count;

        (void)events;
        if (read(w->fd, &count, sizeof count) < 0 && errno != EAGAIN)
                die("eventfd: %s", strerror(errno));
        for (j = atomic_exchange_explicit(&done, NULL, memory_order_acquire); j; j = next) {
                next = j->next;
                j->next = oldest;
                oldest = j;
        }
        for (j = oldest; j; j = next) {
                next = j->next; /* j is gone once its fiber runs */
                fiber_unblock(j->fiber);
        }
}

static struct job *next_job(struct workers *w)
{
        struct job *j;

        pthread_mutex_lock(&w->mutex);
        while (!w->head && !w->stop) {
                w->idle++;
                pthread_cond_wait(&w->work, &w->mutex);
        }
        j = w->head;
        if (j) {
                w->head = j->next;
                if (!w->head)
                        w->tail = NULL;
        }
        pthread_mutex_unlock(&w->mutex);
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

        assert(done_watch.fd < 0);
        done_watch = (struct watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = take_back };
        if (done_watch.fd < 0)
                return -errno;
        rc = watch_add(&done_watch, EPOLLIN);
        if (rc < 0) {
                close(done_watch.fd);
                done_watch.fd = -1;
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
        wake = w->idle > 0;
        if (wake)
                w->idle--;
        pthread_mutex_unlock(&w->mutex);
        if (wake)
                pthread_cond_signal(&w->work);
        fiber_block(w->what);
        return j.rc;
}

void offload_finish(void)
{
        size_t i;

        if (done_watch.fd < 0)
                return;
        for (i = 0; i < POOLS; i++) {
                struct workers *w = &pools[i];

                pthread_mutex_lock(&w->mutex);
                w->stop = true;
                w->idle = 0;
                pthread_mutex_unlock(&w->mutex);
                pthread_cond_broadcast(&w->work);
                while (w->n)
                        pthread_join(w->threads[--w->n], NULL);
                mem_free(w->threads);
                w->threads = NULL;
        }
        watch_remove(&done_watch);
        close(done_watch.fd);
        done_watch.fd = -1;
}
