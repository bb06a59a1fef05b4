#include "proto/imap/sort.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/thread.h"
#include "run/offload.h"

#include <errno.h>
#include <stdlib.h>

/* SORT -- RFC 5256 §3, 5957 (DISPLAYFROM, DISPLAYTO), 6203 (RELEVANCY), 5267 (RETURN). What letters are compared by is made once
 * a letter, as it is read: a number, or a place in one buffer of folded texts. */

enum sort_by {
        BY_ARRIVAL,
        BY_DATE,
        BY_SIZE,
        BY_RELEVANCY,
        BY_CC, /* from here: texts */
        BY_FROM,
        BY_TO,
        BY_DISPLAYFROM,
        BY_DISPLAYTO,
        BY_SUBJECT,
};
enum { CRITERIA_MOST = 10, FOLDED_MOST = 256 * 1024 };

struct criterion {
        enum sort_by by;
        bool reverse;
};
union value {
        int64_t number;
        struct {
                uint32_t at, n;
        } text;
};
struct sorting {
        struct criterion by[CRITERIA_MOST];
        unsigned n;
        const struct search_found *found;
        const struct placed *placed;
        union value *values; /* n a letter */
        uint32_t *order;     /* indices of the found */
        struct buf texts, folded;
        struct arena scratch;
        struct sort_laters laters;
};

/* --- the command line --- */

/* sort-criterion = ["REVERSE" SP] sort-key */
static void criterion(struct session *s, struct scan *a, struct sorting *w)
{
        static const struct {
                struct str word;
                enum sort_by by;
                enum imap_capability needs;
        } keys[] = {
                { S("ARRIVAL"), BY_ARRIVAL, CAP_SORT },
                { S("CC"), BY_CC, CAP_SORT },
                { S("DATE"), BY_DATE, CAP_SORT },
                { S("DISPLAYFROM"), BY_DISPLAYFROM, CAP_SORT_DISPLAY },
                { S("DISPLAYTO"), BY_DISPLAYTO, CAP_SORT_DISPLAY },
                { S("FROM"), BY_FROM, CAP_SORT },
                { S("RELEVANCY"), BY_RELEVANCY, CAP_SEARCH_FUZZY },
                { S("SIZE"), BY_SIZE, CAP_SORT },
                { S("SUBJECT"), BY_SUBJECT, CAP_SORT },
                { S("TO"), BY_TO, CAP_SORT },
        };
        struct criterion c = { .reverse = scan_try_word(a, S("REVERSE ")) };
        struct str word = imap_atom(a);

        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
                if (!str_ieq(word, keys[i].word) || !imap_can(s, keys[i].needs))
                        continue;
                c.by = keys[i].by;
                for (unsigned k = 0; k < w->n; k++)
                        if (w->by[k].by == c.by)
                                return; /* the second time it decides nothing */
                w->by[w->n++] = c;
                return;
        }
        scan_fail(a, "there is no such sort key");
}

/* sort-criteria = "(" sort-criterion *(SP sort-criterion) ")" */
static void criteria(struct session *s, struct scan *a, struct sorting *w)
{
        scan_char(a, '(');
        do
                criterion(s, a, w);
        while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
        imap_sp(a);
}

static bool asks(const struct sorting *w, enum sort_by by)
{
        for (unsigned k = 0; k < w->n; k++)
                if (w->by[k].by == by)
                        return true;
        return false;
}

/* --- values --- */

static bool put_text(struct sorting *w, union value *v, struct str utf8)
{
        size_t at = w->texts.n;

        if (!sort_fold(&w->texts, &w->folded, utf8))
                return false;
        v->text.at = (uint32_t)at;
        v->text.n = (uint32_t)(w->texts.n - at);
        return true;
}

/* The first address as ENVELOPE has it: a group begins with its name (RFC 9051 §7.5.2). display: RFC 5957 §3. */
static struct str address_text(struct sorting *w, struct str raw, bool display)
{
        struct addresses list = addresses_of(raw);
        struct address who;

