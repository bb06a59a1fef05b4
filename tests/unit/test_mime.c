#include "unit.h"
#include "base/buf.h"
#include "mail/mime.h"

static struct arena mem;
static struct mime mime, back;
static struct buf packed, text;

static int begin(void **state)
{
        (void)state;
        arena_init(&mem, 64 * 1024 * 1024);
        mime_init(&mime);
        mime_init(&back);
        buf_init(&packed, MIME_PACKED_MAX);
        buf_init(&text, 64 * 1024 * 1024);
        return 0;
}

static int end(void **state)
{
        (void)state;
        arena_finish(&mem);
        mime_finish(&mime);
        mime_finish(&back);
        buf_free(&packed);
        buf_free(&text);
        return 0;
}

static void same_params(struct mime_params a, struct mime_params b)
{
        assert_int_equal(a.count, b.count);
        for (uint32_t i = 0; i < a.count; i++) {
                assert_str(mime.params[a.first + i].name, back.params[b.first + i].name);
                assert_str(mime.params[a.first + i].value, back.params[b.first + i].value);
        }
}

static void same_envelope(const struct mime_envelope *a, const struct mime_envelope *b)
{
        for (unsigned i = 0; i < MIME_ENVELOPE_FIELDS; i++) {
                const struct mime_field *f = &a->fields[i], *g = &b->fields[i];

                assert_true(f->present == g->present && f->held == g->held && f->at == g->at && f->n == g->n);
                assert_str(f->text, g->text);
        }
}

static void same_part(const struct mime_part *a, const struct mime_part *b)
{
        assert_true(a->parent == b->parent && a->kind == b->kind && a->depth == b->depth);
        assert_true(a->header == b->header && a->body == b->body && a->end == b->end);
        assert_true(a->header_lines == b->header_lines && a->lines == b->lines && a->has_type == b->has_type);
        assert_str(a->type, b->type);
        assert_str(a->subtype, b->subtype);
        assert_str(a->encoding, b->encoding);
        assert_str(a->disposition, b->disposition);
        assert_str(a->id, b->id);
        assert_str(a->description, b->description);
        assert_str(a->md5, b->md5);
        assert_str(a->language, b->language);
        assert_str(a->location, b->location);
        same_params(a->params, b->params);
        same_params(a->disposition_params, b->disposition_params);
        assert_int_equal(a->envelope == MIME_NONE, b->envelope == MIME_NONE);
        if (a->envelope != MIME_NONE)
                same_envelope(&mime.envelopes[a->envelope], &back.envelopes[b->envelope]);
}

/* Parses, and always also packs and unpacks. */
static void parse(struct str letter)
{
        mime_parse(&mime, letter);
        buf_clear(&packed);
        assert_true(mime_pack(&mime, &packed));
        assert_true(mime_unpack(&back, buf_str(&packed)));
        assert_true(mime.size == back.size && mime.cut == back.cut && mime.has_8bit == back.has_8bit);
        assert_int_equal(mime.count, back.count);
        for (uint32_t i = 0; i < mime.count; i++)
                same_part(&mime.parts[i], &back.parts[i]);
}

static struct str body(struct str letter, uint32_t part)
{
        return str_sub(letter, mime.parts[part].body, mime.parts[part].end - mime.parts[part].body);
}

static const char *type_of(uint32_t part)
{
        return arena_printf(&mem, PRS "/" PRS, STR(mime.parts[part].type), STR(mime.parts[part].subtype)).p;
}

static const char simple[] = "Return-Path: <jack@town.com>\r\n"
                             "Received: from town.com (town.com [127.0.0.2])\r\n"
                             "\tby hill.com with ESMTP id 1; Fri, 21 Nov 1997 09:55:06 -0600\r\n"
                             "From: Jack <jack@town.com>\r\n"
                             "To: Jill <jill@hill.com>\r\n"
                             "Subject: Please fetch me\r\n a pail of water\r\n"
                             "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n"
                             "Message-ID: <1234@town.com>\r\n"
                             "MIME-Version: 1.0\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\n"
                             "\r\n"
                             "Up the hill.\r\nThey went.\r\n";

