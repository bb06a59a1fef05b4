/* Making mailboxes. What every edit shares: the modseq it takes, and the numbers that are never given twice. */
#include "base/mem.h"
#include "store/mailbox_inside.h"
#include <errno.h>

int mailbox_begin(struct db *d, struct counter *all)
{
        int rc = account_writes(d);

        if (!rc)
                rc = counter_read(d, 0, all);
        if (!rc)
                rc = counter_ahead(d, all, 0, 1);
        all->modseq++;
        return rc;
}

int mailbox_statement(struct db *d, unsigned statement, uint64_t a, uint64_t b)
{
        struct db_row q = db_query(d, statement);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, a);
        if (b != UINT64_MAX)
                db_bind_u64(&q, 3, b);
        return db_exec(&q);
}

int mailbox_touch(struct db *d, uint32_t mailbox, uint64_t modseq)
{
        return mailbox_statement(d, MAILBOX_TOUCH, mailbox, modseq);
}

/* The next mailbox number and uidvalidity. After an unclean boot both have jumped (account_change.c); uidvalidity is never
 * behind the clock either, so that it is new also after a restored backup. */
static int next_numbers(struct db *d, uint32_t *mailbox, uint32_t *uidvalidity)
{
        uint64_t clock = (uint64_t)(wall_usec() / 1000000), given = 0, next = 0;
        struct db_row q = db_query(d, NUMBERS_READ);
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        if (db_next(&q)) {
                next = db_u64(&q, 0);
                given = db_u64(&q, 1);
        }
        rc = db_end(&q);
        if (rc)
                return rc;
        given = given < clock ? clock : given + 1;
        if (!next || next >= UINT32_MAX || given > UINT32_MAX)
                return -EOVERFLOW;
        *mailbox = (uint32_t)next;
        *uidvalidity = (uint32_t)given;
        return mailbox_statement(d, NUMBERS_WRITE, next + 1, given);
}

static int too_many(struct db *d)
{
        struct db_row q = db_query(d, MAILBOX_COUNT);
        uint64_t n = 0;
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        if (db_next(&q))
                n = db_u64(&q, 0);
        rc = db_end(&q);
        return rc ? rc : n >= MAILBOXES_MAX ? -EMLINK : 0;
}

int mailbox_insert(struct db *d, uint64_t modseq, uint32_t parent, struct str name, bool selectable,
                   uint32_t *mailbox)
{
        uint32_t uidvalidity;
        struct db_row q;
        int rc = too_many(d);

        if (!rc)
                rc = next_numbers(d, mailbox, &uidvalidity);
        if (rc)
                return rc;
        q = db_query(d, MAILBOX_NEW);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, *mailbox);
        db_bind_u64(&q, 3, parent);
        db_bind_text(&q, 4, name);
        db_bind_u64(&q, 5, uidvalidity);
        db_bind_u64(&q, 6, selectable);
        db_bind_u64(&q, 7, modseq);
        rc = db_exec(&q);
        return rc ? rc : mailbox_statement(d, COUNTER_ADD, *mailbox, modseq);
}

/* May he make something below this one? What he may not see gives the same answer as what he may not do. */
static int may_create(struct db *d, const struct reader_name *r, uint32_t parent)
{
        unsigned rights;
        int rc = acl_rights(d, r, parent, &rights);

        return rc ? rc : rights & RIGHT_CREATE ? 0 : -EACCES;
}

int mailbox_make(struct db *d, const struct reader_name *r, uint64_t modseq, struct mailbox_walk *w,
                 bool last)
{
        int rc = may_create(d, r, w->mailbox);

        while (!rc && w->rest.n) {
                struct str behind = w->rest;
                struct str name = mailbox_first_name(&behind, !w->mailbox);
                uint32_t parent = w->mailbox, fresh;

                if (!last && !behind.n)
                        return 0;
                rc = mailbox_insert(d, modseq, parent, name, true, &fresh);
                if (!rc)
                        rc = acl_copy(d, parent, fresh);
                w->rest = behind;
                w->parent = parent;
                w->mailbox = fresh;
        }
        return rc;
}

/* RFC 6154 §2, RFC 8457; "inbox" is INBOX's and nobody else's. */
static bool role_known(struct str role)
{
        static const struct str known[] = { S("drafts"),  S("sent"), S("junk"),    S("trash"),
                                            S("archive"), S("all"),  S("flagged"), S("important") };

        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
                if (str_eq(known[i], role))
                        return true;
        return false;
}

struct create_job {
        struct reader_name reader;
        struct str path, role;
        uint32_t mailbox;
        struct identifiers named;
};

static int set_role(struct db *d, const struct create_job *j)
{
        struct db_row q = db_query(d, ROLE_FIND);
        bool taken;
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_text(&q, 2, j->role);
        taken = db_next(&q);
        rc = db_end(&q);
        if (rc || taken)
                return rc ? rc : -EALREADY; /* -EBUSY would be SQLite's, and tried again */
        q = db_query(d, ROLE_SET);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->mailbox);
        db_bind_text(&q, 3, j->role);
        return db_exec(&q);
}

/* A name that only stands above others becomes a mailbox. */
static int make_selectable(struct db *d, struct create_job *j, const struct mailbox_walk *w)
{
        uint32_t uidvalidity, unused;
        struct mailbox_row row;
        unsigned rights;
        struct db_row q;
        int rc = mailbox_row(d, w->mailbox, &row);

        if (!rc)
                rc = acl_rights(d, &j->reader, w->mailbox, &rights);
        if (!rc && !(rights & RIGHT_LOOKUP))
                rc = -EACCES;
        if (!rc && row.selectable)
                rc = -EEXIST;
        if (!rc)
                rc = may_create(d, &j->reader, row.parent);
        if (!rc)
                rc = next_numbers(d, &unused, &uidvalidity);
        if (rc)
                return rc;
        q = db_query(d, MAILBOX_SELECTABLE);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, w->mailbox);
        db_bind_u64(&q, 3, uidvalidity);
        return db_exec(&q);
}

static int create(struct db *d, void *arg)
{
        struct create_job *j = arg;
        struct mailbox_walk w;
        struct counter all;
        int rc = mailbox_begin(d, &all);

        if (!rc)
                rc = mailbox_walk(d, j->path, &w);
        if (rc)
                return rc;
        rc = w.rest.n ? mailbox_make(d, &j->reader, all.modseq, &w, true) : make_selectable(d, j, &w);
        j->mailbox = w.mailbox;
        if (!rc && j->role.n)
                rc = set_role(d, j);
        if (!rc)
                rc = mailbox_touch(d, w.mailbox, all.modseq);
        if (!rc)
                rc = acl_identifiers(d, w.mailbox, &j->named);
        return rc ? rc : counter_write(d, &all);
}

int mailbox_create(struct account *a, struct str reader, struct str path, struct str role, uint32_t *mailbox)
{
        struct arena m auto_arena;
        struct create_job j = { .reader = reader_of(a, reader), .path = path, .role = role };
        int rc;

        arena_init(&m, 8 * 1024 * 1024);
        *mailbox = 0;
        if (!mailbox_path_valid(path) || (role.n && !role_known(role)))
                return -EINVAL;
        if (role.n && !j.reader.owner)
                return -EACCES;
        j.named.m = &m;
        rc = account_change(a, "create mailbox", NULL, create, &j, DB_SYNC);
        if (!rc)
                *mailbox = j.mailbox;
        if (!rc)
                (void)acl_tell(a, &j.named); /* it only says where to look; the next change says it again */
        return rc == -EALREADY ? -EBUSY : rc;
}
