/* Ways out of an account's folder, and things in it that are no files. */
#include "files_world.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

/* Every call that takes a path, on one that must not be there for anybody. */
static void expect_nothing_there(const char *path)
{
        struct str p = str_of(path);
        struct file_facts facts;
        struct upload *u;
        struct file *f;
        struct buf hex auto_buf = { 0 };

        buf_init(&hex, 1000);
        assert_int_equal(file_open(root, p, &f, NULL), -ENOENT);
        assert_int_equal(file_facts(root, p, true, &facts), -ENOENT);
        assert_int_equal(file_facts(root, p, false, &facts), -ENOENT);
        assert_int_equal(folder_read(root, p, true, NULL, NULL), -ENOENT);
        assert_int_equal(file_remove(root, p), -ENOENT);
        assert_int_equal(file_rename(root, p, S("/moved")), -ENOENT);
        assert_int_equal(file_copy(root, p, S("/copied")), -ENOENT);
        assert_int_equal(file_append(root, S("/joined"), &p, 1), -ENOENT);
        assert_int_equal(file_chmod(root, p, 0777), -ENOENT);
        assert_int_equal(file_times(root, p, 1, 1), -ENOENT);
        assert_int_equal(file_hash(root, p, HASH_MD5, 0, 1, NULL, NULL, &hex), -ENOENT);
        assert_int_equal(upload_begin(root, p, UPLOAD_RESUME, 1, &u), -EACCES);
}

static void test_links_that_lead_out(void **state)
{
        static const char *const targets[] = {
                "/",
                "/etc/passwd",
                "..",
                "../jill/secret",
                "../../../../../../etc/passwd",
                "../.parts",
                "d/../../..",
                "/proc/self/root",
                "/proc/self/root/etc/passwd",
        };
        char inner[64];

        (void)state;
        assert_int_equal(mkdir(in_world("jill"), 0700), 0);
        close(open(in_world("jill/secret"), O_CREAT | O_WRONLY, 0600));
        assert_int_equal(folder_make(root, S("/d")), 0);
        for (size_t i = 0; i < LENGTH(targets); i++) {
                assert_int_equal(symlink(targets[i], in_world("jack/out")), 0);
                expect_nothing_there("/out");
                assert_int_equal(put("/out", "x"), -EACCES);
                assert_int_equal(put_how("/out", UPLOAD_APPEND, 0, "x"), -EACCES);
                snprintf(inner, sizeof inner, "/out/passwd");
                assert_int_equal(put(inner, "x"), -ENOENT);
                assert_int_equal(folder_make(root, str_of(inner)), -ENOENT);
                assert_int_equal(file_link(root, str_of(inner), S("/d")), -ENOENT);
                assert_int_equal(file_rename(root, S("/d"), str_of(inner)), -ENOENT);
                assert_int_equal(unlink(in_world("jack/out")), 0);
        }
        /* words that a path may hold, though no session says them */
        assert_int_equal(put("/../x", "x"), -ENOENT);
        assert_int_equal(put("/..", "x"), -EINVAL);
        assert_string_equal(get("/../jill/secret"), "-2");
        assert_string_equal(get("/d/../../jill/secret"), "-2");
        assert_int_equal(file_remove(root, S("/d/../../jill/secret")), -ENOENT);
        assert_int_equal(folder_remove(root, S("/d/..")), -EINVAL);
        assert_int_equal(access(in_world("jill/secret"), F_OK), 0);
        assert_int_equal(file_open(root, S("/a\0b"), &(struct file *){ NULL }, NULL), -EINVAL);
}