static void one_part(void **state)
{
        struct str letter = str_of(simple);
        const struct mime_field *subject;

        (void)state;
        parse(letter);
        assert_int_equal(mime.count, 1);
        assert_str(body(letter, 0), S("Up the hill.\r\nThey went.\r\n"));
        assert_int_equal(mime.parts[0].lines, 2);
        assert_int_equal(mime.parts[0].header_lines, 12);
        assert_str(mime_param(&mime, mime.parts[0].params, S("charset")), S("utf-8"));
        subject = &mime.envelopes[0].fields[MIME_SUBJECT];
        assert_true(subject->held);
        assert_str(subject->text, S("Please fetch me\r\n a pail of water"));
        assert_str(str_sub(letter, subject->at, subject->n), subject->text);
        assert_false(mime.envelopes[0].fields[MIME_CC].present);
        assert_false(mime.cut || mime.has_8bit);
        assert_true(packed.n <= 300);
}

static void odd_letters(void **state)
{
        static const struct {
                const char *in, *body;
                uint32_t lines;
        } rows[] = {
                { "", "", 0 },
                { "\r\n", "", 0 },
                { "\n\n", "\n", 1 },
                { "Subject: x", "", 0 },
                { "Subject: x\r\n\r\nbody", "body", 0 },
                { "Content-Type: multipart/mixed\r\n\r\n--\r\n--x\r\n", "--\r\n--x\r\n", 2 },
                { "Content-Type: multipart/mixed; boundary=x\r\n\r\nno part\r\n", "no part\r\n", 1 },
                { "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\n", "--\r\n\r\n", 2 },
                { "Content-Type: text/plain (a\\", "", 0 }, /* CVE-2026-47088 */
                { "Content-Type: text/plain; x=\"a\\", "", 0 },
                { "Content-Type: text/plain; x*0*=", "", 0 },
                { "Content-Type: text\r\n\r\nx", "x", 0 },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                parse(str_of(rows[i].in));
                assert_int_equal(mime.count, 1);
                assert_int_equal(mime.parts[0].kind, MIME_LEAF);
                assert_str(body(str_of(rows[i].in), 0), str_of(rows[i].body));
                assert_int_equal(mime.parts[0].lines, rows[i].lines);
        }
        mime_parse(&mime, (struct str){ NULL, 0 });
        assert_int_equal(mime.count, 1);
}

/* RFC 2046 §5.1.1's example. */
static void multipart(void **state)
{
        struct str letter = S("From: Nathaniel Borenstein <nsb@bellcore.com>\r\n"
                              "To: Ned Freed <ned@innosoft.com>\r\n"
                              "Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)\r\n"
                              "Subject: Sample message\r\n"
                              "MIME-Version: 1.0\r\n"
                              "Content-type: multipart/mixed; boundary=\"simple boundary\"\r\n"
                              "\r\n"
                              "This is the preamble.  It is to be ignored.\r\n"
                              "\r\n"
                              "--simple boundary\r\n"
                              "\r\n"
                              "This is implicitly typed plain US-ASCII text.\r\n"
                              "It does NOT end with a linebreak.\r\n"
                              "--simple boundary\r\n"
                              "Content-type: text/plain; charset=us-ascii\r\n"
                              "\r\n"
                              "This is explicitly typed plain US-ASCII text.\r\n"
                              "It DOES end with a linebreak.\r\n"
                              "\r\n"
                              "--simple boundary-- \t\r\n"
                              "\r\n"
                              "This is the epilogue.  It is also to be ignored.\r\n"
                              "--simple boundary\r\n");

        (void)state;
        parse(letter);
        assert_int_equal(mime.count, 3);
        assert_int_equal(mime.parts[0].kind, MIME_MULTIPART);
        assert_true(mime.parts[0].end == letter.n);
        assert_str(body(letter, 1),
                   S("This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak."));
        assert_int_equal(mime.parts[1].lines, 1);
        assert_false(mime.parts[1].has_type);
        assert_str(body(letter, 2), S("This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a "
                                      "linebreak.\r\n"));
        assert_int_equal(mime.parts[2].lines, 2);
        assert_true(mime.parts[2].has_type);
        assert_int_equal(mime.parts[2].parent, 0);
}

/* A digest (RFC 2046 §5.1.5), messages in messages, boundaries that begin alike, one that is never closed, parts with
 * nothing in them, LF alone. */
