#include "net/stream_private.h"
#include "base/mem.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Sending: the kernel moves it (sendfile). The loop itself calls for it in short slices, as long as these lie in memory; for what a disk
 * would have to be asked, a worker does. Receiving: what comes a worker writes, unless the file lies in memory; much of it by way of a pipe.
 * TLS is a worker's business, so that others have the loop meanwhile. */
static char shared[STREAM_PIECE]; /* of all streams, for the loop */

enum {
        AHEAD = 128 * 1024, /* what a disk reads at once, mostly: where its first page is, the others are */
        BULK = 1 << 20,     /* a slice of this size is followed by another, most likely */
};

/* Its calls never wait for a disk. Asked on a worker: where there is a server behind it, the question itself may wait. */
static bool in_memory(int file)
{
        struct statfs f;

        return fstatfs(file, &f) == 0 && (f.f_type == TMPFS_MAGIC || f.f_type == RAMFS_MAGIC);
}

struct sending {
        struct stream *s;
        int file;
        uint64_t at;
        size_t n;     /* asked for */
        ssize_t sent; /* or -errno */
        bool memory, dry;
};

/* The record that the socket had no room for is read again with the next slice: GnuTLS has it already. */
static ssize_t send_records(struct sending *g)
{
        size_t size = g->n < STREAM_PIECE ? g->n : STREAM_PIECE, sent = 0;
        char *room = mem_grow(NULL, size, 1);
        ssize_t got = 1, n = 0;

        g->dry = false;
        while (sent < g->n && n >= 0) {
                size_t want = g->n - sent < size ? g->n - sent : size;

                got = pread(g->file, room, want, (off_t)(g->at + sent));
                if (got <= 0)
                        break;
                n = stream_tls_write(g->s, room, (size_t)got);
                sent += n > 0 ? (size_t)n : 0;
                g->dry = n == -EAGAIN || (n > 0 && n < got);
                if (g->dry)
                        break;
        }
        n = got < 0 ? -errno : n;
        mem_free(room);
        return sent > 0 ? (ssize_t)sent : n;
}

static ssize_t send_pages(struct sending *g)
{
        off_t at = (off_t)g->at;
        size_t sent = 0;
        ssize_t n = 1;

        while (sent < g->n && n > 0) {
                do {
                        n = sendfile(g->s->watch.fd, g->file, &at, g->n - sent);
                } while (n < 0 && errno == EINTR);
                sent += n > 0 ? (size_t)n : 0;
        }
        n = n < 0 ? -errno : n;
        g->dry = n == -EAGAIN;
        return sent > 0 ? (ssize_t)sent : n;
}

static int send_slice(void *arg)
{
        struct sending *g = arg;

        g->sent = g->s->tls ? send_records(g) : send_pages(g);
        g->memory = in_memory(g->file);
        return 0;
}

static void send_by_worker(struct sending *g)
{
        struct stream *s = g->s;

        stream_offload(s, send_slice, g, &s->writable, &g->dry);
        s->bulk = g->sent >= BULK;
        s->in_memory = g->memory ? g->file : -1;
}

/* Is all of the slice in the page cache? Its pages are asked for at intervals: one that has gone meanwhile is read by the loop, then. */
static bool is_cached(const struct sending *g)
{
        char c;
        struct iovec v = { &c, 1 };
        uint64_t last = g->at + g->n - 1;

        for (uint64_t at = g->at; at < last; at += AHEAD)
                if (preadv2(g->file, &v, 1, (off_t)at, RWF_NOWAIT) < 0)
                        return false;
        return preadv2(g->file, &v, 1, (off_t)last, RWF_NOWAIT) >= 0;
}

static void send_some(struct sending *g)
{
        struct stream *s = g->s;
        size_t all = g->n;

        g->n = all < STREAM_PIECE ? all : STREAM_PIECE;
        if (!s->tls && (g->file == s->in_memory || is_cached(g))) {
                g->sent = send_pages(g);
                s->writable = !g->dry;
        } else {
                g->n = all;
                send_by_worker(g);
        }
}

