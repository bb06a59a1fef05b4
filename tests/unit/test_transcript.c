#include "unit.h"
#include "proto/transcript.h"
#include <errno.h>

static const struct {
        const char *pattern, *line;
        bool matches;
} patterns[] = {
        { "+OK", "+OK", true },
        { "+OK", "+OK ", false },
        { "+OK*", "+OK", true },
        { "*", "", true },
        { "", "x", false },
        { "250 <*>... *ok", "250 <a@b>... Sender ok", true },
        { "250 <*>... *ok", "250 <a@b>... Sender no", false },
        { "*a*b*c", "abaabcbc", true },
        { "*a*b*c", "abaabcbd", false },
        { "2 \\* 3 = *", "2 * 3 = 6", true },
        { "2 \\* 3 = *", "2 x 3 = 6", false },
        { "C:\\dir", "C:\\dir", true },
        { "**x", "x", true },
        { "aaaaaaaaaa*b", "aaaaaaaaaaaaaaaaaaaa", false },
};

static void test_matching(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH(patterns); i++)
                if (transcript_matches(str_of(patterns[i].pattern), str_of(patterns[i].line)) !=
                    patterns[i].matches)
                        fail_msg("pattern \"%s\", line \"%s\"", patterns[i].pattern, patterns[i].line);
}

static void test_reading(void **state)
{
        static const struct {
                enum transcript_kind kind;
                unsigned number, connection;
                const char *text;
        } want[] = {
                { TRANSCRIPT_DIRECTIVE, 2, 1, "connect smtp 127.0.0.1" },
                { TRANSCRIPT_SERVER, 3, 1, "220 hill.com *" },
                { TRANSCRIPT_CLIENT, 5, 1, "HELO town.com" },
                { TRANSCRIPT_CLIENT, 6, 1, "" },
                { TRANSCRIPT_CLIENT, 7, 1, "  two spaces: kept" },
                { TRANSCRIPT_SERVER, 8, 2, "250 Hello: again" },
                { TRANSCRIPT_DATA, 9, 3, "drwxr-xr-x * business" },
        };
        struct str text =
            S("# a comment\nconnect smtp 127.0.0.1  \r\nS: 220 hill.com *\r\n\nC: HELO town.com\nC:\n"
              "C:   two spaces: kept\nS2: 250 Hello: again\nD3: drwxr-xr-x * business");
        auto_arena struct arena arena;
        auto_buf struct buf why;
        struct transcript_line *lines;
        size_t n;

        (void)state;
        arena_init(&arena, 1 << 20);
        buf_init(&why, 1000);
        assert_int_equal(transcript_read(text, &arena, &lines, &n, &why), 0);
        assert_int_equal(n, LENGTH(want));
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(lines[i].kind, want[i].kind);
                assert_int_equal(lines[i].number, want[i].number);
                assert_int_equal(lines[i].connection, want[i].connection);
                assert_str(lines[i].text, str_of(want[i].text));
        }
}

static void test_mistakes(void **state)
{
        static const struct {
                const char *text, *why;
        } mistakes[] = {
                { "S: a\n> b\n", "2: neither S:, C: nor D:, nor a directive" },
                { "S0: zero", "1: neither S:, C: nor D:, nor a directive" },
                { "\n\nC100: a lot", "3: so many connections are not possible" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(mistakes); i++) {
                auto_arena struct arena arena;
                auto_buf struct buf why;
                struct transcript_line *lines;
                size_t n;

                arena_init(&arena, 1 << 20);
                buf_init(&why, 1000);
                assert_int_equal(transcript_read(str_of(mistakes[i].text), &arena, &lines, &n, &why),
                                 -EINVAL);
                assert_str(buf_str(&why), str_of(mistakes[i].why));
        }
}

/* What was recorded is a test that passes: the text written matches the text it was written from. */
static void test_recording(void **state)
{
        static const char *const said[] = { "+OK 2 * 3", "a \\* b", "\ttab", "é", "", "*" };

        (void)state;
        for (size_t i = 0; i < LENGTH(said); i++) {
                auto_arena struct arena arena;
                auto_buf struct buf out, why;
                struct transcript_line *lines;
                size_t n;

                arena_init(&arena, 1 << 20);
                buf_init(&out, 1000);
                buf_init(&why, 1000);
                transcript_write(&out, TRANSCRIPT_SERVER, 1, str_of(said[i]));
                transcript_write(&out, TRANSCRIPT_CLIENT, 2, str_of(said[i]));
                assert_int_equal(transcript_read(buf_str(&out), &arena, &lines, &n, &why), 0);
                assert_int_equal(n, 2);
                assert_true(transcript_matches(lines[0].text, str_of(said[i])));
                assert_false(transcript_matches(lines[0].text, S("something else")));
                assert_str(lines[1].text, str_of(said[i]));
                assert_int_equal(lines[1].connection, 2);
        }
}

/* A peer's line ends or escape sequences cannot add lines to a transcript. */
static void test_control(void **state)
{
        auto_buf struct buf out;

        (void)state;
        buf_init(&out, 1000);
        transcript_write(&out, TRANSCRIPT_CLIENT, 1, S("a\r\nS: 250 ok\0\x1b[2J"));
        assert_str(buf_str(&out), S("C: a\\x0d\\x0aS: 250 ok\\x00\\x1b[2J\n"));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_matching), cmocka_unit_test(test_reading),
                cmocka_unit_test(test_mistakes), cmocka_unit_test(test_recording),
                cmocka_unit_test(test_control),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
