/* A control connection: logged in, asked; and the same once more when it is lost. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "run/fiber.h"
#include <errno.h>
#include <pwd.h>
#include <sysexits.h>
#include <unistd.h>

#define QUIT_PATIENCE 3
enum { PAUSE_MOST = 30 };

void site_init(struct site *s, struct console *c)
{
        *s = (struct site){ .console = c };
        site_hears(s);
}

void site_close(struct site *s)
{
        struct site **at = &s->console->sites;

        while (*at && *at != s)
                at = &(*at)->next;
        if (*at)
                *at = s->next;
        s->next = NULL;
        if (s->client)
                ftp_client_close(&s->client, s->console->stopped ? 0 : in_seconds(QUIT_PATIENCE));
        s->logged_in = false;
        s->sent = s->answered = 0;
}

/* ---- login ---- */

static void keep(char *to, struct str s, bool *has)
{
        if (s.n < NAME_ROOM)
                mem_copy(to, NAME_ROOM - 1, s);
        to[s.n < NAME_ROOM ? s.n : 0] = 0;
        *has = true;
}

static const char *own_name(void)
{
        const struct passwd *p = getpwuid(getuid());

        return p ? p->pw_name : "anonymous";
}

static int ask_name(struct site *s)
{
        struct console *c = s->console;
        struct buf auto_buf answer = { 0 };
        char question[2 * NAME_ROOM + 16];

        if (!c->session || c->background) {
                keep(s->where.user, S("anonymous"), &s->where.has_user);
                return EX_OK;
        }
        snprintf(question, sizeof(question), "Name (%s:%s): ", s->where.host, own_name());
        buf_init(&answer, 8 * 1024);
        fflush(c->out);
        if (!terminal_ask(question, true, &answer))
                return EX_STOPPED;
        keep(s->where.user, answer.n ? buf_str(&answer) : str_of(own_name()), &s->where.has_user);
        return EX_OK;
}

static bool is_anonymous(const struct site *s)
{
        return str_ieq(str_of(s->where.user), S("anonymous")) || str_ieq(str_of(s->where.user), S("ftp"));
}

static int ask_secret(struct site *s, const char *question, char *to, bool *has)
{
        struct console *c = s->console;
        struct buf auto_buf answer = { 0 };

        if (is_anonymous(s) && (!c->session || c->background || !c->prompts)) {
                keep(to, S("pail@"), has);
                return EX_OK;
        }
        if (c->background)
                return say_fail(c, EX_NOPERM, s->where.host, "a password is needed");
        buf_init(&answer, 8 * 1024);
        fflush(c->out);
        if (!terminal_ask(question, false, &answer))
                return EX_STOPPED;
        if (!answer.n && is_anonymous(s))
                buf_printf(&answer, "%s@", own_name());
        keep(to, buf_str(&answer), has);
        if (answer.p)
                explicit_bzero(answer.p, answer.cap);
        return EX_OK;
}

/* What a person is told of the system: "215 UNIX Type: L8". */
static void ask_system(struct site *s)
{
        struct console *c = s->console;
        struct ftp_answer answer;
        size_t n;

        s->hush++;
        *s->system = 0;
        if (ftp_client_ask(s->client, &answer, "SYST") == 0 && answer.code == 215)
                snprintf(s->system, sizeof(s->system), "%.60s", answer.text);
        s->hush--;
        if (!c->verbose || s->hush || !*s->system)
                return;
        n = strcspn(s->system, " ");
        fputs("Remote system type is ", c->out);
        terminal_put(c->out, str_sub(str_of(s->system), 0, n));
        fputs(".\n", c->out);
        if (c->coding.type == TYPE_IMAGE)
                fputs("Using binary mode to transfer files.\n", c->out);
}

int site_login(struct site *s)
{
        struct where *w = &s->where;
        struct ftp_answer answer = { 0 };
        int rc = w->has_user ? EX_OK : ask_name(s);

        s->logged_in = false;
        if (rc)
                return rc;
        for (unsigned i = 0; i < 4; i++) {
                rc = ftp_client_login(s->client, w->user, w->has_password ? w->password : NULL,
                                      w->has_account ? w->account : NULL, &answer);
                if (rc != -EREMOTEIO || (answer.code != 331 && answer.code != 332))
                        break;
                s->again_user = true;
                rc = answer.code == 331 ? w->has_password
                                              ? -EREMOTEIO
                                              : ask_secret(s, "Password:", w->password, &w->has_password)
                     : w->has_account ? -EREMOTEIO
                                        : ask_secret(s, "Account:", w->account, &w->has_account);
                if (rc)
                        break;
        }
        s->again_user = false;
        if (rc > 0)
                return rc;
        if (rc < 0) {
                if (answer.code == 530)
                        w->has_password = w->has_account = false;
                rc = site_failed(s, rc, &answer, NULL);
                if (s->console->session && !s->console->background)
                        fputs("Login failed.\n", s->console->out);
                return rc;
        }
        s->logged_in = true;
        ask_system(s);
        return site_here(s);
}

