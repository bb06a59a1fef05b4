#include "store/intake_parts.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/disk.h"
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Zeros are written ahead of the records, so that most flushes neither grow the file nor allocate: then fdatasync
 * writes the data and no journal. bench/intake on ext4, 2 cores, letters a second with and without: one sender 7,400
 * and 4,800, fifty 120,000 and 98,000. */
#define AHEAD_LEAST ((uint64_t)64 * 1024)
#define AHEAD_MOST  ((uint64_t)4 * 1024 * 1024)
#define FLUSH_BYTES ((size_t)8 * 1024 * 1024)
static const char zeros[64 * 1024];

struct batch {
        struct letter *first;
        unsigned n;
        bool staged;
        struct segment *segment; /* NULL: one has to be made */
};

/* Under mutex: what waits, at most so many, and the segment it goes to. */
static struct batch take(struct intake *i)
{
        struct batch b = { .first = i->pending };
        struct letter **last = &i->pending;
        size_t bytes = 0;

        while (*last && b.n < FLUSH_AT_ONCE && bytes < FLUSH_BYTES) {
                b.n++;
                b.staged |= (*last)->body != NULL;
                bytes += (*last)->envelope.n + (*last)->text.n;
                last = &(*last)->next;
        }
        i->pending = *last;
        *last = NULL;
        if (!i->pending)
                i->pending_last = &i->pending;
        if (log_usable(i, i->current)) {
                b.segment = i->current;
                b.segment->in_flight += b.n;
        } else if (i->current) {
                i->current->closed = true;
                i->current = NULL;
        }
        return b;
}

/* Gives each letter of the batch its place and lays it out for one write. */
static uint64_t lay_out(struct intake *i, struct segment *s, const struct batch *b, int *pieces)
{
        uint64_t at = s->end;
        uint16_t within = 0;
        int n = 0;

        for (struct letter *l = b->first; l; l = l->next) {
                l->segment = s;
                l->place.segment = s->id;
                l->place.sequence = ++s->sequence;
                l->place.offset = at;
                l->place.length = (uint32_t)(sizeof l->head + l->envelope.n + l->text.n);
                l->place.owner = i->hooks.self;
                l->head =
                    (struct record_head){ .segment = s->id, .sequence = s->sequence, .within = within++ };
                record_seal(&l->head, s->start, l->body ? RECORD_STAGED : RECORD_LETTER,
                            buf_str(&l->envelope), buf_str(&l->text));
                i->iov[n++] = (struct iovec){ &l->head, sizeof l->head };
                i->iov[n++] = (struct iovec){ l->envelope.p, l->envelope.n };
                if (l->text.n)
                        i->iov[n++] = (struct iovec){ l->text.p, l->text.n };
                at += l->place.length;
        }
        *pieces = n;
        return at;
}

/* Only for speed: where it fails, the records are there all the same. */
static void write_ahead(struct intake *i, struct segment *s, uint64_t end)
{
        uint64_t more = end - SEGMENT_START;
        int n = 0;

        if (more < AHEAD_LEAST)
                more = AHEAD_LEAST;
        if (more > AHEAD_MOST)
                more = AHEAD_MOST;
        for (uint64_t left = more; left; n++) {
                size_t piece = left < sizeof zeros ? (size_t)left : sizeof zeros;

                i->iov[n] = (struct iovec){ (void *)(uintptr_t)zeros, piece };
                left -= piece;
        }
        if (disk_pwritev(s->fd, i->iov, n, (off_t)end) >= 0)
                s->zeroed = end + more;
}

static int write_batch(struct intake *i, struct segment *s, const struct batch *b)
{
        int n, rc;
        uint64_t end = lay_out(i, s, b, &n);

        rc = disk_pwritev(s->fd, i->iov, n, (off_t)s->end);
        if (rc >= 0 && end > s->zeroed)
                write_ahead(i, s, end);
        if (rc >= 0 && b->staged)
                rc = disk_sync_dir(i->dir);
        if (rc >= 0)
                rc = disk_datasync(s->fd);
        if (rc >= 0)
                s->end = end;
        return rc;
}

