/* Single promises of store/change.h: thousands at once, long letters, the stamp, the bell, facts, keywords. */
#include "change_world.h"
#include "store/mailbox.h"
#include <errno.h>
#include <sqlite3.h>

static int begin(void **state)
{
        (void)state;
        return world_begin();
}

static void file_many(struct access *x, size_t n)
{
        static struct filing f[BATCH_MAX];
        struct buf text;

        buf_init(&text, 1000);
        buf_puts(&text, S("Subject: pail\r\n\r\nwater\r\n"));
        for (size_t done = 0; done < n;) {
                size_t many = n - done < BATCH_MAX ? n - done : BATCH_MAX;

                for (size_t i = 0; i < many; i++)
                        f[i] = fixture_filing(buf_str(&text));
                assert_int_equal(account_file(x->account, f, many), 0);
                done += many;
        }
        buf_free(&text);
}

/* More than may run ahead of what is durable: the numbers are put by first, and a jump goes beyond them. */
static void copies_thousands(void **state)
{
        enum { MANY = 2500 };
        struct access inbox = enter(0, 0, 0, 0), archive = enter(0, 0, 1, 0), jack = enter(1, 1, 0, 0);
        struct placed_list list;
        struct uid_list gone;
        struct copied c;
        uint64_t octets, letters;

        (void)state;
        file_many(&inbox, MANY);
        assert_int_equal(change_copy(&inbox, &all, 1, &archive, 0, &c), 0);
        assert_int_equal(uid_list_count(&c.to), MANY);
        copied_free(&c);
        assert_int_equal(account_usage(inbox.account, &octets, &letters), 0);
        assert_int_equal(letters, MANY);
        assert_int_equal(change_move(&inbox, &all, 1, &archive, 0, &c), 0);
        assert_int_equal(c.to.ranges[0].first, MANY + 1);
        copied_free(&c);
        assert_int_equal(change_copy(&archive, &all, 1, &jack, octets, &c), -EDQUOT);
        assert_int_equal(change_copy(&archive, &all, 1, &jack, 2 * octets, &c), 0);
        assert_int_equal(uid_list_count(&c.to), 2 * MANY);
        copied_free(&c);
        assert_int_equal(change_list(&jack, &all, 1, 0, &list), 0);
        assert_int_equal(list.n, 2 * MANY);
        placed_list_free(&list);
        assert_int_equal(change_expunge(&archive, &(struct uid_range){ 1, MANY }, 1, false, &gone), 0);
        assert_int_equal(uid_list_count(&gone), MANY);
        uid_list_free(&gone);
        assert_int_equal(account_usage(inbox.account, &octets, &letters), 0);
        assert_int_equal(letters, MANY); /* each has another place */
        assert_int_equal(change_expunge(&archive, &all, 1, false, &gone), 0);
        uid_list_free(&gone);
        assert_int_equal(account_usage(inbox.account, &octets, &letters), 0);
        assert_int_equal(letters, 0);
        assert_int_equal(octets, 0);
        check_all();
        assert_int_equal(account_reap(inbox.account), 0);
        leave(&inbox);
        leave(&archive);
        leave(&jack);
        reopen_unclean(1);
        archive = enter(0, 0, 1, 0);
        file_many(&archive, 1); /* into INBOX: its uids were never put by */
        {
                struct mailbox_view v;

                assert_int_equal(account_view(archive.account, S("Archive"), &v), 0);
                assert_true(v.uidnext >= 2 * MANY + 1 + UIDS_AHEAD);
        }
        leave(&archive);
        boot_id_for_tests("");
}

/* MULTIAPPEND of more than one transaction takes. */
static void appends_thousands(void **state)
{
        enum { MANY = 1300 };
        struct access x = enter(0, 0, 0, 1);
        struct filing *f = mem_array(MANY, sizeof *f);
        struct mailbox_status s;
        uint64_t octets, letters;

        (void)state;
        for (size_t i = 0; i < MANY; i++) {
                f[i] = fixture_filing(S("Subject: pail\r\n\r\nwater\r\n"));
                f[i].flags = i % 2 ? FLAG_SEEN : FLAG_DELETED;
        }
        assert_int_equal(change_append(&x, f, MANY, MANY * f[0].text.n - 1), -EDQUOT);
        assert_int_equal(account_usage(x.account, &octets, &letters), 0);
        assert_int_equal(letters, 0);
        assert_int_equal(change_append(&x, f, MANY, MANY * f[0].text.n), 0);
        for (size_t i = 0; i < MANY; i++)
                assert_int_equal(f[i].uid, i + 1);
        assert_int_equal(change_status(&x, false, &s), 0);
        assert_int_equal(s.view.count, MANY);
        assert_int_equal(s.unseen, MANY / 2);
        assert_int_equal(s.deleted, MANY / 2);
        x.rights &= ~(unsigned)RIGHT_INSERT;
        assert_int_equal(change_append(&x, f, 1, UINT64_MAX), -EACCES);
        mem_free(f);
        leave(&x);
}