/* ---- where we stand ---- */

/* 257 "a ""quoted"" path" -- RFC 959 Appendix II */
static bool quoted_path(struct str text, char to[static PATH_ROOM])
{
        size_t n = 0;

        if (!text.n || text.p[0] != '"')
                return false;
        for (size_t i = 1; i < text.n && n < PATH_ROOM - 1; i++) {
                if (text.p[i] == '"' && !(i + 1 < text.n && text.p[i + 1] == '"')) {
                        to[n] = 0;
                        return true;
                }
                i += text.p[i] == '"';
                to[n++] = text.p[i];
        }
        *to = 0;
        return false;
}

int site_here(struct site *s)
{
        struct ftp_answer answer;
        int rc;

        s->hush++;
        rc = ftp_client_ask(s->client, &answer, "PWD");
        s->hush--;
        if (rc < 0 || !quoted_path(str_of(answer.text), s->folder))
                *s->folder = 0;
        return rc == -ECANCELED ? EX_STOPPED : EX_OK;
}

int site_open(struct site *s, bool login)
{
        int rc;

        *s->folder = 0;
        rc = site_connect(s);
        return rc || !login ? rc : site_login(s);
}

/* ---- again ---- */

static int once_more(struct site *s)
{
        struct ftp_answer answer;
        char *folder = mem_string(str_of(s->folder));
        bool inside = s->logged_in;
        int rc;

        s->hush++;
        rc = site_connect(s);
        if (rc == EX_OK && inside)
                rc = site_login(s);
        if (rc == EX_OK && inside && *folder && strcmp(folder, s->folder) != 0) {
                int sent = ftp_client_ask(s->client, &answer, "CWD %s", folder);

                rc = sent < 0 ? site_failed(s, sent, &answer, folder) : site_here(s);
        }
        s->hush--;
        s->logged_in = inside;
        if (!*s->folder && strlen(folder) < PATH_ROOM)
                mem_copy(s->folder, PATH_ROOM, str_from(folder, strlen(folder) + 1));
        mem_free(folder);
        return rc;
}

int site_again(struct site *s)
{
        struct console *c = s->console;
        int rc = EX_UNAVAILABLE;
        nsec pause = 1;

        if (!*s->where.host)
                return rc;
        for (unsigned i = 0; i < c->tries && !c->stopped;
             i++, pause = pause * 2 < PAUSE_MOST ? pause * 2 : PAUSE_MOST) {
                for (nsec until = now() + (i ? pause * SECOND : 0); now() < until && !c->stopped;)
                        if (fiber_sleep(now() + SECOND / 4) < 0) /* Ctrl-C is looked for */
                                return EX_STOPPED;
                if (c->stopped)
                        return EX_STOPPED;
                if (c->verbose && !s->hush)
                        put_line(c, S("The connection is lost; opening it again."));
                rc = once_more(s);
                if (rc == EX_OK || rc == EX_NOPERM || rc == EX_STOPPED)
                        return rc;
        }
        return rc;
}

int site_like(struct site *s, const struct site *other)
{
        s->where = other->where;
        mem_copy(s->folder, PATH_ROOM, str_from(other->folder, strlen(other->folder) + 1));
        s->logged_in = true;
        return once_more(s);
}

int site_ask(struct site *s, struct ftp_answer *answer, const char *format, ...)
{
        struct buf auto_buf line = { 0 };
        struct ftp_answer own;
        va_list args;
        int rc;

        if (!answer)
                answer = &own;
        *answer = (struct ftp_answer){ 0 };
        buf_init(&line, LINE_MOST);
        va_start(args, format);
        buf_vprintf(&line, format, args);
        va_end(args);
        buf_u8(&line, 0);
        if (line.full)
                return say_fail(s->console, EX_USAGE, "line", "too long");
        if (!s->client) /* lost, and not found again */
                return say_fail(s->console, EX_UNAVAILABLE, s->where.host, "not connected");
        rc = ftp_client_ask(s->client, answer, "%s", line.p);
        if (site_lost(rc, answer) && s->logged_in && site_again(s) == EX_OK)
                rc = ftp_client_ask(s->client, answer, "%s", line.p);
        return rc < 0 ? site_failed(s, rc, answer, NULL) : EX_OK;
}
