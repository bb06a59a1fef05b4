#include "base/time.h"
#include "mail/header.h"
#include "mail/address.h"
#include "mail/report.h"
#include "mail/srs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define assert_str(is, want)                                                          \
        do {                                                                          \
                struct str is_ = (is), want_ = (want);                                \
                if (!str_eq(is_, want_))                                              \
                        fail_msg("'" PRS "' is not '" PRS "'", STR(is_), STR(want_)); \
        } while (0)

#define LETTER "From: jack@town.com\r\nSubject: water\r\n\r\nJill, a pail please\r\n"

static struct arena arena;
static int begin(void **state)
{
        (void)state;
        arena_init(&arena, 1 << 22);
        return 0;
}
static int end(void **state)
{
        (void)state;
        arena_finish(&arena);
        return 0;
}

static const struct report_recipient two[] = {
        { .final = S("jill@hill.com"),
          .original = S("rfc822;Jill@Hill.Com"),
          .action = REPORT_FAILED,
          .status = S("5.1.1"),
          .diagnostic = S("550 5.1.1 no\r\nInjected: yes"),
          .remote = S("mx.hill.com"),
          .last = 1000000 },
        { .final = S("bob@hamburger.edu"),
          .action = REPORT_DELAYED,
          .status = S("4.4.1"),
          .until = 432000000000 },
};

static struct str written(bool full, struct str letter, bool utf8)
{
        struct report r = { .host = S("town.com"),
                            .envid = S("QQ314159"),
                            .to = S("jack@town.com"),
                            .recipients = two,
                            .count = 2,
                            .letter = letter,
                            .full = full,
                            .utf8 = utf8,
                            .message_id = S("1@town.com"),
                            .boundary = S("=_b") };
        struct buf out;
        struct str text;

        buf_init(&out, 1 << 20);
        report_write(&out, &r);
        assert_false(out.full);
        text = arena_str(&arena, buf_str(&out));
        buf_free(&out);
        return text;
}

static bool has(struct str text, const char *what)
{
        return str_search(text, str_of(what)) != STR_NONE;
}

static void says_it_twice_for_people_and_for_programs(void **state)
{
        struct str text = written(false, S(LETTER), false);
        struct field f;

        (void)state;
        assert_true(has(text, "Subject: Undelivered mail: returned to sender\r\n"));
        assert_true(has(text, "  <jill@hill.com>, says mx.hill.com:\r\n    550 5.1.1 no  Injected: yes\r\n"));
        assert_true(has(text, "Original-Envelope-Id: QQ314159\r\nReporting-MTA: dns; town.com\r\n"));
        assert_true(has(
            text,
            "\r\n\r\nOriginal-Recipient: rfc822;Jill@Hill.Com\r\nFinal-Recipient: rfc822; jill@hill.com\r\n"
            "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.hill.com\r\n"
            "Diagnostic-Code: smtp; 550 5.1.1 no  Injected: yes\r\n"));
        assert_true(
            has(text,
                "Action: delayed\r\nStatus: 4.4.1\r\nWill-Retry-Until: Tue, 6 Jan 1970 00:00:00 +0000\r\n"));
        assert_true(has(text, "Content-Type: text/rfc822-headers\r\n\r\nFrom: jack@town.com\r\n"));
        assert_false(has(text, "a pail please"));
        assert_false(header_find(text, S("Injected"), &f));
        assert_true(header_find(text, S("Auto-Submitted"), &f));
}

static void returns_the_letter_in_lines_that_end_with_crlf(void **state)
{
        struct str text = written(true, S("Subject: x\n\nbare\nlone\rcr\xC3\xA9\n"), false);

        (void)state;
        assert_true(has(text, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
                              "8bit\r\n\r\nSubject: x\r\n\r\nbare\r\nlone cr\xC3\xA9\r\n"));
        text = written(true, S("Subject: \xC3\xA9\r\n\r\nx\r\n"), true);
        assert_true(has(text, "message/global-delivery-status"));
        assert_true(has(text, "Content-Type: message/global\r\n"));
}

