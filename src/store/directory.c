#include "store/directory_private.h"
#include <errno.h>
#include "run/log.h"

int directory_open(struct directory **out, const char *path, bool write)
{
        struct directory *d = mem_new(struct directory);
        unsigned flags =
            DB_ROLLBACK_JOURNAL | (write ? DB_CREATE : DB_READONLY); /* a WAL would have readers write */
        int rc = db_open(&d->db, &directory_store, path, flags, NULL);

        d->separators[0] = '+';
        if (rc == 0) {
                d->said++;
                rc = directory_refresh(d);
        }
        if (rc < 0)
                directory_close(&d);
        else
                *out = d;
        return rc;
}

void directory_close(struct directory **d)
{
        if (!*d)
                return;
        if ((*d)->db)
                db_close(&(*d)->db);
        cache_free(&(*d)->cache);
        mem_free(*d);
        *d = NULL;
}

void directory_changed(struct directory *d)
{
        d->said++;
}

void directory_separators(struct directory *d, struct str characters)
{
        struct str fitting = str_sub(characters, 0, sizeof(d->separators) - 1);

        mem_copy(d->separators, sizeof(d->separators) - 1, fitting);
        d->separators[fitting.n] = 0;
        d->said++;
}

static int read_anew(struct directory *d)
{
        struct cache *fresh = NULL, *old;
        unsigned said = d->said; /* what changes from here on is seen at the next look */
        int rc;

        d->look_at = now() + SECOND;
        d->version = db_data_version(d->db);
        rc = cache_load(d->db, d->separators, &fresh);
        d->read = said; /* not before: who comes meanwhile waits */
        if (rc < 0) {
                log_warn("directory", "error=%s", log_str(str_of(strerror(-rc))));
                d->version = 0; /* look again in a second; until then what was known is better than nothing */
                return d->cache ? 0 : rc;
        }
        old = d->cache;
        d->cache = fresh;
        cache_free(&old);
        return 0;
}

/* The cache is right, or was so a second ago; while one fiber reads it anew the others go on with what is there,
 * unless they were told that it is wrong. */
int directory_refresh(struct directory *d)
{
        bool newer = false;
        nsec t = now();
        int rc;

        if (d->said == d->read) {
                if (t < d->look_at || d->reading.held)
                        return 0;
                d->look_at = t + SECOND;
                if (db_data_version(d->db) == d->version)
                        return 0;
                newer = true;
        }
        rc = lock_take(&d->reading, "directory", in_seconds(60));
        if (rc < 0)
                return rc;
        rc = newer || d->said != d->read ? read_anew(d) : 0;
        lock_drop(&d->reading);
        return rc;
}

bool directory_is_local(struct directory *d, struct str domain)
{
        struct arena auto_arena a = { 0 };
        struct key_room room;
        struct str local, key;

        arena_init(&a, 16 * 1024);
        (void)directory_refresh(d);
        return key_of(&a, &room, S("postmaster"), domain, &local, &key) && map_find(&d->cache->domains, key);
}

static struct node *login_account(const struct map *m, struct str name)
{
        struct login *l = (struct login *)(void *)map_find(m, name);

        return l && !l->ambiguous ? l->account : NULL;
}

/* Exactly the address of an account, or an alias of it; no subaddress, no catch-all. */
static struct node *signin_address(struct directory *d, struct arena *a, struct str name)
{
        struct str local, domain;
        struct key_room room;
        struct domain *ours;

        if (!key_of_address(a, &room, name, &local, &domain))
                return NULL;
        ours = (struct domain *)(void *)map_find(&d->cache->domains, domain);
        if (!ours)
                return NULL;
        if (ours->same_as)
                domain = ours->same_as->item.key;
        return account_of((struct node *)(void *)map_find(
            &d->cache->nodes, arena_printf(a, PRS "@" PRS, STR(local), STR(domain))));
}

int directory_signin(struct directory *d, struct arena *a, struct str name, struct str *account)
{
        struct arena auto_arena m = { 0 };
        struct node *n;
        struct str key;
        int rc = directory_refresh(d);

        if (rc < 0)
                return rc;
        if (!name.n || name.n > ADDRESS_MAX || str_has_control(name))
                return -ENOENT;
        arena_init(&m, 16 * 1024);
        key = arena_lower(&m, name);
        n = login_account(&d->cache->logins, key);
        if (!n && str_find(name, '@') != STR_NONE)
                n = signin_address(d, &m, name);
        else if (!n)
                n = login_account(&d->cache->bare, key);
        if (!n || n->disabled)
                return -ENOENT;
        *account = arena_str(a, n->item.key);
        return 0;
}

static bool granted(const struct cache *c, struct arena *m, struct str account, struct str local,
                    struct str domain)
{
        return map_find(&c->grants,
                        arena_printf(m, PRS " " PRS "@" PRS, STR(account), STR(local), STR(domain))) ||
               map_find(&c->grants, arena_printf(m, PRS " @" PRS, STR(account), STR(domain)));
}

bool directory_may_send_as(struct directory *d, struct str account, struct str address)
{
        struct arena auto_arena m = { 0 };
        struct str local, domain;
        struct key_room room;
        struct node *n;
        bool ours;

        arena_init(&m, 16 * 1024);
        (void)directory_refresh(d);
        if (!key_of_address(&m, &room, address, &local, &domain))
                return false;
        n = cache_find(d->cache, local, domain, &ours);
        if (n && n->kind == NODE_ACCOUNT && str_eq(n->item.key, account))
                return true;
        if (n && n->kind == NODE_ALIAS)
                for (struct edge *e = n->targets; e; e = e->next)
                        if (e->to && e->to->kind == NODE_ACCOUNT && str_eq(e->to->item.key, account))
                                return true;
        return granted(d->cache, &m, account, local, domain);
}

int directory_account(struct directory *d, struct arena *a, struct str name, struct account_entry *out)
{
        struct node *n;
        int rc = directory_refresh(d);

        if (rc < 0)
                return rc;
        n = (struct node *)(void *)map_find(&d->cache->nodes, name);
        if (!n || n->kind != NODE_ACCOUNT)
                return -ENOENT;
        *out = (struct account_entry){
                .name = arena_str(a, n->item.key),
                .quota = n->quota,
                .disabled = n->disabled,
                .moved_to = arena_str(a, n->moved_to),
                .forward_to = arena_str(a, n->forward_to),
                .keep_copy = n->keep_copy,
                .real_name = arena_str(a, n->real_name),
                .language = arena_str(a, n->language),
                .imap_disable = arena_str(a, n->imap_disable),
        };
        return 0;
}
