/* The files of a mirror: a queue, and connections that take from it, many commands ahead. */
#include "cli/ftp/mirror.h"
#include "base/mem.h"
#include "proto/ftp/time.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { TRIES_OF_ITEM = 5, TIMES_MOST = 48 };
/* A login costs a server as much as some dozens of small files: more than a few connections only for many files. */
enum { FEW = 3, FILES_FOR_ONE = 8, FILES_FOR_MORE = 32 };

struct moving {
        struct ftp_transfer transfer; /* its context is this */
        struct moving *next;          /* of the worker's, not done */
        struct worker *worker;
        struct item *item;
        char *there;
        int dir, file; /* dir: where the part file takes its name */
        char part[NAME_ROOM];
        uint64_t seen; /* of its bytes, by the progress line */
};
struct worker {
        struct mirror *mirror;
        struct site *site;
        struct moving *flying;
        struct item *times[TIMES_MOST]; /* sent; their time is to be set there */
        unsigned times_n;
};

/* ---- the queue ---- */

static void item_free(struct item *i)
{
        mem_free(i->path);
        mem_free(i);
}

static void put_back(struct mirror *m, struct item *i)
{
        i->next = NULL;
        *m->end = i;
        m->end = &i->next;
        m->queued++;
        wake_all(&m->changed);
}

static struct item *take(struct mirror *m)
{
        struct item *i = m->console->stopped ? NULL : m->first;

        if (!i)
                return NULL;
        m->first = i->next;
        if (!m->first)
                m->end = &m->first;
        m->queued--;
        wake_all(&m->changed);
        return i;
}

static void worker_fiber(void *arg);

/* One more connection, where there is work for it and the server has not refused the last. */
static void hire(struct mirror *m)
{
        unsigned each = m->workers < FEW ? FILES_FOR_ONE : FILES_FOR_MORE;

        if (!m->crowded && m->queued > each * m->workers && m->workers + 1 < m->how->parallel &&
            fiber_spawn("ftp mirror", worker_fiber, m) == 0)
                m->workers++;
}

void mirror_add(struct mirror *m, const char *path, uint64_t size, int64_t time)
{
        struct item *i = mem_new(struct item);

        i->path = mem_string(str_of(path));
        i->size = size;
        i->time = m->how->no_times ? INT64_MIN : time;
        put_back(m, i);
        hire(m);
        while (m->queued > QUEUE_MOST && m->workers && !m->console->stopped)
                if (wait_on(&m->changed, "the queue", now() + SECOND / 4) == -ECANCELED)
                        return;
}

/* ---- one file ---- */

static void moved(void *context, uint64_t bytes)
{
        struct moving *g = context;
        struct mirror *m = g->worker->mirror;

        if (bytes > g->seen)
                m->moving += bytes - g->seen;
        g->seen = bytes;
        shown_at(&m->shown, m->moving);
}

static void moving_free(struct moving *g)
{
        if (g->file >= 0)
                close(g->file);
        if (g->dir >= 0)
                close(g->dir);
        mem_free(g->there);
        mem_free(g);
}

static int open_part(struct mirror *m, struct moving *g)
{
        const char *name;
        uint64_t have;
        int rc;

        g->dir = mirror_above(m, g->item->path, &name);
        if (g->dir < 0)
                return g->dir;
        rc = local_part(g->dir, name, g->part, !g->item->tries || !coding_plain(&m->console->coding), &have);
        g->transfer.offset = have;
        return rc;
}

static int open_source(struct mirror *m, struct moving *g)
{
        int fd = local_beneath(m->root, g->item->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
        struct stat st;

        if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
                close(fd);
                return -EINVAL;
        }
        return fd;
}

static struct moving *begin(struct worker *w, struct item *i)
{
        struct mirror *m = w->mirror;
        struct moving *g = mem_new(struct moving);
        struct arena auto_arena a = { 0 };

        arena_init(&a, LINE_MOST);
        g->worker = w;
        g->item = i;
        g->dir = -1;
        g->there = mem_string(str_of(mirror_there(m, i->path, &a)));
        g->transfer = (struct ftp_transfer){ .move = m->how->reverse ? FTP_PUT : FTP_GET,
                                             .remote = g->there,
                                             .progress = moved,
                                             .context = g,
                                             .rate = m->console->rate_most ? &m->console->rate : NULL };
        g->file = m->how->reverse ? open_source(m, g) : open_part(m, g);
        g->transfer.file = g->file;
        if (g->file >= 0)
                return g;
        mirror_fail(m, say_errno(m->console, g->file, i->path));
        m->failed++;
        item_free(i);
        moving_free(g);
        return NULL;
}

static struct ftp_transfer *next(void *context)
{
        struct worker *w = context;
        struct mirror *m = w->mirror;
        struct moving *g = NULL;
        struct item *i;

        if (w->times_n >= TIMES_MOST / 2) /* the others of these are still flying */
                return NULL;
        while (!g && (i = take(m)))
                g = begin(w, i);
        if (!g)
                return NULL;
        g->next = w->flying;
        w->flying = g;
        return &g->transfer;
}

