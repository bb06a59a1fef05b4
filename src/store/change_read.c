/* Looking at a mailbox as a reader sees it: in numbers, its placements, what is new. */
#include "base/mem.h"
#include "store/change_inside.h"
#include <errno.h>
#include <stdlib.h>

static const struct uid_range everything = { 1, UINT32_MAX };

/* Placements as the reader sees them: his own \Seen. */
struct looking {
        struct db *d;
        uint32_t reader;
        struct seen_piece seen;
        uint64_t since;
        struct placed_list *out;
        uint32_t found;
};

static struct looking looking_of(struct db *d, const struct access *x)
{
        return (struct looking){ .d = d,
                                 .reader = x->reader_number,
                                 .seen = { .mailbox = x->mailbox, .reader = x->reader_number } };
}

static int as_seen(struct looking *l, struct placed *p)
{
        bool seen;
        int rc;

        if (!l->reader)
                return 0;
        rc = seen_get(l->d, &l->seen, p->uid, &seen);
        p->flags = (p->flags & ~(uint64_t)FLAG_SEEN) | (seen ? FLAG_SEEN : 0);
        return rc;
}

static int find_unseen(void *context, struct placed *p)
{
        struct looking *l = context;
        int rc = as_seen(l, p);

        if (rc || p->flags & FLAG_SEEN)
                return rc;
        l->found = p->uid;
        return PLACED_STOP;
}

static int count_one(void *context, struct placed *p)
{
        (void)p;
        ++*(uint32_t *)context;
        return PLACED_SAME;
}

struct status_job {
        const struct access *x;
        bool first_unseen, take_recent;
        struct mailbox_status *out;
        struct counter all, box;
};

static int read_recent(struct db *d, const struct status_job *j, uint32_t *from)
{
        struct db_row q;

        *from = (uint32_t)j->box.recent;
        if (!j->x->reader_number)
                return 0;
        q = db_query(d, VISIT_READ);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->x->mailbox);
        db_bind_u64(&q, 3, j->x->reader_number);
        *from = db_next(&q) ? (uint32_t)db_u64(&q, 0) : 1;
        return db_end(&q);
}

static int write_recent(struct db *d, struct status_job *j)
{
        struct db_row q;

        if (!j->x->reader_number) {
                j->box.recent = j->box.uidnext;
                return counter_write(d, &j->box);
        }
        q = db_query(d, VISIT_WRITE);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->x->mailbox);
        db_bind_u64(&q, 3, j->x->reader_number);
        db_bind_u64(&q, 4, j->box.uidnext);
        return db_exec(&q);
}

static int count_recent(struct db *d, const struct status_job *j, struct mailbox_status *s)
{
        if (s->recent_from <= 1)
                s->recent = s->view.count;
        else if (s->recent_from < s->view.uidnext)
                return pages_read(d, j->x->mailbox, &(struct uid_range){ s->recent_from, UINT32_MAX }, 1,
                                  count_one, &s->recent);
        return 0;
}

static int fill_unseen(struct db *d, const struct status_job *j, struct mailbox_status *s)
{
        struct looking l = looking_of(d, j->x);
        uint64_t seen = 0;
        int rc = 0;

        s->unseen = (uint32_t)j->box.unseen;
        if (j->x->reader_number) {
                rc = seen_count(d, j->x->mailbox, j->x->reader_number, &seen);
                s->unseen = seen < j->box.count ? (uint32_t)(j->box.count - seen) : 0;
        }
        if (!rc && j->first_unseen && s->unseen) {
                rc = pages_read(d, j->x->mailbox, &everything, 1, find_unseen, &l);
                s->first_unseen = l.found;
        }
        return rc;
}

static int fill_status(struct db *d, struct status_job *j)
{
        struct mailbox_status *s = j->out;
        const struct counter *box = &j->box;
        int rc = mailbox_current(d, j->x->mailbox, j->x->uidvalidity);

        if (!rc)
                rc = counter_read(d, 0, &j->all);
        if (!rc)
                rc = counter_read(d, j->x->mailbox, &j->box);
        if (rc)
                return rc == -ENOENT ? -ESTALE : rc;
        *s = (struct mailbox_status){ .view = { .mailbox = box->mailbox,
                                                .uidvalidity = j->x->uidvalidity,
                                                .uidnext = (uint32_t)box->uidnext,
                                                .modseq = j->all.modseq,
                                                .count = (uint32_t)box->count,
                                                .octets = box->octets },
                                      .highest = box->modseq ? box->modseq : 1,
                                      .deleted = (uint32_t)box->deleted,
                                      .deleted_octets = box->deleted_octets };
        rc = fill_unseen(d, j, s);
        if (!rc)
                rc = read_recent(d, j, &s->recent_from);
        return rc ? rc : count_recent(d, j, s);
}

