/* What the dialog runner's files share: dialog.c runs S: and C: lines, directive.c everything else, sasl.c signs in,
 * words.c knows braces and quotes, wire.c the connection. */
#pragma once
#include "wire.h"
#include "words.h"

enum { CONNECTIONS = 99 };

struct dialog {
        unsigned base_port;
        const char *pail, *dir; /* the program and the folder for `do` */
        struct buf why;         /* the failure, in words */
        struct arena arena;     /* of the file */
        struct variables variables;
        struct wire wires[CONNECTIONS];
        bool skipping; /* S: ... was read */
};
bool directive(struct dialog *d, struct str text);
bool sasl_sign_in(struct dialog *d, struct wire *w, struct str protocol, struct str mechanism,
                  struct str user, struct str password);
