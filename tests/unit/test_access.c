/* The gate: every right, every function that needs it, and what those see who have none. */
#include "account_fixture.h"
#include "run/log.h"
#include "store/account_inside.h"
#include "store/mailbox.h"
#include <errno.h>

#define JACK  S("jack@town.com")
#define WORK  S("Work")
#define OTHER S("Other")

static char folder[] = "/tmp/pail-access-XXXXXX";
static struct accounts *set;
static struct account *jill;
static uint32_t uid;

static void grant(struct str mailbox, struct str who, unsigned rights)
{
        struct access x;

        assert_int_equal(access_open(&x, set, JILL, JILL, mailbox, RIGHT_ADMIN), 0);
        assert_int_equal(mailbox_set_acl(&x, NULL, who, ACL_SET, rights), 0);
        access_close(&x);
}

static int begin(void **state)
{
        struct buf text;
        struct filing f;
        uint32_t mailbox;

        (void)state;
        log_quiet = true;
        if (!mkdtemp(folder))
                return -1;
        set = fixture_open(folder, 4);
        assert_int_equal(account_create(set, JILL), 0);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        assert_int_equal(mailbox_create(jill, JILL, WORK, S(""), &mailbox), 0);
        assert_int_equal(mailbox_create(jill, JILL, OTHER, S(""), &mailbox), 0);
        buf_init(&text, 2000);
        fixture_letter(&text, 1, 300);
        f = fixture_filing(buf_str(&text));
        f.mailbox = WORK;
        assert_int_equal(account_file(jill, &f, 1), 0);
        uid = f.uid;
        buf_free(&text);
        return 0;
}

static int end(void **state)
{
        (void)state;
        account_put(&jill);
        accounts_close(&set);
        fixture_remove(folder);
        memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
        return 0;
}

/* ---- the functions; x and y are jack's accesses to Work and Other ---- */

static int list(struct access *x, struct access *y)
{
        struct placed_list l = { 0 };
        int rc = change_list(x, &(struct uid_range){ 1, UINT32_MAX }, 1, 0, &l);

        (void)y;
        placed_list_free(&l);
        return rc;
}

static int since(struct access *x, struct access *y)
{
        struct placed_list changed = { 0 };
        struct uid_list gone = { 0 };
        struct mailbox_status now;
        int rc = change_since(x, 1, 1, &changed, &gone, &now);

        (void)y;
        placed_list_free(&changed);
        uid_list_free(&gone);
        return rc;
}

static int selects(struct access *x, struct access *y)
{
        struct mailbox_status st;

        (void)y;
        return change_select(x, false, &st);
}

static int flag(struct access *x, uint64_t flags)
{
        struct uid_range one = { uid, uid };
        struct flags_change c = {
                .uids = &one, .n = 1, .how = FLAGS_ADD, .flags = flags, .unchanged_since = UINT64_MAX
        };
        int rc = change_flags(x, &c);

        placed_list_free(&c.changed);
        uid_list_free(&c.modified);
        return rc;
}

static int seen(struct access *x, struct access *y)
{
        (void)y;
        return flag(x, FLAG_SEEN);
}

static int flagged(struct access *x, struct access *y)
{
        (void)y;
        return flag(x, FLAG_FLAGGED);
}

static int marks_deleted(struct access *x, struct access *y)
{
        (void)y;
        return flag(x, FLAG_DELETED);
}

static int copies(struct access *x, struct access *y)
{
        struct copied c = { 0 };
        int rc = change_copy(x, &(struct uid_range){ uid, uid }, 1, y, UINT64_MAX, &c);

        copied_free(&c);
        return rc;
}

static int moves(struct access *x, struct access *y)
{
        struct copied c = { 0 };
        int rc = change_move(x, &(struct uid_range){ uid, uid }, 1, y, UINT64_MAX, &c);

        copied_free(&c);
        return rc;
}

static int expunges(struct access *x, struct access *y)
{
        struct uid_list gone = { 0 };
        int rc = change_expunge(x, &(struct uid_range){ uid, uid }, 1, false, &gone);

        (void)y;
        uid_list_free(&gone);
        return rc;
}

static int appends(struct access *x, struct access *y)
{
        struct filing f = fixture_filing(S("Subject: x\r\n\r\nx\r\n"));

        (void)y;
        return change_append(x, &f, 1, UINT64_MAX);
}

static int new_keyword(struct access *x, struct access *y)
{
        unsigned bit;

        (void)y;
        return change_keyword(x, S("pail"), &bit);
}

static int reads_acl(struct access *x, struct access *y)
{
        struct arena m auto_arena;
        struct acl_entry *entries;
        size_t n;

        (void)y;
        arena_init(&m, 1 << 20);
        return mailbox_acl(x, &m, &entries, &n);
}