static void long_letters_are_linked(void **state)
{
        struct access jill = enter(0, 0, 0, 0), jack = enter(0, 1, 0, 0);
        int dir = open(folder, O_RDONLY | O_DIRECTORY);
        struct filing f = fixture_filing(S(""));
        struct placed_list list;
        struct body_stage *b;
        struct buf text, got;
        struct copied c;
        struct stat s;
        char path[100];

        (void)state;
        buf_init(&text, 100000);
        buf_init(&got, 100000);
        fixture_letter(&text, 1, 90000);
        assert_int_equal(body_stage_open(&b, dir, "stage"), 0);
        assert_int_equal(body_stage_put(b, buf_str(&text)), 0);
        assert_int_equal(body_stage_finish(b), 0);
        body_stage_close(&b, true);
        f.staged_dir = dir;
        f.staged_name = "stage";
        assert_int_equal(change_append(&jill, &f, 1, UINT64_MAX), 0);
        assert_int_equal(unlinkat(dir, "stage", 0), 0);
        assert_int_equal(change_move(&jill, &all, 1, &jack, UINT64_MAX, &c), 0);
        copied_free(&c);
        snprintf(path, sizeof path, "%s/jack@town.com/bodies/%016x", folder, 1);
        assert_int_equal(stat(path, &s), 0);
        assert_int_equal(s.st_nlink, 2);
        assert_int_equal(account_reap(jill.account), 0);
        assert_int_equal(stat(path, &s), 0);
        assert_int_equal(s.st_nlink, 1);
        assert_int_equal(change_list(&jack, &all, 1, 0, &list), 0);
        assert_int_equal(list.n, 1);
        assert_int_equal(letter_read(jack.account, list.list[0].letter, 0, SIZE_MAX, &got), 0);
        assert_str(buf_str(&got), buf_str(&text));
        placed_list_free(&list);
        buf_free(&text);
        buf_free(&got);
        leave(&jill);
        leave(&jack);
        close(dir);
}

static void stamps_tell_of_every_change(void **state)
{
        struct access one = enter(0, 0, 0, 0), two = enter(1, 0, 0, 0);
        uint64_t stamp = change_stamp(&one);

        (void)state;
        assert_int_equal(change_stamp(&one), stamp);
        fixture_file(one.account, 0, 1, 10);
        assert_true(change_stamp(&one) != stamp);
        stamp = change_stamp(&one);
        fixture_file(two.account, 0, 2, 10);
        assert_true(change_stamp(&one) != stamp);
        stamp = change_stamp(&one);
        leave(&one);
        accounts_close_unused(sets[0], 0);
        fixture_file(two.account, 0, 3, 10);
        one = enter(0, 0, 0, 0);
        assert_true(change_stamp(&one) != stamp);
        leave(&one);
        leave(&two);
}

static unsigned rung;

static void ring(void *context, struct str account)
{
        (void)context;
        assert_str(account, names[0]);
        rung++;
}

static void rings_for_changes_only(void **state)
{
        struct access x = enter(0, 0, 0, 0);
        struct flags_change c = {
                .uids = &all, .n = 1, .how = FLAGS_ADD, .flags = FLAG_SEEN, .unchanged_since = UINT64_MAX
        };
        struct mailbox_status s;
        struct uid_list gone;

        (void)state;
        accounts_on_change(sets[0], ring, NULL);
        fixture_file(x.account, 0, 1, 10);
        assert_int_equal(rung, 1);
        assert_int_equal(change_select(&x, true, &s), 0);
        assert_int_equal(s.recent, 1);
        assert_int_equal(change_select(&x, true, &s), 0);
        assert_int_equal(s.recent, 0);
        assert_int_equal(rung, 1);
        for (unsigned i = 0; i < 2; i++) { /* the second time nothing is changed */
                assert_int_equal(change_flags(&x, &c), 0);
                placed_list_free(&c.changed);
                assert_int_equal(rung, 2);
        }
        assert_int_equal(change_expunge(&x, &all, 1, true, &gone), 0);
        assert_int_equal(rung, 2);
        assert_int_equal(change_expunge(&x, &all, 1, false, &gone), 0);
        uid_list_free(&gone);
        assert_int_equal(rung, 3);
        leave(&x);
}

