/* What an account may take: never passed, whatever goes on at the same time, in however many processes; given back; found again. */
#include "account_fixture.h"
#include "files_world.h"
#include "store/boot.h"
#include "store/usage.h"
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

static char text[100001];

/* `n` octets of a file; the result of the first call that refuses. */
static int put_octets_how(const char *path, enum upload_how how, size_t n)
{
        memset(text, 'x', sizeof text - 1);
        text[n] = '\0';
        return put_how(path, how, 0, text);
}

static int put_octets(const char *path, size_t n)
{
        return put_octets_how(path, UPLOAD_NEW, n);
}

static uint64_t available(void)
{
        struct root_room room;

        assert_int_equal(root_room(root, &room), 0);
        return room.available;
}

static void test_quota(void **state)
{
        struct str both[] = { S("/a"), S("/b") };
        struct upload *u;
        uint64_t size;

        (void)state;
        use(1000);
        assert_int_equal(available(), 1000);
        assert_int_equal(put_octets("/a", 600), 0);
        assert_int_equal(put_octets("/b", 401), -EDQUOT);
        assert_int_equal(put_octets("/b", 400), 0);
        assert_int_equal(available(), 0);
        /* what is replaced makes room for what replaces it */
        assert_int_equal(put_octets("/a", 600), 0);
        assert_int_equal(put_octets("/a", 601), -EDQUOT);
        assert_int_equal(put_octets("/a", 500), 0);
        assert_int_equal(available(), 100);
        /* whatever makes it grow */
        assert_int_equal(file_copy(root, S("/b"), S("/c")), -EDQUOT);
        assert_int_equal(put_octets_how("/a", UPLOAD_APPEND, 101), -EDQUOT);
        assert_int_equal(put_octets_how("/a", UPLOAD_APPEND, 100), 0);
        assert_int_equal(used(), 1000);
        assert_int_equal(file_remove(root, S("/b")), 0);
        assert_int_equal(put_octets("/b", 350), 0);
        assert_int_equal(file_append(root, S("/c"), both, 2), -EDQUOT);
        assert_int_equal(file_rename(root, S("/b"), S("/a")), 0);
        assert_int_equal(used(), 350);
        /* a part that is kept counts, and what goes on in it does not count it twice */
        assert_int_equal(upload_begin(root, S("/p"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, str_from(text, 300)), 0);
        assert_int_equal(available(), 350);
        upload_free(&u, true, 250);
        assert_int_equal(used(), 600);
        assert_int_equal(available(), 400);
        assert_int_equal(put_octets_how("/p", UPLOAD_APPEND, 401), -EDQUOT);
        assert_int_equal(upload_kept(root, S("/p"), &size), -ENOENT);
        assert_int_equal(available(), 650);
        /* room asked for in advance is given back */
        assert_int_equal(upload_begin(root, S("/q"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_room(u, 0, 651), -EDQUOT);
        assert_int_equal(upload_room(u, 0, 650), 0);
        assert_true(upload_descriptor(u) >= 0);
        assert_int_equal(available(), 0);
        assert_int_equal(upload_commit(u, 10, 0), 0);
        upload_free(&u, false, 0);
        assert_int_equal(available(), 640);
        assert_int_equal(upload_begin(root, S("/r"), UPLOAD_NEW, 0, &u), 0);
        upload_facts(u, str_from(text, 641)); /* which count too */
        assert_int_equal(upload_commit(u, 0, 0), -EDQUOT);
        assert_int_equal(upload_room(u, 0, UINT64_MAX), -EFBIG);
        assert_int_equal(upload_write(u, INT64_MAX, S("x")), -EFBIG);
        assert_int_equal(upload_write(u, (uint64_t)1 << 50, S("x")), -ENOSPC);
        upload_free(&u, false, 0);
        assert_int_equal(available(), 640);
}

/* The file that an upload would replace is taken away meanwhile: then nothing makes room for it. */
static void test_replaced_no_more(void **state)
{
        struct upload *u[2];

        (void)state;
        use(100);
        assert_int_equal(put_octets("/f", 80), 0);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(upload_begin(root, S("/f"), UPLOAD_NEW, 0, &u[i]), 0);
                assert_int_equal(upload_write(u[i], 0, str_from(text, 90)), 0);
        }
        assert_int_equal(used(), 80);
        assert_int_equal(upload_commit(u[0], 90, 0), 0);
        assert_int_equal(used(), 90);
        assert_int_equal(file_rename(root, S("/f"), S("/g")), 0);
        assert_int_equal(upload_commit(u[1], 90, 0), -EDQUOT);
        upload_free(&u[0], false, 0);
        upload_free(&u[1], false, 0);
        assert_int_equal(used(), 90);
        assert_int_equal(available(), 10);
}

static uint64_t really_used(void)
{
        char path[64];
        struct stat st;
        uint64_t sum = 0;

        for (int i = 0; i < 20; i++) {
                snprintf(path, sizeof path, "jack/f%d", i);
                if (!lstat(in_world(path), &st))
                        sum += (uint64_t)st.st_size;
        }
        return sum;
}

enum { QUOTA = 30000, PROCESSES = 4, ROUNDS = 2000 };

/* Puts, removes, renames and breaks off among twenty names. */
static void work(unsigned seed)
{
        char path[16], other[16];
        struct upload *u;

        for (int i = 0; i < ROUNDS; i++) {
                int rc = 0;

                seed = seed * 1103515245 + 12345;
                snprintf(path, sizeof path, "/f%u", seed >> 8 & 15);
                snprintf(other, sizeof other, "/f%u", (seed >> 12 & 15) + 4);
                switch (seed >> 16 & 7) {
                case 0: rc = file_remove(root, str_of(path)); break;
                case 1: rc = file_rename(root, str_of(path), str_of(other)); break;
                case 2: rc = file_copy(root, str_of(path), str_of(other)); break;
                case 3:
                        rc = upload_begin(root, str_of(path), UPLOAD_APPEND, 0, &u);
                        if (!rc)
                                rc = upload_write(u, upload_at(u), str_from(text, seed >> 20 & 1023));
                        upload_free(&u, !rc, rc ? 0 : 100);
                        break;
                default: rc = put_octets(path, seed >> 20 & 4095);
                }
                if (rc && rc != -ENOENT && rc != -EDQUOT)
                        _exit(100 - rc);
        }
}

static pid_t child(unsigned seed)
{
        static const struct files_how how = { .durable = false, .keep_parts = 3600 };
        pid_t pid = fork();

        if (pid)
                return pid;
        if (open_again(&how) || root_open(files, S("jack"), false, QUOTA, &root))
                _exit(1);
        work(seed);
        root_close(&root);
        files_close(&files);
        _exit(0);
}

/* Stopped means stopped: else sizes change while they are added up. */
static void signal_all(const pid_t *pid, int sig)
{
        siginfo_t info;

        for (unsigned i = 0; i < PROCESSES; i++) {
                if (!pid[i])
                        continue;
                assert_int_equal(kill(pid[i], sig), 0);
                if (sig == SIGSTOP)
                        assert_int_equal(waitid(P_PID, (id_t)pid[i], &info, WSTOPPED | WEXITED | WNOWAIT), 0);
        }
}

static void test_processes(void **state)
{
        pid_t pid[PROCESSES];
        unsigned left = PROCESSES;
        int status;

        (void)state;
        memset(text, 'x', sizeof text - 1);
        root_close(&root);
        files_close(&files);
        for (unsigned i = 0; i < PROCESSES; i++) {
                pid[i] = child(i * 77777 + 1);
                assert_true(pid[i] > 0);
        }
        while (left) {
                usleep(2000); /* so that they get on between two looks */
                signal_all(pid, SIGSTOP);
                assert_in_range(really_used(), 0, QUOTA);
                signal_all(pid, SIGCONT);
                for (unsigned i = 0; i < PROCESSES; i++)
                        if (pid[i] && waitpid(pid[i], &status, WNOHANG) == pid[i]) {
                                assert_int_equal(status, 0);
                                pid[i] = 0;
                                left--;
                        }
        }
        assert_int_equal(open_again(&(struct files_how){ .keep_parts = 0 }), 0);
        assert_int_equal(root_open(files, S("jack"), false, QUOTA, &root), 0);
        files_tidy(files); /* kept parts, which count too */
        assert_true(really_used() > 0);
        assert_int_equal(used(), really_used());
        /* the same, counted anew */
        root_close(&root);
        boot_id_for_tests("11111111-2222-3333-4444-555555555555");
        use(QUOTA);
        assert_int_equal(used(), really_used());
        boot_id_for_tests("");
}

/* It has taken much in advance, and is killed in the middle. */
static void test_killed(void **state)
{
        struct upload *u;
        int status, ready[2];
        char byte;
        pid_t pid;

        (void)state;
        use(10 << 20);
        assert_int_equal(put_octets("/mine", 1000), 0);
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (!pid) {
                static const struct files_how how = { .durable = false, .keep_parts = 3600 };

                if (open_again(&how) || root_open(files, S("jack"), false, 10 << 20, &root) ||
                    upload_begin(root, S("/theirs"), UPLOAD_NEW, 0, &u) ||
                    upload_write(u, 0, str_from(text, 100000)) || upload_room(u, 0, 9 << 20) ||
                    write(ready[1], "x", 1) != 1)
                        _exit(1);
                pause();
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_in_range(available(), 0, 1 << 20);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        close(ready[0]);
        close(ready[1]);
        /* whoever would be refused finds it out */
        assert_int_equal(upload_begin(root, S("/f"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_room(u, 0, 9 << 20), 0);
        upload_free(&u, false, 0);
        /* and its part is kept by whoever opens the files next */
        assert_int_equal(used(), 1000);
        root_close(&root);
        files_close(&files);
        assert_int_equal(open_again(&(struct files_how){ .keep_parts = 3600 }), 0);
        use(0);
        assert_int_equal(put_how("/theirs", UPLOAD_RESUME, 100000, "!"), 0);
        assert_int_equal(used(), 101001);
}

static void test_counted_anew(void **state)
{
        int fd;

        (void)state;
        assert_int_equal(folder_make(root, S("/d")), 0);
        assert_int_equal(put_octets("/d/a", 1000), 0);
        fd = open(in_world("jack/d/by-hand"), O_WRONLY | O_CREAT, 0600);
        assert_int_equal(ftruncate(fd, 500), 0);
        close(fd);
        assert_int_equal(symlink("a", in_world("jack/d/link")), 0);
        assert_int_equal(used(), 1500); /* nobody had counted before */
        root_close(&root);
        assert_int_equal(truncate(in_world("jack/d/by-hand"), 400), 0);
        use(0);
        assert_int_equal(used(), 1500); /* as it was counted */
        root_close(&root);
        boot_id_for_tests("11111111-2222-3333-4444-555555555555");
        use(0);
        assert_int_equal(used(), 1400);
        boot_id_for_tests("");
}

static void test_shared_with_letters(void **state)
{
        struct files_how how = { .durable = false };

        (void)state;
        assert_int_equal(mkdir(in_world("usage"), 0700), 0);
        assert_int_equal(usage_open(&how.usage, open(in_world("usage"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
                         0);
        files_change(files, &how);
        assert_int_equal(usage_get(how.usage, S("jack"), USAGE_LETTERS), 0);
        usage_set(how.usage, S("jack"), USAGE_LETTERS, 700);
        use(1000);
        assert_int_equal(put_octets("/a", 301), -EDQUOT);
        assert_int_equal(put_octets("/a", 300), 0);
        assert_int_equal(available(), 0);
        assert_int_equal(usage_get(how.usage, S("jack"), USAGE_FILES), 300);
        assert_int_equal(usage_get(how.usage, S("jack"), USAGE_LETTERS), 700);
        assert_int_equal(file_remove(root, S("/a")), 0);
        assert_int_equal(usage_get(how.usage, S("jack"), USAGE_FILES), 0);
        usage_set(how.usage, S("../jack"), USAGE_FILES, 1);
        assert_int_equal(usage_get(how.usage, S("../jack"), USAGE_FILES), 0);
        root_close(&root);
        usage_close(&how.usage);
}

/* The mail role's side of it: told after every change and at opening, and what files take counts too. */
static void test_letters_tell(void **state)
{
        struct accounts *set;
        struct account *a;
        struct usage *usage;
        uint64_t octets, letters, taken;

        (void)state;
        assert_int_equal(mkdir(in_world("usage"), 0700), 0);
        assert_int_equal(mkdir(in_world("mail"), 0700), 0);
        assert_int_equal(usage_open(&usage, open(in_world("usage"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), 0);
        set = fixture_open(in_world("mail"), 4);
        assert_int_equal(account_create(set, S("jack")), 0);
        assert_int_equal(account_get(set, S("jack"), &a), 0);
        (void)fixture_file(a, 1, 1, 5000);
        assert_int_equal(usage_get(usage, S("jack"), USAGE_LETTERS), 0);
        assert_int_equal(account_usage(a, &octets, &letters), 0);
        assert_int_equal(account_taken(a, &taken), 0);
        assert_int_equal(taken, octets);
        account_put(&a);
        accounts_close(&set);

        set = fixture_open(in_world("mail"), 4);
        accounts_usage(set, usage);
        assert_int_equal(account_get(set, S("jack"), &a), 0);
        assert_int_equal(usage_get(usage, S("jack"), USAGE_LETTERS), octets);
        (void)fixture_file(a, 1, 2, 3000);
        assert_int_equal(account_usage(a, &octets, &letters), 0);
        assert_in_range(octets, 8000, 10000);
        assert_int_equal(usage_get(usage, S("jack"), USAGE_LETTERS), octets);
        usage_set(usage, S("jack"), USAGE_FILES, 1234);
        assert_int_equal(account_taken(a, &taken), 0);
        assert_int_equal(taken, octets + 1234);
        account_put(&a);
        accounts_close(&set);
        usage_close(&usage);
}

static void test_reserve(void **state)
{
        struct files_how how = { .durable = false, .disk_reserve = (uint64_t)1 << 60 };
        struct root_room room;

        (void)state;
        assert_int_equal(put_octets("/a", 1000), 0);
        files_change(files, &how);
        assert_int_equal(root_room(root, &room), 0);
        assert_int_equal(room.available, 0);
        assert_int_equal(put_octets("/b", 1), -ENOSPC);
        assert_int_equal(put_octets("/b", 0), 0);
        assert_int_equal(file_copy(root, S("/a"), S("/c")), -ENOSPC);
        assert_int_equal(file_remove(root, S("/a")), 0);
        assert_int_equal(used(), 0);
}

/* A disk of one megabyte, as root only. */
static void test_full_disk(void **state)
{
        static const struct files_how how = { .durable = true };
        char path[32];
        int rc = 0, n;

        (void)state;
        root_close(&root);
        files_close(&files);
        if (mount("none", world, "tmpfs", 0, "size=1m"))
                skip();
        assert_int_equal(open_again(&how), 0);
        use(0);
        for (n = 0; !rc; n++) {
                snprintf(path, sizeof path, "/f%d", n);
                rc = put_octets(path, 30000);
        }
        assert_int_equal(rc, -ENOSPC);
        assert_in_range(n, 20, 40);
        assert_int_equal(used(), (n - 1) * 30000);
        assert_int_equal(count_in(".parts", ".new"), 0);
        /* somebody else whose folder and counters do not exist yet */
        root_close(&root);
        rc = root_open(files, S("jill"), false, 0, &root);
        if (!rc)
                rc = put_octets("/f", 30000);
        assert_int_equal(rc, -ENOSPC);
        use(0);
        for (int i = 0; i < n - 1; i++) {
                snprintf(path, sizeof path, "/f%d", i);
                assert_int_equal(file_remove(root, str_of(path)), 0);
        }
        assert_int_equal(used(), 0);
        assert_int_equal(put_octets("/f", 30000), 0);
        root_close(&root);
        files_close(&files);
        assert_int_equal(umount(world), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_quota, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_replaced_no_more, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_processes, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_killed, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_counted_anew, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_shared_with_letters, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_letters_tell, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_reserve, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_full_disk, world_begin, world_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
