#include "net_unit.h"
#include "net/listen.h"
#include "run/log.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void addresses(void **state)
{
        static const struct {
                const char *in, *text, *literal, *net;
                uint16_t port;
        } good[] = {
                { "127.0.0.1", "127.0.0.1", "[127.0.0.1]", "127.0.0.1", 7 },
                { "127.0.0.1:25", "127.0.0.1", "[127.0.0.1]", "127.0.0.1", 25 },
                { "::1", "::1", "[IPv6:::1]", "::", 7 },
                { "[::1]:0", "::1", "[IPv6:::1]", "::", 0 },
                { "[2001:db8::5]", "2001:db8::5", "[IPv6:2001:db8::5]", "2001:db8::", 7 },
                { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "[IPv6:2001:db8:1:2:3:4:5:6]",
                  "2001:db8:1:2::", 7 },
                { "::ffff:10.1.2.3", "10.1.2.3", "[10.1.2.3]", "10.1.2.3", 7 },
        };
        static const char *const bad[] = { "",
                                           "1.2.3",
                                           "1.2.3.4:",
                                           "1.2.3.4:65536",
                                           "[::1",
                                           "[::1]25",
                                           "::1]:25",
                                           "hill.com",
                                           "1.2.3.4:2:3",
                                           "[1.2.3.4]:x",
                                           "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000" };
        static const struct {
                const char *address, *list;
                bool in;
        } lists[] = {
                { "127.0.0.1", "127.0.0.0/8 ::1", true },
                { "128.0.0.1", "127.0.0.0/8 ::1", false },
                { "10.9.1.1", "1.2.3.4, 10.8.0.0/15", true },
                { "10.10.1.1", "10.8.0.0/15", false },
                { "::1", "127.0.0.0/8,::1", true },
                { "::2", "::1", false },
                { "1.2.3.4", "::/0", false },
                { "1.2.3.4", "0.0.0.0/0", true },
                { "1.2.3.4", "1.2.3.4/33 nonsense /8", false },
                { "1.2.3.4", "", false },
                { "2001:db8::1", "2001:db8::/32", true },
        };
        struct addr a;

        (void)state;
        for (size_t i = 0; i < LENGTH(good); i++) {
                struct sockaddr_storage sa;

                assert_true(addr_parse(str_of(good[i].in), 7, &a));
                assert_string_equal(addr_text(a).z, good[i].text);
                assert_string_equal(addr_literal(a).z, good[i].literal);
                assert_string_equal(addr_text(addr_net(a)).z, good[i].net);
                assert_int_equal(a.port, good[i].port);
                assert_true(addr_to(a, &sa) > 0);
                assert_true(addr_same_host(addr_of((struct sockaddr *)&sa), a));
                assert_int_equal(addr_of((struct sockaddr *)&sa).port, a.port);
        }
        for (size_t i = 0; i < LENGTH(bad); i++)
                assert_false(addr_parse(str_of(bad[i]), 7, &a));
        assert_false(addr_parse(S("127.0.0.1\0.5"), 7, &a));
        for (size_t i = 0; i < LENGTH(lists); i++) {
                assert_true(addr_parse(str_of(lists[i].address), 0, &a));
                assert_int_equal(addr_in_list(a, str_of(lists[i].list)), lists[i].in);
        }
}

