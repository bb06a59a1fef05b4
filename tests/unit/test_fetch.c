/* FETCH without a server: items, sections, ENVELOPE and BODYSTRUCTURE from a packed structure, encodings undone in pieces. */
#include "base/mem.h"
#include "mail/address.h"
#include "mail/text.h"
#include "proto/imap/fetch.h"
#include "structure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct fetch_writer w;
static struct imap imap;
static struct buf out, packed;

static int set_up(void **state)
{
        (void)state;
        arena_init(&imap.session.command, 64 << 20);
        buf_init(&out, 64 << 20);
        buf_init(&packed, MIME_PACKED_MAX);
        fetch_writer_init(&w, 0);
        w.out.b = &out;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        arena_finish(&imap.session.command);
        buf_free(&out);
        buf_free(&packed);
        fetch_writer_finish(&w);
        return 0;
}

static void pack(struct str letter)
{
        struct mime m;

        mime_init(&m);
        mime_parse(&m, letter);
        buf_clear(&packed);
        assert_true(mime_pack(&m, &packed));
        mime_finish(&m);
        buf_clear(&out);
}

static void says(const char *want)
{
        if (str_eq(buf_str(&out), str_of(want)))
                return;
        print_error("is:     " PRS "\nshould: %s\n", STR(buf_str(&out)), want);
        fail();
}

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
#define MULTI                                                                                   \
        "Content-Type: multipart/mixed; "                                                       \
        "boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\ntwo\r\n--b\r\nContent-Type: "          \
        "image/png; name=\"x y.png\"\r\nContent-Transfer-Encoding: BASE64\r\nContent-ID: "      \
        "<i@d>\r\nContent-Description: a "                                                      \
        "picture\r\nContent-MD5: Q2hlY2s=\r\nContent-Disposition: attachment; "                 \
        "filename=x.png\r\nContent-Language: en, "                                              \
        "fr\r\nContent-Location: http://x/\r\n\r\niVBORw==\r\n--b\r\nContent-Type: "            \
        "message/rfc822\r\n\r\nSubject: "                                                       \
        "inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: " \
        "text/html\r\nContent-Language: de\r\n\r\n<b>\r\n--c\r\n\r\nplain\r\n--c--\r\n--b--\r\n"
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

/* --- items --- */
static struct fetch_items items;
static const char *parsed(const char *text)
{
        struct scan a = scan_of(str_of(text));

        arena_reset(&imap.session.command);
        fetch_items(&imap.session, &a, &items);
        return scan_done(&a) ? NULL : a.why ? a.why : "not all was read";
}

