/* pail manual ftp: docs/ftp.md, its tables printed from those that the server runs by. */
#include "base/buf.h"
#include "cli/cli.h"
#include "proto/ftp/ftp.h"
#include <stdio.h>
#include <sysexits.h>

/* What others have, as their sources say: of a command that stands here; all others they have all. */
enum { OTHERS = 5 };
struct others {
        const char *verb, *have[OTHERS]; /* vsftpd, ProFTPD, Pure-FTPd, SFTPGo, pyftpdlib */
};
/* clang-format off */
static const struct others others[] = {
        { "ABOR", { "option", "yes", "yes", "yes", "yes" } },
        { "ACCT", { "–", "–", "says 202", "–", "–" } },
        { "ALLO", { "says 202", "option", "yes", "says 202", "says 202" } },
        { "AVBL", { "–", "–", "–", "yes", "–" } },
        { "CCC", { "–", "yes", "yes", "–", "–" } },
        { "CLNT", { "–", "yes", "–", "yes", "–" } },
        { "COMB", { "–", "–", "–", "option", "–" } },
        { "CSID", { "–", "yes", "–", "–", "–" } },
        { "HASH", { "–", "module", "–", "option", "–" } },
        { "HELP", { "yes", "yes", "yes", "–", "yes" } },
        { "HOST", { "–", "yes", "–", "–", "–" } },
        { "LANG", { "–", "yes", "–", "–", "–" } },
        { "MFCT", { "–", "–", "–", "–", "–" } },
        { "MFF", { "–", "yes", "–", "–", "–" } },
        { "MFMT", { "–", "yes", "yes", "yes", "yes" } },
        { "MLSD", { "–", "yes", "yes", "yes", "yes" } },
        { "MLST", { "–", "yes", "yes", "yes", "yes" } },
        { "MODE", { "S", "S, Z", "S", "S", "S" } },
        { "RANG", { "–", "yes", "–", "–", "–" } },
        { "REIN", { "–", "–", "–", "–", "yes" } },
        { "SITE", { "yes", "yes", "yes", "option", "yes" } },
        { "SMNT", { "–", "–", "–", "–", "–" } },
        { "STOU", { "yes", "yes", "yes", "–", "yes" } },
        { "STRU", { "F", "F", "F", "–", "F" } },
        { "TYPE", { "A, I, L 8", "A, I, L 8, L 7", "A, I, L 8", "A, I", "A, I, L 8" } },
        { "XCRC", { "–", "module", "–", "option", "–" } },
        { "XCUP", { "yes", "yes", "yes", "–", "yes" } },
        { "XMD5", { "–", "module", "–", "option", "–" } },
        { "XSHA1", { "–", "module", "–", "option", "–" } },
        { "XSHA256", { "–", "module", "–", "option", "–" } },
        { "XSHA512", { "–", "module", "–", "option", "–" } },
};
/* clang-format on */

static const char *has(const char *verb, unsigned who)
{
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
                if (str_eq(str_of(others[i].verb), str_of(verb)))
                        return others[i].have[who];
        return "yes";
}

/* '|' would end a cell. */
static void put_cell(struct buf *out, const char *text)
{
        for (const char *c = text; *c; c++)
                buf_printf(out, *c == '|' ? "\\%c" : "%c", *c);
}

static void put_how(struct buf *out, const struct command *c)
{
        buf_printf(out, "| %s | `", c->verb);
        put_cell(out, c->synopsis);
        buf_puts(out, S("` |"));
}

static void put_commands(struct buf *out, bool required)
{
        buf_puts(out, S("\n| command | how | vsftpd | ProFTPD | Pure-FTPd | SFTPGo | pyftpdlib "
                        "|\n|---|---|---|---|---|---|---|\n"));
        for (size_t i = 0; i < ftp_dialect.count; i++) {
                const struct command *c = &ftp_dialect.commands[i];

                if (!(c->needs & NOT_REQUIRED) != required)
                        continue;
                put_how(out, c);
                for (unsigned who = 0; who < OTHERS; who++)
                        buf_printf(out, " %s |", has(c->verb, who));
                buf_puts(out, S("\n"));
        }
}

static void put_site(struct buf *out)
{
        buf_puts(out, S("\n| SITE | how |\n|---|---|\n"));
        for (size_t i = 0; i < ftp_site_dialect.count; i++) {
                put_how(out, &ftp_site_dialect.commands[i]);
                buf_puts(out, S("\n"));
        }
}

