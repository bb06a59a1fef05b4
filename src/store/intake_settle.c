#include "store/intake_parts.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/disk.h"
#include <errno.h>
#include <unistd.h>

/* The keeper of the house: a fiber that is there only while it has something to do; a timer brings it back. */

void segment_free(struct segment **s)
{
        struct segment *old = *s;

        *s = NULL;
        if (!old)
                return;
        if (old->fd >= 0)
                close(old->fd); /* and with it the lock */
        for (unsigned k = 0; k < old->touched_count; k++)
                mem_free(old->touched[k]);
        for (size_t k = 0; k < old->body_count; k++)
                mem_free(old->bodies[k]);
        for (size_t k = 0; k < old->letter_count; k++)
                letter_unref(&old->letters[k]);
        mem_free(old->bodies);
        mem_free(old->letters);
        mem_free(old->voids);
        mem_free(old);
}

bool intake_segment_exists(void *intake, uint64_t segment)
{
        struct intake *i = intake;
        char name[SEGMENT_NAME];

        segment_name(segment, name);
        if (faccessat(i->dir, name, F_OK, 0) == 0 || errno != ENOENT)
                return true;
        if (unfiled_has(i, segment))
                return true;
        return disk_sync_dir(i->dir) < 0; /* gone for good only then */
}

static int settle_accounts(struct intake *i, struct segment *s)
{
        int rc = 0;

        if (s->touched_many)
                rc = accounts_settle_all(i->accounts);
        for (unsigned k = 0; rc >= 0 && !s->touched_many && k < s->touched_count; k++) {
                struct account *a;

                rc = account_get(i->accounts, str_of(s->touched[k]), &a);
                if (rc == -ENOENT) { /* removed since; nothing of it needs to survive */
                        rc = 0;
                        continue;
                }
                if (rc >= 0) {
                        rc = account_settle(a);
                        account_put(&a);
                }
        }
        if (rc >= 0 && s->touched_outbox)
                rc = outbox_settle(i->outbox);
        return rc;
}

struct removing {
        struct intake *intake;
        struct segment *segment;
        bool needed; /* for what it voids */
};

static int mark(void *arg)
{
        struct removing *r = arg;

        return log_settled(r->intake, r->segment);
}

static int unlink_bodies(struct intake *i, struct segment *s)
{
        for (size_t k = 0; k < s->body_count; k++) {
                int rc = disk_unlink(i->dir, s->bodies[k]);

                if (rc < 0 && rc != -ENOENT)
                        return rc;
        }
        return 0;
}

/* With its mark durable a segment may come back after a power cut, and nothing is delivered. Without (its write failed
 * once), its removal has to be durable before anything relies on it. */
static int remove_files(void *arg)
{
        struct removing *r = arg;
        char name[SEGMENT_NAME];
        int fd, rc;

        segment_name(r->segment->id, name);
        rc = disk_unlink(r->intake->dir, name);
        if (rc == -ENOENT)
                rc = 0;
        if (rc >= 0 && !r->segment->marked)
                rc = disk_sync_dir(r->intake->dir);
        if (rc >= 0 && !r->segment->marked)
                rc = unlink_bodies(r->intake, r->segment);
        if (rc >= 0) { /* here, because only now the file system gives its space back, which takes a while */
                pthread_mutex_lock(&r->intake->mutex);
                fd = r->segment->fd;
                r->segment->fd = -1;
                pthread_mutex_unlock(&r->intake->mutex);
                close(fd);
        }
        return rc;
}

/* Does a segment whose records this one voids still lie there? */
static bool voids_needed(const struct intake *i, const struct segment *s)
{
        for (size_t k = 0; k < s->void_count; k++) {
                char name[SEGMENT_NAME];

                segment_name(s->voids[k], name);
                if (faccessat(i->dir, name, F_OK, 0) == 0 || errno != ENOENT)
                        return true;
        }
        return false;
}

static int before_removing(void *arg)
{
        struct removing *r = arg;
        int rc = r->segment->marked ? unlink_bodies(r->intake, r->segment) : 0;

        r->needed = voids_needed(r->intake, r->segment);
        if (rc >= 0 && r->segment->void_count && !r->needed) /* it is gone; it has to stay so */
                rc = disk_sync_dir(r->intake->dir);
        return rc;
}

static bool over(struct intake *i, const struct segment *s)
{
        bool yes;

        pthread_mutex_lock(&i->mutex);
        yes = s->closed && !s->reading && !s->open && !s->in_flight;
        pthread_mutex_unlock(&i->mutex);
        return yes;
}

static bool arriving(struct intake *i, const struct segment *s)
{
        bool yes;

        pthread_mutex_lock(&i->mutex);
        yes = s->arriving > 0;
        pthread_mutex_unlock(&i->mutex);
        return yes;
}

