#include "unit.h"
#include "base/codec.h"
#include "mail/address.h"

static struct arena mem;

static int begin(void **state)
{
        (void)state;
        arena_init(&mem, 64 * 1024 * 1024);
        return 0;
}

static int end(void **state)
{
        (void)state;
        arena_finish(&mem);
        return 0;
}

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L60 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb."

/* normal NULL: refused. left: what the path leaves for the parameters. */
static void paths(void **state)
{
        static const struct {
                const char *in, *normal, *text, *left;
                bool forward;
        } rows[] = {
                { "<jack@town.com>", "jack@town.com", "jack@town.com", "", false },
                { " <Jack@Town.COM> SIZE=10", "Jack@town.com", "Jack@Town.COM", " SIZE=10", false },
                { "<>", "", "", "", false },
                { "<> BODY=8BITMIME", "", "", " BODY=8BITMIME", false },
                { "<>", NULL, NULL, NULL, true },
                { "jack@town.com", "jack@town.com", "jack@town.com", "", false },
                { "jack@town.com SIZE=1", "jack@town.com", "jack@town.com", " SIZE=1", false },
                { "<@a.test,@b.test:jill@hill.com>", "jill@hill.com", "jill@hill.com", "", true },
                { "<@[127.0.0.1]:jill@hill.com>", "jill@hill.com", "jill@hill.com", "", true },
                { "<Postmaster>", "Postmaster", "Postmaster", "", true },
                { "<Postmaster>", NULL, NULL, NULL, false },
                { "<jill>", NULL, NULL, NULL, true },
                { "<\"jack doe\"@town.com>", "\"jack doe\"@town.com", "\"jack doe\"@town.com", "", false },
                { "<\"j\\ack\"@town.com>", "jack@town.com", "\"j\\ack\"@town.com", "", false },
                { "<\"a\\\"@\\\\\"@town.com>", "\"a\\\"@\\\\\"@town.com", "\"a\\\"@\\\\\"@town.com", "",
                  false },
                { "<\"a>b\"@town.com>", "\"a>b\"@town.com", "\"a>b\"@town.com", "", false },
                { "<\"\"@town.com>", NULL, NULL, NULL, true },
                { "<\"jack", NULL, NULL, NULL, true },
                { "<\"jack\\", NULL, NULL, NULL, true },
                { "<\"ja\nck\"@town.com>", NULL, NULL, NULL, true },
                { "<jack@[127.0.0.1]>", "jack@[127.0.0.1]", "jack@[127.0.0.1]", "", true },
                { "<jack@[IPv6:FE80::1]>", "jack@[ipv6:fe80::1]", "jack@[IPv6:FE80::1]", "", true },
                { "<jack@[x-net:what]>", "jack@[x-net:what]", "jack@[x-net:what]", "", true },
                { "<jack@[127.0.0.256]>", NULL, NULL, NULL, true },
                { "<jack@[IPv6:zz]>", NULL, NULL, NULL, true },
                { "<jack@[]>", NULL, NULL, NULL, true },
                { "<jack@[127.0.0.1>", NULL, NULL, NULL, true },
                { "<jack@>", NULL, NULL, NULL, true },
                { "<@town.com>", NULL, NULL, NULL, true },
                { "<jack@town..com>", NULL, NULL, NULL, true },
                { "<jack@town.com.>", NULL, NULL, NULL, true },
                { "<jack@-town.com>", NULL, NULL, NULL, true },
                { "<ja..ck@town.com>", NULL, NULL, NULL, true },
                { "<jack.@town.com>", NULL, NULL, NULL, true },
                { "<jack@town.com", NULL, NULL, NULL, true },
                { "<jack@town.com>x", NULL, NULL, NULL, true },
                { "<ja ck@town.com>", NULL, NULL, NULL, true },
                { "<a@b@town.com>", NULL, NULL, NULL, true },
                { "", NULL, NULL, NULL, true },
                { "<j\xc3\xb6rg@b\xc3\xbc"
                  "cher.de>",
                  "j\xc3\xb6rg@xn--bcher-kva.de", NULL, "", false },
                { "<jack@B\xc3\x9c"
                  "CHER.de>",
                  "jack@xn--bcher-kva.de", NULL, "", false },
                { "<jack@XN--Bcher-KVA.de>", "jack@xn--bcher-kva.de", NULL, "", false },
                { "<j\xc3@town.com>", NULL, NULL, NULL, false },
                { "<" A64 "@town.com>", A64 "@town.com", NULL, "", true },
                { "<a" A64 "@town.com>", "a" A64 "@town.com", NULL, "", true }, /* SRS and VERP make such */
                { "<\"a" A64 "\"@town.com>", "a" A64 "@town.com", NULL, "", true },
                { "<" A64 A64 A64 L60 "@b>", NULL, NULL, NULL, true },
                { "<\"" A64 A64 A64 A64 "\"@b>", NULL, NULL, NULL, true },
                { "<a@" L60 L60 L60 L60 "example>", "a@" L60 L60 L60 L60 "example", NULL, "", true },
                { "<abc@" L60 L60 L60 L60 "example.com>", NULL, NULL, NULL, true },
                { "<a@" A64 ".com>", NULL, NULL, NULL, true },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct scan a = scan_of(str_of(rows[i].in));
                struct path p = rows[i].forward ? scan_forward_path(&a, &mem) : scan_reverse_path(&a, &mem);
                struct str normal;

                if (!rows[i].normal) {
                        if (!a.bad)
                                fail_msg("accepted: %s", rows[i].in);
                        assert_int_equal(p.local.n + p.domain.n + p.text.n, 0);
                        continue;
                }
                if (a.bad)
                        fail_msg("%s: %s", rows[i].in, a.why);
                assert_true(address_normal(&mem, &p, &normal));
                assert_str(normal, str_of(rows[i].normal));
                if (rows[i].text)
                        assert_str(p.text, str_of(rows[i].text));
                assert_str(scan_rest(&a), str_of(rows[i].left));
                assert_int_equal(p.null, !rows[i].normal[0]);
                assert_int_equal(p.utf8, !ascii_only(p.text));
        }
}

