#include "base/mem.h"
#include "mail/text_inside.h"
#include <stdatomic.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>

/* A character becomes what its compatibility decomposition and full case folding make of it, whatever stands beside it,
 * without marks that are accents. Not undone are compositions that make another letter: Hangul syllables, and kana with
 * their voicing marks, which are put together also where they came apart. So each character can be looked up in a table,
 * made a page of 256 at a time when one of its characters is first met. */
enum {
        DROP = 0xFFFF, /* in a page: nothing is left of it */
        LONG = 0xFFFE, /* several characters, or beyond 16 bits: made each time */
        REPLACED = 0xFFFD,
        EXPANDED_MAX = 40, /* U+FDFA becomes 18 */
        VOICED = 0x3099,
        SEMI_VOICED = 0x309A,
        ASCII_AT_ONCE = 8192,
};
struct expanded {
        uint32_t at[EXPANDED_MAX];
        unsigned n;
};
static _Atomic(uint16_t *) pages[256];

static bool is_space(uint32_t c)
{
        return c == ' ' || uc_is_property(c, UC_PROPERTY_WHITE_SPACE) ||
               uc_is_general_category(c, UC_CATEGORY_Cc);
}

/* Accents, points and strokes; not the vowel signs and tone marks that some scripts write as marks. */
static bool is_accent(uint32_t c)
{
        int class = uc_combining_class(c);

        if (uc_is_general_category(c, UC_CATEGORY_Me))
                return true;
        return uc_is_general_category(c, UC_CATEGORY_Mn) &&
               (class == 1 || class == 7 || (class >= 10 && class <= 36) || class >= 200);
}

static bool joins(uint32_t c) /* with what stands before it, if that fits */
{
        return c == VOICED || c == SEMI_VOICED || (c >= 0x1161 && c <= 0x1175) ||
               (c >= 0x11A8 && c <= 0x11C2);
}

static void add(struct expanded *e, uint32_t c)
{
        if (e->n < EXPANDED_MAX)
                e->at[e->n++] = c;
}

static void expand(struct expanded *e, uint32_t c, unsigned depth);

/* true: c is not what it decomposes to. */
static bool decompose(struct expanded *e, uint32_t c, unsigned depth)
{
        ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
        int tag, n;

        if ((c >= 0xAC00 && c <= 0xD7A3) || (c >= 0x3131 && c <= 0x318E))
                return false;
        n = uc_decomposition(c, &tag, parts);
        if (n <= 0 || (n > 1 && parts[0] == ' ')) /* an accent standing alone is a sign of its own */
                return false;
        if (n == 2 && (parts[1] == VOICED || parts[1] == SEMI_VOICED))
                return false;
        for (int i = 0; i < n; i++)
                expand(e, parts[i], depth + 1);
        return true;
}

static void expand(struct expanded *e, uint32_t c, unsigned depth)
{
        uint32_t folded[8];
        size_t n = sizeof folded / sizeof folded[0];

        if (c > 0x10FFFF || (c & 0xFFFE) == 0xFFFE || (c >= 0xD800 && c < 0xE000)) {
                add(e, REPLACED);
                return;
        }
        if (is_space(c)) {
                add(e, ' ');
                return;
        }
        if (is_accent(c) || uc_is_property(c, UC_PROPERTY_DEFAULT_IGNORABLE_CODE_POINT) ||
            (depth < 16 && decompose(e, c, depth)))
                return;
        if (depth >= 16 || u32_casefold(&c, 1, NULL, NULL, folded, &n) != folded ||
            (n == 1 && folded[0] == c)) {
                add(e, c);
                return;
        }
        for (size_t i = 0; i < n; i++)
                expand(e, folded[i], depth + 1);
}

static uint16_t *page_make(unsigned number)
{
        uint16_t *page = mem_array(256, sizeof *page), *other = NULL;

        for (unsigned i = 0; i < 256; i++) {
                struct expanded e = { .n = 0 };

                expand(&e, number << 8 | i, 0);
                page[i] = !e.n ? DROP : e.n > 1 || e.at[0] > REPLACED ? LONG : (uint16_t)e.at[0];
        }
        if (atomic_compare_exchange_strong(&pages[number], &other, page))
                return page;
        mem_free(page);
        return other;
}

