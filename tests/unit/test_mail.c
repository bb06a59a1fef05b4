#include "unit.h"
#include "mail/date.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "mail/nfc.h"
#include "mail/thread.h"
#include "mail/trace.h"

#define HASH_OF_1234 0xa0ac7ffa75b427bb /* SipHash-2-4 of "1234@local.machine.example", key 0 */

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

#define L60 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb."

static void fields(void **state)
{
        struct str letter =
            S("Received: one\r\nSubject : a\r\n b\nnonsense\r\n more\r\nRECEIVED:\r\n\ttwo \r\nX:\r\n\r\n"
              "Received: in the body\r\n");
        static const char *const want[][2] = {
                { "Received", "one" }, { "Subject", "a\r\n b" }, { "RECEIVED", "two" }, { "X", "" }
        };
        struct header h = header_of(letter);
        struct field f;

        (void)state;
        for (size_t i = 0; i < LENGTH(want); i++) {
                assert_true(header_next(&h, &f));
                assert_str(f.name, str_of(want[i][0]));
                assert_str(f.value, str_of(want[i][1]));
                assert_str(str_sub(letter, f.at, f.name.n), f.name);
        }
        assert_false(header_next(&h, &f));
        assert_str(str_from_at(letter, h.at), S("Received: in the body\r\n"));
        assert_int_equal(h.at, header_size(letter));
        assert_int_equal(header_count(letter, S("received")), 2);
        assert_true(header_has(letter, S("subject")));
        assert_false(header_has(letter, S("nonsense")));
        assert_str(header_unfold(&mem, S("a\r\n b\tc\1")), S("a b c "));
        for (size_t n = 0; n <= letter.n; n++) { /* cut anywhere */
                h = header_of(str_sub(letter, 0, n));
                while (header_next(&h, &f))
                        assert_true(f.end <= n);
                assert_true(h.at <= n);
        }
}

