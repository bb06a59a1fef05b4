#include "net/conn_private.h"

#include <errno.h>

/* Room for the next read. What stands there moves to the front when little is left behind it. */
static char *make_room(struct conn *c)
{
        size_t want = c->bulk ? READ_BULK / 2 : READ_LEAST;

        if (c->in_at == c->in.n) {
                c->in.n = c->in_at = c->scanned = 0;
        } else if (c->in_at > 0 && c->in.cap - c->in.n < want) {
                room_drop(&c->in, c->in_at);
                c->in_at = 0;
        }
        return room_need(&c->in, want, c->bulk ? READ_BULK : 4 * ROOM_PAGE, IN_MOST);
}

/* Reads once, if that needs no wait: > 0, 0 at the end, -EAGAIN, or -errno and the connection has failed. */
static ssize_t read_more(struct conn *c)
{
        size_t room;
        char *p;
        ssize_t n;

        if (c->failed)
                return -EPIPE;
        if (c->ended)
                return 0;
        if (!c->readable && !(c->tls && tls_ready(c)) && !(c->zip && zip_ready(c)))
                return -EAGAIN;
        p = make_room(c);
        if (!p) {
                conn_fail(c); /* somebody asks for a line longer than IN_MOST */
                return -EMSGSIZE;
        }
        room = c->in.cap - c->in.n;
        n = c->zip ? zip_read(c, p, room) : c->tls ? tls_read(c, p, room) : raw_read(c, p, room);
        if (n > 0) {
                c->in.n += (uint32_t)n;
                c->bulk = c->bulk || (size_t)n == room;
        } else if (n == 0) {
                c->ended = true;
        } else if (n != -EAGAIN) {
                conn_fail(c);
        }
        return n;
}

/* Before any wait for input: what we said goes out. Buffers that a body has blown up go back. */
static int before_wait(struct conn *c)
{
        int rc = conn_flush(c, now() + c->flush_within);

        c->bulk = false;
        if (c->out.cap > KEEP_MOST)
                room_free(&c->out);
        if (c->in.cap > KEEP_MOST && conn_buffered(c) == 0) {
                room_free(&c->in);
                c->in_at = c->scanned = 0;
        }
        return rc;
}

static void note_end(struct conn *c, const char *p, size_t n)
{
        for (size_t i = n > sizeof c->end ? n - sizeof c->end : 0; i < n; i++) {
                c->end[0] = c->end[1];
                c->end[1] = c->end[2];
                c->end[2] = p[i];
        }
}

/* Takes a line out of the buffer if one ends there. Of a line over the limit nothing is kept: what has come of it
 * is dropped at once, so a peer that never sends LF costs no memory. */
static bool take_line(struct conn *c, struct str *line, size_t max, enum got *got)
{
        char *start, *lf = NULL;
        size_t have = conn_buffered(c), n;

        if (have == 0)
                return false;
        start = c->in.p + c->in_at;
        if (have > c->scanned)
                lf = memchr(start + c->scanned, '\n', have - c->scanned);
        if (!lf) {
                c->scanned = (uint32_t)have;
                if (c->skipping || (have > max && have - max > 1)) {
                        c->skipping = true;
                        note_end(c, start, have);
                        c->in_at = (uint32_t)c->in.n;
                        c->scanned = 0;
                }
                return false;
        }
        n = (size_t)(lf - start);
        c->in_at += (uint32_t)n + 1;
        c->scanned = 0;
        *got = GOT_BARE;
        if (n > 0 && start[n - 1] == '\r') {
                *got = GOT_LINE;
                n--;
        }
        *line = (struct str){ start, n };
        if (c->skipping || n > max) {
                c->skipping = false;
                note_end(c, start, *got == GOT_LINE ? n + 1 : n);
                *line = str_sub(str_from(c->end, sizeof c->end), 0, c->end[2] == '\r' ? 2 : 3);
                *got = GOT_LONG;
        }
        return true;
}

/* Why a wait for the next command need not be: true, and what to answer. */
static bool no_wait(struct conn *c, enum got *got)
{
        if (c->failed || c->ended) {
                *got = GOT_END;
                return true;
        }
        if (c->called) {
                c->called = false;
                *got = GOT_CALLED;
                return true;
        }
        if (c->pending && conn_may_park(c)) {
                c->pending_told = true;
                conn_release(c);
                *got = GOT_QUIET;
                return true;
        }
        return false;
}

