#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void fatal(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        exit(1);
}

double now_seconds(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Made before there are threads. A key of one group only (GNUTLS_KEY_SHARE_TOP): by default GnuTLS makes keys for several in every
 * handshake, and this client must take little of the machine that it shares with the server. vsftpd and Pure-FTPd know P-256
 * alone. */
static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priorities;

void options_parse(struct options *o, int argc, char **argv)
{
        *o = (struct options){ .host = "127.0.0.1",
                               .user = "",
                               .password = "",
                               .account = "u%d@bench.test",
                               .what = "",
                               .path = "",
                               .mode = "S",
                               .sessions = 1,
                               .accounts = 1,
                               .letters = 1,
                               .in_flight = 1,
                               .size = 1024 };
        for (int i = 1; i < argc; i++) {
                const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";

                if (!strcmp(name, "--tls")) {
                        o->tls = true;
                        continue;
                }
                if (!strcmp(name, "--imap")) {
                        o->imap = true;
                        continue;
                }
                if (!strcmp(name, "--hold")) {
                        o->hold = true;
                        continue;
                }
                if (!strcmp(name, "--resume")) {
                        o->resume = true;
                        continue;
                }
                if (!strcmp(name, "--pipeline")) {
                        o->pipeline = true;
                        continue;
                }
                i++;
                if (!strcmp(name, "--host"))
                        o->host = value;
                else if (!strcmp(name, "--user"))
                        o->user = value;
                else if (!strcmp(name, "--password"))
                        o->password = value;
                else if (!strcmp(name, "--account"))
                        o->account = value;
                else if (!strcmp(name, "--what"))
                        o->what = value;
                else if (!strcmp(name, "--path"))
                        o->path = value;
                else if (!strcmp(name, "--mode"))
                        o->mode = value;
                else if (!strcmp(name, "--port"))
                        o->port = (int)strtol(value, NULL, 10);
                else if (!strcmp(name, "--sessions"))
                        o->sessions = (int)strtol(value, NULL, 10);
                else if (!strcmp(name, "--accounts"))
                        o->accounts = (int)strtol(value, NULL, 10);
                else if (!strcmp(name, "--letters"))
                        o->letters = (int)strtol(value, NULL, 10);
                else if (!strcmp(name, "--per-connection")) /* 0: all on one */
                        o->per_connection = (int)strtol(value, NULL, 10);
                else if (!strcmp(name, "--in-flight"))
                        o->in_flight = (int)strtol(value, NULL, 10);
                else if (!strcmp(name, "--size"))
                        o->size = strtoul(value, NULL, 10);
                else
                        fatal("%s: what is that?", name);
        }
        if (o->accounts < 1 || o->sessions < 1 || o->letters < 1)
                fatal("--accounts, --sessions and --letters begin at 1");
        if (o->tls) {
                gnutls_certificate_allocate_credentials(&credentials);
                gnutls_priority_init2(&priorities, "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1", NULL,
                                      GNUTLS_PRIORITY_INIT_DEF_APPEND);
        }
}

void account_name(const struct options *o, int number, char *room, size_t n)
{
        const char *at = strstr(o->account, "%d");

        if (!at)
                fatal("--account %s has no %%d", o->account);
        snprintf(room, n, "%.*s%d%s", (int)(at - o->account), o->account, number % o->accounts, at + 2);
}

void wire_open(struct wire *w, const struct options *o)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o->port) };
        int one = 1;

        w->tls = NULL;
        w->at = w->n = 0;
        inet_pton(AF_INET, o->host, &a.sin_addr);
        w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
                fatal("connect %s:%d: %s", o->host, o->port, strerror(errno));
        setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (o->tls)
                wire_starttls(w);
}

void wire_starttls(struct wire *w)
{
        gnutls_session_t t;
        int rc;

        gnutls_init(&t, GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP);
        gnutls_priority_set(t, priorities);
        gnutls_credentials_set(t, GNUTLS_CRD_CERTIFICATE, credentials);
        gnutls_transport_set_int(t, w->fd);
        if (w->session_n)
                gnutls_session_set_data(t, w->session, w->session_n);
        do
                rc = gnutls_handshake(t);
        while (rc < 0 && !gnutls_error_is_fatal(rc));
        if (rc < 0)
                fatal("TLS: %s", gnutls_strerror(rc));
        w->tls = t;
}

void wire_keep_session(struct wire *w)
{
        w->session_n = sizeof(w->session);
        if (gnutls_session_get_data(w->tls, w->session, &w->session_n) < 0)
                w->session_n = 0;
}

