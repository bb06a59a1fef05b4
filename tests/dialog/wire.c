#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINES_MOST = 64 << 20, READ_SIZE = 65536 };

static bool wait_for(struct wire *w, short events, nsec deadline)
{
        struct pollfd p = { .fd = w->fd, .events = events };
        nsec left = deadline - now();

        return left > 0 && poll(&p, 1, (int)(left / MSECOND) + 1) > 0;
}

static socklen_t numeric(const char *address, unsigned port, struct sockaddr_storage *out)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)out;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

        *out = (struct sockaddr_storage){ 0 };
        if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons((uint16_t)port);
                return sizeof(*v4);
        }
        if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons((uint16_t)port);
                return sizeof(*v6);
        }
        return 0;
}

int wire_bound(const char *address, unsigned port)
{
        struct sockaddr_storage at;
        socklen_t n = numeric(address, port, &at);
        int fd = n ? socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1, one = 1;

        if (fd < 0)
                return -1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&at, n) == 0)
                return fd;
        close(fd);
        return -1;
}

void wire_take(struct wire *w, int fd)
{
        int one = 1;

        *w = (struct wire){ .fd = fd };
        buf_init(&w->in, LINES_MOST);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

bool wire_dial_from(struct wire *w, int fd, const char *address, unsigned port, struct buf *why)
{
        struct sockaddr_storage to;
        socklen_t n = numeric(address, port, &to);

        if (fd < 0 && n)
                fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        wire_take(w, fd);
        if (!n)
                buf_printf(why, "%s is not an address", address);
        else if (fd < 0 || connect(fd, (struct sockaddr *)&to, n) < 0)
                buf_printf(why, "connect %s:%u: %m", address, port);
        else
                return true;
        wire_close(w);
        return false;
}

bool wire_dial(struct wire *w, const char *address, unsigned port, struct buf *why)
{
        return wire_dial_from(w, -1, address, port, why);
}

/* > 0, 0: nothing there, -1: the end */
static ssize_t read_some(struct wire *w)
{
        char *room = buf_room(&w->in, READ_SIZE);
        ssize_t n;

        if (!room || w->ended)
                return -1;
        if (w->tls) {
                n = gnutls_record_recv(w->tls, room, READ_SIZE);
                if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
                        return 0;
        } else {
                n = recv(w->fd, room, READ_SIZE, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
        }
        if (n <= 0) {
                w->ended = true;
                w->broken = n < 0;
                return -1;
        }
        buf_added(&w->in, (size_t)n);
        return n;
}

static ssize_t pull(gnutls_transport_ptr_t p, void *room, size_t n)
{
        return recv(*(int *)p, room, n, MSG_DONTWAIT);
}

static ssize_t push(gnutls_transport_ptr_t p, const void *bytes, size_t n)
{
        return send(*(int *)p, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int pull_timeout(gnutls_transport_ptr_t p, unsigned milliseconds)
{
        struct pollfd in = { .fd = *(int *)p, .events = POLLIN };

        return poll(&in, 1, (int)milliseconds);
}

static gnutls_certificate_credentials_t authority(const char *ca, struct buf *why)
{
        static gnutls_certificate_credentials_t credentials;
        int rc;

        if (credentials)
                return credentials;
        gnutls_certificate_allocate_credentials(&credentials);
        rc = gnutls_certificate_set_x509_trust_file(credentials, ca, GNUTLS_X509_FMT_PEM);
        if (rc <= 0) {
                buf_printf(why, "%s: %s", ca, rc ? gnutls_strerror(rc) : "no certificates in it");
                gnutls_certificate_free_credentials(credentials);
                credentials = NULL;
        }
        return credentials;
}

/* With TLS 1.3 the tickets come behind the handshake; GnuTLS reads on for them. */
static void resume_session(struct wire *w, struct wire *from)
{
        gnutls_datum_t data;

        if (!from || !from->tls || gnutls_session_get_data2(from->tls, &data) != 0)
                return;
        gnutls_session_set_data(w->tls, data.data, data.size);
        gnutls_free(data.data);
}

bool wire_resumed(const struct wire *w)
{
        return w->tls && gnutls_session_is_resumed(w->tls);
}

bool wire_tls(struct wire *w, const char *ca, struct wire *resume, struct buf *why)
{
        gnutls_certificate_credentials_t credentials = authority(ca, why);
        nsec deadline = now() + WIRE_PATIENCE;
        int rc;

        if (!credentials)
                return false;
        gnutls_init(&w->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
        gnutls_set_default_priority(w->tls);
        gnutls_credentials_set(w->tls, GNUTLS_CRD_CERTIFICATE, credentials);
        gnutls_session_set_verify_cert(w->tls, NULL, 0);
        resume_session(w, resume);
        gnutls_transport_set_ptr(w->tls, &w->fd);
        gnutls_transport_set_pull_function(w->tls, pull);
        gnutls_transport_set_pull_timeout_function(w->tls, pull_timeout);
        gnutls_transport_set_push_function(w->tls, push);
        do {
                rc = gnutls_handshake(w->tls);
                if (rc == GNUTLS_E_AGAIN &&
                    !wait_for(w, gnutls_record_get_direction(w->tls) ? POLLOUT : POLLIN, deadline))
                        break;
        } while (rc < 0 && !gnutls_error_is_fatal(rc));
        if (rc < 0)
                buf_printf(why, "TLS: %s", gnutls_strerror(rc));
        return rc == 0;
}

bool wire_binding(struct wire *w, bool exporter, struct buf *out)
{
        gnutls_datum_t data;

        if (!w->tls || gnutls_session_channel_binding(
                           w->tls, exporter ? GNUTLS_CB_TLS_EXPORTER : GNUTLS_CB_TLS_UNIQUE, &data) != 0)
                return false;
        buf_put(out, data.data, data.size);
        gnutls_free(data.data);
        return true;
}

bool wire_send(struct wire *w, struct str bytes, struct buf *why)
{
        nsec deadline = now() + WIRE_PATIENCE;
        ssize_t n;

        while (bytes.n > 0) {
                if (w->tls)
                        n = gnutls_record_send(w->tls, bytes.p, bytes.n);
                else
                        n = push(&w->fd, bytes.p, bytes.n);
                if (n > 0) {
                        bytes = str_from_at(bytes, (size_t)n);
                        continue;
                }
                if (w->tls ? n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED
                           : errno != EAGAIN && errno != EINTR)
                        return true; /* the peer has gone; what it said last can be read */
                read_some(w);
                if (!wait_for(w, w->ended ? POLLOUT : POLLIN | POLLOUT, deadline)) {
                        buf_puts(why, S("the server takes no more input"));
                        return false;
                }
        }
        return true;
}

static bool take_line(struct wire *w, struct str *line)
{
        struct str rest = str_from_at(buf_str(&w->in), w->at);
        size_t lf = str_find(rest, '\n');

        if (lf == STR_NONE)
                return false;
        w->at += lf + 1;
        *line = str_sub(rest, 0, lf + 1);
        if (lf > 0 && rest.p[lf - 1] == '\r')
                line->n = lf - 1;
        return true;
}

enum wire_got wire_line(struct wire *w, struct str *line)
{
        nsec deadline = now() + WIRE_PATIENCE;

        *line = S("");
        for (;;) {
                if (take_line(w, line))
                        return WIRE_LINE;
                buf_drop(&w->in, w->at);
                w->at = 0;
                switch (read_some(w)) {
                case -1: return WIRE_END;
                case 0:
                        if (!wait_for(w, POLLIN, deadline))
                                return WIRE_SILENCE;
                }
        }
}

enum wire_got wire_bytes(struct wire *w, size_t n, struct str *bytes)
{
        nsec deadline = now() + WIRE_PATIENCE;

        buf_drop(&w->in, w->at);
        w->at = 0;
        while (w->in.n < n) {
                ssize_t got = read_some(w);

                if (got < 0 || (got == 0 && !wait_for(w, POLLIN, deadline)))
                        break;
        }
        *bytes = str_sub(buf_str(&w->in), 0, n < w->in.n ? n : w->in.n);
        w->at = bytes->n;
        return bytes->n == n ? WIRE_LINE : w->ended ? WIRE_END : WIRE_SILENCE;
}

bool wire_has_more(struct wire *w)
{
        struct str rest;

        while (read_some(w) > 0)
                ;
        rest = str_from_at(buf_str(&w->in), w->at);
        return str_find(rest, '\n') != STR_NONE;
}

static void let_go(struct wire *w)
{
        if (w->tls)
                gnutls_deinit(w->tls);
        if (w->fd >= 0)
                close(w->fd);
        buf_free(&w->in);
        *w = (struct wire){ .fd = -1 };
}

/* RFC 4217 §4.4 leaves the shape of it to RFC 2246: close_notify from both sides, then plain text. */
bool wire_leave_tls(struct wire *w, struct buf *why)
{
        nsec deadline = now() + WIRE_PATIENCE;
        int rc;

        do
                rc = gnutls_bye(w->tls, GNUTLS_SHUT_RDWR);
        while (rc == GNUTLS_E_INTERRUPTED ||
               (rc == GNUTLS_E_AGAIN &&
                wait_for(w, gnutls_record_get_direction(w->tls) ? POLLOUT : POLLIN, deadline)));
        if (rc != 0) {
                buf_printf(why, "the end of TLS: %s", gnutls_strerror(rc));
                return false;
        }
        gnutls_deinit(w->tls);
        w->tls = NULL;
        return true;
}

void wire_close(struct wire *w)
{
        if (w->tls)
                gnutls_bye(w->tls, GNUTLS_SHUT_WR);
        let_go(w);
}

void wire_cut(struct wire *w)
{
        struct linger at_once = { .l_onoff = 1 };

        if (!w->tls)
                setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        let_go(w);
}
