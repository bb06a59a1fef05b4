/* What may reach a terminal; lines of stdin; questions on a terminal of its own, Ctrl-C among the answers. */
#include "unit.h"
#include "cli/terminal.h"
#include "run/fiber.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void what_came_from_elsewhere_is_shown_safe(void **state)
{
        static const struct {
                struct str in, out;
        } list[] = {
                { S("plain"), S("plain") },
                { S("a\tb"), S("a\tb") },
                { S("\033[2J"), S("\\033[2J") },
                { S("a\nb\rc"), S("a\\012b\\015c") },
                { S("\0"), S("\\000") },
                { S("\177"), S("\\177") },
                { S("\xC2\x9B"
                    "2J"),
                  S("\\233"
                    "2J") }, /* CSI in one character */
                { S("\x9B"
                    "2J"),
                  S("\\233"
                    "2J") },
                { S("gr\xC3\xBC\xC3\x9F"), S("gr\xC3\xBC\xC3\x9F") },
                { S("\xE2\x82\xAC \xF0\x9F\x98\x80"), S("\xE2\x82\xAC \xF0\x9F\x98\x80") },
                { S("\xE2\x80\xAE"
                    "exe.txt"),
                  S("<U+202E>exe.txt") },
                { S("\xE2\x81\xA6"), S("<U+2066>") },
                { S("\xC0\x9B"), S("\\300\\233") },          /* overlong */
                { S("\xED\xA0\x80"), S("\\355\\240\\200") }, /* a surrogate */
                { S("\xF4\x90\x80\x80"), S("\\364\\220\\200\\200") },
                { S("\xE2\x82"), S("\\342\\202") }, /* cut off */
                { S(""), S("") },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++) {
                struct buf auto_buf out = { 0 };

                buf_init(&out, 1000);
                terminal_safe(&out, list[i].in);
                assert_str(buf_str(&out), list[i].out);
        }
}

static void a_file_gets_new_lines_too(void **state)
{
        char text[64] = "";
        FILE *f = fmemopen(text, sizeof(text), "w");

        (void)state;
        terminal_put(f, S("a\n\tb\033\n"));
        fclose(f);
        assert_string_equal(text, "a\n\tb\\033\n");
}

/* Three lines, read in a fiber while another one goes on; the last has no end. */
static unsigned turns;
static bool reading;

static void other(void *arg)
{
        (void)arg;
        while (reading) {
                turns++;
                fiber_yield();
        }
}

static int read_lines(void *arg)
{
        struct buf auto_buf line = { 0 };
        int fd = *(int *)arg;

        buf_init(&line, 1000);
        if (write(fd, "one\r\ntw", 7) != 7 || !terminal_line(&line) || !str_eq(buf_str(&line), S("one")))
                return 1;
        reading = true;
        if (fiber_spawn("other", other, NULL) < 0)
                return 2;
        fiber_yield();
        if (write(fd, "o\n\nrest", 7) != 7 || !terminal_line(&line) || !str_eq(buf_str(&line), S("two")))
                return 3;
        reading = false;
        close(fd);
        if (!terminal_line(&line) || line.n || !terminal_line(&line) || !str_eq(buf_str(&line), S("rest")))
                return 4;
        return terminal_line(&line) ? 5 : 42;
}

static void lines_of_stdin(void **state)
{
        int fds[2];
        pid_t child;
        int status;

        (void)state;
        assert_int_equal(pipe(fds), 0);
        child = fork(); /* loops and stdin belong to a process */
        if (!child) {
                dup2(fds[0], STDIN_FILENO);
                _exit(client_run("test", read_lines, &fds[1]) + (turns ? 0 : 100));
        }
        close(fds[0]);
        close(fds[1]);
        waitpid(child, &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 42);
}

/* ---- a terminal of its own ---- */

static unsigned interrupts;

static void interrupted(void *context)
{
        (void)context;
        interrupts++;
}

static int ask(void *arg)
{
        struct buf auto_buf answer = { 0 };

        (void)arg;
        buf_init(&answer, 10000);
        if (!terminal_ask("Name: ", true, &answer) || !str_eq(buf_str(&answer), S("jack")))
                return 1;
        if (!terminal_ask("Password:", false, &answer) || !str_eq(buf_str(&answer), S("crown")))
                return 2;
        if (terminal_choose("Sure? ", "yn") != 'n')
                return 3;
        terminal_on_interrupt(interrupted, NULL);
        if (terminal_ask("Again: ", false, &answer)) /* Ctrl-C is its end, and nobody else's */
                return 4;
        if (interrupts)
                return 5;
        terminal_on_interrupt(NULL, NULL);
        (void)!terminal_ask("Last: ", false, &answer);
        return 6; /* Ctrl-C ends the program before */
}

/* Reads until `text` has come; everything is kept in `all`. */
static void expect(int fd, struct buf *all, const char *text)
{
        size_t from = all->n;

        while (str_search(str_from_at(buf_str(all), from), str_of(text)) == STR_NONE) {
                char *room = buf_room(all, 256);
                ssize_t n = read(fd, room, 256);

                if (n <= 0)
                        fail_msg("no \"%s\" in " PRS, text, STR(buf_str(all)));
                buf_added(all, (size_t)n);
        }
}

static bool echoes(int fd)
{
        struct termios t;

        assert_int_equal(tcgetattr(fd, &t), 0);
        return t.c_lflag & ECHO;
}

static void type(int fd, const char *text)
{
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Asks are flushed after the echo is off, or the test would have to guess when. */
static void until_quiet(int fd)
{
        while (echoes(fd))
                usleep(1000);
}

static void questions_on_a_terminal(void **state)
{
        struct buf auto_buf all = { 0 };
        int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
        pid_t child;

        (void)state;
        buf_init(&all, 100000);
        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        assert_true(slave >= 0);
        child = fork();
        if (!child) {
                setsid();
                ioctl(slave, TIOCSCTTY, 0);
                _exit(client_run("test", ask, NULL));
        }
        expect(master, &all, "Name: ");
        type(master, "jack\n");
        expect(master, &all, "Password:");
        until_quiet(master);
        type(master, "crown\n");
        expect(master, &all, "Sure? ");
        assert_true(echoes(master));
        type(master, "maybe\n");
        expect(master, &all, "Sure? ");
        type(master, "No\n");
        expect(master, &all, "Again: ");
        until_quiet(master);
        type(master, "\003");
        expect(master, &all, "Last: ");
        until_quiet(master);
        kill(child, SIGTERM);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGTERM);
        assert_true(echoes(master));
        assert_true(str_search(buf_str(&all), S("crown")) == STR_NONE);
        close(slave);
        close(master);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_came_from_elsewhere_is_shown_safe),
                cmocka_unit_test(a_file_gets_new_lines_too),
                cmocka_unit_test(lines_of_stdin),
                cmocka_unit_test(questions_on_a_terminal),
        };

        alarm(60); /* a question that nobody answers would wait for ever */
        return cmocka_run_group_tests_name("terminal", tests, NULL, NULL);
}
