/* A letter as a person reads it, and as one writes it: what is composed is read back. */
#include "unit.h"
#include "base/buf.h"
#include "cli/mail/compose.h"
#include "cli/mail/letter.h"
#include "mail/header.h"
#include "mail/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct str line_of(const struct letter *l, size_t n)
{
        for (size_t i = 0; i < l->line_count; i++)
                if (l->lines[i].kind != LINE_HEADER && !n--)
                        return l->lines[i].text;
        return S("(none)");
}

static struct letter *parse(const char *text, unsigned flags)
{
        struct letter *l = NULL;

        assert_int_equal(letter_parse(&l, str_of(text), flags), 0);
        return l;
}

static void plain_alternative_and_attachment(void **state)
{
        struct letter *l =
            parse("From: =?UTF-8?Q?J=C3=A4ck?= <jack@town.com>\r\nSubject: water\r\nX-Other: no\r\n"
                  "Content-Type: multipart/mixed; boundary=o\r\n\r\n"
                  "--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
                  "--i\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nsch\xf6n\r\n"
                  "> > twice\r\n-- \r\nJack\r\n"
                  "--i\r\nContent-Type: text/html\r\n\r\n<p>HTML</p>\r\n--i--\r\n"
                  "--o\r\nContent-Type: image/png; name=\"../../.bashrc\"\r\nContent-Transfer-Encoding: "
                  "base64\r\n\r\n"
                  "AAEC\r\n--o--\r\n",
                  0);
        struct buf auto_buf name = { 0 }, bytes = { 0 };

        (void)state;
        assert_str(l->lines[0].text, S("From: J\xc3\xa4"
                                       "ck <jack@town.com>"));
        assert_str(l->lines[1].text, S("Subject: water"));
        assert_str(l->lines[2].text, S(""));
        assert_str(line_of(l, 0), S("sch\xc3\xb6n"));
        assert_str(line_of(l, 1), S("twice"));
        assert_int_equal(l->lines[4].quoted, 2);
        assert_int_equal(l->lines[5].kind, LINE_SIGNATURE);
        assert_int_equal(l->part_count, 2);
        assert_true(l->parts[1].attachment);
        buf_init(&name, 1000);
        letter_file_name(&l->parts[1], &name);
        assert_str(buf_str(&name), S("bashrc"));
        buf_init(&bytes, 1000);
        assert_int_equal(letter_part_bytes(l, l->parts[1].number, &bytes), 0);
        assert_str(buf_str(&bytes), S("\0\1\2"));
        letter_free(&l);
}

static void html_with_its_links(void **state)
{
        struct letter *l =
            parse("Content-Type: text/html; charset=utf-8\r\n\r\n<p>One</p><p>&nbsp;</p><p>Two <a class=x "
                  "href=\"https://hill.com/?a=1&amp;b=\r\n2\">here</a>"
                  "<a href='javascript:alert(1)'>x</a>\r\n",
                  0);

        (void)state;
        assert_str(line_of(l, 0), S("One"));
        assert_str(l->lines[l->line_count - 1].text, S("[1] https://hill.com/?a=1&b=2"));
        letter_free(&l);
}

static void flowed_text(void **state)
{
        struct letter *l = parse("Content-Type: text/plain; format=flowed\r\n\r\n"
                                 "one \r\ntwo\r\n>quoted \r\n>more\r\n  stuffed\r\n-- \r\nme\r\n",
                                 0);

        (void)state;
        assert_str(line_of(l, 0), S("one two"));
        assert_str(line_of(l, 1), S("quoted more"));
        assert_str(line_of(l, 2), S(" stuffed"));
        assert_str(line_of(l, 3), S("-- "));
        letter_free(&l);
}

