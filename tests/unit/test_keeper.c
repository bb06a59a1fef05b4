/* The keeper, asked over a socketpair by the fronts' own functions, in one process with it. */
#include "fibers.h"
#include "unit.h"
#include "base/codec.h"
#include "base/mem.h"
#include "proto/keeper_message.h"
#include "role/keeper.h"
#include "run/log.h"
#include "store/directory.h"
#include "store/secrets.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/pail-keeper-XXXXXX";
static char secrets_file[64], directory_file[64];
static struct settings settings;
static struct keeper *keeper;
static struct channel *front; /* our end */
static int64_t now_is = 1000000;
static struct arena arena;
static char told[256]; /* what the keeper told us, in order */

static int64_t set_clock(void)
{
        return now_is;
}

/* ---- what the keeper tells ---- */

static void hears_ban(struct channel_message *m)
{
        struct unpack u = unpack_of(m->body);
        struct ban_entry e;

        while (ban_entry_next(&u, &e)) {
                size_t n = strlen(told);

                snprintf(told + n, sizeof told - n, "%s %s %lld;", e.until ? "refuse" : "allow",
                         addr_text(e.net).z, e.until ? (long long)(e.until - now_is) : 0);
        }
}

static void hears_sign_out(struct channel_message *m)
{
        size_t n = strlen(told);

        snprintf(told + n, sizeof told - n, "out " PRS ";", STR(m->body));
}

static const struct channel_kind to_front[] = {
        {TELL_BAN,       "ban", hears_ban },
        { TELL_SIGN_OUT,     "sign out", hears_sign_out },
        { 0},
};

static void let_others_run(void)
{
        for (int i = 0; i < 20; i++)
                fiber_yield();
}

/* ---- a keeper of three people ---- */

static void attach(void)
{
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        keeper_front(keeper, pair[0]);
        front = channel_new(pair[1], to_front, NULL, NULL);
}

static void open_keeper(void)
{
        struct keeper_setup setup = { secrets_file, directory_file, &settings, true, set_clock };

        assert_int_equal(keeper_start(&keeper, &setup), 0);
        attach();
}

static void close_keeper(void)
{
        channel_free(&front);
        keeper_stop(&keeper);
}

static struct str secret(enum set_secret what, const char *account, const char *label, const char *password,
                         unsigned scope, unsigned with, int want)
{
        struct ask_set_secret m = { what, str_of(account), str_of(label), str_of(password), scope, with };
        struct buf auto_buf text = { 0 };

        buf_init(&text, 4000);
        assert_int_equal(keeper_set_secret(keeper, &m, &text), want);
        return arena_str(&arena, buf_str(&text));
}

static void people(void)
{
        struct directory *d;
        struct buf auto_buf why = { 0 };

        buf_init(&why, 1000);
        unlink(secrets_file);
        unlink(directory_file);
        assert_int_equal(directory_open(&d, directory_file, true), 0);
        assert_int_equal(directory_add_domain(d, S("hill.com"), S(""), &why), 0);
        assert_int_equal(directory_add_account(d, S("jill@hill.com"), &why), 0);
        assert_int_equal(directory_add_account(d, S("jack@hill.com"), &why), 0);
        assert_int_equal(directory_add_account(d, S("tom@hill.com"), &why), 0); /* without a password */
        assert_int_equal(directory_add_login(d, S("jill@hill.com"), S("tumbler"), &why), 0);
        directory_close(&d);
        open_keeper();
        secret(SET_PASSWORD, "jill@hill.com", "", "tumbling", 0, WITH_SCRAM | WITH_APOP, 0);
        secret(SET_PASSWORD, "jack@hill.com", "", "crown", 0, 0, 0);
        let_others_run();
        told[0] = 0;
}

/* ---- asking ---- */

static struct signin from(const char *peer, unsigned scope)
{
        struct signin who = { .scope = scope };

        assert_true(addr_parse(str_of(peer), 0, &who.peer));
        return who;
}

static enum signin_result signin(const char *peer, unsigned scope, const char *name, const char *password)
{
        struct signin who = from(peer, scope);
        struct str account;
        enum signin_result r = keeper_password(front, &who, str_of(name), str_of(password), &arena, &account);

        assert_int_equal(account.n > 0, r == SIGNIN_OK);
        if (r == SIGNIN_OK)
                assert_true(str_ends(account, S("@hill.com")));
        return r;
}

