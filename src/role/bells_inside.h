/* Rows of names, for the two ends of the bells: bells.c and switchboard.c. */
#pragma once
#include "role/bells.h"

struct bells_row {
        uint16_t kind;
        struct buf names; /* not yet sent */
};
void bells_row(struct bells_row *r, uint16_t kind);
/* false: there is no room, and the channel takes nothing now. */
bool bells_add(struct bells_row *r, struct channel *c, bool off, struct str name);
/* true: nothing is left. */
bool bells_send(struct bells_row *r, struct channel *c);
/* The next name of a row; false at its end, or u->bad. */
bool bells_next(struct unpack *u, bool *off, struct str *name);
