#include "proto/imap/list.h"
#include "base/mem.h"

static bool wild(char c)
{
        return c == '*' || c == '%';
}

/* "**" and "*%" mean what "*" means, "%%" what "%" does. */
static struct str squeeze(struct arena *m, struct str text)
{
        char *out = arena_alloc(m, text.n + 1);
        size_t n = 0;

        for (size_t i = 0; i < text.n; i++) {
                if (n && wild(text.p[i]) && wild(out[n - 1])) {
                        if (text.p[i] == '*')
                                out[n - 1] = '*';
                } else {
                        out[n++] = text.p[i];
                }
        }
        return str_from(out, n);
}

bool pattern_make(struct arena *m, struct str text, size_t *used, struct pattern *out)
{
        struct pattern p = { .text = squeeze(m, text) };

        if (p.text.n > PATTERN_MOST - *used)
                return false;
        *used += p.text.n + 1;
        if (*used > PATTERN_MOST)
                *used = PATTERN_MOST;
        p.words = (p.text.n + 1) / 64 + 1;
        p.letters = arena_array(m, uint64_t, 256 * p.words);
        p.any = arena_array(m, uint64_t, p.words);
        p.one = arena_array(m, uint64_t, p.words);
        for (size_t i = 0; i < p.text.n; i++) {
                uint64_t *to = p.text.p[i] == '*' ? p.any
                               : p.text.p[i] == '%'
                                   ? p.one
                                   : p.letters + (size_t)(unsigned char)p.text.p[i] * p.words;

                to[i / 64] |= (uint64_t)1 << i % 64;
        }
        p.ends_in_level = p.text.n && p.text.p[p.text.n - 1] == '%';
        *out = p;
        return true;
}

/* A wildcard may stand for nothing: who is before one is behind it too. No two stand side by side. */
static void pass_wildcards(const struct pattern *p, uint64_t *at)
{
        uint64_t carry = 0;

        for (size_t w = 0; w < p->words; w++) {
                uint64_t here = at[w] & (p->any[w] | p->one[w]);

                at[w] |= here << 1 | carry;
                carry = here >> 63;
        }
}

enum { STATES_MOST = PATTERN_MOST / 64 + 2 };

/* The states after one byte; `also` another byte that will do as well. false: none is left. */
static bool step(const struct pattern *p, uint64_t *at, unsigned char c, unsigned char also)
{
        const uint64_t *letters = p->letters + (size_t)c * p->words,
                       *more = p->letters + (size_t)also * p->words;
        uint64_t carry = 0, some = 0;

        for (size_t w = 0; w < p->words; w++) {
                uint64_t stay = at[w] & (c == '/' ? p->any[w] : p->any[w] | p->one[w]);
                uint64_t go = at[w] & (letters[w] | more[w]);

                at[w] = stay | go << 1 | carry;
                carry = go >> 63;
                some |= at[w];
        }
        pass_wildcards(p, at);
        return some != 0;
}

static bool run(const struct pattern *p, struct str name, uint64_t *at)
{
        bool inbox = str_istarts(name, S("INBOX")) && (name.n == 5 || name.p[5] == '/');

        at[0] = 1;
        pass_wildcards(p, at);
        for (size_t i = 0; i < name.n; i++) {
                unsigned char c = (unsigned char)name.p[i];

                if (!step(p, at, c, inbox && i < 5 ? (unsigned char)chr_lower((char)c) : c))
                        return false;
        }
        return true;
}

/* The letters of INBOX may be written in any case, so both cases of each lead on. */
bool pattern_matches(const struct pattern *p, struct str name)
{
        uint64_t at[STATES_MOST] = { 0 };

        return run(p, name, at) && at[p->text.n / 64] >> p->text.n % 64 & 1;
}

bool pattern_reaches(const struct pattern *p, struct str prefix)
{
        uint64_t at[STATES_MOST] = { 0 };

        return run(p, prefix, at);
}