/* How many times Argon2 ran for this. */
static unsigned long runs(const char *name, const char *password, enum signin_result want)
{
        unsigned long before = keeper_hash_runs(keeper);

        assert_int_equal(signin("127.0.0.1", SCOPE_POP3, name, password), want);
        return keeper_hash_runs(keeper) - before;
}

static void passwords(void *arg)
{
        static const struct {
                const char *name, *password;
                enum signin_result want;
        } rows[] = {
                {"jill@hill.com",  "tumbling",  SIGNIN_OK},
                { "JILL@Hill.com", "tumbling",  SIGNIN_OK},
                { "jill",          "tumbling",  SIGNIN_OK},
                { "tumbler",       "tumbling",  SIGNIN_OK},
                { "jill",          "Tumbling",  SIGNIN_NO},
                { "jill",          "tumbling ", SIGNIN_NO},
                { "jill",          "",          SIGNIN_NO},
                { "jill",          "crown",     SIGNIN_NO},
                { "jack",          "crown",     SIGNIN_OK},
                { "jac",           "kcrown",    SIGNIN_NO}, /* no other cut of the same letters */
                { "tom",           "",          SIGNIN_NO},
                { "nobody",        "crown",     SIGNIN_NO},
                { "",              "",          SIGNIN_NO},
        };
        char *long_one = calloc(1, 20000);

        (void)arg;
        people();
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_int_equal(signin("127.0.0.1", SCOPE_SMTP, rows[i].name, rows[i].password),
                                 rows[i].want);
        memset(long_one, 'a', 19999);
        assert_int_equal(signin("127.0.0.1", SCOPE_SMTP, "jill", long_one), SIGNIN_NO);
        free(long_one);
        close_keeper();
}

static void the_same_work(void *arg)
{
        (void)arg;
        people();
        assert_int_equal(runs("jill", "wrong", SIGNIN_NO), 1);
        assert_int_equal(runs("nobody", "wrong", SIGNIN_NO), 1);
        assert_int_equal(runs("nobody@else.com", "wrong", SIGNIN_NO), 1);
        assert_int_equal(runs("tom", "wrong", SIGNIN_NO), 1);
        assert_int_equal(runs("", "", SIGNIN_NO), 1);
        close_keeper();
}

static void reconnecting_costs_nothing(void *arg)
{
        (void)arg;
        people();
        assert_int_equal(runs("jill", "tumbling", SIGNIN_OK), 1);
        for (int i = 0; i < 100; i++)
                assert_int_equal(runs(i % 2 ? "jill@hill.com" : "tumbler", "tumbling", SIGNIN_OK), 0);
        assert_int_equal(runs("jill", "tumblinG", SIGNIN_NO), 1);
        assert_int_equal(runs("jack", "tumbling", SIGNIN_NO),
                         1); /* another's password is remembered for nobody else */
        secret(SET_PASSWORD, "jill@hill.com", "", "water", 0, 0, 0);
        let_others_run();
        assert_string_equal(told, "out jill@hill.com;");
        assert_int_equal(runs("jill", "tumbling", SIGNIN_NO), 1);
        assert_int_equal(runs("jill", "water", SIGNIN_OK), 1);
        now_is += 3601;
        assert_int_equal(runs("jill", "water", SIGNIN_OK), 1);
        assert_int_equal(runs("jill", "water", SIGNIN_OK), 0);
        close_keeper();
}