static int status(struct db *d, void *arg)
{
        return fill_status(d, arg);
}

int change_status(struct access *x, bool first_unseen, struct mailbox_status *out)
{
        struct status_job j = { .x = x, .first_unseen = first_unseen, .out = out };

        *out = (struct mailbox_status){ 0 };
        if (!(x->rights & (RIGHT_READ | RIGHT_LOOKUP)))
                return -EACCES;
        return db_transact(x->account->db, "status", status, &j, DB_READ);
}

static int take_recent(struct db *d, void *arg)
{
        struct status_job *j = arg;
        int rc = account_writes(d);

        if (!rc)
                rc = fill_status(d, j);
        return rc ? rc : write_recent(d, j);
}

int change_select(struct access *x, bool take, struct mailbox_status *out)
{
        struct status_job j = { .x = x, .first_unseen = true, .out = out };
        struct mailbox_status before;
        int rc = x->rights & RIGHT_READ ? change_status(x, true, out) : -EACCES;

        if (rc || !take || out->recent_from >= out->view.uidnext)
                return rc;
        before = *out;
        rc = account_change_quietly(x->account, "take recent", take_recent, &j, DB_WRITE);
        if (rc && rc != -ESTALE) { /* a full disk: the mailbox can be read all the same */
                *out = before;
                rc = 0;
        }
        return rc;
}

static int add_newer(void *context, struct placed *p)
{
        struct looking *l = context;
        struct placed seen = *p;
        int rc;

        if (p->modseq <= l->since)
                return PLACED_SAME;
        rc = as_seen(l, &seen);
        placed_add(l->out, &seen);
        return rc;
}

struct list_job {
        const struct access *x;
        const struct uid_range *uids;
        size_t n;
        uint64_t since;
        struct placed_list *out;
};

static int list(struct db *d, void *arg)
{
        struct list_job *j = arg;
        struct looking l = looking_of(d, j->x);
        int rc = mailbox_current(d, j->x->mailbox, j->x->uidvalidity);

        j->out->n = 0;
        l.since = j->since;
        l.out = j->out;
        return rc ? rc : pages_read(d, j->x->mailbox, j->uids, j->n, add_newer, &l);
}

int change_list(struct access *x, const struct uid_range *uids, size_t n, uint64_t since,
                struct placed_list *out)
{
        struct list_job j = { x, uids, n, since, out };
        int rc = -EACCES;

        *out = (struct placed_list){ 0 };
        if (x->rights & RIGHT_READ)
                rc = db_transact(x->account->db, "list placements", list, &j, DB_READ);
        if (rc)
                placed_list_free(out);
        return rc;
}

struct since_job {
        struct status_job status;
        uint32_t uidnext;
        uint64_t modseq;
        struct placed_list *changed;
        uint32_t *gone;
        size_t gone_n, gone_room;
        bool stale;
};

static int one_gone(void *context, uint32_t uid, uint32_t letter, uint64_t modseq)
{
        struct since_job *j = context;

        (void)letter;
        (void)modseq;
        if (uid >= j->uidnext)
                return 0;
        if (j->gone_n == j->gone_room) {
                j->gone_room = j->gone_room ? j->gone_room * 2 : 64;
                j->gone = mem_grow(j->gone, j->gone_room, sizeof *j->gone);
        }
        j->gone[j->gone_n++] = uid;
        return 0;
}

static int too_old(struct db *d, struct since_job *j)
{
        struct db_row q = db_query(d, ACCOUNT_READ);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        if (db_next(&q)) /* jumped, forgotten */
                j->stale = j->modseq < db_u64(&q, 2) || j->modseq < db_u64(&q, 3) ||
                           j->modseq > j->status.all.modseq;
        return db_end(&q);
}

