#include "store/directory_private.h"
#include <stdlib.h>

/* What the verbs list and check: read from the file itself, not from the cache. */
struct rows {
        enum directory_what what;
        struct str of;
        struct arena *a;
        struct directory_row *rows;
        size_t n, room;
};

static struct directory_row *add_row(struct rows *r)
{
        if (r->n == r->room) {
                size_t room = r->room ? r->room * 2 : 16;
                struct directory_row *larger = arena_array(r->a, struct directory_row, room);

                for (size_t i = 0; i < r->n; i++)
                        larger[i] = r->rows[i];
                r->rows = larger;
                r->room = room;
        }
        return &r->rows[r->n++];
}

static struct str standing_in_words(struct arena *a, struct db_row *q)
{
        struct str moved = db_text(q, 3), forward = db_text(q, 4);

        if (db_u64(q, 2))
                return S("disabled");
        if (moved.n)
                return arena_printf(a, "moved to " PRS, STR(moved));
        if (forward.n)
                return arena_printf(a, "forwards to " PRS "%s", STR(forward),
                                    db_u64(q, 5) ? ", keeps a copy" : "");
        return S("");
}

/* Is the row about what was asked for: its own name, or its domain ("@hill.com")? */
static bool about(struct str name, struct str of)
{
        return !of.n || str_ieq(name, of) || (of.p[0] == '@' && str_ends(name, of));
}

static int read_rows(struct db *db, void *arg)
{
        static const unsigned statements[] = {
                [DIR_DOMAINS] = ALL_DOMAINS, [DIR_ACCOUNTS] = ALL_ACCOUNTS, [DIR_ALIASES] = ALL_ALIASES,
                [DIR_LISTS] = ALL_LISTS,     [DIR_MEMBERS] = ALL_MEMBERS,   [DIR_LOGINS] = ALL_LOGINS,
                [DIR_GRANTS] = ALL_GRANTS,
        };
        struct rows *r = arg;
        struct db_row q;

        r->n = 0;
        q = db_query(db, statements[r->what]);
        while (db_next(&q)) {
                struct directory_row row = { .name = db_text(&q, 0), .value = S(""), .more = S("") };
                bool by_value = r->what == DIR_LOGINS;

                if (r->what == DIR_ACCOUNTS) {
                        row.number = db_u64(&q, 1);
                        row.value = arena_str(r->a, db_text(&q, 6));
                        row.more = standing_in_words(r->a, &q);
                } else if (r->what != DIR_LISTS) {
                        row.value = arena_str(r->a, db_text(&q, 1));
                }
                if (r->what == DIR_DOMAINS)
                        row.more = arena_str(r->a, db_text(&q, 2));
                if (!about(by_value ? row.value : row.name, r->of))
                        continue;
                row.name = arena_str(r->a, row.name);
                *add_row(r) = row;
        }
        return db_end(&q);
}

static int count_members(struct db *db, void *arg)
{
        struct rows *r = arg;

        for (size_t i = 0; i < r->n; i++) {
                struct db_row q = db_query(db, MEMBERS_OF_LIST);
                int rc;

                db_bind_text(&q, 1, r->rows[i].name);
                if (db_next(&q))
                        r->rows[i].number = db_u64(&q, 0);
                rc = db_end(&q);
                if (rc < 0)
                        return rc;
        }
        return 0;
}

static int by_name(const void *a, const void *b)
{
        const struct directory_row *x = a, *y = b;
        int c = str_cmp(x->name, y->name);

        return c ? c : str_cmp(x->value, y->value);
}

int directory_rows(struct directory *d, enum directory_what what, struct str of, struct arena *a,
                   struct directory_row **rows, size_t *n)
{
        struct rows r = { .what = what, .of = of, .a = a };
        int rc = db_transact(d->db, "list", read_rows, &r, DB_READ);

        if (rc == 0 && what == DIR_LISTS)
                rc = db_transact(d->db, "count members", count_members, &r, DB_READ);
        if (r.n)
                qsort(r.rows, r.n, sizeof(*r.rows), by_name);
        *rows = r.rows;
        *n = r.n;
        return rc;
}

/* ---- pail check ---- */

static void wrong_line(struct buf *out, unsigned *wrong, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void wrong_line(struct buf *out, unsigned *wrong, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        buf_vprintf(out, format, args);
        va_end(args);
        buf_puts(out, S("\n"));
        ++*wrong;
}

/* Would a letter to this name of ours arrive? */
static void check_name(struct directory *d, struct str name, const char *what, struct buf *out,
                       unsigned *wrong)
{
        struct arena auto_arena a = { 0 };
        struct str local, domain;
        struct resolved r;
        int rc;

        arena_init(&a, (size_t)8 << 20);
        address_split(name, &local, &domain);
        rc = directory_resolve(d, &a, local, domain, &r);
        if (rc < 0)
                wrong_line(out, wrong, "%s " PRS ": %s", what, STR(name), strerror(-rc));
        else if (r.standing == STANDING_LOOP)
                wrong_line(out, wrong, "%s " PRS ": it goes in circles, or too deep, or to more than %d",
                           what, STR(name), DIRECTORY_ACTIONS);
        else if (r.standing == STANDING_UNKNOWN)
                wrong_line(out, wrong, "%s " PRS ": nobody stands behind it", what, STR(name));
        else if (r.standing == STANDING_FOREIGN)
                wrong_line(out, wrong, "%s " PRS ": its domain is not hosted here", what, STR(name));
}

static void check_targets(const struct cache *c, struct buf *out, unsigned *wrong)
{
        for (size_t s = 0; s < c->nodes.size; s++)
                for (struct item *i = c->nodes.slots[s]; i; i = i->next) {
                        struct node *n = (struct node *)(void *)i;

                        for (struct edge *e = n->targets; e; e = e->next)
                                if (!e->to)
                                        wrong_line(out, wrong, PRS ": leads to " PRS ", where nobody is",
                                                   STR(n->item.key), STR(e->address));
                }
}

int directory_check(struct directory *d, struct buf *out, unsigned *wrong)
{
        static const struct {
                enum directory_what what;
                const char *name;
        } named[] = { { DIR_ACCOUNTS, "account" }, { DIR_ALIASES, "alias" }, { DIR_LISTS, "list" } };
        struct arena auto_arena a = { 0 };
        struct directory_row *rows;
        size_t n;
        int rc = directory_refresh(d);

        arena_init(&a, (size_t)1 << 30);
        for (size_t w = 0; rc == 0 && w < sizeof(named) / sizeof(named[0]); w++) {
                rc = directory_rows(d, named[w].what, S(""), &a, &rows, &n);
                for (size_t i = 0; rc == 0 && i < n; i++)
                        if (!i || !str_eq(rows[i].name, rows[i - 1].name))
                                check_name(d, rows[i].name, named[w].name, out, wrong);
        }
        if (rc == 0)
                check_targets(d->cache, out, wrong);
        return rc;
}
