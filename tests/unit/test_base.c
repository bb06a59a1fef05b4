#include "unit.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/scan.h"
#include "base/time.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define nothing ((struct str){ NULL, 0 }) /* NULL and 0: as empty as S("") everywhere */

static void str_compares(void **state)
{
        static const struct {
                struct str a, b;
                bool eq, ieq, starts, istarts, ends;
                int cmp;
        } rows[] = {
                { S("RCPT"), S("RCPT"), true, true, true, true, true, 0 },
                { S("RCPT"), S("rcpt"), false, true, false, true, false, -1 },
                { S("RCPT TO"), S("RCPT"), false, false, true, true, false, 1 },
                { S("x.hill.com"), S(".com"), false, false, false, false, true, 1 },
                { S("a\0b"), S("a\0c"), false, false, false, false, false, -1 },
                { S("@["), S("`{"), false, false, false, false, false, -1 },
                { S("\xe4"), S("z"), false, false, false, false, false, 1 },
                { nothing, S(""), true, true, true, true, true, 0 },
                { nothing, S("a"), false, false, false, false, false, -1 },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                int cmp = str_cmp(rows[i].a, rows[i].b);

                assert_int_equal(str_eq(rows[i].a, rows[i].b), rows[i].eq);
                assert_int_equal(str_ieq(rows[i].a, rows[i].b), rows[i].ieq);
                assert_int_equal(str_starts(rows[i].a, rows[i].b), rows[i].starts);
                assert_int_equal(str_istarts(rows[i].a, rows[i].b), rows[i].istarts);
                assert_int_equal(str_ends(rows[i].a, rows[i].b), rows[i].ends);
                assert_int_equal((cmp > 0) - (cmp < 0), rows[i].cmp);
                assert_int_equal(str_hash(rows[i].a) == str_hash(rows[i].b), rows[i].eq);
        }
}

static void str_finds(void **state)
{
        (void)state;
        assert_int_equal(str_find(S("a@b@c"), '@'), 1);
        assert_int_equal(str_rfind(S("a@b@c"), '@'), 3);
        assert_int_equal(str_find(S("abc"), 'd'), STR_NONE);
        assert_int_equal(str_find(nothing, 0), STR_NONE);
        assert_int_equal(str_rfind(nothing, 0), STR_NONE);
        assert_int_equal(str_search(S("a\0\r\n.\r\n"), S("\r\n.\r\n")), 2);
        assert_int_equal(str_search(S("ab"), S("abc")), STR_NONE);
        assert_int_equal(str_search(nothing, S("a")), STR_NONE);
        assert_int_equal(str_search(nothing, nothing), 0);
        assert_str(str_sub(S("letter"), 3, 2), S("te"));
        assert_str(str_sub(S("letter"), 3, SIZE_MAX), S("ter"));
        assert_str(str_sub(S("letter"), SIZE_MAX, 1), S(""));
        assert_str(str_from_at(nothing, 0), S(""));
        assert_str(str_trim(S(" \t a b \t")), S("a b"));
        assert_str(str_trim(S(" \t ")), S(""));
        assert_str(str_of(NULL), S(""));
        assert_true(str_has_control(S("a\tb")));
        assert_true(str_has_control(S("a\x7f")));
        assert_true(str_has_control(S("\0")));
        assert_false(str_has_control(S("J\xc3\xbcrgen ~")));
}

static void str_cuts(void **state)
{
        struct str s = S("RCPT  TO"), head;

        (void)state;
        assert_true(str_cut(&s, ' ', &head));
        assert_str(head, S("RCPT"));
        assert_true(str_cut(&s, ' ', &head));
        assert_str(head, S(""));
        assert_false(str_cut(&s, ' ', &head));
        assert_str(head, S("TO"));
        assert_str(s, S(""));
        assert_false(str_cut(&s, ' ', &head));
        assert_str(head, S(""));
}

static void numbers(void **state)
{
        static const struct {
                struct str s;
                bool good;
                uint64_t v;
        } rows[] = {
                { S("0"), true, 0 },
                { S("007"), true, 7 },
                { S("18446744073709551615"), true, UINT64_MAX },
                { S("18446744073709551616"), false, 0 },
                { S("99999999999999999999999"), false, 0 },
                { S(""), false, 0 },
                { S("-1"), false, 0 },
                { S("+1"), false, 0 },
                { S(" 1"), false, 0 },
                { S("1 "), false, 0 },
                { S("1\0"), false, 0 },
                { S("0x1"), false, 0 },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                uint64_t v = 42;

                assert_int_equal(str_u64(rows[i].s, &v), rows[i].good);
                assert_int_equal(v, rows[i].good ? rows[i].v : 42);
        }
}

