/* Signing in (RFC 1939 §7, RFC 5034): AUTH where the password is not shown, APOP, then what shows it, where it may be shown. */
#include "net/conn.h"
#include "proto/pop3/client_inside.h"
#include "proto/sasl_client.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>

/* Not to be seen by the tap, and gone before anything else is said. */
static void put_secret(struct pop3_client *c, const char *before, struct str secret)
{
        conn_secret(c->conn, true);
        conn_printf(c->conn, "%s" PRS "\r\n", before, STR(secret));
        conn_flush(c->conn, now() + c->how.patience);
        conn_secret(c->conn, false);
}

/* RFC 5034 §4: the first token goes with the command if that stays within 255 octets; an empty one is "=". */
static int authenticate(struct pop3_client *c, struct sasl_client *x, struct pop3_answer *answer)
{
        auto_buf struct buf token = { 0 };
        char verb[64];
        bool initial;
        int rc;

        buf_init(&token, SASL_TOKEN_MOST * 2);
        if (client_sasl_step(x, S(""), &token) < 0)
                return popc_ours(answer, -EACCES, "that name or password cannot be said to a server");
        initial = client_sasl_begins(x) && token.n < 200;
        snprintf(verb, sizeof(verb), "AUTH %s%s", client_sasl_mechanism(x), initial ? " " : "");
        put_secret(c, verb, !initial ? S("") : token.n ? buf_str(&token) : S("="));
        for (bool owed = !initial;; owed = false) {
                struct str challenge;

                rc = popc_answer(c, answer, &challenge);
                if (rc == 0 && !client_sasl_done(x))
                        return popc_ours(answer, popc_break(c, -EACCES),
                                         "the server did not show that it knows the password");
                if (rc <= 0)
                        return rc;
                conn_hide(c->conn, 2);
                if (!owed && client_sasl_step(x, challenge, &token) < 0)
                        break;
                put_secret(c, "", buf_str(&token));
        }
        return popc_ours(answer, popc_break(c, -EACCES), "the sign-in made no sense");
}

static int apop(struct pop3_client *c, const char *user, const char *password, struct pop3_answer *answer)
{
        unsigned char digest[16];
        char hex[33];
        gnutls_hash_hd_t h;

        if (gnutls_hash_init(&h, GNUTLS_DIG_MD5) < 0)
                return -EREMOTEIO;
        gnutls_hash(h, c->stamp, strlen(c->stamp));
        gnutls_hash(h, password, strlen(password));
        gnutls_hash_deinit(h, digest);
        for (size_t i = 0; i < sizeof(digest); i++)
                snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        conn_secret(c->conn, true);
        conn_printf(c->conn, "APOP %s %s\r\n", user, hex);
        conn_flush(c->conn, now() + c->how.patience);
        conn_secret(c->conn, false);
        return popc_answer(c, answer, NULL);
}

static int user_and_pass(struct pop3_client *c, const char *user, const char *password,
                         struct pop3_answer *answer)
{
        int rc = popc_run(c, answer, "USER %s\r\n", user);

        if (rc < 0)
                return rc;
        put_secret(c, "PASS ", str_of(password));
        return popc_answer(c, answer, NULL);
}

static int sign_in(struct pop3_client *c, const char *user, const char *password, struct pop3_answer *answer)
{
        struct addr peer = conn_peer(c->conn);
        bool clear = c->has_tls || c->how.clear_password || !peer.family || addr_loopback(peer);
        struct sasl_client_who who = { .mechanisms = str_of(c->mechanisms),
                                       .user = str_of(user),
                                       .password = str_of(password),
                                       .conn = c->conn,
                                       .clear_allowed = c->has_tls || !c->stamp[0] ? clear : false };
        struct sasl_client *x;
        int rc = client_sasl_new(&x, &who);

        if (rc < 0 && !c->has_tls && c->stamp[0]) {
                rc = apop(c, user, password, answer);
                /* many have a timestamp, and no use for it */
                if (rc != -EREMOTEIO || !clear)
                        return rc;
                who.clear_allowed = true;
                rc = client_sasl_new(&x, &who);
        }
        if (rc == 0) {
                rc = authenticate(c, x, answer);
                who.shown = !client_sasl_shows(x);
                client_sasl_free(&x);
                who.clear_allowed = clear;
                if (rc != -EREMOTEIO || !who.shown || client_sasl_new(&x, &who) < 0)
                        return rc;
                rc = authenticate(c, x, answer);
                client_sasl_free(&x);
                return rc;
        }
        if (!clear)
                return popc_ours(answer, -EACCES, "without TLS the password could be read on its way");
        if (c->has_capa && !(c->offers & POP3_HAS_USER))
                return popc_ours(answer, -EACCES, "the server offers no way to sign in that is known here");
        return user_and_pass(c, user, password, answer);
}

int pop3_client_login(struct pop3_client *c, const char *user, const char *password,
                      struct pop3_answer *answer)
{
        struct pop3_answer ignored;
        int rc = 0;

        if (!*user || str_has_control(str_of(user)) || str_has_control(str_of(password)))
                return popc_ours(answer, -EINVAL, "that name or password cannot be said to a server");
        if (c->offers &
            POP3_HAS_UTF8) /* RFC 6856 §2.1: letters come as they are; before the sign-in or never */
                rc = popc_run(c, &ignored, "UTF8\r\n");
        if (c->broken) {
                *answer = ignored;
                return rc;
        }
        return sign_in(c, user, password, answer);
}
