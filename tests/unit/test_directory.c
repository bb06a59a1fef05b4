#include "unit.h"
#include "base/arena.h"
#include "base/buf.h"
#include "store/db.h"
#include "store/directory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/pail-directory-XXXXXX";
static char path[64];

/* One change; the sentence it fails with, or "". */
#define CHANGE(call)                                                             \
        ({                                                                       \
                static char sentence_[400];                                      \
                struct buf why = { 0 };                                          \
                int rc_;                                                         \
                buf_init(&why, sizeof(sentence_) - 1);                           \
                rc_ = call;                                                      \
                assert_int_equal(rc_<0, why.n> 0);                               \
                snprintf(sentence_, sizeof(sentence_), PRS, STR(buf_str(&why))); \
                buf_free(&why);                                                  \
                sentence_;                                                       \
        })
#define DONE(call) assert_string_equal(CHANGE(call), "")

static struct directory *fresh(void)
{
        struct directory *d;

        unlink(path);
        assert_int_equal(directory_open(&d, path, true), 0);
        return d;
}

static struct directory *hills(void)
{
        struct directory *d = fresh();

        DONE(directory_add_domain(d, S("Hill.com"), S(""), &why));
        DONE(directory_add_domain(d, S("town.com"), S(""), &why));
        DONE(directory_add_domain(d, S("mount.com"), S("hill.com"), &why));
        DONE(directory_add_domain(d, S("m\xc3\xbcller.de"), S(""), &why));
        DONE(directory_add_account(d, S("Jill@hill.com"), &why));
        DONE(directory_add_account(d, S("tom@hill.com"), &why));
        DONE(directory_add_account(d, S("gone@hill.com"), &why));
        DONE(directory_add_account(d, S("far@hill.com"), &why));
        DONE(directory_add_account(d, S("copy@hill.com"), &why));
        DONE(directory_add_account(d, S("off@hill.com"), &why));
        DONE(directory_add_account(d, S("jack@town.com"), &why));
        DONE(directory_add_account(d, S("tom@town.com"), &why));
        DONE(directory_add_account(d, S("hans@xn--mller-kva.de"), &why));
        DONE(directory_set_account(d, S("gone@hill.com"), S("moved-to"), S("x@new.example"), &why));
        DONE(directory_set_account(d, S("far@hill.com"), S("forward-to"), S("Far@away.example jack@town.com"),
                                   &why));
        DONE(directory_set_account(d, S("far@hill.com"), S("keep-copy"), S("no"), &why));
        DONE(directory_set_account(d, S("copy@hill.com"), S("forward-to"), S("jill@hill.com"), &why));
        DONE(directory_set_account(d, S("off@hill.com"), S("disabled"), S("yes"), &why));
        DONE(directory_set_catch_all(d, S("town.com"), S("jack@town.com"), &why));
        DONE(directory_add_alias(d, S("sales@hill.com"), S("jill@hill.com"), &why));
        DONE(directory_add_alias(d, S("both@hill.com"), S("jill@hill.com"), &why));
        DONE(directory_add_alias(d, S("both@hill.com"), S("sales@hill.com"), &why));
        DONE(directory_add_alias(d, S("both@hill.com"), S("Tom@hill.com"), &why));
        DONE(directory_add_alias(d, S("a@hill.com"), S("b@hill.com"), &why));
        DONE(directory_add_alias(d, S("b@hill.com"), S("a@hill.com"), &why));
        DONE(directory_add_alias(d, S("dead@hill.com"), S("nobody@hill.com"), &why));
        DONE(directory_add_alias(d, S("ex@hill.com"), S("gone@hill.com"), &why));
        DONE(directory_add_alias(d, S("jill+x@hill.com"), S("tom@hill.com"), &why));
        DONE(directory_add_list(d, S("friends@hill.com"), &why));
        DONE(directory_add_member(d, S("friends@hill.com"), S("jill@hill.com"), &why));
        DONE(directory_add_member(d, S("friends@hill.com"), S("copy@hill.com"), &why));
        DONE(directory_add_member(d, S("friends@hill.com"), S("jack@town.com"), &why));
        DONE(directory_add_member(d, S("friends@hill.com"), S("Bob@Hamburger.edu"), &why));
        DONE(directory_add_member(d, S("friends@hill.com"), S("dead@hill.com"), &why));
        DONE(directory_add_list(d, S("all@hill.com"), &why));
        DONE(directory_add_member(d, S("all@hill.com"), S("friends@hill.com"), &why));
        DONE(directory_add_member(d, S("all@hill.com"), S("all@hill.com"), &why));
        return d;
}

