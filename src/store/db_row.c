/* Statements: prepared when first used, kept; their errors stick in the row. Also how SQLite's errors become ours. */
#include "base/mem.h"
#include "store/db.h"
#include "store/db_inside.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>

static const char *const own_sql[OWN_STATEMENTS] = {
        [OWN_BEGIN] = "BEGIN",       [OWN_BEGIN_WRITE] = "BEGIN IMMEDIATE", [OWN_COMMIT] = "COMMIT",
        [OWN_ROLLBACK] = "ROLLBACK", [OWN_VERSION] = "PRAGMA data_version",
};

static int error_of(int rc)
{
        switch (rc & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE: return 0;
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return -EBUSY;
        case SQLITE_FULL: return -ENOSPC;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return -EBADMSG;
        case SQLITE_READONLY:
        case SQLITE_PERM: return -EROFS;
        case SQLITE_CONSTRAINT: return -EEXIST;
        case SQLITE_TOOBIG: return -E2BIG;
        case SQLITE_NOMEM: mem_die("out of memory");
        case SQLITE_MISUSE: mem_die("SQLite was misused");
        default: return -EIO;
        }
}

int db_failed(struct db *d, int rc)
{
        int error = error_of(rc);

        if (error && error != -EBUSY && error != -EEXIST) {
                d->failed = error;
                snprintf(d->why, sizeof d->why, "%s (%d)", sqlite3_errmsg(d->handle),
                         sqlite3_extended_errcode(d->handle));
        }
        return error;
}

int db_run(struct db *d, const char *sql)
{
        return db_failed(d, sqlite3_exec(d->handle, sql, NULL, NULL, NULL));
}

static int prepare(struct db *d, const char *sql, sqlite3_stmt **out)
{
        if (*out)
                return 0;
        return db_failed(d, sqlite3_prepare_v3(d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

int db_own(struct db *d, enum db_own which)
{
        int rc = prepare(d, own_sql[which], &d->own[which]);

        if (rc)
                return rc;
        rc = sqlite3_step(d->own[which]);
        rc = db_failed(d, rc);
        sqlite3_reset(d->own[which]);
        return rc;
}

int db_read_version(struct db *d, uint32_t *version)
{
        sqlite3_stmt **s = &d->own[OWN_VERSION];
        int rc = prepare(d, own_sql[OWN_VERSION], s);

        if (rc)
                return rc;
        rc = db_failed(d, sqlite3_step(*s));
        if (!rc)
                *version = (uint32_t)sqlite3_column_int64(*s, 0);
        sqlite3_reset(*s);
        return rc;
}

struct db_row db_query(struct db *d, unsigned statement)
{
        struct db_row q = { d, NULL, 0, 0 };

        assert(statement < d->store->statement_count);
        q.rc = prepare(d, d->store->statements[statement], &d->statements[statement]);
        if (q.rc)
                return q;
        q.stmt = d->statements[statement];
        assert(!sqlite3_stmt_busy(q.stmt)); /* one row set of a statement at a time */
        d->rows++;
        return q;
}

static void bound(struct db_row *q, int rc)
{
        if (!q->rc)
                q->rc = db_failed(q->db, rc);
}

void db_bind_u64(struct db_row *q, int at, uint64_t v)
{
        if (!q->rc)
                bound(q, sqlite3_bind_int64(q->stmt, at, (sqlite3_int64)v));
}

void db_bind_text(struct db_row *q, int at, struct str s)
{
        if (!q->rc)
                bound(q, sqlite3_bind_text64(q->stmt, at, s.n ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_blob(struct db_row *q, int at, struct str s)
{
        if (!q->rc)
                bound(q, sqlite3_bind_blob64(q->stmt, at, s.n ? s.p : "", s.n, SQLITE_STATIC));
}

void db_bind_null(struct db_row *q, int at)
{
        if (!q->rc)
                bound(q, sqlite3_bind_null(q->stmt, at));
}

bool db_next(struct db_row *q)
{
        int rc;

        if (q->rc)
                return false;
        rc = sqlite3_step(q->stmt);
        q->rc = db_failed(q->db, rc);
        return rc == SQLITE_ROW;
}

uint64_t db_u64(struct db_row *q, int col)
{
        return q->rc ? 0 : (uint64_t)sqlite3_column_int64(q->stmt, col);
}

static struct str column(struct db_row *q, const void *p, int col)
{
        int n = sqlite3_column_bytes(q->stmt, col);

        return p && n > 0 ? str_from(p, (size_t)n) : S("");
}

struct str db_text(struct db_row *q, int col)
{
        return q->rc ? S("") : column(q, sqlite3_column_text(q->stmt, col), col);
}

struct str db_blob(struct db_row *q, int col)
{
        return q->rc ? S("") : column(q, sqlite3_column_blob(q->stmt, col), col);
}

bool db_null(struct db_row *q, int col)
{
        return q->rc || sqlite3_column_type(q->stmt, col) == SQLITE_NULL;
}

int db_end(struct db_row *q)
{
        if (q->stmt) {
                sqlite3_reset(q->stmt);
                q->db->rows--;
                q->stmt = NULL;
        }
        return q->rc;
}

int db_exec(struct db_row *q)
{
        while (db_next(q))
                ;
        return db_end(q);
}

uint64_t db_changes(struct db *d)
{
        return (uint64_t)sqlite3_changes64(d->handle);
}

uint64_t db_last_id(struct db *d)
{
        return (uint64_t)sqlite3_last_insert_rowid(d->handle);
}