static void buf_keeps_its_maximum(void **state)
{
        auto_buf struct buf b;

        (void)state;
        buf_init(&b, 10);
        assert_true(buf_puts(&b, nothing));
        assert_true(buf_puts(&b, S("12345")));
        assert_true(buf_printf(&b, "%d%c", 67, '8'));
        assert_false(buf_printf(&b, "%s", "9ab"));
        assert_false(buf_puts(&b, S("9"))); /* no holes */
        assert_true(b.full);
        assert_str(buf_str(&b), S("12345678"));
        buf_drop(&b, 5);
        assert_str(buf_str(&b), S("678"));
        buf_clear(&b);
        assert_true(buf_printf(&b, "%010d", 7)); /* exactly full, the NUL of printing does not count */
        assert_str(buf_str(&b), S("0000000007"));
        assert_false(b.full);
        assert_null(buf_room(&b, 1));
        assert_true(b.full);
        buf_clear(&b);
        assert_false(buf_put(&b, "", SIZE_MAX));
        buf_clear(&b);
        assert_non_null(buf_room(&b, 10));
        buf_trim(&b);
        assert_null(b.p);
        assert_true(buf_puts(&b, S("again")));
        buf_trim(&b);
        assert_int_equal(b.cap, 5);
        assert_true(buf_printf(&b, "st"));
        assert_str(buf_str(&b), S("against"));
}

static void packs_and_unpacks(void **state)
{
        auto_buf struct buf b;
        struct unpack u;

        (void)state;
        buf_init(&b, 1000);
        assert_true(buf_u8(&b, 0x12) && buf_u16(&b, 0x3456) && buf_u32(&b, 0x789abcde) &&
                    buf_u64(&b, 0xfedcba9876543210) && buf_packed(&b, S("jill")) && buf_packed(&b, nothing));
        assert_str(str_sub(buf_str(&b), 0, 7), S("\x12\x56\x34\xde\xbc\x9a\x78"));
        u = unpack_of(buf_str(&b));
        assert_int_equal(unpack_u8(&u), 0x12);
        assert_int_equal(unpack_u16(&u), 0x3456);
        assert_int_equal(unpack_u32(&u), 0x789abcde);
        assert_int_equal(unpack_u64(&u), 0xfedcba9876543210);
        assert_str(unpack_str(&u), S("jill"));
        assert_false(unpack_done(&u));
        assert_str(unpack_str(&u), S(""));
        assert_true(unpack_done(&u));
        assert_int_equal(unpack_u8(&u), 0);
        assert_true(u.bad);

        u = unpack_of(S("\xff\xff\xff\xffxyz")); /* a length that lies */
        assert_str(unpack_str(&u), S(""));
        assert_true(u.bad);
        assert_int_equal(unpack_u8(&u), 0); /* sticky, though bytes are left */
        assert_false(unpack_done(&u));
}

static void arena_gives_and_takes_back(void **state)
{
        auto_arena struct arena a;
        struct str s;
        char *p, *first;

        (void)state;
        arena_init(&a, 1 << 20);
        first = arena_alloc(&a, 10);
        for (int round = 0; round < 3; round++) {
                for (size_t n = 0; n < 5000; n += 7) {
                        p = arena_alloc(&a, n % 300);
                        assert_int_equal((uintptr_t)p % 16, 0);
                        for (size_t i = 0; i < n % 300; i++) {
                                assert_int_equal(p[i], 0);
                                p[i] = 'x';
                        }
                }
                p = arena_alloc(&a, 200000);
                assert_int_equal(p[0] | p[199999], 0);
                p[0] = p[199999] = 'x';
                s = arena_str(&a, S("a\0b"));
                assert_int_equal(s.p[3], 0);
                assert_str(s, S("a\0b"));
                assert_str(arena_lower(&a, S("HILL.Com\xc4")), S("hill.com\xc4"));
                assert_str(arena_printf(&a, "<" PRS "> %d", STR(S("jack")), 7), S("<jack> 7"));
                assert_int_equal(arena_str(&a, nothing).p[0], 0);
                arena_reset(&a);
                assert_int_equal(a.used, 0);
                assert_ptr_equal(arena_alloc(&a, 10), first); /* the small chunk was kept */
        }
}