static void test_items(void **state)
{
        static const struct {
                const char *text, *labels; /* NULL: it cannot be read */
        } table[] = {
                { "FAST", "FLAGS INTERNALDATE RFC822.SIZE " },
                { "all", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE " },
                { "Full", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY " },
                { "FLAGS", "FLAGS " },
                { "(FLAGS FLAGS UID)", "FLAGS UID " },
                { "(FAST)", NULL },
                { "()", NULL },
                { "(FLAGS", NULL },
                { "BODY[]", "BODY[] " },
                { "body.peek[1.2.mime]", "BODY[1.2.MIME] " },
                { "BODY[TEXT]<5.10>", "BODY[TEXT]<5> " },
                { "BODY[]<0.0>", NULL },
                { "BODY[]<5>", NULL },
                { "BODY[MIME]", NULL },
                { "BODY[0]", NULL },
                { "BODY[1.]", NULL },
                { "BODY[1.X]", NULL },
                { "BODY[1", NULL },
                { "BODY.PEEK", NULL },
                { "(BODY BODYSTRUCTURE)", "BODY BODYSTRUCTURE " },
                { "BODY[HEADER.FIELDS (From \"a b\" x{y)]", NULL },
                { "BODY[HEADER.FIELDS (From \"a b\")]", "BODY[HEADER.FIELDS (From \"a b\")] " },
                { "BODY[2.HEADER.FIELDS.NOT ({2}\r\nTo)]<9.9>", "BODY[2.HEADER.FIELDS.NOT (To)]<9> " },
                { "BODY[HEADER.FIELDS ()]", NULL },
                { "BINARY.SIZE[1.2]", "BINARY.SIZE[1.2] " },
                { "BINARY[1]<2.3>", "BINARY[1]<2> " },
                { "BINARY[1.TEXT]", NULL },
                { "BINARY.SIZE[1]<2.3>", NULL },
                { "(PREVIEW (LAZY) FLAGS)", "PREVIEW FLAGS " },
                { "PREVIEW", "PREVIEW " },
                { "PREVIEW (EAGER)", NULL },
                { "(EMAILID THREADID SAVEDATE MODSEQ)", "EMAILID THREADID SAVEDATE MODSEQ " },
                { "RFC822.HEADER", "RFC822.HEADER " },
                { "RFC822.PEEK", NULL },
        };

        (void)state;
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                const char *why = parsed(table[i].text);

                if (!table[i].labels && why)
                        continue;
                if (!table[i].labels || why)
                        fail_msg("%s: %s", table[i].text, why ? why : "was read");
                buf_clear(&out);
                for (unsigned k = 0; k < items.n; k++)
                        buf_puts(&out, items.list[k].label);
                says(table[i].labels);
        }
        assert_null(parsed("RFC822"));
        assert_true(items.seen);
        assert_null(parsed("(BODY.PEEK[] BINARY.PEEK[1] RFC822.HEADER BINARY.SIZE[1])"));
        assert_false(items.seen);
}

static void test_item_limits(void **state)
{
        struct buf text auto_buf;

        (void)state;
        buf_init(&text, 1 << 20);
        for (int i = 0; i <= FETCH_ITEMS_MOST; i++)
                buf_puts(&text, i ? S(" BODY[]") : S("(BODY[]"));
        buf_puts(&text, S(")"));
        buf_u8(&text, 0);
        assert_true(str_starts(str_of(parsed(text.p)), S("[LIMIT]")));
        buf_clear(&text);
        buf_puts(&text, S("BODY[HEADER.FIELDS (x"));
        for (int i = 0; i < FETCH_FIELDS_MOST; i++)
                buf_puts(&text, S(" x"));
        buf_puts(&text, S(")]"));
        buf_u8(&text, 0);
        assert_true(str_starts(str_of(parsed(text.p)), S("[LIMIT]")));
        buf_clear(&text);
        buf_puts(&text, S("BODY[1"));
        for (int i = 0; i < FETCH_PATH_MOST; i++)
                buf_puts(&text, S(".1"));
        buf_puts(&text, S("]"));
        buf_u8(&text, 0);
        assert_true(str_starts(str_of(parsed(text.p)), S("[LIMIT]")));
}

/* --- sections --- */
#define FIELDS "From: a\r\nto: b\r\n c\r\njunk\r\nSubject: s\r\nTo: d\r\n\r\n"
static const struct {
        const char *letter, *item, *want;
} sections[] = {
        { FIELDS "text", "BODY.PEEK[]", "BODY[] {51}\r\n" FIELDS "text" },
        { FIELDS "text", "BODY[HEADER]", "BODY[HEADER] {47}\r\n" FIELDS },
        { FIELDS "text", "RFC822.TEXT", "RFC822.TEXT {4}\r\ntext" },
        { FIELDS "text", "BODY[1]", "BODY[1] {4}\r\ntext" },
        { FIELDS "text", "BODY[1.MIME]", "BODY[1.MIME] {47}\r\n" FIELDS },
        { FIELDS "text", "BODY[2]", "BODY[2] NIL" },
        { FIELDS "text", "BODY[1.1]", "BODY[1.1] NIL" },
        { FIELDS "text", "BODY[1.HEADER]", "BODY[1.HEADER] NIL" },
        { FIELDS "text", "BODY[HEADER.FIELDS (TO)]",
          "BODY[HEADER.FIELDS (TO)] {20}\r\nto: b\r\n c\r\nTo: d\r\n\r\n" },
        { FIELDS "text", "BODY[HEADER.FIELDS.NOT (TO)]",
          "BODY[HEADER.FIELDS.NOT (TO)] {23}\r\nFrom: a\r\nSubject: s\r\n\r\n" },
        { FIELDS "text", "BODY[HEADER.FIELDS (X)]", "BODY[HEADER.FIELDS (X)] {2}\r\n\r\n" },
        { FIELDS "text", "BODY[HEADER.FIELDS (FROM)]<2.3>", "BODY[HEADER.FIELDS (FROM)]<2> {3}\r\nom:" },
        { "A: b\r\n", "BODY[HEADER.FIELDS (A)]", "BODY[HEADER.FIELDS (A)] {6}\r\nA: b\r\n" },
        { "A: b\r\n", "BODY[HEADER.FIELDS (X)]", "BODY[HEADER.FIELDS (X)] \"\"" },
        { "A: b\n\nx", "BODY[HEADER.FIELDS (A)]", "BODY[HEADER.FIELDS (A)] {6}\r\nA: b\n\n" },
        { "\r\nx", "BODY[HEADER]", "BODY[HEADER] {2}\r\n\r\n" },
        { "\r\nx", "BODY[HEADER.FIELDS (A)]", "BODY[HEADER.FIELDS (A)] {2}\r\n\r\n" },
        { "", "BODY[]", "BODY[] \"\"" },
        { "A: b\r\n", "BODY[TEXT]", "BODY[TEXT] \"\"" },
        { FIELDS "text", "BODY[TEXT]<0.4>", "BODY[TEXT]<0> {4}\r\ntext" },
        { FIELDS "text", "BODY[TEXT]<3.9223372036854775807>", "BODY[TEXT]<3> {1}\r\nt" },
        { FIELDS "text", "BODY[TEXT]<4.1>", "BODY[TEXT]<4> \"\"" },
        { FIELDS "text", "BODY[TEXT]<9223372036854775807.1>", "BODY[TEXT]<9223372036854775807> \"\"" },
        { MULTI, "BODY[1]", "BODY[1] {8}\r\none\r\ntwo" },
        { MULTI, "BODY[2]", "BODY[2] {8}\r\niVBORw==" },
        { MULTI, "BODY[3.HEADER]",
          "BODY[3.HEADER] {67}\r\nSubject: inner\r\nContent-Type: multipart/alternative; "
          "boundary=c\r\n\r\n" },
        { MULTI, "BODY[3.HEADER.FIELDS (subject)]",
          "BODY[3.HEADER.FIELDS (subject)] {18}\r\nSubject: inner\r\n\r\n" },
        { MULTI, "BODY[3.1]", "BODY[3.1] {3}\r\n<b>" },
        { MULTI, "BODY[3.2]", "BODY[3.2] {5}\r\nplain" },
        { MULTI, "BODY[3.1.MIME]",
          "BODY[3.1.MIME] {49}\r\nContent-Type: text/html\r\nContent-Language: de\r\n\r\n" },
        { MULTI, "BODY[3.3]", "BODY[3.3] NIL" },
        { MULTI, "BODY[4]", "BODY[4] NIL" },
        { MULTI, "BODY[1.TEXT]", "BODY[1.TEXT] NIL" },
        { MULTI, "BINARY[2]", "BINARY[2] {4}\r\n\x89PNG" },
        { MULTI, "BINARY.SIZE[2]", "BINARY.SIZE[2] 4" },
        { MULTI, "BINARY.SIZE[9]", "BINARY.SIZE[9] 0" },
        { MULTI, "BINARY[9]", "BINARY[9] NIL" },
        { "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db =\r\nc\r\n", "BINARY[1]<1.3>",
          "BINARY[1]<1> {3}\r\n=b " },
        { "Content-Transfer-Encoding: base64\r\n\r\nAGFi", "BINARY[1]", "BINARY[1] ~{3}\r\n" },
        { "Content-Transfer-Encoding: x-unknown\r\n\r\nAGFi", "BINARY[1]", "" },
        { "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nA: 1\r\n\r\ndeep",
          "BODY[1.1.1]", "BODY[1.1.1] {4}\r\ndeep" },
        { "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nA: 1\r\n\r\ndeep",
          "BODY[1.1.HEADER]", "BODY[1.1.HEADER] {8}\r\nA: 1\r\n\r\n" },
        { "Content-Type: message/rfc822\r\n\r\nB: 2\r\n\r\ndeep", "BODY[1.TEXT]",
          "BODY[1.TEXT] {4}\r\ndeep" },
        { "Content-Type: message/rfc822\r\n\r\nB: 2\r\n\r\ndeep", "BODY[TEXT]",
          "BODY[TEXT] {12}\r\nB: 2\r\n\r\ndeep" },
};

static void test_sections(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
                struct fetch_source source = { .whole = true, .bytes = str_of(sections[i].letter) };
                const char *why = parsed(sections[i].item);
                struct fetch_item *item = items.list;

                if (why)
                        fail_msg("%s: %s", sections[i].item, why);
                pack(source.bytes);
                w.source = &source;
                w.before_n = 0;
                w.unknown_cte = false;
                if (item->what == FETCH_SECTION)
                        assert_int_equal(put_section(&w, item, buf_str(&packed)), FETCH_MADE);
                else
                        assert_int_equal(put_binary(&w, item, buf_str(&packed)), FETCH_MADE);
                w.source = NULL;
                assert_int_equal(w.unknown_cte, !*sections[i].want);
                if (str_starts(buf_str(&out), str_of(sections[i].want)) &&
                    str_search(buf_str(&out), S("~{3}")) != STR_NONE)
                        out.n -= 3; /* holds NUL */
                says(sections[i].want);
        }
}

