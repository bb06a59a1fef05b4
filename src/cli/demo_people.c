#include "cli/demo_people.h"

#include "mail/date.h"
#include "role/keeper.h"
#include "run/log.h"
#include "store/account.h"
#include "store/directory.h"
#include "store/outbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>

static const struct {
        const char *account, *password, *login;
} people[] = {
        { "jack@town.com", "crown", NULL },
        { "jill@hill.com", "tumbling", NULL },
        { "alice@crepes.fr", "rabbit", NULL },
        { "bob@hamburger.edu", "hungry", NULL },
        { "forouzanb@adelphia.net", "lecture", "forouzan" },
        { "srinivas.narayana@rutgers.edu", "goodbye", NULL },
};
static const char *const domains_of_people[] = { "town.com",      "hill.com",     "crepes.fr",
                                                 "hamburger.edu", "adelphia.net", "rutgers.edu" };
static const char *const friends[] = { "jack@town.com", "jill@hill.com", "bob@hamburger.edu" };

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

/* The two letters of the lecture's POP3 session: `1 498` and `2 912`. */
static const char ketchup[] = "Return-Path: <alice@crepes.fr>\r\n"
                              "From: Alice <alice@crepes.fr>\r\n"
                              "To: Bob <bob@hamburger.edu>\r\n"
                              "Subject: Ketchup\r\n"
                              "Date: Fri, 20 Nov 2026 09:00:00 +0000\r\n"
                              "Message-ID: <ketchup@crepes.fr>\r\n"
                              "\r\n"
                              "Do you like ketchup?\r\n"
                              "How about pickles?\r\n"
                              "\r\n"
                              "The crepes are gone before noon these days, so I have time to think about\r\n"
                              "what other people eat. Tell me, and I shall try it.\r\n"
                              "\r\n"
                              "My sister at the harbour says that pickles are a fruit. I would not put\r\n"
                              "them on a crepe, but I have been wrong before. Or twice.\r\n"
                              "\r\n"
                              "Alice\r\n";
static const char hill[] = "Return-Path: <jack@town.com>\r\n"
                           "From: Jack <jack@town.com>\r\n"
                           "To: Bob <bob@hamburger.edu>\r\n"
                           "Subject: The way up the hill\r\n"
                           "Date: Fri, 20 Nov 2026 10:30:00 +0000\r\n"
                           "Message-ID: <hill@town.com>\r\n"
                           "\r\n"
                           "Bob,\r\n"
                           "\r\n"
                           "you asked for the way up the hill. Leave the town by the north gate and\r\n"
                           "follow the brook until the old mill. From there the path is steep, and it\r\n"
                           "is wise to look at one's feet rather than at one's company.\r\n"
                           "\r\n"
                           "The well is at the very top. The pail hangs beside it; please leave it as\r\n"
                           "you found it, because Jill counts on it every morning.\r\n"
                           "\r\n"
                           "Going down, do not run. I speak from experience: vinegar and brown paper\r\n"
                           "are not what they are said to be.\r\n"
                           "\r\n"
                           "If you come on a Saturday, bring hamburgers. Jill says that two will do,\r\n"
                           "I say three. Take the long way home: it passes the orchard, and the farmer\r\n"
                           "does not mind if one apple or two come along in a pocket.\r\n"
                           "\r\n"
                           "Tell Alice that I know nothing of crepes.\r\n"
                           "\r\n"
                           "Jack\r\n";
static_assert(sizeof(ketchup) - 1 == 498 && sizeof(hill) - 1 == 912);

static bool listed(const char *domains, struct str domain)
{
        struct str rest = str_of(domains), one;

        while (rest.n) {
                str_cut(&rest, ',', &one);
                if (str_ieq(one, domain))
                        return true;
        }
        return false;
}

/* All of the lectures' domains, unless --domains names some of them: then those alone, for two demos that send to each other. */
static bool hosted(const char *domains, struct str domain)
{
        for (size_t i = 0; i < LENGTH(domains_of_people); i++)
                if (listed(domains, str_of(domains_of_people[i])))
                        return listed(domains, domain);
        return true;
}

static bool hosted_address(const char *domains, const char *address)
{
        struct str rest = str_of(address), local;

        str_cut(&rest, '@', &local);
        return hosted(domains, rest);
}

/* What comes for any address in one of these is kept in inbox@ there. One that is there already stays as it is. */
static int fill_domains(struct directory *d, const char *domains, struct buf *why)
{
        struct str rest = str_of(domains), domain;
        int rc = 0;

        while (rest.n && !rc) {
                struct arena auto_arena a = { 0 };

                str_cut(&rest, ',', &domain);
                if (directory_is_local(d, domain))
                        continue;
                arena_init(&a, 4096);
                struct str inbox = arena_printf(&a, "inbox@" PRS, STR(domain));

                rc = directory_add_domain(d, domain, S(""), why);
                rc = rc ? rc : directory_add_account(d, inbox, why);
                rc = rc ? rc : directory_set_catch_all(d, domain, inbox, why);
        }
        return rc;
}

