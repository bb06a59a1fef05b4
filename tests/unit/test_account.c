#include "account_fixture.h"
#include "mail/mime.h"
#include "run/log.h"
#include "store/account_inside.h"
#include "store/boot.h"
#include "store/db_inside.h"
#include "store/disk.h"
#include <errno.h>
#include <sys/wait.h>

static char folder[] = "/tmp/pail-account-XXXXXX";
static struct accounts *set;
static struct account *jill;

static int begin(void **state)
{
        (void)state;
        log_quiet = true;
        if (!mkdtemp(folder))
                return -1;
        set = fixture_open(folder, 4);
        assert_int_equal(account_create(set, JILL), 0);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        return 0;
}

static int end(void **state)
{
        struct buf said;
        unsigned wrong = 0;

        (void)state;
        buf_init(&said, 65536);
        assert_int_equal(account_check(jill, &said, &wrong), 0);
        assert_str(buf_str(&said), S(""));
        assert_int_equal(wrong, 0);
        buf_free(&said);
        account_put(&jill);
        accounts_close(&set);
        fixture_remove(folder);
        memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
        return 0;
}

static void read_one(uint32_t letter, struct buf *out)
{
        size_t at, done;

        buf_clear(out);
        assert_int_equal(account_read(jill, &letter, 1, SIZE_MAX, out, &at, &done), 0);
        assert_int_equal(done, 1);
}

static void keeps_names(void **state)
{
        struct account *a;

        (void)state;
        assert_int_equal(account_create(set, JILL), -EEXIST);
        assert_int_equal(account_create(set, S("../x")), -EINVAL);
        assert_int_equal(account_create(set, S(".new-x")), -EINVAL);
        assert_int_equal(account_get(set, S("jack@town.com"), &a), -ENOENT);
        assert_int_equal(account_get(set, S("a/b"), &a), -ENOENT);
        assert_int_equal(account_get(set, JILL, &a), 0);
        assert_ptr_equal(a, jill);
        account_put(&a);
        assert_int_equal(account_home(JILL, 1), 0);
        assert_int_equal(account_home(JILL, 4), account_home(JILL, 4));
}

static void files_and_reads_back(void **state)
{
        struct buf want, got;
        struct mailbox_view view;
        struct placed *list;
        struct filing f[3], again;
        uint64_t octets, letters;
        size_t n;

        (void)state;
        buf_init(&want, 100000);
        buf_init(&got, 100000);
        for (unsigned i = 0; i < 3; i++)
                f[i] = fixture_file(jill, 77, i, i * 20000 + 100);
        assert_int_equal(account_view(jill, S("inbox"), &view), 0);
        assert_int_equal(view.count, 3);
        assert_int_equal(view.uidnext, 4);
        assert_int_equal(account_list(jill, &view, &list, &n), 0);
        assert_int_equal(n, 3);
        for (unsigned i = 0; i < 3; i++) {
                fixture_letter(&want, i, i * 20000 + 100);
                assert_int_equal(list[i].uid, f[i].uid);
                assert_int_equal(list[i].letter, f[i].letter);
                assert_int_equal(list[i].size, want.n);
                read_one(list[i].letter, &got);
                assert_str(buf_str(&got), buf_str(&want));
                buf_clear(&got);
                assert_int_equal(letter_read(jill, list[i].letter, 3, 50, &got), 0);
                assert_str(buf_str(&got), str_sub(buf_str(&want), 3, 50));
        }
        account_list_free(&list);
        fixture_letter(&want, 1, 20100);
        again = fixture_filing(buf_str(&want));
        again.segment = 77;
        again.sequence = 1;
        assert_int_equal(account_file(jill, &again, 1), 0);
        assert_true(again.duplicate);
        assert_int_equal(account_usage(jill, &octets, &letters), 0);
        assert_int_equal(letters, 3);
        assert_int_equal(octets, view.octets);
        buf_free(&want);
        buf_free(&got);
}

static void keeps_facts(void **state)
{
        struct filing f = fixture_file(jill, 0, 5, 500);
        struct buf packed, envelope;
        struct mime m;

        (void)state;
        buf_init(&packed, MIME_PACKED_MAX);
        buf_init(&envelope, 1000);
        mime_init(&m);
        assert_int_equal(letter_facts(jill, f.letter, &packed, &envelope), 0);
        assert_true(mime_unpack(&m, buf_str(&packed)));
        assert_int_equal(m.count, 1);
        assert_str(m.envelopes[0].fields[MIME_SUBJECT].text, S("pail 5"));
        assert_int_equal(letter_facts(jill, f.letter + 1, &packed, &envelope), -ENOENT);
        mime_finish(&m);
        buf_free(&packed);
        buf_free(&envelope);
}

