#include "unit.h"
#include "net/conn.h"
#include "net/dot.h"
#include "run/loop.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NONE = 0, CR = DOT_BARE_CR, LF = DOT_BARE_LF, NUL = DOT_NUL };

/* What stands between DATA and the next command; what is read; what is left for the next command. */
static const struct row {
        struct str in, out, rest;
        unsigned faults;
        bool no_end;
} rows[] = {
        { S(".\r\n"), S(""), S(""), NONE },
        { S("a\r\n.\r\nQUIT\r\n"), S("a\r\n"), S("QUIT\r\n"), NONE },
        { S("..\r\n...\r\n.a\r\n.\r\n"), S(".\r\n..\r\na\r\n"), S(""), NONE },
        { S("a.\r\n.\r\n"), S("a.\r\n"), S(""), NONE },
        { S("a\r\n. \r\n.\r\n"), S("a\r\n \r\n"), S(""), NONE },
        { S("\r\n\r\n.\r\n"), S("\r\n\r\n"), S(""), NONE },
        { S("a\r\n.\r"), S("a\r\n"), S(""), NONE, true },
        { S("a\r\n."), S("a\r\n"), S(""), NONE, true },
        { S("a\r\n"), S("a\r\n"), S(""), NONE, true },
        /* what others took for an end of data, each followed by a smuggled command and the true end */
        { S("a\n.\nMAIL\r\n.\r\n"), S("a\n.\nMAIL\r\n"), S(""), LF },
        { S("a\n.\rMAIL\r\n.\r\n"), S("a\n.\rMAIL\r\n"), S(""), LF | CR },
        { S("a\r.\nMAIL\r\n.\r\n"), S("a\r.\nMAIL\r\n"), S(""), LF | CR },
        { S("a\r.\rMAIL\r\n.\r\n"), S("a\r.\rMAIL\r\n"), S(""), CR },
        { S("a\n.\r\nMAIL\r\n.\r\n"), S("a\n.\r\nMAIL\r\n"), S(""), LF },
        { S("a\r.\r\nMAIL\r\n.\r\n"), S("a\r.\r\nMAIL\r\n"), S(""), CR },
        { S("a\r\n\0.\r\nMAIL\r\n.\r\n"), S("a\r\n\0.\r\nMAIL\r\n"), S(""), NUL },
        { S("a\r\n.\0\r\nMAIL\r\n.\r\n"), S("a\r\n\0\r\nMAIL\r\n"), S(""), NUL },
        { S("a\r\n.\nMAIL\r\n.\r\n"), S("a\r\n\nMAIL\r\n"), S(""), LF },
        { S("a\r\n.\rMAIL\r\n.\r\n"), S("a\r\n\rMAIL\r\n"), S(""), CR },
        { S("a\r\n.\r\r\nMAIL\r\n.\r\n"), S("a\r\n\r\r\nMAIL\r\n"), S(""), CR },
        { S("a\r\n.\r.\r\nMAIL\r\n.\r\n"), S("a\r\n\r.\r\nMAIL\r\n"), S(""), CR },
        { S(".\n.\r\n.\r\n"), S("\n.\r\n"), S(""), LF },
        { S("\n.\r\n.\r\n"), S("\n.\r\n"), S(""), LF },
        { S("\r.\r\n.\r\n"), S("\r.\r\n"), S(""), CR },
        /* CRLF . CRLF stands here, whatever comes before it */
        { S("a\r\r\n.\r\nQUIT"), S("a\r\r\n"), S("QUIT"), CR },
        { S("a\n\r\n.\r\nQUIT"), S("a\n\r\n"), S("QUIT"), LF },
        /* long enough for the fast way, with the odd bytes at its edges */
        { S("0123456789abcdef0123456789abcdef\r\n.0123456789abcdef0123456789abcdef\r\n.\r\nQUIT"),
          S("0123456789abcdef0123456789abcdef\r\n0123456789abcdef0123456789abcdef\r\n"), S("QUIT"), NONE },
        { S("0123456789abcdef0123456789abcd\r\n..123456789abcdef\r\n\r\n0123456789abcdef\r\n.\r\n"),
          S("0123456789abcdef0123456789abcd\r\n.123456789abcdef\r\n\r\n0123456789abcdef\r\n"), S(""), NONE },
        { S("0123456789abcdef0123456789abcde\r0123456789abcdef0123456789abcdef\r\n.\r\n"),
          S("0123456789abcdef0123456789abcde\r0123456789abcdef0123456789abcdef\r\n"), S(""), CR },
        { S("0123456789abcdef0123456789abcdef\n.\r\n0123456789abcdef0123456789abcdef\r\n.\r\n"),
          S("0123456789abcdef0123456789abcdef\n.\r\n0123456789abcdef0123456789abcdef\r\n"), S(""), LF },
        { S("0123456789abcdef0123456789abcdef0123456789abcde\0\r\n.\r\n"),
          S("0123456789abcdef0123456789abcdef0123456789abcde\0\r\n"), S(""), NUL },
};

