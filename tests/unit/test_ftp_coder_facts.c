#include "ftp_coder_unit.h"

#include <zlib.h>

/* --- records and pages stored --- */

static void records_read_as_a_plain_file(void **state)
{
        static const struct {
                const char *coding;
                struct str wire, file;
                bool facts;
        } stored[] = {
                { "AN R S", { "one\xff\x01two\xff\x03", 10 }, { "one\ntwo\n", 8 }, false },
                { "EN R S", { "\xc1\x15\xff\x03", 4 }, { "A\n\n", 3 }, true },
                { "AN R S", { "a\r\nb\xff\x03", 6 }, { "a\r\nb\n", 5 }, true },
                { "IN R S", { "one\xff\x01two\xff\x03", 10 }, { "onetwo", 6 }, true },
                { "IN R S", { "one\xff\x03", 5 }, { "one", 3 }, false },
                { "IN R S", { "\xff\x03", 2 }, { "", 0 }, true },
                { "IN R S", { "\xff\x02", 2 }, { "", 0 }, false },
                { "L8 P S",
                  { "\x04\x05\x01\x01"
                    "b"
                    "\x04\x02\x01\x01"
                    "a"
                    "\x04\0\x02\x02"
                    "FD"
                    "\x04\0\0\0",
                    20 },
                  { "ba", 2 },
                  true },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(stored); i++) {
                auto_buf struct buf file = { 0 }, facts = { 0 }, wire = { 0 };
                struct coding how = coding_of(stored[i].coding), text = coding_of("AN R S");

                coded(&how, CODER_RECEIVE, stored[i].wire, S(""), 100, &file, &facts);
                assert_str(buf_str(&file), stored[i].file);
                assert_int_equal(facts.n > 0, stored[i].facts);
                coded(&how, CODER_SEND, buf_str(&file), buf_str(&facts), 100, &wire, NULL);
                assert_str(buf_str(&wire), stored[i].wire);
                if (how.type != TYPE_IMAGE || !facts.n)
                        continue;
                buf_free(&wire); /* its records are known to other types, too */
                coded(&text, CODER_SEND, buf_str(&file), buf_str(&facts), 100, &wire, NULL);
                assert_str(buf_str(&wire), stored[i].wire);
        }
}

/* Somebody else has changed the file: whatever the records are now, all of its bytes go out, and they are well formed. */
static void facts_of_another_file_do_no_harm(void **state)
{
        static const struct str wires[] = { { "a\nb\xff\x01"
                                              "c\xff\x01"
                                              "d\n\n\xff\x03",
                                              14 },
                                            { "abc\xff\x01"
                                              "c\xff\x03",
                                              8 } };
        static const char *const codings[] = { "AN R S", "IN R S", "EN R B" };
        static const char text[] = "x\n\nyy\nzzz\nabcdef";

        (void)state;
        for (size_t i = 0; i < LENGTH(wires) * LENGTH(codings) * sizeof(text); i++) {
                struct coding how = coding_of(codings[i % LENGTH(codings)]);
                struct str changed = { text, i / LENGTH(codings) / LENGTH(wires) };
                auto_buf struct buf file = { 0 }, facts = { 0 }, wire = { 0 }, back = { 0 };
                bool text_type = how.type != TYPE_IMAGE;

                how.mode = MODE_STREAM;
                coded(&how, CODER_RECEIVE, wires[i / LENGTH(codings) % LENGTH(wires)], S(""), 100, &file,
                      &facts);
                assert_false(coder_facts_fit(buf_str(&facts), changed.n) && changed.n != file.n);
                coded(&how, CODER_SEND, changed, buf_str(&facts), 100, &wire, NULL);
                coded(&how, CODER_RECEIVE, buf_str(&wire), S(""), 100, &back, NULL);
                assert_true(str_eq(buf_str(&back), changed) ||
                            (text_type && str_starts(buf_str(&back), changed) && back.n == changed.n + 1));
        }
}

