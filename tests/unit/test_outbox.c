/* The outbox: once in, once out, due when it is due, and what failed with its report. */
#include "outbox_world.h"

static void shows(uint64_t id, struct str want)
{
        struct outbox_attempt *attempts;
        struct outbox_letter l;
        struct buf text;
        size_t n;

        buf_init(&text, 1 << 20);
        assert_int_equal(outbox_show(outbox, id, &arena, &l, &attempts, &n, &text), 0);
        assert_int_equal(l.size, want.n);
        assert_str(buf_str(&text), want);
        buf_free(&text);
}

static void keeps_letters_once(void **state)
{
        struct outbox_letter *l;

        (void)state;
        assert_int_equal(put(1, 2, S("first\0letter"), NULL), 0);
        assert_int_equal(put(1, 2, S("first\0letter"), NULL), 0);
        assert_int_equal(put(2, 1, S("second"), NULL), 0);
        reopen();
        assert_int_equal(put(2, 1, S("second"), NULL), 0);
        assert_int_equal(put(0, 1, S("from a verb"), NULL), 0); /* not from the log: each counts */
        assert_int_equal(put(0, 1, S("from a verb"), NULL), 0);
        l = letters(4);
        assert_str(l[0].sender, S("jack@town.com"));
        assert_str(l[0].recipients,
                   S("alice@crepes.fr (queued: no sending yet)\njack@town.com (queued: moved)"));
        assert_int_equal(l[0].waiting, 2);
        assert_int_equal(l[0].received, 77);
        assert_int_equal(l[1].waiting, 1);
        shows(l[0].id, S("first\0letter"));
        shows(l[1].id, S("second"));
        healthy(0);
}

static void removes(void **state)
{
        struct outbox_attempt *attempts;
        struct outbox_letter l;
        size_t n;
        uint64_t id;
        struct buf text;

        (void)state;
        buf_init(&text, 100);
        assert_int_equal(put(1, 2, S("first"), NULL), 0);
        id = letters(1)[0].id;
        assert_int_equal(order(ORDER_REMOVE, id + 1), 0);
        assert_int_equal(order(ORDER_REMOVE, id), 2);
        assert_int_equal(order(ORDER_REMOVE, id), 0);
        assert_int_equal(outbox_show(outbox, id, &arena, &l, &attempts, &n, &text), -ENOENT);
        letters(0);
        assert_int_equal(put(1, 2, S("first"), NULL), 0); /* a replay does not bring it back */
        letters(0);
        assert_int_equal(put(2, 1, S("next"), NULL), 0);
        assert_true(letters(1)[0].id > id);
        healthy(0);
        buf_free(&text);
}

static void stage(const char *name, struct str text)
{
        int dir = open_folder("intake");
        struct body_stage *b;

        assert_int_equal(body_stage_open(&b, dir, name), 0);
        assert_int_equal(body_stage_put(b, text), 0);
        assert_int_equal(body_stage_finish(b), 0);
        body_stage_close(&b, true);
        close(dir);
}

static unsigned bodies(void)
{
        int dir = open_folder("outbox/bodies");
        char name[24];
        unsigned n = 0;

        for (uint64_t id = 0; id < 20; id++) {
                body_name(id, name);
                n += faccessat(dir, name, F_OK, 0) == 0;
        }
        close(dir);
        return n;
}

static void links_long_letters(void **state)
{
        struct buf text;
        uint64_t id;
        char name[24];
        int dir;

        (void)state;
        buf_init(&text, 200000);
        fixture_letter(&text, 1, 150000);
        stage("a.body", buf_str(&text));
        assert_int_equal(put(1, 2, buf_str(&text), "a.body"), 0);
        assert_int_equal(put(1, 2, buf_str(&text), "a.body"), 0);
        assert_int_equal(bodies(), 1);
        assert_int_equal(put(2, 1, buf_str(&text), "missing.body"), -ENOENT); /* this one only */
        id = letters(1)[0].id;
        shows(id, buf_str(&text));
        assert_int_equal(outbox_settle(outbox), 0);
        healthy(0);
        dir = open_folder("outbox/bodies"); /* what a crash between link and commit leaves */
        body_name(15, name);
        assert_int_equal(symlinkat("x", dir, name), 0);
        healthy(1);
        reopen();
        healthy(0);
        shows(id, buf_str(&text));
        body_name(id, name);
        assert_int_equal(unlinkat(dir, name, 0), 0);
        healthy(1);
        assert_int_equal(order(ORDER_REMOVE, id), 2);
        assert_int_equal(bodies(), 0);
        healthy(0);
        close(dir);
        buf_free(&text);
}