/* Over 64 KB: a file, linked; over 1 MB parsed through a mapping. */
static void keeps_long_letters_in_files(void **state)
{
        static const size_t sizes[] = { 70000, 3000000 };
        char name[80];
        int dir = open(folder, O_RDONLY | O_DIRECTORY);

        (void)state;
        for (size_t i = 0; i < LENGTH(sizes); i++) {
                struct body_stage *b;
                struct buf text, got;
                struct filing f = fixture_filing(S(""));
                struct mailbox_view view;

                buf_init(&text, sizes[i] + 100);
                buf_init(&got, sizes[i] + 100);
                fixture_letter(&text, 1, sizes[i]);
                assert_int_equal(body_stage_open(&b, dir, "stage"), 0);
                assert_int_equal(body_stage_put(b, buf_str(&text)), 0);
                assert_int_equal(body_stage_finish(b), 0);
                body_stage_close(&b, true);
                f.staged_dir = dir;
                f.staged_name = "stage";
                assert_int_equal(account_file(jill, &f, 1), 0);
                assert_int_equal(f.error, 0);
                assert_int_equal(unlink("stage") + unlinkat(dir, "stage", 0), -1);
                read_one(f.letter, &got);
                assert_str(buf_str(&got), buf_str(&text));
                buf_clear(&got);
                assert_int_equal(letter_read(jill, f.letter, 65530, 20, &got), 0);
                assert_str(buf_str(&got), str_sub(buf_str(&text), 65530, 20));
                got.max = 1000;
                buf_free(&got);
                assert_int_equal(letter_read(jill, f.letter, 0, 2000, &got), -EFBIG);
                assert_int_equal(got.n, 0);
                assert_int_equal(account_settle(jill), 0);
                snprintf(name, sizeof name, "%s/jill@hill.com/bodies/%016x", folder, f.letter);
                assert_int_equal(access(name, F_OK), 0);
                assert_int_equal(account_view(jill, INBOX, &view), 0);
                assert_int_equal(account_expunge(jill, &view, &f.uid, 1), 0);
                assert_int_equal(access(name, F_OK), -1);
                f.staged_name = "missing";
                assert_int_equal(account_file(jill, &f, 1), 0);
                assert_int_equal(f.error, -ENOENT);
                buf_free(&text);
                buf_free(&got);
        }
        close(dir);
}

static void expunges_and_shows_gaps(void **state)
{
        enum { MANY = 300 };
        struct mailbox_view view, later;
        struct placed *list;
        uint32_t uids[MANY];
        struct buf got;
        size_t n, at, done;

        (void)state;
        for (unsigned i = 0; i < MANY; i++)
                fixture_file(jill, 1, i, 100);
        assert_int_equal(account_view(jill, INBOX, &view), 0);
        fixture_file(jill, 1, MANY, 100); /* after the view: not in its list */
        n = 0;
        for (uint32_t uid = 1; uid <= 130; uid++) /* a whole page and some */
                uids[n++] = uid;
        uids[n++] = 200;
        uids[n++] = 5000; /* never was */
        assert_int_equal(account_expunge(jill, &view, uids, n), 0);
        assert_int_equal(account_expunge(jill, &view, uids, n), 0); /* again: nothing happens */
        assert_int_equal(account_view(jill, INBOX, &later), 0);
        assert_int_equal(later.count, MANY + 1 - 131);
        assert_int_equal(later.modseq, view.modseq + 2);
        assert_int_equal(account_list(jill, &view, &list, &n), 0);
        assert_int_equal(n, MANY);
        for (uint32_t i = 0; i < n; i++) {
                assert_int_equal(list[i].uid, i + 1);
                assert_int_equal(list[i].letter == 0, i < 130 || i == 199);
        }
        buf_init(&got, 10000);
        assert_int_equal(account_reap(jill), 0);
        assert_int_equal(account_read(jill, &(uint32_t){ 3 }, 1, 100, &got, &at, &done), -ENOENT);
        account_list_free(&list);
        assert_int_equal(account_list(jill, &later, &list, &n), 0);
        assert_int_equal(n, MANY + 1 - 131);
        assert_int_equal(list[0].uid, 131);
        account_list_free(&list);
        later.modseq++;
        assert_int_equal(account_list(jill, &later, &list, &n), -ESTALE); /* numbers from the future */
        buf_free(&got);
}