static void nested(void **state)
{
        struct str letter =
            S("Content-Type: multipart/mixed; boundary=a\r\n\r\n"
              "--a\r\n"
              "Content-Type: multipart/digest; boundary=ab\r\n\r\n"
              "--ab\r\n"
              "\r\n"
              "Subject: inner\r\nFrom: x@y\r\nContent-Type: text/html\r\n\r\n<p>\r\n"
              "--ab\r\n"
              "Content-Type: text/plain\r\n\r\n"
              "--ab--\r\n"
              "--a\r\n"
              "Content-Type: message/rfc822\r\n\r\n"
              "Content-Type: multipart/alternative; boundary=c\n\n"
              "--c\n\none\n--cx\ntwo\n"
              "--a\r\n"
              "--a\r\n"
              "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: BASE64\r\n\r\nU3ViamVjdDogeA==\r\n"
              "--a--\r\n");
        static const struct {
                const char *type, *body;
                uint32_t parent;
                uint8_t depth;
                enum mime_kind kind;
        } want[] = {
                { "multipart/mixed", NULL, MIME_NONE, 0, MIME_MULTIPART },
                { "multipart/digest", NULL, 0, 1, MIME_MULTIPART },
                { "message/rfc822", NULL, 1, 2, MIME_MESSAGE },
                { "text/html", "<p>", 2, 3, MIME_LEAF },
                { "text/plain", "", 1, 2, MIME_LEAF },
                { "message/rfc822", NULL, 0, 1, MIME_MESSAGE },
                { "multipart/alternative", "--c\n\none\n--cx\ntwo", 5, 2, MIME_MULTIPART },
                { "text/plain", "one", 6, 3, MIME_LEAF },
                { "text/plain", "", 6, 3, MIME_LEAF }, /* "--cx" begins with the boundary: that is enough */
                { "text/plain", "", 0, 1, MIME_LEAF },
                { "message/rfc822", "U3ViamVjdDogeA==", 0, 1, MIME_LEAF },
        };

        (void)state;
        parse(letter);
        assert_int_equal(mime.count, LENGTH(want));
        for (uint32_t i = 0; i < LENGTH(want); i++) {
                assert_string_equal(type_of(i), want[i].type);
                assert_int_equal(mime.parts[i].parent, want[i].parent);
                assert_int_equal(mime.parts[i].depth, want[i].depth);
                assert_int_equal(mime.parts[i].kind, want[i].kind);
                if (want[i].body)
                        assert_str(body(letter, i), str_of(want[i].body));
        }
        assert_int_equal(mime.envelope_count, 3);
        assert_str(mime.envelopes[mime.parts[3].envelope].fields[MIME_SUBJECT].text, S("inner"));
        assert_int_equal(mime.parts[7].lines, 0);
        assert_int_equal(mime.parts[6].lines, 4);
}

static void fields(void **state)
{
        struct str letter =
            S("Content-Type: Image/JPEG (a (nested) photo); Name = \"a \\\"b\\\".jpg\" ; x=y=z;;junk; q\r\n"
              "Content-Transfer-Encoding: (why) BASE64\r\n"
              "Content-ID: <1@x>\r\n"
              "Content-Description: a\r\n\tphoto\r\n"
              "Content-Disposition: Attachment; filename*=UTF-8''J%C3%B6rg.jpg; filename=J.jpg\r\n"
              "Content-Language: de,\r\n en\r\n"
              "Content-Location: http://x/\r\n"
              "Content-MD5: Q2hlY2s=\r\n"
              "To: gr\xc3\xbc\xc3\x9f\r\n\r\n");
        const struct mime_part *p;
        struct str out;

        (void)state;
        parse(letter);
        p = &mime.parts[0];
        assert_string_equal(type_of(0), "image/jpeg");
        assert_str(p->encoding, S("base64"));
        assert_str(p->id, S("<1@x>"));
        assert_str(p->description, S("a photo"));
        assert_str(p->language, S("de, en"));
        assert_str(p->location, S("http://x/"));
        assert_str(p->md5, S("Q2hlY2s="));
        assert_str(p->disposition, S("attachment"));
        assert_int_equal(p->params.count, 2);
        assert_str(mime_param(&mime, p->params, S("name")), S("a \"b\".jpg"));
        assert_str(mime_param(&mime, p->params, S("x")), S("y=z"));
        assert_str(mime_filename(&mime, p, &mem), S("J\xc3\xb6rg.jpg"));
        assert_str(mime_filename(&back, &back.parts[0], &mem), S("J\xc3\xb6rg.jpg"));
        assert_false(mime_param_text(&mime, p->params, &mem, S("charset"), &out));
        assert_true(mime.has_8bit);
}

