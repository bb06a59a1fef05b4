/* mail/text: decoding, HTML as text, folding, previews. */
#include "base/codec.h"
#include "mail/charset.h"
#include "mail/text.h"
#include "unit.h"

static void same(struct buf *b, const char *want, const char *what)
{
        if (!str_eq(buf_str(b), str_of(want)))
                fail_msg("%s: got \"" PRS "\", want \"%s\"", what, STR(buf_str(b)), want);
        buf_clear(b);
}

static void folding(void **state)
{
        static const struct {
                const char *text, *folded;
        } table[] = {
                { "", "" },
                { "Hello, World!", "hello, world!" },
                { " \t\r\n a \r\n\tb  ", " a b " },
                { "a\x01\x7f\x62", "a b" },
                { "Straße STRASSE ẞ", "strasse strasse ss" },
                { "İstanbul I ı", "istanbul i ı" },
                { "Ä Ö ü é è ñ Å ç", "a o u e e n a c" },
                { "A\xcc\x88 e\xcc\x81\xcc\xa3", "a e" }, /* combining accents */
                { "ＡＢＣ１２３　ｘ", "abc123 x" },       /* full width, ideographic space */
                { "ﬁn ﬀ Ⅷ ² ½", "fin ff viii 2 1⁄2" },
                { "so\u00ADft\u200Bhy\u200Dphen\uFEFF", "softhyphen" },
                { "a\u00A0\u2003\u2028b", "a b" },
                { "ΣΊΣΥΦΟΣ σίσυφος", "σισυφοσ σισυφοσ" },
                { "ЙОЛКА ёлка", "иолка елка" },
                { "العَرَبِيَّة ﷺ", "العربية صلى الله عليه وسلم" },
                { "שָׁלוֹם", "שלום" },
                { "한국어 \u1112\u1161\u11AB", "한국어 한" }, /* syllables stay whole, and are put together */
                { "ㅋㅋㅠㅠ", "ㅋㅋㅠㅠ" },
                { "がぎ か\u3099 ﾊﾟﾋﾟ", "がぎ が パピ" },
                { "か が", "か が" },
                { "漢字、㍿", "漢字、株式会社" },
                { "ไทยกำลัง", "ไทยกําลัง" }, /* vowel and tone signs are no accents */
                { "don´t ¨ it’s", "don´t ¨ it’s" },
                { "ı̇ ï̈", "ı i" },
                { "\xff\xfe \xc3 x", "\uFFFD\uFFFD \uFFFD x" },
                { "\xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80",
                  "\uFFFD\uFFFD\uFFFD \uFFFD\uFFFD \uFFFD\uFFFD\uFFFD\uFFFD" },
                { "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙 𠀀", "unicode 1 𠀀" },
                { "1️⃣ ❤️", "1 ❤" },
        };
        struct buf out auto_buf, again auto_buf, one auto_buf;

        (void)state;
        buf_init(&out, 4096);
        buf_init(&again, 4096);
        buf_init(&one, 4096);
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
                struct str s = str_of(table[i].text), word;

                buf_clear(&again);
                buf_clear(&one);
                text_fold(&out, s);
                text_fold(&again, buf_str(&out));
                assert_true(
                    str_eq(buf_str(&out), buf_str(&again))); /* folding what is folded changes nothing */
                for (bool more = true; more;) {              /* and it may be done piece by piece */
                        more = str_cut(&s, ' ', &word);
                        text_fold(&one, word);
                        text_fold(&one, more ? S(" ") : S(""));
                }
                assert_true(str_eq(buf_str(&out), buf_str(&one)));
                same(&out, table[i].folded, table[i].text);
        }
}

/* Every character there is: folding twice is folding once, and what comes out is UTF-8. */
static void folding_all(void **state)
{
        struct buf in auto_buf, out auto_buf, again auto_buf;

        (void)state;
        buf_init(&in, 64);
        buf_init(&out, 4096);
        buf_init(&again, 4096);
        for (uint32_t c = 1; c < 0x110000; c += c >= 0x30000 && c < 0xE0000 ? 997 : 1) {
                unsigned char bytes[4] = { (unsigned char)(0xF0 | c >> 18),
                                           (unsigned char)(0x80 | (c >> 12 & 63)),
                                           (unsigned char)(0x80 | (c >> 6 & 63)),
                                           (unsigned char)(0x80 | (c & 63)) };
                size_t from = 0;

                if (c < 0x80) {
                        bytes[3] = (unsigned char)c;
                        from = 3;
                } else if (c < 0x800) {
                        bytes[2] = (unsigned char)(0xC0 | c >> 6);
                        from = 2;
                } else if (c < 0x10000) {
                        bytes[1] = (unsigned char)(0xE0 | c >> 12);
                        from = 1;
                }
                buf_clear(&in);
                buf_clear(&out);
                buf_clear(&again);
                buf_put(&in, "か", 3);
                buf_put(&in, bytes + from, 4 - from);
                buf_put(&in, "ㅏa", 4);
                text_fold(&out, buf_str(&in));
                text_fold(&again, buf_str(&out));
                if (!str_eq(buf_str(&out), buf_str(&again)) || !utf8_valid(buf_str(&out)))
                        fail_msg("U+%04X: \"" PRS "\" became \"" PRS "\"", c, STR(buf_str(&out)),
                                 STR(buf_str(&again)));
        }
}

