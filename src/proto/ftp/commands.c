#include "proto/ftp/commands.h"
#include "run/log.h"

/* The commands. FEAT says what the last column offers, a line each ("=": feat.c knows the line); HELP and docs/ftp.md are
 * printed from here too. */
enum { ALLOWED_ANY = FTP_ANY | FTP_RENAMING, SIGNED = FTP_SIGNED_IN };
/* clang-format off */
static const struct command ftp_commands[] = {
        /* verb      handler     where         needs                                  synopsis                              offers */
        /* RFC 959 */
        { "ABOR",    ftp_abor,   SIGNED,       NO_ARGUMENT | MEANWHILE,            0, "ABOR" },
        { "ACCT",    ftp_acct,   ALLOWED_ANY,  SECRET,                             0, "ACCT account" },
        { "ALLO",    ftp_allo,   SIGNED,       KEEPS_NEXT,                         0, "ALLO octets [R octets]" },
        { "APPE",    ftp_appe,   SIGNED,       WRITES,                             0, "APPE path" },
        { "CDUP",    ftp_cdup,   SIGNED,       NO_ARGUMENT,                        0, "CDUP" },
        { "CWD",     ftp_cwd,    SIGNED,       0,                                  0, "CWD path" },
        { "DELE",    ftp_dele,   SIGNED,       WRITES,                             0, "DELE path" },
        { "HELP",    ftp_help,   ALLOWED_ANY,  0,                                  0, "HELP [command]" },
        { "LIST",    ftp_list,   SIGNED,       0,                                  0, "LIST [-aldR] [path or pattern]" },
        { "MKD",     ftp_mkd,    SIGNED,       WRITES,                             0, "MKD path" },
        { "MODE",    ftp_mode,   SIGNED,       KEEPS_NEXT,                         0, "MODE S, B, C or Z",                  "MODE Z" },
        { "NLST",    ftp_nlst,   SIGNED,       0,                                  0, "NLST [-a] [path or pattern]" },
        { "NOOP",    ftp_noop,   ALLOWED_ANY,  KEEPS_NEXT,                         0, "NOOP" },
        { "PASS",    ftp_pass,   FTP_NAMED,    SECRET,                             0, "PASS password" },
        { "PASV",    ftp_pasv,   SIGNED,       NO_ARGUMENT | KEEPS_NEXT,           0, "PASV" },
        { "PORT",    ftp_port,   SIGNED,       KEEPS_NEXT,                         0, "PORT h1,h2,h3,h4,p1,p2" },
        { "PWD",     ftp_pwd,    SIGNED,       NO_ARGUMENT,                        0, "PWD" },
        { "QUIT",    ftp_quit,   ALLOWED_ANY,  NO_ARGUMENT,                        0, "QUIT" },
        { "REIN",    ftp_rein,   ALLOWED_ANY,  NO_ARGUMENT,                        0, "REIN" },
        { "REST",    ftp_rest,   SIGNED,       KEEPS_NEXT,                         0, "REST offset or marker",              "REST STREAM" },
        { "RETR",    ftp_retr,   SIGNED,       0,                                  0, "RETR path" },
        { "RMD",     ftp_rmd,    SIGNED,       WRITES,                             0, "RMD path" },
        { "RNFR",    ftp_rnfr,   SIGNED,       WRITES | KEEPS_NEXT,                0, "RNFR path" },
        { "RNTO",    ftp_rnto,   FTP_RENAMING, WRITES,                             0, "RNTO path" },
        { "SITE",    ftp_site,   SIGNED,       KEEPS_NEXT /* CPFR */,              0, "SITE command" },
        { "SMNT",    ftp_smnt,   SIGNED,       0,                                  0, "SMNT path" },
        { "STAT",    ftp_stat,   SIGNED,       MEANWHILE,                          0, "STAT [path]" },
        { "STOR",    ftp_stor,   SIGNED,       WRITES,                             0, "STOR path" },
        { "STOU",    ftp_stou,   SIGNED,       WRITES,                             0, "STOU [path]" },
        { "STRU",    ftp_stru,   SIGNED,       KEEPS_NEXT,                         0, "STRU F, R or P" },
        { "SYST",    ftp_syst,   SIGNED,       NO_ARGUMENT,                        0, "SYST" },
        { "TYPE",    ftp_type,   SIGNED,       KEEPS_NEXT,                         0, "TYPE A [N, T or C], E [N, T or C], I, L bits" },
        { "USER",    ftp_user,   ALLOWED_ANY,  0,                                  0, "USER name" },
        /* RFC 775 */
        { "XCUP",    ftp_cdup,   SIGNED,       NO_ARGUMENT | NOT_REQUIRED,         0, "XCUP" },
        { "XCWD",    ftp_cwd,    SIGNED,       NOT_REQUIRED,                       0, "XCWD path" },
        { "XMKD",    ftp_mkd,    SIGNED,       WRITES | NOT_REQUIRED,              0, "XMKD path" },
        { "XPWD",    ftp_pwd,    SIGNED,       NO_ARGUMENT | NOT_REQUIRED,         0, "XPWD" },
        { "XRMD",    ftp_rmd,    SIGNED,       WRITES | NOT_REQUIRED,              0, "XRMD path" },
        /* RFC 2389, 2640, 7151, and what clients say of themselves */
        { "CLNT",    ftp_clnt,   ALLOWED_ANY,  NOT_REQUIRED,                       0, "CLNT name",                          "CLNT" },
        { "CSID",    ftp_csid,   ALLOWED_ANY,  NOT_REQUIRED,                       0, "CSID fact=value; ...",               "CSID" },
        { "FEAT",    ftp_feat,   ALLOWED_ANY,  NO_ARGUMENT | NOT_REQUIRED,         0, "FEAT" },
        { "HOST",    ftp_host,   ALLOWED_ANY,  NOT_REQUIRED,                       0, "HOST name",                          "HOST" },
        { "LANG",    ftp_lang,   ALLOWED_ANY,  NOT_REQUIRED,                       0, "LANG [language]",                    "=" },
        { "OPTS",    ftp_opts,   ALLOWED_ANY,  NOT_REQUIRED | KEEPS_NEXT,          0, "OPTS command [options]",             "UTF8" },
        /* RFC 2228 and 4217 */
        { "AUTH",    ftp_auth,   ALLOWED_ANY,  NOT_REQUIRED | LAST,                0, "AUTH TLS",                           "AUTH TLS" },
        { "CCC",     ftp_ccc,    ALLOWED_ANY,  NO_ARGUMENT | NOT_REQUIRED | LAST,  0, "CCC",                                "CCC" },
        { "PBSZ",    ftp_pbsz,   ALLOWED_ANY,  NOT_REQUIRED | KEEPS_NEXT,          0, "PBSZ 0",                             "PBSZ" },
        { "PROT",    ftp_prot,   ALLOWED_ANY,  NOT_REQUIRED | KEEPS_NEXT,          0, "PROT C or P",                        "PROT" },
        /* RFC 2428 */
        { "EPRT",    ftp_eprt,   SIGNED,       NOT_REQUIRED | KEEPS_NEXT,          0, "EPRT |protocol|address|port|",       "EPRT" },
        { "EPSV",    ftp_epsv,   SIGNED,       NOT_REQUIRED | KEEPS_NEXT,          0, "EPSV [protocol or ALL]",             "EPSV" },
        /* RFC 3659 and draft-somers-ftp-mfxx */
        { "MDTM",    ftp_mdtm,   SIGNED,       NOT_REQUIRED,                       0, "MDTM [time] path",                   "MDTM" },
        { "MFCT",    ftp_mfct,   SIGNED,       NOT_REQUIRED | WRITES,              0, "MFCT time path" },
        { "MFF",     ftp_mff,    SIGNED,       NOT_REQUIRED | WRITES,              0, "MFF fact=value; ... path",           "MFF Modify;UNIX.mode;" },
        { "MFMT",    ftp_mfmt,   SIGNED,       NOT_REQUIRED | WRITES,              0, "MFMT time path",                     "MFMT" },
        { "MLSD",    ftp_mlsd,   SIGNED,       NOT_REQUIRED,                       0, "MLSD [path]" },
        { "MLST",    ftp_mlst,   SIGNED,       NOT_REQUIRED,                       0, "MLST [path]",                        "=\nTVFS" },
        { "SIZE",    ftp_size,   SIGNED,       NOT_REQUIRED,                       0, "SIZE path",                          "SIZE" },
        /* drafts and habits */
        { "AVBL",    ftp_avbl,   SIGNED,       NOT_REQUIRED,                       0, "AVBL [path]",                        "AVBL" },
        { "COMB",    ftp_comb,   SIGNED,       NOT_REQUIRED | WRITES,              0, "COMB \"target\" \"part\" ...",       "COMB target;source_list" },
        { "HASH",    ftp_hash,   SIGNED,       NOT_REQUIRED,                       0, "HASH path",                          "=" },
        { "RANG",    ftp_rang,   SIGNED,       NOT_REQUIRED | KEEPS_NEXT,          0, "RANG first last",                    "RANG STREAM" },
        { "XCRC",    ftp_xcrc,   SIGNED,       NOT_REQUIRED,                       0, "XCRC path [from [to]]",              "XCRC" },
        { "XMD5",    ftp_xmd5,   SIGNED,       NOT_REQUIRED,                       0, "XMD5 path [from [to]]",              "XMD5" },
        { "XSHA1",   ftp_xsha1,  SIGNED,       NOT_REQUIRED,                       0, "XSHA1 path [from [to]]",             "XSHA1" },
        { "XSHA256", ftp_xsha256, SIGNED,      NOT_REQUIRED,                       0, "XSHA256 path [from [to]]",           "XSHA256" },
        { "XSHA512", ftp_xsha512, SIGNED,      NOT_REQUIRED,                       0, "XSHA512 path [from [to]]",           "XSHA512" },
};
/* clang-format on */

