#include "ftp_coder_unit.h"

/* --- what the RFC says, byte by byte ----------------------------------------------------------------------------- */

struct vector {
        const char *coding;
        struct str file, wire;
        struct str back; /* what is read back, where it is not the file */
};
#define V(coding, file, wire)                                                   \
        {                                                                       \
                coding, { file, sizeof(file) - 1 }, { wire, sizeof(wire) - 1 }, \
                {                                                               \
                        NULL, 0                                                 \
                }                                                               \
        }
#define V_BACK(coding, file, wire, back)                                        \
        {                                                                       \
                coding, { file, sizeof(file) - 1 }, { wire, sizeof(wire) - 1 }, \
                {                                                               \
                        back, sizeof(back) - 1                                  \
                }                                                               \
        }
#define TEN "0123456789"

static const struct vector vectors[] = {
        V("AN F S", "", ""),
        V("AN F S", "a\nb", "a\r\nb"),
        V("AN F S", "\r\n", "\r\r\n"),
        V("AN F S", "\r\r\n\n\r", "\r\r\r\n\r\n\r"),
        V("AT F S", "a\fb\v\r+\n", "a\fb\v\r+\r\n"),
        V("AC F S", "1top\n+over\n", "1top\r\n+over\r\n"),
        V("EN F S", "Hello\n", "\xc8\x85\x93\x93\x96\x15"),
        V("EN F S", "\x85 0", "\x25\x40\xf0"),
        V("IN F S", "\r\n\n\xff\0", "\r\n\n\xff\0"),
        V("L8 F S", "\r\n", "\r\n"),
        V("L36 F S", "123456789", "123456789"),
        /* §3.4.1 */
        V("AN R S", "", "\xff\x02"),
        V("AN R S", "ab\ncd\n",
          "ab\xff\x01"
          "cd\xff\x03"),
        V("AN R S", "\n\n", "\xff\x01\xff\x03"),
        V("AN R S", "a\xff\xff\n", "a\xff\xff\xff\xff\xff\x03"),
        V("AN R S", "a\r\n", "a\r\xff\x03"),
        V_BACK("AN R S", "ab", "ab\xff\x03", "ab\n"),
        V("EN R S", "A\nB\n", "\xc1\xff\x01\xc2\xff\x03"),
        V("EN R S", "\x9f\n", "\xff\xff\xff\x03"), /* the control IBM-1047 has at FF */
        V("IN R S", "ab\ncd\n", "ab\ncd\n\xff\x03"),
        /* §3.4.2 */
        V("IN F B", "", "\x40\0\0"),
        V("IN F B", "abc",
          "\x40\0\x03"
          "abc"),
        V("AN F B", "a\n",
          "\x40\0\x03"
          "a\r\n"),
        V("AN R B", "a\n\nbc\n",
          "\x80\0\x01"
          "a"
          "\x80\0\0"
          "\xc0\0\x02"
          "bc"),
        V("EN R B", "A\n", "\xc0\0\x01\xc1"),
        V("AN R B", "", "\x40\0\0"),
        /* §3.4.3: nothing to say something of is no filler */
        V("IN F C", "", "\0\x40\xc0"),
        V("IN F C", "abc",
          "\0\x40\x03"
          "abc"),
        V("IN F C", "aaaaabc",
          "\x85"
          "a"
          "\0\x40\x02"
          "bc"),
        V("IN F C", "ab\0\0\0\0",
          "\x02"
          "ab"
          "\0\x40\xc4"),
        V("AN F C", "a   b",
          "\x01"
          "a"
          "\xc3"
          "\0\x40\x01"
          "b"),
        V("EN F C", "A    ",
          "\x01\xc1"
          "\0\x40\xc4"),
        V("AN R C", "a\n\nb\n",
          "\0\x80\x01"
          "a"
          "\0\x80\xc0"
          "\0\xc0\x01"
          "b"),
        /* §3.1.2.3: length 4, index, data length, type; TYPE I's logical byte has 8 bits */
        V("L8 P S", "", "\x04\0\0\0"),
        V("L8 P S", "abc",
          "\x04\0\x03\x01"
          "abc"
          "\x04\0\0\0"),
        V("IN P B", "abc",
          "\x40\0\x0b"
          "\x04\0\x03\x01"
          "abc"
          "\x04\0\0\0"),
        V("L16 P S", "abcd",
          "\0\x04\0\0\0\x02\0\x01"
          "abcd"
          "\0\x04\0\0\0\0\0\0"),
        V("L12 P S", "abc",
          "\x00\x40\x00\x00\x20\x01"
          "abc"
          "\x00\x40\x00\x00\x00\x00"),
        V_BACK("L12 P S", "ab",
               "\x00\x40\x00\x00\x20\x01"
               "ab\0"
               "\x00\x40\x00\x00\x00\x00",
               "ab\0"),
        /* appendix I's words of 36 bits */
        V("L36 P S", TEN TEN "0123456",
          "\0\0\0\0\x40\0\0\0\0"
          "\0\0\0\0\x60\0\0\0\x01" TEN TEN "0123456"
          "\0\0\0\0\x40\0\0\0\0"
          "\0\0\0\0\0\0\0\0\0"),
};

