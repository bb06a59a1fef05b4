/* pail demo: the whole server on loopback, with the lectures' people; no root, no settings. */
#include "cli/certificates.h"
#include "cli/cli.h"
#include "cli/demo_files.h"
#include "cli/demo_people.h"
#include "cli/folder.h"
#include "net/addr.h"
#include "cli/settings_check.h"
#include "role/supervisor.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define BASE_PORT  10000
#define READY_MARK "demo.made" /* the last thing written into a fresh folder */

struct demo {
        const char *path; /* as typed */
        const char *domains;
        struct buf routes; /* of --route */
        long base_port;
        struct folder folder;
        struct settings settings;
};

static const char *const hosts[] = {
        /* 127.0.0.1 and up */
        "hill.com", "town.com", "crepes.fr", "hamburger.edu", "mta13.adelphia.net", "mx.rutgers.edu",
};
#define HOSTS (sizeof(hosts) / sizeof(*hosts))

static bool set(struct demo *d, const char *pair)
{
        struct str value = str_of(pair), name;
        auto_buf struct buf why;

        buf_init(&why, 1024);
        if (str_cut(&value, '=', &name) && !settings_set(&d->settings, name, value, &why))
                return true;
        fprintf(stderr, "pail demo: --set %s: " PRS "\n", pair,
                STR(why.n ? buf_str(&why) : S("not NAME=VALUE")));
        return false;
}

/* Only what a demo has otherwise than a server: loopback addresses, one host name each, shifted ports. */
static bool demo_settings(struct demo *d)
{
        auto_buf struct buf listen, names;
        struct settings *s = &d->settings;
        auto_buf struct buf why;

        buf_init(&why, 1024);
        buf_init(&listen, 1024);
        buf_init(&names, 1024);
        for (unsigned i = 0; i < HOSTS; i++) {
                buf_printf(&listen, "%s127.0.0.%u", i ? " " : "", i + 1);
                buf_printf(&names, "%s127.0.0.%u=%s", i ? " " : "", i + 1, hosts[i]);
        }
        bool good = !settings_set(s, S("listen"), buf_str(&listen), &why) &&
                    !settings_set(s, S("host-names"), buf_str(&names), &why) &&
                    !settings_set(s, S("host-name"), str_of(hosts[0]), &why) &&
                    !settings_set(s, S("data"), S("."), &why) &&
                    !settings_set(s, S("auth-on-25"), S("yes"), &why) &&
                    !settings_set(s, S("offer-scram"), S("yes"), &why) &&
                    !settings_set(s, S("ftp-anonymous"), S("yes"), &why) &&
                    !settings_set(s, S("routes"), buf_str(&d->routes), &why) &&
                    !settings_set(s, S("hold-unrouted"), S("yes"), &why) &&
                    !settings_set(s, S("resolver"), S("127.0.0.1@9"),
                                  &why); /* nobody: nothing is asked off this machine */

        s->smtp_port = d->base_port + 25;
        s->submission_port = d->base_port + 587;
        s->submissions_port = d->base_port + 465;
        s->pop3_port = d->base_port + 110;
        s->pop3s_port = d->base_port + 995;
        s->imap_port = d->base_port + 143;
        s->imaps_port = d->base_port + 993;
        s->ftp_port = d->base_port + 21;
        s->ftp_data_port = d->base_port + 20;
        s->ftps_port = d->base_port + 990;
        s->ftps_data_port = d->base_port + 989;
        s->ftp_passive_low = d->base_port + 20000;
        s->ftp_passive_high = d->base_port + 20999;
        if (!good)
                fprintf(stderr, "pail demo: " PRS "\n", STR(buf_str(&why)));
        return good;
}

static int make_certificates(void)
{
        struct str names[HOSTS + 1], addresses[HOSTS];
        static char room[HOSTS][16];
        auto_buf struct buf why;

        names[0] = S("localhost");
        for (unsigned i = 0; i < HOSTS; i++) {
                names[i + 1] = str_of(hosts[i]);
                addresses[i] =
                    str_from(room[i], (size_t)snprintf(room[i], sizeof(room[i]), "127.0.0.%u", i + 1));
        }
        buf_init(&why, 1024);
        if (!certificates_make("ca.pem", "keys/ca.key", "keys/tls.pem", "keys/tls.key", S("pail demo"), names,
                               HOSTS + 1, addresses, HOSTS, &why))
                return EX_OK;
        fprintf(stderr, "pail demo: certificates: " PRS "\n", STR(buf_str(&why)));
        return EX_CANTCREAT;
}

