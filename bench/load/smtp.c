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

enum step { CONNECTING, GREETING, HELLO, MAIL, RCPT, DATA, BODY, GOODBYE };

struct session {
        int fd;
        enum step step;
        int sent_here; /* letters on this connection */
        int owed;      /* replies outstanding in a pipelined group */
        double began;
        char out[512];
        const char *pending; /* being written */
        size_t pending_n;
        char in[4096];
        size_t in_n;
};

static struct options o;
static int epoll, started, accepted;
static char *body;
static size_t body_n;
static double *took;
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

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(address, sizeof(address), o.account, number % o.accounts);
#pragma GCC diagnostic pop
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
        s->sent_here++;
        n = snprintf(s->out, sizeof(s->out), "MAIL FROM:<load@client.test>\r\n");
        if (o.pipeline) {
                rcpt_text(s->out + n, sizeof(s->out) - (size_t)n, started);
                strncat(s->out, "DATA\r\n", sizeof(s->out) - strlen(s->out) - 1);
                n = (int)strlen(s->out);
        }
        started++;
        say(s, s->out, (size_t)n);
}

/* One final reply line came: go on. */
static void reply(struct session *s, const char *line)
{
        static const char good[] = { [GREETING] = '2', [HELLO] = '2', [MAIL] = '2', [RCPT] = '2',
                                     [DATA] = '3',     [BODY] = '2',  [GOODBYE] = '2' };
        int number = started - 1;

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
                rcpt_text(s->out, sizeof(s->out), number);
                say(s, s->out, strlen(s->out));
                break;
        case RCPT:
                s->step = DATA;
                if (!o.pipeline)
                        say(s, "DATA\r\n", 6);
                break;
        case DATA:
                s->step = BODY;
                say(s, body, body_n);
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
                break;
        case CONNECTING: break;
        }
}

static void readable(struct session *s)
{
        while (s->fd >= 0) {
                ssize_t k = recv(s->fd, s->in + s->in_n, sizeof(s->in) - 1 - s->in_n, 0);
                char *lf, *from = s->in;

                if (k < 0 && (errno == EAGAIN || errno == ENOTCONN))
                        return;
                if (k <= 0)
                        fatal("the server left at step %d", s->step);
                s->in_n += (size_t)k;
                s->in[s->in_n] = '\0';
                while (s->fd >= 0 && (lf = memchr(from, '\n', (size_t)(s->in + s->in_n - from)))) {
                        char *line = from;

                        from = lf + 1;
                        if (lf - line < 4 || line[3] != '-') {
                                int before = s->fd;

                                reply(s, line);
                                if (s->fd != before)
                                        return;
                        }
                }
                s->in_n = (size_t)(s->in + s->in_n - from);
                memmove(s->in, from, s->in_n);
        }
}

static void make_body(void)
{
        static const char head[] = "From: load@client.test\r\nTo: bench\r\nSubject: measuring\r\n"
                                   "Message-ID: <load@client.test>\r\n\r\n";
        size_t n = sizeof(head) - 1, line = 0;

        body = malloc(o.size + sizeof(head) + 8);
        memcpy(body, head, n);
        srand(1);
        while (n + 2 < o.size) {
                body[n++] = line % 72 == 71 ? '\r' : (char)('a' + rand() % 26);
                if (line++ % 72 == 71)
                        body[n++] = '\n';
        }
        memcpy(body + n, "\r\n.\r\n", 5);
        body_n = n + 5;
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
        make_body();
        took = calloc((size_t)o.letters, sizeof(*took));
        epoll = epoll_create1(EPOLL_CLOEXEC);
        struct session *sessions = calloc((size_t)o.sessions, sizeof(*sessions));

        began = now_seconds();
        for (int i = 0; i < o.sessions && i < o.letters; i++)
                open_session(&sessions[i]);
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
        printf("accepted=%d seconds=%.3f per_second=%.1f p50_ms=%.2f p99_ms=%.2f client_cpu_s=%.3f\n", accepted,
               seconds, accepted / seconds, took[accepted / 2] * 1e3, took[accepted * 99L / 100] * 1e3,
               (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                   (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
        return 0;
}
