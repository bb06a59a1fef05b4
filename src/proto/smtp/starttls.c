#include "proto/smtp/smtp.h"
#include "run/log.h"

/* STARTTLS -- RFC 3207. Plaintext behind it ends the session (the LAST column; once more in conn_starttls, for what
 * came meanwhile). Afterwards everything that was said in clear is forgotten (§4.2), so that nobody in between can
 * have put words into the client's mouth. */
int smtp_starttls(struct session *session, struct scan *a)
{
        struct tls_context *tls = session->server->tls;
        int rc;

        (void)a;
        if (conn_has_tls(session->conn))
                return smtp_reply(session, "503 5.5.1 TLS is active already");
        if (!tls)
                return smtp_reply(session, "454 4.7.0 TLS not available");
        smtp_reply(session, "220 2.0.0 Ready to start TLS");
        tls_context_hold(tls);
        rc = conn_starttls(session->conn, tls, in_seconds(60));
        tls_context_drop(&tls);
        if (rc < 0) {
                log_event("tls-failed", "session=%s protocol=smtp peer=%s", session->id,
                          session_peer(session).z);
                session->ending = true;
                return OK;
        }
        smtp_forget(smtp_of(session));
        return OK;
}
