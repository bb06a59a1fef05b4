/* The file store: what an upload does, resuming, names, changes, listings, digests. Jail, quota and crashes have tests of their own. */
#include "files_world.h"

#define LIVES cmocka_unit_test_setup_teardown

static char big[200000];

static struct file_facts facts_of(const char *path)
{
        struct file_facts facts;

        assert_int_equal(file_facts(root, str_of(path), true, &facts), 0);
        return facts;
}

static void test_upload_is_whole_or_not(void **state)
{
        const int64_t then = 1000000000 * (int64_t)1000000;
        struct file_facts facts;
        struct upload *u;

        (void)state;
        memset(big, 'x', sizeof big);
        assert_int_equal(upload_begin(root, S("/a"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, S("hello ")), 0);
        assert_int_equal(upload_write(u, 6, S("world")), 0);
        assert_int_equal(file_facts(root, S("/a"), false, &facts), -ENOENT);
        assert_int_equal(upload_commit(u, 11, then), 0);
        upload_free(&u, false, 0);
        assert_string_equal(get("/a"), "hello world");
        facts = facts_of("/a");
        assert_int_equal(facts.kind, FILE_REGULAR);
        assert_int_equal(facts.size, 11);
        assert_int_equal(facts.modified, then);
        assert_int_equal(facts.mode, 0644);

        /* a long one, cut at its end, in place of the short one */
        assert_int_equal(upload_begin(root, S("/a"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, str_from(big, sizeof big)), 0);
        assert_string_equal(get("/a"), "hello world");
        assert_int_equal(upload_commit(u, 150000, 0), 0);
        upload_free(&u, false, 0);
        assert_int_equal(facts_of("/a").size, 150000);
        assert_int_equal(count_in(".parts", ".new"), 0);
        assert_int_equal(used(), 150000);

        /* an empty one; one with a hole; rights as asked for */
        assert_int_equal(put("/empty", ""), 0);
        assert_int_equal(facts_of("/empty").size, 0);
        root_umask(root, 077);
        assert_int_equal(upload_begin(root, S("/hole"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 100000, S("end")), 0);
        assert_int_equal(upload_write(u, 0, S("begin")), 0);
        assert_int_equal(upload_commit(u, 100003, 0), 0);
        upload_free(&u, false, 0);
        assert_string_equal(get("/hole"), "begin");
        assert_int_equal(facts_of("/hole").size, 100003);
        assert_int_equal(facts_of("/hole").mode, 0600);

        /* what is not committed leaves nothing */
        assert_int_equal(upload_begin(root, S("/b"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, str_from(big, sizeof big)), 0);
        assert_int_equal(count_in(".parts", ".new"), 1);
        upload_free(&u, false, 0);
        assert_int_equal(count_in(".parts", ".new"), 0);
        assert_int_equal(file_facts(root, S("/b"), false, &facts), -ENOENT);
        assert_int_equal(used(), 250003);
}

static void test_upload_refused(void **state)
{
        struct file_facts facts;
        struct upload *u;

        (void)state;
        assert_int_equal(folder_make(root, S("/d")), 0);
        assert_int_equal(put("/d", "x"), -EISDIR);
        assert_int_equal(put("/", "x"), -EISDIR);
        assert_int_equal(put("/none/x", "x"), -ENOENT);
        assert_int_equal(put("/d/x", "x"), 0);
        assert_int_equal(put("/d/x/y", "x"), -ENOTDIR);
        assert_int_equal(put("relative", "x"), -EINVAL);
        assert_int_equal(upload_begin(root, S("/d/x"), UPLOAD_RESUME, 2, &u), -EINVAL);
        assert_null(u);
        root_close(&root);
        assert_int_equal(root_open(files, S("jack"), true, 0, &root), 0);
        assert_int_equal(put("/y", "x"), -EROFS);
        assert_int_equal(file_remove(root, S("/d/x")), -EROFS);
        assert_int_equal(folder_make(root, S("/e")), -EROFS);
        assert_int_equal(folder_remove(root, S("/d")), -EROFS);
        assert_int_equal(file_rename(root, S("/d"), S("/e")), -EROFS);
        assert_int_equal(file_link(root, S("/e"), S("/d")), -EROFS);
        assert_int_equal(file_copy(root, S("/d/x"), S("/e")), -EROFS);
        assert_int_equal(file_chmod(root, S("/d"), 0), -EROFS);
        assert_int_equal(file_times(root, S("/d"), 1, 0), -EROFS);
        assert_int_equal(file_facts(root, S("/d/x"), false, &facts), 0);
        root_close(&root);
        assert_int_equal(root_open(files, S("nobody"), true, 0, &root), -ENOENT);
        assert_int_equal(root_open(files, S(".parts"), false, 0, &root), -EINVAL);
        assert_int_equal(root_open(files, S("a/../jack"), false, 0, &root), -EINVAL);
}

/* Writes, and breaks off with `good` octets known to be good. */
static void break_off(const char *path, enum upload_how how, struct str text, uint64_t good)
{
        struct upload *u;

        assert_int_equal(upload_begin(root, str_of(path), how, 0, &u), 0);
        assert_int_equal(upload_write(u, upload_at(u), text), 0);
        upload_free(&u, true, upload_at(u) + good);
}

static void test_resume(void **state)
{
        struct upload *u;
        uint64_t size;

        (void)state;
        assert_int_equal(put("/f", "the old text"), 0);
        break_off("/f", UPLOAD_NEW, S("0123456789"), 8);
        assert_int_equal(upload_kept(root, S("/f"), &size), -ENOENT); /* there is a file */
        assert_string_equal(get("/f"), "the old text");
        assert_int_equal(used(), 20);

        /* more than is kept: the file has so many; as many; behind it */
        assert_int_equal(put_how("/f", UPLOAD_RESUME, 9, "!"), 0);
        assert_string_equal(get("/f"), "the old t!");
        assert_int_equal(upload_kept(root, S("/f"), &size), -ENOENT); /* the commit ended it */
        break_off("/f", UPLOAD_NEW, S("0123456789"), 8);
        assert_int_equal(put_how("/f", UPLOAD_RESUME, 4, "four"), 0);
        assert_string_equal(get("/f"), "0123four");
        break_off("/f", UPLOAD_NEW, S("0123456789"), 8);
        assert_int_equal(put_how("/f", UPLOAD_APPEND, 0, "!"), 0);
        assert_string_equal(get("/f"), "0123four!");
        assert_int_equal(count_in(".parts", ".part"), 0);
        assert_int_equal(file_remove(root, S("/f")), 0);
        break_off("/f", UPLOAD_NEW, S("0123456789"), 8);
        assert_int_equal(upload_kept(root, S("/f"), &size), 0);
        assert_int_equal(size, 8);
        assert_int_equal(put_how("/f", UPLOAD_APPEND, 0, "89"), 0);
        assert_string_equal(get("/f"), "0123456789");
        assert_int_equal(put_how("/f", UPLOAD_APPEND, 0, "ab"), 0);
        assert_string_equal(get("/f"), "0123456789ab");
        assert_int_equal(put_how("/new", UPLOAD_APPEND, 0, "begins"), 0);
        assert_string_equal(get("/new"), "begins");

        /* an append to a file that breaks off: the file is as it was */
        break_off("/f", UPLOAD_APPEND, S("cd"), 1);
        assert_int_equal(upload_kept(root, S("/f"), &size), -ENOENT);
        assert_string_equal(get("/f"), "0123456789ab");

        /* of a part that goes on and breaks off again the whole is kept; two do not mix: the last one stays */
        break_off("/g", UPLOAD_NEW, S("abc"), 3);
        break_off("/g", UPLOAD_APPEND, S("def"), 2);
        assert_int_equal(upload_kept(root, S("/g"), &size), 0);
        assert_int_equal(size, 5);
        assert_int_equal(upload_begin(root, S("/g"), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, S("other")), 0);
        assert_int_equal(put_how("/g", UPLOAD_RESUME, 5, "f"), 0);
        assert_string_equal(get("/g"), "abcdef");
        assert_int_equal(upload_commit(u, 5, 0), 0);
        upload_free(&u, false, 0);
        assert_string_equal(get("/g"), "other");

        /* what is removed does not come back; the same for a name that something else has taken */
        break_off("/g", UPLOAD_NEW, S("abc"), 3);
        assert_int_equal(file_remove(root, S("/g")), 0);
        assert_int_equal(upload_kept(root, S("/g"), &size), -ENOENT);
        break_off("/g", UPLOAD_NEW, S("abc"), 3);
        assert_int_equal(file_rename(root, S("/new"), S("/g")), 0);
        assert_int_equal(upload_kept(root, S("/g"), &size), -ENOENT);
        assert_int_equal(used(), strlen(get("/f")) + strlen(get("/g")));
        assert_int_equal(count_in(".parts", ".part") + count_in(".parts", ".new"), 0);
}

static void test_tidy(void **state)
{
        struct files_how how = { .durable = true, .keep_parts = 3600 };
        uint64_t size;

        (void)state;
        break_off("/f", UPLOAD_NEW, S("0123456789"), 8);
        files_tidy(files);
        assert_int_equal(upload_kept(root, S("/f"), &size), 0);
        assert_int_equal(used(), 8);
        how.keep_parts = 0;
        files_change(files, &how);
        files_tidy(files);
        assert_int_equal(upload_kept(root, S("/f"), &size), -ENOENT);
        assert_int_equal(used(), 0);
        break_off("/f", UPLOAD_NEW, S("0123456789"), 8);
        assert_int_equal(upload_kept(root, S("/f"), &size), -ENOENT);
}

static void test_unique(void **state)
{
        struct upload *u[2];
        char name[2][300];

        (void)state;
        assert_int_equal(put("/f", "old"), 0);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(upload_begin(root, S("/f"), UPLOAD_UNIQUE, 0, &u[i]), 0);
                snprintf(name[i], sizeof name[i], "/" PRS, STR(upload_name(u[i])));
                assert_true(str_starts(upload_name(u[i]), S("f.")));
                assert_int_equal(upload_write(u[i], 0, i ? S("two") : S("one")), 0);
        }
        for (int i = 0; i < 2; i++) {
                assert_int_equal(upload_commit(u[i], 3, 0), 0);
                upload_free(&u[i], false, 0);
        }
        assert_string_equal(get("/f"), "old");
        assert_string_equal(get(name[0]), "one");
        assert_string_equal(get(name[1]), "two");

        /* taken in between by somebody else: never replaced */
        assert_int_equal(upload_begin(root, S("/f"), UPLOAD_UNIQUE, 0, &u[0]), 0);
        snprintf(name[0], sizeof name[0], "/" PRS, STR(upload_name(u[0])));
        assert_int_equal(put(name[0], "theirs"), 0);
        assert_int_equal(upload_write(u[0], 0, S("ours")), 0);
        assert_int_equal(upload_commit(u[0], 4, 0), -EEXIST);
        upload_free(&u[0], false, 0);
        assert_string_equal(get(name[0]), "theirs");
        assert_int_equal(used(), 15);
}

static void test_path_join(void **state)
{
        static const struct {
                const char *cwd, *path, *want;
        } table[] = {
                { "/", "a", "/a" },
                { "/a/b", "c", "/a/b/c" },
                { "/a/b", "/c", "/c" },
                { "/a/b", "..", "/a" },
                { "/a/b", "../../../../x", "/x" },
                { "/", "..", "/" },
                { "/a", "", "/a" },
                { "/a", ".", "/a" },
                { "/a", "./b//c/./d/", "/a/b/c/d" },
                { "/a", "b/../../..", "/" },
                { "/", "...", "/..." },
                { "/", "a\n\377 ~", "/a\n\377 ~" },
        };
        static char text[PATH_MOST + 2];
        struct arena a auto_arena = { 0 };

        (void)state;
        arena_init(&a, 1 << 20);
        for (size_t i = 0; i < LENGTH(table); i++)
                assert_str(path_join(&a, str_of(table[i].cwd), str_of(table[i].path)), str_of(table[i].want));
        assert_null(path_join(&a, S("/"), S("a\0b")).p);
        memset(text, 'a', sizeof text);
        assert_int_equal(path_join(&a, S("/"), str_from(text, PATH_MOST - 1)).n, PATH_MOST);
        assert_null(path_join(&a, S("/"), str_from(text, PATH_MOST)).p);
        assert_null(path_join(&a, S("/a"), str_from(text, PATH_MOST - 2)).p);
}

static void test_changes(void **state)
{
        struct file_facts f;

        (void)state;
        assert_int_equal(folder_make(root, S("/d")), 0);
        assert_int_equal(folder_make(root, S("/d")), -EEXIST);
        assert_int_equal(folder_make(root, S("/")), -EEXIST);
        assert_int_equal(folder_make(root, S("/d/e")), 0);
        assert_int_equal(facts_of("/d/e").mode, 0755);
        assert_int_equal(folder_remove(root, S("/d")), -ENOTEMPTY);
        assert_int_equal(folder_remove(root, S("/")), -EACCES);
        assert_int_equal(file_remove(root, S("/d")), -EISDIR);
        assert_int_equal(put("/f", "one"), 0);
        assert_int_equal(put("/d/g", "three"), 0);
        assert_int_equal(folder_remove(root, S("/f")), -ENOTDIR);
        assert_int_equal(file_rename(root, S("/d"), S("/d/e/d")), -EINVAL);
        assert_int_equal(file_rename(root, S("/f"), S("/d/e")), -EEXIST);
        assert_int_equal(file_rename(root, S("/d"), S("/f")), -ENOTDIR);
        assert_int_equal(file_rename(root, S("/none"), S("/x")), -ENOENT);
        assert_int_equal(file_rename(root, S("/"), S("/x")), -EACCES);
        assert_int_equal(folder_make(root, S("/h")), 0);
        assert_int_equal(file_rename(root, S("/h"), S("/d/e")), -EEXIST); /* though it is empty */
        assert_int_equal(file_rename(root, S("/f"), S("/f")), 0);
        assert_int_equal(used(), 8);
        assert_int_equal(file_rename(root, S("/f"), S("/d/g")), 0);
        assert_string_equal(get("/d/g"), "one");
        assert_int_equal(used(), 3);
        assert_int_equal(file_rename(root, S("/d"), S("/k")), 0);
        assert_string_equal(get("/k/g"), "one");
        assert_int_equal(file_remove(root, S("/k/g")), 0);
        assert_int_equal(file_remove(root, S("/k/g")), -ENOENT);
        assert_int_equal(used(), 0);

        assert_int_equal(put("/f", "one"), 0);
        assert_int_equal(file_chmod(root, S("/f"), 06001), 0);
        assert_int_equal(facts_of("/f").mode, 0601); /* ours stay, no setuid */
        assert_int_equal(file_chmod(root, S("/k"), 0), 0);
        assert_int_equal(facts_of("/k").mode, 0700);
        assert_int_equal(file_times(root, S("/f"), -1500000, 0), 0);
        assert_int_equal(facts_of("/f").modified, -1500000);
        assert_int_equal(file_times(root, S("/f"), 0, 1), 0);
        assert_int_equal(facts_of("/f").modified, -1500000);
        assert_int_equal(file_facts(root, S("/"), false, &f), 0);
        assert_int_equal(f.kind, FILE_FOLDER);
}

static struct str coded(const char *path)
{
        static struct buf b;
        struct file *f;

        buf_free(&b);
        buf_init(&b, 1 << 20);
        assert_int_equal(file_open(root, str_of(path), &f, NULL), 0);
        assert_int_equal(file_coded(f, &b), 0);
        file_close(&f);
        return buf_str(&b);
}

static void put_with_facts(const char *path, const char *text, struct str facts)
{
        struct upload *u;

        assert_int_equal(upload_begin(root, str_of(path), UPLOAD_NEW, 0, &u), 0);
        assert_int_equal(upload_write(u, 0, str_of(text)), 0);
        upload_facts(u, facts);
        assert_int_equal(upload_commit(u, strlen(text), 0), 0);
        upload_free(&u, false, 0);
}

static void test_facts_beside(void **state)
{
        struct str many = str_from(big, sizeof big);

        (void)state;
        memset(big, 'r', sizeof big);
        assert_int_equal(put("/plain", "plain"), 0);
        put_with_facts("/f", "text", S("records"));
        put_with_facts("/g", "text", many);
        assert_int_equal(facts_of("/plain").coded, 0);
        assert_int_equal(coded("/plain").n, 0);
        assert_int_equal(facts_of("/f").coded, 7);
        assert_str(coded("/f"), S("records"));
        assert_str(coded("/g"), many);
        assert_int_equal(file_rename(root, S("/f"), S("/h")), 0);
        assert_str(coded("/h"), S("records"));
        assert_int_equal(file_copy(root, S("/h"), S("/i")), 0);
        assert_str(coded("/i"), S("records"));
        assert_int_equal(count_in(".facts", ""), 3);
        assert_int_equal(used(), 5 + 3 * 4 + 2 * 7 + sizeof big); /* they count */
        assert_int_equal(file_remove(root, S("/h")), 0);          /* goes with the file */
        assert_int_equal(count_in(".facts", ""), 2);
        assert_int_equal(put("/g", "new"), 0);
        assert_int_equal(coded("/g").n, 0);
        assert_int_equal(file_rename(root, S("/plain"), S("/i")), 0);
        assert_int_equal(coded("/i").n, 0);
        assert_int_equal(count_in(".facts", ""), 0);
        assert_int_equal(used(), 3 + 5);
}

struct listing {
        unsigned n, folders, links;
        uint64_t octets;
        unsigned most; /* stop after so many */
        char names[256];
};

static bool list_each(void *context, const struct file_entry *list, size_t n)
{
        struct listing *l = context;

        for (size_t i = 0; i < n; i++) {
                l->n++;
                l->folders += list[i].facts.kind == FILE_FOLDER;
                l->links += list[i].facts.kind == FILE_LINK;
                l->octets += list[i].facts.size;
                if (strlen(l->names) + list[i].name.n + list[i].target.n + 3 < sizeof l->names)
                        snprintf(l->names + strlen(l->names), 200, PRS ">" PRS " ", STR(list[i].name),
                                 STR(list[i].target));
        }
        return !l->most || l->n < l->most;
}

static void test_listing(void **state)
{
        enum { MANY = 5000 };
        struct listing l = { 0 };
        char path[64];

        (void)state;
        assert_int_equal(folder_make(root, S("/d")), 0);
        assert_int_equal(folder_read(root, S("/d"), true, list_each, &l), 0);
        assert_int_equal(l.n, 0);
        for (int i = 0; i < MANY; i++) {
                int fd;

                snprintf(path, sizeof path, "jack/d/%d", i);
                fd = open(in_world(path), O_WRONLY | O_CREAT, 0600);
                assert_int_equal(write(fd, "abc", i % 4), i % 4);
                close(fd);
        }
        assert_int_equal(folder_read(root, S("/d"), true, list_each, &l), 0);
        assert_int_equal(l.n, MANY);
        assert_int_equal(l.octets, MANY / 4 * 6);
        l = (struct listing){ .most = 1 };
        assert_int_equal(folder_read(root, S("/d/"), false, list_each, &l), 0);
        assert_in_range(l.n, 1, MANY - 1);

        assert_int_equal(folder_make(root, S("/e")), 0);
        assert_int_equal(folder_make(root, S("/e/sub")), 0);
        assert_int_equal(file_link(root, S("/e/link"), S("/d/1")), 0);
        assert_int_equal(symlink("/etc", in_world("jack/e/out")), 0);
        assert_int_equal(symlink("../../jill", in_world("jack/e/out2")), 0);
        l = (struct listing){ 0 };
        assert_int_equal(folder_read(root, S("/e"), true, list_each, &l), 0);
        assert_int_equal(l.n, 2);
        assert_int_equal(l.folders, 1);
        assert_int_equal(l.links, 1);
        assert_non_null(strstr(l.names, "link>../d/1"));
        assert_int_equal(folder_read(root, S("/e/link"), true, list_each, &l), -ENOTDIR);
        assert_int_equal(folder_read(root, S("/none"), true, list_each, &l), -ENOENT);
}

static bool give_up(void *context, uint64_t done)
{
        *(uint64_t *)context = done;
        return false;
}

static void test_hash(void **state)
{
        static const struct {
                enum file_hash how;
                const char *want;
        } table[] = {
                /* of "abc" */
                { HASH_CRC32, "352441c2" },
                { HASH_MD5, "900150983cd24fb0d6963f7d28e17f72" },
                { HASH_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
                { HASH_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
                { HASH_SHA512,
                  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c"
                  "23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" }
        };
        uint64_t done = 0;
        struct buf hex auto_buf;

        (void)state;
        buf_init(&hex, 1000);
        assert_int_equal(put("/f", "xxabcyy"), 0);
        for (size_t i = 0; i < LENGTH(table); i++) {
                buf_clear(&hex);
                assert_int_equal(file_hash(root, S("/f"), table[i].how, 2, 5, NULL, NULL, &hex), 0);
                assert_str(buf_str(&hex), str_of(table[i].want));
        }
        buf_clear(&hex);
        assert_int_equal(file_hash(root, S("/f"), HASH_MD5, 7, UINT64_MAX, NULL, NULL, &hex), 0);
        assert_str(buf_str(&hex), S("d41d8cd98f00b204e9800998ecf8427e"));
        assert_int_equal(file_hash(root, S("/f"), HASH_MD5, 2, 8, NULL, NULL, &hex), -ERANGE);
        assert_int_equal(file_hash(root, S("/none"), HASH_MD5, 0, 1, NULL, NULL, &hex), -ENOENT);
        assert_int_equal(file_hash(root, S("/"), HASH_MD5, 0, 1, NULL, NULL, &hex), -EISDIR);
        assert_int_equal(truncate(in_world("jack/f"), (off_t)1 << 40), 0); /* nobody waits for that */
        assert_int_equal(file_hash(root, S("/f"), HASH_SHA256, 0, UINT64_MAX, give_up, &done, &hex),
                         -ECANCELED);
        assert_in_range(done, 1, 64 << 20);
}

static void test_copy_and_join(void **state)
{
        struct str three[] = { S("/p1"), S("/p2"), S("/p3") };
        struct file_facts f;

        (void)state;
        assert_int_equal(put("/p1", "one "), 0);
        assert_int_equal(put("/p2", "two "), 0);
        assert_int_equal(put("/p3", "three"), 0);
        assert_int_equal(file_copy(root, S("/p1"), S("/c")), 0);
        assert_string_equal(get("/c"), "one ");
        assert_int_equal(file_copy(root, S("/p2"), S("/c")), 0);
        assert_string_equal(get("/c"), "two ");
        assert_int_equal(file_copy(root, S("/none"), S("/c")), -ENOENT);
        assert_int_equal(file_copy(root, S("/"), S("/c")), -EISDIR);
        assert_string_equal(get("/c"), "two ");
        assert_int_equal(file_append(root, S("/j"), three, 3), 0);
        assert_string_equal(get("/j"), "one two three");
        assert_int_equal(file_facts(root, S("/p1"), false, &f), -ENOENT);
        assert_int_equal(put("/p1", "!"), 0);
        assert_int_equal(file_append(root, S("/j"), three, 2),
                         -ENOENT); /* one of them is not there: nothing is done */
        assert_string_equal(get("/j"), "one two three");
        assert_string_equal(get("/p1"), "!");
        assert_int_equal(file_append(root, S("/j"), three, 1), 0);
        assert_string_equal(get("/j"), "one two three!");
        assert_int_equal(file_append(root, S("/j"), &(struct str){ "/j", 2 }, 1), -EINVAL);
        assert_int_equal(used(), strlen("two one two three!"));
}

/* The target by another name is still the target, and a part that is named twice goes once. */
static void test_join_with_itself(void **state)
{
        struct str other = S("/over/j"), twice[] = { S("/p"), S("/p") };

        (void)state;
        assert_int_equal(put("/j", "all"), 0);
        assert_int_equal(file_link(root, S("/over"), S("/")), 0);
        assert_int_equal(file_append(root, S("/j"), &other, 1), -EINVAL);
        assert_string_equal(get("/j"), "all");
        assert_int_equal(put("/p", "!"), 0);
        assert_int_equal(file_append(root, S("/j"), twice, 2), 0);
        assert_string_equal(get("/j"), "all!!");
        assert_int_equal(used(), strlen("all!!"));
}

/* An account is removed: deeper than descriptors reach, with facts beside its files, kept parts, and links that lead out. */
static void test_forget(void **state)
{
        enum { DEPTH = 1500 };
        static char path[2 * DEPTH + 1];

        (void)state;
        for (size_t i = 0; i < DEPTH; i++) {
                path[2 * i] = '/';
                path[2 * i + 1] = i % 2 ? '1' : '0';
                assert_int_equal(folder_make(root, str_from(path, 2 * i + 2)), 0);
        }
        assert_int_equal(put("/0/1/f", "text"), 0);
        put_with_facts("/g", "text", S("records"));
        break_off("/h", UPLOAD_NEW, S("abc"), 3);
        assert_int_equal(mkdir(in_world("jill"), 0700), 0);
        close(open(in_world("jill/secret"), O_CREAT | O_WRONLY, 0600));
        assert_int_equal(symlink("../jill", in_world("jack/out")), 0);
        assert_int_equal(used(), 11 + 7);
        root_close(&root);
        assert_int_equal(files_forget(files, S("jack")), 0);
        assert_int_equal(access(in_world("jack"), F_OK), -1);
        assert_int_equal(count_in(".facts", "") + count_in(".parts", ".part") + count_in(".usage", ""), 0);
        assert_int_equal(access(in_world("jill/secret"), F_OK), 0);
        assert_int_equal(files_forget(files, S("jack")), 0);
        assert_int_equal(files_forget(files, S("../jill")), -EINVAL);
        assert_int_equal(files_forget(files, S(".parts")), -EINVAL);
        assert_int_equal(root_open(files, S("jack"), false, 0, &root), 0);
        assert_int_equal(used(), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                LIVES(test_upload_is_whole_or_not, world_begin, world_end),
                LIVES(test_upload_refused, world_begin, world_end),
                LIVES(test_resume, world_begin, world_end),
                LIVES(test_tidy, world_begin, world_end),
                LIVES(test_unique, world_begin, world_end),
                cmocka_unit_test(test_path_join),
                LIVES(test_changes, world_begin, world_end),
                LIVES(test_facts_beside, world_begin, world_end),
                LIVES(test_listing, world_begin, world_end),
                LIVES(test_hash, world_begin, world_end),
                LIVES(test_copy_and_join, world_begin, world_end),
                LIVES(test_join_with_itself, world_begin, world_end),
                LIVES(test_forget, world_begin, world_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
