/* Who watches: what fits whom, records there and back, a slow watcher loses records and hears how many, one that goes is noticed. */
#include "net_unit.h"
#include "proto/tap.h"
#include "base/mem.h"

static unsigned changes;
static struct taps *taps;

static void changed(void *context)
{
        (void)context;
        changes++;
}

static struct tap_record a_line(struct str text)
{
        struct tap_record r = { .what = TAP_LINE,
                                .from = 'C',
                                .session = S("abc"),
                                .protocol = S("submission"),
                                .account = S("bob@hamburger.edu"),
                                .text = text };

        must(addr_parse(S("10.1.2.3"), 4242, &r.peer) && addr_parse(S("::1"), 25, &r.local));
        return r;
}

static int watcher(struct tap_wanted wanted)
{
        int pair[2], room = 16384;

        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        must(taps_watch(taps, pair[1], &wanted));
        return pair[0];
}

/* true: there was one */
static bool next(int fd, struct tap_record *r)
{
        static char message[TAP_RECORD_MOST];
        ssize_t n = recv(fd, message, sizeof(message), MSG_DONTWAIT);

        if (n <= 0)
                return false;
        must(tap_unpack(str_from(message, (size_t)n), r));
        return true;
}

static void what_is_wanted(void **state)
{
        static const struct {
                struct tap_wanted w;
                bool fits;
        } list[] = {
                { { .session = S("") }, true },
                { { .address = S("10.0.0.0/8") }, true },
                { { .address = S("::1") }, true },
                { { .address = S("192.168.0.1") }, false },
                { { .account = S("BOB@hamburger.edu") }, true },
                { { .account = S("jill@hill.com") }, false },
                { { .protocol = S("smtp") }, true },
                { { .protocol = S("submission") }, true },
                { { .protocol = S("submissions") }, false },
                { { .protocol = S("imap") }, false },
                { { .session = S("abc") }, true },
                { { .session = S("ab") }, false },
                { { .session = S("abc"), .protocol = S("pop3") }, false },
        };
        struct tap_record r = a_line(S("x"));

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++)
                assert_int_equal(tap_wants(&list[i].w, &r), list[i].fits);
        r.account = S(""); /* nobody yet: it may still become the wanted one's */
        assert_true(tap_wants(&list[5].w, &r));
        r.account = S("bob@hamburger.edu");
        r.what = TAP_END;
        assert_true(tap_wants(&list[5].w, &r));
        r.protocol = S("pop3s");
        assert_true(tap_wants(&(struct tap_wanted){ .protocol = S("pop3") }, &r));
}

static void there_and_back(void *arg)
{
        struct tap_record in = a_line(S("RETR 1")), r;
        int fd, deaf;

        (void)arg;
        taps = taps_new(changed, NULL);
        must(!taps_on(taps) && !taps_on(NULL));
        fd = watcher((struct tap_wanted){ 0 });
        deaf = watcher((struct tap_wanted){ .protocol = S("imap") });
        must(taps_on(taps) && changes == 2);
        in.number = 7;
        in.outgoing = true;
        taps_tell(taps, &in);
        must(next(fd, &r) && !next(fd, &r) && !next(deaf, &r));
        must(r.what == TAP_LINE && r.from == 'C' && r.outgoing && !r.cut && r.number == 7 && r.at > 0);
        must(str_eq(r.session, in.session) && str_eq(r.protocol, in.protocol) &&
             str_eq(r.account, in.account) && str_eq(r.text, in.text) && addr_same_host(r.peer, in.peer) &&
             r.peer.port == 4242 && addr_same_host(r.local, in.local));
        in.text = str_from(mem_alloc(3 * TAP_TEXT_MOST), 3 * TAP_TEXT_MOST);
        taps_tell(taps, &in);
        mem_free((void *)(uintptr_t)in.text.p);
        must(next(fd, &r) && r.cut && r.text.n == TAP_TEXT_MOST);
        close(fd);
        close(deaf);
        while (taps_on(taps))
                fiber_yield();
        must(changes == 3);
        taps_free(&taps);
}

/* More than its socket holds, without a wait; then it reads, and hears of the rest. */
static void a_slow_watcher(void *arg)
{
        struct tap_record in = a_line(S("a line that is some forty bytes long here"));
        uint64_t got = 0, lost = 0;
        int fd;

        (void)arg;
        taps = taps_new(changed, NULL);
        fd = watcher((struct tap_wanted){ 0 });
        for (int i = 0; i < 5000; i++)
                taps_tell(taps, &in);
        while (got + lost < 5000) {
                struct tap_record r;

                while (next(fd, &r)) {
                        got += r.what == TAP_LINE;
                        lost += r.what == TAP_LOST ? r.number : 0;
                }
                fiber_yield();
        }
        must(lost > 0 && got > 0 && got + lost == 5000);
        taps_tell(taps, &in); /* and goes on */
        must(next(fd, &in));
        close(fd);
        while (taps_on(taps))
                fiber_yield();
        taps_tell(taps, &in); /* to nobody */
        taps_free(&taps);
}

static void handed(void *context, int fd, struct str wanted)
{
        struct tap_wanted w;

        must(fd >= 0 && tap_wanted_unpack(wanted, &w) && str_eq(w.protocol, S("imap")));
        ++*(unsigned *)context;
}

/* As the supervisor has them: it hands watchers on, and tells all of them of its roles, whatever they want to see. */
static void of_the_supervisor(void *arg)
{
        struct tap_record gone = { .what = TAP_GONE, .text = S("mail.0"), .process = 4711 }, r,
                          in = a_line(S("x"));
        unsigned n = 0, most = 0;
        int fds[64];

        (void)arg;
        taps = taps_new(NULL, NULL);
        fds[most++] = watcher((struct tap_wanted){ .protocol = S("imap") });
        taps_each(taps, handed, &n);
        must(n == 1);
        taps_tell(taps, &gone);
        must(next(fds[0], &r) && r.what == TAP_GONE && r.process == 4711 && str_eq(r.text, S("mail.0")));
        in.protocol = S("imap");
        taps_tell(taps, &in);
        must(next(fds[0], &r) && r.process == (uint32_t)getpid());
        for (bool room = true; room && most < 64;) { /* there is an end to it */
                int pair[2];

                must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
                room = taps_watch(taps, pair[1], &(struct tap_wanted){ .protocol = S("imap") });
                fds[most++] = pair[0];
                must(room || recv(pair[0], &n, 1, 0) == 0);
        }
        must(most == 17);
        n = 0;
        taps_each(taps, handed, &n);
        must(n == 16);
        while (most)
                close(fds[--most]);
        while (taps_on(taps))
                fiber_yield();
        taps_free(&taps);
}

static void nonsense_is_no_record(void **state)
{
        struct tap_record r;
        struct tap_wanted w;

        (void)state;
        assert_false(tap_unpack(S(""), &r));
        assert_false(tap_unpack(S("\1S"), &r));
        assert_false(tap_wanted_unpack(S("\377\377\377\377"), &w));
}

static void records(void **state)
{
        (void)state;
        changes = 0;
        in_fiber(there_and_back, NULL);
}

static void supervisor(void **state)
{
        (void)state;
        in_fiber(of_the_supervisor, NULL);
}

static void slow(void **state)
{
        (void)state;
        in_fiber(a_slow_watcher, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_wanted),
                cmocka_unit_test(records),
                cmocka_unit_test(slow),
                cmocka_unit_test(supervisor),
                cmocka_unit_test(nonsense_is_no_record),
        };

        log_quiet = true;
        alarm(60);
        return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
