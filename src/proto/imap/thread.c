#include "proto/imap/thread.h"
#include "base/mem.h"
#include "mail/header.h"
#include "mail/thread.h"
#include "proto/imap/sort.h"
#include "run/offload.h"

#include <errno.h>
#include <stdlib.h>

/* THREAD -- RFC 5256 §3. What it needs of a letter is read once: the hashes of its message-ids and of its base subject, its
 * date. */

enum {
        REFS_MOST = 2 * 1024 * 1024,
        REFS_A_LETTER = 200,
        TEXT_MOST = 64 * 1024 * 1024,
        FOLDED_MOST = 256 * 1024
};
enum { LONG_REFERENCES, LONG_REPLY_TO, LONG_MESSAGE_ID, LONG_SUBJECT }; /* sort_later.what */

struct threading {
        bool references; /* else ORDEREDSUBJECT */
        struct thread_letter *letters;
        size_t n;
        uint64_t *refs;
        size_t ref_count, ref_room;
        struct buf folded, scratch, out;
        struct arena arena;
        struct sort_laters laters;
};

/* --- reading --- */

static bool add_ref(struct threading *t, uint64_t hash)
{
        if (t->ref_count == REFS_MOST)
                return false;
        if (t->ref_count == t->ref_room) {
                t->ref_room = t->ref_room ? t->ref_room * 2 : 1024;
                t->refs = mem_grow(t->refs, t->ref_room, sizeof(*t->refs));
        }
        t->refs[t->ref_count++] = hash;
        return true;
}

/* All ids of References, of very many the last; of In-Reply-To the first, and only where there is none yet. */
static bool take_refs(struct threading *t, struct thread_letter *l, struct str value, bool all)
{
        struct str id;

        if (l->refs)
                return true;
        arena_reset(&t->arena);
        l->first_ref = t->ref_count;
        while (message_id_next(&value, &t->arena, &id)) {
                if (!add_ref(t, thread_hash(id)))
                        return false;
                l->refs++;
                if (!all)
                        break;
        }
        if (l->refs > REFS_A_LETTER) {
                uint64_t *first = t->refs + l->first_ref;

                for (size_t i = 0; i < REFS_A_LETTER; i++)
                        first[i] = first[l->refs - REFS_A_LETTER + i];
                t->ref_count = l->first_ref + REFS_A_LETTER;
                l->refs = REFS_A_LETTER;
        }
        return true;
}

static void take_id(struct threading *t, struct thread_letter *l, struct str value)
{
        struct str id;

        arena_reset(&t->arena);
        if (message_id_next(&value, &t->arena, &id))
                l->id = thread_hash(id);
}

static void take_subject(struct threading *t, struct thread_letter *l, struct str raw)
{
        struct str base;

        arena_reset(&t->arena);
        base = base_subject(&t->arena, raw, &l->reply);
        buf_clear(&t->folded);
        sort_fold(&t->folded, &t->scratch, base);
        l->subject = t->folded.n ? thread_hash(buf_str(&t->folded)) : 0;
}

static bool take_value(struct threading *t, size_t i, unsigned what, struct str value)
{
        struct thread_letter *l = &t->letters[i];

        switch (what) {
        case LONG_REFERENCES: return take_refs(t, l, value, true);
        case LONG_REPLY_TO: return take_refs(t, l, value, false);
        case LONG_MESSAGE_ID: take_id(t, l, value); return true;
        default: take_subject(t, l, value); return true;
        }
}

static bool take(void *context, size_t i, const struct letter_facts_row *row, const struct mime_envelope *e)
{
        static const enum mime_envelope_field fields[] = {
                [LONG_REFERENCES] = MIME_REFERENCES,
                [LONG_REPLY_TO] = MIME_IN_REPLY_TO,
                [LONG_MESSAGE_ID] = MIME_MESSAGE_ID,
                [LONG_SUBJECT] = MIME_SUBJECT,
        };
        struct threading *t = context;
        bool waits = false; /* References must be read: In-Reply-To after it */

        t->letters[i].date = sort_date(e, row->received);
        for (unsigned what = t->references ? LONG_REFERENCES : LONG_SUBJECT; e && what <= LONG_SUBJECT;
             what++) {
                const struct mime_field *f = &e->fields[fields[what]];

                if (!f->present)
                        continue;
                if (!f->held || (what == LONG_REPLY_TO && waits)) {
                        sort_note(&t->laters, i, what, f, what == LONG_REFERENCES);
                        waits |= what == LONG_REFERENCES;
                } else if (!take_value(t, i, what, f->text)) {
                        return false;
                }
        }
        return true;
}

static bool take_field(void *context, const struct sort_later *l, struct str value)
{
        return take_value(context, l->i, l->what, value);
}

/* --- ORDEREDSUBJECT --- */

struct subject_order {
        const struct thread_letter *letters;
        size_t *first; /* of the letter's thread: the first in time */
};

static int earlier(const struct thread_letter *x, const struct thread_letter *y)
{
        if (x->date != y->date)
                return x->date < y->date ? -1 : 1;
        return (x > y) - (x < y);
}

