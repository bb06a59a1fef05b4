#include "store/intake_parts.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/disk.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

/* Zeros are written ahead of the records, so that most flushes neither grow the file nor allocate: then fdatasync
 * writes the data and no journal. docs/performance.md has the difference. */
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

int log_segment_lock(int fd)
{
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        if (fcntl(fd, F_OFD_SETLK, &l) == 0)
                return 0;
        return errno == EACCES ? -EAGAIN : -errno;
}

static uint64_t random_u64(void)
{
        uint64_t v = 0;

        while (getrandom(&v, sizeof v, 0) != sizeof v)
                ;
        return v;
}

/* The head, and void records for what failed before: durable before this segment takes anything else. */
static int segment_begin(struct segment *s, const struct record_void *voids, size_t n)
{
        struct iovec v;
        struct buf b;
        int rc;

        buf_init(&b, SEGMENT_START + 128 * n);
        segment_head_write(&b, s->id, random_u64(), &s->start);
        s->voids = mem_array(n, sizeof *s->voids);
        for (size_t k = 0; k < n; k++) {
                struct record_head head = { .segment = s->id, .sequence = ++s->sequence };
                struct buf payload;

                buf_init(&payload, 24);
                buf_u64(&payload, voids[k].segment);
                buf_u64(&payload, voids[k].first);
                buf_u64(&payload, voids[k].last);
                record_seal(&head, s->start, RECORD_VOID, S(""), buf_str(&payload));
                buf_put(&b, &head, sizeof head);
                buf_puts(&b, buf_str(&payload));
                buf_free(&payload);
                s->voids[s->void_count++] = voids[k].segment;
        }
        s->end = s->zeroed = b.n;
        v = (struct iovec){ b.p, b.n };
        rc = disk_pwritev(s->fd, &v, 1, 0);
        buf_free(&b);
        return rc < 0 ? rc : disk_datasync(s->fd);
}

/* A new segment: made under another name, so that nobody finds it without its lock and its head. */
static int segment_make(struct intake *i, struct segment **out)
{
        struct segment *s = mem_new(struct segment);
        struct record_void *voids;
        char name[SEGMENT_NAME], making[SEGMENT_NAME];
        size_t n;
        int rc;

        do {
                s->id = (uint64_t)(wall_usec() / 1000000) << 24 | (random_u64() & 0xffffff);
                segment_name(s->id, name);
        } while (!s->id || faccessat(i->dir, name, F_OK, 0) == 0);
        snprintf(making, sizeof making, "%016llx.new", (unsigned long long)s->id);
        s->made = now();
        s->fd = rc = disk_create(i->dir, making, 0);
        if (rc >= 0)
                rc = log_segment_lock(s->fd);
        if (rc >= 0) {
                pthread_mutex_lock(&i->mutex);
                n = i->void_count;
                voids = mem_array(n, sizeof *voids);
                mem_copy(voids, n * sizeof *voids, str_from(i->voids, n * sizeof *voids));
                pthread_mutex_unlock(&i->mutex);
                rc = segment_begin(s, voids, n);
                mem_free(voids);
        }
        if (rc >= 0)
                rc = disk_rename(i->dir, making, i->dir, name);
        if (rc >= 0)
                rc = disk_sync_dir(i->dir);
        if (rc < 0) {
                log_warn("intake-segment", "error=%s", strerrordesc_np(-rc));
                if (s->fd >= 0 && disk_unlink(i->dir, making) < 0)
                        (void)disk_unlink(i->dir, name);
                segment_free(&s);
                return rc;
        }
        s->first = s->sequence + 1;
        *out = s;
        pthread_mutex_lock(&i->mutex);
        TAILQ_INSERT_TAIL(&i->segments, s, link);
        i->current = s;
        pthread_mutex_unlock(&i->mutex);
        return 0;
}

