/* What the sender of a letter is told when it is delivered here: once, when it is filed and not before, whatever happened between. */
#include "intake_world.h"
#include "mail/report.h"
#include "store/outbox.h"

static struct arena arena;

static void open_outbox(void)
{
        char path[64];

        snprintf(path, sizeof path, "%s/outbox", folder);
        mkdir(path, 0700);
        outbox_close(&outbox);
        assert_int_equal(outbox_open(&outbox, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)), 0);
}

static int begin_world(void **state)
{
        arena_init(&arena, 1 << 24);
        begin_folder(state);
        open_outbox();
        return 0;
}

static int end_world(void **state)
{
        outbox_close(&outbox);
        arena_finish(&arena);
        return end_folder(state);
}

/* A letter for ann, bea and an address that means several; ann's and the last one's are to be told of. */
static int send_one(struct intake *i, bool null_sender, struct str text)
{
        struct str asked = S("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old+2Bann@hill.com");
        struct action actions[] = {
                { .kind = ACTION_FILE, .account = S("ann"), .parameters = asked },
                { .number = 1,
                  .kind = ACTION_RECEIPT,
                  .account = S("ann"),
                  .address = S("ann@hill.com"),
                  .parameters = asked },
                { .number = 2, .kind = ACTION_FILE, .account = S("bea") },
                { .number = 3,
                  .kind = ACTION_RECEIPT,
                  .flags = ACTION_EXPANDED,
                  .address = S("all@hill.com"),
                  .parameters = S("NOTIFY=SUCCESS") },
        };
        struct envelope e = { .sender = null_sender ? S("") : S("jack@town.com"),
                              .null_sender = null_sender,
                              .mail_parameters = S("ENVID=order+2B66 RET=HDRS"),
                              .host = S("mx.hill.com"),
                              .session = S("s1.1"),
                              .actions = actions,
                              .count = 4,
                              .received = 1 };

        return commit_letter(i, &e, text);
}

static size_t in_outbox(void)
{
        struct outbox_numbers n;

        assert_int_equal(outbox_numbers(outbox, &n), 0);
        return n.letters;
}

static struct str report_text(uint64_t letter)
{
        struct outbox_attempt *attempts;
        struct outbox_letter l;
        struct buf text;
        struct str s;
        size_t n;

        buf_init(&text, 1 << 20);
        assert_int_equal(outbox_show(outbox, letter, &arena, &l, &attempts, &n, &text), 0);
        assert_str(l.sender, S(""));
        assert_true(str_starts(l.recipients, S("jack@town.com")));
        s = arena_str(&arena, buf_str(&text));
        buf_free(&text);
        return s;
}

static bool says(struct str text, const char *what)
{
        return str_search(text, str_of(what)) != STR_NONE;
}

static void told_when_filed(void **state)
{
        struct intake *i = open_intake(0, 1);
        struct str text;

        (void)state;
        fail_name = "bea";
        fail_rc = -EIO;
        assert_int_equal(send_one(i, false, S("Subject: one\r\n\r\nthe body of it\r\n")), 0);
        assert_int_equal(intake_drain(i, now()), -ETIMEDOUT);
        assert_int_equal(filed_count, 1);
        assert_int_equal(in_outbox(), 0); /* bea has nothing yet */
        fail_rc = 0;
        assert_int_equal(intake_drain(i, in_seconds(60)), 0);
        assert_int_equal(in_outbox(), 1);
        text = report_text(1);
        assert_true(says(text, "Action: delivered\r\nStatus: 2.1.5\r\n"));
        assert_true(says(text, "Action: expanded\r\nStatus: 2.0.0\r\n"));
        assert_true(
            says(text,
                 "Original-Recipient: rfc822;old+ann@hill.com\r\nFinal-Recipient: rfc822; ann@hill.com\r\n"));
        assert_true(says(text, "Original-Envelope-Id: order+66\r\n"));
        assert_true(says(text, "Reporting-MTA: dns; mx.hill.com\r\n"));
        assert_true(says(text, "Subject: one\r\n"));
        assert_false(says(text, "the body of it"));
        assert_false(says(text, "bea"));
        intake_close(&i);
}

static void a_report_is_not_reported(void **state)
{
        struct intake *i = open_intake(0, 1);

        (void)state;
        assert_int_equal(send_one(i, true, S("Subject: a report\r\n\r\n")), 0);
        assert_int_equal(intake_drain(i, in_seconds(60)), 0);
        assert_int_equal(filed_count, 2);
        assert_int_equal(in_outbox(), 0);
        intake_close(&i);
}

