/* The keeper: SASL exchanges with a stranger's client, and signing. */
#include "keeper_world.h"
#include "proto/sasl_client.h"

/* ---- SASL ---- */

struct client {
        const char *mechanism, *name, *password;
        const char *ours, *theirs; /* channel binding, as this client and the keeper know it */
        bool exporter;
        enum signin_result want;
};

/* GNU SASL's client talks to the keeper; it checks the server's signature itself. */
static enum signin_result converse(Gsasl *g, const struct client *c)
{
        struct signin who = from("127.0.0.1", SCOPE_SMTP);
        struct sasl_exchange x = { 0 };
        struct buf auto_buf binding = { 0 };
        enum signin_result r = SIGNIN_MORE;
        Gsasl_session *s;
        char *out = NULL;
        size_t n;
        int rc;

        buf_init(&binding, 1000);
        assert_int_equal(gsasl_client_start(g, c->mechanism, &s), GSASL_OK);
        gsasl_property_set(s, GSASL_AUTHID, c->name);
        gsasl_property_set(s, GSASL_PASSWORD, c->password);
        if (c->ours) {
                base64_put(&binding, str_of(c->ours));
                gsasl_property_set_raw(s, c->exporter ? GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE,
                                       binding.p, binding.n);
        }
        who.binding = str_of(c->theirs);
        who.tls = c->theirs != NULL;
        who.binding_is_exporter = c->exporter;
        rc = gsasl_step(s, NULL, 0, &out, &n);
        assert_true(rc == GSASL_OK || rc == GSASL_NEEDS_MORE);
        r = keeper_sasl_start(front, &who, str_of(c->mechanism), str_from(out, n), n > 0, &arena, &x);
        while (r == SIGNIN_MORE) {
                gsasl_free(out);
                rc = gsasl_step(s, x.token.p, x.token.n, &out, &n);
                assert_true(rc == GSASL_OK || rc == GSASL_NEEDS_MORE);
                r = keeper_sasl_step(front, str_from(out, n), &arena, &x);
        }
        gsasl_free(out);
        if (r == SIGNIN_OK && x.token.n) { /* the server proves that it knows the secret, too */
                out = NULL;
                assert_int_equal(gsasl_step(s, x.token.p, x.token.n, &out, &n), GSASL_OK);
                gsasl_free(out);
        }
        assert_str(x.account, r == SIGNIN_OK ? S("jill@hill.com") : S(""));
        gsasl_finish(s);
        return r;
}

static void sasl_clients(void *arg)
{
        static const struct client rows[] = {
                { "PLAIN", "jill", "tumbling", NULL, NULL, false, SIGNIN_OK },
                { "PLAIN", "jill", "wrong", NULL, NULL, false, SIGNIN_NO },
                { "LOGIN", "jill", "tumbling", NULL, NULL, false, SIGNIN_OK },
                { "LOGIN", "jill", "wrong", NULL, NULL, false, SIGNIN_NO },
                { "SCRAM-SHA-1", "jill", "tumbling", NULL, NULL, false, SIGNIN_OK },
                { "SCRAM-SHA-256", "jill@hill.com", "tumbling", NULL, NULL, false, SIGNIN_OK },
                { "SCRAM-SHA-256", "jill", "wrong", NULL, NULL, false, SIGNIN_NO },
                { "SCRAM-SHA-256", "jack", "crown", NULL, NULL, false,
                  SIGNIN_NO }, /* never asked for SCRAM */
                { "SCRAM-SHA-256", "mary", "x", NULL, NULL, false, SIGNIN_NO },
                { "SCRAM-SHA-256-PLUS", "jill", "tumbling", "binding", "binding", false, SIGNIN_OK },
                { "SCRAM-SHA-256-PLUS", "jill", "tumbling", "binding", "binding", true, SIGNIN_OK },
                { "SCRAM-SHA-1-PLUS", "jill", "tumbling", "binding", "binding", true, SIGNIN_OK },
                { "SCRAM-SHA-256-PLUS", "jill", "tumbling", "binding", "another", true,
                  SIGNIN_NO }, /* a man in the middle */
                { "SCRAM-SHA-256-PLUS", "jill", "wrong", "binding", "binding", true, SIGNIN_NO },
                { "SCRAM-SHA-256-PLUS", "jill", "tumbling", "binding", NULL, true, SIGNIN_UNKNOWN },
                { "SCRAM-SHA-256", "jill", "tumbling", NULL, "binding", true, SIGNIN_OK },
        };
        Gsasl *g;

        (void)arg;
        people();
        assert_int_equal(gsasl_init(&g), GSASL_OK);
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_int_equal(converse(g, &rows[i]), rows[i].want);
        assert_int_equal(keeper_exchanges(keeper), 0);
        gsasl_done(g);
        close_keeper();
}

