/* load-smtp: letters through many sessions at once, from one thread by epoll so that it takes little of the machine.
 * --sessions N --letters M --size B --accounts A --account u%d@bench.test --per-connection K (0: all) --pipeline
 * Prints: accepted=M seconds=S per_second=R p50_ms= p99_ms= client_cpu_s= */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum step { GREETING, HELLO, MAIL, RCPT, DATA, BODY, GOODBYE };

#define ID_DIGITS      16
#define ID             "0123456789abcdef" /* replaced in every letter */
#define BEFORE_SUBJECT "From: load@client.test\r\nTo: bench@bench.test\r\nSubject: measuring "
#define BEFORE_ID      BEFORE_SUBJECT ID "\r\nDate: Thu, 20 Nov 2025 12:00:00 +0000\r\nMessage-ID: <"
#define HEAD           BEFORE_ID ID "@client.test>\r\n\r\n"
#define SUBJECT_AT     (sizeof(BEFORE_SUBJECT) - 1)
#define ID_AT          (sizeof(BEFORE_ID) - 1)

struct session {
        int fd;
        enum step step;
        int sent_here; /* letters on this connection */
        int number;    /* of the letter under way */
        double began;
        char out[512];
        char *letter;        /* the session's own copy: each letter has a Message-ID and subject of its own */
        const char *pending; /* being written */
        size_t pending_n;
        char in[4096];
        size_t in_n;
};

static struct options o;
static int epoll, started, accepted;
static size_t letter_n;
static double *took;
static unsigned run; /* so that no two runs send the same Message-ID */
static struct sockaddr_in server = { .sin_family = AF_INET };

static void write_pending(struct session *s)
{
        while (s->pending_n) {
                ssize_t k = send(s->fd, s->pending, s->pending_n, MSG_NOSIGNAL);

                if (k < 0 && errno == EAGAIN)
                        return;
                if (k <= 0)
                        fatal("send: %s", strerror(errno));
                s->pending += k;
                s->pending_n -= (size_t)k;
        }
}

static void say(struct session *s, const char *p, size_t n)
{
        s->pending = p;
        s->pending_n = n;
        write_pending(s);
}

static void open_session(struct session *s)
{
        struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s };
        int one = 1;

        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        s->step = GREETING;
        s->sent_here = 0;
        s->in_n = 0;
        s->pending_n = 0;
        if (connect(s->fd, (struct sockaddr *)&server, sizeof(server)) < 0 && errno != EINPROGRESS)
                fatal("connect: %s", strerror(errno));
        epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &e);
}

static void rcpt_text(char *room, size_t n, int number)
{
        char address[256];

        account_name(&o, number, address, sizeof(address));
        snprintf(room, n, "RCPT TO:<%s>\r\n", address);
}

static void next_letter(struct session *s)
{
        int n;

        if (started == o.letters || (o.per_connection && s->sent_here == o.per_connection)) {
                s->step = GOODBYE;
                say(s, "QUIT\r\n", 6);
                return;
        }
        s->began = now_seconds();
        s->step = MAIL;
        s->number = started++;
        s->sent_here++;
        n = snprintf(s->out, sizeof(s->out), "MAIL FROM:<load@client.test>\r\n");
        if (o.pipeline) {
                rcpt_text(s->out + n, sizeof(s->out) - (size_t)n, s->number);
                n = (int)strlen(s->out);
                n += snprintf(s->out + n, sizeof(s->out) - (size_t)n, "DATA\r\n");
        }
        say(s, s->out, (size_t)n);
}

static void send_letter(struct session *s, int number)
{
        char id[ID_DIGITS + 1];

        snprintf(id, sizeof(id), "%08x%08x", run, (unsigned)number);
        memcpy(s->letter + SUBJECT_AT, id, ID_DIGITS);
        memcpy(s->letter + ID_AT, id, ID_DIGITS);
        say(s, s->letter, letter_n);
}

