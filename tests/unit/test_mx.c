/* Where mail goes, as DNS says: names on the wire, the order of hosts, what is left out, and which trouble means what. DNS is a table here. */
#include "unit.h"
#include "net/mx.h"
#include <errno.h>
#include <stdio.h>

static struct arena arena;

/* ---- DNS ---- */

static const struct record {
        const char *name;
        enum dns_type type;
        bool fails, no_name, secure;
        const char *canonical;
        unsigned count;
        struct str data[5];
} zone[] = {
        { "order.example", DNS_MX, .secure = true, .count = 4,
          .data = { S("\0\24\1c\7example\0"), S("\0\12\1a\7example\0"), S("\0\12\1b\7example\0"),
                    S("\1\0\1d\7example\0") } },
        { "null.example", DNS_MX, .count = 1, .data = { S("\0\0\0") } },
        { "nullish.example", DNS_MX, .count = 2, .data = { S("\0\0\0"), S("\0\5\1a\7example\0") } },
        { "nonsense.example", DNS_MX, .count = 4,
          .data = { S(""), S("\0"), S("\0\12\77x\0"), S("\0\12\3a b\0") } },
        { "fails.example", DNS_MX, .fails = true },
        { "gone.example", DNS_MX, .no_name = true },
        { "ours.example", DNS_MX, .count = 3,
          .data = { S("\0\12\1a\7example\0"), S("\0\24\2us\7example\0"), S("\0\36\1c\7example\0") } },
        { "best.example", DNS_MX, .count = 2,
          .data = { S("\0\12\2us\7example\0"), S("\0\24\1c\7example\0") } },
        { "equal.example", DNS_MX, .count = 2,
          .data = { S("\0\12\2us\7example\0"), S("\0\12\1c\7example\0") } },
        { "a.example", DNS_A, .secure = true, .count = 3,
          .data = { S("\300\0\2\1"), S("\300\0\2\2"), S("short") } },
        { "a.example", DNS_AAAA, .secure = true, .canonical = "real.example", .count = 1,
          .data = { S("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1") } },
        { "half.example", DNS_A, .secure = true, .count = 1, .data = { S("\300\0\2\1") } },
        { "half.example", DNS_AAAA, .fails = true },
        { "dead.example", DNS_A, .fails = true },
        { "unsigned.example", DNS_A, .count = 1, .data = { S("\300\0\2\1") } },
};

enum { CROWD = 200 };

/* The worst first, and ourselves among the last. */
static void crowd(struct arena *a, struct dns_answer *out)
{
        out->exists = true;
        out->data = arena_array(a, struct str, CROWD);
        for (unsigned i = 0; i < CROWD; i++) {
                unsigned preference = CROWD - i;
                const char *name = preference == 20 ? "\2us" : "\2mx";

                out->data[out->count++] = arena_printf(a, "%c%c%s%c%c", 1, preference, name, 7, 'e');
                out->data[i] = arena_printf(a, PRS "xample", STR(out->data[i]));
                out->data[i].n++; /* and the end of the name, which is the NUL */
        }
}

int dns_ask(struct dns *d, struct str name, enum dns_type type, nsec deadline, struct arena *a,
            struct dns_answer *out, struct str *why)
{
        (void)d, (void)deadline;
        *out = (struct dns_answer){ .secure = true, .canonical = name };
        if (str_eq(name, S("crowd.example")) && type == DNS_MX) {
                crowd(a, out);
                return 0;
        }
        for (size_t i = 0; i < LENGTH(zone); i++) {
                const struct record *r = &zone[i];

                if (!str_eq(str_of(r->name), name) || r->type != type)
                        continue;
                *why = S("SERVFAIL");
                if (r->fails)
                        return -EAGAIN;
                out->no_name = r->no_name;
                out->exists = r->count > 0;
                out->secure = r->secure;
                if (r->canonical)
                        out->canonical = str_of(r->canonical);
                out->count = r->count;
                out->data = arena_array(a, struct str, r->count);
                for (unsigned k = 0; k < r->count; k++)
                        out->data[k] = r->data[k];
        }
        return 0;
}

static bool is_us(void *context, struct str host)
{
        (void)context;
        return str_ieq(host, S("us.example"));
}

static struct mx m;
static struct str why;

static int find(const char *domain)
{
        return mx_find(NULL, str_of(domain), is_us, NULL, 0, &arena, &m, &why);
}

/* ---- the tests ---- */

static void names_on_the_wire(void **state)
{
        static const struct {
                struct str wire, name;
                size_t left;
                bool good;
        } list[] = {
                { S("\0"), S(""), 0, true },       { S("\2MX\7Example\0rest"), S("mx.example"), 4, true },
                { S(""), S(""), 0, false },        { S("\3ab"), S(""), 0, false },
                { S("\2ab"), S(""), 0, false },    /* no end */
                { S("\300\14"), S(""), 0, false }, /* a pointer */
                { S("\3a.b\0"), S(""), 0, false }, { S("\3a\0b\0"), S(""), 0, false },
                { S("\3a b\0"), S(""), 0, false }, { S("\3a\377b\0"), S(""), 0, false },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++) {
                struct str rest = list[i].wire, name = dns_name(&arena, &rest);

                assert_int_equal(name.p != NULL, list[i].good);
                if (!name.p)
                        continue;
                assert_str(name, list[i].name);
                assert_int_equal(rest.n, list[i].left);
        }
}

