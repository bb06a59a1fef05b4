/* The history: what was noted is found, with all that belongs to the same letter; old days go, and what is damaged is in nobody's way. */
#include "account_fixture.h"
#include "run/log.h"
#include "store/history.h"
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static char folder[] = "/tmp/pail-history-XXXXXX";
static struct buf found;
static unsigned enough; /* lines, then "enough" is said; 0: never */

static int begin(void **state)
{
        (void)state;
        memcpy(folder, "/tmp/pail-history-XXXXXX", sizeof folder);
        assert_non_null(mkdtemp(folder));
        buf_init(&found, 4 << 20);
        enough = 0;
        return 0;
}

static int end(void **state)
{
        (void)state;
        buf_free(&found);
        fixture_remove(folder);
        return 0;
}

static struct history *open_as(const char *writer, long days, uint64_t most)
{
        struct history *h;

        assert_int_equal(
            history_open(&h, open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), writer, days, most), 0);
        return h;
}

static bool each(void *context, struct str line)
{
        unsigned *lines = context;

        buf_printf(&found, PRS "\n", STR(line));
        return ++*lines != enough;
}

/* How many lines; they are in `found`. */
static unsigned find(const char *needle, int64_t since)
{
        struct history *h = open_as(NULL, 30, 1 << 30);
        unsigned lines = 0;

        buf_clear(&found);
        assert_int_equal(history_find(h, str_of(needle), since, each, &lines), 0);
        history_close(&h);
        return lines;
}

static bool has(const char *what)
{
        return str_search(buf_str(&found), str_of(what)) != STR_NONE;
}

static int64_t days_ago(int days)
{
        return wall_usec() - days * INT64_C(86400000000);
}

static const char *path_of(int days, const char *writer)
{
        static char path[100];
        time_t t = (time_t)(days_ago(days) / 1000000);
        struct tm tm;
        char day[20];

        gmtime_r(&t, &tm);
        strftime(day, sizeof day, "%Y%m%d", &tm);
        snprintf(path, sizeof path, "%s/%s.%s", folder, day, writer);
        return path;
}

static void write_file(const char *path, struct str text)
{
        FILE *f = fopen(path, "ae");

        assert_non_null(f);
        assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
        fclose(f);
}

static bool is_there(int days, const char *writer)
{
        return access(path_of(days, writer), F_OK) == 0;
}

/* The mail role and the sender each have a file; the word that both lines share is the letter's. */
static void one_look_finds_the_whole_way(void **state)
{
        struct history *mail = open_as("mail.0", 30, 1 << 30), *sender = open_as("sender", 30, 1 << 30);

        (void)state;
        history_note(mail, S("accepted"),
                     "letter=a.1 message-id=<one@town.com> from=<jack@town.com> send=bob@hill.com");
        history_note(mail, S("accepted"), "letter=a.10 message-id=<ten@town.com> from=<jack@town.com>");
        history_note(sender, S("deferred"), "letter=a.1 to=bob@hill.com answer=\"450 later\"");
        history_note(sender, S("sent"), "letter=a.1 to=bob@hill.com answer=\"250 ok\"");
        history_note(sender, S("held"), "to=who@hill.com answer=\"a line of no letter\"");
        assert_int_equal(find("one@town.com", 0), 0); /* they are gathered for a while */
        history_close(&mail);
        history_close(&sender);
        assert_int_equal(find("one@town.com", 0), 3);
        assert_true(has("event=accepted letter=a.1 ") && has("450 later") && has("event=sent"));
        assert_false(has("a.10"));
        assert_int_equal(find("450 later", 0), 3); /* by anything that stands in one of them */
        assert_int_equal(find("letter=a.1 ", 0), 3);
        assert_int_equal(find("jack@town.com", 0), 4);
        assert_int_equal(find("who@hill.com", 0), 1);
        assert_int_equal(find("nobody@hill.com", 0), 0);
        enough = 2;
        assert_int_equal(find("one@town.com", 0), 2);
}

