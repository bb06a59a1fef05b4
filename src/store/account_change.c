/* Who may write: the claim of a file for this boot, and the jump of its numbers after an unclean one (STATES.md). */
#include "store/account_inside.h"
#include "store/boot.h"
#include <errno.h>

enum { CLAIMS_MAX = 100 };
enum clean { IN_USE, CLOSED_CLEANLY, CLAIMED /* as in use, but perhaps not yet durable */ };

struct head {
        bool ours; /* this boot's */
        uint64_t clean;
};

static int read_head(struct db *d, struct head *h)
{
        struct db_row q = db_query(d, ACCOUNT_READ);
        int rc = -EBADMSG;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        if (db_next(&q)) {
                *h = (struct head){ str_eq(db_text(&q, 0), str_of(boot_id())), db_u64(&q, 1) };
                rc = 0;
        }
        return db_end(&q) ? db_end(&q) : rc;
}

static int write_head(struct db *d, enum clean clean)
{
        struct db_row q = db_query(d, ACCOUNT_CLAIM);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_text(&q, 2, str_of(boot_id()));
        db_bind_u64(&q, 3, clean);
        return db_exec(&q);
}

int account_writes(struct db *d)
{
        struct head h;
        int rc = read_head(d, &h);

        if (rc)
                return rc;
        if (!h.ours || h.clean == CLOSED_CLEANLY)
                return -EUCLEAN; /* account_change claims it and comes again */
        if (h.clean == IN_USE)
                return 0;
        rc = db_sync_inside(d); /* the claim stands before any number that it covers */
        return rc ? rc : write_head(d, IN_USE);
}

/* Every letter takes the new modseq: a client may have seen it with flags that are lost. */
static int touch_pages(struct db *d, uint64_t modseq)
{
        uint64_t from = 0;
        struct page p;
        int rc = 0;

        for (;;) {
                struct db_row q = db_query(d, PAGE_RANGE);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, from);
                db_bind_u64(&q, 3, INT64_MAX);
                p.place = 0;
                if (db_next(&q) && !page_from(&p, db_u64(&q, 0), db_blob(&q, 1)))
                        rc = -EBADMSG;
                if (db_end(&q))
                        rc = db_end(&q);
                if (rc || !p.place)
                        return rc;
                for (unsigned i = 0; i < PAGE_PLACED; i++)
                        if (p.at[i].letter)
                                p.at[i].modseq = modseq;
                p.changed = true;
                rc = page_store(d, &p);
                if (rc)
                        return rc;
                from = p.place + 1;
        }
}

static uint64_t after_jump(const struct counter *c)
{
        return c->uidnext + UIDS_AHEAD > c->reserved ? c->uidnext + UIDS_AHEAD : c->reserved;
}

static int add_gap(struct db *d, const struct counter *c, uint64_t modseq)
{
        struct db_row q = db_query(d, GONE_ADD);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, modseq);
        db_bind_u64(&q, 3, c->mailbox);
        db_bind_u64(&q, 4, c->uidnext);
        db_bind_u64(&q, 5, after_jump(c) - 1);
        db_bind_u64(&q, 6, 0);
        db_bind_u64(&q, 7, (uint64_t)(wall_usec() / 1000000));
        db_bind_null(&q, 8);
        return db_exec(&q);
}

static int jump_counter(struct db *d, uint32_t mailbox, uint64_t modseq)
{
        struct counter c;
        int rc = counter_read(d, mailbox, &c);

        if (!rc && mailbox)
                rc = add_gap(d, &c, modseq);
        if (rc)
                return rc;
        c.safe = c.uidnext = after_jump(&c);
        c.modsafe = c.modseq = modseq;
        return counter_write(d, &c);
}