static void reads_what_it_wrote_and_what_others_wrote(void **state)
{
        static const char postfix[] = "From: MAILER-DAEMON\r\nContent-Type: multipart/report; "
                                      "report-type=delivery-status;\r\n\tboundary=\"x\"\r\n\r\n"
                                      "--x\r\n\r\nsorry\r\n--x\r\nContent-Description: Delivery "
                                      "report\r\ncontent-type: Message/Delivery-Status\r\n\r\n"
                                      "Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822; "
                                      "<a@b>\r\nAction: FAILED\r\nStatus: 5.0.0 (x)\r\n\r\n"
                                      "Final-Recipient: rfc822;\r\n c@d\r\nAction: nonsense\r\n\r\n--x--\r\n";
        struct report_read *list;
        unsigned n;

        (void)state;
        assert_true(report_read(written(true, S(LETTER), false), &arena, &list, &n));
        assert_int_equal(n, 2);
        assert_str(list[0].final, S("jill@hill.com"));
        assert_str(list[0].status, S("5.1.1"));
        assert_int_equal(list[1].action, REPORT_DELAYED);
        assert_true(report_read(str_of(postfix), &arena, &list, &n));
        assert_int_equal(n, 1);
        assert_str(list[0].final, S("<a@b>"));
        assert_false(report_read(S(LETTER), &arena, &list, &n));
        assert_false(report_read(S("Content-Type: message/delivery-status"), &arena, &list, &n));
        for (size_t cut = 0; cut < sizeof(postfix); cut++)
                (void)!report_read(arena_str(&arena, str_sub(str_of(postfix), 0, cut)), &arena, &list, &n);
}

