#include "net/conn_private.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>

#define STOPPING (5 * SECOND) /* what a peer who reads nothing may hold up the end of the server */

static nsec sooner(const struct conn *c, nsec deadline)
{
        nsec end = now() + STOPPING;

        return c->stop && end < deadline ? end : deadline;
}

int conn_send_all(struct conn *c, struct iovec *v, int count, nsec deadline)
{
        ssize_t n;
        int rc;

        while (count > 0 && !c->failed) {
                if (v->iov_len == 0) {
                        v++;
                        count--;
                        continue;
                }
                n = c->tls ? tls_write(c, v->iov_base, v->iov_len) : raw_write(c, v, count);
                if (n == -EAGAIN) {
                        deadline = sooner(c, deadline);
                        rc = conn_wait(c, EPOLLOUT, "output", deadline);
                        if (rc < 0 && !c->writable) {
                                conn_fail(c);
                                return rc;
                        }
                } else if (n < 0) {
                        conn_fail(c);
                        return (int)n;
                }
                for (; n > 0; v++, count--) {
                        if ((size_t)n < v->iov_len) {
                                v->iov_base = (char *)v->iov_base + n;
                                v->iov_len -= (size_t)n;
                                break;
                        }
                        n -= (ssize_t)v->iov_len;
                }
        }
        return c->failed ? -EPIPE : 0;
}

/* sync: the peer shall be able to read all of it; else some may stay in a compressor. */
static int send_gathered(struct conn *c, bool sync, nsec deadline)
{
        struct iovec v = { c->out.p, c->out.n };
        int rc;

        if (c->failed)
                return -EPIPE;
        if (c->out.n == 0 && !(sync && c->zip && zip_unsent(c)))
                return 0;
        rc = c->zip ? zip_send(c, str_from(v.iov_base, v.iov_len), sync, deadline)
                    : conn_send_all(c, &v, 1, deadline);
        c->out.n = 0;
        fiber_yield_if_due();
        return rc;
}

int conn_flush(struct conn *c, nsec deadline)
{
        return send_gathered(c, true, deadline);
}

static void gather(struct conn *c, struct str s)
{
        struct iovec v[2];

        if (c->failed)
                return;
        if (s.n >= SEND_STRAIGHT && !c->tls && !c->zip) {
                v[0] = (struct iovec){ c->out.p, c->out.n };
                v[1] = (struct iovec){ (char *)s.p, s.n };
                conn_send_all(c, v, 2, now() + c->flush_within);
                c->out.n = 0;
                fiber_yield_if_due();
                return;
        }
        while (s.n > 0 && !c->failed) {
                struct str part = str_sub(s, 0, GATHER - c->out.n);

                /* a page for replies, or at once the whole for a body: it does not grow by steps */
                mem_copy(room_need(&c->out, part.n, GATHER, OUT_MOST), part.n, part);
                c->out.n += (uint32_t)part.n;
                s = str_from_at(s, part.n);
                if (c->out.n >= GATHER)
                        send_gathered(c, false, now() + c->flush_within);
        }
}

void conn_put(struct conn *c, struct str s)
{
        if (c->watched)
                tap_out(c, s);
        gather(c, s);
}

void conn_body(struct conn *c, struct str piece)
{
        if (c->watched)
                tap_body_out(c, piece.n);
        gather(c, piece);
}

void conn_vprintf(struct conn *c, const char *format, va_list args)
{
        char *at = room_need(&c->out, 1, GATHER, OUT_MOST);
        size_t left = c->out.cap - c->out.n;
        va_list again;
        int n;

        if (c->failed)
                return;
        va_copy(again, args);
        n = vsnprintf(at, left, format, args);
        if (n >= 0 && (size_t)n >= left) {
                at = room_need(&c->out, (size_t)n + 1, GATHER, OUT_MOST);
                n = at ? vsnprintf(at, (size_t)n + 1, format, again) : -1;
        }
        va_end(again);
        if (n < 0) {
                conn_fail(c); /* longer than anything a line protocol says */
                return;
        }
        c->out.n += (uint32_t)n;
        if (c->watched)
                tap_out(c, (struct str){ at, (size_t)n });
        if (c->out.n >= GATHER)
                send_gathered(c, false, now() + c->flush_within);
}

void conn_printf(struct conn *c, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        conn_vprintf(c, format, args);
        va_end(args);
}

void conn_write_deadline(struct conn *c, nsec per_flush)
{
        c->flush_within = per_flush;
}
