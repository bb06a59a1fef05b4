#include "store/directory_private.h"
#include "base/codec.h"

/* ---- maps, in the cache's arena ---- */

struct item *map_find(const struct map *m, struct str key)
{
        uint64_t hash;

        if (!m->size)
                return NULL;
        hash = str_hash(key);
        for (struct item *i = m->slots[hash & (m->size - 1)]; i; i = i->next)
                if (i->hash == hash && str_eq(i->key, key))
                        return i;
        return NULL;
}

static void map_grow(struct arena *a, struct map *m)
{
        struct map larger = { .size = m->size ? m->size * 2 : 16, .count = m->count };

        larger.slots = arena_array(a, struct item *, larger.size);
        for (size_t s = 0; s < m->size; s++)
                for (struct item *i = m->slots[s], *next; i; i = next) {
                        struct item **slot = &larger.slots[i->hash & (larger.size - 1)];

                        next = i->next;
                        i->next = *slot;
                        *slot = i;
                }
        *m = larger;
}

/* key must not be there yet, and is copied */
static void map_put(struct arena *a, struct map *m, struct item *i, struct str key)
{
        struct item **slot;

        if (m->count >= m->size)
                map_grow(a, m);
        i->key = arena_str(a, key);
        i->hash = str_hash(key);
        slot = &m->slots[i->hash & (m->size - 1)];
        i->next = *slot;
        *slot = i;
        m->count++;
}

/* ---- keys ---- */

/* Letters, digits and what needs neither quoting nor folding but of case: nearly every address. */
static bool plain(struct str s)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '-' || c == '_' || c == '+' ||
                      (c == '.' && i && i + 1 < s.n && s.p[i - 1] != '.')))
                        return false;
        }
        return s.n > 0;
}

static struct str lower_to(char *to, struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                to[i] = chr_lower(s.p[i]);
        return str_from(to, s.n);
}

bool key_of(struct arena *a, struct key_room *room, struct str local, struct str domain,
            struct str *key_local, struct str *key_domain)
{
        struct path p = { .local = local, .domain = domain };
        struct str key;

        if (local.n <= LOCAL_MAX && domain.n <= DOMAIN_MAX && plain(local) && plain(domain) &&
            str_search(domain, S("--")) == STR_NONE) {
                *key_local = lower_to(room->bytes, local);
                *key_domain = lower_to(room->bytes + local.n, domain);
                return true;
        }
        p.literal = domain.n && domain.p[0] == '[';
        p.utf8 = !ascii_only(local) || !ascii_only(domain);
        return address_key(a, &p, &key) && address_split(key, key_local, key_domain);
}

bool key_of_address(struct arena *a, struct key_room *room, struct str address, struct str *key_local,
                    struct str *key_domain)
{
        struct path p;

        return address_parse(a, address, &p) && key_of(a, room, p.local, p.domain, key_local, key_domain);
}

/* ---- looking up ---- */

static struct node *find_exact(const struct cache *c, struct str local, struct str domain)
{
        char bytes[LOCAL_MAX * 2 + DOMAIN_MAX + 3]; /* a quoted local part may be twice as long */
        struct item *i;

        if (local.n + 1 + domain.n > sizeof bytes)
                return NULL;
        mem_copy(bytes, sizeof bytes, local);
        bytes[local.n] = '@';
        mem_copy(bytes + local.n + 1, sizeof bytes - local.n - 1, domain);
        i = map_find(&c->nodes, str_from(bytes, local.n + 1 + domain.n));
        return i ? (struct node *)(void *)i : NULL;
}

struct node *cache_find(const struct cache *c, struct str local, struct str domain, bool *domain_is_ours)
{
        struct domain *d = (struct domain *)(void *)map_find(&c->domains, domain);
        struct node *n;

        *domain_is_ours = d != NULL;
        if (!d)
                return NULL;
        if (d->same_as)
                d = d->same_as;
        n = find_exact(c, local, d->item.key);
        for (size_t i = local.n; !n && i > 1; i--) /* jill+shop: the longest name that exists */
                if (c->separators[0] && strchr(c->separators, local.p[i - 1]))
                        n = find_exact(c, str_sub(local, 0, i - 1), d->item.key);
        if (!n && str_eq(local, S("postmaster"))) /* RFC 5321 §4.5.1: there always is one */
                n = d->first ? d->first : c->first;
        return n ? n : d->catch_all;
}

