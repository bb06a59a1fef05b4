#include "account_fixture.h"
#include "run/log.h"
#include "store/account_inside.h"
#include "store/boot.h"
#include "store/mailbox.h"
#include <errno.h>
#include <sys/wait.h>

static char folder[] = "/tmp/pail-mailbox-XXXXXX";
static struct accounts *set;
static struct account *jill;
static struct arena m;

static int begin(void **state)
{
        (void)state;
        log_quiet = true;
        if (!mkdtemp(folder))
                return -1;
        arena_init(&m, 32 * 1024 * 1024);
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
        arena_finish(&m);
        fixture_remove(folder);
        memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
        return 0;
}

static uint32_t make(const char *path)
{
        uint32_t mailbox;

        assert_int_equal(mailbox_create(jill, JILL, str_of(path), S(""), &mailbox), 0);
        return mailbox;
}

/* "INBOX A! A/B", '!' where there are letters none, '+' where something is below, '*' where subscribed */
static struct str tree(struct str reader, bool subscribed)
{
        struct mailbox_entry *list;
        struct buf out;
        struct str s;
        size_t n;

        buf_init(&out, 1 << 20);
        assert_int_equal(mailbox_all(jill, reader, &m, &list, &n), 0);
        for (size_t i = 0; i < n; i++) {
                if (list[i].role.n && !subscribed)
                        continue;
                buf_printf(&out, "%s" PRS "%s%s%s", out.n ? " " : "", STR(list[i].path),
                           list[i].bits & MAILBOX_NOSELECT ? "!" : "",
                           list[i].bits & MAILBOX_CHILDREN ? "+" : "",
                           subscribed && list[i].bits & MAILBOX_SUBSCRIBED ? "*" : "");
        }
        s = arena_str(&m, buf_str(&out));
        buf_free(&out);
        return s;
}

static void knows_names(void **state)
{
        static const struct {
                const char *name;
                int rc;
        } rows[] = {
                { "A", 0 },
                { "A/B", 0 },
                { "\xc3\xa4/\xe5\x8c\x97", 0 },
                { "a b.c\\d\"{}()&~", 0 },
                { "...", 0 },
                { "Inbox/x", 0 },
                { "users", 0 },
                { "x/user", 0 },
                { "A", -EEXIST },
                { "inbox", -EEXIST },
                { "Sent", -EEXIST },
                { "", -EINVAL },
                { "/", -EINVAL },
                { "/A", -EINVAL },
                { "A/", -EINVAL },
                { "A//B", -EINVAL },
                { ".", -EINVAL },
                { "..", -EINVAL },
                { "A/../B", -EINVAL },
                { "../../etc", -EINVAL },
                { "A/./B", -EINVAL },
                { "A%", -EINVAL },
                { "*", -EINVAL },
                { "a\tb", -EINVAL },
                { "a\rb", -EINVAL },
                { "a\x7f", -EINVAL },
                { "a\xc2\x85", -EINVAL },
                { "a\xe2\x80\xa8z", -EINVAL },
                { "a\xef\xbf\xbd", -EINVAL },
                { "u\xcc\x88", -EINVAL }, /* in the form that is not composed */
                { "\xff", -EINVAL },
                { "\xc0\xaf", -EINVAL },
                { "\xed\xa0\x80", -EINVAL },
                { "user", -EINVAL },
                { "user/jack@town.com/x", -EINVAL },
                { "shared/x", -EINVAL },
        };
        char longest[260], deep[80];
        uint32_t mailbox;

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                if (mailbox_create(jill, JILL, str_of(rows[i].name), S(""), &mailbox) != rows[i].rc)
                        fail_msg("\"%s\"", rows[i].name);
        assert_int_equal(mailbox_create(jill, JILL, str_from("a\0b", 3), S(""), &mailbox), -EINVAL);
        memset(longest, 'x', sizeof longest);
        assert_int_equal(mailbox_create(jill, JILL, str_from(longest, 255), S(""), &mailbox), 0);
        assert_int_equal(mailbox_create(jill, JILL, str_from(longest, 256), S(""), &mailbox), -EINVAL);
        for (unsigned i = 0; i < sizeof deep; i++)
                deep[i] = i % 2 ? '/' : 'd';
        assert_int_equal(mailbox_create(jill, JILL, str_from(deep, 65), S(""), &mailbox), -EINVAL);
        assert_int_equal(mailbox_create(jill, JILL, str_from(deep, 63), S(""), &mailbox), 0);
}

