/* What letter's files share. */
#pragma once
#include "cli/mail/letter.h"

enum { LETTER_TEXT_MOST = 16 << 20, LETTER_PARTS_MOST = 1000, LETTER_LINKS_MOST = 500 };
typedef __typeof__(((struct letter_line *)0)->kind) letter_line_kind;

void letter_add_line(struct letter *l, struct letter_line line);
/* letter_text.c: the lines of part i, which is text. */
void letter_add_text(struct letter *l, const struct mime_part *p);
/* letter_links.c: what the links of this HTML (UTF-8 or near it) point to, a line each: "[1] https://..." */
void letter_add_links(struct letter *l, struct str html);