static void lines_body(void *arg)
{
        static const struct {
                const char *in;
                struct {
                        enum got got;
                        const char *line;
                } out[6];
        } rows[] = {
                { "HELO\r\nQUIT\r\n", { { GOT_LINE, "HELO" }, { GOT_LINE, "QUIT" }, { GOT_END, "" } } },
                { "\r\n\n\r\n", { { GOT_LINE, "" }, { GOT_BARE, "" }, { GOT_LINE, "" }, { GOT_END, "" } } },
                { "HELO\nQUIT\r\n", { { GOT_BARE, "HELO" }, { GOT_LINE, "QUIT" }, { GOT_END, "" } } },
                { "a\rb\r\r\n", { { GOT_LINE, "a\rb\r" }, { GOT_END, "" } } },
                { "1234567890\r\n", { { GOT_LINE, "1234567890" }, { GOT_END, "" } } },
                { "12345678901\r\nQ\r\n", { { GOT_LONG, "01" }, { GOT_LINE, "Q" }, { GOT_END, "" } } },
                { "12345678901\nQ\r\n", { { GOT_LONG, "901" }, { GOT_LINE, "Q" }, { GOT_END, "" } } },
                { "123456789012345\r\r\n\nQ\r\n",
                  { { GOT_LONG, "5\r" }, { GOT_BARE, "" }, { GOT_LINE, "Q" }, { GOT_END, "" } } },
                { "1234567890\rQ\r\nR\r\n", { { GOT_LONG, "\rQ" }, { GOT_LINE, "R" }, { GOT_END, "" } } },
                { "no end", { { GOT_END, "" } } },
                { "no end that is long", { { GOT_END, "" } } },
        };

        (void)arg;
        /* whole, and with a line's bytes one by one, so that every wait is met */
        for (size_t i = 0; i < LENGTH(rows) * 2; i++) {
                struct str in = str_of(rows[i / 2].in), line;
                size_t piece = i % 2 ? 1 : in.n, sent = 0, at = 0;
                int peer;
                struct conn *c = conn_and_peer(&peer);
                enum got got;

                do {
                        if (sent < in.n) {
                                say(peer, str_sub(in, sent, piece));
                                sent += piece;
                        } else if (sent == in.n) {
                                must(shutdown(peer, SHUT_WR) == 0);
                                sent++;
                        }
                        got = conn_line(c, &line, 10, sent > in.n ? SOON : now() + MSECOND);
                        if (got == GOT_LATE)
                                continue;
                        must(got == rows[i / 2].out[at].got);
                        must(str_eq(line, str_of(rows[i / 2].out[at].line)));
                        at++;
                } while (got != GOT_END);
                must(conn_ok(c)); /* they only stopped talking */
                conn_put(c, S("bye\r\n"));
                conn_close(&c, SOON);
                hears(peer, S("bye\r\n"));
                close(peer);
        }
}

static void lines(void **state)
{
        (void)state;
        in_fiber(lines_body, NULL);
}

struct flood {
        int fd;
        size_t n;
        char byte;
};

/* Sends n bytes from the other side, as fast as they are taken. */
static void flood(void *arg)
{
        struct flood *f = arg;
        struct conn *c = conn_new(f->fd, nobody, nobody);
        char piece[1000];

        for (size_t i = 0; i < sizeof(piece); i++)
                piece[i] = f->byte;
        for (size_t left = f->n; left > 0; left -= left < sizeof(piece) ? left : sizeof(piece))
                conn_put(c, str_sub((struct str){ piece, sizeof(piece) }, 0, left));
        conn_put(c, S("\r\nNEXT\r\n"));
        must(conn_flush(c, SOON) == 0);
        conn_free(&c);
}

static void endless_line_body(void *arg)
{
        struct str line;
        struct flood f = { .n = 3000000, .byte = 'x' };
        struct conn *c = conn_and_peer(&f.fd);

        (void)arg;
        must(fiber_spawn("flood", flood, &f) == 0);
        must(conn_line(c, &line, 512, SOON) == GOT_LONG);
        must(c->in.cap <= 2 * READ_BULK);
        must(conn_line(c, &line, 512, SOON) == GOT_LINE && str_eq(line, S("NEXT")));
        must(conn_line(c, &line, 512, SOON) == GOT_END);
        conn_free(&c);
}

