/* A string with a length: bytes that somebody else owns. It may hold NUL and is not terminated by one,
 * unless the maker says so (arena_str, arena_printf and S() do terminate).
 *
 *      struct str verb;
 *      if (str_cut(&line, ' ', &verb) && str_ieq(verb, S("HELO"))) ...
 *      log_event("hello", "name=" PRS, STR(name));
 *
 * Case means ASCII case everywhere here. Nothing here allocates, waits or fails. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
        const char *p;
        size_t n;
};

#define S(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define PRS        "%.*s"
#define STR(s)     str_width(s), (s).p

static inline struct str str_of(const char *z) /* NULL gives the empty string */
{
        return (struct str){ z ? z : "", z ? strlen(z) : 0 };
}
static inline struct str str_from(const void *p, size_t n)
{
        return (struct str){ p, n };
}

static inline int str_width(struct str s) /* never negative, which printf takes for "without limit" */
{
        return s.n < INT32_MAX ? (int)s.n : INT32_MAX;
}

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b);
int str_cmp(struct str a, struct str b); /* memcmp order, the shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_sub(struct str s, size_t from, size_t n); /* clamped to s */
struct str str_from_at(struct str s, size_t from);       /* the rest from `from`, clamped */
struct str str_trim(struct str s);                       /* without SP and TAB at both ends */
#define STR_NONE SIZE_MAX
size_t str_find(struct str s, char c);              /* index or STR_NONE */
size_t str_rfind(struct str s, char c);             /* last index or STR_NONE */
size_t str_search(struct str s, struct str needle); /* index or STR_NONE */
/* Cut *s at the first `at`: *head gets what stands before, *s what comes after. Without `at`: *head gets all, *s
 * becomes empty, and the result is false. */
bool str_cut(struct str *s, char at, struct str *head);
bool str_u64(struct str s, uint64_t *out); /* the whole of s is a decimal number that fits */
uint64_t str_hash(struct str s);           /* SipHash with a key of this process; never store it */
bool str_has_control(struct str s);        /* any byte below 32, or 127 */
char chr_lower(char c);
