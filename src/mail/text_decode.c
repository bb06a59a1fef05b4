#include "mail/text.h"

static int hex_value(char c)
{
        c = chr_lower(c);
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 2045 §6.7, one line without its end: white space there is not part of it (rule 3); a "=" that is followed by
 * anything but two digits stands for itself. true: the line goes on in the next one. */
static bool qp_line(struct buf *out, struct str s)
{
        while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
                s.n--;
        for (;;) {
                size_t n = str_find(s, '=');
                int high, low;

                if (n == STR_NONE) {
                        buf_puts(out, s);
                        return false;
                }
                buf_puts(out, str_sub(s, 0, n));
                if (n + 1 == s.n)
                        return true;
                high = hex_value(s.p[n + 1]);
                low = n + 2 < s.n ? hex_value(s.p[n + 2]) : -1;
                if (high >= 0 && low >= 0)
                        buf_u8(out, (uint8_t)(high << 4 | low));
                else
                        buf_u8(out, '=');
                s = str_from_at(s, high >= 0 && low >= 0 ? n + 3 : n + 1);
        }
}

static bool qp_put(struct buf *out, struct str s)
{
        struct str line;
        bool more, soft;

        while (s.n) {
                more = str_cut(&s, '\n', &line);
                soft = qp_line(out, line);
                if (more && !soft)
                        buf_puts(out, line.n && line.p[line.n - 1] == '\r' ? S("\r\n") : S("\n"));
        }
        return !out->full;
}

enum { PAD = 64, SPACE, OTHER };

static const uint8_t *base64_values(void)
{
        static const uint8_t table[256] = {
#define A1(c, v) [c] = (v) + 1
                A1('A', 0),      A1('B', 1),      A1('C', 2),      A1('D', 3),  A1('E', 4),   A1('F', 5),
                A1('G', 6),      A1('H', 7),      A1('I', 8),      A1('J', 9),  A1('K', 10),  A1('L', 11),
                A1('M', 12),     A1('N', 13),     A1('O', 14),     A1('P', 15), A1('Q', 16),  A1('R', 17),
                A1('S', 18),     A1('T', 19),     A1('U', 20),     A1('V', 21), A1('W', 22),  A1('X', 23),
                A1('Y', 24),     A1('Z', 25),     A1('a', 26),     A1('b', 27), A1('c', 28),  A1('d', 29),
                A1('e', 30),     A1('f', 31),     A1('g', 32),     A1('h', 33), A1('i', 34),  A1('j', 35),
                A1('k', 36),     A1('l', 37),     A1('m', 38),     A1('n', 39), A1('o', 40),  A1('p', 41),
                A1('q', 42),     A1('r', 43),     A1('s', 44),     A1('t', 45), A1('u', 46),  A1('v', 47),
                A1('w', 48),     A1('x', 49),     A1('y', 50),     A1('z', 51), A1('0', 52),  A1('1', 53),
                A1('2', 54),     A1('3', 55),     A1('4', 56),     A1('5', 57), A1('6', 58),  A1('7', 59),
                A1('8', 60),     A1('9', 61),     A1('+', 62),     A1('/', 63), A1('=', PAD), A1(' ', SPACE),
                A1('\t', SPACE), A1('\r', SPACE), A1('\n', SPACE),
#undef A1
        };
        return table; /* 0: a byte that has no place there */
}

/* RFC 2045 §6.8: what is not of the alphabet is passed over; after padding another text may follow. Broken beyond
 * reading is what is to a good part something else. */
static bool base64_lenient(struct buf *out, struct str s)
{
        const uint8_t *values = base64_values();
        char *start = buf_room(out, s.n / 4 * 3 + 3), *to = start;
        unsigned bits = 0, have = 0;
        size_t other = 0, good = 0;

        if (!start)
                return false;
        for (size_t i = 0; i < s.n; i++) {
                unsigned v = values[(unsigned char)s.p[i]];

                if (v - 1 < 64) {
                        bits = bits << 6 | (v - 1);
                        good++;
                        if (++have == 4) {
                                *to++ = (char)(bits >> 16);
                                *to++ = (char)(bits >> 8);
                                *to++ = (char)bits;
                                have = 0;
                        }
                } else if (v - 1 == PAD) {
                        if (have >= 2)
                                *to++ = (char)(have == 2 ? bits >> 4 : bits >> 10);
                        if (have == 3)
                                *to++ = (char)(bits >> 2);
                        have = 0;
                } else if (!v) {
                        other++;
                }
        }
        if (have >= 2) /* its padding lacks */
                *to++ = (char)(have == 2 ? bits >> 4 : bits >> 10);
        if (have == 3)
                *to++ = (char)(bits >> 2);
        buf_added(out, (size_t)(to - start));
        return other <= good / 8 + 2;
}

bool text_decode(struct buf *out, struct str encoding, struct str bytes)
{
        if (!encoding.n || str_ieq(encoding, S("7bit")) || str_ieq(encoding, S("8bit")) ||
            str_ieq(encoding, S("binary")))
                return buf_puts(out, bytes);
        if (str_ieq(encoding, S("quoted-printable")))
                return qp_put(out, bytes);
        return str_ieq(encoding, S("base64")) && base64_lenient(out, bytes);
}
