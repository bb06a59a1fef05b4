/* pail init: everything a server of one's own needs: folder, settings, certificate, domain, first account, and the
 * DNS records to publish. */
#include "cli/certificates.h"
#include "cli/cli.h"
#include "cli/tool.h"
#include "mail/address.h"
#include "role/keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define SYSTEM_CONFIG "/etc/pail.conf"
#define SYSTEM_FOLDER "/var/lib/pail"

static const char *host_option, *account_option;

struct init {
        struct tool *t;
        struct str domain, host, account, config;
        char password[21];
};

/* Letters and digits that cannot be mistaken for others; 100 random bits. */
static void make_password(char *out, size_t n)
{
        static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";

        for (size_t i = 0; i < n; i++)
                out[i] = letters[randombytes_uniform(sizeof letters - 1)];
        out[n] = 0;
}

static int fail_with(struct init *v, const char *what)
{
        fprintf(stderr, "pail init: %s: " PRS "\n", what, STR(buf_str(&v->t->why)));
        return EX_CANTCREAT;
}

static int make_keys(struct init *v)
{
        struct str names[] = { v->host, v->domain };
        struct str owner = arena_printf(&v->t->arena, "pail on " PRS, STR(v->host));

        if (certificates_make("ca.pem", "keys/ca.key", "keys/tls.pem", "keys/tls.key", owner, names,
                              str_eq(v->host, v->domain) ? 1 : 2, NULL, 0, &v->t->why) < 0)
                return fail_with(v, "certificate");
        return 0;
}

static int make_account(struct init *v)
{
        struct ask_set_secret m = { .what = SET_PASSWORD,
                                    .account = v->account,
                                    .label = S(""),
                                    .password = str_of(v->password),
                                    .scope = SCOPE_ALL };
        struct accounts *accounts = NULL;
        int rc = tool_accounts(v->t, &accounts);

        if (rc)
                return rc;
        rc = directory_add_account(v->t->directory, v->account, &v->t->why);
        if (rc == 0) {
                rc = account_create(accounts, v->account);
                if (rc < 0)
                        buf_printf(&v->t->why, "%s", strerror(-rc));
        }
        accounts_close(&accounts);
        if (rc < 0)
                return fail_with(v, "account");
        rc = tool_set_secret(v->t, &m, &v->t->why);
        if (rc < 0 && !v->t->why.n)
                buf_printf(&v->t->why, "%s", strerror(-rc));
        return rc < 0 ? fail_with(v, "password") : 0;
}

/* As the owner of the folder. */
static int fill(struct init *v)
{
        int rc = folder_become_owner(&v->t->folder);

        umask(0077);
        rc = rc ? rc : folder_layout();
        rc = rc ? rc : make_keys(v);
        rc = rc ? rc : tool_directory(v->t);
        if (rc)
                return rc;
        if (directory_add_domain(v->t->directory, v->domain, S(""), &v->t->why) < 0)
                return fail_with(v, "domain");
        return make_account(v);
}

