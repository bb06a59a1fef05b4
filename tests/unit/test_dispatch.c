/* The engine of sending against peers in the same process: what order letters leave in, how many connections there are, and what becomes of
 * a letter when its peer is down, refuses, hangs up or is silent. Routes lead to the loopback; no DNS is asked. */
#include "account_fixture.h"
#include "net/conn_private.h"
#include "net/listen.h"
#include "proto/smtp/dispatch.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/outbox.h"
#include <errno.h>
#include <sys/socket.h>

#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(60) /* reached by no test that passes */

bool directory_is_local(struct directory *d, struct str domain)
{
        (void)d, (void)domain;
        return false;
}

/* ---- a peer ---- */

enum { LETTERS_MOST = 200 };
static struct peer {
        struct listener *listener, *other;
        uint16_t port, other_port; /* at the other it speaks, silent or not */
        /* how it behaves */
        unsigned most_connections; /* more are greeted with 421; 0: any number */
        unsigned letters_each;     /* then the connection is closed without a word; 0: any number */
        unsigned most_recipients;  /* more get 452 4.5.3 */
        unsigned later;            /* so many RCPT get 450 first */
        bool silent, refuses, slow;
        /* what it saw */
        unsigned connections, open, most_open, letters, recipients, fibers;
        char subjects[LETTERS_MOST][40];
} peer;

static bool read_text(struct conn *c)
{
        struct str line;

        while (conn_line(c, &line, 2000, SOON) == GOT_LINE) {
                if (str_eq(line, S(".")))
                        return true;
                if (str_istarts(line, S("Subject: ")) && peer.letters < LETTERS_MOST)
                        snprintf(peer.subjects[peer.letters], 40, PRS, STR(str_from_at(line, 9)));
        }
        return false;
}

static void answer_rcpt(struct conn *c, unsigned *recipients)
{
        if (peer.refuses) {
                conn_put(c, S("550 5.1.1 nobody of that name\r\n"));
        } else if (peer.later) {
                peer.later--;
                conn_put(c, S("450 4.7.1 greylisted\r\n"));
        } else if (peer.most_recipients && *recipients == peer.most_recipients) {
                conn_put(c, S("452 4.5.3 too many recipients\r\n"));
        } else {
                ++*recipients;
                conn_put(c, S("250 2.1.5 ok\r\n"));
        }
}

/* false: it ends. */
static bool converse(struct conn *c, unsigned *letters)
{
        struct str line, verb;
        unsigned recipients = 0;

        while (conn_line(c, &line, 2000, SOON) == GOT_LINE) {
                str_cut(&line, ' ', &verb);
                if (str_ieq(verb, S("QUIT"))) {
                        conn_put(c, S("221 2.0.0 bye\r\n"));
                        return false;
                }
                if (str_ieq(verb, S("RCPT"))) {
                        answer_rcpt(c, &recipients);
                } else if (str_ieq(verb, S("DATA")) && !recipients) {
                        conn_put(c, S("503 5.5.1 to whom?\r\n"));
                } else if (str_ieq(verb, S("DATA"))) {
                        conn_put(c, S("354 go on\r\n"));
                        if (!read_text(c))
                                return false;
                        if (peer.slow)
                                (void)!fiber_sleep(now() + 20 * MSECOND);
                        peer.letters++;
                        peer.recipients += recipients;
                        recipients = 0;
                        conn_put(c, S("250 2.0.0 taken\r\n"));
                        if (++*letters == peer.letters_each)
                                return false;
                } else {
                        conn_put(c, S("250 ok\r\n"));
                }
        }
        return false;
}

static void serve(void *arg)
{
        struct conn *c = arg;
        unsigned letters = 0;

        conn_park_after(c, -1);
        peer.connections++;
        if (peer.most_open < ++peer.open)
                peer.most_open = peer.open;
        if (peer.most_connections && peer.open > peer.most_connections) {
                conn_put(c, S("421 4.7.0 too many connections\r\n"));
        } else if (peer.silent && conn_local(c).port != peer.other_port) {
                struct str line;

                conn_line(c, &line, 100, SOON);
        } else {
                conn_put(c, S("220 peer\r\n"));
                converse(c, &letters);
        }
        conn_close(&c, SOON);
        peer.open--;
        peer.fibers--;
}

static void accepted(struct conn *c, void *context)
{
        (void)context;
        must(fiber_spawn("peer", serve, c) == 0);
        peer.fibers++;
}

static struct listener *listen_at(uint16_t *port)
{
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        struct addr a;
        int fd;

