/* LIST's patterns against a plain recursive reading of the grammar, and the choice of names. */
#include "unit.h"
#include "base/buf.h"
#include "base/codec.h"
#include "proto/imap/imap.h"
#include "proto/imap/list.h"

static struct arena m;

static int begin(void **state)
{
        (void)state;
        arena_init(&m, 64 << 20);
        return 0;
}

static int end(void **state)
{
        (void)state;
        arena_finish(&m);
        return 0;
}

static bool matches(const char *pattern, struct str name)
{
        struct pattern p;
        size_t used = 0;

        assert_true(pattern_make(&m, str_of(pattern), &used, &p));
        return pattern_matches(&p, name);
}

static void matches_as_the_rfc_says(void **state)
{
        static const struct {
                const char *pattern, *name;
                bool yes;
        } rows[] = {
                { "", "", true },
                { "", "a", false },
                { "*", "", true },
                { "*", "a/b/c", true },
                { "%", "a", true },
                { "%", "a/b", false },
                { "%/%", "a/b", true },
                { "%/%", "a/b/c", false },
                { "*/%", "a/b/c", true },
                { "a%c", "abbc", true },
                { "a%c", "ab/c", false },
                { "a*c", "ab/c", true },
                { "a**%%*c", "a/b/c", true },
                { "a%%%", "a/", false },
                { "foo", "foo", true },
                { "foo", "Foo", false },
                { "foo/", "foo", false },
                { "inbox", "INBOX", true },
                { "iNb*", "INBOX/x", true },
                { "%nBo%/X", "INBOX/x", false },
                { "%nBo%/x", "INBOX/x", true },
                { "inboxes", "INBOXES", false },
                { "\xc3\xa4*", "\xc3\xa4\xc3\xb6", true },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                if (matches(rows[i].pattern, str_of(rows[i].name)) != rows[i].yes)
                        fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].name);
}

static bool plain(struct str p, struct str s)
{
        if (!p.n)
                return !s.n;
        if (p.p[0] == '*' || p.p[0] == '%') {
                if (plain(str_from_at(p, 1), s))
                        return true;
                return s.n && (p.p[0] == '*' || s.p[0] != '/') && plain(p, str_from_at(s, 1));
        }
        return s.n && s.p[0] == p.p[0] && plain(str_from_at(p, 1), str_from_at(s, 1));
}

/* All patterns up to five and names up to six of a small alphabet; and long ones, past the first word of states. */
static void agrees_with_a_plain_reading(void **state)
{
        static const char in_pattern[] = "a/*%", in_name[] = "ab/";
        char pattern[6], name[100];

        (void)state;
        for (unsigned i = 0; i < 1024; i++) {
                for (unsigned k = 0, left = i; k < 5; k++, left /= 4)
                        pattern[k] = in_pattern[left % 4];
                pattern[5] = 0;
                for (unsigned n = 0; n < 729; n += 1 + i % 3) {
                        struct str s = str_from(name, n % 7);

                        for (unsigned k = 0, left = n; k < 6; k++, left /= 3)
                                name[k] = in_name[left % 3];
                        if (matches(pattern, s) != plain(str_of(pattern), s))
                                fail_msg("\"%s\" and \"" PRS "\"", pattern, STR(s));
                }
                arena_reset(&m);
        }
        memset(name, 'x', sizeof name);
        for (unsigned n = 55; n < 100; n++) {
                struct str s = arena_printf(&m, "%.*s*y%%", (int)n, name);

                assert_true(matches(s.p, arena_printf(&m, "%.*s/y", (int)n, name)));
                assert_false(matches(s.p, arena_printf(&m, "%.*s/y/", (int)n, name)));
                assert_false(matches(s.p, arena_printf(&m, "%.*s/y", (int)n - 1, name)));
        }
}

