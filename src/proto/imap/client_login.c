/* What the server can, and signing in (RFC 9051 §6.1.1, §6.2; ENABLE RFC 5161, NAMESPACE 2342, COMPRESS 4978). */
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include "proto/sasl_client.h"
#include <errno.h>
#include <stdio.h>

static const struct {
        const char *name;
        unsigned offer;
} capabilities[] = {
        { "IDLE", IMAP_HAS_IDLE },
        { "CONDSTORE", IMAP_HAS_CONDSTORE },
        { "QRESYNC", IMAP_HAS_QRESYNC | IMAP_HAS_CONDSTORE },
        { "UIDPLUS", IMAP_HAS_UIDPLUS },
        { "MOVE", IMAP_HAS_MOVE },
        { "SPECIAL-USE", IMAP_HAS_SPECIAL_USE },
        { "LITERAL+", IMAP_HAS_LITERAL_PLUS },
        { "LITERAL-", IMAP_HAS_LITERAL_MINUS },
        { "COMPRESS=DEFLATE", IMAP_HAS_COMPRESS },
        { "ENABLE", IMAP_HAS_ENABLE },
        { "UTF8=ACCEPT", IMAP_HAS_UTF8 },
        { "UTF8=ONLY", IMAP_HAS_UTF8 },
        { "NAMESPACE", IMAP_HAS_NAMESPACE },
        /* RFC 9051 App. E: what the revision has in it */
        { "IMAP4rev2", IMAP_HAS_REV2 | IMAP_HAS_IDLE | IMAP_HAS_UIDPLUS | IMAP_HAS_MOVE | IMAP_HAS_ENABLE |
                           IMAP_HAS_NAMESPACE | IMAP_HAS_LIST_STATUS | IMAP_HAS_SASL_IR | IMAP_HAS_ESEARCH |
                           IMAP_HAS_LITERAL_MINUS | IMAP_HAS_SPECIAL_USE },
        { "LIST-STATUS", IMAP_HAS_LIST_STATUS },
        { "MULTIAPPEND", IMAP_HAS_MULTIAPPEND },
        { "SASL-IR", IMAP_HAS_SASL_IR },
        { "ESEARCH", IMAP_HAS_ESEARCH },
        { "OBJECTID", IMAP_HAS_OBJECTID },
};

void client_capabilities(struct imap_client *c, struct str words)
{
        size_t n = 0;

        c->asked_capability = true;
        c->offers = 0;
        c->starttls = c->no_login = false;
        c->mechanisms[0] = 0;
        while (words.n) {
                struct str word;

                str_cut(&words, ' ', &word);
                for (size_t i = 0; i < sizeof(capabilities) / sizeof(*capabilities); i++)
                        if (str_ieq(word, str_of(capabilities[i].name)))
                                c->offers |= capabilities[i].offer;
                c->starttls = c->starttls || str_ieq(word, S("STARTTLS"));
                c->no_login = c->no_login || str_ieq(word, S("LOGINDISABLED"));
                if (str_istarts(word, S("AUTH=")) && word.n - 5 < sizeof(c->mechanisms) - n - 1)
                        n += (size_t)snprintf(c->mechanisms + n, sizeof(c->mechanisms) - n, "%s" PRS,
                                              n ? " " : "", STR(str_from_at(word, 5)));
        }
}

int client_ask_capability(struct imap_client *c, struct imap_answer *answer)
{
        int rc;

        c->asked_capability = false;
        rc = client_command(c, NULL, answer, "CAPABILITY");
        if (rc == 0 && !c->asked_capability)
                return client_ours(answer, client_break(c, -EPROTO), "a server that cannot do anything");
        return rc;
}

/* ---- the password ---- */

/* Not to be seen by the tap, and gone before anything else is said. */
static void put_token(struct imap_client *c, struct str token, const char *before)
{
        conn_secret(c->conn, true);
        conn_printf(c->conn, "%s" PRS "\r\n", before, STR(token));
        conn_flush(c->conn, now() + c->how.patience);
        conn_secret(c->conn, false);
}