static void makes_and_lists(void **state)
{
        struct mailbox_entry *list;
        char room[12];
        uint32_t mailbox;
        size_t n;

        (void)state;
        make("b/c/d");
        make("a");
        make("a b");
        make("a/z");
        make("Inbox/in");
        make("b/c/D");
        assert_str(tree(JILL, false), S("INBOX/in a+ a/z a b b+ b/c+ b/c/D b/c/d"));
        assert_int_equal(mailbox_all(jill, JILL, &m, &list, &n), 0);
        assert_str(list[0].path, INBOX);
        assert_str(list[0].role, S("inbox"));
        assert_true(list[0].bits & MAILBOX_CHILDREN);
        for (size_t i = 0; i < n; i++)
                for (size_t k = i + 1; k < n; k++) {
                        assert_int_not_equal(list[i].mailbox, list[k].mailbox);
                        assert_true(list[k].mailbox > 6 ? list[i].uidvalidity != list[k].uidvalidity : true);
                }
        assert_str(mailbox_id(0xab, room), S("Fab"));
        assert_str(mailbox_id(UINT32_MAX, room), S("Fffffffff"));
        assert_str(mailbox_id(1, room), S("F1"));
        assert_int_equal(mailbox_create(jill, JILL, S("w"), S("trash"), &mailbox), -EBUSY);
        assert_int_equal(mailbox_create(jill, JILL, S("w"), S("inbox"), &mailbox), -EINVAL);
        assert_int_equal(mailbox_create(jill, JILL, S("w"), S("water"), &mailbox), -EINVAL);
        assert_int_equal(mailbox_create(jill, JILL, S("w"), S("important"), &mailbox), 0);
        assert_int_equal(mailbox_delete(jill, JILL, S("Trash")), 0);
        assert_int_equal(mailbox_create(jill, JILL, S("Bin"), S("trash"), &mailbox), 0);
        assert_int_equal(mailbox_create(jill, S("jack@town.com"), S("x"), S(""), &mailbox), -EACCES);
}

/* Files n letters there. */
static void fill(const char *mailbox, unsigned n)
{
        struct buf text;

        buf_init(&text, 2000);
        for (unsigned i = 0; i < n; i++) {
                struct filing f;

                fixture_letter(&text, i, 100);
                f = fixture_filing(buf_str(&text));
                f.mailbox = str_of(mailbox);
                assert_int_equal(account_file(jill, &f, 1), 0);
                assert_int_equal(f.error, 0);
        }
        buf_free(&text);
}

static uint32_t letters_in(const char *mailbox)
{
        struct mailbox_view view;
        int rc = account_view(jill, str_of(mailbox), &view);

        return rc ? UINT32_MAX : view.count;
}

static void removes(void **state)
{
        struct mailbox_view before, after;
        uint64_t octets, letters;
        uint32_t first = make("a"), second, b;

        (void)state;
        make("a/b");
        fill("a", 200);
        fill("a/b", 3);
        assert_int_equal(account_view(jill, S("a"), &before), 0);
        assert_int_equal(mailbox_delete(jill, JILL, S("a")), 0);
        assert_str(tree(JILL, false), S("a!+ a/b"));
        assert_int_equal(letters_in("a"), UINT32_MAX);
        assert_int_equal(letters_in("a/b"), 3);
        assert_int_equal(account_usage(jill, &octets, &letters), 0);
        assert_int_equal(letters, 3);
        fill("a", 1); /* a letter for what is only a name comes to INBOX */
        assert_int_equal(letters_in("INBOX"), 1);
        assert_int_equal(mailbox_delete(jill, JILL, S("a")), -ENOTEMPTY);
        second = make("a"); /* it becomes one again, and another one */
        assert_str(tree(JILL, false), S("a+ a/b"));
        assert_int_not_equal(first, second);
        assert_int_equal(account_view(jill, S("a"), &after), 0);
        assert_int_equal(after.count, 0);
        assert_int_not_equal(after.uidvalidity, before.uidvalidity);
        assert_int_equal(mailbox_delete(jill, JILL, S("a/b")), 0);
        b = make("a/b");
        assert_true(b > second);
        assert_int_equal(mailbox_delete(jill, JILL, S("a/b")), 0);
        assert_int_equal(mailbox_delete(jill, JILL, S("a/b")), -ENOENT);
        assert_int_equal(mailbox_delete(jill, JILL, S("a/../b")), -ENOENT);
        assert_int_equal(mailbox_delete(jill, JILL, S("inbox")), -EPERM);
        assert_true(make("a/b") > b);
}