static void bytes_are_those_of_the_rfc(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH(vectors); i++) {
                const struct vector *v = &vectors[i];
                struct coding how = coding_of(v->coding);

                for (size_t piece = 1; piece < 50; piece++) {
                        auto_buf struct buf wire = { 0 }, file = { 0 };

                        coded(&how, CODER_SEND, v->file, S(""), piece, &wire, NULL);
                        assert_str(buf_str(&wire), v->wire);
                        coded(&how, CODER_RECEIVE, v->wire, S(""), piece, &file, NULL);
                        assert_str(buf_str(&file), v->back.p ? v->back : v->file);
                }
        }
}

/* Other ways to say it, which others may choose. */
static const struct vector heard[] = {
        V("AN F S", "a\nb", "a\nb"), /* somebody who does not know his own ends of line */
        V("IN F B", "abcdef",
          "\0\0\x03"
          "abc"
          "\x20\0\x02"
          "de"
          "\0\0\0"
          "\0\0\x01"
          "f"
          "\x40\0\0"),
        V("IN F B", "ab",
          "\0\0\x02"
          "ab"
          "\xc0\0\0"),
        V("AN R B", "abc\n\nd\n",
          "\0\0\x02"
          "ab"
          "\x80\0\x01"
          "c"
          "\x80\0\0"
          "\x40\0\x01"
          "d"),
        V("AN R B", "abc\n",
          "\0\0\x03"
          "abc"
          "\x80\0\0"
          "\x40\0\0"),
        V("AN R S", "abc\n", "abc\xff\x02"),
        V("AN R S", "abc\n", "abc\xff\x01\xff\x02"),
        V("AN F B", "\r\n",
          "\0\0\x01"
          "\r"
          "\0\0\x01"
          "\r"
          "\x40\0\x01"
          "\n"),
        V("AN F B", "a\r",
          "\0\0\x01"
          "a"
          "\x40\0\x01"
          "\r"),
        V("AN R C", "a\n\n\nb\n",
          "\0\x80\x01"
          "a"
          "\0\x80"
          "\0\x80"
          "\0\xc0\x01"
          "b"),
        V("AN R C", "aaa   b\n",
          "\x83"
          "a"
          "\xc3"
          "\0\x80\x01"
          "b"
          "\0\x40"),
        V("IN F C", "ab\0\0b",
          "\x01"
          "a"
          "\x01"
          "b"
          "\xc2\x81"
          "b"
          "\0\x40"),
        V("IN F C", "ab",
          "\0\x20\x01"
          "a"
          "\0\x60\x01"
          "b"),
};

static void other_forms_are_understood(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH(heard); i++) {
                struct coding how = coding_of(heard[i].coding);

                for (size_t piece = 1; piece < 30; piece++) {
                        auto_buf struct buf file = { 0 };

                        coded(&how, CODER_RECEIVE, heard[i].wire, S(""), piece, &file, NULL);
                        assert_str(buf_str(&file), heard[i].file);
                }
        }
}

