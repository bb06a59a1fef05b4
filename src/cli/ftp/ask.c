/* Commands that are one command there, and the connection's own: open, close, user, bye. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "proto/ftp/time.h"
#include <errno.h>
#include <sysexits.h>
#include <time.h>

/* ---- open, close ---- */

/* Who we are there: what was typed, then .netrc, then the question. */
static int open_where(struct console *c, const struct where *w, bool login)
{
        struct site *s = c->site;
        struct buf auto_buf macros = { 0 };
        char *path = mem_string(str_of(w->path));
        int rc;

        buf_init(&macros, LINE_MOST);
        s->where = *w;
        *s->where.path = 0;
        if (login && c->auto_login)
                netrc_find(c->netrc, &s->where, &macros);
        rc = site_open(s, login && (c->auto_login || s->where.has_user));
        run_netrc_macros(c, buf_str(&macros));
        if (rc == EX_OK && *path && s->logged_in)
                rc = site_ask(s, NULL, "CWD %s", path);
        if (rc == EX_OK && *path && s->logged_in)
                rc = site_here(s);
        mem_free(path);
        return rc;
}

/* open HOST [PORT], as typed or a bookmark */
int do_open(struct console *c, int argc, char **argv)
{
        struct where *w = mem_new(struct where);
        const char *why = "";
        uint64_t port;
        int rc;

        if (c->site->client) {
                mem_free(w);
                return say_fail(c, EX_USAGE, c->site->where.host, "already connected; use close first");
        }
        if (!bookmark_find(argv[1], w) && !where_parse(str_of(argv[1]), w, &why)) {
                mem_free(w);
                return say_fail(c, EX_USAGE, argv[1], why);
        }
        if (argc > 2 && (!str_u64(str_of(argv[2]), &port) || !port || port > 65535)) {
                mem_free(w);
                return say_fail(c, EX_USAGE, argv[2], "no port");
        }
        if (argc > 2)
                w->port = (unsigned)port;
        rc = open_where(c, w, true);
        mem_free(w);
        return rc;
}

int do_close(struct console *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        if (c->site->client)
                site_close(c->site);
        *c->site->folder = 0;
        return EX_OK;
}

int do_bye(struct console *c, int argc, char **argv)
{
        do_close(c, argc, argv);
        c->ended = true;
        return EX_OK;
}

/* user NAME [PASSWORD [ACCOUNT]] */
int do_user(struct console *c, int argc, char **argv)
{
        struct where *w = &c->site->where;
        char *to[] = { w->user, w->password, w->account };
        bool *has[] = { &w->has_user, &w->has_password, &w->has_account };

        for (int i = 0; i < 3; i++) {
                *has[i] = i + 1 < argc;
                to[i][0] = 0;
                if (!*has[i])
                        continue;
                if (strlen(argv[i + 1]) >= NAME_ROOM)
                        return say_fail(c, EX_USAGE, argv[0], "too long");
                mem_copy(to[i], NAME_ROOM, str_from(argv[i + 1], strlen(argv[i + 1]) + 1));
        }
        return site_login(c->site);
}

/* account [WORD]: RFC 959 ACCT, when a server asks for it on the way */
int do_account(struct console *c, int argc, char **argv)
{
        struct buf auto_buf typed = { 0 };
        int rc;

        if (argc > 1)
                return site_ask(c->site, NULL, "ACCT %s", argv[1]);
        buf_init(&typed, NAME_ROOM);
        if (!c->prompts || !terminal_ask("Account:", false, &typed))
                return c->prompts ? EX_STOPPED : say_fail(c, EX_USAGE, argv[0], "which?");
        if (!typed.n)
                return say_fail(c, EX_USAGE, argv[0], "which?");
        rc = site_ask(c->site, NULL, "ACCT " PRS, STR(buf_str(&typed)));
        explicit_bzero(typed.p, typed.cap);
        return rc;
}

int do_tls(struct console *c, int argc, char **argv)
{
        const struct tls_found *t = ftp_client_tls(c->site->client);

        (void)argc;
        (void)argv;
        if (!t) {
                fputs("The conversation is in clear.\n", c->out);
                return EX_OK;
        }
        fprintf(c->out, "%s, %s; the certificate is %s", t->version, t->cipher,
                t->verified ? "good" : "not good: ");
        put_safe(c->out, t->verified ? "" : t->why);
        fputs("\nSHA-256 ", c->out);
        for (size_t i = 0; i < sizeof(t->fingerprint); i++)
                fprintf(c->out, "%s%02X", i ? ":" : "", t->fingerprint[i]);
        fputc('\n', c->out);
        return EX_OK;
}

/* ---- where we stand ---- */

int do_cd(struct console *c, int argc, char **argv)
{
        int rc;

        (void)argc;
        rc = site_ask(c->site, NULL, "CWD %s", argv[1]);
        return rc ? rc : site_here(c->site);
}

int do_cdup(struct console *c, int argc, char **argv)
{
        int rc;

        (void)argc;
        (void)argv;
        rc = site_ask(c->site, NULL, "CDUP");
        return rc ? rc : site_here(c->site);
}

/* What was asked for is shown, verbose or not. */
static int shown(struct console *c, int rc, const struct ftp_answer *a)
{
        if (rc == EX_OK && !c->verbose && !c->debug)
                put_line(c, str_of(a->text));
        return rc;
}

int do_pwd(struct console *c, int argc, char **argv)
{
        struct ftp_answer a;

        (void)argc;
        (void)argv;
        return shown(c, site_ask(c->site, &a, "PWD"), &a);
}

/* ---- one command ---- */