static void names_of_files(void **state)
{
        static const struct {
                const char *name, *file;
        } rows[] = {
                { "report.pdf", "report.pdf" },
                { "C:\\windows\\evil.exe", "evil.exe" },
                { "/etc/passwd", "passwd" },
                { "..", "part-7" },
                { "", "part-7" },
                { "-rf", "rf" },
                { "a\x1b[2Jb", "a_[2Jb" },
                { "one\ntwo", "one_two" },
                { " .hidden ", "hidden" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct letter_part p = { .name = str_of(rows[i].name), .number = 7 };
                struct buf auto_buf out = { 0 };

                buf_init(&out, 1000);
                letter_file_name(&p, &out);
                assert_str(buf_str(&out), str_of(rows[i].file));
        }
}

static void a_file_is_never_overwritten(void **state)
{
        char folder[] = "/tmp/pail-letter-XXXXXX";
        struct letter *l = parse("Content-Type: application/pdf; name=a.pdf\r\n\r\nx", 0);
        static const char *const names[] = { "a.pdf", "a (2).pdf" };

        (void)state;
        assert_non_null(mkdtemp(folder));
        for (size_t i = 0; i < LENGTH(names); i++) {
                struct buf auto_buf path = { 0 }, want = { 0 };

                buf_init(&path, 1000);
                buf_init(&want, 1000);
                buf_printf(&want, "%s/%s", folder, names[i]);
                assert_int_equal(letter_save_part(l, 1, folder, &path), 0);
                assert_str(buf_str(&path), buf_str(&want));
        }
        for (size_t i = 0; i < LENGTH(names); i++) {
                char path[100];

                snprintf(path, sizeof path, "%s/%s", folder, names[i]);
                assert_int_equal(unlink(path), 0);
        }
        rmdir(folder);
        letter_free(&l);
}

static const struct login alice = { .address = (char *)(uintptr_t) "alice@crepes.fr",
                                    .name = (char *)(uintptr_t) "Alice" };

static struct letter *sent(struct draft *d, struct arena *a, struct str **to, size_t *n)
{
        struct buf auto_buf message = { 0 }, why = { 0 };
        struct str sender;
        struct letter *l = NULL;

        buf_init(&message, 10 << 20);
        buf_init(&why, 1000);
        if (draft_message(d, &alice, &message, a, to, n, &sender, &why) != 0)
                print_error(PRS "\n", STR(buf_str(&why)));
        assert_int_equal(why.n, 0);
        assert_int_not_equal(write_needs(buf_str(&message)), 2);
        assert_str(sender, S("alice@crepes.fr"));
        assert_int_equal(letter_parse(&l, buf_str(&message), LETTER_ALL_FIELDS), 0);
        return l;
}

static void type(struct draft *d, const char *text)
{
        struct buf auto_buf why = { 0 };

        buf_init(&why, 1000);
        assert_int_equal(draft_from_text(d, str_of(text), &why), 0);
}

static void what_is_written_is_read(void **state)
{
        struct arena auto_arena a;
        struct str *to = NULL;
        size_t n;
        struct draft d;
        struct letter *l;

        (void)state;
        arena_init(&a, 16 << 20);
        draft_new(&d, &alice);
        type(&d, "From: Alice <alice@crepes.fr>\n"
                 "To: \"B\xc3\xb6"
                 "b, the builder\" <bob@hamburger.edu>, carol@hamburger.edu,\n bob@hamburger.edu\n"
                 "Bcc: dave@hamburger.edu\n"
                 "Subject: Ein sch\xc3\xb6ner langer Betreff, l\xc3\xa4nger als eine Zeile und mit "
                 "\xe2\x82\xac und =?so?q?was?=\n"
                 "X-Mood: fine\n\n"
                 "Do you like ketchup? \xe2\x82\xac\n"
                 "> yes\nFrom here it is a long line that has to be broken softly since it is much longer "
                 "than it may be, "
                 "and so on.\n");
        l = sent(&d, &a, &to, &n);
        assert_int_equal(n, 3);
        assert_str(to[0], S("bob@hamburger.edu"));
        assert_str(to[1], S("carol@hamburger.edu"));
        assert_str(to[2], S("dave@hamburger.edu"));
        assert_str(l->subject,
                   S("Ein sch\xc3\xb6ner langer Betreff, l\xc3\xa4nger als eine Zeile und mit \xe2\x82\xac "
                     "und =?so?q?was?="));
        assert_false(header_has(buf_str(&l->raw), S("Bcc")));
        assert_true(header_has(buf_str(&l->raw), S("X-Mood")));
        assert_true(header_has(buf_str(&l->raw), S("Date")));
        assert_true(header_has(buf_str(&l->raw), S("Message-ID")));
        assert_str(line_of(l, 0), S("Do you like ketchup? \xe2\x82\xac"));
        assert_str(line_of(l, 1), S("yes"));
        assert_str(line_of(l, 2),
                   S("From here it is a long line that has to be broken softly since it is much longer than "
                     "it may be, and so on."));
        letter_free(&l);
        draft_free(&d);
}

static void what_is_no_address_is_named(void **state)
{
        static const struct {
                const char *text, *why;
        } rows[] = {
                { "To: bob@@hill.com\n\nx\n", "To: " },
                { "To: bob\n\nx\n", "To: bob is no address" },
                { "Subject: x\n\nx\n", "nobody is named in To, Cc or Bcc" },
                { "To: b@c.de\nAttach: /does/not/exist\n\nx\n",
                  "/does/not/exist: No such file or directory" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct arena auto_arena a;
                struct buf auto_buf message = { 0 }, why = { 0 };
                struct str *to, sender;
                struct draft d;
                size_t n;

                arena_init(&a, 1 << 20);
                buf_init(&message, 1 << 20);
                buf_init(&why, 1000);
                draft_new(&d, &alice);
                type(&d, rows[i].text);
                assert_true(draft_message(&d, &alice, &message, &a, &to, &n, &sender, &why) < 0);
                assert_str(str_sub(buf_str(&why), 0, strlen(rows[i].why)), str_of(rows[i].why));
                draft_free(&d);
        }
}

static void answers(void **state)
{
        struct letter *l =
            parse("From: \"Bob, B.\" <bob@hamburger.edu>\r\nTo: alice@crepes.fr, Carol <carol@hill.com>\r\n"
                  "Cc: dave@hill.com\r\nSubject: Re: ketchup\r\nMessage-ID: <2@hamburger.edu>\r\n"
                  "References: <1@crepes.fr>\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\nyes\r\n> no\r\n",
                  0);
        struct draft d;

        (void)state;
        draft_reply(&d, &alice, l, REPLY_ALL | REPLY_QUOTE);
        assert_str(buf_str(&d.head), S("From: Alice <alice@crepes.fr>\nTo: \"Bob, B.\" <bob@hamburger.edu>\n"
                                       "Cc: Carol <carol@hill.com>, dave@hill.com\nSubject: Re: ketchup\n"));
        assert_str(buf_str(&d.body), S("On 1997-11-21 at 09:55, Bob, B. wrote:\n> yes\n>> no\n"));
        assert_str(d.references, S("<1@crepes.fr> <2@hamburger.edu>"));
        draft_free(&d);
        draft_forward(&d, &alice, l, false);
        assert_str(buf_str(&d.head), S("From: Alice <alice@crepes.fr>\nTo: \nSubject: Fwd: Re: ketchup\n"));
        draft_free(&d);
        letter_free(&l);
}

static void attachments_come_back(void **state)
{
        char path[] = "/tmp/pail-sch\xc3\xb6n-XXXXXX.bin";
        int fd = mkstemps(path, 4);
        struct arena auto_arena a;
        struct str *to;
        struct buf auto_buf text = { 0 }, bytes = { 0 };
        struct letter *l, *back;
        struct draft d, again;
        size_t n;

        (void)state;
        arena_init(&a, 16 << 20);
        assert_int_equal(write(fd, "\0\r\n\xff", 4), 4);
        close(fd);
        buf_init(&text, 10000);
        buf_init(&bytes, 10000);
        buf_printf(&text, "To: bob@hamburger.edu\nAttach: %s\n\nsee there\n", path);
        buf_u8(&text, 0);
        draft_new(&d, &alice);
        type(&d, text.p);
        l = sent(&d, &a, &to, &n);
        assert_int_equal(l->part_count, 2);
        assert_str(l->parts[1].name, str_of(path + 5));
        assert_int_equal(letter_part_bytes(l, l->parts[1].number, &bytes), 0);
        assert_str(buf_str(&bytes), S("\0\r\n\xff"));
        assert_int_equal(draft_resume(&again, l), 0); /* a draft gone on with has it still */
        unlink(path);
        back = sent(&again, &a, &to, &n);
        assert_int_equal(back->part_count, 2);
        buf_clear(&bytes);
        assert_int_equal(letter_part_bytes(back, back->parts[1].number, &bytes), 0);
        assert_str(buf_str(&bytes), S("\0\r\n\xff"));
        assert_str(line_of(back, 0), S("see there"));
        letter_free(&back);
        letter_free(&l);
        draft_free(&again);
        draft_free(&d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain_alternative_and_attachment),
                cmocka_unit_test(html_with_its_links),
                cmocka_unit_test(flowed_text),
                cmocka_unit_test(names_of_files),
                cmocka_unit_test(a_file_is_never_overwritten),
                cmocka_unit_test(what_is_written_is_read),
                cmocka_unit_test(what_is_no_address_is_named),
                cmocka_unit_test(answers),
                cmocka_unit_test(attachments_come_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
