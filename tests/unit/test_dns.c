/* DNS by libunbound, as fibers use it: opened, asked and closed on a fiber's stack, which is small; and the end does not wait for servers
 * that are silent. The server is a socket here. */
#include "unit.h"
#include "base/mem.h"
#include "net/dns.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(60) /* reached by no test that passes */

static char anchors[] = "/tmp/pail-anchors-XXXXXX";
static int server = -1;
static char resolver[40];

static void server_open(void)
{
        struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(sa);

        server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(server, (struct sockaddr *)&sa, n), 0);
        assert_int_equal(getsockname(server, (struct sockaddr *)&sa, &n), 0);
        snprintf(resolver, sizeof(resolver), "127.0.0.1@%u", ntohs(sa.sin_port));
}

/* The root's DS, as dns-root-data has it. */
static void anchors_write(void)
{
        static const char text[] =
            ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
        int fd = mkstemp(anchors);

        assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
        close(fd);
}

static struct dns *dns;
static struct arena arena;
static unsigned asking;
static int answered;

static void ask(void *arg)
{
        struct dns_answer answer;
        struct str why;

        (void)arg;
        answered = dns_ask(dns, S("silent.example"), DNS_MX, SOON, &arena, &answer, &why);
        asking--;
}

static struct fiber *asker;
static void ask_and_tell(void *arg)
{
        asker = fiber_self();
        ask(arg);
}

static void small_stack(void *arg)
{
        struct dns_how how = { resolver, anchors, "example.org=127.0.0.1@1" };
        auto_buf struct buf why = { 0 };
        struct dns_answer answer;
        struct str words;

        (void)arg;
        buf_init(&why, 1000);
        must(dns_open(&dns, &how, &why) == 0);
        must(dns_ask(dns, S("localhost"), DNS_A, SOON, &arena, &answer, &words) == 0); /* asks nobody */
        must(answer.exists && answer.count == 1 && str_eq(answer.data[0], S("\177\0\0\1")));
        asking++;
        must(fiber_spawn("ask", ask_and_tell, NULL) == 0);
        fiber_yield();
        fiber_yield();
        fiber_cancel(asker);
        while (asking)
                fiber_yield();
        must(answered == -ECANCELED);
        dns_close(&dns); /* the question is still under way */
        must(!dns);
        loop_stop();
}

static void in_fiber(unsigned threads)
{
        arena_init(&arena, 1 << 20);
        loop_init();
        if (threads)
                assert_int_equal(offload_start(threads, threads), 0);
        assert_int_equal(fiber_spawn("test", small_stack, NULL), 0);
        loop_run();
        offload_finish();
        loop_finish();
        arena_finish(&arena);
}

static void a_fiber_opens_asks_and_closes(void **state)
{
        (void)state;
        in_fiber(1);
        in_fiber(0); /* as in verbs */
}

static void what_cannot_be_used_is_said(void **state)
{
        static const struct {
                struct dns_how how;
                const char *why;
        } rows[] = {
                { { "nonsense", "", "" }, "resolver: nonsense cannot be used" },
                { { "recursive", "/nowhere/root.key", "" },
                  "trust-anchors: /nowhere/root.key cannot be used" },
                { { "recursive", "", "example.org" }, "stub-zones: example.org cannot be used" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                auto_buf struct buf why = { 0 };

                buf_init(&why, 1000);
                assert_int_equal(dns_open(&dns, &rows[i].how, &why), -EINVAL);
                assert_null(dns);
                assert_str(buf_str(&why), str_of(rows[i].why));
        }
}

static int set_up(void **state)
{
        (void)state;
        anchors_write();
        server_open();
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        close(server);
        return unlink(anchors);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_fiber_opens_asks_and_closes),
                cmocka_unit_test(what_cannot_be_used_is_said),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
