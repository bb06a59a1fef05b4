/* RFC 2228 and 4217: TLS for the control connection, and how data connections are to be protected. */
#include "proto/ftp/commands.h"
#include "run/log.h"

/* AUTH mechanism -- RFC 4217 §4 and §17. TLS-P, and SSL for it, come from its drafts: data is private at once. What was said before may have been
 * said by somebody in between: forgotten. Once TLS stands, it stands (§4 allows to refuse a second time). */
int ftp_auth(struct session *s, struct scan *a)
{
        struct str mechanism = str_trim(scan_rest(a));
        struct tls_context *tls = s->server->tls;
        bool data_too = str_ieq(mechanism, S("TLS-P")) || str_ieq(mechanism, S("SSL"));

        if (!mechanism.n)
                return ftp_syntax(s);
        if (!data_too && !str_ieq(mechanism, S("TLS")) && !str_ieq(mechanism, S("TLS-C")))
                return ftp_reply(s, "504 No such security mechanism, there is TLS.");
        if (conn_has_tls(s->conn))
                return ftp_reply(s, "503 TLS is on already.");
        if (!tls)
                return ftp_reply(s, "431 There is no TLS here.");
        ftp_reply(s, "234 Begin TLS.");
        tls_context_hold(tls);
        conn_own_tickets(s->conn);
        if (conn_starttls(s->conn, tls, in_seconds(TLS_SECONDS)) < 0)
                log_event("tls-failed", "session=%s protocol=ftp peer=%s", s->id, session_peer(s).z);
        tls_context_drop(&tls);
        ftp_forget(s);
        ftp_of(s)->private_data = ftp_of(s)->pbsz = data_too;
        return OK;
}

/* PBSZ size -- RFC 4217 §9: TLS needs no buffers of a size, so it is 0 whatever was asked for (RFC 2228 §3). */
int ftp_pbsz(struct session *s, struct scan *a)
{
        struct str given = str_trim(scan_rest(a));
        uint64_t size;

        if (!conn_has_tls(s->conn))
                return ftp_reply(s, "503 AUTH comes before PBSZ.");
        if (!str_u64(given, &size) || size > UINT32_MAX)
                return ftp_syntax(s);
        ftp_of(s)->pbsz = true;
        return size == 0 ? ftp_reply(s, "200 PBSZ=0") : ftp_reply(s, "200 PBSZ=0, no larger one is of use.");
}

/* PROT level -- RFC 2228 §3, RFC 4217 §9 */
int ftp_prot(struct session *s, struct scan *a)
{
        struct ftp *p = ftp_of(s);
        struct str level = str_trim(scan_rest(a));

        if (level.n != 1)
                return level.n ? ftp_reply(s, "504 There are PROT C and PROT P.") : ftp_syntax(s);
        if (!conn_has_tls(s->conn))
                return ftp_reply(s, "503 AUTH comes before PROT.");
        if (!p->pbsz)
                return ftp_reply(s, "503 PBSZ comes before PROT.");
        switch (chr_lower(level.p[0])) {
        case 'p': p->private_data = true; return ftp_reply(s, "200 Data connections are private.");
        case 'c':
                if (s->server->settings->ftp_private_data)
                        return ftp_reply(s, "534 Data connections must be private here.");
                p->private_data = false;
                return ftp_reply(s, "200 Data connections are in clear.");
        case 's':
        case 'e': return ftp_reply(s, "536 TLS knows no such level, there are C and P.");
        default: return ftp_reply(s, "504 There are PROT C and PROT P.");
        }
}

/* CCC -- RFC 4217 §5: the control connection goes on in clear, for firewalls that must read it. PBSZ and PROT are refused from then on, since
 * conn_has_tls no longer holds; data connections stay as they are. */
int ftp_ccc(struct session *s, struct scan *a)
{
        (void)a;
        if (!conn_has_tls(s->conn))
                return ftp_reply(s, "533 The connection is in clear.");
        if (!(s->state & FTP_SIGNED_IN)) /* a password has still to come */
                return ftp_reply(s, "534 Sign in first.");
        ftp_reply(s, "200 The control connection is in clear from here on.");
        if (conn_stoptls(s->conn, in_seconds(TLS_SECONDS)) < 0)
                s->ending = true;
        return OK;
}
