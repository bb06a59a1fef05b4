/* pail check: looks at everything in a data folder and says in words what is wrong. Changes nothing. */
#include "cli/cli.h"
#include "cli/tool.h"
#include "store/intake.h"
#include "store/outbox.h"
#include "store/search.h"
#include "store/secrets.h"
#include "store/sharing.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

struct check {
        struct tool *t;
        unsigned wrong, accounts;
        struct sharing *sharing; /* NULL: nothing was ever shared */
};

static void say(struct check *c, struct str where, struct str what)
{
        json_open(&c->t->out, NULL, '{');
        json_str(&c->t->out, "where", where);
        json_str(&c->t->out, "what", what);
        json_close(&c->t->out, '}');
        if (!c->t->json)
                printf(PRS ": " PRS "\n", STR(where), STR(what));
}

static void wrong(struct check *c, struct str where, const char *what)
{
        c->wrong++;
        say(c, where, str_of(what));
}

/* A part's own report: one line each; or it could not even be looked at. */
static void report(struct check *c, struct str where, int rc, const struct buf *lines)
{
        struct str rest = buf_str(lines), line;

        while (rest.n) {
                str_cut(&rest, '\n', &line);
                say(c, where, line);
        }
        if (rc == -EBADMSG)
                wrong(c, where, "the file is damaged");
        else if (rc < 0)
                wrong(c, where, strerror(-rc));
}

static void check_directory(struct check *c)
{
        struct buf auto_buf lines = { 0 };
        int rc;

        buf_init(&lines, (size_t)16 << 20);
        rc = directory_open(&c->t->directory, "directory/directory.db", false);
        rc = rc ? rc : directory_check(c->t->directory, &lines, &c->wrong);
        report(c, S("directory"), rc, &lines);
}

static void check_account(struct check *c, struct accounts *all, struct str name)
{
        struct str where = arena_printf(&c->t->arena, "mail/" PRS, STR(name));
        struct buf auto_buf lines = { 0 };
        struct account *account;
        int rc = account_get(all, name, &account);

        buf_init(&lines, (size_t)1 << 20);
        if (rc == -ENOENT) {
                wrong(c, where, "the account has no folder");
                return;
        }
        if (rc == 0) {
                rc = account_check(account, &lines, &c->wrong);
                if (!rc && c->sharing)
                        rc = sharing_check(c->sharing, account, &lines, &c->wrong);
                if (!rc)
                        rc = search_check(account, &lines, &c->wrong);
                account_put(&account);
        }
        c->accounts++;
        report(c, where, rc, &lines);
}

/* Every account has a folder, every folder an account. */
static void check_accounts(struct check *c)
{
        struct tool *t = c->t;
        struct accounts *all = NULL;
        struct directory_row *rows;
        struct account_entry entry;
        struct dirent *e;
        size_t n = 0;
        DIR *d;

        if (!t->directory || tool_accounts(t, &all) ||
            directory_rows(t->directory, DIR_ACCOUNTS, S(""), &t->arena, &rows, &n) < 0) {
                c->wrong++;
                n = 0;
        }
        if (access("sharing/sharing.db", F_OK) == 0) {
                int rc = sharing_open(&c->sharing, "sharing/sharing.db");

                if (rc)
                        wrong(c, S("sharing"), strerror(-rc));
        }
        for (size_t i = 0; i < n; i++)
                check_account(c, all, rows[i].name);
        sharing_close(&c->sharing);
        if (all)
                accounts_close(&all);
        d = opendir("mail");
        while (d && t->directory && (e = readdir(d)) != NULL)
                if (e->d_name[0] != '.' &&
                    directory_account(t->directory, &t->arena, str_of(e->d_name), &entry) == -ENOENT)
                        say(c, arena_printf(&t->arena, "mail/%s", e->d_name),
                            S("belongs to no account (kept from one that was removed?)"));
        if (d)
                closedir(d);
}

/* What is in a file is nobody's business; only whose it is. */
static void check_files(struct check *c)
{
        struct account_entry entry;
        struct dirent *e;
        DIR *d = opendir("files");

        while (d && c->t->directory && (e = readdir(d)) != NULL)
                if (e->d_name[0] != '.' && !str_eq(str_of(e->d_name), S("anonymous")) &&
                    directory_account(c->t->directory, &c->t->arena, str_of(e->d_name), &entry) == -ENOENT)
                        say(c, arena_printf(&c->t->arena, "files/%s", e->d_name),
                            S("belongs to no account (kept from one that was removed?)"));
        if (d)
                closedir(d);
}

static void check_letters(struct check *c)
{
        struct buf auto_buf lines = { 0 };
        struct outbox *outbox;
        int fd = open("outbox", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc = fd < 0 ? -errno : outbox_open(&outbox, fd);

        buf_init(&lines, (size_t)1 << 20);
        if (rc == 0) {
                rc = outbox_check(outbox, &lines, &c->wrong);
                outbox_close(&outbox);
        }
        report(c, S("outbox"), rc, &lines);
        buf_clear(&lines);
        fd = open("intake", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = fd < 0 ? -errno : intake_check(fd, &lines, &c->wrong);
        if (fd >= 0)
                close(fd);
        report(c, S("intake"), rc, &lines);
}

/* Secrets of nobody would open the account of the next who gets that name. */
static void check_secrets(struct check *c)
{
        struct secrets *secrets;
        struct account_entry entry;
        struct str *names;
        size_t n;
        int rc = secrets_open(&secrets, "secrets/secrets.db", false);

        if (rc == 0) {
                rc = secrets_accounts(secrets, &c->t->arena, &names, &n);
                for (size_t i = 0; rc == 0 && c->t->directory && i < n; i++)
                        if (directory_account(c->t->directory, &c->t->arena, names[i], &entry) == -ENOENT)
                                wrong(c, arena_printf(&c->t->arena, "secrets: " PRS, STR(names[i])),
                                      "has secrets and is no account");
                secrets_close(&secrets);
        }
        if (rc < 0)
                wrong(c, S("secrets/secrets.db"), strerror(-rc));
}

static void check_modes(struct check *c)
{
        static const char *const private[] = { "keys/tls.key",       "keys/ca.key", "secrets",
                                               "secrets/secrets.db", "mail",        "files" };
        struct stat st;

        for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++)
                if (stat(private[i], &st) == 0 && (st.st_mode & 077))
                        wrong(c, str_of(private[i]), "others may read it (chmod go-rwx)");
}

int verb_check(int argc, char **argv)
{
        struct tool t;
        struct check c = { .t = &t };
        int rc = tool_begin(&t, argc, argv, NULL);

        if (rc == 0 && t.count)
                rc = tool_usage(&t);
        if (rc)
                return tool_end(&t, rc);
        json_open(&t.out, NULL, '[');
        check_directory(&c);
        check_accounts(&c);
        check_files(&c);
        check_letters(&c);
        check_secrets(&c);
        check_modes(&c);
        json_close(&t.out, ']');
        if (!t.json)
                printf("%u accounts looked at, %u things wrong\n", c.accounts, c.wrong);
        return tool_end(&t, c.wrong ? EX_DATAERR : EX_OK);
}
