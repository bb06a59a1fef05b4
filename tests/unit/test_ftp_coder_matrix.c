#include "ftp_coder_unit.h"

/* --- the matrix -------------------------------------------------------------------------------------------------- */

static const char *const types[] = { "AN",  "AT", "AC", "EN", "ET",   "EC",  "IN", "L8",
                                     "L36", "L3", "L1", "L7", "L255", "L64", "L12" };

/* Files that hurt. */
static struct str nasty(size_t i, struct buf *b)
{
        static const struct str small[] = {
                { "", 0 },
                { "\n", 1 },
                { "\r", 1 },
                { "\r\r\n", 3 },
                { "\r\n\r\n\r", 5 },
                { "a", 1 },
                { "\xff", 1 },
                { "\xff\xff\n\xff", 4 },
                { "\0\0\0\n   \r", 8 },
                { "one\ntwo\n\n\nthree", 15 },
                { "\x85\x15\x25\n", 4 },
        };
        uint32_t seed = (uint32_t)i * 2654435761U;

        buf_clear(b);
        if (i < LENGTH(small))
                return small[i];
        switch (i - LENGTH(small)) {
        case 0: /* all bytes, in runs of many lengths */
                for (unsigned n = 0; n < 3000; n++) {
                        seed = seed * 1664525 + 1013904223;
                        for (unsigned k = seed >> 28; k; k--)
                                buf_u8(b, (uint8_t)(seed >> 20));
                }
                break;
        case 1: /* a line longer than blocks, of what modes escape */
                for (unsigned n = 0; n < 140000; n++)
                        buf_u8(b, n % 11 ? 0xff : '\r');
                buf_puts(b, S("\n"));
                break;
        case 2: /* lines */
                for (unsigned n = 0; n < 3000; n++)
                        buf_printf(b, "%*u%s", (int)(n % 90), n, n % 7 ? "\n" : "\r\n");
                break;
        case 3: /* noise of a megabyte */
                for (unsigned n = 0; n < 1 << 18; n++) {
                        seed = seed * 1664525 + 1013904223;
                        buf_u32(b, seed ^ seed >> 15);
                }
                break;
        default: return (struct str){ NULL, 0 };
        }
        return buf_str(b);
}

static bool at_its_end(const struct coding *how, struct str file, struct str back)
{
        bool text = how->type == TYPE_ASCII || how->type == TYPE_EBCDIC;

        if (how->structure == STRUCTURE_RECORD && text && file.n && file.p[file.n - 1] != '\n')
                return back.n == file.n + 1 && back.p[file.n] == '\n' && str_starts(back, file);
        if (how->structure != STRUCTURE_PAGE) /* the last logical byte of pages may need to be filled up */
                return str_eq(back, file);
        for (size_t i = file.n; i < back.n; i++) {
                if (back.p[i])
                        return false;
        }
        return str_starts(back, file);
}

/* Out and in again, in pieces of every size; once more with the facts, which gives the same bytes. */
static void out_and_in(const struct coding *how, struct str file, const size_t *pieces)
{
        auto_buf struct buf wire = { 0 }, back = { 0 }, facts = { 0 }, again = { 0 };

        coded(how, CODER_SEND, file, S(""), SIZE_MAX / 2, &wire, NULL);
        coded(how, CODER_RECEIVE, buf_str(&wire), S(""), SIZE_MAX / 2, &back, &facts);
        if (how->structure != STRUCTURE_PAGE || (how->byte_size >= 8 && how->byte_size != 255))
                assert_true(at_its_end(how, file, buf_str(&back)));
        assert_true(!facts.n || coder_facts_fit(buf_str(&facts), back.n));
        coded(how, CODER_SEND, buf_str(&back), buf_str(&facts), SIZE_MAX / 2, &again, NULL);
        assert_str(buf_str(&again), buf_str(&wire));
        for (; *pieces; pieces++) {
                auto_buf struct buf w = { 0 }, f = { 0 }, n = { 0 };

                coded(how, CODER_SEND, buf_str(&back), buf_str(&facts), *pieces, &w, NULL);
                if (how->mode != MODE_DEFLATE)
                        assert_true(str_eq(buf_str(&w), buf_str(&wire)));
                coded(how, CODER_RECEIVE, buf_str(&w), S(""), *pieces, &f, &n);
                assert_true(str_eq(buf_str(&f), buf_str(&back)));
                assert_true(str_eq(buf_str(&n), buf_str(&facts)));
        }
}