        must(addr_parse(S("0.0.0.0"), 0, &a));
        fd = listen_on(a, false, 100);
        must(fd >= 0 && getsockname(fd, (struct sockaddr *)&sa, &n) == 0);
        *port = addr_of((struct sockaddr *)&sa).port;
        return listener_new(fd, accepted, NULL);
}

static void peer_start(void)
{
        peer.listener = listen_at(&peer.port);
        peer.other = listen_at(&peer.other_port);
}

/* ---- the world ---- */

static char folder[] = "/tmp/pail-dispatch-XXXXXX", routes[200];
static struct outbox *outbox;
static struct dispatch *engine;
static struct settings settings;
static struct arena arena;

static void engine_start(void)
{
        struct dispatch_how how = { .settings = &settings, .outbox = outbox, .relay_passwords = "" };

        snprintf(routes, sizeof(routes),
                 "crepes.fr=127.0.0.1:%u down.example=127.0.0.1:1 hill.com=127.0.0.1:%u town.com=hold "
                 ".crepes.example=127.0.0.1:%u good.example=127.0.0.2:%u other.example=127.0.0.1:%u",
                 peer.port, peer.port, peer.port, peer.other_port, peer.other_port);
        settings.host_name = (char *)(uintptr_t) "town.com";
        settings.host_names = settings.listen = settings.tls_authorities = (char *)(uintptr_t) "";
        settings.routes = routes;
        settings.sender_connections = 20;
        settings.max_queue_time = 5 * 86400;
        must(dispatch_start(&engine, &how) == 0);
}

static void put(const char *domain, unsigned n, unsigned recipients)
{
        struct envelope e = { .sender = S("jack@town.com"), .received = wall_usec() };

        for (unsigned i = 0; i < n; i++) {
                struct action a[10];
                const struct action *list[10];
                struct outbox_put p = {
                        .envelope = &e, .actions = list, .count = recipients, .staged_dir = -1
                };

                for (unsigned k = 0; k < recipients; k++) {
                        a[k] = (struct action){ .number = k,
                                                .kind = ACTION_SEND,
                                                .address = arena_printf(&arena, "alice%u@%s", k, domain) };
                        list[k] = &a[k];
                }
                p.text = arena_printf(&arena, "Subject: letter %u\r\n\r\nhello\r\n", i);
                e.size = p.text.n;
                must(outbox_put(outbox, &p, 1) == 0);
        }
        if (engine)
                dispatch_bell(engine);
}

static struct outbox_numbers numbers(void)
{
        struct outbox_numbers n;

        must(outbox_numbers(outbox, &n) == 0);
        return n;
}

static void until_letters(uint64_t n)
{
        nsec deadline = SOON;

        while (numbers().letters != n) {
                must(now() < deadline);
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
        }
}

static struct outbox_destination destination(const char *name)
{
        struct outbox_destination list[20];
        int64_t next;
        size_t n = 20;

        must(outbox_due(outbox, INT64_MAX - 1, &arena, list, &n, &next) == 0);
        for (size_t i = 0; i < n; i++)
                if (str_eq(list[i].name, str_of(name)))
                        return list[i];
        return (struct outbox_destination){ 0 };
}

static fiber_fn *test;

static void run(void *arg)
{
        (void)arg;
        peer_start();
        test(NULL);
        dispatch_stop(&engine);
        outbox_close(&outbox);
        listener_free(&peer.listener);
        listener_free(&peer.other);
        while (peer.fibers)
                must(fiber_sleep(now() + MSECOND) == 0);
        loop_stop();
}

static void in_world(fiber_fn *body)
{
        int dir;

        memcpy(folder, "/tmp/pail-dispatch-XXXXXX", sizeof folder);
        assert_non_null(mkdtemp(folder));
        dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        peer = (struct peer){ 0 };
        settings =
            (struct settings){ .sender_connections_per_domain = 5, .retry_first = 300, .retry_most = 300 };
        arena_init(&arena, 1 << 24);
        loop_init();
        assert_int_equal(outbox_open(&outbox, dir), 0);
        test = body;
        assert_int_equal(fiber_spawn("test", run, NULL), 0);
        loop_run();
        offload_finish();
        loop_finish();
        arena_finish(&arena);
        fixture_remove(folder);
}

/* ---- the tests ---- */

static void order(void *arg)
{
        (void)arg;
        settings.sender_connections_per_domain = 1;
        engine_start();
        put("crepes.fr", 20, 3);
        until_letters(0);
        must(peer.letters == 20 && peer.recipients == 60);
        must(peer.connections == 1); /* kept from letter to letter */
        for (unsigned i = 0; i < 20; i++)
                must(str_eq(str_of(peer.subjects[i]), arena_printf(&arena, "letter %u", i)));
        put("hill.com", 1, 1); /* another domain, the same way: the connection is its too, or a new one */
        until_letters(0);
        must(peer.letters == 21);
}
static void letters_leave_in_order_over_one_connection(void **state)
{
        (void)state;
        in_world(order);
}

