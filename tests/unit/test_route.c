/* The setting `routes`, and MTA-STS policies as DNS and HTTPS bring them. */
#include "unit.h"
#include "proto/smtp/route.h"
#include "proto/smtp/sts.h"
#include "base/buf.h"

static struct arena arena;

static void the_first_rule_that_fits_counts(void **state)
{
        static const char routes[] =
            "hamburger.edu=127.0.0.4:20025  .example.org=hold crepes.fr=direct "
            "lists.example=lmtp:[::1] six.example=[2001:db8::1]:2525 "
            "a.example=smtps:mx.example b.example=smtp+tls:mx.example:587 *=relay.example";
        static const struct {
                const char *domain;
                enum route_kind kind;
                const char *host;
                uint16_t port;
                bool at_once, must;
        } list[] = {
                { "hamburger.edu", ROUTE_RELAY, "127.0.0.4:20025", 20025, false, false },
                { "HAMBURGER.edu", ROUTE_RELAY, "127.0.0.4:20025", 20025, false, false },
                { "a.hamburger.edu", ROUTE_RELAY, "relay.example", 25, false, false },
                { "deep.down.example.org", ROUTE_HOLD, "", 0, false, false },
                { "example.org", ROUTE_RELAY, "relay.example", 25, false,
                  false }, /* itself is not below itself */
                { "notexample.org", ROUTE_RELAY, "relay.example", 25, false, false },
                { "crepes.fr", ROUTE_DIRECT, "", 0, false, false },
                { "lists.example", ROUTE_LMTP, "[::1]", 24, false, false },
                { "six.example", ROUTE_RELAY, "[2001:db8::1]:2525", 2525, false, false },
                { "a.example", ROUTE_RELAY, "mx.example", 465, true, false },
                { "b.example", ROUTE_RELAY, "mx.example", 587, false, true },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++) {
                struct route r = route_for(str_of(routes), str_of(list[i].domain), ROUTE_HOLD);

                assert_int_equal(r.kind, list[i].kind);
                assert_str(r.host, str_of(list[i].host));
                assert_int_equal(r.port, list[i].port);
                assert_int_equal(r.tls_at_once, list[i].at_once);
                assert_int_equal(r.tls_must, list[i].must);
        }
        assert_int_equal(route_for(S(""), S("a.b"), ROUTE_HOLD).kind, ROUTE_HOLD);
        assert_int_equal(route_for(S("b=hold"), S("a.b"), ROUTE_DIRECT).kind, ROUTE_DIRECT);
}

static void nonsense_is_named(void **state)
{
        static const char *const bad[] = { "a",        "=b",      "a=",      "a=host:0", "a=host:65536",
                                           "a=host:x", "a=smtp:", "a=b:c:d", "x=hold a" };
        struct str why;

        (void)state;
        for (size_t i = 0; i < LENGTH(bad); i++) {
                assert_false(routes_valid(str_of(bad[i]), &why));
                assert_true(why.n > 0);
        }
        assert_true(routes_valid(S(""), &why));
        assert_true(routes_valid(S("  a=hold   b=host  "), &why));
}

