#include "net/listen.h"
#include "net/conn_private.h"
#include "base/mem.h"
#include "run/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { ACCEPTS_A_TURN = 64 };
#define PAUSE (200 * MSECOND)

struct listener {
        struct watch watch;
        struct timer again; /* the rest of a long queue, or the end of a pause */
        void (*accepted)(struct conn *c, void *context);
        void *context;
        struct addr local;
        bool watching, paused, anywhere; /* anywhere: bound to 0.0.0.0 or :: */
        nsec told;                       /* when the log last heard of a pause */
        struct listener *next;           /* while paused */
};

static struct listener *paused; /* of this process's one loop */

static void accept_some(struct listener *l);

static void ready(struct watch *w, uint32_t events)
{
        (void)events;
        accept_some((struct listener *)(void *)((char *)w - offsetof(struct listener, watch)));
}

/* Out of descriptors or memory. The kernel keeps the queue meanwhile; no watch, so nothing spins. */
static void pause_accepting(struct listener *l, int error)
{
        if (!l->told || now() - l->told > 60 * SECOND) {
                l->told = now();
                log_warn("accept", "listen=%s:%u paused=\"%s\"", addr_text(l->local).z, l->local.port,
                         strerrordesc_np(error));
        }
        if (l->watching)
                watch_remove(&l->watch);
        l->watching = false;
        l->paused = true;
        l->next = paused;
        paused = l;
        timer_set(&l->again, now() + PAUSE);
}

static void unpause(struct listener *l)
{
        for (struct listener **p = &paused; *p; p = &(*p)->next) {
                if (*p == l) {
                        *p = l->next;
                        break;
                }
        }
        l->paused = false;
        l->next = NULL;
}

/* A connection was freed: whoever is paused need not wait for its timer. */
void listen_descriptor_freed(void)
{
        for (struct listener *l = paused; l; l = l->next)
                timer_set(&l->again, 0);
}

static void again(struct timer *t)
{
        struct listener *l = (struct listener *)(void *)((char *)t - offsetof(struct listener, again));

        if (l->paused) {
                unpause(l);
                if (watch_add(&l->watch, EPOLLIN) < 0) {
                        pause_accepting(l, ENOMEM);
                        return;
                }
                l->watching = true;
        }
        accept_some(l);
}

/* 1: one more, 0: none waits, -errno: no room for more */
static int accept_one(struct listener *l)
{
        struct sockaddr_storage sa, here;
        socklen_t n = sizeof(sa);
        struct addr local = l->local;
        struct conn *c;
        int fd = accept4(l->watch.fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
                if (errno == EAGAIN || errno == EBADF || errno == EINVAL)
                        return 0;
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                        return -errno;
                return 1; /* that one is gone already (accept(2) passes its network's errors on) */
        }
        n = sizeof(here);
        if (l->anywhere && getsockname(fd, (struct sockaddr *)&here, &n) == 0)
                local = addr_of((struct sockaddr *)&here);
        c = conn_new(fd, addr_of((struct sockaddr *)&sa), local);
        if (!c)
                return -ENOMEM;
        l->accepted(c, l->context);
        return 1;
}

static void accept_some(struct listener *l)
{
        int rc = 1;

        for (int i = 0; i < ACCEPTS_A_TURN && rc > 0 && l->watching; i++)
                rc = accept_one(l);
        if (rc < 0)
                pause_accepting(l, -rc);
        else if (rc > 0 && l->watching)
                timer_set(&l->again, 0); /* the edge has passed: the others come at the next turn */
}

struct listener *listener_new(int fd, void (*accepted)(struct conn *c, void *context), void *context)
{
        struct listener *l = mem_new(struct listener);
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);

        l->watch.fd = fd;
        l->watch.ready = ready;
        l->again.fire = again;
        l->accepted = accepted;
        l->context = context;
        if (getsockname(fd, (struct sockaddr *)&sa, &n) == 0)
                l->local = addr_of((struct sockaddr *)&sa);
        l->anywhere = memcmp(l->local.ip, (char[16]){ 0 }, 16) == 0;
        if (watch_add(&l->watch, EPOLLIN) < 0) {
                close(fd);
                mem_free(l);
                return NULL;
        }
        l->watching = true;
        return l;
}

void listener_stop(struct listener *l)
{
        if (l->paused)
                unpause(l);
        timer_stop(&l->again);
        if (l->watching)
                watch_remove(&l->watch);
        l->watching = false;
        if (l->watch.fd >= 0)
                close(l->watch.fd);
        l->watch.fd = -1;
}

void listener_free(struct listener **lp)
{
        if (!*lp)
                return;
        listener_stop(*lp);
        mem_free(*lp);
        *lp = NULL;
}

static int bound(struct addr a, bool reuse_port)
{
        struct sockaddr_storage sa;
        socklen_t n = addr_to(a, &sa);
        int on = 1, keep;
        int fd = socket(a.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -1;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
            (!reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
            (a.family != 6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
            bind(fd, (struct sockaddr *)&sa, n) == 0)
                return fd;
        keep = errno;
        close(fd);
        errno = keep;
        return -1;
}

int listen_on(struct addr a, bool reuse_port, int backlog)
{
        int fd = bound(a, reuse_port), keep;

        if (fd >= 0 && listen(fd, backlog) < 0) {
                keep = errno;
                close(fd);
                errno = keep;
                return -1;
        }
        return fd;
}

/* Bound with SO_REUSEADDR, and no SO_REUSEPORT: sockets share the port as long as none of them listens (socket(7)). */
int listen_bound(struct addr a)
{
        int fd = bound(a, false);

        return fd < 0 ? -errno : fd;
}

/* Without SO_REUSEPORT, bind is refused where anybody listens, SO_REUSEADDR or not (socket(7)). */
int listen_probe(struct addr a)
{
        int fd = bound(a, false);

        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}
