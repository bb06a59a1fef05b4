/* A letter for a peer that takes seven bits only (RFC 6152 §3): texts with 8-bit bytes or lines over 998 octets become quoted-printable, other
 * parts base64. What is signed (multipart/signed, DKIM) must stay as it is. Pure. The letter's lines end with CRLF. */
#pragma once
#include "base/buf.h"

enum downcode_can {
        DOWNCODE_NOT_NEEDED,
        DOWNCODE_YES,
        DOWNCODE_SIGNED,
        DOWNCODE_BROKEN, /* 8-bit bytes in a header, or in a part that says it is encoded; or too many parts */
};
enum downcode_can downcode_look(struct str letter);
/* After DOWNCODE_YES. Appends the letter; 4 times its size and 4 KB hold it. -EFBIG: they did not. */
[[nodiscard]] int downcode(struct str letter, struct buf *out);
