/* The set of open accounts among fibers, and what happens to damaged ones. */
#include "account_fixture.h"
#include "base/time.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/account_inside.h"
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

enum { FIBERS = 40, EACH = 12, MANY = 9, OPEN = 3 };

static char folder[] = "/tmp/pail-accounts-XXXXXX";
static struct accounts *set;
static unsigned running;
static unsigned filed[MANY];

static const char *name_of(unsigned i)
{
        static char name[30];

        snprintf(name, sizeof name, "user%u@hill.com", i);
        return name;
}

static int begin(void **state)
{
        (void)state;
        log_quiet = true;
        return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
        (void)state;
        fixture_remove(folder);
        return 0;
}

static void user(void *arg)
{
        unsigned self = (unsigned)(size_t)arg;

        for (unsigned i = 0; i < EACH; i++) {
                unsigned who = (self * 7 + i * 5) % MANY;
                struct mailbox_view view;
                struct account *a;

                assert_int_equal(account_get(set, str_of(name_of(who)), &a), 0);
                assert_true(set->open <= OPEN);
                fixture_file(a, 1 + self, i, 300);
                filed[who]++;
                assert_int_equal(account_view(a, INBOX, &view), 0);
                assert_true(view.count <= filed[who] && view.count);
                if (i % 4 == 0)
                        assert_int_equal(account_settle(a), 0);
                account_put(&a);
                if (i % 6 == 0)
                        assert_int_equal(accounts_settle_all(set), 0);
                if (i == EACH / 2)
                        accounts_checkpoint(set);
        }
        if (!--running)
                loop_stop();
}

static void check_clean(struct account *a)
{
        struct buf said;
        unsigned wrong = 0;

        buf_init(&said, 10000);
        assert_int_equal(account_check(a, &said, &wrong), 0);
        assert_str(buf_str(&said), S(""));
        buf_free(&said);
}

/* More fibers than accounts, more accounts than may be open. */
static void shares_few_among_many(void **state)
{
        struct account *a;

        (void)state;
        set = fixture_open(folder, OPEN);
        for (unsigned i = 0; i < MANY; i++)
                assert_int_equal(account_create(set, str_of(name_of(i))), 0);
        loop_init();
        assert_int_equal(offload_start(3, 2), 0);
        running = FIBERS;
        for (size_t i = 0; i < FIBERS; i++)
                assert_int_equal(fiber_spawn("user", user, (void *)i), 0);
        loop_run();
        offload_finish();
        loop_finish();
        for (unsigned i = 0; i < MANY; i++) {
                uint64_t octets, letters;

                assert_int_equal(account_get(set, str_of(name_of(i)), &a), 0);
                assert_int_equal(account_usage(a, &octets, &letters), 0);
                assert_int_equal(letters, filed[i]);
                check_clean(a);
                account_put(&a);
        }
        accounts_close(&set);
}

/* A process of its own that files letters as actions (segment, 0...) and says each that is filed. */
static pid_t filer(uint64_t segment, unsigned most, int say)
{
        pid_t child = fork();

        if (child)
                return child;
        for (unsigned i = 0; i < most; i++) {
                struct account *a;
                struct mailbox_view view;

                if (!set)
                        set = fixture_open(folder, OPEN);
                if (account_get(set, JILL, &a))
                        _exit(1);
                fixture_file(a, segment, i, 400);
                if (write(say, &i, sizeof i) != sizeof i)
                        _exit(2);
                if (i % 10 == 9) {
                        if (account_view(a, INBOX, &view) ||
                            account_expunge(a, &view, &(uint32_t){ view.uidnext + 5 }, 1))
                                _exit(3);
                }
                account_put(&a);
                if (i % 25 == 24)
                        accounts_close(&set); /* its clean mark, while others go on */
        }
        accounts_close(&set);
        _exit(0);
}

