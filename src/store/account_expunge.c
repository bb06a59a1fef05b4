/* Removing placements; a letter goes with its last one, its body with the last letter that uses it. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/account_inside.h"
#include <errno.h>

struct expunge_job {
        struct account *a;
        const struct mailbox_view *view;
        const uint32_t *uids;
        size_t n;
        struct counter all, mailbox;
        uint64_t *files; /* bodies that lie in files and have lost their last letter */
        size_t files_n;
        uint64_t now; /* seconds */
        bool changed;
};

static int add_gone(struct db *d, struct expunge_job *j, uint32_t uid, uint32_t letter)
{
        struct db_row q = db_query(d, GONE_ADD);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->all.modseq);
        db_bind_u64(&q, 3, j->mailbox.mailbox);
        db_bind_u64(&q, 4, uid);
        db_bind_u64(&q, 5, uid);
        db_bind_u64(&q, 6, letter);
        db_bind_u64(&q, 7, j->now);
        return db_exec(&q);
}

static int run_on(struct db *d, unsigned statement, uint64_t key)
{
        struct db_row q = db_query(d, statement);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, key);
        return db_exec(&q);
}

static int drop_body(struct db *d, struct expunge_job *j, uint64_t body)
{
        struct db_row q = db_query(d, BODY_READ);
        bool file = false;
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, body);
        if (db_next(&q))
                file = db_null(&q, 0);
        rc = db_end(&q);
        if (!rc)
                rc = run_on(d, BODY_DROP, body);
        if (rc)
                return rc;
        if (!db_changes(d))
                return run_on(d, BODY_UNUSE, body);
        if (file) {
                j->files = mem_grow(j->files, j->files_n + 1, sizeof *j->files);
                j->files[j->files_n++] = body;
        }
        return 0;
}

/* The places but this one; *n how many are left. */
static bool places_without(struct str places, uint32_t mailbox, uint32_t uid, struct buf *left)
{
        struct unpack u = unpack_of(places);

        while (!u.bad && !unpack_done(&u)) {
                uint32_t m = unpack_u32(&u), i = unpack_u32(&u);

                if (!u.bad && (m != mailbox || i != uid)) {
                        buf_u32(left, m);
                        buf_u32(left, i);
                }
        }
        return !u.bad && !left->full;
}

static int write_places(struct db *d, uint32_t letter, struct str places)
{
        struct db_row q = db_query(d, LETTER_PLACES);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        db_bind_blob(&q, 3, places);
        return db_exec(&q);
}

static int leave_letter(struct db *d, struct expunge_job *j, uint32_t letter, uint32_t uid)
{
        struct db_row q = db_query(d, LETTER_READ);
        struct buf left auto_buf;
        uint64_t body = 0, size = 0;
        uint32_t thread = 0;
        int rc = -EBADMSG; /* the page names a letter that is not there */

        buf_init(&left, 1024 * 1024);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        if (db_next(&q)) {
                body = db_u64(&q, 0);
                thread = (uint32_t)db_u64(&q, 1);
                size = db_u64(&q, 2);
                rc = places_without(db_blob(&q, 3), j->mailbox.mailbox, uid, &left) ? 0 : -EBADMSG;
        }
        if (db_end(&q))
                rc = db_end(&q);
        if (rc)
                return rc;
        if (left.n)
                return write_places(d, letter, buf_str(&left));
        rc = run_on(d, LETTER_DROP, letter);
        if (!rc)
                rc = drop_body(d, j, body);
        if (!rc)
                rc = thread_leave(d, letter, thread);
        j->all.count--;
        j->all.octets -= size;
        return rc;
}

static int expunge_one(struct db *d, struct expunge_job *j, struct placed *p)
{
        int rc = leave_letter(d, j, p->letter, p->uid);

        if (!rc)
                rc = add_gone(d, j, p->uid, p->letter);
        if (rc)
                return rc;
        j->mailbox.count--;
        j->mailbox.octets -= p->size;
        j->mailbox.unseen -= !(p->flags & FLAG_SEEN);
        j->mailbox.deleted -= !!(p->flags & FLAG_DELETED);
        p->letter = 0;
        p->modseq = j->all.modseq;
        j->changed = true;
        return 0;
}

static int expunge_all(struct db *d, struct expunge_job *j)
{
        struct page page = { 0 };
        int rc = 0;

        for (size_t i = 0; i < j->n && !rc; i++) {
                uint32_t uid = j->uids[i];
                struct placed *p = page.place ? page_find(&page, uid) : NULL;

                if (!p) {
                        rc = page_store(d, &page);
                        if (!rc)
                                rc = page_of(d, j->mailbox.mailbox, uid, &page);
                        p = rc || !page.place ? NULL : page_find(&page, uid);
                }
                if (p && p->letter && uid < j->view->uidnext) {
                        page.changed = true;
                        rc = expunge_one(d, j, p);
                }
        }
        return rc ? rc : page_store(d, &page);
}

static int expunge(struct db *d, void *arg)
{
        struct expunge_job *j = arg;
        struct db_row q;
        uint64_t uidvalidity = 0;
        int rc = account_writes(d);

        if (rc)
                return rc;
        j->files_n = 0;
        j->changed = false;
        q = db_query(d, MAILBOX_VIEW);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->view->mailbox);
        if (db_next(&q))
                uidvalidity = db_u64(&q, 0);
        rc = db_end(&q);
        if (!rc && uidvalidity != j->view->uidvalidity)
                rc = -ESTALE;
        if (!rc)
                rc = counter_read(d, 0, &j->all);
        if (!rc)
                rc = counter_read(d, j->view->mailbox, &j->mailbox);
        if (!rc)
                rc = counter_ahead(d, &j->all, 0, 1);
        if (rc)
                return rc;
        j->all.modseq++;
        rc = expunge_all(d, j);
        if (rc || !j->changed)
                return rc;
        j->mailbox.modseq = j->mailbox.modsafe = j->all.modseq;
        rc = counter_write(d, &j->mailbox);
        return rc ? rc : counter_write(d, &j->all);
}

static int drop_files(void *arg)
{
        struct expunge_job *j = arg;
        int dir = account_bodies(j->a);

        for (size_t i = 0; dir >= 0 && i < j->files_n; i++)
                body_drop(dir, j->files[i]); /* one that stays is found by pail check */
        return 0;
}

int account_expunge(struct account *a, const struct mailbox_view *view, const uint32_t *uids, size_t n)
{
        struct expunge_job j = { .a = a, .view = view, .uids = uids, .n = n };
        int rc;

        j.now = (uint64_t)(wall_usec() / 1000000);
        rc = account_change(a, "expunge", NULL, expunge, &j, DB_SYNC);
        if (!rc && j.files_n)
                (void)offload(QUICK, drop_files, &j);
        mem_free(j.files);
        return rc;
}