/* RFC 2231 §3 and §4, and what is made of them elsewhere. */
static void continued(void **state)
{
        static const struct {
                const char *field, *name, *value, *raw;
        } rows[] = {
                { "message/external-body; access-type=URL; URL*0=\"ftp://\"; "
                  "URL*1=\"cs.utk.edu/pub/moore/x.tar\"",
                  "url", "ftp://cs.utk.edu/pub/moore/x.tar", "url" },
                { "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "title",
                  "This is ***fun***", "title*" },
                { "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; "
                  "title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
                  "title", "This is even more ***fun*** isn't it!", "title*" },
                { "a/b; n*1=c; n*0=b; n*3=e", "n", "bc", "n" },
                { "a/b; n*0=b; n*1*=%FCx", "n", "b\xc3\xbcx", "n*" },
                { "a/b; n*=iso-8859-2''%B1", "n", "\xc4\x85", "n*" },
                { "a/b; n*=x-unknown''%C3%BC", "n", "\xc3\xbc", "n*" },
                { "a/b; n*=plain%2", "n", "plain%2", "n*" },
                { "a/b; n*=utf-8''a%0D%0ABcc:%00", "n", "a  Bcc: ", "n*" },
                { "a/b; n==?utf-8?q?J=C3=B6rg?=", "n", "J\xc3\xb6rg", "n" },
                { "a/b; n=\"a\r\n b\"", "n", "a b", "n" },
                { "a/b; n*0=x; n*0=y; n=z", "n", "x", "n" },
        };
        struct str value;

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                parse(arena_printf(&mem, "Content-Type: %s\r\n\r\n", rows[i].field));
                assert_true(mime_param_text(&mime, mime.parts[0].params, &mem, str_of(rows[i].name), &value));
                assert_str(value, str_of(rows[i].value));
                assert_true(mime_param(&mime, mime.parts[0].params, str_of(rows[i].raw)).n > 0);
        }
}

static void put_times(struct str s, unsigned n)
{
        while (n--)
                buf_puts(&text, s);
}

