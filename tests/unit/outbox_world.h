/* What the tests of the outbox share: one in a folder of its own, letters for two, and short words for its calls. */
#pragma once
#include "account_fixture.h"
#include "run/log.h"
#include "store/body.h"
#include "store/outbox_inside.h"
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
        static struct outbox_letter list[50];
        static const struct outbox_filter any;
        size_t n = 50;

        assert_int_equal(outbox_list(outbox, &any, 0, &arena, list, &n), 0);
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

static uint64_t order(enum outbox_order what, uint64_t letter)
{
        struct outbox_filter f = { .letter = letter };
        uint64_t n;

        assert_int_equal(outbox_order(outbox, what, &f, &n), 0);
        return n;
}

static uint64_t due(int64_t now, size_t want, const char *first)
{
        struct outbox_destination list[10];
        int64_t next;
        size_t n = 10;

        assert_int_equal(outbox_due(outbox, now, &arena, list, &n, &next), 0);
        assert_int_equal(n, want);
        if (!n)
                return 0;
        assert_str(list[0].name, str_of(first));
        return list[0].id;
}

static size_t take(uint64_t destination, int64_t now, struct outbox_job *jobs, size_t most)
{
        size_t n = most;

        assert_int_equal(outbox_take(outbox, destination, now, jobs, &n, 100), 0);
        return n;
}

static void done(struct outbox_job *j, enum outcome outcome, int64_t next, const struct outbox_report *report)
{
        struct outbox_result results[10];
        struct outbox_done d = { .letter = j->letter,
                                 .destination = j->destination,
                                 .results = results,
                                 .count = j->count,
                                 .reports = report,
                                 .report_count = report != NULL,
                                 .conversation = S("S: 220 mx.crepes.fr\n"),
                                 .at = 1000 };

        for (unsigned i = 0; i < j->count; i++)
                results[i] =
                    (struct outbox_result){ j->recipients[i].number, outcome,          next, S("4.2.0"),
                                            S("450 later"),          S("mx.crepes.fr") };
        assert_int_equal(outbox_done(outbox, &d), 0);
        outbox_job_free(j);
}