/* One place, one relay: whoever has little is not kept until the other's many are gone. */
static void turns(void *arg)
{
        unsigned at = 1;

        (void)arg;
        settings.sender_connections_per_domain = 1;
        put("crepes.fr", 150, 1);
        put("hill.com", 1, 1);
        engine_start();
        until_letters(0);
        must(peer.letters == 151 && peer.most_open == 1);
        must(peer.connections == 1); /* handed on */
        while (!str_eq(str_of(peer.subjects[at]), S("letter 0")))
                must(++at < 100);
}
static void lanes_take_turns_at_a_full_host(void **state)
{
        (void)state;
        in_world(turns);
}

static void grows(void *arg)
{
        (void)arg;
        peer.slow = true;
        put("crepes.fr", 100, 1); /* before the start: they are there already */
        engine_start();
        until_letters(0);
        must(peer.letters == 100 && peer.recipients == 100);
        must(peer.most_open > 1 && peer.most_open <= 5);
}
static void connections_grow_to_their_limit(void **state)
{
        (void)state;
        in_world(grows);
}

static void one_too_many(void *arg)
{
        (void)arg;
        peer.slow = true;
        peer.most_connections = 2;
        put("crepes.fr", 100, 1);
        engine_start();
        until_letters(0);
        must(peer.letters == 100); /* and none had to wait for the next attempt */
        must(peer.connections < 10);
}
static void a_refused_connection_is_one_too_many_no_more(void **state)
{
        (void)state;
        in_world(one_too_many);
}

static void rests(void *arg)
{
        struct outbox_destination d;

        (void)arg;
        engine_start();
        put("down.example", 100, 1);
        put("crepes.fr", 1, 1);
        until_letters(100);
        must(peer.letters == 1); /* who is up does not wait for who is down */
        while (!(d = destination("down.example")).failures)
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
        must(d.failures == 1 && d.rests_until > wall_usec() && d.reason.n > 0);
        put("down.example", 1, 1);
        put("crepes.fr", 1, 1);
        until_letters(101);
        must(destination("down.example").failures == 1); /* not tried again */
}
static void who_is_down_rests(void **state)
{
        (void)state;
        in_world(rests);
}

static void greylisted(void *arg)
{
        (void)arg;
        settings.retry_first = settings.retry_most = 0;
        peer.later = 3;
        engine_start();
        put("crepes.fr", 1, 2);
        until_letters(0);
        must(peer.recipients == 2 && peer.letters == 2);
}
static void what_is_deferred_is_tried_again(void **state)
{
        (void)state;
        in_world(greylisted);
}

/* RFC 5321 §4.5.3.1.10. It would be five minutes otherwise. */
static void too_many(void *arg)
{
        (void)arg;
        peer.most_recipients = 3;
        engine_start();
        put("crepes.fr", 1, 10);
        until_letters(0);
        must(peer.letters == 4 && peer.recipients == 10);
}
static void the_rest_goes_in_another_transaction_at_once(void **state)
{
        (void)state;
        in_world(too_many);
}

/* The next letter finds the connection closed: that is no failure of its own. */
static void hangs_up(void *arg)
{
        (void)arg;
        peer.letters_each = 1;
        settings.sender_connections_per_domain = 1;
        engine_start();
        put("crepes.fr", 10, 1);
        until_letters(0);
        must(peer.letters == 10);
}
static void a_closed_connection_is_replaced(void **state)
{
        (void)state;
        in_world(hangs_up);
}

static void refused(void *arg)
{
        struct outbox_letter list[2];
        static const struct outbox_filter any;
        size_t n = 2;

        (void)arg;
        peer.refuses = true;
        engine_start();
        put("crepes.fr", 1, 2);
        while (!numbers().held)
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
        must(outbox_list(outbox, &any, 0, &arena, list, &n) == 0 && n == 1); /* one report, for both */
        must(!list[0].sender.n);
        must(str_istarts(list[0].recipients, S("jack@town.com")));
}
static void a_refusal_becomes_one_report(void **state)
{
        (void)state;
        in_world(refused);
}

static void silent(void *arg)
{
        (void)arg;
        peer.silent = true;
        engine_start();
        put("crepes.fr", 5, 1);
        while (!peer.open)
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
        dispatch_stop(&engine); /* does not wait for the greeting */
        must(numbers().letters == 5);
        must(destination("crepes.fr").failures == 0); /* it was our end, not theirs */
        peer.silent = false;
        engine_start();
        until_letters(0);
        must(peer.letters == 5);
}
static void the_end_does_not_wait_for_silent_peers(void **state)
{
        (void)state;
        in_world(silent);
}

