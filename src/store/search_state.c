#include "run/offload.h"
#include "store/search_part.h"
#include <errno.h>

/* Looking at the index without changing it. */
struct look_at {
        struct account *a;
        struct shelf shelf;
        bool behind;
        uint64_t letters, bytes;
};

static int list_names(void *arg)
{
        struct look_at *l = arg;
        int rc = shelf_open(&l->shelf, l->a, false);

        return rc ? rc : shelf_list(&l->shelf, false);
}

static int close_shelf(void *arg)
{
        struct look_at *l = arg;

        shelf_close(&l->shelf);
        return 0;
}

static bool any_letter(struct db *d, uint32_t from, uint32_t to)
{
        struct db_row q = db_query(d, LETTER_NUMBERS);
        bool any;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, from);
        db_bind_u64(&q, 3, to);
        db_bind_u64(&q, 4, 1);
        any = db_next(&q);
        return db_end(&q) || any;
}

/* By the names of the parts alone. */
static int look_for_gaps(struct db *d, void *arg)
{
        struct look_at *l = arg;
        struct counter all;
        uint32_t next = 1;
        int rc = counter_read(d, 0, &all);

        l->behind = false;
        for (size_t i = 0; i < l->shelf.n && !rc && !l->behind; i++) {
                const struct shelf_part *p = &l->shelf.parts[i];

                l->behind = p->first > next && any_letter(d, next, p->first - 1);
                next = p->last + 1;
        }
        if (!rc && !l->behind) /* or it knows letters of the future */
                l->behind = next - 1 >= all.uidnext || (next && any_letter(d, next, UINT32_MAX));
        return rc;
}

int search_behind(struct account *a, bool *behind)
{
        struct look_at l = { .a = a };
        int rc = offload(LONG, list_names, &l);

        if (!rc || rc == -ENOENT)
                rc = db_transact(a->db, "letters to index", look_for_gaps, &l, DB_READ);
        *behind = l.behind;
        (void)offload(LONG, close_shelf, &l);
        return rc;
}

/* What is damaged does not count. */
static int add_up(void *arg)
{
        struct look_at *l = arg;
        int rc = list_names(l);

        for (size_t i = 0; i < l->shelf.n && !rc; i++) {
                struct part p;

                rc = part_open(&p, l->shelf.dir, l->shelf.parts[i].name);
                if (rc == -EBADMSG || rc == -ENOENT) {
                        rc = 0;
                        continue;
                }
                l->letters += p.n;
                l->bytes += p.bytes;
                part_close(&p);
        }
        shelf_close(&l->shelf);
        return rc == -ENOENT ? 0 : rc;
}

int search_state(struct account *a, uint64_t *indexed, uint64_t *letters, uint64_t *bytes)
{
        struct look_at l = { .a = a };
        uint64_t octets;
        int rc = offload(LONG, add_up, &l);

        *indexed = l.letters;
        *bytes = l.bytes;
        return rc ? rc : account_usage(a, &octets, letters);
}