static void address_forms(void **state)
{
        struct str local, domain, key;
        struct path p;

        (void)state;
        assert_true(address_parse(&mem, S("\"Jack\"@Town.com"), &p));
        assert_str(p.local, S("Jack"));
        assert_true(address_key(&mem, &p, &key));
        assert_str(key, S("jack@town.com"));
        assert_true(address_parse(&mem, S("\"a@b\"@Town.com"), &p));
        assert_true(address_key(&mem, &p, &key));
        assert_true(address_split(key, &local, &domain));
        assert_str(local, S("\"a@b\""));
        assert_str(domain, S("town.com"));
        assert_false(address_split(S("postmaster"), &local, &domain));
        assert_str(address_write(&mem, S(""), S("x")), S("\"\"@x"));
        assert_false(address_parse(&mem, S("jack@town.com "), &p));
        assert_false(address_parse(&mem, S("<jack@town.com>"), &p));
        assert_false(address_parse(&mem, S("postmaster"), &p));
        assert_true(
            address_parse(&mem, S("jack@\xe2\x80\x8b.com"), &p)); /* a space without width is no name */
        assert_false(address_key(&mem, &p, &key));
}

static void parameters(void **state)
{
        struct scan a = scan_of(S(" SIZE=1000 body=8BITMIME  SMTPUTF8 AUTH=<> ORCPT=rfc822;a+2Bb@c "));
        struct str key, value;
        static const char *const want[][2] = { { "SIZE", "1000" },
                                               { "body", "8BITMIME" },
                                               { "SMTPUTF8", "" },
                                               { "AUTH", "<>" },
                                               { "ORCPT", "rfc822;a+2Bb@c" } };
        static const char *const bad[] = { "X", " -X=1", " X=", " X=a\tb", " =1", " X=a\"b\x7f", " X=\xff" };

        (void)state;
        for (size_t i = 0; i < LENGTH(want); i++) {
                assert_true(scan_parameter(&a, &key, &value));
                assert_str(key, str_of(want[i][0]));
                assert_str(value, str_of(want[i][1]));
        }
        assert_false(scan_parameter(&a, &key, &value));
        assert_true(scan_done(&a));
        for (size_t i = 0; i < LENGTH(bad); i++) {
                a = scan_of(str_of(bad[i]));
                while (scan_parameter(&a, &key, &value))
                        ;
                assert_true(a.bad);
        }
}

static void xtext(void **state)
{
        static const char *const bad[] = { "+", "+2", "+2b", "a=b", "a b", "+GG", "\x80" };
        auto_buf struct buf b, back;

        (void)state;
        buf_init(&b, 100);
        buf_init(&back, 100);
        assert_true(xtext_put(&b, S("a+b=c d\xff\n")));
        assert_str(buf_str(&b), S("a+2Bb+3Dc+20d+FF+0A"));
        assert_true(xtext_get(&back, buf_str(&b)));
        assert_str(buf_str(&back), S("a+b=c d\xff\n"));
        for (size_t i = 0; i < LENGTH(bad); i++)
                assert_false(xtext_get(&back, str_of(bad[i])));
}