/* The character at s.p[*i], passed over; a bad byte is U+FFFD. */
static uint32_t take(struct str s, size_t *i)
{
        const unsigned char *p = (const unsigned char *)s.p + *i;
        size_t left = s.n - *i, n;
        uint32_t c = p[0], least;

        ++*i;
        if (c < 0x80)
                return c;
        n = c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
        if (!n || n > left)
                return REPLACED;
        least = n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
        c &= 0xFFu >> (n + 1);
        for (size_t k = 1; k < n; k++) {
                if ((p[k] & 0xC0) != 0x80)
                        return REPLACED;
                c = c << 6 | (p[k] & 0x3F);
        }
        if (c < least || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
                return REPLACED;
        *i += n - 1;
        return c;
}

static unsigned encode(uint32_t c, unsigned char to[static 4])
{
        if (c < 0x80) {
                to[0] = (unsigned char)c;
                return 1;
        }
        if (c < 0x800) {
                to[0] = (unsigned char)(0xC0 | c >> 6);
                to[1] = (unsigned char)(0x80 | (c & 63));
                return 2;
        }
        if (c < 0x10000) {
                to[0] = (unsigned char)(0xE0 | c >> 12);
                to[1] = (unsigned char)(0x80 | (c >> 6 & 63));
                to[2] = (unsigned char)(0x80 | (c & 63));
                return 3;
        }
        to[0] = (unsigned char)(0xF0 | c >> 18);
        to[1] = (unsigned char)(0x80 | (c >> 12 & 63));
        to[2] = (unsigned char)(0x80 | (c >> 6 & 63));
        to[3] = (unsigned char)(0x80 | (c & 63));
        return 4;
}

bool text_put_character(struct buf *out, uint32_t c)
{
        unsigned char bytes[4];

        if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
                c = REPLACED;
        return buf_put(out, bytes, encode(c, bytes));
}

struct folder {
        struct buf *out;
        uint32_t last; /* written, and what a joining character may be put together with; 0: none */
};

static void emit(struct folder *f, uint32_t c)
{
        unsigned char bytes[4];
        uint32_t whole;

        if (c == ' ' && f->out->n && f->out->p[f->out->n - 1] == ' ')
                return;
        if (joins(c) && f->last && (whole = uc_composition(f->last, c))) {
                f->out->n -= encode(f->last, bytes);
                c = whole;
        }
        buf_put(f->out, bytes, encode(c, bytes));
        f->last = c;
}

static void fold_one(struct folder *f, uint32_t c)
{
        uint16_t *page, to;

        if (c < 0x10000) {
                page = atomic_load_explicit(&pages[c >> 8], memory_order_acquire);
                if (!page)
                        page = page_make(c >> 8);
                to = page[c & 255];
                if (to != LONG) {
                        if (to != DROP)
                                emit(f, to);
                        return;
                }
        }
        struct expanded e = { .n = 0 };

        expand(&e, c, 0);
        for (unsigned i = 0; i < e.n; i++)
                emit(f, e.at[i]);
}

/* What ASCII becomes: letters small, controls a space. */
static const unsigned char small[128] = {
        ' ', ' ',  ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ',  ' ', ' ',
        ' ', ' ',  ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', '!', '"', '#',  '$', '%',
        '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', '0', '1', '2', '3', '4', '5', '6',  '7', '8',
        '9', ':',  ';', '<', '=', '>', '?', '@', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i',  'j', 'k',
        'l', 'm',  'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '[', '\\', ']', '^',
        '_', '`',  'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',  'p', 'q',
        'r', 's',  't', 'u', 'v', 'w', 'x', 'y', 'z', '{', '|', '}', '~', ' ',
};

/* As long as it is ASCII; without a branch for the space that follows a space. */
static size_t fold_ascii(struct buf *out, struct str s)
{
        unsigned char last = out->n ? (unsigned char)out->p[out->n - 1] : 0, c;
        size_t n = s.n < ASCII_AT_ONCE ? s.n : ASCII_AT_ONCE, i = 0;
        char *start = buf_room(out, n), *to = start;

        if (!start)
                return n; /* it is full: what is there is what fits */
        for (; i < n && (c = (unsigned char)s.p[i]) < 128; i++) {
                c = small[c];
                *to = (char)c;
                to += !(c == ' ' && last == ' ');
                last = c;
        }
        buf_added(out, (size_t)(to - start));
        return i;
}

void text_fold(struct buf *out, struct str s)
{
        struct folder f = { out, 0 };
        size_t i = 0;

        while (i < s.n && !out->full) {
                if ((unsigned char)s.p[i] < 128) {
                        i += fold_ascii(out, str_from_at(s, i));
                        f.last = 0;
                }
                while (i < s.n && (unsigned char)s.p[i] >= 128 && !out->full)
                        fold_one(&f, take(s, &i));
        }
}
