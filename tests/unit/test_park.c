#include "net_unit.h"
#include "base/mem.h"

/* A session that parks: woken on the loop's stack, it starts a fiber again. */
struct parker {
        struct conn *c;
        int peer, woken;
        enum woken why;
        struct waitlist told;
};

static void parker_woken(void *context, enum woken why)
{
        struct parker *p = context;

        must(!fiber_self());
        must(!conn_parked(p->c));
        p->woken++;
        p->why = why;
        wake_all(&p->told);
}

static void park(struct parker *p, nsec deadline)
{
        must(conn_may_park(p->c));
        p->woken = 0;
        conn_park(p->c, deadline, parker_woken, p);
        must(conn_parked(p->c));
        must(!p->c->in.p && !p->c->out.p); /* it owns no buffer */
        must(p->woken == 0);               /* not before the loop's next turn */
}

static void woken_once(struct parker *p, enum woken why)
{
        while (p->woken == 0)
                must(wait_on(&p->told, "being woken", SOON) == 0);
        for (int i = 0; i < 5; i++)
                fiber_yield(); /* turns in which a second one would come */
        must(p->woken == 1 && p->why == why);
}

static void parking_body(void *arg)
{
        struct parker p = { 0 };
        struct str line;

        (void)arg;
        p.c = conn_and_peer(&p.peer);
        conn_park_after(p.c, 0);

        /* quiet at once, but not before what was said is out */
        conn_put(p.c, S("hello\r\n"));
        must(!conn_may_park(p.c));
        must(conn_line(p.c, &line, 99, SOON) == GOT_QUIET);
        hears(p.peer, S("hello\r\n"));
        must(!p.c->in.p && !p.c->out.p);
        must(sizeof(struct conn) <= 320);

        /* bytes */
        park(&p, SOON);
        say(p.peer, S("NOOP\r\nNO"));
        woken_once(&p, WOKEN_INPUT);
        must(conn_line(p.c, &line, 99, SOON) == GOT_LINE);
        /* part of a line: this wait ends late, not quiet */
        must(conn_line(p.c, &line, 99, now() + MSECOND) == GOT_LATE);
        must(!conn_may_park(p.c));
        say(p.peer, S("OP\r\n"));
        must(conn_line(p.c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));

        /* an edge that came between GOT_QUIET and parking */
        must(conn_line(p.c, &line, 99, SOON) == GOT_QUIET);
        say(p.peer, S("A\r\n"));
        fiber_sleep(now() + MSECOND); /* a turn in which the loop sees it */
        park(&p, SOON);
        woken_once(&p, WOKEN_INPUT);
        must(conn_line(p.c, &line, 99, SOON) == GOT_LINE);

        /* the deadline, future and past */
        must(conn_line(p.c, &line, 99, SOON) == GOT_QUIET);
        park(&p, now() + MSECOND);
        woken_once(&p, WOKEN_DEADLINE);
        park(&p, now() - SECOND);
        woken_once(&p, WOKEN_DEADLINE);

        /* a bell, and all at once: one of them, once */
        park(&p, NEVER);
        conn_wake(p.c, WOKEN_BELL);
        conn_wake(p.c, WOKEN_BELL);
        woken_once(&p, WOKEN_BELL);
        park(&p, now());
        say(p.peer, S("B\r\n"));
        conn_wake(p.c, WOKEN_BELL);
        woken_once(&p, WOKEN_BELL);
        must(conn_line(p.c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("B")));

        /* a bell while a command runs waits for the next wait, even where parking is far */
        conn_park_after(p.c, -1);
        conn_wake(p.c, WOKEN_BELL);
        must(conn_line(p.c, &line, 99, SOON) == GOT_QUIET);
        park(&p, NEVER);
        woken_once(&p, WOKEN_BELL);
        must(conn_line(p.c, &line, 99, now()) == GOT_LATE); /* it was heard */

        /* shutdown: woken, told, and still able to say goodbye */
        park(&p, NEVER);
        conn_shutdown(p.c);
        woken_once(&p, WOKEN_SHUTDOWN);
        must(conn_line(p.c, &line, 99, SOON) == GOT_END);
        must(conn_stopping(p.c) && !conn_signed_out(p.c) && conn_ok(p.c));
        conn_put(p.c, S("421 bye\r\n"));
        conn_close(&p.c, SOON);
        hears(p.peer, S("421 bye\r\n"));
        close(p.peer);

        /* a hang-up; and a connection freed while it is parked is never woken */
        p.c = conn_and_peer(&p.peer);
        park(&p, NEVER);
        close(p.peer);
        woken_once(&p, WOKEN_INPUT);
        must(conn_line(p.c, &line, 99, SOON) == GOT_END);
        must(!conn_may_park(p.c));
        conn_free(&p.c);
        p.c = conn_and_peer(&p.peer);
        park(&p, now());
        conn_wake(p.c, WOKEN_BELL);
        conn_free(&p.c);
        close(p.peer);
        for (int i = 0; i < 5; i++)
                fiber_yield();
        must(p.woken == 0);
}

