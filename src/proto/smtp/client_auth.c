/* AUTH at a relay (RFC 4954), by proto/sasl_client.h. Whether a password may go without TLS was decided by who gave it and `how.tls`. */
#include "net/conn.h"
#include "proto/sasl_client.h"
#include "proto/smtp/client_inside.h"
#include <errno.h>

/* LOGIN has no initial response: its first token answers the first question, whatever that is. Empty tokens are "=" at the start (§4). */
static int converse(struct smtp_client *c, struct sasl_client *x, struct arena *a, struct smtp_answer *answer)
{
        auto_buf struct buf token = { 0 };
        int rc, sasl;

        buf_init(&token, SASL_TOKEN_MOST * 2);
        sasl = client_sasl_step(x, S(""), &token);
        for (unsigned round = 0; sasl == 0; round++) {
                bool ask_first = !round && !client_sasl_begins(x);

                conn_secret(c->conn, true);
                if (round)
                        conn_printf(c->conn, PRS "\r\n", STR(buf_str(&token)));
                else if (ask_first)
                        conn_printf(c->conn, "AUTH %s\r\n", client_sasl_mechanism(x));
                else
                        conn_printf(c->conn, "AUTH %s " PRS "\r\n", client_sasl_mechanism(x),
                                    STR(token.n ? buf_str(&token) : S("=")));
                conn_flush(c->conn, client_in(c, SECONDS_COMMAND));
                conn_secret(c->conn, false);
                rc = client_reply(c, "AUTH", client_in(c, SECONDS_COMMAND), a, answer);
                if (rc < 0)
                        return rc;
                if (answer->code != 334)
                        return answer->code == 235 && client_sasl_done(x) ? 0 : -EACCES;
                if (!ask_first)
                        sasl = client_sasl_step(x, answer->text, &token);
        }
        answer_ours(answer, "4.7.0", "AUTH", S("the exchange made no sense"));
        return -EACCES;
}

int client_auth(struct smtp_client *c, struct arena *a, struct smtp_answer *answer)
{
        struct sasl_client_who who = { .mechanisms = str_trim(str_of(c->mechanisms)),
                                       .user = c->how.user,
                                       .password = c->how.password,
                                       .conn = c->conn,
                                       .clear_allowed = true };
        struct sasl_client *x;
        int rc = -EACCES;

        answer_ours(answer, "4.7.0", "AUTH", S("the relay offers no way to sign in that is known here"));
        if (client_sasl_new(&x, &who) < 0)
                return rc;
        rc = converse(c, x, a, answer);
        who.shown = !client_sasl_shows(x);
        client_sasl_free(&x);
        if (rc < 0 && answer->code == 535 && who.shown && client_sasl_new(&x, &who) == 0) {
                rc = converse(c, x, a, answer);
                client_sasl_free(&x);
        }
        return rc;
}
