/* A letter for a peer that takes 7 bits only: parts with 8-bit bytes become quoted-printable or base64 (RFC 6152 §3), what is signed
 * (multipart/signed, or covered by a DKIM body hash) must not be touched. Pure: text in, text out, in pieces. */
#pragma once
#include "base/buf.h"
enum downcode_can {
        DOWNCODE_NOT_NEEDED,
        DOWNCODE_YES,
        DOWNCODE_SIGNED,
        DOWNCODE_BROKEN /* 8-bit header, no MIME */
};
struct mime_node;
/* The whole letter must be at hand; over `most` it is refused by the caller before. */
enum downcode_can downcode_look(struct str letter);
[[nodiscard]] int downcode(struct str letter, struct buf *out);