/* Nobody files a letter meanwhile, so no settler comes by. */
static void a_storm_of_changes_does_not_fill_the_disk(void **state)
{
        struct access x = enter(0, 0, 0, 0);
        struct flags_change c = { .uids = &all, .n = 1, .flags = FLAG_SEEN, .unchanged_since = UINT64_MAX };
        off_t most = 0;
        struct stat st;
        char path[100];

        (void)state;
        fixture_file(x.account, 0, 1, 10);
        snprintf(path, sizeof path, "%s/jill@hill.com/account.db-wal", folder);
        for (unsigned i = 0; i < 6000; i++) {
                c.how = i & 1 ? FLAGS_REMOVE : FLAGS_ADD;
                assert_int_equal(change_flags(&x, &c), 0);
                placed_list_free(&c.changed);
                assert_int_equal(stat(path, &st), 0);
                most = st.st_size > most ? st.st_size : most;
        }
        assert_in_range(most, 1 << 20, (WAL_PAGES_MOST + 16) * 4200);
        leave(&x);
}

struct met {
        uint32_t letters[10];
        size_t index[10], n, most;
};

static bool meet(void *context, size_t index, const struct letter_facts_row *row)
{
        struct met *m = context;

        m->index[m->n] = index;
        m->letters[m->n++] = row->letter;
        assert_int_equal(row->received, 1000000);
        assert_true(row->mime.n && row->size);
        return m->n < m->most;
}

static void reads_facts_in_the_order_asked_for(void **state)
{
        static const uint32_t asked[] = { 40, 41, 44, 44, 43, 1, 2, 99, 60 };
        static const uint32_t got[] = { 40, 41, 44, 44, 1, 2, 60 };
        struct access x = enter(0, 0, 0, 0);
        struct met m = { .most = 10 };
        struct uid_list gone;
        size_t done;

        (void)state;
        for (unsigned i = 0; i < 60; i++)
                fixture_file(x.account, 0, i, 10);
        assert_int_equal(change_expunge(&x, &(struct uid_range){ 43, 43 }, 1, false, &gone), 0);
        uid_list_free(&gone);
        assert_int_equal(account_reap(x.account), 0);
        assert_int_equal(change_facts(&x, asked, LENGTH(asked), meet, &m, &done), 0);
        assert_int_equal(done, LENGTH(asked));
        assert_int_equal(m.n, LENGTH(got));
        for (size_t i = 0; i < m.n; i++) {
                assert_int_equal(m.letters[i], got[i]);
                assert_int_equal(asked[m.index[i]], got[i]);
        }
        m = (struct met){ .most = 2 };
        assert_int_equal(change_facts(&x, asked, LENGTH(asked), meet, &m, &done), 0);
        assert_int_equal(done, 2);
        x.rights = RIGHT_LOOKUP;
        assert_int_equal(change_facts(&x, asked, LENGTH(asked), meet, &m, &done), -EACCES);
        leave(&x);
}

static void keywords_are_names_of_bits(void **state)
{
        struct access x = enter(0, 0, 0, 0), other = enter(1, 0, 1, 0);
        struct keyword_list l;
        struct arena m;
        unsigned bit, again;
        char name[20];

        (void)state;
        arena_init(&m, 100000);
        for (unsigned i = 0; i < 56; i++) {
                snprintf(name, sizeof name, "$Word%u", i);
                assert_int_equal(change_keyword(i % 2 ? &x : &other, str_of(name), &bit), 0);
                assert_int_equal(bit, 8 + i);
        }
        assert_int_equal(change_keyword(&x, S("$wORD3"), &again), 0);
        assert_int_equal(again, 11);
        assert_int_equal(change_keyword(&x, S("one more"), &again), -ENOSPC);
        assert_int_equal(change_keywords(&x, &m, &l), 0);
        assert_str(l.names[63], S("$Word55"));
        assert_int_equal(l.bits, ~(uint64_t)255);
        arena_finish(&m);
        leave(&x);
        leave(&other);
}

