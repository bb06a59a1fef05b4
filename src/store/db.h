/* The thin layer all SQL goes through: opens a SQLite file, keeps its prepared statements, runs a named function as
 * one transaction on a worker thread while the calling fiber waits, and runs it again on a conflict.
 *
 *      static int put(struct db *d, void *arg)         // on a worker thread, inside the transaction
 *      {
 *              struct db_row q = db_query(d, PUT_LETTER);
 *              db_bind_u64(&q, 1, account); ...
 *              return db_exec(&q);                     // 0 or -errno; returning it from here rolls back
 *      }
 *      rc = db_transact(d, "put letter", put, &arg, DB_WRITE);
 *
 * One db has one SQLite connection; transactions of one db queue as fibers, fair. DB_WRITE commits with
 * synchronous=NORMAL (survives kill -9), DB_SYNC with FULL (survives a power cut, and all commits before it);
 * fibers that ask for DB_SYNC while one runs share the next one's sync.
 * A function may be run again from its start, so it changes nothing but its own argument's results. It ends every row
 * it has begun.
 * Errors: -EBUSY never comes out (it waits and runs again, up to a minute: then -ETIMEDOUT), -ENOSPC disk full, -EIO, -EBADMSG damaged
 * file, -EROFS; each is logged once with the file's name.
 *
 * No code in a serving process but this opens or closes such a file: closing any descriptor drops SQLite's locks. */
#pragma once
#include "base/buf.h"
#include "base/time.h"

struct db;
struct sqlite3_stmt;
struct sqlite3;

/* A store's SQL: the schema and every statement, in one file a store. Statements are numbered by the store's enum. */
struct db_store {
        const char *name;   /* "account" */
        unsigned version;   /* PRAGMA user_version; a newer file is refused with -EPROTONOSUPPORT */
        const char *schema; /* creates version `version` */
        const char *const
            *migrations; /* migrations[v] takes v to v+1, v >= 1; the file is copied aside first */
        const char *const *statements;
        unsigned statement_count;
        unsigned page_size;
        int (*opened)(struct db *d, void *context);      /* in a transaction, before any other; may be NULL */
        int (*migrated)(struct db *d, unsigned version); /* after migrations[version], in its transaction */
};
enum {
        DB_CREATE = 1,
        DB_READONLY = 2,
        DB_ROLLBACK_JOURNAL = 4, /* else WAL */
        DB_UNSYNCED =
            8 /* nothing is synced: for a file that whoever makes it syncs before it gets its name */
};
enum db_how {
        DB_READ,
        DB_WRITE,
        DB_SYNC,
        DB_LONG = 8 /* or'ed to one of them: it takes more than some milliseconds */
};

/* Waits. The path is absolute. -ENOENT: not there and no DB_CREATE; -EPROTONOSUPPORT: newer than we are;
 * -EOPNOTSUPP: it lies on a network file system. */
[[nodiscard]] int db_open(struct db **out, const struct db_store *store, const char *path, unsigned flags,
                          void *context);
void db_close(struct db **d); /* waits; no checkpoint; nobody may use it any more */
[[nodiscard]] int db_transact(struct db *d, const char *name, int (*fn)(struct db *d, void *arg), void *arg,
                              enum db_how how);
/* The same; `before` runs once on the worker thread, before the transaction begins: for work that needs no lock. */
[[nodiscard]] int db_transact_after(struct db *d, const char *name, int (*before)(void *arg),
                                    int (*fn)(struct db *d, void *arg), void *arg, enum db_how how);
[[nodiscard]] int db_sync(
    struct db *d); /* all that is committed survives a power cut; also what others did */
int db_checkpoint(struct db *d, bool *complete); /* waits; for the settler */
bool db_idle(const struct db *d);                /* nobody runs or queues */
const char *db_path(const struct db *d);
/* Changes when another connection has committed, not by what this one does. Cheap, may run on the loop; while a
 * transaction of this db runs it tells what was so last time. */
uint32_t db_data_version(struct db *d);
uint64_t db_commits(const struct db *d); /* by this one: rises with each; may run on the loop */
/* As db_data_version, but false while a transaction of this db runs: nothing can be said. */
bool db_quiet_version(struct db *d, uint32_t *version);
/* For a syncfs in place of many db_sync: read before it, what was committed by then is durable after it. */
struct db_point {
        uint64_t commits;
        uint32_t version;
};
struct db_point db_point(struct db *d);
void db_synced(struct db *d, struct db_point before);
bool db_all_synced(struct db *d);          /* in a transaction: all that is committed is durable */
int db_sync_inside(struct db *d);          /* in a transaction: makes it so */
unsigned db_wal_pages(const struct db *d); /* in the WAL when this connection last committed */

/* A statement in use, inside a transaction function. Errors stick: one look at the end. */
struct db_row {
        struct db *db;
        struct sqlite3_stmt *stmt;
        int rc;
        int bound; /* the next parameter of db_add_* */
};
struct db_row db_query(struct db *d, unsigned statement);
void db_bind_u64(struct db_row *q, int at, uint64_t v);
void db_bind_text(struct db_row *q, int at, struct str s); /* must stay until the statement has run */
void db_bind_blob(struct db_row *q, int at, struct str s);
void db_bind_null(struct db_row *q, int at);
bool db_next(struct db_row *q); /* false at the end or on error */
uint64_t db_u64(struct db_row *q, int col);
struct str db_text(struct db_row *q, int col); /* until the next db_next */
struct str db_blob(struct db_row *q, int col);
bool db_null(struct db_row *q, int col);
int db_end(struct db_row *q);  /* resets; 0 or -errno of anything before */
int db_exec(struct db_row *q); /* next until the end, then db_end */
uint64_t db_changes(struct db *d);
uint64_t db_last_id(struct db *d);
