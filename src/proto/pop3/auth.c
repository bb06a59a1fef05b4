/* AUTH [mechanism [initial-response]] -- RFC 5034. The exchange itself runs in the keeper; here is its framing. */
#include "proto/pop3/pop3.h"
#include "base/codec.h"

enum {
        RESPONSE_MOST = 12286, /* RFC 5034 §4 leaves the limit to us: RFC 4954's */
        ROUNDS_MOST = 16,      /* SCRAM takes 3 */
};

struct exchange {
        struct session *s;
        struct sasl_exchange sasl;
        nsec deadline; /* for all of it */
        struct buf response;
        bool begun;
};
enum heard { HEARD, CANCELLED, GARBLED, SILENCE };

static struct str mechanisms(struct session *s)
{
        return sasl_mechanisms(conn_has_tls(s->conn), session_plaintext_ok(s),
                               s->server->settings->offer_scram);
}

static bool listed(struct str list, struct str mechanism)
{
        struct str word;

        while (list.n) {
                str_cut(&list, ' ', &word);
                if (word.n && str_ieq(word, mechanism))
                        return true;
        }
        return false;
}

/* AUTH alone: what RFC 1734's clients ask to learn the mechanisms. */
static int tell_mechanisms(struct session *s)
{
        struct str list = mechanisms(s), word;

        pop3_ok(s, "mechanisms follow");
        while (list.n) {
                str_cut(&list, ' ', &word);
                conn_printf(s->conn, PRS "\r\n", STR(word));
        }
        conn_put(s->conn, S(".\r\n"));
        return OK;
}

static void challenge(struct exchange *x)
{
        auto_buf struct buf line;

        buf_init(&line, 2 * RESPONSE_MOST);
        buf_puts(&line, S("+ "));
        base64_put(&line, x->sasl.token);
        buf_puts(&line, S("\r\n"));
        conn_secret(x->s->conn, true);
        conn_put(x->s->conn, buf_str(&line));
        conn_secret(x->s->conn, false);
}

static enum heard hear(struct exchange *x)
{
        struct str line;
        enum got got;

        conn_secret(x->s->conn, true);
        got = conn_line(x->s->conn, &line, RESPONSE_MOST, x->deadline);
        conn_secret(x->s->conn, false);
        if (got == GOT_LONG)
                return GARBLED;
        if (got != GOT_LINE && got != GOT_BARE)
                return SILENCE;
        if (str_eq(line, S("*")))
                return CANCELLED;
        buf_clear(&x->response);
        return base64_get(&x->response, line) ? HEARD : GARBLED;
}

/* The last word is not the exchange's: the answer to how it ended. */
static int ended(struct exchange *x, enum heard heard, enum signin_result result)
{
        if (heard != HEARD && x->begun)
                keeper_sasl_drop(x->s->server->keeper, &x->sasl);
        switch (heard) {
        case CANCELLED: return pop3_no(x->s, "AUTH was cancelled");
        case GARBLED: return pop3_no(x->s, "that is not base64");
        case SILENCE: x->s->ending = !conn_stopping(x->s->conn); return OK; /* the loop says goodbye */
        case HEARD: break;
        }
        if (result == SIGNIN_SYNTAX)
                return pop3_no(x->s, "[AUTH] the response makes no sense to the mechanism");
        return pop3_enter(x->s, result, x->sasl.account);
}

static int converse(struct exchange *x, enum signin_result result)
{
        enum heard heard = HEARD;
        unsigned rounds = 0;

        while (result == SIGNIN_MORE && heard == HEARD) {
                if (++rounds > ROUNDS_MOST)
                        return ended(x, GARBLED, result);
                challenge(x);
                heard = hear(x);
                if (heard == HEARD)
                        result = keeper_sasl_step(x->s->server->keeper, buf_str(&x->response), &x->s->command,
                                                  &x->sasl);
        }
        if (heard == HEARD && result == SIGNIN_OK && x->sasl.token.n) {
                /* what goes with success is a last challenge, answered by an empty line (RFC 5034 §4) */
                x->begun = false;
                challenge(x);
                heard = hear(x);
                if (heard == HEARD && x->response.n)
                        heard = GARBLED;
        }
        return ended(x, heard, result);
}

int pop3_auth(struct session *s, struct scan *a)
{
        struct conn_tls_facts room;
        struct signin who = session_signin(s, SCOPE_POP3, &room);
        struct exchange x = { .s = s, .deadline = in_seconds(s->server->settings->pop3_command_timeout) };
        struct str mechanism = scan_until(a, " "), initial;
        bool has_initial, readable;
        enum signin_result result;
        int rc;

        scan_spaces(a);
        initial = str_trim(scan_rest(a));
        has_initial = initial.n > 0;
        if (!mechanism.n)
                return tell_mechanisms(s);
        if (!listed(mechanisms(s), mechanism))
                return pop3_no(s, "no such mechanism here and now; AUTH alone lists them");
        buf_init(&x.response, RESPONSE_MOST);
        readable = str_eq(initial, S("=")) || base64_get(&x.response, initial);
        if (!readable) {
                rc = ended(&x, GARBLED, SIGNIN_SYNTAX);
        } else {
                session_parking(s, false);
                result = keeper_sasl_start(s->server->keeper, &who, mechanism, buf_str(&x.response),
                                           has_initial, &s->command, &x.sasl);
                x.begun = result == SIGNIN_MORE;
                rc = converse(&x, result);
                session_parking(s, true);
        }
        buf_free(&x.response);
        return rc;
}
