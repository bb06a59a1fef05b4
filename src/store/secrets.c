#include "store/secrets.h"
#include "base/mem.h"
#include "store/db.h"
#include <errno.h>
#include <sodium.h>

struct secrets {
        struct db *db;
        uint32_t version;
};

enum statement {
        OF_ACCOUNT,
        ACCOUNTS,
        PUT,
        DROP_LABEL,
        DROP_ACCOUNT,
        USED,
        GET_KEY,
        PUT_KEY,
        BANS,
        PUT_BAN,
        DROP_BAN,
        STATEMENTS
};

static const char schema[] =
    "CREATE TABLE secret ("
    "  account TEXT NOT NULL, label TEXT NOT NULL, kind INTEGER NOT NULL, scope INTEGER NOT NULL,"
    "  value BLOB NOT NULL, id INTEGER NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0,"
    "  PRIMARY KEY (account, label, kind)"
    ") STRICT;"
    "CREATE UNIQUE INDEX secret_id ON secret (id);"
    "CREATE TABLE server_key (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;"
    "CREATE TABLE ban (net TEXT NOT NULL PRIMARY KEY, until INTEGER NOT NULL, times INTEGER NOT NULL) "
    "STRICT;";

static const char *const statements[STATEMENTS] = {
        [OF_ACCOUNT] = "SELECT kind, scope, label, value, id, created, used FROM secret WHERE account = ?"
                       " ORDER BY label, kind",
        [ACCOUNTS] = "SELECT DISTINCT account FROM secret ORDER BY account",
        [PUT] = "INSERT INTO secret (account, label, kind, scope, value, id, created) VALUES (?, ?, ?, ?, ?, "
                "?, ?)",
        [DROP_LABEL] = "DELETE FROM secret WHERE account = ? AND label = ?",
        [DROP_ACCOUNT] = "DELETE FROM secret WHERE account = ?",
        [USED] = "UPDATE secret SET used = ? WHERE id = ?",
        [GET_KEY] = "SELECT value FROM server_key WHERE name = ?",
        [PUT_KEY] = "INSERT INTO server_key (name, value) VALUES (?, ?)",
        [BANS] = "SELECT net, until, times FROM ban ORDER BY net",
        [PUT_BAN] = "INSERT INTO ban (net, until, times) VALUES (?, ?, ?)"
                    " ON CONFLICT (net) DO UPDATE SET until = excluded.until, times = excluded.times",
        [DROP_BAN] = "DELETE FROM ban WHERE net = ?",
};

static const struct db_store store = {
        .name = "secrets",
        .version = 1,
        .schema = schema,
        .statements = statements,
        .statement_count = STATEMENTS,
        .page_size = 4096,
};

int secrets_open(struct secrets **out, const char *path, bool create)
{
        struct secrets *s = mem_new(struct secrets);
        int rc = db_open(&s->db, &store, path, create ? DB_CREATE : 0, NULL);

        if (rc < 0)
                mem_free(s);
        else
                *out = s;
        return rc;
}

void secrets_close(struct secrets **s)
{
        bool complete;

        if (!*s)
                return;
        (void)db_checkpoint((*s)->db, &complete);
        db_close(&(*s)->db);
        mem_free(*s);
        *s = NULL;
}

bool secrets_changed(struct secrets *s)
{
        uint32_t version = db_data_version(s->db);
        bool changed = version != s->version;

        s->version = version;
        return changed;
}

struct query {
        struct arena *a;
        struct str account, label;
        const struct secret *list;
        struct secret *found;
        struct str *names;
        struct ban *bans;
        const struct secret_use *uses;
        size_t n;
        int64_t now;
        const char *name;
        unsigned char *key;
};

/* Room for one more in an array of the arena: 1, 2, 4, ... elements. */
static void *one_more(struct arena *a, void *old, size_t n, size_t size)
{
        void *p;

        if (n & (n - 1))
                return old;
        p = arena_alloc(a, arena_times(n ? 2 * n : 1, size));
        if (n)
                mem_copy(p, n * size, str_from(old, n * size));
        return p;
}

static int read_account(struct db *db, void *arg)
{
        struct query *o = arg;
        struct db_row q = db_query(db, OF_ACCOUNT);

        o->n = 0;
        db_bind_text(&q, 1, o->account);
        while (db_next(&q)) {
                o->found = one_more(o->a, o->found, o->n, sizeof(*o->found));
                o->found[o->n++] = (struct secret){
                        .kind = (enum secret_kind)db_u64(&q, 0),
                        .scope = (unsigned)db_u64(&q, 1),
                        .label = arena_str(o->a, db_text(&q, 2)),
                        .value = arena_str(o->a, db_blob(&q, 3)),
                        .id = db_u64(&q, 4),
                        .created = (int64_t)db_u64(&q, 5),
                        .used = (int64_t)db_u64(&q, 6),
                };
        }
        return db_end(&q);
}

int secrets_of(struct secrets *s, struct arena *a, struct str account, struct secret **list, size_t *n)
{
        struct query o = { .a = a, .account = account };
        int rc = db_transact(s->db, "read secrets", read_account, &o, DB_READ);

        *list = o.found;
        *n = rc < 0 ? 0 : o.n;
        return rc;
}

static int put_one(struct db *db, const struct query *o, const struct secret *t)
{
        struct db_row q = db_query(db, PUT);
        uint64_t id;

        randombytes_buf(&id, sizeof id);
        db_bind_text(&q, 1, o->account);
        db_bind_text(&q, 2, o->label);
        db_bind_u64(&q, 3, t->kind);
        db_bind_u64(&q, 4, t->scope);
        db_bind_blob(&q, 5, t->value);
        db_bind_u64(&q, 6, id >> 1);
        db_bind_u64(&q, 7, (uint64_t)o->now);
        return db_exec(&q);
}