static void wakes_later(void *arg)
{
        struct parker *p = arg;

        while (!p->c->wants)
                fiber_yield();
        conn_wake(p->c, p->why);
}

/* The same reasons, while a fiber waits in conn_line. */
static void waking_a_waiter_body(void *arg)
{
        struct parker p = { .why = WOKEN_BELL };
        struct str line;

        (void)arg;
        p.c = conn_and_peer(&p.peer);
        must(fiber_spawn("waker", wakes_later, &p) == 0);
        must(conn_line(p.c, &line, 99, SOON) == GOT_QUIET);
        p.why = WOKEN_SIGNED_OUT;
        must(fiber_spawn("waker", wakes_later, &p) == 0);
        must(conn_line(p.c, &line, 99, SOON) == GOT_END);
        must(conn_stopping(p.c) && conn_signed_out(p.c) && conn_ok(p.c));
        conn_shutdown(p.c);
        must(conn_signed_out(p.c)); /* whoever asked first */
        conn_free(&p.c);
        close(p.peer);
}

/* conn_call, from a fiber that waits for what the other one has come to. */
struct caller {
        struct conn *c;
        uint32_t when; /* what the session waits for: EPOLLIN, EPOLLOUT */
        int drain;     /* then, let the flush go on by reading here; -1: not */
        size_t drained;
};

static void calls_later(void *arg)
{
        struct caller *k = arg;
        static char scrap[65536];
        ssize_t n;

        while (!(k->c->wants & k->when))
                fiber_yield();
        conn_call(k->c);
        conn_call(k->c);
        while (k->drain >= 0 && k->drained < 1 << 20) {
                n = recv(k->drain, scrap, sizeof(scrap), MSG_DONTWAIT);
                k->drained += n > 0 ? (size_t)n : 0;
                fiber_yield();
        }
        k->drained++;
}

static void calling_body(void *arg)
{
        struct parker p = { 0 };
        struct caller k = { .when = EPOLLIN, .drain = -1 };
        struct str line;
        char *much;

        (void)arg;
        p.c = k.c = conn_and_peer(&p.peer);
        /* while it waits for a command, once however often called, and the output goes out before the next wait */
        conn_put(p.c, S("150\r\n"));
        must(fiber_spawn("caller", calls_later, &k) == 0);
        must(conn_line(p.c, &line, 99, SOON) == GOT_CALLED);
        must(conn_line(p.c, &line, 99, now() + MSECOND) == GOT_LATE);
        hears(p.peer, S("150\r\n"));
        /* in the middle of a line, which is not lost; what is there already goes first */
        say(p.peer, S("NOOP\r\nAB"));
        fiber_sleep(now() + MSECOND); /* a turn in which the loop sees it */
        conn_call(p.c);
        must(conn_line(p.c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));
        must(conn_line(p.c, &line, 99, SOON) == GOT_CALLED);
        must(fiber_spawn("caller", calls_later, &k) == 0);
        must(conn_line(p.c, &line, 99, SOON) == GOT_CALLED);
        say(p.peer, S("OR\r\n"));
        must(conn_line(p.c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("ABOR")));
        /* while it waits for somebody who reads slowly */
        much = mem_alloc(1 << 20);
        k = (struct caller){ .c = p.c, .when = EPOLLOUT, .drain = p.peer };
        must(fiber_spawn("caller", calls_later, &k) == 0);
        conn_put(p.c, str_from(much, 1 << 20));
        must(conn_line(p.c, &line, 99, SOON) == GOT_CALLED);
        while (k.drained < (1 << 20) + 1)
                fiber_yield();
        mem_free(much);

        /* a session that is called is not parked; a parked one wakes and is told */
        conn_park_after(p.c, 0);
        must(conn_line(p.c, &line, 99, SOON) == GOT_QUIET);
        conn_call(p.c);
        must(!conn_may_park(p.c));
        must(conn_line(p.c, &line, 99, SOON) == GOT_CALLED);
        must(conn_line(p.c, &line, 99, SOON) == GOT_QUIET);
        park(&p, NEVER);
        conn_call(p.c);
        woken_once(&p, WOKEN_INPUT);
        must(conn_line(p.c, &line, 99, SOON) == GOT_CALLED);
        must(conn_line(p.c, &line, 99, SOON) == GOT_QUIET);
        conn_call(p.c); /* between GOT_QUIET and conn_park */
        conn_park(p.c, NEVER, parker_woken, &p);
        p.woken = 0;
        woken_once(&p, WOKEN_INPUT);
        must(conn_line(p.c, &line, 99, SOON) == GOT_CALLED);
        /* the end goes first */
        conn_call(p.c);
        conn_shutdown(p.c);
        must(conn_line(p.c, &line, 99, SOON) == GOT_END);
        conn_free(&p.c);
        close(p.peer);
}

