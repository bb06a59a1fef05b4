/* Codecs that protocols share. Decoders are strict: what is not exactly right is an error.
 * The out buffer is appended to. */
#pragma once
#include "base/buf.h"

bool base64_put(struct buf *out, struct str in); /* RFC 4648 §4, with padding, no line breaks */
[[nodiscard]] bool base64_get(struct buf *out, struct str in); /* false: bad alphabet, padding or length */
void hex_put(struct buf *out, struct str in);                  /* lower case */
[[nodiscard]] bool hex_get(struct buf *out, struct str in);
bool utf8_valid(struct str s); /* RFC 3629: no surrogates, no overlong forms */
bool ascii_only(struct str s);
uint32_t crc32_of(uint32_t start, struct str s); /* zlib's CRC-32; start with 0 */
