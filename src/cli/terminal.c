/* The loop of a client, what may be shown, and questions. */
#include "cli/terminal.h"
#include "base/mem.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/offload.h"
#include "run/stack.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum { ANSWER_MOST = 4096, STDIN_PIECE = 16 * 1024 };

/* ---- signals ---- */

static struct {
        void (*interrupt)(void *context);
        void *context;
        void (*question)(void *context, bool asking);
        void *questioned;
        int quiet; /* the terminal whose echo is off; -1: none */
        struct termios before;
        bool asking, interrupted;
        struct waitlist waiting; /* for an answer */
} terminal = { .quiet = -1 };

static void echo_back(void)
{
        if (terminal.quiet >= 0)
                tcsetattr(terminal.quiet, TCSAFLUSH, &terminal.before);
        terminal.quiet = -1;
}

/* As a program ends that handles no signals, so that a shell sees which it was. */
static void end_by(int signo)
{
        sigset_t one;

        echo_back();
        fflush(NULL);
        signal(signo, SIG_DFL);
        sigemptyset(&one);
        sigaddset(&one, signo);
        raise(signo);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
        _exit(128 + signo);
}

static void on_sigint(int signo)
{
        if (terminal.asking) {
                terminal.interrupted = true;
                wake_all(&terminal.waiting);
        } else if (terminal.interrupt) {
                terminal.interrupt(terminal.context);
        } else {
                end_by(signo);
        }
}

void terminal_on_interrupt(void (*fn)(void *context), void *context)
{
        terminal.interrupt = fn;
        terminal.context = context;
}

void terminal_on_question(void (*fn)(void *context, bool asking), void *context)
{
        terminal.question = fn;
        terminal.questioned = context;
}

/* ---- the loop ---- */

struct client {
        int (*body)(void *arg);
        void *arg;
        int rc;
};

static void client_fiber(void *arg)
{
        struct client *c = arg;

        c->rc = c->body(c->arg);
        fiber_cancel_all(); /* nothing that it has started outlives it */
}

int client_run(const char *name, int (*body)(void *arg), void *arg)
{
        struct client c = { body, arg, EX_OSERR };

        stack_set_size(CLIENT_STACK);
        loop_init();
        loop_signal(SIGINT, on_sigint);
        loop_signal(SIGTERM, end_by);
        loop_signal(SIGHUP, end_by);
        loop_signal(SIGQUIT, end_by);
        if (offload_start(2, 2) < 0 || fiber_spawn(name, client_fiber, &c) < 0)
                fprintf(stderr, "pail %s: out of memory\n", name);
        else
                loop_run();
        offload_finish();
        loop_finish();
        return c.rc;
}

/* ---- what may be shown ---- */

bool terminal_is(int fd)
{
        return isatty(fd);
}

unsigned terminal_width(void)
{
        const char *columns = getenv("COLUMNS");
        struct winsize w = { 0 };
        uint64_t n;

        for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
                if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col)
                        return w.ws_col;
        return columns && str_u64(str_of(columns), &n) && n && n < 10000 ? (unsigned)n : 80;
}

/* One character of UTF-8 at the start of s: how many bytes; 0: none that is valid (RFC 3629 §4). */
static size_t character(struct str s, uint32_t *code)
{
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        unsigned char c = (unsigned char)s.p[0];
        size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;

        if (!n || n > s.n)
                return 0;
        *code = n == 1 ? c : c & (0x7Fu >> n);
        for (size_t i = 1; i < n; i++) {
                if (((unsigned char)s.p[i] & 0xC0) != 0x80)
                        return 0;
                *code = *code << 6 | ((unsigned char)s.p[i] & 0x3F);
        }
        return *code < least[n] || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000) ? 0 : n;
}

/* Those that turn the order of what stands around them, and those that end a line. */
static bool deceives(uint32_t code)
{
        return (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

static void safe(struct buf *out, struct str s, bool newline)
{
        while (s.n) {
                uint32_t code = 0;
                size_t n = character(s, &code);

                if (!n)
                        buf_printf(out, "\\%03o", (unsigned char)s.p[0]);
                else if ((code < 0x20 && code != '\t' && !(code == '\n' && newline)) ||
                         (code >= 0x7F && code < 0xA0))
                        buf_printf(out, "\\%03o", code);
                else if (deceives(code))
                        buf_printf(out, "<U+%04X>", code);
                else
                        buf_puts(out, str_sub(s, 0, n));
                s = str_from_at(s, n ? n : 1);
        }
}

void terminal_safe(struct buf *out, struct str s)
{
        safe(out, s, false);
}

void terminal_put(FILE *to, struct str s)
{
        struct buf auto_buf out = { 0 };

        buf_init(&out, s.n * 8 + 1); /* no character becomes more than eight */
        safe(&out, s, true);
        fwrite(out.p ? out.p : "", 1, out.n, to);
}

/* ---- waiting for a descriptor ---- */

struct awaited {
        struct watch watch;
        struct waitlist *list;
        bool ready;
};

static void awaited_ready(struct watch *w, uint32_t events)
{
        struct awaited *a = (struct awaited *)((char *)w - offsetof(struct awaited, watch));

        (void)events;
        a->ready = true;
        wake_all(a->list);
}

/* 0, also when the list was woken by another (who looks at its own flag); -ETIMEDOUT, -ECANCELED. */
static int await(int fd, struct waitlist *list, nsec deadline)
{
        struct awaited a = { { fd, awaited_ready }, list, false };
        int rc;

        if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) > 0)
                return 0;
        rc = watch_add(&a.watch, EPOLLIN);
        if (rc < 0)
                return rc == -EPERM ? 0 : rc; /* a file is always ready */
        rc = wait_on(list, "a person", deadline);
        watch_remove(&a.watch);
        return rc;
}