/* Bytes without end or pause meet the deadline, too, and not only when the socket is read dry. */
static void endless_and_late_body(void *arg)
{
        static const char piece[1000];
        struct str line;
        int peer, unread;
        struct conn *c = conn_and_peer(&peer);

        (void)arg;
        while (send(peer, piece, sizeof(piece), MSG_DONTWAIT) > 0)
                ;
        must(fiber_sleep(now() + MSECOND) == 0); /* the loop sees it */
        must(conn_line(c, &line, 512, now()) == GOT_LATE);
        must(ioctl(c->watch.fd, FIONREAD, &unread) == 0 && unread > 0);
        conn_free(&c);
        close(peer);
}

static void endless_lines(void **state)
{
        (void)state;
        in_fiber(endless_line_body, NULL);
        in_fiber(endless_and_late_body, NULL);
}

/* BDAT 5 <hello> QUIT, all in one segment. */
static void bytes_body(void *arg)
{
        int peer;
        struct conn *c = conn_and_peer(&peer);
        struct str s;

        (void)arg;
        must(!conn_input_waits(c));
        say(peer, S("BDAT 5\r\nhelloQUIT\r\n"));
        must(conn_line(c, &s, 512, SOON) == GOT_LINE);
        must(conn_input_waits(c));
        s = conn_some(c, 3, SOON);
        must(str_eq(s, S("hel")));
        s = conn_some(c, 99, SOON);
        must(str_eq(s, S("loQUIT\r\n")));
        conn_unread(c, 6);
        must(conn_line(c, &s, 512, SOON) == GOT_LINE && str_eq(s, S("QUIT")));
        must(!conn_input_waits(c));
        must(conn_some(c, 1, now()).n == 0 && conn_ok(c) && conn_late(c));
        conn_put(c, S("421 too late\r\n"));
        must(conn_flush(c, SOON) == 0);
        hears(peer, S("421 too late\r\n"));
        say(peer, S("x"));
        must(conn_some(c, 1, SOON).n == 1 && !conn_late(c));
        conn_fail(c);
        must(conn_line(c, &s, 512, SOON) == GOT_END);
        conn_free(&c);
        close(peer);
        c = conn_and_peer(&peer);
        close(peer);
        must(conn_some(c, 1, SOON).n == 0 && conn_ok(c) && !conn_late(c)); /* the end */
        must(conn_input_waits(c));
        conn_free(&c);
}

static void bulk_body(void *arg)
{
        struct flood f = { .n = 5000000, .byte = 'y' };
        struct conn *c = conn_and_peer(&f.fd);
        struct str s;
        size_t got = 0;

        (void)arg;
        must(fiber_spawn("flood", flood, &f) == 0);
        while (got < f.n) {
                s = conn_some(c, f.n - got, SOON);
                must(s.n > 0 && s.p[0] == 'y' && s.p[s.n - 1] == 'y');
                got += s.n;
        }
        must(conn_line(c, &s, 9, SOON) == GOT_LINE && s.n == 0);
        must(conn_line(c, &s, 9, SOON) == GOT_LINE && str_eq(s, S("NEXT")));
        must(conn_line(c, &s, 9, SOON) == GOT_END);
        conn_free(&c);
}

static void bytes(void **state)
{
        (void)state;
        in_fiber(bytes_body, NULL);
        in_fiber(bulk_body, NULL);
}

