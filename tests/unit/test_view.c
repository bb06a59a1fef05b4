/* A folder as rows: orders, threads, patterns, and what changes meanwhile. */
#include "unit.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/offload.h"
#include "account_fixture.h"
#include "cli/mail/view.h"
#include <errno.h>

static char home[] = "/tmp/pail-view-XXXXXX";

static const char *const letters[] = {
        "From: Jack <jack@town.com>\r\nTo: jill@hill.com\r\nSubject: water\r\nMessage-ID: <1@t>\r\n"
        "Date: Fri, 20 Nov 2026 10:00:00 +0000\r\n\r\nPlease fetch me a pail of water.\r\n",
        "From: Ann <ann@town.com>\r\nTo: jill@hill.com\r\nSubject: apples\r\nMessage-ID: <2@t>\r\n"
        "Date: Thu, 19 Nov 2026 10:00:00 +0000\r\n\r\nNone left.\r\n",
        "From: jill@hill.com\r\nTo: Jack <jack@town.com>\r\nSubject: Re: water\r\nMessage-ID: "
        "<3@t>\r\nReferences: <1@t>\r\n"
        "Date: Fri, 20 Nov 2026 11:00:00 +0000\r\n\r\nWhich hill?\r\n",
        "From: Zo\xc3\xab <zoe@town.com>\r\nTo: jill@hill.com\r\nSubject: "
        "=?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <4@t>\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: image/png\r\n"
        "Content-Disposition: attachment\r\n\r\nx\r\n--b--\r\n",
        "From: Jack <jack@town.com>\r\nSubject: Re: water\r\nMessage-ID: <5@t>\r\nIn-Reply-To: "
        "<3@t>\r\nReferences: <1@t> <3@t>\r\n"
        "Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n\r\nThe one you know.\r\n",
};

struct world {
        struct copy *copy;
        struct view *view;
};

static void begin(struct world *w)
{
        struct login l = { .address = (char *)(uintptr_t) "jill@hill.com", .how = INCOMING_IMAP };
        struct buf auto_buf why = { 0 };

        buf_init(&why, 1000);
        memcpy(home + sizeof home - 7, "XXXXXX", 6);
        assert_non_null(mkdtemp(home));
        setenv("XDG_DATA_HOME", home, 1);
        assert_int_equal(copy_open(&w->copy, &l, &why), 0);
        for (size_t i = 0; i < LENGTH(letters); i++)
                assert_int_equal(
                    copy_append(w->copy, INBOX, str_of(letters[i]), i == 1 ? FLAG_SEEN : 0, NULL), 0);
        assert_int_equal(view_open(&w->view, w->copy, INBOX), 0);
}

static void end(struct world *w)
{
        view_close(&w->view);
        copy_close(&w->copy);
        fixture_remove(home);
}

/* The uids shown, one digit each; depth by dots before it; "+N" what it hides. */
static void shows(struct view *v, const char *want)
{
        struct buf auto_buf got = { 0 };
        const struct view_row *rows;

        buf_init(&got, 1000);
        assert_int_equal(view_rows(v, 0, view_count(v), &rows), 0);
        for (size_t i = 0; i < view_count(v); i++) {
                for (unsigned d = 0; d < rows[i].depth; d++)
                        buf_puts(&got, S("."));
                buf_printf(&got, "%u", rows[i].uid);
                if (rows[i].hidden)
                        buf_printf(&got, "+%u", rows[i].hidden);
        }
        assert_str(buf_str(&got), str_of(want));
}

