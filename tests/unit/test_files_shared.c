/* Sessions that commit at the same time: what they share, and that nobody who gives up takes anything with him. */
#include "fibers.h"
#include "files_world.h"
#include "store/disk.h"

enum { SESSIONS = 16 };

static struct waitlist gate;
static struct fiber *waiting[SESSIONS];
static int results[SESSIONS];
static unsigned ready;

/* All commit in one turn of the loop. */
static void session(void *arg)
{
        size_t i = (size_t)arg;
        struct upload *u;
        char path[32];

        snprintf(path, sizeof path, i % 2 ? "/d/f%zu" : "/f%zu", i);
        assert_int_equal(upload_begin(root, str_of(path), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, str_of(path)), 0);
        waiting[i] = fiber_self();
        ready++;
        assert_int_equal(wait_on(&gate, "the others", NEVER), 0);
        results[i] = upload_commit(u, strlen(path), 0);
        upload_free(&u, false, 0);
        waiting[i] = NULL;
}

static uint64_t before;

static void open_gate(void *arg)
{
        (void)arg;
        while (ready < SESSIONS)
                fiber_yield();
        before = disk_recorded();
        wake_all(&gate);
}

static void spawn_sessions(void)
{
        ready = 0;
        for (size_t i = 0; i < SESSIONS; i++) {
                results[i] = -1;
                spawn(session, (void *)i);
        }
}

static void all_stand(void)
{
        char path[32];

        for (size_t i = 0; i < SESSIONS; i++) {
                snprintf(path, sizeof path, i % 2 ? "/d/f%zu" : "/f%zu", i);
                assert_int_equal(results[i], 0);
                assert_string_equal(get(path), path);
        }
}

/* One goes ahead, with a folder; the others come meanwhile and sync their two folders once. */
static void test_share_syncs(void **state)
{
        (void)state;
        root_close(&root);
        files_close(&files);
        disk_record(world, in_world("trace"));
        assert_int_equal(open_again(&(struct files_how){ .durable = true }), 0);
        use(0);
        assert_int_equal(folder_make(root, S("/d")), 0);
        assert_int_equal(offload_start(2, 3), 0);
        spawn_sessions();
        spawn(open_gate, NULL);
        run_all();
        all_stand();
        /* each is made, written, synced and renamed */
        assert_int_equal(disk_recorded() - before, SESSIONS * 4 + 1 + 2);
        disk_record(NULL, NULL);
}

static void cancel_some(void *arg)
{
        (void)arg;
        while (ready < SESSIONS)
                fiber_yield();
        wake_all(&gate);
        fiber_yield(); /* they wait for the first one's sync now */
        for (size_t i = 1; i < SESSIONS; i += 3)
                if (waiting[i])
                        fiber_cancel(waiting[i]);
}

static void test_cancelled(void **state)
{
        (void)state;
        assert_int_equal(folder_make(root, S("/d")), 0);
        assert_int_equal(offload_start(2, 3), 0);
        for (int i = 0; i < 10; i++) {
                spawn_sessions();
                spawn(cancel_some, NULL);
                run_all();
                all_stand();
        }
        assert_int_equal(count_in(".parts", ".new"), 0);
}

/* Fibers of one process, each with a root of its own, against one quota. */
static void greedy(void *arg)
{
        static char text[3000];
        struct root *r;
        char path[32];

        assert_int_equal(root_open(files, S("jack"), false, 20000, &r), 0);
        for (int i = 0; i < 30; i++) {
                struct upload *u;
                int rc;

                snprintf(path, sizeof path, "/g%zu-%d", (size_t)arg, i % 3);
                rc = upload_begin(r, str_of(path), UPLOAD_NEW, 0, &u);
                if (!rc)
                        rc = upload_write(u, 0, str_from(text, 1000 + (size_t)i * 50));
                fiber_yield();
                if (!rc)
                        rc = upload_commit(u, 1000 + (size_t)i * 50, 0);
                assert_true(rc == 0 || rc == -EDQUOT);
                upload_free(&u, false, 0);
                if (rc && i % 2)
                        (void)file_remove(r, str_of(path));
        }
        root_close(&r);
}

static bool add_up(void *context, const struct file_entry *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                *(uint64_t *)context += list[i].facts.size;
        return true;
}

static void test_one_quota(void **state)
{
        uint64_t sum = 0;

        (void)state;
        use(20000);
        assert_int_equal(offload_start(2, 3), 0);
        for (size_t i = 0; i < 8; i++)
                spawn(greedy, (void *)i);
        run_all();
        assert_int_equal(folder_read(root, S("/"), true, add_up, &sum), 0);
        assert_in_range(sum, 1, 20000);
        assert_int_equal(used(), sum);
}

static int both_begin(void **state)
{
        return begin(state) || world_begin(state) ? -1 : 0;
}

static int both_end(void **state)
{
        int rc = world_end(state);

        return finish(state) || rc ? -1 : 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_share_syncs, both_begin, both_end),
                cmocka_unit_test_setup_teardown(test_cancelled, both_begin, both_end),
                cmocka_unit_test_setup_teardown(test_one_quota, both_begin, both_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