static void calling(void **state)
{
        (void)state;
        in_fiber(calling_body, NULL);
}

static void parking(void **state)
{
        (void)state;
        in_fiber(parking_body, NULL);
        in_fiber(waking_a_waiter_body, NULL);
}

struct recorder {
        struct conn_tap tap;
        struct buf text;
};

static void record(struct conn_tap *t, char from, struct str line, uint64_t bytes_passed)
{
        struct recorder *r = (struct recorder *)t;

        if (line.p)
                buf_printf(&r->text, "%c: " PRS "\n", from, STR(line));
        else
                buf_printf(&r->text, "%c: (%llu)\n", from, (unsigned long long)bytes_passed);
}

static void tap_body(void *arg)
{
        struct recorder r = { .tap.line = record };
        int peer;
        struct conn *c = conn_and_peer(&peer);
        struct str line;

        (void)arg;
        buf_init(&r.text, 4096);
        conn_set_tap(c, &r.tap);
        conn_put(c, S("+OK PO"));
        conn_put(c, S("P3\r\n"));
        say(peer, S("PASS x\r\n"));
        conn_secret(c, true);
        must(conn_line(c, &line, 99, SOON) == GOT_LINE);
        must(str_eq(line, S("PASS x")));
        conn_secret(c, false);
        conn_printf(c, "+OK\r\n%s\r\n", "+OK go");
        say(peer, S("AUTH PLAIN secret\r\n"));
        must(conn_line(c, &line, 99, SOON) == GOT_LINE);
        must(str_eq(line, S("AUTH PLAIN secret")));
        conn_hide(c, 11);
        conn_hide(c, 14);
        say(peer, S("DATA\r\nsecret letterQUIT\n"));
        must(conn_line(c, &line, 99, SOON) == GOT_LINE);
        must(conn_some(c, 99, SOON).n == 18);
        conn_unread(c, 5);
        must(conn_line(c, &line, 99, SOON) == GOT_BARE);
        conn_body(c, S("one"));
        conn_body(c, S("four"));
        conn_put(c, S(".\r\n"));
        conn_body(c, S("x"));
        conn_free(&c);
        must(str_eq(
            buf_str(&r.text),
            S("S: +OK POP3\nC: ****\nS: +OK\nS: +OK go\nC: AUTH PLAIN ****\nC: DATA\nC: (13)\nC: QUIT\n"
              "S: (7)\nS: .\nS: (1)\n")));
        buf_free(&r.text);
        hears(peer, S("+OK POP3\r\n+OK\r\n+OK go\r\nonefour.\r\nx"));
        close(peer);
}

static void tap(void **state)
{
        (void)state;
        in_fiber(tap_body, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parking),
                cmocka_unit_test(calling),
                cmocka_unit_test(tap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
