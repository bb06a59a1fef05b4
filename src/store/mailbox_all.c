/* The mailboxes of an account as a reader sees them: read in one transaction, put in order on the way. */
#include "base/mem.h"
#include "store/mailbox_inside.h"
#include <errno.h>
#include <stdlib.h>

struct tree {
        struct tree_row *rows;   /* by number */
        struct tree_row **order; /* by parent, then name, INBOX before all */
        size_t n;
};

static int by_place(const void *a, const void *b)
{
        const struct tree_row *x = *(struct tree_row *const *)a, *y = *(struct tree_row *const *)b;

        if (x->parent != y->parent)
                return x->parent < y->parent ? -1 : 1;
        if ((x->mailbox == MAILBOX_INBOX) != (y->mailbox == MAILBOX_INBOX))
                return x->mailbox == MAILBOX_INBOX ? -1 : 1;
        return str_cmp(x->name, y->name);
}

int mailbox_tree(struct db *d, struct arena *m, struct tree_row **rows, size_t *n)
{
        struct db_row q = db_query(d, MAILBOX_COUNT);
        size_t room = 0;
        int rc;

        *n = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        if (db_next(&q))
                room = (size_t)db_u64(&q, 0);
        rc = db_end(&q);
        if (rc)
                return rc;
        *rows = arena_array(m, struct tree_row, room);
        q = db_query(d, MAILBOX_LIST);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (*n < room && db_next(&q))
                (*rows)[(*n)++] = (struct tree_row){
                        .mailbox = (uint32_t)db_u64(&q, 0),
                        .parent = (uint32_t)db_u64(&q, 1),
                        .name = arena_str(m, db_text(&q, 2)),
                        .role = arena_str(m, db_text(&q, 3)),
                        .uidvalidity = (uint32_t)db_u64(&q, 4),
                        .selectable = db_u64(&q, 5) != 0,
                        .created = db_u64(&q, 6),
                        .changed = db_u64(&q, 7),
                };
        return db_end(&q);
}

struct tree_row *tree_find(struct tree_row *rows, size_t n, uint32_t mailbox)
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (rows[middle].mailbox == mailbox)
                        return &rows[middle];
                if (rows[middle].mailbox < mailbox)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static int read_rights(struct db *d, const struct reader_name *r, struct tree *t)
{
        struct db_row q;

        if (r->owner) {
                for (size_t i = 0; i < t->n; i++)
                        t->rows[i].given = RIGHTS_ALL;
                return 0;
        }
        q = db_query(d, ACL_ALL);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q)) {
                struct tree_row *row = tree_find(t->rows, t->n, (uint32_t)db_u64(&q, 0));
                bool minus;

                if (row && acl_fits(r, db_text(&q, 1), &minus))
                        *(minus ? &row->taken : &row->given) |= (unsigned)db_u64(&q, 2) & RIGHTS_ALL;
        }
        return db_end(&q);
}

struct all_job {
        struct reader_name reader;
        struct arena *m;
        struct mailbox_entry *list;
        size_t n;
};

static size_t first_child(const struct tree *t, uint32_t parent)
{
        size_t low = 0, high = t->n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (t->order[middle]->parent < parent)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Those below `parent`, each followed by its own; true: one at least may be seen. A name that may not be seen is left out, what lies
 * below it is not (RFC 4314 §4 knows no inheritance). */
static bool add_below(struct all_job *j, const struct tree *t, uint32_t parent, struct str path,
                      unsigned depth)
{
        bool any = false;

        for (size_t i = first_child(t, parent); i < t->n && t->order[i]->parent == parent; i++) {
                const struct tree_row *row = t->order[i];
                struct str own =
                    path.n ? arena_printf(j->m, PRS "/" PRS, STR(path), STR(row->name)) : row->name;
                unsigned rights = row->given & ~row->taken;
                struct mailbox_entry *e = NULL;
                bool below;

                if (rights & RIGHT_LOOKUP) {
                        e = &j->list[j->n++];
                        *e = (struct mailbox_entry){ row->mailbox,     row->parent,
                                                     row->uidvalidity, own,
                                                     row->role,        row->selectable ? 0 : MAILBOX_NOSELECT,
                                                     rights,           row->created,
                                                     row->changed };
                }
                below = depth < MAILBOX_DEPTH_MAX && add_below(j, t, row->mailbox, own, depth + 1);
                if (e && below)
                        e->bits |= MAILBOX_CHILDREN;
                any |= e || below;
        }
        return any;
}

static int by_path(const void *a, const void *b)
{
        const struct mailbox_entry *x = *(struct mailbox_entry *const *)a;
        const struct mailbox_entry *y = *(struct mailbox_entry *const *)b;

        return str_cmp(x->path, y->path);
}

static int mark_subscribed(struct db *d, struct all_job *j)
{
        struct mailbox_entry **sorted = arena_array(j->m, struct mailbox_entry *, j->n + 1);
        struct db_row q = db_query(d, SUBSCRIPTION_ALL);

        for (size_t i = 0; i < j->n; i++)
                sorted[i] = &j->list[i];
        qsort(sorted, j->n, sizeof(struct mailbox_entry *), by_path);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q)) {
                struct mailbox_entry key = { .path = db_text(&q, 0) }, *k = &key;
                struct mailbox_entry **found =
                    bsearch(&k, sorted, j->n, sizeof(struct mailbox_entry *), by_path);

                if (found)
                        (*found)->bits |= MAILBOX_SUBSCRIBED;
        }
        return db_end(&q);
}

static int all(struct db *d, void *arg)
{
        struct all_job *j = arg;
        struct tree t;
        int rc = mailbox_tree(d, j->m, &t.rows, &t.n);

        if (!rc)
                rc = read_rights(d, &j->reader, &t);
        if (rc)
                return rc;
        t.order = arena_array(j->m, struct tree_row *, t.n + 1);
        for (size_t i = 0; i < t.n; i++)
                t.order[i] = &t.rows[i];
        qsort(t.order, t.n, sizeof(struct tree_row *), by_place);
        j->list = arena_array(j->m, struct mailbox_entry, t.n + 1);
        j->n = 0;
        add_below(j, &t, 0, S(""), 1);
        return j->reader.owner ? mark_subscribed(d, j) : 0;
}

int mailbox_all(struct account *a, struct str reader, struct arena *m, struct mailbox_entry **list, size_t *n)
{
        struct all_job j = { .reader = reader_of(a, reader), .m = m };
        int rc = db_transact(a->db, "list mailboxes", all, &j, DB_READ);

        *list = j.list;
        *n = rc ? 0 : j.n;
        return rc;
}
