/* Mailbox names in modified UTF-7 (RFC 3501 §5.1.3). Strict: only the one canonical form of a name is understood, so that no two
 * spellings mean the same mailbox. Pure. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

bool utf7_decode(struct arena *a, struct str name, struct str *utf8); /* false: not modified UTF-7 */
void utf7_put(struct buf *b, struct str utf8);                        /* valid UTF-8 */