/* Written out as name|local@domain; "[name" and "]" for groups, "!" before what is no address. */
static struct str listed(struct str raw)
{
        static struct buf out;
        struct addresses list = addresses_of(raw);
        struct address who;

        if (!out.max)
                buf_init(&out, 64 * 1024);
        buf_clear(&out);
        while (address_next(&list, &mem, &who)) {
                if (out.n)
                        buf_u8(&out, ' ');
                if (who.kind == ADDRESS_GROUP)
                        buf_printf(&out, "[" PRS, STR(who.name));
                else if (who.kind == ADDRESS_GROUP_END)
                        buf_u8(&out, ']');
                else
                        buf_printf(&out, "%s" PRS "%s" PRS "@" PRS, who.kind == ADDRESS_BAD ? "!" : "",
                                   STR(who.name), who.has_name ? "|" : "", STR(who.local), STR(who.domain));
        }
        return buf_str(&out);
}

static void address_lists(void **state)
{
        static const char *const rows[][2] = {
                /* RFC 5322 appendix A */
                { "John Doe <jdoe@machine.example>", "John Doe|jdoe@machine.example" },
                { "\"Joe Q. Public\" <john.q.public@example.com>",
                  "Joe Q. Public|john.q.public@example.com" },
                { "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
                  "Mary Smith|mary@x.test jdoe@example.org Who?|one@y.test" },
                { "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
                  "boss@nil.test Giant; \"Big\" Box|sysservices@example.net" },
                { "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
                  "[A Group Ed Jones|c@a.test joe@where.test John|jdoe@one.test ]" },
                { "Undisclosed recipients:;", "[Undisclosed recipients ]" },
                { "\"Mary Smith: Personal Account\" <smith@home.example>",
                  "Mary Smith: Personal Account|smith@home.example" },
                { "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete@silly.test" },
                { "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n"
                  "         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the "
                  "group)",
                  "[A Group Chris Jones|c@public.example joe@example.org John|jdoe@one.test ]" },
                { "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "[Hidden recipients ]" },
                { "Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|john.q.public@example.com" },
                { "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
                  "Mary Smith|mary@example.net jdoe@test.example" },
                { "John Doe <jdoe@machine(comment).  example>", "John Doe|jdoe@machine.example" },
                { "Mary Smith\r\n  \r\n          <mary@example.net>", "Mary Smith|mary@example.net" },
                /* what else is met */
                { "jack@town.com (Jack)", "Jack|jack@town.com" },
                { "<jack@town.com> (Jack (the boy\\))) x", "!jack@town.com" },
                { "jack@town.com <jack@town.com>", "jack@town.com|jack@town.com" },
                { "\"\" <jack@town.com>", "|jack@town.com" },
                { "\"jack doe\"@town.com", "jack doe@town.com" },
                { "=?utf-8?q?J=C3=B6rg?= <j@town.com>", "=?utf-8?q?J=C3=B6rg?=|j@town.com" },
                { "a@x; b@y", "a@x b@y" },
                { "Friends: a@x, b@y", "[Friends a@x b@y ]" },
                { "jack@[127.0.0.1]", "jack@[127.0.0.1]" },
                { "jack", "!jack@" },
                { "<>", "!@" },
                { "<jack@town.com", "!jack@town.com" },
                { "<jack@town.com> <evil@x>", "!jack@town.com" },
                { "a b@town.com", "!ab@town.com" },
                { "\"a\"b@town.com", "!ab@town.com" },
                { "a@b@town.com", "!a@b@town.com" },
                { "jack@\"town.com\"", "!jack@\"town.com\"" },
                { "jack@", "!jack@" },
                { "@town.com", "!@town.com" },
                { "(jack\\", "" },
                { "\"jack\\", "!jack\\@" },
                { ",,;,", "" },
                { "", "" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_str(listed(str_of(rows[i][0])), str_of(rows[i][1]));
}

/* CVE-2024-23184: huge numbers of addresses. */
static void many_addresses(void **state)
{
        auto_buf struct buf b;
        struct addresses list;
        struct address who;
        unsigned n = 0;

        (void)state;
        buf_init(&b, 1 << 20);
        for (int i = 0; i < 100000; i++)
                buf_puts(&b, S("a@b,"));
        list = addresses_of(buf_str(&b));
        while (address_next(&list, &mem, &who))
                n++;
        assert_int_equal(n, ADDRESSES_MAX);
        assert_true(list.cut);
}
int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths), cmocka_unit_test(address_forms), cmocka_unit_test(parameters),
                cmocka_unit_test(xtext), cmocka_unit_test(address_lists), cmocka_unit_test(many_addresses),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
