/* store/search: every answer is compared to a plain look through decoded and folded texts. */
#include "search_plain.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/body.h"
#include <dirent.h>
#include <errno.h>

static void file_letter(unsigned number)
{
        struct buf text auto_buf;
        struct filing f;

        buf_init(&text, 1 << 20);
        make_letter(&text, number);
        f = fixture_filing(buf_str(&text));
        f.received = 1000000 + number;
        assert_int_equal(account_file(jill, &f, 1), 0);
        assert_int_equal(f.error, 0);
        know(f.letter, buf_str(&text));
        known[known_n - 1].uid = f.uid;
}

/* Long, so that it lies in a file, its texts before and after what is no text. */
static void file_long(void)
{
        struct buf text auto_buf;
        struct body_stage *b;
        struct filing f;
        int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        buf_init(&text, 8 << 20);
        buf_puts(&text, S("Subject: long\r\nFrom: a@b.c\r\nContent-Type: multipart/mixed; "
                          "boundary=bbb\r\n\r\n--bbb\r\n"));
        put_part(&text, 4, 3000);
        buf_puts(&text, S("\r\n--bbb\r\nContent-Type: image/png; name=\"picture \u6c34.png\"\r\n\r\n"));
        while (text.n < 300000)
                buf_puts(&text, S("no text at all "));
        buf_puts(&text,
                 S("\r\n--bbb\r\nContent-Type: message/rfc822\r\n\r\nSubject: within the long one\r\n"));
        put_part(&text, 1, 20000);
        buf_puts(&text, S("\r\n--bbb--\r\n"));
        assert_int_equal(body_stage_open(&b, dir, "staged"), 0);
        assert_int_equal(body_stage_put(b, buf_str(&text)), 0);
        assert_int_equal(body_stage_finish(b), 0);
        body_stage_close(&b, true);
        f = fixture_filing(S(""));
        f.staged_dir = dir;
        f.staged_name = "staged";
        assert_int_equal(account_file(jill, &f, 1), 0);
        assert_int_equal(f.error, 0);
        know(f.letter, buf_str(&text));
        known[known_n - 1].uid = f.uid;
        close(dir);
}

static int begin(void **state)
{
        (void)state;
        snprintf(folder, sizeof folder, "/tmp/test_search.XXXXXX");
        assert_non_null(mkdtemp(folder));
        set = fixture_open(folder, 4);
        assert_int_equal(account_create(set, JILL), 0);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        seed = 12345;
        asked = found = 0;
        return 0;
}

static int finish(void **state)
{
        (void)state;
        forget(0);
        account_put(&jill);
        accounts_close(&set);
        fixture_remove(folder);
        return 0;
}

static void scanned(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 60; i++)
                file_letter(i);
        file_long();
        ask_some(400);
        assert_true(found > asked); /* the needles were not all for nothing */
}

static void index_now(void)
{
        struct buf said auto_buf;
        unsigned wrong = 0;

        buf_init(&said, 65536);
        assert_int_equal(search_index(jill), 0);
        assert_int_equal(search_check(jill, &said, &wrong), 0);
        assert_str(buf_str(&said), S(""));
}

static void state_is(uint64_t want)
{
        uint64_t indexed, letters, bytes;

        assert_int_equal(search_state(jill, &indexed, &letters, &bytes), 0);
        assert_int_equal(indexed, want);
        assert_true(bytes > 0 || !want);
}

static void indexed(void **state)
{
        unsigned i = 0;

        (void)state;
        index_now(); /* of nothing */
        state_is(0);
        for (; i < CORPUS / 2; i++)
                file_letter(i);
        file_long();
        index_now();
        state_is(CORPUS / 2 + 1);
        ask_some(NEEDLES);
        for (; i < CORPUS; i++) /* half of them are not in the index */
                file_letter(i);
        ask_some(300);
        state_is(CORPUS / 2 + 1);
        index_now();
        ask_some(NEEDLES);
        state_is(CORPUS + 1);
        assert_true(found > asked);
}

