/* What `pail talk` follows of a conversation: secrets, letters, what has to be answered, TLS. `>` is typed, `<` heard. */
#include "unit.h"
#include "base/buf.h"
#include "base/codec.h"
#include "cli/follow.h"
#include "proto/transcript.h"
#include "proto/transcript_words.h"
#include <stdio.h>

/* After the line: what the next facts are. shown: of a typed line. */
struct step {
        const char *line;
        const char *shown; /* typed: what may be shown; NULL: all */
        const char *facts; /* h: a handshake now; f: final; w: wait; l: a letter line; digits: due */
};

static void follows(enum talk_protocol p, const struct step *steps)
{
        struct follow f;

        follow_begin(&f, p);
        for (const struct step *s = steps; s->line; s++) {
                struct str line = str_of(s->line + 2);
                char facts[32];
                int n = 0;

                if (s->line[0] == '>') {
                        struct typed t;

                        follow_typed(&f, line, &t);
                        assert_str(str_sub(line, 0, t.shown), s->shown ? str_of(s->shown) : line);
                        if (t.letter)
                                facts[n++] = 'l';
                } else {
                        struct heard h;

                        follow_heard(&f, line, &h);
                        if (h.final)
                                facts[n++] = 'f';
                        if (h.handshake)
                                facts[n++] = 'h';
                }
                if (f.wait)
                        facts[n++] = 'w';
                snprintf(facts + n, sizeof(facts) - (size_t)n, "%u", f.due);
                if (strcmp(facts, s->facts) != 0)
                        fail_msg("%s: %s, not %s", s->line, facts, s->facts);
        }
}

static void smtp(void **state)
{
        (void)state;
        follows(TALK_SMTP,
                (struct step[]){
                    { "< 220-hill.com", NULL, "w1" }, { "< 220 ready", NULL, "f0" },
                    { "> EHLO x", NULL, "1" },        { "> AUTH PLAIN AGJvYg==", "AUTH PLAIN ", "w2" },
                    { "< 250-hill.com", NULL, "w2" }, { "< 250 PIPELINING", NULL, "fw1" },
                    { "< 334 VXNlcg==", NULL, "f0" }, { "> Ym9i", "", "w1" },
                    { "< 235 ok", NULL, "f0" },       { "> MAIL FROM:<a@b>", NULL, "1" },
                    { "> DATA", NULL, "w2" },         { "< 250 ok", NULL, "fw1" },
                    { "< 354 go", NULL, "f0" },       { "> AUTH is no command here", NULL, "l0" },
                    { "> ..", NULL, "l0" },           { "> .", NULL, "1" },
                    { "< 250 ok", NULL, "f0" },       { "> BDAT 10", NULL, "1" },
                    { "> DATA xyz", NULL, "1" }, /* ten octets with the end of the line */
                    { "< 250 ok", NULL, "f0" },       { "> starttls", NULL, "w1" },
                    { "< 220 go", NULL, "fh0" },      { NULL } });
        follows(TALK_SMTP, (struct step[]){ { "< 220 ready", NULL, "f0" },
                                            { "> STARTTLS", NULL, "w1" },
                                            { "< 454 not now", NULL, "f0" },
                                            { "> DATA", NULL, "w1" },
                                            { "< 503 no", NULL, "f0" },
                                            { "> a command", NULL, "1" },
                                            { NULL } });
}

static void pop3(void **state)
{
        (void)state;
        follows(TALK_POP3,
                (struct step[]){ { "< +OK ready", NULL, "f0" },
                                 { "> USER bob", NULL, "1" },
                                 { "> PASS hun gry", "PASS ", "2" },
                                 { "> RETR 1", NULL, "3" },
                                 { "> LIST 1", NULL, "4" },
                                 { "< +OK", NULL, "f3" },
                                 { "< +OK", NULL, "f2" },
                                 { "< +OK 498 octets", NULL, "2" },
                                 { "< -ERR in the letter", NULL, "2" },
                                 { "< .", NULL, "f1" },
                                 { "< +OK 1 498", NULL, "f0" },
                                 { "> APOP bob c4c9334bac560ecc979e58001b3e22fb", "APOP bob ", "1" },
                                 { "< -ERR no", NULL, "f0" },
                                 { "> AUTH PLAIN", NULL, "w1" },
                                 { "< + ", NULL, "f0" },
                                 { "> AGJvYg==", "", "w1" },
                                 { "< +OK", NULL, "f0" },
                                 { "> STLS", NULL, "w1" },
                                 { "< +OK go", NULL, "fh0" },
                                 { NULL } });
}

