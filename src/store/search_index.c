#include "base/mem.h"
#include "run/offload.h"
#include "store/search_part.h"
#include <errno.h>

enum {
        MERGE_AT = 4,     /* parts of like size */
        LEVEL_FIRST = 64, /* letters: the least size; each like size is four times the one before */
        DEAD_AT = 4,      /* a share of 1/4 of letters that are gone */
        DEAD_LEAST = 64,
        NUMBERS_AT_ONCE = 8192,
        TRIES_MOST = 20,
};

struct indexing {
        struct account *a;
        const bool *stop;
        struct shelf shelf;
        struct reading reading;
        struct builder *builder;
        struct witness witness;
        struct merge *merge;
        uint32_t first, last; /* of the part that is made; of a gap */
        uint32_t built;       /* the last letter in builder */
        uint32_t *sizes;      /* letters of each part of the shelf */
        uint64_t letters;     /* in all parts */
        uint64_t *alive;
        uint32_t alive_first, alive_last, alive_next, got, got_last;
        size_t merge_from, merge_n;
};

static int close_all(void *arg)
{
        struct indexing *x = arg;

        merge_free(&x->merge);
        shelf_close(&x->shelf);
        builder_free(&x->builder);
        return 0;
}

static struct indexing *indexing_new(struct account *a)
{
        struct indexing *x = mem_new(struct indexing);

        x->a = a;
        x->shelf = (struct shelf){ .dir = -1, .lock = -1 };
        reading_init(&x->reading, a);
        return x;
}

static void indexing_free(struct indexing *x)
{
        (void)offload(LONG, close_all, x);
        reading_free(&x->reading);
        witness_free(&x->witness);
        mem_free(x->sizes);
        mem_free(x);
}

static bool stopped(const struct indexing *x)
{
        return fiber_cancelled() || (x->stop && *x->stop);
}

/* ---- what is there ---- */

static int look_at_parts(struct indexing *x)
{
        int rc = 0;

        mem_free(x->sizes);
        x->sizes = mem_array(x->shelf.n + 1, sizeof *x->sizes);
        x->letters = 0;
        for (size_t i = 0; i < x->shelf.n && !rc; i++) {
                struct part p;

                rc = part_open(&p, x->shelf.dir, x->shelf.parts[i].name);
                if (rc == -EBADMSG)
                        shelf_remove(&x->shelf, x->shelf.parts[i].name);
                if (rc)
                        return rc == -EBADMSG || rc == -ENOENT ? -EAGAIN : rc;
                witness_add(&x->witness, &p);
                x->sizes[i] = p.n;
                x->letters += p.n;
                part_close(&p);
        }
        return rc;
}

static int list_parts(struct indexing *x, bool tidy)
{
        int rc = -EAGAIN;

        for (unsigned most = TRIES_MOST; rc == -EAGAIN && most; most--) {
                rc = shelf_list(&x->shelf, tidy);
                if (!rc)
                        rc = look_at_parts(x);
        }
        return rc;
}

static int open_shelf(void *arg)
{
        struct indexing *x = arg;
        int rc = shelf_open(&x->shelf, x->a, true);

        if (!rc)
                rc = shelf_lock(&x->shelf);
        return rc ? rc : list_parts(x, true);
}

static int list_again(void *arg)
{
        return list_parts(arg, true);
}

static int drop_all(void *arg)
{
        struct indexing *x = arg;

        shelf_remove_all(&x->shelf);
        return list_parts(x, true);
}

/* ---- letters that no part knows ---- */

static int build_slice(void *arg)
{
        struct indexing *x = arg;
        struct scratch *s = scratch_take(x->a->set);
        struct buf room;
        struct str letter;

        buf_init(&room, 0);
        for (size_t i = 0; i < x->reading.count; i++) {
                const struct reading_item *item = &x->reading.items[i];

                if (reading_letter(&x->reading, i, &s->mime, &room, &letter))
                        builder_letter(x->builder, item, &s->mime, letter);
                x->built = item->letter;
        }
        buf_free(&room);
        scratch_give(x->a->set, s);
        return 0;
}

static int write_built(void *arg)
{
        struct indexing *x = arg;

        return builder_write(x->builder, x->shelf.dir, x->first, x->last);
}

/* Numbers from..to. */
static int index_gap(struct indexing *x, uint32_t from, uint32_t to)
{
        struct reading *r = &x->reading;
        int rc;

        r->from = x->first = from;
        r->to = to;
        x->built = 0;
        do {
                rc = reading_some(r);
                if (!rc && r->count)
                        rc = offload(LONG, build_slice, x);
                if (!rc && x->built >= x->first && (builder_full(x->builder) || !r->more)) {
                        x->last = r->more || to == UINT32_MAX ? x->built : to;
                        rc = offload(LONG, write_built, x);
                        x->first = x->last + 1;
                }
                if (fiber_self())
                        fiber_yield();
        } while (!rc && r->more && !stopped(x));
        return rc;
}

static int index_gaps(struct indexing *x)
{
        size_t n = x->shelf.n;
        uint32_t next = 1;
        int rc = 0;

        for (size_t i = 0; i < n && !rc; i++) {
                if (x->shelf.parts[i].first > next)
                        rc = index_gap(x, next, x->shelf.parts[i].first - 1);
                next = x->shelf.parts[i].last + 1;
        }
        return rc || !next ? rc : index_gap(x, next, UINT32_MAX);
}

/* ---- merging ---- */