static bool exists(void *context, uint64_t segment)
{
        return segment == *(uint64_t *)context;
}

static void forgets_what_the_log_forgot(void **state)
{
        uint64_t there = 5;

        (void)state;
        assert_int_equal(put(1, 1, S("first"), NULL), 0);
        outbox_segments(outbox, exists, &there);
        assert_int_equal(outbox_settle(outbox), 0);
        assert_int_equal(put(1, 1, S("first"), NULL), 0);
        letters(1);
        there = 6;
        assert_int_equal(outbox_settle(outbox), 0);
        assert_int_equal(put(1, 1, S("first"), NULL), 0);
        letters(2);
}

/* ---- out ---- */

static void gives_out_once_and_again_when_told(void **state)
{
        struct outbox_job jobs[4];
        uint64_t crepes;

        (void)state;
        put(1, 2, S("to two"), NULL);
        put(2, 1, S("to one"), NULL);
        crepes = due(100, 2, "crepes.fr");
        assert_int_equal(take(crepes, 100, jobs, 4), 2);
        assert_str(jobs[0].text, S("to two"));
        assert_str(jobs[0].recipients[0].address, S("alice@crepes.fr"));
        assert_str(jobs[1].envelope.sender, S("jack@town.com"));
        assert_int_equal(take(crepes, 100, jobs + 2, 2), 0); /* taken */
        due(100, 1, "town.com");
        done(&jobs[0], DEFERRED, 500, NULL);
        assert_int_equal(outbox_give_back(outbox, &jobs[1]), 0);
        outbox_job_free(&jobs[1]);
        assert_int_equal(take(crepes, 100, jobs, 4), 1);
        done(&jobs[0], SENT, 0, NULL);
        assert_int_equal(take(crepes, 100, jobs, 4), 0);
        due(100, 1, "town.com");
        assert_int_equal(take(crepes, 500, jobs, 4), 1);
        assert_int_equal(jobs[0].recipients[0].attempts, 1);
        assert_str(jobs[0].recipients[0].answer, S("450 later"));
        done(&jobs[0], SENT, 0, NULL);
        assert_str(letters(1)->recipients, S("jack@town.com (queued: moved)"));
        healthy(0);
}

static void taken_is_due_again_after_a_death(void **state)
{
        struct outbox_job jobs[2];
        uint64_t crepes;

        (void)state;
        put(1, 1, S("first"), NULL);
        crepes = due(100, 1, "crepes.fr");
        assert_int_equal(take(crepes, 100, jobs, 2), 1);
        assert_int_equal(take(crepes, 100, jobs + 1, 1), 0);
        outbox_job_free(&jobs[0]);
        due(100, 0, NULL);
        reopen();
        assert_int_equal(outbox_begin(outbox), 0);
        assert_int_equal(take(due(100, 1, "crepes.fr"), 100, jobs, 2), 1);
        outbox_job_free(&jobs[0]);
}

static void a_resting_destination_is_left_alone(void **state)
{
        struct outbox_job jobs[2];
        uint64_t crepes;

        (void)state;
        put(1, 1, S("first"), NULL);
        crepes = due(100, 1, "crepes.fr");
        assert_int_equal(outbox_rest(outbox, crepes, 900, S("no route to host")), 0);
        put(2, 1, S("second"), NULL);
        due(899, 0, NULL);
        due(900, 1, "crepes.fr");
        order(ORDER_RETRY, 0);
        due(100, 1, "crepes.fr");
        assert_int_equal(take(crepes, 100, jobs, 2), 2);
        for (int i = 0; i < 2; i++)
                done(&jobs[i], SENT, 0, NULL);
        letters(0);
}

