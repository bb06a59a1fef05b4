/* What the files of mail/text share. */
#pragma once
#include "mail/charset.h"
#include "mail/text.h"

bool text_put_character(struct buf *out, uint32_t c); /* as UTF-8 */
/* What stands between "&" and ";": "nbsp", "#8364", "#x20ac". 0: unknown. */
uint32_t text_entity(struct str name);

/* HTML, fed piece by piece; what it says is appended to out. Linear, with no memory but this struct. It does what
 * browsers do with broken HTML (HTML Living Standard §13.2.5): a tag without end hides what follows. */
enum html_state {
        HTML_TEXT,
        HTML_OPEN, /* after "<" */
        HTML_NAME,
        HTML_TAG,     /* after a tag's name */
        HTML_EQUALS,  /* after an attribute's "=" */
        HTML_QUOTED,  /* in a quoted value */
        HTML_DECLARE, /* after "<!" */
        HTML_BOGUS,   /* to the next ">" */
        HTML_COMMENT,
        HTML_HIDDEN, /* in script, style, title: to its end tag */
        HTML_ENTITY, /* after "&" */
};
struct html {
        enum html_state state;
        char name[12], hidden[12], entity[12];
        uint8_t name_n, hidden_n, entity_n;
        uint8_t matched; /* of what ends a comment or a hidden element */
        char quote;
        bool closing;
};
void html_feed(struct html *h, struct str utf8, struct buf *out);
void html_end(struct html *h, struct buf *out);

/* The fields of one header, as text_fields gives them. false: field had enough. */
bool text_header_fields(struct str header, text_field_fn *field, void *context);
