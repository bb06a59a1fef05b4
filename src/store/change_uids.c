/* The uids of a mailbox, for SELECT. */
#include "store/change_inside.h"
#include <errno.h>

struct uids_job {
        struct access *x;
        struct uid_list *out;   /* NULL: they are known */
        uint32_t *first_unseen; /* NULL: found, or not asked for */
        struct seen_piece seen; /* of a reader who is not the owner */
        struct db *d;
};

static int unseen(struct uids_job *j, const struct placed *p, bool *yes)
{
        bool seen = p->flags & FLAG_SEEN;
        int rc = j->x->reader_number ? seen_get(j->d, &j->seen, p->uid, &seen) : 0;

        *yes = !seen;
        return rc;
}

static int look(void *context, struct placed *p)
{
        struct uids_job *j = context;
        bool found = false;
        int rc = j->first_unseen ? unseen(j, p, &found) : 0;

        if (j->out)
                uid_list_add(j->out, p->uid, p->uid);
        if (rc || !found)
                return rc;
        *j->first_unseen = p->uid;
        j->first_unseen = NULL;
        return j->out ? PLACED_SAME : PLACED_STOP;
}

static int uids(struct db *d, void *arg)
{
        static const struct uid_range all = { 1, UINT32_MAX };
        struct uids_job copy = *(const struct uids_job *)arg, *j = &copy; /* it may be run again */
        struct counter c;
        int rc = mailbox_current(d, j->x->mailbox, j->x->uidvalidity);

        j->d = d;
        j->out->n = 0;
        if (!rc)
                rc = counter_read(d, j->x->mailbox, &c);
        if (rc || !c.count)
                return rc;
        if (c.count == c.uidnext - 1) { /* none of them has ever gone */
                uid_list_add(j->out, 1, (uint32_t)c.count);
                j->out = NULL;
        }
        if (!c.unseen && !j->x->reader_number)
                j->first_unseen = NULL;
        return j->out || j->first_unseen ? pages_read(d, j->x->mailbox, &all, 1, look, j) : 0;
}

int change_uids(struct access *x, struct uid_list *out, uint32_t *first_unseen)
{
        struct uids_job j = { .x = x, .out = out, .first_unseen = first_unseen };
        int rc;

        if (first_unseen)
                *first_unseen = 0;
        if (!(x->rights & RIGHT_READ))
                return -EACCES;
        j.seen = (struct seen_piece){ .mailbox = x->mailbox, .reader = x->reader_number };
        rc = db_transact(x->account->db, "list uids", uids, &j, DB_READ);
        if (rc)
                uid_list_free(out);
        return rc;
}
