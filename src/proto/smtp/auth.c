#include "proto/smtp/smtp.h"
#include "base/codec.h"
#include "run/log.h"

enum { EXCHANGE_LINE_MOST = 12286, TOKEN_MOST = 12288, STEPS_MOST = 16 };

/* The exchange's own line, decoded -- RFC 4954 §4. OK, or the reply's result and *over. */
static int read_response(struct session *s, struct str *token, bool *over)
{
        long patience = s->server->settings->smtp_command_timeout;
        struct str line;
        struct buf plain;
        enum got got;

        *over = true;
        conn_secret(s->conn, true);
        got = conn_line(s->conn, &line, EXCHANGE_LINE_MOST, in_seconds(patience));
        conn_secret(s->conn, false);
        switch (got) {
        case GOT_LINE: break;
        case GOT_BARE: return smtp_reply(s, "500 5.5.2 Bare LF: end lines with CRLF (nc -C)");
        case GOT_LONG: return smtp_reply(s, "500 5.5.6 Authentication exchange line is too long");
        case GOT_LATE:
                s->ending = true;
                return smtp_reply(s, "421 4.4.2 %s no response for %ld seconds, closing connection", s->host,
                                  patience);
        case GOT_QUIET:
        case GOT_CALLED:
        case GOT_END:
                s->ending = !conn_stopping(s->conn); /* then the loop says goodbye */
                return OK;
        }
        if (str_eq(line, S("*")))
                return smtp_reply(s, "501 5.7.0 Authentication aborted");
        buf_init(&plain, TOKEN_MOST);
        if (base64_get(&plain, line)) {
                *token = arena_str(&s->command, buf_str(&plain));
                *over = false;
        }
        buf_free(&plain);
        return *over ? smtp_reply(s, "501 5.5.2 Not base64") : OK;
}

static void send_challenge(struct session *s, struct str token)
{
        struct buf text;

        buf_init(&text, 2 * TOKEN_MOST);
        base64_put(&text, token);
        smtp_reply(s, "334 " PRS, STR(buf_str(&text)));
        buf_free(&text);
}

/* The keeper's last word. */
static int verdict(struct session *s, enum signin_result result, struct str mechanism,
                   const struct sasl_exchange *x)
{
        switch (result) {
        case SIGNIN_OK:
                session_sign_in(s, x->account);
                log_event("signed-in", "session=%s protocol=smtp user=%s mechanism=%s peer=%s", s->id,
                          log_str(s->account), log_str(mechanism), session_peer(s).z);
                return smtp_reply(s, "235 2.7.0 Authentication successful");
        case SIGNIN_SYNTAX: return smtp_refuse(s, "501 5.5.2 The response makes no sense");
        case SIGNIN_UNKNOWN: return smtp_reply(s, "504 5.5.4 Unrecognized authentication type");
        case SIGNIN_LATER: return smtp_refuse(s, "454 4.7.0 Temporary authentication failure");
        default: return smtp_refuse(s, "535 5.7.8 Authentication credentials invalid");
        }
}

/* Challenges and responses until the keeper knows. Data that comes with success goes out as a challenge of its own,
 * which the client answers with an empty line -- RFC 4954 §4. */
static int exchange(struct session *s, enum signin_result result, struct str mechanism,
                    struct sasl_exchange *x)
{
        struct str token;
        bool over;
        int rc;

        for (unsigned steps = 0; result == SIGNIN_MORE || (result == SIGNIN_OK && x->token.n); steps++) {
                send_challenge(s, x->token);
                rc = read_response(s, &token, &over);
                if (over || steps == STEPS_MOST) {
                        if (result == SIGNIN_MORE)
                                keeper_sasl_drop(s->server->keeper, x);
                        return over ? rc : verdict(s, SIGNIN_NO, mechanism, x);
                }
                if (result == SIGNIN_OK)
                        break;
                x->token = S("");
                result = keeper_sasl_step(s->server->keeper, token, &s->command, x);
        }
        return verdict(s, result, mechanism, x);
}

static bool in_mechanism(unsigned char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_';
}

/* "AUTH" SP sasl-mech [SP initial-response] -- RFC 4954 §4; "=" is an initial response of no bytes. */
static int authenticate(struct session *s, struct scan *a)
{
        struct str mechanism = scan_while(a, in_mechanism), initial = S("");
        struct conn_tls_facts room;
        struct signin who = session_signin(s, s->kind->scope, &room);
        struct sasl_exchange x = { 0 };
        enum signin_result result;
        bool has_initial;
        struct buf plain;

        if (!scan_end(a))
                scan_space(a);
        initial = scan_until(a, " ");
        has_initial = initial.n > 0;
        scan_spaces(a);
        if (!scan_done(a))
                return smtp_reply(s, "501 5.5.4 Syntax: AUTH mechanism [initial-response]");
        mechanism = arena_str(&s->command, mechanism);
        buf_init(&plain, TOKEN_MOST);
        if (!str_eq(initial, S("=")) && !base64_get(&plain, initial)) {
                buf_free(&plain);
                return smtp_reply(s, "501 5.5.2 Not base64");
        }
        initial = arena_str(&s->command, buf_str(&plain));
        buf_free(&plain);
        result = keeper_sasl_start(s->server->keeper, &who, mechanism, initial, has_initial, &s->command, &x);
        return exchange(s, result, mechanism, &x);
}

int smtp_auth(struct session *s, struct scan *a)
{
        int rc;

        if (!smtp_offers_auth(s))
                return smtp_reply(s, "502 5.5.1 AUTH is not offered here; the submission ports have it");
        if (s->account.n)
                return smtp_reply(s, "503 5.5.1 Already authenticated");
        session_parking(s, false);
        rc = authenticate(s, a);
        session_parking(s, true);
        return rc;
}