static void imap(void **state)
{
        (void)state;
        follows(TALK_IMAP, (struct step[]){ { "< * OK ready", NULL, "f0" },
                                            { "> a login \"b ob\" hungry", "a login \"b ob\" ", "1" },
                                            { "< a OK", NULL, "f0" },
                                            { "> b CAPABILITY", NULL, "1" },
                                            { "> c LOGIN {3}", NULL, "w2" },
                                            { "< b OK", NULL, "fw1" },
                                            { "< + go", NULL, "1" },
                                            { "> bob {6}", "", "w1" },
                                            { "< + go", NULL, "1" },
                                            { "> hungry", "", "1" },
                                            { "< c OK", NULL, "f0" },
                                            { "> d AUTHENTICATE PLAIN", NULL, "w1" },
                                            { "< + ", NULL, "1" },
                                            { "> AGJvYg==", "", "w1" },
                                            { "< d NO", NULL, "f0" },
                                            { "> e IDLE", NULL, "w1" },
                                            { "< + idling", NULL, "1" },
                                            { "> DONE", NULL, "1" },
                                            { "< * 3 EXISTS", NULL, "1" },
                                            { "< e OK", NULL, "f0" },
                                            { "> f FETCH 1 BODY[]", NULL, "1" },
                                            { "< * 1 FETCH (BODY[] {7}", NULL, "1" },
                                            { "< f OK x", NULL,
                                              "1" }, /* nine octets: these seven and the end of the line */
                                            { NULL } });
        follows(TALK_IMAP, (struct step[]){ { "< * OK ready", NULL, "f0" },
                                            { "> a STARTTLS", NULL, "w1" },
                                            { "< * CAPABILITY", NULL, "w1" },
                                            { "< a OK go", NULL, "fh0" },
                                            { NULL } });
}

static void ftp(void **state)
{
        (void)state;
        follows(TALK_FTP, (struct step[]){ { "< 220-hill.com", NULL, "w1" },
                                           { "<  221 is not the end", NULL, "w1" },
                                           { "< 221 neither", NULL, "w1" },
                                           { "< 220 ready", NULL, "f0" },
                                           { "> USER bob", NULL, "1" },
                                           { "> PASS hungry", "PASS ", "2" },
                                           { "< 331 password", NULL, "f1" },
                                           { "< 230 in", NULL, "f0" },
                                           { "> RETR x", NULL, "1" },
                                           { "< 150 opening", NULL, "1" },
                                           { "< 226 done", NULL, "f0" },
                                           { "> AUTH TLS", NULL, "w1" },
                                           { "< 234 go", NULL, "fh0" },
                                           { NULL } });
}

/* Also where it is mistyped, or said though the sign-in was refused. */
static void secrets(void **state)
{
        (void)state;
        follows(TALK_SMTP, (struct step[]){ { "< 220 ready", NULL, "f0" },
                                            { "> auth\tplain\tAGJvYg==", "auth\tplain\t", "w1" },
                                            { "< 538 not in clear", NULL, "f0" },
                                            { "> AUTH LOGIN", NULL, "w1" },
                                            { "< 504 no", NULL, "f0" },
                                            { "> Ym9i", "", "1" },
                                            { "< 500 what?", NULL, "f0" },
                                            { "> NOOP", NULL, "1" },
                                            { "< 250 ok", NULL, "f0" },
                                            { "> MAIL FROM:<a@b>", NULL, "1" },
                                            { NULL } });
        follows(TALK_POP3, (struct step[]){ { "< +OK ready", NULL, "f0" },
                                            { "> PASS\thungry", "PASS\t", "1" },
                                            { "> PASShungry", "PASS", "2" },
                                            { "> PASS=hungry", "PASS", "3" },
                                            { "> AUTH XOAUTH2 R0FS", "AUTH XOAUTH2 ", "w4" },
                                            { "< -ERR", NULL, "fw3" },
                                            { "< -ERR", NULL, "fw2" },
                                            { "< -ERR", NULL, "fw1" },
                                            { "< -ERR", NULL, "f0" },
                                            { "> R0FS", "", "1" },
                                            { NULL } });
        follows(TALK_IMAP, (struct step[]){ { "< * OK ready", NULL, "f0" },
                                            { "> a UID LOGIN bob hungry", "a UID LOGIN bob ", "1" },
                                            { "< a BAD", NULL, "f0" },
                                            { "> b LOGIN bob x{5}", "b LOGIN bob ", "w1" },
                                            { "< b NO", NULL, "f0" },
                                            { "> c LOGIN {3}", NULL, "w1" },
                                            { "< c NO", NULL, "f0" },
                                            { "> bob {6}", "", "w1" },
                                            { "< bob BAD", NULL, "f0" },
                                            { "> hungry", "", "0" },
                                            { "> d NOOP", NULL, "1" },
                                            { NULL } });
        follows(TALK_UNKNOWN, (struct step[]){ { "> PASS hungry", "PASS ", "0" },
                                               { "> a LOGIN bob hungry", "a LOGIN bob ", "0" },
                                               { NULL } });
}

