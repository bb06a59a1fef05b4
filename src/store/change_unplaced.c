/* Letters that come in more than one transaction, and are seen all or none: they are filed into no mailbox first, where
 * `doomed` keeps them (STATES.md), so that a crash leaves nothing that is seen and nothing that stays. When all are there,
 * one synced transaction places them. */
#include "base/mem.h"
#include "store/account_filing.h"
#include "store/disk.h"
#include <errno.h>
#include <stdlib.h>

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

/* Those of ours off a row of `doomed`. */
static int keep_row(struct unplaced *c, struct db *d, uint64_t row, struct str letters, size_t *found)
{
        struct unpack u = unpack_of(letters);
        struct buf left auto_buf;
        struct db_row q;
        size_t before = *found;

        buf_init(&left, letters.n);
        while (!u.bad && !unpack_done(&u)) {
                uint32_t letter = unpack_u32(&u);

                if (bsearch(&letter, c->letters, c->list.n, sizeof letter, by_number))
                        ++*found;
                else
                        buf_u32(&left, letter);
        }
        if (u.bad || *found == before)
                return u.bad ? -EBADMSG : 0;
        q = db_query(d, left.n ? DOOMED_WRITE : DOOMED_DROP);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, row);
        if (left.n)
                db_bind_blob(&q, 3, buf_str(&left));
        return db_exec(&q);
}

/* -ETIMEDOUT: it took so long that they were removed. */
static int keep(struct unplaced *c, struct db *d)
{
        struct buf letters auto_buf;
        uint64_t row = 0;
        size_t found = 0;
        bool more = true;
        int rc = 0;

        buf_init(&letters, 65536);
        while (more && !rc && found < c->list.n) {
                struct db_row q = db_query(d, DOOMED_NEXT);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, row);
                more = db_next(&q);
                buf_clear(&letters);
                if (more) {
                        row = db_u64(&q, 0);
                        buf_puts(&letters, db_blob(&q, 2));
                }
                rc = db_end(&q);
                if (!rc && more)
                        rc = keep_row(c, d, row, buf_str(&letters), &found);
        }
        return rc ? rc : found == c->list.n ? 0 : -ETIMEDOUT;
}

static int place(struct db *d, struct unplaced *c)
{
        struct place_op *ops = mem_array(c->list.n, sizeof *ops);
        int rc;

        for (size_t i = 0; i < c->list.n; i++) {
                ops[i] = (struct place_op){ .letter = c->list.list[i].letter, .how = PLACE_MOVE };
                c->all.count++;
                c->all.octets += c->list.list[i].size;
        }
        c->first = (uint32_t)c->dst.uidnext;
        rc = place_all(d, c->to, &c->dst, c->all.modseq, c->list.list, c->list.n, ops);
        mem_free(ops);
        return rc;
}

static int finish(struct db *d, void *arg)
{
        struct unplaced *c = arg;
        int rc = account_writes(d);

        if (!rc)
                rc = mailbox_current(d, c->to->mailbox, c->to->uidvalidity);
        if (!rc)
                rc = counter_read(d, 0, &c->all);
        if (!rc)
                rc = counter_read(d, c->to->mailbox, &c->dst);
        if (!rc)
                rc = counter_ahead(d, &c->all, 0, 1);
        if (!rc)
                rc = counter_ahead(d, &c->dst, c->list.n, 0);
        c->all.modseq++;
        if (!rc)
                rc = keep(c, d);
        if (!rc)
                rc = place(d, c);
        if (!rc)
                rc = counter_write(d, &c->dst);
        if (!rc)
                rc = counter_write(d, &c->all);
        if (!rc && c->linked) /* no letter without its body, also after a power cut */
                rc = disk_sync_dir(account_bodies(c->to->account));
        return rc;
}

int unplaced_place(struct unplaced *c)
{
        int rc, tries = 0;

        c->letters = mem_array(c->list.n, sizeof *c->letters);
        for (size_t i = 0; i < c->list.n; i++)
                c->letters[i] = c->list.list[i].letter;
        qsort(c->letters, c->list.n, sizeof *c->letters, by_number);
        while ((rc = account_change(c->to->account, "place copies", NULL, finish, c, DB_SYNC | DB_LONG)) ==
                   -ENOSR &&
               tries++ < RESERVE_TRIES) {
                rc = account_reserve(c->to->account, c->to->mailbox, c->list.n + UIDS_AHEAD);
                if (rc)
                        break;
        }
        mem_free(c->letters);
        return rc;
}