static void app_passwords(void *arg)
{
        struct str made, list;
        struct buf auto_buf text = { 0 }, auto_buf typed = { 0 };
        struct unpack u;
        struct secret_entry e;
        unsigned kinds = 0;

        (void)arg;
        people();
        made = secret(ADD_APP_PASSWORD, "jill@hill.com", "phone", "", SCOPE_POP3 | SCOPE_SMTP, 0, 0);
        assert_int_equal(made.n, 30); /* 26 characters in groups of 5 */
        assert_int_equal(runs("jill", made.p, SIGNIN_OK), 0);
        assert_int_equal(signin("127.0.0.1", SCOPE_SMTP, "jill", made.p), SIGNIN_OK);
        assert_int_equal(signin("127.0.0.1", SCOPE_FTP, "jill", made.p), SIGNIN_NO);
        assert_int_equal(signin("127.0.0.1", SCOPE_POP3, "jack", made.p), SIGNIN_NO);
        buf_init(&typed, 100);
        for (size_t i = 0; i < made.n; i++)
                if (made.p[i] != '-')
                        buf_u8(&typed, (uint8_t)(made.p[i] >= 'a' ? made.p[i] - 32 : made.p[i]));
        buf_u8(&typed, 0);
        assert_int_equal(signin("127.0.0.1", SCOPE_POP3, "jill", typed.p), SIGNIN_OK);
        assert_int_equal(signin("127.0.0.1", SCOPE_POP3, "jill", "tumbling"), SIGNIN_OK);
        buf_init(&text, 4000);
        assert_int_equal(keeper_list_secrets(keeper, S("jill@hill.com"), &text), 0);
        list = buf_str(&text);
        assert_int_equal(str_search(list, S("tumbling")), STR_NONE); /* labels and kinds, no secrets */
        u = unpack_of(list);
        while (secret_entry_next(&u, &e)) {
                kinds |= 1u << e.kind;
                assert_str(e.label, e.kind == SECRET_APP ? S("phone") : S(""));
                assert_int_equal(e.scope, e.kind == SECRET_APP    ? SCOPE_POP3 | SCOPE_SMTP
                                          : e.kind == SECRET_APOP ? SCOPE_POP3
                                                                  : SCOPE_ALL);
                assert_int_equal(e.used != 0, e.kind == SECRET_APP || e.kind == SECRET_PASSWORD);
        }
        assert_true(unpack_done(&u));
        assert_int_equal(kinds, 1 << SECRET_PASSWORD | 1 << SECRET_APP | 1 << SECRET_SCRAM_SHA1 |
                                    1 << SECRET_SCRAM_SHA256 | 1 << SECRET_APOP);
        secret(REMOVE_SECRET, "jill@hill.com", "phone", "", 0, 0, 0);
        assert_int_equal(runs("jill", made.p, SIGNIN_NO), 1);
        assert_str(secret(REMOVE_SECRET, "jill@hill.com", "phone", "", 0, 0, -ENOENT),
                   S("phone: no such secret"));
        assert_str(secret(SET_PASSWORD, "mary@hill.com", "", "x", 0, 0, -ENOENT),
                   S("mary@hill.com: no such account"));
        assert_str(secret(ADD_APP_PASSWORD, "jill@hill.com", "x", "", 1 << 9, 0, -EINVAL),
                   S("no such scope"));
        secret(REMOVE_ALL, "jill@hill.com", "", "", 0, 0, 0);
        assert_int_equal(runs("jill", "tumbling", SIGNIN_NO), 1);
        close_keeper();
}

static void apop(void *arg)
{
        /* MD5 of "<1.2@hill.com>tumbling" */
        static const struct {
                const char *name, *digest;
                unsigned scope;
                enum signin_result want;
        } rows[] = {
                {"jill",  "48faa80e624aef36aec82ada713f3e99", SCOPE_POP3, SIGNIN_OK},
                { "jill", "48FAA80E624AEF36AEC82ADA713F3E99", SCOPE_POP3, SIGNIN_OK},
                { "jill", "48faa80e624aef36aec82ada713f3e90", SCOPE_POP3, SIGNIN_NO},
                { "jill", "48faa80e624aef36aec82ada713f3e",   SCOPE_POP3, SIGNIN_NO},
                { "jill", "",                                 SCOPE_POP3, SIGNIN_NO},
                { "jill", "48faa80e624aef36aec82ada713f3e99", SCOPE_IMAP, SIGNIN_NO},
                { "jack", "48faa80e624aef36aec82ada713f3e99", SCOPE_POP3, SIGNIN_NO},
                { "mary", "48faa80e624aef36aec82ada713f3e99", SCOPE_POP3, SIGNIN_NO},
        };

        (void)arg;
        people();
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct signin who = from("127.0.0.1", rows[i].scope);
                struct str account;

                assert_int_equal(keeper_apop(front, &who, str_of(rows[i].name), S("<1.2@hill.com>"),
                                             str_of(rows[i].digest), &arena, &account),
                                 rows[i].want);
                assert_str(account, rows[i].want == SIGNIN_OK ? S("jill@hill.com") : S(""));
        }
        close_keeper();
}

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
                {"PLAIN",               "jill",          "tumbling", NULL,      NULL,      false, SIGNIN_OK     },
                { "PLAIN",              "jill",          "wrong",    NULL,      NULL,      false, SIGNIN_NO     },
                { "LOGIN",              "jill",          "tumbling", NULL,      NULL,      false, SIGNIN_OK     },
                { "LOGIN",              "jill",          "wrong",    NULL,      NULL,      false, SIGNIN_NO     },
                { "SCRAM-SHA-1",        "jill",          "tumbling", NULL,      NULL,      false, SIGNIN_OK     },
                { "SCRAM-SHA-256",      "jill@hill.com", "tumbling", NULL,      NULL,      false, SIGNIN_OK     },
                { "SCRAM-SHA-256",      "jill",          "wrong",    NULL,      NULL,      false, SIGNIN_NO     },
                { "SCRAM-SHA-256",      "jack",          "crown",    NULL,      NULL,      false,
                 SIGNIN_NO                                                                                      }, /* never asked for SCRAM */
                { "SCRAM-SHA-256",      "mary",          "x",        NULL,      NULL,      false, SIGNIN_NO     },
                { "SCRAM-SHA-256-PLUS", "jill",          "tumbling", "binding", "binding", false, SIGNIN_OK     },
                { "SCRAM-SHA-256-PLUS", "jill",          "tumbling", "binding", "binding", true,  SIGNIN_OK     },
                { "SCRAM-SHA-1-PLUS",   "jill",          "tumbling", "binding", "binding", true,  SIGNIN_OK     },
                { "SCRAM-SHA-256-PLUS", "jill",          "tumbling", "binding", "another", true,
                 SIGNIN_NO                                                                                      }, /* a man in the middle */
                { "SCRAM-SHA-256-PLUS", "jill",          "wrong",    "binding", "binding", true,  SIGNIN_NO     },
                { "SCRAM-SHA-256-PLUS", "jill",          "tumbling", "binding", NULL,      true,  SIGNIN_UNKNOWN},
                { "SCRAM-SHA-256",      "jill",          "tumbling", NULL,      "binding", true,  SIGNIN_OK     },
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

