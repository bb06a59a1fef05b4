/* APPEND over a socketpair, on a real store: streamed with little memory, byte by byte, cut off at every byte, and what is
 * refused. Every test runs twice: with sessions that never park, and with sessions that park between every two commands. */
#include "imap_world.h"

#include <malloc.h>

/* --- the tests --------------------------------------------------------------------------------------------------- */

static size_t heap(void)
{
        struct mallinfo2 m = mallinfo2();

        return m.uordblks + m.hblkhd;
}

/* 50 MB go through with some hundred KB; the letter is byte for byte what was sent. */
static void streamed(void *arg)
{
        enum { MB = 1 << 20, SIZE = 50 * MB };
        static char piece[MB];
        struct world *w = arg;
        struct conn *c = sign_in(w);
        size_t before = heap(), most = 0;
        struct buf got auto_buf;
        uint64_t seed = 1;

        for (size_t i = 0; i < sizeof piece; i++)
                piece[i] = (char)('a' + (seed = seed * 6364136223846793005u + 1) % 23);
        conn_printf(c, "a APPEND INBOX {%d}\r\n", SIZE);
        expect(c, "+ ");
        for (int i = 0; i < SIZE / MB; i++) {
                conn_put(c, str_from(piece, sizeof piece));
                if (heap() > most)
                        most = heap();
        }
        must(staged(w) == 1);
        say(c, "\r\n");
        expect(c, "a OK [APPENDUID ");
        must(staged(w) == 0);
        if (most > before + 6 * MB)
                die("%zu bytes of memory for a letter of %d", most - before, SIZE);
        must(inbox(w).count == 1 && inbox(w).octets == SIZE);
        buf_init(&got, MB);
        must(letter_read(w->jill, 1, 49 * (uint64_t)MB, MB, &got) == 0);
        must(str_eq(buf_str(&got), str_from(piece, sizeof piece)));
        leave(&c);
}

static const char commands[] =
    "a APPEND INBOX (\\Seen Work) \"17-Jul-1996 02:44:25 -0700\" {5+}\r\n12345 {4+}\r\n1234\r\n"
    "b APPEND {5+}\r\nINBOX CATENATE (TEXT {3+}\r\nabc URL \"/INBOX/;UID=1\")\r\n"
    "c APPEND INBOX UTF8 (~{5+}\r\nabcde)\r\n"
    "d APPEND Nowhere {7+}\r\ne NOOP\n {2+}\r\nxx\r\n"
    "f APPEND INBOX {99999999+}\r\n";

/* However the bytes come, the replies are the same; what is refused is passed over to its end. */
static void byte_wise(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        for (size_t i = 0; i + 1 < sizeof commands; i++) {
                conn_put(c, str_from(commands + i, 1));
                must(conn_flush(c, SOON) == 0);
                fiber_yield();
        }
        expect(c, "a OK [APPENDUID ");
        expect(c, "b OK [APPENDUID ");
        expect(c, "c NO [CANNOT]");
        expect(c, "d NO [TRYCREATE]");
        expect(c, "f NO [TOOBIG]");
        must(inbox(w).count == 3 && inbox(w).octets == 5 + 4 + 8);
        conn_free(&c); /* in the middle of what is passed over */
}

/* Cut off anywhere: a letter is there if its command was whole, else nothing is. */
static void cut(void *arg)
{
        static const char whole[] = "a APPEND INBOX (new) {3+}\r\n123 {4+}\r\n1234\r\n";
        struct world *w = arg;

        for (size_t n = 0; n < sizeof whole; n++) {
                struct mailbox_view before = inbox(w);
                struct conn *c = sign_in(w);

                conn_put(c, str_from(whole, n));
                must(conn_flush(c, SOON) == 0);
                conn_free(&c);
                while (w->server.session_count)
                        must(fiber_sleep(now() + MSECOND) == 0);
                must(inbox(w).count == before.count + (n == sizeof whole - 1 ? 2 : 0));
        }
}

/* The same for one that lies in a file while it arrives. */
static void cut_long(void *arg)
{
        static char half[150000];
        struct world *w = arg;
        struct conn *c = sign_in(w);

        memset(half, 'x', sizeof half);
        say(c, "a APPEND INBOX {300000+}\r\n");
        conn_put(c, str_from(half, sizeof half));
        must(conn_flush(c, SOON) == 0);
        while (!staged(w))
                must(fiber_sleep(now() + MSECOND) == 0);
        conn_free(&c);
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        must(staged(w) == 0 && inbox(w).count == 0);
}