        while (address_next(&list, &w->scratch, &who)) {
                struct str name;

                if (who.kind == ADDRESS_GROUP)
                        return word_decode(&w->scratch, who.name);
                if (who.kind != ADDRESS_MAILBOX)
                        continue;
                name = display && who.has_name ? word_decode(&w->scratch, who.name) : S("");
                if (name.n)
                        return name;
                if (display && who.domain.n)
                        return arena_printf(&w->scratch, PRS "@" PRS, STR(who.local), STR(who.domain));
                return who.local;
        }
        return S("");
}

static bool put_field(struct sorting *w, union value *v, enum sort_by by, struct str raw)
{
        bool reply, ok;

        arena_reset(&w->scratch);
        if (by == BY_SUBJECT)
                ok = put_text(w, v, base_subject(&w->scratch, raw, &reply));
        else
                ok = put_text(w, v, address_text(w, raw, by == BY_DISPLAYFROM || by == BY_DISPLAYTO));
        return ok;
}

static bool take(void *context, size_t i, const struct letter_facts_row *row, const struct mime_envelope *e)
{
        static const enum mime_envelope_field fields[] = {
                [BY_CC] = MIME_CC,        [BY_FROM] = MIME_FROM,
                [BY_TO] = MIME_TO,        [BY_DISPLAYFROM] = MIME_FROM,
                [BY_DISPLAYTO] = MIME_TO, [BY_SUBJECT] = MIME_SUBJECT
        };
        struct sorting *w = context;

        for (unsigned k = 0; k < w->n; k++) {
                union value *v = &w->values[i * w->n + k];
                const struct mime_field *f;

                if (w->by[k].by == BY_ARRIVAL)
                        v->number = row->received;
                else if (w->by[k].by == BY_DATE)
                        v->number = sort_date(e, row->received);
                if (w->by[k].by < BY_CC || !e)
                        continue;
                f = &e->fields[fields[w->by[k].by]];
                if (f->present && !f->held)
                        sort_note(&w->laters, i, k, f, false);
                else if (f->present && !put_field(w, v, w->by[k].by, f->text))
                        return false;
        }
        return true;
}

static bool take_field(void *context, const struct sort_later *l, struct str value)
{
        struct sorting *w = context;

        return put_field(w, &w->values[l->i * w->n + l->what], w->by[l->what].by, value);
}

/* --- the order --- */

static int compare(const void *a, const void *b, void *context)
{
        const struct sorting *w = context;
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        for (unsigned k = 0; k < w->n; k++) {
                const union value *u = &w->values[x * (size_t)w->n + k],
                                  *v = &w->values[y * (size_t)w->n + k];
                int c;

                if (w->by[k].by < BY_CC)
                        c = (u->number > v->number) - (u->number < v->number);
                else
                        c = str_cmp(str_from(w->texts.p + u->text.at, u->text.n),
                                    str_from(w->texts.p + v->text.at, v->text.n));
                if (c)
                        return w->by[k].reverse ? -c : c;
        }
        return (x > y) - (x < y); /* the found are ascending: by number */
}

static int put_in_order(void *arg)
{
        struct sorting *w = arg;

        qsort_r(w->order, w->found->n, sizeof(*w->order), compare, w);
        return 0;
}

static int values(struct search_scope *c, struct sorting *w)
{
        bool rows = asks(w, BY_ARRIVAL), envelope = false;
        int error = 0;

        for (unsigned k = 0; k < w->n; k++)
                envelope |= w->by[k].by == BY_DATE || w->by[k].by >= BY_CC;
        for (size_t i = 0; i < w->found->n; i++) {
                w->order[i] = (uint32_t)i;
                for (unsigned k = 0; k < w->n; k++)
                        if (w->by[k].by == BY_SIZE)
                                w->values[i * w->n + k].number = w->placed[i].size;
                        else if (w->by[k].by == BY_RELEVANCY) /* the best first (RFC 6203 §6) */
                                w->values[i * w->n + k].number = w->found->scores ? -w->found->scores[i] : 0;
        }
        if (rows || envelope)
                error = sort_rows(c, w->placed, w->found->n, envelope, take, w);
        return error ? error : sort_fields(c, w->placed, &w->laters, take_field, w);
}