/* ---- failures ---- */

static void fail_times(const char *peer, const char *name, int n)
{
        for (int i = 0; i < n; i++)
                assert_int_equal(signin(peer, SCOPE_POP3, name, "wrong"), SIGNIN_NO);
        let_others_run();
}

static void refusing_grows(void *arg)
{
        struct buf auto_buf text = { 0 };
        unsigned long before;

        (void)arg;
        settings.ban_after = 3;
        settings.ban_first = 100;
        settings.ban_most = 350;
        people();
        fail_times("192.0.2.7", "jill", 2);
        assert_string_equal(told, "");
        fail_times("192.0.2.7", "nobody", 1);
        assert_string_equal(told, "refuse 192.0.2.7 100;");
        before = keeper_hash_runs(keeper);
        assert_int_equal(signin("192.0.2.7", SCOPE_POP3, "jill", "tumbling"),
                         SIGNIN_NO); /* right, but refused */
        assert_int_equal(keeper_hash_runs(keeper), before);
        assert_int_equal(signin("192.0.2.8", SCOPE_POP3, "jill", "tumbling"), SIGNIN_OK);
        now_is += 101;
        assert_int_equal(signin("192.0.2.7", SCOPE_POP3, "jill", "tumbling"), SIGNIN_OK);
        told[0] = 0;
        fail_times("192.0.2.7", "jill", 3);
        now_is += 201;
        fail_times("192.0.2.7", "jill", 3);
        assert_string_equal(told, "refuse 192.0.2.7 200;refuse 192.0.2.7 350;");
        /* it outlives the keeper, and a new front is told */
        channel_free(&front);
        keeper_stop(&keeper);
        told[0] = 0;
        now_is += 50;
        open_keeper();
        let_others_run();
        assert_string_equal(told, "refuse 192.0.2.7 300;");
        assert_int_equal(signin("192.0.2.7", SCOPE_POP3, "jill", "tumbling"), SIGNIN_NO);
        buf_init(&text, 4000);
        assert_int_equal(keeper_list_bans(keeper, 0, &text), 0);
        assert_true(text.n > 0);
        assert_int_equal(keeper_unban(keeper, S("192.0.2.9")), -ENOENT);
        assert_int_equal(keeper_unban(keeper, S("192.0.2")), -EINVAL);
        told[0] = 0;
        assert_int_equal(keeper_unban(keeper, S("192.0.2.7")), 0);
        let_others_run();
        assert_string_equal(told, "allow 192.0.2.7 0;");
        assert_int_equal(signin("192.0.2.7", SCOPE_POP3, "jill", "tumbling"), SIGNIN_OK);
        close_keeper();
}