static int writes_acl(struct access *x, struct access *y)
{
        (void)y;
        return mailbox_set_acl(x, NULL, S("alice@crepes.fr"), ACL_SET, RIGHT_LOOKUP);
}

static int creates(struct access *x, struct access *y)
{
        uint32_t mailbox;

        (void)y;
        return mailbox_create(x->account, JACK, S("Work/below"), S(""), &mailbox);
}

static int deletes(struct access *x, struct access *y)
{
        (void)y;
        return mailbox_delete(x->account, JACK, WORK);
}

static int renames(struct access *x, struct access *y)
{
        (void)y;
        return mailbox_rename(x->account, JACK, WORK, S("Other/work"));
}

static const struct {
        const char *what;
        int (*does)(struct access *x, struct access *y);
        unsigned here, there; /* rights in Work and in Other without each of which it is denied */
} rows[] = {
        { "list", list, RIGHT_READ, 0 },
        { "since", since, RIGHT_READ, 0 },
        { "select", selects, RIGHT_READ, 0 },
        { "\\Seen", seen, RIGHT_SEEN, 0 },
        { "\\Flagged", flagged, RIGHT_WRITE, 0 },
        { "\\Deleted", marks_deleted, RIGHT_DELETE, 0 },
        { "copy", copies, RIGHT_READ, RIGHT_INSERT },
        { "move", moves, RIGHT_READ | RIGHT_DELETE | RIGHT_EXPUNGE, RIGHT_INSERT },
        { "expunge", expunges, RIGHT_EXPUNGE, 0 },
        { "append", appends, RIGHT_INSERT, 0 },
        { "read acl", reads_acl, RIGHT_ADMIN, 0 },
        { "write acl", writes_acl, RIGHT_ADMIN, 0 },
        { "create", creates, RIGHT_CREATE, 0 },
        { "delete", deletes, RIGHT_DELETE_MAILBOX, 0 },
        { "rename", renames, RIGHT_DELETE_MAILBOX, RIGHT_CREATE },
};

static int as_jack(size_t row, unsigned here, unsigned there)
{
        struct access x, y;
        int rc;

        grant(WORK, JACK, here | RIGHT_LOOKUP);
        grant(OTHER, JACK, there | RIGHT_LOOKUP);
        assert_int_equal(access_open(&x, set, JACK, JILL, WORK, 0), 0);
        assert_int_equal(access_open(&y, set, JACK, JILL, OTHER, 0), 0);
        assert_int_equal(x.rights, here | RIGHT_LOOKUP);
        rc = rows[row].does(&x, &y);
        access_close(&x);
        access_close(&y);
        return rc;
}

/* With all rights but one of those it needs: denied. With those alone: done. */
static void every_function_asks(void **state)
{
        for (size_t i = 0; i < LENGTH(rows); i++) {
                int rc;

                for (unsigned bit = 0; bit < 11; bit++) {
                        if (rows[i].here & 1u << bit &&
                            (rc = as_jack(i, RIGHTS_ALL & ~(1u << bit), RIGHTS_ALL)) != -EACCES)
                                fail_msg("%s without %u here: %d", rows[i].what, 1u << bit, rc);
                        if (rows[i].there & 1u << bit &&
                            (rc = as_jack(i, RIGHTS_ALL, RIGHTS_ALL & ~(1u << bit))) != -EACCES)
                                fail_msg("%s without %u there: %d", rows[i].what, 1u << bit, rc);
                }
                if ((rc = as_jack(i, rows[i].here, rows[i].there)))
                        fail_msg("%s with what it needs: %d", rows[i].what, rc);
                end(state);
                begin(state);
        }
}

static void a_new_keyword_needs_w_or_i(void **state)
{
        struct access x;

        (void)state;
        grant(WORK, JACK, RIGHTS_ALL & ~(unsigned)(RIGHT_WRITE | RIGHT_INSERT));
        assert_int_equal(access_open(&x, set, JACK, JILL, WORK, 0), 0);
        assert_int_equal(new_keyword(&x, NULL), -EACCES);
        access_close(&x);
        grant(WORK, JACK, RIGHT_LOOKUP | RIGHT_INSERT);
        assert_int_equal(access_open(&x, set, JACK, JILL, WORK, 0), 0);
        assert_int_equal(new_keyword(&x, NULL), 0);
        access_close(&x);
}

static int opens(struct str reader, struct str mailbox, unsigned needs)
{
        struct access x;
        int rc = access_open(&x, set, reader, JILL, mailbox, needs);

        access_close(&x);
        return rc;
}

