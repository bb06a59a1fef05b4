/* The text of a message as a person reads it: transfer encodings and charsets undone, HTML as text; and its folded form, in which
 * texts are compared: case, accents, width and compatibility forms do not count, a run of white space is one space.
 *
 * Folding is the same on every machine and is kept on disk by the search index: TEXT_FOLDING changes when it does. */
#pragma once
#include "mail/mime.h"

#define TEXT_FOLDING 1

/* Appends the folded form. Compatibility decomposition, full case folding, accents removed; bad UTF-8 becomes U+FFFD, a
 * control character a space. ASCII goes a short way. A space is not put behind a space that stands there already, so a
 * text folded piece by piece at white space gives the same. */
void text_fold(struct buf *out, struct str utf8);

/* What a reader of the text does with a piece; false: enough. Pieces end at white space, unless there is none for 64 KB;
 * what is folded piece by piece is the folded text. */
typedef bool text_piece_fn(void *context, struct str utf8);
/* The text of one part: decoded, in UTF-8, HTML without its tags (script and style left out, entities resolved, blocks apart
 * by a newline). `bytes`: the part's body as it stands in the letter. Not a text part: false, nothing given. Memory bounded, time linear. */
bool text_of_part(const struct mime *m, const struct mime_part *p, struct str bytes, text_piece_fn *piece,
                  void *context);
/* All text parts of a letter, attached messages' headers and texts too, in order, a newline between; the same for its header fields ("Name: decoded value", a line each; parts'
 * file names too). */
void text_of_body(const struct mime *m, struct str letter, text_piece_fn *piece, void *context);
void text_of_header(const struct mime *m, struct str letter, text_piece_fn *piece, void *context);
/* The header's fields one by one: the name as written, the value as text_of_header shows it; of one value at most
 * TEXT_FIELD_MAX bytes are read. Of a field with addresses the value shows them as they stand, encoded words decoded,
 * and in a line of its own as people read them (Name <local@domain>, ...) where that looks different. The file names of
 * parts come last, one by one, with an empty name. */
#define TEXT_FIELD_MAX (1024 * 1024)
typedef bool text_field_fn(void *context, struct str name, struct str value);
void text_fields(const struct mime *m, struct str letter, text_field_fn *field, void *context);
/* The first words, for a list of letters (RFC 8970 §3.1): at most 200 characters of the best text part, quotations and
 * white space squeezed. Needs only the first 64 KB or so of the letter. */
struct str text_preview(struct arena *a, const struct mime *m, struct str letter);
/* A part's transfer encoding undone (7bit, 8bit, binary: as it is; base64, quoted-printable; BINARY, RFC 3516). false: the encoding is unknown
 * or what stands there is broken beyond reading (§4.3 wants UNKNOWN-CTE then). Also used by FETCH BINARY. */
bool text_decode(struct buf *out, struct str encoding, struct str bytes);