/* AUTHENTICATE; with SASL-IR (RFC 4959) the first token goes with it, and an empty one is "=". */
static int authenticate(struct imap_client *c, struct sasl_client *x, struct imap_answer *answer)
{
        auto_buf struct buf token = { 0 };
        bool initial = c->offers & IMAP_HAS_SASL_IR && client_sasl_begins(x), owed = !initial;
        char verb[64];
        int rc;

        buf_init(&token, SASL_TOKEN_MOST * 2);
        if (client_sasl_step(x, S(""), &token) < 0)
                return client_ours(answer, -EACCES, "that name or password cannot be said to a server");
        client_begin(c);
        snprintf(verb, sizeof(verb), "AUTHENTICATE %s%s", client_sasl_mechanism(x), initial ? " " : "");
        put_token(c, !initial ? S("") : token.n ? buf_str(&token) : S("="), verb);
        for (;;) {
                struct str challenge;

                rc = client_go_on(c, NULL, answer);
                if (rc < 0)
                        return rc;
                if (rc == 0 && client_sasl_done(x))
                        return 0;
                if (rc == 0)
                        return client_ours(answer, client_break(c, -EACCES),
                                           "the server did not show that it knows the password");
                challenge = scan_rest(&c->in);
                conn_hide(c->conn, 2);
                if (!owed && client_sasl_step(x, challenge, &token) < 0)
                        break;
                owed = false;
                put_token(c, buf_str(&token), "");
        }
        conn_put(c->conn, S("*\r\n")); /* RFC 9051 §6.2.2: given up */
        rc = client_finish(c, NULL, answer);
        return rc == -EREMOTEIO || !rc
                   ? client_ours(answer, client_break(c, -EACCES), "the sign-in made no sense")
                   : rc;
}

static int login(struct imap_client *c, const char *user, const char *password, struct imap_answer *answer)
{
        int rc;

        client_begin(c);
        conn_put(c->conn, S("LOGIN "));
        conn_secret(c->conn, true);
        rc = client_put_string(c, str_of(user), answer);
        if (rc == 0) {
                conn_put(c->conn, S(" "));
                rc = client_put_string(c, str_of(password), answer);
        }
        if (rc == 0) {
                conn_put(c->conn, S("\r\n"));
                conn_flush(c->conn, now() + c->how.patience);
        }
        conn_secret(c->conn, false);
        return rc < 0 ? rc : client_finish(c, NULL, answer);
}

static int sign_in(struct imap_client *c, const char *user, const char *password, struct imap_answer *answer)
{
        struct addr peer = conn_peer(c->conn);
        struct sasl_client_who who = { .mechanisms = str_of(c->mechanisms),
                                       .user = str_of(user),
                                       .password = str_of(password),
                                       .conn = c->conn,
                                       .clear_allowed =
                                           c->how.clear_password || !peer.family || addr_loopback(peer) };
        struct sasl_client *x;
        int rc = client_sasl_new(&x, &who);

        if (rc == 0) {
                rc = authenticate(c, x, answer);
                who.shown = !client_sasl_shows(x);
                client_sasl_free(&x);
                if (rc != -EREMOTEIO || c->broken || !who.shown || client_sasl_new(&x, &who) < 0)
                        return rc;
                rc = authenticate(c, x, answer);
                client_sasl_free(&x);
                return rc;
        }
        if (rc == -ENOPROTOOPT || !(who.clear_allowed || c->has_tls))
                return client_ours(answer, -EACCES, "without TLS the password could be read on its way");
        if (c->no_login)
                return client_ours(answer, -EACCES, "the server offers no way to sign in that is known here");
        return login(c, user, password, answer);
}

/* ---- what is agreed upon once signed in ---- */