static void whatever_goes_out_comes_in_again(void **state)
{
        static const size_t all[] = { 1, 2, 3, 7, 4099, 0 }, few[] = { 4099, 65535, 0 };
        auto_buf struct buf room = { 0 };
        unsigned allowed = 0;

        (void)state;
        buf_init(&room, 2 << 20);
        for (size_t t = 0; t < LENGTH(types) * 12; t++) {
                struct coding how;
                const char *why;
                char name[16];

                snprintf(name, sizeof(name), "%s %c %c", types[t / 12], "FRP"[t / 4 % 3], "SBCZ"[t % 4]);
                how = coding_of(name);
                if (!coding_allowed(&how, &why))
                        continue;
                allowed++;
                for (size_t i = 0;; i++) {
                        struct str file = nasty(i, &room);

                        if (!file.p)
                                break;
                        if (how.structure == STRUCTURE_PAGE && how.byte_size < 12 && file.n > 8)
                                file.n = 8; /* there are no numbers for more pages */
                        out_and_in(&how, file, file.n < 20000 ? all : few);
                }
        }
        assert_int_equal(allowed, 15 * 4 * 2 + 8 * 4);
}

static void what_does_not_go_together_is_refused(void **state)
{
        static const char *const wrong[] = { "AN P S", "EC P B", "L1 P S", "L2 P Z", "L0 F S" };
        struct coding how;
        const char *why;

        (void)state;
        for (size_t i = 0; i < LENGTH(wrong); i++) {
                how = coding_of(wrong[i]);
                assert_false(coding_allowed(&how, &why));
                assert_non_null(why);
        }
        how = coding_of("IN F S");
        assert_true(coding_plain(&how));
        how.form = FORM_TELNET;
        assert_false(coding_allowed(&how, &why));
        how = coding_of("L36 F S");
        assert_true(coding_plain(&how));
        how = coding_of("IN F B");
        assert_false(coding_plain(&how));
        how = coding_of("EN F S");
        how.code_page = "UTF-8";
        assert_null(coder_new(&how, CODER_SEND, S("")));
        assert_int_equal(errno, EINVAL);
}

/* --- code pages, sizes ------------------------------------------------------------------------------------------- */

static void code_pages_pair_all_bytes(void **state)
{
        static const struct {
                const char *name;
                bool good;
        } pages[] = { { "IBM-1047", true },    { "IBM037", true },  { "IBM500", true },
                      { "EBCDIC-US", true },   { "IBM875", true },  { "IBM870", true },
                      { "UTF-8", false },      { "UTF-16", false }, { "IBM930", false },
                      { "ISO-8859-1", false }, { "CP437", false },  { "no such page", false },
                      { "", false },           { NULL, false } };
        char bytes[256];

        (void)state;
        for (unsigned i = 0; i < 256; i++)
                bytes[i] = (char)i;
        for (size_t i = 0; i < LENGTH(pages); i++) {
                auto_buf struct buf wire = { 0 }, back = { 0 };
                struct coding how = coding_of("EN F S");

                how.code_page = pages[i].name;
                assert_int_equal(coding_page(pages[i].name), pages[i].good);
                if (!pages[i].good)
                        continue;
                coded(&how, CODER_SEND, str_from(bytes, 256), S(""), 256, &wire, NULL);
                assert_int_equal((unsigned char)wire.p['\n'], 0x15);
                assert_int_equal((unsigned char)wire.p[' '], 0x40);
                coded(&how, CODER_RECEIVE, buf_str(&wire), S(""), 256, &back, NULL);
                assert_str(buf_str(&back), str_from(bytes, 256));
        }
}

static void size_is_what_is_sent(void **state)
{
        auto_buf struct buf room = { 0 };

        (void)state;
        buf_init(&room, 2 << 20);
        for (size_t t = 0; t < LENGTH(types); t++) {
                char name[16];
                struct coding how;
                struct str file;

                snprintf(name, sizeof(name), "%s F S", types[t]);
                how = coding_of(name);
                for (size_t i = 0; (file = nasty(i, &room)).p; i++) {
                        auto_buf struct buf wire = { 0 };
                        struct coder_size z = { 0 };

                        coded(&how, CODER_SEND, file, S(""), SIZE_MAX / 2, &wire, NULL);
                        coder_size(&z, &how, str_sub(file, 0, file.n / 3));
                        coder_size(&z, &how, str_from_at(file, file.n / 3));
                        assert_int_equal(z.octets, wire.n);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(whatever_goes_out_comes_in_again),
                cmocka_unit_test(what_does_not_go_together_is_refused),
                cmocka_unit_test(code_pages_pair_all_bytes),
                cmocka_unit_test(size_is_what_is_sent),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