/* As the first schema had it. */
static void back_to_schema_1(const char *path)
{
        static const char *const known[] = { "account", "mailbox",   "counter", "keyword", "page", "letter",
                                             "body",    "reference", "thread",  "gone",    "filed" };
        static const char *const later[] = { "counter DROP COLUMN deleted_octets",
                                             "counter DROP COLUMN reserved",
                                             "counter DROP COLUMN recent",
                                             "counter DROP COLUMN changes",
                                             "gone DROP COLUMN more",
                                             "mailbox DROP COLUMN selectable",
                                             "account DROP COLUMN mailboxes" };
        char sql[200], tables[40][40];
        sqlite3_stmt *q;
        sqlite3 *db;
        unsigned n = 0;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(
            sqlite3_prepare_v2(db, "SELECT name FROM sqlite_master WHERE type = 'table'", -1, &q, NULL),
            SQLITE_OK);
        while (sqlite3_step(q) == SQLITE_ROW && n < 40)
                snprintf(tables[n++], sizeof tables[0], "%s", (const char *)sqlite3_column_text(q, 0));
        sqlite3_finalize(q);
        for (unsigned i = 0; i < n; i++) {
                bool old = false;

                for (size_t k = 0; k < LENGTH(known); k++)
                        old |= str_eq(str_of(tables[i]), str_of(known[k]));
                snprintf(sql, sizeof sql, "DROP TABLE %s", tables[i]);
                if (!old)
                        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        }
        for (size_t i = 0; i < LENGTH(later); i++) {
                snprintf(sql, sizeof sql, "ALTER TABLE %s", later[i]);
                assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        }
        assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void an_account_of_schema_1_is_migrated(void **state)
{
        struct access x = enter(0, 0, 0, 0);
        struct flags_change c = { .uids = &(struct uid_range){ 2, 2 },
                                  .n = 1,
                                  .flags = FLAG_DELETED,
                                  .unchanged_since = UINT64_MAX };
        struct mailbox_status before, now;
        struct placed_list list;
        struct uid_list gone;
        struct str *subscribed;
        size_t subscribed_n;
        uint32_t number;
        struct arena m;
        char path[100], aside[120];

        (void)state;
        for (unsigned i = 0; i < 300; i++)
                fixture_file(x.account, 0, i, 100);
        assert_int_equal(change_flags(&x, &c), 0);
        placed_list_free(&c.changed);
        assert_int_equal(change_status(&x, false, &before), 0);
        assert_true(before.deleted_octets);
        assert_int_equal(change_expunge(&x, &(struct uid_range){ 1, 1 }, 1, false, &gone), 0);
        uid_list_free(&gone);
        assert_int_equal(account_reap(x.account), 0);
        leave(&x);
        for (unsigned h = 0; h < HANDLES; h++)
                accounts_close(&sets[h]);
        snprintf(path, sizeof path, "%s/jill@hill.com/account.db", folder);
        back_to_schema_1(path);
        for (unsigned h = 0; h < HANDLES; h++)
                sets[h] = fixture_open(folder, 4);
        x = enter(1, 0, 0, 0);
        snprintf(aside, sizeof aside, "%s.schema-1", path);
        assert_int_equal(access(aside, F_OK), 0);
        assert_int_equal(change_since(&x, before.view.uidnext, before.view.modseq, &list, &gone, &now), 0);
        assert_int_equal(uid_list_count(&gone), 1);
        assert_true(uid_list_has(&gone, 1));
        assert_int_equal(list.n, 0);
        assert_int_equal(now.deleted_octets, before.deleted_octets);
        assert_int_equal(now.view.count, 299);
        uid_list_free(&gone);
        arena_init(&m, 1 << 20);
        assert_int_equal(mailbox_subscriptions(x.account, &m, &subscribed, &subscribed_n), 0);
        assert_int_equal(subscribed_n, 6);
        assert_str(subscribed[3], S("Junk"));
        assert_int_equal(mailbox_create(x.account, account_name(x.account), S("new"), S(""), &number), 0);
        assert_int_equal(number, 7);
        arena_finish(&m);
        fixture_file(x.account, 0, 300, 100);
        assert_int_equal(change_since(&x, 1, 1, &list, &gone, &now), 0); /* of what schema 1 filed, too */
        assert_int_equal(list.n, 300);
        placed_list_free(&list);
        uid_list_free(&gone);
        leave(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(copies_thousands, begin, world_end),
                cmocka_unit_test_setup_teardown(appends_thousands, begin, world_end),
                cmocka_unit_test_setup_teardown(long_letters_are_linked, begin, world_end),
                cmocka_unit_test_setup_teardown(stamps_tell_of_every_change, begin, world_end),
                cmocka_unit_test_setup_teardown(rings_for_changes_only, begin, world_end),
                cmocka_unit_test_setup_teardown(a_storm_of_changes_does_not_fill_the_disk, begin, world_end),
                cmocka_unit_test_setup_teardown(reads_facts_in_the_order_asked_for, begin, world_end),
                cmocka_unit_test_setup_teardown(keywords_are_names_of_bits, begin, world_end),
                cmocka_unit_test_setup_teardown(an_account_of_schema_1_is_migrated, begin, world_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
