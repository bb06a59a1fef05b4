#include "net/conn_private.h"
#include "net/tls_private.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Until the urgent byte is read every edge tells of it anew: it counts once. */
static void note_urgent(struct conn *c)
{
        if (!c->urgent_ahead)
                c->urgent_ahead = c->urgent = true;
}

/* The edge: flags say what may be done without waiting, and whoever waits for it is woken. */
static void ready(struct watch *w, uint32_t events)
{
        struct conn *c = (struct conn *)(void *)((char *)w - offsetof(struct conn, watch));

        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                c->hung = true;
        if (events & EPOLLIN || c->hung)
                c->readable = true;
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                c->writable = true;
        if (events & EPOLLPRI && c->urgent_inline)
                note_urgent(c);
        if (c->woken) {
                if (c->readable)
                        conn_unpark(c, WOKEN_INPUT);
        } else if ((c->wants & EPOLLIN && c->readable) || (c->wants & EPOLLOUT && c->writable)) {
                wake_all(&c->waiting);
        }
}

struct conn *conn_new(int fd, struct addr peer, struct addr local)
{
        struct conn *c = mem_new(struct conn);
        int on = 1;

        c->watch.fd = fd;
        c->watch.ready = ready;
        c->peer = peer;
        c->local = local;
        c->park_after = -1;
        c->flush_within = 60 * SECOND;
        c->writable = true;
        if (peer.family)
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (watch_add(&c->watch, EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP) < 0) {
                close(fd);
                mem_free(c);
                return NULL;
        }
        return c;
}

/* One try to send what is left; the session's end has flushed already if it cared. */
static void last_words(struct conn *c)
{
        struct iovec v = { c->out.p, c->out.n };

        if (c->failed)
                return;
        c->writable = true;
        if (c->zip) {
                zip_last_words(c, str_from(c->out.p, c->out.n));
                tls_bye(c);
        } else if (c->tls) {
                if (v.iov_len == 0 || tls_write(c, v.iov_base, v.iov_len) == (ssize_t)v.iov_len)
                        tls_bye(c);
        } else if (v.iov_len > 0) {
                raw_write(c, &v, 1);
        }
}

void conn_free(struct conn **cp)
{
        struct conn *c = *cp;

        if (!c)
                return;
        *cp = NULL;
        assert(waitlist_empty(&c->waiting)); /* its fiber is still in here */
        last_words(c);
        timer_stop(&c->timer);
        watch_remove(&c->watch);
        close(c->watch.fd);
        zip_free(c);
        tls_free(c);
        tls_own_free(&c->own);
        tap_free(c);
        room_free(&c->in);
        room_free(&c->out);
        mem_free(c);
        listen_descriptor_freed();
}

/* Closing a socket with unread input makes the kernel send a reset, which may overtake our last reply: so such
 * input is read and forgotten for a moment. */
void conn_close(struct conn **cp, nsec deadline)
{
        struct conn *c = *cp;
        nsec patience = now() + SECOND;
        size_t most = 1 << 20;

        if (!c)
                return;
        if (conn_flush(c, deadline) == 0 && !c->ended && (c->readable || conn_buffered(c) > 0)) {
                tls_bye(c);
                if (shutdown(c->watch.fd, SHUT_WR) == 0) {
                        char scrap[4096];
                        ssize_t n;

                        do {
                                n = raw_read(c, scrap, sizeof(scrap));
                                if (n > 0)
                                        most -= (size_t)n < most ? (size_t)n : most;
                        } while (most > 0 && (n > 0 || (n == -EAGAIN &&
                                                        conn_wait(c, EPOLLIN, "last input", patience) == 0)));
                }
                c->failed = true; /* all is said */
        }
        conn_free(cp);
}