static void output_body(void *arg)
{
        static const char large[SEND_STRAIGHT];
        int peer;
        struct conn *c = conn_and_peer(&peer);
        struct str line;
        size_t n;

        (void)arg;
        /* both commands are answered in one piece, when the second wait begins */
        say(peer, S("A\r\nB\r\n"));
        must(conn_line(c, &line, 9, SOON) == GOT_LINE);
        conn_printf(c, "250 %s\r\n", "a");
        must(conn_line(c, &line, 9, SOON) == GOT_LINE);
        hears(peer, S(""));
        conn_put(c, S("250 b\r\n"));
        must(conn_line(c, &line, 9, now()) == GOT_LATE);
        hears(peer, S("250 a\r\n250 b\r\n"));

        /* nobody reads: the flush ends at its deadline, and from then on all is swallowed */
        conn_write_deadline(c, 0);
        for (n = 0; n < 100000000 && conn_ok(c); n += 1000)
                conn_printf(c, "%999s\n", "x");
        must(n < 100000000);
        conn_put(c, S("more"));
        must(c->out.n == 0);
        must(conn_flush(c, SOON) == -EPIPE);
        must(conn_line(c, &line, 9, SOON) == GOT_END);
        conn_free(&c);
        close(peer);

        /* a piece too large for the gathering goes out in order; gone peers are no signal but a failure */
        c = conn_and_peer(&peer);
        conn_put(c, S("first "));
        close(peer);
        conn_put(c, (struct str){ large, SEND_STRAIGHT });
        must(!conn_ok(c));
        conn_free(&c);
}

static void output(void **state)
{
        (void)state;
        in_fiber(output_body, NULL);
}

struct arrivals {
        struct conn *conns[64];
        size_t n;
        struct waitlist more;
};

static void arrived(struct conn *c, void *context)
{
        struct arrivals *a = context;

        must(!fiber_self() && a->n < LENGTH(a->conns));
        a->conns[a->n++] = c;
        wake_all(&a->more);
}

static struct addr listening(struct arrivals *a, struct listener **l)
{
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        struct addr here;
        int fd;

        must(addr_parse(S("127.0.0.1"), 0, &here));
        fd = listen_on(here, false, 64);
        must(fd >= 0 && getsockname(fd, (struct sockaddr *)&sa, &n) == 0);
        *l = listener_new(fd, arrived, a);
        must(*l);
        return addr_of((struct sockaddr *)&sa);
}

static void dial_and_listen_body(void *arg)
{
        struct arrivals a = { 0 };
        struct listener *l;
        struct addr here = listening(&a, &l), from = here;
        struct conn *c;
        struct str line;

        (void)arg;
        must(listen_probe(here) == -EADDRINUSE);
        from.port = 0;
        from.ip[3] = 9;
        must(conn_dial(here, &from, SOON, &c) == 0);
        while (a.n < 1)
                must(wait_on(&a.more, "arrival", SOON) == 0);
        must(addr_same_host(conn_peer(a.conns[0]), from) && addr_same_host(conn_local(c), from));
        must(conn_peer(a.conns[0]).port == conn_local(c).port && conn_local(a.conns[0]).port == here.port);

        /* the last reply arrives though what they said was not read */
        conn_put(c, S("HELO\r\n"));
        for (int i = 0; i < 20000; i++)
                conn_put(c, S("more\r\n"));
        must(conn_flush(c, SOON) == 0);
        must(conn_line(a.conns[0], &line, 99, SOON) == GOT_LINE);
        conn_put(a.conns[0], S("421 bye\r\n"));
        conn_close(&a.conns[0], SOON);
        must(conn_line(c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("421 bye")));
        must(conn_line(c, &line, 99, SOON) == GOT_END && conn_ok(c));
        conn_free(&c);

        listener_free(&l);
        must(conn_dial(here, NULL, SOON, &c) == -ECONNREFUSED && !c);
        must(listen_probe(here) == 0);
}

static void let_them_come(struct arrivals *a, size_t n)
{
        while (a->n < n)
                must(wait_on(&a->more, "arrival", SOON) == 0);
}

