/* STATUS, for the command of that name, LIST and NOTIFY. */
#pragma once
#include "proto/imap/imap.h"

/* "(MESSAGES UIDNEXT ...)" -> bits; failures stick. */
void imap_status_items(struct session *s, struct scan *a, unsigned *items);
/* "* STATUS name (...)" CRLF onto b; x: the mailbox, open with RIGHT_READ. 0 or -errno (nothing was put). */
[[nodiscard]] int put_status(struct buf *b, struct session *s, struct access *x, struct str name,
                             unsigned items);
/* The items of a mailbox as STATUS gives them by itself: for others (NOTIFY): MESSAGES UIDNEXT UIDVALIDITY and, with CONDSTORE enabled,
 * HIGHESTMODSEQ. */
unsigned imap_status_default(const struct session *s);