int terminal_await(int fd, nsec deadline)
{
        struct waitlist list = { 0 };

        if (fiber_self())
                return await(fd, &list, deadline);
        return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1) < 0 ? -errno : 0;
}

static struct buf stdin_text;
static bool stdin_ended;

bool terminal_line(struct buf *line)
{
        struct str all, first;

        buf_clear(line);
        if (!stdin_text.max)
                buf_init(&stdin_text, STDIN_LINE_MOST + STDIN_PIECE);
        for (;;) {
                char *room;
                ssize_t n;

                all = buf_str(&stdin_text);
                if (str_find(all, '\n') != STR_NONE || all.n >= STDIN_LINE_MOST || (stdin_ended && all.n))
                        break;
                if (stdin_ended || terminal_await(STDIN_FILENO, NEVER) < 0)
                        return false;
                room = buf_room(&stdin_text, STDIN_PIECE);
                n = room ? read(STDIN_FILENO, room, STDIN_PIECE) : 0;
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                stdin_ended = n <= 0;
                buf_added(&stdin_text, n > 0 ? (size_t)n : 0);
        }
        str_cut(&all, '\n', &first);
        buf_puts(line, str_ends(first, S("\r")) ? str_sub(first, 0, first.n - 1) : first);
        buf_drop(&stdin_text, stdin_text.n - all.n);
        return true;
}

/* ---- questions ---- */

static void echo_off(int tty)
{
        struct termios t;

        if (tcgetattr(tty, &terminal.before) < 0)
                return;
        t = terminal.before;
        t.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        if (tcsetattr(tty, TCSAFLUSH, &t) == 0)
                terminal.quiet = tty;
}

/* Outside of fibers: the signals that end programs wait until the terminal has its echo again, then they do. */
static bool await_blocking(int tty)
{
        sigset_t ends, before;
        struct pollfd fds[2] = { { .fd = tty, .events = POLLIN }, { .events = POLLIN } };
        bool input;

        sigemptyset(&ends);
        sigaddset(&ends, SIGINT);
        sigaddset(&ends, SIGTERM);
        sigaddset(&ends, SIGHUP);
        sigaddset(&ends, SIGQUIT);
        sigprocmask(SIG_BLOCK, &ends, &before);
        fds[1].fd = signalfd(-1, &ends, SFD_CLOEXEC);
        while (poll(fds, 2, -1) < 0 && errno == EINTR)
                ;
        input = !(fds[1].revents & POLLIN);
        if (!input)
                echo_back();
        if (fds[1].fd >= 0)
                close(fds[1].fd);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return input;
}

static bool read_answer(int tty, struct buf *answer)
{
        char *room;
        ssize_t n;

        for (;;) {
                if (fiber_self() ? await(tty, &terminal.waiting, NEVER) < 0 || terminal.interrupted
                                 : !await_blocking(tty))
                        return false;
                room = buf_room(answer, ANSWER_MOST);
                if (!room)
                        return false;
                n = read(tty, room, ANSWER_MOST); /* a whole line: the terminal edits */
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        continue;
                if (n <= 0)
                        return false;
                buf_added(answer, (size_t)n);
                if (answer->p[answer->n - 1] == '\n') {
                        answer->n--;
                        return true;
                }
        }
}

bool terminal_ask(const char *question, bool echo, struct buf *answer)
{
        int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        bool got;

        if (tty < 0)
                return terminal_line(answer);
        if (terminal.question)
                terminal.question(terminal.questioned, true);
        buf_clear(answer);
        fflush(stdout);
        dprintf(tty, "%s", question);
        if (!echo)
                echo_off(tty);
        terminal.interrupted = false;
        terminal.asking = true;
        got = read_answer(tty, answer);
        terminal.asking = false;
        echo_back();
        if (!echo || !got)
                dprintf(tty, "\n");
        close(tty);
        if (terminal.question)
                terminal.question(terminal.questioned, false);
        return got;
}

char terminal_choose(const char *question, const char *letters)
{
        struct buf auto_buf answer = { 0 };
        int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

        if (tty < 0)
                return letters[0];
        close(tty);
        buf_init(&answer, 2 * ANSWER_MOST);
        while (terminal_ask(question, true, &answer)) {
                struct str word = str_trim(buf_str(&answer));
                char c = word.n ? chr_lower(word.p[0]) : letters[0];

                if (str_find(str_of(letters), c) != STR_NONE)
                        return c;
        }
        return letters[0];
}