/* A recipient's meaning in one line: standing, [account], (moved to), then f:account and s:address in order. */
static struct str meaning(struct directory *d, struct arena *a, const char *local, const char *domain)
{
        static const char *const words[] = { "ok",      "forwarded", "moved", "unknown",
                                             "foreign", "disabled",  "loop" };
        struct resolved r;
        struct str s;

        assert_int_equal(directory_resolve(d, a, str_of(local), str_of(domain), &r), 0);
        s = str_of(words[r.standing]);
        if (r.account.n)
                s = arena_printf(a, PRS " [" PRS "]", STR(s), STR(r.account));
        if (r.moved_to.n)
                s = arena_printf(a, PRS " (" PRS ")", STR(s), STR(r.moved_to));
        if (r.list.n)
                s = arena_printf(a, PRS " list " PRS, STR(s), STR(r.list));
        for (unsigned i = 0; i < r.count; i++) {
                const struct action *t = &r.actions[i];

                assert_int_equal(t->number, i);
                assert_true(t->address.n && t->original.n);
                s = arena_printf(a, PRS " %s" PRS, STR(s), t->kind == ACTION_FILE ? "f:" : "s:",
                                 STR(t->kind == ACTION_FILE ? t->account : t->address));
        }
        return s;
}

static void who_gets_it(void **state)
{
        static const struct {
                const char *local, *domain, *meaning;
        } rows[] = {
                { "jill", "hill.com", "ok [jill@hill.com] f:jill@hill.com" },
                { "JILL", "Hill.COM", "ok [jill@hill.com] f:jill@hill.com" },
                { "jill", "mount.com", "ok [jill@hill.com] f:jill@hill.com" },
                { "jill+shop", "hill.com", "ok [jill@hill.com] f:jill@hill.com" },
                { "jill+x", "hill.com", "ok [tom@hill.com] f:tom@hill.com" },
                { "jill+x+y", "hill.com", "ok [tom@hill.com] f:tom@hill.com" },
                { "+jill", "hill.com", "unknown" },
                { "jil", "hill.com", "unknown" },
                { "jill", "hill.org", "foreign" },
                { "jill", "sub.hill.com", "foreign" },
                { "jill", "[127.0.0.1]", "foreign" },
                { "jill@hill.com", "hill.com", "unknown" },
                { "", "hill.com", "unknown" },
                { "who ever", "town.com", "ok [jack@town.com] f:jack@town.com" },
                { "hans", "M\xc3\x9cLLER.de", "ok [hans@xn--mller-kva.de] f:hans@xn--mller-kva.de" },
                { "gone", "hill.com", "moved [gone@hill.com] (x@new.example)" },
                { "ex", "hill.com", "moved [gone@hill.com] (x@new.example)" },
                { "far", "hill.com",
                  "forwarded [far@hill.com] (Far@away.example) s:Far@away.example f:jack@town.com" },
                { "copy", "hill.com", "ok [copy@hill.com] f:copy@hill.com f:jill@hill.com" },
                { "off", "hill.com", "disabled [off@hill.com]" },
                { "sales", "hill.com", "ok [jill@hill.com] f:jill@hill.com" },
                { "both", "hill.com", "ok f:tom@hill.com f:jill@hill.com" },
                { "a", "hill.com", "loop" },
                { "dead", "hill.com", "unknown" },
                { "friends", "hill.com",
                  "ok list friends@hill.com s:Bob@hamburger.edu f:copy@hill.com f:jill@hill.com "
                  "f:jack@town.com" },
                { "all", "hill.com",
                  "ok list all@hill.com s:Bob@hamburger.edu f:copy@hill.com f:jill@hill.com "
                  "f:jack@town.com" },
                { "postmaster", "hill.com", "ok [jill@hill.com] f:jill@hill.com" },
                { "Postmaster", "town.com", "ok [jack@town.com] f:jack@town.com" },
                { "postmaster", "", "ok [jill@hill.com] f:jill@hill.com" },
        };
        struct directory *d = hills();
        struct arena a;

        (void)state;
        arena_init(&a, (size_t)4 << 20);
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_str(meaning(d, &a, rows[i].local, rows[i].domain), str_of(rows[i].meaning));
        directory_separators(d, S("-."));
        assert_str(meaning(d, &a, "jill+shop", "hill.com"), S("unknown"));
        assert_str(meaning(d, &a, "jill.shop", "hill.com"), S("ok [jill@hill.com] f:jill@hill.com"));
        assert_true(directory_is_local(d, S("MOUNT.com")));
        assert_false(directory_is_local(d, S("hill.org")));
        assert_false(directory_is_local(d, S("")));
        arena_finish(&a);
        directory_close(&d);
}

