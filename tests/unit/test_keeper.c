/* The keeper, asked over a socketpair by the fronts' own functions, in one process with it: passwords, and those
 * who guess at them. */
#include "keeper_world.h"

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
                { "jill@hill.com", "tumbling", SIGNIN_OK },
                { "JILL@Hill.com", "tumbling", SIGNIN_OK },
                { "jill", "tumbling", SIGNIN_OK },
                { "tumbler", "tumbling", SIGNIN_OK },
                { "jill", "Tumbling", SIGNIN_NO },
                { "jill", "tumbling ", SIGNIN_NO },
                { "jill", "", SIGNIN_NO },
                { "jill", "crown", SIGNIN_NO },
                { "jack", "crown", SIGNIN_OK },
                { "jac", "kcrown", SIGNIN_NO }, /* no other cut of the same letters */
                { "tom", "", SIGNIN_NO },
                { "nobody", "crown", SIGNIN_NO },
                { "", "", SIGNIN_NO },
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

/* Whoever was let in by the old password is told to leave when it changes; so nobody is let in by it afterwards. */
static unsigned let_in, in_time;

static void signs_in_by_the_old_one(void *arg)
{
        enum signin_result r = signin("127.0.0.1", SCOPE_POP3, "jill", "tumbling");

        (void)arg;
        in_time += r == SIGNIN_OK && !told[0];
        let_in += r == SIGNIN_OK;
}

static void changes_it(void *arg)
{
        (void)arg;
        secret(SET_PASSWORD, "jill@hill.com", "", "water", 0, 0, 0);
}

static void changed_while_it_is_tried(void *arg)
{
        (void)arg;
        people();
        spawn(changes_it, NULL);
        for (int i = 0; i < 8; i++) /* more than are hashed at once */
                spawn(signs_in_by_the_old_one, NULL);
        while (fiber_count() > 1)
                (void)fiber_sleep(now() + MSECOND);
        assert_string_equal(told, "out jill@hill.com;");
        assert_int_equal(let_in, in_time);
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
                { "jill", "48faa80e624aef36aec82ada713f3e99", SCOPE_POP3, SIGNIN_OK },
                { "jill", "48FAA80E624AEF36AEC82ADA713F3E99", SCOPE_POP3, SIGNIN_OK },
                { "jill", "48faa80e624aef36aec82ada713f3e90", SCOPE_POP3, SIGNIN_NO },
                { "jill", "48faa80e624aef36aec82ada713f3e", SCOPE_POP3, SIGNIN_NO },
                { "jill", "", SCOPE_POP3, SIGNIN_NO },
                { "jill", "48faa80e624aef36aec82ada713f3e99", SCOPE_IMAP, SIGNIN_NO },
                { "jack", "48faa80e624aef36aec82ada713f3e99", SCOPE_POP3, SIGNIN_NO },
                { "mary", "48faa80e624aef36aec82ada713f3e99", SCOPE_POP3, SIGNIN_NO },
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

static void apop_fails_times(const char *name, int n)
{
        struct signin who = from("127.0.0.1", SCOPE_POP3);
        struct str account;

        for (int i = 0; i < n; i++)
                assert_int_equal(keeper_apop(front, &who, str_of(name), S("<1.2@hill.com>"),
                                             S("00000000000000000000000000000000"), &arena, &account),
                                 SIGNIN_NO);
}

/* Wherever it comes from, or a front says that it comes from: after a hundred failures in an hour one try a second,
 * and no work for the others. A password that was right not long ago, and an app password, are always let in. */
static void guessing_at_one_account(void *arg)
{
        static const char *const names[] = { "jack",
                                             "mary" }; /* mary is nobody, and cannot be told from jack */
        struct str app;

        (void)arg;
        people();
        app = secret(ADD_APP_PASSWORD, "jack@hill.com", "phone", "", SCOPE_ALL, 0, 0);
        for (size_t i = 0; i < LENGTH(names); i++) {
                apop_fails_times(names[i], 100);
                assert_int_equal(runs(names[i], "wrong", SIGNIN_LATER), 0);
                now_is++;
                assert_int_equal(runs(names[i], "wrong", SIGNIN_NO), 1);
                assert_int_equal(runs(names[i], "wrong", SIGNIN_LATER), 0);
        }
        assert_int_equal(runs("jack", "wrong", SIGNIN_NO), 1); /* the second in which mary was tried */
        assert_int_equal(runs("jack", "crown", SIGNIN_LATER), 0);
        assert_int_equal(runs("jack", app.p, SIGNIN_OK), 0);
        assert_int_equal(runs("jill", "tumbling", SIGNIN_OK), 1);
        now_is++;
        assert_int_equal(runs("jack", "crown", SIGNIN_OK), 1);
        assert_int_equal(runs("jack", "wrong", SIGNIN_LATER), 0);
        assert_int_equal(runs("jack", "crown", SIGNIN_OK), 0);
        now_is += 3700;
        assert_int_equal(runs("jack", "wrong", SIGNIN_NO), 1);
        assert_int_equal(runs("jack", "wrong", SIGNIN_NO), 1);
        close_keeper();
}

/* A front that sends what may not be, or cannot be read, is not listened to any more; nobody else loses anything. */
static void a_front_sends_nonsense(void *arg)
{
        static const struct {
                uint16_t kind;
                const char *body;
        } rows[] = {
                { ASK_SET_SECRET, "" },  { 999, "" },
                { ASK_PASSWORD, "x" },   { ASK_APOP, "x" },
                { ASK_SASL_START, "x" }, { ASK_SASL_STEP, "x" },
                { TELL_SASL_DROP, "x" }, { ASK_SIGN, "x" },
        };
        struct signin who = from("127.0.0.1", SCOPE_SMTP);
        struct sasl_exchange x = { 0 };
        struct channel *good;

        (void)arg;
        people();
        assert_int_equal(keeper_sasl_start(front, &who, S("LOGIN"), S(""), false, &arena, &x), SIGNIN_MORE);
        good = front;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                attach();
                assert_int_equal(
                    channel_ask(front, rows[i].kind, str_of(rows[i].body), -1, NULL, NULL, in_seconds(60)),
                    -EPIPE);
                channel_free(&front);
        }
        front = good;
        assert_int_equal(keeper_sasl_step(front, S("jill"), &arena, &x), SIGNIN_MORE);
        assert_int_equal(keeper_sasl_step(front, S("tumbling"), &arena, &x), SIGNIN_OK);
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

int main(void)
{
        static const struct unit all[] = {
                { "passwords", passwords },
                { "the_same_work", the_same_work },
                { "reconnecting_costs_nothing", reconnecting_costs_nothing },
                { "changed_while_it_is_tried", changed_while_it_is_tried },
                { "app_passwords", app_passwords },
                { "apop", apop },
                { "refusing_grows", refusing_grows },
                { "who_is_refused", who_is_refused },
                { "guessing_at_one_account", guessing_at_one_account },
                { "a_front_sends_nonsense", a_front_sends_nonsense },
                { "stops_while_it_delays", stops_while_it_delays },
        };

        return run_units(all, LENGTH(all));
}
