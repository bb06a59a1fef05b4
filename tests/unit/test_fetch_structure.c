/* ENVELOPE, BODY and BODYSTRUCTURE from a packed structure, without a server. */
#include "mail/address.h"
#include "fetch_unit.h"

/* --- ENVELOPE --- */
static const struct {
        const char *header, *envelope;
} envelopes[] = {
        { "From: Jack <jack@town.com>\r\nTo: jill@hill.com\r\nSubject: A pail of water\r\nDate: Fri, 20 Nov "
          "2026 "
          "09:00:00 +0000\r\nMessage-ID: <1@town.com>\r\nIn-Reply-To: <0@hill.com>\r\n\r\nx",
          "(\"Fri, 20 Nov 2026 09:00:00 +0000\" \"A pail of water\" ((\"Jack\" NIL \"jack\" \"town.com\")) "
          "((\"Jack\" NIL "
          "\"jack\" \"town.com\")) ((\"Jack\" NIL \"jack\" \"town.com\")) ((NIL NIL \"jill\" \"hill.com\")) "
          "NIL NIL "
          "\"<0@hill.com>\" \"<1@town.com>\")" },
        { "", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
        { "Subject:\r\nFrom:\r\nSender: a@b\r\nReply-To: (nobody)\r\nTo: ,\r\n\r\n",
          "(NIL \"\" NIL ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL NIL)" },
        { "From: a@b\r\nSender:\r\n\r\n", "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL "
                                          "NIL \"a\" \"b\")) NIL NIL NIL NIL NIL)" },
        { "To: undisclosed-recipients:;\r\nCc: A Group:Ed Jones <joe@where.test>,john@one.test;, x@y\r\n\r\n",
          "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) ((NIL NIL \"A "
          "Group\" "
          "NIL)(\"Ed Jones\" NIL \"joe\" \"where.test\")(NIL NIL \"john\" \"one.test\")(NIL NIL NIL NIL)(NIL "
          "NIL "
          "\"x\" \"y\")) NIL NIL NIL)" },
        { "From: \"Quoted, \\\"Name\\\"\" <\"odd local\"@b>\r\nTo: jack (Jack of the hill), nobody\r\n\r\n",
          "(NIL NIL ((\"Quoted, \\\"Name\\\"\" NIL \"odd local\" \"b\")) ((\"Quoted, \\\"Name\\\"\" NIL "
          "\"odd local\" "
          "\"b\")) ((\"Quoted, \\\"Name\\\"\" NIL \"odd local\" \"b\")) ((\"Jack of the hill\" NIL \"jack\" "
          "\"\")(NIL NIL "
          "\"nobody\" \"\")) NIL NIL NIL NIL)" },
        { "Subject: =?utf-8?q?as_it_is?=\r\n folded\r\nTo: =?utf-8?b?SmlsbA==?= <jill@hill.com>\r\n\r\n",
          "(NIL \"=?utf-8?q?as_it_is?= folded\" NIL NIL NIL ((\"=?utf-8?b?SmlsbA==?=\" NIL \"jill\" "
          "\"hill.com\")) NIL NIL "
          "NIL NIL)" },
        { "Subject: caf\xc3\xa9\r\nTo: \xff <a@b>\r\n\r\n",
          "(NIL {5}\r\ncaf\xc3\xa9 NIL NIL NIL (({1}\r\n\xff NIL \"a\" \"b\")) NIL NIL NIL NIL)" },
        { "Subject: a \"quote\" and a \\\r\nFrom: <@route.test:a@b>\r\n\r\n",
          "(NIL \"a \\\"quote\\\" and a \\\\\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL "
          "\"a\" \"b\")) NIL NIL "
          "NIL NIL NIL)" },
};

static void test_envelopes(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof envelopes / sizeof *envelopes; i++) {
                pack(str_of(envelopes[i].header));
                assert_int_equal(put_letter_envelope(&w, buf_str(&packed)), FETCH_MADE);
                says(envelopes[i].envelope);
                assert_null(envelope_wrong(buf_str(&out)));
        }
        pack(S("Subject: caf\xc3\xa9\r\n\r\n"));
        w.mode = MODE_UTF8;
        put_letter_envelope(&w, buf_str(&packed));
        says("(NIL \"caf\xc3\xa9\" NIL NIL NIL NIL NIL NIL NIL NIL)");
        w.mode = 0;
}

