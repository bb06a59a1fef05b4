/* SEARCH: what keys become; trees of keys against a plain look at every letter. */
#include "account_fixture.h"
#include "fibers.h"
#include "proto/imap/search.h"
#include "proto/imap/selected.h"

#include <sys/socket.h>
#include <time.h>

static struct settings settings;
static struct server server = { .settings = &settings };

static void open_session(struct imap *p)
{
        *p = (struct imap){ .session = { .server = &server, .state = IMAP_SELECTED } };
        arena_init(&p->session.command, 64 << 20);
}

/* ---- keys ---- */

static const char *const names[] = {
        "all",    "seq",     "uid",      "saved",    "recent", "flags",  "keyword", "size", "savedate",
        "modseq", "emailid", "received", "threadid", "sent",   "header", "text",    "and",  "or",
};

static void show(struct buf *b, const struct search_key *k)
{
        buf_printf(b, "%s%s%s", k->no ? "!" : "", k->fuzzy ? "~" : "", names[k->what]);
        switch (k->what) {
        case KEY_SEQUENCE:
        case KEY_UID:
                for (size_t i = 0; i < k->n; i++)
                        buf_printf(b, " %u:%u", k->ranges[i].first, k->ranges[i].last);
                break;
        case KEY_FLAGS: buf_printf(b, " %lld", (long long)k->from); break;
        case KEY_KEYWORD: buf_printf(b, " " PRS, STR(k->text)); break;
        case KEY_HEADER:
        case KEY_TEXT: buf_printf(b, " %d " PRS "=" PRS, k->field, STR(k->name), STR(k->text)); break;
        case KEY_SIZE:
        case KEY_SAVEDATE:
        case KEY_SENT:
        case KEY_MODSEQ:
        case KEY_EMAILID:
        case KEY_THREADID: buf_printf(b, " %lld..%lld", (long long)k->from, (long long)k->until); break;
        case KEY_RECEIVED:
                buf_printf(b, " %lld..%lld", (long long)(k->from / 1000000), (long long)(k->until / 1000000));
                break;
        default: break;
        }
        for (const struct search_key *c = k->first; c; c = c->next) {
                buf_puts(b, S(" ("));
                show(b, c);
                buf_puts(b, S(")"));
        }
}

/* The tree as text, or the reason why there is none. */
static void keys_are(const char *line, const char *want)
{
        struct imap p;
        struct scan a = scan_of(str_of(line));
        struct search_program program;
        struct buf b;

        open_session(&p);
        buf_init(&b, 65536);
        search_program(&p.session, &a, &program);
        if (!imap_end(&p.session, &a))
                buf_puts(&b, str_of(a.bad && a.why ? a.why : "something left"));
        else if (program.unknown)
                buf_puts(&b, S("charset"));
        else
                show(&b, program.root);
        assert_str(buf_str(&b), str_of(want));
        buf_free(&b);
        arena_finish(&p.session.command);
}