/* What takes matchers that go back years: this test would not end. */
static void does_not_go_back(void **state)
{
        struct buf pattern, name;
        struct pattern p;
        size_t used = 0;

        (void)state;
        buf_init(&pattern, 10000);
        buf_init(&name, 10000);
        while (pattern.n < 4000)
                buf_puts(&pattern, S("*a%"));
        buf_puts(&pattern, S("b"));
        while (name.n < 1200)
                buf_puts(&name, S("a"));
        assert_true(pattern_make(&m, buf_str(&pattern), &used, &p));
        for (unsigned i = 0; i < 100; i++)
                assert_false(pattern_matches(&p, buf_str(&name)));
        assert_false(pattern_make(&m, buf_str(&pattern), &used, &p)); /* a second one is too much */
        buf_clear(&pattern);
        while (pattern.n < 9000)
                buf_puts(&pattern, S("*%"));
        used = 0;
        assert_true(pattern_make(&m, buf_str(&pattern), &used, &p)); /* that is one star */
        assert_int_equal(used, 2);
        buf_free(&pattern);
        buf_free(&name);
}

static void knows_what_it_can_reach(void **state)
{
        static const struct {
                const char *pattern, *prefix;
                bool yes;
        } rows[] = {
                { "*", "user/", true },      { "%", "user", true },          { "%", "user/", false },
                { "INBOX*", "user", false }, { "user/%", "user/x/", false }, { "user/x/a", "user/x/", true },
                { "u*", "shared/", false },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct pattern p;
                size_t used = 0;

                assert_true(pattern_make(&m, str_of(rows[i].pattern), &used, &p));
                assert_int_equal(pattern_reaches(&p, str_of(rows[i].prefix)), rows[i].yes);
        }
}

/* names: "a b! c": '!' subscribed, '-' subscribed and not there, '~' an archive; shown: '+' children, '?' not there, '>' childinfo */
static struct str choose(const char *names, const char *pattern, unsigned select)
{
        struct list_names l = { .m = &m };
        struct pattern p;
        struct list_query q = { select, &p, 1 };
        struct str rest = str_of(names), word;
        struct buf out;
        struct str s;
        size_t used = 0;

        assert_true(pattern_make(&m, str_of(pattern), &used, &p));
        while (rest.n) {
                struct list_name name = { .bits = NAME_EXISTS };

                str_cut(&rest, ' ', &word);
                if (str_ends(word, S("!")))
                        name.bits |= NAME_SUBSCRIBED;
                if (str_ends(word, S("-")))
                        name.bits = NAME_SUBSCRIBED;
                if (str_ends(word, S("~")))
                        name.role = S("archive");
                name.name = name.bits == NAME_EXISTS && !name.role.n ? word : str_sub(word, 0, word.n - 1);
                assert_true(names_add(&l, &name));
        }
        names_choose(&l, &q);
        buf_init(&out, 10000);
        for (size_t i = 0; i < l.n; i++)
                if (l.list[i].bits & NAME_SHOWN)
                        buf_printf(&out, "%s" PRS "%s%s%s", out.n ? " " : "", STR(l.list[i].name),
                                   l.list[i].bits & NAME_CHILDREN ? "+" : "",
                                   l.list[i].bits & NAME_EXISTS ? "" : "?",
                                   select & SELECT_RECURSIVE && l.list[i].bits & NAME_CHILD_SELECTED ? ">"
                                                                                                     : "");
        s = arena_str(&m, buf_str(&out));
        buf_free(&out);
        list_names_free(&l);
        return s;
}