/* With no descriptor left, accepting pauses without turning the loop, and goes on when one is free. */
static void out_of_descriptors_body(void *arg)
{
        struct arrivals a = { 0 };
        struct listener *l;
        struct addr here = listening(&a, &l);
        struct rlimit before, tight;
        int clients[8], spare;
        struct sockaddr_storage sa;
        socklen_t n = addr_to(here, &sa);

        (void)arg;
        for (size_t i = 0; i < LENGTH(clients); i++)
                clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        spare = dup(clients[0]); /* the next number */
        must(spare > clients[7]);
        close(spare);
        getrlimit(RLIMIT_NOFILE, &before);
        tight = before;
        tight.rlim_cur = (rlim_t)spare + 3; /* room for three */
        must(setrlimit(RLIMIT_NOFILE, &tight) == 0);
        for (size_t i = 0; i < LENGTH(clients); i++)
                must(connect(clients[i], (struct sockaddr *)&sa, n) == 0);
        let_them_come(&a, 3);
        for (int i = 0; i < 20; i++)
                fiber_yield();
        must(a.n == 3);
        conn_free(&a.conns[0]);
        let_them_come(&a, 4); /* at once: one was freed */
        must(setrlimit(RLIMIT_NOFILE, &before) == 0);
        let_them_come(&a, 8); /* by the timer */
        for (size_t i = 0; i < LENGTH(clients); i++) {
                conn_free(&a.conns[i]);
                close(clients[i]);
        }
        listener_free(&l);
}

static void dial_and_listen(void **state)
{
        (void)state;
        in_fiber(dial_and_listen_body, NULL);
        in_fiber(out_of_descriptors_body, NULL);
}

/* RFC 959 §4.1.3: IP and the Synch before an ABOR. The urgent byte stays where it was sent, and counts once. */
static void urgent_body(void *arg)
{
        struct conn *c;
        struct str line;
        int fd[2];

        (void)arg;
        tcp_pair(fd);
        c = conn_new(fd[1], nobody, nobody);
        conn_urgent_inline(c);
        say(fd[0], S("NOOP\r\n\xff\xf4"));
        must(send(fd[0], "\xff\xf2", 2, MSG_OOB) == 2);
        say(fd[0], S("ABOR\r\n"));
        must(conn_line(c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));
        must(conn_line(c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("\xff\xf4\xff\xf2"
                                                                         "ABOR")));
        must(conn_urgent(c) && !conn_urgent(c));
        /* nothing but an urgent byte; then one that is noticed before it is read */
        must(send(fd[0], "\n", 1, MSG_OOB) == 1);
        must(conn_line(c, &line, 99, SOON) == GOT_BARE && line.n == 0);
        must(conn_urgent(c) && !conn_urgent(c));
        say(fd[0], S("A"));
        must(send(fd[0], "B", 1, MSG_OOB) == 1);
        while (!c->urgent)
                fiber_sleep(now() + MSECOND);
        must(conn_urgent(c));
        say(fd[0], S("C\r\n"));
        for (int i = 0; i < 5; i++)
                fiber_yield(); /* turns in which the edge comes again */
        must(conn_line(c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("ABC")));
        must(!conn_urgent(c));
        /* none */
        say(fd[0], S("QUIT\r\n"));
        must(conn_line(c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("QUIT")));
        must(!conn_urgent(c));
        conn_free(&c);
        close(fd[0]);
}

static void urgent(void **state)
{
        (void)state;
        in_fiber(urgent_body, NULL);
}

/* A verb has no fiber: the same functions block. */
static void outside_of_fibers(void **state)
{
        struct conn *c;
        struct str line;
        int pair[2];

        (void)state;
        loop_init();
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        c = conn_new(pair[0], nobody, nobody);
        conn_put(c, S("HELO\r\n"));
        assert_int_equal(conn_line(c, &line, 99, now() + MSECOND), GOT_LATE);
        hears(pair[1], S("HELO\r\n"));
        say(pair[1], S("250 hi\r\n"));
        assert_int_equal(conn_line(c, &line, 99, SOON), GOT_LINE);
        assert_str(line, S("250 hi"));
        conn_free(&c);
        close(pair[1]);
        loop_finish();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses),     cmocka_unit_test(lines),
                cmocka_unit_test(endless_lines), cmocka_unit_test(bytes),
                cmocka_unit_test(output),        cmocka_unit_test(dial_and_listen),
                cmocka_unit_test(urgent),        cmocka_unit_test(outside_of_fibers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
