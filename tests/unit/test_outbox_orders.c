/* What verbs see of the outbox and order it to do. */
#include "outbox_world.h"
#include <sqlite3.h>

static void obeys_orders(void **state)
{
        struct outbox_job jobs[3];
        uint64_t first, crepes;
        size_t n = 3;

        (void)state;
        put(1, 1, S("first"), NULL);
        put(2, 1, S("second"), NULL);
        first = letters(2)->id;
        crepes = due(100, 1, "crepes.fr");
        assert_int_equal(order(ORDER_HOLD, first), 1);
        assert_str(letters(2)->recipients, S("alice@crepes.fr (held: no sending yet)"));
        assert_int_equal(take(crepes, 100, jobs, 3), 1);
        done(&jobs[0], SENT, 0, NULL);
        assert_int_equal(order(ORDER_RETRY, first), 0); /* held */
        assert_int_equal(take(crepes, 100, jobs, 3), 0);
        assert_int_equal(order(ORDER_RELEASE, first), 1);
        assert_int_equal(take(crepes, 100, jobs, 3), 1);
        done(&jobs[0], DEFERRED, 5000, NULL);
        assert_int_equal(order(ORDER_BOUNCE, first), 1);
        assert_int_equal(take(crepes, 9000, jobs, 3), 0);
        assert_int_equal(outbox_overdue(outbox, OVERDUE_CONDEMNED, 0, jobs, &n), 0);
        assert_int_equal(n, 1);
        done(&jobs[0], FAILED, 0, NULL);
        letters(0);
        healthy(0);
}

/* How many steps it takes to walk over what is held: by the rows that are, not by all. */
static int walk_held(struct db *d, void *arg)
{
        struct db_row q = db_query(d, LETTERS_HELD);
        int *steps = arg;

        db_bind_u64(&q, 1, 0);
        while (db_next(&q))
                ;
        *steps = sqlite3_stmt_status(q.stmt, SQLITE_STMTSTATUS_VM_STEP, 1);
        return db_end(&q);
}

/* Among many that are not; a letter once, however many of its recipients are; by pages. */
static void lists_what_is_held(void **state)
{
        struct outbox_filter f = { .state = RECIPIENT_HELD };
        struct outbox_letter list[2];
        uint64_t first, after = 0, n;
        unsigned seen = 0;
        size_t page;
        int steps = 0;

        (void)state;
        for (unsigned i = 1; i <= 40; i++)
                put(i, 2, S("text"), NULL);
        first = letters(40)->id;
        for (unsigned i = 41; i <= 240; i++)
                put(i, 2, S("text"), NULL);
        for (unsigned i = 0; i < 40; i += 8)
                assert_int_equal(order(ORDER_HOLD, first + i), 2);
        for (page = 2; page == 2;) {
                assert_int_equal(outbox_list(outbox, &f, after, &arena, list, &page), 0);
                for (size_t i = 0; i < page; i++, seen++) {
                        assert_int_equal(list[i].id, first + 8 * seen);
                        assert_int_equal(list[i].waiting, 2);
                        after = list[i].id;
                }
        }
        assert_int_equal(seen, 5);
        assert_int_equal(db_transact(outbox->db, "walk", walk_held, &steps, DB_READ), 0);
        assert_in_range(steps, 1, 10 * 100); /* ten rows of 480 */
        f.domain = S("crepes.fr");
        page = 2;
        assert_int_equal(outbox_list(outbox, &f, first, &arena, list, &page), 0);
        assert_int_equal(page, 2);
        assert_int_equal(list[0].id, first + 8);
        f = (struct outbox_filter){ .state = RECIPIENT_HELD, .letter = first + 1 }; /* that one is not */
        assert_int_equal(outbox_order(outbox, ORDER_RELEASE, &f, &n), 0);
        assert_int_equal(n, 0);
        f.letter = 0;
        assert_int_equal(outbox_order(outbox, ORDER_RELEASE, &f, &n), 0);
        assert_int_equal(n, 10);
        page = 2;
        assert_int_equal(outbox_list(outbox, &f, 0, &arena, list, &page), 0);
        assert_int_equal(page, 0);
        healthy(0);
}

static void keeps_conversations(void **state)
{
        struct outbox_attempt *attempts;
        struct outbox_letter l;
        struct outbox_job job;
        struct buf text;
        size_t n;

        (void)state;
        buf_init(&text, 100);
        put(1, 1, S("first"), NULL);
        assert_int_equal(take(due(100, 1, "crepes.fr"), 100, &job, 1), 1);
        done(&job, DEFERRED, 50, NULL);
        assert_int_equal(outbox_show(outbox, letters(1)->id, &arena, &l, &attempts, &n, &text), 0);
        assert_int_equal(n, 1);
        assert_str(attempts[0].destination, S("crepes.fr"));
        assert_str(attempts[0].conversation, S("S: 220 mx.crepes.fr\n"));
        assert_str(l.recipients, S("alice@crepes.fr (queued, 1 attempt: 450 later)"));
        buf_free(&text);
}
int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(obeys_orders, begin, end),
                cmocka_unit_test_setup_teardown(lists_what_is_held, begin, end),
                cmocka_unit_test_setup_teardown(keeps_conversations, begin, end),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
