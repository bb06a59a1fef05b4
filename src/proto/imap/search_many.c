#include "base/mem.h"
#include "proto/imap/search.h"
#include "run/fiber.h"

#include <errno.h>

/* ESEARCH over many mailboxes -- RFC 7377. What may not be read is left out without a word, so that nobody learns from it what
 * there is. */

struct target {
        struct str owner, path;
};
enum filter { FILTER_PERSONAL, FILTER_SUBSCRIBED, FILTER_SUBTREE, FILTER_SUBTREE_ONE, FILTER_MAILBOXES };
struct source {
        enum filter filter;
        struct target named; /* of those with names */
};
struct sources {
        struct source list[SEARCH_MAILBOXES_MOST];
        size_t n;
        bool given, selected;
        struct target *targets; /* in the command's arena */
        size_t target_count;
        struct keyword_list keywords; /* of the account of that name */
        struct str keywords_of;
        struct arena names; /* of one account's mailboxes: reset, however many sources there are */
        struct str names_of;
        struct mailbox_entry *mailboxes;
        size_t mailbox_count;
};

/* --- which mailboxes --- */

static void add_source(struct scan *a, struct sources *o, enum filter filter, struct target named)
{
        if (o->n == SEARCH_MAILBOXES_MOST)
                scan_fail(a, "[LIMIT] too many mailboxes are named");
        else
                o->list[o->n++] = (struct source){ filter, named };
}

static void named(struct session *s, struct scan *a, struct sources *o, enum filter filter)
{
        struct str name = imap_mailbox(s, a);
        struct target t;

        if (!a->bad && imap_locate(s, name, &t.owner, &t.path))
                add_source(a, o, filter, t);
}

/* one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")" -- RFC 5465 §8 */
static void names(struct session *s, struct scan *a, struct sources *o, enum filter filter)
{
        imap_sp(a);
        if (!scan_try(a, '(')) {
                named(s, a, o, filter);
                return;
        }
        do
                named(s, a, o, filter);
        while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
}

/* filter-mailboxes */
static void source(struct session *s, struct scan *a, struct sources *o)
{
        struct str word = imap_atom(a);

        if (str_ieq(word, S("selected")))
                o->selected = true;
        else if (str_ieq(word, S("inboxes")) ||
                 str_ieq(word, S("personal"))) /* letters may be filed into any */
                add_source(a, o, FILTER_PERSONAL, (struct target){ s->account, S("") });
        else if (str_ieq(word, S("subscribed")))
                add_source(a, o, FILTER_SUBSCRIBED, (struct target){ s->account, S("") });
        else if (str_ieq(word, S("subtree")))
                names(s, a, o, FILTER_SUBTREE);
        else if (str_ieq(word, S("subtree-one")))
                names(s, a, o, FILTER_SUBTREE_ONE);
        else if (str_ieq(word, S("mailboxes")))
                names(s, a, o, FILTER_MAILBOXES);
        else
                scan_fail(a, "there is no such source of mailboxes");
}

/* "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")": there are no scope options yet */
static void sources(struct session *s, struct scan *a, struct sources *o)
{
        if (!scan_try_word(a, S("IN "))) {
                o->selected = true;
                return;
        }
        o->given = true;
        scan_char(a, '(');
        do
                source(s, a, o);
        while (!a->bad && scan_try(a, ' ') && scan_peek(a) != '(');
        if (scan_try(a, '('))
                scan_char(a, ')');
        scan_char(a, ')');
        imap_sp(a);
}

/* --- and what they are --- */

/* Each once. -ENOBUFS: too many. */
static int add_target(struct session *s, struct sources *o, struct str owner, struct str path)
{
        for (size_t i = 0; i < o->target_count; i++)
                if (str_eq(o->targets[i].path, path) && str_eq(o->targets[i].owner, owner))
                        return 0;
        if (!o->targets)
                o->targets = arena_array(&s->command, struct target, SEARCH_MAILBOXES_MOST);
        if (o->target_count == SEARCH_MAILBOXES_MOST)
                return -ENOBUFS;
        o->targets[o->target_count++] = (struct target){ owner, arena_str(&s->command, path) };
        return 0;
}

