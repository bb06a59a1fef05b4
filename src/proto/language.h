/* The languages that replies can be in (POP3's LANG, RFC 6856 §3; IMAP's LANGUAGE, RFC 5255 §3). The English text in the code is
 * the key; a translation has the same conversions in the same order, which the unit tests check. */
#pragma once
#include "base/str.h"

enum { LANGUAGE_ENGLISH, LANGUAGE_GERMAN, LANGUAGE_FRENCH, LANGUAGES };
struct language {
        const char *tag, *name;
};
extern const struct language languages[LANGUAGES];

struct translation {
        const char *english, *german, *french;
};
/* The best one for a range, "de-CH-1996" (RFC 4647 §3.4); LANGUAGES: none. */
unsigned language_find(struct str range);
/* table ends with a row of NULL. What it lacks stays English. */
const char *language_text(const struct translation *table, unsigned language, const char *english)
    __attribute__((format_arg(3)));