/* The client that our own clients of SMTP, IMAP and POP3 share. */
static void our_client(void *arg)
{
        static const struct {
                const char *offered, *name, *password, *takes;
                bool clear;
                int made; /* client_sasl_new */
                enum signin_result want;
        } rows[] = {
                { "PLAIN SCRAM-SHA-256-PLUS LOGIN SCRAM-SHA-256", "jill", "tumbling", "SCRAM-SHA-256", false,
                  0, SIGNIN_OK },
                { "SCRAM-SHA-256", "jill", "wrong", "SCRAM-SHA-256", false, 0, SIGNIN_NO },
                { "plain scram-sha-1", "jill", "tumbling", "SCRAM-SHA-1", false, 0, SIGNIN_OK },
                { "LOGIN PLAIN", "jill", "tumbling", "PLAIN", true, 0, SIGNIN_OK },
                { "LOGIN PLAIN", "jill", "wrong", "PLAIN", true, 0, SIGNIN_NO },
                { "LOGIN XPLAIN", "jill", "tumbling", "LOGIN", true, 0, SIGNIN_OK },
                { "LOGIN PLAIN", "jill", "tumbling", NULL, false, -ENOPROTOOPT, SIGNIN_NO },
                { "GSSAPI SCRAM-SHA-256-PLUS", "jill", "tumbling", NULL, true, -EACCES, SIGNIN_NO },
        };
        auto_buf struct buf ours = { 0 }, theirs = { 0 }, bytes = { 0 };

        (void)arg;
        people();
        buf_init(&ours, SASL_TOKEN_MOST * 2);
        buf_init(&theirs, SASL_TOKEN_MOST * 2);
        buf_init(&bytes, SASL_TOKEN_MOST * 2);
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct sasl_client_who who = { .mechanisms = str_of(rows[i].offered),
                                               .user = str_of(rows[i].name),
                                               .password = str_of(rows[i].password),
                                               .clear_allowed = rows[i].clear };
                struct signin from_here = from("127.0.0.1", SCOPE_SMTP);
                struct sasl_exchange x = { 0 };
                enum signin_result r;
                struct sasl_client *c;
                bool has;

                assert_int_equal(client_sasl_new(&c, &who), rows[i].made);
                if (!c)
                        continue;
                assert_string_equal(client_sasl_mechanism(c), rows[i].takes);
                assert_int_equal(client_sasl_step(c, S(""), &ours), 0);
                has = client_sasl_begins(c);
                buf_clear(&bytes);
                assert_true(base64_get(&bytes, buf_str(&ours)));
                r = keeper_sasl_start(front, &from_here, str_of(rows[i].takes), has ? buf_str(&bytes) : S(""),
                                      has, &arena, &x);
                while (r == SIGNIN_MORE) {
                        if (has) {
                                buf_clear(&theirs);
                                base64_put(&theirs, x.token);
                                assert_int_equal(client_sasl_step(c, buf_str(&theirs), &ours), 0);
                        }
                        has = true;
                        buf_clear(&bytes);
                        assert_true(base64_get(&bytes, buf_str(&ours)));
                        r = keeper_sasl_step(front, buf_str(&bytes), &arena, &x);
                }
                assert_int_equal(r, rows[i].want);
                if (r == SIGNIN_OK && x.token.n) {
                        assert_false(client_sasl_done(c)); /* not before it has shown that it knows, too */
                        buf_clear(&theirs);
                        base64_put(&theirs, x.token);
                        assert_int_equal(client_sasl_step(c, buf_str(&theirs), &ours), 0);
                }
                assert_int_equal(client_sasl_done(c), r == SIGNIN_OK || rows[i].clear);
                client_sasl_free(&c);
        }
        close_keeper();
}