static bool in_tree(const struct source *src, struct str path)
{
        struct str top = src->named.path, rest;

        if (!top.n)
                return true;
        if (!str_starts(path, top) || (path.n > top.n && path.p[top.n] != '/'))
                return false;
        rest = str_from_at(path, top.n + 1);
        return src->filter == FILTER_SUBTREE || path.n == top.n || str_find(rest, '/') == STR_NONE;
}

/* The mailboxes of an account; of one after the other once. */
static int read_names(struct session *s, struct sources *o, struct str owner)
{
        struct account *account = NULL;
        int rc;

        if (str_eq(o->names_of, owner))
                return 0;
        arena_reset(&o->names);
        o->names_of = S("");
        o->mailbox_count = 0;
        if (!imap_owner_exists(s, owner))
                return -ENOENT;
        rc = account_get(s->server->accounts, owner, &account);
        if (!rc)
                rc = mailbox_all(account, s->account, &o->names, &o->mailboxes, &o->mailbox_count);
        account_put(&account);
        if (!rc)
                o->names_of = owner;
        return rc;
}

/* Those of an account that the reader may look up and read (§2.2). */
static int add_tree(struct session *s, struct sources *o, const struct source *src)
{
        int rc = read_names(s, o, src->named.owner);

        fiber_yield_if_due();
        for (size_t i = 0; i < o->mailbox_count && !rc; i++) {
                const struct mailbox_entry *e = &o->mailboxes[i];

                if (!(e->bits & MAILBOX_NOSELECT) && e->rights & RIGHT_READ && in_tree(src, e->path))
                        rc = add_target(s, o, src->named.owner, e->path);
        }
        return rc == -ENOENT ? 0 : rc;
}

static int add_subscribed(struct session *s, struct sources *o)
{
        struct account *own = NULL;
        struct str *list = NULL;
        struct target t;
        size_t n = 0;
        int rc = account_get(s->server->accounts, s->account, &own);

        if (rc)
                return rc;
        arena_reset(&o->names);
        o->names_of = S("");
        o->mailbox_count = 0;
        rc = mailbox_subscriptions(own, &o->names, &list, &n);
        account_put(&own);
        for (size_t i = 0; i < n && !rc; i++)
                if (imap_locate(s, list[i], &t.owner, &t.path))
                        rc = add_target(s, o, t.owner, t.path);
        return rc;
}

static int resolve(struct session *s, struct sources *o)
{
        int rc = 0;

        for (size_t i = 0; i < o->n && !rc; i++) {
                const struct source *src = &o->list[i];

                switch (src->filter) {
                case FILTER_SUBSCRIBED: rc = add_subscribed(s, o); break;
                case FILTER_MAILBOXES: rc = add_target(s, o, src->named.owner, src->named.path); break;
                default: rc = add_tree(s, o, src);
                }
        }
        return rc;
}

/* --- one mailbox --- */

static const struct keyword_list *keywords(struct session *s, struct sources *o, struct access *x,
                                           struct str owner)
{
        if (!str_eq(o->keywords_of, owner) && change_keywords(x, &s->command, &o->keywords))
                return NULL;
        o->keywords_of = owner;
        return &o->keywords;
}

/* All letters as they are now: nobody has been told numbers. */
static int map_of(struct access *x, struct seqmap *map)
{
        struct uid_range all = { 1, UINT32_MAX };
        struct placed_list list = { 0 };
        int rc = change_list(x, &all, 1, 0, &list);

        for (size_t i = 0; i < list.n && !rc; i++)
                if (list.list[i].uid > seqmap_last(map))
                        seqmap_add(map, list.list[i].uid);
                else
                        rc = -EBADMSG; /* a damaged page */
        placed_list_free(&list);
        return rc;
}

static int tell(struct search_scope *c, const struct search_return *r, const struct search_program *p,
                struct str name, uint32_t uidvalidity, const struct search_found *f)
{
        struct search_reply reply = { .verb = "SEARCH",
                                      .ret = r,
                                      .uid = true,
                                      .mailbox = name,
                                      .uidvalidity = uidvalidity,
                                      .modseq = p->modseq };

        return f->n ? search_reply(c, &reply, f) : 0; /* §2.1: nothing of mailboxes without a match */
}

