/* The file store: what an upload does, resuming, names, links, listings, hashes. Jail, quota and crashes have tests of their own. */
#include "files_world.h"

static void test_upload_is_whole_or_not(void **state)
{
        struct file_facts facts;
        struct upload *u;
        static char big[200000];

        (void)state;
        memset(big, 'x', sizeof big);
        assert_int_equal(upload_begin(root, S("/a"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, S("hello ")), 0);
        assert_int_equal(upload_write(u, 6, S("world")), 0);
        assert_int_equal(file_facts(root, S("/a"), false, &facts), -ENOENT);
        assert_int_equal(upload_commit(u, 11, 1000000000 * (int64_t)1000000), 0);
        upload_free(&u, false, 0);
        assert_string_equal(get("/a"), "hello world");
        assert_int_equal(file_facts(root, S("/a"), true, &facts), 0);
        assert_int_equal(facts.kind, FILE_REGULAR);
        assert_int_equal(facts.size, 11);
        assert_int_equal(facts.modified, 1000000000 * (int64_t)1000000);
        assert_int_equal(facts.mode, 0644);

        /* a long one, cut at its end, in place of the short one */
        assert_int_equal(upload_begin(root, S("/a"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, str_from(big, sizeof big)), 0);
        assert_string_equal(get("/a"), "hello world");
        assert_int_equal(upload_commit(u, 150000, 0), 0);
        upload_free(&u, false, 0);
        assert_int_equal(file_facts(root, S("/a"), true, &facts), 0);
        assert_int_equal(facts.size, 150000);
        assert_int_equal(count_in(".parts", ".new"), 0);
        assert_int_equal(used(), 150000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_upload_is_whole_or_not, world_begin, world_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