static int since(struct db *d, void *arg)
{
        struct since_job *j = arg;
        const struct access *x = j->status.x;
        struct looking l = looking_of(d, x);
        struct uid_range where = everything;
        int rc = fill_status(d, &j->status);

        j->changed->n = j->gone_n = 0;
        j->stale = false;
        if (!rc)
                rc = too_old(d, j);
        if (rc)
                return rc;
        l.since = j->modseq > j->status.all.modseq ? 0 : j->modseq;
        l.out = j->changed;
        if (j->stale)
                return pages_read(d, x->mailbox, &where, 1, add_newer, &l);
        if (j->status.box.modseq <= j->modseq)
                return 0;
        if (ring_since(&j->status.box, j->modseq, &where.first, &where.last))
                rc = pages_read(d, x->mailbox, &where, 1, add_newer, &l);
        return rc ? rc : gone_since(d, x->mailbox, j->modseq, one_gone, j);
}

static int by_uid(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

int change_since(struct access *x, uint32_t uidnext, uint64_t modseq, struct placed_list *changed,
                 struct uid_list *gone, struct mailbox_status *now)
{
        struct since_job j = { .status = { .x = x, .out = now }, .uidnext = uidnext, .modseq = modseq };
        int rc = -EACCES;

        j.changed = changed;
        *changed = (struct placed_list){ 0 };
        *gone = (struct uid_list){ 0 };
        *now = (struct mailbox_status){ 0 };
        if (x->rights & RIGHT_READ)
                rc = db_transact(x->account->db, "what is new", since, &j, DB_READ);
        if (rc)
                placed_list_free(changed);
        if (!rc && j.gone_n)
                qsort(j.gone, j.gone_n, sizeof *j.gone, by_uid);
        for (size_t i = 0; i < j.gone_n && !rc; i++)
                uid_list_add(gone, j.gone[i], j.gone[i]);
        mem_free(j.gone);
        return rc ? rc : j.stale ? -ESTALE : 0;
}

struct absent_job {
        const struct access *x;
        const struct uid_range *uids;
        size_t n, at;
        uint64_t next; /* in uids[at]: what lies before was looked at */
        struct uid_list *absent;
};

/* Everything wanted below `uid` that was not met. */
static void absent_upto(struct absent_job *j, uint64_t uid)
{
        for (; j->at < j->n && j->uids[j->at].first < uid; j->at++, j->next = 0) {
                const struct uid_range *r = &j->uids[j->at];
                uint64_t from = j->next > r->first ? j->next : r->first;
                uint64_t last = r->last < uid ? r->last : uid - 1;

                if (from <= last)
                        uid_list_add(j->absent, (uint32_t)from, (uint32_t)last);
                if (r->last >= uid) {
                        j->next = uid;
                        return;
                }
        }
}

static int met(void *context, struct placed *p)
{
        struct absent_job *j = context;

        absent_upto(j, p->uid);
        j->next = (uint64_t)p->uid + 1;
        return PLACED_SAME;
}

static int absent(struct db *d, void *arg)
{
        struct absent_job *j = arg;
        struct counter box;
        int rc = mailbox_current(d, j->x->mailbox, j->x->uidvalidity);

        j->absent->n = j->at = 0;
        j->next = 0;
        if (!rc)
                rc = counter_read(d, j->x->mailbox, &box);
        if (!rc)
                rc = pages_read(d, j->x->mailbox, j->uids, j->n, met, j);
        if (!rc)
                absent_upto(j, box.uidnext);
        return rc;
}

int change_absent(struct access *x, const struct uid_range *uids, size_t n, struct uid_list *out)
{
        struct absent_job j = { .x = x, .uids = uids, .n = n, .absent = out };
        int rc = -EACCES;

        *out = (struct uid_list){ 0 };
        if (x->rights & RIGHT_READ)
                rc = db_transact(x->account->db, "what is not there", absent, &j, DB_READ);
        if (rc)
                uid_list_free(out);
        return rc;
}

/* The counters of one connection only rise, and another connection has another `openings`. While a transaction runs here
 * nothing can be said: a number that was never given. */
uint64_t change_stamp(const struct access *x)
{
        const struct account *a = x->account;
        uint32_t version;

        if (!db_quiet_version(a->db, &version))
                return (uint64_t)1 << 63 | ++a->set->unique;
        return (a->openings << 40) + db_commits(a->db) + version;
}
