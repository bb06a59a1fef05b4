#include "proto/ftp/commands.h"
#include "proto/ftp/transfer.h"
#include "run/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { FIRST_FREE_PORT = 1024, PARTNER_WAIT = 60, HANDSHAKE_WAIT = 30, GOODBYE_WAIT = 5 };
#define NEAR_NETWORKS                                                                                    \
        "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 100.64.0.0/10 ::1 fc00::/7 " \
        "fe80::/10"

/* Between two files: what was sent shall arrive. On the loop's stack there is no waiting for that. */
void ftp_kept_end(struct ftp *p)
{
        if (p->kept && fiber_self())
                (void)stream_finish(p->kept, in_seconds(GOODBYE_WAIT));
        stream_free(&p->kept);
}

void ftp_data_forget(struct session *s)
{
        struct ftp *p = ftp_of(s);

        lease_end(&p->lease);
        ftp_kept_end(p);
        p->port = (struct addr){ 0 };
}

static bool only_epsv(struct session *s, int *rc)
{
        if (ftp_of(s)->epsv_all)
                *rc = ftp_reply(s, "501 Only EPSV is allowed after EPSV ALL.");
        return ftp_of(s)->epsv_all;
}

/* --- PORT, EPRT ---------------------------------------------------------------------------------------------- */

/* Where no data connection shall ever go, whatever the settings allow. */
static bool nobodys(struct addr a)
{
        if (a.family == 4)
                return a.ip[0] == 0 || a.ip[0] >= 224;
        return a.ip[0] == 0xff || addr_in_list(a, S("::/128"));
}

/* RFC 2577 §3: neither another host's ports (bounce attack) nor any below 1024; 504 is its suggestion. */
static int set_port(struct session *s, struct addr to)
{
        struct ftp *p = ftp_of(s);
        struct addr peer = conn_peer(s->conn);
        bool foreign = !addr_same_host(to, peer);

        if (nobodys(to) || (foreign && !s->server->settings->ftp_foreign_data) ||
            (foreign && addr_loopback(to) && !addr_loopback(peer)))
                return ftp_reply(s, "504 Data goes to your own address only.");
        if (to.port < FIRST_FREE_PORT)
                return ftp_reply(s, "504 Data goes to no port below %d.", FIRST_FREE_PORT);
        ftp_data_forget(s);
        p->port = to;
        return ftp_reply(s, "200 %s command successful.", s->running->verb);
}

/* PORT SP h1,h2,h3,h4,p1,p2 -- RFC 959 §4.1.2 */
int ftp_port(struct session *s, struct scan *a)
{
        struct addr to = { .family = 4 };
        uint8_t part[6];
        int rc;

        for (int i = 0; i < 6; i++) {
                if (i > 0)
                        scan_char(a, ',');
                part[i] = (uint8_t)scan_number(a, 255);
        }
        if (!scan_done(a))
                return ftp_syntax(s);
        if (only_epsv(s, &rc))
                return rc;
        for (int i = 0; i < 4; i++)
                to.ip[i] = part[i];
        to.port = (uint16_t)(part[4] << 8 | part[5]);
        return set_port(s, to);
}

/* EPRT SP d net-prt d net-addr d tcp-port d -- RFC 2428 §2 */
int ftp_eprt(struct session *s, struct scan *a)
{
        char stops[2] = { 0 };
        struct str address;
        struct addr to;
        uint64_t family, port;
        int d = scan_peek(a), rc;

        if (d < 33 || d > 126)
                return ftp_syntax(s);
        stops[0] = (char)d;
        scan_char(a, stops[0]);
        family = scan_number(a, UINT32_MAX);
        scan_char(a, stops[0]);
        address = scan_until(a, stops);
        scan_char(a, stops[0]);
        port = scan_number(a, UINT16_MAX);
        scan_char(a, stops[0]);
        if (!scan_done(a))
                return ftp_syntax(s);
        if (only_epsv(s, &rc))
                return rc;
        if (family != 1 && family != 2)
                return ftp_reply(s, "522 Network protocol not supported, use (1,2)");
        if ((str_find(address, ':') != STR_NONE) != (family == 2) || str_find(address, '[') != STR_NONE ||
            !addr_parse(address, (uint16_t)port, &to))
                return ftp_reply(s, "501 That is no address of protocol %d.", (int)family);
        return set_port(s, to);
}

/* --- PASV, EPSV ---------------------------------------------------------------------------------------------- */

/* A new one ends the old one. */
static bool take_lease(struct session *s, int *rc)
{
        struct ftp *p = ftp_of(s);
        int error = -EOPNOTSUPP;

        ftp_data_forget(s);
        if (s->server->passive)
                error = lease_take(s->server->passive, conn_local(s->conn), conn_peer(s->conn),
                                   s->server->settings->ftp_foreign_data, &p->lease);
        if (error < 0) {
                log_event("passive", "session=%s peer=%s error=%d", s->id, session_peer(s).z, -error);
                *rc = ftp_reply(s, "425 No port is free for a data connection just now.");
                return false;
        }
        return true;
}

/* The address told: behind NAT the public one, but not to those who are on our side of it. */
static struct addr told_address(const struct session *s)
{
        struct addr here = conn_local(s->conn), out;
        struct str public = str_of(s->server->settings->ftp_public_address);