/* A child does it: what has become the owner cannot write the settings into /etc afterwards. */
static int fill_in_child(struct init *v)
{
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0)
                _exit(tool_end(v->t, fill(v)));
        if (pid < 0 || waitpid(pid, &status, 0) < 0) {
                fprintf(stderr, "pail init: %m\n");
                return EX_OSERR;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

static int write_settings(struct init *v)
{
        struct buf auto_buf text = { 0 };
        char data[PATH_MAX];
        int fd, rc = 0;

        if (!getcwd(data, sizeof data))
                return tool_fail(v->t, -errno, str_of(v->t->folder.path), NULL);
        buf_init(&text, 64 * 1024);
        buf_printf(&text, "host-name = \"" PRS "\"\ndata = \"%s\"\n\n", STR(v->host), data);
        settings_sample(&text);
        fd = open(v->config.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n || fsync(fd) < 0)
                rc = tool_fail(v->t, -errno, v->config, NULL);
        if (fd >= 0)
                close(fd);
        return rc;
}

/* RFC 6186 and 8314 §5.1 for the SRV records; "." says that a service is not offered. */
static void print_records(const struct init *v)
{
        static const struct {
                const char *service;
                unsigned priority, port;
        } services[] = { { "_submissions", 0, 465 }, { "_submission", 10, 587 }, { "_imaps", 0, 993 },
                         { "_imap", 10, 143 },       { "_pop3s", 10, 995 },      { "_pop3", 20, 110 } };

        printf(
            "\nDNS records to publish. Put this machine's own addresses in place of the two examples:\n\n");
        printf(PRS ".  A      192.0.2.1\n" PRS ".  AAAA   2001:db8::1\n", STR(v->host), STR(v->host));
        printf(PRS ".  MX     10 " PRS ".\n", STR(v->domain), STR(v->host));
        printf(PRS ".  TXT    \"v=spf1 mx -all\"\n", STR(v->domain));
        for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
                printf("%s._tcp." PRS ".  SRV    %u 1 %u " PRS ".\n", services[i].service, STR(v->domain),
                       services[i].priority, services[i].port, STR(v->host));
        printf("\nAsk whoever gave you the addresses to let them lead back to " PRS
               " (PTR): many hosts take no\n"
               "mail otherwise.\n",
               STR(v->host));
}

static void print_result(const struct init *v)
{
        printf(
            "folder       %s\nsettings     " PRS
            "\nauthority    ca.pem in the folder: clients that shall trust the certificate need it,\n"
            "             until you have one from a public authority (settings tls-certificate, tls-key)\n",
            v->t->folder.path, STR(v->config));
        printf("account      " PRS "\npassword     %s   (shown only now; pail passwd changes it)\n",
               STR(v->account), v->password);
        if (v->t->folder.root && v->t->folder.uid == FOLDER_NOBODY)
                printf(
                    "owner        nobody, as whom other programs may run, too; a user of its own is better:\n"
                    "             useradd --system pail && chown -R pail: %s\n",
                    v->t->folder.path);
        print_records(v);
        printf("\nStart it with: pail serve --config " PRS "\n", STR(v->config));
}

static bool names(struct init *v)
{
        struct arena *a = &v->t->arena;
        struct path p;

        v->host = str_of(host_option);
        if (!domain_valid(v->t->words[0]) || !domain_normal(a, v->t->words[0], &v->domain) ||
            str_find(v->domain, '.') == STR_NONE)
                return false;
        if (!v->host.n)
                v->host = arena_printf(a, "mail." PRS, STR(v->domain));
        if (!domain_valid(v->host) || !domain_normal(a, v->host, &v->host))
                return false;
        v->account = account_option ? str_of(account_option) : S("postmaster");
        if (str_find(v->account, '@') == STR_NONE)
                v->account = arena_printf(a, PRS "@" PRS, STR(v->account), STR(v->domain));
        return address_parse(a, v->account, &p) && address_key(a, &p, &v->account);
}

/* Where the settings go: beside what --config says; into the folder that --dir says; else /etc. The child and the
 * supervisor work from other folders, so the path is made absolute. */
static bool config_path(struct init *v)
{
        struct arena *a = &v->t->arena;
        char here[PATH_MAX];
        struct str path = v->t->config ? str_of(v->t->config)
                          : v->t->dir  ? arena_printf(a, "%s/pail.conf", v->t->dir)
                                       : S(SYSTEM_CONFIG);

        if (path.p[0] != '/') {
                if (!getcwd(here, sizeof here))
                        return false;
                path = arena_printf(a, "%s/" PRS, here, STR(path));
        }
        v->config = path;
        return true;
}

static int prepare(struct init *v)
{
        struct tool *t = v->t;
        int rc;

        if (t->count != 1)
                return tool_usage(t);
        if (sodium_init() < 0)
                return EX_OSERR;
        if (!names(v))
                return tool_fail(t, -EINVAL, t->words[0],
                                 "a domain like example.org is wanted, and names in it");
        if (!config_path(v))
                return EX_OSERR;
        if (access(v->config.p, F_OK) == 0)
                return tool_fail(t, -EEXIST, v->config, "is there already");
        settings_default(&t->settings);
        rc = folder_enter(&t->folder, t->dir ? t->dir : SYSTEM_FOLDER, true);
        if (rc == 0 && access("directory/directory.db", F_OK) == 0)
                rc = tool_fail(t, -EEXIST, str_of(t->folder.path), "is a pail folder already");
        return rc;
}

int verb_init(int argc, char **argv)
{
        static const struct tool_option options[] = { { "host", &host_option, NULL },
                                                      { "account", &account_option, NULL },
                                                      { 0 } };
        struct tool t;
        struct init v = { .t = &t };
        int rc = tool_options(&t, argc, argv, options);

        rc = rc ? rc : prepare(&v);
        if (rc == 0) {
                make_password(v.password, sizeof v.password - 1);
                rc = fill_in_child(&v);
        }
        rc = rc ? rc : write_settings(&v);
        if (rc == 0)
                print_result(&v);
        sodium_memzero(v.password, sizeof v.password);
        return tool_end(&t, rc);
}
