/* The intake: commit, flush, file, settle, with peers and without; what cannot be filed; many at once. */
#include "intake_world.h"

static void files_and_forgets(void **state)
{
        struct intake *i = open_intake(0, 1);
        struct intake_numbers numbers;

        (void)state;
        assert_int_equal(send_to(i, "ann", S("first")), 0);
        assert_int_equal(send_to(i, "bea ann/Spam ann", S("second\r\n")), 0);
        assert_int_equal(send_to(i, "ann ann ann/INBOX", S("")), 0); /* by three addresses: once */
        assert_int_equal(filed_count, 0);
        assert_int_equal(files(".log"), 1);
        assert_int_equal(intake_drain(i, now()), 0);
        assert_int_equal(filed_count, 5);
        assert_int_equal(times(S("first")), 1);
        assert_int_equal(times(S("second\r\n")), 3);
        assert_int_equal(times(S("")), 1);
        for (size_t k = 0; k < filed_count; k++)
                assert_int_equal(filed[k].flags, 1);
        assert_int_equal(files(".log"), 0);
        assert_int_equal(settled_each, 2);
        assert_int_equal(settled_all, 0);
        assert_int_equal(bells, 2); /* one a batch */
        intake_numbers(i, &numbers);
        assert_int_equal(numbers.accepted, 3);
        assert_int_equal(numbers.filed, 5);
        assert_int_equal(numbers.segments, 0);
        intake_close(&i);
}

static void many_accounts_settle_at_once(void **state)
{
        struct intake *i = open_intake(0, 1);

        (void)state;
        assert_int_equal(send_to(i, "a b c d e f g h i", S("to nine")), 0);
        settle_rc = -EIO;
        assert_int_equal(intake_drain(i, now()), -ETIMEDOUT);
        assert_int_equal(files(".log"), 1); /* any error: nothing is forgotten */
        settle_rc = 0;
        assert_int_equal(intake_drain(i, now()), 0);
        assert_int_equal(files(".log"), 0);
        assert_int_equal(settled_each, 0);
        assert_true(settled_all > 1);
        intake_close(&i);
}

static void replays_once(void **state)
{
        struct intake *i = open_intake(0, 1);

        (void)state;
        assert_int_equal(send_to(i, "ann bea", S("one")), 0);
        assert_int_equal(send_to(i, "ann", S("two")), 0);
        settle_rc = -EIO;
        assert_int_equal(intake_drain(i, now()), -ETIMEDOUT);
        assert_int_equal(filed_count, 3);
        intakes[0] = NULL;
        intake_close(&i); /* filed, and the log does not know */
        i = open_intake(0, 1);
        assert_int_equal(send_to(i, "ann", S("three")), 0);
        assert_int_equal(intake_replay(i), 0);
        settle_rc = 0;
        assert_int_equal(intake_drain(i, now()), 0);
        assert_int_equal(filed_count, 4);
        assert_int_equal(duplicates, 3);
        assert_int_equal(files(".log"), 0);
        intake_close(&i);
}

static void leaves_what_others_hold(void **state)
{
        struct intake *a = open_intake(0, 1), *b;

        (void)state;
        assert_int_equal(send_to(a, "ann", S("one")), 0);
        intakes[0] = NULL;
        b = open_intake(0, 1);
        assert_int_equal(intake_replay(b), 0);
        assert_int_equal(intake_drain(b, now()), 0);
        assert_int_equal(filed_count, 0);
        intake_close(&a);
        assert_int_equal(intake_replay(b), 0);
        assert_int_equal(intake_drain(b, now()), 0);
        assert_int_equal(filed_count, 1);
        intake_close(&b);
}

/* The flush fails: nobody is told 250, no replay brings it back, and the next letter goes on elsewhere. */
static void voids_what_failed(void **state)
{
        struct intake *i = open_intake(0, 1);

        (void)state;
        assert_int_equal(send_to(i, "ann", S("good")), 0);
        disk_fail_datasync(1, EIO);
        assert_int_equal(send_to(i, "ann", S("bad")), -EIO);
        assert_int_equal(files(".log"), 2);
        assert_int_equal(send_to(i, "ann", S("next")), 0);
        intakes[0] = NULL;
        intake_close(&i);
        i = open_intake(0, 1);
        assert_int_equal(intake_replay(i), 0);
        assert_int_equal(intake_drain(i, now()), 0);
        assert_int_equal(filed_count, 2);
        assert_int_equal(times(S("bad")), 0);
        assert_int_equal(files(".log"), 0);
        intake_close(&i);
}