static void gives_other_names(void **state)
{
        static const struct {
                const char *from, *to;
                int rc;
                const char *tree;
        } rows[] = {
                { "a", "z", 0, "x y z+ z/b+ z/b/c" },
                { "z/b", "b", 0, "b+ b/c x y z" },
                { "z", "new/er/z", 0, "b+ b/c new+ new/er+ new/er/z x y" },
                { "b", "b/c/b", -EINVAL, "b+ b/c new+ new/er+ new/er/z x y" },
                { "b", "b/d", -EINVAL, "b+ b/c new+ new/er+ new/er/z x y" },
                { "b", "x", -EEXIST, "b+ b/c new+ new/er+ new/er/z x y" },
                { "b", "b", -EEXIST, "b+ b/c new+ new/er+ new/er/z x y" },
                { "b", "inBOX", -EEXIST, "b+ b/c new+ new/er+ new/er/z x y" },
                { "b", "..", -EINVAL, "b+ b/c new+ new/er+ new/er/z x y" },
                { "nobody", "n", -ENOENT, "b+ b/c new+ new/er+ new/er/z x y" },
                { "b/c", "inbox/c", 0, "INBOX/c b new+ new/er+ new/er/z x y" },
        };
        uint32_t number = make("a"), now_it;
        struct mailbox_view before, after;
        char longest[255];

        (void)state;
        make("a/b/c");
        make("x");
        make("y");
        fill("a", 2);
        assert_int_equal(account_view(jill, S("a"), &before), 0);
        for (size_t i = 0; i < LENGTH(rows); i++) {
                assert_int_equal(mailbox_rename(jill, JILL, str_of(rows[i].from), str_of(rows[i].to)),
                                 rows[i].rc);
                assert_str(tree(JILL, false), str_of(rows[i].tree));
        }
        assert_int_equal(account_view(jill, S("new/er/z"), &after), 0); /* RFC 9051 §6.3.6: as it was */
        assert_int_equal(after.mailbox, number);
        assert_int_equal(after.uidvalidity, before.uidvalidity);
        assert_int_equal(after.count, 2);
        memset(longest, 'x', sizeof longest);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(mailbox_create(jill, JILL,
                                                arena_printf(&m, "l/%.*s/%.*s/%.*s", 255, longest, 255,
                                                             longest, 240 + (int)i, longest),
                                                S(""), &now_it),
                                 0);
        assert_int_equal(mailbox_rename(jill, JILL, S("l"), arena_printf(&m, "%.*s", 252, longest)), -EINVAL);
        assert_int_equal(mailbox_rename(jill, JILL, S("l"), arena_printf(&m, "%.*s", 240, longest)), 0);
}

static void subscribes(void **state)
{
        struct str *names;
        size_t n;

        (void)state;
        make("a");
        assert_str(tree(JILL, true), S("INBOX* Archive* Drafts* Junk* Sent* Trash* a"));
        assert_int_equal(mailbox_subscribe(jill, S("a"), true), 0);
        assert_int_equal(mailbox_subscribe(jill, S("a"), true), 0);
        assert_int_equal(mailbox_subscribe(jill, S("inbox"), false), 0);
        assert_int_equal(mailbox_subscribe(jill, S("user/jack@town.com/plans"), true), 0);
        assert_int_equal(mailbox_subscribe(jill, S("not/there"), true), 0);
        assert_int_equal(mailbox_subscribe(jill, S("never"), false), 0);
        assert_int_equal(mailbox_subscribe(jill, S("a\rb"), true), -EINVAL);
        assert_str(tree(JILL, true), S("INBOX Archive* Drafts* Junk* Sent* Trash* a*"));
        assert_int_equal(mailbox_subscriptions(jill, &m, &names, &n), 0);
        assert_int_equal(n, 8);
        assert_str(names[7], S("user/jack@town.com/plans"));
        assert_str(tree(S("jack@town.com"), true), S(""));
}

