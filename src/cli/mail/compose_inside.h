/* What compose's files share. */
#pragma once
#include "cli/mail/compose.h"

enum { MESSAGE_MOST = 256 << 20 };
/* compose_attach.c: a part with its header, CRLF at the end. value: what stands behind "Attach:". */
[[nodiscard]] int attach_put(struct buf *out, const struct draft *d, struct str value, bool in_line,
                             unsigned number, struct buf *why);
void attach_letter(struct buf *out, const struct letter *of);
void compose_unique(char room[static 33]); /* hexadecimal, ended by NUL */
