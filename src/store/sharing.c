#include "store/sharing.h"
#include "base/mem.h"
#include "store/account_inside.h"
#include "store/db.h"
#include <errno.h>

struct sharing {
        struct db *db;
};

enum sharing_statement { SHARE_WRITE, SHARE_DROP, SHARE_OF, SHARE_DROP_OWNER, SHARE_ALL, SHARE_STATEMENTS };

/* share: so many mailboxes of the owner name this identifier. By identifier first: that is how it is looked up. */
static const char schema[] =
    "CREATE TABLE share(owner TEXT NOT NULL, identifier TEXT NOT NULL, mailboxes INTEGER NOT NULL, "
    "PRIMARY KEY(identifier, owner)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX share_owner ON share(owner);";

static const char *const statements[SHARE_STATEMENTS] = {
        [SHARE_WRITE] = "INSERT INTO share(owner, identifier, mailboxes) VALUES (?1, ?2, ?3) "
                        "ON CONFLICT(identifier, owner) DO UPDATE SET mailboxes = excluded.mailboxes",
        [SHARE_DROP] = "DELETE FROM share WHERE owner = ?1 AND identifier = ?2",
        [SHARE_OF] =
            "SELECT DISTINCT owner FROM share WHERE identifier IN (?1, 'anyone', ?2) AND owner <> ?1 "
            "ORDER BY owner",
        [SHARE_DROP_OWNER] = "DELETE FROM share WHERE owner = ?1",
        [SHARE_ALL] = "SELECT owner, identifier, mailboxes FROM share ORDER BY owner, identifier",
};

static const struct db_store store = {
        .name = "sharing",
        .version = 1,
        .schema = schema,
        .statements = statements,
        .statement_count = SHARE_STATEMENTS,
        .page_size = 4096,
};

int sharing_open(struct sharing **out, const char *path)
{
        struct sharing *s = mem_new(struct sharing);
        int rc = db_open(&s->db, &store, path, DB_CREATE, NULL);

        *out = NULL;
        if (rc) {
                mem_free(s);
                return rc;
        }
        *out = s;
        return 0;
}

void sharing_close(struct sharing **sp)
{
        struct sharing *s = *sp;

        *sp = NULL;
        if (!s)
                return;
        db_close(&s->db);
        mem_free(s);
}

void accounts_share(struct accounts *a, struct sharing *s)
{
        a->sharing = s;
}

struct sharing_job {
        struct str owner, identifier;
        uint32_t mailboxes;
        struct arena *m;
        struct str *owners;
        size_t n, room;
        sharing_each_fn *each;
        void *context;
};

static int set(struct db *d, void *arg)
{
        struct sharing_job *j = arg;
        struct db_row q = db_query(d, j->mailboxes ? SHARE_WRITE : SHARE_DROP);

        db_bind_text(&q, 1, j->owner);
        db_bind_text(&q, 2, j->identifier);
        if (j->mailboxes)
                db_bind_u64(&q, 3, j->mailboxes);
        return db_exec(&q);
}

int sharing_set(struct sharing *s, struct str owner, struct str identifier, uint32_t mailboxes)
{
        struct sharing_job j = { .owner = owner, .identifier = identifier, .mailboxes = mailboxes };

        return db_transact(s->db, "share", set, &j, DB_SYNC);
}

static int owners(struct db *d, void *arg)
{
        struct sharing_job *j = arg;
        struct db_row q = db_query(d, SHARE_OF);

        j->n = 0;
        db_bind_text(&q, 1, j->owner);
        db_bind_text(&q, 2, j->identifier);
        while (db_next(&q)) {
                if (j->n == j->room) {
                        j->room = j->room ? 2 * j->room : 16;
                        j->owners = mem_grow(j->owners, j->room, sizeof *j->owners);
                }
                j->owners[j->n++] = arena_str(j->m, db_text(&q, 0));
        }
        return db_end(&q);
}

int sharing_owners(struct sharing *s, struct str reader, struct arena *m, struct str **out, size_t *n)
{
        size_t at = str_rfind(reader, '@');
        struct sharing_job j = { .owner = reader, .m = m };
        int rc;

        j.identifier = at == STR_NONE ? reader : arena_printf(m, "$" PRS, STR(str_from_at(reader, at + 1)));
        rc = db_transact(s->db, "who shares", owners, &j, DB_READ);
        *n = rc ? 0 : j.n;
        *out = arena_array(m, struct str, *n + 1);
        for (size_t i = 0; i < *n; i++)
                (*out)[i] = j.owners[i];
        mem_free(j.owners);
        return rc;
}

static int remove_owner(struct db *d, void *arg)
{
        struct sharing_job *j = arg;
        struct db_row q = db_query(d, SHARE_DROP_OWNER);

        db_bind_text(&q, 1, j->owner);
        return db_exec(&q);
}

int sharing_remove_owner(struct sharing *s, struct str owner)
{
        struct sharing_job j = { .owner = owner };

        return db_transact(s->db, "share no more", remove_owner, &j, DB_SYNC);
}

static int each_row(struct db *d, void *arg)
{
        struct sharing_job *j = arg;
        struct db_row q = db_query(d, SHARE_ALL);

        while (db_next(&q))
                j->each(j->context, db_text(&q, 0), db_text(&q, 1), (uint32_t)db_u64(&q, 2));
        return db_end(&q);
}

int sharing_each(struct sharing *s, sharing_each_fn *each, void *context)
{
        struct sharing_job j = { .each = each, .context = context };

        return db_transact(s->db, "all shares", each_row, &j, DB_READ);
}