static unsigned files(void)
{
        char path[128];
        struct dirent *e;
        unsigned n = 0;
        DIR *d;

        snprintf(path, sizeof path, "%s/jill@hill.com/search", folder);
        d = opendir(path);
        while (d && (e = readdir(d)))
                n += strlen(e->d_name) == 17;
        if (d)
                closedir(d);
        return n;
}

/* Part by part, so that they are merged. */
static void merged(void **state)
{
        unsigned most = 0;

        (void)state;
        for (unsigned i = 0; i < CORPUS; i++) {
                file_letter(i);
                if (dice(6))
                        continue;
                index_now();
                if (files() > most)
                        most = files();
                if (!dice(8))
                        ask_some(10);
        }
        index_now();
        state_is(CORPUS);
        assert_in_range(most, 2, 10);
        ask_some(NEEDLES);
}

static void expunge_some(unsigned one_of)
{
        struct mailbox_view view;
        uint32_t *uids = mem_array(known_n, sizeof *uids);
        size_t n = 0;

        for (size_t i = 0; i < known_n; i++)
                if (!known[i].gone && !dice(one_of)) {
                        known[i].gone = true;
                        uids[n++] = known[i].uid;
                }
        assert_int_equal(account_view(jill, INBOX, &view), 0);
        assert_int_equal(account_expunge(jill, &view, uids, n), 0);
        mem_free(uids);
}

static size_t there(void)
{
        size_t n = 0;

        for (size_t i = 0; i < known_n; i++)
                n += !known[i].gone;
        return n;
}

static void removed(void **state)
{
        unsigned i = 0;
        uint64_t indexed_n, letters, bytes;

        (void)state;
        for (; i < CORPUS / 2; i++)
                file_letter(i);
        index_now();
        expunge_some(3);
        ask_some(300);
        for (; i < CORPUS * 3 / 4; i++)
                file_letter(i);
        ask_some(100);
        index_now();
        ask_some(300);
        expunge_some(2);
        for (; i < CORPUS; i++)
                file_letter(i);
        accounts_checkpoint(set); /* the rows of those go now */
        index_now();
        assert_int_equal(search_state(jill, &indexed_n, &letters, &bytes), 0);
        assert_int_equal(letters, there());
        assert_in_range(indexed_n, letters, letters + letters / 2 + 64);
        ask_some(1000);
}

static void damage(const char *name, bool cut)
{
        char path[256];
        struct stat st;
        int fd;

        snprintf(path, sizeof path, "%s/jill@hill.com/search/%s", folder, name);
        fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        if (cut) {
                assert_int_equal(ftruncate(fd, (off_t)dice((uint32_t)st.st_size)), 0);
        } else {
                for (unsigned i = 1 + dice(3); i; i--) {
                        off_t at = (off_t)dice((uint32_t)st.st_size);
                        char c;

                        assert_int_equal(pread(fd, &c, 1, at), 1);
                        c = (char)(c ^ (1 << dice(8)));
                        assert_int_equal(pwrite(fd, &c, 1, at), 1);
                }
        }
        close(fd);
}

static void damage_some(bool cut)
{
        char path[128];
        struct dirent *e;
        DIR *d;

        snprintf(path, sizeof path, "%s/jill@hill.com/search", folder);
        d = opendir(path);
        assert_non_null(d);
        while ((e = readdir(d)))
                if (strlen(e->d_name) == 17 && dice(2))
                        damage(e->d_name, cut);
        closedir(d);
}

static void damaged(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 100; i++) {
                file_letter(i);
                if (i % 30 == 29)
                        index_now();
        }
        for (unsigned i = 0; i < 60; i++) {
                struct buf said auto_buf;
                unsigned wrong = 0;

                buf_init(&said, 65536);
                damage_some(i % 2);
                if (i % 3 == 0)
                        assert_int_equal(search_check(jill, &said, &wrong), 0);
                if (i % 5 != 0)
                        ask_some(3);
                if (dice(4))
                        file_letter(100 + i);
                assert_int_equal(search_index(jill), 0);
                ask_some(3);
        }
        state_is(known_n);
}

