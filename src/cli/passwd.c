/* pail passwd: what proves who somebody is. The keeper keeps it; here it is asked for and handed over. */
#include "cli/cli.h"
#include "cli/tool.h"
#include "store/secrets.h"
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_MOST = 1024 };

static const char *app, *scope, *remove_label;
static bool scram, apop, list;

static const struct {
        const char *name;
        unsigned bit;
} scopes[] = { { "smtp", SCOPE_SMTP },
               { "pop3", SCOPE_POP3 },
               { "imap", SCOPE_IMAP },
               { "ftp", SCOPE_FTP },
               { "http", SCOPE_HTTP } };
#define SCOPES (sizeof(scopes) / sizeof(scopes[0]))

/* ---- asking for it ---- */

static volatile sig_atomic_t interrupted;

static void interrupt(int signo)
{
        interrupted = signo;
}

/* One line without its end; false: none, or too long. */
static bool read_line(struct buf *out)
{
        char c;

        buf_clear(out);
        for (;;) {
                ssize_t n = read(STDIN_FILENO, &c, 1);

                if (n <= 0)
                        return n == 0 && out->n > 0 && !out->full;
                if (c == '\n')
                        break;
                buf_u8(out, (uint8_t)c);
        }
        if (out->n && out->p[out->n - 1] == '\r')
                out->n--;
        return !out->full;
}