static struct str notes(uint32_t reader, uint32_t mailbox)
{
        struct annotation *list;
        struct buf out;
        struct str s;
        size_t n;

        buf_init(&out, 1 << 20);
        assert_int_equal(mailbox_annotations(jill, reader, mailbox, &m, &list, &n), 0);
        for (size_t i = 0; i < n; i++)
                buf_printf(&out, PRS "=" PRS " ", STR(list[i].entry), STR(list[i].value));
        s = arena_str(&m, buf_str(&out));
        buf_free(&out);
        return s;
}

static void annotates(void **state)
{
        static const struct annotation none = { S("/shared/comment"), { NULL, 0 } };
        struct annotation a[2] = { { S("/shared/Comment"), S("ours") },
                                   { S("/private/comment"), S("mine") } };
        uint32_t mailbox = make("a");
        static char large[65537];

        (void)state;
        assert_int_equal(mailbox_annotate(jill, 0, mailbox, a, 2), 0);
        a[1].value = S("his");
        assert_int_equal(mailbox_annotate(jill, 1, mailbox, &a[1], 1), 0);
        assert_str(notes(0, mailbox), S("/private/comment=mine /shared/comment=ours "));
        assert_str(notes(1, mailbox), S("/private/comment=his /shared/comment=ours "));
        assert_str(notes(2, mailbox), S("/shared/comment=ours "));
        assert_str(notes(0, 0), S(""));
        assert_int_equal(mailbox_annotate(jill, 0, mailbox, &none, 1), 0);
        assert_str(notes(0, mailbox), S("/private/comment=mine "));
        a[0].value = str_from("\0x", 2);
        assert_int_equal(mailbox_annotate(jill, 0, 0, a, 1), 0);
        a[0].value = S("");
        assert_int_equal(mailbox_annotate(jill, 0, 0, a, 1), 0);
        assert_str(notes(0, 0), S("/shared/comment= "));
        a[0].entry = S("/public/x");
        assert_int_equal(mailbox_annotate(jill, 0, mailbox, a, 1), -EINVAL);
        a[0].entry = S("/private/");
        assert_int_equal(mailbox_annotate(jill, 0, mailbox, a, 1), -EINVAL);
        a[0] = (struct annotation){ S("/private/x"), str_from(large, sizeof large) };
        assert_int_equal(mailbox_annotate(jill, 0, mailbox, a, 1), -E2BIG);
        assert_int_equal(mailbox_annotate(jill, 0, 99, a + 1, 1), -ENOENT);
        for (unsigned i = 0; i < 1000; i++) {
                a[0] = (struct annotation){ arena_printf(&m, "/private/n%u", i), S("") };
                assert_int_equal(mailbox_annotate(jill, 0, mailbox, a, 1), i < 999 ? 0 : -ENOSPC);
        }
        assert_int_equal(mailbox_delete(jill, JILL, S("a")), 0);
        assert_str(notes(1, mailbox), S(""));
}

/* What was given out before a power cut is not given out again: neither a mailbox's number nor its uidvalidity. */
static void numbers_jump_after_an_unclean_boot(void **state)
{
        uint32_t before = make("a"), after;
        struct mailbox_view old, new;
        int status;

        (void)state;
        assert_int_equal(account_view(jill, S("a"), &old), 0);
        account_put(&jill);
        accounts_close(&set);
        if (!fork()) {
                set = fixture_open(folder, 4);
                _exit(account_get(set, JILL, &jill) || mailbox_delete(jill, JILL, S("a")));
        }
        wait(&status);
        assert_int_equal(status, 0);
        boot_id_for_tests("after a power cut");
        set = fixture_open(folder, 4);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        after = make("a");
        assert_true(after > before + 1000);
        assert_int_equal(account_view(jill, S("a"), &new), 0);
        assert_true(new.uidvalidity > old.uidvalidity);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(knows_names, begin, end),
                cmocka_unit_test_setup_teardown(makes_and_lists, begin, end),
                cmocka_unit_test_setup_teardown(removes, begin, end),
                cmocka_unit_test_setup_teardown(gives_other_names, begin, end),
                cmocka_unit_test_setup_teardown(subscribes, begin, end),
                cmocka_unit_test_setup_teardown(annotates, begin, end),
                cmocka_unit_test_setup_teardown(numbers_jump_after_an_unclean_boot, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
