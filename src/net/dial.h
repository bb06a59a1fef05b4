/* A connection to the first of several addresses that answers (RFC 8305): the next is tried when the one before has failed or been silent for a
 * quarter of a second. The sockets are made here. */
#pragma once
#include "net/conn.h"

enum { DIAL_MOST = 16 };
struct dial {
        const struct addr *to;            /* with ports */
        unsigned count;                   /* at most DIAL_MOST */
        const struct addr *from4, *from6; /* own addresses to use; NULL: any */
};
/* From a setting: "192.0.2.7 2001:db8::7", one of a family at most; they lie in room. false: it is something else. An address that is not loopback is
 * not used to loopback. */
[[nodiscard]] bool dial_from(struct dial *d, struct str own, struct addr room[static 2]);
/* Is that an address of this machine? No packet leaves for it. */
bool dial_is_own(struct addr at);
/* In a fiber; waits. 0, and *which is the index of the one that answered; -errno of the last that failed, and a sentence about each in
 * *why. */
[[nodiscard]] int dial_any(const struct dial *d, nsec deadline, struct conn **out, unsigned *which,
                           struct buf *why);