int conn_wait(struct conn *c, uint32_t wants, const char *what, nsec deadline)
{
        int rc;

        if (fiber_self()) {
                assert(waitlist_empty(&c->waiting)); /* one fiber at a time uses a connection */
                c->wants = wants;
                rc = wait_on(&c->waiting, what, deadline);
                c->wants = 0;
                return rc;
        }
        /* a verb or a unit test, where no loop runs */
        struct pollfd p = { .fd = c->watch.fd, .events = wants & EPOLLOUT ? POLLOUT : POLLIN };
        nsec left = deadline == NEVER ? 0 : deadline - now();
        int ms = deadline == NEVER      ? -1
                 : left <= 0            ? 0
                 : left > 3600 * SECOND ? 3600000
                                        : (int)(left / MSECOND + 1);

        rc = poll(&p, 1, ms);
        if (rc < 0)
                return errno == EINTR ? 0 : -errno;
        if (p.revents & (POLLIN | POLLHUP | POLLERR))
                c->readable = true;
        if (p.revents & (POLLOUT | POLLHUP | POLLERR))
                c->writable = true;
        return rc == 0 && now() >= deadline ? -ETIMEDOUT : 0;
}

/* Is the next byte the urgent one? */
static bool at_mark(const struct conn *c)
{
        int at = 0;

        return c->urgent_inline && ioctl(c->watch.fd, SIOCATMARK, &at) == 0 && at;
}

ssize_t raw_read(struct conn *c, void *p, size_t n)
{
        bool urgent;
        ssize_t got;

        if (!c->readable)
                return -EAGAIN;
        urgent = c->urgent_ahead && at_mark(c);
        do {
                got = recv(c->watch.fd, p, n, MSG_DONTWAIT);
        } while (got < 0 && errno == EINTR);
        if (got < 0) {
                if (errno != EAGAIN)
                        return -errno;
                c->readable = false;
                return -EAGAIN;
        }
        if (got > 0 && urgent)
                c->urgent_ahead = false;
        if (got > 0 && (size_t)got < n && !c->hung) {
                if (at_mark(c)) /* a read ends before an urgent byte, too */
                        note_urgent(c);
                else
                        c->readable = false; /* dry; what comes from now on makes a new edge */
        }
        return got;
}

void conn_urgent_inline(struct conn *c)
{
        int on = 1, at;

        c->urgent_inline = ioctl(c->watch.fd, SIOCATMARK, &at) == 0 && /* else there is none */
                           setsockopt(c->watch.fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0;
}

bool conn_urgent(struct conn *c)
{
        bool was = c->urgent;

        c->urgent = false;
        return was;
}

ssize_t raw_write(struct conn *c, const struct iovec *v, int count)
{
        struct msghdr m = { .msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)count };
        ssize_t sent;

        if (!c->writable)
                return -EAGAIN;
        do {
                sent = sendmsg(c->watch.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent < 0) {
                if (errno != EAGAIN)
                        return -errno;
                c->writable = false;
                return -EAGAIN;
        }
        return sent;
}

void conn_release(struct conn *c)
{
        if (conn_buffered(c) == 0) {
                room_free(&c->in);
                c->in_at = c->scanned = 0;
        }
        if (c->out.n == 0)
                room_free(&c->out);
        if (c->zip)
                zip_release(c);
        if (c->tls)
                tls_release(c);
}

struct addr conn_peer(const struct conn *c)
{
        return c->peer;
}

struct addr conn_local(const struct conn *c)
{
        return c->local;
}

bool conn_ok(const struct conn *c)
{
        return !c->failed;
}

bool conn_hung(const struct conn *c)
{
        return c->hung;
}

void conn_fail(struct conn *c)
{
        if (c->failed)
                return;
        c->failed = true;
        c->out.n = 0;
        if (c->woken)
                conn_wake(c, WOKEN_INPUT);
        else
                wake_all(&c->waiting);
}

bool conn_stopping(const struct conn *c)
{
        return c->stop != 0;
}

bool conn_signed_out(const struct conn *c)
{
        return c->stop == WOKEN_SIGNED_OUT + 1;
}

bool conn_has_tls(const struct conn *c)
{
        return c->tls != NULL;
}
