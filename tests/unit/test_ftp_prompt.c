/* pail ftp's small parsers: where a server is, words of a line, which command is meant; and the words for sizes, rates and times. */
#include "unit.h"
#include "base/mem.h"
#include "cli/ftp/ftp.h"
#include <errno.h>

static void test_where(void **state)
{
        static const struct {
                const char *text, *host, *user, *password, *path;
                unsigned port;
        } good[] = {
                { "ftp.example.org", "ftp.example.org", "", "", "", 0 },
                { "jill@hill.com:2121/pub", "hill.com", "jill", "", "/pub", 2121 },
                { "jill@hill.com@127.0.0.1", "127.0.0.1", "jill@hill.com", "", "", 0 },
                { "[::1]:21", "::1", "", "", "", 21 },
                { "::1", "::1", "", "", "", 0 },
                { "ftp://a:b%40c@h:3/x/y%20z;type=a", "h", "a", "b@c", "x/y z", 3 },
                { "FTPS://h/%2Fetc", "h", "", "", "/etc", 0 },
                { "ftp://h/100%", "h", "", "", "100%", 0 },
        };
        static const char *const bad[] = { "",     "@",   "http://h/",           "h:0",     "h:65536", "h:x",
                                           "[::1", "a b", "ftp://h/x%0d%0aDELE", "ftp:///x" };
        struct where *w = mem_new(struct where);
        const char *why;

        (void)state;
        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
                assert_true(where_parse(str_of(good[i].text), w, &why));
                assert_string_equal(w->host, good[i].host);
                assert_string_equal(w->user, good[i].user);
                assert_string_equal(w->password, good[i].password);
                assert_string_equal(w->path, good[i].path);
                assert_int_equal(w->port, good[i].port);
        }
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                assert_false(where_parse(str_of(bad[i]), w, &why));
        mem_free(w);
}

static void test_where_the_secret_is(void **state)
{
        static const struct {
                const char *text, *secret; /* NULL: it has none */
        } rows[] = {
                { "ftp://a:b@h/x", "b" },
                { "ftp://a:b:c@h", "b:c" },
                { "http://a:b@c@h/", "b@c" },
                { "ftp://a@h/x:y@z", NULL },
                { "ftp://h:21/a@b", NULL },
                { "a:b@h", NULL },
                { "ftp://a:@h", "" },
                { "", NULL },
                { "://:b@", "b" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                size_t at, n;

                assert_int_equal(where_secret(rows[i].text, &at, &n), rows[i].secret != NULL);
                if (rows[i].secret)
                        assert_true(str_eq(str_from(rows[i].text + at, n), str_of(rows[i].secret)));
        }
}

/* The patterns are those of BSD's manual page. */
static void test_names_across(void **state)
{
        static const struct {
                const char *trans[2], *map[2];
                bool small;
                const char *name, *fetched, *sent;
        } rows[] = {
                { { "", "" }, { "", "" }, true, "README.TXT", "readme.txt", "README.TXT" },
                { { "", "" }, { "", "" }, true, "Makefile", "Makefile", "Makefile" },
                { { "ab", "x" }, { "", "" }, false, "abcab", "xcx", "xcx" },
                { { "", "" },
                  { "$1.$2.$3", "[$1,$2].[$2,file]" },
                  false,
                  "myfile.data",
                  "myfile.data",
                  "myfile.data" },
                { { "", "" },
                  { "$1.$2.$3", "[$1,$2].[$2,file]" },
                  false,
                  "myfile.data.old",
                  "myfile.data",
                  "myfile.data" },
                { { "", "" },
                  { "$1.$2.$3", "[$1,$2].[$2,file]" },
                  false,
                  "myfile",
                  "myfile.file",
                  "myfile.file" },
                { { "", "" },
                  { "$1.$2.$3", "[$1,$2].[$2,file]" },
                  false,
                  ".myfile",
                  "myfile.myfile",
                  "myfile.myfile" },
                { { "", "" }, { "$1.$2", "$2 of $0 \\$1\\[" }, false, "a.b", "b of a.b $1[", "b of a.b $1[" },
                { { "", "" }, { "x$1", "$1" }, false, "x", "x", "x" },
                { { "", "" }, { "$1", "[$1" }, false, "a", "a", "a" },
                { { "_", " " }, { "$1 $2", "$2" }, true, "A_B", "b", "B" },
        };
        struct console *c = mem_new(struct console);

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct arena auto_arena a = { 0 };

                arena_init(&a, 1 << 20);
                c->case_down = rows[i].small;
                snprintf(c->trans.in, NAME_ROOM, "%s", rows[i].trans[0]);
                snprintf(c->trans.out, NAME_ROOM, "%s", rows[i].trans[1]);
                snprintf(c->map.in, NAME_ROOM, "%s", rows[i].map[0]);
                snprintf(c->map.out, NAME_ROOM, "%s", rows[i].map[1]);
                assert_string_equal(name_across(c, str_of(rows[i].name), true, &a).p, rows[i].fetched);
                assert_string_equal(name_across(c, str_of(rows[i].name), false, &a).p, rows[i].sent);
        }
        mem_free(c);
}

