/* What stands in braces in a dialog, and the words of a directive.
 *
 *   {name}          a variable, taken from an earlier S: line
 *   {base64:text}   with \0 \r \n \t \xHH \\ \} in the text
 *   {md5:text}      in hex
 * Braces nest: {md5:{stamp}crown}. What looks otherwise stays as it is; \{ is a brace. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum { WORDS_MOST = 40, VARIABLES_MOST = 40 };

struct variables {
        struct arena arena;
        unsigned n;
        struct {
                struct str name, value;
        } list[VARIABLES_MOST];
};
struct str *variable(struct variables *v, struct str name); /* NULL: not set */
bool variable_set(struct variables *v, struct str name, struct str value);

/* Appends the text with its braces expanded; in a pattern, stars of values are escaped. */
bool words_expand(struct variables *v, struct str text, bool pattern, struct buf *out, struct buf *why);
/* Does the line match? One {name} that is not set yet takes what stands there. */
bool words_match(struct variables *v, struct str pattern, struct str line, bool *matches, struct buf *why);
/* \0 \r \n \t \xHH \\ \" \} undone */
bool words_unescape(struct str text, struct buf *out, struct buf *why);
/* Splits a directive: words, or "quoted text with escapes". */
bool words_split(struct str text, struct arena *a, struct str *words, size_t *n, struct buf *why);