static int by_subject(const void *a, const void *b, void *context)
{
        const struct thread_letter *list = context;
        const struct thread_letter *x = &list[*(const size_t *)a], *y = &list[*(const size_t *)b];

        if (x->subject != y->subject)
                return x->subject < y->subject ? -1 : 1;
        return earlier(x, y);
}

/* Threads by their first letter, letters of a thread by time. */
static int by_thread(const void *a, const void *b, void *context)
{
        const struct subject_order *o = context;
        size_t x = *(const size_t *)a, y = *(const size_t *)b;
        int c = earlier(&o->letters[o->first[x]], &o->letters[o->first[y]]);

        return c ? c : earlier(&o->letters[x], &o->letters[y]);
}

bool thread_orderedsubject(const struct thread_letter *letters, size_t n, struct buf *out)
{
        size_t *order = mem_array(n ? n : 1, sizeof(*order)), *first = mem_array(n ? n : 1, sizeof(*first));
        struct subject_order o = { letters, first };

        for (size_t i = 0; i < n; i++)
                order[i] = i;
        qsort_r(order, n, sizeof(*order), by_subject, (void *)letters);
        for (size_t i = 0; i < n; i++)
                first[order[i]] = i && letters[order[i]].subject == letters[order[i - 1]].subject
                                      ? first[order[i - 1]]
                                      : order[i];
        qsort_r(order, n, sizeof(*order), by_thread, &o);
        for (size_t i = 0; i < n;) {
                size_t end = i + 1;

                while (end < n && first[order[end]] == first[order[i]])
                        end++;
                buf_printf(out, "(%u", letters[order[i]].shown);
                for (size_t k = i + 1; k < end; k++)
                        buf_printf(out,
                                   end - i == 2 ? " %u"
                                   : k == i + 1 ? " (%u)"
                                                : "(%u)",
                                   letters[order[k]].shown);
                buf_put(out, ")", 1);
                i = end;
        }
        mem_free(order);
        mem_free(first);
        return !out->full;
}

/* --- the command --- */

static int make_threads(void *arg)
{
        struct threading *t = arg;
        bool ok = t->references ? thread_references(t->letters, t->n, t->refs, &t->out)
                                : thread_orderedsubject(t->letters, t->n, &t->out);

        return ok ? 0 : -ENOBUFS;
}

static int thread(struct search_scope *c, struct threading *t, const struct search_found *f, bool uid)
{
        struct placed *placed = mem_array(f->n ? f->n : 1, sizeof(*placed));
        int error = search_placed(c, f->seqs, f->n, placed);

        t->n = f->n;
        t->letters = mem_array(f->n ? f->n : 1, sizeof(*t->letters));
        for (size_t i = 0; i < f->n; i++)
                t->letters[i].shown = uid ? seqmap_uid(c->map, f->seqs[i]) : f->seqs[i];
        if (!error)
                error = sort_rows(c, placed, f->n, true, take, t);
        if (!error)
                error = sort_fields(c, placed, &t->laters, take_field, t);
        if (!error)
                error = offload(f->n > 1000 ? LONG : QUICK, make_threads, t);
        mem_free(placed);
        return error;
}

static void begin(struct threading *t)
{
        arena_init(&t->arena, 16 * 1024 * 1024);
        buf_init(&t->folded, FOLDED_MOST);
        buf_init(&t->scratch, FOLDED_MOST);
        buf_init(&t->out, TEXT_MOST);
}

static void finish(struct threading *t)
{
        mem_free(t->letters);
        mem_free(t->refs);
        arena_finish(&t->arena);
        buf_free(&t->folded);
        buf_free(&t->scratch);
        buf_free(&t->out);
        sort_laters_free(&t->laters);
}

static int run(struct session *s, struct search_scope *c, struct threading *t, const struct search_program *p)
{
        struct search_found found;
        int error = search_run(c, p->root, &found);

        begin(t);
        if (!error)
                error = thread(c, t, &found, imap_of(s)->uid);
        if (!error && s->conn) {
                conn_put(s->conn, S("* THREAD"));
                conn_put(s->conn, t->out.n ? S(" ") : S(""));
                conn_put(s->conn, buf_str(&t->out));
                conn_put(s->conn, S("\r\n"));
        }
        finish(t);
        search_found_free(&found);
        return error ? imap_trouble(s, error) : imap_ok(s, "these are the threads");
}

/* thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria */
int imap_thread(struct session *s, struct scan *a)
{
        struct threading t = { 0 };
        struct search_program program;
        struct search_scope scope;
        struct str algorithm = imap_atom(a);
        struct access x;
        int rc;

        t.references = str_ieq(algorithm, S("REFERENCES")) && imap_can(s, CAP_THREAD_REFERENCES);
        if (!t.references &&
            !(str_ieq(algorithm, S("ORDEREDSUBJECT")) && imap_can(s, CAP_THREAD_ORDEREDSUBJECT)))
                scan_fail(a, "there is no such threading algorithm");
        imap_sp(a);
        search_criteria(s, a, &program);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (!search_allowed(s, &program, &rc))
                return rc;
        if (program.modseq)
                imap_use_condstore(s);
        if (!imap_selected_open(s, RIGHT_READ, &x, &rc))
                return rc;
        search_scope(&scope, s, &x);
        scope.limit = 0;
        rc = run(s, &scope, &t, &program);
        access_close(&x);
        return rc;
}
