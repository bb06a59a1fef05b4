#include "net/stream_private.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Has the peer's kernel all we sent, the end included? What is no TCP has it at once. */
static bool delivered(const struct stream *s)
{
        struct tcp_info info;
        socklen_t n = sizeof(info);

        return getsockopt(s->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
               (info.tcpi_state != TCP_FIN_WAIT1 && info.tcpi_state != TCP_CLOSING &&
                info.tcpi_state != TCP_LAST_ACK);
}

/* Reads and forgets: unread input would make our close a reset, and that may overtake the last bytes. 0 or -errno. */
static int drain(struct stream *s)
{
        char scrap[4096];
        size_t most = 1 << 20; /* then the deadline is looked at */
        ssize_t n;

        do {
                n = stream_recv(s, scrap, sizeof(scrap));
                most -= sizeof(scrap);
                fiber_yield_if_due();
        } while (n > 0 && most > 0 && !s->error);
        if (n == 0) {
                s->ended = true;
                s->readable = false; /* the end is an edge only once; an error makes another */
        }
        return n >= 0 || n == -EAGAIN ? 0 : (int)n;
}

/* Nothing tells of the last acknowledgement: most peers close at once, which is an edge, the others are asked about. */
static int wait_delivered(struct stream *s, nsec deadline)
{
        nsec pause = MSECOND, until;
        int rc;

        for (;;) {
                rc = drain(s);
                if (rc < 0)
                        return stream_fail(s, rc);
                if (delivered(s))
                        return s->error;
                until = now();
                if (until >= deadline)
                        return stream_fail(s, -ETIMEDOUT);
                until += pause;
                rc = stream_pause(s, EPOLLIN, "the end", until < deadline ? until : deadline);
                if (rc < 0)
                        return rc;
                pause = pause < SECOND / 4 ? 2 * pause : pause;
        }
}

/* Many clients know how much is to come and close when they have it, without a word. Our goodbye then meets a reset; all else they have. */
static bool lost_goodbye_alone(const struct stream *s, uint64_t goodbye, int error)
{
        int unacknowledged; /* the end itself counts as one */

        return s->tls && (error == -EPIPE || error == -ECONNRESET || error == -ENOTCONN) &&
               ioctl(s->watch.fd, SIOCOUTQ, &unacknowledged) == 0 && (uint64_t)unacknowledged <= goodbye + 1;
}

static int say_end(struct stream *s, nsec deadline)
{
        int rc = s->error;

        while (rc == 0 && s->tls && (rc = stream_tls_bye(s)) == -EAGAIN)
                rc = s->writable ? 0 : stream_wait(s, EPOLLOUT, "room to send", deadline);
        if (s->error)
                return s->error;
        if (shutdown(s->watch.fd, SHUT_WR) < 0 && rc == 0)
                rc = -errno;
        return rc;
}

int stream_end(struct stream *s, nsec deadline)
{
        int rc = say_end(s, deadline);

        if (rc == 0)
                s->finished = true;
        return rc < 0 ? stream_fail(s, rc) : 0;
}

int stream_finish(struct stream *s, nsec deadline)
{
        uint64_t before = s->pushed;
        bool theirs =
            s->ended && !s->wrote; /* all was theirs to say: it is here, and our goodbye a courtesy */
        int rc = say_end(s, deadline);

        if (s->error)
                return s->error;
        if (theirs)
                rc = 0;
        else if (rc == 0)
                rc = wait_delivered(s, deadline);
        if (rc < 0 && lost_goodbye_alone(s, s->pushed - before, rc))
                rc = s->error = 0;
        if (rc == 0)
                s->finished = true;
        return rc < 0 ? stream_fail(s, rc) : 0;
}
