/* pail domain: the domains whose mail is ours, and the folders that all people of one share. */
#include "cli/cli.h"
#include "cli/tool.h"
#include "store/mailbox.h"
#include <errno.h>
#include <sysexits.h>

static const char *alias_of, *administrator, *rights_given = "lrs";

static int add(struct tool *t)
{
        int rc = tool_directory(t);

        return rc ? rc
                  : tool_changed(t,
                                 directory_add_domain(t->directory, t->words[0], str_of(alias_of), &t->why));
}

static int remove_one(struct tool *t)
{
        int rc = tool_directory(t);

        return rc ? rc : tool_changed(t, directory_remove_domain(t->directory, t->words[0], &t->why));
}

static int catch_all(struct tool *t)
{
        struct str account = t->count > 1 ? t->words[1] : S("");
        int rc = tool_directory(t);

        return rc ? rc
                  : tool_changed(t, directory_set_catch_all(t->directory, t->words[0], account, &t->why));
}

static int list(struct tool *t)
{
        struct directory_row *rows;
        size_t n;
        int rc = tool_directory(t);

        if (rc)
                return rc;
        rc = directory_rows(t->directory, DIR_DOMAINS, S(""), &t->arena, &rows, &n);
        if (rc < 0)
                return tool_fail(t, rc, S("list"), NULL);
        json_open(&t->out, NULL, '[');
        for (size_t i = 0; i < n; i++) {
                json_open(&t->out, NULL, '{');
                json_str(&t->out, "domain", rows[i].name);
                json_str(&t->out, "alias_of", rows[i].value);
                json_str(&t->out, "catch_all", rows[i].more);
                json_close(&t->out, '}');
                if (!t->json)
                        printf(PRS "%s" PRS "%s" PRS "\n", STR(rows[i].name),
                               rows[i].value.n ? "  another name of " : "", STR(rows[i].value),
                               rows[i].more.n ? "  catch-all " : "", STR(rows[i].more));
        }
        json_close(&t->out, ']');
        return EX_OK;
}

/* ---- share: the mailboxes of an account shared@DOMAIN, to which nobody has a password. What is made there has the rights of what is
 * above it, so those at its top are what counts (store/access.h). */

static int make_shared(struct tool *t, struct accounts *accounts, struct str name)
{
        struct account_entry entry;
        int rc = directory_account(t->directory, &t->arena, name, &entry);

        if (rc == -ENOENT)
                rc = directory_add_account(t->directory, name, &t->why);
        if (rc == 0)
                rc = account_create(accounts, name);
        return rc == -EEXIST ? 0 : rc;
}

static int grant(struct access *x, struct sharing *sharing, struct str identifier, unsigned rights)
{
        int rc = mailbox_set_acl(x, sharing, identifier, ACL_SET, rights);

        access_close(x);
        return rc;
}

static int share_out(struct accounts *accounts, struct str name, struct str all, unsigned rights,
                     struct str admin)
{
        struct sharing *sharing = NULL;
        struct access x;
        int rc = sharing_open(&sharing, "sharing/sharing.db");

        if (!rc && !(rc = access_open_top(&x, accounts, name, name, RIGHT_ADMIN)))
                rc = grant(&x, sharing, all, rights);
        if (!rc && admin.n && !(rc = access_open_top(&x, accounts, name, name, RIGHT_ADMIN)))
                rc = grant(&x, sharing, admin, RIGHTS_ALL);
        if (!rc && admin.n && !(rc = access_open(&x, accounts, name, name, INBOX, RIGHT_ADMIN)))
                rc = grant(&x, sharing, admin, RIGHTS_ALL); /* letters to shared@DOMAIN come there */
        sharing_close(&sharing);
        return rc;
}

static int share(struct tool *t)
{
        struct str domain = arena_lower(&t->arena, t->words[0]), admin = S("");
        struct str name = arena_printf(&t->arena, "shared@" PRS, STR(domain));
        struct accounts *accounts = NULL;
        unsigned rights;
        int rc;

        if (!rights_parse(str_of(rights_given), &rights))
                return tool_fail(t, -EINVAL, str_of(rights_given), "the rights are lrswipkxtea");
        rc = tool_directory(t);
        if (!rc && !directory_is_local(t->directory, domain))
                rc = tool_fail(t, -ENOENT, domain, "is not a domain of ours");
        if (!rc && administrator)
                rc = tool_account(t, str_of(administrator), &admin);
        rc = rc ? rc : tool_accounts(t, &accounts);
        if (rc)
                return rc;
        rc = make_shared(t, accounts, name);
        if (!rc &&
            (rc = share_out(accounts, name, arena_printf(&t->arena, "$" PRS, STR(domain)), rights, admin)))
                buf_printf(&t->why, "mail/" PRS ": %s", STR(name), strerror(-rc));
        accounts_close(&accounts);
        return tool_changed(t, rc);
}

int verb_domain(int argc, char **argv)
{
        static const struct tool_option options[] = { { "alias-of", &alias_of, NULL },
                                                      { "admin", &administrator, NULL },
                                                      { "rights", &rights_given, NULL },
                                                      { 0 } };
        static const struct tool_choice choices[] = {
                { "add", 1, 1, add },     { "remove", 1, 1, remove_one }, { "catch-all", 1, 2, catch_all },
                { "share", 1, 1, share }, { "list", 0, 0, list },         { 0 },
        };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, options);

        return tool_end(&t, rc ? rc : tool_choose(&t, choices));
}
