/* LIST on whatever patterns and names: a pattern's one pass beside a table of all its states, and the tree of names that is shown. The first
 * byte chooses the selection, the first line is the pattern, each further line a name: its first byte what it is. */
#include "base/mem.h"
#include "proto/imap/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* at[k]: the first k bytes of the pattern can stand for the name up to here. INBOX may be written in any case. */
static bool by_table(struct str p, struct str name)
{
        bool at[512] = { true }, inbox = str_istarts(name, S("INBOX")) && (name.n == 5 || name.p[5] == '/');

        for (size_t k = 0; k < p.n; k++)
                at[k + 1] = at[k] && (p.p[k] == '*' || p.p[k] == '%');
        for (size_t i = 0; i < name.n; i++) {
                bool before = at[0];

                at[0] = false;
                for (size_t k = 0; k < p.n; k++) {
                        bool here = at[k + 1], wild = p.p[k] == '*' || (p.p[k] == '%' && name.p[i] != '/');
                        bool same = p.p[k] == name.p[i] || (inbox && i < 5 && p.p[k] == chr_lower(name.p[i]));

                        if (p.p[k] == '*' || p.p[k] == '%')
                                at[k + 1] = (here && wild) || at[k];
                        else
                                at[k + 1] = before && same;
                        before = here;
                }
        }
        return at[p.n];
}

static void check_tree(const struct list_names *l, const struct list_query *q)
{
        for (size_t i = 0; i < l->n; i++) {
                const struct list_name *name = &l->list[i],
                                       *above = name->above ? &l->list[name->above - 1] : NULL;

                must(name->above <= i, "list: a name stands before what it lies in");
                must(!above || (str_starts(name->name, above->name) && name->name.p[above->name.n] == '/'),
                     "list: a name lies in another one's place");
                must(!(name->bits & NAME_SHOWN) || pattern_matches(q->patterns, name->name),
                     "list: shown, and matches nothing");
                must(!above || !(name->bits & NAME_EXISTS) || above->bits & NAME_CHILDREN,
                     "list: a child is not known to be one");
                must(!i || !str_eq(name->name, l->list[i - 1].name), "list: a name twice");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const unsigned selects[] = { 0, SELECT_SUBSCRIBED, SELECT_SUBSCRIBED | SELECT_RECURSIVE,
                                            SELECT_SPECIAL, SELECT_LSUB };
        struct str rest = str_from(data, size), text, line;
        struct list_names l = { 0 };
        struct pattern p;
        struct list_query q = { 0, &p, 1 };
        struct arena m;
        size_t used = 0;

        if (size < 2 || size > 4096)
                return 0;
        q.select = selects[data[0] % (sizeof selects / sizeof selects[0])];
        rest = str_from_at(rest, 1);
        str_cut(&rest, '\n', &text);
        if (text.n > 500)
                return 0;
        arena_init(&m, 64 << 20);
        must(pattern_make(&m, text, &used, &p), "list: a short pattern is too long");
        while (rest.n) {
                struct list_name name = { .bits = NAME_EXISTS };

                str_cut(&rest, '\n', &line);
                if (line.n < 2)
                        continue;
                name.name = str_from_at(line, 1);
                if (line.p[0] & 1)
                        name.bits = NAME_SUBSCRIBED;
                if (line.p[0] & 2)
                        name.role = S("trash");
                must(pattern_matches(&p, name.name) == by_table(text, name.name),
                     "list: two readings of a pattern");
                if (pattern_matches(&p, name.name) && !str_istarts(name.name, S("INBOX")))
                        must(pattern_reaches(&p, str_sub(name.name, 0, name.name.n / 2)),
                             "list: it matches what it cannot reach");
                names_add(&l, &name);
        }
        l.m = &m;
        names_choose(&l, &q);
        check_tree(&l, &q);
        list_names_free(&l);
        arena_finish(&m);
        return 0;
}
