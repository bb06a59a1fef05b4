/* FTP's data connection (RFC 959 §3.2), of a conversation that is typed or played. Its other end is the server's own address, whatever a 227 says
 * (RFC 2577; CVE-2020-8284). */
#include "base/scan.h"
#include "cli/talk.h"
#include "cli/terminal.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DIGITS_MOST = 6 };

void data_begin(struct data *d)
{
        *d = (struct data){ .listener = -1 };
}

void data_end(struct data *d)
{
        conn_free(&d->conn);
        if (d->listener >= 0)
                close(d->listener);
        d->listener = -1;
}

/* ---- where to ---- */

/* "h1,h2,h3,h4,p1,p2": RFC 959 §4.1.2 */
static bool six_numbers(struct str text, struct addr *out)
{
        struct scan a = scan_of(text);
        uint8_t part[DIGITS_MOST];

        for (int i = 0; i < DIGITS_MOST; i++) {
                if (i)
                        scan_char(&a, ',');
                part[i] = (uint8_t)scan_number(&a, 255);
        }
        *out = (struct addr){ .family = 4, .port = (uint16_t)(part[4] << 8 | part[5]) };
        for (int i = 0; i < 4; i++)
                out->ip[i] = part[i];
        return !a.bad && out->port;
}

/* "|2|::1|40000|": RFC 2428 §2; a 229 leaves out all but the port. */
static bool by_bars(struct str text, struct addr *out)
{
        struct scan a = scan_of(text);
        char stop[2] = { text.n ? text.p[0] : '|' };
        struct str address;
        uint64_t port;

        scan_char(&a, stop[0]);
        scan_until(&a, stop);
        scan_char(&a, stop[0]);
        address = scan_until(&a, stop);
        scan_char(&a, stop[0]);
        port = scan_number(&a, UINT16_MAX);
        scan_char(&a, stop[0]);
        *out = (struct addr){ .port = (uint16_t)port };
        return !a.bad && port && (!address.n || addr_parse(address, (uint16_t)port, out));
}

/* From its first digit, or bracket, on. */
bool data_heard(struct data *d, const struct conn *control, struct str reply)
{
        bool extended = str_starts(reply, S("229 "));
        struct addr told = { 0 };
        size_t at = 4;

        if (!extended && !str_starts(reply, S("227 ")))
                return false;
        while (at < reply.n && (extended ? reply.p[at] != '(' : reply.p[at] < '0' || reply.p[at] > '9'))
                at++;
        at += extended;
        d->to = conn_peer(control);
        if (!(extended ? by_bars : six_numbers)(str_from_at(reply, at < reply.n ? at : reply.n), &told))
                return false;
        d->foreign = !extended && !addr_same_host(told, d->to);
        d->to.port = told.port;
        return true;
}

bool data_typed(struct str line, struct addr *where)
{
        if (str_istarts(line, S("PORT ")))
                return six_numbers(str_trim(str_from_at(line, 5)), where);
        return str_istarts(line, S("EPRT ")) && by_bars(str_trim(str_from_at(line, 5)), where) &&
               where->family;
}

/* ---- the connection ---- */

int data_connect(struct data *d, const struct conn *control, nsec deadline)
{
        struct addr from = conn_local(control);
        int rc;

        data_end(d);
        if (!d->to.port)
                return -EDESTADDRREQ;
        from.port = 0;
        rc = conn_dial(d->to, &from, deadline, &d->conn);
        d->to.port = 0; /* it is for one connection */
        if (rc == 0)
                conn_park_after(d->conn, -1);
        return rc;
}

int data_listen(struct data *d, const struct conn *control, struct addr *at)
{
        struct sockaddr_storage sa;
        socklen_t n = addr_to(*at, &sa), room = sizeof(sa);
        int rc = -EADDRNOTAVAIL;

        data_end(d);
        if (!addr_same_host(*at, conn_local(control)))
                return rc;
        d->listener = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (d->listener >= 0 && bind(d->listener, (struct sockaddr *)&sa, n) == 0 &&
            listen(d->listener, 1) == 0 && getsockname(d->listener, (struct sockaddr *)&sa, &room) == 0) {
                *at = addr_of((struct sockaddr *)&sa);
                return 0;
        }
        rc = -errno;
        data_end(d);
        return rc;
}

/* Who is not the server is sent away. */
static int accept_one(struct data *d, const struct conn *control)
{
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        int fd = accept4(d->listener, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
                return errno == EAGAIN || errno == ECONNABORTED ? -EAGAIN : -errno;
        if (!addr_same_host(addr_of((struct sockaddr *)&sa), conn_peer(control))) {
                close(fd);
                return -EAGAIN;
        }
        d->conn = conn_new(fd, addr_of((struct sockaddr *)&sa), conn_local(control));
        close(d->listener);
        d->listener = -1;
        if (!d->conn)
                return -EMFILE;
        conn_park_after(d->conn, -1);
        return 0;
}

int data_stands(struct data *d, const struct conn *control, nsec deadline)
{
        int rc = d->conn ? 0 : d->listener < 0 ? -ENOTCONN : -EAGAIN;

        while (rc == -EAGAIN) {
                rc = terminal_await(d->listener, deadline);
                if (rc == 0)
                        rc = accept_one(d, control);
        }
        return rc;
}
