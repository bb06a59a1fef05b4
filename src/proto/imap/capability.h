/* The capabilities, one row each: what CAPABILITY says and docs/protocols.md shows. */
#pragma once
#include "proto/imap/imap.h"

struct capability {
        const char *name; /* as announced; the first word is what switches it off */
        const char *rfc;
        unsigned where;   /* enum imap_state: where it is announced */
        const char *what; /* for people */
};
extern const struct capability imap_capabilities[CAPABILITIES];
/* By the first word of its name; CAPABILITIES: there is none. */
unsigned capability_find(struct str word);
/* Those to switch off, by space: false, and which one there is not. */
bool capabilities_known(struct str list, struct str *unknown);
long imap_append_limit(const struct session *s); /* octets */