static void bombs(void **state)
{
        struct str name;

        (void)state;
        /* nesting: multiparts (CVE-2020-12100) and messages (CVE-2026-26312) */
        buf_clear(&text);
        for (unsigned i = 0; i < 20000; i++)
                buf_printf(&text, "Content-Type: multipart/mixed; boundary=b%05u\r\n\r\n--b%05u\r\n", i, i);
        parse(buf_str(&text));
        assert_true(mime.cut);
        assert_int_equal(mime.count, MIME_DEPTH_MAX);
        assert_int_equal(mime.parts[MIME_DEPTH_MAX - 1].kind, MIME_LEAF);
        buf_clear(&text);
        put_times(S("Content-Type: message/rfc822\r\n\r\n"), 20000);
        parse(buf_str(&text));
        assert_true(mime.cut);
        assert_int_equal(mime.count, MIME_DEPTH_MAX);
        assert_true(mime.parts[MIME_DEPTH_MAX - 1].end == text.n);
        /* the same boundary at every level: from the deepest on, they are siblings */
        buf_clear(&text);
        put_times(S("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"), 20000);
        parse(buf_str(&text));
        assert_true(mime.cut);
        assert_int_equal(mime.count, MIME_PARTS_MAX);
        assert_int_equal(mime.parts[MIME_PARTS_MAX - 1].depth, MIME_DEPTH_MAX - 1);
        /* many parts; the last listed ends where it ends */
        buf_clear(&text);
        buf_puts(&text, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
        put_times(S("--b\r\n\r\nx\r\n"), 100000);
        parse(buf_str(&text));
        assert_true(mime.cut);
        assert_int_equal(mime.count, MIME_PARTS_MAX);
        assert_str(body(buf_str(&text), MIME_PARTS_MAX - 1), S("x"));
        assert_true(mime.parts[0].end == text.n);
        /* thousands of RFC 2231 pieces (CVE-2026-27859) */
        buf_clear(&text);
        buf_puts(&text, S("Content-Type: text/plain"));
        for (unsigned i = 0; i < 20000; i++)
                buf_printf(&text, "; name*%u=%u", i % 1000, i);
        buf_puts(&text, S("\r\n\r\n"));
        parse(buf_str(&text));
        assert_true(mime.cut);
        assert_int_equal(mime.parts[0].params.count, 1);
        name = mime_param(&mime, mime.parts[0].params, S("name"));
        assert_true(str_starts(name, S("0123456789101112")) && str_ends(name, S("9899")));
        /* parameters everywhere */
        buf_clear(&text);
        buf_puts(&text, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
        for (unsigned i = 0; i < 1000; i++) {
                buf_puts(&text, S("--b\r\nContent-Type: a/b"));
                put_times(S(";A=\"\\b\""), 50);
                buf_puts(&text, S("\r\n\r\n"));
        }
        parse(buf_str(&text));
        assert_true(mime.cut);
        assert_int_equal(mime.param_count, MIME_PARAMS_MAX);
        assert_int_equal(mime.count, 1001);
        /* headers above 10 MB (CVE-2024-23185): one long field, many fields, strings without end */
        buf_clear(&text);
        buf_puts(&text, S("Content-Description: "));
        put_times(S("abcdefghij\r\n "), 1000000);
        buf_puts(&text, S("\r\nSubject: late\r\n\r\nbody"));
        parse(buf_str(&text));
        assert_true(mime.cut);
        assert_str(body(buf_str(&text), 0), S("body"));
        assert_int_equal(mime.parts[0].description.n, 0);
        assert_false(mime.envelopes[0].fields[MIME_SUBJECT].present);
        buf_clear(&text);
        put_times(S("Content-Type: text/plain; x=y\r\nTo: a@b\r\n"), 300000);
        buf_puts(&text, S("\r\nbody"));
        parse(buf_str(&text));
        assert_str(body(buf_str(&text), 0), S("body"));
        assert_int_equal(mime.param_count, 1);
        /* huge numbers of addresses (CVE-2024-23184): told where, not held */
        buf_clear(&text);
        buf_puts(&text, S("To: "));
        put_times(S("a@b,\r\n "), 100000);
        buf_puts(&text, S("\r\n\r\n"));
        parse(buf_str(&text));
        assert_true(mime.envelopes[0].fields[MIME_TO].present && !mime.envelopes[0].fields[MIME_TO].held);
        assert_true(mime.envelopes[0].fields[MIME_TO].n > 600000);
        assert_true(packed.n < 100);
}

/* Damaged packed forms are refused or give something whole; what is given never points outside. */
static void damaged(void **state)
{
        auto_buf struct buf copy;

        (void)state;
        buf_init(&copy, 10000);
        parse(S("Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: "
                "message/rfc822\r\n\r\n"
                "From: b\r\n\r\n--a\r\nContent-Disposition: x; y=z\r\n\r\n"));
        for (size_t n = 0; n < packed.n; n++)
                assert_false(mime_unpack(&back, str_sub(buf_str(&packed), 0, n)));
        assert_int_equal(back.count, 0);
        for (size_t i = 0; i < packed.n; i++) {
                for (unsigned v = 0; v < 256; v++) {
                        buf_clear(&copy);
                        buf_puts(&copy, buf_str(&packed));
                        copy.p[i] = (char)v;
                        if (!mime_unpack(&back, buf_str(&copy)))
                                continue;
                        for (uint32_t k = 0; k < back.count; k++) {
                                assert_true(back.parts[k].end <= back.size &&
                                            back.parts[k].header <= back.parts[k].body);
                                assert_true(k ? back.parts[k].parent < k : back.parts[k].parent == MIME_NONE);
                        }
                }
        }
        buf_clear(&copy);
        buf_puts(&copy, buf_str(&packed));
        copy.p[0] = 2; /* a version to come */
        assert_false(mime_unpack(&back, buf_str(&copy)));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_part), cmocka_unit_test(odd_letters), cmocka_unit_test(multipart),
                cmocka_unit_test(nested),   cmocka_unit_test(fields),      cmocka_unit_test(continued),
                cmocka_unit_test(bombs),    cmocka_unit_test(damaged),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