static void who_is_refused(void *arg)
{
        (void)arg;
        settings.ban_after = 3;
        mem_free(settings.trusted_addresses);
        settings.trusted_addresses = mem_string(S("198.51.100.0/24"));
        people();
        fail_times("127.0.0.1", "jill", 10);
        fail_times("::1", "jill", 10);
        fail_times("198.51.100.77", "jill", 10);
        assert_string_equal(told, "");
        fail_times("2001:db8::1", "jill", 1); /* a /64 is one */
        fail_times("2001:db8::2", "jill", 1);
        fail_times("2001:db8:0:1::3", "jill", 1);
        assert_string_equal(told, "");
        fail_times("2001:db8::ffff:3", "jill", 1);
        assert_string_equal(told, "refuse 2001:db8:: 300;");
        told[0] = 0;
        /* Two mistakes, then right: as if nothing had been. But guessing at others is not wiped out by that. */
        for (int i = 0; i < 5; i++) {
                fail_times("203.0.113.1", "jill", 2);
                assert_int_equal(signin("203.0.113.1", SCOPE_POP3, "jill", "tumbling"), SIGNIN_OK);
        }
        assert_string_equal(told, "");
        fail_times("203.0.113.2", "jill", 1);
        assert_int_equal(signin("203.0.113.2", SCOPE_POP3, "jack", "crown"), SIGNIN_OK);
        fail_times("203.0.113.2", "jill", 1);
        assert_int_equal(signin("203.0.113.2", SCOPE_POP3, "jack", "crown"), SIGNIN_OK);
        fail_times("203.0.113.2", "mary", 1);
        assert_string_equal(told, "refuse 203.0.113.2 300;");
        /* an hour later nothing is left of a failure */
        fail_times("203.0.113.3", "jill", 2);
        now_is += 3700;
        fail_times("203.0.113.3", "jill", 2);
        assert_string_equal(told, "refuse 203.0.113.2 300;");
        close_keeper();
}

/* Those whose answers are being delayed when the keeper stops must not find it gone. */
static void asks_and_fails(void *arg)
{
        (void)arg;
        assert_int_equal(signin("203.0.113.9", SCOPE_POP3, "jill", "wrong"), SIGNIN_LATER);
}

static void stops_while_it_delays(void *arg)
{
        (void)arg;
        settings.signin_delay_ms = 5000;
        people();
        for (int i = 0; i < 5; i++)
                spawn(asks_and_fails, NULL);
        while (keeper_hash_runs(keeper) < 5)
                (void)fiber_sleep(now() + MSECOND);
        keeper_stop(&keeper);
        while (fiber_count() > 1)
                fiber_yield();
        channel_free(&front);
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

/* ---- */

static void in_a_fiber(void **state)
{
        fiber_fn *test = *(fiber_fn **)*state;

        settings_default(&settings);
        settings.signin_delay_ms = 0;
        arena_init(&arena, (size_t)64 << 20);
        log_quiet = true;
        told[0] = 0;
        assert_int_equal(offload_start(1, 2), 0);
        spawn(test, NULL);
        run_all();
        arena_finish(&arena);
        settings_free(&settings);
}

static int make_folder(void **state)
{
        (void)state;
        if (!mkdtemp(folder))
                return -1;
        snprintf(secrets_file, sizeof secrets_file, "%s/secrets.db", folder);
        snprintf(directory_file, sizeof directory_file, "%s/directory.db", folder);
        return 0;
}

static int remove_folder(void **state)
{
        static const char *const ends[] = { "", "-wal", "-shm" };
        char name[80];

        (void)state;
        unlink(directory_file);
        for (size_t i = 0; i < LENGTH(ends); i++) {
                snprintf(name, sizeof name, "%s%s", secrets_file, ends[i]);
                unlink(name);
        }
        return rmdir(folder);
}

int main(void)
{
        static const struct {
                const char *name;
                fiber_fn *run;
        } all[] = {
                {"passwords",                   passwords                 },
                { "the_same_work",              the_same_work             },
                { "reconnecting_costs_nothing", reconnecting_costs_nothing},
                { "app_passwords",              app_passwords             },
                { "apop",                       apop                      },
                { "sasl_clients",               sasl_clients              },
                { "sasl_by_hand",               sasl_by_hand              },
                { "refusing_grows",             refusing_grows            },
                { "who_is_refused",             who_is_refused            },
                { "stops_while_it_delays",      stops_while_it_delays     },
                { "signs",                      signs                     },
        };
        struct CMUnitTest tests[LENGTH(all)];

        for (size_t i = 0; i < LENGTH(all); i++)
                tests[i] = (struct CMUnitTest){ all[i].name, in_a_fiber, begin, finish,
                                                (void *)(uintptr_t)&all[i].run };
        return cmocka_run_group_tests_name("keeper", tests, make_folder, remove_folder);
}