/* --- what the table finds wrong ------------------------------------------------------------------------------ */

/* A browser that was sent here with a form whose lines look like commands, or a mail client (ALPACA): nothing of what
 * follows is looked at, and nothing of it is sent back. */
static bool another_protocol(struct str verb)
{
        static const char *const theirs[] = { "GET",     "POST",  "PUT",  "HEAD", "DELETE", "PATCH",
                                              "CONNECT", "TRACE", "EHLO", "HELO", "OPTIONS" };

        for (size_t i = 0; i < sizeof(theirs) / sizeof(*theirs); i++)
                if (str_ieq(verb, str_of(theirs[i])))
                        return true;
        return str_starts(verb, S("SSH-"));
}

static int unknown(struct session *s, struct str verb)
{
        if (another_protocol(verb)) {
                log_event("another-protocol", "session=%s protocol=ftp peer=%s", s->id, session_peer(s).z);
                s->ending = true;
                return ftp_reply(s, "500 This is an FTP server, goodbye.");
        }
        if (!(s->state & FTP_SIGNED_IN)) /* who is not signed in learns little */
                return ftp_reply(s, "500 Syntax error (unrecognized command).");
        return ftp_reply(s, "500 Syntax error (unrecognized command). HELP tells what there is.");
}

static int misplaced(struct session *s, const struct command *c)
{
        if (c->where == FTP_NAMED)
                return s->state & FTP_SIGNED_IN ? ftp_reply(s, "503 You are signed in already.")
                                                : ftp_reply(s, "503 Login with USER first.");
        if (c->where == FTP_RENAMING && s->state & FTP_SIGNED_IN)
                return ftp_reply(s, "503 RNFR comes before RNTO.");
        return ftp_reply(s, "530 Please login with USER and PASS.");
}

