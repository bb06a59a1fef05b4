#include "ftp_coder_unit.h"

/* --- restart: a cut at every marker, both ends go on with nothing but their own markers and what they have of the file --- */

struct mark {
        char theirs[CODER_MARKER_MOST], ours[CODER_MARKER_MOST];
        uint64_t at; /* the receiver's file then */
};

/* Byte by byte, so that it is known what had come before which marker. */
static size_t receive_noting(const struct coding *how, struct str wire, struct buf *file, struct mark *marks,
                             size_t most)
{
        struct coder *c = coder_new(how, CODER_RECEIVE, S(""));
        size_t n = 0;

        buf_init(file, 64 << 20);
        for (size_t i = 0; i < wire.n; i++) {
                auto_buf struct buf out = { 0 };

                buf_init(&out, CODER_ROOM);
                assert_int_equal(coder_put(c, str_sub(wire, i, 1), &out), 0);
                buf_puts(file, buf_str(&out));
                if (n < most && coder_marker(c, marks[n].theirs, marks[n].ours)) {
                        assert_int_equal(coder_file_offset(c), file->n);
                        marks[n++].at = file->n;
                }
        }
        assert_true(coder_ended(c));
        assert_int_equal(coder_left(c), 0);
        coder_free(&c);
        return n;
}

static void goes_on(const struct coding *how, const struct mark *m, struct str file, struct str facts,
                    struct str got, struct str wire)
{
        auto_buf struct buf rest = { 0 }, back = { 0 }, new_facts = { 0 }, again = { 0 };
        struct coder *c = coder_new(how, CODER_SEND, facts);
        struct coding quiet = *how;
        uint64_t at;

        buf_init(&rest, 64 << 20);
        buf_init(&back, 64 << 20);
        buf_init(&new_facts, CODER_FACTS_MOST);
        assert_int_equal(coder_restart(c, str_of(m->theirs), &at), 0);
        assert_true(at <= file.n);
        assert_int_equal(through(c, str_from_at(file, (size_t)at), 1000, &rest, NULL), 0);
        coder_free(&c);

        c = coder_new(how, CODER_RECEIVE, S(""));
        assert_int_equal(coder_restart(c, str_of(m->ours), &at), 0);
        assert_int_equal(at, m->at);
        buf_puts(&back, str_sub(got, 0, (size_t)at));
        assert_int_equal(through(c, buf_str(&rest), 1000, &back, &new_facts), 0);
        coder_free(&c);
        assert_str(buf_str(&back), file);
        quiet.marker_every = 0;
        coded(&quiet, CODER_SEND, buf_str(&back), buf_str(&new_facts), 1 << 20, &again, NULL);
        assert_str(buf_str(&again), wire);
}

static const struct {
        const char *coding;
        uint64_t every;
        struct str wire; /* in MODE S, with which the file came */
        size_t most;     /* markers that may not be answered: their state does not fit */
} cuts[] = {
#define C(coding, every, wire, missing)                            \
        {                                                          \
                coding, every, { wire, sizeof(wire) - 1 }, missing \
        }
        C("AN F", 1, "one\r\ntwo\r\r\n\r\r\r\n\n\r\rend\r", 0),
        C("AN F", 3, "one\r\ntwo\r\r\n\r\r\r\n\n\r\rend\r", 0),
        C("EN F", 2, "\xc8\x85\x93\x93\x96\x15\x25\x0d\x15", 0),
        C("IN F", 1, "abc\0\0\0\0\xff\xff   \r\n", 0),
        C("L36 F", 4, "123456789", 0),
        C("AN R", 1,
          "one\xff\x01two\xff\x01\xff\x01\xff\x01 \xff\xff \r\xff\x01"
          "end\xff\x03",
          0),
        C("AN R", 1,
          "one\xff\x01two\nand three\xff\x01"
          "four\n\n\xff\x01"
          "end\n\xff\x03",
          0),
        C("EN R", 2, "\xc1\xff\x01\x15\x15\xc1\xff\x01\xc2\xff\x03", 0),
        C("IN R", 1,
          "one\xff\x01two\xff\x01six\xff\x01\xff\x01\xff\x01"
          "end\xff\xff\xff\x03",
          0),
        C("IN R", 2,
          "\xff\x01\xff\x01"
          "12345678\xff\x01"
          "12345678\xff\x01\xff\x01"
          "8\xff\x03",
          0),
        C("IN R", 1,
          "abc\xff\x01"
          "def\xff\x01"
          "abc\xff\x01"
          "def\xff\x01"
          "abc\xff\x01"
          "def\xff\x01"
          "abc\xff\x01"
          "def\xff\x01"
          "abc\xff\x01"
          "def\xff\x01"
          "abc\xff\x01"
          "def\xff\x01"
          "abc\xff\x01"
          "def\xff\x01"
          "abc\xff\x01"
          "def\xff\x03",
          0),
        C("L12 P", 1,
          "\x00\x40\x07\x00\x20\x01"
          "abc"
          "\x00\x40\x08\x00\x20\x01"
          "def"
          "\x00\x50\x09\x00\x20\x03\xab\xc3\x03\x03\x00\x04\x00\x00\x00\x00\x00",
          100),
        C("L8 P", 3,
          "\x04\x07\x03\x01"
          "abc"
          "\x04\x08\x03\x01"
          "def"
          "\x04\x02\x02\x02"
          "FD"
          "\x04\0\0\x01"
          "\x04\0\0\0",
          100),
};