static int replace(struct db *db, void *arg)
{
        struct query *o = arg;
        struct db_row q = db_query(db, DROP_LABEL);
        int rc;

        db_bind_text(&q, 1, o->account);
        db_bind_text(&q, 2, o->label);
        rc = db_exec(&q);
        if (rc == 0 && !o->n && !db_changes(db))
                return -ENOENT;
        for (size_t i = 0; rc == 0 && i < o->n; i++)
                rc = put_one(db, o, &o->list[i]);
        return rc;
}

int secrets_replace(struct secrets *s, struct str account, struct str label, const struct secret *list,
                    size_t n, int64_t now)
{
        struct query o = { .account = account, .label = label, .list = list, .n = n, .now = now };

        return db_transact(s->db, "set secret", replace, &o, DB_SYNC);
}

static int drop(struct db *db, unsigned statement, struct str name)
{
        struct db_row q = db_query(db, statement);
        int rc;

        db_bind_text(&q, 1, name);
        rc = db_exec(&q);
        return rc == 0 && !db_changes(db) ? -ENOENT : rc;
}

static int remove_account(struct db *db, void *arg)
{
        int rc = drop(db, DROP_ACCOUNT, ((struct query *)arg)->account);

        return rc == -ENOENT ? 0 : rc;
}

int secrets_remove_account(struct secrets *s, struct str account)
{
        struct query o = { .account = account };

        return db_transact(s->db, "remove secrets", remove_account, &o, DB_SYNC);
}

static int read_accounts(struct db *db, void *arg)
{
        struct query *o = arg;
        struct db_row q = db_query(db, ACCOUNTS);

        o->n = 0;
        while (db_next(&q)) {
                o->names = one_more(o->a, o->names, o->n, sizeof(*o->names));
                o->names[o->n++] = arena_str(o->a, db_text(&q, 0));
        }
        return db_end(&q);
}

int secrets_accounts(struct secrets *s, struct arena *a, struct str **list, size_t *n)
{
        struct query o = { .a = a };
        int rc = db_transact(s->db, "list secrets", read_accounts, &o, DB_READ);

        *list = o.names;
        *n = rc < 0 ? 0 : o.n;
        return rc;
}

static int note_used(struct db *db, void *arg)
{
        struct query *o = arg;
        int rc = 0;

        for (size_t i = 0; rc == 0 && i < o->n; i++) {
                struct db_row q = db_query(db, USED);

                db_bind_u64(&q, 1, (uint64_t)o->uses[i].when);
                db_bind_u64(&q, 2, o->uses[i].id);
                rc = db_exec(&q);
        }
        return rc;
}

int secrets_used(struct secrets *s, const struct secret_use *list, size_t n)
{
        struct query o = { .uses = list, .n = n };

        return n ? db_transact(s->db, "last use", note_used, &o, DB_WRITE) : 0;
}

static int server_key(struct db *db, void *arg)
{
        struct query *o = arg;
        struct db_row q = db_query(db, GET_KEY);
        bool found;
        int rc;

        db_bind_text(&q, 1, str_of(o->name));
        found = db_next(&q) && db_blob(&q, 0).n == 32;
        if (found)
                mem_copy(o->key, 32, db_blob(&q, 0));
        rc = db_end(&q);
        if (rc < 0 || found)
                return rc;
        randombytes_buf(o->key, 32);
        q = db_query(db, PUT_KEY);
        db_bind_text(&q, 1, str_of(o->name));
        db_bind_blob(&q, 2, str_from(o->key, 32));
        return db_exec(&q);
}

int secrets_server_key(struct secrets *s, const char *name, unsigned char key[static 32])
{
        struct query o = { .name = name, .key = key };

        return db_transact(s->db, "server key", server_key, &o, DB_SYNC);
}

static int read_bans(struct db *db, void *arg)
{
        struct query *o = arg;
        struct db_row q = db_query(db, BANS);

        o->n = 0;
        while (db_next(&q)) {
                o->bans = one_more(o->a, o->bans, o->n, sizeof(*o->bans));
                o->bans[o->n++] =
                    (struct ban){ arena_str(o->a, db_text(&q, 0)), (int64_t)db_u64(&q, 1), db_u64(&q, 2) };
        }
        return db_end(&q);
}

int secrets_bans(struct secrets *s, struct arena *a, struct ban **list, size_t *n)
{
        struct query o = { .a = a };
        int rc = db_transact(s->db, "list bans", read_bans, &o, DB_READ);

        *list = o.bans;
        *n = rc < 0 ? 0 : o.n;
        return rc;
}

static int put_ban(struct db *db, void *arg)
{
        struct query *o = arg;
        struct db_row q = db_query(db, PUT_BAN);

        db_bind_text(&q, 1, o->bans->net);
        db_bind_u64(&q, 2, (uint64_t)o->bans->until);
        db_bind_u64(&q, 3, o->bans->times);
        return db_exec(&q);
}

int secrets_put_ban(struct secrets *s, const struct ban *b)
{
        struct ban copy = *b;
        struct query o = { .bans = &copy };

        return db_transact(s->db, "put ban", put_ban, &o, DB_SYNC);
}

static int drop_ban(struct db *db, void *arg)
{
        return drop(db, DROP_BAN, ((struct query *)arg)->account);
}

int secrets_drop_ban(struct secrets *s, struct str net)
{
        struct query o = { .account = net };

        return db_transact(s->db, "drop ban", drop_ban, &o, DB_SYNC);
}
