#include "net/dot.h"
#include "base/mem.h"
#include "net/conn.h"

enum { LINE_MOST = 998 }; /* RFC 5322 §2.1.1, without CRLF */

/* Where in a line the next byte stands. */
enum { LINE_START, DOT, DOT_CR, TEXT, CR };

/* Sixteen bytes at once, in what gcc and clang understand on every machine; comparisons give 0 or 255 a byte. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint8_t anywhere16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t words2 __attribute__((vector_size(16)));

static inline bytes16 load(const char *p)
{
        return *(const anywhere16 *)(const void *)p;
}

static inline bytes16 all(char c)
{
        return (bytes16){ 0 } + (uint8_t)c;
}

static inline bool any(bytes16 v)
{
        words2 w = (words2)v;

        return (w[0] | w[1]) != 0;
}

/* Index of the first and of the last byte that is set; both machines we run on are little-endian. */
static inline size_t first_of(bytes16 v)
{
        words2 w = (words2)v;

        return w[0] ? (size_t)__builtin_ctzll(w[0]) / 8 : 8 + (size_t)__builtin_ctzll(w[1]) / 8;
}

static inline size_t last_of(bytes16 v)
{
        words2 w = (words2)v;

        return w[1] ? 15 - (size_t)__builtin_clzll(w[1]) / 8 : 7 - (size_t)__builtin_clzll(w[0]) / 8;
}

static void line_of(struct dot_reader *r, size_t n)
{
        if (n > LINE_MOST)
                r->faults |= DOT_LONG_LINE;
}

/* How many bytes from p, in the middle of a line, need no thought: no NUL, CR and LF only together, no dot after
 * them. p[-1] must be readable. Stops before the block with the first odd byte, or before the last 16 bytes. */
static size_t plain(struct dot_reader *r, const char *p, const char *end)
{
        const char *at = p;
        bytes16 high = { 0 };
        size_t line = r->line;

        for (; end - at > 16; at += 16) {
                bytes16 v = load(at), before = load(at - 1), after = load(at + 1);
                bytes16 lf = (bytes16)(v == all('\n')), cr = (bytes16)(v == all('\r'));
                bytes16 odd = (bytes16)(v == all('\0')) | (cr & (bytes16)(after != all('\n'))) |
                              (lf & ((bytes16)(before != all('\r')) | (bytes16)(after == all('.'))));

                if (any(odd))
                        break;
                high |= v;
                if (any(lf)) {
                        line_of(r, line + first_of(lf) - 1);
                        line = 15 - last_of(lf);
                } else {
                        line += 16;
                }
        }
        r->line = (uint32_t)line;
        if (any(high & all('\x80')))
                r->eight_bit = true;
        return (size_t)(at - p);
}

/* One byte at a time, for line starts after LF, odd bytes and the edges of a piece. */
struct walk {
        struct dot_reader *r;
        char *to; /* NULL: only counted */
        size_t room;
        size_t made;
        bool dots;
};

static void put(struct walk *w, char c)
{
        if (w->to)
                w->to[w->made] = c;
        w->made++;
        w->r->line++;
}

static void text(struct walk *w, char c)
{
        struct dot_reader *r = w->r;

        r->state = TEXT;
        if (c == '\r') {
                put(w, c);
                r->state = CR;
        } else if (c == '\n') {
                /* A bare LF ends a line for nobody but the one who asked for mending; a dot after it is only a dot. */
                line_of(r, r->line);
                if (r->mend_bare_lf && w->dots)
                        put(w, '\r');
                else
                        r->faults |= DOT_BARE_LF;
                put(w, c);
                r->line = 0;
        } else {
                if (c == '\0')
                        r->faults |= DOT_NUL;
                if ((unsigned char)c > 127)
                        r->eight_bit = true;
                put(w, c);
        }
}