        if (here.family == 4 && public.n && addr_parse(public, 0, &out) && out.family == 4 &&
            !addr_in_list(conn_peer(s->conn), S(NEAR_NETWORKS)))
                return out;
        return here;
}

/* PASV -- RFC 959 §4.1.2 */
int ftp_pasv(struct session *s, struct scan *a)
{
        struct addr told;
        unsigned port;
        int rc;

        (void)a;
        if (only_epsv(s, &rc))
                return rc;
        told = told_address(s);
        if (told.family != 4)
                return ftp_reply(s, "425 PASV cannot tell an IPv6 address, use EPSV.");
        if (!take_lease(s, &rc))
                return rc;
        port = lease_port(ftp_of(s)->lease);
        return ftp_reply(s, "227 Entering Passive Mode (%u,%u,%u,%u,%u,%u)", told.ip[0], told.ip[1],
                         told.ip[2], told.ip[3], port >> 8, port & 255);
}

/* EPSV [SP (1 | 2 | ALL)] -- RFC 2428 §3 */
int ftp_epsv(struct session *s, struct scan *a)
{
        unsigned ours = conn_local(s->conn).family == 6 ? 2 : 1;
        uint64_t family = ours;
        int rc;

        if (scan_try_word(a, S("ALL"))) {
                if (!scan_done(a))
                        return ftp_syntax(s);
                ftp_of(s)->epsv_all = true;
                return ftp_reply(s, "200 EPSV ALL command successful.");
        }
        if (!scan_end(a))
                family = scan_number(a, UINT32_MAX);
        if (!scan_done(a))
                return ftp_syntax(s);
        if (family != ours)
                return ftp_reply(s, "522 Network protocol not supported, use (%u)", ours);
        if (!take_lease(s, &rc))
                return rc;
        return ftp_reply(s, "229 Entering Extended Passive Mode (|||%u|)", lease_port(ftp_of(s)->lease));
}

/* --- the connection ------------------------------------------------------------------------------------------ */

static nsec partner_deadline(const struct session *s)
{
        long patience = s->server->settings->ftp_data_timeout;

        return in_seconds(patience < PARTNER_WAIT ? patience : PARTNER_WAIT);
}

static int accepted(struct session *s, struct ftp_data_how *how, struct stream **out, const char **why)
{
        int fd, rc = lease_accept(how->lease, partner_deadline(s), &fd);

        if (rc < 0) {
                *why = rc == -ETIMEDOUT ? "nobody connected in time" : "the wait for it was ended";
                return rc;
        }
        lease_end(&how->lease);
        *out = stream_new(fd);
        *why = "too many connections are open";
        return *out ? 0 : -EMFILE;
}

static int dial(struct session *s, struct addr from, struct addr to, struct stream **out)
{
        int fd = s->server->bound_socket(s->server->bound_context, from);

        return fd < 0 ? fd : stream_connect(fd, to, partner_deadline(s), out);
}

/* From the data port (RFC 959 §3.2). The pair of this port and theirs may still rest in TIME_WAIT, where a client uses its port
 * again and again: then from any port, which is better than no connection. */
static int connected(struct session *s, struct ftp_data_how *how, struct stream **out, const char **why)
{
        const struct settings *t = s->server->settings;
        struct addr from = conn_local(s->conn), to = how->port.family ? how->port : conn_peer(s->conn);
        int rc;

        *why = "your port does not answer";
        if (to.port < FIRST_FREE_PORT || !s->server->bound_socket)
                return -EACCES;
        from.port = (uint16_t)(s->protocol == PROTOCOL_FTPS ? t->ftps_data_port : t->ftp_data_port);
        rc = dial(s, from, to, out);
        if ((rc == -EADDRINUSE || rc == -EADDRNOTAVAIL) && from.port) {
                from.port = 0;
                rc = dial(s, from, to, out);
        }
        return rc;
}

/* RFC 4217 §10: a resumed session proves that whoever connected is the client of the control connection. */
static int secured(struct session *s, struct stream *stream, const char **why)
{
        struct tls_context *tls = s->server->tls;
        long reuse = s->server->settings->ftp_data_tls_reuse;
        bool resumed = false;
        int rc;

        *why = "there is no TLS here";
        if (!tls)
                return -EPROTO;
        tls_context_hold(tls);
        rc = stream_starttls(stream, tls, reuse == REUSE_OFF ? NULL : s->conn, in_seconds(HANDSHAKE_WAIT),
                             &resumed);
        tls_context_drop(&tls);
        if (rc < 0) {
                *why = "the TLS handshake failed";
                return rc == -ECANCELED ? rc : -EPROTO;
        }
        if (resumed || reuse != REUSE_REQUIRE)
                return 0;
        log_event("refused", "session=%s peer=%s why=\"TLS session not resumed on the data connection\"",
                  s->id, session_peer(s).z);
        *why = "it must resume the TLS session of the control connection";
        return -EPROTO;
}

int ftp_data_open(struct session *s, struct ftp_data_how *how, struct stream **out, const char **why)
{
        int rc;

        if (how->kept) {
                *out = how->kept;
                how->kept = NULL;
                return 0;
        }
        rc = how->lease ? accepted(s, how, out, why) : connected(s, how, out, why);
        if (rc == 0 && how->private_data)
                rc = secured(s, *out, why);
        return rc;
}
