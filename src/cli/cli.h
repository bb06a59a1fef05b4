/* The verbs a person types. Each is one file with `int verb_NAME(int argc, char **argv)` (argv[0] is the verb) and one
 * row in verbs.c, from which help and the manual page are printed. A verb returns an exit code of sysexits(3), after
 * it has said on stderr what went wrong: `pail VERB: what: why`. */
#pragma once

struct verb {
        const char *name;
        int (*run)(int argc, char **argv);
        const char *synopsis; /* "account add ADDRESS [--quota N]", lines by \n */
        const char *help;     /* one line, then what there is to explain */
};
extern const struct verb verbs[]; /* ends with a NULL name */

int cli_run(int argc, char **argv);
int cli_help(
    const char
        *verb); /* prints the verb's synopsis and help; NULL: all verbs. EX_OK, EX_USAGE: no such verb */

int verb_demo(int argc, char **argv);
int verb_serve(int argc, char **argv);
int verb_init(int argc, char **argv);
int verb_account(int argc, char **argv);
int verb_alias(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_domain(int argc, char **argv);
int verb_passwd(int argc, char **argv);
int verb_bans(int argc, char **argv);
int verb_queue(int argc, char **argv);
int verb_send(int argc, char **argv);
int verb_watch(int argc, char **argv);
int verb_talk(int argc, char **argv);
int verb_mx(int argc, char **argv);
int verb_trace(int argc, char **argv);
int verb_mail(int argc, char **argv);
int verb_ftp(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_manual(int argc, char **argv);
int manual_protocols(void); /* docs/protocols.md */
int manual_ftp(void);       /* docs/ftp.md */
