/* Signing in elsewhere: SASL's client side, which the clients of SMTP, IMAP and POP3 share. The best mechanism that the server offers is taken:
 * SCRAM-SHA-256-PLUS (bound to the TLS it runs in), SCRAM-SHA-256, SCRAM-SHA-1, and the password itself by PLAIN or LOGIN only under TLS or
 * where the caller says so.
 *
 *      rc = client_sasl_new(&x, &who);
 *      AUTHENTICATE <client_sasl_mechanism(x)>, with the first token if client_sasl_begins(x)
 *      while the server goes on: rc = client_sasl_step(x, its token, &ours);
 *      it said yes: good only if client_sasl_done(x): SCRAM's server has to show that it knows the password, too.
 *
 * Tokens are base64 on both sides; at most 8 rounds. SCRAM's hashing is offloaded, and a server that asks for more than SASL_WORK_MOST rounds of
 * it gets none. */
#pragma once
#include "base/buf.h"
#include "net/conn.h"

enum { SASL_TOKEN_MOST = 12 * 1024, SASL_WORK_MOST = 2000000 };
struct sasl_client_who {
        struct str mechanisms; /* as offered, a blank between */
        struct str user, password;
        struct conn *conn;  /* whose TLS it runs in; NULL: none */
        bool clear_allowed; /* without TLS, too, the password may be shown to the other side */
        bool
            shown; /* only what shows it: SCRAM was refused, and many servers keep no secrets for it of old accounts */
};
struct sasl_client;
/* 0; -EACCES: nothing fits. -ENOPROTOOPT: only what would show the password in clear. */
[[nodiscard]] int client_sasl_new(struct sasl_client **out, const struct sasl_client_who *who);
void client_sasl_free(struct sasl_client **x);
const char *client_sasl_mechanism(const struct sasl_client *x);
bool client_sasl_shows(const struct sasl_client *x);  /* the password */
bool client_sasl_begins(const struct sasl_client *x); /* the first token comes from us */
/* 0, and what to answer in *out (cleared first); -EBADMSG: makes no sense, or the server does not know the password. */
[[nodiscard]] int client_sasl_step(struct sasl_client *x, struct str challenge, struct buf *out);
bool client_sasl_done(const struct sasl_client *x);
/* Is `word` one of the list's, in any case? */
bool sasl_offers(struct str list, struct str word);