static void reads_notify(void **state)
{
        static const struct {
                const char *parameters;
                unsigned notify;
        } rows[] = {
                { "", NOTIFY_UNSAID },
                { "ORCPT=rfc822;a@b", NOTIFY_UNSAID },
                { "NOTIFY=NEVER ORCPT=rfc822;a@b", NOTIFY_NEVER },
                { "ORCPT=rfc822;a@b notify=success,DELAY", NOTIFY_SUCCESS | NOTIFY_DELAY },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                assert_int_equal(notify_of(str_of(rows[i].parameters)), rows[i].notify);
        assert_str(parameter_of(S("NOTIFY=NEVER ORCPT=rfc822;a@b"), S("ORCPT")), S("rfc822;a@b"));
        assert_null(parameter_of(S("NOTIFY=NEVER"), S("ORCPT")).p);
}

static const struct str key = S("a key that nobody knows");
static const int64_t day = 86400 * INT64_C(1000000);

#define TWENTY "aaaaaaaaaaaaaaaaaaaa"

/* As RCPT has it: what is no address never comes back. */
static struct str local_of(struct str address)
{
        struct path p;

        assert_true(address_parse(&arena, address, &p));
        return p.local;
}

static void forwards_and_comes_back(void **state)
{
        static const char *const senders[] = { "jack@town.com",
                                               "jack+x=y@town.com",
                                               "a=b=c@d-e.example",
                                               "\"odd one\"@town.com",
                                               "\"a@b\\\"\\\\\"@town.com",
                                               "a.name.of.itself@a-long-domain-name.of-a-company." TWENTY
                                               ".example" };
        struct str there, twice;

        (void)state;
        for (size_t i = 0; i < sizeof(senders) / sizeof(*senders); i++) {
                there = srs_forward(&arena, key, str_of(senders[i]), S("hill.com"), 1000 * day);
                assert_true(str_starts(local_of(there), S("SRS0=")) && str_ends(there, S("@hill.com")));
                assert_str(srs_reverse(&arena, key, local_of(there), 1000 * day), str_of(senders[i]));
                assert_str(srs_reverse(&arena, key, arena_lower(&arena, local_of(there)), 1021 * day),
                           arena_lower(&arena, str_of(senders[i])));
                assert_null(srs_reverse(&arena, key, local_of(there), 1022 * day).p);
                assert_null(srs_reverse(&arena, key, local_of(there), 999 * day).p);
                assert_null(srs_reverse(&arena, S("another"), local_of(there), 1000 * day).p);
                twice = srs_forward(&arena, key, there, S("crepes.fr"), 1000 * day);
                assert_true(str_starts(local_of(twice), S("SRS1=")));
                assert_str(srs_reverse(&arena, key, local_of(twice), 1000 * day), there);
                twice = srs_forward(&arena, key, twice, S("hamburger.edu"), 1000 * day);
                assert_str(srs_reverse(&arena, key, local_of(twice), 1000 * day),
                           there); /* past the host between */
        }
        assert_str(srs_forward(&arena, key, S("jill@hill.com"), S("hill.com"), 0), S("jill@hill.com"));
        assert_str(srs_forward(&arena, key, S(""), S("hill.com"), 0), S(""));
        assert_str(srs_forward(&arena, key, S("jack@[tag:a=b]"), S("hill.com"), 0), S("jack@[tag:a=b]"));
        there = S("jack@" TWENTY TWENTY TWENTY "." TWENTY TWENTY TWENTY "." TWENTY TWENTY TWENTY
                  "." TWENTY TWENTY ".com");
        assert_str(srs_forward(&arena, key, there, S("hill.com"), 0),
                   there); /* longer than an address may be */
        assert_null(srs_reverse(&arena, key, S("jill"), 0).p);
        assert_null(srs_reverse(&arena, key, S("SRS0="), 0).p);
        assert_null(srs_reverse(&arena, key, S("SRS0=AAAAAAAA=AA=town.com=jack"), 0).p);
}

static void names_the_member_in_the_bounce_address(void **state)
{
        struct str list, member, there = verp_write(&arena, S("friends@hill.com"), S("a=b@crepes.fr"));

        (void)state;
        assert_str(there, S("friends-bounces+a=b=crepes.fr@hill.com"));
        assert_true(verp_read(&arena, local_of(there), S("hill.com"), &list, &member));
        assert_str(list, S("friends@hill.com"));
        assert_str(member, S("a=b@crepes.fr"));
        assert_true(verp_read(&arena, S("friends-bounces"), S("hill.com"), &list, &member));
        assert_int_equal(member.n, 0);
        assert_false(verp_read(&arena, S("friends"), S("hill.com"), &list, &member));
        assert_false(verp_read(&arena, S("friends-bounces+a"), S("hill.com"), &list, &member));
        there = verp_write(&arena, S("friends@hill.com"), S("\"odd one\"@crepes.fr"));
        assert_str(there, S("\"friends-bounces+odd one=crepes.fr\"@hill.com"));
        assert_str(verp_write(&arena, S("friends@hill.com"), S("jack@[tag:a=b]")),
                   S("friends-bounces@hill.com"));
        assert_true(verp_read(&arena, local_of(there), S("hill.com"), &list, &member));
        assert_str(member, S("\"odd one\"@crepes.fr"));
        assert_str(verp_write(&arena, S("friends@hill.com"),
                              S("jack@" TWENTY TWENTY TWENTY "." TWENTY TWENTY TWENTY "." TWENTY TWENTY TWENTY
                                "." TWENTY TWENTY ".com")),
                   S("friends-bounces@hill.com"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(says_it_twice_for_people_and_for_programs, begin, end),
                cmocka_unit_test_setup_teardown(returns_the_letter_in_lines_that_end_with_crlf, begin, end),
                cmocka_unit_test_setup_teardown(reads_what_it_wrote_and_what_others_wrote, begin, end),
                cmocka_unit_test_setup_teardown(reads_notify, begin, end),
                cmocka_unit_test_setup_teardown(forwards_and_comes_back, begin, end),
                cmocka_unit_test_setup_teardown(names_the_member_in_the_bounce_address, begin, end),
        };

        return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