static void keys(void **state)
{
        static const struct {
                const char *line, *want;
        } rows[] = {
                { "ALL", "all" },
                { "unseen DELETED", "and (!flags 1) (flags 8)" },
                { "NOT NOT ANSWERED", "flags 2" },
                { "NOT (SEEN DRAFT)", "!and (flags 1) (flags 16)" },
                { "OR TEXT x SEEN", "or (flags 1) (text 7 =x)" },
                { "BODY \"a b\" 2:4,7,*:9 UID 5:*", "and (seq 2:4 7:7 0:9) (uid 5:0) (text 6 =a b)" },
                { "$ NEW", "and (saved) (and (recent) (!flags 1))" },
                { "OLD", "!recent" },
                { "UNKEYWORD $Junk KEYWORD x", "and (!keyword $Junk) (keyword x)" },
                { "LARGER 10 SMALLER 20", "and (size 11..9223372036854775807) (size 0..20)" },
                { "ON 1-Feb-1994", "received 760060800..760147200" },
                { "SENTSINCE \"29-Feb-2000\"", "sent 951782400..9223372036854775807" },
                { "SAVEDBEFORE 01-Jan-1970", "savedate -9223372036854775807..0" },
                { "SAVEDATESUPPORTED", "all" },
                { "HEADER Message-ID <1@x>", "header 5 Message-ID=<1@x>" },
                { "HEADER X-A \"\"", "header 5 X-A=" },
                { "SUBJECT \"\"", "header 5 Subject=" },
                { "TEXT \"\"", "all" },
                { "SUBJECT {3}\r\na\"b SEEN", "and (flags 1) (header 0 =a\"b)" },
                { "CHARSET KOI8-R FROM {3+}\r\n\xf0\xd2\xc9", "header 1 =\xd0\x9f\xd1\x80\xd0\xb8" },
                { "CHARSET utf-8 FROM \"\xc3\xa9\"", "header 1 =\xc3\xa9" },
                { "FROM \"\xe9\"", "header 1 =\xc3\xa9" },
                { "CHARSET x-none FROM a", "charset" },
                { "MODSEQ \"/flags/\\\\draft\" all 620162338", "modseq 620162338..9223372036854775807" },
                { "MODSEQ 5", "modseq 5..9223372036854775807" },
                { "EMAILID M1f THREADID Tff", "and (emailid 31..32) (threadid 255..256)" },
                { "EMAILID x1 EMAILID M0 EMAILID M1G", "and (emailid 0..0) (emailid 0..0) (emailid 0..0)" },
                { "FUZZY (SUBJECT a FROM b) TO c", "and (~and (~header 0 =a) (~header 1 =b)) (header 2 =c)" },
                { "UIDAFTER 7 UIDBEFORE 9 UIDBEFORE 1", "and (uid 8:4294967295) (uid 1:8) (uid)" },
                { "", "a search key is missing" },
                { "SEEN AND DRAFT", "there is no such search key" },
                { "(SEEN", "another character expected" },
                { "SMALLER", "another character expected" },
                { "ON 31-Feb-1994", "no such date" },
                { "OR SEEN", "another character expected" },
                { "HEADER \"\" x", "no field can have that name" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                keys_are(rows[i].line, rows[i].want);
}

/* Hostile input 6: a tree too deep, too wide, with too many or too long texts is refused, whatever stands behind. */
static void bounds(void **state)
{
        static const struct {
                const char *piece;
                unsigned times;
                const char *end, *why;
        } rows[] = {
                { "NOT ", 52, "SEEN", "[LIMIT] the search keys are nested too deeply" },
                { "(", 60, "SEEN", "[LIMIT] the search keys are nested too deeply" },
                { "OR ", 100000, "SEEN", "[LIMIT] the search keys are nested too deeply" },
                { "FUZZY ", 52, "SEEN", "[LIMIT] the search keys are nested too deeply" },
                { "SEEN ", 300, "SEEN", "[LIMIT] too many search keys" },
                { "TEXT x ", 101, "SEEN", "[LIMIT] too many texts to look for" },
                { "", 0, "TEXT", "[LIMIT] that is too long to be looked for" },
        };
        struct buf b;

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                buf_init(&b, 1 << 20);
                for (unsigned k = 0; k < rows[i].times; k++)
                        buf_puts(&b, str_of(rows[i].piece));
                buf_puts(&b, str_of(rows[i].end));
                for (unsigned k = 0; !rows[i].times && k < SEARCH_TEXT_MOST + 2; k++)
                        buf_put(&b, k ? "x" : " ", 1);
                buf_put(&b, "", 1);
                keys_are(b.p, rows[i].why);
                buf_free(&b);
        }
}

/* ---- return options ---- */

static void options(void **state)
{
        static const struct {
                const char *line;
                size_t found, first, until;
        } rows[] = {
                { "RETURN (PARTIAL 1:10) ", 25, 0, 10 },   { "RETURN (PARTIAL 30:21) ", 25, 20, 25 },
                { "RETURN (PARTIAL 26:30) ", 25, 0, 0 },   { "RETURN (PARTIAL -1:-10) ", 25, 15, 25 },
                { "RETURN (PARTIAL -20:-30) ", 25, 0, 6 }, { "RETURN (PARTIAL -26:-30) ", 25, 0, 0 },
                { "RETURN (PARTIAL 1:1) ", 0, 0, 0 },
        };
        static const char *const wrong[] = { "RETURN (PARTIAL 1) ",    "RETURN (PARTIAL 0:1) ",
                                             "RETURN (PARTIAL -1:2) ", "RETURN (PARTIAL 1:2 ALL) ",
                                             "RETURN (BEST) ",         "RETURN (MIN" };
        struct search_return r;
        struct imap p;

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct scan a = scan_of(str_of(rows[i].line));
                size_t first, until;

                open_session(&p);
                search_return(&p.session, &a, &r);
                assert_true(scan_done(&a) && r.given && r.partial && !r.all);
                search_partial(&r, rows[i].found, &first, &until);
                assert_int_equal(first, rows[i].first);
                assert_int_equal(until, rows[i].until);
                arena_finish(&p.session.command);
        }
        for (size_t i = 0; i < LENGTH(wrong); i++) {
                struct scan a = scan_of(str_of(wrong[i]));

                open_session(&p);
                search_return(&p.session, &a, &r);
                assert_true(a.bad);
                arena_finish(&p.session.command);
        }
}

