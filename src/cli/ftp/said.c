/* What is shown of the conversation, and what a failure is worth. Replies to commands that nobody typed (TYPE, SIZE, FEAT) are shown only with
 * `debug`: the conversation is to look as in the books. */
#include "cli/ftp/ftp.h"
#include <errno.h>
#include <sysexits.h>

enum { RING = sizeof(((struct site *)0)->hidden) / sizeof(bool) };

void put_line(struct console *c, struct str line)
{
        progress_away();
        terminal_put(c->out, line);
        fputc('\n', c->out);
}

void put_safe(FILE *to, const char *text)
{
        terminal_put(to, str_of(text));
}

/* A URL as it was typed, but for its password. */
static void put_what(FILE *to, const char *what)
{
        size_t at, n;

        if (where_secret(what, &at, &n)) {
                terminal_put(to, str_from(what, at));
                fputs("XXXX", to);
                what += at + n;
        }
        put_safe(to, what);
}

int say_fail(struct console *c, int code, const char *what, const char *why)
{
        FILE *to = c->background ? c->out : stderr;

        if (c->mute)
                return code;
        progress_away();
        fflush(c->out);
        if (!c->prompts)
                fputs("pail ", to);
        fputs("ftp: ", to);
        put_what(to, what);
        fputs(": ", to);
        put_safe(to, why);
        fputc('\n', to);
        return code;
}

int say_errno(struct console *c, int rc, const char *what)
{
        int code = rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP || rc == -EISDIR ? EX_NOINPUT
                   : rc == -EACCES || rc == -EPERM || rc == -EROFS                  ? EX_NOPERM
                   : rc == -EEXIST || rc == -ENOSPC || rc == -EDQUOT                ? EX_CANTCREAT
                   : rc == -ECANCELED                                               ? EX_STOPPED
                                                                                    : EX_IOERR;

        return say_fail(c, code, what, rc == -ECANCELED ? "stopped" : strerrordesc_np(-rc));
}

/* Of the replies to these, only those that somebody asked for by their name are shown. */
static bool ours(struct str line)
{
        static const char *const verbs[] = { "TYPE", "STRU", "MODE", "SIZE", "MDTM", "OPTS",
                                             "FEAT", "PBSZ", "PROT", "REST", "CLNT", "HOST",
                                             "SYST", "MFMT", "MLST", "XPWD", "RANG" };

        for (unsigned i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
                if (str_istarts(line, str_of(verbs[i])))
                        return true;
        return false;
}

/* What ends a segment, and what finds the way back into step after ABOR, unless a person has typed it. */
static bool of_a_stop(const struct console *c, struct str line)
{
        if (str_istarts(c->line, S("noo")) || str_istarts(c->line, S("quo")) ||
            str_istarts(c->line, S("lit")))
                return false;
        return str_istarts(line, S("NOOP")) || (str_istarts(line, S("ABOR")) && !c->stopped);
}

static void sent(void *context, struct str line)
{
        struct site *s = context;
        struct console *c = s->console;

        s->hidden[s->sent++ % RING] =
            s->hush || ours(line) || of_a_stop(c, line) || (s->again_user && str_istarts(line, S("USER ")));
        if (!c->debug)
                return;
        progress_away();
        fputs("---> ", c->out);
        put_line(c, line);
}

static void said(void *context, unsigned code, struct str line, bool last)
{
        struct site *s = context;
        struct console *c = s->console;
        bool asked = s->answered < s->sent, hidden = asked && s->hidden[s->answered % RING];

        if (last && code >= 200 && asked)
                s->answered++;
        if (c->debug || (!hidden && !s->hush && (c->verbose || (code >= 400 && c->session))))
                put_line(c, line);
}

/* The transcript's form, with what the tap masks. */
static void tapped(struct conn_tap *tap, char from, struct str line, uint64_t bytes)
{
        struct site *s = (struct site *)((char *)tap - offsetof(struct site, tap));
        FILE *to = s->console->transcript;

        if (!to)
                return;
        fprintf(to, "%c: ", from);
        if (line.p)
                terminal_put(to, line);
        else
                fprintf(to, "(%llu octets)", (unsigned long long)bytes);
        fputc('\n', to);
        fflush(to);
}

void site_hears(struct site *s)
{
        s->hears = (struct ftp_hears){ sent, said, s };
        s->tap.line = tapped;
}

bool site_lost(int rc, const struct ftp_answer *a)
{
        return rc == -ECONNRESET || rc == -EPIPE || rc == -ETIMEDOUT || rc == -ECONNABORTED ||
               rc == -EHOSTUNREACH || rc == -ENETUNREACH || rc == -ECONNREFUSED ||
               (rc == -EREMOTEIO && a->code == 421);
}

static int code_of_reply(unsigned code)
{
        switch (code) {
        case 331:
        case 332:
        case 530:
        case 532:
        case 534: return EX_NOPERM;
        case 550:
        case 551: return EX_NOINPUT;
        case 552:
        case 553: return EX_CANTCREAT;
        default: return code >= 500 ? EX_PROTOCOL : EX_TEMPFAIL;
        }
}

int site_failed(struct site *s, int rc, const struct ftp_answer *a, const char *what)
{
        struct console *c = s->console;
        char text[sizeof(a->text) + 16];
        bool seen;

        if (!what || !*what)
                what = s->where.host;
        if (rc == -ECANCELED)
                return c->prompts ? (put_line(c, S("stopped")), EX_STOPPED) : EX_STOPPED;
        if (rc == -EREMOTEIO && a->code) {
                seen = (c->verbose || c->session) && !s->hush && s->answered &&
                       !s->hidden[(s->answered - 1) % RING];
                if (!seen) {
                        snprintf(text, sizeof(text), "%u %s", a->code, a->text);
                        say_fail(c, 0, what, text);
                }
                return code_of_reply(a->code);
        }
        say_fail(c, 0, what, a && !a->code && *a->text ? a->text : strerrordesc_np(-rc));
        return rc == -EACCES                          ? EX_NOPERM
               : rc == -EPROTO                        ? EX_PROTOCOL
               : rc == -EBADMSG                       ? EX_DATAERR
               : rc == -EINVAL                        ? EX_USAGE
               : rc == -EREMOTEIO || site_lost(rc, a) ? EX_UNAVAILABLE
                                                      : EX_IOERR;
}
