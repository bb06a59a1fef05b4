#include "account_fixture.h"
#include "run/log.h"
#include "store/account_inside.h"
#include "store/mailbox.h"
#include <errno.h>

#define JACK S("jack@town.com")

static char folder[] = "/tmp/pail-sharing-XXXXXX";
static struct accounts *set;
static struct account *jill;
static struct sharing *sharing;
static struct arena m;

static int begin(void **state)
{
        char path[100];

        (void)state;
        log_quiet = true;
        if (!mkdtemp(folder))
                return -1;
        arena_init(&m, 16 << 20);
        set = fixture_open(folder, 4);
        snprintf(path, sizeof path, "%s/sharing.db", folder);
        assert_int_equal(sharing_open(&sharing, path), 0);
        accounts_share(set, sharing);
        assert_int_equal(account_create(set, JILL), 0);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        return 0;
}

static int end(void **state)
{
        struct buf said;
        unsigned wrong = 0;

        (void)state;
        buf_init(&said, 4096);
        assert_int_equal(sharing_check(sharing, jill, &said, &wrong), 0);
        assert_str(buf_str(&said), S(""));
        assert_int_equal(wrong, 0);
        buf_free(&said);
        account_put(&jill);
        accounts_close(&set);
        sharing_close(&sharing);
        arena_finish(&m);
        fixture_remove(folder);
        memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
        return 0;
}

static struct str owners(struct str reader)
{
        struct str *list, out = S("");
        size_t n;

        assert_int_equal(sharing_owners(sharing, reader, &m, &list, &n), 0);
        for (size_t i = 0; i < n; i++)
                out = arena_printf(&m, PRS PRS " ", STR(out), STR(list[i]));
        return out;
}

/* "jack@town.com=2 ..." */
static struct str told(void)
{
        struct share *list;
        struct str out = S("");
        size_t n;

        assert_int_equal(sharing_of(sharing, JILL, &m, &list, &n), 0);
        for (size_t i = 0; i < n; i++)
                out = arena_printf(&m, PRS PRS "=%u ", STR(out), STR(list[i].identifier), list[i].mailboxes);
        return out;
}

static void tells_who_shares_with_whom(void **state)
{
        (void)state;
        assert_int_equal(sharing_set(sharing, S("bob@b.edu"), S("anyone"), 1), 0);
        assert_int_equal(sharing_set(sharing, S("carl@c.org"), S("$town.com"), 3), 0);
        assert_int_equal(sharing_set(sharing, S("alice@a.fr"), JACK, 1), 0);
        assert_int_equal(sharing_set(sharing, S("alice@a.fr"), S("anyone"), 1), 0);
        assert_int_equal(sharing_set(sharing, JACK, S("anyone"), 1), 0);
        assert_str(owners(JACK), S("alice@a.fr bob@b.edu carl@c.org "));
        assert_str(owners(S("joe@town.com")), S("alice@a.fr bob@b.edu carl@c.org jack@town.com "));
        assert_str(owners(S("joe@hill.com")), S("alice@a.fr bob@b.edu jack@town.com "));
        assert_int_equal(sharing_set(sharing, S("alice@a.fr"), S("anyone"), 0), 0);
        assert_str(owners(S("joe@hill.com")), S("bob@b.edu jack@town.com "));
        assert_int_equal(sharing_remove_owner(sharing, S("bob@b.edu")), 0);
        assert_str(owners(JACK), S("alice@a.fr carl@c.org "));
}

static void set_acl(struct str mailbox, struct str who, unsigned rights)
{
        struct access x;

        assert_int_equal(access_open(&x, set, JILL, JILL, mailbox, RIGHT_ADMIN), 0);
        assert_int_equal(mailbox_set_acl(&x, sharing, who, ACL_SET, rights), 0);
        access_close(&x);
}

static void follows_the_rights(void **state)
{
        struct access x;
        uint32_t mailbox;

        (void)state;
        assert_int_equal(mailbox_create(jill, JILL, S("a"), S(""), &mailbox), 0);
        set_acl(S("a"), JACK, RIGHT_LOOKUP);
        assert_str(told(), S("jack@town.com=1 "));
        set_acl(S("a"), S("-bob@town.com"), RIGHT_READ); /* nothing is shown by it */
        set_acl(S("a"), S("anyone"), RIGHT_LOOKUP | RIGHT_READ);
        assert_str(told(), S("anyone=1 jack@town.com=1 "));
        assert_int_equal(mailbox_create(jill, JILL, S("a/b/c"), S(""), &mailbox), 0);
        assert_str(told(), S("anyone=3 jack@town.com=3 "));
        assert_int_equal(mailbox_delete(jill, JILL, S("a")), 0); /* it stays as a name, with its rights */
        assert_str(told(), S("anyone=3 jack@town.com=3 "));
        assert_int_equal(mailbox_delete(jill, JILL, S("a/b/c")), 0);
        assert_int_equal(mailbox_delete(jill, JILL, S("a/b")), 0);
        set_acl(S("a"), JACK, 0);
        assert_str(told(), S("anyone=1 "));
        assert_int_equal(mailbox_delete(jill, JILL, S("a")), 0);
        assert_str(told(), S(""));
        assert_str(owners(JACK), S(""));
        /* what is granted at the top comes with every new mailbox */
        assert_int_equal(access_open_top(&x, set, JILL, JILL, RIGHT_ADMIN), 0);
        assert_int_equal(mailbox_set_acl(&x, sharing, S("$town.com"), ACL_SET, RIGHT_LOOKUP), 0);
        access_close(&x);
        assert_int_equal(mailbox_create(jill, JILL, S("d"), S(""), &mailbox), 0);
        assert_str(told(), S("$town.com=2 "));
        assert_int_equal(access_open(&x, set, JACK, JILL, S("d"), RIGHT_LOOKUP), 0);
        access_close(&x);
}

static void is_made_anew(void **state)
{
        struct buf said;
        unsigned wrong = 0;

        (void)state;
        set_acl(INBOX, JACK, RIGHT_LOOKUP);
        set_acl(S("Sent"), JACK, RIGHT_LOOKUP);
        assert_int_equal(sharing_set(sharing, JILL, JACK, 1), 0);
        assert_int_equal(sharing_set(sharing, JILL, S("bob@town.com"), 7), 0);
        buf_init(&said, 4096);
        assert_int_equal(sharing_check(sharing, jill, &said, &wrong), 0);
        assert_int_equal(wrong, 2);
        assert_str(buf_str(&said),
                   S("jill@hill.com: 0 mailboxes are shared with bob@town.com, sharing.db says 7\n"
                     "jill@hill.com: 2 mailboxes are shared with jack@town.com, sharing.db says 1\n"));
        buf_free(&said);
        assert_int_equal(sharing_tell(sharing, jill), 0);
        assert_str(told(), S("jack@town.com=2 "));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(tells_who_shares_with_whom, begin, end),
                cmocka_unit_test_setup_teardown(follows_the_rights, begin, end),
                cmocka_unit_test_setup_teardown(is_made_anew, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