/* ---- trees against a plain look ---- */

enum { LETTERS = 300 };

struct model {
        struct placed placed;
        bool there; /* in the map */
        int64_t received, sent;
        char subject[40];
};
static struct model model[LETTERS + 1]; /* by uid */
static uint32_t seqs[LETTERS + 1], count;
static uint64_t seed = 7;

static uint32_t any(uint32_t below)
{
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        return (uint32_t)((seed >> 33) % below);
}

static const char *const words[] = { "water", "Hill", "PAIL", "fetch", "jack", "crown" };

static void file_letters(struct account *a)
{
        for (uint32_t uid = 1; uid <= LETTERS; uid++) {
                struct model *m = &model[uid];
                struct filing f;
                struct buf b;
                time_t t = 946684800 + (time_t)any(30) * 43200;
                struct tm tm;
                char date[64];

                gmtime_r(&t, &tm);
                strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S", &tm);
                buf_init(&b, 65536);
                snprintf(m->subject, sizeof(m->subject), "%s %s", words[any(6)], words[any(6)]);
                buf_printf(&b, "Subject: %s\r\n", m->subject);
                m->sent = INT64_MIN;
                if (any(8)) { /* the day as written, whatever the zone */
                        buf_printf(&b, "Date: %s %s\r\n", date, any(2) ? "+1100" : "-0900");
                        m->sent = t;
                }
                buf_puts(&b, S("\r\n"));
                for (uint32_t n = any(40); n; n--)
                        buf_puts(&b, S("up the hill to fetch a pail of water\r\n"));
                f = fixture_filing(buf_str(&b));
                m->received = f.received = (946684800 + (int64_t)any(30) * 43200) * 1000000 + 5;
                f.flags = any(32) | (any(3) ? 0 : 256);
                assert_int_equal(account_file(a, &f, 1), 0);
                assert_int_equal(f.uid, uid);
                buf_free(&b);
        }
}

static const struct keyword_list keywords = { .names = { [8] = { "$Junk", 5 } }, .bits = 256 };
static struct uid_list saved;

static bool in_set(const struct search_key *k, uint32_t v, uint32_t star)
{
        for (size_t i = 0; i < k->n; i++) {
                uint32_t a = k->ranges[i].first ? k->ranges[i].first : star;
                uint32_t b = k->ranges[i].last ? k->ranges[i].last : star;

                if (v >= (a < b ? a : b) && v <= (a < b ? b : a))
                        return true;
        }
        return false;
}