static void rows_and_orders(void)
{
        struct world w;
        const struct view_row *rows;

        begin(&w);
        shows(w.view, "12345");
        assert_int_equal(view_rows(w.view, 3, 1, &rows), 0);
        assert_str(rows[0].from, S("Zo\xc3\xab"));
        assert_str(rows[0].subject, S("Gr\xc3\xbc\xc3\x9f"
                                      "e"));
        assert_true(rows[0].attachments);
        assert_int_equal(view_rows(w.view, 0, 1, &rows), 0);
        assert_false(rows[0].attachments);
        assert_int_equal(rows[0].date, 1795168800);
        assert_int_equal(view_sort(w.view, VIEW_FROM, false), 0);
        shows(w.view, "21534");
        assert_int_equal(view_sort(w.view, VIEW_SUBJECT, true), 0);
        shows(w.view, "53142");
        assert_int_equal(view_sort(w.view, VIEW_THREADS, false), 0);
        shows(w.view, "241.3..5");
        view_fold(w.view, 2, true);
        shows(w.view, "241+2");
        view_fold(w.view, 2, false);
        shows(w.view, "241.3..5");
        end(&w);
}

static void patterns(void)
{
        static const struct {
                const char *pattern, *uids;
        } rows[] = {
                { "", "12345" },
                { "~f jack", "15" },
                { "~f jack ~s re", "5" },
                { "~f ann | ~t jack", "23" },
                { "!~f jack", "234" },
                { "!(~f jack | ~N)", "2" },
                { "~R", "2" },
                { "gr\xc3\xbc"
                  "sse",
                  "4" },
                { "~b \"pail of\"", "1" },
                { "~z <1k", "12345" },
                { "~z >1k", "" },
                { "~d <1d", "12345" },
                { "~d 2001-01-01..2001-12-31", "" },
                { "~h \"Message-ID: 3@t\"", "3" },
                { "~A", "12345" },
        };
        static const char *const wrong[] = { "~",      "~y x",   "(~f x", "~f", "~d yesterday",
                                             "~z big", "\"open", "~f x)" };
        struct world w;

        begin(&w);
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct buf auto_buf why = { 0 };

                buf_init(&why, 1000);
                assert_int_equal(view_limit(w.view, str_of(rows[i].pattern), &why), 0);
                shows(w.view, rows[i].uids);
        }
        for (size_t i = 0; i < LENGTH(wrong); i++) {
                struct buf auto_buf why = { 0 };

                buf_init(&why, 1000);
                assert_int_equal(view_limit(w.view, str_of(wrong[i]), &why), -EINVAL);
                assert_int_not_equal(why.n, 0);
                shows(w.view, "12345");
        }
        end(&w);
}

static void what_changes_meanwhile(void)
{
        struct world w;
        struct access x = { 0 };
        struct uid_range second = { 2, 2 };
        struct uid_list gone = { 0 };

        begin(&w);
        shows(w.view, "12345");
        assert_int_equal(copy_access(w.copy, &x, INBOX, RIGHTS_ALL), 0);
        assert_int_equal(change_expunge(&x, &second, 1, false, &gone), 0);
        uid_list_free(&gone);
        access_close(&x);
        assert_int_equal(copy_append(w.copy, INBOX, str_of(letters[0]), 0, NULL), 0);
        assert_int_equal(view_look(w.view), 0);
        shows(w.view, "13456");
        assert_int_equal(view_find(w.view, 5), 3);
        assert_int_equal(view_find(w.view, 2), SIZE_MAX);
        end(&w);
}

static void fiber(void *arg)
{
        (*(void (**)(void))arg)();
}

static void in_fiber(void (*body)(void))
{
        loop_init();
        assert_int_equal(offload_start(1, 1), 0);
        assert_int_equal(fiber_spawn("test", fiber, &body), 0);
        loop_stop();
        loop_run();
        offload_finish();
        loop_finish();
}

static void test_rows(void **state)
{
        (void)state;
        in_fiber(rows_and_orders);
}

static void test_patterns(void **state)
{
        (void)state;
        in_fiber(patterns);
}

static void test_changes(void **state)
{
        (void)state;
        in_fiber(what_changes_meanwhile);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_patterns),
                cmocka_unit_test(test_changes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