/* Sent one behind the other, they share commits; the answers come in order, also of those that are refused, and a URL finds
 * what was appended just before. */
static void together(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct mailbox_view before = inbox(w), after;
        char begin[64];

        for (int i = 0; i < 300; i++) {
                if (i % 50 == 7)
                        conn_printf(c,
                                    "t%d APPEND INBOX CATENATE (URL \"/INBOX/;UID=%d\" TEXT {1+}\r\nx)\r\n",
                                    i, i - i / 50 - 5);
                else if (i % 50 == 13)
                        conn_printf(c, "t%d APPEND Nowhere {3+}\r\nabc\r\n", i);
                else if (i % 50 == 17)
                        conn_printf(c, "t%d APPEND INBOX {3+}\r\nabc (\\Odd) {3+}\r\nabc\r\n", i);
                else if (i % 50 == 23)
                        conn_printf(c, "t%d APPEND INBOX {3+}\r\nabc (k%d) {70000+}\r\n%070000d\r\n", i, i,
                                    i);
                else
                        conn_printf(c, "t%d APPEND INBOX (k%d) {10+}\r\nletter %03d\r\n", i, i % 7, i);
        }
        say(c, "n NOOP\r\n");
        for (int i = 0; i < 300; i++) {
                int kind = i % 50;

                snprintf(begin, sizeof begin, "t%d %s ", i,
                         kind == 13   ? "NO [TRYCREATE]"
                         : kind == 17 ? "BAD"
                                      : "OK [APPENDUID");
                expect(c, begin);
        }
        expect(c, "n OK");
        after = inbox(w);
        must(after.count == 300 - 12 + 6 && staged(w) == 0);
        if (parking < 0)
                must(after.modseq - before.modseq < 150); /* not one each */
        leave(&c);
}

/* Thousands of flags, of parentheses, of parts, of empty literals: an answer, and the session goes on. */
static void hostile(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        conn_put(c, S("a APPEND INBOX ("));
        for (int i = 0; i < 5000; i++)
                conn_printf(c, "k%d ", i);
        say(c, ") {3+}\r\nabc\r\n");
        expect(c, "a NO [LIMIT]");
        conn_put(c, S("a APPEND INBOX "));
        for (int i = 0; i < 20000; i++)
                conn_put(c, S("("));
        say(c, "\r\n");
        expect(c, "a BAD");
        say(c, "a APPEND INBOX {1+}\r\nx\r\n");
        expect(c, "a OK");
        say(c, "b APPEND INBOX CATENATE (");
        for (int i = 0; i < 1001; i++)
                say(c, "URL /;UID=1/;SECTION=HEADER URL /INBOX/;UID=1 ");
        say(c, "TEXT {3+}\r\nabc)\r\n");
        expect(c, "b NO [BADURL"); /* nothing is selected */
        say(c, "c APPEND INBOX CATENATE (");
        for (int i = 0; i < 1001; i++)
                say(c, i ? " URL /INBOX/;UID=1" : "URL /INBOX/;UID=1");
        say(c, " TEXT {3+}\r\nabc)\r\n");
        expect(c, "c NO [LIMIT]");
        say(c, "d APPEND INBOX CATENATE (");
        for (int i = 0; i < 3000; i++)
                say(c, "TEXT {0+}\r\n ");
        say(c, ")\r\n");
        expect(c, "d NO [LIMIT]");
        say(c, "e APPEND INBOX ");
        for (int i = 0; i < 600; i++)
                say(c, "{1+}\r\nx ");
        say(c, "{1+}\r\nx\r\n");
        expect(c, "e NO [LIMIT]");
        must(inbox(w).count == 1);
        leave(&c);
}

#define TEST(name)                            \
        static void test_##name(void **state) \
        {                                     \
                (void)state;                  \
                run_both(name);               \
        }
TEST(streamed)
TEST(byte_wise)
TEST(cut)
TEST(cut_long)
TEST(hostile)
TEST(together)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_streamed), cmocka_unit_test(test_byte_wise),
                cmocka_unit_test(test_cut),      cmocka_unit_test(test_cut_long),
                cmocka_unit_test(test_hostile),  cmocka_unit_test(test_together),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
