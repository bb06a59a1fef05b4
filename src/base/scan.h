/* The parse cursor: grammar as functions over one struct. The first failure sticks (`bad`, with the place and a
 * word why); after it everything returns empty, so a parser reads like its ABNF and is judged once at the end:
 *
 *      scan_word(a, S("FROM:"));
 *      struct path from = scan_reverse_path(a);
 *      if (!scan_done(a))
 *              return reply(s, "501 5.5.4 Syntax: MAIL FROM:<address>"); */
#pragma once
#include "base/str.h"

struct scan {
        struct str s;
        size_t at;
        bool bad;
        const char *why; /* static text of the first failure */
};

static inline struct scan scan_of(struct str s)
{
        return (struct scan){ s, 0, false, NULL };
}
void scan_fail(struct scan *a, const char *why);
bool scan_end(const struct scan *a);             /* nothing left (true when bad, too) */
bool scan_done(const struct scan *a);            /* nothing left and nothing bad */
struct str scan_rest(struct scan *a);            /* takes all that is left */
int scan_peek(const struct scan *a);             /* next byte, or -1 */
bool scan_char(struct scan *a, char c);          /* takes c or fails */
bool scan_try(struct scan *a, char c);           /* takes c if it stands there */
bool scan_word(struct scan *a, struct str word); /* takes the word, any case, or fails */
bool scan_try_word(struct scan *a, struct str word);
void scan_space(struct scan *a);  /* takes one or more SP, or fails */
void scan_spaces(struct scan *a); /* takes any SP and TAB */
struct str scan_until(struct scan *a,
                      const char *stops); /* up to one of the bytes, or the end; may be empty */
struct str scan_token(struct scan *a);    /* up to SP, TAB or the end; empty is a failure */
struct str scan_while(struct scan *a, bool (*in)(unsigned char c)); /* one or more, or fails */
uint64_t scan_number(struct scan *a, uint64_t max); /* decimal digits, at most max, or fails */