static void what_is_appended_keeps_its_records(void **state)
{
        static const struct {
                const char *coding;
                struct str first, second, both;
        } appended[] = {
                { "AN R S",
                  { "a\xff\x03", 3 },
                  { "b\xff\x03", 3 },
                  { "a\xff\x01"
                    "b\xff\x03",
                    6 } },
                { "AN R S",
                  { "a\nc\xff\x01"
                    "d\xff\x03",
                    8 },
                  { "b\n\xff\x03", 4 },
                  { "a\nc\xff\x01"
                    "d\xff\x01"
                    "b\n\xff\x03",
                    12 } },
                { "IN R S",
                  { "abc\xff\x03", 5 },
                  { "de\xff\x03", 4 },
                  { "abc\xff\x01"
                    "de\xff\x03",
                    9 } },
                { "IN R S",
                  { "a\xff\x01"
                    "b\xff\x03",
                    6 },
                  { "c\xff\x03", 3 },
                  { "a\xff\x01"
                    "b\xff\x01"
                    "c\xff\x03",
                    9 } },
                { "L8 P S",
                  { "\4\7\1\1"
                    "a"
                    "\4\0\0\0",
                    9 },
                  { "\4\5\1\1"
                    "b"
                    "\4\0\0\0",
                    9 },
                  { "\4\7\1\1"
                    "a"
                    "\4\5\1\1"
                    "b"
                    "\4\0\0\0",
                    14 } },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(appended); i++) {
                auto_buf struct buf file = { 0 }, facts = { 0 }, all = { 0 }, wire = { 0 };
                struct coding how = coding_of(appended[i].coding);
                struct coder *c;
                char size[24];
                uint64_t at;

                coded(&how, CODER_RECEIVE, appended[i].first, S(""), 100, &file, &facts);
                c = coder_new(&how, CODER_RECEIVE, buf_str(&facts));
                snprintf(size, sizeof(size), "%zu", file.n);
                assert_int_equal(coder_restart(c, str_of(size), &at), 0);
                buf_init(&all, CODER_FACTS_MOST);
                assert_int_equal(through(c, appended[i].second, 2, &file, &all), 0);
                coder_free(&c);
                coded(&how, CODER_SEND, buf_str(&file), buf_str(&all), 100, &wire, NULL);
                assert_str(buf_str(&wire), appended[i].both);
        }
}

/* Facts of another size than the file's are as none. */
static void what_is_appended_to_a_changed_file(void **state)
{
        struct coding how = coding_of("IN R S");
        auto_buf struct buf file = { 0 }, facts = { 0 }, all = { 0 }, wire = { 0 };
        struct coder *c;
        uint64_t at;

        (void)state;
        coded(&how, CODER_RECEIVE,
              S("a\xff\x01"
                "b\xff\x03"),
              S(""), 100, &file, &facts);
        buf_puts(&file, S("cd"));
        c = coder_new(&how, CODER_RECEIVE, buf_str(&facts));
        assert_int_equal(coder_restart(c, S("4"), &at), 0);
        buf_init(&all, CODER_FACTS_MOST);
        assert_int_equal(through(c, S("efg\xff\x03"), 2, &file, &all), 0);
        coder_free(&c);
        coded(&how, CODER_SEND, buf_str(&file), buf_str(&all), 100, &wire, NULL);
        assert_str(buf_str(&wire), S("abcd\xff\x01"
                                     "efg\xff\x03"));
}

/* --- bounds --- */

static void two_files_on_one_connection_are_kept_apart(void **state)
{
        static const char *const codings[] = { "AN F B", "AN R B", "IN F C", "AN R C", "L8 P B" };

        (void)state;
        for (size_t i = 0; i < LENGTH(codings); i++) {
                struct coding how = coding_of(codings[i]);
                auto_buf struct buf wire = { 0 }, both = { 0 };

                coded(&how, CODER_SEND, S("one\ntwo   \n"), S(""), 100, &wire, NULL);
                buf_init(&both, 1000);
                buf_puts(&both, buf_str(&wire));
                buf_puts(&both, buf_str(&wire));
                for (size_t cut = 1; cut < both.n; cut++) {
                        struct coder *c = coder_new(&how, CODER_RECEIVE, S(""));
                        auto_buf struct buf out = { 0 };
                        size_t used;

                        buf_init(&out, CODER_ROOM);
                        assert_int_equal(coder_put(c, str_sub(buf_str(&both), 0, cut), &out), 0);
                        used = cut - coder_left(c);
                        if (!coder_ended(c)) {
                                assert_int_equal(coder_put(c, str_from_at(buf_str(&both), cut), &out), 0);
                                used = both.n - coder_left(c);
                        }
                        assert_int_equal(used, wire.n);
                        assert_int_equal(coder_end(c, &out), 0);
                        assert_str(buf_str(&out), S("one\ntwo   \n"));
                        coder_free(&c);
                }
        }
}

static void what_expands_comes_by_and_by(void **state)
{
        enum { ZEROS = 32 << 20, RECORDS = 3 << 20 };
        struct coding squeezed = coding_of("IN F C"), deflated = coding_of("AN F Z"),
                      records = coding_of("IN R B");
        auto_buf struct buf in = { 0 }, out = { 0 }, facts = { 0 };
        unsigned char number[] = {
                'i', 8, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x80, 0xc0, 1, 0
        }; /* 3 << 20 times 0 */
        char *zeros = mem_alloc(ZEROS), *small = mem_alloc(1 << 20);
        uLongf n = 1 << 20;

        (void)state;
        buf_init(&in, CODER_PIECE + 3);
        while (in.n < CODER_PIECE)
                buf_u8(&in, 0xff);
        buf_puts(&in, S("\0\x40\xc0"));
        coded(&squeezed, CODER_RECEIVE, buf_str(&in), S(""), CODER_PIECE + 3, &out, NULL);
        assert_int_equal(out.n, CODER_PIECE * 63);
        buf_free(&out);

        assert_int_equal(compress2((Bytef *)small, &n, (Bytef *)zeros, ZEROS, 9), Z_OK);
        coded(&deflated, CODER_RECEIVE, str_from(small, n), S(""), n, &out, NULL);
        assert_int_equal(out.n, ZEROS);
        buf_free(&out);
        mem_free(zeros);
        mem_free(small);

        coded(&records, CODER_SEND, S(""), str_from(number, sizeof(number)), 1, &out, NULL);
        assert_int_equal(out.n, RECORDS * 3);
        buf_free(&in);
        coded(&records, CODER_RECEIVE, buf_str(&out), S(""), CODER_PIECE, &in, &facts);
        assert_str(buf_str(&facts), str_from(number, sizeof(number)));
}

