#include "store/directory_private.h"
#include <errno.h>

/* The expansion of one recipient. Whoever was there already is passed over, by a mark in the node, so an account that
 * is reached by several ways gets one letter and circles end; the depth is bounded all the same. */
struct expansion {
        struct cache *cache;
        struct arena *a;
        struct resolved *out;
        struct str address; /* asked for, in normal form */
        unsigned room;      /* for actions */
        bool circle;        /* met a name that it had met before */
        bool too_deep, too_many;
        struct node *moved;    /* the first that has */
        enum standing failure; /* the first */
};

static void fail(struct expansion *x, enum standing why)
{
        if (x->failure == STANDING_OK)
                x->failure = why;
}

static struct action *new_action(struct expansion *x, enum action_kind kind, struct str reason)
{
        struct resolved *r = x->out;
        struct action *t;

        if (r->count == x->room) {
                unsigned room = x->room ? x->room * 8 : 1;
                size_t bytes = room * sizeof(struct action) + 4096;

                if (x->room >= DIRECTORY_ACTIONS || x->a->used + bytes > x->a->max) {
                        x->too_many = true;
                        return NULL;
                }
                t = arena_array(x->a, struct action, room);
                for (unsigned i = 0; i < r->count; i++)
                        t[i] = r->actions[i];
                r->actions = t;
                x->room = room;
        }
        if (r->count >= DIRECTORY_ACTIONS || x->a->used + 2048 > x->a->max) {
                x->too_many = true;
                return NULL;
        }
        t = &r->actions[r->count];
        *t = (struct action){ .number = r->count++, .kind = kind, .original = x->address, .reason = reason };
        return t;
}

static void file_in(struct expansion *x, struct node *account, struct str address, struct str reason)
{
        struct action *t = new_action(x, ACTION_FILE, reason);

        if (!t)
                return;
        t->account = arena_str(x->a, account->item.key);
        t->mailbox = S("INBOX");
        t->address = address.n ? address : t->account;
}

static void expand(struct expansion *x, struct node *n, struct str address, struct str reason,
                   unsigned depth);

static void expand_targets(struct expansion *x, struct node *n, struct str reason, unsigned depth)
{
        for (struct edge *e = n->targets; e && !x->too_many; e = e->next) {
                if (e->to)
                        expand(x, e->to, S(""), reason, depth + 1);
                else
                        fail(x, STANDING_UNKNOWN);
        }
}

static void expand_account(struct expansion *x, struct node *n, struct str address, struct str reason,
                           unsigned depth)
{
        if (n->disabled) {
                fail(x, STANDING_DISABLED);
                return;
        }
        if (n->moved_to.n) {
                fail(x, STANDING_MOVED);
                x->moved = x->moved ? x->moved : n;
                return;
        }
        if (!n->targets || n->keep_copy)
                file_in(x, n, address, reason);
        if (n->targets)
                expand_targets(x, n, arena_printf(x->a, "forwarded by " PRS, STR(n->item.key)), depth);
}

static void expand(struct expansion *x, struct node *n, struct str address, struct str reason, unsigned depth)
{
        struct action *t;

        if (n->mark == x->cache->mark) {
                x->circle = true;
                return;
        }
        n->mark = x->cache->mark;
        if (depth > DIRECTORY_DEPTH) {
                x->too_deep = true;
                return;
        }
        switch (n->kind) {
        case NODE_ACCOUNT: expand_account(x, n, address, reason, depth); break;
        case NODE_ALIAS:
                expand_targets(x, n, reason.n ? reason : arena_printf(x->a, "alias " PRS, STR(n->item.key)),
                               depth);
                break;
        case NODE_LIST:
                if (!x->out->list.n) {
                        x->out->list = arena_str(x->a, n->item.key);
                        x->out->list_entry = (struct list_entry){ arena_str(x->a, n->list.title),
                                                                  arena_str(x->a, n->list.owner),
                                                                  n->list.max_size, n->list.moderated };
                }
                expand_targets(x, n, arena_printf(x->a, "list " PRS, STR(n->item.key)), depth);
                break;
        case NODE_REMOTE:
                t = new_action(x, ACTION_SEND, reason);
                if (t)
                        t->address = arena_str(x->a, n->address);
                break;
        }
}

/* What it all comes to. */
static void judge(struct expansion *x, struct node *only)
{
        struct resolved *r = x->out;

        if (x->too_deep || x->too_many) {
                r->count = 0;
                r->standing = STANDING_LOOP;
                return;
        }
        if (only)
                r->account = arena_str(x->a, only->item.key);
        if (r->count) {
                r->standing = STANDING_OK;
                if (only && only->targets && !only->keep_copy) {
                        r->standing = STANDING_FORWARDED;
                        r->moved_to = arena_str(x->a, only->targets->address);
                }
                return;
        }
        r->standing = x->failure != STANDING_OK ? x->failure : x->circle ? STANDING_LOOP : STANDING_UNKNOWN;
        if (r->standing == STANDING_MOVED)
                r->moved_to = arena_str(x->a, x->moved->moved_to);
}

int directory_resolve(struct directory *d, struct arena *a, struct str local, struct str domain,
                      struct resolved *out)
{
        struct expansion x = { .a = a, .out = out };
        struct str key_local, key_domain;
        struct key_room room;
        struct node *n;
        bool ours;
        int rc = directory_refresh(d);

        *out = (struct resolved){ .standing = STANDING_FOREIGN };
        if (rc < 0)
                return rc;
        if (a->used + 16384 > a->max)
                return -ENOBUFS;
        x.cache = d->cache;
        if (!domain.n && d->cache->first) { /* <Postmaster>, of nowhere: of where the first account is */
                struct str name;

                address_split(d->cache->first->item.key, &name, &domain);
        }
        if (!key_of(a, &room, local, domain, &key_local, &key_domain))
                return 0;
        n = cache_find(d->cache, key_local, key_domain, &ours);
        if (!ours)
                return 0;
        if (!n) {
                out->standing = STANDING_UNKNOWN;
                return 0;
        }
        x.address = address_write(a, local, key_domain);
        d->cache->mark++;
        expand(&x, n, x.address, S(""), 0);
        judge(&x, account_of(n));
        return 0;
}

int directory_list(struct directory *d, struct arena *a, struct str address, struct list_entry *out)
{
        struct str local, domain;
        struct resolved r;
        int rc =
            address_split(address, &local, &domain) ? directory_resolve(d, a, local, domain, &r) : -ENOENT;

        if (rc < 0)
                return rc;
        *out = r.list_entry;
        return str_ieq(r.list, address) ? 0 : -ENOENT;
}
