/* pail account: the people. An account is a row of the directory, a folder mail/ADDRESS and, as soon as it has files, files/ADDRESS. */
#include "cli/account_files.h"
#include "cli/cli.h"
#include "cli/tool.h"
#include "proto/imap/capability.h"
#include "store/search.h"
#include "store/secrets.h"
#include "store/sharing.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static const char *quota, *real_name;
static bool again, off, purge, copy;

static int open_both(struct tool *t, struct accounts **accounts)
{
        int rc = tool_directory(t);

        return rc ? rc : tool_accounts(t, accounts);
}

/* ---- add, remove ---- */

static bool mail_is_there(struct tool *t, struct str name)
{
        return access(arena_printf(&t->arena, "mail/" PRS "/account.db", STR(name)).p, F_OK) == 0;
}

/* Its mail; and of an earlier account's uploads that broke off nothing is left. */
static int make_mail(struct tool *t, struct accounts *accounts, struct str name)
{
        int forgot = again ? 0 : account_files_forget(t, name);
        int rc = forgot ? forgot : account_create(accounts, name);

        if (rc == -EEXIST && again)
                return 0;
        if (rc < 0) {
                struct buf auto_buf ignored = { 0 };

                buf_init(&ignored, 1000);
                (void)directory_remove_account(t->directory, name, &ignored);
                buf_printf(&t->why, "%s/" PRS ": %s", forgot ? "files" : "mail", STR(name), strerror(-rc));
        }
        return rc;
}

/* A data folder made by an older pail has no rows of sharing, and nothing is shared in it. */
static int open_sharing(struct sharing **out)
{
        *out = NULL;
        return access("sharing", F_OK) < 0 ? 0 : sharing_open(out, "sharing/sharing.db");
}

/* The mailboxes that an account shows to others: no more, or again. */
static int tell_sharing(struct accounts *accounts, struct str name)
{
        struct sharing *sharing;
        struct account *a = NULL;
        int rc = open_sharing(&sharing);

        if (!rc && sharing && accounts) {
                rc = account_get(accounts, name, &a);
                rc = rc ? rc : sharing_tell(sharing, a);
                account_put(&a);
        } else if (!rc && sharing) {
                rc = sharing_remove_owner(sharing, name);
        }
        sharing_close(&sharing);
        return rc;
}

static int add(struct tool *t)
{
        struct str name = arena_lower(&t->arena, t->words[0]);
        struct accounts *accounts = NULL;
        int rc = open_both(t, &accounts);

        if (rc)
                return rc;
        if (!again && (mail_is_there(t, name) || account_files_there(t, name))) {
                accounts_close(&accounts);
                return tool_fail(
                    t, -EEXIST, name,
                    mail_is_there(t, name)
                        ? "the mail of an earlier account of this name is still there: remove that "
                          "folder in mail/, or say --again to give it back"
                        : "the files of an earlier account of this name are still there: remove that "
                          "folder in files/, or say --again to give them back");
        }
        rc = directory_add_account(t->directory, name, &t->why);
        rc = rc ? rc : make_mail(t, accounts, name);
        if (rc == 0 && again && (rc = tell_sharing(accounts, name)) < 0)
                buf_printf(&t->why, "sharing/: %s", strerror(-rc));
        if (rc == 0 && quota)
                rc = directory_set_account(t->directory, name, S("quota"), str_of(quota), &t->why);
        if (rc == 0 && real_name)
                rc = directory_set_account(t->directory, name, S("real-name"), str_of(real_name), &t->why);
        accounts_close(&accounts);
        rc = tool_changed(t, rc);
        if (rc == EX_OK && !t->json && isatty(STDERR_FILENO))
                fprintf(stderr, "now give it a password: pail passwd " PRS "\n", STR(name));
        return rc;
}

static int remove_folder(int in, const char *name)
{
        int fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
        struct dirent *e;
        DIR *d;

        if (fd < 0 || !(d = fdopendir(fd)))
                return -errno;
        while ((e = readdir(d)) != NULL && rc == 0) {
                if (str_eq(str_of(e->d_name), S(".")) || str_eq(str_of(e->d_name), S("..")))
                        continue;
                if (unlinkat(fd, e->d_name, 0) < 0)
                        rc = errno == EISDIR || errno == EPERM ? remove_folder(fd, e->d_name) : -errno;
        }
        closedir(d);
        return rc == 0 && unlinkat(in, name, AT_REMOVEDIR) < 0 ? -errno : rc;
}

/* The mail goes only on request, and only while no server can be writing to it. */
static int remove_mail(struct tool *t, struct str name)
{
        struct str path = arena_printf(&t->arena, "mail/" PRS, STR(name));
        int rc = access(path.p, F_OK) < 0 ? 0 : purge ? remove_folder(AT_FDCWD, path.p) : 1;

        if (rc < 0)
                return tool_fail(t, rc, path, NULL);
        if (rc > 0 && !t->json)
                printf("its mail is kept in " PRS "\n", STR(path));
        return EX_OK;
}

