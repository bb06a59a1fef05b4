/* What the changes of the directory share.
 *
 * Every change is one synced transaction: names are made keys before it, what must hold is looked at inside it, so
 * that two verbs at once cannot contradict each other. */
#pragma once
#include "store/directory_private.h"

struct edit {
        struct directory *d;
        struct arena m;
        struct buf *why;
        struct str a, b, domain; /* keys or normal forms; domain of a */
        struct str key, value;
        bool yes;
};

struct edit edit_of(struct directory *d, struct buf *why);
/* The change itself; ends the edit. */
int edit_run(struct edit *e, const char *name, int (*fn)(struct db *db, void *e));
int edit_stop(struct edit *e, int rc); /* ends it without */
int edit_refuse(struct edit *e, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Names as typed, to what is stored. false: refused. */
bool edit_domain(struct edit *e, struct str text, struct str *out);
bool edit_address(struct edit *e, struct str text, struct str *key, struct str *domain);
bool edit_target(struct edit *e, struct str text, struct str *out);

/* In the transaction: what must hold. 0 or -errno, refused. */
int edit_there(struct db *db, unsigned statement, struct str name); /* 1: it is there, 0: not, or -errno */
int edit_must_be(struct edit *e, struct db *db, unsigned statement, struct str name, const char *what);
int edit_our_domain(struct edit *e,
                    struct db *db); /* e->domain is one of ours and has addresses of its own */
int edit_free(struct edit *e, struct db *db, bool alias_may_stand); /* nobody has the address e->a */

/* Binds a, b, c and runs it. */
int edit_exec(struct db *db, unsigned statement, struct str a, struct str b, struct str c);
#define NONE ((struct str){ NULL, 0 })