static void goes_on_after_a_failed_flush(void **state)
{
        struct intake *i = open_intake(0, 1);

        (void)state;
        assert_int_equal(send_to(i, "ann", S("good")), 0);
        for (int k = 0; k < 3; k++) {
                disk_fail_datasync(1, EIO);
                assert_int_equal(send_to(i, "ann", S("bad")), -EIO);
        }
        disk_fail_datasync(1, ENOSPC); /* a long letter's body, and the next segment's first flush */
        assert_int_equal(send_to(i, "ann", S("bad")), -ENOSPC);
        assert_int_equal(send_to(i, "ann", S("next")), 0);
        assert_int_equal(intake_drain(i, now()), 0);
        assert_int_equal(filed_count, 2);
        assert_int_equal(files(".log"), 0);
        intake_close(&i);
}

/* A segment without its mark goes too, only its removal has to be durable first. */
static void goes_without_a_mark(void **state)
{
        struct intake *i = open_intake(0, 1);

        (void)state;
        assert_int_equal(send_to(i, "ann", S("good")), 0);
        disk_fail_datasync(1, EIO);
        assert_int_equal(intake_drain(i, now()), 0); /* the second round */
        assert_int_equal(files(".log"), 0);
        assert_int_equal(filed_count, 1);
        assert_int_equal(settled_each, 1);
        intake_close(&i);
}

/* ---- long letters ---- */

static void stages_long_letters(void **state)
{
        static const size_t sizes[] = { 65536, 65537, 1000000 };
        struct intake *i = open_intake(0, 1);

        (void)state;
        for (size_t k = 0; k < LENGTH(sizes); k++) {
                struct buf text = long_text(sizes[k]);

                assert_int_equal(send_to(i, "ann bea", buf_str(&text)), 0);
                assert_int_equal(files(".body"), sizes[k] > 65536);
                if (sizes[k] == 1000000) { /* by way of a replay */
                        intakes[0] = NULL;
                        intake_close(&i);
                        i = open_intake(0, 1);
                        assert_int_equal(intake_replay(i), 0);
                        assert_int_equal(files(".body"), 1);
                }
                assert_int_equal(intake_drain(i, now()), 0);
                assert_int_equal(times(buf_str(&text)), 2);
                assert_int_equal(files(".body"), 0);
                assert_int_equal(files(".log"), 0);
                buf_free(&text);
        }
        intake_close(&i);
}

static void drops_what_was_not_committed(void **state)
{
        struct intake *a = open_intake(0, 1), *b;
        struct buf text = long_text(400000);
        struct incoming *in;
        int fd;

        (void)state;
        assert_int_equal(intake_begin(a, &in), 0);
        assert_int_equal(incoming_put(in, buf_str(&text)), 0);
        assert_int_equal(files(".body"), 1);
        assert_int_equal(incoming_size(in), 400000);
        assert_int_equal(intake_drain(a, now()), -ETIMEDOUT); /* its segment stays: it is the body's owner */
        intakes[0] = NULL;
        b = open_intake(0, 1);
        assert_int_equal(intake_replay(b), 0);
        assert_int_equal(files(".body"), 1); /* somebody alive is writing it */
        incoming_free(&in);
        assert_int_equal(files(".body"), 0);
        disk_fail_datasync(1, EIO);
        assert_int_equal(send_to(a, "ann", buf_str(&text)), -EIO); /* the body's own sync */
        disk_fail_datasync(2, EIO);
        assert_int_equal(send_to(a, "ann", buf_str(&text)), -EIO); /* the first in a new segment */
        assert_int_equal(files(".body"), 0);
        fd = openat(folder_fd, "00000000000000aa-1.body", O_CREAT | O_WRONLY, 0600);
        close(fd);
        intake_close(&a);
        assert_int_equal(intake_replay(b), 0);
        assert_int_equal(files(".body"), 0);
        assert_int_equal(intake_drain(b, now()), 0);
        assert_int_equal(filed_count, 0);
        intake_close(&b);
        buf_free(&text);
}

/* ---- peers ---- */

static void drain_both(void)
{
        for (int k = 0; k < 4; k++) {
                (void)!intake_drain(intakes[0], 0);
                (void)!intake_drain(intakes[1], 0);
        }
}

static void peers_file_for_each_other(void **state)
{
        struct buf text = long_text(100000);

        (void)state;
        open_intake(0, 2);
        open_intake(1, 2);
        assert_int_equal(send_to(intakes[0], "ann bea", S("short")), 0);
        assert_int_equal(send_to(intakes[1], "ann bea", buf_str(&text)), 0);
        drain_both();
        assert_int_equal(filed_count, 4);
        assert_int_equal(times(S("short")), 2);
        assert_int_equal(times(buf_str(&text)), 2);
        assert_int_equal(files(".log"), 0);
        assert_int_equal(files(".body"), 0);
        assert_true(settled_all > 0); /* what a peer filed only syncfs covers */
        intake_close(&intakes[0]);
        intake_close(&intakes[1]);
        buf_free(&text);
}