static void reorder(const struct sorting *w, struct search_found *f)
{
        uint32_t *seqs = mem_array(f->n ? f->n : 1, sizeof(*seqs));
        uint8_t *scores = f->scores ? mem_array(f->n ? f->n : 1, 1) : NULL;

        for (size_t i = 0; i < f->n; i++) {
                seqs[i] = f->seqs[w->order[i]];
                if (scores)
                        scores[i] = f->scores[w->order[i]];
        }
        mem_free(f->seqs);
        mem_free(f->scores);
        f->seqs = seqs;
        f->scores = scores;
}

static int sort(struct search_scope *c, struct sorting *w, struct search_found *f)
{
        struct placed *placed = mem_array(f->n ? f->n : 1, sizeof(*placed));
        int error;

        w->found = f;
        w->placed = placed;
        w->values = mem_array(f->n * w->n + 1, sizeof(*w->values));
        w->order = mem_array(f->n ? f->n : 1, sizeof(*w->order));
        arena_init(&w->scratch, 16 * 1024 * 1024);
        buf_init(&w->texts, SORT_TEXTS_MOST);
        buf_init(&w->folded, FOLDED_MOST);
        error = search_placed(c, f->seqs, f->n, placed);
        if (!error)
                error = values(c, w);
        if (!error)
                error = offload(f->n > 1000 ? LONG : QUICK, put_in_order, w);
        if (!error)
                reorder(w, f);
        mem_free(placed);
        mem_free(w->values);
        mem_free(w->order);
        arena_finish(&w->scratch);
        buf_free(&w->texts);
        buf_free(&w->folded);
        sort_laters_free(&w->laters);
        return error;
}

static int run(struct session *s, struct search_scope *c, struct sorting *w, const struct search_return *r,
               const struct search_program *program)
{
        struct search_reply reply = {
                .verb = "SORT", .ret = r, .uid = imap_of(s)->uid, .modseq = program->modseq
        };
        struct search_found found;
        int error, rc;

        error = search_run(c, program->root, &found);
        if (!error)
                error = sort(c, w, &found);
        if (!error)
                error = search_reply(c, &reply, &found);
        if (!error && r->save)
                search_save(s, r, &found);
        if (!error && r->update) /* RFC 5267 §4.3.1: CONTEXT=SORT is not offered */
                imap_say(s, "NO [NOUPDATE \"" PRS "\"] %s", STR(imap_of(s)->tag),
                         imap_text(imap_of(s), "a sorted search is not kept up"));
        rc = error ? search_failed(s, r, error)
                   : search_done(s, c, &found, "that is what was found, in order");
        search_found_free(&found);
        return rc;
}

int imap_sort(struct session *s, struct scan *a)
{
        struct sorting w = { 0 };
        struct search_return r = { 0 };
        struct search_program program;
        struct search_scope scope;
        struct access x;
        int rc;

        if (imap_can(s, CAP_ESORT))
                search_return(s, a, &r);
        criteria(s, a, &w);
        search_criteria(s, a, &program);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (!search_options_allowed(s, &r, &program, &rc))
                return rc;
        if (asks(&w, BY_RELEVANCY) && !program.fuzzy)
                return imap_bad(s, "RELEVANCY wants a FUZZY key");
        if (program.modseq)
                imap_use_condstore(s);
        if (!imap_selected_open(s, RIGHT_READ, &x, &rc))
                return rc;
        search_scope(&scope, s, &x);
        scope.limit = 0; /* RFC 9738 §3.3: all or nothing, and we can do all */
        rc = run(s, &scope, &w, &r, &program);
        access_close(&x);
        return rc;
}