static void reads_many_at_once(void **state)
{
        enum { MANY = 20 };
        uint32_t letters[MANY + 1];
        size_t ends[MANY + 1], done;
        struct buf got;

        (void)state;
        buf_init(&got, 50000);
        for (unsigned i = 0; i < MANY; i++)
                letters[i] = fixture_file(jill, 0, i, 2000).letter;
        letters[MANY] = 99999;
        assert_int_equal(account_read(jill, letters, MANY + 1, 9000, &got, ends, &done), 0);
        assert_int_equal(done, 4);
        assert_int_equal(got.n, ends[3]);
        assert_true(got.n <= 9000);
        assert_int_equal(account_read(jill, letters, 1, 10, &got, ends, &done), 0); /* at least one */
        assert_int_equal(done, 1);
        buf_clear(&got);
        assert_int_equal(account_read(jill, letters + MANY - 1, 2, SIZE_MAX, &got, ends, &done), 0);
        assert_int_equal(done, 1);
        assert_int_equal(account_read(jill, letters + MANY, 1, SIZE_MAX, &got, ends, &done), -ENOENT);
        buf_free(&got);
        buf_init(&got, 100);
        assert_int_equal(account_read(jill, letters, 1, SIZE_MAX, &got, ends, &done), -EFBIG);
        buf_free(&got);
}

static uint32_t thread_of_letter;

static int read_thread(struct db *d, void *arg)
{
        struct db_row q = db_query(d, LETTER_READ);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, *(uint32_t *)arg);
        thread_of_letter = db_next(&q) ? (uint32_t)db_u64(&q, 1) : 0;
        return db_end(&q);
}

static void joins_threads(void **state)
{
        /* file in this order; which earlier row's thread (or its own) each must have */
        static const struct {
                const char *id, *refs, *subject;
                unsigned thread;
        } rows[] = {
                { "a@x", "", "water", 0 },
                { "b@x", "<a@x>", "Re: water", 0 },
                { "c@x", "<b@x> <zz@x>", "Re: water", 0 },
                { "d@x", "<a@x>", "hill", 3 }, /* another subject */
                { "e@x", "<f@x>", "Re: late", 4 },
                { "f@x", "", "late", 4 }, /* the first letter comes after its answer */
                { "", "", "water", 6 },   /* nothing to go by */
                { "g@x", "<zz@x>", "water", 0 },
        };
        uint32_t letters[LENGTH(rows)];

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct buf text;
                struct filing f;

                buf_init(&text, 1000);
                if (*rows[i].id)
                        buf_printf(&text, "Message-ID: <%s>\r\n", rows[i].id);
                buf_printf(&text, "References: %s\r\nSubject: %s\r\n\r\nx\r\n", rows[i].refs,
                           rows[i].subject);
                f = fixture_filing(buf_str(&text));
                assert_int_equal(account_file(jill, &f, 1), 0);
                letters[i] = f.letter;
                assert_int_equal(db_transact(jill->db, "thread", read_thread, &letters[i], DB_READ), 0);
                assert_int_equal(thread_of_letter, letters[rows[i].thread]);
                buf_free(&text);
        }
}

/* More accounts than may be open; what was closed comes back as it was. */
static void closes_the_least_used(void **state)
{
        struct account *a;
        char name[40];

        (void)state;
        for (unsigned round = 0; round < 3; round++)
                for (unsigned i = 0; i < 9; i++) {
                        struct mailbox_view view;

                        snprintf(name, sizeof name, "user%u@hill.com", i);
                        if (!round)
                                assert_int_equal(account_create(set, str_of(name)), 0);
                        assert_int_equal(account_get(set, str_of(name), &a), 0);
                        assert_true(set->open <= 4);
                        fixture_file(a, 0, i, 100);
                        assert_int_equal(account_view(a, INBOX, &view), 0);
                        assert_int_equal(view.count, round + 1);
                        account_put(&a);
                }
}

static void waits_for_no_one_outside_fibers(void **state)
{
        struct account *a[4];
        char name[40];

        (void)state;
        for (unsigned i = 0; i < 4; i++) {
                snprintf(name, sizeof name, "user%u@hill.com", i);
                assert_int_equal(account_create(set, str_of(name)), 0);
                assert_int_equal(account_get(set, str_of(name), &a[i]), i < 3 ? 0 : -EMFILE);
        }
        for (unsigned i = 0; i < 3; i++)
                account_put(&a[i]);
}

static void reopen(void)
{
        account_put(&jill);
        accounts_close(&set);
        set = fixture_open(folder, 4);
        assert_int_equal(account_get(set, JILL, &jill), 0);
}