static void decoding(void **state)
{
        static const struct {
                const char *encoding, *bytes, *want;
                bool ok;
        } table[] = {
                { "7bit", "a=20b", "a=20b", true },
                { "BINARY", "x", "x", true },
                { "quoted-printable", "a=20b=3D=c3=A9", "a b=\u00e9", true },
                { "quoted-printable", "soft =\r\nbreak=  \r\nhere \t\r\nend", "soft breakhere\r\nend", true },
                { "quoted-printable", "bad =ZZ =4 = =", "bad =ZZ =4 = ", true },
                { "Quoted-Printable", "a=\nb\nc", "ab\nc", true },
                { "base64", "aGVsbG8gd29ybGQ=", "hello world", true },
                { "base64", "aGVs\r\nbG8g*d29\r\nybGQ", "hello world", true },
                { "base64", "aGk=aGk=", "hihi", true },
                { "base64", "aGk", "hi", true },
                { "base64", "", "", true },
                { "base64", "!!!! ???? $$$$ aGk=", "hi", false },
                { "x-uuencode", "begin 644 x", "", false },
        };
        struct buf out auto_buf;

        (void)state;
        buf_init(&out, 4096);
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
                assert_int_equal(text_decode(&out, str_of(table[i].encoding), str_of(table[i].bytes)),
                                 table[i].ok);
                same(&out, table[i].want, table[i].bytes);
        }
}

static bool collect(void *context, struct str s)
{
        return buf_puts(context, s);
}

static void body_of(struct buf *out, const char *letter)
{
        struct mime m;

        mime_init(&m);
        mime_parse(&m, str_of(letter));
        text_of_body(&m, str_of(letter), collect, out);
        mime_finish(&m);
}

static void html(void **state)
{
        static const struct {
                const char *html, *want;
        } table[] = {
                { "plain", "plain" },
                { "a<b>b</b>c", "abc" },
                { "a<br>b<p>c</p><DIV class=\"x>y\">d</div>", "a\nb\nc\n\nd\n" },
                { "<td>1</td><td>2</td>", " 1  2 " },
                { "x<!-- no <b> -- > -->y<!-->z<!--->w", "xyzw" },
                { "x<script>if (a < b) '</b>'</script >y<style>p{}</STYLE>z", "xyz" },
                { "<title>t</title>b", "b" },
                { "&lt;&amp;&eacute;&#233;&#xE9;&#8364;&#128;&nbsp;&copy2&unknown;&",
                  "<&ééé€€\u00A0&copy2&unknown;&" },
                { "&#0;&#xD800;&#99999999;&#;&#x;", "\uFFFD\uFFFD\uFFFD&#;&#x;" },
                { "a < b > c<", "a < b > c<" },
                { "a</>b<?php x ?>c<!DOCTYPE html>d", "abcd" },
                { "a<img alt='no' src=x>b<a href=http://x/?a&amp;b>link</a>", "ablink" },
                { "a<b title='unclosed> all is gone", "a" },
                { "a<script>never ends <p>x", "a" },
                { "a<b", "a" },
                { "fo<wbr>o&shy;bar", "foo\u00ADbar" },
        };
        struct buf out auto_buf, letter auto_buf;

        (void)state;
        buf_init(&out, 4096);
        buf_init(&letter, 4096);
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
                buf_clear(&letter);
                buf_printf(&letter, "Content-Type: text/html; charset=utf-8\r\n\r\n%s", table[i].html);
                buf_u8(&letter, 0);
                body_of(&out, letter.p);
                out.n -= out.n && out.p[out.n - 1] == '\n';
                same(&out, table[i].want, table[i].html);
        }
}

static void parts(void **state)
{
        static const struct {
                const char *letter, *want;
        } table[] = {
                { "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
                  "quoted-printable\r\n\r\n"
                  "Gr=FC=DFe",
                  "Grüße\n" },
                { "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B4A;z\x1b(B x", "漢字 x\n" },
                { "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: "
                  "base64\r\n\r\naADpAAoAeAA=",
                  "hé\nx\n" },
                { "Content-Type: text/plain; charset=utf-7\r\n\r\nHi Mom +Jjo-!", "Hi Mom ☺!\n" },
                { "Content-Type: text/plain; charset=no-such\r\n\r\n\xc3\xa9", "é\n" },
                { "\r\n\xe9", "é\n" },
                { "Content-Type: image/png\r\n\r\nxx", "" },
                { "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b\r\n"
                  "Content-Type: application/pdf; name=x.pdf\r\n\r\nno\r\n--b\r\nContent-Type: "
                  "message/rfc822\r\n\r\n"
                  "Subject: =?utf-8?q?inn=C3=A9r?=\r\nFrom: \"A. B\" <a@b.c>\r\n\r\ntwo\r\n--b--\r\nepilogue",
                  "one\nSubject: innér\nFrom: \"A. B\" <a@b.c>\nA. B <a@b.c>\ntwo\n" },
        };
        struct buf out auto_buf;

        (void)state;
        buf_init(&out, 4096);
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
                body_of(&out, table[i].letter);
                same(&out, table[i].want, table[i].letter);
        }
}