static int argument(struct session *s, const struct command *c)
{
        return ftp_reply(s, "501 %s stands alone on its line.", c->verb);
}

static int too_many(struct session *s)
{
        s->ending = true;
        ftp_reply(s, "421 Too many errors, goodbye.");
        return FAIL;
}

/* AUTH with plaintext behind it: somebody in between may have put it there. It is carried out neither now nor under
 * TLS (CVE-2011-0411); the same the other way round for CCC and REIN. */
static int pipelined(struct session *s, const struct command *c)
{
        s->ending = true;
        ftp_reply(s, "421 Nothing may follow %s before its reply, goodbye.", c->verb);
        return FAIL;
}

/* The columns that only FTP has. */
static bool allows(struct session *s, const struct command *c, int *rc)
{
        struct ftp *p = ftp_of(s);

        if (c->needs & WRITES && p->read_only) {
                *rc = ftp_reply(s, "550 Permission denied: this account may only read.");
                return false;
        }
        if (c->needs & LAST && ftp_holds(p)) {
                *rc = pipelined(s, c);
                return false;
        }
        return true;
}

const struct dialect ftp_dialect = {
        .commands = ftp_commands,
        .count = sizeof(ftp_commands) / sizeof(*ftp_commands),
        .allows = allows,
        .unknown = unknown,
        .misplaced = misplaced,
        .need_tls = misplaced,   /* login.c looks itself, since guests may come in without */
        .need_login = misplaced, /* the states say it */
        .argument = argument,
        .too_many = too_many,
        .pipelined = pipelined,
};