/* Without l there is nothing, whatever else is granted; with l alone it may be known, and no more. */
static void what_may_not_be_looked_up_is_not_there(void **state)
{
        uint32_t mailbox;

        (void)state;
        assert_int_equal(opens(JACK, WORK, 0), -ENOENT);
        assert_int_equal(opens(JACK, S("Nothing"), 0), -ENOENT);
        grant(WORK, JACK, RIGHTS_ALL & ~(unsigned)RIGHT_LOOKUP);
        assert_int_equal(opens(JACK, WORK, RIGHT_READ), -ENOENT);
        assert_int_equal(mailbox_delete(jill, JACK, WORK), -ENOENT);
        assert_int_equal(mailbox_rename(jill, JACK, WORK, S("Work2")), -ENOENT);
        assert_int_equal(mailbox_create(jill, JACK, WORK, S(""), &mailbox), -EACCES);
        assert_int_equal(mailbox_create(jill, JACK, S("Elsewhere"), S(""), &mailbox), -EACCES);
        grant(OTHER, JACK, RIGHT_LOOKUP | RIGHT_DELETE_MAILBOX);
        assert_int_equal(mailbox_rename(jill, JACK, OTHER, WORK), -EACCES); /* is it there or not? */
        assert_int_equal(mailbox_rename(jill, JACK, OTHER, S("Free")), -EACCES);
        grant(WORK, JACK, RIGHT_LOOKUP);
        assert_int_equal(opens(JACK, WORK, 0), 0);
        assert_int_equal(opens(JACK, WORK, RIGHT_READ), -EACCES);
        assert_int_equal(opens(JILL, WORK, RIGHTS_ALL), 0);
        assert_int_equal(opens(JILL, S("Nothing"), 0), -ENOENT);
        assert_int_equal(opens(S("jill"), WORK, 0), -ENOENT);
}

static void who_is_meant(void **state)
{
        static const struct {
                struct str reader;
                unsigned rights; /* of those set up below */
        } people[] = {
                { S("jack@town.com"), RIGHT_LOOKUP | RIGHT_SEEN },
                { S("joe@town.com"), RIGHT_LOOKUP | RIGHT_READ | RIGHT_SEEN },
                { S("joe@down.town.com"), RIGHT_LOOKUP | RIGHT_READ },
                { S("alice@crepes.fr"), RIGHT_LOOKUP | RIGHT_READ | RIGHT_WRITE },
                { S("anyone"), RIGHT_LOOKUP | RIGHT_READ },
                { S("$town.com"), RIGHT_LOOKUP | RIGHT_READ },
                { S("-alice@crepes.fr"), RIGHT_LOOKUP | RIGHT_READ },
        };
        struct access x;

        (void)state;
        grant(WORK, S("anyone"), RIGHT_LOOKUP | RIGHT_READ);
        grant(WORK, S("$town.com"), RIGHT_SEEN);
        grant(WORK, S("-jack@town.com"), RIGHT_READ | RIGHT_WRITE);
        grant(WORK, S("-$crepes.fr"), RIGHT_SEEN | RIGHT_ADMIN);
        grant(WORK, S("Alice@Crepes.fr"), RIGHT_WRITE | RIGHT_ADMIN);
        for (size_t i = 0; i < LENGTH(people); i++) {
                assert_int_equal(access_open(&x, set, people[i].reader, JILL, WORK, 0), 0);
                assert_int_equal(x.rights, people[i].rights);
                access_close(&x);
        }
}

static void rights_are_inherited_and_taken_back(void **state)
{
        struct access_key key = { 0 };
        uint32_t mailbox, number;
        struct access x;

        (void)state;
        grant(WORK, JACK, RIGHT_LOOKUP | RIGHT_READ | RIGHT_CREATE);
        assert_int_equal(mailbox_create(jill, JACK, S("Work/a/b"), S(""), &mailbox), 0);
        assert_int_equal(mailbox_create(jill, JACK, S("Work/x"), S("all"), &mailbox), -EACCES);
        assert_int_equal(access_open(&x, set, JACK, JILL, S("Work/a/b"), RIGHT_READ), 0);
        assert_int_equal(x.rights, RIGHT_LOOKUP | RIGHT_READ | RIGHT_CREATE);
        number = x.reader_number;
        assert_int_not_equal(number, 0);
        access_keep(&x, &key);
        access_close(&x);
        grant(WORK, JACK, 0);
        assert_int_equal(access_again(&x, set, JACK, &key, RIGHT_READ), 0); /* that one's own list decides */
        assert_int_equal(x.reader_number, number);
        access_close(&x);
        assert_int_equal(access_again(&x, set, JACK, &key, RIGHT_WRITE), -EACCES);
        access_close(&x);
        grant(S("Work/a/b"), JACK, 0);
        assert_int_equal(access_again(&x, set, JACK, &key, RIGHT_READ), -ESTALE);
        access_close(&x);
        assert_int_equal(access_again(&x, set, JILL, &key, RIGHTS_ALL), 0);
        access_close(&x);
        assert_int_equal(mailbox_delete(jill, JILL, S("Work/a/b")), 0);
        assert_int_equal(mailbox_create(jill, JILL, S("Work/a/b"), S(""), &mailbox), 0);
        assert_int_equal(access_again(&x, set, JILL, &key, 0), -ESTALE);
        access_close(&x);
        access_forget(&key);
        /* a name above others holds nothing */
        assert_int_equal(mailbox_delete(jill, JILL, S("Work")), 0);
        assert_int_equal(opens(JILL, S("Work"), RIGHT_READ), -ENOENT);
        assert_int_equal(access_open(&x, set, JILL, JILL, S("Work"), RIGHT_ADMIN), 0);
        assert_int_equal(list(&x, NULL), -EACCES);
        assert_int_equal(appends(&x, NULL), -EACCES);
        access_close(&x);
        /* nor does the account itself */
        assert_int_equal(access_open_top(&x, set, JILL, JILL, 0), 0);
        assert_int_equal(appends(&x, NULL), -EACCES);
        access_close(&x);
        assert_int_equal(access_open_top(&x, set, JACK, JILL, 0), -ENOENT);
        access_close(&x);
}

