#include "net/passive.h"
#include "base/mem.h"
#include "net/conn_private.h"
#include "run/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum {
        IN_TURN = 8,     /* so many listeners of a local address before one is used again */
        BACKLOG = 1024,  /* they are shared by all clients */
        BINDS_MOST = 16, /* ports that somebody else has, in one lease_take */
        ACCEPTS_A_TURN = 64,
};
#define PAUSE (200 * MSECOND)

/* A listener. */
struct port {
        struct watch watch;
        struct timer again; /* the rest of a long queue, or the end of a pause */
        struct place *place;
        struct lease *any; /* it has the port for itself: whoever comes is its */
        unsigned leases;
        uint16_t number;
};

/* A local address. */
struct place {
        struct place *next;
        struct passive *passive;
        struct addr local; /* port 0 */
        struct port **ports;
        size_t n;
        size_t turn;    /* the next to be used */
        size_t tries;   /* the next of the range to be bound */
        uint8_t *bound; /* of the range */
};

struct passive {
        unsigned first, step, range; /* numbers: first, first + step, ..., `range` of them */
        passive_bind_fn *bind;
        void *context;
        struct place *places;
        struct fiber_lock making;
        struct lease **table; /* by client and port; leases for anybody are not in it */
        size_t buckets;
        unsigned leases;
        nsec told; /* when the log last heard of a pause */
};

struct lease {
        struct lease *next; /* in its bucket */
        struct port *port;
        struct addr client;
        struct waitlist waiting;
        int fd;    /* -1, or the connection that came */
        bool came; /* once */
        bool cancelled;
};

static struct lease **bucket(struct passive *p, struct addr client, const struct port *port)
{
        struct {
                const struct port *port;
                uint8_t ip[16];
                uint64_t family;
        } key = { .port = port, .family = client.family };

        mem_copy(key.ip, sizeof(key.ip), str_from(client.ip, client.family == 4 ? 4 : 16));
        return &p->table[str_hash(str_from(&key, sizeof(key))) & (p->buckets - 1)];
}

static struct lease *find(struct passive *p, struct addr client, const struct port *port)
{
        struct lease *l = *bucket(p, client, port);

        while (l && (l->port != port || !addr_same_host(l->client, client)))
                l = l->next;
        return l;
}

static void put(struct passive *p, struct lease *l)
{
        struct lease **b = bucket(p, l->client, l->port);

        l->next = *b;
        *b = l;
}

static void grow(struct passive *p)
{
        struct lease **old = p->table, *l, *next;
        size_t n = p->buckets;

        p->buckets = 2 * n;
        p->table = mem_array(p->buckets, sizeof(*p->table));
        for (size_t i = 0; i < n; i++)
                for (l = old[i]; l; l = next) {
                        next = l->next;
                        put(p, l);
                }
        mem_free(old);
}

struct passive *passive_new(unsigned low, unsigned high, unsigned offset, unsigned step,
                            passive_bind_fn *bind, void *context)
{
        struct passive *p = mem_new(struct passive);

        p->first = low + offset;
        p->step = step ? step : 1;
        p->range = p->first <= high ? (high - p->first) / p->step + 1 : 0;
        p->bind = bind;
        p->context = context;
        p->buckets = 64;
        p->table = mem_array(p->buckets, sizeof(*p->table));
        return p;
}

static void port_free(struct port *port)
{
        timer_stop(&port->again);
        watch_remove(&port->watch);
        close(port->watch.fd);
        mem_free(port);
}

void passive_free(struct passive **pp)
{
        struct passive *p = *pp;
        struct place *place, *next;

        if (!p)
                return;
        *pp = NULL;
        assert(p->leases == 0);
        for (place = p->places; place; place = next) {
                next = place->next;
                for (size_t i = 0; i < place->n; i++)
                        port_free(place->ports[i]);
                mem_free(place->ports);
                mem_free(place->bound);
                mem_free(place);
        }
        mem_free(p->table);
        mem_free(p);
}

unsigned passive_leases(const struct passive *p)
{
        return p->leases;
}

/* A connection goes to whoever waits for it, or away. */
static void came(struct port *port, struct addr from, int fd)
{
        struct lease *l = port->any ? port->any : find(port->place->passive, from, port);

        if (!l || l->came) {
                close(fd);
                return;
        }
        l->came = true;
        l->fd = fd;
        wake_all(&l->waiting);
}

/* Out of descriptors or memory: the kernel keeps the queue meanwhile. */
static void pause_accepting(struct port *port, int error)
{
        struct passive *p = port->place->passive;

        if (!p->told || now() - p->told > 60 * SECOND) {
                p->told = now();
                log_warn("accept", "listen=%s:%u paused=\"%s\"", addr_text(port->place->local).z,
                         port->number, strerrordesc_np(error));
        }
        timer_set(&port->again, now() + PAUSE);
}

static void accept_some(struct port *port)
{
        for (int i = 0; i < ACCEPTS_A_TURN; i++) {
                struct sockaddr_storage sa;
                socklen_t n = sizeof(sa);
                int fd = accept4(port->watch.fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd >= 0) {
                        came(port, addr_of((struct sockaddr *)&sa), fd);
                } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                        pause_accepting(port, errno);
                        return;
                } else if (errno == EAGAIN || errno == EBADF || errno == EINVAL) {
                        return;
                } /* else that one is gone already (accept(2)) */
        }
        timer_set(&port->again, 0); /* the edge has passed: the others come at the next turn */
}

static void ready(struct watch *w, uint32_t events)
{
        (void)events;
        accept_some((struct port *)(void *)((char *)w - offsetof(struct port, watch)));
}

