/* The codecs and the parse cursor, with what must hold for every input: what was decoded encodes to the same text,
 * cursors stay within their string, a failure sticks. */
#include "base/arena.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static void codecs(struct str s)
{
        auto_buf struct buf out, back;

        buf_init(&out, s.n * 2 + 4);
        buf_init(&back, s.n * 2 + 4);
        if (base64_get(&out, s)) {
                must(base64_put(&back, buf_str(&out)), "base64: decoded text does not encode");
                must(str_eq(buf_str(&back), s), "base64: two texts for the same bytes");
        }
        buf_clear(&out);
        buf_clear(&back);
        must(base64_put(&out, s), "base64: bytes do not encode");
        must(base64_get(&back, buf_str(&out)) && str_eq(buf_str(&back), s), "base64: encoding is not undone");
        buf_clear(&out);
        buf_clear(&back);
        hex_put(&out, s);
        must(hex_get(&back, buf_str(&out)) && str_eq(buf_str(&back), s), "hex: encoding is not undone");
        if (hex_get(&out, s))
                must(s.n % 2 == 0, "hex: an odd number of digits");
        must(!ascii_only(s) || utf8_valid(s), "utf8: ASCII refused");
        for (size_t i = 0; i <= s.n; i++)
                must(crc32_of(crc32_of(0, str_sub(s, 0, i)), str_from_at(s, i)) == crc32_of(0, s), "crc32");
}

static bool lower(unsigned char c)
{
        return c >= 'a' && c <= 'z';
}

/* The first half says what to do, the second half is what it is done to. */
static void cursor(struct str s)
{
        struct str steps = str_sub(s, 0, s.n / 2), text = str_from_at(s, s.n / 2);
        struct scan a = scan_of(text);

        for (size_t i = 0; i < steps.n; i++) {
                bool was_bad = a.bad;
                size_t was_at = a.at;
                const char *why = a.why;

                switch (steps.p[i] & 15) {
                case 0: scan_char(&a, steps.p[i]); break;
                case 1: scan_try(&a, 'a'); break;
                case 2: scan_word(&a, S("ab")); break;
                case 3: scan_try_word(&a, S("FROM:")); break;
                case 4: scan_space(&a); break;
                case 5: scan_spaces(&a); break;
                case 6: scan_until(&a, ":>"); break;
                case 7: scan_token(&a); break;
                case 8: scan_while(&a, lower); break;
                case 9: must(scan_number(&a, 1000) <= 1000, "scan: number beyond its maximum"); break;
                case 10: scan_rest(&a); break;
                default: scan_peek(&a); break;
                }
                must(a.at >= was_at && a.at <= text.n, "scan: out of its string");
                must(!was_bad || (a.bad && a.at == was_at && a.why == why), "scan: a failure did not stick");
                must(!a.bad || (scan_end(&a) && !scan_done(&a) && scan_peek(&a) == -1),
                     "scan: bad, but not ended");
        }
}

static void records(struct str s)
{
        auto_arena struct arena arena;
        struct unpack u = unpack_of(s);

        arena_init(&arena, s.n * 8 + 1024);
        while (!u.bad && u.at < s.n) {
                struct str got = unpack_u8(&u) % 2 ? unpack_str(&u) : unpack_bytes(&u, unpack_u16(&u));

                must(got.n <= s.n, "unpack: longer than its record");
                must(arena_lower(&arena, got).n == got.n, "arena: a copy of another length");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str s = str_from(data, size);
        uint64_t number;
        struct str rest = s, head;

        if (size > 4096)
                return 0;
        codecs(s);
        cursor(s);
        records(s);
        while (str_cut(&rest, ' ', &head))
                must(str_find(head, ' ') == STR_NONE, "str_cut: the separator stayed");
        if (str_u64(str_trim(s), &number))
                must(str_trim(s).n > 0, "str_u64: nothing is a number");
        return 0;
}
