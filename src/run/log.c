#include "run/inside.h"
#include "run/log.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/time.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* Lines gather in one buffer; the loop flushes it at the end of each turn, everybody else (worker threads, verbs) at
 * once. Stderr is shared with other processes, so it is not made nonblocking: poll says whether the next PIPE_BUF
 * bytes would fit. What does not fit stays in the buffer; what the buffer has no room for is dropped and counted. */

#define ROOM  ((size_t)64 * 1024)
#define LINE  ((size_t)2048) /* longest line; what was cut ends with "..." */
#define PIECE ((size_t)4096) /* PIPE_BUF: goes into a pipe whole, and does not block it when poll says so */
#define RETRY (100 * MSECOND)

bool log_quiet;

static struct {
        pthread_mutex_t mutex;
        char role[32];
        struct buf text;
        unsigned long dropped;
        time_t second;
        char date[24];                       /* of that second: 2026-11-20T17:29:44 */
        enum { POLLED, SOCKET, PLAIN } kind; /* of stderr */
        struct timer retry;
} out = { .mutex = PTHREAD_MUTEX_INITIALIZER, .role = "pail", .text.max = ROOM };

void log_role(const char *role)
{
        snprintf(out.role, sizeof out.role, "%s", role);
}

static void find_kind(void)
{
        struct stat st;

        out.kind = POLLED;
        if (fstat(STDERR_FILENO, &st) < 0 || S_ISREG(st.st_mode))
                out.kind = PLAIN;
        else if (S_ISSOCK(st.st_mode))
                out.kind = SOCKET;
}