/* True: that was the LF of CRLF . CRLF. */
static bool step(struct walk *w, char c)
{
        struct dot_reader *r = w->r;

        if (r->state == LINE_START && c == '.' && w->dots) {
                r->state = DOT;
        } else if (r->state == DOT && c == '\r') {
                r->state = DOT_CR;
        } else if (r->state == DOT_CR && c == '\n') {
                r->state = LINE_START;
                return true;
        } else if (r->state == CR && c == '\n') {
                line_of(r, r->line - 1);
                put(w, c);
                r->line = 0;
                r->state = LINE_START;
        } else {
                if (r->state == DOT_CR)
                        put(w, '\r'); /* its dot was stuffing */
                if (r->state == DOT_CR || r->state == CR)
                        r->faults |= DOT_BARE_CR;
                text(w, c);
        }
        return false;
}

static unsigned state_after(char c)
{
        return c == '\n' ? LINE_START : c == '\r' ? CR : TEXT;
}

/* Returns how much of `in` was taken; *end: up to the end. */
static size_t walk(struct walk *w, struct str in, bool *end)
{
        size_t i = 0, slow = 1; /* up to `slow` byte by byte: plain() looks at the byte before */

        *end = false;
        while (i < in.n && !*end) {
                if (w->r->state == TEXT && i >= slow) {
                        size_t n = plain(w->r, in.p + i, in.p + in.n);

                        if (n > 0) {
                                if (w->to)
                                        mem_copy(w->to + w->made, w->room - w->made, str_sub(in, i, n));
                                w->made += n;
                                i += n;
                                w->r->state = state_after(in.p[i - 1]);
                        }
                        slow = i + 16;
                        if (i == in.n)
                                break;
                }
                *end = step(w, in.p[i++]);
        }
        w->r->size += w->made;
        return i;
}

void dot_reader_init(struct dot_reader *r)
{
        *r = (struct dot_reader){ .state = LINE_START };
}

enum dot_got dot_read(struct dot_reader *r, struct str in, size_t *used, struct buf *out)
{
        struct walk w = { .r = r, .dots = true };
        bool end;

        if (out) {
                w.room = (r->mend_bare_lf ? 2 * in.n : in.n) + 2;
                w.to = buf_room(out, w.room);
        }
        *used = walk(&w, in, &end);
        if (w.to)
                buf_added(out, w.made);
        return end ? DOT_END : DOT_MORE;
}

void dot_look(struct dot_reader *r, struct str in)
{
        struct walk w = { .r = r };
        bool end;

        walk(&w, in, &end);
}

void dot_look_end(struct dot_reader *r)
{
        if (r->state == CR)
                r->faults |= DOT_BARE_CR;
        line_of(r, r->line);
}

/* Index of the first dot from `from` on that follows an LF in s, or s.n. */
static size_t dot_after_lf(struct str s, size_t from)
{
        size_t i = from;

        for (; s.n - i > 16; i += 16) {
                bytes16 hit =
                    (bytes16)(load(s.p + i) == all('\n')) & (bytes16)(load(s.p + i + 1) == all('.'));

                if (any(hit))
                        return i + first_of(hit) + 1;
        }
        for (; i + 1 < s.n; i++) {
                if (s.p[i] == '\n' && s.p[i + 1] == '.')
                        return i + 1;
        }
        return s.n;
}

void dot_writer_init(struct dot_writer *w)
{
        *w = (struct dot_writer){ .line_start = true, .ended = true };
}

void dot_write(struct dot_writer *w, struct conn *c, struct str piece)
{
        size_t from = 0, dot;
        char before;

        if (piece.n == 0)
                return;
        if (w->line_start && piece.p[0] == '.')
                conn_body(c, S("."));
        while ((dot = dot_after_lf(piece, from)) < piece.n) {
                conn_body(c, str_sub(piece, from, dot - from));
                conn_body(c, S("."));
                from = dot;
        }
        conn_body(c, str_from_at(piece, from));
        before = piece.n > 1 ? piece.p[piece.n - 2] : w->last;
        w->last = piece.p[piece.n - 1];
        w->line_start = w->last == '\n';
        w->ended = w->line_start && before == '\r';
}

void dot_write_end(struct dot_writer *w, struct conn *c)
{
        if (!w->ended)
                conn_body(c, S("\r\n"));
        conn_put(c, S(".\r\n"));
}
