#include "base/mem.h"
#include "proto/imap/search.h"
#include "proto/imap/selected.h"

/* Searches that are kept up to date while the mailbox is selected: RETURN (UPDATE), RFC 5267 §4.3. What is kept, also while
 * the session is parked: the tree, and which uids the client knows to match. */

struct context {
        struct context *next;
        char *tag;
        bool uid;
        struct arena memory; /* of the tree */
        struct search_key *root;
        struct uid_list members;
};

enum { RANGES_MOST = 4096, MEMORY_MOST = 64 * 1024 };

static void context_free(struct context **at)
{
        struct context *c = *at;

        *at = c->next;
        mem_free(c->tag);
        arena_finish(&c->memory);
        uid_list_free(&c->members);
        mem_free(c);
}

void imap_contexts_end(struct session *s)
{
        while (imap_of(s)->contexts)
                context_free(&imap_of(s)->contexts);
}

static struct context **find(struct session *s, struct str tag)
{
        struct context **at = &imap_of(s)->contexts;

        while (*at && !str_eq(str_of((*at)->tag), tag))
                at = &(*at)->next;
        return at;
}

bool context_exists(struct session *s, struct str tag)
{
        return *find(s, tag) != NULL;
}

static size_t weight(const struct search_key *k)
{
        size_t n = sizeof(*k) + k->name.n + k->text.n + 64;

        for (const struct search_key *c = k->first; c; c = c->next)
                n += weight(c);
        return n;
}

/* RFC 5267 §4.3.1 */
static void refuse(struct session *s, struct str tag, const char *why)
{
        imap_say(s, "NO [NOUPDATE \"" PRS "\"] %s", STR(tag), imap_text(imap_of(s), why));
}

static void members_of(const struct seqmap *map, const struct search_found *f, struct uid_list *out)
{
        for (size_t i = 0; i < f->n; i++)
                seqmap_uids(map, f->seqs[i], f->seqs[i], out);
}

void context_start(struct session *s, const struct search_program *p, const struct search_scope *scope,
                   const struct search_found *f)
{
        struct str tag = imap_of(s)->tag;
        struct context *c, **at = &imap_of(s)->contexts;
        size_t n = 0;

        for (; *at; at = &(*at)->next)
                n++;
        if (n >= SEARCH_CONTEXTS_MOST) {
                refuse(s, tag, "that many searches are not kept up");
                return;
        }
        if (p->passes) {
                refuse(s, tag, "a search that time changes is not kept up");
                return;
        }
        c = mem_new(struct context);
        arena_init(&c->memory, 4 * MEMORY_MOST);
        c->tag = mem_string(tag);
        c->uid = imap_of(s)->uid;
        members_of(scope->map, f, &c->members);
        if (weight(p->root) <= MEMORY_MOST)
                c->root = search_copy(&c->memory, s, p->root);
        *at = c;
        if (!c->root || c->members.n > RANGES_MOST || f->lowest) {
                context_free(at);
                refuse(s, tag, "that is too much to be kept up");
        }
}

/* CANCELUPDATE 1*(SP quoted) -- RFC 5267 §4.3.5 */
int imap_cancelupdate(struct session *s, struct scan *a)
{
        struct str tags[SEARCH_CONTEXTS_MOST];
        size_t n = 0;

        do {
                struct str tag = imap_astring(s, a);

                if (n == SEARCH_CONTEXTS_MOST)
                        scan_fail(a, "that many searches are not kept up");
                else
                        tags[n++] = tag;
        } while (!a->bad && scan_try(a, ' '));
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        for (size_t i = 0; i < n; i++)
                if (!context_exists(s, tags[i]))
                        return imap_bad(s, "no search that is kept up has the tag " PRS, STR(tags[i]));
        for (size_t i = 0; i < n; i++) {
                struct context **at = find(s, tags[i]);

                if (*at)
                        context_free(at);
        }
        return imap_ok(s, "no further updates");
}

/* --- changes --- */

/* "* ESEARCH (TAG "t") UID ADDTO (0 2,3)": position 0 stands for mailbox order (§4.3.3). Uids that the client does not know
 * by number cannot be told by number. */
