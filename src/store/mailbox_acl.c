/* Who may do what: the table `acl`. An identifier with '-' before it takes away (RFC 4314 §2). */
#include "base/codec.h"
#include "base/mem.h"
#include "store/mailbox_inside.h"
#include <errno.h>

enum { TELL_ROUNDS = 8 };

int acl_copy(struct db *d, uint32_t from, uint32_t to)
{
        return mailbox_statement(d, ACL_COPY, from, to);
}

int acl_identifiers(struct db *d, uint32_t mailbox, struct identifiers *out)
{
        struct db_row q = db_query(d, ACL_OF);

        out->n = 0;
        out->list = arena_array(out->m, struct str, ACL_MAX);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        while (out->n < ACL_MAX && db_next(&q))
                if (!str_starts(db_text(&q, 0), S("-")))
                        out->list[out->n++] = arena_str(out->m, db_text(&q, 0));
        return db_end(&q);
}

struct count_job {
        struct str identifier;
        uint32_t n;
};

static int count(struct db *d, void *arg)
{
        struct count_job *j = arg;
        struct db_row q = db_query(d, ACL_COUNT);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_text(&q, 2, j->identifier);
        j->n = db_next(&q) ? (uint32_t)db_u64(&q, 0) : 0;
        return db_end(&q);
}

/* Others may change rights of this account at the same time, in other processes: whoever has told last looks once more, so
 * that in the end what was told is true. */
static int tell_one(struct account *a, struct sharing *sharing, struct str identifier)
{
        struct count_job j = { identifier, 0 };
        uint32_t told;
        int rc = db_transact(a->db, "count rights", count, &j, DB_READ);

        for (unsigned round = 0; !rc && round < TELL_ROUNDS; round++) {
                told = j.n;
                rc = sharing_set(sharing, account_name(a), identifier, told);
                if (!rc)
                        rc = db_transact(a->db, "count rights", count, &j, DB_READ);
                if (j.n == told)
                        break;
        }
        return rc;
}

int acl_tell(struct account *a, const struct identifiers *changed)
{
        int rc = 0;

        for (size_t i = 0; a->set->sharing && i < changed->n && !rc; i++)
                rc = tell_one(a, a->set->sharing, changed->list[i]);
        return rc;
}

struct list_job {
        struct access *x;
        struct arena *m;
        struct acl_entry *list;
        size_t n;
};

static int list(struct db *d, void *arg)
{
        struct list_job *j = arg;
        struct db_row q = db_query(d, ACL_OF);

        j->list = arena_array(j->m, struct acl_entry, ACL_MAX + 1);
        j->list[0] = (struct acl_entry){ arena_str(j->m, j->x->owner), RIGHTS_ALL };
        j->n = 1;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->x->mailbox);
        while (j->n <= ACL_MAX && db_next(&q))
                j->list[j->n++] =
                    (struct acl_entry){ arena_str(j->m, db_text(&q, 0)), (unsigned)db_u64(&q, 1) };
        return db_end(&q);
}

int mailbox_acl(struct access *x, struct arena *m, struct acl_entry **out, size_t *n)
{
        struct list_job j = { .x = x, .m = m };
        int rc;

        *n = 0;
        if (!(x->rights & RIGHT_ADMIN))
                return -EACCES;
        rc = db_transact(x->account->db, "list rights", list, &j, DB_READ);
        *out = j.list;
        *n = rc ? 0 : j.n;
        return rc;
}

struct set_job {
        struct access *x;
        struct reader_name reader;
        struct str identifier;
        enum acl_how how;
        unsigned rights;
};

static int old_rights(struct db *d, const struct set_job *j, unsigned *rights, size_t *entries)
{
        struct db_row q = db_query(d, ACL_OF);

        *rights = 0;
        *entries = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->x->mailbox);
        while (db_next(&q)) {
                if (str_eq(db_text(&q, 0), j->identifier))
                        *rights = (unsigned)db_u64(&q, 1);
                else
                        ++*entries;
        }
        return db_end(&q);
}

static int write_entry(struct db *d, const struct set_job *j, unsigned rights)
{
        struct db_row q = db_query(d, rights ? ACL_WRITE : ACL_REMOVE_ONE);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->x->mailbox);
        db_bind_text(&q, 3, j->identifier);
        if (rights)
                db_bind_u64(&q, 4, rights);
        return db_exec(&q);
}

static int set(struct db *d, void *arg)
{
        struct set_job *j = arg;
        struct mailbox_row row;
        struct counter all;
        unsigned mine = 0, before = 0, after;
        size_t entries = 0;
        int rc = mailbox_begin(d, &all);

        if (!rc && j->x->mailbox)
                rc = mailbox_row(d, j->x->mailbox, &row);
        if (!rc)
                rc = acl_rights(d, &j->reader, j->x->mailbox, &mine);
        if (!rc && !(mine & RIGHT_ADMIN))
                rc = -EACCES;
        if (!rc)
                rc = old_rights(d, j, &before, &entries);
        if (rc)
                return rc;
        after = j->how == ACL_SET ? j->rights : j->how == ACL_ADD ? before | j->rights : before & ~j->rights;
        if (after && entries >= ACL_MAX)
                return -EMLINK;
        rc = write_entry(d, j, after);
        if (!rc)
                rc = mailbox_touch(d, j->x->mailbox, all.modseq);
        return rc ? rc : counter_write(d, &all);
}

static bool identifier_valid(struct str s)
{
        struct str bare = str_starts(s, S("-")) ? str_from_at(s, 1) : s;

        return bare.n && bare.n <= MAILBOX_NAME_MAX && utf8_valid(s) && !str_has_control(s) &&
               bare.p[0] != '-' && !str_eq(bare, S("$"));
}

/* A grant is known to store/sharing before it counts, a revocation after: it may lead somewhere where nothing is to be seen, never
 * past what is. */
int mailbox_set_acl(struct access *x, struct sharing *sharing, struct str identifier, enum acl_how how,
                    unsigned rights)
{
        struct arena m auto_arena;
        struct set_job j = { x, reader_of(x->account, x->reader), S(""), how, rights & RIGHTS_ALL };
        struct count_job named = { .n = 0 };
        bool minus = str_starts(identifier, S("-")), claimed = false;
        int rc = 0;

        arena_init(&m, 4096);
        if (!identifier_valid(identifier))
                return -EINVAL;
        j.identifier = named.identifier = arena_lower(&m, identifier);
        if (str_eq(str_from_at(j.identifier, minus), x->owner))
                return -EPERM; /* he has all rights, always */
        if (!(x->rights & RIGHT_ADMIN))
                return -EACCES;
        if (sharing && !minus && rights && how != ACL_REMOVE) {
                rc = db_transact(x->account->db, "count rights", count, &named, DB_READ);
                claimed = !rc && !named.n;
                if (claimed)
                        rc = sharing_set(sharing, x->owner, j.identifier, 1);
        }
        if (!rc)
                rc = account_change(x->account, "set rights", NULL, set, &j, DB_SYNC);
        if (sharing && !minus && (!rc || claimed)) {
                int told = tell_one(x->account, sharing, j.identifier);

                rc = rc ? rc : told;
        }
        return rc;
}