static void guesses_by_the_greeting(void **state)
{
        static const struct {
                const char *greeting;
                enum talk_protocol p;
        } list[] = {
                { "220 hill.com ESMTP", TALK_SMTP }, { "220 hill.com FTP server ready", TALK_FTP },
                { "220 x ESMTP FTP", TALK_SMTP },    { "+OK ready", TALK_POP3 },
                { "* OK ready", TALK_IMAP },         { "HTTP/1.1 400 Bad Request", TALK_UNKNOWN },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++) {
                struct follow f;
                struct heard h;
                struct typed t;

                follow_begin(&f, TALK_UNKNOWN);
                follow_heard(&f, str_of(list[i].greeting), &h);
                assert_int_equal(f.protocol, list[i].p);
                assert_int_equal(f.due, 0);
                follow_typed(&f, S("PASS x"), &t);
                if (f.protocol != TALK_SMTP && f.protocol != TALK_IMAP)
                        assert_int_equal(t.shown, 5);
        }
}

static void says_what_replies_mean(void **state)
{
        static const struct {
                enum talk_protocol p;
                const char *line, *words;
        } list[] = {
                { TALK_SMTP, "354 go", "now the letter, and a line with a dot alone at its end" },
                { TALK_SMTP, "599 x", "refused: the same will fail again" },
                { TALK_SMTP, "no code", NULL },
                { TALK_FTP, "550 x", "no such file, or not for you" },
                { TALK_POP3, "-ERR [IN-USE] x", "no: another session has the mailbox" },
                { TALK_IMAP, "* 3 EXISTS", "so many letters are in the mailbox" },
                { TALK_IMAP, "a NO [TRYCREATE] x", "there is no such mailbox; it may be created" },
                { TALK_UNKNOWN, "250 x", NULL },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++) {
                const char *words = explain_reply(list[i].p, str_of(list[i].line));

                if (list[i].words)
                        assert_string_equal(words, list[i].words);
                else
                        assert_null(words);
        }
}

/* What was kept is read again as what was said: a server line matches itself, a client line goes out byte by byte. */
static void what_is_kept_can_be_played(void **state)
{
        static const struct str lines[] = {
                S("250 plain"),
                S("a * b"),
                S("\\*"),
                S("\\\\\033x"),
                S("{name} {12} \\{3} {"),
                S("..."),
                S("."),
                S(""),
                S("\033[2J"),
                S("a\tb\"c\\"),
                S("+OK <1.2@x>"),
                S("227 Entering (1,2,3,4,5,6)."),
                S("* OK [UIDVALIDITY 12] x"),
                S(" space "),
                S("gr\xC3\xBC\xC3\x9F\xFF"),
                S("gr\xC3\xBC\xC3\x9F"),
                S("\xC2\x9B"
                  "31m \xE2\x80\xAEtxt.exe \xE2\x81\xA6 \x7F"),
                S("{x\xC2\x85}"),
                S("\xC0\x9B"),
        };
        struct arena a;
        struct variables v = { 0 };

        (void)state;
        arena_init(&a, 1 << 20);
        arena_init(&v.arena, 1 << 20);
        for (size_t i = 0; i < LENGTH(lines); i++)
                for (int client = 0; client < 2; client++) {
                        struct buf auto_buf text = { 0 }, auto_buf why = { 0 }, auto_buf out = { 0 };
                        struct transcript_line *read;
                        size_t n;
                        bool matches;

                        buf_init(&text, 10000);
                        buf_init(&why, 1000);
                        buf_init(&out, 1000);
                        transcript_keep(&text, client ? TRANSCRIPT_CLIENT : TRANSCRIPT_SERVER, 1, lines[i]);
                        assert_int_equal(transcript_read(buf_str(&text), &a, &read, &n, &why), 0);
                        assert_int_equal(n, 1);
                        assert_true(utf8_valid(buf_str(&text)));
                        assert_int_equal(str_find(buf_str(&text), '\x7F'), STR_NONE);
                        for (size_t k = 0; k + 1 < text.n; k++)
                                assert_false(text.p[k] == '\xC2' && (unsigned char)text.p[k + 1] < 0xA0);
                        if (!client) {
                                assert_int_equal(read->kind, TRANSCRIPT_SERVER);
                                assert_true(words_match(&v, read->text, lines[i], &matches, &why) && matches);
                                continue;
                        }
                        if (read->kind == TRANSCRIPT_DIRECTIVE) {
                                struct str words[WORDS_MOST];

                                assert_true(words_split(read->text, &a, words, &n, &why));
                                assert_str(words[0], S("raw"));
                                assert_true(words_expand(&v, words[1], false, &out, &why));
                                assert_str(str_from_at(buf_str(&out), lines[i].n), S("\r\n"));
                                out.n -= 2;
                        } else {
                                assert_true(words_expand(&v, read->text, false, &out, &why));
                        }
                        assert_str(buf_str(&out), lines[i]);
                }
        arena_finish(&v.arena);
        arena_finish(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(smtp),
                cmocka_unit_test(pop3),
                cmocka_unit_test(imap),
                cmocka_unit_test(ftp),
                cmocka_unit_test(secrets),
                cmocka_unit_test(guesses_by_the_greeting),
                cmocka_unit_test(says_what_replies_mean),
                cmocka_unit_test(what_is_kept_can_be_played),
        };

        return cmocka_run_group_tests_name("talk", tests, NULL, NULL);
}