static void test_section_range(void **state)
{
        uint64_t from, n;

        (void)state;
        pack(S(MULTI));
        assert_true(imap_section_range(&imap.session, buf_str(&packed), S(""), &from, &n));
        assert_true(from == 0 && n == sizeof MULTI - 1);
        assert_true(imap_section_range(&imap.session, buf_str(&packed), S("3.1"), &from, &n));
        assert_true(str_eq(str_sub(S(MULTI), (size_t)from, (size_t)n), S("<b>")));
        assert_false(imap_section_range(&imap.session, buf_str(&packed), S("7"), &from, &n));
        assert_false(imap_section_range(&imap.session, buf_str(&packed), S("HEADER.FIELDS (A)"), &from, &n));
        assert_false(imap_section_range(&imap.session, buf_str(&packed), S("1]"), &from, &n));
}

/* --- encodings in pieces: the same as in one go, however it is cut --- */
static void test_decode(void **state)
{
        static const struct str texts[] = {
                S("SGVsbG8g\r\nd29ybGQ=\r\n"),
                S("SGVs bG8\r\ngd2=9y=bG==Q"),
                S("SGVsbG8gd29ybGQ\r\n-- \r\n"),
                S("!!!!!!!!!!!!!!!!!!!!!!!!"),
                S("a=3Db  \r\n=\r\nlong line = ends=20\t\r\nno=3"),
                S("=41=42=4"),
                S("x =\n \n"),
        };
        struct buf whole auto_buf, pieces auto_buf;

        (void)state;
        buf_init(&whole, 4096);
        buf_init(&pieces, 4096);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                for (size_t size = 1; size <= texts[i].n; size++) {
                        struct str encoding = i < 4 ? S("base64") : S("quoted-printable"), rest = texts[i];
                        struct fetch_decoder d;
                        bool fine;

                        buf_clear(&whole);
                        buf_clear(&pieces);
                        fine = text_decode(&whole, encoding, texts[i]);
                        fetch_decoder_init(&d, encoding);
                        while (rest.n) {
                                struct str piece = str_sub(rest, 0, size);

                                rest = str_from_at(rest, size);
                                buf_puts(&pieces, fetch_decode(&d, piece, !rest.n));
                        }
                        assert_int_equal(d.bad, !fine);
                        if (fine)
                                assert_true(str_eq(buf_str(&whole), buf_str(&pieces)));
                        fetch_decoder_finish(&d);
                }
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
                cmocka_unit_test_setup_teardown(test_items, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_item_limits, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_sections, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_section_range, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_decode, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