static void processes_share_an_account(void **state)
{
        enum { PROCESSES = 3, LETTERS = 100 };
        struct mailbox_view view;
        struct account *a;
        pid_t child[PROCESSES];
        int status, nowhere = open("/dev/null", O_WRONLY);

        (void)state;
        set = fixture_open(folder, OPEN);
        assert_int_equal(account_create(set, JILL), 0);
        accounts_close(&set);
        for (unsigned i = 0; i < PROCESSES; i++)
                child[i] = filer(10 + i, LETTERS, nowhere);
        for (unsigned i = 0; i < PROCESSES; i++) {
                assert_int_equal(waitpid(child[i], &status, 0), child[i]);
                assert_int_equal(status, 0);
        }
        close(nowhere);
        set = fixture_open(folder, OPEN);
        assert_int_equal(account_get(set, JILL, &a), 0);
        assert_int_equal(account_view(a, INBOX, &view), 0);
        assert_int_equal(view.count, PROCESSES * LETTERS);
        assert_int_equal(view.uidnext, PROCESSES * LETTERS + 1);
        check_clean(a);
        account_put(&a);
        accounts_close(&set);
}

static void killed_processes_lose_nothing(void **state)
{
        enum { KILLS = 12 };
        struct mailbox_view before, after;
        struct account *a;

        (void)state;
        for (unsigned round = 0; round < KILLS; round++) {
                unsigned said = 0, number, filed_again = 0;
                int pipes[2], status;
                pid_t child;

                set = fixture_open(folder, OPEN);
                assert_int_equal(account_get(set, JILL, &a), 0);
                assert_int_equal(account_view(a, INBOX, &before), 0);
                account_put(&a);
                accounts_close(&set);
                assert_int_equal(pipe(pipes), 0);
                child = filer(100 + round, 1000, pipes[1]);
                close(pipes[1]);
                while (said < round * 3 + 1 && read(pipes[0], &number, sizeof number) == sizeof number)
                        said++;
                kill(child, SIGKILL);
                assert_int_equal(waitpid(child, &status, 0), child);
                while (read(pipes[0], &number, sizeof number) == sizeof number)
                        said++;
                close(pipes[0]);
                set = fixture_open(folder, OPEN);
                assert_int_equal(account_get(set, JILL, &a), 0);
                check_clean(a);
                for (unsigned i = 0; i <= said; i++) { /* the log does not know what was the last */
                        struct filing f = fixture_file(a, 100 + round, i, 400);

                        if (i < said)
                                assert_true(f.duplicate);
                        filed_again += !f.duplicate;
                }
                assert_int_equal(account_view(a, INBOX, &after), 0);
                assert_int_equal(after.count, before.count + said + 1);
                assert_int_equal(after.uidnext, before.uidnext + said + 1); /* the same boot: no jump */
                assert_in_range(filed_again, 0, 1);
                account_put(&a);
                accounts_close(&set);
        }
}

static void damage(unsigned account, const char *sql)
{
        char path[100];
        sqlite3 *db;

        snprintf(path, sizeof path, "%s/%s/account.db", folder, name_of(account));
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_changes(db), 1);
        sqlite3_close(db);
}