static void records_are_bounded(void **state)
{
        struct coding how = coding_of("IN R S");
        auto_buf struct buf wire = { 0 }, out = { 0 };
        struct coder *c = coder_new(&how, CODER_RECEIVE, S(""));

        (void)state;
        buf_init(&wire, 8 << 20);
        buf_init(&out, 8 << 20);
        for (unsigned i = 0; i < 400000; i++)
                buf_puts(&wire, i % 2 ? S("\xff\x01") : S("abc\xff\x01"));
        assert_int_equal(through(c, buf_str(&wire), CODER_PIECE, &out, NULL),
                         -EBADMSG); /* 800,000 octets of facts; no end */
        coder_free(&c);
        for (unsigned i = 0; i < 400000; i++)
                buf_puts(&wire, i % 3 ? S("\xff\x01") : S("abc\xff\x01"));
        c = coder_new(&how, CODER_RECEIVE, S(""));
        assert_int_equal(through(c, buf_str(&wire), CODER_PIECE, &out, NULL), -EFBIG);
        assert_string_equal(coder_why(c), "Too many records of too many lengths to keep account of");
        coder_free(&c);
        how = coding_of("AN R S"); /* lines need none */
        buf_puts(&wire, S("\xff\x02"));
        buf_clear(&out);
        c = coder_new(&how, CODER_RECEIVE, S(""));
        assert_int_equal(through(c, buf_str(&wire), CODER_PIECE, &out, NULL), 0);
        assert_int_equal(coder_facts(c).n, 0);
        coder_free(&c);
}

/* A count that nobody can have sent, from a marker that somebody made up. */
static void no_end_of_empty_records(void **state)
{
        static const struct str made_up[] = {
                { "i\x08\3\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0", 20 },
                { "i\x08\3\0\0\0\0\0\0\0\x81\x80\x80\x08\0\1\0", 17 },
                { "i\x08\3\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 23 },
        };
        struct coding how = coding_of("IN R S");

        (void)state;
        for (size_t i = 0; i < LENGTH(made_up); i++) {
                auto_buf struct buf wire = { 0 };

                coded(&how, CODER_SEND, S("abc"), made_up[i], 100, &wire, NULL);
                assert_str(buf_str(&wire), S("abc\xff\x03"));
        }
}

/* A page's number must fit into a logical byte; and 2^31 fits into four octets. */
static void pages_have_numbers_that_fit(void **state)
{
        static const char far[] = "\0\0\0\4\x80\0\0\0\0\0\0\1\0\0\0\1"
                                  "data"
                                  "\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0";
        struct coding how = coding_of("L8 P S"), wide = coding_of("L32 P S");
        struct coder *c = coder_new(&how, CODER_SEND, S(""));
        auto_buf struct buf out = { 0 }, file = { 0 }, facts = { 0 }, wire = { 0 };
        char *zeros = mem_alloc(100000);

        (void)state;
        buf_init(&out, CODER_ROOM);
        assert_int_equal(through(c, str_from(zeros, 100000), CODER_PIECE, &out, NULL), -EFBIG);
        coder_free(&c);
        mem_free(zeros);
        coded(&wide, CODER_RECEIVE, str_from(far, sizeof(far) - 1), S(""), 5, &file, &facts);
        assert_str(buf_str(&file), S("data"));
        coded(&wide, CODER_SEND, buf_str(&file), buf_str(&facts), 5, &wire, NULL);
        assert_str(buf_str(&wire), str_from(far, sizeof(far) - 1));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(records_read_as_a_plain_file),
                cmocka_unit_test(facts_of_another_file_do_no_harm),
                cmocka_unit_test(what_is_appended_keeps_its_records),
                cmocka_unit_test(what_is_appended_to_a_changed_file),
                cmocka_unit_test(two_files_on_one_connection_are_kept_apart),
                cmocka_unit_test(what_expands_comes_by_and_by),
                cmocka_unit_test(records_are_bounded),
                cmocka_unit_test(no_end_of_empty_records),
                cmocka_unit_test(pages_have_numbers_that_fit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