/* What is written is read again, but for the password. */
static void test_where_url(void **state)
{
        static const struct {
                const char *text, *url;
        } rows[] = {
                { "ftp://a:b@h:21/x y", "ftp://a@h/x%20y" },
                { "jill@h:22/pub", "ftp://jill@h:22/%2Fpub" },
                { "ftpes://[::1]/", "ftpes://[::1]" },
        };
        struct where *w = mem_new(struct where);
        const char *why;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct buf auto_buf url = { 0 };

                buf_init(&url, 1024);
                assert_true(where_parse(str_of(rows[i].text), w, &why));
                where_url(w, &url);
                assert_true(str_eq(buf_str(&url), str_of(rows[i].url)));
        }
        mem_free(w);
}

static void test_words(void **state)
{
        static const struct {
                const char *line;
                int n;
                const char *words[4];
        } rows[] = {
                { "", 0, { 0 } },
                { "  a\tb  ", 2, { "a", "b" } },
                { "\"a b\" c\\ d 'e\\'", 3, { "a b", "c d", "e\\" } },
                { "x\"\"y \"\"", 2, { "xy", "" } },
                { "a |sort -n \"x", 2, { "a", "|sort -n \"x" } },
                { "\"open", -EINVAL, { 0 } },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct arena auto_arena a = { 0 };
                char **words;

                arena_init(&a, 1 << 20);
                assert_int_equal(words_of(str_of(rows[i].line), &words, &a), rows[i].n);
                for (int k = 0; k < rows[i].n; k++)
                        assert_string_equal(words[k], rows[i].words[k]);
        }
}

static void test_commands(void **state)
{
        static const struct {
                const char *typed, *name; /* NULL: none, or not one */
        } rows[] = { { "get", "get" },    { "g", "get" },    { "recv", "get" }, { "LS", "ls" },
                     { "quit", "bye" },   { "q", NULL },     { "pu", "put" },   { "p", NULL },
                     { "bin", "binary" }, { "as", "ascii" }, { "mg", "mget" },  { "rm", "delete" },
                     { "disc", "close" }, { "xyz", NULL },   { "", NULL } };
        bool ambiguous;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const struct ftp_verb *v = verb_find(rows[i].typed, &ambiguous);

                if (rows[i].name)
                        assert_string_equal(v ? v->name : "none", rows[i].name);
                else
                        assert_null(v);
        }
        for (unsigned i = 0; i < ftp_verb_count; i++) /* each is found by its own name */
                assert_ptr_equal(verb_find(ftp_verbs[i].name, &ambiguous), &ftp_verbs[i]);
}

static void test_words_of_numbers(void **state)
{
        char room[48];

        (void)state;
        assert_true(str_eq(rate_words(1474560, 1875513000, room), S("767.79 KB/s"))); /* the lecture's line */
        assert_true(str_eq(time_words(1875500000, room), S("00:01")));
        assert_true(str_eq(time_words(3723 * SECOND, room), S("1:02:03")));
        assert_true(str_eq(size_words(1023, room), S("1023 bytes")));
        assert_true(str_eq(size_words(1474560, room), S("1.4 MB")));
        assert_true(size_words(UINT64_MAX, room).n < 32 && rate_words(UINT64_MAX, 0, room).n < 48);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_where),
                cmocka_unit_test(test_where_url),
                cmocka_unit_test(test_where_the_secret_is),
                cmocka_unit_test(test_names_across),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_commands),
                cmocka_unit_test(test_words_of_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
