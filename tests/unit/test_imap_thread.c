/* THREAD=REFERENCES and THREAD=ORDEREDSUBJECT (RFC 5256 §3): letters in, trees out. */
#include "unit.h"
#include "base/mem.h"
#include "proto/imap/thread.h"

/* ---- threads ---- */

/* "id<ref,ref subject": ids are letters, '-' none; a subject of '.' is empty, "Re:" before it makes a reply. */
static void threads_are(const char *text, const char *references, const char *ordered)
{
        struct thread_letter letters[32] = { 0 };
        uint64_t refs[64];
        size_t n = 0, r = 0;
        struct str rest = str_of(text), line;
        struct buf b;

        while (rest.n) {
                struct thread_letter *l = &letters[n++];

                str_cut(&rest, '\n', &line);
                l->shown = (uint32_t)n;
                l->date = (int64_t)n;
                l->id = line.p[0] == '-' ? 0 : (uint64_t)line.p[0] << 40;
                line = str_from_at(line, 1);
                l->first_ref = r;
                while (line.n && line.p[0] != ' ') {
                        refs[r++] = (uint64_t)line.p[1] << 40;
                        l->refs++;
                        line = str_from_at(line, 2);
                }
                line = str_from_at(line, 1);
                if (line.n && line.p[0] == '@') { /* another date */
                        l->date = line.p[1] - '0';
                        line = str_from_at(line, 3);
                }
                l->reply = str_starts(line, S("Re:"));
                line = str_from_at(line, l->reply ? 3 : 0);
                l->subject = str_eq(line, S(".")) ? 0 : (uint64_t)line.p[0] << 40;
        }
        buf_init(&b, 65536);
        assert_true(thread_references(letters, n, refs, &b));
        assert_str(buf_str(&b), str_of(references));
        buf_clear(&b);
        assert_true(thread_orderedsubject(letters, n, &b));
        if (ordered)
                assert_str(buf_str(&b), str_of(ordered));
        buf_free(&b);
}

static void threads(void **state)
{
        (void)state;
        threads_are("", "", "");
        threads_are("a x", "(1)", "(1)");
        /* a chain, also with its middle missing: the dummy goes */
        threads_are("a x\nb<a Re:x\nc<a<b Re:x", "(1 2 3)", "(1 (2)(3))");
        threads_are("a x\nc<a<b Re:x", "(1 2)", "(1 2)");
        /* two replies to what is not there stay siblings below a dummy; one alone takes its place */
        threads_are("b<a Re:x\nc<a Re:x", "((1)(2))", "(1 2)");
        threads_are("b<a Re:x", "(1)", "(1)");
        /* the child comes first: the link is made when the parent comes */
        threads_are("b<a Re:x\na x", "(2 1)", "(1 2)");
        /* loops: a says b, b says a */
        threads_are("a<b .\nb<a .", "(2 1)", "(1 2)");
        threads_are("a<a .", "(1)", "(1)");
        threads_are("a<c .\nb<a .\nc<b .", "(3 1 2)", NULL);
        /* the same id twice: the second is another letter */
        threads_are("a .\na .\nb<a .", "(1 3)(2)", "(1 (2)(3))");
        /* a truncated References put b below z; b itself knows better */
        threads_are("c<z<b .\na .\nb<a .", "(2 3 1)", NULL);
        /* siblings by date, threads by the date of their first letter */
        threads_are("a @9 .\nb<a @5 .\nc<a @3 .\nd @4 .", "(4)(1 (3)(2))", NULL);
        /* one subject: a reply below what is none; two replies, and two letters, below a dummy */
        threads_are("a x\nb Re:x", "(1 2)", "(1 2)");
        threads_are("a Re:x\nb x", "(2 1)", "(1 2)");
        threads_are("a x\nb x", "((1)(2))", "(1 2)");
        threads_are("a Re:x\nb Re:x\nc Re:x", "((1)(2)(3))", "(1 (2)(3))");
        threads_are("a x\nb y\nc x", "((1)(3))(2)", "(1 3)(2)");
        /* dummies of one subject are joined; a letter joins a dummy */
        threads_are("b<a Re:x\nc<a Re:x\ne<d Re:x\nf<d Re:x", "((1)(2)(3)(4))", NULL);
        threads_are("b<a Re:x\nc<a Re:x\ng x", "((1)(2)(3))", NULL);
        /* letters without subject are not gathered */
        threads_are("- .\n- .", "(1)(2)", "(1 2)");
        /* a branch in a branch */
        threads_are("a x\nb<a Re:x\nc<a<b Re:x\nd<a<b Re:x\ne<a Re:x", "(1 (2 (3)(4))(5))",
                    "(1 (2)(3)(4)(5))");
        /* grandchildren of a missing one */
        threads_are("c<a<b .\nd<a<b .\ne<a .", "((1)(2)(3))", NULL);
}

/* A mailbox that is one chain, told from its end, and one in which every letter moves it: time stays bounded, nothing recurses. */
static void deep(void **state)
{
        enum { N = 100000 };
        struct thread_letter *letters = mem_array(N, sizeof(*letters));
        uint64_t *refs = mem_array(2 * N, sizeof(*refs));
        struct buf b;

        (void)state;
        for (int round = 0; round < 3; round++) {
                for (size_t i = 0; i < N; i++) {
                        size_t at = round == 1 ? N - i : i + 1;

                        letters[i] = (struct thread_letter){ .shown = (uint32_t)i + 1,
                                                             .date = (int64_t)at,
                                                             .id = at,
                                                             .first_ref = 2 * i,
                                                             .refs = 1 };
                        refs[2 * i] = at > 1 ? at - 1 : 5 * N;
                        if (round == 2) {
                                letters[i].refs = 2;
                                refs[2 * i + 1] = at + 1;
                        }
                }
                buf_init(&b, 16 << 20);
                assert_true(thread_references(letters, N, refs, &b));
                if (round == 0)
                        assert_true(str_starts(buf_str(&b), S("(1 2 3 4 ")) && b.p[b.n - 1] == ')' &&
                                    str_find(buf_str(&b), ')') == b.n - 1);
                if (round == 1)
                        assert_true(str_starts(buf_str(&b), S("(100000 99999 99998 ")));
                buf_free(&b);
        }
        mem_free(letters);
        mem_free(refs);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(threads), cmocka_unit_test(deep) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
