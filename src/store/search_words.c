#include "store/search_inside.h"

enum {
        STEP = WORD_MAX - WORD_SURE + 1, /* from one piece of a long run to the next */
        LEFT_MAX = 32 * 1024,            /* of a run that may go on, so much is left at most */
};

size_t words_character(struct str s)
{
        unsigned char c = (unsigned char)s.p[0];
        size_t n = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

        return n < s.n ? n : s.n;
}

/* Thai to Lao, Myanmar, Khmer, Tai, Han, kana, bopomofo, Yi. */
static bool character_is_dense(struct str s)
{
        const unsigned char *p = (const unsigned char *)s.p;
        uint32_t c;

        if (p[0] < 0xE0 || s.n < 3)
                return false;
        if (p[0] >= 0xF0)
                return p[0] == 0xF0 && p[1] >= 0xA0;
        c = (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
        return (c >= 0x0E00 && c < 0x0F00) || (c >= 0x1000 && c < 0x10A0) || (c >= 0x1780 && c < 0x1800) ||
               (c >= 0x1950 && c < 0x1AB0) || (c >= 0x2E80 && c < 0x3000) || (c >= 0x3005 && c <= 0x3007) ||
               (c >= 0x3041 && c < 0x3130) || (c >= 0x31A0 && c < 0x3200) || (c >= 0x3400 && c < 0xA4D0) ||
               (c >= 0xF900 && c < 0xFB00);
}

size_t words_segment(struct str s, bool *dense)
{
        size_t n = 0;

        *dense = character_is_dense(s);
        do {
                if (!*dense) /* what no dense character begins with */
                        while (n < s.n && (unsigned char)s.p[n] < 0xE0)
                                n++;
                if (n < s.n && character_is_dense(str_from_at(s, n)) != *dense)
                        return n;
                n += n < s.n ? words_character(str_from_at(s, n)) : 0;
        } while (n < s.n);
        return n;
}

static size_t plain(struct str s, bool last, word_fn *word, void *context)
{
        size_t at = 0;

        if (!last && s.n <= LEFT_MAX)
                return 0;
        for (; s.n - at > WORD_MAX; at += STEP)
                word(context, str_sub(s, at, WORD_MAX));
        if (!last)
                return at;
        word(context, str_from_at(s, at));
        return s.n;
}

bool words_whole(struct str name)
{
        static const struct str names[] = {
                { "subject", 7 }, { "from", 4 }, { "to", 2 }, { "cc", 2 }, { "bcc", 3 }
        };

        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                if (str_eq(names[i], name))
                        return true;
        return false;
}

void words_value(struct str s, word_fn *word, void *context)
{
        if (s.n)
                (void)plain(s, true, word, context);
}

static size_t dense_pairs(struct str s, bool last, word_fn *word, void *context)
{
        size_t one = words_character(s), two, at = 0;

        if (!last && s.n <= LEFT_MAX)
                return 0;
        if (one == s.n) {
                word(context, s);
                return s.n;
        }
        while (at + one < s.n) {
                two = words_character(str_from_at(s, at + one));
                word(context, str_sub(s, at, one + two));
                at += one;
                one = two;
        }
        return last ? s.n : at;
}

static size_t run(struct str s, bool last, word_fn *word, void *context)
{
        size_t at = 0;

        while (at < s.n) {
                struct str rest = str_from_at(s, at);
                bool dense, ended;
                size_t n = words_segment(rest, &dense), taken;

                ended = last || n < rest.n;
                taken = (dense ? dense_pairs : plain)(str_sub(rest, 0, n), ended, word, context);
                at += taken;
                if (taken < n)
                        break;
        }
        return at;
}

size_t words_take(struct str s, bool last, word_fn *word, void *context)
{
        size_t at = 0, end;

        while (at < s.n) {
                unsigned char high = 0;

                if (s.p[at] == ' ') {
                        at++;
                        continue;
                }
                for (end = at; end < s.n && s.p[end] != ' '; end++)
                        high |= (unsigned char)s.p[end] >= 0xE0;
                if (!high && end - at <= WORD_MAX && end < s.n) { /* almost always */
                        word(context, (struct str){ s.p + at, end - at });
                        at = end + 1;
                        continue;
                }
                at += run(str_sub(s, at, end - at), last || end < s.n, word, context);
                if (at < end)
                        break;
        }
        return at;
}