static void tell(struct session *s, const struct context *c, const char *what, const struct uid_list *uids)
{
        const struct seqmap *map = &imap_of(s)->selected.map;
        struct uid_list known = { 0 };
        struct search_out o;
        const char *comma = "";

        imap_present(map, uids, &known);
        if (known.n) {
                out_begin(&o, s);
                out_printf(&o, "* ESEARCH (TAG \"%s\")%s %s (0 ", c->tag, c->uid ? " UID" : "", what);
                for (size_t i = 0; i < known.n; i++, comma = ",") {
                        uint32_t first = known.ranges[i].first, last = known.ranges[i].last;

                        if (!c->uid) {
                                first = seqmap_seq(map, first);
                                last = seqmap_seq(map, last);
                        }
                        out_printf(&o, last > first ? "%s%u:%u" : "%s%u", comma, first, last);
                }
                out_printf(&o, ")");
                out_end(&o);
        }
        uid_list_free(&known);
}

/* a without b */
static void without(const struct uid_list *a, const struct uid_list *b, struct uid_list *out)
{
        size_t k = 0;

        for (size_t i = 0; i < a->n; i++) {
                uint64_t from = a->ranges[i].first, last = a->ranges[i].last;

                while (k < b->n && b->ranges[k].last < from)
                        k++;
                for (size_t j = k; j < b->n && b->ranges[j].first <= last && from <= last; j++) {
                        if (b->ranges[j].first > from)
                                uid_list_add(out, (uint32_t)from, b->ranges[j].first - 1);
                        from = (uint64_t)b->ranges[j].last + 1;
                }
                if (from <= last)
                        uid_list_add(out, (uint32_t)from, (uint32_t)last);
        }
}

static void replace(struct uid_list *l, struct uid_list *by)
{
        uid_list_free(l);
        *l = *by;
        *by = (struct uid_list){ 0 };
}

static void forget(struct session *s, struct context *c, const struct uid_list *gone)
{
        struct uid_list hit = { 0 }, rest = { 0 };

        uid_list_common(&c->members, gone, &hit);
        if (hit.n) {
                tell(s, c, "REMOVEFROM", &hit);
                without(&c->members, &hit, &rest);
                replace(&c->members, &rest);
        }
        uid_list_free(&hit);
}

/* Asks the tree about these letters only. */
static int matching(struct search_scope *scope, const struct context *c, const struct uid_list *uids,
                    struct uid_list *out)
{
        struct search_key root = *c->root;
        struct search_key those = { .what = KEY_UID, .ranges = uids->ranges, .n = uids->n, .next = &root };
        struct search_key both = { .what = KEY_AND, .cost = KEY_TEXT, .first = &those };
        struct search_found f;
        int error;

        root.next = NULL;
        error = search_run(scope, &both, &f);
        if (error)
                return error;
        members_of(scope->map, &f, out);
        search_found_free(&f);
        return 0;
}

/* false: it cannot be kept up any longer */
static bool renew(struct search_scope *scope, struct context *c, const struct uid_list *changed)
{
        struct uid_list now = { 0 }, were = { 0 }, added = { 0 }, removed = { 0 }, rest = { 0 },
                        members = { 0 };
        bool ok = !matching(scope, c, changed, &now);

        if (ok) {
                uid_list_common(&c->members, changed, &were);
                without(&were, &now, &removed);
                without(&now, &were, &added);
                if (removed.n)
                        tell(scope->s, c, "REMOVEFROM", &removed);
                if (added.n)
                        tell(scope->s, c, "ADDTO", &added);
                without(&c->members, &removed, &rest);
                uid_list_union(&rest, &added, &members);
                replace(&c->members, &members);
                ok = c->members.n <= RANGES_MOST;
        }
        uid_list_free(&now);
        uid_list_free(&were);
        uid_list_free(&added);
        uid_list_free(&removed);
        uid_list_free(&rest);
        return ok;
}

void imap_contexts_update(struct session *s, struct access *x, const struct placed_list *changed,
                          const struct uid_list *gone)
{
        struct context **at = &imap_of(s)->contexts;
        struct uid_list uids = { 0 }, there = { 0 };
        struct search_scope scope;

        if (!*at)
                return;
        for (size_t i = 0; changed && i < changed->n; i++)
                uid_list_add(&uids, changed->list[i].uid, changed->list[i].uid);
        imap_present(&imap_of(s)->selected.map, &uids, &there);
        if (there.n) {
                search_scope(&scope, s, x);
                scope.limit = 0;
        }
        while (*at) {
                bool ok = true;

                if (gone && gone->n)
                        forget(s, *at, gone);
                if (there.n)
                        ok = renew(&scope, *at, &there);
                if (ok) {
                        at = &(*at)->next;
                } else {
                        refuse(s, str_of((*at)->tag), "that is too much to be kept up");
                        context_free(at);
                }
        }
        uid_list_free(&uids);
        uid_list_free(&there);
}