struct node *account_of(struct node *n)
{
        for (unsigned depth = 0; n && n->kind == NODE_ALIAS && depth < DIRECTORY_DEPTH; depth++)
                n = n->target_count == 1 ? n->targets->to : NULL;
        return n && n->kind == NODE_ACCOUNT ? n : NULL;
}

/* ---- reading the file ---- */

struct load {
        struct cache *cache;
        struct arena scratch;
};

static struct node *new_node(struct cache *c, enum node_kind kind, struct str key)
{
        struct node *n = arena_new(&c->arena, struct node);

        n->kind = kind;
        n->last = &n->targets;
        map_put(&c->arena, &c->nodes, &n->item, key);
        return n;
}

static struct node *exact_of_kind(const struct cache *c, struct str key, enum node_kind kind)
{
        struct item *i = map_find(&c->nodes, key);
        struct node *n = i ? (struct node *)(void *)i : NULL;

        return n && n->kind == kind ? n : NULL;
}

static int load_domains(struct db *db, struct cache *c)
{
        struct db_row q = db_query(db, ALL_DOMAINS);

        while (db_next(&q)) {
                struct domain *d = arena_new(&c->arena, struct domain);

                map_put(&c->arena, &c->domains, &d->item, db_text(&q, 0));
        }
        return db_end(&q);
}

/* After the accounts: which domain is another's second name, and who gets what nobody else does. */
static int load_domain_links(struct db *db, struct cache *c)
{
        struct db_row q = db_query(db, ALL_DOMAINS);

        while (db_next(&q)) {
                struct domain *d = (struct domain *)(void *)map_find(&c->domains, db_text(&q, 0));

                if (!d)
                        continue;
                d->same_as = (struct domain *)(void *)map_find(&c->domains, db_text(&q, 1));
                d->catch_all = exact_of_kind(c, db_text(&q, 2), NODE_ACCOUNT);
        }
        return db_end(&q);
}

static void put_bare(struct cache *c, struct node *account, struct str local)
{
        struct login *l = (struct login *)(void *)map_find(&c->bare, local);

        if (l) {
                l->ambiguous = true;
                return;
        }
        l = arena_new(&c->arena, struct login);
        l->account = account;
        map_put(&c->arena, &c->bare, &l->item, local);
}

static int load_accounts(struct db *db, struct cache *c)
{
        struct db_row q = db_query(db, ALL_ACCOUNTS);

        while (db_next(&q)) {
                struct node *n = new_node(c, NODE_ACCOUNT, db_text(&q, 0));
                struct str local, domain;
                struct domain *d;

                n->quota = db_u64(&q, 1);
                n->disabled = db_u64(&q, 2) != 0;
                n->moved_to = arena_str(&c->arena, db_text(&q, 3));
                n->forward_to = arena_str(&c->arena, db_text(&q, 4));
                n->keep_copy = db_u64(&q, 5) != 0;
                n->real_name = arena_str(&c->arena, db_text(&q, 6));
                n->language = arena_str(&c->arena, db_text(&q, 7));
                n->imap_disable = arena_str(&c->arena, db_text(&q, 8));
                if (!address_split(n->item.key, &local, &domain))
                        continue;
                put_bare(c, n, local);
                d = (struct domain *)(void *)map_find(&c->domains, domain);
                if (d && !d->first)
                        d->first = n;
                if (!c->first)
                        c->first = n;
        }
        return db_end(&q);
}

static int load_names(struct db *db, struct cache *c, unsigned statement, enum node_kind kind)
{
        struct db_row q = db_query(db, statement);

        while (db_next(&q))
                if (!map_find(&c->nodes, db_text(&q, 0)))
                        new_node(c, kind, db_text(&q, 0));
        return db_end(&q);
}

static int load_lists(struct db *db, struct cache *c)
{
        struct db_row q = db_query(db, ALL_LISTS);

        while (db_next(&q)) {
                struct node *n;

                if (map_find(&c->nodes, db_text(&q, 0)))
                        continue;
                n = new_node(c, NODE_LIST, db_text(&q, 0));
                n->list = (struct list_entry){ arena_str(&c->arena, db_text(&q, 1)),
                                               arena_str(&c->arena, db_text(&q, 2)), db_u64(&q, 3),
                                               db_u64(&q, 4) != 0 };
        }
        return db_end(&q);
}