/* As if the machine had gone down: the account is left open by a set that never closes. */
static void reopen_unclean(void)
{
        static char boot[2][3] = { "b1", "b2" };
        static unsigned n;
        pid_t child;
        int status;

        account_put(&jill);
        accounts_close(&set);
        child = fork();
        if (!child) {
                set = fixture_open(folder, 4);
                if (account_get(set, JILL, &jill))
                        _exit(1);
                fixture_file(jill, 0, 1, 100);
                _exit(0);
        }
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
        boot_id_for_tests(boot[n++ % 2]);
        set = fixture_open(folder, 4);
        assert_int_equal(account_get(set, JILL, &jill), 0);
}

static void jumps_after_an_unclean_boot(void **state)
{
        struct mailbox_view before, after;
        struct placed *list;
        struct filing f;
        size_t n;

        (void)state;
        fixture_file(jill, 0, 1, 100);
        assert_int_equal(account_view(jill, INBOX, &before), 0);
        reopen(); /* clean */
        assert_int_equal(account_view(jill, INBOX, &after), 0);
        assert_int_equal(after.uidnext, before.uidnext);
        assert_int_equal(after.modseq, before.modseq);
        boot_id_for_tests("another"); /* clean, and another boot: no jump */
        reopen();
        fixture_file(jill, 0, 2, 100);
        assert_int_equal(account_view(jill, INBOX, &before), 0);
        assert_int_equal(before.uidnext, 3);
        reopen_unclean(); /* it filed one more */
        assert_int_equal(account_view(jill, INBOX, &after), 0);
        assert_int_equal(after.uidnext, before.uidnext + 1 + UIDS_AHEAD);
        assert_int_equal(after.modseq, before.modseq + 1 + MODSEQS_AHEAD);
        assert_int_equal(after.count, 3);
        assert_int_equal(account_list(jill, &before, &list, &n), -ESTALE);
        assert_int_equal(account_list(jill, &after, &list, &n), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(list[i].modseq, after.modseq);
        account_list_free(&list);
        f = fixture_file(jill, 0, 3, 100);
        assert_int_equal(f.uid, after.uidnext);
        assert_true(f.letter > 1000);
        reopen(); /* the jump itself was closed cleanly */
        assert_int_equal(account_view(jill, INBOX, &before), 0);
        assert_int_equal(before.uidnext, after.uidnext + 1);
        boot_id_for_tests("");
}

static bool exists_from_5(void *context, uint64_t segment)
{
        (void)context;
        return segment >= 5;
}

static void forgets_filed_actions(void **state)
{
        struct filing f;
        struct buf text;

        (void)state;
        buf_init(&text, 2000);
        fixture_letter(&text, 0, 100);
        for (uint64_t segment = 3; segment < 7; segment++)
                fixture_file(jill, segment, 0, 100);
        accounts_segments(set, exists_from_5, NULL);
        assert_int_equal(account_forget_filed(jill), 0);
        for (uint64_t segment = 3; segment < 7; segment++) {
                f = fixture_filing(buf_str(&text));
                f.segment = segment;
                assert_int_equal(account_file(jill, &f, 1), 0);
                assert_int_equal(f.duplicate, segment >= 5);
        }
        buf_free(&text);
}

/* Numbers never run more than a thousand ahead of what a power cut would leave. */
static void syncs_before_numbers_run_too_far(void **state)
{
        struct counter {
                uint64_t uidnext, safe;
        } c = { 1, 1 };
        unsigned most = 0;

        (void)state;
        for (unsigned i = 0; i < 3000; i++) {
                struct filing f = fixture_file(jill, 0, i, 10);

                c.uidnext = f.uid + 1;
                if (jill->db->synced == jill->db->commits - 1)
                        c.safe = f.uid;
                if (c.uidnext - c.safe > most)
                        most = (unsigned)(c.uidnext - c.safe);
        }
        assert_true(most > 100 && most <= UIDS_AHEAD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(keeps_names, begin, end),
                cmocka_unit_test_setup_teardown(files_and_reads_back, begin, end),
                cmocka_unit_test_setup_teardown(keeps_facts, begin, end),
                cmocka_unit_test_setup_teardown(keeps_long_letters_in_files, begin, end),
                cmocka_unit_test_setup_teardown(expunges_and_shows_gaps, begin, end),
                cmocka_unit_test_setup_teardown(reads_many_at_once, begin, end),
                cmocka_unit_test_setup_teardown(joins_threads, begin, end),
                cmocka_unit_test_setup_teardown(closes_the_least_used, begin, end),
                cmocka_unit_test_setup_teardown(waits_for_no_one_outside_fibers, begin, end),
                cmocka_unit_test_setup_teardown(jumps_after_an_unclean_boot, begin, end),
                cmocka_unit_test_setup_teardown(forgets_filed_actions, begin, end),
                cmocka_unit_test_setup_teardown(syncs_before_numbers_run_too_far, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
