#include "proto/imap/utf7.h"
#include "base/codec.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int digit(char c)
{
        const char *at = c ? strchr(alphabet, c) : NULL;

        return at ? (int)(at - alphabet) : -1;
}

static size_t utf8_write(char *out, uint32_t c)
{
        if (c < 0x80) {
                out[0] = (char)c;
                return 1;
        }
        if (c < 0x800) {
                out[0] = (char)(0xc0 | c >> 6);
                out[1] = (char)(0x80 | (c & 63));
                return 2;
        }
        if (c < 0x10000) {
                out[0] = (char)(0xe0 | c >> 12);
                out[1] = (char)(0x80 | (c >> 6 & 63));
                out[2] = (char)(0x80 | (c & 63));
                return 3;
        }
        out[0] = (char)(0xf0 | c >> 18);
        out[1] = (char)(0x80 | (c >> 12 & 63));
        out[2] = (char)(0x80 | (c >> 6 & 63));
        out[3] = (char)(0x80 | (c & 63));
        return 4;
}

/* What stands between '&' and '-': UTF-16 in base64 without padding. Printable ASCII must stand for itself, and the
 * bits left over are zero. */
static bool decode_run(struct str run, char *out, size_t *n)
{
        uint32_t bits = 0, high = 0;
        unsigned have = 0;

        for (size_t i = 0; i < run.n; i++) {
                int d = digit(run.p[i]);
                uint32_t unit;

                if (d < 0)
                        return false;
                bits = bits << 6 | (uint32_t)d;
                have += 6;
                if (have < 16)
                        continue;
                have -= 16;
                unit = bits >> have & 0xffff;
                bits &= (1u << have) - 1;
                if (high) {
                        if (unit < 0xdc00 || unit > 0xdfff)
                                return false;
                        *n += utf8_write(out + *n, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
                        high = 0;
                } else if (unit >= 0xd800 && unit <= 0xdbff) {
                        high = unit;
                } else if ((unit >= 0xdc00 && unit <= 0xdfff) || (unit >= 0x20 && unit < 0x7f)) {
                        return false;
                } else {
                        *n += utf8_write(out + *n, unit);
                }
        }
        return !high && have < 6 && !bits && run.n > 0;
}

bool utf7_decode(struct arena *a, struct str name, struct str *utf8)
{
        /* 8 characters are 48 bits, 3 units, each at most 3 bytes */
        char *out = arena_alloc(a, name.n + name.n / 8 + 8);
        size_t n = 0, end;
        bool after_run = false;

        for (size_t i = 0; i < name.n; i++) {
                unsigned char c = (unsigned char)name.p[i];

                if (c < 0x20 || c > 0x7e)
                        return false;
                if (c != '&') {
                        out[n++] = (char)c;
                        after_run = false;
                        continue;
                }
                end = str_find(str_from_at(name, i), '-');
                if (end == STR_NONE)
                        return false;
                if (end == 1) {
                        out[n++] = '&';
                        after_run = false;
                } else if (after_run || !decode_run(str_sub(name, i + 1, end - 1), out, &n)) {
                        return false; /* two runs side by side would be a second spelling */
                } else {
                        after_run = true;
                }
                i += end;
        }
        *utf8 = str_from(out, n);
        return true;
}

static uint32_t utf8_next(struct str s, size_t *at)
{
        unsigned char c = (unsigned char)s.p[(*at)++];
        unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        uint32_t v = more == 0 ? c : more == 1 ? c & 31u : more == 2 ? c & 15u : c & 7u;

        for (; more && *at < s.n; more--)
                v = v << 6 | ((unsigned char)s.p[(*at)++] & 63u);
        return v;
}

struct run {
        struct buf *b;
        uint32_t bits;
        unsigned have;
        bool open;
};

static void put_unit(struct run *r, uint32_t unit)
{
        if (!r->open)
                buf_puts(r->b, S("&"));
        r->open = true;
        r->bits = r->bits << 16 | unit;
        r->have += 16;
        while (r->have >= 6) {
                r->have -= 6;
                buf_put(r->b, &alphabet[r->bits >> r->have & 63], 1);
        }
        r->bits &= (1u << r->have) - 1;
}

static void close_run(struct run *r)
{
        if (!r->open)
                return;
        if (r->have)
                buf_put(r->b, &alphabet[r->bits << (6 - r->have) & 63], 1);
        buf_puts(r->b, S("-"));
        *r = (struct run){ .b = r->b };
}

void utf7_put(struct buf *b, struct str utf8)
{
        struct run r = { .b = b };

        for (size_t i = 0; i < utf8.n;) {
                uint32_t c = utf8_next(utf8, &i);

                if (c >= 0x20 && c < 0x7f) {
                        close_run(&r);
                        buf_put(b, c == '&' ? "&-" : &(char){ (char)c }, c == '&' ? 2 : 1);
                } else if (c >= 0x10000) {
                        put_unit(&r, 0xd800 + ((c - 0x10000) >> 10));
                        put_unit(&r, 0xdc00 + ((c - 0x10000) & 0x3ff));
                } else {
                        put_unit(&r, c);
                }
        }
        close_run(&r);
}
