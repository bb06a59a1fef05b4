#include "base/mem.h"
#include "proto/imap/search.h"

#include <stdlib.h>

/* What was found, as the client asked for it: "* SEARCH", "* SORT" with numbers one by one, or "* ESEARCH" (RFC 4731, 5267,
 * 9394, RFC 9051 §7.3.4). */

enum { PIECE = 16 * 1024 };

void out_begin(struct search_out *o, struct session *s)
{
        o->s = s;
        o->space = "";
        buf_init(&o->b, PIECE + 4096);
}

static void out_flush(struct search_out *o, size_t over)
{
        if (o->b.n <= over)
                return;
        if (o->s->conn)
                conn_put(o->s->conn, buf_str(&o->b));
        buf_clear(&o->b);
}

void out_printf(struct search_out *o, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        buf_vprintf(&o->b, format, args);
        va_end(args);
        out_flush(o, PIECE);
}

/* printf's work without printf: a hundred thousand numbers are ordinary. before: 0 or what stands in front. */
static void out_number(struct search_out *o, char before, uint32_t v)
{
        char text[12];
        size_t at = sizeof(text);

        do
                text[--at] = (char)('0' + v % 10);
        while (v /= 10);
        if (before)
                text[--at] = before;
        buf_put(&o->b, text + at, sizeof(text) - at);
        out_flush(o, PIECE);
}

void out_end(struct search_out *o)
{
        buf_puts(&o->b, S("\r\n"));
        out_flush(o, 0);
        buf_free(&o->b);
}

/* A number as the client wants it: of the letter, or its uid. Ascending numbers lie in the same run or a later one. */
static uint32_t shown(const struct seqmap *map, bool uid, uint32_t seq)
{
        return uid ? seqmap_uid(map, seq) : seq;
}

void out_set(struct search_out *o, const struct seqmap *map, bool uid, const uint32_t *seqs, size_t n)
{
        for (size_t i = 0; i < n;) {
                uint32_t first = shown(map, uid, seqs[i]), last = first;

                out_number(o, i ? ',' : 0, first);
                for (i++; i < n && last < UINT32_MAX && shown(map, uid, seqs[i]) == last + 1; i++)
                        last++;
                if (last > first)
                        out_number(o, ':', last);
        }
}

/* --- which of the found --- */

void search_partial(const struct search_return *r, size_t found, size_t *first, size_t *until)
{
        int64_t n = (int64_t)found, from = r->from, to = r->until;

        if (from < 0) { /* -1 is the last */
                from = n + 1 + r->from;
                to = n + 1 + r->until;
                from = from < 1 ? 1 : from;
        }
        to = to > n ? n : to;
        *first = from > to ? 0 : (size_t)from - 1;
        *until = from > to ? 0 : (size_t)to;
}

/* The range as it was asked for, low number first if it came so. */
static void put_partial(struct search_out *o, const struct search_return *r)
{
        const char *minus = r->backwards ? "-" : "";

        out_printf(o, " PARTIAL (%s%u:%s%u ", minus, r->asked_from, minus, r->asked_until);
}

/* The numbers that the return options give back: the range of PARTIAL or all of them, the first, the last (RFC 9051 §6.4.4.1,
 * table 4; RFC 9394 §3.2, table 1). Caller frees. */
static uint32_t *returned(const struct search_return *r, const struct search_found *f, size_t *n)
{
        uint32_t *seqs = mem_array(f->n + 2, sizeof(*seqs));
        size_t first = 0, until = 0;

        *n = 0;
        if (r->partial && !r->count)
                search_partial(r, f->n, &first, &until);
        else if (r->all || r->count || !(r->min || r->max))
                until = f->n;
        for (size_t i = first; i < until; i++)
                seqs[(*n)++] = f->seqs[i];
        if (r->min && f->n)
                seqs[(*n)++] = f->seqs[0];
        if (r->max && f->n)
                seqs[(*n)++] = f->seqs[f->n - 1];
        return seqs;
}

/* The highest modseq of what is returned (RFC 4731 §3.2, RFC 7162 §3.1.5). */
static int highest(struct search_scope *c, const struct search_return *r, const struct search_found *f,
                   uint64_t *modseq)
{
        size_t n;
        uint32_t *seqs = returned(r, f, &n);
        struct placed *list = mem_array(n ? n : 1, sizeof(*list));
        int error = search_placed(c, seqs, n, list);

        *modseq = 0;
        for (size_t i = 0; !error && i < n; i++)
                if (list[i].modseq > *modseq)
                        *modseq = list[i].modseq;
        mem_free(seqs);
        mem_free(list);
        return error;
}