static void check_finds_damage(void **state)
{
        static const struct {
                const char *sql, *said;
        } rows[] = {
                { "DELETE FROM body WHERE body = 3", "letter 3 has no body" },
                { "DELETE FROM letter WHERE letter = 3", "uid 3 is letter 3, which is not there" },
                { "UPDATE letter SET size = size + 1 WHERE letter = 3", "its body" },
                { "UPDATE letter SET places = x'0100000009000000' WHERE letter = 3", "and does not" },
                { "UPDATE letter SET places = x'' WHERE letter = 3", "lies in no mailbox" },
                { "UPDATE letter SET mime = x'ff' WHERE letter = 3", "structure of letter 3" },
                { "UPDATE body SET uses = 2 WHERE body = 3", "is used by 1 letters, counted are 2" },
                { "UPDATE body SET data = NULL WHERE body = 3", "should lie in a file" },
                { "UPDATE counter SET count = count + 1 WHERE mailbox = 1", "INBOX: holds" },
                { "UPDATE counter SET octets = octets - 1 WHERE mailbox = 0", "the letters have" },
                { "UPDATE counter SET uidnext = 4 WHERE mailbox = 1", "INBOX: uid 5 was not yet given out" },
                { "UPDATE counter SET uidnext = 3 WHERE mailbox = 0",
                  "letter 3 has a number not yet given out" },
                { "UPDATE counter SET modseq = 1 WHERE mailbox = 0", "modseq not yet given out" },
                { "DELETE FROM counter WHERE mailbox = 2", "Drafts: has no counter" },
                { "UPDATE page SET data = x'00'", "wrong size" },
                { "UPDATE page SET data = zeroblob(4032)", "holds 0 letters" },
                { "UPDATE counter SET deleted_octets = 7 WHERE mailbox = 1", "the deleted have 0 octets" },
                { "INSERT INTO placing VALUES (1, 3, x'030000000600000001000000')", "and does not" },
                { "INSERT INTO placing VALUES (1, 3, x'0300')", "row 3 is damaged" },
                { "INSERT INTO doomed VALUES (1, 1, 0, x'03000000')", "counted are 5" },
                { "INSERT INTO seen VALUES (1, 1, 1, 0, x'80')", "cannot be read" },
                { "INSERT INTO seen VALUES (1, 1, 1, 9, CAST(printf('%512s', '') AS BLOB))",
                  "seen uid 36869, which" },
                { "INSERT INTO thread VALUES (1, 3, x'0300000004000000')", "names letter 4" },
        };

        (void)state;
        set = fixture_open(folder, OPEN);
        for (unsigned i = 0; i < LENGTH(rows); i++) {
                struct account *a;

                assert_int_equal(account_create(set, str_of(name_of(100 + i))), 0);
                assert_int_equal(account_get(set, str_of(name_of(100 + i)), &a), 0);
                for (unsigned k = 0; k < 5; k++)
                        fixture_file(a, 0, k, 100);
                account_put(&a);
        }
        accounts_close(&set);
        for (unsigned i = 0; i < LENGTH(rows); i++)
                damage(100 + i, rows[i].sql);
        set = fixture_open(folder, OPEN);
        for (unsigned i = 0; i < LENGTH(rows); i++) {
                struct account *a;
                struct buf said;
                unsigned wrong = 0;

                buf_init(&said, 10000);
                assert_int_equal(account_get(set, str_of(name_of(100 + i)), &a), 0);
                assert_int_equal(account_check(a, &said, &wrong), 0);
                assert_true(wrong);
                if (str_search(buf_str(&said), str_of(rows[i].said)) == STR_NONE)
                        assert_str(buf_str(&said), str_of(rows[i].said));
                buf_free(&said);
                account_put(&a);
        }
        accounts_close(&set);
}

/* The WAL's pages into the file, so that damage there is not covered by a newer page. */
static void write_back(const char *path)
{
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void damaged_file_hurts_only_itself(void **state)
{
        char path[100];
        struct account *a;
        int fd;

        (void)state;
        set = fixture_open(folder, OPEN);
        assert_int_equal(account_create(set, S("bad@hill.com")), 0);
        snprintf(path, sizeof path, "%s/bad@hill.com/account.db", folder);
        fd = open(path, O_WRONLY);
        assert_int_equal(pwrite(fd, "This is no database.", 20, 0), 20);
        close(fd);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(account_get(set, S("bad@hill.com"), &a), -EBADMSG);
                assert_int_equal(account_get(set, str_of(name_of(1)), &a), 0);
                fixture_file(a, 0, 1, 100);
                account_put(&a);
        }
        /* Damage that shows only when a page is read. */
        snprintf(path, sizeof path, "%s/%s/account.db", folder, name_of(2));
        accounts_close(&set);
        write_back(path);
        fd = open(path, O_WRONLY);
        for (off_t at = 4096; at < 60000; at += 4096)
                assert_int_equal(pwrite(fd, "garbage", 7, at), 7);
        close(fd);
        set = fixture_open(folder, OPEN);
        assert_int_equal(account_get(set, str_of(name_of(2)), &a), -EBADMSG);
        assert_int_equal(set->open, 0);
        accounts_close(&set);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(shares_few_among_many),
                cmocka_unit_test(processes_share_an_account),
                cmocka_unit_test(killed_processes_lose_nothing),
                cmocka_unit_test(check_finds_damage),
                cmocka_unit_test(damaged_file_hurts_only_itself),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
