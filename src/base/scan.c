#include "base/scan.h"

void scan_fail(struct scan *a, const char *why)
{
        if (a->bad)
                return;
        a->bad = true;
        a->why = why;
}

static struct str left(const struct scan *a)
{
        return a->bad ? S("") : str_from_at(a->s, a->at);
}

static struct str take(struct scan *a, size_t n)
{
        struct str got = str_sub(left(a), 0, n);

        a->at += got.n;
        return got;
}

bool scan_end(const struct scan *a)
{
        return a->bad || a->at == a->s.n;
}

bool scan_done(const struct scan *a)
{
        return !a->bad && a->at == a->s.n;
}

struct str scan_rest(struct scan *a)
{
        return take(a, SIZE_MAX);
}

int scan_peek(const struct scan *a)
{
        return scan_end(a) ? -1 : (unsigned char)a->s.p[a->at];
}

bool scan_try(struct scan *a, char c)
{
        if (scan_peek(a) != (unsigned char)c)
                return false;
        a->at++;
        return true;
}

bool scan_char(struct scan *a, char c)
{
        if (scan_try(a, c))
                return true;
        scan_fail(a, "another character expected");
        return false;
}

bool scan_try_word(struct scan *a, struct str word)
{
        if (a->bad || !str_istarts(left(a), word))
                return false;
        a->at += word.n;
        return true;
}

bool scan_word(struct scan *a, struct str word)
{
        if (scan_try_word(a, word))
                return true;
        scan_fail(a, "another word expected");
        return false;
}

void scan_space(struct scan *a)
{
        scan_char(a, ' ');
        while (scan_try(a, ' '))
                ;
}

void scan_spaces(struct scan *a)
{
        while (scan_try(a, ' ') || scan_try(a, '\t'))
                ;
}

struct str scan_until(struct scan *a, const char *stops)
{
        struct str rest = left(a), set = str_of(stops);
        size_t n = 0;

        while (n < rest.n && str_find(set, rest.p[n]) == STR_NONE)
                n++;
        return take(a, n);
}

struct str scan_token(struct scan *a)
{
        struct str token = scan_until(a, " \t");

        if (!token.n)
                scan_fail(a, "a word is missing");
        return token;
}

struct str scan_while(struct scan *a, bool (*in)(unsigned char c))
{
        struct str rest = left(a);
        size_t n = 0;

        while (n < rest.n && in((unsigned char)rest.p[n]))
                n++;
        if (!n)
                scan_fail(a, "unexpected character");
        return take(a, n);
}

static bool digit(unsigned char c)
{
        return c >= '0' && c <= '9';
}

uint64_t scan_number(struct scan *a, uint64_t max)
{
        size_t start = a->at;
        struct str digits = scan_while(a, digit);
        uint64_t v = 0;

        if (a->bad)
                return 0;
        if (str_u64(digits, &v) && v <= max)
                return v;
        a->at = start;
        scan_fail(a, "number too large");
        return 0;
}
