/* Two accounts, each open by two handles as two processes have it, for tests of store/change. */
#pragma once
#include "account_fixture.h"
#include "run/log.h"
#include "store/account_inside.h"
#include "store/boot.h"
#include "store/change.h"
#include <sys/wait.h>

enum { ACCOUNTS = 2, BOXES = 2, HANDLES = 2 };

static const struct str names[ACCOUNTS] = { S("jill@hill.com"), S("jack@town.com") };
static const struct uid_range all = { 1, UINT32_MAX };

static char folder[] = "/tmp/pail-change-XXXXXX";
static struct accounts *sets[HANDLES];
static const uint32_t box_numbers[BOXES] = { 1, 6 }; /* INBOX, Archive */

static inline struct access enter(unsigned handle, unsigned account, unsigned box, unsigned reader)
{
        struct access x = { .mailbox = box_numbers[box], .reader_number = reader, .rights = RIGHTS_ALL };
        struct mailbox_view view;

        assert_int_equal(account_get(sets[handle], names[account], &x.account), 0);
        assert_int_equal(account_view(x.account, box ? S("Archive") : INBOX, &view), 0);
        assert_int_equal(view.mailbox, x.mailbox);
        x.uidvalidity = view.uidvalidity;
        return x;
}

static inline void leave(struct access *x)
{
        account_put(&x->account);
}

static inline void check_all(void)
{
        for (unsigned a = 0; a < ACCOUNTS; a++) {
                struct account *account;
                struct buf said;
                unsigned wrong = 0;

                buf_init(&said, 100000);
                assert_int_equal(account_get(sets[0], names[a], &account), 0);
                assert_int_equal(account_check(account, &said, &wrong), 0);
                assert_str(buf_str(&said), S(""));
                account_put(&account);
                buf_free(&said);
        }
}

static inline int world_begin(void)
{
        log_quiet = true;
        if (!mkdtemp(folder))
                return -1;
        for (unsigned h = 0; h < HANDLES; h++)
                sets[h] = fixture_open(folder, 4);
        for (unsigned a = 0; a < ACCOUNTS; a++)
                assert_int_equal(account_create(sets[0], names[a]), 0);
        return 0;
}

static inline int world_end(void **state)
{
        (void)state;
        check_all();
        for (unsigned h = 0; h < HANDLES; h++)
                accounts_close(&sets[h]);
        fixture_remove(folder);
        memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
        return 0;
}

/* As after a power cut, with letter `number` filed last. */
static inline void reopen_unclean(unsigned number)
{
        pid_t child;
        int status;

        for (unsigned h = 0; h < HANDLES; h++)
                accounts_close(&sets[h]);
        child = fork();
        if (!child) {
                struct account *a;

                sets[0] = fixture_open(folder, 4);
                if (account_get(sets[0], names[0], &a))
                        _exit(1);
                fixture_file(a, 0, number, 150 + number % 5 * 700);
                _exit(0);
        }
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
        boot_id_for_tests("another");
        for (unsigned h = 0; h < HANDLES; h++)
                sets[h] = fixture_open(folder, 4);
}