static void encoded_words(void **state)
{
        static const char *const rows[][2] = {
                /* RFC 2047 §8 */
                { "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>" },
                { "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld J\xc3\xb8rn Simonsen" },
                { "=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard" },
                { "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n "
                  "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg"
                  "==?=",
                  "If you can read this you understand the example." },
                { "(=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)",
                  "(\xd7\x9d\xd7\x95\xd7\x9c\xd7\xa9 \xd7\x9f\xd7\x91 "
                  "\xd7\x99\xd7\x9c\xd7\x98\xd7\xa4\xd7\xa0)" },
                { "(=?ISO-8859-1?Q?a?=)", "(a)" },
                { "(=?ISO-8859-1?Q?a?= b)", "(a b)" },
                { "(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)" },
                { "(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)" },
                { "(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)" },
                { "(=?ISO-8859-1?Q?a_b?=)", "(a b)" },
                { "(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)" },
                /* RFC 2231 §5 */
                { "=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore" },
                /* a character cut in two, other charsets, broken and hostile ones */
                { "=?utf-8?B?w?= =?utf-8?Q?=C3?= =?utf-8?Q?=B6?=", "\xc3\xb6" },
                { "=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
                { "=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
                { "=?gb2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd" },
                { "=?windows-1252?Q?=80?=", "\xe2\x82\xac" },
                { "=?utf-8?Q?a=FFb=C3?=", "a\xef\xbf\xbd"
                                          "b\xef\xbf\xbd" },
                { "=?utf-8?Q?a=0D=0ABcc:_x=00?=", "a  Bcc: x " },
                { "=?utf-8?Q?a=C2=85b=E2=80=A8c?=", "a b c" },
                { "=?x-unknown?Q?a?= b", "=?x-unknown?Q?a?= b" },
                { "=?utf-8?X?a?=", "=?utf-8?X?a?=" },
                { "=?utf-8?Q?a b?=", "=?utf-8?Q?a b?=" },
                { "=?utf-8?Q?a", "=?utf-8?Q?a" },
                { "=?=?=?=?utf-8?Q?a?=", "=?=?=?a" },
                { "=?utf-8?Q?=?=", "=" },
                { "=?utf-8?Q?"
                  "?= x",
                  " x" },
                { "a=?utf-8?Q?b?=c", "abc" },
                { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
                { "gr\xfc\xdf", "gr\xc3\xbc\xc3\x9f" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_str(word_decode(&mem, str_of(rows[i][0])), str_of(rows[i][1]));
}

static void dates(void **state)
{
        static const struct {
                const char *in, *out; /* NULL: no date */
                int64_t seconds;
        } rows[] = {
                { "Fri, 21 Nov 1997 09:55:06 -0600", "Fri, 21 Nov 1997 09:55:06 -0600", 880127706 },
                { "21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000", 880106106 },
                { "Tue, 1 Jul 2003 10:52:37 +0200", "Tue, 1 Jul 2003 10:52:37 +0200", 1057049557 },
                { "Thu,\r\n      13\r\n        Feb\r\n  1969\r\n 23:32\r\n   -0330 (Newfoundland Time)",
                  "Thu, 13 Feb 1969 23:32:00 -0330", -27723480 },
                { "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "Fri, 21 Nov 1997 09:55:06 -0600",
                  880127706 },
                { "Thu, 29 Feb 2024 00:00:00 PST", "Thu, 29 Feb 2024 00:00:00 -0800", 1709193600 },
                { "1 jan 100 00:00", "Sat, 1 Jan 2000 00:00:00 +0000", 946684800 },
                { "1 Jan 49 00:00 Z", "Fri, 1 Jan 2049 00:00:00 +0000", 2493072000 },
                { "31 Dec 2016 23:59:60 +0000", "Sun, 1 Jan 2017 00:00:00 +0000", 1483228800 },
                { "Thu, 29 Feb 2023 00:00:00 +0000", NULL, 0 },
                { "29 Feb 1900 00:00:00 +0000", NULL, 0 },
                { "31 Apr 2023 00:00:00 +0000", NULL, 0 },
                { "32 Jan 2023 00:00:00 +0000", NULL, 0 },
                { "1 Jan 2023 24:00:00 +0000", NULL, 0 },
                { "1 Jan 2023 00:00:00 +0060", NULL, 0 },
                { "1 Jan 12023 00:00:00 +0000", NULL, 0 },
                { "1 Foo 2023 00:00:00 +0000", NULL, 0 },
                { "1 Jan 2023", NULL, 0 },
                { "(1\\", NULL, 0 },
                { "", NULL, 0 },
        };
        auto_buf struct buf b;
        int64_t seconds;
        int offset;

        (void)state;
        buf_init(&b, 100);
        for (size_t i = 0; i < LENGTH(rows); i++) {
                bool ok = date_parse(str_of(rows[i].in), &seconds, &offset);

                if (ok != (rows[i].out != NULL))
                        fail_msg("%s", rows[i].in);
                if (!ok)
                        continue;
                assert_int_equal(seconds, rows[i].seconds);
                buf_clear(&b);
                assert_true(date_put(&b, seconds, offset));
                assert_str(buf_str(&b), str_of(rows[i].out));
        }
        buf_clear(&b);
        date_put(&b, INT64_MAX, 100000);
        assert_int_equal(b.n, 31);
        buf_clear(&b);
        date_put(&b, INT64_MIN, -100000);
        assert_true(str_ends(buf_str(&b), S("-2359")));
        for (int64_t t = -62135596800 + 86400; t < 253402214400; t += 86400 * 977 + 12345) {
                buf_clear(&b);
                date_put(&b, t, 90);
                assert_true(date_parse(buf_str(&b), &seconds, &offset));
                assert_int_equal(seconds, t);
                assert_int_equal(offset, 90);
        }
}

static void base_subjects(void **state)
{
        static const struct {
                const char *in, *base;
                bool reply;
        } rows[] = {
                { "Saying Hello", "Saying Hello", false },
                { "Re: Saying Hello", "Saying Hello", true },
                { "re:RE: Fwd: fw : x", "x", true },
                { "Re[2]: x", "x", true },
                { "Re [list] : x", "x", true },
                { "[list] x", "x", false },
                { "[list] Re: [list] x", "x", true },
                { "[a][b] [c] x", "x", false },
                { "[a][b]", "[b]", false },
                { "[list]", "[list]", false },
                { "[a [b] x", "[a [b] x", false },
                { "x (fwd) (FWD)  ", "x", true },
                { "[Fwd: Re: x (fwd)]", "x", true },
                { "[fwd: [fwd: x]]", "x", true },
                { "Re: [fwd: x]", "x", true },
                { "a\r\n\t  b", "a b", false },
                { "=?utf-8?Q?Re:_J=C3=B6rg?=", "J\xc3\xb6rg", true },
                { "Regarding: x", "Regarding: x", false },
                { "Re:", "", true },
                { "", "", false },
        };
        bool reply;

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                assert_str(base_subject(&mem, str_of(rows[i].in), &reply), str_of(rows[i].base));
                assert_int_equal(reply, rows[i].reply);
        }
}

static void threads(void **state)
{
        static const char reply[] = "Subject: Re: Saying Hello\r\n"
                                    "Message-ID: <abcd.1234@local.machine.test>\r\n"
                                    "In-Reply-To: <3456@example.net>\r\n"
                                    "References: <1234@local.machine.example>\r\n <3456@example.net>\r\n\r\n";
        struct thread_keys k;
        auto_buf struct buf b;

        (void)state;
        /* It lies on disk: this number must never change. */
        assert_true(thread_hash(S("1234@local.machine.example")) == HASH_OF_1234);
        assert_true(thread_hash(S("")) == 0x1e924b9d737700d7);
        thread_keys_of(&k, &mem, str_of(reply));
        assert_true(k.own == thread_hash(S("abcd.1234@local.machine.test")));
        assert_int_equal(k.n, 2);
        assert_true(k.refs[0] == HASH_OF_1234);
        assert_true(k.refs[1] == thread_hash(S("3456@example.net")));
        assert_true(k.subject == thread_hash(S("saying hello")) && k.reply);
        thread_keys_of(&k, &mem, S("References: said jack in <\"a\"\r\n @b> and <a@b> <\r\n\r\n"));
        assert_int_equal(k.n, 1);
        assert_true(k.refs[0] == thread_hash(S("a@b")) && !k.own && !k.subject);
        buf_init(&b, 1 << 20);
        buf_puts(&b, S("Message-ID: x@y\r\nReferences:"));
        for (int i = 0; i < 10000; i++)
                buf_printf(&b, "\r\n <%d@x>", i);
        buf_puts(&b, S("\r\n\r\n"));
        thread_keys_of(&k, &mem, buf_str(&b));
        assert_int_equal(k.n, THREAD_REFS_MAX);
        assert_true(k.refs[0] == thread_hash(S("9900@x")) && k.refs[99] == thread_hash(S("9999@x")));
        assert_true(k.own == thread_hash(S("x@y")));
}

static void trace_fields(void **state)
{
        struct trace t = { .helo = S("town.com"),
                           .peer_name = S("mx.town.com"),
                           .peer = S("192.0.2.1"),
                           .host = S("hill.com"),
                           .protocol = trace_protocol(false, true, true, true, false),
                           .tls = S("TLS1.3 AES_256_GCM"),
                           .id = S("4f2a"),
                           .recipient = S("jill@hill.com"),
                           .received = 880127706999999 };
        auto_buf struct buf b;
        struct str line, all;

        (void)state;
        buf_init(&b, 10000);
        assert_true(trace_received(&b, &t));
        assert_str(buf_str(&b), S("Received: from town.com (mx.town.com [192.0.2.1])\r\n"
                                  "\tby hill.com with ESMTPSA (TLS1.3 AES_256_GCM) id 4f2a\r\n"
                                  "\tfor <jill@hill.com>; Fri, 21 Nov 1997 15:55:06 +0000\r\n"));
        /* HELO and names try to bring fields of their own. */
        t.helo = S("x\r\nBcc: evil@x\r\n\r\n(\\\0)");
        t.peer_name = S("a) by b; (");
        t.tls = S("a\r\nb (");
        t.recipient = S("a@b>; x\r\ny");
        t.protocol = S("SMTP\n");
        t.id = S("<>");
        buf_clear(&b);
        assert_true(trace_received(&b, &t));
        assert_int_equal(header_count(buf_str(&b), S("Received")), 1);
        assert_false(header_has(buf_str(&b), S("Bcc")));
        assert_str(buf_str(&b), S("Received: from x??Bcc:?evil@x???????? (a??by?b??? [192.0.2.1])\r\n"
                                  "\tby hill.com with SMTP? (a??b ?) id ??;\r\n"
                                  "\tFri, 21 Nov 1997 15:55:06 +0000\r\n"));
        t = (struct trace){ .helo = S(L60 L60 L60), .host = S(L60), .recipient = S("\"a\\\"> b\"@" L60) };
        buf_clear(&b);
        assert_true(trace_received(&b, &t));
        assert_true(str_search(buf_str(&b), S("for <\"a\\\"> b\"@" L60 ">")) != STR_NONE);
        t.recipient = S("\"a\"> b\"@x");
        buf_clear(&b);
        assert_true(trace_received(&b, &t));
        for (all = buf_str(&b); str_cut(&all, '\n', &line);)
                assert_true(line.n < 79 || str_find(str_trim(line), ' ') == STR_NONE ||
                            !str_starts(line, S("\t")));
        assert_int_equal(str_search(buf_str(&b), S("for")), STR_NONE);

        buf_clear(&b);
        trace_return_path(&b, S("jack@town.com"));
        trace_return_path(&b, S(""));
        assert_str(buf_str(&b), S("Return-Path: <jack@town.com>\r\nReturn-Path: <>\r\n"));
        buf_clear(&b);
        trace_complete(&b, S("Subject: x\r\n\r\nDate: y"), S("hill.com"), S("17.3"), 880127706000000, -360);
        assert_str(buf_str(&b),
                   S("Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <17.3@hill.com>\r\n"));
        buf_clear(&b);
        trace_complete(&b, S("date: x\r\nMESSAGE-ID: <y>\r\n\r\n"), S("hill.com"), S("17.3"), 0, 0);
        assert_int_equal(b.n, 0);
        assert_str(trace_protocol(false, false, false, false, false), S("SMTP"));
        assert_str(trace_protocol(false, true, true, false, true), S("UTF8SMTPS"));
        assert_str(trace_protocol(true, true, false, true, false), S("LMTPA"));
}

static void same_envelope(const struct envelope *a, const struct envelope *b)
{
        assert_str(a->sender, b->sender);
        assert_str(a->mail_parameters, b->mail_parameters);
        assert_str(a->user, b->user);
        assert_str(a->peer, b->peer);
        assert_str(a->peer_name, b->peer_name);
        assert_str(a->host, b->host);
        assert_str(a->helo, b->helo);
        assert_str(a->tls, b->tls);
        assert_str(a->protocol, b->protocol);
        assert_str(a->session, b->session);
        assert_true(a->null_sender == b->null_sender && a->eight_bit == b->eight_bit && a->utf8 == b->utf8);
        assert_true(a->received == b->received && a->size == b->size && a->count == b->count);
        for (unsigned i = 0; i < a->count; i++) {
                assert_str(a->actions[i].account, b->actions[i].account);
                assert_str(a->actions[i].mailbox, b->actions[i].mailbox);
                assert_str(a->actions[i].address, b->actions[i].address);
                assert_str(a->actions[i].original, b->actions[i].original);
                assert_str(a->actions[i].parameters, b->actions[i].parameters);
                assert_str(a->actions[i].reason, b->actions[i].reason);
                assert_true(a->actions[i].kind == b->actions[i].kind &&
                            a->actions[i].flags == b->actions[i].flags &&
                            a->actions[i].number == b->actions[i].number);
        }
}

static void envelopes(void **state)
{
        struct action actions[] = {
                { 1, ACTION_FILE, 0x20, S("jill@hill.com"), S("INBOX"), S("jill@hill.com"),
                  S("JILL@hill.com"), S("NOTIFY=NEVER"), S("account") },
                { 7, ACTION_SEND, 0, S(""), S(""), S("bob@elsewhere.test"), S("list@hill.com"), S(""),
                  S("alias") },
        };
        struct envelope e = { .sender = S("jack@town.com"),
                              .mail_parameters = S("SIZE=10"),
                              .user = S("jack"),
                              .peer = S("192.0.2.1"),
                              .peer_name = S("town.com"),
                              .host = S("hill.com"),
                              .helo = S("TOWN"),
                              .tls = S("TLS1.3 X"),
                              .protocol = S("ESMTPSA"),
                              .session = S("s1"),
                              .utf8 = true,
                              .received = 880127706000000,
                              .size = 5000000000,
                              .actions = actions,
                              .count = 2 },
                        back;
        auto_buf struct buf b, damaged;

        (void)state;
        buf_init(&b, 10000);
        buf_init(&damaged, 10000);
        assert_true(envelope_pack(&e, &b));
        assert_true(envelope_unpack(&back, &mem, buf_str(&b)));
        same_envelope(&back, &e);
        assert_true(str_eq(envelope_session(buf_str(&b)), S("s1")));
        assert_int_equal(envelope_session(str_sub(buf_str(&b), 0, 40)).n, 0);
        for (size_t n = 0; n < b.n; n++)
                assert_false(envelope_unpack(&back, &mem, str_sub(buf_str(&b), 0, n)));
        assert_int_equal(back.count, 0);
        buf_puts(&damaged, buf_str(&b));
        damaged.p[0] = 3; /* a version to come */
        assert_false(envelope_unpack(&back, &mem, buf_str(&damaged)));
        for (size_t i = 0; i + 4 <= b.n; i++) { /* lengths and counts beyond all bounds */
                buf_clear(&damaged);
                buf_puts(&damaged, str_sub(buf_str(&b), 0, i));
                buf_puts(&damaged, S("\xff\xff\xff\xff"));
                buf_puts(&damaged, str_from_at(buf_str(&b), i + 4));
                (void)!envelope_unpack(&back, &mem, buf_str(&damaged));
        }
        b.max = b.n + 10;
        assert_false(envelope_pack(&e, &b));
}

/* One spelling of what looks the same; the longest that there are, too (UAX #15: U+0390 and U+1D160 grow threefold). */
static void composed_forms(void **state)
{
        static const struct {
                const char *given, *composed;
        } rows[] = {
                { "", "" },
                { "abc", "abc" },
                { "u\xcc\x88", "\xc3\xbc" },
                { "\xc3\xbc", "\xc3\xbc" },
                { "A\xcc\x8a\xe2\x84\xab", "\xc3\x85\xc3\x85" },
                { "q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87" },
                { "\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80" },
                { "\xf0\x9d\x85\xa0", "\xf0\x9d\x85\x98\xf0\x9d\x85\xa5\xf0\x9d\x85\xae" },
                { "\xef\xac\x81", "\xef\xac\x81" }, /* a ligature is no spelling, but a letter of its own */
        };
        char many[4000];
        struct str made;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                assert_str(utf8_nfc(&mem, str_of(rows[i].given)), str_of(rows[i].composed));
                assert_int_equal(utf8_is_nfc(str_of(rows[i].given)),
                                 !strcmp(rows[i].given, rows[i].composed));
        }
        for (size_t i = 0; i < sizeof(many); i++)
                many[i] = "\xf0\x9d\x85\xa0"[i % 4];
        made = utf8_nfc(&mem, str_from(many, sizeof(many)));
        assert_int_equal(made.n, 3 * sizeof(many));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fields),    cmocka_unit_test(encoded_words),
                cmocka_unit_test(dates),     cmocka_unit_test(base_subjects),
                cmocka_unit_test(threads),   cmocka_unit_test(trace_fields),
                cmocka_unit_test(envelopes), cmocka_unit_test(composed_forms),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