/* How many of the n bytes were taken; 0: none fits now. What nobody can ever read counts as taken. */
static size_t write_piece(const char *p, size_t n)
{
        struct pollfd pollfd = { .fd = STDERR_FILENO, .events = POLLOUT };
        ssize_t rc;

        if (out.kind == SOCKET) {
                rc = send(STDERR_FILENO, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else {
                if (out.kind == POLLED && poll(&pollfd, 1, 0) <= 0)
                        return 0;
                rc = write(STDERR_FILENO, p, n);
        }
        if (rc >= 0)
                return (size_t)rc;
        return errno == EAGAIN || errno == EINTR ? 0 : n;
}

/* The largest piece of whole lines. */
static size_t next_piece(size_t from)
{
        size_t left = out.text.n - from, n = left;

        if (out.kind == PLAIN || left <= PIECE)
                return left;
        for (n = PIECE; n > 0 && out.text.p[from + n - 1] != '\n'; n--)
                ;
        return n ? n : PIECE;
}

static void write_out(void)
{
        size_t at = 0, took;

        find_kind(); /* each time: stderr may have been replaced */
        while (at < out.text.n && (took = write_piece(out.text.p + at, next_piece(at))) > 0)
                at += took;
        buf_drop(&out.text, at);
}

/* ..T17:29:44.123Z; the date is made once a second. */
static size_t put_time(char *p, size_t room)
{
        int64_t usec = wall_usec();
        time_t second = (time_t)(usec / 1000000);
        int n;

        if (second != out.second) {
                struct tm tm;

                gmtime_r(&second, &tm);
                strftime(out.date, sizeof out.date, "%Y-%m-%dT%H:%M:%S", &tm);
                out.second = second;
        }
        n = snprintf(p, room, "time=%s.%03dZ role=%s ", out.date, (int)(usec / 1000 % 1000), out.role);
        return (size_t)n;
}

static void append(const char *level, const char *event, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void append(const char *level, const char *event, const char *format, va_list args)
{
        char *line = buf_room(&out.text, LINE + 1);
        size_t n, i;
        int more;

        if (!line) {
                write_out();
                line = buf_room(&out.text, LINE + 1);
        }
        if (!line) {
                out.dropped++;
                return;
        }
        n = put_time(line, LINE);
        if (out.dropped) {
                more = snprintf(line + n, LINE - n, "event=log-dropped level=warn lines=%lu\n", out.dropped);
                buf_added(&out.text, n + (size_t)more);
                out.dropped = 0;
                append(level, event, format, args);
                return;
        }
        more = snprintf(line + n, LINE - n, "event=%s%s%s", event, level, *format ? " " : "");
        n += (size_t)more < LINE - n ? (size_t)more : LINE - n - 1;
        more = vsnprintf(line + n, LINE - n, format, args);
        if (more >= 0 && (size_t)more >= LINE - n) {
                n = LINE - 1;
                mem_copy(line + n - 3, 3, S("..."));
        } else if (more > 0) {
                n += (size_t)more;
        }
        for (i = 0; i < n; i++) /* one line an event, whatever the caller forgot to quote */
                if ((unsigned char)line[i] < ' ' || line[i] == 127)
                        line[i] = '?';
        line[n] = '\n';
        buf_added(&out.text, n + 1);
}

static void log_line(const char *level, const char *event, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void log_line(const char *level, const char *event, const char *format, va_list args)
{
        int saved = errno;

        pthread_mutex_lock(&out.mutex);
        append(level, event, format, args);
        if (!loop_running())
                write_out();
        pthread_mutex_unlock(&out.mutex);
        errno = saved;
}

void log_event(const char *event, const char *format, ...)
{
        va_list args;

        if (log_quiet)
                return;
        va_start(args, format);
        log_line("", event, format, args);
        va_end(args);
}

void log_warn(const char *event, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        log_line(" level=warn", event, format, args);
        va_end(args);
}

void die(const char *format, ...)
{
        struct fiber *f = loop_exists() ? fiber_self() : NULL;
        char why[512];
        va_list args;

        va_start(args, format);
        vsnprintf(why, sizeof why, format, args);
        va_end(args);
        log_warn("died", "fiber=%s why=\"%s\"", f ? f->name : "-", why);
        log_last_words();
        _exit(EX_SOFTWARE);
}

static void try_again(struct timer *t)
{
        (void)t; /* that the loop turns is enough: it flushes at the end of each turn */
}

void log_flush(void)
{
        size_t left;

        pthread_mutex_lock(&out.mutex);
        if (out.text.n)
                write_out();
        left = out.text.n;
        pthread_mutex_unlock(&out.mutex);
        out.retry.fire = try_again;
        timer_set(&out.retry, left ? now() + RETRY : NEVER);
}

void log_last_words(void)
{
        if (out.text.n && write(STDERR_FILENO, out.text.p, out.text.n) >= 0)
                out.text.n = 0;
}

/* Plain: printable ASCII without space, quote, backslash and equals sign, and UTF-8 above the C1 controls. */
static bool plain(struct str s)
{
        size_t i;

        for (i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c >= 127)
                        return false;
        }
        return s.n > 0;
}

const char *log_str(struct str s)
{
        static _Thread_local char ring[8][512];
        static _Thread_local unsigned turn;
        static const char hex[] = "0123456789abcdef";
        char *line = ring[turn++ % 8];
        size_t n = 0, i, room = sizeof ring[0] - 8; /* for an escape, dots, a quote and the end */
        bool quote = !plain(s), high = quote && utf8_valid(s);

        if (quote)
                line[n++] = '"';
        for (i = 0; i < s.n && n < room; i++) {
                unsigned char c = (unsigned char)s.p[i];
                bool c1 = c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0; /* U+0080-009F */

                if (c == '"' || c == '\\') {
                        line[n++] = '\\';
                        line[n++] = (char)c;
                } else if (c < ' ' || c == 127 || (c > 127 && !high) || c1) {
                        line[n++] = '\\';
                        line[n++] = 'x';
                        line[n++] = hex[c >> 4];
                        line[n++] = hex[c & 15];
                        high = high && !c1; /* the second byte of it, too */
                } else {
                        line[n++] = (char)c;
                }
        }
        if (i < s.n)
                for (i = 0; i < 3; i++)
                        line[n++] = '.';
        if (quote)
                line[n++] = '"';
        line[n] = '\0';
        return line;
}
