/* COPY and MOVE within an account: pages of both mailboxes, and where the letters lie; the letters themselves are not
 * touched. */
#include "base/mem.h"
#include "base/time.h"
#include "store/change_inside.h"
#include <errno.h>

int place_all(struct db *d, const struct access *to, struct counter *dst, uint64_t modseq,
              const struct placed *list, size_t n, struct place_op *ops)
{
        struct seen_piece seen = { .mailbox = to->mailbox, .reader = to->reader_number };
        uint32_t now = (uint32_t)(wall_usec() / 1000000);
        uint64_t allowed = flags_allowed(to);
        struct mailbox_end end;
        int rc = end_begin(d, dst, &end);

        for (size_t i = 0; i < n && !rc; i++) {
                struct placed p = { (uint32_t)dst->uidnext++, list[i].letter, modseq, list[i].size, now,
                                    list[i].flags & allowed };

                if (to->reader_number && p.flags & FLAG_SEEN) {
                        p.flags &= ~(uint64_t)FLAG_SEEN;
                        rc = seen_set(d, &seen, p.uid, true);
                }
                ops[i].to = (struct place){ to->mailbox, p.uid };
                if (!rc)
                        rc = end_add(d, &end, &p);
        }
        if (!rc)
                rc = end_finish(d, &end);
        if (!rc)
                rc = seen_store(d, &seen);
        return rc ? rc : places_apply(d, ops, n);
}

struct copy_job {
        struct access *from, *to;
        const struct uid_range *uids;
        size_t n;
        bool move;
        struct db *d;
        struct counter all, src, dst;
        struct seen_piece seen; /* of the reader, here */
        struct placed_list list;
        uint32_t first; /* uid there */
};

static int take(void *context, struct placed *p)
{
        struct copy_job *j = context;
        bool seen = false;
        int rc = 0;

        placed_add(&j->list, p);
        if (j->from->reader_number) {
                rc = seen_get(j->d, &j->seen, p->uid, &seen);
                /* what the page says is needed for the counters: the reader's \Seen waits where no flag is */
                j->list.list[j->list.n - 1].modseq = seen;
        }
        if (!j->move)
                return rc;
        p->letter = 0;
        p->modseq = j->all.modseq;
        return rc ? rc : PLACED_CHANGED;
}

/* From here on the list has the flags that the reader sees. */
static void flags_as_seen(struct copy_job *j)
{
        for (size_t i = 0; i < j->list.n && j->from->reader_number; i++) {
                struct placed *p = &j->list.list[i];

                p->flags = (p->flags & ~(uint64_t)FLAG_SEEN) | (p->modseq ? FLAG_SEEN : 0);
        }
}

static int begin(struct db *d, struct copy_job *j)
{
        int rc = account_writes(d);

        j->d = d;
        j->list.n = 0;
        j->seen = (struct seen_piece){ .mailbox = j->from->mailbox, .reader = j->from->reader_number };
        if (!rc)
                rc = mailbox_current(d, j->from->mailbox, j->from->uidvalidity);
        if (!rc)
                rc = mailbox_current(d, j->to->mailbox, j->to->uidvalidity);
        if (!rc)
                rc = counter_read(d, 0, &j->all);
        if (!rc)
                rc = counter_read(d, j->from->mailbox, &j->src);
        if (!rc)
                rc = counter_read(d, j->to->mailbox, &j->dst);
        if (!rc)
                rc = counter_ahead(d, &j->all, 0, 1);
        j->all.modseq++;
        return rc;
}

static int place_copies(struct db *d, struct copy_job *j, struct counter *dst)
{
        struct place_op *ops = mem_array(j->list.n, sizeof *ops);
        int rc;

        for (size_t i = 0; i < j->list.n; i++)
                ops[i] = (struct place_op){ .letter = j->list.list[i].letter,
                                            .how = j->move ? PLACE_MOVE : PLACE_ADD,
                                            .from = { j->from->mailbox, j->list.list[i].uid } };
        j->first = (uint32_t)dst->uidnext;
        rc = place_all(d, j->to, dst, j->all.modseq, j->list.list, j->list.n, ops);
        mem_free(ops);
        return rc;
}

static int copy(struct db *d, void *arg)
{
        struct copy_job *j = arg;
        struct counter *dst = j->from->mailbox == j->to->mailbox ? &j->src : &j->dst;
        int rc = begin(d, j);

        if (!rc)
                rc = j->move ? pages_write(d, j->from->mailbox, j->uids, j->n, take, j)
                             : pages_read(d, j->from->mailbox, j->uids, j->n, take, j);
        if (rc || !j->list.n)
                return rc;
        rc = counter_ahead(d, dst, j->list.n, 0);
        if (!rc && j->move)
                rc = placements_gone(d, &j->all, &j->src, j->list.list, j->list.n);
        flags_as_seen(j);
        if (!rc)
                rc = place_copies(d, j, dst);
        if (!rc && (j->move || dst == &j->src))
                rc = counter_write(d, &j->src);
        if (!rc && dst == &j->dst)
                rc = counter_write(d, dst);
        return rc ? rc : counter_write(d, &j->all);
}

static int copy_inside(struct access *from, const struct uid_range *uids, size_t n, struct access *to,
                       bool move, struct copied *out)
{
        struct copy_job j = { .from = from, .to = to, .uids = uids, .n = n, .move = move };
        int rc, tries = 0;

        while ((rc = account_change(to->account, move ? "move" : "copy", NULL, copy, &j,
                                    DB_SYNC | DB_LONG)) == -ENOSR &&
               tries++ < RESERVE_TRIES) {
                rc = account_reserve(to->account, to->mailbox, j.list.n + UIDS_AHEAD);
                if (rc)
                        break;
        }
        for (size_t i = 0; i < j.list.n && !rc; i++)
                uid_list_add(&out->from, j.list.list[i].uid, j.list.list[i].uid);
        if (!rc && j.list.n)
                uid_list_add(&out->to, j.first, j.first + (uint32_t)j.list.n - 1);
        placed_list_free(&j.list);
        return rc;
}

void copied_free(struct copied *c)
{
        uid_list_free(&c->from);
        uid_list_free(&c->to);
}

int change_copy(struct access *from, const struct uid_range *uids, size_t n, struct access *to, uint64_t room,
                struct copied *out)
{
        *out = (struct copied){ .uidvalidity = to->uidvalidity };
        if (!(from->rights & RIGHT_READ) || !(to->rights & RIGHT_INSERT))
                return -EACCES;
        if (from->account == to->account)
                return copy_inside(from, uids, n, to, false, out);
        return copy_across(from, uids, n, to, room, out);
}

int change_move(struct access *from, const struct uid_range *uids, size_t n, struct access *to, uint64_t room,
                struct copied *out)
{
        const unsigned here = RIGHT_READ | RIGHT_DELETE | RIGHT_EXPUNGE;
        struct uid_list gone;
        int rc;

        *out = (struct copied){ .uidvalidity = to->uidvalidity };
        if ((from->rights & here) != here || !(to->rights & RIGHT_INSERT))
                return -EACCES;
        if (from->account == to->account)
                return copy_inside(from, uids, n, to, true, out);
        rc = copy_across(from, uids, n, to, room, out);
        if (!rc && out->from.n)
                rc = change_expunge(from, out->from.ranges, out->from.n, false, &gone);
        else
                gone = (struct uid_list){ 0 };
        uid_list_free(&gone);
        if (rc)
                copied_free(out);
        return rc;
}
