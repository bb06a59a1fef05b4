/* The dot-stuffed body: read whole, read in pieces, and read by a plain scan for the RFC's end must agree. */
#include "net/dot.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "%s\n", what);
        abort();
}

/* RFC 5321 §4.1.1.4, naively: where CRLF . CRLF ends, as if a CRLF stood before; 0: it does not. */
static size_t true_end(struct str s)
{
        if (str_starts(s, S(".\r\n")))
                return 3;
        for (size_t i = 0; i + 5 <= s.n; i++)
                if (str_starts(str_from_at(s, i), S("\r\n.\r\n")))
                        return i + 5;
        return 0;
}

/* Faults and the bytes without stuffing, of a body without its end. */
static unsigned naive(struct str s, bool mend, struct buf *out)
{
        unsigned faults = 0;
        bool start = true;

        for (size_t i = 0; i < s.n; i++) {
                char before = i > 0 ? s.p[i - 1] : 0, after = i + 1 < s.n ? s.p[i + 1] : 0;

                if (start && s.p[i] == '.') {
                        start = false;
                        continue;
                }
                start = s.p[i] == '\n' && before == '\r';
                if (s.p[i] == 0)
                        faults |= DOT_NUL;
                if (s.p[i] == '\r' && after != '\n')
                        faults |= DOT_BARE_CR;
                if (s.p[i] == '\n' && before != '\r') {
                        if (mend)
                                buf_puts(out, S("\r"));
                        else
                                faults |= DOT_BARE_LF;
                }
                buf_put(out, &s.p[i], 1);
        }
        return faults;
}

static enum dot_got read_pieces(struct dot_reader *r, struct str in, size_t piece, size_t *used,
                                struct buf *out)
{
        enum dot_got got = DOT_MORE;
        size_t took;

        for (*used = 0; *used < in.n && got == DOT_MORE; *used += took) {
                got = dot_read(r, str_sub(in, *used, piece), &took, out);
                must(got == DOT_END || took == str_sub(in, *used, piece).n, "bytes were left without an end");
        }
        return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct dot_reader whole, pieces;
        auto_buf struct buf a = { 0 }, b = { 0 }, want = { 0 };
        struct str in, body;
        size_t used, used_pieces, end;
        bool mend;

        if (size < 2)
                return 0;
        mend = data[0] & 1;
        in = str_from(data + 2, size - 2);
        buf_init(&a, 1 << 22);
        buf_init(&b, 1 << 22);
        buf_init(&want, 1 << 22);
        dot_reader_init(&whole);
        dot_reader_init(&pieces);
        whole.mend_bare_lf = pieces.mend_bare_lf = mend;
        end = true_end(in);
        must((read_pieces(&whole, in, in.n, &used, &a) == DOT_END) == (end > 0), "not the true end");
        must((read_pieces(&pieces, in, data[1] % 40 + 1u, &used_pieces, &b) == DOT_END) == (end > 0),
             "nor in pieces");
        must(used == used_pieces && str_eq(buf_str(&a), buf_str(&b)), "pieces give other bytes");
        must(whole.faults == pieces.faults && whole.eight_bit == pieces.eight_bit &&
                 whole.size == pieces.size && whole.line == pieces.line && whole.size == a.n,
             "pieces give other facts");
        if (end == 0)
                return 0;
        must(used == end, "it took more or less than up to the end");
        body = str_sub(in, 0, end - 3);
        must((whole.faults & ~(unsigned)DOT_LONG_LINE) == naive(body, mend, &want), "other faults");
        must(str_eq(buf_str(&a), buf_str(&want)), "other bytes");
        return 0;
}