static void peers_die(void **state)
{
        (void)state;
        open_intake(0, 2);
        open_intake(1, 2);
        tells_refused = true;
        assert_int_equal(send_to(intakes[0], "bea", S("one")), 0);
        tells_refused = false;
        drain_both(); /* told again at the next round */
        assert_int_equal(times(S("one")), 1);

        assert_int_equal(send_to(intakes[0], "bea", S("two")), 0); /* told, and the peer dies over it */
        intake_close(&intakes[1]);
        open_intake(1, 2);
        drain_both();
        assert_int_equal(times(S("two")), 0);
        intake_peer_new(intakes[0], 1);
        drain_both();
        assert_int_equal(times(S("two")), 1);
        assert_int_equal(files(".log"), 0);

        dones_lost = true; /* filed by the peer, and the owner dies without knowing */
        assert_int_equal(send_to(intakes[0], "bea", S("three")), 0);
        drain_both();
        assert_int_equal(times(S("three")), 1);
        intake_close(&intakes[0]);
        dones_lost = false;
        assert_int_equal(intake_replay(intakes[1]), 0);
        open_intake(0, 2);
        intake_peer_new(intakes[1], 0);
        drain_both();
        assert_int_equal(times(S("three")), 1);
        assert_int_equal(duplicates, 1);
        assert_int_equal(files(".log"), 0);
        intake_close(&intakes[0]);
        intake_close(&intakes[1]);
}

/* ---- what cannot be filed ---- */

static void unfiled_is_kept(void **state)
{
        struct buf text = long_text(100000);
        struct intake_unfiled *list;
        struct intake *i;
        struct arena m;
        size_t n;

        (void)state;
        arena_init(&m, 1 << 20);
        limits.unfile_after_ms = 1;
        i = open_intake(0, 1);
        no_account = "gone";
        fail_name = "ill";
        fail_rc = -EIO;
        assert_int_equal(send_to(i, "ann gone", S("short")), 0);
        assert_int_equal(send_to(i, "gone ill", buf_str(&text)), 0);
        assert_int_equal(intake_drain(i, in_seconds(60)), 0);
        assert_int_equal(filed_count, 1);
        assert_int_equal(files(".log"), 0); /* segments never wait for it */
        assert_int_equal(files(".body"), 0);
        assert_int_equal(intake_unfiled_list(folder_fd, &m, &list, &n), 0);
        assert_int_equal(n, 3);
        for (size_t k = 0; k < n; k++) {
                assert_str(list[k].sender, S("jack@town.com"));
                assert_str(list[k].reason, str_eq(list[k].account, S("gone")) ? S("no such account")
                                                                              : S("Input/output error"));
        }
        intakes[0] = NULL;
        intake_close(&i);
        fail_rc = 0;
        i = open_intake(0, 1);
        (void)!intake_drain(i, now()); /* nothing to drain */
        no_account = NULL;
        intakes[0] = NULL;
        intake_close(&i);
        i = open_intake(0, 1);
        assert_int_equal(send_to(i, "ann", S("again")), 0); /* a round of the keeper, who tries again */
        assert_int_equal(intake_drain(i, now()), 0);
        assert_int_equal(times(S("short")), 2);
        assert_int_equal(times(buf_str(&text)), 2);
        assert_int_equal(intake_unfiled_list(folder_fd, &m, &list, &n), 0);
        assert_int_equal(n, 0);
        intake_close(&i);
        arena_finish(&m);
        buf_free(&text);
}