static bool plainly(const struct search_key *k, uint32_t seq)
{
        uint32_t uid = seqs[seq];
        const struct model *m = &model[uid];
        bool yes = false;

        switch (k->what) {
        case KEY_ALL: yes = true; break;
        case KEY_SEQUENCE: yes = in_set(k, seq, count); break;
        case KEY_UID: yes = in_set(k, uid, seqs[count]); break;
        case KEY_SAVED: yes = uid_list_has(&saved, uid); break;
        case KEY_RECENT: yes = uid >= 200 && uid < 250; break;
        case KEY_FLAGS: yes = (m->placed.flags & (uint64_t)k->from) != 0; break;
        case KEY_KEYWORD: yes = str_ieq(k->text, S("$junk")) && m->placed.flags & 256; break;
        case KEY_SIZE: yes = m->placed.size >= k->from && m->placed.size < k->until; break;
        case KEY_RECEIVED: yes = m->received >= k->from && m->received < k->until; break;
        case KEY_SENT: yes = m->sent >= k->from && m->sent < k->until; break;
        case KEY_EMAILID: yes = m->placed.letter == k->from; break;
        case KEY_HEADER: yes = strcasestr(m->subject, k->text.p) != NULL; break;
        case KEY_AND:
                yes = true;
                for (const struct search_key *c = k->first; c; c = c->next)
                        yes &= plainly(c, seq);
                break;
        case KEY_OR:
                for (const struct search_key *c = k->first; c; c = c->next)
                        yes |= plainly(c, seq);
                break;
        default: fail();
        }
        return yes != k->no;
}

static void random_key(struct buf *b, unsigned depth)
{
        static const char *const plain[] = {
                "ALL", "SEEN",          "UNSEEN",          "DELETED", "UNDRAFT", "RECENT",        "NEW",
                "OLD", "KEYWORD $JUNK", "UNKEYWORD $junk", "$",       "FLAGGED", "KEYWORD unused"
        };
        static const char *const dates[] = { "BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE" };

        switch (any(depth ? 11 : 7)) {
        case 0:
        case 1: buf_puts(b, str_of(plain[any(LENGTH(plain))])); break;
        case 2:
                buf_printf(b, "%s%u:%u,%u", any(2) ? "UID " : "", 1 + any(320), 1 + any(320), 1 + any(320));
                break;
        case 3: buf_printf(b, any(2) ? "%u:*" : "UID *:%u", 1 + any(400)); break;
        case 4: buf_printf(b, "%s %u", any(2) ? "LARGER" : "SMALLER", any(1500)); break;
        case 5: buf_printf(b, "%s %u-Jan-2000", dates[any(6)], 1 + any(18)); break;
        case 6:
                if (any(4))
                        buf_printf(b, "SUBJECT %s", words[any(6)]);
                else
                        buf_printf(b, "EMAILID M%x", 1 + any(LETTERS));
                break;
        case 7:
                buf_puts(b, S("NOT "));
                random_key(b, depth - 1);
                break;
        case 8:
                buf_puts(b, S("OR "));
                random_key(b, depth - 1);
                buf_puts(b, S(" "));
                random_key(b, depth - 1);
                break;
        default:
                buf_puts(b, S("("));
                for (uint32_t n = 1 + any(3); n; n--) {
                        random_key(b, depth - 1);
                        buf_puts(b, n > 1 ? S(" ") : S(")"));
                }
        }
}

static void one_search(struct search_scope *scope, const char *line)
{
        struct imap *p = imap_of(scope->s);
        struct scan a = scan_of(str_of(line));
        struct search_program program;
        struct search_found f;
        size_t n = 0;

        search_program(&p->session, &a, &program);
        if (!imap_end(&p->session, &a))
                fail_msg("%s: %s", line, a.why);
        assert_int_equal(search_run(scope, program.root, &f), 0);
        for (uint32_t seq = 1; seq <= count; seq++) {
                bool yes = plainly(program.root, seq), got = n < f.n && f.seqs[n] == seq;

                if (yes != got)
                        fail_msg("%s: number %u, uid %u: %s", line, seq, seqs[seq],
                                 got ? "too much" : "missing");
                n += got;
        }
        assert_int_equal(n, f.n);
        search_found_free(&f);
        arena_reset(&p->session.command);
}