static int each_word(struct console *c, const char *verb, int argc, char **argv)
{
        int code = EX_OK;

        for (int i = 1; i < argc && !c->stopped && c->site->client; i++) {
                int rc = site_ask(c->site, NULL, "%s %s", verb, argv[i]);

                code = code ? code : rc;
        }
        return code;
}

int do_mkdir(struct console *c, int argc, char **argv)
{
        return each_word(c, "MKD", argc, argv);
}

int do_rmdir(struct console *c, int argc, char **argv)
{
        return each_word(c, "RMD", argc, argv);
}

int do_delete(struct console *c, int argc, char **argv)
{
        return each_word(c, "DELE", argc, argv);
}

int do_rename(struct console *c, int argc, char **argv)
{
        struct ftp_answer a;
        int rc = site_ask(c->site, &a, "RNFR %s", argv[1]);

        (void)argc;
        return rc ? rc : site_ask(c->site, &a, "RNTO %s", argv[2]);
}

int do_size(struct console *c, int argc, char **argv)
{
        int code = EX_OK;

        for (int i = 1; i < argc; i++) {
                struct ftp_answer a;
                int rc = site_ask(c->site, &a, "SIZE %s", argv[i]);

                code = code ? code : rc;
                if (rc)
                        continue;
                put_safe(c->out, argv[i]);
                fputc('\t', c->out);
                put_line(c, str_of(a.text));
        }
        return code;
}

int do_modtime(struct console *c, int argc, char **argv)
{
        int code = EX_OK;

        for (int i = 1; i < argc; i++) {
                struct ftp_answer a;
                char when[64];
                struct tm tm;
                time_t t;
                int64_t usec;
                int rc = site_ask(c->site, &a, "MDTM %s", argv[i]);

                code = code ? code : rc;
                if (rc)
                        continue;
                put_safe(c->out, argv[i]);
                fputc('\t', c->out);
                t = 0;
                if (ftp_time_parse(str_trim(str_of(a.text)), &usec))
                        t = (time_t)(usec / 1000000);
                if (t && localtime_r(&t, &tm) && strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", &tm))
                        put_line(c, str_of(when));
                else
                        put_line(c, str_of(a.text));
        }
        return code;
}

int do_chmod(struct console *c, int argc, char **argv)
{
        int code = EX_OK;

        for (int i = 2; i < argc && c->site->client; i++) {
                int rc = site_ask(c->site, NULL, "SITE CHMOD %s %s", argv[1], argv[i]);

                code = code ? code : rc;
        }
        return code;
}

int do_umask(struct console *c, int argc, char **argv)
{
        struct ftp_answer a;

        return shown(c,
                     argc > 1 ? site_ask(c->site, &a, "SITE UMASK %s", argv[1])
                              : site_ask(c->site, &a, "SITE UMASK"),
                     &a);
}

int do_idle(struct console *c, int argc, char **argv)
{
        struct ftp_answer a;

        return shown(
            c, argc > 1 ? site_ask(c->site, &a, "SITE IDLE %s", argv[1]) : site_ask(c->site, &a, "SITE IDLE"),
            &a);
}

/* quote, literal: the rest of the line as it stands; its reply is shown whatever it is */
int do_quote(struct console *c, int argc, char **argv)
{
        struct ftp_answer a;
        bool before = c->debug;
        int rc;

        (void)argc;
        (void)argv;
        c->debug = true;
        rc = site_ask(c->site, &a, PRS, STR(c->rest));
        c->debug = before;
        if (rc == EX_OK && (str_istarts(c->rest, S("CWD ")) || str_istarts(c->rest, S("CDUP"))))
                return site_here(c->site);
        return rc;
}

int do_site(struct console *c, int argc, char **argv)
{
        struct ftp_answer a;

        (void)argc;
        (void)argv;
        return shown(c, site_ask(c->site, &a, "SITE " PRS, STR(c->rest)), &a);
}

/* A reply of several lines is what was asked for. */
static int lines(struct console *c, const char *verb, int argc, char **argv)
{
        struct ftp_answer a;
        int rc = argc > 1 ? site_ask(c->site, &a, "%s %s", verb, argv[1]) : site_ask(c->site, &a, "%s", verb);

        if (rc == EX_OK && !c->verbose && !c->debug) {
                progress_away();
                terminal_put(c->out, ftp_client_lines(c->site->client));
                fputc('\n', c->out);
        }
        return rc;
}

int do_remotestatus(struct console *c, int argc, char **argv)
{
        return lines(c, "STAT", argc, argv);
}

int do_features(struct console *c, int argc, char **argv)
{
        return lines(c, "FEAT", argc, argv);
}

int do_remotehelp(struct console *c, int argc, char **argv)
{
        return lines(c, "HELP", argc, argv);
}

int do_system(struct console *c, int argc, char **argv)
{
        struct ftp_answer a;
        int rc;

        (void)argc;
        (void)argv;
        rc = site_ask(c->site, &a, "SYST");
        if (rc == EX_OK && !c->debug) {
                fprintf(c->out, "%u ", a.code);
                put_line(c, str_of(a.text));
        }
        return rc;
}

int do_noop(struct console *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        return site_ask(c->site, NULL, "NOOP");
}

/* Replies that came out of step are forgotten with their connection. */
int do_reset(struct console *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        return site_again(c->site);
}

int do_restart(struct console *c, int argc, char **argv)
{
        if (argc < 2)
                c->restart = 0;
        else if (!str_u64(str_of(argv[1]), &c->restart))
                return say_fail(c, EX_USAGE, argv[1], "not an offset");
        fprintf(c->out, "The next transfer begins at %llu.\n", (unsigned long long)c->restart);
        return EX_OK;
}
