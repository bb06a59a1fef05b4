/* What people keep beside their letters: subscriptions and annotations. */
#include "base/codec.h"
#include "base/mem.h"
#include "store/mailbox_inside.h"
#include <errno.h>

enum { NOTES_MAX = 16 * 1024 * 1024 }; /* octets of all annotations of an account: no quota counts them */

struct subscribe_job {
        struct str name;
        bool yes;
};

static int subscribe(struct db *d, void *arg)
{
        struct subscribe_job *j = arg;
        struct mailbox_walk w = { 0 };
        struct counter all;
        uint64_t n = 0;
        struct db_row q;
        int rc = mailbox_begin(d, &all);

        if (rc)
                return rc;
        q = db_query(d, SUBSCRIPTION_COUNT);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        if (db_next(&q))
                n = db_u64(&q, 0);
        rc = db_end(&q);
        if (!rc && j->yes && n >= SUBSCRIPTIONS_MAX)
                rc = -EMLINK;
        if (rc)
                return rc;
        q = db_query(d, j->yes ? SUBSCRIPTION_ADD : SUBSCRIPTION_DROP);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_text(&q, 2, j->name);
        rc = db_exec(&q);
        if (rc || !db_changes(d))
                return rc;
        rc = mailbox_walk(d, j->name, &w);
        if (!rc && w.mailbox && !w.rest.n) /* one of his own: JMAP's isSubscribed has changed */
                rc = mailbox_touch(d, w.mailbox, all.modseq);
        return rc ? rc : counter_write(d, &all);
}

int mailbox_subscribe(struct account *own, struct str name, bool yes)
{
        struct subscribe_job j = { str_ieq(name, INBOX) ? INBOX : name, yes };

        if (!name.n || name.n > 2 * MAILBOX_PATH_MAX || !utf8_valid(name) || str_has_control(name))
                return -EINVAL;
        return account_change(own, "subscribe", NULL, subscribe, &j, DB_SYNC);
}

struct names_job {
        struct arena *m;
        struct str *names;
        size_t n;
};

static int subscriptions(struct db *d, void *arg)
{
        struct names_job *j = arg;
        struct db_row q = db_query(d, SUBSCRIPTION_ALL);

        j->n = 0;
        j->names = arena_array(j->m, struct str, SUBSCRIPTIONS_MAX);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (j->n < SUBSCRIPTIONS_MAX && db_next(&q))
                j->names[j->n++] = arena_str(j->m, db_text(&q, 0));
        return db_end(&q);
}

int mailbox_subscriptions(struct account *own, struct arena *m, struct str **names, size_t *n)
{
        struct names_job j = { .m = m };
        int rc = db_transact(own->db, "list subscriptions", subscriptions, &j, DB_READ);

        *names = j.names;
        *n = rc ? 0 : j.n;
        return rc;
}

struct annotate_job {
        struct arena *m;
        uint32_t reader, mailbox;
        struct annotation *list;
        size_t n;
};

static bool is_private(struct str entry)
{
        return str_starts(entry, S("/private/"));
}

/* His own and everybody's. */
static int annotations(struct db *d, void *arg)
{
        struct annotate_job *j = arg;
        struct db_row q = db_query(d, ANNOTATION_ALL);

        j->n = 0;
        j->list = arena_array(j->m, struct annotation, (size_t)2 * ANNOTATIONS_MAX);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->mailbox);
        db_bind_u64(&q, 3, j->reader);
        while (j->n < (size_t)2 * ANNOTATIONS_MAX && db_next(&q))
                if (!is_private(db_text(&q, 0)) || db_u64(&q, 2) == j->reader)
                        j->list[j->n++] = (struct annotation){ arena_str(j->m, db_text(&q, 0)),
                                                               arena_str(j->m, db_blob(&q, 1)) };
        return db_end(&q);
}

int mailbox_annotations(struct account *a, uint32_t reader_number, uint32_t mailbox, struct arena *m,
                        struct annotation **list, size_t *n)
{
        struct annotate_job j = { .m = m, .reader = reader_number, .mailbox = mailbox };
        int rc = db_transact(a->db, "list annotations", annotations, &j, DB_READ);

        *list = j.list;
        *n = rc ? 0 : j.n;
        return rc;
}

/* Not more than there may be? */
static int annotation_room(struct db *d, const struct annotate_job *j, uint32_t reader)
{
        struct db_row q = db_query(d, ANNOTATION_COUNT);
        uint64_t here = 0, octets = 0;
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->mailbox);
        db_bind_u64(&q, 3, reader);
        if (db_next(&q)) {
                here = db_u64(&q, 0);
                octets = db_u64(&q, 1);
        }
        rc = db_end(&q);
        return rc ? rc : here > ANNOTATIONS_MAX || octets > NOTES_MAX ? -ENOSPC : 0;
}

static int annotate_one(struct db *d, const struct annotate_job *j, const struct annotation *a)
{
        struct str entry = arena_lower(j->m, a->entry);
        uint32_t reader = is_private(entry) ? j->reader : 0;
        struct db_row q = db_query(d, a->value.p ? ANNOTATION_WRITE : ANNOTATION_REMOVE);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->mailbox);
        db_bind_u64(&q, 3, reader);
        db_bind_text(&q, 4, entry);
        if (a->value.p)
                db_bind_blob(&q, 5, a->value);
        return db_exec(&q);
}

static int annotate(struct db *d, void *arg)
{
        struct annotate_job *j = arg;
        struct mailbox_row row;
        struct counter all;
        int rc = mailbox_begin(d, &all);

        if (!rc && j->mailbox)
                rc = mailbox_row(d, j->mailbox, &row);
        for (size_t i = 0; i < j->n && !rc; i++)
                rc = annotate_one(d, j, &j->list[i]);
        if (!rc)
                rc = annotation_room(d, j, 0);
        if (!rc && j->reader)
                rc = annotation_room(d, j, j->reader);
        return rc ? rc : counter_write(d, &all);
}

static bool entry_valid(struct str entry)
{
        return entry.n <= MAILBOX_PATH_MAX &&
               (str_istarts(entry, S("/private/")) || str_istarts(entry, S("/shared/"))) &&
               entry.p[entry.n - 1] != '/' && utf8_valid(entry) && !str_has_control(entry);
}

int mailbox_annotate(struct account *a, uint32_t reader_number, uint32_t mailbox,
                     const struct annotation *list, size_t n)
{
        struct arena m auto_arena;
        struct annotate_job j = { &m, reader_number, mailbox, (struct annotation *)list, n };

        arena_init(&m, SIZE_MAX); /* the entries once more */
        for (size_t i = 0; i < n; i++) {
                if (!entry_valid(list[i].entry))
                        return -EINVAL;
                if (list[i].value.n > ANNOTATION_MAX)
                        return -E2BIG;
        }
        return account_change(a, "annotate", NULL, annotate, &j, DB_SYNC);
}
