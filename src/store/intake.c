#include "store/intake_parts.h"
#include "base/mem.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* intake/unfiled is made with the folder, so that no letter has to wait for it. */
static int open_unfiled(void *arg)
{
        struct intake *i = arg;
        int rc = disk_mkdir(i->dir, "unfiled");

        if (rc >= 0)
                rc = disk_sync_dir(i->dir);
        if (rc < 0 && rc != -EEXIST)
                return rc;
        i->unfiled_dir = rc = disk_open_dir(i->dir, "unfiled");
        if (rc < 0)
                return rc;
        rc = unfiled_clean(i);
        i->unfiled_next = rc > 0 ? now() : NEVER;
        return rc < 0 ? rc : 0;
}

int intake_open(struct intake **out, int dir, struct accounts *accounts, struct outbox *outbox,
                const struct intake_limits *limits, const struct intake_hooks *hooks)
{
        struct intake *i = mem_new(struct intake);
        int rc;

        *i = (struct intake){ .dir = dir,
                              .unfiled_dir = -1,
                              .accounts = accounts,
                              .outbox = outbox,
                              .limits = *limits,
                              .hooks = *hooks,
                              .bell = { .fd = -1 },
                              .tick = { .fire = keeper_tick },
                              .unfiled_next = NEVER };
        if (!i->hooks.processes)
                i->hooks.processes = 1;
        i->peers = mem_array(i->hooks.processes, sizeof *i->peers);
        for (unsigned p = 0; p < i->hooks.processes; p++) {
                TAILQ_INIT(&i->peers[p].told);
                TAILQ_INIT(&i->peers[p].untold);
        }
        TAILQ_INIT(&i->segments);
        TAILQ_INIT(&i->ready);
        TAILQ_INIT(&i->later);
        TAILQ_INIT(&i->gathering);
        i->gathered.fire = queues_gather_tick;
        i->pending_last = &i->pending;
        i->done_last = &i->done;
        i->iov = mem_array(IOV_MAX, sizeof *i->iov);
        pthread_mutex_init(&i->mutex, NULL);
        pthread_mutex_init(&i->writing, NULL);
        pthread_cond_init(&i->work, NULL);
        pthread_cond_init(&i->flushed, NULL);
        rc = offload(LONG, open_unfiled, i);
        if (rc >= 0)
                rc = log_start(i);
        if (rc < 0) {
                intake_close(&i);
                return rc;
        }
        accounts_segments(accounts, intake_segment_exists, i);
        if (outbox)
                outbox_segments(outbox, intake_segment_exists, i);
        if (i->unfiled_next != NEVER)
                keeper_wake(i, i->unfiled_next);
        *out = i;
        return 0;
}

static bool empty(struct intake *i)
{
        bool yes;

        pthread_mutex_lock(&i->mutex);
        yes = TAILQ_EMPTY(&i->segments) && !i->pending && !i->done;
        pthread_mutex_unlock(&i->mutex);
        return yes && !i->told_count && !i->open_works;
}

static void pause_until(nsec at)
{
        struct timespec until = { .tv_sec = at / SECOND, .tv_nsec = at % SECOND };

        if (fiber_self())
                (void)fiber_sleep(at);
        else
                (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int drain_here(struct intake *i, nsec deadline)
{
        while (!empty(i)) {
                nsec t = now(), due;
                bool moved = false;

                while (file_one_batch(i))
                        moved = true;
                moved |= keep_house(i);
                if (moved)
                        continue;
                if (t >= deadline)
                        return -ETIMEDOUT;
                due = queues_due(i, t);
                if (due > t + SECOND / 10)
                        due = t + SECOND / 10;
                pause_until(due < deadline ? due : deadline);
        }
        return 0;
}

int intake_drain(struct intake *i, nsec deadline)
{
        int rc = 0;

        i->draining = true;
        queues_gathered(i, NEVER);
        if (!fiber_self() || !i->threaded) {
                rc = drain_here(i, deadline);
        } else {
                for (nsec at = now(); !empty(i) && rc == 0; at = now() + SECOND / 20) {
                        filers_wake(i);
                        keeper_wake(i, at);
                        rc = wait_on(&i->room, "the log to be empty", deadline);
                }
        }
        i->draining = false;
        return rc;
}

/* What is left open is on disk: the next process replays it. */
static void forget(struct intake *i)
{
        struct segment *s;
        struct letter *l;

        for (unsigned k = 0; k < QUEUES; k++)
                for (struct queue *q = i->buckets[k]; q; q = q->bucket) {
                        struct work *w = TAILQ_FIRST(&q->works), *next;

                        for (; w; w = next) {
                                next = TAILQ_NEXT(w, link);
                                l = w->letter;
                                if (l->foreign) {
                                        l->foreign->references--;
                                        letter_unref(&l);
                                }
                        }
                }
        queues_free(i);
        while ((s = TAILQ_FIRST(&i->segments))) {
                TAILQ_REMOVE(&i->segments, s, link);
                segment_free(&s);
        }
        foreign_close(i);
}

void intake_close(struct intake **i)
{
        struct intake *old = *i;

        *i = NULL;
        if (!old)
                return;
        log_stop(old);
        timer_stop(&old->tick);
        old->closing = true;
        while (fiber_self() && (old->filers || old->keeping))
                if (wait_on(&old->room, "the filers to end", NEVER) < 0)
                        fiber_yield();
        forget(old);
        accounts_segments(old->accounts, NULL, NULL);
        if (old->outbox)
                outbox_segments(old->outbox, NULL, NULL);
        for (unsigned p = 0; p < old->hooks.processes; p++)
                mem_free(old->peers[p].done);
        mem_free(old->peers);
        mem_free(old->told);
        mem_free(old->voids);
        mem_free(old->iov);
        pthread_mutex_destroy(&old->mutex);
        pthread_mutex_destroy(&old->writing);
        pthread_cond_destroy(&old->work);
        pthread_cond_destroy(&old->flushed);
        if (old->unfiled_dir >= 0)
                close(old->unfiled_dir);
        close(old->dir);
        mem_free(old);
}

struct summing {
        struct intake *intake;
        uint64_t segments, bytes;
};

static int sum_up(void *arg)
{
        struct summing *n = arg;
        struct segment *s;
        struct stat st;

        pthread_mutex_lock(&n->intake->mutex);
        TAILQ_FOREACH(s, &n->intake->segments, link)
        {
                n->segments++;
                if (fstat(s->fd, &st) == 0)
                        n->bytes += (uint64_t)st.st_size;
        }
        pthread_mutex_unlock(&n->intake->mutex);
        return 0;
}

void intake_numbers(struct intake *i, struct intake_numbers *out)
{
        struct summing n = { .intake = i };

        offload(QUICK, sum_up, &n);
        pthread_mutex_lock(&i->mutex);
        *out = i->numbers;
        pthread_mutex_unlock(&i->mutex);
        out->segments = n.segments;
        out->log_bytes = n.bytes;
}
