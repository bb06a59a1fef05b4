/* Inside of the directory: its SQL, its cache in memory, the expansion of one recipient. */
#pragma once
#include "base/mem.h"
#include "mail/address.h"
#include "run/fiber.h"
#include "store/db.h"
#include "store/directory.h"

#define DIRECTORY_DEPTH   10    /* aliases, lists and forwards one behind the other */
#define DIRECTORY_ACTIONS 10000 /* of one recipient; also the most members of a list */

/* ---- directory_sql.c ---- */
extern const struct db_store directory_store;
enum directory_statement {
        ALL_DOMAINS,
        ALL_ACCOUNTS,
        ALL_ALIASES,
        ALL_LISTS,
        ALL_MEMBERS,
        ALL_LOGINS,
        ALL_GRANTS,
        GET_DOMAIN,
        GET_ACCOUNT,
        GET_ALIAS,
        GET_LIST,
        GET_MEMBER,
        GET_LOGIN,
        USES_OF_DOMAIN,
        MEMBERS_OF_LIST,
        PUT_DOMAIN,
        DROP_DOMAIN,
        SET_CATCH_ALL,
        PUT_ACCOUNT,
        DROP_ACCOUNT,
        SET_ACCOUNT,
        CLEAR_CATCH_ALL,
        PUT_ALIAS,
        DROP_ALIAS,
        DROP_ALIASES_OF,
        DROP_ALIASES_TO,
        PUT_LIST,
        SET_LIST,
        DROP_LIST,
        PUT_MEMBER,
        DROP_MEMBER,
        DROP_MEMBERS_OF,
        DROP_MEMBERS_TO,
        PUT_LOGIN,
        DROP_LOGIN,
        DROP_LOGINS_OF,
        PUT_GRANT,
        DROP_GRANT,
        DROP_GRANTS_OF,
        DIRECTORY_STATEMENTS
};

/* ---- directory_cache.c: all of the file in memory, never changed once it is read (but for the marks) ---- */
struct item { /* of a map: what every entry begins with */
        struct item *next;
        uint64_t hash;
        struct str key;
};
struct map {
        struct item **slots;
        size_t size, count;
};
struct item *map_find(const struct map *m, struct str key);

enum node_kind { NODE_ACCOUNT, NODE_ALIAS, NODE_LIST, NODE_REMOTE };
struct node;
struct edge {
        struct edge *next;
        struct node *to;    /* NULL: one of our domains, but nobody there */
        struct str address; /* as it was written */
};
struct node { /* what an address means; its key is the address's */
        struct item item;
        enum node_kind kind;
        uint64_t mark;                /* of the expansion that has been here */
        struct edge *targets, **last; /* of an alias, a list; the forwards of an account */
        unsigned target_count;
        struct str address; /* NODE_REMOTE: normal form, to send to */
        bool disabled, keep_copy;
        uint64_t quota;
        struct str moved_to, forward_to, real_name, language, imap_disable;
        struct list_entry list; /* NODE_LIST: its settings */
};
struct domain {
        struct item item;
        struct domain *same_as; /* alias domain */
        struct node *first;     /* the account that was there first: postmaster's letters go to it */
        struct node *catch_all;
};
struct login { /* a sign-in name, or a bare local part */
        struct item item;
        struct node *account;
        bool ambiguous;
};
struct cache {
        struct arena arena;
        struct map domains, nodes, logins, bare, grants; /* grants: key "account address" */
        struct node *first;                              /* of all accounts */
        uint64_t mark;
        char separators[16];
};
int cache_load(struct db *db, const char *separators, struct cache **out); /* waits */
void cache_free(struct cache **c);
/* Who stands behind local@domain (both as in a key)? Alias domains, subaddresses, postmaster and catch-all are seen
 * to. NULL: nobody, or, with *domain_is_ours = false, not our business. */
struct node *cache_find(const struct cache *c, struct str local, struct str domain, bool *domain_is_ours);
/* The one account that stands behind a name: itself, or what an alias leads to alone. Else NULL. */
struct node *account_of(struct node *n);
/* The key of local@domain, split again, made in a (or in the small room, in the common case). false: no such can be. */
struct key_room {
        char bytes[LOCAL_MAX + DOMAIN_MAX + 1];
};
bool key_of(struct arena *a, struct key_room *room, struct str local, struct str domain,
            struct str *key_local, struct str *key_domain);
bool key_of_address(struct arena *a, struct key_room *room, struct str address, struct str *key_local,
                    struct str *key_domain);

/* ---- directory.c ---- */
struct directory {
        struct db *db;
        struct cache *cache;
        struct fiber_lock reading;
        unsigned said, read; /* how often somebody said that it has changed; what the cache knows of that */
        nsec look_at;        /* when to ask the file again */
        uint32_t version;
        char separators[16];
};
int directory_refresh(struct directory *d);