static void reads_letters_of_rights(void **state)
{
        static const struct {
                const char *text, *back;
        } texts[] = { { "", "" },
                      { "lrswipkxtea", "lrswipkxtea" },
                      { "aetxkpiwsrl", "lrswipkxtea" },
                      { "c", "kx" },
                      { "d", "te" },
                      { "ldl", "lte" },
                      { "L", NULL },
                      { "lq", NULL },
                      { "l r", NULL },
                      { "+l", NULL },
                      { "0", NULL } };
        char room[16];
        unsigned rights;

        (void)state;
        for (size_t i = 0; i < LENGTH(texts); i++) {
                bool good = rights_parse(str_of(texts[i].text), &rights);

                assert_int_equal(good, texts[i].back != NULL);
                if (good)
                        assert_str(rights_text(rights, room), str_of(texts[i].back));
        }
}

static void lists_are_kept_well(void **state)
{
        static const struct str bad[] = { S(""), S("-"), S("--x"), S("$"), S("-$"), S("a\tb"), S("\xff") };
        struct arena m auto_arena;
        struct acl_entry *entries;
        struct access x;
        size_t n;

        (void)state;
        arena_init(&m, 1 << 20);
        assert_int_equal(access_open(&x, set, JILL, JILL, WORK, RIGHT_ADMIN), 0);
        for (size_t i = 0; i < LENGTH(bad); i++)
                assert_int_equal(mailbox_set_acl(&x, NULL, bad[i], ACL_SET, RIGHT_READ), -EINVAL);
        assert_int_equal(mailbox_set_acl(&x, NULL, JILL, ACL_SET, 0), -EPERM);
        assert_int_equal(mailbox_set_acl(&x, NULL, S("-JILL@hill.com"), ACL_ADD, RIGHT_READ), -EPERM);
        assert_int_equal(mailbox_set_acl(&x, NULL, JACK, ACL_ADD, RIGHT_READ), 0);
        assert_int_equal(mailbox_set_acl(&x, NULL, JACK, ACL_ADD, RIGHT_SEEN), 0);
        assert_int_equal(mailbox_set_acl(&x, NULL, JACK, ACL_REMOVE, RIGHT_READ), 0);
        assert_int_equal(mailbox_set_acl(&x, NULL, S("anyone"), ACL_REMOVE, RIGHTS_ALL), 0);
        assert_int_equal(mailbox_acl(&x, &m, &entries, &n), 0);
        assert_int_equal(n, 2);
        assert_str(entries[0].identifier, JILL);
        assert_int_equal(entries[0].rights, RIGHTS_ALL);
        assert_str(entries[1].identifier, JACK);
        assert_int_equal(entries[1].rights, RIGHT_SEEN);
        assert_int_equal(mailbox_set_acl(&x, NULL, JACK, ACL_SET, 0), 0);
        assert_int_equal(mailbox_acl(&x, &m, &entries, &n), 0);
        assert_int_equal(n, 1);
        access_close(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(every_function_asks, begin, end),
                cmocka_unit_test_setup_teardown(a_new_keyword_needs_w_or_i, begin, end),
                cmocka_unit_test_setup_teardown(what_may_not_be_looked_up_is_not_there, begin, end),
                cmocka_unit_test_setup_teardown(who_is_meant, begin, end),
                cmocka_unit_test_setup_teardown(rights_are_inherited_and_taken_back, begin, end),
                cmocka_unit_test(reads_letters_of_rights),
                cmocka_unit_test_setup_teardown(lists_are_kept_well, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