/* Runs f in a child whose stderr goes nowhere; true if it was killed by abort. */
static bool aborts(void (*f)(void))
{
        int status;
        pid_t child = fork();

        if (!child) {
                dup2(open("/dev/null", O_WRONLY), 2);
                f();
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void arena_too_large(void)
{
        struct arena a;

        arena_init(&a, 100);
        arena_alloc(&a, 60);
        arena_alloc(&a, 41);
}

static void arena_overflow(void)
{
        arena_times(SIZE_MAX / 2, 3);
}

static void copy_too_far(void)
{
        char to[4];

        mem_copy(to, sizeof to, S("12345"));
}

static void drop_too_much(void)
{
        struct buf b;

        buf_init(&b, 10);
        buf_drop(&b, 1);
}

static void mistakes_end_the_process(void **state)
{
        static void (*const rows[])(void) = { arena_too_large, arena_overflow, copy_too_far, drop_too_much };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_true(aborts(rows[i]));
}

static void scans(void **state)
{
        struct scan a = scan_of(S("mail from: <jack@town.com>\t SIZE=1024 rest of it"));

        (void)state;
        assert_true(scan_word(&a, S("MAIL")));
        scan_space(&a);
        assert_false(scan_try_word(&a, S("TO:")));
        assert_true(scan_try_word(&a, S("FROM:")));
        scan_spaces(&a);
        assert_true(scan_char(&a, '<'));
        assert_str(scan_until(&a, "@>"), S("jack"));
        assert_int_equal(scan_peek(&a), '@');
        assert_false(scan_try(&a, '>'));
        assert_str(scan_until(&a, ">"), S("@town.com"));
        assert_true(scan_try(&a, '>'));
        scan_spaces(&a);
        assert_true(scan_word(&a, S("size=")));
        assert_int_equal(scan_number(&a, 1024), 1024);
        scan_space(&a);
        assert_str(scan_token(&a), S("rest"));
        assert_false(scan_done(&a));
        assert_str(scan_rest(&a), S(" of it"));
        assert_true(scan_end(&a) && scan_done(&a));
        assert_str(scan_until(&a, " "), S(""));
        assert_true(scan_done(&a));
}

static bool is_x(unsigned char c)
{
        return c == 'x';
}

static void fail_char(struct scan *a)
{
        scan_char(a, 'b');
}

static void fail_word(struct scan *a)
{
        scan_word(a, S("xyz"));
}

static void fail_number(struct scan *a)
{
        scan_number(a, 254);
}

static void fail_while(struct scan *a)
{
        scan_while(a, is_x);
        scan_while(a, is_x);
}

static void scan_failure_sticks(void **state)
{
        static const struct {
                void (*f)(struct scan *a);
                struct str s;
                size_t at;
        } rows[] = {
                { fail_char, S("a"), 0 },    { fail_char, S(""), 0 },
                { fail_word, S("xy"), 0 },   { scan_space, S("\t"), 0 },
                { NULL, S("a"), 0 },         { fail_number, S("255"), 0 },
                { fail_number, S("x"), 0 },  { fail_number, S("99999999999999999999999"), 0 },
                { fail_while, S("xxy"), 2 },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct scan a = scan_of(rows[i].s);
                const char *why;

                if (rows[i].f)
                        rows[i].f(&a);
                else
                        scan_fail(&a, "no reason");
                assert_true(a.bad);
                assert_non_null(a.why);
                assert_int_equal(a.at, rows[i].at);
                why = a.why;
                assert_true(scan_end(&a));
                assert_false(scan_done(&a));
                assert_int_equal(scan_peek(&a), -1);
                assert_false(scan_try(&a, 'a') || scan_try_word(&a, S("")) || scan_word(&a, S("x")));
                assert_int_equal(scan_number(&a, 9), 0);
                assert_str(scan_until(&a, ""), S(""));
                assert_str(scan_token(&a), S(""));
                assert_str(scan_rest(&a), S(""));
                assert_ptr_equal(a.why, why);
                assert_int_equal(a.at, rows[i].at);
        }
        struct scan empty = scan_of(nothing);
        scan_token(&empty);
        assert_true(empty.bad);
}

static void base64(void **state)
{
        static const struct {
                struct str plain, coded;
        } rows[] = {
                { S(""), S("") },
                { S("f"), S("Zg==") },
                { S("fo"), S("Zm8=") },
                { S("foo"), S("Zm9v") },
                { S("foob"), S("Zm9vYg==") },
                { S("\0jill\0tumbling"), S("AGppbGwAdHVtYmxpbmc=") },
                { S("\xff\xef\xbe"), S("/+++") },
        };
        static const struct str wrong[] = { S("Z"),    S("Zg"),   S("Zg="),  S("Zg==="),    S("===="),
                                            S("Z==="), S("Zh=="), S("Zm9="), S("Zg==Zg=="), S("Zm9v\n"),
                                            S("Zm-_"), S("Zm 9"), S("=Zm9"), S("Zm=9"),     S("\xc3\xbcZm") };
        auto_buf struct buf b;

        (void)state;
        buf_init(&b, 24);
        for (size_t i = 0; i < LENGTH(rows); i++) {
                buf_clear(&b);
                assert_true(base64_put(&b, rows[i].plain));
                assert_str(buf_str(&b), rows[i].coded);
                buf_clear(&b);
                assert_true(base64_get(&b, rows[i].coded));
                assert_str(buf_str(&b), rows[i].plain);
        }
        for (size_t i = 0; i < LENGTH(wrong); i++) {
                buf_clear(&b);
                assert_false(base64_get(&b, wrong[i]));
                assert_int_equal(b.n, 0);
                assert_false(b.full);
        }
        assert_false(base64_put(&b, S("nineteen bytes here")));
        assert_true(b.full);
}

static void hex(void **state)
{
        auto_buf struct buf b;

        (void)state;
        buf_init(&b, 100);
        hex_put(&b, S("\0\x9f\xff"));
        assert_str(buf_str(&b), S("009fff"));
        buf_clear(&b);
        assert_true(hex_get(&b, S("009fFF")));
        assert_str(buf_str(&b), S("\0\x9f\xff"));
        assert_false(hex_get(&b, S("0")));
        assert_false(hex_get(&b, S("0g")));
        assert_false(hex_get(&b, S("@0")));
}

static void utf8(void **state)
{
        static const struct {
                struct str s;
                bool good;
        } rows[] = {
                { S("plain\0text"), true },
                { S("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8c"), true },
                { S("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xf0\x90\x80\x80\xe0\xa0\x80\xc2\x80"), true },
                { S("\x80"), false }, /* no first byte */
                { S("\xc3"), false }, /* cut short, as are the next two */
                { S("\xe2\x82"), false },
                { S("\xf0\x9f\x90"), false },
                { S("\xc0\xaf"), false }, /* overlong, as are the next three */
                { S("\xc1\xbf"), false },
                { S("\xe0\x9f\xbf"), false },
                { S("\xf0\x8f\xbf\xbf"), false },
                { S("\xed\xa0\x80"), false },     /* a surrogate */
                { S("\xf4\x90\x80\x80"), false }, /* beyond U+10FFFF, as is the next */
                { S("\xf5\x80\x80\x80"), false },
                { S("\xe2\x82\x41"), false },
                { S("\xe4"
                    "gerlich"),
                  false }, /* Latin-1 */
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_int_equal(utf8_valid(rows[i].s), rows[i].good);
        assert_true(utf8_valid(nothing) && ascii_only(nothing));
        assert_true(ascii_only(rows[0].s));
        assert_false(ascii_only(rows[1].s));
        assert_int_equal(crc32_of(0, S("123456789")), 0xcbf43926);
        assert_int_equal(crc32_of(crc32_of(0, S("1234")), S("56789")), 0xcbf43926);
        assert_int_equal(crc32_of(0, nothing), 0);
}

static void clocks(void **state)
{
        nsec before = now(), later = in_seconds(5);

        (void)state;
        assert_true(before > 0 && later >= before + 5 * SECOND);
        assert_true(wall_usec() > INT64_C(1700000000000000)); /* microseconds, and after 2023 */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(str_compares),
                cmocka_unit_test(str_finds),
                cmocka_unit_test(str_cuts),
                cmocka_unit_test(numbers),
                cmocka_unit_test(buf_keeps_its_maximum),
                cmocka_unit_test(packs_and_unpacks),
                cmocka_unit_test(arena_gives_and_takes_back),
                cmocka_unit_test(mistakes_end_the_process),
                cmocka_unit_test(scans),
                cmocka_unit_test(scan_failure_sticks),
                cmocka_unit_test(base64),
                cmocka_unit_test(hex),
                cmocka_unit_test(utf8),
                cmocka_unit_test(clocks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
