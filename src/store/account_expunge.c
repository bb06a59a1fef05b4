/* Removing placements: their letters stay as long as they have another place. */
#include "base/mem.h"
#include "base/time.h"
#include "store/change_inside.h"
#include <errno.h>
#include <stdlib.h>

enum { AT_ONCE = 64 /* letters that go while their client waits: it may want the space for the next */ };

static int by_letter(const void *a, const void *b)
{
        const struct place_op *x = a, *y = b;

        return (x->letter > y->letter) - (x->letter < y->letter);
}

struct dying {
        uint32_t *letters;
        size_t n;
};

static int leave_places(struct db *d, struct counter *all, uint32_t mailbox, const struct placed *list,
                        size_t n, struct dying *dying)
{
        struct place_op *ops = mem_array(n, sizeof *ops);
        bool sorted = true;
        int rc;

        for (size_t i = 0; i < n; i++) {
                ops[i] = (struct place_op){ .letter = list[i].letter,
                                            .size = list[i].size,
                                            .how = PLACE_REMOVE,
                                            .from = { mailbox, list[i].uid } };
                sorted &= !i || ops[i - 1].letter <= ops[i].letter;
        }
        if (!sorted)
                qsort(ops, n, sizeof *ops, by_letter);
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

int placements_removed(struct account *a, struct db *d, struct counter *all, struct counter *box,
                       const struct placed *list, size_t n)
{
        struct dying dying = { mem_array(n + 1, sizeof *dying.letters), 0 };
        uint64_t now = (uint64_t)(wall_usec() / 1000000);
        int rc = leave_places(d, all, box->mailbox, list, n, &dying);

        for (size_t i = 0; i < n; i++)
                counter_lost(box, &list[i]);
        box->modseq = box->modsafe = all->modseq;
        if (!rc)
                rc = gone_add(d, box->mailbox, all->modseq, list, n, now);
        if (!rc && dying.n) {
                rc = letters_doom(d, dying.letters, dying.n, now);
                atomic_store(&a->doomed, true);
        }
        mem_free(dying.letters);
        return rc;
}

struct expunge_job {
        struct account *a;
        const struct mailbox_view *view;
        const struct uid_range *ranges;
        size_t n;
        struct counter all, mailbox;
        struct placed_list removed;
};

static int take_out(void *context, struct placed *p)
{
        struct expunge_job *j = context;

        placed_add(&j->removed, p);
        p->letter = 0;
        p->modseq = j->all.modseq;
        return PLACED_CHANGED;
}

static int expunge(struct db *d, void *arg)
{
        struct expunge_job *j = arg;
        int rc = account_writes(d);

        j->removed.n = 0;
        if (!rc)
                rc = mailbox_current(d, j->view->mailbox, j->view->uidvalidity);
        if (!rc)
                rc = counter_read(d, 0, &j->all);
        if (!rc)
                rc = counter_read(d, j->view->mailbox, &j->mailbox);
        if (!rc)
                rc = counter_ahead(d, &j->all, 0, 1);
        if (rc)
                return rc;
        j->all.modseq++;
        rc = pages_write(d, j->view->mailbox, j->ranges, j->n, take_out, j);
        if (rc || !j->removed.n)
                return rc;
        rc = placements_removed(j->a, d, &j->all, &j->mailbox, j->removed.list, j->removed.n);
        if (!rc)
                rc = counter_write(d, &j->mailbox);
        return rc ? rc : counter_write(d, &j->all);
}

int account_expunge(struct account *a, const struct mailbox_view *view, const uint32_t *uids, size_t n)
{
        struct expunge_job j = { .a = a, .view = view };
        struct uid_list list = { 0 };
        int rc;

        for (size_t i = 0; i < n && uids[i] < view->uidnext; i++)
                uid_list_add(&list, uids[i], uids[i]);
        j.ranges = list.ranges;
        j.n = list.n;
        rc = account_change(a, "expunge", NULL, expunge, &j, DB_SYNC);
        if (!rc && j.removed.n && j.removed.n <= AT_ONCE)
                (void)account_reap(a); /* what stays is found later */
        placed_list_free(&j.removed);
        uid_list_free(&list);
        return rc;
}