static void who_signs_in(void **state)
{
        static const struct {
                const char *name, *account;
        } rows[] = {
                { "jill@hill.com", "jill@hill.com" },
                { "Jill@Mount.COM", "jill@hill.com" },
                { "jill", "jill@hill.com" },
                { "water", "jack@town.com" },
                { "sales@hill.com", "jill@hill.com" },
                { "tom", NULL }, /* two of them */
                { "tom@town.com", "tom@town.com" },
                { "off@hill.com", NULL }, /* disabled */
                { "off", NULL },
                { "jill+x@hill.com", "tom@hill.com" },
                { "jill+y@hill.com", NULL }, /* a subaddress is for mail */
                { "any@town.com", NULL },    /* so is a catch-all */
                { "both@hill.com", NULL },
                { "friends@hill.com", NULL },
                { "sales", NULL },
                { "", NULL },
                { "@hill.com", NULL },
                { "jill@", NULL },
                { "jill\n", NULL },
        };
        struct directory *d = hills();
        struct arena a;

        (void)state;
        arena_init(&a, (size_t)1 << 20);
        DONE(directory_add_login(d, S("jack@town.com"), S("Water"), &why));
        assert_string_equal(CHANGE(directory_add_login(d, S("jill@hill.com"), S("water"), &why)),
                            "water is a sign-in name already");
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct str account = S("");
                int rc = directory_signin(d, &a, str_of(rows[i].name), &account);

                assert_int_equal(rc, rows[i].account ? 0 : -ENOENT);
                assert_str(account, str_of(rows[i].account));
        }
        DONE(directory_remove_login(d, S("jack@town.com"), S("water"), &why));
        assert_int_equal(directory_signin(d, &a, S("water"), &(struct str){ 0 }), -ENOENT);
        arena_finish(&a);
        directory_close(&d);
}