/* Killed after everything but the settling; and after the filing only. */
static void told_once(void **state)
{
        struct intake *i = open_intake(0, 1);

        (void)state;
        assert_int_equal(send_one(i, false, S("Subject: one\r\n\r\n")), 0);
        settle_rc = -EIO;
        assert_int_equal(intake_drain(i, now()), -ETIMEDOUT);
        assert_int_equal(in_outbox(), 1);
        intakes[0] = NULL;
        intake_close(&i);
        open_outbox();
        i = open_intake(0, 1);
        assert_int_equal(intake_replay(i), 0);
        assert_int_equal(intake_drain(i, now()), -ETIMEDOUT);
        assert_true(duplicates > 0);
        assert_int_equal(in_outbox(), 1);
        settle_rc = 0;
        assert_int_equal(intake_drain(i, in_seconds(60)), 0);
        assert_int_equal(files(".log"), 0);
        assert_int_equal(in_outbox(), 1);
        intake_close(&i);
}

static void told_after_a_death(void **state)
{
        struct intake *i = open_intake(0, 1);

        (void)state;
        fail_name = "bea";
        fail_rc = -EIO;
        assert_int_equal(send_one(i, false, S("Subject: one\r\n\r\n")), 0);
        assert_int_equal(intake_drain(i, now()), -ETIMEDOUT);
        intakes[0] = NULL;
        intake_close(&i);
        open_outbox();
        fail_rc = 0;
        i = open_intake(0, 1);
        assert_int_equal(intake_replay(i), 0);
        assert_int_equal(intake_drain(i, in_seconds(60)), 0);
        assert_int_equal(filed_count, 2);
        assert_int_equal(in_outbox(), 1);
        intake_close(&i);
}

/* bea's home is the other process; who took the letter tells. A long letter's header is read from its body. */
static void told_when_a_peer_has_filed(void **state)
{
        struct buf header, text = long_text(100000);
        struct intake *a = open_intake(0, 2), *b = open_intake(1, 2);

        (void)state;
        buf_init(&header, 200000);
        buf_puts(&header, S("Subject: long\r\n\r\n"));
        buf_puts(&header, buf_str(&text));
        assert_int_equal(send_one(a, false, buf_str(&header)), 0);
        assert_int_equal(intake_drain(a, now()), -ETIMEDOUT);
        assert_int_equal(filed_count, 1);
        assert_int_equal(in_outbox(), 0);
        (void)!intake_drain(b, in_seconds(60));
        assert_int_equal(filed_count, 2);
        assert_int_equal(intake_drain(a, in_seconds(60)), 0);
        assert_int_equal(in_outbox(), 1);
        assert_true(says(report_text(1), "Subject: long\r\n"));
        assert_false(says(report_text(1), "line 5 of a long letter"));
        intake_close(&a);
        intake_close(&b);
        buf_free(&text);
        buf_free(&header);
}

/* What lies in unfiled/ is not delivered: here, and where a peer has put it aside. */
static void not_told_of_what_was_put_aside(void **state)
{
        struct intake *a, *b;
        struct str text;

        (void)state;
        limits.unfile_after_ms = 1;
        a = open_intake(0, 1);
        no_account = "ann";
        assert_int_equal(send_one(a, false, S("Subject: one\r\n\r\n")), 0);
        assert_int_equal(intake_drain(a, in_seconds(60)), 0);
        assert_int_equal(in_outbox(), 1);
        text = report_text(1);
        assert_true(says(text, "Action: expanded") && !says(text, "Action: delivered"));
        intakes[0] = NULL;
        intake_close(&a);

        a = open_intake(0, 1); /* once it is filed after all, it is told */
        no_account = NULL;
        assert_int_equal(send_to(a, "bea", S("a round of the keeper, who tries again")), 0);
        assert_int_equal(intake_drain(a, in_seconds(60)), 0);
        assert_int_equal(filed_count, 3);
        assert_int_equal(in_outbox(), 2);
        text = report_text(2);
        assert_true(says(text, "Action: delivered") && !says(text, "Action: expanded"));
        assert_true(says(text, "Final-Recipient: rfc822; ann@hill.com"));
        no_account = "ann";
        intakes[0] = NULL;
        intake_close(&a);

        a = open_intake(1, 2); /* ann is a peer's */
        b = open_intake(0, 2);
        assert_int_equal(send_one(a, false, S("Subject: two\r\n\r\n")), 0);
        assert_int_equal(intake_drain(a, now()), -ETIMEDOUT);
        (void)!intake_drain(b, in_seconds(60));
        assert_int_equal(intake_drain(a, in_seconds(60)), 0);
        assert_int_equal(in_outbox(), 3);
        text = report_text(3);
        assert_true(says(text, "Action: expanded") && !says(text, "Action: delivered"));
        intake_close(&a);
        intake_close(&b);
}

int main(void)
{
#define world_test(f) cmocka_unit_test_setup_teardown(f, begin_world, end_world)
        const struct CMUnitTest tests[] = {
                world_test(told_when_filed),
                world_test(a_report_is_not_reported),
                world_test(told_once),
                world_test(told_after_a_death),
                world_test(told_when_a_peer_has_filed),
                world_test(not_told_of_what_was_put_aside),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("receipt", tests, NULL, NULL);
}