static void again(struct timer *t)
{
        accept_some((struct port *)(void *)((char *)t - offsetof(struct port, again)));
}

static struct place *place_of(struct passive *p, struct addr local)
{
        struct place *place = p->places;

        while (place && !addr_same_host(place->local, local))
                place = place->next;
        if (place)
                return place;
        place = mem_new(struct place);
        place->passive = p;
        place->local = local;
        place->local.port = 0;
        place->bound = mem_array(p->range ? p->range : 1, 1);
        place->next = p->places;
        p->places = place;
        return place;
}

static int port_new(struct place *place, uint16_t number, int fd, struct port **out)
{
        struct port *port = mem_new(struct port);
        int rc;

        port->watch = (struct watch){ .fd = fd, .ready = ready };
        port->again.fire = again;
        port->place = place;
        port->number = number;
        rc = listen(fd, BACKLOG) < 0 ? -errno : watch_add(&port->watch, EPOLLIN);
        if (rc < 0) {
                close(fd);
                mem_free(port);
                return rc;
        }
        place->ports = mem_grow(place->ports, place->n + 1, sizeof(*place->ports));
        place->ports[place->n++] = port;
        *out = port;
        return 0;
}

/* One more listener: -EBUSY: all ports of the range are bound; -errno of the last try. Under the lock. */
static int make_port(struct place *place, struct port **out)
{
        struct passive *p = place->passive;
        int rc = -EBUSY, binds = 0;

        for (unsigned i = 0; i < p->range && binds < BINDS_MOST; i++) {
                size_t at = place->tries++ % p->range;
                struct addr local = place->local;

                if (place->bound[at])
                        continue;
                binds++;
                local.port = (uint16_t)(p->first + at * p->step);
                rc = p->bind(p->context, local);
                if (rc >= 0) {
                        rc = port_new(place, local.port, rc, out);
                        place->bound[at] = rc == 0;
                }
                if (rc != -EADDRINUSE) /* somebody else's; the next one may be free */
                        return rc;
        }
        return rc;
}

/* In turn, one that this client's other leases leave free. */
static struct port *pick(struct place *place, struct addr client, bool any_client)
{
        for (size_t i = 0; i < place->n; i++) {
                size_t at = (place->turn + i) % place->n;
                struct port *port = place->ports[at];

                if (any_client ? port->leases == 0 : !port->any && !find(place->passive, client, port)) {
                        place->turn = at + 1;
                        return port;
                }
        }
        return NULL;
}

static int find_port(struct place *place, struct addr client, bool any_client, struct port **out)
{
        struct fiber_lock *making = &place->passive->making;
        int rc;

        *out = place->n >= IN_TURN ? pick(place, client, any_client) : NULL;
        if (*out)
                return 0;
        rc = lock_take(making, "a passive port", NEVER);
        if (rc < 0)
                return rc;
        if (place->n >= IN_TURN) /* somebody made some meanwhile */
                *out = pick(place, client, any_client);
        if (!*out)
                rc = make_port(place, out);
        lock_drop(making);
        if (rc < 0)
                *out = pick(place, client, any_client);
        return *out ? 0 : rc;
}

int lease_take(struct passive *p, struct addr local, struct addr client, bool any_client, struct lease **out)
{
        struct lease *l;
        struct port *port;
        int rc;

        *out = NULL;
        rc = find_port(place_of(p, local), client, any_client, &port);
        if (rc < 0)
                return rc;
        l = mem_new(struct lease);
        l->port = port;
        l->client = client;
        l->fd = -1;
        p->leases++;
        port->leases++;
        if (p->leases > p->buckets)
                grow(p);
        if (any_client)
                port->any = l;
        else
                put(p, l);
        *out = l;
        return 0;
}

void lease_end(struct lease **lp)
{
        struct lease *l = *lp, **at;
        struct passive *p;

        if (!l)
                return;
        *lp = NULL;
        assert(waitlist_empty(&l->waiting));
        p = l->port->place->passive;
        if (l->port->any == l) {
                l->port->any = NULL;
        } else {
                for (at = bucket(p, l->client, l->port); *at != l; at = &(*at)->next)
                        ;
                *at = l->next;
        }
        l->port->leases--;
        p->leases--;
        if (l->fd >= 0)
                close(l->fd);
        mem_free(l);
}

uint16_t lease_port(const struct lease *l)
{
        return l->port->number;
}

/* A verb or a unit test, where no loop runs. */
static int wait_alone(struct lease *l, nsec deadline)
{
        struct pollfd p = { .fd = l->port->watch.fd, .events = POLLIN };
        nsec left = deadline == NEVER ? 3600 * SECOND : deadline - now();

        if (left <= 0)
                return -ETIMEDOUT;
        if (poll(&p, 1, left > 3600 * SECOND ? 3600000 : (int)(left / MSECOND + 1)) < 0 && errno != EINTR)
                return -errno;
        accept_some(l->port);
        return 0;
}

int lease_accept(struct lease *l, nsec deadline, int *fd)
{
        int rc = 0;

        *fd = -1;
        while (rc == 0 && l->fd < 0 && !l->cancelled)
                rc = fiber_self() ? wait_on(&l->waiting, "a data connection", deadline)
                                  : wait_alone(l, deadline);
        if (l->cancelled)
                return -ECANCELED;
        if (l->fd < 0)
                return rc;
        *fd = l->fd;
        l->fd = -1;
        return 0;
}

void lease_cancel(struct lease *l)
{
        l->cancelled = true;
        wake_all(&l->waiting);
}