static void who_may_send_as(void **state)
{
        static const struct {
                const char *account, *address;
                bool may;
        } rows[] = {
                { "jill@hill.com", "jill@hill.com", true },
                { "jill@hill.com", "JILL+shop@mount.com", true },
                { "jill@hill.com", "sales@hill.com", true },
                { "jill@hill.com", "tom@hill.com", false },
                { "jill@hill.com", "jill+x@hill.com", false }, /* tom's */
                { "jill@hill.com", "friends@hill.com", false },
                { "jill@hill.com", "jill@hill.org", false },
                { "jill@hill.com", "", false },
                { "jack@town.com", "whoever@town.com", true }, /* the catch-all is his */
                { "jack@town.com", "tom@town.com", false },
                { "tom@hill.com", "boss@big.example", true }, /* granted */
                { "tom@hill.com", "any@all.example", true },
                { "tom@hill.com", "any@not.all.example", false },
                { "jack@town.com", "boss@big.example", false },
        };
        struct directory *d = hills();

        (void)state;
        DONE(directory_grant(d, S("tom@hill.com"), S("Boss@big.example"), true, &why));
        DONE(directory_grant(d, S("tom@hill.com"), S("@all.example"), true, &why));
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_int_equal(directory_may_send_as(d, str_of(rows[i].account), str_of(rows[i].address)),
                                 rows[i].may);
        DONE(directory_grant(d, S("tom@hill.com"), S("boss@big.example"), false, &why));
        assert_false(directory_may_send_as(d, S("tom@hill.com"), S("boss@big.example")));
        directory_close(&d);
}

static void what_is_refused(void **state)
{
        struct directory *d = hills();

        (void)state;
        assert_string_equal(CHANGE(directory_add_domain(d, S("hill.com"), S(""), &why)),
                            "hill.com is a domain here already");
        assert_string_equal(CHANGE(directory_add_domain(d, S("x.com"), S("mount.com"), &why)),
                            "mount.com is another name of hill.com: use that");
        assert_string_equal(CHANGE(directory_add_domain(d, S("hill .com"), S(""), &why)),
                            "hill .com: not a domain name");
        assert_string_equal(CHANGE(directory_remove_domain(d, S("hill.com"), &why)),
                            "hill.com is in use by a@hill.com");
        assert_string_equal(CHANGE(directory_add_account(d, S("x@mount.com"), &why)),
                            "mount.com is another name of hill.com: use that");
        assert_string_equal(CHANGE(directory_add_account(d, S("x@else.com"), &why)),
                            "else.com is no domain here (pail domain add else.com)");
        assert_string_equal(CHANGE(directory_add_account(d, S("friends@hill.com"), &why)),
                            "friends@hill.com exists already: it is a list");
        assert_string_equal(CHANGE(directory_add_alias(d, S("jill@hill.com"), S("a@b.c"), &why)),
                            "jill@hill.com exists already: it is an account");
        assert_string_equal(CHANGE(directory_add_account(d, S("../x@hill.com"), &why)),
                            "../x@hill.com: not a mail address");
        assert_string_equal(CHANGE(directory_add_account(d, S("a/b@hill.com"), &why)),
                            "a/b@hill.com: an account's name has no slash, no quotes, no leading dot and "
                            "at most 200 characters");
        assert_string_equal(CHANGE(directory_set_account(d, S("x@hill.com"), S("quota"), S("1"), &why)),
                            "x@hill.com: no such account");
        assert_string_equal(CHANGE(directory_set_account(d, S("jill@hill.com"), S("quota"), S("9x"), &why)),
                            "quota: 9x is not a size like 500M");
        assert_string_equal(CHANGE(directory_add_member(d, S("friends@hill.com"), S("jill@hill.com"), &why)),
                            "jill@hill.com is a member already");
        assert_string_equal(
            CHANGE(directory_remove_member(d, S("friends@hill.com"), S("tom@hill.com"), &why)),
            "tom@hill.com is no member of friends@hill.com");
        assert_string_equal(CHANGE(directory_remove_alias(d, S("jill@hill.com"), S(""), &why)),
                            "jill@hill.com: no such alias");
        directory_close(&d);
}