/* The files whose names begin so, from one folder to the other. */
static void copy_files(const char *from, const char *to, const char *begin_with)
{
        struct buf bytes auto_buf, path auto_buf;
        struct dirent *e;
        DIR *d = opendir(from);

        assert_non_null(d);
        buf_init(&bytes, 64 << 20);
        buf_init(&path, 1024);
        while ((e = readdir(d))) {
                int in, out;
                struct stat st;

                if (!str_starts(str_of(e->d_name), str_of(begin_with)))
                        continue;
                in = openat(dirfd(d), e->d_name, O_RDONLY);
                assert_int_equal(fstat(in, &st), 0);
                buf_clear(&bytes);
                assert_int_equal(read(in, buf_room(&bytes, (size_t)st.st_size + 1), (size_t)st.st_size),
                                 st.st_size);
                close(in);
                buf_clear(&path);
                buf_printf(&path, "%s/%s", to, e->d_name);
                buf_u8(&path, 0);
                out = open(path.p, O_WRONLY | O_CREAT | O_TRUNC, 0600);
                assert_int_equal(write(out, bytes.p, (size_t)st.st_size), st.st_size);
                close(out);
        }
        closedir(d);
}

static void remove_files(const char *folder_name, const char *begin_with)
{
        DIR *d = opendir(folder_name);
        struct dirent *e;

        assert_non_null(d);
        while ((e = readdir(d)))
                if (str_starts(str_of(e->d_name), str_of(begin_with)))
                        assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
        closedir(d);
}

/* A backup is put back, older than the index. */
static void restored(void **state)
{
        char path[128], saved[128];

        (void)state;
        snprintf(path, sizeof path, "%s/jill@hill.com", folder);
        for (unsigned i = 0; i < 40; i++)
                file_letter(i);
        index_now();
        account_put(&jill);
        accounts_close(&set);
        snprintf(saved, sizeof saved, "%s/saved", folder);
        assert_int_equal(mkdir(saved, 0700), 0);
        copy_files(path, saved, "account.db");
        set = fixture_open(folder, 4);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        for (unsigned i = 40; i < 80; i++)
                file_letter(i);
        index_now();
        account_put(&jill);
        accounts_close(&set);
        remove_files(path, "account.db");
        copy_files(saved, path, "account.db");
        forget(40);
        set = fixture_open(folder, 4);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        for (unsigned i = 200; i < 220; i++) /* they get numbers that the index knows */
                file_letter(i);
        ask_some(200);
        index_now();
        ask_some(200);
        state_is(60);
}

static void fuzzy(void **state)
{
        static const struct {
                const char *text;
                bool found;
                unsigned least, most;
        } table[] = {
                { "water pail", true, 100, 100 }, { "WATER, pail", true, 100, 100 },
                { "wather pail", true, 70, 95 },  { "watre", true, 50, 80 },
                { "wat", true, 70, 90 },          { "wtae", false, 0, 0 },
                { "pale", false, 0, 0 },          { "water bucket", false, 0, 0 },
                { "漢字", true, 100, 100 },       { "fetch漢字", true, 100, 100 },
                { "", true, 100, 100 },           { "jack sprat", false, 0, 0 },
        };
        static const char letter[] = "Subject: jack\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
                                     "Please (fetch) me a pail of \"Water\". 漢字\r\n";

        (void)state;
        for (unsigned turn = 0; turn < 3; turn++) {
                for (size_t i = 0; i < 4; i++) {
                        struct filing f = fixture_filing(str_of(letter));

                        assert_int_equal(account_file(jill, &f, 1), 0);
                        know(f.letter, str_of(letter));
                }
                if (turn)
                        index_now();
                for (size_t i = 0; i < LENGTH(table); i++) {
                        struct search_needle n = { .field = SEARCH_TEXT,
                                                   .text = str_of(table[i].text),
                                                   .fuzzy = true };
                        uint32_t letters[16];
                        bool match[16];
                        uint8_t score[16];

                        for (size_t k = 0; k < known_n; k++) {
                                letters[k] = known[k].letter;
                                match[k] = true;
                        }
                        assert_int_equal(search_letters(jill, &n, letters, known_n, match, score, NULL), 0);
                        for (size_t k = 0; k < known_n; k++) {
                                if (match[k] != table[i].found)
                                        fail_msg("%s: turn %u", table[i].text, turn);
                                if (match[k])
                                        assert_in_range(score[k], table[i].least, table[i].most);
                        }
                }
        }
}

