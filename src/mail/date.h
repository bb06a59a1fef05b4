/* Dates of messages (RFC 5322 §3.3, obsolete forms §4.3) to and from seconds since 1970. */
#pragma once
#include "base/buf.h"

/* "Fri, 21 Nov 1997 09:55:06 -0600"; offset in minutes east of Greenwich, -1439 to 1439. Years 1 to 9999, others are
 * held to these. */
bool date_put(struct buf *out, int64_t seconds, int offset);
/* Understands comments, folding, two- and three-digit years, named zones, a missing day name, missing seconds or zone
 * (taken as UTC). offset may be NULL. false: no date. */
[[nodiscard]] bool date_parse(struct str s, int64_t *seconds, int *offset);
