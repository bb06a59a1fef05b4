/* A watched conversation as a dialog test (tests/dialog/README.md). What was not shown has to be something when it is played: a secret is a variable, a
 * letter a line that says how long it was, a literal so many x; what the server said in octets is passed over up to its next line. */
#include "cli/watch.h"
#include "proto/transcript.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define MASK S("****")

static void variable(struct buf *out, const char *name, unsigned n)
{
        if (n > 1)
                buf_printf(out, "{%s-%u}\n", name, n);
        else
                buf_printf(out, "{%s}\n", name);
}

/* "data active" says what stands in PORT; where it listens is another place each time. */
static bool active_mode(struct watched *c, struct str text)
{
        bool port = c->ftp && str_istarts(text, S("PORT ")), eprt = c->ftp && str_istarts(text, S("EPRT "));

        if (port || eprt)
                buf_printf(&c->dialog, "data active\nC: %s\n", port ? "PORT {port}" : "EPRT {eprt}");
        c->active =
            port || eprt || (c->active && !str_istarts(text, S("PASV")) && !str_istarts(text, S("EPSV")));
        return port || eprt;
}

static void client_line(struct watched *c, struct str text)
{
        if (active_mode(c, text))
                return;
        if (!str_ends(text, MASK)) {
                transcript_keep(&c->dialog, TRANSCRIPT_CLIENT, 1, text);
                return;
        }
        text.n -= MASK.n;
        transcript_keep(&c->dialog, TRANSCRIPT_CLIENT, 1, text);
        if (c->dialog.n && c->dialog.p[c->dialog.n - 1] == '\n')
                c->dialog.n--;
        if (text.n && !str_istarts(text, S("AUTH")))
                variable(&c->dialog, "password", ++c->passwords);
        else
                variable(&c->dialog, "secret", ++c->secrets);
}

/* Whatever the server said stands between; a client's line ends no "S: ...". */
static void pass_over(struct watched *c)
{
        if (!c->hidden)
                return;
        buf_puts(&c->dialog, S("# octets of the server's stood here\n"));
        c->hidden = false;
}

/* The content is another's; what is played takes what comes, and sends as much of nothing. */
static void data_connection(struct watched *c, const struct tap_record *r)
{
        struct buf *out = &c->dialog;

        if (str_starts(r->text, S("opened"))) {
                buf_puts(out, c->active ? S("") : S("data passive\n"));
                buf_puts(out, str_starts(r->text, S("opened, TLS")) ? S("data tls\n") : S(""));
        } else if (!str_starts(r->text, S("closed"))) {
                buf_puts(out,
                         S("# the data connection of MODE B or C stays; the dialog does not go on here\n"));
        } else if (r->from == 'S') {
                buf_puts(out, S("data gone\n"));
        } else {
                buf_printf(out, "data fill %llu\ndata close\n", (unsigned long long)r->number);
        }
}

void dialog_record(struct watched *c, const struct tap_record *r)
{
        struct buf *out = &c->dialog;

        switch (r->what) {
        case TAP_BEGIN:
                buf_printf(out, "connect " PRS " %s\n", STR(r->protocol),
                           r->local.family ? addr_text(r->local).z : "127.0.0.1");
                break;
        case TAP_TLS: buf_puts(out, S("starttls\n")); break;
        case TAP_END:
                pass_over(c);
                buf_puts(out, S("close\n"));
                break;
        case TAP_BODY:
                if (r->from == 'S') {
                        c->hidden = true;
                } else if (c->letter) {
                        buf_printf(out, "C: Subject: a letter of %llu octets stood here\nC: \nC: .\n",
                                   (unsigned long long)r->number);
                } else {
                        pass_over(c);
                        buf_printf(out, "repeat %llu \"x\"\n", (unsigned long long)r->number);
                }
                break;
        case TAP_LINE:
                if (r->from == 'C') {
                        pass_over(c);
                        c->letter = str_ieq(str_trim(r->text), S("DATA"));
                        client_line(c, r->text);
                        break;
                }
                if (c->hidden)
                        buf_puts(out, S("S: ...\n"));
                c->hidden = false;
                transcript_keep(out, TRANSCRIPT_SERVER, 1, r->text);
                if (r->cut) { /* and its rest */
                        out->n--;
                        buf_puts(out, S("*\n"));
                }
                break;
        case TAP_DATA: data_connection(c, r); break;
        case TAP_LOST:
        case TAP_GONE:
        case TAP_BACK: break;
        }
}

int dialog_write(const struct watching *w, const struct watched *c)
{
        int rc = 0;

        for (size_t at = 0; at < c->dialog.n && rc == 0;) {
                ssize_t n = write(w->save_fd, c->dialog.p + at, c->dialog.n - at);

                if (n < 0 && errno != EINTR)
                        rc = -errno;
                at += n > 0 ? (size_t)n : 0;
        }
        if (close(w->save_fd) < 0 && rc == 0)
                rc = -errno;
        return rc == 0 && c->dialog.full ? -EFBIG : rc;
}