/* Feeds `in` in pieces that end at a and b. */
static void read_split(const struct row *row, size_t a, size_t b, bool mend, struct str out)
{
        struct dot_reader r;
        struct buf got;
        struct str rest = S("");
        size_t ends[3] = { a, b, row->in.n }, from = 0, used;
        bool end = false;

        dot_reader_init(&r);
        r.mend_bare_lf = mend;
        buf_init(&got, 4096);
        for (int i = 0; i < 3 && !end; i++) {
                /* in memory of its own, so that a look beyond the piece is seen */
                struct str part = str_sub(row->in, from, ends[i] - from);
                char *own = malloc(part.n ? part.n : 1);

                for (size_t k = 0; k < part.n; k++)
                        own[k] = part.p[k];
                end = dot_read(&r, str_from(own, part.n), &used, &got) == DOT_END;
                assert_true(end || used == part.n);
                from += used;
                rest = str_from_at(row->in, from);
                free(own);
        }
        assert_int_equal(end, !row->no_end);
        assert_str(buf_str(&got), out);
        assert_str(rest, row->rest);
        assert_int_equal(r.size, out.n);
        assert_int_equal(r.faults, mend ? row->faults & ~(unsigned)LF : row->faults);
        assert_false(r.eight_bit);
        buf_free(&got);
}

static void every_split(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                for (size_t a = 0; a <= rows[i].in.n; a++)
                        for (size_t b = a; b <= rows[i].in.n; b++)
                                read_split(&rows[i], a, b, false, rows[i].out);
}

static void bare_lf_is_mended(void **state)
{
        static const struct row mended[] = {
                { S("a\nb\n\nc\r\n.\r\n"), S("a\r\nb\r\n\r\nc\r\n"), S(""), LF },
                { S("a\n.\nMAIL\n.\r\n.\r\n"), S("a\r\n.\r\nMAIL\r\n.\r\n"), S(""), LF },
                { S("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\r\n.\r\n"),
                  S("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"),
                  S(""), LF },
                { S("a\n\r.\r\n.\r\n"), S("a\r\n\r.\r\n"), S(""), LF | CR },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(mended); i++)
                for (size_t a = 0; a <= mended[i].in.n; a++)
                        for (size_t b = a; b <= mended[i].in.n; b++)
                                read_split(&mended[i], a, b, true, mended[i].out);
}

/* Length of the line, and where in the text it stands, against the limit; a byte above 127 at each place. */
static void long_lines_and_eight_bit(void **state)
{
        char text[2200];
        struct dot_reader r, look;
        size_t used;

        (void)state;
        for (size_t before = 0; before < 40; before++) {
                for (size_t n = 996; n <= 1001; n++) {
                        struct str s = { text, before + 2 + n + 5 };

                        for (size_t i = 0; i < s.n; i++)
                                text[i] = 'x';
                        text[before] = text[before + 2 + n] = text[before + 2 + n + 3] = '\r';
                        text[before + 1] = text[before + 2 + n + 1] = text[before + 2 + n + 4] = '\n';
                        text[before + 2 + n + 2] = '.';
                        for (size_t split = 0; split < s.n; split += 7) {
                                dot_reader_init(&r);
                                assert_int_equal(dot_read(&r, str_sub(s, 0, split), &used, NULL), DOT_MORE);
                                assert_int_equal(dot_read(&r, str_from_at(s, split), &used, NULL), DOT_END);
                                assert_int_equal(r.faults, n > 998 ? DOT_LONG_LINE : 0);
                                assert_int_equal(r.size, before + 2 + n + 2);
                        }
                }
        }
        for (size_t i = 0; i < 300; i++)
                text[i] = 'x';
        for (size_t i = 0; i < 300; i++) {
                text[i] = '\x80';
                dot_reader_init(&look);
                dot_look(&look, (struct str){ text, 300 });
                dot_look_end(&look);
                assert_true(look.eight_bit);
                assert_int_equal(look.faults, 0);
                assert_int_equal(look.size, 300);
                text[i] = 'x';
        }
}