static bool ask_hidden(const char *question, struct buf *out)
{
        struct sigaction act = { .sa_handler = interrupt }, before;
        struct termios shown, hidden;
        bool good;

        if (tcgetattr(STDIN_FILENO, &shown) < 0)
                return false;
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        sigaction(SIGINT, &act,
                  &before); /* without SA_RESTART: the read ends, and the terminal is put right */
        fputs(question, stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
        good = read_line(out);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
        sigaction(SIGINT, &before, NULL);
        if (interrupted)
                raise(SIGINT);
        return good;
}

static int ask_password(struct tool *t, struct buf *out)
{
        struct buf auto_buf again = { 0 };

        buf_init(&again, LINE_MOST);
        if (!isatty(STDIN_FILENO))
                return read_line(out) ? 0 : tool_fail(t, -EINVAL, S("stdin"), "no password there");
        if (!ask_hidden("new password: ", out) || !ask_hidden("once more: ", &again))
                return tool_fail(t, -EINVAL, S("password"), "not given");
        return str_eq(buf_str(out), buf_str(&again))
                   ? 0
                   : tool_fail(t, -EINVAL, S("password"), "the two are not the same");
}

/* ---- doing it ---- */

static int hand_over(struct tool *t, const struct ask_set_secret *m, struct buf *said)
{
        int rc = tool_set_secret(t, m, said);

        if (rc == 0)
                return EX_OK;
        buf_u8(said, 0);
        return tool_fail(t, rc, m->account, said->n > 1 && !said->full ? said->p : NULL);
}

static int set_password(struct tool *t, struct str account)
{
        struct ask_set_secret m = {
                .what = SET_PASSWORD, .account = account, .label = S(""), .scope = SCOPE_ALL
        };
        struct buf auto_buf password = { 0 }, auto_buf said = { 0 };
        int rc;

        buf_init(&password, LINE_MOST);
        buf_init(&said, 4000);
        rc = ask_password(t, &password);
        m.password = buf_str(&password);
        m.with = (scram ? WITH_SCRAM : 0) | (apop ? WITH_APOP : 0);
        rc = rc ? rc : hand_over(t, &m, &said);
        if (password.n)
                sodium_memzero(password.p, password.n);
        return rc;
}

static bool scope_bits(struct str names, unsigned *bits)
{
        struct str name;

        *bits = 0;
        while (names.n) {
                size_t i = 0;

                str_cut(&names, ',', &name);
                while (i < SCOPES && !str_ieq(name, str_of(scopes[i].name)))
                        i++;
                if (i == SCOPES)
                        return false;
                *bits |= scopes[i].bit;
        }
        return *bits != 0;
}

static int add_app(struct tool *t, struct str account)
{
        struct ask_set_secret m = { .what = ADD_APP_PASSWORD,
                                    .account = account,
                                    .label = str_of(app),
                                    .password = S(""),
                                    .scope = SCOPE_ALL };
        struct buf auto_buf said = { 0 };
        int rc;

        if (scope && !scope_bits(str_of(scope), &m.scope))
                return tool_fail(t, -EINVAL, str_of(scope), "a scope is some of smtp,pop3,imap,ftp,http");
        buf_init(&said, 4000);
        rc = hand_over(t, &m, &said);
        if (rc)
                return rc;
        json_open(&t->out, NULL, '{');
        json_str(&t->out, "account", account);
        json_str(&t->out, "label", m.label);
        json_str(&t->out, "password", buf_str(&said));
        json_close(&t->out, '}');
        if (!t->json)
                printf(PRS "\n", STR(buf_str(&said)));
        sodium_memzero(said.p, said.n);
        return EX_OK;
}

static int remove_secret(struct tool *t, struct str account)
{
        struct ask_set_secret m = {
                .what = REMOVE_SECRET, .account = account, .label = str_of(remove_label), .password = S("")
        };
        struct buf auto_buf said = { 0 };

        buf_init(&said, 4000);
        return hand_over(t, &m, &said);
}

static void show(struct tool *t, const struct secret_entry *e)
{
        static const char *const kinds[] = { [SECRET_PASSWORD] = "password",
                                             [SECRET_APP] = "app password",
                                             [SECRET_SCRAM_SHA1] = "scram-sha-1",
                                             [SECRET_SCRAM_SHA256] = "scram-sha-256",
                                             [SECRET_APOP] = "apop",
                                             [SECRET_TOTP] = "totp" };
        const char *kind =
            e->kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[e->kind] ? kinds[e->kind] : "?";

        json_open(&t->out, NULL, '{');
        json_str(&t->out, "kind", str_of(kind));
        json_str(&t->out, "label", e->label);
        json_number(&t->out, "created", (uint64_t)e->created);
        json_number(&t->out, "used", (uint64_t)e->used);
        json_open(&t->out, "scope", '[');
        for (size_t i = 0; i < SCOPES; i++)
                if (e->scope & scopes[i].bit)
                        json_str(&t->out, NULL, str_of(scopes[i].name));
        json_close(&t->out, ']');
        json_close(&t->out, '}');
        if (t->json)
                return;
        printf("%-14s %-16.*s made %s, last used %s, for", kind, STR(e->label), tool_when(e->created).z,
               tool_when(e->used).z);
        for (size_t i = 0; i < SCOPES; i++)
                if (e->scope & scopes[i].bit)
                        printf(" %s", scopes[i].name);
        printf("\n");
}

static int list_secrets(struct tool *t, struct str account)
{
        struct buf auto_buf rows = { 0 };
        struct secret_entry e;
        struct unpack u;
        int rc;

        buf_init(&rows, 16000);
        rc = tool_secrets(t, account, &rows);
        if (rc < 0)
                return tool_fail(t, rc, account, NULL);
        u = unpack_of(buf_str(&rows));
        json_open(&t->out, NULL, '[');
        while (secret_entry_next(&u, &e))
                show(t, &e);
        json_close(&t->out, ']');
        return EX_OK;
}

int verb_passwd(int argc, char **argv)
{
        static const struct tool_option options[] = {
                { "app", &app, NULL },
                { "scope", &scope, NULL },
                { "remove", &remove_label, NULL },
                { "scram", NULL, &scram },
                { "apop", NULL, &apop },
                { "list", NULL, &list },
                { 0 },
        };
        struct tool t;
        struct str account;
        int rc = tool_begin(&t, argc, argv, options);

        if (rc == 0 && (t.count != 1 || (app != NULL) + (remove_label != NULL) + list + (scram || apop) > 1 ||
                        (scope && !app)))
                rc = tool_usage(&t);
        rc = rc ? rc : tool_account(&t, t.words[0], &account);
        if (rc == 0)
                rc = app            ? add_app(&t, account)
                     : remove_label ? remove_secret(&t, account)
                     : list         ? list_secrets(&t, account)
                                    : set_password(&t, account);
        return tool_end(&t, rc);
}
