/* The commands: one row each, from which help and completion are made. */
#include "cli/ftp/ftp.h"
#include <sysexits.h>

/* clang-format off */
const struct ftp_verb ftp_verbs[] = {
        /* name          others              short needs    least most complete run */
        { "!",           "shell",              0, 0,          0, -1, "l",  do_shell, "[COMMAND]", "a command, or a shell, on this side" },
        { "$",           "",                   0, 0,          1, -1, "",   do_macro, "NAME [WORD]...", "runs a macro", "macro name" },
        { "?",           "help h",             0, 0,          0, -1, "c",  do_help, "[COMMAND]...", "what commands there are, and what they do" },
        { "account",     "",                   0, NEEDS_SITE, 0,  1, "",   do_account, "[WORD]", "ACCT: what some servers ask for besides the password" },
        { "active",      "",                   0, 0,          0,  1, "",   do_active, "[on|off|default]", "the server connects to us (PORT, EPRT)" },
        { "append",      "",                   0, NEEDS_SITE, 1,  2, "lr", do_append, "LOCAL [REMOTE]", "adds to the end of a file there", "local-file\nremote-file" },
        { "ascii",       "",                   2, 0,          0,  0, "",   do_ascii, "", "TYPE A: text, ends of lines are each side's own" },
        { "bell",        "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "rings when a transfer ends" },
        { "binary",      "image",              3, 0,          0,  0, "",   do_binary, "", "TYPE I: octets as they are" },
        { "bookmark",    "",                   0, 0,          0,  3, "b",  do_bookmark, "[add NAME [URL] | remove NAME | list]", "names for places" },
        { "bye",         "quit exit",          2, 0,          0,  0, "",   do_bye, "", "ends the session and us" },
        { "case",        "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "names of what is fetched in small letters, if they have capitals only" },
        { "cd",          "",                   0, NEEDS_SITE, 1,  1, "r",  do_cd, "DIRECTORY", "changes the directory there", "remote-directory" },
        { "cdup",        "",                   0, NEEDS_SITE, 0,  0, "",   do_cdup, "", "one up there" },
        { "chmod",       "",                   0, NEEDS_SITE, 2, -1, "-r", do_chmod, "MODE REMOTE...", "rights of a file there", "mode\nfile-name" },
        { "close",       "disconnect",         2, 0,          0,  0, "",   do_close, "", "ends the session" },
        { "cr",          "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "text fetched loses its carriage returns" },
        { "debug",       "",                   0, 0,          0,  1, "",   do_debug, "[on|off|LEVEL]", "shows every command and reply" },
        { "delete",      "rm",                 2, NEEDS_SITE, 1, -1, "r",  do_delete, "REMOTE...", "deletes files there", "remote-file" },
        { "dir",         "",                   0, NEEDS_SITE, 0, -1, "rl", do_ls, "[-OPTIONS] [REMOTE [LOCAL]]", "a listing" },
        { "ebcdic",      "",                   0, 0,          0,  0, "",   do_ebcdic, "", "TYPE E: EBCDIC on the wire" },
        { "epsv",        "epsv4",              0, 0,          0,  1, "",   do_epsv, "[on|off]", "EPSV, or PASV only" },
        { "features",    "",                   0, NEEDS_SITE, 0,  0, "",   do_features, "", "what the server says it can (FEAT)" },
        { "fget",        "",                   0, NEEDS_SITE, 1,  1, "l",  do_fget, "FILE", "fetches what stands in a file here, a name a line", "local-file" },
        { "foreign",     "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "data connections to other hosts than the server" },
        { "form",        "",                   0, 0,          0,  1, "",   do_form, "[non-print|telnet|carriage-control]", "TYPE's second word" },
        { "get",         "recv",               1, NEEDS_SITE, 1,  2, "rl", do_get, "REMOTE [LOCAL | - | |COMMAND]", "fetches a file", "remote-file\nlocal-file" },
        { "glob",        "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "patterns in names" },
        { "hash",        "",                   0, 0,          0,  1, "",   do_hash, "[on|off|BYTES]", "prints # for each 1024 bytes, or so many" },
        { "idle",        "",                   0, NEEDS_SITE, 0,  1, "",   do_idle, "[SECONDS]", "SITE IDLE" },
        { "jobs",        "",                   0, 0,          0,  1, "",   do_jobs, "[NUMBER]", "what runs in the background; NUMBER: what it has said" },
        { "kill",        "",                   0, 0,          1,  1, "",   do_kill, "NUMBER | all", "ends a job", "job" },
        { "lcd",         "",                   0, 0,          0,  1, "l",  do_lcd, "[DIRECTORY]", "changes the directory on this side" },
        { "less",        "page more",          0, NEEDS_SITE, 1, -1, "r",  do_page, "REMOTE...", "shows a file there with $PAGER", "remote-file" },
        { "lls",         "",                   0, 0,          0, -1, "l",  do_lls, "[WORD]...", "ls on this side" },
        { "lmkdir",      "",                   0, 0,          1,  1, "l",  do_lmkdir, "DIRECTORY", "makes a directory on this side", "directory-name" },
        { "lpage",       "",                   0, 0,          1, -1, "l",  do_lpage, "LOCAL...", "shows a file on this side with $PAGER", "local-file" },
        { "lpwd",        "",                   0, 0,          0,  0, "",   do_lpwd, "", "where we are on this side" },
        { "ls",          "",                   0, NEEDS_SITE, 0, -1, "rl", do_ls, "[-OPTIONS] [REMOTE [LOCAL]]", "a listing" },
        { "macdef",      "",                   0, 0,          1,  1, "",   do_macdef, "NAME", "defines a macro: lines to an empty one", "macro name" },
        { "mdelete",     "mrm",                0, NEEDS_SITE, 1, -1, "r",  do_mdelete, "REMOTE...", "deletes by patterns", "remote-files" },
        { "mdir",        "",                   0, NEEDS_SITE, 1, -1, "r",  do_mls, "REMOTE... [LOCAL]", "listings of several, into a file (- the screen)", "remote-files" },
        { "mget",        "",                   2, NEEDS_SITE, 1, -1, "r",  do_mget, "[-c] REMOTE...", "fetches by patterns; -c: goes on with what is here in part", "remote-files" },
        { "mirror",      "",                   0, NEEDS_SITE, 0, -1, "rl", do_mirror,
          "[-R] [--delete] [-n] [-v] [--newer] [--flat] [--no-times] [--parallel N] [-x PATTERN]... [-i PATTERN]... [FROM [TO]]",
          "makes a tree here as it is there; -R: there as it is here. -n only says what it would do.\n"
          "-x, --exclude and -i, --include: patterns for names or paths. --newer: leaves what is newer where it goes." },
        { "mkdir",       "",                   2, NEEDS_SITE, 1, -1, "r",  do_mkdir, "REMOTE...", "makes directories there", "directory-name" },
        { "mls",         "",                   0, NEEDS_SITE, 1, -1, "r",  do_mls, "REMOTE... [LOCAL]", "names of several, into a file (- the screen)", "remote-files" },
        { "mlsd",        "",                   0, NEEDS_SITE, 0, -1, "rl", do_mlsd, "[REMOTE [LOCAL]]", "a listing by facts" },
        { "mode",        "",                   0, 0,          0,  1, "",   do_mode, "[stream|block|compressed|deflate]", "how files travel" },
        { "modtime",     "",                   0, NEEDS_SITE, 1, -1, "r",  do_modtime, "REMOTE...", "when it was changed", "remote-file" },
        { "mput",        "msend",              2, NEEDS_SITE, 1, -1, "l",  do_mput, "LOCAL...", "sends by patterns", "local-files" },
        { "newer",       "",                   0, NEEDS_SITE, 1,  2, "rl", do_newer, "REMOTE [LOCAL]", "fetches it if it is newer than what is here", "remote-file\nlocal-file" },
        { "nlist",       "nls",                0, NEEDS_SITE, 0, -1, "rl", do_nlist, "[REMOTE [LOCAL]]", "names only" },
        { "nmap",        "",                   0, 0,          0, -1, "",   do_nmap, "[PATTERN PATTERN]", "names on the other side: nmap $1.$2 $2-$1; [$1,other] is other if $1 is empty; $0 is all" },
        { "noop",        "",                   0, NEEDS_SITE, 0,  0, "",   do_noop, "", "a command that does nothing" },
        { "ntrans",      "",                   0, 0,          0,  2, "",   do_ntrans, "[LETTERS [LETTERS]]", "letters in names: those of the first become those of the second" },
        { "open",        "connect ftp",            1, 0,          1,  2, "b",  do_open, "HOST [PORT] | URL | BOOKMARK", "connects", "to" },
        { "passive",     "",                   0, 0,          0,  1, "",   do_passive, "[on|off]", "we connect to the server for data" },
        { "pget",        "",                   0, NEEDS_SITE, 1,  4, "rl", do_pget, "[-n SEGMENTS] REMOTE [LOCAL]", "fetches a file in segments at once", "remote-file\nlocal-file" },
        { "preserve",    "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "files keep the time when they were changed" },
        { "progress",    "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "the line of a long transfer" },
        { "prompt",      "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "asks before each file of mget, mput, mdelete" },
        { "proxy",       "",                   0, 0,          0, -1, "c",  do_proxy, "[COMMAND]", "a command for a second server; get and put then go between both" },
        { "put",         "send",               0, NEEDS_SITE, 1,  2, "lr", do_put, "LOCAL | - | |COMMAND [REMOTE]", "sends a file", "local-file\nremote-file" },
        { "pwd",         "",                   2, NEEDS_SITE, 0,  0, "",   do_pwd, "", "where we are there" },
        { "queue",       "",                   0, 0,          0, -1, "c",  do_queue, "[COMMAND]", "runs commands in the background, one after another; alone: what waits" },
        { "quote",       "literal",            0, NEEDS_SITE, 1, -1, "",   do_quote, "WORDS", "sends words as they are", "command line to send" },
        { "rate",        "",                   0, 0,          0,  1, "",   do_rate, "[BYTES[k|m|g]]", "the most a second" },
        { "reget",       "",                   0, NEEDS_SITE, 1,  2, "rl", do_reget, "REMOTE [LOCAL]", "fetches the rest of what is here in part", "remote-file\nlocal-file" },
        { "remotehelp",  "rhelp",              0, NEEDS_SITE, 0,  1, "",   do_remotehelp, "[COMMAND]", "the server's HELP" },
        { "rename",      "mv",                 0, NEEDS_SITE, 2,  2, "r",  do_rename, "FROM TO", "another name there", "from-name\nto-name" },
        { "reput",       "",                   0, NEEDS_SITE, 1,  2, "lr", do_reput, "LOCAL [REMOTE]", "sends the rest of what is there in part", "local-file\nremote-file" },
        { "reset",       "",                   0, NEEDS_SITE, 0,  0, "",   do_reset, "", "opens the connection anew" },
        { "restart",     "",                   0, 0,          0,  1, "",   do_restart, "[OFFSET]", "where the next transfer begins" },
        { "rmdir",       "",                   0, NEEDS_SITE, 1, -1, "r",  do_rmdir, "REMOTE...", "removes directories there", "directory-name" },
        { "runique",     "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "what is fetched gets a name of its own" },
        { "site",        "",                   0, NEEDS_SITE, 1, -1, "",   do_site, "WORDS", "SITE", "arguments to SITE command" },
        { "size",        "",                   0, NEEDS_SITE, 1, -1, "r",  do_size, "REMOTE...", "how many octets", "remote-file" },
        { "source",      "",                   0, 0,          1, -1, "l",  do_source, "FILE", "commands from a file", "file" },
        { "stat",        "rstatus",            0, NEEDS_SITE, 0,  1, "r",  do_remotestatus, "[REMOTE]", "the server's STAT" },
        { "status",      "",                   0, 0,          0,  0, "",   do_status, "", "everything that is set" },
        { "struct",      "",                   0, 0,          0,  1, "",   do_struct, "[file|record|page]", "structure of files" },
        { "sunique",     "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "what is sent gets a name of its own (STOU)" },
        { "system",      "",                   0, NEEDS_SITE, 0,  0, "",   do_system, "", "the server's system" },
        { "tenex",       "",                   0, 0,          0,  1, "",   do_tenex, "[BITS]", "TYPE L: bytes of 8 or other bits" },
        { "tick",        "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "counts bytes" },
        { "tls",         "",                   0, NEEDS_SITE, 0,  0, "",   do_tls, "", "how the conversation is protected" },
        { "trace",       "",                   0, 0,          0,  1, "l",  do_trace, "[FILE]", "writes the conversation down" },
        { "type",        "",                   0, 0,          0,  2, "",   do_type, "[ascii|ebcdic|binary|tenex [BITS]]", "what files are" },
        { "umask",       "",                   0, NEEDS_SITE, 0,  1, "",   do_umask, "[MASK]", "SITE UMASK" },
        { "user",        "",                   0, NEEDS_SITE, 1,  3, "",   do_user, "NAME [PASSWORD [ACCOUNT]]", "logs in", "username" },
        { "verbose",     "",                   0, 0,          0,  1, "",   do_toggle, "[on|off]", "shows replies and sums" },
        { "wait",        "",                   0, 0,          0,  1, "",   do_wait, "[NUMBER]", "until a job, or all, have ended" },
};
/* clang-format on */
const unsigned ftp_verb_count = sizeof(ftp_verbs) / sizeof(*ftp_verbs);

static bool is_other(const struct ftp_verb *v, struct str word, bool whole)
{
        struct str rest = str_of(v->others), name;

        while (rest.n) {
                str_cut(&rest, ' ', &name);
                if (whole ? str_ieq(name, word) : str_istarts(name, word))
                        return true;
        }
        return false;
}

/* As a whole, else by the letters that suffice, else if nothing else begins so. */
const struct ftp_verb *verb_find(const char *word, bool *ambiguous)
{
        const struct ftp_verb *found = NULL;
        struct str s = str_of(word);

        *ambiguous = false;
        for (unsigned i = 0; i < ftp_verb_count; i++)
                if (str_ieq(str_of(ftp_verbs[i].name), s) || is_other(&ftp_verbs[i], s, true))
                        return &ftp_verbs[i];
        for (unsigned i = 0; i < ftp_verb_count; i++)
                if (ftp_verbs[i].shortest && s.n >= ftp_verbs[i].shortest &&
                    str_istarts(str_of(ftp_verbs[i].name), s))
                        return &ftp_verbs[i];
        for (unsigned i = 0; i < ftp_verb_count; i++) {
                if (!str_istarts(str_of(ftp_verbs[i].name), s) && !is_other(&ftp_verbs[i], s, false))
                        continue;
                *ambiguous = *ambiguous || found;
                found = &ftp_verbs[i];
        }
        return *ambiguous ? NULL : found;
}

static void names(struct console *c)
{
        unsigned per_line = terminal_width() / 12 ? terminal_width() / 12 : 1;

        fputs("Commands may be abbreviated. help COMMAND tells more.\n\n", c->out);
        for (unsigned i = 0; i < ftp_verb_count; i++)
                fprintf(c->out, "%-12s%s", ftp_verbs[i].name,
                        (i + 1) % per_line == 0 || i + 1 == ftp_verb_count ? "\n" : "");
}

int do_help(struct console *c, int argc, char **argv)
{
        int code = EX_OK;

        if (argc < 2)
                names(c);
        for (int i = 1; i < argc; i++) {
                bool ambiguous;
                const struct ftp_verb *v = verb_find(argv[i], &ambiguous);

                if (!v) {
                        code = say_fail(c, EX_USAGE, argv[i],
                                        ambiguous ? "?Ambiguous help command" : "?Invalid help command");
                        continue;
                }
                fprintf(c->out, "%s %s%s%s%s\n%s\n", v->name, v->usage, *v->others ? "   (also: " : "",
                        v->others, *v->others ? ")" : "", v->help);
        }
        return code;
}
