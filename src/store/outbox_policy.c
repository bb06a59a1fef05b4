/* MTA-STS policies: kept until they expire, so that a restart is no chance to send in clear. */
#include "store/outbox_inside.h"
#include <errno.h>

struct keeping {
        struct str domain;
        const struct outbox_policy *policy;
};

static int put_policy(struct db *d, void *arg)
{
        const struct keeping *k = arg;
        struct db_row q = db_query(d, POLICIES_DROP);
        int rc;

        db_bind_u64(&q, 1, (uint64_t)wall_usec());
        rc = db_exec(&q);
        if (rc < 0)
                return rc;
        q = db_query(d, POLICY_PUT);
        db_bind_text(&q, 1, k->domain);
        db_bind_text(&q, 2, k->policy->id);
        db_bind_u64(&q, 3, (uint64_t)k->policy->expires);
        db_bind_text(&q, 4, k->policy->text);
        return db_exec(&q);
}

int outbox_policy_put(struct outbox *o, struct str domain, const struct outbox_policy *p)
{
        struct keeping k = { domain, p };

        return db_transact(o->db, "outbox policy", put_policy, &k, DB_WRITE);
}

struct asking {
        struct str domain;
        struct arena *arena;
        struct outbox_policy *out;
        bool found;
};

static int read_policy(struct db *d, void *arg)
{
        struct asking *k = arg;
        struct db_row q = db_query(d, POLICY_READ);

        db_bind_text(&q, 1, k->domain);
        db_bind_u64(&q, 2, (uint64_t)wall_usec());
        k->found = db_next(&q);
        if (k->found)
                *k->out = (struct outbox_policy){ .id = arena_str(k->arena, db_text(&q, 0)),
                                                  .expires = (int64_t)db_u64(&q, 1),
                                                  .text = arena_str(k->arena, db_text(&q, 2)) };
        return db_end(&q);
}

int outbox_policy(struct outbox *o, struct str domain, struct arena *a, struct outbox_policy *out)
{
        struct asking k = { domain, a, out, false };
        int rc = db_transact(o->db, "outbox policy", read_policy, &k, DB_READ);

        return rc < 0 ? rc : k.found ? 0 : -ENOENT;
}