/* 0 also where it may not be read. */
static int search_one(struct session *s, struct sources *o, const struct target *t,
                      const struct search_return *r, const struct search_program *p)
{
        struct search_scope c = { .s = s, .started = wall_usec(), .told = now() };
        struct search_found f = { 0 };
        struct mailbox_status status;
        struct seqmap map = { 0 };
        struct access x = { 0 };
        int rc = -ENOENT;

        if (imap_owner_exists(s, t->owner))
                rc = access_open(&x, s->server->accounts, s->account, t->owner, t->path, RIGHT_READ);

        if (!rc) {
                c.x = &x;
                c.map = &map;
                c.keywords = keywords(s, o, &x, t->owner);
                rc = map_of(&x, &map);
        }
        if (!rc && p->recent) {
                rc = change_status(&x, false, &status);
                c.recent_from = status.recent_from;
                c.recent_until = UINT32_MAX;
        }
        if (!rc)
                rc = search_run(&c, p->root, &f);
        if (!rc)
                rc = tell(&c, r, p, imap_name_of(s, t->owner, t->path), x.uidvalidity, &f);
        search_found_free(&f);
        seqmap_free(&map);
        access_close(&x);
        return rc == -ENOENT || rc == -EACCES || rc == -ESTALE ? 0 : rc;
}

/* The selected mailbox with its numbers and its $. false: the reply is in *rc. */
static bool search_selected(struct session *s, const struct search_return *r, const struct search_program *p,
                            int *rc)
{
        struct imap_selected *sel = &imap_of(s)->selected;
        struct search_scope c;
        struct search_found f;
        struct access x;
        struct str name;
        int error;

        if (!imap_selected_open(s, RIGHT_READ, &x, rc))
                return false;
        search_scope(&c, s, &x);
        c.limit = 0;
        name = imap_name_of(s, str_of(sel->key.owner), sel->path);
        error = search_run(&c, p->root, &f);
        if (!error)
                error = tell(&c, r, p, name, sel->key.uidvalidity, &f);
        if (!error && r->save)
                search_save(s, r, &f);
        if (!error && r->update)
                context_start(s, p, &c, &f);
        if (error)
                *rc = search_failed(s, r, error);
        search_found_free(&f);
        access_close(&x);
        return !error;
}

/* --- the command --- */

/* §2.2: what options and sources do not go together. */
static bool sources_allowed(struct session *s, const struct sources *o, const struct search_return *r,
                            const struct search_program *p, int *rc)
{
        bool selected = imap_of(s)->selected.key.owner;

        if (!search_options_allowed(s, r, p, rc))
                return false;
        if (o->selected && !selected)
                *rc = imap_bad(s, "select a mailbox first");
        else if (r->save && (!o->selected || o->n))
                *rc = imap_bad(s, "SAVE is for the selected mailbox alone");
        else if (r->update && (!selected || !o->selected))
                *rc = imap_bad(s, "UPDATE is for the selected mailbox");
        else
                return true;
        return false;
}

static int run(struct session *s, struct sources *o, const struct search_return *r,
               const struct search_program *p)
{
        struct imap_selected *sel = &imap_of(s)->selected;
        int rc, error;

        arena_init(&o->names, SIZE_MAX); /* what the store bounds */
        error = resolve(s, o);
        arena_finish(&o->names);
        if (!error && o->selected && !search_selected(s, r, p, &rc))
                return rc;
        for (size_t i = 0; i < o->target_count && !error; i++) {
                const struct target *t = &o->targets[i];

                if (o->selected && str_eq(t->path, sel->path) && str_eq(t->owner, str_of(sel->key.owner)))
                        continue; /* told already */
                error = search_one(s, o, t, r, p);
        }
        return error ? imap_trouble(s, error) : imap_ok(s, "that is what was found");
}

/* esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program */
int imap_esearch(struct session *s, struct scan *a)
{
        struct sources *o = arena_new(&s->command, struct sources);
        struct search_return r;
        struct search_program program;
        bool uid = imap_of(s)->uid;
        int rc;

        sources(s, a, o);
        search_return(s, a, &r);
        if (!r.given)
                r.given = r.all = true;
        search_program(s, a, &program);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (!sources_allowed(s, o, &r, &program, &rc))
                return rc;
        if (program.modseq && imap_of(s)->selected.key.owner)
                imap_use_condstore(s);
        imap_of(s)->uid = true; /* answers, and updates, are about uids (§2.1) */
        rc = run(s, o, &r, &program);
        imap_of(s)->uid = uid;
        return rc;
}