static void the_best_first_and_equals_in_turn(void **state)
{
        bool a_first = false, b_first = false;

        (void)state;
        for (int i = 0; i < 200; i++) {
                assert_int_equal(find("order.example"), 0);
                assert_int_equal(m.count, 4);
                assert_true(m.secure && !m.implicit && !m.null && !m.myself);
                a_first |= str_eq(m.hosts[0].name, S("a.example"));
                b_first |= str_eq(m.hosts[0].name, S("b.example"));
                assert_int_equal(m.hosts[0].preference, 10);
                assert_int_equal(m.hosts[1].preference, 10);
                assert_str(m.hosts[2].name, S("c.example"));
                assert_str(m.hosts[3].name, S("d.example"));
                assert_int_equal(m.hosts[3].preference, 256);
        }
        assert_true(a_first && b_first);
        assert_int_equal(find("crowd.example"),
                         0); /* behind ourselves there is no way, wherever we stand in the answer */
        assert_true(m.myself && m.count == 19);
        for (unsigned i = 0; i < m.count; i++)
                assert_int_equal(m.hosts[i].preference, 256 + 1 + i);
}

static void what_else_dns_may_say(void **state)
{
        (void)state;
        assert_int_equal(find("null.example"), 0);
        assert_true(m.null && !m.count);
        assert_int_equal(find("nullish.example"), 0); /* RFC 7505 §3: only alone it is one */
        assert_true(!m.null && m.count == 1);
        assert_int_equal(find("nonsense.example"), -ENOENT);
        assert_int_equal(find("fails.example"), -EAGAIN);
        assert_int_equal(find("gone.example"), -ENOENT);
        assert_int_equal(find("a.example"), 0);
        assert_true(m.implicit && m.count == 1);
        assert_str(m.hosts[0].name, S("a.example"));
}

static void ourselves_and_worse_are_left_out(void **state)
{
        (void)state;
        assert_int_equal(find("ours.example"), 0);
        assert_true(m.myself && m.count == 1);
        assert_str(m.hosts[0].name, S("a.example"));
        assert_int_equal(find("best.example"), 0);
        assert_true(m.myself && !m.count);
        assert_int_equal(find("equal.example"), 0);
        assert_true(m.myself && !m.count);
        assert_int_equal(find("us.example"), 0);
        assert_true(m.myself && !m.count);
}

static void addresses_in_turn(void **state)
{
        struct mx_host h = { .name = S("a.example") };

        (void)state;
        assert_int_equal(mx_addresses(NULL, &h, 0, &arena, &why), 0);
        assert_int_equal(h.count, 3);
        assert_string_equal(addr_text(h.addresses[0]).z, "2001:db8::1");
        assert_string_equal(addr_text(h.addresses[1]).z, "192.0.2.1");
        assert_string_equal(addr_text(h.addresses[2]).z, "192.0.2.2");
        assert_true(h.secure);
        assert_str(h.canonical, S("a.example"));
        h = (struct mx_host){ .name = S("half.example") };
        assert_int_equal(mx_addresses(NULL, &h, 0, &arena, &why), 0);
        assert_int_equal(h.count, 1);
        h = (struct mx_host){ .name = S("dead.example") };
        assert_int_equal(mx_addresses(NULL, &h, 0, &arena, &why), -EAGAIN);
        h = (struct mx_host){ .name = S("none.example") };
        assert_int_equal(mx_addresses(NULL, &h, 0, &arena, &why), -ENOENT);
        h = (struct mx_host){ .name = S("unsigned.example") };
        assert_int_equal(mx_addresses(NULL, &h, 0, &arena, &why), 0);
        assert_false(h.secure);
}

static void literals(void **state)
{
        (void)state;
        assert_int_equal(find("[192.0.2.7]"), 0);
        assert_int_equal(m.count, 1);
        assert_string_equal(addr_text(m.hosts[0].addresses[0]).z, "192.0.2.7");
        assert_int_equal(mx_addresses(NULL, &m.hosts[0], 0, &arena, &why), 0);
        assert_int_equal(find("[IPv6:2001:db8::7]"), 0);
        assert_string_equal(addr_text(m.hosts[0].addresses[0]).z, "2001:db8::7");
        assert_int_equal(find("[nonsense]"), -ENOENT);
        assert_int_equal(find("[]"), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_on_the_wire),     cmocka_unit_test(the_best_first_and_equals_in_turn),
                cmocka_unit_test(what_else_dns_may_say), cmocka_unit_test(ourselves_and_worse_are_left_out),
                cmocka_unit_test(addresses_in_turn),     cmocka_unit_test(literals),
        };
        int rc;

        arena_init(&arena, 1 << 24);
        rc = cmocka_run_group_tests_name("mx", tests, NULL, NULL);
        arena_finish(&arena);
        return rc;
}
