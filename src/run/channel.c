#include "run/inside.h"
#include "run/channel.h"
#include "run/log.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER      1
#define BUCKETS     64
#define QUEUE_MOST  1024          /* messages told that wait for room in the socket */
#define QUEUE_BYTES (1024 * 1024) /* and their bodies together */
#define READ_MOST   256           /* messages taken in one go, before others have their turn */
#define PAUSE       (20 * MSECOND)
#define HEARD       (EPOLLIN | EPOLLRDHUP)

struct head {
        uint16_t kind, flags;
        uint32_t id;
};

struct ask { /* on the asker's stack */
        uint32_t id;
        struct ask *next;
        struct waitlist done;
        bool answered;
        struct buf *answer;
        int *answer_fd;
};

struct outgoing {
        struct outgoing *next;
        int fd;
        struct head head;
        size_t n;
        char body[];
};

struct handling {
        struct channel_message m;
        const struct channel_kind *kind;
        bool answered;
        char body[];
};

struct channel {
        struct watch watch;
        bool watched, gone, freed;
        bool survives, abused; /* nonsense ends the channel, not the process; it came */
        unsigned refs;         /* the owner, every ask, every handler */
        const struct channel_kind *kinds;
        void *context;
        void (*closed)(struct channel *c, void *context);
        uint32_t last_id;
        struct ask *asks[BUCKETS];
        struct outgoing *first, **last;
        unsigned queued;
        size_t queued_bytes;
        bool full;            /* no room in the socket: its edge is asked for */
        struct waitlist room; /* who waits to send; one is woken, and wakes the next when it is done */
        unsigned handling;
        struct handling *held; /* read, but there was no memory for its fiber */
        struct timer read_more;
};

static void unref(struct channel *c)
{
        if (--c->refs)
                return;
        timer_stop(&c->read_more);
        if (c->held && c->held->m.fd >= 0)
                close(c->held->m.fd);
        mem_free(c->held);
        mem_free(c);
}

/* Of room to send we hear only while there is none: else each message that the other side reads would wake us for nothing. */
static void hear(struct channel *c, bool full)
{
        if (c->watched && c->full != full)
                watch_change(&c->watch, HEARD | (full ? EPOLLOUT : 0));
        c->full = full;
}

/* Sending. 0, -EAGAIN (the socket is full), -EPIPE, or what sendmsg says. */
static int send_now(struct channel *c, struct head head, struct str body, int fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof fd)];
        } control = { 0 };
        struct iovec parts[] = { { &head, sizeof head }, { (void *)(uintptr_t)body.p, body.n } };
        struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };

        if (c->gone)
                return -EPIPE;
        if (fd >= 0) {
                m.msg_control = &control;
                m.msg_controllen = sizeof control;
                *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
                                                       .cmsg_level = SOL_SOCKET,
                                                       .cmsg_type = SCM_RIGHTS };
                mem_copy(CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd, str_from(&fd, sizeof fd));
        }
        while (sendmsg(c->watch.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                if (errno == EINTR)
                        continue;
                if (errno == EWOULDBLOCK)
                        hear(c, true);
                return errno == EWOULDBLOCK ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
        }
        return 0;
}

static void queue_drop(struct channel *c)
{
        struct outgoing *o = c->first;

        c->first = o->next;
        if (!c->first)
                c->last = &c->first;
        c->queued--;
        c->queued_bytes -= o->n;
        if (o->fd >= 0)
                close(o->fd);
        mem_free(o);
}