static void what_is_older_is_not_told(void **state)
{
        struct history *h = open_as("mail.0", 30, 1 << 30);

        (void)state;
        history_note(h, S("accepted"), "letter=a.1 from=jack@town.com");
        history_close(&h);
        write_file(path_of(3, "mail.0"),
                   S("time=2020-01-01T00:00:00.000Z event=accepted letter=old.1 from=jack@town.com\n"));
        assert_int_equal(find("jack@town.com", 0), 2);
        assert_true(str_starts(buf_str(&found), S("time=2020"))); /* the oldest day first */
        assert_int_equal(find("jack@town.com", days_ago(1)), 1);
        assert_int_equal(find("jack@town.com", days_ago(5)), 1); /* the day fits, the line does not */
        assert_int_equal(find("jack@town.com", wall_usec() + 5000000), 0);
}

/* In one piece or not at all: a line that is too long is lost, and those beside it are not. */
static void long_lines_are_lost(void **state)
{
        static char text[9000];
        struct history *h = open_as("mail.0", 30, 1 << 30);
        struct buf *line;

        (void)state;
        memset(text, 'x', sizeof text - 1);
        history_note(h, S("first"), "letter=a.1");
        history_note(h, S("long"), "letter=a.1 %s", text);
        line = history_begin(h, S("parts"));
        for (int i = 0; i < 3; i++)
                buf_printf(line, " key%d=%d", i, i);
        history_event_end(h);
        history_note(h, S("last"), "letter=a.1");
        history_close(&h);
        assert_int_equal(find("letter=a.1", 0), 2);
        assert_true(has("event=first") && has("event=last") && !has("event=long"));
        assert_int_equal(find("event=parts key0=0 key1=1 key2=2", 0), 1);
}

/* More than may be gathered: what does not fit is lost, whole lines of it, and the rest is there. */
static void too_many_lines_are_lost(void **state)
{
        static char text[4000];
        struct history *h = open_as("mail.0", 30, 1 << 30);
        unsigned n;

        (void)state;
        memset(text, 'x', sizeof text - 1);
        for (unsigned i = 0; i < 1500; i++) /* 6 MB */
                history_note(h, S("many"), "letter=a.%u %s end=yes", i, text);
        history_close(&h);
        n = find("event=many", 0);
        assert_in_range(n, 1000, 1100);
        history_close(&h);
        h = open_as("mail.0", 30, 1 << 30);
        history_note(h, S("after"), "letter=b.1");
        history_close(&h);
        assert_int_equal(find("event=after", 0), 1);
        assert_int_equal(find(" end=yes", 0), n);
}

static void old_days_go(void **state)
{
        struct history *h;
        char path[100];

        (void)state;
        for (int days = 1; days < 8; days++)
                write_file(path_of(days, "mail.0"),
                           S("time=2026-01-01T00:00:00.000Z event=x letter=old.1\n"));
        snprintf(path, sizeof path, "%s/notes.txt", folder);
        write_file(path, S("not a day's"));
        h = open_as("mail.0", 4, 1 << 30);
        history_note(h, S("accepted"), "letter=a.1");
        history_close(&h);
        assert_true(is_there(0, "mail.0") && is_there(1, "mail.0") && is_there(4, "mail.0"));
        assert_false(is_there(5, "mail.0") || is_there(6, "mail.0") || is_there(7, "mail.0"));
        assert_int_equal(access(path, F_OK), 0);
}

/* The oldest goes first, whoever wrote it. */
static void more_than_the_size_goes(void **state)
{
        static char text[100000];
        struct history *h;

        (void)state;
        memset(text, 'x', sizeof text);
        text[sizeof text - 1] = '\n';
        for (int days = 1; days < 5; days++)
                write_file(path_of(days, days % 2 ? "mail.0" : "sender"), str_from(text, sizeof text));
        h = open_as("mail.0", 30, 250000);
        history_note(h, S("accepted"), "letter=a.1");
        history_close(&h);
        assert_true(is_there(0, "mail.0") && is_there(1, "mail.0") && is_there(2, "sender"));
        assert_false(is_there(3, "mail.0") || is_there(4, "sender"));
}