/* It takes connections and says nothing: that is a peer that is down, and one carrier waits there, whatever else is for it. */
static void one_probe(void *arg)
{
        (void)arg;
        peer.silent = true;
        engine_start();
        put("crepes.fr", 5, 1);
        while (!peer.open)
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
        put("crepes.fr", 5, 1);
        put("hill.com", 5, 1);
        for (unsigned i = 0; i < 20; i++) {
                dispatch_bell(engine);
                must(fiber_sleep(now() + 10 * MSECOND) == 0);
        }
        must(peer.connections == 1);
        put("other.example", 1, 1); /* another server there is another */
        until_letters(15);
        must(peer.letters == 1);
}
static void a_host_that_does_not_greet_sees_one_probe(void **state)
{
        (void)state;
        in_world(one_probe);
}

/* Two letters are, both to that domain. */
static bool held_because(const struct outbox_filter *f, const char *domain)
{
        struct outbox_letter list[10];
        size_t n = 10;

        must(outbox_list(outbox, f, 0, &arena, list, &n) == 0);
        return n == 2 && str_search(list[0].recipients, str_of(domain)) != STR_NONE &&
               str_search(list[1].recipients, str_of(domain)) != STR_NONE;
}

static void held(void *arg)
{
        (void)arg;
        settings.hold_unrouted = true;
        engine_start();
        put("nowhere.example", 2, 1);
        put("town.com", 2, 1);
        while (numbers().held != 4)
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
        must(
            held_because(&(struct outbox_filter){ .reason = S("no route leads there") }, "@nowhere.example"));
        must(held_because(&(struct outbox_filter){ .reason = S("its route is \"hold\"") }, "@town.com"));
        must(destination("nowhere.example").id == 0 || destination("nowhere.example").failures == 0);
}
static void what_has_no_route_is_held(void **state)
{
        (void)state;
        in_world(held);
}

/* More domains than one look takes in wait for a host that is silent: whoever comes behind them is served. */
static void many_wait(void *arg)
{
        (void)arg;
        peer.silent = true;
        engine_start();
        for (unsigned i = 0; i < 300; i++)
                put(arena_printf(&arena, "d%u.crepes.example", i).p, 1, 1);
        while (!peer.open)
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
        must(fiber_sleep(now() + 100 * MSECOND) == 0);
        put("good.example", 1, 1);
        until_letters(300);
        must(peer.letters == 1 && peer.most_open == 2);
}
static void many_that_wait_for_a_host_keep_nobody(void **state)
{
        (void)state;
        in_world(many_wait);
}

static void dials_in(void)
{
        int fds[2];

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        accepted(conn_new(fds[1], (struct addr){ 0 }, (struct addr){ 0 }), NULL);
        dispatch_turned(engine, conn_new(fds[0], (struct addr){ 0 }, (struct addr){ 0 }), S("town.com"));
        while (peer.open)
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
}

/* ATRN, by a host that hangs up after each letter: what it did not take is there when it dials in again. */
static void turned(void *arg)
{
        (void)arg;
        peer.letters_each = 1;
        engine_start();
        put("town.com", 3, 1);
        while (numbers().held != 3)
                must(fiber_sleep(now() + 2 * MSECOND) == 0);
        for (unsigned i = 1; i <= 3; i++) {
                dials_in();
                must(peer.letters == i && numbers().letters == 3 - i);
        }
}
static void who_dials_in_takes_held_letters(void **state)
{
        (void)state;
        in_world(turned);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(letters_leave_in_order_over_one_connection),
                cmocka_unit_test(lanes_take_turns_at_a_full_host),
                cmocka_unit_test(connections_grow_to_their_limit),
                cmocka_unit_test(a_refused_connection_is_one_too_many_no_more),
                cmocka_unit_test(who_is_down_rests),
                cmocka_unit_test(what_is_deferred_is_tried_again),
                cmocka_unit_test(the_rest_goes_in_another_transaction_at_once),
                cmocka_unit_test(a_closed_connection_is_replaced),
                cmocka_unit_test(a_refusal_becomes_one_report),
                cmocka_unit_test(the_end_does_not_wait_for_silent_peers),
                cmocka_unit_test(a_host_that_does_not_greet_sees_one_probe),
                cmocka_unit_test(what_has_no_route_is_held),
                cmocka_unit_test(many_that_wait_for_a_host_keep_nobody),
                cmocka_unit_test(who_dials_in_takes_held_letters),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
