/* Where letters lie. A letter's row says where it was filed and is never written again; for those that were copied or
 * moved the table `placing` has all their places, packed in order of letter, so that a COPY of ten thousand letters
 * writes some dozens of rows. All the places of one letter lie in one row. */
#include "base/mem.h"
#include "store/account_inside.h"
#include <errno.h>
#include <stdlib.h>

enum {
        ROW_PLACES = 336,         /* 12 octets each: a row fills a page of the file */
        LETTER_PLACES_MAX = 65536 /* of one letter */
};

struct entry {
        uint32_t letter;
        struct place at;
};
_Static_assert(sizeof(struct entry) == 12, "as it lies in the row");

struct entries {
        struct entry *list;
        size_t n, room;
};

static void add(struct entries *e, const struct entry *one)
{
        if (e->n == e->room) {
                e->room = e->room ? e->room * 2 : 2 * (size_t)ROW_PLACES;
                e->list = mem_grow(e->list, e->room, sizeof *e->list);
        }
        e->list[e->n++] = *one;
}

/* A row as it was read. */
struct row {
        bool there;
        uint32_t first;
        struct entries old;
};

static int read_row(struct db_row *q, struct row *r)
{
        struct str data = db_blob(q, 1);
        size_t n = data.n / sizeof(struct entry);

        r->there = true;
        r->first = (uint32_t)db_u64(q, 0);
        if (data.n % sizeof(struct entry) || !n)
                return -EBADMSG;
        if (r->old.room < n) {
                r->old.room = n;
                r->old.list = mem_grow(r->old.list, n, sizeof *r->old.list);
        }
        mem_copy((char *)r->old.list, n * sizeof *r->old.list, data);
        r->old.n = n;
        return r->old.list[0].letter == r->first ? 0 : -EBADMSG;
}

/* The row that would hold the letter, and where the next one begins. */
static int find_row(struct db *d, uint32_t letter, struct row *r, uint64_t *next)
{
        struct db_row q = db_query(d, PLACING_OF);
        int rc = 0;

        r->there = false;
        r->old.n = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        if (db_next(&q))
                rc = read_row(&q, r);
        if (db_end(&q))
                rc = db_end(&q);
        if (rc || !next)
                return rc;
        q = db_query(d, PLACING_NEXT);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        *next = db_next(&q) ? db_u64(&q, 0) : UINT64_MAX;
        return db_end(&q);
}

static int write_row(struct db *d, const struct entry *list, size_t n)
{
        struct db_row q = db_query(d, PLACING_WRITE);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, list[0].letter);
        db_bind_blob(&q, 3, str_from(list, n * sizeof *list));
        return db_exec(&q);
}

/* In rows of about `each`, cut between letters. */
static int write_rows(struct db *d, const struct row *was, const struct entries *e, bool at_the_end)
{
        size_t each = ROW_PLACES, i = 0;
        int rc = 0;

        if (was->there && (!e->n || e->list[0].letter != was->first)) {
                struct db_row q = db_query(d, PLACING_DROP);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, was->first);
                rc = db_exec(&q);
        }
        if (e->n > ROW_PLACES && !at_the_end) /* as much room in each for what comes between */
                each = (e->n + (e->n / ROW_PLACES)) / (e->n / ROW_PLACES + 1);
        while (i < e->n && !rc) {
                size_t end = e->n - i > each ? i + each : e->n;

                while (end < e->n && end > i && e->list[end - 1].letter == e->list[end].letter)
                        end--;
                if (end == i) /* one letter has more than a row */
                        for (end = i + 1; end < e->n && e->list[end].letter == e->list[i].letter;)
                                end++;
                rc = write_row(d, e->list + i, end - i);
                i = end;
        }
        return rc;
}

static size_t find(const struct entries *e, size_t from, struct place p)
{
        for (size_t i = from; i < e->n; i++)
                if (e->list[i].at.mailbox == p.mailbox && e->list[i].at.uid == p.uid)
                        return i;
        return e->n;
}

static void insert(struct entries *e, size_t from, const struct entry *one)
{
        size_t i;

        add(e, one);
        for (i = e->n - 1; i > from; i--) {
                const struct place *before = &e->list[i - 1].at;

                if (before->mailbox < one->at.mailbox ||
                    (before->mailbox == one->at.mailbox && before->uid <= one->at.uid))
                        break;
                e->list[i] = e->list[i - 1];
        }
        e->list[i] = *one;
}

/* `from` is where the letter's entries begin in e. */
static int apply(struct entries *e, size_t from, struct place_op *op)
{
        struct entry to = { op->letter, op->to };
        size_t at;

        if (e->n == from) { /* it lies where it was filed, and only there: in op->from */
                if (op->how == PLACE_ADD)
                        add(e, &(struct entry){ op->letter, op->from });
                op->left = 0;
                if (op->how != PLACE_REMOVE)
                        insert(e, from, &to);
                return 0;
        }
        at = find(e, from, op->from);
        if (at == e->n)
                return -EBADMSG;
        if (op->how != PLACE_ADD) {
                for (; at + 1 < e->n; at++)
                        e->list[at] = e->list[at + 1];
                e->n--;
        }
        op->left = (uint32_t)(e->n - from);
        if (op->how != PLACE_REMOVE)
                insert(e, from, &to);
        return e->n - from > LETTER_PLACES_MAX ? -E2BIG : 0;
}

/* What a row holds and what is done to its letters, both in order of letter. */
static int merge(const struct row *was, struct entries *e, struct place_op *ops, size_t n, uint64_t next,
                 size_t *done)
{
        size_t i = 0, k = 0;
        int rc = 0;

        e->n = 0;
        while (!rc && (k < was->old.n || (i < n && ops[i].letter < next))) {
                size_t from = e->n;
                uint32_t letter;

                if (i < n && ops[i].letter < next &&
                    (k == was->old.n || ops[i].letter < was->old.list[k].letter))
                        letter = ops[i].letter;
                else
                        letter = was->old.list[k].letter;
                while (k < was->old.n && was->old.list[k].letter == letter)
                        add(e, &was->old.list[k++]);
                while (!rc && i < n && ops[i].letter == letter)
                        rc = apply(e, from, &ops[i++]);
        }
        *done = i;
        return rc;
}

static int by_letter(const void *a, const void *b)
{
        const struct place_op *x = a, *y = b;

        return (x->letter > y->letter) - (x->letter < y->letter);
}

static void sort(struct place_op *ops, size_t n)
{
        bool sorted = true;

        for (size_t i = 1; i < n && sorted; i++)
                sorted = ops[i - 1].letter <= ops[i].letter;
        if (!sorted)
                qsort(ops, n, sizeof *ops, by_letter);
}

int places_apply(struct db *d, struct place_op *ops, size_t n)
{
        struct row was = { 0 };
        struct entries e = { 0 };
        int rc = 0;

        sort(ops, n);
        while (n && !rc) {
                uint64_t next = 0;
                size_t done = 0;

                rc = find_row(d, ops[0].letter, &was, &next);
                if (!rc)
                        rc = merge(&was, &e, ops, n, next, &done);
                if (!rc && (was.there || e.n))
                        rc = write_rows(d, &was, &e, next == UINT64_MAX);
                ops += done;
                n -= done;
        }
        mem_free(was.old.list);
        mem_free(e.list);
        return rc;
}