/* 1: gone; 0: it has to stay for now; or -errno. */
static int settle(struct intake *i, struct segment *s)
{
        struct removing r = { i, s };
        int rc = 0;

        if (!s->safe)
                rc = settle_accounts(i, s);
        if (rc < 0)
                return rc;
        s->safe = true;
        if (!s->marked && !s->failed)
                rc = offload(LONG, mark, &r);
        if (rc < 0)
                return rc;
        rc = offload(LONG, before_removing, &r);
        if (rc < 0 || r.needed || arriving(i, s))
                return rc < 0 ? rc : 0;
        rc = offload(LONG, remove_files, &r);
        if (rc < 0)
                return rc;
        if (s->failed)
                log_gone(i, s->id);
        pthread_mutex_lock(&i->mutex);
        TAILQ_REMOVE(&i->segments, s, link);
        pthread_mutex_unlock(&i->mutex);
        segment_free(&s);
        return 1;
}

/* Segments are only ever removed here, and added at the tail: the next one stays while this one waits. */
static bool settle_all(struct intake *i)
{
        struct segment *s, *next;
        bool gone = false;

        for (s = TAILQ_FIRST(&i->segments); s; s = next) {
                unsigned long long id = s->id;
                int rc = over(i, s) ? settle(i, s) : 0;

                pthread_mutex_lock(&i->mutex);
                next = rc == 1 ? TAILQ_FIRST(&i->segments) : TAILQ_NEXT(s, link);
                pthread_mutex_unlock(&i->mutex);
                gone |= rc == 1;
                if (rc < 0)
                        log_warn("intake-settle", "segment=%016llx error=\"%s\"", id, strerrordesc_np(-rc));
        }
        if (gone)
                accounts_checkpoint(i->accounts);
        return gone;
}

/* The current segment is closed when it is old and all is done, so that a quiet server ends without one; and when it
 * is very old, so that a busy one settles too. */
static void close_old(struct intake *i, nsec t)
{
        nsec after = (nsec)i->limits.settle_after * SECOND;
        bool close_it = false;

        pthread_mutex_lock(&i->mutex);
        if (i->current && i->draining)
                close_it = true;
        else if (i->current && t - i->current->made >= after)
                close_it = (!i->current->open && !i->current->in_flight) || t - i->current->made >= 4 * after;
        pthread_mutex_unlock(&i->mutex);
        if (close_it)
                log_close_current(i);
}

static void tell_again(struct intake *i)
{
        for (unsigned p = 0; p < i->hooks.processes; p++) {
                struct works again;
                struct work *w;

                TAILQ_INIT(&again);
                TAILQ_CONCAT(&again, &i->peers[p].untold, link);
                while ((w = TAILQ_FIRST(&again))) {
                        TAILQ_REMOVE(&again, w, link);
                        w->state = WORK_QUEUED; /* in no list */
                        work_tell(i, w, p);
                }
                foreign_tell(i, p);
        }
}

static nsec next_wake(struct intake *i, nsec t)
{
        nsec next = queues_due(i, t), after = (nsec)i->limits.settle_after * SECOND;
        struct segment *s;

        if (i->unfiled_next < next)
                next = i->unfiled_next;
        pthread_mutex_lock(&i->mutex);
        TAILQ_FOREACH(s, &i->segments, link)
        {
                nsec at = s == i->current ? s->made + after : t + SECOND;

                if (at < t + SECOND / 10)
                        at = t + (s->open || s->in_flight ? SECOND : SECOND / 10);
                if (at < next)
                        next = at;
        }
        pthread_mutex_unlock(&i->mutex);
        for (unsigned p = 0; p < i->hooks.processes; p++)
                if ((!TAILQ_EMPTY(&i->peers[p].untold) || i->peers[p].done_count) && t + SECOND < next)
                        next = t + SECOND;
        if (i->told_count && i->told_retry < next)
                next = i->told_retry > t ? i->told_retry : t + SECOND / 10;
        if (i->foreign && t + 5 * SECOND < next)
                next = t + 5 * SECOND;
        return next;
}

bool keep_house(struct intake *i)
{
        bool gone;

        tell_again(i);
        queues_due(i, now());
        filers_wake(i);
        close_old(i, now());
        gone = settle_all(i);
        foreign_close(i);
        if (now() >= i->unfiled_next && !i->closing) {
                int left = unfiled_retry(i);

                i->unfiled_next = left ? now() + UNFILED_AGAIN : NEVER;
        }
        wake_all(&i->room);
        return gone;
}

static void keeper(void *arg)
{
        struct intake *i = arg;
        nsec next;

        keep_house(i);
        i->keeping = false;
        next = next_wake(i, now());
        if (next != NEVER)
                keeper_wake(i, next);
        wake_all(&i->room);
}

void keeper_tick(struct timer *t)
{
        struct intake *i = (struct intake *)((char *)t - offsetof(struct intake, tick));

        if (i->keeping || i->closing)
                return;
        if (fiber_spawn("keeper of the log", keeper, i) < 0)
                timer_set(t, now() + SECOND);
        else
                i->keeping = true;
}

void keeper_wake(struct intake *i, nsec at)
{
        if (!i->threaded || i->closing || i->keeping)
                return;
        if (!i->tick.slot || at < i->tick.at)
                timer_set(&i->tick, at);
}
