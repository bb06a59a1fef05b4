#include "base/codec.h"
#include <zlib.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static unsigned octet(struct str s, size_t i)
{
        return i < s.n ? (unsigned char)s.p[i] : 0;
}

bool base64_put(struct buf *out, struct str in)
{
        size_t groups = in.n / 3 + (in.n % 3 != 0);
        char *to;

        if (out->full || in.n > SIZE_MAX / 2 || !(to = buf_room(out, groups * 4))) {
                out->full = true;
                return false;
        }
        for (size_t i = 0; i < in.n; i += 3) {
                unsigned v = octet(in, i) << 16 | octet(in, i + 1) << 8 | octet(in, i + 2);

                *to++ = base64_digits[v >> 18];
                *to++ = base64_digits[v >> 12 & 63];
                *to++ = i + 1 < in.n ? base64_digits[v >> 6 & 63] : '=';
                *to++ = i + 2 < in.n ? base64_digits[v & 63] : '=';
        }
        buf_added(out, groups * 4);
        return true;
}

/* 0..63, or 64 and more for what is no digit */
static unsigned base64_value(char c)
{
        if (c >= 'A' && c <= 'Z')
                return (unsigned)(c - 'A');
        if (c >= 'a' && c <= 'z')
                return (unsigned)(c - 'a') + 26;
        if (c >= '0' && c <= '9')
                return (unsigned)(c - '0') + 52;
        return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Padding has one true form, and the bits it leaves over are zero (RFC 4648 §3.5), so that no two texts mean the
 * same bytes. */
bool base64_get(struct buf *out, struct str in)
{
        size_t pad = 0, n = in.n / 4 * 3;
        char *to;

        if (in.n % 4)
                return false;
        while (pad < 2 && pad < in.n && in.p[in.n - 1 - pad] == '=')
                pad++;
        if (out->full || !(to = buf_room(out, n)))
                return false;
        for (size_t i = 0; i < in.n; i += 4) {
                size_t digits = i + 4 == in.n ? 4 - pad : 4;
                unsigned v = 0, bad = 0;

                for (size_t k = 0; k < 4; k++) {
                        unsigned d = k < digits ? base64_value(in.p[i + k]) : 0;

                        bad |= d & 64;
                        v = v << 6 | (d & 63);
                }
                if (bad || (digits == 3 && v & 0xff) || (digits == 2 && v & 0xffff))
                        return false;
                *to++ = (char)(v >> 16);
                *to++ = (char)(v >> 8);
                *to++ = (char)v;
        }
        buf_added(out, n - pad);
        return true;
}

void hex_put(struct buf *out, struct str in)
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < in.n; i++) {
                unsigned char c = (unsigned char)in.p[i];

                buf_put(out, (char[]){ digits[c >> 4], digits[c & 15] }, 2);
        }
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = chr_lower(c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_get(struct buf *out, struct str in)
{
        char *to;

        if (in.n % 2 || out->full || !(to = buf_room(out, in.n / 2)))
                return false;
        for (size_t i = 0; i < in.n; i += 2) {
                int high = hex_value(in.p[i]), low = hex_value(in.p[i + 1]);

                if (high < 0 || low < 0)
                        return false;
                *to++ = (char)(high << 4 | low);
        }
        buf_added(out, in.n / 2);
        return true;
}

bool ascii_only(struct str s)
{
        unsigned char all = 0;

        for (size_t i = 0; i < s.n; i++)
                all |= (unsigned char)s.p[i];
        return all < 128;
}

/* How many bytes the character at i has, 0 if it is none. The first byte settles the length and, where an overlong
 * form, a surrogate or a number beyond U+10FFFF could hide, the range of the second (RFC 3629 §4). */
static size_t utf8_length(struct str s, size_t i)
{
        unsigned c = octet(s, i), next = octet(s, i + 1), least = 0x80, most = 0xbf;
        size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

        if (n < 2)
                return n;
        if (c == 0xe0)
                least = 0xa0;
        if (c == 0xed)
                most = 0x9f;
        if (c == 0xf0)
                least = 0x90;
        if (c == 0xf4)
                most = 0x8f;
        if (next < least || next > most)
                return 0;
        for (size_t k = 2; k < n; k++)
                if ((octet(s, i + k) & 0xc0) != 0x80)
                        return 0;
        return n;
}

bool utf8_valid(struct str s)
{
        for (size_t i = 0, n; i < s.n; i += n)
                if (!(n = utf8_length(s, i)))
                        return false;
        return true;
}

uint32_t crc32_of(uint32_t start, struct str s)
{
        return (uint32_t)crc32_z(start, (const unsigned char *)(s.n ? s.p : ""), s.n);
}