/* One final reply line came: go on. False when the connection ended with it. */
static bool reply(struct session *s, const char *line)
{
        static const char good[] = { [GREETING] = '2', [HELLO] = '2', [MAIL] = '2',   [RCPT] = '2',
                                     [DATA] = '3',     [BODY] = '2',  [GOODBYE] = '2' };

        if (line[0] != good[s->step])
                fatal("step %d: %s", s->step, line);
        switch (s->step) {
        case GREETING:
                s->step = HELLO;
                say(s, "EHLO client.test\r\n", 18);
                break;
        case HELLO: next_letter(s); break;
        case MAIL:
                s->step = RCPT;
                if (o.pipeline)
                        break;
                rcpt_text(s->out, sizeof(s->out), s->number);
                say(s, s->out, strlen(s->out));
                break;
        case RCPT:
                s->step = DATA;
                if (!o.pipeline)
                        say(s, "DATA\r\n", 6);
                break;
        case DATA:
                s->step = BODY;
                send_letter(s, s->number);
                break;
        case BODY:
                took[accepted++] = now_seconds() - s->began;
                next_letter(s);
                break;
        case GOODBYE:
                close(s->fd);
                s->fd = -1;
                if (started < o.letters)
                        open_session(s);
                return false;
        }
        return true;
}

static void readable(struct session *s)
{
        for (;;) {
                ssize_t k = recv(s->fd, s->in + s->in_n, sizeof(s->in) - s->in_n, 0);
                char *lf, *from = s->in;

                if (k < 0 && (errno == EAGAIN || errno == ENOTCONN))
                        return;
                if (k <= 0)
                        fatal("the server left at step %d", s->step);
                s->in_n += (size_t)k;
                while ((lf = memchr(from, '\n', (size_t)(s->in + s->in_n - from)))) {
                        char *line = from;

                        from = lf + 1;
                        *lf = '\0';
                        if (lf - line >= 4 && line[3] == '-')
                                continue;
                        if (!reply(s, line))
                                return;
                }
                s->in_n = (size_t)(s->in + s->in_n - from);
                memmove(s->in, from, s->in_n);
        }
}

/* SIZE octets in lines of 72, and the end of data. */
static char *make_letter(void)
{
        static const char head[] = HEAD;
        size_t n = sizeof(head) - 1, column = 0;
        char *text = malloc(o.size + sizeof(head) + 8);

        memcpy(text, head, n);
        while (n + 2 < o.size)
                if (column == 72) {
                        memcpy(text + n, "\r\n", 2);
                        n += 2;
                        column = 0;
                } else {
                        text[n++] = (char)('a' + rand() % 26);
                        column++;
                }
        memcpy(text + n, "\r\n.\r\n", 5);
        letter_n = n + 5;
        return text;
}

static int by_time(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
        struct epoll_event events[256];
        struct rusage used;
        double began, seconds;

        options_parse(&o, argc, argv);
        server.sin_port = htons((uint16_t)o.port);
        inet_pton(AF_INET, o.host, &server.sin_addr);
        run = (unsigned)(now_seconds() * 1e3) ^ ((unsigned)getpid() << 16);
        srand(1);
        took = calloc((size_t)o.letters, sizeof(*took));
        epoll = epoll_create1(EPOLL_CLOEXEC);
        struct session *sessions = calloc((size_t)o.sessions, sizeof(*sessions));

        began = now_seconds();
        for (int i = 0; i < o.sessions && i < o.letters; i++) {
                sessions[i].letter = make_letter();
                open_session(&sessions[i]);
        }
        while (accepted < o.letters) {
                int n = epoll_wait(epoll, events, 256, 30000);

                if (n <= 0)
                        fatal("nothing for 30 s: %d of %d accepted", accepted, o.letters);
                for (int i = 0; i < n; i++) {
                        struct session *s = events[i].data.ptr;

                        if (s->fd >= 0 && (events[i].events & EPOLLOUT))
                                write_pending(s);
                        if (s->fd >= 0)
                                readable(s);
                }
        }
        seconds = now_seconds() - began;
        qsort(took, (size_t)accepted, sizeof(*took), by_time);
        getrusage(RUSAGE_SELF, &used);
        printf("accepted=%d seconds=%.3f per_second=%.1f p50_ms=%.2f p99_ms=%.2f client_cpu_s=%.3f\n",
               accepted, seconds, accepted / seconds, took[accepted / 2] * 1e3,
               took[accepted * 99L / 100] * 1e3,
               (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                   (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
        return 0;
}
