/* IMAP's grammar on single arguments (RFC 9051 §9), and mailbox names in modified UTF-7. Without a connection the text of a literal
 * stands behind its head. */
#include "proto/imap/imap.h"
#include "proto/imap/utf7.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct imap imap = { .session.state = IMAP_SIGNED_IN };
static struct session *const s = &imap.session;

static int fresh(void **state)
{
        (void)state;
        arena_finish(&s->command);
        arena_init(&s->command, 8 << 20);
        imap.literals = 0;
        imap.enabled = 0;
        return 0;
}

static int finish(void **state)
{
        (void)state;
        arena_finish(&s->command);
        return 0;
}

static void is(struct str got, struct str wanted)
{
        if (!str_eq(got, wanted))
                fail_msg("got \"" PRS "\", not \"" PRS "\"", STR(got), STR(wanted));
}

static void strings(void **state)
{
        static const struct {
                struct str in, out;
                bool good;
        } table[] = {
                { S("INBOX"), S("INBOX"), true },
                { S("a]b"), S("a]b"), true }, /* ASTRING-CHAR, not ATOM-CHAR */
                { S("\"\""), S(""), true },
                { S("\"a \\\"b\\\\\""), S("a \"b\\"), true },
                { S("\"a"), S(""), false },
                { S("\"a\\\""), S(""), false },
                { S("{3}\r\na\rb"), S("a\rb"), true },
                { S("{3+}\r\nabc"), S("abc"), true },
                { S("~{2}\r\n\0a"), S("\0a"), true },
                { S("{4}\r\nabc"), S(""), false },
                { S("{99999999999999999999}\r\nabc"), S(""), false },
                { S("{524289}\r\nabc"), S(""), false },
                { S("{-1}\r\n"), S(""), false },
                { S("{1 }\r\nx"), S(""), false },
                { S(""), S(""), false },
                { S("(a"), S(""), false },
                { S("a*"), S("a"), false }, /* something is left */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
                struct scan a = scan_of(table[i].in);
                struct str got = imap_astring(s, &a);

                if (scan_done(&a) != table[i].good)
                        fail_msg("%zu: " PRS ": %s", i, STR(table[i].in), a.why ? a.why : "taken");
                if (table[i].good)
                        is(got, table[i].out);
        }
}

static void nstrings(void **state)
{
        struct scan a = scan_of(S("NIL nil \"NIL\" x"));

        (void)state;
        assert_null(imap_nstring(s, &a).p);
        imap_sp(&a);
        assert_null(imap_nstring(s, &a).p);
        imap_sp(&a);
        is(imap_nstring(s, &a), S("NIL"));
        imap_sp(&a);
        imap_nstring(s, &a);
        assert_true(a.bad);
}

static void literal_floods(void **state)
{
        struct buf b auto_buf;
        struct scan a;

        (void)state;
        buf_init(&b, 4 << 20);
        for (int i = 0; i < 10; i++) {
                buf_puts(&b, S("{100000}\r\n"));
                for (int k = 0; k < 10000; k++)
                        buf_puts(&b, S("0123456789"));
        }
        a = scan_of(buf_str(&b));
        for (int i = 0; i < 5; i++)
                assert_int_equal(imap_astring(s, &a).n, 100000);
        imap_astring(s, &a);
        assert_true(a.bad); /* 512 KB a command, not more */
        assert_true(str_starts(str_of(a.why), S("[TOOBIG]")));
}