static void unfiled_can_be_removed(void **state)
{
        struct intake_unfiled *list;
        struct intake *i = open_intake(0, 1);
        struct buf text = long_text(100000);
        char path[64];
        struct arena m;
        size_t n;

        (void)state;
        arena_init(&m, 1 << 20);
        no_account = "gone";
        assert_int_equal(send_to(i, "gone", buf_str(&text)), 0);
        assert_int_equal(intake_drain(i, now()), 0);
        intake_close(&i);
        assert_int_equal(intake_unfiled_list(folder_fd, &m, &list, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(intake_unfiled_remove(folder_fd, S("../x.letter")), -ENOENT);
        assert_int_equal(intake_unfiled_remove(folder_fd, list[0].name), 0);
        assert_int_equal(intake_unfiled_remove(folder_fd, list[0].name), -ENOENT);
        snprintf(path, sizeof path, "%s/unfiled", folder);
        assert_int_equal(files_in(path, ".body"), 0);
        arena_finish(&m);
        buf_free(&text);
}

static void says_when_there_is_no_room(void **state)
{
        struct intake *i;

        (void)state;
        limits.disk_reserve = UINT64_MAX;
        i = open_intake(0, 1);
        assert_int_equal(send_to(i, "ann", S("one")), -ENOSPC);
        intake_close(&i);
}

/* More than memory may hold, with accounts that stand still: it is read back from the segments. */
static void reads_back_what_memory_does_not_hold(void **state)
{
        struct buf text = long_text(60000);
        struct intake *i;
        unsigned n = 800; /* 48 MB */

        (void)state;
        limits.segment_size = 4 << 20;
        fail_rc = -EIO;
        i = open_intake(0, 1);
        for (unsigned k = 0; k < n; k++)
                assert_int_equal(send_to(i, k % 2 ? "ann" : "bea", buf_str(&text)), 0);
        fail_rc = 0;
        assert_int_equal(intake_drain(i, in_seconds(60)), 0);
        assert_int_equal(times(buf_str(&text)), n);
        assert_int_equal(files(".log"), 0);
        intake_close(&i);
        buf_free(&text);
}

/* ---- with the loop ---- */

enum { SENDERS = 50, EACH = 20 };
static struct intake *shared;
static unsigned accepted, senders_left;
static char refused[SENDERS * EACH];

static void finish_intake(void *arg)
{
        (void)arg;
        if (!fiber_cancelled())
                assert_int_equal(intake_drain(shared, in_seconds(60)), 0);
        intake_close(&shared);
}

static void sender(void *arg)
{
        size_t self = (size_t)arg;
        char text[32], to[8];

        for (size_t k = 0; k < EACH; k++) {
                snprintf(text, sizeof text, "letter %zu", self * EACH + k);
                snprintf(to, sizeof to, "%c%zu", (char)('a' + k), self % 7);
                if (send_to(shared, to, str_of(text)) == 0)
                        accepted++;
                else
                        refused[self * EACH + k] = 1;
        }
        if (!--senders_left)
                spawn(finish_intake, NULL);
}

static void start_senders(void)
{
        assert_int_equal(offload_start(2, 2), 0);
        accepted = 0;
        senders_left = SENDERS;
        memset(refused, 0, sizeof refused);
        shared = open_intake(0, 1);
        for (size_t k = 0; k < SENDERS; k++)
                spawn(sender, (void *)k);
}

static void each_as_it_was_answered(void)
{
        for (size_t k = 0; k < SENDERS * EACH; k++) {
                char text[32];

                snprintf(text, sizeof text, "letter %zu", k);
                assert_int_equal(times(str_of(text)), !refused[k]);
        }
}

static void many_wait_for_one_flush(void **state)
{
        (void)state;
        start_senders();
        run_all();
        assert_int_equal(accepted, SENDERS * EACH);
        each_as_it_was_answered();
        assert_int_equal(files(".log"), 0);
}

static void some_flushes_fail(void **state)
{
        (void)state;
        limits.segment_size = 16384; /* many segments, too */
        disk_fail_datasync(2, EIO);  /* the first of a segment is its head's */
        start_senders();
        run_all();
        assert_true(accepted < SENDERS * EACH);
        each_as_it_was_answered();
        assert_int_equal(files(".log"), 0);
}

/* Shutdown with the flush under way: who was told 250 finds the letter, who was not does not, after a replay too. */
static void cancelled_tells_the_truth(void **state)
{
        struct intake *i;

        (void)state;
        start_senders();
        fiber_cancel_all();
        loop_run();
        if (shared)
                intake_close(&shared);
        i = open_intake(0, 1);
        assert_int_equal(intake_replay(i), 0);
        assert_int_equal(intake_drain(i, in_seconds(60)), 0);
        each_as_it_was_answered();
        intake_close(&i);
}

static int begin_both(void **state)
{
        begin_folder(state);
        return begin(state);
}

static int end_both(void **state)
{
        finish(state);
        return end_folder(state);
}

#define loop_test(f) cmocka_unit_test_setup_teardown(f, begin_both, end_both)

int main(void)
{
        const struct CMUnitTest tests[] = {
                folder_test(files_and_forgets),
                folder_test(many_accounts_settle_at_once),
                folder_test(replays_once),
                folder_test(leaves_what_others_hold),
                folder_test(voids_what_failed),
                folder_test(goes_on_after_a_failed_flush),
                folder_test(goes_without_a_mark),
                folder_test(stages_long_letters),
                folder_test(drops_what_was_not_committed),
                folder_test(peers_file_for_each_other),
                folder_test(peers_die),
                folder_test(unfiled_is_kept),
                folder_test(unfiled_can_be_removed),
                folder_test(says_when_there_is_no_room),
                folder_test(reads_back_what_memory_does_not_hold),
                loop_test(many_wait_for_one_flush),
                loop_test(some_flushes_fail),
                loop_test(cancelled_tells_the_truth),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