/* The flush failed, and nobody knows what of it will reach the disk. The segment is never written again; cutting it
 * keeps a replay in this boot from finding the records, voiding them in the next segment one after a power cut. Only
 * then is anybody told that it failed. */
static void give_up(struct intake *i, struct segment *s, uint64_t first, int rc)
{
        struct record_void v = { s->id, first, s->sequence };
        struct segment *next;

        log_warn("intake-flush", "segment=%016llx records=%llu error=\"%s\"", (unsigned long long)s->id,
                 (unsigned long long)(v.last - v.first + 1), strerrordesc_np(-rc));
        pthread_mutex_lock(&i->mutex);
        s->failed = true;
        s->closed = true;
        if (i->current == s)
                i->current = NULL;
        i->voids = mem_grow(i->voids, i->void_count + 1, sizeof *i->voids);
        i->voids[i->void_count++] = v;
        pthread_mutex_unlock(&i->mutex);
        (void)disk_truncate(s->fd, (off_t)s->end);
        if (log_segment_make(i, &next) < 0)
                log_warn("intake-void", "segment=%016llx what=\"its failed records could not be voided\"",
                         (unsigned long long)s->id);
}

/* writing is held. false: nothing waited. */
static bool flush_some(struct intake *i)
{
        struct batch b;
        uint64_t first;
        bool wake;
        int rc = 0;

        pthread_mutex_lock(&i->mutex);
        b = take(i);
        pthread_mutex_unlock(&i->mutex);
        if (!b.n)
                return false;
        if (!b.segment) {
                rc = log_segment_make(i, &b.segment);
                if (rc >= 0) {
                        pthread_mutex_lock(&i->mutex);
                        b.segment->in_flight += b.n;
                        pthread_mutex_unlock(&i->mutex);
                }
        }
        if (rc >= 0) {
                first = b.segment->sequence + 1;
                rc = write_batch(i, b.segment, &b);
                if (rc < 0)
                        give_up(i, b.segment, first, rc);
        }
        pthread_mutex_lock(&i->mutex);
        i->numbers.flushes++;
        wake = !i->done;
        *i->done_last = b.first;
        for (struct letter *l = b.first; l; l = l->next) {
                l->rc = rc < 0 ? rc : 0;
                l->flushed = true;
                i->done_last = &l->next;
        }
        pthread_cond_broadcast(&i->flushed);
        pthread_mutex_unlock(&i->mutex);
        if (wake && i->threaded && eventfd_write(i->bell.fd, 1) < 0)
                die("eventfd: %m");
        return true;
}

void log_flush_inline(struct intake *i)
{
        pthread_mutex_lock(&i->writing);
        while (flush_some(i))
                ;
        pthread_mutex_unlock(&i->writing);
        log_hand_over(i);
}

static void *flusher(void *arg)
{
        struct intake *i = arg;

        pthread_mutex_lock(&i->mutex);
        for (;;) {
                while (!i->pending && !i->stop) {
                        i->asleep = true;
                        pthread_cond_wait(&i->work, &i->mutex);
                        i->asleep = false;
                }
                if (!i->pending)
                        break;
                pthread_mutex_unlock(&i->mutex);
                pthread_mutex_lock(&i->writing);
                flush_some(i);
                pthread_mutex_unlock(&i->writing);
                pthread_mutex_lock(&i->mutex);
        }
        pthread_mutex_unlock(&i->mutex);
        return NULL;
}

