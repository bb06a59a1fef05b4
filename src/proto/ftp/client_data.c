#include "base/mem.h"
#include "base/scan.h"
#include "net/listen.h"
#include "proto/ftp/client_inside.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what PASV and EPSV are answered ---- */

static bool digit(char c)
{
        return c >= '0' && c <= '9';
}

/* h1,h2,h3,h4,p1,p2 -- RFC 959 §4.1.2; RFC 1123 §4.1.2.6: wherever it stands in the text, parentheses or not */
bool ftpc_pasv_parse(struct str text, struct addr *out)
{
        for (size_t from = 0; from < text.n; from++) {
                struct scan a = scan_of(str_from_at(text, from));
                uint8_t part[6];

                if (!digit(text.p[from]) || (from > 0 && digit(text.p[from - 1])))
                        continue;
                for (size_t i = 0; i < 6; i++) {
                        if (i > 0) {
                                scan_char(&a, ',');
                                scan_spaces(&a);
                        }
                        part[i] = (uint8_t)scan_number(&a, 255);
                }
                if (a.bad)
                        continue;
                *out = (struct addr){ .ip = { part[0], part[1], part[2], part[3] },
                                      .family = 4,
                                      .port = (uint16_t)(part[4] << 8 | part[5]) };
                return out->port != 0;
        }
        return false;
}

/* "(|||6446|)", with any delimiter -- RFC 2428 §3. Between the first two nothing is said, but some servers say it. */
bool ftpc_epsv_parse(struct str text, uint16_t *port)
{
        size_t open = str_find(text, '(');
        struct scan a = scan_of(str_from_at(text, open == STR_NONE ? text.n : open + 1));
        char stop[2] = { 0 };
        int d = scan_peek(&a);

        if (d < 33 || d > 126 || digit((char)d))
                return false;
        stop[0] = (char)d;
        scan_char(&a, stop[0]);
        scan_until(&a, stop);
        scan_char(&a, stop[0]);
        scan_until(&a, stop);
        scan_char(&a, stop[0]);
        *port = (uint16_t)scan_number(&a, UINT16_MAX);
        scan_char(&a, stop[0]);
        return !a.bad && *port != 0;
}

/* ---- passive: we connect ---- */

