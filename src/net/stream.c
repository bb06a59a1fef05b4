#include "net/stream_private.h"
#include "base/mem.h"
#include "net/conn_private.h"
#include "run/offload.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#define EDGES (EPOLLIN | EPOLLOUT | EPOLLRDHUP)

static void ready(struct watch *w, uint32_t events)
{
        struct stream *s = (struct stream *)(void *)((char *)w - offsetof(struct stream, watch));

        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                s->hung = true;
        if (events & EPOLLIN || s->hung)
                s->readable = true;
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                s->writable = true;
        if ((s->wants & EPOLLIN && s->readable) || (s->wants & EPOLLOUT && s->writable))
                wake_all(&s->waiting);
}

struct stream *stream_new(int fd)
{
        struct stream *s = mem_new(struct stream);

        s->watch.fd = fd;
        s->watch.ready = ready;
        s->writable = true;
        s->in_memory = s->pipe[0] = s->pipe[1] = -1;
        buf_init(&s->back, STREAM_BACK);
        if (watch_add(&s->watch, EDGES) < 0) {
                close(fd);
                mem_free(s);
                return NULL;
        }
        return s;
}

/* An end of ours that is no end of a file must not look like one. */
void stream_free(struct stream **sp)
{
        struct stream *s = *sp;
        struct linger reset = { .l_onoff = 1 };

        if (!s)
                return;
        *sp = NULL;
        assert(waitlist_empty(&s->waiting) && !s->at_work); /* its fiber is still in here */
        if (!s->finished && (s->wrote || !s->ended))
                setsockopt(s->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        stream_tls_free(s);
        stream_splice_end(s);
        watch_remove(&s->watch);
        close(s->watch.fd);
        buf_free(&s->back);
        mem_free(s);
        listen_descriptor_freed();
}

/* A peer that does not talk acknowledges late: the end of a piece must not wait for that. */
void stream_prompt(struct stream *s)
{
        int on = 1;

        if (!s->prompt)
                setsockopt(s->watch.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        s->prompt = true;
}

struct addr stream_peer(const struct stream *s)
{
        struct sockaddr_storage sa = { 0 };
        socklen_t n = sizeof(sa);

        if (s->peer.family || getpeername(s->watch.fd, (struct sockaddr *)&sa, &n) < 0)
                return s->peer;
        return addr_of((struct sockaddr *)&sa);
}

bool stream_has_tls(const struct stream *s)
{
        return s->tls != NULL;
}

bool stream_alive(struct stream *s)
{
        ssize_t n = 1;
        char c;

        if (s->error || s->ended || (s->tls && s->hung))
                return false;
        if (s->readable && !s->back.n)
                n = recv(s->watch.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
        return n > 0 || (n < 0 && errno == EAGAIN);
}

int stream_fail(struct stream *s, int error)
{
        if (!s->error)
                s->error = error;
        return s->error;
}

void stream_cancel(struct stream *s)
{
        s->error = -ECANCELED;
        wake_all(&s->waiting);
}

/* A verb or a unit test, where no loop runs. */
static int wait_alone(struct stream *s, uint32_t wants, nsec until)
{
        struct pollfd p = { .fd = wants ? s->watch.fd : -1, .events = wants & EPOLLOUT ? POLLOUT : POLLIN };
        nsec left = until == NEVER ? 3600 * SECOND : until - now();
        int ms = left <= 0 ? 0 : left > 3600 * SECOND ? 3600000 : (int)(left / MSECOND + 1);

        if (poll(&p, 1, ms) < 0)
                return errno == EINTR ? 0 : -errno;
        if (p.revents & (POLLIN | POLLHUP | POLLERR))
                s->readable = true;
        if (p.revents & (POLLOUT | POLLHUP | POLLERR))
                s->writable = true;
        return 0;
}

int stream_pause(struct stream *s, uint32_t wants, const char *what, nsec until)
{
        int rc;

        if (s->error)
                return s->error;
        if (fiber_self()) {
                assert(waitlist_empty(&s->waiting)); /* one fiber at a time uses a stream */
                s->wants = wants;
                rc = wait_on(&s->waiting, what, until);
                s->wants = 0;
        } else {
                rc = wait_alone(s, wants, until);
        }
        return rc < 0 && rc != -ETIMEDOUT ? stream_fail(s, rc) : s->error;
}

/* Looks at the clock itself: edges without an end must not outrun the deadline. */
int stream_wait(struct stream *s, uint32_t wants, const char *what, nsec until)
{
        if (!s->error && until != NEVER && now() >= until)
                return stream_fail(s, -ETIMEDOUT);
        if (s->tls)
                stream_tls_release(s);
        return stream_pause(s, wants, what, until);
}

int stream_connect(int fd, struct addr to, nsec deadline, struct stream **out)
{
        struct sockaddr_storage sa;
        socklen_t n = addr_to(to, &sa);
        struct stream *s;
        int rc = 0, error = 0, flags = fcntl(fd, F_GETFL);

        *out = NULL;
        if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
            (connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)) {
                rc = -errno;
                close(fd);
                return rc;
        }
        s = stream_new(fd);
        if (!s)
                return -EMFILE;
        s->peer = to;
        s->writable = false; /* its edge says that the connection stands, or not */
        while (rc == 0 && !s->writable)
                rc = stream_wait(s, EPOLLOUT, "connect", deadline);
        n = sizeof(error);
        if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0)
                rc = -error;
        if (rc < 0) {
                stream_free(&s);
                return rc;
        }
        *out = s;
        return 0;
}

ssize_t socket_recv(int fd, void *p, size_t n)
{
        ssize_t got;

        do {
                got = recv(fd, p, n, MSG_DONTWAIT);
        } while (got < 0 && errno == EINTR);
        return got < 0 ? -errno : got;
}

ssize_t socket_send(int fd, const struct iovec *v, int count, bool more)
{
        struct msghdr m = { .msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)count };
        ssize_t sent;

        do {
                sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
        } while (sent < 0 && errno == EINTR);
        return sent < 0 ? -errno : sent;
}

