#include "account_fixture.h"
#include "run/log.h"
#include "store/body.h"
#include "store/outbox.h"
#include <errno.h>

static char folder[] = "/tmp/pail-outbox-XXXXXX";
static struct outbox *outbox;
static struct arena arena;

static int open_folder(const char *name)
{
        char path[64];

        snprintf(path, sizeof path, "%s/%s", folder, name);
        mkdir(path, 0700);
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void reopen(void)
{
        outbox_close(&outbox);
        assert_int_equal(outbox_open(&outbox, open_folder("outbox")), 0);
}

static int begin(void **state)
{
        (void)state;
        memcpy(folder, "/tmp/pail-outbox-XXXXXX", sizeof folder);
        assert_non_null(mkdtemp(folder));
        arena_init(&arena, 1 << 24);
        reopen();
        return 0;
}

static int end(void **state)
{
        (void)state;
        outbox_close(&outbox);
        arena_finish(&arena);
        fixture_remove(folder);
        return 0;
}

static struct action to_one = { .number = 3,
                                .kind = ACTION_SEND,
                                .address = S("alice@crepes.fr"),
                                .original = S("Alice@Crepes.FR"),
                                .reason = S("no sending yet") };
static struct action to_two = {
        .number = 4, .kind = ACTION_REPLY, .address = S("jack@town.com"), .reason = S("moved")
};
static const struct action *const both[] = { &to_one, &to_two };

static int put(uint64_t sequence, unsigned count, struct str text, const char *staged)
{
        struct envelope e = { .sender = S("jack@town.com"), .received = 77, .size = text.n };
        struct outbox_put p = { .segment = sequence ? 5 : 0,
                                .sequence = sequence,
                                .envelope = &e,
                                .actions = both,
                                .count = count,
                                .text = staged ? S("") : text,
                                .staged_dir = -1,
                                .staged_name = staged,
                                .error = 99 };
        int rc;

        if (staged)
                p.staged_dir = open_folder("intake");
        rc = outbox_put(outbox, &p, 1);
        if (staged)
                close(p.staged_dir);
        return rc ? rc : p.error;
}

static struct outbox_letter *letters(size_t want)
{
        struct outbox_letter *list;
        size_t n;

        assert_int_equal(outbox_list(outbox, &arena, &list, &n), 0);
        assert_int_equal(n, want);
        return list;
}

static void healthy(unsigned want)
{
        struct buf words;
        unsigned wrong = 0;

        buf_init(&words, 10000);
        assert_int_equal(outbox_check(outbox, &words, &wrong), 0);
        if (wrong != want)
                print_error(PRS, STR(buf_str(&words)));
        assert_int_equal(wrong, want);
        buf_free(&words);
}

static void shows(uint64_t id, struct str want)
{
        struct outbox_letter l;
        struct buf text;

        buf_init(&text, 1 << 20);
        assert_int_equal(outbox_show(outbox, id, &arena, &l, &text), 0);
        assert_int_equal(l.size, want.n);
        assert_str(buf_str(&text), want);
        buf_free(&text);
}

static void keeps_letters_once(void **state)
{
        struct outbox_letter *l;

        (void)state;
        assert_int_equal(put(1, 2, S("first\0letter"), NULL), 0);
        assert_int_equal(put(1, 2, S("first\0letter"), NULL), 0);
        assert_int_equal(put(2, 1, S("second"), NULL), 0);
        reopen();
        assert_int_equal(put(2, 1, S("second"), NULL), 0);
        assert_int_equal(put(0, 1, S("from a verb"), NULL), 0); /* not from the log: each counts */
        assert_int_equal(put(0, 1, S("from a verb"), NULL), 0);
        l = letters(4);
        assert_str(l[0].sender, S("jack@town.com"));
        assert_str(l[0].recipients, S("alice@crepes.fr (no sending yet)\njack@town.com (moved)"));
        assert_int_equal(l[0].waiting, 2);
        assert_int_equal(l[0].received, 77);
        assert_int_equal(l[1].waiting, 1);
        shows(l[0].id, S("first\0letter"));
        shows(l[1].id, S("second"));
        healthy(0);
}

static void removes(void **state)
{
        struct outbox_letter l;
        uint64_t id;
        struct buf text;

        (void)state;
        buf_init(&text, 100);
        assert_int_equal(put(1, 2, S("first"), NULL), 0);
        id = letters(1)[0].id;
        assert_int_equal(outbox_remove(outbox, id + 1), -ENOENT);
        assert_int_equal(outbox_remove(outbox, id), 0);
        assert_int_equal(outbox_remove(outbox, id), -ENOENT);
        assert_int_equal(outbox_show(outbox, id, &arena, &l, &text), -ENOENT);
        letters(0);
        assert_int_equal(put(1, 2, S("first"), NULL), 0); /* a replay does not bring it back */
        letters(0);
        assert_int_equal(put(2, 1, S("next"), NULL), 0);
        assert_true(letters(1)[0].id > id);
        healthy(0);
        buf_free(&text);
}

static void stage(const char *name, struct str text)
{
        int dir = open_folder("intake");
        struct body_stage *b;

        assert_int_equal(body_stage_open(&b, dir, name), 0);
        assert_int_equal(body_stage_put(b, text), 0);
        assert_int_equal(body_stage_finish(b), 0);
        body_stage_close(&b, true);
        close(dir);
}

static unsigned bodies(void)
{
        int dir = open_folder("outbox/bodies");
        char name[24];
        unsigned n = 0;

        for (uint64_t id = 0; id < 20; id++) {
                body_name(id, name);
                n += faccessat(dir, name, F_OK, 0) == 0;
        }
        close(dir);
        return n;
}

static void links_long_letters(void **state)
{
        struct buf text;
        uint64_t id;
        char name[24];
        int dir;

        (void)state;
        buf_init(&text, 200000);
        fixture_letter(&text, 1, 150000);
        stage("a.body", buf_str(&text));
        assert_int_equal(put(1, 2, buf_str(&text), "a.body"), 0);
        assert_int_equal(put(1, 2, buf_str(&text), "a.body"), 0);
        assert_int_equal(bodies(), 1);
        assert_int_equal(put(2, 1, buf_str(&text), "missing.body"), -ENOENT); /* this one only */
        id = letters(1)[0].id;
        shows(id, buf_str(&text));
        assert_int_equal(outbox_settle(outbox), 0);
        healthy(0);
        dir = open_folder("outbox/bodies"); /* what a crash between link and commit leaves */
        body_name(15, name);
        assert_int_equal(symlinkat("x", dir, name), 0);
        healthy(1);
        reopen();
        healthy(0);
        shows(id, buf_str(&text));
        body_name(id, name);
        assert_int_equal(unlinkat(dir, name, 0), 0);
        healthy(1);
        assert_int_equal(outbox_remove(outbox, id), 0);
        assert_int_equal(bodies(), 0);
        healthy(0);
        close(dir);
        buf_free(&text);
}

static bool exists(void *context, uint64_t segment)
{
        return segment == *(uint64_t *)context;
}

static void forgets_what_the_log_forgot(void **state)
{
        uint64_t there = 5;

        (void)state;
        assert_int_equal(put(1, 1, S("first"), NULL), 0);
        outbox_segments(outbox, exists, &there);
        assert_int_equal(outbox_settle(outbox), 0);
        assert_int_equal(put(1, 1, S("first"), NULL), 0);
        letters(1);
        there = 6;
        assert_int_equal(outbox_settle(outbox), 0);
        assert_int_equal(put(1, 1, S("first"), NULL), 0);
        letters(2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(keeps_letters_once, begin, end),
                cmocka_unit_test_setup_teardown(removes, begin, end),
                cmocka_unit_test_setup_teardown(links_long_letters, begin, end),
                cmocka_unit_test_setup_teardown(forgets_what_the_log_forgot, begin, end),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