static int ascending(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

void search_save(struct session *s, const struct search_return *r, const struct search_found *f)
{
        struct imap_selected *sel = &imap_of(s)->selected;
        size_t n;
        uint32_t *seqs = returned(r, f, &n);

        qsort(seqs, n, sizeof(*seqs), ascending);
        uid_list_free(&sel->saved);
        for (size_t i = 0; i < n; i++)
                if (!i || seqs[i] != seqs[i - 1])
                        seqmap_uids(&sel->map, seqs[i], seqs[i], &sel->saved);
        mem_free(seqs);
}

/* --- the responses --- */

static void plain(struct search_scope *c, const struct search_reply *r, const struct search_found *f,
                  uint64_t modseq)
{
        struct search_out o;

        out_begin(&o, c->s);
        out_printf(&o, "* %s", r->verb);
        for (size_t i = 0; i < f->n; i++)
                out_number(&o, ' ', shown(c->map, r->uid, f->seqs[i]));
        if (modseq && f->n)
                out_printf(&o, " (MODSEQ %llu)", (unsigned long long)modseq);
        out_end(&o);
}

static void put_scores(struct search_out *o, const struct search_found *f, size_t first, size_t until)
{
        const char *space = "";

        out_printf(o, " RELEVANCY (");
        for (size_t i = first; f->scores && i < until; i++, space = " ")
                out_printf(o, "%s%u", space, f->scores[i]);
        out_printf(o, ")");
}

static void put_correlator(struct search_out *o, const struct search_reply *r)
{
        struct session *s = o->s;

        out_printf(o, "* ESEARCH (TAG ");
        put_string(&o->b, imap_of(s)->tag, imap_mode(s));
        if (r->mailbox.p) {
                out_printf(o, " MAILBOX ");
                put_mailbox(&o->b, r->mailbox, imap_mode(s));
                out_printf(o, " UIDVALIDITY %u", r->uidvalidity);
        }
        out_printf(o, ")%s", r->uid ? " UID" : "");
}

static void extended(struct search_scope *c, const struct search_reply *r, const struct search_found *f,
                     uint64_t modseq)
{
        const struct search_return *t = r->ret;
        size_t first = 0, until = f->n;
        struct search_out o;

        out_begin(&o, c->s);
        put_correlator(&o, r);
        if (t->min && f->n)
                out_printf(&o, " MIN %u", shown(c->map, r->uid, f->seqs[0]));
        if (t->max && f->n)
                out_printf(&o, " MAX %u", shown(c->map, r->uid, f->seqs[f->n - 1]));
        if (t->count)
                out_printf(&o, " COUNT %zu", f->n);
        if (t->all && f->n) {
                out_printf(&o, " ALL ");
                out_set(&o, c->map, r->uid, f->seqs, f->n);
        }
        if (t->partial) {
                search_partial(t, f->n, &first, &until);
                put_partial(&o, t);
                if (first < until)
                        out_set(&o, c->map, r->uid, f->seqs + first, until - first);
                else
                        out_printf(&o, "NIL");
                out_printf(&o, ")");
        }
        if (t->relevancy)
                put_scores(&o, f, first, until);
        if (modseq && f->n)
                out_printf(&o, " MODSEQ %llu", (unsigned long long)modseq);
        out_end(&o);
}

static bool says_something(const struct search_return *r)
{
        return r->min || r->max || r->all || r->count || r->partial || r->relevancy || r->update;
}

int search_reply(struct search_scope *c, const struct search_reply *r, const struct search_found *f)
{
        uint64_t modseq = 0;
        int error = 0;

        if (r->modseq && f->n)
                error = highest(c, r->ret, f, &modseq);
        if (error)
                return error;
        if (r->ret->given && !says_something(r->ret)) /* SAVE alone (RFC 5182 §2.1) */
                return 0;
        if (r->ret->given)
                extended(c, r, f, modseq);
        else
                plain(c, r, f, modseq);
        return 0;
}

/* RFC 9738 §3.1 */
int search_done(struct session *s, const struct search_scope *c, const struct search_found *f,
                const char *words)
{
        if (f->lowest)
                return imap_ok(s, "[MESSAGELIMIT %u %u] the last %u messages were looked at", c->limit,
                               f->lowest, c->limit);
        return imap_ok(s, "%s", imap_text(imap_of(s), words));
}