ssize_t stream_recv(struct stream *s, void *p, size_t n)
{
        ssize_t got = s->readable ? socket_recv(s->watch.fd, p, n) : -EAGAIN;

        /* less than there was room for: what comes from now on makes a new edge */
        if (got == -EAGAIN || (got > 0 && (size_t)got < n && !s->hung))
                s->readable = false;
        return got;
}

ssize_t stream_send(struct stream *s, const struct iovec *v, int count, bool more)
{
        ssize_t sent = s->writable ? socket_send(s->watch.fd, v, count, more) : -EAGAIN;

        if (sent == -EAGAIN)
                s->writable = false;
        return sent;
}

/* The flag goes down before: an edge that comes meanwhile must not be lost. Of a flood of bytes every packet is an edge, so
 * none are told of meanwhile. */
int stream_offload(struct stream *s, int (*fn)(void *arg), void *arg, bool *flag, const bool *dry)
{
        bool mute = s->bulk;
        int rc;

        *flag = false;
        s->at_work = true;
        if (mute)
                watch_change(&s->watch, 0);
        rc = offload(LONG, fn, arg);
        s->at_work = false;
        if (mute)
                watch_change(&s->watch, EDGES);
        if (!*dry)
                *flag = true;
        return rc;
}

void stream_unread(struct stream *s, struct str bytes)
{
        struct str rest = str_from_at(buf_str(&s->back), s->back_at);
        struct buf all;

        buf_init(&all, STREAM_BACK);
        buf_puts(&all, bytes);
        buf_puts(&all, rest);
        if (all.full)
                stream_fail(s, -EMSGSIZE);
        buf_free(&s->back);
        s->back = all;
        s->back_at = 0;
}

/* From what was given back. */
static size_t take_back(struct stream *s, char *room, size_t n)
{
        struct str part = str_sub(buf_str(&s->back), s->back_at, n);

        mem_copy(room, n, part);
        s->back_at += part.n;
        if (s->back_at == s->back.n) {
                buf_free(&s->back);
                s->back_at = 0;
        }
        return part.n;
}

int stream_read(struct stream *s, char *room, size_t n, size_t *got, nsec patience)
{
        nsec until = stream_until(patience);
        ssize_t came;

        assert(n > 0); /* else its answer would be an end */
        *got = 0;
        if (!s->error && s->back.n > 0) {
                *got = take_back(s, room, n);
                return 0;
        }
        while (!s->error && !s->ended && *got == 0) {
                if (!s->readable && !(s->tls && stream_tls_ready(s))) {
                        if (stream_wait(s, EPOLLIN, "data", until) < 0)
                                break;
                        continue;
                }
                n = stream_allowed(s, n);
                if (n == 0)
                        break;
                came = s->tls ? stream_tls_read(s, room, n) : stream_recv(s, room, n);
                stream_passed(s, came);
                if (came > 0)
                        *got = (size_t)came;
                else if (came == 0)
                        s->ended = true;
                else if (came != -EAGAIN)
                        stream_fail(s, (int)came);
                fiber_yield_if_due();
        }
        return s->error;
}

int stream_write(struct stream *s, struct str bytes, nsec patience)
{
        nsec until = stream_until(patience);
        ssize_t sent;
        size_t n;

        s->wrote = s->wrote || bytes.n > 0;
        s->finished = false;
        while (bytes.n > 0 && !s->error) {
                if (!s->writable) {
                        if (stream_wait(s, EPOLLOUT, "room to send", until) < 0)
                                break;
                        continue;
                }
                n = stream_allowed(s, bytes.n < STREAM_PIECE ? bytes.n : STREAM_PIECE);
                if (n == 0)
                        break;
                if (s->tls)
                        sent = stream_tls_write(s, bytes.p, n);
                else
                        sent = stream_send(s, &(struct iovec){ (char *)bytes.p, n }, 1, false);
                stream_passed(s, sent);
                if (sent > 0) {
                        bytes = str_from_at(bytes, (size_t)sent);
                        until = stream_until(patience);
                } else if (sent != -EAGAIN) {
                        stream_fail(s, sent ? (int)sent : -EPIPE);
                }
                fiber_yield_if_due();
        }
        return s->error;
}
