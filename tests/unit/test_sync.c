/* The reader's copy and our own IMAP server, brought together again and again while both sides change as chance has it, with passes that are cut
 * off: in the end both hold the same, nothing is lost and nothing doubled. */
#include "imap_world.h"
#include "cli/mail/sync_inside.h"
#include "proto/watch.h"
#include <errno.h>
#include <sqlite3.h>

static struct world world;
static struct copy *copy;
static struct login login = { .address = (char *)(uintptr_t) "jill@hill.com", .how = INCOMING_IMAP };
static char home[] = "/tmp/test-sync-XXXXXX";
static struct sync_result result;
static unsigned seed, letters;

static unsigned chance(unsigned n)
{
        seed = seed * 1103515245 + 12345;
        return (seed >> 16) % n;
}

/* ---- two sides, alike ---- */

struct side {
        struct accounts *accounts;
        struct str name;
};

static struct side there(void)
{
        return (struct side){ world.server.accounts, S("jill@hill.com") };
}

static struct side here_side(void)
{
        return (struct side){ copy_accounts(copy), copy_name(copy) };
}

static struct access open_box(struct side s, const char *path)
{
        struct access x = { 0 };

        must(access_open(&x, s.accounts, s.name, s.name, str_of(path), RIGHTS_ALL) == 0);
        return x;
}

static void add(struct side s, const char *path, uint64_t flags)
{
        struct access x = open_box(s, path);
        auto_buf struct buf text = { 0 };
        struct filing f = { .staged_dir = -1, .flags = flags, .received = 1000000000 };

        buf_init(&text, 4096);
        buf_printf(&text,
                   "From: jack@town.com\r\nMessage-ID: <%u@town.com>\r\nSubject: %u\r\n\r\nLetter %u.\r\n",
                   letters, letters, letters % 10);
        letters++;
        f.text = buf_str(&text);
        must(change_append(&x, &f, 1, UINT64_MAX) == 0);
        access_close(&x);
}

static struct placed_list list_of(struct side s, const char *path)
{
        struct access x = open_box(s, path);
        struct uid_range all = { 1, UINT32_MAX };
        struct placed_list list = { 0 };

        must(change_list(&x, &all, 1, 0, &list) == 0);
        access_close(&x);
        return list;
}

static void flag_one(struct side s, const char *path, uint32_t uid, uint64_t flag)
{
        struct access x = open_box(s, path);
        struct uid_range one = { uid, uid };
        struct flags_change c = { .uids = &one,
                                  .n = 1,
                                  .how = chance(2) ? FLAGS_ADD : FLAGS_REMOVE,
                                  .flags = flag,
                                  .unchanged_since = UINT64_MAX };

        must(change_flags(&x, &c) == 0);
        placed_list_free(&c.changed);
        uid_list_free(&c.modified);
        access_close(&x);
}

static void remove_one_letter(struct side s, const char *path, uint32_t uid)
{
        struct access x = open_box(s, path);
        struct uid_range one = { uid, uid };
        struct uid_list gone = { 0 };

        must(change_expunge(&x, &one, 1, false, &gone) == 0);
        uid_list_free(&gone);
        access_close(&x);
}

static void move_one(struct side s, const char *from, const char *to, uint32_t uid)
{
        struct access x = open_box(s, from), y = open_box(s, to);
        struct uid_range one = { uid, uid };
        struct copied copied = { 0 };

        must(change_move(&x, &one, 1, &y, UINT64_MAX, &copied) == 0);
        copied_free(&copied);
        access_close(&x);
        access_close(&y);
}

static const char *const boxes[] = { "INBOX", "Archive", "Drafts" };

static void change_something(struct side s)
{
        static const uint64_t flags[] = { FLAG_SEEN, FLAG_FLAGGED, FLAG_ANSWERED };
        const char *path = boxes[chance(LENGTH(boxes))], *to = boxes[chance(LENGTH(boxes))];
        struct placed_list list = list_of(s, path);
        uint32_t uid = list.n ? list.list[chance((unsigned)list.n)].uid : 0;

        placed_list_free(&list);
        switch (chance(uid ? 6 : 1)) {
        case 0:
        case 1: add(s, path, chance(2) ? FLAG_SEEN : 0); break;
        case 2:
        case 3: flag_one(s, path, uid, flags[chance(LENGTH(flags))]); break;
        case 4: remove_one_letter(s, path, uid); break;
        case 5:
                if (to != path)
                        move_one(s, path, to, uid);
                break;
        }
}

