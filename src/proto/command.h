/* The command table all protocols share: every rule that concerns more than one command is a column, enforced by
 * command_run and nowhere else. HELP, EHLO, CAPA and FEAT are printed from it.
 *
 * A handler parses everything to the end of its line, checks, acts, and gives exactly one final reply, whose result
 * it returns. Its argument cursor stands behind the verb and the space. */
#pragma once
#include "base/scan.h"
#include "proto/session.h"

struct command {
        const char *verb;
        int (*handle)(struct session *s, struct scan *a);
        unsigned where;       /* states in which it is allowed (bit mask of the protocol's enum) */
        unsigned needs;       /* enum needs */
        unsigned seconds;     /* its own deadline; 0: the protocol's */
        const char *synopsis; /* "MAIL FROM:<address> [SIZE=n] ..."; NULL: not listed in HELP */
        const char *offers;   /* what EHLO or CAPA announces of it: keywords by space; NULL: nothing */
};
enum needs {
        NEEDS_TLS_FOR_SECRETS = 1, /* refused where a password may not travel in clear */
        NEEDS_LOGIN = 2,
        SECRET = 4,       /* the tap hides its argument, as it does of a verb that there is not */
        LAST = 8,         /* nothing may be pipelined behind it */
        NO_ARGUMENT = 16, /* anything after the verb is a syntax error */
        UNLISTED = 32,
        NEEDS_LOGIN_TO_SUBMIT = 64, /* NEEDS_LOGIN, but only on the submission ports */
        SECRET_RESPONSE = 128,      /* the tap hides what follows its argument's first word */
        BODY = 256, /* a letter comes with it: lines behind it that are no command may be its */
};
enum { OK = 0, FAIL = -1 }; /* what a reply returns: FAIL counts as an error of the peer's */

/* How a protocol says what the table finds wrong. */
struct dialect {
        const struct command *commands;
        size_t count;
        /* Columns of the protocol's own, looked at behind those of sign-in; NULL: it has none. false: *rc is the result of the reply given. */
        bool (*allows)(struct session *s, const struct command *c, int *rc);
        int (*unknown)(struct session *s, struct str verb);
        int (*misplaced)(struct session *s, const struct command *c); /* not in this state */
        int (*need_tls)(struct session *s, const struct command *c);
        int (*need_login)(struct session *s, const struct command *c);
        int (*argument)(struct session *s, const struct command *c);  /* one where none belongs */
        int (*too_many)(struct session *s);                           /* errors: says goodbye */
        int (*pipelined)(struct session *s, const struct command *c); /* something follows a LAST command */
};
void command_run(struct session *s, const struct dialect *d, struct str line);
/* The same where something stands before the verb (IMAP's tag): the cursor is at the verb. */
void command_run_from(struct session *s, const struct dialect *d, struct scan a);
/* What command_run does at its end, for a line in which no verb was looked for: rc: the result of its reply. */
void command_done(struct session *s, const struct dialect *d, int rc);
/* The same for a line that is not run: keeps its secret from the tap. */
void command_hide(struct session *s, const struct dialect *d, struct str line);
const struct command *command_find(const struct dialect *d, struct str verb);
