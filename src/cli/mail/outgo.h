/* A letter on its way: by submission with AUTH (RFC 6409, 8314), or by `pail send` on the server itself. First it is filed in the copy's mailbox
 * "Outbox" (which is not brought to the server), then sent, then filed in Sent and taken out of Outbox: with no network it waits there and goes with
 * the next sync. One that was refused for good stays there, flagged, and the reason is told. A kill between the server's yes and Sent sends it once more.
 *
 * In Outbox the first field of a letter is Bcc with all its recipients; it does not travel. */
#pragma once
#include "cli/mail/compose.h"

struct outgo_result {
        char said[1024]; /* the server's last words */
        bool waits;      /* no network: it goes later */
};
[[nodiscard]] int outgo_send(struct copy *c, struct login *l, const struct draft *d,
                             struct outgo_result *result, struct buf *why);
[[nodiscard]] int outgo_flush(struct copy *c, struct login *l, unsigned *sent,
                              struct buf *why); /* what waits */