static void bdat_has_no_dots(void **state)
{
        static const struct {
                struct str in;
                unsigned faults;
        } chunks[] = {
                { S("a\r\n.\r\nb\r\n"), NONE },
                { S("a\r\n..\r\n"), NONE },
                { S(".\r\n"), NONE },
                { S("a\nb"), LF },
                { S("a\rb"), CR },
                { S("a\r"), CR },
                { S("a\r\n.\r"), CR },
                { S("a\0"), NUL },
                { S("0123456789abcdef0123456789abcdef\r\n.0123456789abcdef\r\n"), NONE },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(chunks); i++) {
                for (size_t a = 0; a <= chunks[i].in.n; a++) {
                        struct dot_reader r;

                        dot_reader_init(&r);
                        r.mend_bare_lf = true; /* means nothing where nothing is written */
                        dot_look(&r, str_sub(chunks[i].in, 0, a));
                        dot_look(&r, str_from_at(chunks[i].in, a));
                        dot_look_end(&r);
                        assert_int_equal(r.faults, chunks[i].faults);
                        assert_int_equal(r.size, chunks[i].in.n);
                }
        }
}

/* No room: nothing kept, and the buffer says so. */
static void out_is_bounded(void **state)
{
        struct dot_reader r;
        struct buf out;
        size_t used;

        (void)state;
        buf_init(&out, 8);
        dot_reader_init(&r);
        assert_int_equal(dot_read(&r, S("0123456789\r\n.\r\n"), &used, &out), DOT_END);
        assert_true(out.full);
        assert_int_equal(out.n, 0);
        assert_int_equal(r.size, 12);
        buf_free(&out);
}

/* What was written comes back by the reader, for every text over a small alphabet and every split. */
static void writer_and_reader(void **state)
{
        static const char alphabet[] = { 'x', '.', '\r', '\n' };
        int pair[2];
        struct conn *c;

        (void)state;
        loop_init();
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        c = conn_new(pair[0], (struct addr){ 0 }, (struct addr){ 0 });
        for (unsigned n = 0; n <= 5; n++) {
                for (unsigned code = 0; code < 1u << (2 * n); code++) {
                        char text[5], wire[64];
                        struct str s = { text, n };
                        unsigned split = code % (n + 1);
                        struct dot_writer w;
                        struct dot_reader r;
                        struct buf back;
                        size_t used;
                        ssize_t got;

                        for (unsigned i = 0; i < n; i++)
                                text[i] = alphabet[code >> (2 * i) & 3];
                        dot_writer_init(&w);
                        dot_write(&w, c, str_sub(s, 0, split));
                        dot_write(&w, c, str_from_at(s, split));
                        dot_write_end(&w, c);
                        assert_int_equal(conn_flush(c, NEVER), 0);
                        got = recv(pair[1], wire, sizeof(wire), 0);
                        assert_true(got >= 3);
                        dot_reader_init(&r);
                        buf_init(&back, 64);
                        assert_int_equal(dot_read(&r, str_from(wire, (size_t)got), &used, &back), DOT_END);
                        assert_int_equal(used, got);
                        /* CRLF is added where it was missing; and stuffing after a bare LF, which a strict reader
                         * keeps, is there for readers that are not */
                        if (r.faults == 0)
                                assert_str(str_sub(buf_str(&back), 0, n), s);
                        if (n >= 2 && !(r.faults & DOT_BARE_LF))
                                assert_int_equal(back.n, str_ends(s, S("\r\n")) ? n : n + 2);
                        for (ssize_t i = 0; i + 3 < got; i++) /* nobody sees an early end */
                                assert_false(wire[i] == '\n' && wire[i + 1] == '.' &&
                                             (wire[i + 2] == '\n' || wire[i + 2] == '\r') && i + 4 < got);
                        buf_free(&back);
                }
        }
        conn_free(&c);
        close(pair[1]);
        loop_finish();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_split),      cmocka_unit_test(bare_lf_is_mended),
                cmocka_unit_test(bdat_has_no_dots), cmocka_unit_test(long_lines_and_eight_bit),
                cmocka_unit_test(out_is_bounded),   cmocka_unit_test(writer_and_reader),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