static bool has_files(void)
{
        return access("files/anonymous", F_OK) == 0;
}

/* --domains names some that are not there yet, perhaps; an older pail made no files. */
static int add_what_is_missing(const struct demo *d)
{
        int rc = folder_become_owner(&d->folder);

        umask(0077);
        if (!rc && !has_files())
                rc = folder_layout();
        if (!rc && !has_files())
                rc = demo_files();
        return rc || !*d->domains ? rc : demo_people(d->domains, false);
}

static int populate(const struct demo *d)
{
        int rc = folder_become_owner(&d->folder);
        int mark;

        umask(0077);
        if (!rc)
                rc = folder_layout();
        if (!rc)
                rc = make_certificates();
        if (!rc)
                rc = demo_people(d->domains, true);
        if (!rc)
                rc = demo_files();
        if (rc)
                return rc;
        mark = open(READY_MARK, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        return mark < 0 || fsync(mark) < 0 || close(mark) < 0 ? EX_CANTCREAT : EX_OK;
}

/* A child with the rights of the folder's owner does it: what runs as root parses and makes nothing. */
static int populate_or_add(const struct demo *d)
{
        bool fresh = access(READY_MARK, F_OK) < 0;
        int status;
        pid_t pid;

        if (!fresh && !*d->domains && has_files())
                return EX_OK;
        if (fresh && !access("directory/directory.db", F_OK)) {
                fprintf(
                    stderr,
                    "pail demo: %s: a first start was interrupted here: remove the folder and start again\n",
                    d->path);
                return EX_DATAERR;
        }
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                _exit(fresh ? populate(d) : add_what_is_missing(d));
        if (pid < 0 || waitpid(pid, &status, 0) < 0) {
                fprintf(stderr, "pail demo: %m\n");
                return EX_OSERR;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

static void print_table(void *context)
{
        const struct demo *d = context;
        long n = d->base_port;

        printf("service      address            try\n"
               "SMTP         127.0.0.1:%-8ld telnet 127.0.0.1 %ld\n"
               "submission   127.0.0.1:%-8ld printf 'Subject: hello\\r\\n\\r\\nhello jill\\r\\n' | curl -sS "
               "--ssl-reqd --cacert "
               "%s/ca.pem smtp://localhost:%ld/town.com -u jack:crown --mail-from jack@town.com --mail-rcpt "
               "jill@hill.com -T -\n"
               "submissions  127.0.0.1:%-8ld printf 'Subject: hello\\r\\n\\r\\nhello jill\\r\\n' | curl -sS "
               "--cacert "
               "%s/ca.pem smtps://localhost:%ld/town.com -u jack:crown --mail-from jack@town.com --mail-rcpt "
               "jill@hill.com -T -\n"
               "POP3         127.0.0.1:%-8ld curl -sS pop3://127.0.0.1:%ld/1 -u jill:tumbling\n"
               "POP3S        127.0.0.1:%-8ld curl -sS --cacert %s/ca.pem pop3s://localhost:%ld/1 -u "
               "jill:tumbling\n",
               n + 25, n + 25, n + 587, d->path, n + 587, n + 465, d->path, n + 465, n + 110, n + 110,
               n + 995, d->path, n + 995);
        printf("IMAP         127.0.0.1:%-8ld curl -sS 'imap://127.0.0.1:%ld/INBOX;MAILINDEX=1' -u "
               "jill:tumbling\n"
               "IMAPS        127.0.0.1:%-8ld curl -sS --cacert %s/ca.pem "
               "'imaps://localhost:%ld/INBOX;MAILINDEX=1' -u "
               "jill:tumbling\n",
               n + 143, n + 143, n + 993, d->path, n + 993);
        printf("FTP          127.0.0.1:%-8ld curl -sS ftp://127.0.0.1:%ld/pub/jack-and-jill.txt\n"
               "FTPS         127.0.0.1:%-8ld curl -sS --cacert %s/ca.pem ftps://localhost:%ld/reports/ -u "
               "forouzan:lecture\n",
               n + 21, n + 21, n + 990, d->path, n + 990);
        if (d->settings.lmtp_port)
                printf("LMTP         127.0.0.1:%-8ld telnet 127.0.0.1 %ld\n", d->settings.lmtp_port,
                       d->settings.lmtp_port);
        if (d->settings.atrn_port)
                printf("ATRN         127.0.0.1:%-8ld telnet 127.0.0.1 %ld\n", d->settings.atrn_port,
                       d->settings.atrn_port);
        printf("clients      pail ftp 127.0.0.1:%ld; pail talk 127.0.0.1 %ld; pail mail --dir %s --account "
               "bob@hamburger.edu; pail watch --dir %s\n",
               n + 21, n + 25, d->path, d->path);
        printf("people       jack@town.com crown, jill@hill.com tumbling, alice@crepes.fr rabbit, "
               "bob@hamburger.edu "
               "hungry,\n             forouzanb@adelphia.net lecture, srinivas.narayana@rutgers.edu goodbye; "
               "the list "
               "friends@hill.com\n"
               "hosts        127.0.0.1 hill.com, .2 town.com, .3 crepes.fr, .4 hamburger.edu, .5 "
               "mta13.adelphia.net, .6 "
               "mx.rutgers.edu\n"
               "pail: ready\n");
        fflush(stdout);
}

static bool fits(const struct demo *d)
{
        auto_buf struct buf why;

        buf_init(&why, 1024);
        if (settings_check(&d->settings, &why))
                return true;
        fprintf(stderr, "pail demo: " PRS "\n", STR(buf_str(&why)));
        return false;
}

/* DOMAIN=HOST:PORT. A demo sends nothing off this machine. */
static bool add_route(struct demo *d, const char *text)
{
        struct str to = str_of(text), domain;
        struct addr a;

        if (!str_cut(&to, '=', &domain) || !domain.n || !addr_parse(to, 25, &a) || !addr_loopback(a)) {
                fprintf(stderr,
                        "pail demo: --route: %s is not DOMAIN=HOST:PORT with an address of this machine\n",
                        text);
                return false;
        }
        buf_printf(&d->routes, "%s%s", d->routes.n ? " " : "", text);
        return true;
}

static int options(struct demo *d, int argc, char **argv)
{
        static const struct option long_options[] = {
                { "dir", required_argument, NULL, 'd' },
                { "base-port", required_argument, NULL, 'p' },
                { "domains", required_argument, NULL, 'D' },
                { "set", required_argument, NULL, 's' },
                { "route", required_argument, NULL, 'r' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        int c;
        uint64_t port;

        optind = 1;
        opterr = 0;
        for (int pass = 0; pass < 2; pass++, optind = 0) { /* the ports stand before --set may change one */
                while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
                        switch (c) {
                        case 'd': d->path = optarg; break;
                        case 'D': d->domains = optarg; break;
                        case 'p':
                                if (!str_u64(str_of(optarg), &port) || port > 44000) {
                                        fprintf(stderr, "pail demo: --base-port: %s is not 0 to 44000\n",
                                                optarg);
                                        return EX_USAGE;
                                }
                                d->base_port = (long)port;
                                break;
                        case 's':
                                if (pass && !set(d, optarg))
                                        return EX_USAGE;
                                break;
                        case 'r':
                                if (!pass && !add_route(d, optarg))
                                        return EX_USAGE;
                                break;
                        case 'h': return -1;
                        default:
                                fprintf(stderr, "pail demo: %s: no such option, or its value is missing\n",
                                        argv[optind - 1]);
                                return EX_USAGE;
                        }
                if (optind < argc) {
                        fprintf(stderr, "pail demo: %s: what is that?\n", argv[optind]);
                        return EX_USAGE;
                }
                if (!pass && !demo_settings(d))
                        return EX_SOFTWARE;
        }
        return fits(d) ? 0 : EX_USAGE;
}

static int run(struct demo *d)
{
        int rc = folder_enter(&d->folder, d->path, true);

        if (!rc)
                rc = folder_lock(&d->folder);
        if (!rc)
                rc = populate_or_add(d);
        if (rc)
                return rc;
        rc = supervise(&(struct supervise){
            .settings = &d->settings,
            .drop = d->folder.root,
            .uid = d->folder.uid,
            .gid = d->folder.gid,
            .ready = print_table,
            .context = d,
        });
        if (rc == EX_UNAVAILABLE)
                fprintf(stderr, "pail demo: choose other ports with --base-port N (now %ld)\n", d->base_port);
        return rc;
}

int verb_demo(int argc, char **argv)
{
        struct demo *d = &(struct demo){ .path = "./pail-demo", .base_port = BASE_PORT, .domains = "" };
        int rc;

        settings_default(&d->settings);
        buf_init(&d->routes, 4096);
        rc = options(d, argc, argv);
        if (rc)
                rc = rc < 0 ? cli_help("demo") : rc;
        else
                rc = run(d);
        buf_free(&d->routes);
        settings_free(&d->settings);
        return rc;
}
