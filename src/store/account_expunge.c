/* Removing placements: their letters stay as long as they have another place. */
#include "base/mem.h"
#include "base/time.h"
#include "store/change_inside.h"
#include <errno.h>

enum { AT_ONCE = 64 /* letters that go while their client waits: it may want the space for the next */ };

struct dying {
        uint32_t *letters;
        size_t n;
};

static int leave_places(struct db *d, struct counter *all, uint32_t mailbox, const struct placed *list,
                        size_t n, struct dying *dying)
{
        struct place_op *ops = mem_array(n, sizeof *ops);
        int rc;

        for (size_t i = 0; i < n; i++) {
                ops[i] = (struct place_op){ .letter = list[i].letter,
                                            .size = list[i].size,
                                            .how = PLACE_REMOVE,
                                            .from = { mailbox, list[i].uid } };
        }
        rc = places_apply(d, ops, n);
        for (size_t i = 0; i < n && !rc; i++)
                if (!ops[i].left) {
                        dying->letters[dying->n++] = ops[i].letter;
                        all->count--;
                        all->octets -= ops[i].size;
                }
        mem_free(ops);
        return rc;
}

int placements_gone(struct db *d, const struct counter *all, struct counter *box, const struct placed *list,
                    size_t n)
{
        int rc = gone_add(d, box->mailbox, all->modseq, list, n, (uint64_t)(wall_usec() / 1000000));

        for (size_t i = 0; i < n; i++)
                counter_lost(box, &list[i]);
        box->modseq = box->modsafe = all->modseq;
        return rc ? rc : seen_forget(d, box->mailbox, list, n);
}

int placements_removed(struct account *a, struct db *d, struct counter *all, struct counter *box,
                       const struct placed *list, size_t n)
{
        struct dying dying = { mem_array(n + 1, sizeof *dying.letters), 0 };
        int rc = leave_places(d, all, box->mailbox, list, n, &dying);

        if (!rc)
                rc = placements_gone(d, all, box, list, n);
        if (!rc && dying.n) {
                rc = letters_doom(d, dying.letters, dying.n, (uint64_t)(wall_usec() / 1000000));
                atomic_store(&a->doomed, true);
        }
        mem_free(dying.letters);
        return rc;
}

static int take_out(void *context, struct placed *p)
{
        struct removing *j = context;

        if (j->only_deleted && !(p->flags & FLAG_DELETED))
                return PLACED_SAME;
        placed_add(&j->removed, p);
        p->letter = 0;
        p->modseq = j->all.modseq;
        return PLACED_CHANGED;
}

int removing_run(struct db *d, void *arg)
{
        struct removing *j = arg;
        int rc = account_writes(d);

        j->removed.n = 0;
        if (!rc)
                rc = mailbox_current(d, j->number, j->uidvalidity);
        if (!rc)
                rc = counter_read(d, 0, &j->all);
        if (!rc)
                rc = counter_read(d, j->number, &j->mailbox);
        if (!rc)
                rc = counter_ahead(d, &j->all, 0, 1);
        if (rc)
                return rc;
        j->all.modseq++;
        rc = pages_write(d, j->number, j->ranges, j->n, take_out, j);
        if (rc || !j->removed.n)
                return rc;
        rc = placements_removed(j->a, d, &j->all, &j->mailbox, j->removed.list, j->removed.n);
        if (!rc)
                rc = counter_write(d, &j->mailbox);
        return rc ? rc : counter_write(d, &j->all);
}

int account_expunge(struct account *a, const struct mailbox_view *view, const uint32_t *uids, size_t n)
{
        struct removing j = { .a = a, .number = view->mailbox, .uidvalidity = view->uidvalidity };
        struct uid_list list = { 0 };
        int rc;

        for (size_t i = 0; i < n && uids[i] < view->uidnext; i++)
                uid_list_add(&list, uids[i], uids[i]);
        j.ranges = list.ranges;
        j.n = list.n;
        rc = account_change(a, "expunge", NULL, removing_run, &j, DB_SYNC);
        if (!rc && j.removed.n && j.removed.n <= AT_ONCE)
                (void)account_reap(a); /* what stays is found later */
        placed_list_free(&j.removed);
        uid_list_free(&list);
        return rc;
}

int change_expunge(struct access *x, const struct uid_range *uids, size_t n, bool only_deleted,
                   struct uid_list *gone)
{
        struct removing j = { .a = x->account,
                              .number = x->mailbox,
                              .uidvalidity = x->uidvalidity,
                              .ranges = uids,
                              .n = n,
                              .only_deleted = only_deleted };
        int rc;

        *gone = (struct uid_list){ 0 };
        if (!(x->rights & RIGHT_EXPUNGE))
                return -EACCES;
        rc = account_change(x->account, "expunge", NULL, removing_run, &j, DB_SYNC | DB_LONG);
        for (size_t i = 0; i < j.removed.n && !rc; i++)
                uid_list_add(gone, j.removed.list[i].uid, j.removed.list[i].uid);
        placed_list_free(&j.removed);
        return rc;
}

static int take_any(void *context, struct placed *p)
{
        placed_add(context, p);
        p->letter = 0;
        return PLACED_CHANGED;
}

int change_forget_mailbox(struct account *a, struct db *d, struct counter *all, uint32_t mailbox)
{
        static const unsigned forget[] = { SEEN_FORGET, VISIT_FORGET, COUNTER_FORGET };
        struct placed_list list = { 0 };
        struct counter box;
        struct db_row q;
        int rc = counter_read(d, mailbox, &box);

        if (!rc)
                rc = pages_write(d, mailbox, &(struct uid_range){ 1, UINT32_MAX }, 1, take_any, &list);
        if (!rc && list.n)
                rc = placements_removed(a, d, all, &box, list.list, list.n);
        placed_list_free(&list);
        if (!rc)
                rc = gone_add(d, mailbox, all->modseq, &(struct placed){ 0 }, 1,
                              (uint64_t)(wall_usec() / 1000000));
        for (size_t i = 0; i < sizeof forget / sizeof *forget && !rc; i++) {
                q = db_query(d, forget[i]);
                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, mailbox);
                rc = db_exec(&q);
        }
        return rc;
}