/* A server that would have us hash for hours, and one whose proof is wrong. */
static void our_client_is_not_fooled(void *arg)
{
        static const char *const challenges[] = {
                "r=",
                "",
                "e=other-error",
                "r=x,s=AAAA,i=4096",
                "r=x,s=AAAA,i=2000001",
                "r=x,s=AAAA,i=99999999999999999999",
                "!",
        };
        struct sasl_client_who who = { .mechanisms = S("SCRAM-SHA-256"),
                                       .user = S("jill"),
                                       .password = S("x") };
        auto_buf struct buf ours = { 0 }, theirs = { 0 }, bytes = { 0 };
        struct sasl_client *c;

        (void)arg;
        buf_init(&ours, SASL_TOKEN_MOST * 2);
        buf_init(&theirs, SASL_TOKEN_MOST * 2);
        buf_init(&bytes, SASL_TOKEN_MOST * 2);
        for (size_t i = 0; i < LENGTH(challenges); i++) {
                assert_int_equal(client_sasl_new(&c, &who), 0);
                assert_int_equal(client_sasl_step(c, S(""), &ours), 0);
                buf_clear(&theirs);
                base64_put(&theirs, str_of(challenges[i]));
                assert_int_equal(
                    client_sasl_step(c, challenges[i][0] == '!' ? S("!") : buf_str(&theirs), &ours),
                    -EBADMSG);
                assert_false(client_sasl_done(c));
                client_sasl_free(&c);
        }
        /* our own nonce, so that only the work it asks for is wrong; then a good one, and a proof that is none */
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(client_sasl_new(&c, &who), 0);
                assert_int_equal(client_sasl_step(c, S(""), &ours), 0);
                buf_clear(&bytes);
                assert_true(base64_get(&bytes, buf_str(&ours)));
                struct str nonce = str_from_at(buf_str(&bytes), str_search(buf_str(&bytes), S("r=")));
                struct buf said = { 0 };

                buf_init(&said, 1000);
                buf_printf(&said, PRS "y,s=AAAA,i=%u", STR(nonce), i ? 4096 : SASL_WORK_MOST + 1);
                buf_clear(&theirs);
                base64_put(&theirs, buf_str(&said));
                buf_free(&said);
                assert_int_equal(client_sasl_step(c, buf_str(&theirs), &ours), i ? 0 : -EBADMSG);
                if (i)
                        assert_int_equal(client_sasl_step(c, S("dj1BQUFB"), &ours), -EBADMSG);
                assert_false(client_sasl_done(c));
                client_sasl_free(&c);
        }
}

static enum signin_result start_sasl(const char *mechanism, struct str initial, bool has, const char *binding,
                                     struct sasl_exchange *x)
{
        struct signin who = from("127.0.0.1", SCOPE_SMTP);

        who.binding = str_of(binding);
        who.binding_is_exporter = true;
        return keeper_sasl_start(front, &who, str_of(mechanism), initial, has, &arena, x);
}

static void sasl_by_hand(void *arg)
{
        static struct sasl_exchange many[1030];
        struct sasl_exchange x;
        struct str salt;

        (void)arg;
        people();
        assert_int_equal(start_sasl("plain", S("\0jill\0tumbling"), true, NULL, &x), SIGNIN_OK);
        assert_int_equal(start_sasl("PLAIN", S("jill@hill.com\0jill\0tumbling"), true, NULL, &x), SIGNIN_OK);
        assert_int_equal(start_sasl("PLAIN", S("jack\0jill\0tumbling"), true, NULL, &x),
                         SIGNIN_NO); /* acts for another */
        assert_int_equal(start_sasl("PLAIN", S("jill tumbling"), true, NULL, &x), SIGNIN_SYNTAX);
        assert_int_equal(start_sasl("PLAIN", S(""), false, NULL, &x), SIGNIN_MORE);
        assert_str(x.token, S(""));
        assert_int_equal(keeper_sasl_step(front, S("\0jill\0tumbling"), &arena, &x), SIGNIN_OK);
        assert_int_equal(start_sasl("LOGIN", S("jill"), true, NULL, &x), SIGNIN_MORE);
        assert_str(x.token, S("Password"));
        assert_int_equal(keeper_sasl_step(front, S("tumbling"), &arena, &x), SIGNIN_OK);
        assert_int_equal(start_sasl("CRAM-MD5", S(""), false, NULL, &x), SIGNIN_UNKNOWN);
        assert_int_equal(start_sasl("", S(""), false, NULL, &x), SIGNIN_UNKNOWN);
        assert_int_equal(start_sasl("SCRAM-SHA-256", S("n,,n=jill"), true, NULL, &x), SIGNIN_SYNTAX);
        /* "y": the client could bind and believes that we cannot, but we can: somebody took -PLUS off the list */
        assert_int_equal(start_sasl("SCRAM-SHA-256", S("y,,n=jill,r=abcdefgh"), true, "binding", &x),
                         SIGNIN_NO);
        /* nobody's salt stays the same, so that asking twice does not tell */
        assert_int_equal(start_sasl("SCRAM-SHA-256", S("n,,n=mary,r=abcdefgh"), true, NULL, &x), SIGNIN_MORE);
        salt = str_from_at(x.token, str_search(x.token, S(",s=")));
        keeper_sasl_drop(front, &x);
        assert_int_equal(start_sasl("SCRAM-SHA-256", S("n,,n=MARY,r=abcdefgh"), true, NULL, &x), SIGNIN_MORE);
        assert_str(str_from_at(x.token, str_search(x.token, S(",s="))), salt);
        keeper_sasl_drop(front, &x);
        assert_int_equal(keeper_sasl_step(front, S("x"), &arena, &x), SIGNIN_LATER); /* no handle any more */
        for (size_t i = 0; i < LENGTH(many); i++)
                assert_int_equal(start_sasl("LOGIN", S(""), false, NULL, &many[i]),
                                 i < 1024 ? SIGNIN_MORE : SIGNIN_LATER);
        assert_int_equal(keeper_exchanges(keeper), 1024);
        for (size_t i = 0; i < 1024; i++)
                keeper_sasl_drop(front, &many[i]);
        let_others_run();
        assert_int_equal(start_sasl("LOGIN", S(""), false, NULL, &x), SIGNIN_MORE);
        assert_int_equal(keeper_exchanges(keeper), 1);
        channel_free(&front); /* a front that dies leaves nothing */
        let_others_run();
        assert_int_equal(keeper_exchanges(keeper), 0);
        close_keeper();
}