static int fill_directory(struct directory *d, const char *domains, struct buf *why)
{
        int rc = 0;

        for (size_t i = 0; i < LENGTH(domains_of_people) && !rc; i++)
                if (hosted(domains, str_of(domains_of_people[i])))
                        rc = directory_add_domain(d, str_of(domains_of_people[i]), S(""), why);
        for (size_t i = 0; i < LENGTH(people) && !rc; i++) {
                if (!hosted_address(domains, people[i].account))
                        continue;
                rc = directory_add_account(d, str_of(people[i].account), why);
                if (!rc && people[i].login)
                        rc = directory_add_login(d, str_of(people[i].account), str_of(people[i].login), why);
        }
        if (!rc && hosted(domains, S("hamburger.edu")))
                rc = directory_add_domain(d, S("someschool.edu"), S("hamburger.edu"), why);
        if (rc || !hosted(domains, S("hill.com")))
                return rc;
        rc = directory_add_list(d, S("friends@hill.com"), why);
        for (size_t i = 0; i < LENGTH(friends) && !rc; i++)
                rc = directory_add_member(d, S("friends@hill.com"), str_of(friends[i]), why);
        return rc;
}

static int set_password(struct keeper *k, struct str account, const char *password, struct buf *why)
{
        struct ask_set_secret ask = {
                .what = SET_PASSWORD,
                .account = account,
                .password = str_of(password),
                .scope = SCOPE_ALL,
                .with = WITH_SCRAM, /* which the demo offers */
        };

        return keeper_set_secret(k, &ask, why);
}

/* Everybody in the directory who has none gets a folder and a password: the people theirs, the catch-alls `pail`. */
static int fill_accounts(struct directory *d, struct accounts *accounts, struct keeper *k, struct buf *why)
{
        struct arena auto_arena a = { 0 };
        struct directory_row *rows;
        size_t n = 0;
        int rc;

        arena_init(&a, (size_t)64 << 20);
        rc = directory_rows(d, DIR_ACCOUNTS, S(""), &a, &rows, &n);
        for (size_t i = 0; i < n && !rc; i++) {
                const char *password = "pail";

                for (size_t p = 0; p < LENGTH(people); p++)
                        if (str_eq(rows[i].name, str_of(people[p].account)))
                                password = people[p].password;
                rc = account_create(accounts, rows[i].name);
                rc = rc == -EEXIST ? 0 : rc ? rc : set_password(k, rows[i].name, password, why);
        }
        return rc;
}

static int file_letters(struct accounts *accounts)
{
        struct filing filings[] = {
                { .mailbox = INBOX, .received = wall_usec(), .text = str_of(ketchup), .staged_dir = -1 },
                { .mailbox = INBOX, .received = wall_usec(), .text = str_of(hill), .staged_dir = -1 },
        };
        struct account *bob;
        int rc = account_get(accounts, S("bob@hamburger.edu"), &bob);

        if (rc)
                return rc;
        rc = account_file_synced(bob, filings, LENGTH(filings));
        for (size_t i = 0; i < LENGTH(filings); i++)
                rc = rc ? rc : filings[i].error;
        account_put(&bob);
        return rc;
}

int demo_people(const char *domains, bool fresh)
{
        struct settings settings;
        struct directory *directory = NULL;
        struct accounts *accounts = NULL;
        struct keeper *keeper = NULL;
        auto_buf struct buf why;
        int rc;

        buf_init(&why, 1024);
        log_quiet = true; /* a process of its own, with nothing to tell */
        settings_default(&settings);
        rc = directory_open(&directory, "directory/directory.db", true);
        rc = rc || !fresh ? rc : fill_directory(directory, domains, &why);
        rc = rc ? rc : fill_domains(directory, domains, &why);
        rc = rc ? rc : accounts_open(&accounts, open("mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 16);
        rc = rc ? rc
                : keeper_start(&keeper, &(struct keeper_setup){ .secrets = "secrets/secrets.db",
                                                                .directory = "directory/directory.db",
                                                                .settings = &settings,
                                                                .create = true });
        rc = rc ? rc : fill_accounts(directory, accounts, keeper, &why);
        rc = rc || !fresh || !hosted(domains, S("hamburger.edu")) ? rc : file_letters(accounts);
        if (rc)
                fprintf(stderr, "pail demo: people: " PRS "%s\n", STR(buf_str(&why)),
                        why.n ? "" : strerror(-rc));
        if (keeper)
                keeper_stop(&keeper);
        if (accounts)
                accounts_close(&accounts);
        if (directory)
                directory_close(&directory);
        settings_free(&settings);
        return rc ? EX_CANTCREAT : EX_OK;
}