static void failure_and_its_report_are_one(void **state)
{
        struct outbox_report report = { S("jack@town.com"), S("From: <>\r\n\r\nsorry") };
        struct outbox_job jobs[2];
        uint64_t crepes;

        (void)state;
        put(1, 1, S("first"), NULL);
        crepes = due(100, 1, "crepes.fr");
        assert_int_equal(take(crepes, 100, jobs, 2), 1);
        done(&jobs[0], FAILED, 0, &report);
        assert_int_equal(take(crepes, 100, jobs, 2), 0);
        assert_int_equal(take(due(1000, 1, "town.com"), 1000, jobs, 2), 1);
        assert_true(jobs[0].envelope.null_sender);
        assert_str(jobs[0].text, report.text);
        done(&jobs[0], SENT, 0, NULL);
        letters(0);
        healthy(0);
}

static void the_old_is_told_and_given_up(void **state)
{
        struct outbox_job jobs[3];
        size_t n = 3;

        (void)state;
        put(1, 2, S("first"), NULL); /* received at 77 */
        assert_int_equal(outbox_overdue(outbox, OVERDUE_NOTICE, 77, jobs, &n), 0);
        assert_int_equal(n, 0);
        n = 3;
        assert_int_equal(outbox_overdue(outbox, OVERDUE_NOTICE, 78, jobs, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(jobs[0].count, 2);
        due(100, 2, "crepes.fr");
        done(&jobs[0], NOTIFIED, 0, NULL);
        n = 3;
        assert_int_equal(outbox_overdue(outbox, OVERDUE_NOTICE, 78, jobs, &n), 0);
        assert_int_equal(n, 0);
        n = 3;
        assert_int_equal(outbox_overdue(outbox, OVERDUE_EXPIRED, 78, jobs, &n), 0);
        assert_int_equal(n, 1);
        done(&jobs[0], FAILED, 0, NULL);
        letters(0);
}

/* What comes back in the moment between a look and its end is looked at all the same: the row that is taken and due is asked for again. */
static void nothing_due_is_forgotten(void **state)
{
        struct outbox_destination list[2];
        struct outbox_job jobs[2], left[2];
        int64_t next;
        size_t n = 2;
        uint64_t crepes;

        (void)state;
        put(1, 1, S("first"), NULL);
        crepes = due(100, 1, "crepes.fr");
        assert_int_equal(take(crepes, 100, jobs, 2), 1);
        assert_int_equal(take(crepes, 100, left, 2), 0);
        assert_int_equal(outbox_due(outbox, 100, &arena, list, &n, &next), 0);
        assert_int_equal(n, 0);
        assert_true(next < 100 + 60000000); /* not never */
        done(&jobs[0], DEFERRED, 500, NULL);
        due(500, 1, "crepes.fr");
}

/* Who has been served goes behind those that wait: many busy destinations do not keep another from its turn. */
static void the_longest_waiting_is_first(void **state)
{
        struct outbox_job jobs[2];

        (void)state;
        put(1, 2, S("first"), NULL);
        put(2, 2, S("second"), NULL);
        assert_int_equal(take(due(200, 2, "crepes.fr"), 200, jobs, 1), 1);
        due(200, 2, "town.com");
        outbox_job_free(&jobs[0]);
}

/* A list's members have senders of their own, and one report goes to one sender. */
static void overdue_ones_of_one_sender_go_together(void **state)
{
        static struct action members[2];
        static const struct action *const list[] = { &members[0], &members[1] };
        struct envelope e = { .sender = S("jack@town.com"), .received = 77, .size = 4 };
        struct outbox_put p = {
                .envelope = &e, .actions = list, .count = 2, .text = S("text"), .staged_dir = -1
        };
        struct outbox_job job;
        size_t n = 1;

        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                members[i] = to_one;
                members[i].number = i;
                members[i].sender =
                    i ? S("list-bounces+b=crepes.fr@town.com") : S("list-bounces+a=crepes.fr@town.com");
        }
        assert_int_equal(outbox_put(outbox, &p, 1), 0);
        assert_int_equal(outbox_overdue(outbox, OVERDUE_NOTICE, 78, &job, &n), 0);
        assert_int_equal(job.count, 1);
        done(&job, NOTIFIED, 0, NULL);
        for (unsigned i = 0; i < 2; i++) {
                n = 1;
                assert_int_equal(outbox_overdue(outbox, OVERDUE_EXPIRED, 78, &job, &n), 0);
                assert_int_equal(job.count, 1);
                assert_str(job.recipients[0].sender, members[i].sender);
                done(&job, FAILED, 0, NULL);
        }
        letters(0);
}

static void keeps_policies_until_they_expire(void **state)
{
        struct outbox_policy p = { S("1"), S("version: STSv1"), wall_usec() + 60000000 }, got;

        (void)state;
        assert_int_equal(outbox_policy(outbox, S("crepes.fr"), &arena, &got), -ENOENT);
        assert_int_equal(outbox_policy_put(outbox, S("crepes.fr"), &p), 0);
        p.id = S("2");
        assert_int_equal(outbox_policy_put(outbox, S("crepes.fr"), &p), 0);
        reopen();
        assert_int_equal(outbox_policy(outbox, S("crepes.fr"), &arena, &got), 0);
        assert_str(got.id, S("2"));
        assert_str(got.text, p.text);
        p.expires = wall_usec() - 1;
        assert_int_equal(outbox_policy_put(outbox, S("crepes.fr"), &p), 0);
        assert_int_equal(outbox_policy(outbox, S("crepes.fr"), &arena, &got), -ENOENT);
}

static void the_taken_stay_known(void **state)
{
        struct taken t = { .lock = PTHREAD_MUTEX_INITIALIZER };

        (void)state;
        for (uint64_t i = 0; i < 1000; i++)
                taken_add(&t, i + 1, 0);
        for (uint64_t dropped = 0; dropped < 1000; dropped++) {
                taken_drop(&t, dropped * 7 % 1000 + 1, 0);
                for (uint64_t i = 0; i < 1000; i++)
                        assert_int_equal(taken_has(&t, i * 7 % 1000 + 1, 0), i > dropped);
        }
        mem_free(t.at);
}

static void long_ones_are_taken_few_at_a_time(void **state)
{
        static const char text[60000];
        struct outbox_job jobs[8];

        (void)state;
        for (int i = 0; i < 8; i++)
                put(0, 1, str_from(text, sizeof(text)), NULL);
        assert_int_equal(take(due(100, 1, "crepes.fr"), 100, jobs, 8), 5);
        for (unsigned i = 0; i < 5; i++)
                done(&jobs[i], SENT, 0, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_taken_stay_known),
                cmocka_unit_test_setup_teardown(long_ones_are_taken_few_at_a_time, begin, end),
                cmocka_unit_test_setup_teardown(keeps_letters_once, begin, end),
                cmocka_unit_test_setup_teardown(removes, begin, end),
                cmocka_unit_test_setup_teardown(links_long_letters, begin, end),
                cmocka_unit_test_setup_teardown(forgets_what_the_log_forgot, begin, end),
                cmocka_unit_test_setup_teardown(gives_out_once_and_again_when_told, begin, end),
                cmocka_unit_test_setup_teardown(taken_is_due_again_after_a_death, begin, end),
                cmocka_unit_test_setup_teardown(a_resting_destination_is_left_alone, begin, end),
                cmocka_unit_test_setup_teardown(failure_and_its_report_are_one, begin, end),
                cmocka_unit_test_setup_teardown(the_old_is_told_and_given_up, begin, end),
                cmocka_unit_test_setup_teardown(nothing_due_is_forgotten, begin, end),
                cmocka_unit_test_setup_teardown(the_longest_waiting_is_first, begin, end),
                cmocka_unit_test_setup_teardown(overdue_ones_of_one_sender_go_together, begin, end),
                cmocka_unit_test_setup_teardown(keeps_policies_until_they_expire, begin, end),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
