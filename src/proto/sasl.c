#include "proto/sasl.h"
#include "base/codec.h"

enum {
        RESPONSE_MOST = 12286, /* RFC 4954 §4; the others leave the limit to us */
        ROUNDS_MOST = 16,      /* SCRAM takes 3 */
};

struct exchange {
        struct session *s;
        struct sasl_exchange sasl;
        nsec deadline; /* for all of it */
        struct buf response;
        bool begun;
};

struct str sasl_offered(const struct session *s)
{
        return sasl_mechanisms(conn_has_tls(s->conn), session_plaintext_ok(s),
                               s->server->settings->offer_scram);
}

bool sasl_is_offered(const struct session *s, struct str mechanism)
{
        struct str list = sasl_offered(s), word;

        while (list.n) {
                str_cut(&list, ' ', &word);
                if (word.n && str_ieq(word, mechanism))
                        return true;
        }
        return false;
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

static enum sasl_end hear(struct exchange *x)
{
        struct str line;
        enum got got;

        conn_secret(x->s->conn, true);
        got = conn_line(x->s->conn, &line, RESPONSE_MOST, x->deadline);
        conn_secret(x->s->conn, false);
        if (got == GOT_LONG)
                return SASL_GARBLED;
        if (got != GOT_LINE && got != GOT_BARE)
                return SASL_SILENCE;
        if (str_eq(line, S("*")))
                return SASL_CANCELLED;
        buf_clear(&x->response);
        return base64_get(&x->response, line) ? SASL_ENDED : SASL_GARBLED;
}

static enum sasl_end converse(struct exchange *x, enum signin_result *result)
{
        enum sasl_end heard = SASL_ENDED;
        unsigned rounds = 0;

        while (*result == SIGNIN_MORE && heard == SASL_ENDED) {
                if (++rounds > ROUNDS_MOST) {
                        heard = SASL_GARBLED;
                        break;
                }
                challenge(x);
                heard = hear(x);
                if (heard == SASL_ENDED)
                        *result = keeper_sasl_step(x->s->server->keeper, buf_str(&x->response),
                                                   &x->s->command, &x->sasl);
        }
        if (heard == SASL_ENDED && *result == SIGNIN_OK && x->sasl.token.n) {
                x->begun = false;
                challenge(x);
                heard = hear(x);
                if (heard == SASL_ENDED && x->response.n)
                        heard = SASL_GARBLED;
        }
        return heard;
}

enum sasl_end sasl_talk(struct session *s, struct sasl_talk *t)
{
        struct conn_tls_facts room;
        struct signin who = session_signin(s, t->scope, &room);
        struct exchange x = { .s = s, .deadline = in_seconds(t->seconds) };
        enum sasl_end end = SASL_GARBLED;

        buf_init(&x.response, RESPONSE_MOST);
        if (!t->initial.n || str_eq(t->initial, S("=")) || base64_get(&x.response, t->initial)) {
                session_parking(s, false);
                t->result = keeper_sasl_start(s->server->keeper, &who, t->mechanism, buf_str(&x.response),
                                              t->initial.p != NULL, &s->command, &x.sasl);
                x.begun = t->result == SIGNIN_MORE;
                end = converse(&x, &t->result);
                session_parking(s, true);
                if (end != SASL_ENDED && x.begun)
                        keeper_sasl_drop(s->server->keeper, &x.sasl);
                t->account = x.sasl.account;
        }
        buf_free(&x.response);
        return end;
}