static int arrived(struct mirror *m, struct moving *g)
{
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = g->item->time } };

        if (m->how->reverse)
                return 0;
        if (g->item->time != INT64_MIN)
                (void)futimens(g->file, times);
        return local_whole(g->dir, g->part, local_base(g->item->path).p);
}

/* What is lost on the way is tried again, by whoever takes it. */
static void finish(struct worker *w, struct moving *g, int rc)
{
        struct mirror *m = w->mirror;
        struct item *i = g->item;
        struct stat st;

        if (rc == 0 && (rc = arrived(m, g)) < 0) {
                mirror_fail(m, say_errno(m->console, rc, i->path));
                m->failed++;
        } else if (rc == 0) {
                m->files++;
                m->bytes += g->transfer.bytes;
                if (m->how->reverse && i->time != INT64_MIN && w->times_n < TIMES_MOST) {
                        w->times[w->times_n++] = i;
                        i = NULL;
                }
        } else if (!m->console->stopped &&
                   (site_lost(rc, &g->transfer.answer) || g->transfer.answer.code / 100 == 4) &&
                   i->tries++ < TRIES_OF_ITEM) {
                put_back(m, i);
                i = NULL;
        } else if (!m->console->stopped) {
                mirror_fail(m, site_failed(m->site, rc, &g->transfer.answer, i->path));
                m->failed++;
        }
        if (rc < 0 && !m->how->reverse && i && fstat(g->file, &st) == 0 && !st.st_size)
                unlinkat(g->dir, g->part, 0);
        if (i)
                item_free(i);
        moving_free(g);
}

static void done(void *context, struct ftp_transfer *t, int rc)
{
        struct worker *w = context;
        struct moving *g = t->context, **at = &w->flying;

        while (*at && *at != g)
                at = &(*at)->next;
        if (*at)
                *at = g->next;
        finish(w, g, rc);
}

/* ---- a connection's work ---- */

/* MFMT for what was sent, all asked at once. */
static void set_times(struct worker *w)
{
        struct mirror *m = w->mirror;
        bool can = w->site->client && ftp_client_offers(w->site->client) & FTP_HAS_MFMT;
        unsigned asked = 0;
        struct ftp_answer answer;

        w->site->hush++;
        for (unsigned i = 0; i < w->times_n; i++) {
                struct buf auto_buf time = { 0 };
                struct arena auto_arena a = { 0 };

                arena_init(&a, LINE_MOST);
                buf_init(&time, 32);
                put_ftp_time(&time, w->times[i]->time * 1000000);
                if (can && ftp_client_ask_ahead(w->site->client, "MFMT " PRS " %s", STR(buf_str(&time)),
                                                mirror_there(m, w->times[i]->path, &a)) == 0)
                        asked++;
                item_free(w->times[i]);
        }
        w->times_n = 0;
        while (asked--) {
                int rc = ftp_client_answer(w->site->client, &answer);

                if (rc < 0 && rc != -EREMOTEIO)
                        break;
        }
        w->site->hush--;
}

/* A helper's connection gets one more try: where the server wants fewer, those that stand do the work. The console's own has more patience;
 * when it stands again, there may be room for helpers again. */
static bool connected_again(struct worker *w)
{
        struct mirror *m = w->mirror;

        if (site_again(w->site) != EX_OK)
                return false;
        if (w->site == m->site)
                m->crowded = false;
        return true;
}

/* Until the queue is empty and nothing more comes. false: the connection is lost for good. */
static bool work(struct worker *w)
{
        struct mirror *m = w->mirror;

        while (!m->console->stopped) {
                struct ftp_many many = { next, done, w };
                int rc;

                if (w->site == m->site)
                        hire(m);
                if (!m->first && m->listed)
                        return true;
                if (!m->first) {
                        if (wait_on(&m->changed, "files to move", NEVER) < 0)
                                return true;
                        continue;
                }
                w->site->hush++;
                rc = ftp_client_many(w->site->client, &many);
                w->site->hush--;
                while (w->flying) /* what it has not told of */
                        done(w, &w->flying->transfer, rc < 0 ? rc : -ECONNRESET);
                set_times(w);
                if (rc < 0 && rc != -EREMOTEIO && rc != -EBADMSG && !m->console->stopped &&
                    !connected_again(w))
                        return false;
        }
        return true;
}

static void worker_fiber(void *arg)
{
        struct mirror *m = arg;
        struct site *own = mem_new(struct site);
        struct worker w = { .mirror = m, .site = own };

        site_init(own, &m->helpers);
        own->hush++;
        if (site_like(own, m->site) != EX_OK || !work(&w))
                m->crowded = true;
        site_close(own);
        mem_free(own);
        m->workers--;
        wake_all(&m->changed);
}

void mirror_work(struct mirror *m)
{
        struct worker w = { .mirror = m, .site = m->site };

        if (m->site->client && !work(&w))
                mirror_fail(m, EX_UNAVAILABLE);
}

void mirror_join(struct mirror *m)
{
        while (m->workers)
                if (wait_on(&m->changed, "workers", NEVER) < 0) {
                        console_stop(&m->helpers);
                        fiber_yield();
                }
        while (m->first) { /* nobody could */
                struct item *i = m->first;

                m->first = i->next;
                m->failed++;
                item_free(i);
        }
}
