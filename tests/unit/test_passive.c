#include "net_unit.h"
#include "net/passive.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { LOW = 31500 };

/* The supervisor's part. */
static struct binder {
        unsigned asked;
        int refuses; /* -errno for the next ones */
        unsigned times;
        uint16_t last;
} binder;

static int bind_port(void *context, struct addr local)
{
        struct binder *b = context;
        struct sockaddr_storage sa;
        socklen_t n = addr_to(local, &sa);
        int on = 1, fd;

        b->asked++;
        b->last = local.port;
        if (fiber_self())
                fiber_yield(); /* others ask meanwhile */
        if (b->times > 0) {
                b->times--;
                return b->refuses;
        }
        fd = socket(local.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
        if (bind(fd, (struct sockaddr *)&sa, n) < 0) {
                n = (socklen_t)errno;
                close(fd);
                return -(int)n;
        }
        return fd;
}

static struct addr ip(const char *text)
{
        struct addr a;

        must(addr_parse(str_of(text), 0, &a));
        return a;
}

/* An address of the loopback that no other run of this test has: the ports are free. */
static struct addr here(void)
{
        struct addr a = ip("127.0.0.1");

        a.ip[1] = (uint8_t)(getpid() >> 8 | 1);
        a.ip[2] = (uint8_t)getpid();
        return a;
}

static struct passive *ports(unsigned n, unsigned offset, unsigned step)
{
        binder = (struct binder){ 0 };
        return passive_new(LOW, LOW + n - 1, offset, step, bind_port, &binder);
}

/* A client's connection: it says a byte, by which it is known again. */
static int dial(const char *from, uint16_t port, char byte)
{
        struct sockaddr_storage sa;
        struct addr to = here(), own = ip(from);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        to.port = port;
        must(bind(fd, (struct sockaddr *)&sa, addr_to(own, &sa)) == 0);
        must(connect(fd, (struct sockaddr *)&sa, addr_to(to, &sa)) == 0);
        must(send(fd, &byte, 1, MSG_NOSIGNAL) == 1);
        return fd;
}

static void is(int fd, char byte)
{
        char got = 0;

        must(fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
        must(fcntl(fd, F_SETFL, 0) == 0 && recv(fd, &got, 1, 0) == 1 && got == byte);
        close(fd);
}

/* Nobody took it: an end or a reset. */
static void turned_away(int fd)
{
        char got;

        must(recv(fd, &got, 1, 0) <= 0);
        close(fd);
}

static void turns(void)
{
        fiber_sleep(now() + 5 * MSECOND);
        fiber_yield();
}

static struct lease *take(struct passive *p, const char *client)
{
        struct lease *l;

        must(lease_take(p, here(), ip(client), false, &l) == 0);
        return l;
}

static void connections_body(void *arg)
{
        struct passive *p = ports(20, 0, 1);
        struct lease *a, *b, *again;
        int c1, c2, c3, fd;

        (void)arg;
        a = take(p, "127.0.0.1");
        b = take(p, "127.0.0.2");
        must(lease_port(a) >= LOW && lease_port(a) < LOW + 20 && passive_leases(p) == 2);

        /* before it is waited for; a second one is too much */
        c1 = dial("127.0.0.1", lease_port(a), 'a');
        turns();
        c2 = dial("127.0.0.1", lease_port(a), 'A');
        turns();
        turned_away(c2);
        must(lease_accept(a, SOON, &fd) == 0);
        is(fd, 'a');
        close(c1);
        c2 = dial("127.0.0.1", lease_port(a), 'A');
        turns();
        turned_away(c2);
        must(lease_accept(a, now() + MSECOND, &fd) == -ETIMEDOUT && fd == -1);

        /* a thief: at the right port, from elsewhere */
        c3 = dial("127.0.0.3", lease_port(b), 't');
        turns();
        turned_away(c3);
        must(lease_accept(b, now(), &fd) == -ETIMEDOUT);
        c2 = dial("127.0.0.2", lease_port(b), 'b');
        must(lease_accept(b, SOON, &fd) == 0);
        is(fd, 'b');
        close(c2);

        /* a lease that has ended, and one of which the connection was not taken */
        lease_end(&b);
        must(!b && passive_leases(p) == 1);
        again = take(p, "127.0.0.9");
        c2 = dial("127.0.0.9", lease_port(again), 'x');
        turns();
        lease_end(&again);
        turned_away(c2);
        lease_end(&a);
        c1 = dial("127.0.0.1", LOW, 'a');
        turns();
        turned_away(c1);
        passive_free(&p);
}

/* Sessions of one household: never one port twice; of others: shared. */
static void turns_body(void *arg)
{
        struct passive *p = ports(20, 0, 1);
        struct lease *l[20], *other[20], *more;
        unsigned seen[20] = { 0 };
        struct addr there = here();

        (void)arg;
        there.ip[3] = 2;
        /* the first eight are made, and used in turn */
        for (unsigned i = 0; i < 16; i++) {
                l[i] = take(p, "10.0.0.1");
                seen[lease_port(l[i]) - LOW]++;
                lease_end(&l[i]);
        }
        must(binder.asked == 8);
        for (unsigned i = 0; i < 8; i++)
                must(seen[i] == 2);
        for (unsigned i = 0; i < 20; i++) {
                l[i] = take(p, "10.0.0.1");
                seen[lease_port(l[i]) - LOW] += 10;
        }
        must(binder.asked == 20);
        for (unsigned i = 0; i < 20; i++)
                must(seen[i] / 10 == 1);
        must(lease_take(p, here(), ip("10.0.0.1"), false, &more) == -EBUSY && !more);
        for (unsigned i = 0; i < 20; i++)
                other[i] = take(p, "10.0.0.2");
        must(binder.asked == 20 && passive_leases(p) == 40);
        /* one that was given back is free again */
        lease_end(&l[7]);
        l[7] = take(p, "::ffff:10.0.0.1"); /* the same client in other words */
        must(lease_take(p, here(), ip("10.0.0.1"), false, &more) == -EBUSY);
        /* another local address has ports of its own */
        must(lease_take(p, there, ip("10.0.0.1"), false, &more) == 0 && binder.asked == 21);
        lease_end(&more);
        for (unsigned i = 0; i < 20; i++) {
                lease_end(&l[i]);
                lease_end(&other[i]);
        }
        passive_free(&p);

        /* this process's part of the range */
        p = ports(20, 3, 4);
        for (unsigned i = 0; i < 5; i++) {
                l[i] = take(p, "10.0.0.1");
                must((lease_port(l[i]) - LOW) % 4 == 3);
        }
        must(lease_take(p, here(), ip("10.0.0.1"), false, &more) == -EBUSY);
        for (unsigned i = 0; i < 5; i++)
                lease_end(&l[i]);
        passive_free(&p);
}

static void anybody_body(void *arg)
{
        struct passive *p = ports(9, 0, 1);
        struct lease *a, *l[9], *more;
        int fd, c;

        (void)arg;
        must(lease_take(p, here(), ip("127.0.0.1"), true, &a) == 0);
        for (unsigned i = 0; i < 8; i++) { /* it has its port for itself */
                l[i] = take(p, "127.0.0.7");
                must(lease_port(l[i]) != lease_port(a));
        }
        must(lease_take(p, here(), ip("127.0.0.7"), false, &more) == -EBUSY);
        must(lease_take(p, here(), ip("127.0.0.8"), true, &more) == -EBUSY);
        c = dial("127.0.0.7", lease_port(a), 's');
        must(lease_accept(a, SOON, &fd) == 0);
        is(fd, 's');
        close(c);
        lease_end(&a);
        l[8] = take(p, "127.0.0.7");
        for (unsigned i = 0; i < 9; i++)
                lease_end(&l[i]);
        passive_free(&p);
}

static void troubles_body(void *arg)
{
        struct passive *p = ports(20, 0, 1);
        struct lease *l, *more;

        (void)arg;
        binder.refuses = -EADDRINUSE; /* somebody else has these: the next one */
        binder.times = 3;
        l = take(p, "10.0.0.1");
        must(lease_port(l) == LOW + 3 && binder.asked == 4);
        binder.refuses = -EACCES; /* no more can be made: the ones there are serve others */
        binder.times = 100;
        more = take(p, "10.0.0.2");
        must(lease_port(more) == lease_port(l));
        must(lease_take(p, here(), ip("10.0.0.2"), false, &(struct lease *){ NULL }) == -EACCES);
        lease_end(&more);
        lease_end(&l);
        passive_free(&p);
}

struct waiter {
        struct passive *p;
        struct lease *l;
        int rc;
        bool done;
};

static void waits(void *arg)
{
        struct waiter *w = arg;
        int fd;

        if (w->p)
                w->rc = lease_take(w->p, here(), ip("10.0.0.1"), false, &w->l);
        else
                w->rc = lease_accept(w->l, NEVER, &fd);
        w->done = true;
}

static void together_body(void *arg)
{
        struct passive *p = ports(20, 0, 1);
        struct waiter w[20] = { 0 }, c;
        unsigned seen[20] = { 0 };
        int fd;

        (void)arg;
        /* all at once: each its own port */
        for (unsigned i = 0; i < 20; i++) {
                w[i].p = p;
                must(fiber_spawn("takes", waits, &w[i]) == 0);
        }
        for (unsigned i = 0; i < 20; i++) {
                while (!w[i].done)
                        fiber_yield();
                must(w[i].rc == 0);
                seen[lease_port(w[i].l) - LOW]++;
        }
        for (unsigned i = 0; i < 20; i++)
                must(seen[i] == 1);
        /* one that waits is cancelled, for good */
        c = (struct waiter){ .l = w[0].l };
        must(fiber_spawn("waits", waits, &c) == 0);
        turns();
        must(!c.done);
        lease_cancel(c.l);
        while (!c.done)
                fiber_yield();
        must(c.rc == -ECANCELED && lease_accept(c.l, SOON, &fd) == -ECANCELED);
        for (unsigned i = 0; i < 20; i++)
                lease_end(&w[i].l);
        passive_free(&p);
}

/* No descriptor left: the connection waits in the kernel, and comes when there is one. */
static void out_of_descriptors_body(void *arg)
{
        struct passive *p = ports(20, 0, 1);
        struct lease *l = take(p, "127.0.0.1");
        struct rlimit was, tight;
        int c = dial("127.0.0.1", lease_port(l), 'a'), fd, highest;

        (void)arg;
        highest = dup(0);
        close(highest);
        must(getrlimit(RLIMIT_NOFILE, &was) == 0);
        tight = was;
        tight.rlim_cur = (rlim_t)highest;
        must(setrlimit(RLIMIT_NOFILE, &tight) == 0);
        must(lease_accept(l, now() + 50 * MSECOND, &fd) == -ETIMEDOUT);
        must(setrlimit(RLIMIT_NOFILE, &was) == 0);
        must(lease_accept(l, SOON, &fd) == 0);
        is(fd, 'a');
        close(c);
        lease_end(&l);
        passive_free(&p);
}

/* Of many clients, without a connection: some bytes each, and no descriptors. */
static void many_body(void *arg)
{
        enum { MANY = 10000 };
        static struct lease *l[MANY];
        struct passive *p = ports(20, 0, 1);
        struct addr client = ip("10.0.0.0");
        size_t before = mallinfo2().uordblks;

        (void)arg;
        for (unsigned i = 0; i < MANY; i++) {
                client.ip[2] = (uint8_t)(i >> 8);
                client.ip[3] = (uint8_t)i;
                must(lease_take(p, here(), client, false, &l[i]) == 0);
        }
        must(binder.asked == 8 && passive_leases(p) == MANY);
#if !defined(__SANITIZE_ADDRESS__)
        must(mallinfo2().uordblks - before < (size_t)MANY * 150);
#endif
        (void)before;
        for (unsigned i = 0; i < MANY; i++)
                lease_end(&l[i]);
        must(passive_leases(p) == 0);
        passive_free(&p);
}

static void connections(void **state)
{
        (void)state;
        in_fiber(connections_body, NULL);
        in_fiber(anybody_body, NULL);
        in_fiber(out_of_descriptors_body, NULL);
}

static void leases(void **state)
{
        (void)state;
        in_fiber(turns_body, NULL);
        in_fiber(troubles_body, NULL);
        in_fiber(together_body, NULL);
        in_fiber(many_body, NULL);
}

/* A verb has no fiber: the same functions block. */
static void outside_of_fibers(void **state)
{
        struct passive *p;
        struct lease *l;
        int c, fd;

        (void)state;
        loop_init();
        p = ports(20, 0, 1);
        l = take(p, "127.0.0.1");
        c = dial("127.0.0.1", lease_port(l), 'a');
        assert_int_equal(lease_accept(l, SOON, &fd), 0);
        is(fd, 'a');
        close(c);
        assert_int_equal(lease_accept(l, now() + MSECOND, &fd), -ETIMEDOUT);
        lease_end(&l);
        passive_free(&p);
        loop_finish();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(connections),
                cmocka_unit_test(leases),
                cmocka_unit_test(outside_of_fibers),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
