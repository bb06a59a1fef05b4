/* load-sink: the other end of a relay. Takes every letter, keeps none, counts; one thread by epoll, so that it takes little of
 * the machine. Offers PIPELINING and, with --mode chunking, CHUNKING.
 * --port P [--mode chunking]
 * Prints "listening". A line "N" on its standard input: when N letters have come since the last answer, it prints letters=
 * last= (when, by the monotonic clock) connections= (since it began) most= (at once since the last answer) client_cpu_s=.
 * The end of its input is its end. */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
        int fd;
        bool in_data;
        bool last;      /* of the chunks: its end is the letter's */
        size_t skip;    /* octets of a chunk to come */
        unsigned ended; /* of "CRLF . CRLF": how much was seen */
        char in[65536];
        size_t n;
        char out[16384];
        size_t out_n;
};

static const char end_of_data[] = "\r\n.\r\n";
static const char *hello;
static int epoll;
static bool asking;
static long letters, wanted, connections, open_now, most;

static void flush_out(struct peer *p)
{
        size_t at = 0;

        while (at < p->out_n) {
                ssize_t k = send(p->fd, p->out + at, p->out_n - at, MSG_NOSIGNAL);

                if (k <= 0) /* replies are far shorter than what a socket holds: the peer is gone */
                        break;
                at += (size_t)k;
        }
        p->out_n = 0;
}

static void answer(struct peer *p, const char *text)
{
        size_t n = strlen(text);

        if (p->out_n + n > sizeof(p->out))
                flush_out(p);
        memcpy(p->out + p->out_n, text, n);
        p->out_n += n;
}

static void report(void)
{
        struct rusage used;

        getrusage(RUSAGE_SELF, &used);
        printf("letters=%ld last=%.6f connections=%ld most=%ld client_cpu_s=%.3f\n", letters, now_seconds(),
               connections, most,
               (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                   (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
        fflush(stdout);
        letters -= wanted;
        asking = false;
        most = open_now;
}

static void letter_came(struct peer *p)
{
        answer(p, "250 2.0.0 Gone\r\n");
        letters++;
        if (asking && letters >= wanted)
                report();
}

/* false: it said QUIT. */
static bool command(struct peer *p, const char *line)
{
        char last[8] = "";

        if (!strncasecmp(line, "MAIL", 4) || !strncasecmp(line, "RCPT", 4) || !strncasecmp(line, "RSET", 4)) {
                answer(p, "250 2.1.0 Ok\r\n");
        } else if (!strncasecmp(line, "DATA", 4)) {
                answer(p, "354 Go on\r\n");
                p->in_data = true;
                p->ended = 2; /* the line of the command ended, so a lone dot may follow */
        } else if (sscanf(line, "BDAT %zu %5s", &p->skip, last) >= 1) {
                p->last = !strcasecmp(last, "LAST");
                if (!p->skip && p->last)
                        letter_came(p);
                else if (!p->skip)
                        answer(p, "250 2.0.0 Ok\r\n");
        } else if (!strncasecmp(line, "EHLO", 4)) {
                answer(p, hello);
        } else if (!strncasecmp(line, "QUIT", 4)) {
                answer(p, "221 2.0.0 Bye\r\n");
                return false;
        } else {
                answer(p, "250 2.0.0 Ok\r\n");
        }
        return true;
}

/* How much of it was the letter. */
static size_t data(struct peer *p, const char *at, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (p->ended == 0) {
                        const char *cr = memchr(at + i, '\r', n - i);

                        if (!cr)
                                return n;
                        i = (size_t)(cr - at);
                }
                p->ended = at[i] == end_of_data[p->ended] ? p->ended + 1 : at[i] == '\r';
                if (p->ended == sizeof(end_of_data) - 1) {
                        p->in_data = false;
                        letter_came(p);
                        return i + 1;
                }
        }
        return n;
}

static size_t chunk(struct peer *p, size_t n)
{
        size_t k = n < p->skip ? n : p->skip;

        p->skip -= k;
        if (!p->skip && p->last)
                letter_came(p);
        else if (!p->skip)
                answer(p, "250 2.0.0 Ok\r\n");
        return k;
}

/* What lies in its buffer; false: it is to be closed. */
static bool understand(struct peer *p)
{
        size_t at = 0;
        bool goes_on = true;

        while (goes_on && at < p->n) {
                char *lf;

                if (p->in_data) {
                        at += data(p, p->in + at, p->n - at);
                        continue;
                }
                if (p->skip) {
                        at += chunk(p, p->n - at);
                        continue;
                }
                lf = memchr(p->in + at, '\n', p->n - at);
                if (!lf)
                        break;
                *lf = '\0';
                goes_on = command(p, p->in + at);
                at = (size_t)(lf + 1 - p->in);
        }
        p->n -= at;
        memmove(p->in, p->in + at, p->n);
        flush_out(p);
        return goes_on;
}

static void end(struct peer *p)
{
        close(p->fd);
        free(p);
        open_now--;
}

static void readable(struct peer *p)
{
        for (;;) {
                size_t room = sizeof(p->in) - p->n;
                ssize_t k = room ? recv(p->fd, p->in + p->n, room, MSG_DONTWAIT) : 0;

                if (k < 0 && errno == EAGAIN)
                        return;
                if (k <= 0) {
                        end(p);
                        return;
                }
                p->n += (size_t)k;
                if (!understand(p)) {
                        end(p);
                        return;
                }
                if ((size_t)k < room)
                        return; /* level-triggered: what else there is comes again */
        }
}

static void accept_peer(int listening)
{
        struct peer *p = malloc(sizeof(*p));
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = p };
        int one = 1;

        p->fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (p->fd < 0) {
                free(p);
                return;
        }
        p->in_data = p->last = false;
        p->skip = p->n = p->out_n = 0;
        setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &e);
        connections++;
        if (++open_now > most)
                most = open_now;
        answer(p, "220 sink.test ESMTP\r\n");
        flush_out(p);
}

/* false: its end. */
static bool asked(void)
{
        char line[64];
        ssize_t k = read(STDIN_FILENO, line, sizeof(line) - 1);

        if (k <= 0)
                return false;
        line[k] = '\0';
        wanted = strtol(line, NULL, 10);
        asking = letters < wanted;
        if (!asking)
                report();
        return true;
}

int main(int argc, char **argv)
{
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct epoll_event events[256], of_listening = { .events = EPOLLIN },
                                        of_input = { .events = EPOLLIN };
        int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, input = STDIN_FILENO;
        struct options o;

        options_parse(&o, argc, argv);
        hello = o.mode && !strcmp(o.mode, "chunking")
                    ? "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 "
                      "ENHANCEDSTATUSCODES\r\n"
                    : "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n";
        at.sin_port = htons((uint16_t)o.port);
        setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(listening, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listening, 1024) < 0)
                fatal("listen: %s", strerror(errno));
        epoll = epoll_create1(EPOLL_CLOEXEC);
        of_listening.data.ptr = &listening;
        of_input.data.ptr = &input;
        epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &of_listening);
        epoll_ctl(epoll, EPOLL_CTL_ADD, input, &of_input);
        printf("listening\n");
        fflush(stdout);
        for (;;) {
                int n = epoll_wait(epoll, events, 256, -1);

                for (int i = 0; i < n; i++) {
                        if (events[i].data.ptr == &listening)
                                accept_peer(listening);
                        else if (events[i].data.ptr != &input)
                                readable(events[i].data.ptr);
                        else if (!asked())
                                return 0;
                }
        }
}