/* On the loop: what was flushed goes to its queues, and those who wait go on. */
void log_hand_over(struct intake *i)
{
        struct letter *l, *next;

        pthread_mutex_lock(&i->mutex);
        l = i->done;
        i->done = NULL;
        i->done_last = &i->done;
        for (struct letter *k = l; k; k = k->next)
                if (k->segment) {
                        k->segment->in_flight--;
                        if (k->rc == 0)
                                segment_add_letter(k->segment, k);
                }
        pthread_mutex_unlock(&i->mutex);
        for (; l; l = next) {
                next = l->next;
                l->next = NULL;
                l->handed = true;
                wake_all(&l->committed);
                if (l->rc == 0) {
                        i->numbers.accepted++;
                        letter_queue(i, l);
                } else {
                        letter_unref(&l);
                }
        }
        filers_wake(i);
        keeper_wake(i, now() + SECOND);
}

static void bell_rings(struct watch *w, uint32_t events)
{
        struct intake *i = (struct intake *)((char *)w - offsetof(struct intake, bell));
        eventfd_t count;

        (void)events;
        (void)eventfd_read(w->fd, &count);
        log_hand_over(i);
}

struct flush_wait {
        struct intake *intake;
        struct letter *letter;
};

static int wait_flushed(void *arg)
{
        struct flush_wait *w = arg;

        pthread_mutex_lock(&w->intake->mutex);
        while (!w->letter->flushed)
                pthread_cond_wait(&w->intake->flushed, &w->intake->mutex);
        pthread_mutex_unlock(&w->intake->mutex);
        return 0;
}

int log_commit(struct intake *i, struct letter *l)
{
        struct flush_wait w = { i, l };
        bool wake;

        pthread_mutex_lock(&i->mutex);
        *i->pending_last = l;
        i->pending_last = &l->next;
        wake = i->asleep;
        i->asleep = false;
        pthread_mutex_unlock(&i->mutex);
        if (!i->threaded || !fiber_self()) {
                log_flush_inline(i);
                if (!l->handed) /* the flusher took it first */
                        wait_flushed(&w);
        } else if (wake) {
                pthread_cond_signal(&i->work);
        }
        /* A cancelled fiber must not give an answer the disk does not agree with: it waits where nobody cancels. */
        while (!l->handed)
                if (!fiber_self() || wait_on(&l->committed, "the log's flush", NEVER) == -ECANCELED) {
                        if (fiber_self())
                                offload(LONG, wait_flushed, &w);
                        log_hand_over(i);
                }
        return l->rc;
}

int log_start(struct intake *i)
{
        sigset_t all, before;
        int rc;

        i->bell = (struct watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = bell_rings };
        if (i->bell.fd < 0)
                return -errno;
        rc = watch_add(&i->bell, EPOLLIN);
        if (rc == -EBADF) { /* no loop in this process: everything goes inline */
                close(i->bell.fd);
                i->bell.fd = -1;
                return 0;
        }
        if (rc < 0) {
                close(i->bell.fd);
                i->bell.fd = -1;
                return rc;
        }
        sigfillset(&all); /* signals are the loop's */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        i->threaded = true;
        rc = -pthread_create(&i->flusher, NULL, flusher, i);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc == 0) {
                pthread_setname_np(i->flusher, "flusher");
                return 0;
        }
        i->threaded = false;
        watch_remove(&i->bell);
        close(i->bell.fd);
        i->bell.fd = -1;
        return rc;
}

void log_stop(struct intake *i)
{
        if (!i->threaded)
                return;
        pthread_mutex_lock(&i->mutex);
        i->stop = true;
        pthread_mutex_unlock(&i->mutex);
        pthread_cond_signal(&i->work);
        pthread_join(i->flusher, NULL);
        watch_remove(&i->bell);
        close(i->bell.fd);
        i->bell.fd = -1;
        i->threaded = false;
        log_hand_over(i);
}

void log_close_current(struct intake *i)
{
        pthread_mutex_lock(&i->mutex);
        if (i->current)
                i->current->closed = true;
        i->current = NULL;
        pthread_mutex_unlock(&i->mutex);
}
