#include "store/sharing.h"
#include "base/mem.h"
#include "run/offload.h"
#include "store/account_inside.h"
#include "store/db.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct sharing {
        struct db *db;
};

enum sharing_statement {
        SHARE_WRITE,
        SHARE_DROP,
        SHARE_OF,
        SHARE_DROP_OWNER,
        SHARE_BY_OWNER,
        SHARE_STATEMENTS
};

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
        [SHARE_BY_OWNER] = "SELECT identifier, mailboxes FROM share WHERE owner = ?1 ORDER BY identifier",
};

static const struct db_store store = {
        .name = "sharing",
        .version = 1,
        .schema = schema,
        .statements = statements,
        .statement_count = SHARE_STATEMENTS,
        .page_size = 4096,
};

/* The new file's name. */
static int sync_folder(void *arg)
{
        struct str path = str_of(arg);
        size_t slash = str_rfind(path, '/');
        char *folder = mem_string(slash == STR_NONE ? S(".") : str_sub(path, 0, slash + 1));
        int fd = disk_open_dir(AT_FDCWD, folder), rc = fd < 0 ? fd : disk_sync_dir(fd);

        if (fd >= 0)
                close(fd);
        mem_free(folder);
        return rc;
}

int sharing_open(struct sharing **out, const char *path)
{
        struct sharing *s = mem_new(struct sharing);
        int rc = db_open(&s->db, &store, path, DB_CREATE, NULL);

        if (!rc)
                rc = offload(QUICK, sync_folder, (void *)(uintptr_t)path);
        if (rc)
                sharing_close(&s);
        *out = s;
        return rc;
}

void sharing_close(struct sharing **sp)
{
        struct sharing *s = *sp;

        *sp = NULL;
        if (!s)
                return;
        if (s->db)
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
        struct share *shares;
        size_t n, room;
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

static int of_owner(struct db *d, void *arg)
{
        struct sharing_job *j = arg;
        struct db_row q = db_query(d, SHARE_BY_OWNER);

        j->n = 0;
        db_bind_text(&q, 1, j->owner);
        while (db_next(&q)) {
                if (j->n == j->room) {
                        j->room = j->room ? 2 * j->room : 16;
                        j->shares = mem_grow(j->shares, j->room, sizeof *j->shares);
                }
                j->shares[j->n++] =
                    (struct share){ arena_str(j->m, db_text(&q, 0)), (uint32_t)db_u64(&q, 1) };
        }
        return db_end(&q);
}

/* From the heap into the arena, where the caller wants it. */
static void hand_over(struct sharing_job *j, int rc, struct share **list, size_t *n)
{
        *n = rc ? 0 : j->n;
        *list = arena_array(j->m, struct share, *n + 1);
        for (size_t i = 0; i < *n; i++)
                (*list)[i] = j->shares[i];
        mem_free(j->shares);
}

int sharing_of(struct sharing *s, struct str owner, struct arena *m, struct share **list, size_t *n)
{
        struct sharing_job j = { .owner = owner, .m = m };
        int rc = db_transact(s->db, "shares of", of_owner, &j, DB_READ);

        hand_over(&j, rc, list, n);
        return rc;
}

static int granted(struct db *d, void *arg)
{
        struct sharing_job *j = arg;
        struct db_row q = db_query(d, ACL_NAMED);

        j->n = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q)) {
                if (j->n == j->room) {
                        j->room = j->room ? 2 * j->room : 16;
                        j->shares = mem_grow(j->shares, j->room, sizeof *j->shares);
                }
                j->shares[j->n++] =
                    (struct share){ arena_str(j->m, db_text(&q, 0)), (uint32_t)db_u64(&q, 1) };
        }
        return db_end(&q);
}

/* What the account's own lists say. */
static int granted_of(struct account *a, struct arena *m, struct share **list, size_t *n)
{
        struct sharing_job j = { .m = m };
        int rc = db_transact(a->db, "granted", granted, &j, DB_READ);

        hand_over(&j, rc, list, n);
        return rc;
}

int sharing_tell(struct sharing *s, struct account *a)
{
        struct arena m auto_arena;
        struct share *list;
        size_t n;
        int rc;

        arena_init(&m, SIZE_MAX);
        rc = granted_of(a, &m, &list, &n);
        if (!rc)
                rc = sharing_remove_owner(s, account_name(a));
        for (size_t i = 0; i < n && !rc; i++)
                rc = sharing_set(s, account_name(a), list[i].identifier, list[i].mailboxes);
        return rc;
}

static void compare(struct account *a, const struct share *own, const struct share *told, struct buf *out,
                    unsigned *wrong)
{
        struct str who = own ? own->identifier : told->identifier;
        uint32_t mailboxes = own ? own->mailboxes : 0, as_told = told ? told->mailboxes : 0;

        if (mailboxes == as_told)
                return;
        buf_printf(out, PRS ": %u mailboxes are shared with " PRS ", sharing.db says %u\n",
                   STR(account_name(a)), mailboxes, STR(who), as_told);
        ++*wrong;
}

int sharing_check(struct sharing *s, struct account *a, struct buf *out, unsigned *wrong)
{
        struct arena m auto_arena;
        struct share *own, *told;
        size_t own_n, told_n = 0;
        int rc;

        arena_init(&m, SIZE_MAX);
        rc = granted_of(a, &m, &own, &own_n);
        if (!rc)
                rc = sharing_of(s, account_name(a), &m, &told, &told_n);
        for (size_t i = 0, k = 0; !rc && (i < own_n || k < told_n);) {
                int order = i == own_n    ? 1
                            : k == told_n ? -1
                                          : str_cmp(own[i].identifier, told[k].identifier);

                compare(a, order <= 0 ? &own[i] : NULL, order >= 0 ? &told[k] : NULL, out, wrong);
                i += order <= 0;
                k += order >= 0;
        }
        return rc;
}