static void test_links_that_stay(void **state)
{
        struct file_facts facts;

        (void)state;
        assert_int_equal(folder_make(root, S("/d")), 0);
        assert_int_equal(folder_make(root, S("/d/e")), 0);
        assert_int_equal(put("/f", "text"), 0);
        assert_int_equal(file_link(root, S("/d/e/l"), S("/f")), 0);
        assert_string_equal(get("/d/e/l"), "text");
        assert_int_equal(file_link(root, S("/d/m"), S("../f")), 0);
        assert_string_equal(get("/d/m"), "text");
        assert_int_equal(file_link(root, S("/d/m"), S("../f")), -EEXIST);
        assert_int_equal(file_link(root, S("/here"), S("/")), 0);
        assert_string_equal(get("/here/here/f"), "text");
        assert_int_equal(file_facts(root, S("/d/m"), false, &facts), 0);
        assert_int_equal(facts.kind, FILE_LINK);
        assert_int_equal(file_link(root, S("/x"), S("..")), -EACCES);
        assert_int_equal(file_link(root, S("/d/x"), S("../../f")), -EACCES);
        assert_int_equal(file_link(root, S("/d/x"), S("/../f")), -EACCES);
        assert_int_equal(file_link(root, S("/d/x"), S("a/../../../b")), -EACCES);
        assert_int_equal(file_link(root, S("/d/x"), S("")), -EINVAL);
        /* by its words it stays, but the folder is not where its path says */
        assert_int_equal(file_link(root, S("/up"), S("/d/e")), 0);
        assert_int_equal(file_rename(root, S("/d/e"), S("/e")), 0);
        assert_int_equal(folder_make(root, S("/a")), 0);
        assert_int_equal(folder_make(root, S("/a/b")), 0);
        assert_int_equal(file_link(root, S("/a/b/up"), S("/e")), 0);
        assert_int_equal(file_link(root, S("/a/b/up/x"), S("../../../f")), -EACCES);
        assert_int_equal(file_facts(root, S("/e/x"), false, &facts), -ENOENT);
        /* a loop, and one that leads nowhere, is there itself */
        assert_int_equal(file_link(root, S("/loop"), S("loop")), 0);
        assert_string_equal(get("/loop"), "-40");
        assert_int_equal(file_facts(root, S("/loop"), false, &facts), 0);
        assert_int_equal(file_link(root, S("/nowhere"), S("none/at/all")), 0);
        assert_int_equal(file_facts(root, S("/nowhere"), false, &facts), 0);
        assert_int_equal(file_facts(root, S("/nowhere"), true, &facts), -ENOENT);
        assert_int_equal(file_remove(root, S("/nowhere")), 0);
        assert_int_equal(put("/loop", "a file now"), 0); /* a link is replaced */
        assert_string_equal(get("/loop"), "a file now");
        assert_string_equal(get("/f"), "text");
}

/* A folder and a link that leads out change places all the time: what is read is the folder's, or nothing. */
static atomic_bool stop;

static void *swap(void *arg)
{
        (void)arg;
        while (!atomic_load(&stop))
                if (renameat2(AT_FDCWD, in_world("jack/d"), AT_FDCWD, in_world("jack/link"), RENAME_EXCHANGE))
                        return (void *)1;
        return NULL;
}

static void test_swapped_link(void **state)
{
        pthread_t other;
        void *failed;

        (void)state;
        assert_int_equal(mkdir(in_world("jill"), 0700), 0);
        root_close(&root);
        assert_int_equal(root_open(files, S("jill"), false, 0, &root), 0);
        assert_int_equal(put("/f", "secret"), 0);
        root_close(&root);
        assert_int_equal(root_open(files, S("jack"), false, 0, &root), 0);
        assert_int_equal(folder_make(root, S("/d")), 0);
        assert_int_equal(put("/d/f", "ours"), 0);
        assert_int_equal(symlink("../jill", in_world("jack/link")), 0);
        assert_int_equal(pthread_create(&other, NULL, swap, NULL), 0);
        for (int i = 0; i < 3000; i++) {
                const char *text = get("/d/f");
                int rc;

                assert_true(!strcmp(text, "ours") || !strcmp(text, "-2"));
                rc = put("/d/g", "x");
                assert_true(rc == 0 || rc == -ENOENT);
                rc = file_remove(root, S("/d/g"));
                assert_true(rc == 0 || rc == -ENOENT);
                rc = file_remove(root, S("/d/secret"));
                assert_int_equal(rc, -ENOENT);
        }
        atomic_store(&stop, true);
        pthread_join(other, &failed);
        assert_null(failed);
        assert_int_equal(access(in_world("jill/f"), F_OK), 0);
        assert_int_equal(access(in_world("jill/g"), F_OK), -1);
}

