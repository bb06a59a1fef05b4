/* mutt's patterns. Each term is decided for all letters at once, as the store's search does it. */
#include "cli/mail/view_inside.h"
#include "base/mem.h"
#include "base/scan.h"
#include "run/offload.h"
#include "store/search.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { DEPTH_MOST = 32, TERMS_MOST = 64 };

struct pattern {
        struct view *v;
        struct scan in;
        unsigned depth, terms;
        struct buf *why;
        int rc;
};

static void fail(struct pattern *p, const char *why)
{
        if (p->rc == 0)
                buf_printf(p->why, "%s", why);
        p->rc = p->rc ? p->rc : -EINVAL;
}

/* ---- texts ---- */

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static void match_text(struct pattern *p, enum search_field field, struct str name, struct str text,
                       bool *match)
{
        struct view *v = p->v;
        struct search_needle needle = { .field = field, .name = name, .text = text };
        uint32_t *letters = mem_array(v->n + 1, sizeof *letters);
        bool *found = mem_array(v->n + 1, sizeof *found);
        size_t n = 0;
        int rc;

        for (size_t i = 0; i < v->n; i++)
                letters[i] = v->entries[i].placed.letter;
        qsort(letters, v->n, sizeof *letters, by_number);
        for (size_t i = 0; i < v->n; i++)
                if (!n || letters[n - 1] != letters[i])
                        letters[n++] = letters[i];
        for (size_t i = 0; i < n; i++)
                found[i] = true; /* asked about */
        rc = search_letters(copy_account(v->copy), &needle, letters, n, found, NULL,
                            &(struct search_how){ 0 });
        if (rc < 0 && p->rc == 0) {
                buf_printf(p->why, "%s", strerror(-rc));
                p->rc = rc;
        }
        for (size_t i = 0; i < v->n && rc == 0; i++) {
                const uint32_t *at =
                    bsearch(&v->entries[i].placed.letter, letters, n, sizeof *letters, by_number);

                match[i] = found[at - letters];
        }
        mem_free(letters);
        mem_free(found);
}

/* ---- numbers ---- */

static void match_flag(struct pattern *p, uint64_t flag, bool set, bool *match)
{
        for (size_t i = 0; i < p->v->n; i++)
                match[i] = !(p->v->entries[i].placed.flags & flag) == !set;
}

static void match_keyword(struct pattern *p, struct str name, bool *match)
{
        struct keyword_list known;
        struct access x = { 0 };
        struct arena auto_arena a;
        uint64_t bits = 0;
        int rc = copy_access(p->v->copy, &x, str_of(p->v->path), RIGHT_READ);

        arena_init(&a, 1 << 20);
        if (rc == 0)
                rc = change_keywords(&x, &a, &known);
        access_close(&x);
        for (unsigned i = 8; rc == 0 && i < 64; i++)
                if (str_ieq(known.names[i], name))
                        bits |= (uint64_t)1 << i;
        for (size_t i = 0; i < p->v->n; i++)
                match[i] = p->v->entries[i].placed.flags & bits;
}

/* ">10k" "<2M" "10k-20k" */
static bool size_number(struct scan *a, uint64_t *n)
{
        *n = scan_number(a, (uint64_t)1 << 40);
        if (scan_try_word(a, S("k")))
                *n <<= 10;
        else if (scan_try_word(a, S("m")))
                *n <<= 20;
        return !a->bad;
}

static void match_size(struct pattern *p, struct str text, bool *match)
{
        struct scan a = scan_of(text);
        bool less = scan_try(&a, '<'), more = !less && scan_try(&a, '>');
        uint64_t low = 0, high = UINT64_MAX, n;

        if (size_number(&a, &n)) {
                low = less ? 0 : n;
                high = less ? n : more ? UINT64_MAX : n;
        }
        if (!less && !more && scan_try(&a, '-') && !scan_end(&a) && !size_number(&a, &high))
                scan_fail(&a, "size");
        if (!scan_done(&a)) {
                fail(p, "a size is >10k, <2M or 10k-20k");
                return;
        }
        for (size_t i = 0; i < p->v->n; i++)
                match[i] = p->v->entries[i].placed.size >= low && p->v->entries[i].placed.size <= high;
}

/* 2026-11-20, in the person's time */
static bool day(struct scan *a, int64_t *at)
{
        struct tm tm = { .tm_isdst = -1 };

        tm.tm_year = (int)scan_number(a, 9999) - 1900;
        scan_char(a, '-');
        tm.tm_mon = (int)scan_number(a, 12) - 1;
        scan_char(a, '-');
        tm.tm_mday = (int)scan_number(a, 31);
        *at = a->bad ? 0 : (int64_t)mktime(&tm);
        return !a->bad;
}

static bool span(struct scan *a, int64_t *seconds)
{
        static const struct {
                struct str unit;
                int64_t days;
        } units[] = { { { "d", 1 }, 1 }, { { "w", 1 }, 7 }, { { "m", 1 }, 30 }, { { "y", 1 }, 365 } };
        int64_t n = (int64_t)scan_number(a, 100000);

        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
                if (scan_try_word(a, units[i].unit)) {
                        *seconds = n * units[i].days * 86400;
                        return !a->bad;
                }
        scan_fail(a, "unit");
        return false;
}