static void policies(void **state)
{
        static const struct {
                struct str text;
                bool good, enforce;
                struct str patterns;
        } list[] = {
                { S("version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmx: *.example.net\r\nmax_age: "
                    "86400\r\n"),
                  true, true, S("mx.example.org *.example.net") },
                { S("version:STSv1\nmax_age:1\nmode:testing\nmx:a\nnew: x"), true, false, S("a") },
                { S("version: STSv1\nmode: none\nmax_age: 10\n"), true, false, S("") },
                { S("version: STSv1\nmode: enforce\nmax_age: 10\n"), false, false,
                  S("") }, /* nobody would do */
                { S("version: STSv1\nmode: enforce\nmx: a b\nmax_age: 10\n"), false, false, S("") },
                { S("version: STSv2\nmode: enforce\nmx: a\nmax_age: 10\n"), false, false, S("") },
                { S("version: STSv1\nmode: often\nmx: a\nmax_age: 10\n"), false, false, S("") },
                { S("version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n"), false, false, S("") },
                { S("version: STSv1\nmode: enforce\nmx: a\n"), false, false, S("") },
                { S("version: STSv1\nmode: enforce\nmode: none\nversion: STSv2\nmx: a\nmax_age: 9\nmax_age: "
                    "x\n"),
                  true, true, S("a") }, /* the first of each */
                { S("version: STSv1\nmode: often\nmode: enforce\nmx: a\nmax_age: 9\n"), false, false, S("") },
                { S("<html>"), false, false, S("") },
                { S(""), false, false, S("") },
        };
        struct sts_policy p;

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++) {
                assert_int_equal(sts_read(list[i].text, &arena, &p), list[i].good);
                if (!list[i].good)
                        continue;
                assert_int_equal(p.enforce, list[i].enforce);
                assert_str(p.patterns, list[i].patterns);
        }
        assert_true(sts_read(S("version: STSv1\nmode: none\nmax_age: 99999999999\n"), &arena, &p));
        assert_int_equal(p.max_age, 31557600);
}

static void one_label_for_a_star(void **state)
{
        static const struct {
                const char *patterns, *host;
                bool allows;
        } list[] = {
                { "mx.example.org", "MX.example.org", true },
                { "a mx.example.org", "mx.example.org", true },
                { "*.example.org", "mx.example.org", true },
                { "*.example.org", "a.mx.example.org", false },
                { "*.example.org", "example.org", false },
                { "*.example.org", ".example.org", false },
                { "*.example.org", "notexample.org", false },
                { "*", "mx.example.org", false },
                { "mx.*.org", "mx.example.org", false },
                { "", "mx.example.org", false },
                { "mx.example.org", "", false },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++)
                assert_int_equal(sts_allows(str_of(list[i].patterns), str_of(list[i].host)), list[i].allows);
}

static void ids(void **state)
{
        static const struct {
                unsigned n;
                struct str records[2], id;
        } list[] = {
                { 1, { S("\24v=STSv1; id=2016083;") }, S("2016083") },
                { 1, { S("\11v=STSv1; \6 id=20\0016") }, S("206") },
                { 2, { S("\7v=spf1;"), S("\17v=STSv1;id=1;x;") }, S("1") },
                { 2, { S("\16v=STSv1; id=1;"), S("\16v=STSv1; id=2;") }, S("") }, /* which? */
                { 1, { S("\12v=STSv1; x") }, S("") },
                { 1, { S("\24v=STSv1; id=a\"b\x1b[2J") }, S("") },
                { 1, { S("\55v=STSv1; id=012345678901234567890123456789012") }, S("") }, /* 33 */
                { 1, { S("\17v=STSv12; id=1;") }, S("") },
                { 1, { S("\377v=STSv1; id=7") }, S("7") }, /* longer than it is */
                { 1, { S("") }, S("") },
                { 0, { S("") }, S("") },
        };
        auto_buf struct buf many = { 0 };
        struct str record;

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++)
                assert_str(sts_id(list[i].records, list[i].n, &arena), list[i].id);
        buf_init(&many, 100000); /* a record of 30,000 strings costs no memory */
        for (unsigned i = 0; i < 30000; i++)
                buf_puts(&many, S("\1v"));
        record = buf_str(&many);
        assert_null(sts_id(&record, 1, &arena).p);
        assert_true(arena.used < 1 << 20);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_rule_that_fits_counts),
                cmocka_unit_test(nonsense_is_named),
                cmocka_unit_test(policies),
                cmocka_unit_test(one_label_for_a_star),
                cmocka_unit_test(ids),
        };
        int rc;

        arena_init(&arena, 1 << 24);
        rc = cmocka_run_group_tests_name("route", tests, NULL, NULL);
        arena_finish(&arena);
        return rc;
}
