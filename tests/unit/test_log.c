#include "fibers.h"
#include "run/channel.h"
#include "run/log.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the log says, and a process before it dies. */

struct child {
        void (*run)(void);
        bool killed; /* by a signal, not by exit */
        const char *says;
};

/* Deeper than any stack here. */
static int overflow(unsigned depth)
{
        volatile char frame[512];

        frame[depth % sizeof frame] = 1;
        return depth ? overflow(depth - 1) + frame[0] : 0;
}

static void overflows(void *arg)
{
        fiber_note("k3f9");
        *(volatile int *)arg = overflow(10000000);
}

static void child_overflows(void)
{
        loop_init();
        (void)fiber_spawn("deep-thinker", overflows, &(int){ 0 });
        loop_run();
}

static void child_sends_nonsense(void)
{
        int pair[2];

        loop_init();
        (void)!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
        channel_new(pair[0], NULL, NULL, NULL);
        (void)!send(pair[1], "\x4d\0\0\0\1\0\0\0", 8, 0);
        loop_run();
}

static void aborts(void *arg)
{
        (void)arg;
        log_event("last", "word=%s", log_str(S("a\nb")));
        abort();
}

static void child_aborts(void)
{
        log_role("mail.0");
        loop_init();
        (void)fiber_spawn("quitter", aborts, NULL);
        loop_run();
}

static void hogs_long(void *arg)
{
        nsec start = now();

        (void)arg;
        while (now() - start < 60 * MSECOND)
                ;
}

static void child_is_slow(void)
{
        loop_init();
        (void)fiber_spawn("snail", hogs_long, NULL);
        loop_stop();
        loop_run();
}

static void waits_for_mail(void *arg)
{
        struct waitlist w = { 0 };

        (void)arg;
        fiber_note("k3f9");
        raise(SIGQUIT); /* blocked: seen by the loop, when this fiber waits */
        (void)wait_on(&w, "mail", NEVER);
}

static void dumps(int signo)
{
        (void)signo;
        fiber_dump(STDERR_FILENO);
        fiber_cancel_all();
}

static void child_dumps(void)
{
        loop_init();
        loop_signal(SIGQUIT, dumps);
        (void)fiber_spawn("reader", waits_for_mail, NULL);
        loop_run();
}

/* A reader that stops reading: writing the log does not block, what is lost is counted, and the count is told. */
static void child_floods_log(void)
{
        static char text[256 * 1024];
        int p[2], out = dup(STDERR_FILENO);
        size_t total = 0;
        char *line;
        ssize_t n;

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        dup2(p[1], STDERR_FILENO);
        for (int i = 0; i < 3000; i++)
                log_event("flood", "number=%d padding=%0100d", i, 0);
        fcntl(p[0], F_SETFL, O_NONBLOCK);
        for (int i = 0; i < 3; i++) { /* what lies in the pipe, what lay in the buffer, what came after */
                while ((n = read(p[0], text + total, sizeof text - 1 - total)) > 0)
                        total += (size_t)n;
                if (i < 2)
                        log_event("after", "%s", "");
        }
        line = strstr(text, "event=log-dropped");
        if (line && strstr(line, "event=after") && write(out, line, strlen(line)) > 0)
                _exit(0);
        _exit(1);
}

/* Runs it in a child and gives what it wrote to stderr. */
static bool run_child(void (*run)(void), char *text, size_t room)
{
        int p[2], status;
        size_t n = 0;
        ssize_t got;
        pid_t pid;

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                dup2(p[1], STDERR_FILENO);
                for (int s = 1; s < 32; s++)
                        signal(s, SIG_DFL); /* not cmocka's */
                run();
                _exit(0);
        }
        close(p[1]);
        while (n < room - 1 && (got = read(p[0], text + n, room - 1 - n)) > 0)
                n += (size_t)got;
        text[n] = '\0';
        close(p[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void last_words(void **state)
{
        static const struct {
                void (*run)(void);
                bool fails;
                const char *says;
        } rows[] = {
                { child_overflows, true, "stack overflow in fiber deep-thinker note=k3f9\n" },
                { child_sends_nonsense, true, "the other side sent kind 77" },
                { child_aborts, true, "role=mail.0 event=last word=\"a\\x0ab\"\ncrash in fiber quitter\n" },
                { child_is_slow, false, "event=loop-slow level=warn ms=" },
                { child_is_slow, false, "fiber=snail" },
                { child_dumps, false, "fiber=reader note=k3f9 waiting for mail since" },
                { child_floods_log, false, "event=log-dropped level=warn lines=" },
        };
        char text[4096];

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                bool failed = run_child(rows[i].run, text, sizeof text);

                if (!strstr(text, rows[i].says))
                        fail_msg("row %zu: \"%s\" does not say \"%s\"", i, text, rows[i].says);
                assert_int_equal(failed, rows[i].fails);
        }
}

static void log_quotes(void **state)
{
        static const struct {
                struct str in;
                const char *out;
        } rows[] = {
                { S("jack@town.com"), "jack@town.com" },
                { S(""), "\"\"" },
                { S("a b"), "\"a b\"" },
                { S("x=\"\\"), "\"x=\\\"\\\\\"" },
                { S("a\r\n\0\x7f"), "\"a\\x0d\\x0a\\x00\\x7f\"" },
                { S("j\xc3\xb6rg"), "\"j\xc3\xb6rg\"" },
                { S("\xff\xc3"), "\"\\xff\\xc3\"" },
                { S("\xc2\x9b"
                    "31m"),
                  "\"\\xc2\\x9b"
                  "31m\"" }, /* a terminal's CSI */
        };
        char big[2000];

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_string_equal(log_str(rows[i].in), rows[i].out);
        memset(big, '\n', sizeof big);
        assert_true(strlen(log_str(str_from(big, sizeof big))) < 512);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(last_words),
                cmocka_unit_test(log_quotes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
