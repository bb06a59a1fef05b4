/* What the dialog runner's files share: dialog.c runs S:, C: and D: lines, directive.c everything else, data.c FTP's data
 * connections, place.c files for accounts, sasl.c signs in, proto/transcript_words.h knows braces and quotes, wire.c the connection. */
#pragma once
#include "wire.h"
#include "proto/transcript_words.h"
#include "proto/transcript.h"

#include <sys/socket.h>

enum { CONNECTIONS = 99 };

/* The data connection of a control connection, and what is known of it before it stands. */
struct data {
        struct wire wire;
        int listener;     /* data active; -1: none */
        char address[48]; /* where the last 227 or 229 said */
        unsigned port;    /* 0: none said anything */
        unsigned from;    /* the port that the server came from; 0: we went there */
};

struct dialog {
        unsigned base_port;
        const char *pail, *dir; /* the program and the folder for `do` */
        struct buf why;         /* the failure, in words */
        struct arena arena;     /* of the file */
        struct variables variables;
        const char *given[VARIABLES_MOST]; /* --variable NAME=VALUE */
        unsigned given_count;
        struct wire wires[CONNECTIONS];
        struct data data[CONNECTIONS];
        enum transcript_kind skipping; /* "S: ..." or "D: ..." was read; TRANSCRIPT_DIRECTIVE: neither */
};

/* A directive that is to be carried out. */
struct call {
        struct dialog *d;
        struct str words[WORDS_MOST];
        size_t n;            /* words, the directive's name among them, "as N" not */
        unsigned connection; /* "as N", else 1 */
        struct wire *wire;   /* of that connection, when the table says it must be open */
};
bool wrong(struct call *c, const char *what); /* false, with a reason */
const char *authority_of(struct dialog *d);   /* the demo's ca.pem */

/* data.c */
bool do_data(struct call *c);
bool data_dial(struct dialog *d, struct wire *w, const char *address,
               unsigned port);                                            /* from a port whose next is free */
void data_heard(struct dialog *d, unsigned connection, struct str reply); /* 227, 229 */
struct wire *data_wire(struct dialog *d, unsigned connection); /* accepts, if that is due; NULL with d->why */
bool data_nothing_left(struct dialog *d);
void data_begin(struct dialog *d);
void data_finish(struct dialog *d);
/* place.c */
bool do_file(struct call *c);
bool do_folder(struct call *c);
bool do_link(struct call *c);

bool directive(struct dialog *d, struct str text);
bool sasl_sign_in(struct dialog *d, struct wire *w, struct str protocol, struct str mechanism,
                  struct str user, struct str password);