static void expect_no_file(const char *path)
{
        struct str p = str_of(path);
        struct buf hex auto_buf = { 0 };
        struct file_facts facts;
        struct file *f;

        buf_init(&hex, 1000);
        assert_int_equal(file_open(root, p, &f, NULL), -EACCES);
        assert_int_equal(put(path, "x"), -EACCES);
        assert_int_equal(put_how(path, UPLOAD_APPEND, 0, "x"), -EACCES);
        assert_int_equal(file_copy(root, p, S("/copied")), -EACCES);
        assert_int_equal(file_hash(root, p, HASH_MD5, 0, 1, NULL, NULL, &hex), -EACCES);
        assert_int_equal(file_chmod(root, p, 0777), -EACCES);
        assert_int_equal(file_facts(root, p, true, &facts), 0);
        assert_int_equal(facts.kind, FILE_OTHER);
}

static void test_no_files(void **state)
{
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)state;
        assert_int_equal(mkfifo(in_world("jack/fifo"), 0600), 0);
        expect_no_file("/fifo"); /* and does not wait for somebody to write */
        snprintf(name.sun_path, sizeof name.sun_path, "%s/jack/socket", world);
        assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof name), 0);
        expect_no_file("/socket");
        close(s);
        if (!mknod(in_world("jack/device"), S_IFCHR | 0600, makedev(1, 5))) /* as root only: /dev/zero */
                expect_no_file("/device");
}

static void test_names(void **state)
{
        char name[300], path[PATH_MOST + 10], all[257] = "/";
        struct file_facts facts;
        struct upload *u;
        size_t n = 1;

        (void)state;
        for (int c = 1; c < 256; c++)
                if (c != '/')
                        all[n++] = (char)c;
        assert_int_equal(put(all, "any bytes"), 0); /* 254 of them */
        assert_string_equal(get(all), "any bytes");
        memset(name, 'n', sizeof name);
        name[0] = '/';
        name[256] = 0;
        assert_int_equal(put(name, "255"), 0);
        assert_string_equal(get(name), "255");
        assert_int_equal(upload_begin(root, str_of(name), UPLOAD_UNIQUE, 0, &u), 0);
        assert_int_equal(upload_name(u).n, 255);
        upload_free(&u, false, 0);
        name[256] = 'n';
        name[257] = 0;
        assert_int_equal(put(name, "256"), -ENAMETOOLONG);
        assert_int_equal(folder_make(root, str_of(name)), -ENAMETOOLONG);
        assert_int_equal(file_facts(root, str_of(name), true, &facts), -ENAMETOOLONG);

        /* folders in folders, as deep as a path of 4095 octets goes */
        for (n = 0; n + 200 < PATH_MOST; n += 200) {
                path[n] = '/';
                memset(path + n + 1, 'p', 199);
                assert_int_equal(folder_make(root, str_from(path, n + 200)), 0);
        }
        path[n] = '/';
        memset(path + n + 1, 'q', sizeof path - n - 1);
        path[PATH_MOST] = 0;
        assert_int_equal(put(path, "deep"), 0);
        assert_string_equal(get(path), "deep");
        assert_int_equal(file_rename(root, str_of(path), S("/up")), 0);
        assert_int_equal(file_rename(root, S("/up"), str_of(path)), 0);
        assert_int_equal(used(), 9 + 3 + 4);
        path[PATH_MOST] = 'q';
        path[PATH_MOST + 1] = 0;
        assert_int_equal(put(path, "deeper"), -ENAMETOOLONG);
        assert_int_equal(file_facts(root, str_of(path), true, &facts), -ENAMETOOLONG);
        assert_int_equal(file_rename(root, str_from(path, 2000), S("/half")),
                         0); /* so that it can be removed */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_links_that_lead_out, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_links_that_stay, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_swapped_link, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_no_files, world_begin, world_end),
                cmocka_unit_test_setup_teardown(test_names, world_begin, world_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
