#include "proto/imap/list.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct {
        struct str role, attribute;
} roles[] = {
        { S("drafts"), S("\\Drafts") },   { S("sent"), S("\\Sent") },           { S("junk"), S("\\Junk") },
        { S("trash"), S("\\Trash") },     { S("archive"), S("\\Archive") },     { S("all"), S("\\All") },
        { S("flagged"), S("\\Flagged") }, { S("important"), S("\\Important") },
};

struct str role_attribute(struct str role)
{
        for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
                if (str_eq(roles[i].role, role))
                        return roles[i].attribute;
        return S("");
}

struct str role_of_attribute(struct str attribute)
{
        for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
                if (str_ieq(roles[i].attribute, attribute))
                        return roles[i].role;
        return S("");
}

static void put(struct list_names *l, const struct list_name *name)
{
        if (l->n == l->room) {
                l->room = l->room ? 2 * l->room : 64;
                l->list = mem_grow(l->list, l->room, sizeof *l->list);
        }
        l->list[l->n++] = *name;
}

bool names_add(struct list_names *l, const struct list_name *name)
{
        if (l->n >= NAMES_MOST)
                return false;
        put(l, name);
        return true;
}

void list_names_free(struct list_names *l)
{
        mem_free(l->list);
        *l = (struct list_names){ .m = l->m };
}

static bool in_inbox(struct str s)
{
        return str_starts(s, S("INBOX")) && (s.n == 5 || s.p[5] == '/');
}

/* INBOX and what lies below it first; then byte by byte, '/' before all others, so that a tree is read from its root. */
static int by_tree(const void *a, const void *b)
{
        const struct list_name *x = a, *y = b;
        bool first = in_inbox(x->name);

        if (first != in_inbox(y->name))
                return first ? -1 : 1;
        for (size_t i = 0; i < x->name.n && i < y->name.n; i++) {
                unsigned char c = (unsigned char)x->name.p[i], d = (unsigned char)y->name.p[i];

                if (c != d)
                        return c == '/' ? -1 : d == '/' ? 1 : c < d ? -1 : 1;
        }
        if (x->name.n != y->name.n)
                return x->name.n < y->name.n ? -1 : 1;
        return (int)(y->bits & NAME_EXISTS) - (int)(x->bits & NAME_EXISTS);
}

static void join_doubles(struct list_names *l)
{
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++) {
                if (n && str_eq(l->list[n - 1].name, l->list[i].name))
                        l->list[n - 1].bits |= l->list[i].bits;
                else
                        l->list[n++] = l->list[i];
        }
        l->n = n;
}

/* Is `above` the name itself or a level of it? */
static bool lies_on(struct str name, struct str above)
{
        return str_starts(name, above) && (name.n == above.n || name.p[above.n] == '/');
}

/* Goes through the tree with the way from its root; what is missing on the way is added. Levels beyond LEVELS_MOST are left out: the
 * names themselves are there. */
static void add_levels(struct list_names *l)
{
        struct list_names out = { .m = l->m };
        size_t above = 0, levels = 0; /* above: place + 1 of where we are */

        for (size_t i = 0; i < l->n; i++) {
                struct str name = l->list[i].name;

                while (above && !lies_on(name, out.list[above - 1].name))
                        above = out.list[above - 1].above;
                for (size_t k = above ? out.list[above - 1].name.n + 1 : 0; k < name.n; k++) {
                        struct list_name level = { .name = str_sub(name, 0, k), .above = above };

                        if (name.p[k] != '/' || levels == LEVELS_MOST)
                                continue;
                        put(&out, &level);
                        levels++;
                        above = out.n;
                }
                l->list[i].above = above;
                put(&out, &l->list[i]);
                above = out.n;
        }
        list_names_free(l);
        *l = out;
}

static void match(struct list_name *name, const struct list_query *q)
{
        for (size_t i = 0; i < q->n; i++) {
                const struct pattern *p = &q->patterns[i];

                if ((name->bits & NAME_MATCHES && (!p->ends_in_level || name->bits & NAME_MATCHES_LEVEL)) ||
                    !pattern_matches(p, name->name))
                        continue;
                name->bits |= NAME_MATCHES | (p->ends_in_level ? NAME_MATCHES_LEVEL : 0u);
        }
}

static bool selected(const struct list_name *name, unsigned select)
{
        if (select & (SELECT_SUBSCRIBED | SELECT_LSUB) && !(name->bits & NAME_SUBSCRIBED))
                return false;
        if (select & SELECT_SPECIAL && !role_attribute(name->role).n)
                return false;
        return name->bits & NAME_EXISTS || select & (SELECT_SUBSCRIBED | SELECT_LSUB);
}

/* RFC 9051 §6.3.9.3, §6.3.9.6; RFC 3501 §6.3.9 of LSUB. */
static bool shown(const struct list_name *name, unsigned select)
{
        if (!(name->bits & NAME_MATCHES))
                return false;
        if (name->bits & NAME_SELECTED)
                return true;
        if (select & SELECT_LSUB)
                return name->bits & NAME_MATCHES_LEVEL && name->bits & NAME_CHILD_SUBSCRIBED;
        if (select & SELECT_RECURSIVE)
                return name->bits & NAME_CHILD_HIDDEN;
        return !(select & (SELECT_SUBSCRIBED | SELECT_SPECIAL)) && name->bits & NAME_MATCHES_LEVEL &&
               name->bits & NAME_CHILDREN;
}

void names_choose(struct list_names *l, const struct list_query *q)
{
        if (l->n)
                qsort(l->list, l->n, sizeof *l->list, by_tree);
        join_doubles(l);
        add_levels(l);
        for (size_t i = l->n; i--;) { /* from the leaves up */
                struct list_name *name = &l->list[i];

                match(name, q);
                if (selected(name, q->select))
                        name->bits |= NAME_SELECTED;
                if (shown(name, q->select))
                        name->bits |= NAME_SHOWN;
                if (!name->above)
                        continue;
                if (name->bits & (NAME_EXISTS | NAME_CHILDREN))
                        l->list[name->above - 1].bits |= NAME_CHILDREN;
                if (name->bits & (NAME_SELECTED | NAME_CHILD_SELECTED))
                        l->list[name->above - 1].bits |= NAME_CHILD_SELECTED;
                if (!(name->bits & NAME_SHOWN) && name->bits & (NAME_SELECTED | NAME_CHILD_HIDDEN))
                        l->list[name->above - 1].bits |= NAME_CHILD_HIDDEN;
                if (name->bits & (NAME_SUBSCRIBED | NAME_CHILD_SUBSCRIBED))
                        l->list[name->above - 1].bits |= NAME_CHILD_SUBSCRIBED;
        }
}