static void trees(void **state)
{
        char folder[] = "/tmp/test-imap-search-XXXXXX";
        struct uid_range all = { 1, UINT32_MAX };
        struct placed_list list = { 0 };
        struct seqmap map = { 0 };
        struct accounts *accounts;
        struct search_scope scope;
        struct account *a;
        struct access x;
        struct imap p;
        struct buf b;

        (void)state;
        assert_non_null(mkdtemp(folder));
        accounts = fixture_open(folder, 4);
        assert_int_equal(account_create(accounts, JILL), 0);
        assert_int_equal(account_get(accounts, JILL, &a), 0);
        file_letters(a);
        assert_int_equal(access_open(&x, accounts, JILL, JILL, INBOX, RIGHT_READ), 0);
        assert_int_equal(change_list(&x, &all, 1, 0, &list), 0);
        assert_int_equal(list.n, LETTERS);
        count = 0;
        for (size_t i = 0; i < list.n; i++) {
                uint32_t uid = list.list[i].uid;

                model[uid].placed = list.list[i];
                if (any(10) == 0)
                        continue;
                seqmap_add(&map, uid);
                seqs[++count] = uid;
                if (any(5) == 0)
                        uid_list_add(&saved, uid, uid);
        }
        open_session(&p);
        buf_init(&b, 65536);
        scope = (struct search_scope){ .s = &p.session,
                                       .x = &x,
                                       .map = &map,
                                       .keywords = &keywords,
                                       .saved = &saved,
                                       .recent_from = 200,
                                       .recent_until = 250 };
        for (unsigned i = 0; i < 1500; i++) {
                buf_clear(&b);
                for (uint32_t n = 1 + any(3); n; n--) {
                        random_key(&b, 4);
                        buf_puts(&b, n > 1 ? S(" ") : S(""));
                }
                buf_put(&b, "", 1);
                one_search(&scope, b.p);
        }
        /* RFC 9738 §3.1: the last 20 of those that the numbers allow */
        scope.limit = 20;
        {
                struct scan line = scan_of(S("1:100 SMALLER 100000"));
                struct search_program program;
                struct search_found f;

                search_program(&p.session, &line, &program);
                assert_int_equal(search_run(&scope, program.root, &f), 0);
                assert_int_equal(f.n, 20);
                assert_int_equal(f.seqs[0], 81);
                assert_int_equal(f.lowest, seqs[81]);
                search_found_free(&f);
        }
        buf_free(&b);
        arena_finish(&p.session.command);
        placed_list_free(&list);
        seqmap_free(&map);
        uid_list_free(&saved);
        access_close(&x);
        account_put(&a);
        accounts_close(&accounts);
        fixture_remove(folder);
}

/* ---- progress ---- */

static bool told, after;

/* RFC 9585: after some time the client hears of it, then not again at once; a client that has gone ends the search. */
static void hears_of_it(void *arg)
{
        int *fds = arg;
        struct addr nobody = { 0 };
        struct search_scope scope;
        struct imap p;

        open_session(&p);
        p.session.conn = conn_new(fds[0], nobody, nobody);
        p.tag = S("a1");
        scope = (struct search_scope){ .s = &p.session, .told = now() - 60 * SECOND };
        told = search_progress(&scope, 5, 10) && search_progress(&scope, 6, 10);
        scope.told = now() - 60 * SECOND;
        conn_fail(p.session.conn);
        after = search_progress(&scope, 7, 10);
        conn_free(&p.session.conn);
        arena_finish(&p.session.command);
}

static void progress(void **state)
{
        char text[200] = "";
        ssize_t n;
        int fds[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        spawn(hears_of_it, fds);
        run_all();
        n = read(fds[1], text, sizeof(text));
        assert_str(str_from(text, n > 0 ? (size_t)n : 0), S("* OK [INPROGRESS (\"a1\" 5 10)] searching\r\n"));
        assert_true(told && !after);
        close(fds[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keys),    cmocka_unit_test(bounds),
                cmocka_unit_test(options), cmocka_unit_test_setup_teardown(progress, begin, finish),
                cmocka_unit_test(trees),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
