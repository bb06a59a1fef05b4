/* What is left when the power goes, a process is killed, or a sync fails: what was acknowledged, and nothing half. */
#include "files_world.h"
#include "powercut.h"
#include "store/boot.h"
#include "store/disk.h"
#include <signal.h>
#include <sys/wait.h>

enum { NAMES = 6, OPERATIONS = 60, CUTS = 250, LONGEST = 150000 };

/* What a version of a file holds follows from its number; 0: there is none. */
static char text[LONGEST + 1];

static size_t size_of(unsigned version)
{
        return version % 5 ? version * 37 % 3000 + 8 : version * 1009 % 80000 + 70000;
}

static struct str text_of(unsigned version)
{
        size_t n = size_of(version);

        for (size_t i = 0; i < n; i += 8)
                snprintf(text + i, 9, "%07u.", version);
        return str_from(text, n);
}

/* Which version is it? -1: none that was ever whole. */
static int version_at(const char *path)
{
        static char got[LONGEST + 1];
        struct file_facts facts;
        struct file *f;
        size_t n = 0, done = 1;
        unsigned version;
        int rc = file_open(root, str_of(path), &f, &facts);

        if (rc == -ENOENT)
                return 0;
        if (rc)
                return -1;
        while (done && n < sizeof got) {
                assert_int_equal(file_read(f, n, got + n, sizeof got - n, &done), 0);
                n += done;
        }
        file_close(&f);
        if (n < 8 || n != facts.size)
                return -1;
        version = (unsigned)strtoul(got, NULL, 10);
        return str_eq(str_from(got, n), text_of(version)) ? (int)version : -1;
}

static const char *name_of(unsigned i)
{
        static char name[2][32];
        static unsigned next;
        char *p = name[next++ % 2];

        snprintf(p, sizeof name[0], i < NAMES / 2 ? "/f%u" : "/d/f%u", i);
        return p;
}

struct state {
        uint64_t at; /* operations recorded when this was promised */
        int version[NAMES];
};

static int put_version(const char *path, unsigned version, uint64_t from)
{
        struct str all = text_of(version);
        struct upload *u;
        int rc = upload_begin(root, str_of(path), from ? UPLOAD_RESUME : UPLOAD_NEW, from, &u);

        if (!rc)
                rc = upload_write(u, from, str_from_at(all, from));
        if (!rc)
                rc = upload_commit(u, all.n, 0);
        upload_free(&u, false, 0);
        return rc;
}

static void break_off(const char *path, unsigned version)
{
        struct str all = text_of(version);
        struct upload *u;

        assert_int_equal(upload_begin(root, str_of(path), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, str_sub(all, 0, all.n / 2)), 0);
        upload_free(&u, true, all.n / 2);
}

static void one_operation(uint64_t *seed, struct state *s, unsigned version)
{
        unsigned i = (unsigned)powercut_random(seed, NAMES), k = (unsigned)powercut_random(seed, NAMES);
        struct str from[] = { str_of(name_of(i)) };

        switch (powercut_random(seed, 8)) {
        case 0:
                if (s->version[i])
                        assert_int_equal(file_remove(root, str_of(name_of(i))), 0);
                s->version[i] = 0;
                break;
        case 1:
                if (!s->version[i] || i == k)
                        break;
                assert_int_equal(file_rename(root, str_of(name_of(i)), str_of(name_of(k))), 0);
                s->version[k] = s->version[i];
                s->version[i] = 0;
                break;
        case 2:
                if (!s->version[i] || i == k)
                        break;
                assert_int_equal(file_copy(root, from[0], str_of(name_of(k))), 0);
                s->version[k] = s->version[i];
                break;
        case 3:
                break_off(name_of(i), version);
                assert_int_equal(put_version(name_of(i), version, size_of(version) / 3), 0);
                s->version[i] = (int)version;
                break;
        case 4: break_off(name_of(i), version); break;
        default: assert_int_equal(put_version(name_of(i), version, 0), 0); s->version[i] = (int)version;
        }
}

static bool is_state(const struct state *s, const int *found)
{
        return !memcmp(s->version, found, sizeof s->version);
}

/* The kept part, if there is one, holds what its size says: the resumed file is whole. */
static void check_kept(unsigned i)
{
        struct upload *u;
        uint64_t size;
        char head[8];

        if (upload_kept(root, str_of(name_of(i)), &size))
                return;
        assert_true(size >= 8 / 2);
        assert_int_equal(upload_begin(root, str_of(name_of(i)), UPLOAD_RESUME, size, &u), 0);
        if (size >= 8) {
                unsigned version;

                /* what was kept is the first half of a version: with the rest it is that version */
                assert_int_equal(pread(upload_descriptor(u), head, 8, 0), 8);
                version = (unsigned)strtoul(head, NULL, 10);
                assert_int_equal(upload_write(u, size, str_from_at(text_of(version), size)), 0);
                assert_int_equal(upload_commit(u, size_of(version), 0), 0);
                assert_int_equal(version_at(name_of(i)), version);
        }
        upload_free(&u, false, 0);
}