static void header(void **state)
{
        static const char letter[] = "From: =?utf-8?b?SsO8cmdlbg==?= <j@x.org>\r\nTo: \"Q \\\"x\\\" Y\" "
                                     "<q@x.org>,\r\n b@y.org (Bob)\r\n"
                                     "X-Empty:\r\nSubject: a =?iso-8859-1?q?=E9?= b\r\n folded\r\n"
                                     "Content-Type: text/plain; name*=utf-8''%e2%82%ac.txt\r\n\r\nbody";
        struct buf out auto_buf;
        struct mime m;

        (void)state;
        buf_init(&out, 4096);
        mime_init(&m);
        mime_parse(&m, str_of(letter));
        text_of_header(&m, str_of(letter), collect, &out);
        mime_finish(&m);
        same(&out,
             "From: Jürgen <j@x.org>\nTo: \"Q \\\"x\\\" Y\" <q@x.org>, b@y.org (Bob)\nQ \"x\" Y <q@x.org>, "
             "Bob "
             "<b@y.org>\nX-Empty: \nSubject: a é b folded\nContent-Type: text/plain; "
             "name*=utf-8''%e2%82%ac.txt\n€.txt\n",
             "header");
}

static void previews(void **state)
{
        static const struct {
                const char *letter, *want;
        } table[] = {
                { "\r\nHello\r\n\r\n> quoted\r\n  world \xc2\xa0 !", "Hello world !" },
                { "Content-Type: text/html\r\n\r\n<style>x</style><p>Hi &amp; bye</p>", "Hi & bye" },
                { "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: "
                  "text/html\r\n\r\n<p>H\r\n"
                  "--b\r\n\r\nP\r\n--b--",
                  "P" },
                { "Content-Type: image/png\r\n\r\nxx", "" },
                { "\r\n> only\r\n> quotes", "" },
        };
        struct arena a auto_arena;
        struct buf longer auto_buf;
        struct mime m;
        struct str got;

        (void)state;
        arena_init(&a, 65536);
        mime_init(&m);
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
                mime_parse(&m, str_of(table[i].letter));
                got = text_preview(&a, &m, str_of(table[i].letter));
                if (!str_eq(got, str_of(table[i].want)))
                        fail_msg("preview \"" PRS "\", want \"%s\"", STR(got), table[i].want);
        }
        buf_init(&longer, 65536);
        buf_puts(&longer, S("Content-Type: text/plain; charset=utf-8\r\n\r\n"));
        for (int i = 0; i < 300; i++)
                buf_puts(&longer, S("é"));
        mime_parse(&m, buf_str(&longer));
        assert_int_equal(text_preview(&a, &m, buf_str(&longer)).n, 400);
        assert_int_equal(text_preview(&a, &m, str_sub(buf_str(&longer), 0, 53)).n,
                         10); /* only the start was read */
        mime_finish(&m);
}

/* Long, and broken so that a careless reader would go back again and again. */
static void endless(void **state)
{
        static const char *const pieces[] = { "<",        "<!--",      "<a b='",       "&#",    "&amp",
                                              "</script", "<script><", "-->",          "=\r\n", "\xe3\x81",
                                              "<x y=\"",  "漢",        "a\u0301\u0301" };
        struct buf letter auto_buf, out auto_buf;

        (void)state;
        buf_init(&letter, (size_t)64 << 20);
        buf_init(&out, (size_t)64 << 20);
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
                for (int type = 0; type < 2; type++) {
                        buf_clear(&letter);
                        buf_clear(&out);
                        buf_puts(
                            &letter,
                            type ? S("Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
                                     "quoted-printable\r\n\r\n")
                                 : S("Content-Type: text/html; charset=utf-16\r\n\r\n"));
                        while (letter.n < (4 << 20))
                                buf_puts(&letter, str_of(pieces[i]));
                        buf_u8(&letter, 0);
                        body_of(&out, letter.p);
                        buf_clear(&letter);
                        text_fold(&letter, buf_str(&out));
                        assert_true(utf8_valid(buf_str(&letter)));
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(folding),  cmocka_unit_test(folding_all), cmocka_unit_test(decoding),
                cmocka_unit_test(html),     cmocka_unit_test(parts),       cmocka_unit_test(header),
                cmocka_unit_test(previews), cmocka_unit_test(endless),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
