#include "base/mem.h"
#include "mail/date.h"
#include "mail/text.h"
#include "proto/imap/sort.h"

#include <errno.h>

struct rows {
        sort_row_fn *fn;
        void *context;
        const size_t *index; /* of the found, by place in the slice */
        bool full;
};

static bool take(void *context, size_t at, const struct letter_facts_row *row)
{
        struct rows *r = context;
        struct mime_walk w;
        bool whole = mime_walk_begin(&w, row->mime) && mime_walk_next(&w) && w.has_envelope;

        r->full = !r->fn(r->context, r->index[at], row, whole ? &w.envelope : NULL);
        return !r->full;
}

int sort_rows(struct search_scope *c, const struct placed *placed, size_t n, bool envelope, sort_row_fn *fn,
              void *context)
{
        uint32_t *letters = mem_array(SEARCH_SLICE, sizeof(*letters));
        size_t *index = mem_array(SEARCH_SLICE, sizeof(*index)), m = 0, done;
        struct rows r = { fn, context, index, false };
        int error = 0;

        for (size_t i = 0; i <= n && !error; i++) {
                if (i < n && placed[i].letter) {
                        index[m] = i;
                        letters[m++] = placed[i].letter;
                }
                if (m == SEARCH_SLICE || (i == n && m)) {
                        error = (envelope ? change_facts : change_dates)(c->x, letters, m, take, &r, &done);
                        m = 0;
                        if (!error && r.full)
                                error = -ENOBUFS;
                        if (!error && !search_progress(c, i, n))
                                error = -ECANCELED;
                }
        }
        mem_free(letters);
        mem_free(index);
        return error;
}

void sort_note(struct sort_laters *l, size_t i, unsigned what, const struct mime_field *f, bool end)
{
        if (l->n == l->room) {
                l->room = l->room ? l->room * 2 : 64;
                l->list = mem_grow(l->list, l->room, sizeof(*l->list));
        }
        l->list[l->n++] = (struct sort_later){ i, what, f->at, f->n, end };
}

int sort_fields(struct search_scope *c, const struct placed *placed, const struct sort_laters *l,
                sort_field_fn *fn, void *context)
{
        auto_buf struct buf b;
        int error = 0;

        buf_init(&b, SORT_FIELD_MOST);
        for (size_t i = 0; i < l->n && !error; i++) {
                const struct sort_later *f = &l->list[i];
                uint32_t n = f->n < SORT_FIELD_MOST ? f->n : SORT_FIELD_MOST;

                buf_clear(&b);
                error =
                    letter_read(c->x->account, placed[f->i].letter, f->end ? f->at + f->n - n : f->at, n, &b);
                if (error == -ENOENT) { /* gone meanwhile */
                        error = 0;
                        buf_clear(&b);
                }
                if (!error && !fn(context, f, buf_str(&b)))
                        error = -ENOBUFS;
                if (!error && !search_progress(c, i, l->n))
                        error = -ECANCELED;
        }
        return error;
}

void sort_laters_free(struct sort_laters *l)
{
        mem_free(l->list);
        *l = (struct sort_laters){ 0 };
}

int64_t sort_date(const struct mime_envelope *e, int64_t received)
{
        const struct mime_field *f = e ? &e->fields[MIME_DATE] : NULL;
        int64_t seconds;

        if (f && f->present && f->held && date_parse(f->text, &seconds, NULL))
                return seconds;
        return received >= 0 ? received / 1000000 : -((999999 - received) / 1000000);
}

/* Capitals, as i;unicode-casemap compares them (RFC 5051 §2): "_" comes after the letters. */
bool sort_fold(struct buf *out, struct buf *scratch, struct str utf8)
{
        char *to;

        buf_clear(scratch);
        text_fold(scratch, utf8);
        to = buf_room(out, scratch->n + 1);
        if (!to)
                return false;
        for (size_t i = 0; i < scratch->n; i++) {
                char ch = scratch->p[i];

                to[i] = ch >= 'a' && ch <= 'z' ? (char)(ch - 'a' + 'A') : ch;
        }
        buf_added(out, scratch->n);
        return true;
}