/* ---- both are the same ---- */

/* "subject flags\n" of all letters of a mailbox, sorted by subject. */
static int by_line(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void describe(struct side s, struct account *a, const char *path, struct buf *out)
{
        struct placed_list list = list_of(s, path);
        struct arena auto_arena arena;
        struct str *lines;

        arena_init(&arena, 16 << 20);
        lines = arena_array(&arena, struct str, list.n + 1);
        for (size_t i = 0; i < list.n; i++) {
                auto_buf struct buf text = { 0 };
                size_t at;

                buf_init(&text, 4096);
                must(letter_read(a, list.list[i].letter, 0, 4000, &text) == 0);
                at = str_search(buf_str(&text), S("Subject: "));
                lines[i] = arena_printf(&arena, "%06u %llu\n", (unsigned)strtoul(text.p + at + 9, NULL, 10),
                                        (unsigned long long)list.list[i].flags);
        }
        qsort(lines, list.n, sizeof *lines, by_line);
        buf_printf(out, "%s: ", path);
        for (size_t i = 0; i < list.n; i++)
                buf_puts(out, lines[i]);
        placed_list_free(&list);
}

static void must_be_same(void)
{
        auto_buf struct buf ours = { 0 }, theirs = { 0 };

        buf_init(&ours, 1 << 20);
        buf_init(&theirs, 1 << 20);
        for (size_t i = 0; i < LENGTH(boxes); i++) {
                describe(here_side(), copy_account(copy), boxes[i], &ours);
                describe(there(), world.jill, boxes[i], &theirs);
        }
        if (!str_eq(buf_str(&ours), buf_str(&theirs)))
                die("here\n" PRS "\nthere\n" PRS "\n", STR(buf_str(&ours)), STR(buf_str(&theirs)));
}

/* Each letter is once at most, in whatever mailbox. */
static void must_be_unique(void)
{
        auto_buf struct buf all = { 0 };
        struct str rest, line;
        uint64_t seen[64] = { 0 };

        must(letters <= 64 * 64);
        buf_init(&all, 1 << 20);
        for (size_t i = 0; i < LENGTH(boxes); i++) {
                describe(here_side(), copy_account(copy), boxes[i], &all);
                buf_puts(&all, S("\n"));
        }
        rest = buf_str(&all);
        while (rest.n) {
                size_t colon;
                unsigned n;

                str_cut(&rest, '\n', &line);
                colon = str_search(line, S(": "));
                if (colon != STR_NONE)
                        line = str_from_at(line, colon + 2);
                if (!line.n)
                        continue;
                n = (unsigned)strtoul(line.p, NULL, 10);
                if (n >= letters || seen[n / 64] >> n % 64 & 1)
                        die("letter %u is there twice\n" PRS, n, STR(buf_str(&all)));
                seen[n / 64] |= (uint64_t)1 << n % 64;
        }
}

/* ---- a pass ---- */

static bool rows_fail; /* letters become durable here, but no row that says so */

static void sync_db(const char *sql)
{
        char path[200];
        sqlite3 *db;

        snprintf(path, sizeof path, "%s/pail/mail/jill@hill.com/sync.db", home);
        must(sqlite3_open(path, &db) == SQLITE_OK);
        must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
        must(sqlite3_close(db) == SQLITE_OK);
}

static bool say_yes(void *context, const char *question)
{
        (void)context;
        (void)question;
        return true;
}

/* The connection breaks behind so many bytes that the server said; 0: it does not. */
struct breaking {
        struct conn_tap tap;
        struct conn *conn;
        unsigned left;
};

static void on_line(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        struct breaking *b = (struct breaking *)t;

        (void)line;
        (void)bytes;
        if (from == 'S' && b->left && --b->left == 0)
                conn_fail(b->conn);
}

static int pass(unsigned lines)
{
        static const struct sync_says says = { .ask = say_yes };
        struct breaking breaking = { .tap = { on_line }, .left = lines };
        struct imap_client_how how = { .host = "hill.com",
                                       .patience = 60 * SECOND,
                                       .tap = lines ? &breaking.tap : NULL };
        auto_buf struct buf why = { 0 };
        struct work w = {
                .copy = copy, .login = &login, .says = &says, .result = &result, .why = &why, .lock = -1
        };
        struct conn *theirs;
        int pair[2], rc;

        result = (struct sync_result){ 0 };
        buf_init(&why, 4096);
        arena_init(&w.arena, 256 << 20);
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        theirs = conn_new(pair[0], here, here);
        breaking.conn = conn_new(pair[1], here, here);
        session_start(&world.server, theirs, PROTOCOL_IMAP);
        must(state_open(&w) == 0);
        rc = imap_client_open(&w.imap, breaking.conn, &how, &w.answer);
        if (rc == 0)
                rc = imap_client_login(w.imap, "jill@hill.com", "tumbling", &w.answer);
        if (rc == 0)
                rc = imap_pass(&w, NULL, 0);
        if (rc < 0 && !lines && !rows_fail)
                die("a pass failed: %d " PRS, rc, STR(buf_str(&why)));
        if (w.imap)
                imap_client_close(&w.imap, rc < 0 ? 0 : SOON);
        state_close(&w);
        arena_finish(&w.arena);
        return rc;
}

static void begin_all(void)
{
        auto_buf struct buf why = { 0 };

        open_world(&world);
        world.server.watchers = watchers_new(NULL);
        buf_init(&why, 1000);
        mem_copy(home + sizeof home - 7, 6, S("XXXXXX"));
        must(mkdtemp(home));
        setenv("XDG_DATA_HOME", home, 1);
        must(copy_open(&copy, &login, &why) == 0);
        letters = 0;
}

static void end_all(void)
{
        copy_close(&copy);
        while (world.server.session_count)
                fiber_yield();
        watchers_free(&world.server.watchers);
        close_world(&world);
        must(nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

/* ---- tests ---- */

static void first_and_again(void)
{
        begin_all();
        for (unsigned i = 0; i < 200; i++)
                add(there(), "INBOX", i % 3 ? FLAG_SEEN : 0);
        add(here_side(), "Drafts", FLAG_DRAFT);
        pass(0);
        must(result.fetched == 200 && result.sent == 1);
        must_be_same();
        pass(0);
        must(!result.fetched && !result.sent && !result.flags_here && !result.flags_there &&
             !result.removed_here && !result.removed_there && !result.moved);
        end_all();
}

static void one_of_each(void)
{
        struct placed_list list;

        begin_all();
        for (unsigned i = 0; i < 6; i++)
                add(there(), "INBOX", 0);
        pass(0);
        list = list_of(here_side(), "INBOX");
        remove_one_letter(here_side(), "INBOX", list.list[0].uid);
        move_one(here_side(), "INBOX", "Archive", list.list[1].uid);
        placed_list_free(&list);
        list = list_of(there(), "INBOX");
        remove_one_letter(there(), "INBOX", list.list[2].uid);
        move_one(there(), "INBOX", "Archive", list.list[3].uid);
        placed_list_free(&list);
        pass(0);
        must(result.moved == 1 && result.removed_there == 1);
        must_be_same();
        end_all();
}

/* What both sides have and no row tells of is one letter. */
static void without_what_was_agreed(void)
{
        char path[200];

        begin_all();
        for (unsigned i = 0; i < 30; i++)
                add(there(), "INBOX", 0);
        pass(0);
        snprintf(path, sizeof path, "%s/pail/mail/jill@hill.com/sync.db", home);
        must(unlink(path) == 0);
        pass(0);
        must(!result.fetched && !result.sent);
        must_be_same();
        end_all();
}

static void as_chance_has_it(void)
{
        for (unsigned round = 1; round <= 12; round++) {
                seed = round * 7919;
                begin_all();
                for (unsigned n = 0; n < 25; n++) {
                        for (unsigned i = chance(6); i > 0; i--)
                                change_something(there());
                        for (unsigned i = chance(6); i > 0; i--)
                                change_something(here_side());
                        pass(0);
                        pass(0);
                        must_be_same();
                }
                end_all();
        }
}

static void cut_off(void)
{
        for (unsigned round = 1; round <= 12; round++) {
                seed = round * 104729;
                begin_all();
                for (unsigned n = 0; n < 20; n++) {
                        for (unsigned i = chance(12); i > 0; i--)
                                change_something(chance(2) ? there() : here_side());
                        for (unsigned i = 0; i < 3; i++)
                                pass(1 + chance(60));
                        pass(0);
                        pass(0);
                        must_be_same();
                }
                end_all();
        }
}

/* What a kill between letters and their rows leaves, and then a person moves and removes them. */
static void before_rows(void)
{
        for (unsigned round = 1; round <= 8; round++) {
                seed = round * 15485863;
                begin_all();
                pass(0);
                for (unsigned n = 0; n < 10; n++) {
                        for (unsigned i = 1 + chance(8); i > 0; i--)
                                add(there(), boxes[chance(LENGTH(boxes))], chance(2) ? FLAG_SEEN : 0);
                        rows_fail = true;
                        sync_db("CREATE TRIGGER killed BEFORE INSERT ON letter BEGIN SELECT RAISE(ABORT, "
                                "'killed'); END");
                        for (unsigned i = 1 + chance(3); i > 0; i--) {
                                pass(0);
                                for (unsigned k = chance(6); k > 0; k--)
                                        change_something(here_side());
                        }
                        sync_db("DROP TRIGGER killed");
                        rows_fail = false;
                        pass(0);
                        pass(0);
                        must_be_same();
                        must_be_unique();
                }
                end_all();
        }
}

static void test_sum(void **state)
{
        struct str all = S("Jack fell down and broke his crown, and Jill came tumbling after.");
        struct letter_sum whole = { 0 };
        uint32_t sum;

        (void)state;
        letter_sum_add(&whole, all);
        sum = letter_sum_end(&whole);
        for (size_t a = 0; a <= all.n; a++)
                for (size_t b = a; b <= all.n; b++) {
                        struct letter_sum pieces = { 0 }, less = { 0 };

                        letter_sum_add(&pieces, str_sub(all, 0, a));
                        letter_sum_add(&pieces, str_sub(all, a, b - a));
                        letter_sum_add(&pieces, str_from_at(all, b));
                        assert_int_equal(letter_sum_end(&pieces), sum);
                        letter_sum_add(&less, str_sub(all, 0, a));
                        letter_sum_add(&less, str_from_at(all, b));
                        if (a != b)
                                assert_int_not_equal(letter_sum_end(&less), sum);
                }
}

static void in_a_fiber(void (*body)(void))
{
        spawn((fiber_fn *)(uintptr_t)body, NULL);
        loop_stop();
        loop_run();
        assert_int_equal(fiber_count(), 0);
}

static void test_first(void **state)
{
        (void)state;
        in_a_fiber(first_and_again);
}

static void test_each(void **state)
{
        (void)state;
        in_a_fiber(one_of_each);
}

static void test_without(void **state)
{
        (void)state;
        in_a_fiber(without_what_was_agreed);
}

static void test_chance(void **state)
{
        (void)state;
        in_a_fiber(as_chance_has_it);
}

static void test_cut(void **state)
{
        (void)state;
        in_a_fiber(cut_off);
}

static void test_before_rows(void **state)
{
        (void)state;
        in_a_fiber(before_rows);
}

static int start(void **state)
{
        int rc = begin(state);

        return rc ? rc : offload_start(1, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sum),
                cmocka_unit_test_setup_teardown(test_first, start, finish),
                cmocka_unit_test_setup_teardown(test_each, start, finish),
                cmocka_unit_test_setup_teardown(test_without, start, finish),
                cmocka_unit_test_setup_teardown(test_chance, start, finish),
                cmocka_unit_test_setup_teardown(test_cut, start, finish),
                cmocka_unit_test_setup_teardown(test_before_rows, start, finish),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