/* What a crash or a hand left: half a line at the end, a line without end, zeros, a name that is no day's. */
static void damage_is_in_nobodys_way(void **state)
{
        static char zeros[3 << 20];
        struct history *h;

        (void)state;
        write_file(path_of(2, "mail.0"),
                   S("time=2026-11-19T00:00:00.000Z event=one letter=a.1 to=bob@hill.com\n"
                     "time=2026-11-19T00:00:01.000Z event=half letter=a.1"));
        write_file(path_of(1, "mail.0"), str_from(zeros, sizeof zeros));
        write_file(path_of(1, "mail.0"),
                   S("\n letter=\nletter=a.1\n\n=\nevent=two letter=a.1 to=bob@hill.com\n"));
        h = open_as("mail.0", 30, 1 << 30);
        history_note(h, S("three"), "letter=a.1 to=bob@hill.com");
        history_close(&h);
        assert_int_equal(find("bob@hill.com", 0), 3);
        assert_true(has("event=one") && has("event=two") && has("event=three") && !has("event=half"));
}

/* A death in the middle of a write: the next line is its own. */
static void half_a_line_is_ended(void **state)
{
        struct history *h;

        (void)state;
        write_file(path_of(0, "mail.0"), S("time=2026-11-19T00:00:00.000Z event=half letter=a.1 to=bo"));
        h = open_as("mail.0", 30, 1 << 30);
        history_note(h, S("whole"), "letter=b.1 to=jill@hill.com");
        history_close(&h);
        assert_int_equal(find("jill@hill.com", 0), 1);
        assert_true(str_starts(buf_str(&found), S("time=")) && !has("event=half"));
}

/* A disk that is full in the middle of a batch: of that nothing, and later lines are whole. */
static void what_a_full_disk_cuts_is_taken_back(void **state)
{
        struct rlimit old, little = { 2000, 2000 };
        struct history *h = open_as("mail.0", 30, 1 << 30);

        (void)state;
        history_note(h, S("first"), "letter=a.1 end=yes");
        history_close(&h);
        h = open_as("mail.0", 30, 1 << 30);
        for (unsigned i = 0; i < 100; i++)
                history_note(h, S("many"), "letter=a.1 end=yes");
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        little.rlim_max = old.rlim_max;
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
        history_close(&h);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        h = open_as("mail.0", 30, 1 << 30);
        history_note(h, S("last"), "letter=a.1 end=yes");
        history_close(&h);
        assert_int_equal(find("letter=a.1", 0), 2);
        assert_int_equal(find(" end=yes", 0), 2);
        assert_false(has("event=many"));
}

/* Ten thousand letters are more than anybody reads; the look comes to its end. */
static void very_many_letters(void **state)
{
        struct history *h = open_as("mail.0", 30, 1 << 30);

        (void)state;
        for (unsigned i = 0; i < 12000; i++) {
                history_note(h, S("accepted"), "letter=a.%u from=jack@town.com", i);
                history_note(h, S("filed"), "letter=a.%u", i);
        }
        history_close(&h);
        assert_int_equal(find("jack@town.com", 0), 20000);
        assert_int_equal(find("letter=a.11999 ", 0), 2);
}

int main(void)
{
#define folder_test(f) cmocka_unit_test_setup_teardown(f, begin, end)
        const struct CMUnitTest tests[] = {
                folder_test(one_look_finds_the_whole_way),
                folder_test(what_is_older_is_not_told),
                folder_test(long_lines_are_lost),
                folder_test(too_many_lines_are_lost),
                folder_test(old_days_go),
                folder_test(more_than_the_size_goes),
                folder_test(damage_is_in_nobodys_way),
                folder_test(half_a_line_is_ended),
                folder_test(what_a_full_disk_cuts_is_taken_back),
                folder_test(very_many_letters),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