/* The short way of addresses gives what the long way gives, which a comma in front makes it take. */
static void test_addresses_both_ways(void **state)
{
        static const char *const lists[] = {
                "a@b",
                "Jack <jack@town.com>, Jill of the Hill <jill@hill.com>",
                "\"Doe, John\" <j.d@x.test>,b@c",
                "\"\" <a@b>",
                "<a@b>",
                "<a@b> , c@d",
                "J. R. \"Bob\" Dobbs <bob@x>",
                "two  spaces <a@b>",
                "tab\there <a@b>",
                "a..b@c",
                "a@b.",
                ".a@b",
                "a@b c",
                "a b@c",
                "a@[1.2.3.4]",
                "a",
                "a,",
                "a@b,",
                "a@b,,c@d",
                "<>",
                "< a@b >",
                "A <a@b",
                "A <a@b> trailing",
                "\"unclosed <a@b>",
                "\"x\"y <a@b>",
                "\"x\" y <a@b>",
                "\"x\"  <a@b>",
                "x; y@z",
                "g: a@b;",
                "=?utf-8?q?x?= <a@b>",
                "\"a\\\\b\" <a@b>",
                "o'neil+tag@x-y.z",
                "A<a@b>",
                "A <a@b>,B<c@d>,e@f",
                "a@b@c",
                "a @b",
                "A (c) <a@b>",
        };
        struct str want;

        (void)state;
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
                struct str field = arena_printf(&imap.session.command, "To: ,%s\r\n\r\n", lists[i]);

                pack(field);
                put_letter_envelope(&w, buf_str(&packed));
                want = arena_str(&imap.session.command, buf_str(&out));
                pack(arena_printf(&imap.session.command, "To: %s\r\n\r\n", lists[i]));
                put_letter_envelope(&w, buf_str(&packed));
                says(want.p);
                assert_null(envelope_wrong(buf_str(&out)));
        }
}

/* --- BODY, BODYSTRUCTURE --- */
static const struct {
        const char *letter, *body, *structure;
} structures[] = {
        { "", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)",
          "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)" },
        { "Content-Type: text/html; charset=utf-8\r\n\r\n<p>\r\n</p>\r\n",
          "(\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 11 2)",
          "(\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 11 2 NIL NIL NIL NIL)" },
        { MULTI,
          "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 8 1)(\"image\" \"png\" (\"name\" "
          "\"x y.png\") "
          "\"<i@d>\" \"a picture\" \"base64\" 8)(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 145 (NIL "
          "\"inner\" NIL NIL NIL "
          "NIL NIL NIL NIL NIL) ((\"text\" \"html\" NIL NIL NIL \"7bit\" 3 0)(\"text\" \"plain\" "
          "(\"charset\" \"us-ascii\") "
          "NIL NIL \"7bit\" 5 0) \"alternative\") 11) \"mixed\")",
          "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 8 1 NIL NIL NIL NIL)(\"image\" "
          "\"png\" (\"name\" "
          "\"x y.png\") \"<i@d>\" \"a picture\" \"base64\" 8 \"Q2hlY2s=\" (\"attachment\" (\"filename\" "
          "\"x.png\")) (\"en\" "
          "\"fr\") \"http://x/\")(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 145 (NIL \"inner\" NIL NIL NIL "
          "NIL NIL NIL "
          "NIL NIL) ((\"text\" \"html\" NIL NIL NIL \"7bit\" 3 0 NIL NIL \"de\" NIL)(\"text\" \"plain\" "
          "(\"charset\" "
          "\"us-ascii\") NIL NIL \"7bit\" 5 0 NIL NIL NIL NIL) \"alternative\" (\"boundary\" \"c\") NIL NIL "
          "NIL) 11 NIL "
          "NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)" },
        /* without parts: something plain */
        { "Content-Type: multipart/mixed; boundary=b\r\n\r\nno boundary\r\n",
          "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 13 1)",
          "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 13 1 NIL NIL NIL NIL)" },
        { "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n",
          "(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 18)",
          "(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 18 NIL NIL NIL NIL)" },
        { "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: one\r\n\r\nx\r\n--d--",
          "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"one\" NIL NIL NIL NIL NIL NIL NIL NIL) "
          "(\"text\" "
          "\"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"digest\")",
          "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"one\" NIL NIL NIL NIL NIL NIL NIL NIL) "
          "(\"text\" "
          "\"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) "
          "\"digest\" "
          "(\"boundary\" \"d\") NIL NIL NIL)" },
};