static int queue_put(struct channel *c, struct head head, struct str body, int fd)
{
        struct outgoing *o;

        if (c->queued >= QUEUE_MOST || c->queued_bytes + body.n > QUEUE_BYTES)
                return -ENOBUFS;
        o = mem_alloc(sizeof *o + body.n);
        *o = (struct outgoing){ .fd = -1, .head = head, .n = body.n };
        mem_copy(o->body, body.n, body);
        if (fd >= 0 && (o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0) {
                mem_free(o);
                return -errno;
        }
        *c->last = o;
        c->last = &o->next;
        c->queued++;
        c->queued_bytes += o->n;
        return 0;
}

static void queue_send(struct channel *c)
{
        while (c->first &&
               send_now(c, c->first->head, str_from(c->first->body, c->first->n), c->first->fd) != -EAGAIN)
                queue_drop(c);
        wake_one(&c->room);
}

/* Until poll says so or the deadline; 0, -ETIMEDOUT. For processes and places without fibers. */
static int block(struct channel *c, short events, nsec deadline)
{
        struct pollfd p = { .fd = c->watch.fd, .events = events };
        nsec t = now();
        int ms = -1;

        if (deadline != NEVER) {
                if (deadline <= t)
                        return -ETIMEDOUT;
                ms = deadline - t > 3600 * SECOND ? 3600 * 1000
                                                  : (int)((deadline - t + MSECOND - 1) / MSECOND);
        }
        if (poll(&p, 1, ms) < 0 && errno != EINTR)
                return -errno;
        return 0;
}

static int send_waiting(struct channel *c, struct head head, struct str body, int fd, nsec deadline)
{
        bool waited = false;
        int rc;

        for (;;) {
                if (c->first && !fiber_self())
                        queue_send(c);
                rc = c->first ? -EAGAIN : send_now(c, head, body, fd);
                if (rc != -EAGAIN)
                        break;
                waited = true;
                rc = fiber_self() ? wait_on(&c->room, "room in a channel", deadline)
                                  : block(c, POLLOUT, deadline);
                if (rc < 0)
                        return rc;
        }
        if (waited)
                wake_one(&c->room);
        return rc;
}

/* Receiving. */
static void end(struct channel *c)
{
        struct ask *a;
        unsigned i;

        if (c->gone)
                return;
        c->gone = true;
        if (c->watched)
                watch_remove(&c->watch);
        close(c->watch.fd);
        c->watch.fd = -1;
        timer_stop(&c->read_more);
        while (c->first)
                queue_drop(c);
        wake_all(&c->room);
        for (i = 0; i < BUCKETS; i++)
                for (a = c->asks[i]; a; a = a->next)
                        wake_all(&a->done);
}

static void answered(struct channel *c, uint32_t id, struct str body, int fd)
{
        struct ask *a = c->asks[id % BUCKETS];

        while (a && a->id != id)
                a = a->next;
        if (a && !a->answered) {
                a->answered = true;
                if (a->answer)
                        buf_puts(a->answer, body);
                if (a->answer_fd) {
                        *a->answer_fd = fd;
                        fd = -1;
                }
                wake_all(&a->done);
        } /* else: it came after the asker's deadline */
        if (fd >= 0)
                close(fd);
}

static void handle(void *arg)
{
        struct handling *h = arg;
        struct channel *c = h->m.channel;

        h->kind->handle(&h->m);
        if (h->m.fd >= 0)
                close(h->m.fd);
        mem_free(h);
        if (c->handling-- >= CHANNEL_HANDLERS && c->watched && !c->gone)
                timer_set(&c->read_more, 0);
        unref(c);
}

static bool hand_over(struct channel *c, struct handling *h)
{
        if (c->watched && fiber_spawn(h->kind->name, handle, h) < 0) {
                log_warn("channel-paused", "kind=%s why=\"no memory for a fiber\"", h->kind->name);
                c->held = h;
                timer_set(&c->read_more, now() + PAUSE);
                return false;
        }
        c->handling++;
        c->refs++;
        if (!c->watched)
                handle(h);
        return true;
}

enum received { MORE, EMPTY, CLOSED, PAUSED };

static void nonsense(struct channel *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void nonsense(struct channel *c, const char *format, ...)
{
        char why[200];
        va_list args;

        va_start(args, format);
        vsnprintf(why, sizeof why, format, args);
        va_end(args);
        if (!c->survives)
                die("channel: the other side %s", why);
        log_warn("channel-ended", "why=\"the other side %s\"", why);
}

static enum received asked(struct channel *c, struct head head, struct str body, int fd)
{
        const struct channel_kind *k = c->kinds;
        struct handling *h;

        while (k && k->kind && k->kind != head.kind)
                k++;
        if (!k || !k->kind) {
                if (fd >= 0)
                        close(fd);
                nonsense(c, "sent kind %u, which it may not (it may %s ...)", head.kind,
                         c->kinds ? c->kinds->name : "only answer");
                return CLOSED;
        }
        h = mem_alloc(sizeof *h + body.n);
        mem_copy(h->body, body.n, body);
        h->kind = k;
        h->m = (struct channel_message){ c, head.kind, head.id, str_from(h->body, body.n), fd, c->context };
        return hand_over(c, h) ? MORE : PAUSED;
}

/* The descriptor in the control part, or -1. There is room for one only; the kernel closes what is more. */
static int passed_fd(struct msghdr *m)
{
        struct cmsghdr *h = CMSG_FIRSTHDR(m);
        int fd = -1;

        if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
            h->cmsg_len == CMSG_LEN(sizeof fd))
                mem_copy(&fd, sizeof fd, str_from(CMSG_DATA(h), sizeof fd));
        return fd;
}

static enum received receive(struct channel *c)
{
        static struct { /* handed over or copied before anybody can wait */
                struct head head;
                char body[CHANNEL_BODY];
        } in;
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec part = { &in, sizeof in };
        struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control };
        struct str body;
        ssize_t n;
        int fd;

        m.msg_controllen = CMSG_LEN(sizeof(int)); /* not SPACE: padding could hold a second descriptor */
        n = recvmsg(c->watch.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                return EMPTY;
        if (n < 0 &&
            (errno == EINTR || errno == ECONNRESET)) /* reset: gone, but what it sent may still be read */
                return MORE;
        if (n <= 0)
                return CLOSED;
        fd = passed_fd(&m);
        if ((size_t)n < sizeof in.head || (m.msg_flags & MSG_TRUNC)) {
                if (fd >= 0)
                        close(fd);
                nonsense(c, "sent a malformed message of %zd bytes", n);
                return CLOSED;
        }
        body = str_from(in.body, (size_t)n - sizeof in.head);
        if (!(in.head.flags & ANSWER))
                return asked(c, in.head, body, fd);
        answered(c, in.head.id, body, fd);
        return MORE;
}

/* All that is there, as the readiness is told once only; but no more requests than may be handled at once. */
static void read_all(struct channel *c, unsigned most_handlers)
{
        enum received got = c->abused ? CLOSED : MORE;
        unsigned i;

        c->refs++;
        for (i = 0; i < READ_MOST && got == MORE && !c->gone && c->handling < most_handlers; i++)
                got = receive(c);
        if (got == CLOSED && !c->gone) {
                end(c);
                if (c->closed && !c->freed)
                        c->closed(c, c->context);
        } else if (i == READ_MOST && c->watched && !c->gone) {
                timer_set(&c->read_more, 0);
        }
        unref(c);
}

static void read_more(struct timer *t)
{
        struct channel *c = (struct channel *)((char *)t - offsetof(struct channel, read_more));
        struct handling *h = c->held;

        c->held = NULL;
        if (!h || hand_over(c, h))
                read_all(c, CHANNEL_HANDLERS);
}

static void ready(struct watch *w, uint32_t events)
{
        struct channel *c = (struct channel *)w;

        c->refs++;
        if (events & EPOLLOUT && c->full) {
                hear(c, false);
                queue_send(c);
        }
        if (!c->held)
                read_all(c, CHANNEL_HANDLERS);
        unref(c);
}

struct channel *channel_new(int fd, const struct channel_kind *kinds, void *context,
                            void (*closed)(struct channel *c, void *context))
{
        struct channel *c = mem_new(struct channel);
        int rc;

        c->watch = (struct watch){ .fd = fd, .ready = ready };
        c->refs = 1;
        c->kinds = kinds;
        c->context = context;
        c->closed = closed;
        c->last = &c->first;
        c->read_more.fire = read_more;
        if (loop_exists()) {
                c->watched = true;
                rc = watch_add(&c->watch, HEARD);
                if (rc < 0)
                        die("channel: epoll: %s", strerror(-rc));
        }
        return c;
}

void channel_free(struct channel **c)
{
        if (!*c)
                return;
        (*c)->freed = true;
        end(*c);
        unref(*c);
        *c = NULL;
}

void channel_survive(struct channel *c)
{
        c->survives = true;
}

void channel_nonsense(struct channel_message *m)
{
        struct channel *c = m->channel;

        nonsense(c, "sent a message %u that cannot be read", m->kind);
        c->abused = true; /* `closed` runs on the loop */
        if (c->watched && !c->gone)
                timer_set(&c->read_more, 0);
}

static int wait_for_answer(struct channel *c, struct ask *a, nsec deadline)
{
        int rc = 0;

        while (!a->answered && !c->gone && rc == 0) {
                if (fiber_self()) {
                        rc = wait_on(&a->done, "an answer", deadline);
                } else {
                        rc = block(c, POLLIN, deadline);
                        if (rc == 0) /* no handler can end meanwhile, so all may begin */
                                read_all(c, UINT_MAX);
                }
        }
        return a->answered ? 0 : c->gone ? -EPIPE : rc;
}

int channel_ask(struct channel *c, uint16_t kind, struct str body, int send_fd, struct buf *answer,
                int *answer_fd, nsec deadline)
{
        struct ask a = { .id = ++c->last_id, .answer = answer, .answer_fd = answer_fd };
        struct ask **at = &c->asks[a.id % BUCKETS];
        int rc;

        assert(body.n <= CHANNEL_BODY);
        if (answer_fd)
                *answer_fd = -1;
        c->refs++;
        a.next = *at;
        *at = &a;
        rc = send_waiting(c, (struct head){ kind, 0, a.id }, body, send_fd, deadline);
        if (rc == 0)
                rc = wait_for_answer(c, &a, deadline);
        for (at = &c->asks[a.id % BUCKETS]; *at != &a; at = &(*at)->next)
                ;
        *at = a.next;
        unref(c);
        return rc;
}

int channel_tell(struct channel *c, uint16_t kind, struct str body, int send_fd)
{
        struct head head = { kind, 0, 0 };
        int rc;

        assert(body.n <= CHANNEL_BODY);
        if (!c->watched)
                return send_waiting(c, head, body, send_fd, NEVER);
        rc = c->first ? -EAGAIN : send_now(c, head, body, send_fd);
        return rc == -EAGAIN ? queue_put(c, head, body, send_fd) : rc;
}

bool channel_waiting(const struct channel *c)
{
        return c->first != NULL;
}

int channel_answer(struct channel_message *m, struct str body, int send_fd)
{
        struct handling *h = (struct handling *)m;
        struct channel *c = m->channel;
        struct head head = { m->kind, ANSWER, m->id };
        int rc;

        assert(body.n <= CHANNEL_BODY && !h->answered);
        h->answered = true;
        rc = c->first ? -EAGAIN : send_now(c, head, body, send_fd);
        if (rc == -EAGAIN && c->watched)
                rc = queue_put(c, head, body, send_fd);
        if (rc == -EAGAIN || rc == -ENOBUFS)
                rc = send_waiting(c, head, body, send_fd, NEVER);
        return rc;
}

int channel_connect(const char *path, struct channel **c)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct str p = str_of(path);
        int fd, rc;

        if (p.n >= sizeof address.sun_path)
                return -ENAMETOOLONG;
        mem_copy(address.sun_path, sizeof address.sun_path, p);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
                rc = -errno;
                close(fd);
                return rc;
        }
        *c = channel_new(fd, NULL, NULL, NULL);
        return 0;
}
