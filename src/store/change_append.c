/* APPEND and REPLACE: letters that come by a client instead of the log. */
#include "store/account_filing.h"
#include <errno.h>

/* More than one transaction takes: in slices, and then placed all at once. */
static int append_many(struct access *x, struct filing *list, size_t n, uint64_t room)
{
        struct unplaced u = { .to = x };
        int rc = 0;

        for (size_t done = 0; done < n && !rc; done += BATCH_MAX) {
                struct filing_job j = {
                        .a = x->account, .list = list + done, .room = room, .unplaced = true
                };

                j.n = n - done < BATCH_MAX ? n - done : BATCH_MAX;
                rc = filing_do(&j, "append", filing_run, DB_WRITE);
                u.linked |= j.linked;
                for (size_t i = 0; i < j.n && !rc; i++) {
                        placed_add(&u.list, &(struct placed){ .letter = j.list[i].letter,
                                                              .size = (uint32_t)j.list[i].size,
                                                              .flags = j.list[i].flags });
                        room -= j.list[i].size;
                }
        }
        if (!rc)
                rc = unplaced_place(&u);
        for (size_t i = 0; i < n && !rc; i++)
                list[i].uid = u.first + (uint32_t)i;
        placed_list_free(&u.list);
        return rc;
}

int change_append(struct access *x, struct filing *list, size_t n, uint64_t room)
{
        struct filing_job j = { .a = x->account, .list = list, .n = n, .x = x, .room = room };

        if (!(x->rights & RIGHT_INSERT))
                return -EACCES;
        if (n > BATCH_MAX)
                return append_many(x, list, n, room);
        return filing_do(&j, "append", filing_run, DB_SYNC);
}

struct replace {
        struct filing_job filing; /* first: filing_do passes it on */
        struct removing old;
};

static int replace(struct db *d, void *arg)
{
        struct replace *r = arg;
        int rc = filing_run(d, &r->filing);

        if (!rc)
                rc = removing_run(d, &r->old);
        return !rc && !r->old.removed.n ? -ENOENT : rc;
}

/* The letter must be there before anything is done. */
static int is_there(struct access *x, uint32_t uid)
{
        struct placed_list found;
        struct access looking = *x;
        size_t n;
        int rc;

        looking.rights |= RIGHT_READ;
        rc = change_list(&looking, &(struct uid_range){ uid, uid }, 1, 0, &found);
        n = found.n;
        placed_list_free(&found);
        return rc ? rc : n ? 0 : -ENOENT;
}

int change_replace(struct access *x, uint32_t uid, struct access *to, struct filing *letter, uint64_t room)
{
        const struct uid_range only = { uid, uid };
        struct uid_list gone;
        struct replace r = { .filing = { .a = to->account, .list = letter, .n = 1, .x = to, .room = room },
                             .old = { .a = x->account,
                                      .number = x->mailbox,
                                      .uidvalidity = x->uidvalidity,
                                      .ranges = &only,
                                      .n = 1 } };
        int rc = is_there(x, uid);

        if (rc)
                return rc;
        if (!(to->rights & RIGHT_INSERT) || !(x->rights & RIGHT_EXPUNGE) || !(x->rights & RIGHT_DELETE))
                return -EACCES;
        if (x->account == to->account) {
                rc = filing_do(&r.filing, "replace", replace, DB_SYNC);
                placed_list_free(&r.old.removed);
                return rc;
        }
        rc = change_append(to, letter, 1, room);
        if (!rc)
                rc = change_expunge(x, &only, 1, false, &gone);
        if (!rc)
                uid_list_free(&gone);
        return rc;
}