/* The numbers that were shown and lost, whatever they were, are never given again. */
static int jump(struct db *d)
{
        struct counter all;
        struct db_row q;
        uint32_t mailbox = 0;
        bool more = true;
        int rc = counter_read(d, 0, &all);
        uint64_t modseq = all.modseq + MODSEQS_AHEAD;

        while (!rc && more) {
                rc = jump_counter(d, mailbox, modseq);
                q = db_query(d, COUNTER_NEXT);
                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, mailbox);
                more = db_next(&q);
                if (more)
                        mailbox = (uint32_t)db_u64(&q, 0);
                if (db_end(&q))
                        rc = db_end(&q);
        }
        if (!rc)
                rc = touch_pages(d, modseq);
        if (rc)
                return rc;
        q = db_query(d, ACCOUNT_JUMPED);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, modseq);
        return db_exec(&q);
}

static int claim(struct db *d, void *arg)
{
        struct head h;
        int rc = read_head(d, &h);

        (void)arg;
        if (rc || (h.ours && h.clean != CLOSED_CLEANLY)) /* somebody was faster */
                return rc;
        if (h.clean != CLOSED_CLEANLY)
                rc = jump(d);
        return rc ? rc : write_head(d, CLAIMED);
}

static int any_doomed(struct db *d, bool *yes)
{
        struct db_row q = db_query(d, DOOMED_NEXT);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, 0);
        *yes = db_next(&q);
        return db_end(&q);
}

int account_opened(struct db *d, void *context)
{
        struct account *a = context;
        struct head h;
        bool doomed = false;
        int rc = read_head(d, &h);

        if (!rc)
                rc = any_doomed(d, &doomed);
        atomic_store(&a->doomed, doomed);
        if (rc || h.ours ||
            h.clean == CLOSED_CLEANLY) /* nothing can be lost; who writes first will claim it */
                return rc;
        return claim(d, NULL);
}

/* Whoever changes flags thousands of times a second waits for the checkpoint, else the WAL fills the disk. If a reader stands in
 * its way, it is not tried again at once. */
static void cut_wal(struct account *a)
{
        unsigned pages = db_wal_pages(a->db);

        if (pages < a->wal_tried)
                a->wal_tried = 0;
        if (pages - a->wal_tried < WAL_PAGES_MOST)
                return;
        a->wal_tried = pages;
        (void)db_checkpoint(a->db, &(bool){ false }); /* an error is said by db; the change is done */
}

static int change(struct account *a, const char *name, int (*before)(void *arg),
                  int (*fn)(struct db *d, void *arg), void *arg, enum db_how how)
{
        int rc = db_transact_after(a->db, name, before, fn, arg, how);

        for (unsigned most = CLAIMS_MAX; rc == -EUCLEAN && most;
             most--) { /* another may close it in between */
                rc = db_transact(a->db, "claim account", claim, NULL, DB_WRITE);
                if (!rc)
                        rc = db_transact(a->db, name, fn, arg, how);
        }
        a->wrote |= !rc;
        if (!rc)
                cut_wal(a);
        return rc;
}

/* Others' commits in between may ring once too often, never too little. */
int account_change(struct account *a, const char *name, int (*before)(void *arg),
                   int (*fn)(struct db *d, void *arg), void *arg, enum db_how how)
{
        uint64_t commits = db_commits(a->db);
        int rc = change(a, name, before, fn, arg, how);

        if (db_commits(a->db) != commits)
                account_tell(a);
        if (db_commits(a->db) != commits && a->set->changed)
                a->set->changed(a->set->changed_context, str_of(a->name));
        return rc;
}

int account_change_quietly(struct account *a, const char *name, int (*fn)(struct db *d, void *arg), void *arg,
                           enum db_how how)
{
        return change(a, name, NULL, fn, arg, how);
}

static int mark_clean(struct db *d, void *arg)
{
        struct head h;
        int rc = read_head(d, &h);

        (void)arg;
        return rc || !h.ours || h.clean == CLOSED_CLEANLY ? rc : write_head(d, CLOSED_CLEANLY);
}

/* The mark needs no sync of its own: where it is found, all that was committed before it is found too. */
int account_mark_clean(struct account *a)
{
        int rc = db_transact(a->db, "mark clean", mark_clean, NULL, DB_WRITE);

        if (!rc)
                a->wrote = false;
        return rc;
}
