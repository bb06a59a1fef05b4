/* pail manual protocols: docs/protocols.md, printed from the tables that the servers run by. */
#include "base/buf.h"
#include "cli/cli.h"
#include "proto/imap/capability.h"
#include "proto/pop3/pop3.h"
#include "proto/smtp/smtp.h"
#include <stdio.h>
#include <sysexits.h>

/* '|' would end a cell. */
static void put_cell(struct buf *out, const char *text)
{
        for (const char *c = text; *c; c++)
                buf_printf(out, *c == '|' ? "\\%c" : "%c", *c);
}

static void put_commands(struct buf *out, const struct dialect *d)
{
        buf_puts(out, S("\n| command | how |\n|---|---|\n"));
        for (size_t i = 0; i < d->count; i++) {
                const struct command *c = &d->commands[i];

                if (c->needs & UNLISTED)
                        continue;
                buf_printf(out, "| %s | `", c->verb);
                put_cell(out, c->synopsis ? c->synopsis : c->verb);
                buf_puts(out, S("` |\n"));
        }
}

static const char *where(unsigned states)
{
        if (states == IMAP_ANY)
                return "always";
        return states == IMAP_STRANGER ? "before sign-in" : "after sign-in";
}

/* The commands that a capability brings. */
static void put_brought(struct buf *out, const char *capability)
{
        const char *comma = "";

        for (size_t i = 0; i < imap_dialect.count; i++) {
                const struct command *c = &imap_dialect.commands[i];
                struct str name = str_of(capability), first;

                str_cut(&name, ' ', &first);
                if (!c->offers || !str_eq(str_of(c->offers), first))
                        continue;
                buf_printf(out, "%s%s", comma, c->verb);
                comma = ", ";
        }
}

static void put_capability_table(struct buf *out)
{
        buf_puts(
            out,
            S("\n| capability | RFC | announced | what it gives | its commands |\n|---|---|---|---|---|\n"));
        for (unsigned i = 0; i < CAPABILITIES; i++) {
                buf_printf(out, "| `%s` | %s | %s | %s | ", imap_capabilities[i].name,
                           imap_capabilities[i].rfc, where(imap_capabilities[i].where),
                           imap_capabilities[i].what);
                put_brought(out, imap_capabilities[i].name);
                buf_puts(out, S(" |\n"));
        }
}

int manual_protocols(void)
{
        auto_buf struct buf page = { 0 };

        buf_init(&page, 1 << 20);
        buf_puts(&page,
                 S("# What is spoken\n\n"
                   "Printed by `pail manual protocols` from the tables by which the servers run; a "
                   "test compares.\n\n"
                   "## IMAP, ports 143 and 993\n\n"
                   "IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051). `LITERAL+` or `LITERAL-` (setting "
                   "`imap-literal-plus`),\n"
                   "`MESSAGELIMIT=n` when `message-limit` is set, `APPENDLIMIT=octets`, `STARTTLS` "
                   "where there is a certificate,\n"
                   "`AUTH=...` and `LOGINDISABLED` as the connection allows. Any of them can be "
                   "switched off for all\n"
                   "(`imap-disable`) or for one account (`pail account set ADDRESS imap-disable "
                   "\"COMPRESS=DEFLATE NOTIFY\"`): it is no\n"
                   "longer announced, and its commands and its syntax are unknown. What needs it goes too "
                   "(with `CONDSTORE` `QRESYNC`,\n"
                   "with `ESEARCH` `SEARCHRES`, and so on). What IMAP4rev2 includes has syntax there in any "
                   "case: who switches that off\n"
                   "for good names `IMAP4rev2` too. Without `IMAP4rev1` a session speaks IMAP4rev2 from the "
                   "start; one of the two stays.\n"));
        put_capability_table(&page);
        put_commands(&page, &imap_dialect);
        buf_puts(&page,
                 S("\nFETCH STORE COPY MOVE EXPUNGE REPLACE SEARCH SORT THREAD also with UID before them.\n\n"
                   "## SMTP, ports 25, 587, 465\n\nRFC 5321 and 6409.\n"));
        put_commands(&page, &smtp_dialect);
        buf_puts(&page, S("\n## POP3, ports 110 and 995\n\nRFC 1939 and 2449.\n"));
        put_commands(&page, &pop3_dialect);
        fwrite(page.p, 1, page.n, stdout);
        return page.full ? EX_SOFTWARE : EX_OK;
}
