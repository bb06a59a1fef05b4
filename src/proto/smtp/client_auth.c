/* AUTH at a relay (RFC 4954): SCRAM where it is offered, else PLAIN or LOGIN. The SASL library makes the tokens. */
#include "base/codec.h"
#include "base/mem.h"
#include "net/conn.h"
#include "proto/smtp/client_inside.h"
#include "run/offload.h"
#include <errno.h>
#include <gsasl.h>

enum { ROUNDS_MOST = 8, TOKEN_MOST = 12 * 1024, HASHES_MOST = 1000000 };

static const char *const mechanisms[] = { "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN" };

static const char *choose(const struct smtp_client *c)
{
        for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++) {
                size_t at = str_search(str_of(c->mechanisms), str_of(mechanisms[i])),
                       n = str_of(mechanisms[i]).n;

                while (at != STR_NONE) { /* a word of its own */
                        if (c->mechanisms[at - 1] == ' ' && c->mechanisms[at + n] == ' ')
                                return mechanisms[i];
                        size_t next = str_search(str_of(c->mechanisms + at + 1), str_of(mechanisms[i]));

                        at = next == STR_NONE ? STR_NONE : at + 1 + next;
                }
        }
        return NULL;
}

/* "r=...,s=...,i=4096" (RFC 5802 §5.1): how often to hash is the relay's to say, and there is an end to what we do for it. */
bool client_auth_bearable(struct str challenge)
{
        struct str word;
        uint64_t n;

        while (challenge.n) {
                str_cut(&challenge, ',', &word);
                if (str_starts(word, S("i=")) && (!str_u64(str_from_at(word, 2), &n) || n > HASHES_MOST))
                        return false;
        }
        return true;
}

struct stepping {
        Gsasl_session *session;
        struct str challenge;
        struct buf *out;
};

/* The next token, base64; empty tokens are "=" at the start (RFC 4954 §4). */
static int step_now(void *arg)
{
        struct stepping *s = arg;
        char *token = NULL;
        size_t n = 0;
        int rc = gsasl_step(s->session, s->challenge.p, s->challenge.n, &token, &n);

        buf_clear(s->out);
        if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE)
                base64_put(s->out, str_from(token, n));
        gsasl_free(token);
        return rc;
}

static int step(Gsasl_session *g, struct str challenge, struct buf *out)
{
        struct stepping s = { g, challenge, out };

        return client_auth_bearable(challenge) ? offload(LONG, step_now, &s) : GSASL_MECHANISM_PARSE_ERROR;
}

/* LOGIN has no initial response: its first token answers the first question, whatever that is. */
static int converse(struct smtp_client *c, Gsasl_session *g, const char *mechanism, struct arena *a,
                    struct smtp_answer *answer)
{
        auto_buf struct buf token = { 0 }, challenge = { 0 };
        bool ask_first = str_eq(str_of(mechanism), S("LOGIN"));
        int rc, sasl;

        buf_init(&challenge, TOKEN_MOST);
        buf_init(&token, TOKEN_MOST);
        sasl = step(g, S(""), &token);
        for (unsigned round = 0; round < ROUNDS_MOST && (sasl == GSASL_OK || sasl == GSASL_NEEDS_MORE);
             round++) {
                conn_secret(c->conn, true);
                if (round)
                        conn_printf(c->conn, PRS "\r\n", STR(buf_str(&token)));
                else if (ask_first)
                        conn_printf(c->conn, "AUTH %s\r\n", mechanism);
                else
                        conn_printf(c->conn, "AUTH %s " PRS "\r\n", mechanism,
                                    STR(token.n ? buf_str(&token) : S("=")));
                conn_flush(c->conn, client_in(c, SECONDS_COMMAND));
                conn_secret(c->conn, false);
                rc = client_reply(c, "AUTH", client_in(c, SECONDS_COMMAND), a, answer);
                if (rc < 0)
                        return rc;
                if (answer->code != 334)
                        return answer->code == 235 && sasl == GSASL_OK ? 0 : -EACCES;
                if (ask_first && !round)
                        continue;
                buf_clear(&challenge);
                if (!base64_get(&challenge, str_trim(answer->text)))
                        break;
                sasl = step(g, buf_str(&challenge), &token);
        }
        answer_ours(answer, "4.7.0", "AUTH", S("the exchange made no sense"));
        return -EACCES;
}

int client_auth(struct smtp_client *c, struct arena *a, struct smtp_answer *answer)
{
        const char *mechanism = choose(c);
        Gsasl *library = NULL;
        Gsasl_session *g = NULL;
        int rc = -EACCES;

        answer_ours(answer, "4.7.0", "AUTH", S("the relay offers no way to sign in that is known here"));
        if (!mechanism || gsasl_init(&library) != GSASL_OK)
                return rc;
        if (gsasl_client_start(library, mechanism, &g) == GSASL_OK) {
                gsasl_property_set_raw(g, GSASL_AUTHID, c->how.user.p, c->how.user.n);
                gsasl_property_set_raw(g, GSASL_PASSWORD, c->how.password.p, c->how.password.n);
                rc = converse(c, g, mechanism, a, answer);
                gsasl_finish(g);
        }
        gsasl_done(library);
        return rc;
}