/* ---- signing ---- */

static void signs(void *arg)
{
        char name[] = "/tmp/pail-key-XXXXXX";
        int fd = mkstemp(name);
        gnutls_x509_privkey_t made;
        gnutls_pubkey_t public;
        gnutls_privkey_t wrapped;
        gnutls_datum_t pem, hash = { (unsigned char *)(uintptr_t) "0123456789abcdef0123456789abcdef", 32 },
                            signature;
        struct buf auto_buf got = { 0 };

        (void)arg;
        people();
        buf_init(&got, 4000);
        unlink(name);
        assert_int_equal(keeper_sign(front, GNUTLS_SIGN_ECDSA_SHA256, str_from(hash.data, 32), &got),
                         -ENOENT);
        assert_int_equal(keeper_key(keeper, dup(fd)), -EINVAL); /* empty */
        gnutls_x509_privkey_init(&made);
        assert_int_equal(gnutls_x509_privkey_generate(made, GNUTLS_PK_ECDSA,
                                                      GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                         0);
        assert_int_equal(gnutls_x509_privkey_export2(made, GNUTLS_X509_FMT_PEM, &pem), 0);
        assert_int_equal(write(fd, pem.data, pem.size), pem.size);
        assert_int_equal(keeper_key(keeper, fd), 0);
        assert_int_equal(keeper_sign(front, GNUTLS_SIGN_ECDSA_SHA256, str_from(hash.data, 32), &got), 0);
        signature = (gnutls_datum_t){ (unsigned char *)got.p, (unsigned)got.n };
        gnutls_pubkey_init(&public);
        gnutls_privkey_init(&wrapped);
        assert_int_equal(gnutls_privkey_import_x509(wrapped, made, 0), 0);
        assert_int_equal(gnutls_pubkey_import_privkey(public, wrapped, 0, 0), 0);
        assert_true(gnutls_pubkey_verify_hash2(public, GNUTLS_SIGN_ECDSA_SHA256, 0, &hash, &signature) >= 0);
        buf_clear(&got);
        assert_int_equal(keeper_sign(front, 9999, S("x"), &got), -EINVAL);
        assert_int_equal(got.n, 0);
        gnutls_free(pem.data);
        gnutls_privkey_deinit(wrapped);
        gnutls_pubkey_deinit(public);
        gnutls_x509_privkey_deinit(made);
        close_keeper();
}

int main(void)
{
        static const struct unit all[] = {
                { "sasl_clients", sasl_clients },
                { "our_client", our_client },
                { "our_client_is_not_fooled", our_client_is_not_fooled },
                { "sasl_by_hand", sasl_by_hand },
                { "signs", signs },
        };

        return run_units(all, LENGTH(all));
}
