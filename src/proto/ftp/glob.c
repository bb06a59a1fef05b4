#include "proto/ftp/glob.h"

bool glob_is_pattern(struct str s)
{
        return str_find(s, '*') != STR_NONE || str_find(s, '?') != STR_NONE || str_find(s, '[') != STR_NONE;
}

/* Where the set that begins at `at` ends: behind its ']', or 0: it does not. A ']' that comes first is one of the set. */
static size_t set_end(struct str p, size_t at)
{
        size_t i = at + 1;

        if (i < p.n && (p.p[i] == '!' || p.p[i] == '^'))
                i++;
        for (size_t first = i; i < p.n; i++)
                if (p.p[i] == ']' && i > first)
                        return i + 1;
        return 0;
}

static bool set_has(struct str set /* without its brackets */, char c)
{
        bool inverted = set.n && (set.p[0] == '!' || set.p[0] == '^'), found = false;
        unsigned char byte = (unsigned char)c;

        for (size_t i = inverted; i < set.n; i++) {
                unsigned char low = (unsigned char)set.p[i], high = low;

                if (i + 2 < set.n && set.p[i + 1] == '-') {
                        high = (unsigned char)set.p[i + 2];
                        i += 2;
                }
                found |= low <= byte && byte <= high;
        }
        return found != inverted;
}

/* One element at *at other than '*', against a byte; *at moves behind it. */
static bool one(struct str p, size_t *at, char c)
{
        char want = p.p[*at];
        size_t end;

        if (want == '[' && (end = set_end(p, *at))) {
                struct str set = str_sub(p, *at + 1, end - *at - 2);

                *at = end;
                return set_has(set, c);
        }
        if (want == '\\' && *at + 1 < p.n)
                want = p.p[++*at];
        else if (want == '?')
                want = c;
        ++*at;
        return want == c;
}

bool glob_matches(struct str pattern, struct str name, bool all)
{
        size_t at = 0, i = 0, star = STR_NONE, star_i = 0;

        if (str_starts(name, S(".")) && !all && !str_starts(pattern, S(".")))
                return false;
        for (unsigned steps = 0; steps < GLOB_STEPS; steps++) {
                if (at < pattern.n && pattern.p[at] == '*') {
                        star = ++at; /* only the last star need be tried again */
                        star_i = i;
                        continue;
                }
                if (i == name.n && at == pattern.n)
                        return true;
                if (i < name.n && at < pattern.n && one(pattern, &at, name.p[i])) {
                        i++;
                        continue;
                }
                if (star == STR_NONE || star_i >= name.n)
                        return false;
                at = star;
                i = ++star_i;
        }
        return false;
}