/* Where a target leads is decided here, so that expanding only follows pointers. */
static void add_edge(struct load *l, struct node *from, struct str target)
{
        struct cache *c = l->cache;
        struct edge *e = arena_new(&c->arena, struct edge);
        struct str local, domain, key;
        struct key_room room;
        bool ours = true;

        e->address = arena_str(&c->arena, target);
        *from->last = e;
        from->last = &e->next;
        from->target_count++;
        arena_reset(&l->scratch);
        if (!key_of_address(&l->scratch, &room, target, &local, &domain))
                return;
        e->to = cache_find(c, local, domain, &ours);
        if (ours)
                return;
        key = arena_printf(&l->scratch, PRS "@" PRS, STR(local), STR(domain));
        e->to = (struct node *)(void *)map_find(&c->nodes, key);
        if (!e->to) {
                e->to = new_node(c, NODE_REMOTE, key);
                e->to->address = e->address;
        }
}

static int load_targets(struct db *db, struct load *l, unsigned statement, enum node_kind kind)
{
        struct db_row q = db_query(db, statement);

        while (db_next(&q)) {
                struct node *from = exact_of_kind(l->cache, db_text(&q, 0), kind);

                if (from)
                        add_edge(l, from, db_text(&q, 1));
        }
        return db_end(&q);
}

static int load_forwards(struct db *db, struct load *l)
{
        struct db_row q = db_query(db, ALL_ACCOUNTS);

        while (db_next(&q)) {
                struct node *n = exact_of_kind(l->cache, db_text(&q, 0), NODE_ACCOUNT);
                struct str rest = n ? n->forward_to : S(""), one;

                while (rest.n) {
                        str_cut(&rest, ' ', &one);
                        if (one.n)
                                add_edge(l, n, one);
                }
        }
        return db_end(&q);
}

static int load_logins(struct db *db, struct cache *c)
{
        struct db_row q = db_query(db, ALL_LOGINS);

        while (db_next(&q)) {
                struct node *account = exact_of_kind(c, db_text(&q, 1), NODE_ACCOUNT);
                struct login *l;

                if (!account)
                        continue;
                l = arena_new(&c->arena, struct login);
                l->account = account;
                map_put(&c->arena, &c->logins, &l->item, db_text(&q, 0));
        }
        return db_end(&q);
}

static int load_grants(struct db *db, struct load *l)
{
        struct db_row q = db_query(db, ALL_GRANTS);

        while (db_next(&q)) {
                struct cache *c = l->cache;

                arena_reset(&l->scratch);
                map_put(&c->arena, &c->grants, arena_new(&c->arena, struct item),
                        arena_printf(&l->scratch, PRS " " PRS, STR(db_text(&q, 0)), STR(db_text(&q, 1))));
        }
        return db_end(&q);
}

/* In one transaction, on a worker thread. */
static int load(struct db *db, void *arg)
{
        struct load *l = arg;
        struct cache *c = l->cache;
        int rc = load_domains(db, c);

        rc = rc ? rc : load_accounts(db, c);
        rc = rc ? rc : load_domain_links(db, c);
        rc = rc ? rc : load_lists(db, c);
        rc = rc ? rc : load_names(db, c, ALL_ALIASES, NODE_ALIAS);
        rc = rc ? rc : load_targets(db, l, ALL_MEMBERS, NODE_LIST);
        rc = rc ? rc : load_targets(db, l, ALL_ALIASES, NODE_ALIAS);
        rc = rc ? rc : load_forwards(db, l);
        rc = rc ? rc : load_logins(db, c);
        return rc ? rc : load_grants(db, l);
}

static int load_anew(struct db *db, void *arg)
{
        struct load *l = arg;
        struct cache *c = l->cache;

        arena_finish(&c->arena); /* may be run again after a conflict */
        c->domains = c->nodes = c->logins = c->bare = c->grants = (struct map){ 0 };
        c->first = NULL;
        return load(db, arg);
}

int cache_load(struct db *db, const char *separators, struct cache **out)
{
        struct load l = { .cache = mem_new(struct cache) };
        int rc;

        arena_init(&l.cache->arena, (size_t)4 << 30);
        arena_init(&l.scratch, 64 * 1024);
        mem_copy(l.cache->separators, sizeof(l.cache->separators) - 1, str_of(separators));
        rc = db_transact(db, "read directory", load_anew, &l, DB_READ);
        arena_finish(&l.scratch);
        if (rc < 0)
                cache_free(&l.cache);
        else
                *out = l.cache;
        return rc;
}

void cache_free(struct cache **c)
{
        if (!*c)
                return;
        arena_finish(&(*c)->arena);
        mem_free(*c);
        *c = NULL;
}