/* RFC 5161 §3.2: what it says is on. */
static bool heard_enabled(struct imap_client *c, void *context, uint32_t number, struct str word)
{
        struct str rest, one;

        (void)context;
        (void)number;
        if (!str_ieq(word, S("ENABLED")))
                return false;
        rest = scan_rest(&c->in);
        while (rest.n) {
                str_cut(&rest, ' ', &one);
                c->qresync = c->qresync || str_ieq(one, S("QRESYNC"));
                c->condstore = c->condstore || str_ieq(one, S("CONDSTORE")) || c->qresync;
                c->utf8 = c->utf8 || str_istarts(one, S("UTF8="));
        }
        return true;
}

/* RFC 2342 §5: NAMESPACE (("INBOX." ".")) NIL NIL; ours is the first. */
static bool heard_namespace(struct imap_client *c, void *context, uint32_t number, struct str word)
{
        (void)context;
        (void)number;
        if (!str_ieq(word, S("NAMESPACE")))
                return false;
        if (!scan_try_word(&c->in, S("((")))
                return true;
        client_string(c, &c->text);
        if (!c->text.full && c->text.n < sizeof(c->prefix))
                snprintf(c->prefix, sizeof(c->prefix), PRS, STR(buf_str(&c->text)));
        scan_space(&c->in);
        client_string(c, &c->text);
        if (c->text.n == 1)
                c->separator = c->text.p[0];
        return true;
}

/* One round trip. COMPRESS is the last: nothing may follow before its answer (RFC 4978 §3). Refusals do no harm. */
static int settle(struct imap_client *c, struct imap_answer *answer)
{
        static const struct client_ask enable = { .hear = heard_enabled },
                                       namespaces = { .hear = heard_namespace };
        unsigned has = c->offers;
        bool on = has & IMAP_HAS_ENABLE && has & (IMAP_HAS_CONDSTORE | IMAP_HAS_UTF8);
        bool zip = has & IMAP_HAS_COMPRESS && !c->how.no_compress && !addr_loopback(conn_peer(c->conn));
        int rc = 0;

        if (on) {
                client_begin(c);
                conn_printf(c->conn, "ENABLE%s%s%s\r\n", has & IMAP_HAS_CONDSTORE ? " CONDSTORE" : "",
                            has & IMAP_HAS_QRESYNC ? " QRESYNC" : "",
                            has & IMAP_HAS_UTF8 ? " UTF8=ACCEPT" : "");
        }
        if (has & IMAP_HAS_NAMESPACE) {
                client_begin(c);
                conn_put(c->conn, S("NAMESPACE\r\n"));
        }
        if (zip) {
                client_begin(c);
                conn_put(c->conn, S("COMPRESS DEFLATE\r\n"));
        }
        if (on)
                rc = client_finish(c, &enable, answer);
        if (has & IMAP_HAS_NAMESPACE && !c->broken)
                rc = client_finish(c, &namespaces, answer);
        if (zip && !c->broken) {
                rc = client_finish(c, NULL, answer);
                if (rc == 0 && conn_compress(c->conn) < 0)
                        return client_ours(answer, client_break(c, -EPROTO),
                                           "something came before its time");
        }
        return c->broken ? rc : 0;
}

int imap_client_login(struct imap_client *c, const char *user, const char *password,
                      struct imap_answer *answer)
{
        struct imap_answer ignored;
        int rc = 0;

        *answer = (struct imap_answer){ 0 };
        if (!c->signed_in) {
                c->asked_capability = false;
                rc = sign_in(c, user, password, answer);
                if (rc < 0)
                        return rc;
                c->signed_in = true;
                if (!c->asked_capability) /* another than before */
                        rc = client_ask_capability(c, &ignored);
        }
        if (rc == 0)
                rc = settle(c, &ignored);
        if (rc < 0)
                *answer = ignored;
        return rc;
}