static const struct {
        const char *coding;
        struct str wire;
        const char *why;
} broken[] = {
#define B(coding, wire, why)                            \
        {                                               \
                coding, { wire, sizeof(wire) - 1 }, why \
        }
        B("AN R S", "abc", "The connection ended before the file did"),
        B("AN R S", "", "The connection ended before the file did"),
        B("AN R S", "abc\xff", "The connection ended before the file did"),
        B("AN R S", "abc\xff\x01", "The connection ended before the file did"),
        B("AN R S", "a\xff\0", "Unknown escape in a stream of records"),
        B("AN R S", "a\xff\x04", "Unknown escape in a stream of records"),
        B("AN R S", "a\xff\xfe", "Unknown escape in a stream of records"),
        B("IN F B", "", "The connection ended before the file did"),
        B("IN F B", "\x40", "The connection ended before the file did"),
        B("IN F B",
          "\x40\0\x02"
          "a",
          "The connection ended before the file did"),
        B("IN F B",
          "\0\0\x01"
          "a",
          "The connection ended before the file did"),
        B("IN F B",
          "\x01\0\x01"
          "a",
          "Unknown descriptor in the header of a block"),
        B("IN F B",
          "\x48\0\x01"
          "a",
          "Unknown descriptor in the header of a block"),
        B("IN F B",
          "\x80\0\x01"
          "a",
          "The end of a record came in a file without records: STRU R says that there are some"),
        B("IN F B",
          "\x10\0\x03"
          "a b"
          "\x40\0\0",
          "A restart marker is not of printable characters"),
        B("IN F B",
          "\x10\0\x02"
          "a\n"
          "\x40\0\0",
          "A restart marker is not of printable characters"),
        B("IN F B",
          "\x10\0\x02"
          "a\xe9"
          "\x40\0\0",
          "A restart marker is not of printable characters"),
        B("IN F C",
          "\x03"
          "abc",
          "The connection ended before the file did"),
        B("IN F C",
          "\0\x40\x03"
          "ab",
          "The connection ended before the file did"),
        B("IN F C",
          "\0\x01\x01"
          "a",
          "Unknown descriptor in compressed data"),
        B("IN F C", "\0\x10\xc4", "A restart marker is not of printable characters"),
        B("IN F C", "\0", "The connection ended before the file did"),
        B("IN F Z", "", "The connection ended before the file did"),
        B("IN F Z", "abc", "What came is not deflated"),
        B("IN F Z", "\x78\x9c\x4b\x4c\x4a\x06\x00\x02\x4d\x01", "The connection ended before the file did"),
        B("IN F Z", "\x78\x9c\x4b\x4c\x4a\x06\x00\x02\x4d\x01\x28", "What came is not deflated"),
        B("AN R Z", "\x78\x9c\x4b\x4c\x4a\x06\x00\x02\x4d\x01\x27",
          "The file ended without the sign of its end"),
        B("L8 P S", "", "The connection ended before the file did"),
        B("L8 P S",
          "\x04\0\x03\x01"
          "abc",
          "The connection ended before the file did"),
        B("L8 P B",
          "\x40\0\x07"
          "\x04\0\x03\x01"
          "abc",
          "The file ended before its last page"),
        B("L8 P S", "\x03\0\0\0", "The header of a page has an impossible length"),
        B("L8 P S", "\x50\0\0\0", "The header of a page has an impossible length"),
        B("L8 P S",
          "\x05\0\x01\x01\0"
          "a",
          "The header of a page has the wrong length for its type"),
        B("L8 P S",
          "\x04\0\x01\x03"
          "a",
          "The header of a page has the wrong length for its type"),
        B("L8 P S",
          "\x04\0\x01\x04"
          "a",
          "Unknown type of a page"),
        B("L8 P S",
          "\x04\0\x01\0"
          "a",
          "The last page has data"),
        B("L8 P B",
          "\x40\0\x05"
          "\x04\0\0\0"
          "a",
          "More came behind the last page"),
        B("L8 P C",
          "\0\x40\x01\x04"
          "\xc3"
          "\x01"
          "a",
          "The file ended before its last page"),
        B("L9 P S", "\x02\0\0\0\x08", "The last page is not filled up with zeros"),
        B("L72 P S", "\x01\0\0\0\0\0\0\0\x04", "A number in the header of a page is too large"),
        B("L64 P S",
          "\0\0\0\0\0\0\0\x04"
          "\0\0\0\0\0\0\0\0"
          "\xff\xff\xff\xff\xff\xff\xff\xff"
          "\0\0\0\0\0\0\0\x01",
          "A page is too long"),
};

static void broken_codings_are_refused(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH(broken); i++) {
                struct coding how = coding_of(broken[i].coding);

                for (size_t piece = 1; piece < 40; piece += 3) {
                        struct coder *c = coder_new(&how, CODER_RECEIVE, S(""));
                        auto_buf struct buf out = { 0 };

                        buf_init(&out, CODER_ROOM);
                        assert_int_equal(through(c, broken[i].wire, piece, &out, NULL), -EBADMSG);
                        assert_string_equal(coder_why(c), broken[i].why);
                        assert_int_equal(coder_put(c, S("a"), &out), -EBADMSG);
                        assert_int_equal(coder_end(c, &out), -EBADMSG);
                        coder_free(&c);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bytes_are_those_of_the_rfc),
                cmocka_unit_test(other_forms_are_understood),
                cmocka_unit_test(broken_codings_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
