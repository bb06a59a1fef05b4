#include "store/search_part.h"

/* Numbers that stand anywhere. */
struct __attribute__((packed, may_alias)) any64 {
        uint64_t v;
};
static uint64_t load(const char *p)
{
        return ((const struct any64 *)(const void *)p)->v;
}

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u

static uint64_t turn(uint64_t v, unsigned n)
{
        return v << n | v >> (64 - n);
}

static uint64_t stir(uint64_t v)
{
        v = (v ^ v >> 33) * P2;
        v = (v ^ v >> 29) * P3;
        return v ^ v >> 32;
}

/* The last bytes, less than 8, as a number. */
static uint64_t rest(const char *p, size_t n)
{
        uint64_t v = n;

        for (size_t i = 0; i < n; i++)
                v = v << 8 | (unsigned char)p[i];
        return v;
}

/* Four lanes, as in xxHash: some bytes a cycle. Against damage, not against attackers. */
uint64_t bytes_sum(struct str s)
{
        uint64_t a = P1 + P2, b = P2, c = 0, d = P3, all;
        size_t i = 0;

        for (; i + 32 <= s.n; i += 32) {
                a = turn(a + load(s.p + i) * P2, 31) * P1;
                b = turn(b + load(s.p + i + 8) * P2, 31) * P1;
                c = turn(c + load(s.p + i + 16) * P2, 31) * P1;
                d = turn(d + load(s.p + i + 24) * P2, 31) * P1;
        }
        all = turn(a, 1) + turn(b, 7) + turn(c, 12) + turn(d, 18) + s.n;
        for (; i + 8 <= s.n; i += 8)
                all = turn(all ^ turn(load(s.p + i) * P2, 31) * P1, 27) * P1 + P3;
        return stir(all ^ rest(s.n ? s.p + i : "", s.n - i) * P1);
}

uint64_t bytes_hash(struct str s, uint64_t start)
{
        uint64_t h = start ^ s.n * P1;
        size_t i = 0;

        for (; i + 8 <= s.n; i += 8)
                h = turn((h ^ load(s.p + i)) * P2, 29);
        if (i == s.n)
                return stir(h);
        if (s.n >= 8)
                return stir(h ^ load(s.p + s.n - 8) * P3);
        return stir(h ^ rest(s.p + i, s.n - i) * P3);
}

typedef uint8_t lanes __attribute__((vector_size(16)));
struct __attribute__((packed, may_alias)) any_lanes {
        lanes v;
};
static lanes load_lanes(const char *p)
{
        return ((const struct any_lanes *)(const void *)p)->v;
}

static bool any(lanes v)
{
        typedef uint64_t halves __attribute__((vector_size(16)));
        halves h = (halves)v;

        return (h[0] | h[1]) != 0;
}

static lanes all_of(char c)
{
        return (lanes){ 0 } + (uint8_t)c;
}

/* Where the first and the last byte of the needle stand the right way apart, sixteen places at a time. */
size_t bytes_find(struct str s, struct str needle, size_t from)
{
        size_t span = needle.n - 1, i = from;
        lanes first = all_of(needle.p[0]), last = all_of(needle.p[span]);

        for (; i + span + 16 <= s.n; i += 16) {
                lanes hit = (lanes)((load_lanes(s.p + i) == first) & (load_lanes(s.p + i + span) == last));

                if (!any(hit))
                        continue;
                for (size_t k = i; k < i + 16; k++)
                        if (s.p[k] == needle.p[0] && s.p[k + span] == needle.p[span] &&
                            !memcmp(s.p + k, needle.p, needle.n))
                                return k;
        }
        for (; i + span < s.n; i++)
                if (!memcmp(s.p + i, needle.p, needle.n))
                        return i;
        return STR_NONE;
}

size_t bytes_count(struct str s, char c)
{
        lanes want = all_of(c);
        size_t n = 0, i = 0;

        while (i + 16 <= s.n) {
                lanes sum = { 0 };

                for (unsigned turns = 0; turns < 255 && i + 16 <= s.n; turns++, i += 16)
                        sum -= (lanes)(load_lanes(s.p + i) == want);
                for (unsigned k = 0; k < 16; k++)
                        n += sum[k];
        }
        for (; i < s.n; i++)
                n += s.p[i] == c;
        return n;
}
