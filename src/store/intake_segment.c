#include "store/intake_parts.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

/* The segments we write: how one is made, what is appended at its end, who needs it to stay. */

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
int log_segment_make(struct intake *i, struct segment **out)
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
                log_warn("intake-segment", "error=\"%s\"", strerrordesc_np(-rc));
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

bool log_usable(const struct intake *i, const struct segment *s)
{
        return s && !s->failed && !s->closed && s->end < i->limits.segment_size;
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
        s = log_usable(i, i->current) ? i->current : NULL;
        if (!s && i->current) {
                i->current->closed = true;
                i->current = NULL;
        }
        pthread_mutex_unlock(&i->mutex);
        if (!s)
                rc = log_segment_make(i, &s);
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