static void transfers_go_on_at_any_marker(void **state)
{
        static struct mark marks[200];

        (void)state;
        for (size_t i = 0; i < LENGTH(cuts) * 2; i++) {
                auto_buf struct buf file = { 0 }, facts = { 0 }, wire = { 0 }, marked = { 0 }, got = { 0 };
                struct coding how;
                char name[16];
                size_t n;

                snprintf(name, sizeof(name), "%s S", cuts[i / 2].coding);
                how = coding_of(name);
                coded(&how, CODER_RECEIVE, cuts[i / 2].wire, S(""), 1000, &file, &facts);
                how.mode = i % 2 ? MODE_BLOCK : MODE_COMPRESSED;
                coded(&how, CODER_SEND, buf_str(&file), buf_str(&facts), 1000, &wire, NULL);
                how.marker_every = cuts[i / 2].every;
                for (size_t piece = 1; piece < 9; piece++) {
                        auto_buf struct buf same = { 0 };

                        coded(&how, CODER_SEND, buf_str(&file), buf_str(&facts), piece, &same, NULL);
                        if (piece == 1)
                                buf_init(&marked, 1 << 20), buf_puts(&marked, buf_str(&same));
                        assert_str(buf_str(&same), buf_str(&marked));
                }
                n = receive_noting(&how, buf_str(&marked), &got, marks, LENGTH(marks));
                assert_str(buf_str(&got), buf_str(&file));
                assert_true(n + cuts[i / 2].most >= file.n / how.marker_every);
                assert_true(n > 0);
                while (n--)
                        goes_on(&how, &marks[n], buf_str(&file), buf_str(&facts), buf_str(&got),
                                buf_str(&wire));
        }
}

static void markers_that_are_not_ours_are_refused(void **state)
{
        static const char *const wrong[] = { "",
                                             "x",
                                             "rAF",
                                             "rAF-",
                                             "rAF-1",
                                             "rAF-1.2",
                                             "rAF-g.0.0",
                                             "rAR-1.0.0",
                                             "sAF-1.0.0",
                                             "rIF-1.0.0",
                                             "-1",
                                             "1x",
                                             "1 ",
                                             "rAF-1.2.0",
                                             "18446744073709551615",
                                             "rAF-1.0.0.i",
                                             "rAF-1.0.0.i!!!",
                                             "rAF-1111111111111111.0.0" };
        struct coding how = coding_of("AN F B");
        uint64_t at;

        (void)state;
        for (size_t i = 0; i < LENGTH(wrong); i++) {
                struct coder *c = coder_new(&how, CODER_RECEIVE, S(""));

                if (coder_restart(c, str_of(wrong[i]), &at) != -EINVAL)
                        fail_msg("%s", wrong[i]);
                coder_free(&c);
        }
}

static void markers_are_bounded(void **state)
{
        char theirs[CODER_MARKER_MOST], ours[CODER_MARKER_MOST];
        struct coding how = coding_of("IN F B");
        struct coder *c = coder_new(&how, CODER_RECEIVE, S(""));
        auto_buf struct buf wire = { 0 }, out = { 0 };
        size_t n = 0;

        (void)state;
        buf_init(&wire, 1 << 20);
        buf_init(&out, CODER_ROOM);
        buf_printf(&wire, "%c%c%c%0100d", 16, 0, 100, 0); /* longer than can be answered */
        for (unsigned i = 0; i < 100; i++)
                buf_printf(&wire, "%c%c%c%02u%c%c%cx", 16, 0, 2, i, 0, 0, 1);
        assert_int_equal(coder_put(c, buf_str(&wire), &out), 0);
        for (; coder_marker(c, theirs, ours); n++) {
                assert_int_equal(strtoul(theirs, NULL, 10), 68 + n);
                assert_int_equal(strtoul(ours + 4, NULL, 16), 68 + n);
        }
        assert_int_equal(n, 32);
        coder_free(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(transfers_go_on_at_any_marker),
                cmocka_unit_test(markers_that_are_not_ours_are_refused),
                cmocka_unit_test(markers_are_bounded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
