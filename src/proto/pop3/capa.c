#include "proto/pop3/pop3.h"
#include "run/log.h"

enum { HANDSHAKE_SECONDS = 60 };

/* Is what a row of the table offers to be had on this connection? */
static bool offered(const struct session *s, const struct command *c)
{
        if (!c->offers)
                return false;
        if (c->needs & NEEDS_TLS_FOR_SECRETS && !session_plaintext_ok(s))
                return false;
        if (c->handle == pop3_stls) /* RFC 2595 §4: in the AUTHORIZATION state only */
                return s->server->tls && !conn_has_tls(s->conn) && s->state & POP3_STRANGER;
        return true;
}

static void offer(struct session *s, const struct command *c)
{
        struct str words = str_of(c->offers), word;

        while (words.n) {
                str_cut(&words, ' ', &word);
                if (c->handle == pop3_auth) {
                        struct str list = sasl_mechanisms(conn_has_tls(s->conn), session_plaintext_ok(s),
                                                          s->server->settings->offer_scram);

                        if (list.n)
                                conn_printf(s->conn, PRS " " PRS "\r\n", STR(word), STR(list));
                } else {
                        conn_printf(s->conn, PRS "\r\n", STR(word));
                }
        }
}

/* CAPA -- RFC 2449 §5 */
int pop3_capa(struct session *s, struct scan *a)
{
        (void)a;
        pop3_ok(s, "what there is here");
        for (size_t i = 0; i < pop3_dialect.count; i++)
                if (offered(s, &pop3_dialect.commands[i]))
                        offer(s, &pop3_dialect.commands[i]);
        conn_put(s->conn, S("EXPIRE NEVER\r\nLOGIN-DELAY 0\r\nIMPLEMENTATION pail\r\n.\r\n"));
        return OK;
}

/* STLS -- RFC 2595 §4. What was said before may have been said by somebody in between: forgotten. */
int pop3_stls(struct session *s, struct scan *a)
{
        struct tls_context *tls = s->server->tls;
        int rc;

        (void)a;
        if (conn_has_tls(s->conn))
                return pop3_no(s, "TLS is on already");
        if (!tls)
                return pop3_no(s, "there is no TLS here");
        pop3_ok(s, "begin TLS");
        tls_context_hold(tls);
        rc = conn_starttls(s->conn, tls, in_seconds(HANDSHAKE_SECONDS));
        tls_context_drop(&tls);
        if (rc < 0)
                log_event("tls-failed", "session=%s protocol=pop3 peer=%s", s->id, session_peer(s).z);
        pop3_forget(s);
        return OK;
}

/* UTF8 -- RFC 6856 §2.1 */
int pop3_utf8(struct session *s, struct scan *a)
{
        (void)a;
        pop3_of(s)->utf8 = true;
        return pop3_ok(s, "UTF-8 it is");
}

/* NOOP -- RFC 1939 §5 */
int pop3_noop(struct session *s, struct scan *a)
{
        (void)a;
        return pop3_ok(s, "still here");
}