/* What goes, goes with all that leads to it; and another process's change is seen when the bell rings. */
static void changes_are_seen(void **state)
{
        struct directory *d = hills(), *other, *reader;
        struct account_entry entry;
        struct directory_row *rows;
        struct arena a;
        size_t n;

        (void)state;
        arena_init(&a, (size_t)4 << 20);
        assert_int_equal(directory_open(&other, path, true), 0);
        DONE(directory_set_account(other, S("jill@hill.com"), S("quota"), S("2m"), &why));
        DONE(directory_set_account(other, S("jill@hill.com"), S("real-name"), S("Jill of the Hill"), &why));
        directory_changed(d);
        assert_int_equal(directory_open(&reader, path, false), 0);
        assert_string_equal(CHANGE(directory_add_domain(reader, S("x.com"), S(""), &why)),
                            "Read-only file system");
        assert_int_equal(directory_account(d, &a, S("jill@hill.com"), &entry), 0);
        assert_int_equal(entry.quota, 2 << 20);
        assert_str(entry.real_name, S("Jill of the Hill"));
        DONE(directory_remove_account(other, S("jill@hill.com"), &why));
        directory_changed(d);
        assert_str(meaning(d, &a, "jill", "hill.com"), S("unknown"));
        assert_str(meaning(d, &a, "sales", "hill.com"), S("unknown"));
        assert_str(meaning(d, &a, "both", "hill.com"), S("ok f:tom@hill.com"));
        assert_int_equal(directory_account(d, &a, S("jill@hill.com"), &entry), -ENOENT);
        assert_int_equal(directory_rows(d, DIR_MEMBERS, S("friends@hill.com"), &a, &rows, &n), 0);
        assert_int_equal(n, 4);
        assert_str(rows[0].value, S("Bob@hamburger.edu"));
        assert_int_equal(directory_rows(d, DIR_LISTS, S(""), &a, &rows, &n), 0);
        assert_int_equal(n, 2);
        assert_str(rows[1].name, S("friends@hill.com"));
        assert_int_equal(rows[1].number, 4);
        assert_int_equal(directory_rows(d, DIR_ACCOUNTS, S("@town.com"), &a, &rows, &n), 0);
        assert_int_equal(n, 2);
        directory_changed(reader);
        assert_str(meaning(reader, &a, "jill", "hill.com"), S("unknown"));
        directory_close(&reader);
        directory_close(&other);
        directory_close(&d);
        arena_finish(&a);
}

/* A list of many, a chain of aliases: to the limit and one beyond. */
static void limits(void **state)
{
        struct directory *d = fresh();
        struct arena a, small;
        struct resolved r;
        struct buf auto_buf report = { 0 };
        unsigned wrong = 0;
        char from[40], to[40];

        (void)state;
        arena_init(&a, (size_t)4 << 20);
        arena_init(&small, 64 * 1024);
        buf_init(&report, 10000);
        DONE(directory_add_domain(d, S("h.com"), S(""), &why));
        DONE(directory_add_account(d, S("c0@h.com"), &why));
        for (int i = 1; i <= 11; i++) {
                snprintf(from, sizeof from, "c%d@h.com", i);
                snprintf(to, sizeof to, "c%d@h.com", i - 1);
                DONE(directory_add_alias(d, str_of(from), str_of(to), &why));
        }
        assert_str(meaning(d, &a, "c10", "h.com"), S("ok [c0@h.com] f:c0@h.com"));
        assert_str(meaning(d, &a, "c11", "h.com"), S("loop"));
        DONE(directory_add_list(d, S("many@h.com"), &why));
        for (int i = 0; i < 1000; i++) {
                snprintf(to, sizeof to, "m%d@else.example", i);
                DONE(directory_add_member(d, S("many@h.com"), str_of(to), &why));
        }
        assert_int_equal(directory_resolve(d, &a, S("many"), S("h.com"), &r), 0);
        assert_int_equal(r.count, 1000);
        assert_str(r.actions[0].reason, S("list many@h.com"));
        assert_int_equal(directory_resolve(d, &small, S("many"), S("h.com"), &r), 0);
        assert_int_equal(r.standing, STANDING_LOOP); /* refused, not cut short, and the process lives */
        assert_int_equal(r.count, 0);
        assert_int_equal(directory_check(d, &report, &wrong), 0);
        assert_str(buf_str(&report),
                   S("alias c11@h.com: it goes in circles, or too deep, or to more than 10000\n"));
        assert_int_equal(wrong, 1);
        arena_finish(&a);
        arena_finish(&small);
        directory_close(&d);
}