int stream_send_file(struct stream *s, int file, uint64_t *at, uint64_t n, nsec patience)
{
        struct sending g = { .s = s, .file = file };
        nsec until = stream_until(patience);

        s->wrote = s->wrote || n > 0;
        s->finished = false;
        while (n > 0 && !s->error) {
                if (!s->writable) {
                        if (stream_wait(s, EPOLLOUT, "room to send", until) < 0)
                                break;
                        continue;
                }
                g.at = *at;
                g.n = stream_allowed(s, n < STREAM_SLICE ? (size_t)n : STREAM_SLICE);
                if (g.n == 0)
                        break;
                send_some(&g);
                stream_passed(s, g.sent);
                if (g.sent == 0)
                        break; /* the file ended */
                if (g.sent > 0) {
                        *at += (uint64_t)g.sent;
                        n -= (uint64_t)g.sent;
                        until = stream_until(patience);
                } else if (g.sent != -EAGAIN) {
                        stream_fail(s, (int)g.sent);
                }
                fiber_yield_if_due();
        }
        return s->error;
}

struct taking {
        struct stream *s;
        int file;
        struct str back; /* read before, and given back */
        uint64_t at;
        size_t most, got;
        bool memory, dry, ended;
        bool spliced; /* by way of a pipe, if one is to be had */
        int error;
};

static int put(struct taking *t, const char *p, size_t n)
{
        while (n > 0) {
                ssize_t put = pwrite(t->file, p, n, (off_t)(t->at + t->got));

                if (put < 0 && errno == EINTR)
                        continue;
                if (put <= 0)
                        return put < 0 ? -errno : -EIO;
                t->got += (size_t)put;
                p += put;
                n -= (size_t)put;
        }
        return 0;
}

/* What is there now. Meanwhile the kernel's buffer takes what comes. */
static void take(struct taking *t, char *room, size_t size)
{
        t->error = put(t, t->back.p, t->back.n);
        if (t->error == 0 && t->spliced) {
                size_t moved;

                t->error = stream_splice(t->s, t->file, t->at + t->got, t->most - t->got, &moved, &t->dry,
                                         &t->ended);
                t->got += moved;
                if (t->error != -EOPNOTSUPP)
                        return;
                t->error = 0;
        }
        while (t->error == 0 && t->got < t->most && !t->dry && !t->ended) {
                size_t n = t->most - t->got < size ? t->most - t->got : size;
                ssize_t came =
                    t->s->tls ? stream_tls_read(t->s, room, n) : socket_recv(t->s->watch.fd, room, n);

                if (came > 0)
                        t->error = put(t, room, (size_t)came);
                else if (came == 0)
                        t->ended = true;
                else if (came == -EAGAIN)
                        t->dry = true;
                else
                        t->error = (int)came;
        }
}

static int take_slice(void *arg)
{
        struct taking *t = arg;
        size_t size = t->most < STREAM_PIECE ? t->most : STREAM_PIECE;
        char *room = mem_grow(NULL, size, 1);

        t->memory = !t->s->tls && in_memory(t->file);
        take(t, room, size);
        mem_free(room);
        return 0;
}

static void take_one(struct taking *t)
{
        struct stream *s = t->s;

        t->back = str_sub(buf_str(&s->back), s->back_at, t->most);
        t->spliced = s->bulk && !s->tls && t->most >= BULK;
        if (t->file == s->in_memory && !s->tls) {
                take(t, shared, STREAM_PIECE);
                s->readable = !t->dry;
                s->bulk = t->got >= BULK;
        } else {
                stream_offload(s, take_slice, t, &s->readable, &t->dry);
                s->bulk = t->got >= BULK;
                s->in_memory = t->memory ? t->file : -1;
        }
        s->back_at += t->back.n;
        if (s->back_at == s->back.n) {
                buf_free(&s->back);
                s->back_at = 0;
        }
}

int stream_receive_file(struct stream *s, int file, uint64_t at, uint64_t most, uint64_t *got, nsec patience)
{
        nsec until = stream_until(patience);
        size_t slice = file == s->in_memory ? STREAM_TURN : STREAM_SLICE;
        struct taking t;

        *got = 0;
        while (!s->error && !s->ended && *got == 0 && most > 0) {
                if (!s->readable && s->back.n == 0 && !(s->tls && stream_tls_ready(s))) {
                        if (stream_wait(s, EPOLLIN, "data", until) < 0)
                                break;
                        continue;
                }
                t = (struct taking){ .s = s, .file = file, .at = at };
                t.most = stream_allowed(s, most < slice ? (size_t)most : slice);
                if (t.most == 0)
                        break;
                take_one(&t);
                stream_passed(s, (ssize_t)t.got);
                s->ended = t.ended;
                *got = t.got;
                if (t.error)
                        stream_fail(s, t.error);
                fiber_yield_if_due();
        }
        return s->error;
}