static void check_cut(const char *left, const struct state *before, const struct state *after)
{
        static const struct files_how how = { .durable = true, .keep_parts = 3600 };
        int found[NAMES], dir = open(left, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(files_open(&files, dir, &how), 0);
        assert_int_equal(root_open(files, S("jack"), false, 0, &root), 0);
        for (unsigned i = 0; i < NAMES; i++)
                found[i] = version_at(name_of(i));
        if (!is_state(before, found) && !is_state(after, found)) {
                for (unsigned i = 0; i < NAMES; i++)
                        print_error("%s: found %d, before %d, after %d\n", name_of(i), found[i],
                                    before->version[i], after->version[i]);
                fail();
        }
        for (unsigned i = 0; i < NAMES; i++)
                check_kept(i);
        root_close(&root);
        files_close(&files);
}

static void test_power_cut(void **state)
{
        static struct state states[OPERATIONS + 1];
        static const struct files_how how = { .durable = true, .keep_parts = 3600 };
        char trace[96], left[96], data[96];
        uint64_t seed = 4711;
        struct powercut *p;

        (void)state;
        root_close(&root);
        files_close(&files);
        snprintf(trace, sizeof trace, "%s/trace", world);
        snprintf(data, sizeof data, "%s/data", world);
        assert_int_equal(mkdir(data, 0700), 0);
        boot_id_for_tests("11111111-2222-3333-4444-555555555555");
        disk_record(data, trace);
        assert_int_equal(files_open(&files, open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &how), 0);
        assert_int_equal(root_open(files, S("jack"), false, 0, &root), 0);
        assert_int_equal(folder_make(root, S("/d")), 0);
        states[0].at = disk_recorded();
        for (unsigned i = 0; i < OPERATIONS; i++) {
                memcpy(states[i + 1].version, states[i].version, sizeof states[i].version);
                one_operation(&seed, &states[i + 1], i + 1);
                states[i + 1].at = disk_recorded();
        }
        disk_record(NULL, NULL);
        root_close(&root);
        files_close(&files);

        boot_id_for_tests("11111111-2222-3333-4444-666666666666");
        p = powercut_open(NULL, trace);
        for (unsigned i = 0; i < CUTS; i++) {
                uint64_t at = states[0].at + powercut_random(&seed, states[OPERATIONS].at - states[0].at + 1);
                unsigned k = 0;

                while (k < OPERATIONS && states[k + 1].at <= at)
                        k++;
                snprintf(left, sizeof left, "%s/left%u", world, i);
                powercut_leave(p, at, i + 1, left);
                check_cut(left, &states[k], &states[k < OPERATIONS ? k + 1 : k]);
                assert_int_equal(nftw(left, drop, 16, FTW_DEPTH | FTW_PHYS), 0);
        }
        powercut_close(&p);
        boot_id_for_tests("");
}

/* A process that puts one version after another and says each that was acknowledged. */
static void go_on_putting(int say)
{
        static const struct files_how how = { .durable = false, .keep_parts = 3600 };

        if (open_again(&how) || root_open(files, S("jack"), false, 0, &root))
                _exit(1);
        for (unsigned version = 1;; version++)
                if (put_version("/f", version, 0) || write(say, &version, sizeof version) != sizeof version)
                        _exit(1);
}

static void test_killed_anywhere(void **state)
{
        static const struct files_how how = { .durable = true, .keep_parts = 3600 };

        (void)state;
        root_close(&root);
        files_close(&files);
        for (int i = 0; i < 20; i++) {
                unsigned version = 0, next;
                int say[2], found;
                pid_t pid;

                assert_int_equal(pipe(say), 0);
                pid = fork();
                if (!pid)
                        go_on_putting(say[1]);
                close(say[1]);
                while (version < (unsigned)i + 1)
                        assert_int_equal(read(say[0], &version, sizeof version), sizeof version);
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                while (read(say[0], &next, sizeof next) == sizeof next)
                        version = next;
                close(say[0]);
                assert_int_equal(open_again(&how), 0);
                assert_int_equal(root_open(files, S("jack"), false, 0, &root), 0);
                found = version_at("/f");
                assert_in_range(found, version, version + 1);
                assert_int_equal(count_in(".parts", ".new"), 0);
                assert_int_equal(count_in(".parts", ".lock"), 1);
                assert_int_equal(file_remove(root, S("/f")), 0);
                assert_int_equal(used(), 0);
                root_close(&root);
                files_close(&files);
        }
}

/* Nothing is acknowledged that a failed sync may have lost, and what was there stays. */
static void test_failing_sync(void **state)
{
        (void)state;
        assert_int_equal(put("/f", "old"), 0);
        disk_fail_datasync(1, EIO);
        assert_int_equal(put("/f", "new"), -EIO);
        assert_string_equal(get("/f"), "old");
        disk_fail_datasync(1, ENOSPC);
        assert_int_equal(put("/g", "new"), -ENOSPC);
        assert_string_equal(get("/g"), "-2");
        assert_int_equal(used(), 3);
        assert_int_equal(put("/f", "newer"), 0);
        assert_string_equal(get("/f"), "newer");
        assert_int_equal(count_in(".parts", ".new"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_power_cut, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_killed_anywhere, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_failing_sync, world_begin, world_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