/* "<7d" newer, ">1m" older, "2026-11-01" that day, "2026-11-01..", "..2026-12-01", both. By the day of arrival. */
static void match_date(struct pattern *p, struct str text, bool *match)
{
        struct scan a = scan_of(text);
        int64_t low = INT64_MIN, high = INT64_MAX, n, today = (int64_t)time(NULL);

        if (scan_try(&a, '<')) {
                if (span(&a, &n))
                        low = today - n;
        } else if (scan_try(&a, '>')) {
                if (span(&a, &n))
                        high = today - n;
        } else {
                bool first = scan_peek(&a) != '.' && day(&a, &low);

                if (first)
                        high = low + 86400;
                if (scan_try_word(&a, S(".."))) {
                        high = INT64_MAX;
                        if (!scan_end(&a) && day(&a, &high))
                                high += 86400;
                }
        }
        if (!scan_done(&a)) {
                fail(p, "a date is <7d, >1m, 2026-11-01 or 2026-11-01..2026-12-01");
                return;
        }
        if (view_dates(p->v) < 0)
                fail(p, "the dates cannot be read");
        for (size_t i = 0; i < p->v->n; i++)
                match[i] = p->v->entries[i].received >= low && p->v->entries[i].received < high;
}

/* ---- grammar ---- */

/* "in quotes", or up to a blank or a parenthesis. */
static struct str word(struct pattern *p)
{
        struct str s;

        scan_spaces(&p->in);
        if (scan_try(&p->in, '"')) {
                s = scan_until(&p->in, "\"");
                if (!scan_try(&p->in, '"'))
                        fail(p, "a quote has no end");
        } else {
                s = scan_until(&p->in, " \t()|");
        }
        return s;
}

static const struct {
        char letter;
        enum search_field field;
} texts[] = { { 'f', SEARCH_FROM },    { 't', SEARCH_TO },   { 'c', SEARCH_CC },
              { 's', SEARCH_SUBJECT }, { 'b', SEARCH_BODY }, { 'B', SEARCH_TEXT } };
static const struct {
        char letter;
        uint64_t flag;
        bool set;
} flags[] = { { 'N', FLAG_SEEN, false },   { 'U', FLAG_SEEN, false },   { 'R', FLAG_SEEN, true },
              { 'F', FLAG_FLAGGED, true }, { 'D', FLAG_DELETED, true }, { 'Q', FLAG_ANSWERED, true } };

static void with_text(struct pattern *p, enum search_field field, bool *match)
{
        struct str text = word(p), name = S("");

        if (!text.n)
                fail(p, "a text is missing");
        else if (p->rc == 0)
                match_text(p, field, name, text, match);
}

/* ~h "X-Mailer: mutt" or ~h X-Mailer */
static void with_header(struct pattern *p, bool *match)
{
        struct str text = word(p), name;

        str_cut(&text, ':', &name);
        if (!name.n)
                fail(p, "the name of a header field is missing");
        else if (p->rc == 0)
                match_text(p, SEARCH_HEADER, name, str_trim(text), match);
}

static void tilde(struct pattern *p, bool *match)
{
        int letter = scan_peek(&p->in);

        if (letter < 0) {
                fail(p, "~ wants a letter behind it");
                return;
        }
        p->in.at++;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                if (texts[i].letter == letter) {
                        with_text(p, texts[i].field, match);
                        return;
                }
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
                if (flags[i].letter == letter) {
                        match_flag(p, flags[i].flag, flags[i].set, match);
                        return;
                }
        switch (letter) {
        case 'h': with_header(p, match); break;
        case 'd': match_date(p, word(p), match); break;
        case 'z': match_size(p, word(p), match); break;
        case 'k': match_keyword(p, word(p), match); break;
        case 'A': match_flag(p, 0, false, match); break;
        default:
                fail(p, "no such pattern: known are ~f ~t ~c ~s ~b ~B ~h ~d ~z ~k ~N ~U ~R ~F ~D ~Q ~A");
                break;
        }
}

static void either(struct pattern *p, bool *match);

static void one(struct pattern *p, bool *match)
{
        bool not = false;

        for (scan_spaces(&p->in); scan_try(&p->in, '!'); scan_spaces(&p->in))
                not = !not ;
        if (++p->terms > TERMS_MOST || p->depth > DEPTH_MOST) {
                fail(p, "the pattern is too long");
                return;
        }
        if (scan_try(&p->in, '(')) {
                p->depth++;
                either(p, match);
                p->depth--;
                if (!scan_try(&p->in, ')'))
                        fail(p, "a parenthesis has no end");
        } else if (scan_try(&p->in, '~')) {
                tilde(p, match);
        } else {
                with_text(p, SEARCH_TEXT, match);
        }
        for (size_t i = 0; not &&i < p->v->n; i++)
                match[i] = !match[i];
}

static bool more(struct pattern *p)
{
        scan_spaces(&p->in);
        return p->rc == 0 && !scan_end(&p->in) && scan_peek(&p->in) != ')' && scan_peek(&p->in) != '|';
}

static void all_of(struct pattern *p, bool *match)
{
        bool *next = mem_array(p->v->n + 1, sizeof *next);

        one(p, match);
        while (more(p)) {
                one(p, next);
                for (size_t i = 0; i < p->v->n; i++)
                        match[i] &= next[i];
        }
        mem_free(next);
}

static void either(struct pattern *p, bool *match)
{
        bool *next = mem_array(p->v->n + 1, sizeof *next);

        all_of(p, match);
        while (p->rc == 0 && scan_try(&p->in, '|')) {
                all_of(p, next);
                for (size_t i = 0; i < p->v->n; i++)
                        match[i] |= next[i];
        }
        mem_free(next);
}

int pattern_match(struct view *v, struct str text, bool *match, struct buf *why)
{
        struct pattern p = { .v = v, .in = scan_of(str_trim(text)), .why = why };

        for (size_t i = 0; i < v->n; i++)
                match[i] = true;
        if (!p.in.s.n)
                return 0;
        either(&p, match);
        if (p.rc == 0 && !scan_end(&p.in))
                fail(&p, "a parenthesis too many");
        return p.rc;
}