static unsigned level(uint32_t letters)
{
        unsigned l = 0;

        for (; letters >= LEVEL_FIRST; letters /= 4)
                l++;
        return l;
}

/* The last parts, as many as are no larger than some size, when these are MERGE_AT. */
static bool choose(struct indexing *x)
{
        for (unsigned most = 0; most <= 16; most++) {
                size_t n = 0;

                while (n < x->shelf.n && level(x->sizes[x->shelf.n - 1 - n]) <= most)
                        n++;
                if (n >= MERGE_AT) {
                        x->merge_n = n;
                        x->merge_from = x->shelf.n - n;
                        return true;
                }
        }
        return false;
}

static int begin_merge(void *arg)
{
        struct indexing *x = arg;
        struct part *parts = mem_array(x->merge_n, sizeof *parts);
        size_t n = 0;
        int rc = 0;

        for (; n < x->merge_n && !rc; n++) {
                rc = part_open(&parts[n], x->shelf.dir, x->shelf.parts[x->merge_from + n].name);
                if (rc == -EBADMSG)
                        shelf_remove(&x->shelf, x->shelf.parts[x->merge_from + n].name);
        }
        if (!rc)
                x->merge = merge_new(x->shelf.dir, parts, n, x->alive);
        else
                for (n--; n--;)
                        part_close(&parts[n]);
        mem_free(parts);
        return rc;
}

static int go_on_merging(void *arg)
{
        struct indexing *x = arg;

        return merge_some(x->merge);
}

static int end_merge(void *arg)
{
        struct indexing *x = arg;

        merge_free(&x->merge);
        for (size_t i = 0; i < x->merge_n && x->merge_n > 1; i++)
                shelf_remove(&x->shelf, x->shelf.parts[x->merge_from + i].name);
        return list_parts(x, true);
}

static int give_up_merge(void *arg)
{
        struct indexing *x = arg;

        if (x->merge && merge_bad(x->merge))
                shelf_remove(&x->shelf, merge_bad(x->merge));
        merge_free(&x->merge);
        return list_parts(x, true);
}

static int merge(struct indexing *x)
{
        int rc = offload(LONG, begin_merge, x);

        if (!rc)
                rc = 1;
        while (rc == 1) {
                rc = offload(LONG, go_on_merging, x);
                if (fiber_self())
                        fiber_yield();
                if (rc == 1 && stopped(x))
                        rc = -ECANCELED;
        }
        if (!rc)
                return offload(LONG, end_merge, x);
        (void)offload(LONG, give_up_merge, x);
        return rc;
}

/* ---- letters that are gone ---- */

static int numbers(struct db *d, void *arg)
{
        struct indexing *x = arg;
        struct db_row q = db_query(d, LETTER_NUMBERS);
        uint32_t letter;

        x->got = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, x->alive_next);
        db_bind_u64(&q, 3, x->alive_last);
        db_bind_u64(&q, 4, NUMBERS_AT_ONCE);
        for (; db_next(&q); x->got++) {
                x->got_last = letter = (uint32_t)db_u64(&q, 0);
                x->alive[(letter - x->alive_first) / 64] |= (uint64_t)1 << (letter - x->alive_first) % 64;
        }
        return db_end(&q);
}

/* When a good part of what the index knows is gone, all of it is made anew without that. */
static int drop_dead(struct indexing *x)
{
        uint64_t octets, there, left = 0, indexed = x->letters;
        int rc = account_usage(x->a, &octets, &there);

        if (rc || !x->shelf.n || indexed < there + DEAD_LEAST || indexed - there < indexed / DEAD_AT)
                return rc;
        x->alive_next = x->alive_first = x->shelf.parts[0].first;
        x->alive_last = x->shelf.parts[x->shelf.n - 1].last;
        x->alive = mem_array((size_t)(x->alive_last - x->alive_first) / 64 + 1, sizeof *x->alive);
        while (!rc && x->alive_next) {
                rc = db_transact(x->a->db, "letters that are left", numbers, x, DB_READ);
                left += x->got;
                x->alive_next =
                    x->got == NUMBERS_AT_ONCE && x->got_last < x->alive_last ? x->got_last + 1 : 0;
        }
        x->merge_from = 0;
        x->merge_n = x->shelf.n;
        if (!rc && left + indexed / DEAD_AT <=
                       indexed) /* those whose rows are still there may be on their way out */
                rc = merge(x);
        mem_free(x->alive);
        x->alive = NULL;
        return rc;
}

static int index_all(struct indexing *x)
{
        int rc = index_gaps(x);

        if (!rc)
                rc = offload(LONG, list_again, x);
        if (!rc)
                rc = drop_dead(x);
        while (!rc && !stopped(x) && choose(x))
                rc = merge(x);
        return rc;
}

/* A part found damaged was removed: its letters come next. */
int search_index_until(struct account *a, const bool *stop)
{
        struct indexing *x = indexing_new(a);
        int rc;

        x->stop = stop;
        rc = offload(LONG, open_shelf, x);
        if (!rc)
                rc = witness_ask(&x->witness, a);
        if (!rc && x->witness.lies)
                rc = offload(LONG, drop_all, x);
        if (!rc) {
                x->builder = builder_new();
                rc = index_all(x);
        }
        for (unsigned most = TRIES_MOST; (rc == -EBADMSG || rc == -ENOENT) && most; most--) {
                rc = offload(LONG, list_again, x);
                if (!rc)
                        rc = index_all(x);
        }
        indexing_free(x);
        return rc;
}

int search_index(struct account *a)
{
        return search_index_until(a, NULL);
}