/* From the address that the control connection has; the port is chosen when it is known where to, so that there are enough of them. */
static int socket_from(struct addr from, struct addr to)
{
        int fd = socket(to.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
            on = 1;
        struct sockaddr_storage sa;
        socklen_t n;

        if (fd < 0 || from.family != to.family || addr_any(from))
                return fd;
        from.port = 0;
        n = addr_to(from, &sa);
        if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0 &&
            bind(fd, (struct sockaddr *)&sa, n) == 0)
                return fd;
        close(fd); /* it has no such address any more: as the kernel likes */
        return socket(to.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Nobody waits for it to stand: who writes or reads does. */
static int connect_to(struct ftp_client *c, struct ftpc_data *d, struct addr to)
{
        int fd = socket_from(conn_local(c->conn), to), rc;
        struct sockaddr_storage sa;
        socklen_t n = addr_to(to, &sa);

        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS) {
                rc = -errno;
                close(fd);
                return rc;
        }
        d->to = to;
        d->fd = fd;
        d->stream = stream_new(fd);
        return d->stream ? 0 : -EMFILE;
}

/* An address that is not the server's own would let it send us anywhere (RFC 2577; CVE-2020-8284). */
static struct addr where_to(const struct ftp_client *c, struct addr told)
{
        struct addr to = conn_peer(c->conn);

        if (c->foreign && told.family && !addr_any(told))
                return told;
        to.port = told.port;
        return to;
}

/* ---- active: we listen ---- */

static void knocked(struct watch *w, uint32_t events)
{
        struct ftpc_data *d = (struct ftpc_data *)(void *)((char *)w - offsetof(struct ftpc_data, watch));

        (void)events;
        d->came = true;
        conn_call(d->client->conn);
}

static int listen_here(struct ftp_client *c, struct ftpc_data *d, struct addr *at)
{
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        int fd, rc;

        *at = conn_local(c->conn);
        if (c->way != FTP_DATA_DEFAULT)
                at->port = 0;
        else
                conn_share_port(c->conn);
        fd = listen_on(*at, false, 1);
        if (fd < 0)
                return -errno;
        d->watch = (struct watch){ fd, knocked };
        rc = getsockname(fd, (struct sockaddr *)&sa, &n) < 0 ? -errno : watch_add(&d->watch, EPOLLIN);
        if (rc < 0) {
                close(fd);
                return rc;
        }
        d->watched = true;
        at->port = addr_of((struct sockaddr *)&sa).port;
        return 0;
}

static void listen_no_more(struct ftpc_data *d)
{
        if (!d->watched)
                return;
        watch_remove(&d->watch);
        close(d->watch.fd);
        d->watched = false;
}

/* -EAGAIN: there is nobody, or others only: whose connections are not ours to take. */
static int take_caller(struct ftp_client *c, struct ftpc_data *d)
{
        struct sockaddr_storage sa;
        socklen_t n;
        int fd;

        for (;;) {
                n = sizeof(sa);
                fd = accept4(d->watch.fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0)
                        return errno == EINTR || errno == ECONNABORTED ? -EAGAIN : -errno;
                if (c->foreign || addr_same_host(addr_of((struct sockaddr *)&sa), conn_peer(c->conn)))
                        break;
                close(fd);
                fiber_yield_if_due();
        }
        listen_no_more(d);
        d->fd = fd;
        d->stream = stream_new(fd);
        return d->stream ? 0 : -EMFILE;
}

/* ---- asked for ---- */

static int active(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a)
{
        struct addr at;
        int rc = listen_here(c, d, &at);

        if (rc < 0) {
                ftpc_ours(a, "no port to listen on: %s", strerrordesc_np(-rc));
                return -EREMOTEIO;
        }
        if (c->way == FTP_DATA_DEFAULT)
                return 0;
        if (at.family == 4)
                rc = ftp_client_ask(c, a, "PORT %u,%u,%u,%u,%u,%u", at.ip[0], at.ip[1], at.ip[2], at.ip[3],
                                    at.port >> 8, at.port & 255);
        else
                rc = ftp_client_ask(c, a, "EPRT |2|%s|%u|", addr_text(at).z, at.port);
        if (rc < 0)
                listen_no_more(d);
        return rc;
}

static bool by_epsv(const struct ftp_client *c)
{
        if (c->way == FTP_DATA_EPSV)
                return true;
        return c->way == FTP_DATA_AUTO &&
               (conn_peer(c->conn).family == 6 || (c->no_pasv && c->offers & FTP_HAS_EPSV));
}

static int no_address(struct ftp_answer *a)
{
        char text[sizeof(a->text)];

        snprintf(text, sizeof(text), "%s", a->text);
        ftpc_ours(a, "the server names no port in \"%.900s\"", text);
        return -EPROTO;
}

static int heard(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a)
{
        struct addr told = { 0 };
        int rc = ftpc_judge(c, a);

        if (rc < 0)
                return rc;
        if (a->code == 229 ? !ftpc_epsv_parse(str_of(a->text), &told.port)
                           : !ftpc_pasv_parse(str_of(a->text), &told))
                return no_address(a);
        told = a->code == 229 ? where_to(c, (struct addr){ .port = told.port }) : where_to(c, told);
        rc = connect_to(c, d, told);
        if (rc == 0)
                return 0;
        ftpc_ours(a, "no data connection to %s port %u: %s", addr_text(told).z, told.port,
                  strerrordesc_np(-rc));
        return -EREMOTEIO;
}

static int passive(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a)
{
        bool epsv = by_epsv(c);
        int rc = ftp_client_ask(c, a, epsv ? "EPSV" : "PASV");

        if (rc == -EREMOTEIO && a->code >= 500 && c->way == FTP_DATA_AUTO) { /* the other one, from now on */
                bool other =
                    epsv ? conn_peer(c->conn).family == 4 && !c->no_pasv : (c->offers & FTP_HAS_EPSV) != 0;

                if (epsv)
                        c->offers &= ~(unsigned)FTP_HAS_EPSV;
                else
                        c->no_pasv = true;
                if (other)
                        rc = ftp_client_ask(c, a, epsv ? "PASV" : "EPSV");
        }
        return rc < 0 ? rc : heard(c, d, a);
}

int ftpc_data_open(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a)
{
        *d = (struct ftpc_data){ .client = c, .fd = -1 };
        if (c->kept) {
                bool good =
                    ftpc_keeps(&c->is) && stream_alive(c->kept) && stream_has_tls(c->kept) == c->private_data;

                if (good) {
                        d->stream = c->kept;
                        d->kept = d->stands = true;
                        c->kept = NULL;
                        return 0;
                }
                stream_free(&c->kept);
        }
        if (c->way == FTP_DATA_ACTIVE || c->way == FTP_DATA_DEFAULT)
                return active(c, d, a);
        return passive(c, d, a);
}

bool ftpc_data_ahead(struct ftp_client *c)
{
        if (c->way == FTP_DATA_ACTIVE || c->way == FTP_DATA_DEFAULT)
                return false;
        return ftpc_say(c, by_epsv(c) ? "EPSV" : "PASV") == 0;
}

int ftpc_data_heard(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a)
{
        *d = (struct ftpc_data){ .client = c, .fd = -1 };
        return heard(c, d, a);
}

/* ---- stands ---- */

static unsigned tcp_state(const struct ftpc_data *d)
{
        struct tcp_info info;
        socklen_t n = sizeof(info);

        return getsockopt(d->fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 ? info.tcpi_state : TCP_ESTABLISHED;
}

bool ftpc_data_connecting(const struct ftpc_data *d)
{
        return d->stream && !d->kept && tcp_state(d) == TCP_SYN_SENT;
}

bool ftpc_data_pending(const struct ftpc_data *d)
{
        return !d->stream || ftpc_data_connecting(d) || (!d->kept && tcp_state(d) == TCP_CLOSE);
}

/* Until somebody has called, or the server says that it will not. 1: it said so. */
static int await_caller(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a)
{
        nsec deadline = now() + c->patience;
        int rc = 0;

        while (!d->stream) {
                if (d->came) {
                        d->came = false;
                        rc = take_caller(c, d);
                        if (rc < 0 && rc != -EAGAIN)
                                return rc;
                        continue;
                }
                rc = ftpc_reply(c, a, deadline, true);
                if (rc < 0)
                        return rc;
                if (rc == 0 && a->code >= 200)
                        return 1;
        }
        return 0;
}

int ftpc_data_stands(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a)
{
        int rc = d->stream ? 0 : await_caller(c, d, a);

        if (rc != 0 || d->stands)
                return rc;
        d->stands = true;
        if (c->private_data)
                rc = stream_starttls_same(d->stream, c->conn, c->host, now() + c->patience);
        if (rc == -EACCES)
                ftpc_ours(a, "the data connection's certificate is not that of the control connection");
        else if (rc < 0)
                ftpc_ours(a, "TLS of the data connection: %s", strerrordesc_np(-rc));
        return rc;
}

void ftpc_data_close(struct ftpc_data *d)
{
        listen_no_more(d);
        stream_free(&d->stream);
}