static int remove_one(struct tool *t)
{
        struct ask_set_secret all = { .what = REMOVE_ALL, .label = S(""), .password = S("") };
        struct buf auto_buf said = { 0 };
        struct str name;
        int rc = purge ? folder_lock(&t->folder) : 0; /* says itself that a server runs */

        rc = rc ? rc : tool_account(t, t->words[0], &name);
        if (rc)
                return rc;
        rc = tool_changed(t, directory_remove_account(t->directory, name, &t->why));
        if (rc)
                return rc;
        rc = tell_sharing(NULL, name);
        if (rc)
                return tool_fail(t, rc, S("sharing"), NULL);
        buf_init(&said, 4000);
        all.account = name;
        rc = tool_set_secret(t, &all, &said);
        if (rc < 0)
                return tool_fail(
                    t, rc, arena_printf(&t->arena, PRS ": its passwords could not be removed", STR(name)),
                    NULL);
        rc = remove_mail(t, name);
        return rc ? rc : account_files_remove(t, name, purge);
}

/* ---- list, show ---- */

static int list(struct tool *t)
{
        struct str of = t->count ? arena_printf(&t->arena, "@" PRS, STR(t->words[0])) : S("");
        struct directory_row *rows;
        size_t n;
        int rc = tool_directory(t);

        if (rc)
                return rc;
        rc = directory_rows(t->directory, DIR_ACCOUNTS, of, &t->arena, &rows, &n);
        if (rc < 0)
                return tool_fail(t, rc, S("list"), NULL);
        json_open(&t->out, NULL, '[');
        for (size_t i = 0; i < n; i++) {
                json_open(&t->out, NULL, '{');
                json_str(&t->out, "account", rows[i].name);
                json_str(&t->out, "real_name", rows[i].value);
                json_number(&t->out, "quota", rows[i].number);
                json_str(&t->out, "standing", rows[i].more);
                json_close(&t->out, '}');
                if (!t->json)
                        printf("%-40.*s " PRS "%s" PRS "\n", STR(rows[i].name), STR(rows[i].value),
                               rows[i].value.n && rows[i].more.n ? ", " : "", STR(rows[i].more));
        }
        json_close(&t->out, ']');
        return EX_OK;
}

/* Rows of one kind that belong to the account, under a key. */
static int show_rows(struct tool *t, enum directory_what what, const char *key, struct str name, bool target)
{
        struct directory_row *rows;
        size_t n;
        int rc = directory_rows(t->directory, what, target ? S("") : name, &t->arena, &rows, &n);

        json_open(&t->out, key, '[');
        for (size_t i = 0; rc == 0 && i < n; i++) {
                struct str shown = what == DIR_GRANTS ? rows[i].value : rows[i].name;

                if (target && !str_eq(rows[i].value, name))
                        continue;
                json_str(&t->out, NULL, shown);
                if (!t->json)
                        printf("%-12s " PRS "\n", key, STR(shown));
        }
        json_close(&t->out, ']');
        return rc;
}

struct fullness {
        uint64_t octets, letters; /* of the mail */
        uint64_t files;           /* octets of the files */
        uint64_t indexed, index_letters,
            index_octets; /* of the text index: of so many letters it knows so many */
};

static void show_entry(struct tool *t, const struct account_entry *e, const struct fullness *f)
{
        json_str(&t->out, "account", e->name);
        json_str(&t->out, "real_name", e->real_name);
        json_str(&t->out, "language", e->language);
        json_str(&t->out, "imap_disable", e->imap_disable);
        json_number(&t->out, "quota", e->quota);
        json_number(&t->out, "octets", f->octets);
        json_number(&t->out, "letters", f->letters);
        json_number(&t->out, "files_octets", f->files);
        json_number(&t->out, "indexed", f->indexed);
        json_number(&t->out, "index_octets", f->index_octets);
        json_bool(&t->out, "disabled", e->disabled);
        json_str(&t->out, "moved_to", e->moved_to);
        json_str(&t->out, "forward_to", e->forward_to);
        json_bool(&t->out, "keep_copy", e->keep_copy);
        if (t->json)
                return;
        printf("%-12s " PRS "%s\n", "account", STR(e->name), e->disabled ? " (disabled)" : "");
        printf("%-12s " PRS "\n", "real-name", STR(e->real_name));
        printf("%-12s %llu letters, %s%s%s\n", "mail", (unsigned long long)f->letters, tool_size(f->octets).z,
               e->quota ? " of " : "", e->quota ? tool_size(e->quota).z : "");
        printf("%-12s %llu of %llu letters, %s\n", "text-index", (unsigned long long)f->indexed,
               (unsigned long long)f->index_letters, tool_size(f->index_octets).z);
        uint64_t most = t->settings.shared_quota ? 0 : (uint64_t)t->settings.files_quota;

        printf("%-12s %s%s%s\n", "files", tool_size(f->files).z, most ? " of " : "",
               most ? tool_size(most).z : "");
        if (e->imap_disable.n)
                printf("%-12s " PRS "\n", "imap-disable", STR(e->imap_disable));
        if (e->moved_to.n)
                printf("%-12s " PRS "\n", "moved-to", STR(e->moved_to));
        if (e->forward_to.n)
                printf("%-12s " PRS "%s\n", "forward-to", STR(e->forward_to),
                       e->keep_copy ? ", keeps a copy" : "");
}

