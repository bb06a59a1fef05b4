/* The numbers of all mailboxes of an account at once. */
#include "store/change_inside.h"
#include <errno.h>

struct numbers_job {
        struct arena *m;
        struct mailbox_numbers *list;
        size_t n, room;
};

static uint32_t next_mailbox(struct db *d, uint32_t after, int *rc)
{
        struct db_row q = db_query(d, COUNTER_NEXT);
        uint32_t next = 0;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, after);
        if (db_next(&q))
                next = (uint32_t)db_u64(&q, 0);
        *rc = db_end(&q);
        return next;
}

static void add(struct numbers_job *j, const struct counter *c)
{
        if (j->n == j->room) {
                struct mailbox_numbers *old = j->list;

                j->room = j->room ? j->room * 2 : 32;
                j->list = arena_array(j->m, struct mailbox_numbers, j->room);
                for (size_t i = 0; i < j->n; i++)
                        j->list[i] = old[i];
        }
        j->list[j->n++] = (struct mailbox_numbers){ c->mailbox, (uint32_t)c->uidnext, (uint32_t)c->count,
                                                    (uint32_t)c->unseen, c->modseq ? c->modseq : 1 };
}

static int numbers(struct db *d, void *arg)
{
        struct numbers_job *j = arg;
        struct counter c;
        int rc = 0;

        j->n = 0;
        for (uint32_t mailbox = 0; !rc && (mailbox = next_mailbox(d, mailbox, &rc));) {
                rc = counter_read(d, mailbox, &c);
                if (!rc)
                        add(j, &c);
        }
        return rc;
}

int change_numbers(struct account *a, struct arena *m, struct mailbox_numbers **list, size_t *n)
{
        struct numbers_job j = { .m = m };
        int rc = db_transact(a->db, "numbers of mailboxes", numbers, &j, DB_READ);

        *list = j.list;
        *n = rc ? 0 : j.n;
        return rc;
}
