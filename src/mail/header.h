/* The header of a message: iterate, find, count, unfold, and RFC 2047's encoded words. Robust against anything:
 * lines may end with CRLF or LF, a line that is no field is passed over, the text may end anywhere.
 *
 *      struct header h = header_of(letter);
 *      struct field f;
 *      while (header_next(&h, &f)) ...
 *      body = str_from_at(letter, h.at);
 *
 * Values are raw: everything after the colon, folding included, without the field's last line end and without the
 * spaces around it. */
#pragma once
#include "base/arena.h"

struct field {
        struct str name;  /* as written; compare with str_ieq */
        struct str value; /* raw */
        size_t at;        /* offset of the name in the text */
        size_t end;       /* offset after the field's last line end */
};
struct header {
        struct str text;
        size_t at;  /* where to read on; after the last field: where the body begins */
        bool ended; /* the empty line was seen, or the text is over */
};
struct header header_of(struct str text);
bool header_next(struct header *h, struct field *out);
size_t header_size(struct str text); /* offset of the body: after the empty line, or the text's end */
bool header_find(struct str text, struct str name, struct field *out); /* the first one */
bool header_has(struct str text, struct str name);
unsigned header_count(struct str text, struct str name); /* "Received": how many hops */
/* Line ends removed (RFC 5322 §2.2.3: the white space after them stays); control bytes become spaces. */
struct str header_unfold(struct arena *m, struct str raw);

/* Unfold and decode the encoded words of unstructured text or a phrase to UTF-8 (RFC 2047 §6.2). The result is always
 * valid UTF-8 without control characters: what cannot be decoded becomes U+FFFD; a word of unknown charset or broken
 * form stays as it stands. Also raw 8-bit is accepted: UTF-8 if it is valid, else Windows-1252.
 * The arena gives at most 5 times the size of raw. */
struct str word_decode(struct arena *m, struct str raw);

/* The converters for the charsets we know are opened once, for a sandbox that allows no opening later. Call it before;
 * without it the first use does. Safe in any thread. */
void charsets_open(void);
/* Bytes in a charset to UTF-8, bad ones as U+FFFD. false: unknown charset, nothing made. */
[[nodiscard]] bool charset_decode(struct arena *m, struct str charset, struct str bytes, struct str *out);
/* Passes white space, folding and comments at the start of a value; comments nest, and a backslash takes the next byte
 * with it, if there is one (RFC 5322 §3.2.2, §4.3). */
void header_skip_cfws(struct str *s);
