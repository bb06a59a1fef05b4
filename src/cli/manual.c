/* pail manual: the manual page in mdoc(7), printed from the same tables as help and the sample settings. */
#include "base/buf.h"
#include "cli/cli.h"
#include "settings.h"
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* Text of ours as roff: no line may begin with a dot or an apostrophe, and backslashes are doubled. */
static void put_text(struct buf *out, struct str text)
{
        for (size_t i = 0; i < text.n; i++) {
                bool begins = !i || text.p[i - 1] == '\n';

                if (begins && (text.p[i] == '.' || text.p[i] == '\''))
                        buf_puts(out, S("\\&"));
                if (text.p[i] == '\\')
                        buf_puts(out, S("\\e"));
                else if (text.p[i] == '-')
                        buf_puts(out, S("\\-"));
                else
                        buf_u8(out, (uint8_t)text.p[i]);
        }
}

static void put_verb(struct buf *out, const struct verb *v)
{
        struct str synopsis = str_of(v->synopsis), help = str_of(v->help), line;

        while (synopsis.n) {
                str_cut(&synopsis, '\n', &line);
                buf_puts(out, S(".It Xo\n.Nm pail\n.Li \""));
                put_text(out, str_trim(line));
                buf_puts(out, S("\"\n.Xc\n"));
        }
        for (bool first = true; help.n; first = false) {
                str_cut(&help, '\n', &line);
                put_text(out, str_trim(line));
                buf_puts(out, first ? S(".\n") : S("\n"));
        }
}

int verb_manual(int argc, char **argv)
{
        struct buf auto_buf page = { 0 };

        if (argc == 2 && !strcmp(argv[1], "protocols"))
                return manual_protocols();
        if (argc == 2 && !strcmp(argv[1], "ftp"))
                return manual_ftp();
        if (argc != 1) {
                fprintf(stderr, "usage: pail manual [protocols|ftp]\n");
                return EX_USAGE;
        }
        buf_init(&page, 1 << 20);
        buf_puts(&page,
                 S(".Dd November 20, 2026\n.Dt PAIL 1\n.Os\n.Sh NAME\n.Nm pail\n.Nd a mail server, and what "
                   "belongs to it\n"
                   ".Sh SYNOPSIS\n.Nm\n.Ar verb\n.Op Ar ...\n.Sh DESCRIPTION\n"
                   "One program is the server and the tools to run it.\n"
                   "Verbs that act on a server's folder take\n.Fl -dir Ar D\nor\n.Fl -config Ar F ;\n"
                   "without them the settings of\n.Pa /etc/pail.conf\nsay where it is, or else it is\n.Pa "
                   "./pail-demo .\n"
                   "They work beside the running server, and print JSON with\n.Fl -json .\n"
                   "Started as root they act as the owner of the folder.\n"
                   ".Bl -tag -width Ds\n"));
        for (const struct verb *v = verbs; v->name; v++)
                put_verb(&page, v);
        buf_puts(&page, S(".El\n.Sh SETTINGS\nThe file holds lines of\n.Ar name\n= value.\nThe server reads "
                          "it anew on SIGHUP.\n"));
        settings_manual(&page);
        buf_puts(&page, S(".Sh FILES\n.Bl -tag -width Ds\n"
                          ".It Pa /etc/pail.conf\nthe settings\n"
                          ".It Pa directory/directory.db\nin the folder: domains, accounts, aliases, lists\n"
                          ".It Pa secrets/secrets.db\nwhat proves who somebody is, and refused addresses; "
                          "opened by the keeper only\n"
                          ".It Pa mail/ADDRESS\nall there is of a person's mail\n"
                          ".It Pa intake\nletters that were accepted and are being filed\n"
                          ".It Pa outbox\nletters that must leave this host\n"
                          ".It Pa keys\nthe server's key and certificate\n"
                          ".It Pa ca.pem\nthe authority that signed the certificate\n.El\n"
                          ".Sh EXIT STATUS\nThe codes of\n.Xr sysexits 3 .\n"));
        fwrite(page.p, 1, page.n, stdout);
        return page.full ? EX_SOFTWARE : EX_OK;
}