static bool usable(const struct intake *i, const struct segment *s)
{
        return s && !s->failed && !s->closed && s->end < i->limits.segment_size;
}

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
        if (usable(i, i->current)) {
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

static int write_ahead(struct intake *i, struct segment *s, uint64_t end)
{
        uint64_t more = end - SEGMENT_START;
        int n = 0, rc;

        if (more < AHEAD_LEAST)
                more = AHEAD_LEAST;
        if (more > AHEAD_MOST)
                more = AHEAD_MOST;
        for (uint64_t left = more; left; n++) {
                size_t piece = left < sizeof zeros ? (size_t)left : sizeof zeros;

                i->iov[n] = (struct iovec){ (void *)(uintptr_t)zeros, piece };
                left -= piece;
        }
        rc = disk_pwritev(s->fd, i->iov, n, (off_t)end);
        if (rc >= 0)
                s->zeroed = end + more;
        return rc;
}

static int write_batch(struct intake *i, struct segment *s, const struct batch *b)
{
        int n, rc;
        uint64_t end = lay_out(i, s, b, &n);

        rc = disk_pwritev(s->fd, i->iov, n, (off_t)s->end);
        if (rc >= 0 && end > s->zeroed)
                rc = write_ahead(i, s, end);
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

        log_warn("intake-flush", "segment=%016llx records=%llu error=%s", (unsigned long long)s->id,
                 (unsigned long long)(v.last - v.first + 1), strerrordesc_np(-rc));
        pthread_mutex_lock(&i->mutex);
        s->failed = s->closed = true;
        if (i->current == s)
                i->current = NULL;
        i->voids = mem_grow(i->voids, i->void_count + 1, sizeof *i->voids);
        i->voids[i->void_count++] = v;
        pthread_mutex_unlock(&i->mutex);
        (void)disk_truncate(s->fd, (off_t)s->end);
        if (segment_make(i, &next) < 0)
                log_warn("intake-void", "segment=%016llx: its failed records could not be voided",
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
                rc = segment_make(i, &b.segment);
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

int log_settled(struct intake *i, struct segment *s)
{
        struct record_head head = { .segment = s->id, .sequence = s->sequence + 1 };
        struct iovec v = { &head, sizeof head };
        int rc;

        record_seal(&head, s->start, RECORD_SETTLED, S(""), S(""));
        rc = disk_pwritev(s->fd, &v, 1, (off_t)s->end);
        if (rc >= 0)
                rc = disk_datasync(s->fd);
        if (rc < 0) {
                pthread_mutex_lock(&i->mutex);
                s->failed = true;
                pthread_mutex_unlock(&i->mutex);
                return rc;
        }
        s->marked = true;
        return 0;
}

void log_gone(struct intake *i, uint64_t segment)
{
        size_t n = 0;

        pthread_mutex_lock(&i->mutex);
        for (size_t k = 0; k < i->void_count; k++)
                if (i->voids[k].segment != segment)
                        i->voids[n++] = i->voids[k];
        i->void_count = n;
        pthread_mutex_unlock(&i->mutex);
}

static int make_current(void *arg)
{
        struct intake *i = arg;
        struct segment *s;
        int rc = 0;

        pthread_mutex_lock(&i->writing);
        pthread_mutex_lock(&i->mutex);
        s = usable(i, i->current) ? i->current : NULL;
        if (!s && i->current) {
                i->current->closed = true;
                i->current = NULL;
        }
        pthread_mutex_unlock(&i->mutex);
        if (!s)
                rc = segment_make(i, &s);
        pthread_mutex_unlock(&i->writing);
        return rc;
}

struct segment *log_arriving(struct intake *i)
{
        struct segment *s = NULL;

        while (!s) {
                pthread_mutex_lock(&i->mutex);
                if (i->current && !i->current->failed && !i->current->closed) {
                        s = i->current;
                        s->arriving++;
                }
                pthread_mutex_unlock(&i->mutex);
                if (!s && offload(LONG, make_current, i) < 0)
                        return NULL;
        }
        return s;
}

void log_arrived(struct intake *i, struct segment *s)
{
        pthread_mutex_lock(&i->mutex);
        s->arriving--;
        pthread_mutex_unlock(&i->mutex);
        keeper_wake(i, now() + SECOND);
}
