/* Sequence sets: what they may look like, and what they mean in a mailbox. */
#include "unit.h"
#include "base/mem.h"
#include "proto/imap/selected.h"
#include <stdio.h>

static struct imap session;

static int begin(void **state)
{
        struct seqmap *m = &session.selected.map;

        (void)state;
        session.enabled = 0;
        arena_init(&session.session.command, 64 << 20);
        seqmap_add_range(m, 3, 5); /* 1:3 */
        seqmap_add_range(m, 10, 10);
        seqmap_add_range(m, 20, 29); /* 5:14 */
        uid_list_add(&session.selected.saved, 4, 10);
        uid_list_add(&session.selected.saved, 29, 40);
        return 0;
}

static int end(void **state)
{
        (void)state;
        seqmap_free(&session.selected.map);
        uid_list_free(&session.selected.saved);
        arena_finish(&session.session.command);
        return 0;
}

static bool meant(const char *text, bool uid, struct uid_list *out)
{
        struct scan a = scan_of(str_of(text));
        struct imap_set set;

        *out = (struct uid_list){ 0 };
        imap_set(&session.session, &a, &set);
        return scan_done(&a) && imap_resolve(&session.session, &set, uid, out);
}

static void meanings(void **state)
{
        static const struct {
                const char *set, *uids; /* NULL: refused */
                bool uid;
        } rows[] = {
                { "1", "3", false },
                { "1:3", "3:5", false },
                { "3:1", "3:5", false },
                { "2,4:6,14", "4,10,20:21,29", false },
                { "14,1,1,2:3,2", "3:5,29", false },
                { "*", "29", false },
                { "*:12", "27:29", false },
                { "1:*", "3:5,10,20:29", false },
                { "15", NULL, false },
                { "1:15", NULL, false },
                { "4294967295:*", NULL, false },
                { "$", "4:5,10,29", false },
                { "1:100", "3:5,10,20:29", true },
                { "6:9", "", true },
                { "5:10,28:30", "5,10,28:29", true },
                { "*", "29", true },
                { "4294967295:*", "29", true },
                { "*:1", "3:5,10,20:29", true },
                { "$", "4:5,10,29", true },
                { "0", NULL, true },
                { "1:0", NULL, true },
                { "", NULL, true },
                { "1,", NULL, true },
                { ",1", NULL, true },
                { "1:2:3", NULL, true },
                { "1;2", NULL, true },
                { "-1", NULL, true },
                { "$,1", NULL, true },
                { "4294967296", NULL, true },
                { "99999999999999999999", NULL, true },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct uid_list got;
                struct buf b auto_buf;
                bool good = meant(rows[i].set, rows[i].uid, &got);

                buf_init(&b, 1000);
                put_uids(&b, &got);
                if (good != (rows[i].uids != NULL))
                        fail_msg("%s: %s", rows[i].set, good ? "taken" : "refused");
                if (good)
                        assert_str(buf_str(&b), str_of(rows[i].uids));
                uid_list_free(&got);
        }
}

static void nothing_is_there(void **state)
{
        struct seqmap kept = session.selected.map;
        struct uid_list got;

        (void)state;
        session.selected.map = (struct seqmap){ 0 };
        assert_false(meant("*", false, &got)); /* RFC 9051 §9, seq-number */
        assert_false(meant("1:*", false, &got));
        assert_true(meant("1:*", true, &got));
        assert_int_equal(got.n, 0);
        session.selected.map = kept;
}

/* As many ranges as a line can hold, in the worst order: as much work as they are, and no more. */
static void many(void **state)
{
        struct uid_list got;
        struct buf b auto_buf;

        (void)state;
        buf_init(&b, 4 << 20);
        for (unsigned i = 400000; i > 0; i--)
                buf_printf(&b, "%u,", 1 + i % 14);
        buf_printf(&b, "1:4294967295,*:1");
        buf_put(&b, "", 1);
        assert_true(meant(b.p, true, &got));
        assert_int_equal(uid_list_count(&got), 14);
        uid_list_free(&got);
}

/* Beside bits: what two lists have in common, together, and one without the other. */
static void lists(void **state)
{
        uint64_t seed = 1;

        (void)state;
        for (unsigned round = 0; round < 3000; round++) {
                struct uid_list l[2] = { { 0 } }, common = { 0 }, both = { 0 }, minus = { 0 };
                uint64_t bits[2];

                for (unsigned k = 0; k < 2; k++) {
                        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
                        bits[k] = (seed ^ seed >> 29) & (seed >> 7 | seed << 3);
                        for (unsigned i = 0; i < 64; i++)
                                if (bits[k] >> i & 1)
                                        uid_list_add(&l[k], i + 1, i + 1);
                }
                uid_list_common(&l[0], &l[1], &common);
                uid_list_union(&l[0], &l[1], &both);
                uid_list_minus(&l[0], &l[1], &minus);
                for (unsigned i = 0; i < 64; i++) {
                        bool a = bits[0] >> i & 1, b = bits[1] >> i & 1;

                        assert_int_equal(uid_list_has(&common, i + 1), a && b);
                        assert_int_equal(uid_list_has(&both, i + 1), a || b);
                        assert_int_equal(uid_list_has(&minus, i + 1), a && !b);
                }
                for (unsigned k = 0; k < 2; k++)
                        uid_list_free(&l[k]);
                uid_list_free(&common);
                uid_list_free(&both);
                uid_list_free(&minus);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(meanings, begin, end),
                cmocka_unit_test_setup_teardown(nothing_is_there, begin, end),
                cmocka_unit_test_setup_teardown(many, begin, end),
                cmocka_unit_test_setup_teardown(lists, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
