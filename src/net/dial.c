#include "net/dial.h"
#include "run/fiber.h"
#include "run/loop.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEXT_AFTER (250 * MSECOND)

struct attempt {
        struct watch watch;
        struct race *race;
        bool open, settled;
};
struct race {
        struct attempt attempts[DIAL_MOST];
        const struct dial *dial;
        struct waitlist news;
        struct buf *why;
        unsigned started, open;
        int error;
};

static void moved(struct watch *w, uint32_t events)
{
        struct attempt *t = (struct attempt *)(void *)w;

        (void)events;
        t->settled = true;
        wake_all(&t->race->news);
}

static void lost(struct race *r, unsigned i, int error)
{
        struct attempt *t = &r->attempts[i];

        if (t->open) {
                watch_remove(&t->watch);
                close(t->watch.fd);
                t->open = false;
                r->open--;
        }
        r->error = error;
        buf_printf(r->why, "%s%s: %s", r->why->n ? "; " : "", addr_text(r->dial->to[i]).z,
                   strerrordesc_np(-error));
}

bool dial_from(struct dial *d, struct str own, struct addr room[static 2])
{
        struct str word;

        d->from4 = d->from6 = NULL;
        while (own.n) {
                struct addr a;

                str_cut(&own, ' ', &word);
                if (!word.n)
                        continue;
                if (!addr_parse(word, 0, &a) || a.port || addr_any(a) ||
                    (a.family == 4 ? d->from4 : d->from6))
                        return false;
                room[a.family == 6] = a;
                *(a.family == 6 ? &d->from6 : &d->from4) = &room[a.family == 6];
        }
        return true;
}

/* Who listens on this machine only trusts its own addresses: to those we come from one. */
static int own_address(int fd, const struct addr *from, struct addr to)
{
        struct sockaddr_storage sa;
        struct addr any_port;
        socklen_t n;

        if (!from || (addr_loopback(to) && !addr_loopback(*from)))
                return 0;
        any_port = *from;
        any_port.port = 0;
        n = addr_to(any_port, &sa);
        return bind(fd, (struct sockaddr *)&sa, n) < 0 ? -errno : 0;
}

static void begin(struct race *r)
{
        unsigned i = r->started++;
        struct attempt *t = &r->attempts[i];
        struct addr to = r->dial->to[i];
        struct sockaddr_storage sa;
        socklen_t n = addr_to(to, &sa);
        int rc;

        *t = (struct attempt){ { socket(to.family == 6 ? AF_INET6 : AF_INET,
                                        SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                                 moved },
                               r,
                               false,
                               false };
        if (t->watch.fd < 0) {
                lost(r, i, -errno);
                return;
        }
        rc = own_address(t->watch.fd, to.family == 6 ? r->dial->from6 : r->dial->from4, to);
        if (rc == 0 && connect(t->watch.fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)
                rc = -errno;
        if (rc == 0)
                rc = watch_add(&t->watch, EPOLLOUT);
        if (rc < 0) {
                close(t->watch.fd);
                lost(r, i, rc);
                return;
        }
        t->open = true;
        r->open++;
}

/* The index of one that stands, or -1; those that failed are struck off. */
static int winner(struct race *r)
{
        for (unsigned i = 0; i < r->started; i++) {
                struct attempt *t = &r->attempts[i];
                socklen_t n = sizeof(int);
                int error = 0;

                if (!t->open || !t->settled)
                        continue;
                if (getsockopt(t->watch.fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && !error)
                        return (int)i;
                lost(r, i, error ? -error : -EIO);
        }
        return -1;
}

static int run(struct race *r, nsec deadline)
{
        nsec next = 0;
        int won, rc = 0;

        while ((won = winner(r)) < 0) {
                nsec until;

                if (r->started < r->dial->count && (!r->open || now() >= next)) {
                        begin(r);
                        next = now() + NEXT_AFTER;
                        continue;
                }
                if (!r->open)
                        return r->error;
                until = r->started < r->dial->count && next < deadline ? next : deadline;
                rc = wait_on(&r->news, "connect", until);
                if (rc == -ECANCELED || (rc == -ETIMEDOUT && until == deadline))
                        return rc;
        }
        return won;
}

int dial_any(const struct dial *d, nsec deadline, struct conn **out, unsigned *which, struct buf *why)
{
        struct race r = { .dial = d, .why = why, .error = -EDESTADDRREQ };
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        int won = run(&r, deadline), rc = won < 0 ? won : 0;

        *out = NULL;
        for (unsigned i = 0; i < r.started; i++)
                if (r.attempts[i].open && (int)i != won)
                        lost(&r, i, rc < 0 ? rc : -ECANCELED);
        if (rc < 0)
                return rc;
        watch_remove(&r.attempts[won].watch);
        getsockname(r.attempts[won].watch.fd, (struct sockaddr *)&sa, &n);
        *which = (unsigned)won;
        *out = conn_new(r.attempts[won].watch.fd, d->to[won], addr_of((struct sockaddr *)&sa));
        if (!*out)
                buf_printf(why, "%sno descriptors are left", why->n ? "; " : "");
        return *out ? 0 : -EMFILE;
}

bool dial_is_own(struct addr at)
{
        struct sockaddr_storage sa;
        socklen_t n;
        bool own = addr_loopback(at);
        int fd;

        if (own || addr_any(at))
                return true;
        fd = socket(at.family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return false;
        at.port = 25;
        n = addr_to(at, &sa);
        if (connect(fd, (struct sockaddr *)&sa, n) ==
            0) { /* the route's own address: to ourselves it is the same */
                n = sizeof(sa);
                own = getsockname(fd, (struct sockaddr *)&sa, &n) == 0 &&
                      addr_same_host(addr_of((struct sockaddr *)&sa), at);
        }
        close(fd);
        return own;
}