static const struct str intro =
    S("# FTP, ports 21 and 990\n\n"
      "Printed by `pail manual ftp` from the table by which the server runs; a test compares. What others "
      "have\n"
      "was read from their sources: vsftpd 3.0, ProFTPD 1.3 with all its modules, Pure-FTPd 1.0, SFTPGo 2 "
      "and its\n"
      "ftpserverlib, pyftpdlib 2. `option`: off unless switched on. `says 202`: answered, and nothing is "
      "done.\n\n"
      "## RFC 959\n\n"
      "All of it: TYPE A and E (with N, T, C), I, L; STRU F, R, P; MODE S, B, C, in every combination that "
      "makes\n"
      "sense; restart markers; a data connection that stays open in MODE B and C.\n");

static const struct str notes =
    S("\nWhat to know of them:\n\n"
      "- **ACCT**: no account information is needed, so it is superfluous (202) behind a sign-in and out of "
      "place (503)\n"
      "  before.\n"
      "- **SMNT**: an account has one file system, `/`. Mounting that begins anew at its top; any other does "
      "not exist\n"
      "  (550).\n"
      "- **ABOR** and **STAT** are carried out while a transfer runs; what else comes meanwhile waits for "
      "its end, in order.\n"
      "  So does QUIT. A client that goes without QUIT ends its transfer: half an upload is never taken for "
      "a whole one.\n"
      "- **LIST** tells times in UTC. Up to 2,000 names come sorted, more in the order of the disk. Of "
      "options `-a`,\n"
      "  `-d`, `-R` mean something, others are passed over; `-R` goes 16 folders deep and tells 100,000 "
      "entries, and does\n"
      "  not follow links. A pattern is what stands behind the last `/`, unless something is called so.\n"
      "- **NLST** tells names that RETR takes as they are: behind their folder's, if that is not the working "
      "folder\n"
      "  (RFC 1123 4.1.2.7).\n"
      "- **REIN** ends TLS behind its reply (RFC 4217 13), but not on port 990.\n"
      "- **PASS** and what stands behind it is said to nobody who watches. Where passwords may not travel in "
      "clear\n"
      "  (`plaintext-login`), USER is refused with 530 before AUTH TLS.\n");

static const struct str later_notes = S(
    "\nWhat to know of them:\n\n"
    "- **AUTH** knows `TLS` and `TLS-C`; `SSL` and `TLS-P` are the same with PROT P at once. Nothing may be "
    "sent behind it\n"
    "  before its reply: that ends the session. All that was said before is forgotten.\n"
    "- **PROT C** is refused where `ftp-private-data` says so. On port 990 data is private from the start.\n"
    "- **CCC** needs a sign-in. PBSZ and PROT are over behind it; data connections stay as they were.\n"
    "- **HOST** takes this server's name, a domain that is served here, or this server's address; bare names "
    "are then of\n"
    "  that domain.\n"
    "- **SIZE** says what would travel in the TYPE that is set; in TYPE A and E a file is read for it, up to "
    "32 MB. Of an\n"
    "  upload that broke off it says how much is kept, as long as nothing else has the name: there REST or "
    "APPE go on.\n"
    "- **MDTM** with a time before the name sets it, if no file is called so; MFMT is the better way.\n"
    "- **MFCT** is understood and refused (504): no file system here lets the time of creation be set.\n"
    "- **MLSD** tells of a link what it leads to. Names with CR or LF in them can be said by LIST only, as "
    "`?`.\n"
    "- **HASH** and the X commands stop when the client goes. RANG before HASH names the octets; the X "
    "commands take\n"
    "  the first octet and the one behind the last.\n"
    "- **OPTS** knows `UTF8 ON`, `MLST facts`, `HASH algorithm`, `MODE Z LEVEL 1..9`. Without it\n"
    "  the level is 1, which costs a quarter of 6 and leaves a sixth more of a text.\n"
    "- **LANG** knows `en`, `de`, `fr`.\n"
    "- GET, POST, EHLO and the like are another protocol's: the session ends, and nothing of theirs is said "
    "back.\n");

int manual_ftp(void)
{
        auto_buf struct buf page = { 0 };

        buf_init(&page, 1 << 20);
        buf_puts(&page, intro);
        put_commands(&page, true);
        buf_puts(&page, notes);
        buf_puts(&page,
                 S("\n## Later\n\nRFC 775 (the X forms), 2228 and 4217 (TLS), 2389, 2428, 2640, 3659, 7151, "
                   "drafts, and habits.\n"));
        put_commands(&page, false);
        buf_puts(&page, later_notes);
        buf_puts(&page, S("\n## SITE\n"));
        put_site(&page);
        fwrite(page.p, 1, page.n, stdout);
        return page.full ? EX_SOFTWARE : EX_OK;
}