/* Nothing to read: says what we said, waits. True: enough of it, and what to answer. */
static bool wait_command(struct conn *c, nsec *quiet_from, nsec deadline, enum got *got)
{
        nsec until = deadline;
        int rc;

        /* who is called has more to say, most likely: it goes out with that */
        rc = c->called ? 0 : before_wait(c);
        if (no_wait(c, got))
                return true;
        if (rc < 0) {
                *got = rc == -ETIMEDOUT ? GOT_LATE : GOT_END;
                return true;
        }
        if (c->readable || c->stop) /* it came while the flush waited */
                return false;
        if (c->park_after >= 0 && conn_may_park(c)) {
                if (*quiet_from == 0)
                        *quiet_from = now();
                if (c->park_after < deadline - *quiet_from)
                        until = *quiet_from + c->park_after;
        }
        rc = c->park_after == 0 && until != deadline ? -ETIMEDOUT : conn_wait(c, EPOLLIN, "a command", until);
        if (rc == 0 || c->readable)
                return false;
        if (rc == -ETIMEDOUT && until != deadline) {
                conn_release(c);
                *got = GOT_QUIET;
        } else {
                *got = rc == -ETIMEDOUT ? GOT_LATE : GOT_END;
        }
        return true;
}

enum got conn_line(struct conn *c, struct str *line, size_t max, nsec deadline)
{
        nsec quiet_from = 0;
        bool came = false; /* bytes, but no line yet: whoever sends without end meets the deadline too */
        enum got got;
        ssize_t n;

        *line = S("");
        if (c->watched)
                tap_heard(c);
        if (c->pending_told)
                c->pending = c->pending_told = 0;
        for (;;) {
                if (c->failed || c->stop)
                        return GOT_END;
                if (take_line(c, line, max, &got)) {
                        if (c->watched)
                                tap_in(c, got == GOT_LONG ? S("") : *line);
                        return got;
                }
                if (came && now() >= deadline)
                        return GOT_LATE;
                n = read_more(c);
                came = n > 0;
                if (n == -EAGAIN) {
                        if (wait_command(c, &quiet_from, deadline, &got))
                                return got;
                } else if (n <= 0) {
                        /* the end of their input need not be the end of their interest in our answers */
                        conn_flush(c, now() + c->flush_within);
                        return GOT_END;
                } else {
                        quiet_from = 0;
                        fiber_yield_if_due();
                }
        }
}

enum got conn_await_call(struct conn *c, nsec deadline)
{
        int rc = 0;

        if (c->watched)
                tap_heard(c);
        while (!c->failed && !c->stop && rc == 0) {
                if (c->called) {
                        c->called = false;
                        return GOT_CALLED;
                }
                rc = before_wait(c);
                if (rc == 0 && !c->called && !c->stop)
                        rc = conn_wait(c, EPOLLIN, "a call", deadline);
        }
        return rc == -ETIMEDOUT ? GOT_LATE : GOT_END;
}

struct str conn_some(struct conn *c, size_t most, nsec deadline)
{
        struct str got;
        ssize_t n;
        int rc;

        if (c->watched)
                tap_heard(c);
        c->late = false;
        while (conn_buffered(c) == 0) {
                n = read_more(c);
                if (n > 0) {
                        fiber_yield_if_due();
                        continue;
                }
                if (n != -EAGAIN)
                        return S("");
                if (conn_flush(c, now() + c->flush_within) < 0)
                        return S("");
                rc = c->readable ? 0 : conn_wait(c, EPOLLIN, "bytes", deadline);
                if (rc < 0 && !c->readable) {
                        c->late = rc == -ETIMEDOUT;
                        if (!c->late)
                                conn_fail(c);
                        return S("");
                }
        }
        got = str_sub((struct str){ c->in.p + c->in_at, conn_buffered(c) }, 0, most);
        c->in_at += (uint32_t)got.n;
        c->scanned = 0;
        if (c->watched)
                tap_body_in(c, got.n);
        return got;
}

bool conn_late(const struct conn *c)
{
        return c->late;
}

void conn_unread(struct conn *c, size_t n)
{
        if (n > c->in_at)
                n = c->in_at;
        c->in_at -= (uint32_t)n;
        c->scanned = 0;
        if (c->watched)
                tap_unread(c, n);
}

bool conn_input_waits(struct conn *c)
{
        if (c->watched)
                tap_heard(c);
        return conn_buffered(c) > 0 || read_more(c) != -EAGAIN;
}

void conn_park_after(struct conn *c, nsec quiet)
{
        c->park_after = quiet;
}
