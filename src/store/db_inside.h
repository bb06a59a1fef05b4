/* What the files of store/db share. */
#pragma once
#include "run/fiber.h"
#include "store/db.h"
#include <sqlite3.h>
#include <stdatomic.h>

enum db_own { OWN_BEGIN, OWN_BEGIN_WRITE, OWN_COMMIT, OWN_ROLLBACK, OWN_VERSION, OWN_STATEMENTS };

struct db {
        sqlite3 *handle;
        const struct db_store *store;
        char *path;
        unsigned flags;
        struct fiber_lock lock; /* whoever holds it owns all that follows, also on a worker thread */
        unsigned users;         /* run or queue; the loop's */
        unsigned rows;          /* begun and not ended */
        sqlite3_stmt *own[OWN_STATEMENTS];
        sqlite3_stmt **statements;
        _Atomic uint64_t commits; /* the loop may look at any time */
        uint64_t synced;          /* what is committed is durable when they are equal */
        uint32_t version;         /* last seen */
        uint32_t synced_version;  /* before the last sync */
        bool sync_failed;         /* an fsync of the WAL failed: only a checkpoint can mend that */
        atomic_uint wal_pages;
        int said;   /* the error that was logged last */
        int failed; /* the error of SQLite's to be logged, with its words: */
        char why[160];
};

int db_failed(struct db *d, int rc);         /* SQLite's rc as -errno; notes what is worth logging */
int db_run(struct db *d, const char *sql);   /* any number of statements, no results */
int db_own(struct db *d, enum db_own which); /* one of the own statements, to its end */
int db_read_version(struct db *d, uint32_t *version);
void db_say(struct db *d); /* on the loop: logs what failed, once */
