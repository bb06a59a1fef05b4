/* Bytes in a named charset to UTF-8. mail/header.h has what other rooms call: charsets_open and charset_decode. */
#pragma once
#include "mail/header.h"
#include "base/buf.h"

/* Appends to out; false: unknown charset, nothing appended. A byte never becomes more than CHARSET_GROWTH bytes. */
#define CHARSET_GROWTH 4
[[nodiscard]] bool charset_put(struct buf *out, struct str charset, struct str bytes);
/* UTF-8 that may be damaged: every bad byte becomes U+FFFD. */
void utf8_put(struct buf *out, struct str bytes);
/* UTF-8, or if it is not valid UTF-8, Windows-1252: what unlabelled bytes most often are. */
void unlabelled_put(struct buf *out, struct str bytes);
/* A copy of valid UTF-8 with a space for every control character: C0, DEL, C1, and the line and paragraph separators. */
struct str text_without_controls(struct arena *m, struct str utf8);
