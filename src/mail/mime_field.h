/* Content-Type and Content-Disposition taken apart (RFC 2045 §5.1, RFC 2183 §2, RFC 2231 §3-4), for mime.c. */
#pragma once
#include "mail/mime.h"

/* A string that will stay: counted against MIME_STRINGS_MAX, and without folding, control characters or what else may
 * not stand in one line. Beyond the limit: empty, and m->cut. */
struct str mime_keep(struct mime *m, struct str s);
struct str mime_keep_lower(struct mime *m, struct str s);
/* Up to a type's "/" and subtype, or one word; comments passed over. false: there is none. */
bool mime_take_type(struct mime *m, struct str *raw, struct str *type, struct str *subtype);
bool mime_take_word(struct mime *m, struct str *raw, struct str *word);
/* *(";" attribute "=" value), appended to m->params. */
struct mime_params mime_take_params(struct mime *m, struct str raw);
/* Room for one more in an array that grows by doubling up to max elements; false: it is full. */
bool mime_room(void **array, uint32_t *room, uint32_t count, uint32_t max, size_t size);
/* What mime_parse and mime_unpack share. */
void mime_clear(struct mime *m);
void mime_part_defaults(struct mime_part *p);
struct mime_part *mime_add_part(struct mime *m); /* with the defaults; NULL: MIME_PARTS_MAX, and m->cut */
struct mime_envelope *mime_add_envelope(struct mime *m, struct mime_part *p);