static void holds(struct str letter)
{
        const char *wrong;

        pack(letter);
        for (int extended = 0; extended < 2; extended++) {
                buf_clear(&out);
                assert_int_equal(put_structure(&w, buf_str(&packed), extended), FETCH_MADE);
                assert_false(out.full);
                wrong = structure_wrong(buf_str(&out), extended);
                if (wrong)
                        fail_msg("%s: " PRS, wrong, STR(str_sub(buf_str(&out), 0, 2000)));
        }
        buf_clear(&out);
        assert_int_equal(put_letter_envelope(&w, buf_str(&packed)), FETCH_MADE);
        wrong = envelope_wrong(buf_str(&out));
        if (wrong)
                fail_msg("%s: " PRS, wrong, STR(str_sub(buf_str(&out), 0, 2000)));
}

static void test_structures(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof structures / sizeof *structures; i++) {
                pack(str_of(structures[i].letter));
                assert_int_equal(put_structure(&w, buf_str(&packed), false), FETCH_MADE);
                says(structures[i].body);
                buf_clear(&out);
                assert_int_equal(put_structure(&w, buf_str(&packed), true), FETCH_MADE);
                says(structures[i].structure);
                holds(str_of(structures[i].letter));
        }
        for (size_t n = 0; n < sizeof MULTI; n++)
                holds(str_sub(S(MULTI), 0, n));
}

/* Nested a thousand deep, ten thousand parts, a hundred thousand parameters and addresses, fields that are not held. */
static void test_hostile(void **state)
{
        struct fetch_source source = { .whole = true };
        struct buf letter auto_buf;
        size_t pair = 0;

        (void)state;
        buf_init(&letter, 64 << 20);
        for (int i = 0; i < 1000; i++)
                buf_printf(&letter, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
        holds(buf_str(&letter));
        buf_clear(&letter);
        for (int i = 0; i < 1000; i++)
                buf_puts(&letter, S("Subject: again\r\nContent-Type: message/rfc822\r\n\r\n"));
        holds(buf_str(&letter));
        buf_clear(&letter);
        buf_puts(&letter, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
        for (int i = 0; i < 20000; i++)
                buf_puts(&letter, S("--b\r\nContent-Disposition: x; a=\"\xff\"; b=\"\\\"\"\r\n\r\n"));
        holds(buf_str(&letter));
        buf_clear(&letter);
        buf_puts(&letter, S("Content-Type: text/plain"));
        for (int i = 0; i < 100000; i++)
                buf_printf(&letter, "; p%d=v", i);
        holds(buf_str(&letter));

        buf_clear(&letter);
        buf_puts(&letter, S("Subject: many\r\nTo: "));
        for (int i = 0; i < 100000; i++)
                buf_printf(&letter, "%sa%d@b.test", i ? ", " : "", i);
        buf_puts(&letter, S("\r\n\r\n"));
        pack(buf_str(&letter));
        assert_int_equal(put_letter_envelope(&w, buf_str(&packed)), FETCH_NEEDS_BYTES);
        buf_clear(&out);
        source.bytes = buf_str(&letter);
        w.source = &source;
        assert_int_equal(put_letter_envelope(&w, buf_str(&packed)), FETCH_MADE);
        w.source = NULL;
        assert_null(envelope_wrong(buf_str(&out)));
        for (size_t i = 0; i + 1 < out.n; i++)
                pair += out.p[i] == ')' && out.p[i + 1] == '(';
        assert_true(pair > 8000 && pair < ADDRESSES_MAX);
        assert_true(str_search(buf_str(&out), S("(NIL NIL \"a0\" \"b.test\")")) != STR_NONE);
}

/* Damaged structures are refused or give something whose grammar holds; never anything worse. */
static void test_damaged(void **state)
{
        const char *wrong = NULL;
        struct buf copy auto_buf;

        (void)state;
        buf_init(&copy, MIME_PACKED_MAX);
        pack(S(MULTI));
        buf_puts(&copy, buf_str(&packed));
        for (size_t i = 0; i < copy.n; i++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                        copy.p[i] = (char)(copy.p[i] ^ 1 << bit);
                        buf_clear(&out);
                        if (put_structure(&w, buf_str(&copy), true) == FETCH_MADE)
                                wrong = structure_wrong(buf_str(&out), true);
                        if (wrong && strcmp(wrong, "NUL in a literal") != 0)
                                fail_msg("%s: " PRS, wrong, STR(buf_str(&out)));
                        copy.p[i] = (char)(copy.p[i] ^ 1 << bit);
                }
                assert_int_equal(put_structure(&w, str_sub(buf_str(&copy), 0, i), true), FETCH_DAMAGED);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_envelopes, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_addresses_both_ways, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_structures, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