bool wire_resumed(const struct wire *w)
{
        return w->tls && gnutls_session_is_resumed(w->tls);
}

void wire_close(struct wire *w)
{
        if (w->tls)
                gnutls_deinit(w->tls);
        close(w->fd);
        w->fd = -1;
}

void wire_send(struct wire *w, const char *p, size_t n)
{
        while (n) {
                ssize_t k = w->tls ? gnutls_record_send(w->tls, p, n) : send(w->fd, p, n, MSG_NOSIGNAL);

                if (k <= 0)
                        fatal("send: the server left");
                p += k;
                n -= (size_t)k;
        }
}

void wire_say(struct wire *w, const char *format, ...)
{
        char line[4096];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        wire_send(w, line, (size_t)n);
}

static void fill(struct wire *w)
{
        ssize_t k;

        if (w->at) {
                memmove(w->in, w->in + w->at, w->n - w->at);
                w->n -= w->at;
                w->at = 0;
        }
        if (w->n == sizeof(w->in))
                fatal("a line of more than %zu bytes", sizeof(w->in));
        do
                k = w->tls ? gnutls_record_recv(w->tls, w->in + w->n, sizeof(w->in) - w->n)
                           : recv(w->fd, w->in + w->n, sizeof(w->in) - w->n, 0);
        while (k == GNUTLS_E_AGAIN || k == GNUTLS_E_INTERRUPTED);
        if (k <= 0)
                fatal("recv: the server left");
        w->n += (size_t)k;
}

char *wire_line(struct wire *w)
{
        size_t searched = 0;

        for (;;) {
                char *from = w->in + w->at;
                char *lf = memchr(from + searched, '\n', w->n - w->at - searched);

                if (lf) {
                        w->at = (size_t)(lf + 1 - w->in);
                        if (lf > from && lf[-1] == '\r')
                                lf--;
                        *lf = '\0';
                        return from;
                }
                searched = w->n - w->at;
                fill(w);
        }
}

void wire_expect(struct wire *w, const char *start)
{
        char *line = wire_line(w);

        if (strncmp(line, start, strlen(start)))
                fatal("expected %s, got: %s", start, line);
}

void wire_until(struct wire *w, const char *start)
{
        while (strncmp(wire_line(w), start, strlen(start)) != 0)
                ;
}

void wire_skip(struct wire *w, size_t n)
{
        while (n > w->n - w->at) {
                n -= w->n - w->at;
                w->at = w->n;
                fill(w);
        }
        w->at += n;
}

const unsigned char *wire_take(struct wire *w, size_t n)
{
        while (n > w->n - w->at)
                fill(w);
        w->at += n;
        return (unsigned char *)w->in + w->at - n;
}

size_t wire_drain(struct wire *w)
{
        size_t octets = w->n - w->at;
        ssize_t k;

        for (;;) {
                k = w->tls ? gnutls_record_recv(w->tls, w->in, sizeof(w->in))
                           : recv(w->fd, NULL, 16 << 20, MSG_TRUNC);
                if (k > 0)
                        octets += (size_t)k;
                else if (k != GNUTLS_E_AGAIN && k != GNUTLS_E_INTERRUPTED)
                        break;
        }
        if (w->tls ? k != 0 && k != GNUTLS_E_PREMATURE_TERMINATION : k < 0)
                fatal("the data broke off");
        return octets;
}

void wire_end(struct wire *w)
{
        if (w->tls)
                gnutls_bye(w->tls, GNUTLS_SHUT_WR);
        shutdown(w->fd, SHUT_WR);
}

/* Searches CRLF.CRLF in what is buffered, keeping the last 4 bytes across reads. The first CRLF is the status line's. */
size_t wire_until_dot(struct wire *w)
{
        size_t octets = 0;
        bool start = true;

        for (;;) {
                if (start && w->n - w->at >= 3 && !memcmp(w->in + w->at, ".\r\n", 3)) {
                        w->at += 3;
                        return 0;
                }
                char *end = w->n - w->at >= 5 ? memmem(w->in + w->at, w->n - w->at, "\r\n.\r\n", 5) : NULL;

                if (end) {
                        octets += (size_t)(end + 2 - (w->in + w->at));
                        w->at = (size_t)(end + 5 - w->in);
                        return octets;
                }
                if (w->n - w->at > 4) {
                        start = false;
                        octets += w->n - w->at - 4;
                        w->at = w->n - 4;
                }
                fill(w);
        }
}