static int show(struct tool *t)
{
        struct accounts *accounts = NULL;
        struct account *account;
        struct account_entry e;
        struct fullness f = { 0 };
        struct str name;
        int rc = tool_account(t, t->words[0], &name);

        rc = rc ? rc : tool_accounts(t, &accounts);
        if (rc)
                return rc;
        rc = directory_account(t->directory, &t->arena, name, &e);
        rc = rc ? rc : account_get(accounts, name, &account);
        if (rc == 0) {
                rc = account_usage(account, &f.octets, &f.letters);
                if (!rc)
                        rc = search_state(account, &f.indexed, &f.index_letters, &f.index_octets);
                account_put(&account);
        }
        accounts_close(&accounts);
        rc = rc ? rc : account_files_used(t, name, &f.files);
        if (rc < 0)
                return tool_fail(t, rc, name, NULL);
        json_open(&t->out, NULL, '{');
        show_entry(t, &e, &f);
        rc = show_rows(t, DIR_LOGINS, "logins", name, false);
        rc = rc ? rc : show_rows(t, DIR_ALIASES, "aliases", name, true);
        rc = rc ? rc : show_rows(t, DIR_MEMBERS, "lists", name, true);
        rc = rc ? rc : show_rows(t, DIR_GRANTS, "may-send-as", name, false);
        json_close(&t->out, '}');
        return rc < 0 ? tool_fail(t, rc, name, NULL) : EX_OK;
}

/* ---- changes ---- */

static int set_key(struct tool *t, const char *key, struct str value)
{
        struct str name;
        int rc = tool_account(t, t->words[0], &name);

        return rc ? rc
                  : tool_changed(t, directory_set_account(t->directory, name, str_of(key), value, &t->why));
}

/* Whoever is signed in as somebody who was just switched off is sent away. */
static int set(struct tool *t)
{
        struct ask_set_secret m = { .what = SIGN_OUT, .label = S(""), .password = S("") };
        struct buf auto_buf said = { 0 };
        struct str unknown;
        int rc;

        /* a name mistyped would leave on what was to be off */
        if (str_eq(t->words[1], S("imap-disable")) && !capabilities_known(t->words[2], &unknown))
                return tool_fail(t, -EINVAL, unknown, "IMAP here has no capability of that name");
        rc = set_key(t, t->words[1].p, t->words[2]);
        if (rc || !str_eq(t->words[1], S("disabled")) || !str_ieq(t->words[2], S("yes")))
                return rc;
        buf_init(&said, 4000);
        rc = tool_account(t, t->words[0], &m.account);
        return rc ? rc
               : tool_set_secret(t, &m, &said) < 0
                   ? tool_fail(t, -EAGAIN, t->words[0], "its sessions were not ended")
                   : EX_OK;
}

static int moved(struct tool *t)
{
        if (off == (t->count == 2))
                return tool_usage(t);
        return set_key(t, "moved-to", off ? S("") : t->words[1]);
}

static int forward(struct tool *t)
{
        struct buf auto_buf all = { 0 };
        int rc;

        if (off == (t->count > 1))
                return tool_usage(t);
        buf_init(&all, 8000);
        for (size_t i = 1; i < t->count; i++)
                buf_printf(&all, "%s" PRS, i > 1 ? " " : "", STR(t->words[i]));
        rc = set_key(t, "keep-copy", copy || off ? S("yes") : S("no"));
        return rc ? rc : set_key(t, "forward-to", buf_str(&all));
}

static int login(struct tool *t)
{
        struct str name;
        int rc = tool_account(t, t->words[0], &name);

        if (rc)
                return rc;
        return tool_changed(t, off ? directory_remove_login(t->directory, name, t->words[1], &t->why)
                                   : directory_add_login(t->directory, name, t->words[1], &t->why));
}

static int may_send_as(struct tool *t)
{
        struct str name;
        int rc = tool_account(t, t->words[0], &name);

        return rc ? rc : tool_changed(t, directory_grant(t->directory, name, t->words[1], !off, &t->why));
}

int verb_account(int argc, char **argv)
{
        static const struct tool_option options[] = {
                { "quota", &quota, NULL },
                { "name", &real_name, NULL },
                { "again", NULL, &again },
                { "off", NULL, &off },
                { "purge", NULL, &purge },
                { "copy", NULL, &copy },
                { 0 },
        };
        static const struct tool_choice choices[] = {
                { "add", 1, 1, add },
                { "remove", 1, 1, remove_one },
                { "list", 0, 1, list },
                { "show", 1, 1, show },
                { "set", 3, 3, set },
                { "moved", 1, 2, moved },
                { "login", 2, 2, login },
                { "forward", 1, 21, forward },
                { "may-send-as", 2, 2, may_send_as },
                { 0 },
        };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, options);

        return tool_end(&t, rc ? rc : tool_choose(&t, choices));
}