static void chooses_names(void **state)
{
        enum { SUBSCRIBED = SELECT_SUBSCRIBED, RECURSIVE = SELECT_SUBSCRIBED | SELECT_RECURSIVE };
        static const struct {
                const char *names, *pattern;
                unsigned select;
                const char *shown;
        } rows[] = {
                { "b a/x INBOX a", "*", 0, "INBOX a+ a/x b" },
                { "a/b INBOX/z a.b a INBOX", "*", 0, "INBOX+ INBOX/z a+ a/b a.b" },
                { "x/y/z", "*", 0, "x/y/z" }, /* levels that are no mailboxes: only for '%' */
                { "x/y/z", "%", 0, "x+?" },
                { "x/y/z", "x/%", 0, "x/y+?" },
                { "x/y/z a-", "%", 0, "x+?" }, /* a subscription alone is no level */
                { "x/y-", "%", 0, "" },
                { "a! b", "*", SUBSCRIBED, "a" },
                { "a! b gone-", "*", SUBSCRIBED, "a gone?" },
                { "a a!", "*", SUBSCRIBED, "a" }, /* twice: one name */
                { "a a/b! a/c", "%", SUBSCRIBED, "" },
                { "a a/b! a/c", "%", RECURSIVE, "a+>" },
                { "a a/b!", "*", RECURSIVE, "a/b" },
                { "a! a/b!", "%", RECURSIVE, "a+>" },
                { "a! a/b", "%", RECURSIVE, "a+" },
                { "a/b/c-", "%", RECURSIVE, "a?>" },
                { "a/b/c-", "a/%", RECURSIVE, "a/b?>" },
                { "a/b/c-", "*b", RECURSIVE, "a/b?>" },
                { "a/b/c- a", "*", RECURSIVE, "a/b/c?" },
                { "a~ b c/d~", "*", SELECT_SPECIAL, "a c/d" },
                { "a/d~ a", "%", SELECT_SPECIAL | SELECT_RECURSIVE, "a+>" },
                { "n/c/m! o", "*", SELECT_LSUB, "n/c/m" },
                { "n/c/m! o", "%", SELECT_LSUB, "n+?" },
                { "n/c/m- o", "%", SELECT_LSUB, "n?" },
                { "n! n/m!", "%", SELECT_LSUB, "n+" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct str got = choose(rows[i].names, rows[i].pattern, rows[i].select);

                if (!str_eq(got, str_of(rows[i].shown)))
                        fail_msg("%s, %s, %u: " PRS, rows[i].names, rows[i].pattern, rows[i].select,
                                 STR(got));
        }
}

/* "%llu" of "[METADATA LONGENTRIES %llu] ..." */
static struct str conversions(const char *format)
{
        struct buf b;
        struct str s;

        buf_init(&b, 1000);
        for (bool inside = false; *format; format++) {
                inside |= *format == '%';
                if (inside)
                        buf_put(&b, format, 1);
                inside &= !strchr("sudx", *format);
        }
        s = arena_str(&m, buf_str(&b));
        buf_free(&b);
        return s;
}

/* RFC 5255 §3: the text changes, not what a program reads of it. */
static void translations_say_the_same(void **state)
{
        (void)state;
        for (const struct translation *t = imap_translations; t->english; t++) {
                size_t code = t->english[0] == '[' ? strcspn(t->english, "]") + 1 : 0;

                assert_str(conversions(t->german), conversions(t->english));
                assert_str(conversions(t->french), conversions(t->english));
                assert_true(utf8_valid(str_of(t->german)) && utf8_valid(str_of(t->french)));
                assert_str(str_from(t->german, code), str_from(t->english, code));
                assert_str(str_from(t->french, code), str_from(t->english, code));
                for (const struct translation *u = t + 1; u->english; u++)
                        assert_string_not_equal(t->english, u->english);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(matches_as_the_rfc_says, begin, end),
                cmocka_unit_test_setup_teardown(agrees_with_a_plain_reading, begin, end),
                cmocka_unit_test_setup_teardown(does_not_go_back, begin, end),
                cmocka_unit_test_setup_teardown(knows_what_it_can_reach, begin, end),
                cmocka_unit_test_setup_teardown(chooses_names, begin, end),
                cmocka_unit_test_setup_teardown(translations_say_the_same, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
