#include "proto/imap/imap.h"
#include "base/mem.h"
#include "proto/sasl.h"
#include "run/log.h"

#include <errno.h>

enum { HANDSHAKE_SECONDS = 60 };

/* Everything the peer has said and was told so far, but the connection. */
void imap_forget(struct session *s)
{
        struct imap *p = imap_of(s);

        imap_unselect(s);
        imap_notify_forget(s);
        watch_stop(&p->watch);
        mem_free(p->idle_tag);
        p->idle_tag = NULL;
        p->enabled = 0;
        p->language = 0;
        p->keywords = NULL;
        arena_finish(&p->awake);
}

static int refused(struct session *s, enum signin_result result)
{
        if (result == SIGNIN_LATER)
                return imap_no(s, "[UNAVAILABLE] nobody can sign in just now, try again later");
        log_event("signin-failed", "session=%s protocol=imap peer=%s", s->id, session_peer(s).z);
        imap_no(s, "[AUTHENTICATIONFAILED] wrong name or password");
        return FAIL;
}

/* What every way of signing in ends with. */
static int enter(struct session *s, enum signin_result result, struct str name)
{
        struct account *account = NULL;
        auto_buf struct buf b = { 0 };
        int rc;

        if (result != SIGNIN_OK)
                return refused(s, result);
        session_sign_in(s, name); /* first: whoever is signed out while this waits must be known */
        rc = account_get(s->server->accounts, s->account, &account);
        account_put(&account);
        if (rc) {
                session_sign_in(s, S(""));
                return rc == -ENOENT ? imap_no(s, "[UNAVAILABLE] this account has no mailbox")
                                     : imap_trouble(s, rc);
        }
        s->state = IMAP_SIGNED_IN;
        arena_init(&imap_of(s)->awake, 1 << 20);
        imap_capabilities_read(s);
        log_event("signed-in", "session=%s protocol=imap peer=%s account=%s tls=%s", s->id, session_peer(s).z,
                  log_str(s->account), conn_has_tls(s->conn) ? "yes" : "no");
        buf_init(&b, 4096);
        put_capabilities(&b, s);
        return imap_ok(s, "[" PRS "] you are signed in", STR(buf_str(&b)));
}

/* LOGIN name password -- RFC 9051 §6.2.3 */
int imap_login(struct session *s, struct scan *a)
{
        struct conn_tls_facts room;
        struct signin who = session_signin(s, SCOPE_IMAP, &room);
        struct str name = imap_astring(s, a), password, account = S("");
        enum signin_result result;

        imap_sp(a);
        password = imap_astring(s, a);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (!name.n || str_has_control(name))
                return refused(s, SIGNIN_NO);
        result = keeper_password(s->server->keeper, &who, name, password, &s->command, &account);
        return enter(s, result, account);
}

/* AUTHENTICATE mechanism [response] -- RFC 9051 §6.2.2, RFC 4959 */
int imap_authenticate(struct session *s, struct scan *a)
{
        struct sasl_talk t = { .scope = SCOPE_IMAP, .seconds = s->server->settings->imap_login_timeout };

        t.mechanism = imap_atom(a);
        if (scan_try(a, ' ') && imap_can(s, CAP_SASL_IR))
                t.initial = scan_token(a);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (!sasl_is_offered(s, t.mechanism))
                return imap_no(s, "[CANNOT] there is no such mechanism here and now");
        t.mechanism = arena_str(&s->command, t.mechanism);
        switch (sasl_talk(s, &t)) {
        case SASL_CANCELLED: return imap_bad(s, "AUTHENTICATE was cancelled");
        case SASL_GARBLED: return imap_bad(s, "that is not base64");
        case SASL_SILENCE: s->ending = !conn_stopping(s->conn); return OK; /* the loop says goodbye */
        case SASL_ENDED: break;
        }
        if (t.result == SIGNIN_SYNTAX)
                return imap_bad(s, "the response makes no sense to the mechanism");
        return enter(s, t.result, t.account);
}

/* STARTTLS -- RFC 9051 §6.2.1. What was said before may have been said by somebody in between: forgotten. */
int imap_starttls(struct session *s, struct scan *a)
{
        struct tls_context *tls = s->server->tls;
        int rc;

        (void)a;
        if (conn_has_tls(s->conn))
                return imap_bad(s, "TLS is on already");
        if (conn_compressed(
                s->conn)) /* after UNAUTHENTICATE: a stranger again, but compression stays (RFC 8437 §3) */
                return imap_bad(s, "TLS comes before compression");
        if (!tls)
                return imap_no(s, "[UNAVAILABLE] there is no TLS here");
        imap_ok(s, "begin TLS");
        tls_context_hold(tls);
        rc = conn_starttls(s->conn, tls, in_seconds(HANDSHAKE_SECONDS));
        tls_context_drop(&tls);
        if (rc < 0)
                log_event("tls-failed", "session=%s protocol=imap peer=%s", s->id, session_peer(s).z);
        imap_forget(s);
        imap_capabilities_read(s);
        return OK;
}

/* UNAUTHENTICATE -- RFC 8437 */
int imap_unauthenticate(struct session *s, struct scan *a)
{
        (void)a;
        imap_ok(s, "you are nobody again");
        imap_forget(s);
        session_sign_in(s, S(""));
        s->state = IMAP_STRANGER;
        imap_capabilities_read(s);
        return OK;
}

/* LOGOUT -- RFC 9051 §6.1.3 */
int imap_logout(struct session *s, struct scan *a)
{
        (void)a;
        imap_say(s, "BYE IMAP server signing off");
        s->ending = true;
        return imap_ok(s, "goodbye");
}