/* On fibers and threads, as in a role: letters are noted, two indexers are in each other's way, somebody searches. */
static void background(void *arg)
{
        struct indexer *one, *two;

        (void)arg;
        assert_int_equal(indexer_start(&one, set), 0);
        assert_int_equal(indexer_start(&two, set), 0);
        for (unsigned i = 0; i < 80; i++) {
                file_letter(i);
                indexer_note(one, JILL);
                indexer_note(two, JILL);
                if (i % 20 == 19)
                        ask_some(3);
        }
        indexer_note(one, S("nobody@hill.com"));
        while (!indexer_idle(one) || !indexer_idle(two))
                assert_int_equal(fiber_sleep(now() + 10 * MSECOND), 0);
        state_is(80);
        for (unsigned i = 80; i < 160; i++)
                file_letter(i);
        ask_some(4); /* it is a search that tells of these */
        while (!indexer_idle(one) || !indexer_idle(two))
                assert_int_equal(fiber_sleep(now() + 10 * MSECOND), 0);
        state_is(160);
        ask_some(20);
        file_letter(160);
        indexer_note(one, JILL);
        indexer_stop(&one); /* with something left to do */
        indexer_stop(&two);
        assert_int_equal(search_index(jill), 0);
        state_is(161);
        loop_stop();
}

static void noted(void **state)
{
        (void)state;
        loop_init();
        assert_int_equal(offload_start(2, 2), 0);
        assert_int_equal(fiber_spawn("test", background, NULL), 0);
        loop_run();
        offload_finish();
        loop_finish();
}

/* A letter that lies in the mailbox twice. */
static void twice(void **state)
{
        struct search_needle needle = { .field = SEARCH_BODY, .text = S("number 3") };

        (void)state;
        for (unsigned i = 0; i < 10; i++)
                (void)fixture_file(jill, 0, i, 300);
        for (unsigned turn = 0; turn < 2; turn++) {
                uint32_t letters[20];
                bool match[20];

                for (unsigned i = 0; i < 20; i++) {
                        letters[i] = i / 2 + 1;
                        match[i] = i != 1;
                }
                assert_int_equal(search_letters(jill, &needle, letters, 20, match, NULL, NULL), 0);
                for (unsigned i = 0; i < 20; i++)
                        assert_int_equal(match[i], i / 2 == 3);
                assert_int_equal(search_index(jill), 0);
        }
}

static bool stop_at_once(void *context, size_t done, size_t total)
{
        size_t *calls = context;

        assert_true(done <= total);
        return ++*calls < 2;
}

static void given_up(void **state)
{
        struct search_needle needle = { .field = SEARCH_BODY, .text = S("pail") };
        size_t calls = 0;
        struct search_how how = { stop_at_once, &calls };
        uint32_t letters[600];
        bool match[600];

        (void)state;
        for (unsigned i = 0; i < 600; i++) {
                letters[i] = fixture_file(jill, 0, i, 200).letter;
                match[i] = true;
        }
        assert_int_equal(search_letters(jill, &needle, letters, 600, match, NULL, &how), -ECANCELED);
        assert_int_equal(calls, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(scanned, begin, finish),
                cmocka_unit_test_setup_teardown(indexed, begin, finish),
                cmocka_unit_test_setup_teardown(merged, begin, finish),
                cmocka_unit_test_setup_teardown(removed, begin, finish),
                cmocka_unit_test_setup_teardown(damaged, begin, finish),
                cmocka_unit_test_setup_teardown(restored, begin, finish),
                cmocka_unit_test_setup_teardown(fuzzy, begin, finish),
                cmocka_unit_test_setup_teardown(noted, begin, finish),
                cmocka_unit_test_setup_teardown(given_up, begin, finish),
                cmocka_unit_test_setup_teardown(twice, begin, finish),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