static void names(void **state)
{
        static const struct {
                struct str in, out;
                bool good;
        } table[] = {
                { S("inbox"), S("INBOX"), true },
                { S("inbox/a"), S("INBOX/a"), true },
                { S("inboxes"), S("inboxes"), true },
                { S("&U,BTFw-"), S("\xe5\x8f\xb0\xe5\x8c\x97"), true }, /* RFC 3501's */
                { S("\"Entw&APw-rfe\""), S("Entw\xc3\xbcrfe"), true },
                { S("a&-b"), S("a&b"), true },
                { S("&2D3cAA-"), S("\xf0\x9f\x90\x80"), true }, /* beyond the BMP */
                { S("&"), S(""), false },
                { S("&APw"), S(""), false },
                { S("&AGE-"), S(""), false },      /* an 'a' must stand for itself */
                { S("&APx-"), S(""), false },      /* bits left over */
                { S("&U,A-&TFw-"), S(""), false }, /* two runs: a second spelling */
                { S("&2D0-"), S(""), false },      /* half a surrogate pair */
                { S("&3AA-"), S(""), false },
                { S("&!!!!-"), S(""), false },
                { S("&AAA-"), S(""), false }, /* NUL */
                { S("\"Entw\xc3\xbcrfe\""), S("Entw\xc3\xbcrfe"), true },
                { S("\"\xff\""), S(""), false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
                struct scan a = scan_of(table[i].in);
                struct str got = imap_mailbox(s, &a);
                auto_buf struct buf b = { 0 };

                if (scan_done(&a) != table[i].good)
                        fail_msg("%zu: " PRS ": %s", i, STR(table[i].in), a.why ? a.why : "taken");
                if (!table[i].good)
                        continue;
                is(got, table[i].out);
                buf_init(&b, 1000); /* and back */
                put_mailbox(&b, got, 0);
                a = scan_of(buf_str(&b));
                is(imap_mailbox(s, &a), got);
        }
}

/* Eight characters become nine bytes. */
static void names_that_grow(void **state)
{
        auto_buf struct buf name = { 0 }, utf8 = { 0 };
        struct scan a;

        (void)state;
        buf_init(&name, 4096);
        buf_init(&utf8, 4096);
        buf_puts(&name, S("&"));
        for (unsigned i = 0; i < 100; i++) {
                buf_puts(&name, S("U,BTF1Pw"));
                buf_puts(&utf8, S("\xe5\x8f\xb0\xe5\x8c\x97\xe5\x8f\xb0"));
        }
        buf_puts(&name, S("-"));
        a = scan_of(buf_str(&name));
        is(imap_mailbox(s, &a), buf_str(&utf8));
        assert_true(scan_done(&a));
}

static void written(void **state)
{
        struct buf b auto_buf;
        static const struct keyword_list k = { .bits = 1 << 8 | 1 << 10,
                                               .names = { [8] = S("$Forwarded"), [10] = S("Work") } };
        struct uid_list l = { 0 };

        (void)state;
        buf_init(&b, 4096);
        put_string(&b, S("a\"b\\"), 0);
        buf_puts(&b, S(" "));
        put_string(&b, S("\xc3\xbc"), 0);
        buf_puts(&b, S(" "));
        put_string(&b, S("\xc3\xbc"), MODE_UTF8);
        buf_puts(&b, S(" "));
        put_nstring(&b, (struct str){ 0 }, 0);
        buf_puts(&b, S(" "));
        put_astring(&b, S("NIL"), 0);
        put_astring(&b, S(""), 0);
        put_flags(&b, FLAG_SEEN | FLAG_DRAFT | 1 << 10 | 1 << 11, true, &k);
        put_date_time(&b, 760423945000000); /* 5 Feb 1994 */
        uid_list_add(&l, 1, 3);
        uid_list_add(&l, 7, 7);
        put_uids(&b, &l);
        uid_list_free(&l);
        is(buf_str(&b),
           S("\"a\\\"b\\\\\" {2}\r\n\xc3\xbc \"\xc3\xbc\" NIL \"NIL\"\"\"(\\Seen \\Draft \\Recent Work)"
             "\" 5-Feb-1994 04:52:25 +0000\"1:3,7"));
}

static void dates(void **state)
{
        static const struct {
                struct str in;
                int64_t seconds;
                bool good;
        } table[] = {
                { S("\"05-Feb-1994 05:52:25 +0000\""), 760427545, true },
                { S("\" 5-Feb-1994 06:52:25 +0100\""), 760427545, true },
                { S("\"29-Feb-2024 00:00:00 -0800\""), 1709193600, true },
                { S("\"29-Feb-2023 00:00:00 +0000\""), 0, false },
                { S("\"01-Jan-1970 24:00:00 +0000\""), 0, false },
                { S("\"01-Jan-1970 00:00:00\""), 0, false },
                { S("\"1-Foo-1970 00:00:00 +0000\""), 0, false },
                { S("\"01-Jan-70 00:00:00 +0000\""), 0, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
                struct scan a = scan_of(table[i].in);
                int64_t got = imap_date_time(&a);

                if (scan_done(&a) != table[i].good)
                        fail_msg("%zu: " PRS ": %s", i, STR(table[i].in), a.why ? a.why : "taken");
                if (table[i].good)
                        assert_int_equal(got, table[i].seconds * 1000000);
        }
}

static void flags(void **state)
{
        struct imap_flags f;
        struct scan a = scan_of(S("(\\seen \\Deleted $Junk work Work \\Recent)"));

        (void)state;
        imap_flag_list(s, &a, &f);
        assert_true(scan_done(&a));
        assert_int_equal(f.system, FLAG_SEEN | FLAG_DELETED);
        assert_int_equal(f.n, 2);
        is(f.keywords[1], S("work"));
        a = scan_of(S("\\Answered x"));
        imap_flags(s, &a, &f);
        assert_true(scan_done(&a));
        a = scan_of(S("(\\Foo)"));
        imap_flag_list(s, &a, &f);
        assert_true(a.bad);
        a = scan_of(S(""));
        imap_flags(s, &a, &f);
        assert_true(a.bad);
        a = scan_of(S("()"));
        imap_flags(s, &a, &f);
        assert_true(scan_done(&a));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(strings, fresh),         cmocka_unit_test_setup(nstrings, fresh),
                cmocka_unit_test_setup(literal_floods, fresh),  cmocka_unit_test_setup(names, fresh),
                cmocka_unit_test_setup(names_that_grow, fresh), cmocka_unit_test_setup(written, fresh),
                cmocka_unit_test_setup(dates, fresh),           cmocka_unit_test_setup(flags, fresh),
        };

        return cmocka_run_group_tests(tests, NULL, finish);
}