static void a_check_tells(void **state)
{
        struct directory *d = hills();
        struct buf auto_buf report = { 0 };
        unsigned wrong = 0;

        (void)state;
        buf_init(&report, 10000);
        assert_int_equal(directory_check(d, &report, &wrong), 0);
        assert_int_equal(wrong, 4); /* a, b: circles; dead: nobody, and what it leads to */
        assert_true(str_search(buf_str(&report), S("alias dead@hill.com: nobody stands behind it\n")) !=
                    STR_NONE);
        assert_true(str_search(buf_str(&report),
                               S("dead@hill.com: leads to nobody@hill.com, where nobody is\n")) != STR_NONE);
        directory_close(&d);
}

/* Schema 1 had no imap_disable. */
enum { BACK = 6 }; /* statements that make today's file the first pail's */

static int take_back(struct db *db, void *arg)
{
        int rc = 0;

        (void)arg;
        for (unsigned i = 0; i < BACK && !rc; i++) {
                struct db_row q = db_query(db, i);

                rc = db_exec(&q);
        }
        return rc;
}

static void an_older_file_is_migrated(void **state)
{
        static const char *const statements[BACK] = {
                "ALTER TABLE account DROP COLUMN imap_disable", "ALTER TABLE list DROP COLUMN title",
                "ALTER TABLE list DROP COLUMN owner",           "ALTER TABLE list DROP COLUMN max_size",
                "ALTER TABLE list DROP COLUMN moderated",       "PRAGMA user_version = 1"
        };
        static const struct db_store as_3 = { "directory", 3, "", NULL, statements, BACK, 4096, NULL };
        struct directory *d = hills();
        struct account_entry entry;
        struct db *db;
        struct arena a;

        (void)state;
        arena_init(&a, (size_t)4 << 20);
        DONE(directory_set_account(d, S("jill@hill.com"), S("imap-disable"), S("NOTIFY COMPRESS=DEFLATE"),
                                   &why));
        assert_int_equal(directory_account(d, &a, S("jill@hill.com"), &entry), 0);
        assert_str(entry.imap_disable, S("NOTIFY COMPRESS=DEFLATE"));
        directory_close(&d);
        assert_int_equal(db_open(&db, &as_3, path, DB_ROLLBACK_JOURNAL, NULL), 0);
        assert_int_equal(db_transact(db, "take back", take_back, NULL, DB_SYNC), 0);
        db_close(&db);

        assert_int_equal(directory_open(&d, path, false), -EROFS); /* not by those who only read */
        assert_int_equal(directory_open(&d, path, true), 0);
        assert_int_equal(directory_account(d, &a, S("jill@hill.com"), &entry), 0);
        assert_str(entry.imap_disable, S(""));
        assert_str(meaning(d, &a, "jill", "hill.com"), S("ok [jill@hill.com] f:jill@hill.com"));
        directory_close(&d);
        arena_finish(&a);
}

static int make_folder(void **state)
{
        (void)state;
        if (!mkdtemp(folder))
                return -1;
        snprintf(path, sizeof path, "%s/directory.db", folder);
        return 0;
}

static int remove_folder(void **state)
{
        static const char *const ends[] = { "", "-wal", "-shm", "-journal", ".schema-1" };
        char name[80];

        (void)state;
        for (size_t i = 0; i < LENGTH(ends); i++) {
                snprintf(name, sizeof name, "%s%s", path, ends[i]);
                unlink(name);
        }
        return rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_gets_it),      cmocka_unit_test(who_signs_in),
                cmocka_unit_test(who_may_send_as),  cmocka_unit_test(what_is_refused),
                cmocka_unit_test(changes_are_seen), cmocka_unit_test(limits),
                cmocka_unit_test(a_check_tells),    cmocka_unit_test(an_older_file_is_migrated),
        };

        return cmocka_run_group_tests_name("directory", tests, make_folder, remove_folder);
}
