#include "store/intake_parts.h"
#include "base/mem.h"
#include <assert.h>
#include <stdlib.h>

#define BACKOFF_FIRST (100 * MSECOND)
#define BACKOFF_MOST  (10 * SECOND)

/* An account that was filed into just now is left alone for a moment, so that what comes meanwhile shares a
 * transaction: under load that saves two thirds of filing's cost. The first letter after a pause is filed at once. */
#define GATHER (50 * MSECOND)

/* A letter that reaches a mailbox by several addresses is filed once: which of its actions that is follows from the
 * envelope alone, so that replay sees it the same way. */
struct target {
        const struct action *action;
        unsigned index;
};

static struct str mailbox_of(const struct action *a)
{
        return !a->mailbox.n || str_ieq(a->mailbox, INBOX) ? INBOX : a->mailbox;
}

static int compare_targets(const void *a, const void *b)
{
        const struct target *x = a, *y = b;
        int c = str_cmp(x->action->account, y->action->account);

        if (!c)
                c = str_cmp(mailbox_of(x->action), mailbox_of(y->action));
        return c ? c : (x->index > y->index) - (x->index < y->index);
}

static void find_duplicates(const struct envelope *e, bool *duplicate)
{
        struct target *targets = mem_array(e->count, sizeof *targets);
        unsigned n = 0;

        for (unsigned k = 0; k < e->count; k++)
                if (e->actions[k].kind == ACTION_FILE)
                        targets[n++] = (struct target){ &e->actions[k], k };
        qsort(targets, n, sizeof *targets, compare_targets);
        for (unsigned k = 1; k < n; k++)
                if (str_eq(targets[k].action->account, targets[k - 1].action->account) &&
                    str_eq(mailbox_of(targets[k].action), mailbox_of(targets[k - 1].action)))
                        duplicate[targets[k].index] = true;
        mem_free(targets);
}

/* Only what has to be done becomes work. */
struct letter *letter_new(const struct envelope *e)
{
        struct letter *l = mem_alloc(sizeof *l + e->count * sizeof l->works[0]);
        bool *duplicate = e->count > 1 ? mem_array(e->count, sizeof *duplicate) : NULL;
        bool sends = false, receipts = false;

        if (duplicate)
                find_duplicates(e, duplicate);
        buf_init(&l->envelope, ENVELOPE_MAX);
        buf_init(&l->text, RECORD_MAX);
        l->references = 1;
        l->received = e->received;
        for (unsigned k = 0; k < e->count; k++) {
                const struct action *a = &e->actions[k];
                bool send = a->kind == ACTION_SEND || a->kind == ACTION_REPLY;
                bool receipt = a->kind == ACTION_RECEIPT, file = a->kind == ACTION_FILE;
                struct work *w = &l->works[l->count];

                if ((duplicate && duplicate[k]) || (send && sends) || (receipt && receipts) ||
                    (!send && !receipt && !file))
                        continue;
                *w = (struct work){ .letter = l, .number = a->number, .flags = a->flags, .receipt = receipt };
                w->account = mem_string(file ? a->account : S(""));
                if (file && a->mailbox.n && !str_ieq(a->mailbox, INBOX))
                        w->mailbox = mem_string(a->mailbox);
                sends |= send;
                receipts |= receipt;
                if (receipt)
                        l->receipt = w;
                l->count++;
        }
        mem_free(duplicate);
        return l;
}

void letter_unref(struct letter **l)
{
        struct letter *old = *l;

        *l = NULL;
        if (!old || --old->references)
                return;
        for (unsigned k = 0; k < old->count; k++) {
                mem_free(old->works[k].mailbox);
                mem_free(old->works[k].account);
        }
        buf_free(&old->envelope);
        buf_free(&old->text);
        mem_free(old->body);
        mem_free(old);
}

struct queue *queue_of(struct intake *i, struct str name)
{
        struct queue **bucket = &i->buckets[str_hash(name) % QUEUES];
        struct queue *q = *bucket;

        while (q && !str_eq(str_of(q->name), name))
                q = q->bucket;
        if (!q) {
                q = mem_new(struct queue);
                q->name = mem_string(name);
                TAILQ_INIT(&q->works);
                q->bucket = *bucket;
                *bucket = q;
        }
        return q;
}

static void queue_free(struct intake *i, struct queue *q)
{
        struct queue **bucket = &i->buckets[str_hash(str_of(q->name)) % QUEUES];

        while (*bucket != q)
                bucket = &(*bucket)->bucket;
        *bucket = q->bucket;
        mem_free(q->name);
        mem_free(q);
}

void queues_free(struct intake *i)
{
        TAILQ_INIT(&i->ready);
        TAILQ_INIT(&i->later);
        TAILQ_INIT(&i->gathering);
        timer_stop(&i->gathered);
        for (unsigned k = 0; k < QUEUES; k++)
                while (i->buckets[k])
                        queue_free(i, i->buckets[k]);
}

static void queue_ready(struct intake *i, struct queue *q)
{
        if (q->state == QUEUE_LATER)
                TAILQ_REMOVE(&i->later, q, link);
        if (q->state == QUEUE_READY || q->state == QUEUE_BUSY)
                return;
        q->state = QUEUE_READY;
        TAILQ_INSERT_TAIL(&i->ready, q, link);
}

static void queue_add(struct intake *i, struct work *w)
{
        struct queue *q = queue_of(i, str_of(w->account));

        w->state = WORK_QUEUED;
        TAILQ_INSERT_TAIL(&q->works, w, link);
        if (q->state == QUEUE_EMPTY)
                queue_ready(i, q);
}

struct queue *queue_next(struct intake *i)
{
        struct queue *q = TAILQ_FIRST(&i->ready);

        if (q) {
                TAILQ_REMOVE(&i->ready, q, link);
                q->state = QUEUE_BUSY;
        }
        return q;
}

unsigned queue_take(struct queue *q, struct work **list, unsigned most, size_t bytes)
{
        struct work *w;
        unsigned n = 0;
        size_t sum = 0;

        while (n < most && sum < bytes && (w = TAILQ_FIRST(&q->works))) {
                TAILQ_REMOVE(&q->works, w, link);
                sum += w->letter->text.n + w->letter->envelope.n +
                       (w->letter->absent ? w->letter->place.length : 0);
                list[n++] = w;
        }
        return n;
}

/* Nothing holds q back any more. */
static void gathered(struct intake *i, struct queue *q)
{
        if (TAILQ_EMPTY(&q->works))
                queue_free(i, q);
        else
                queue_ready(i, q);
}

void queue_back(struct intake *i, struct queue *q, struct work *const *failed, unsigned n)
{
        assert(q->state == QUEUE_BUSY);
        for (unsigned k = n; k; k--)
                TAILQ_INSERT_HEAD(&q->works, failed[k - 1], link);
        q->state = QUEUE_EMPTY;
        if (n) {
                q->backoff = q->backoff ? q->backoff * 2 : BACKOFF_FIRST;
                if (q->backoff > BACKOFF_MOST)
                        q->backoff = BACKOFF_MOST;
                q->retry = now() + q->backoff;
                q->state = QUEUE_LATER;
                TAILQ_INSERT_TAIL(&i->later, q, link);
                keeper_wake(i, q->retry);
                return;
        }
        q->backoff = 0;
        if (TAILQ_EMPTY(&q->works) && i->threaded && !i->draining && !i->closing) {
                q->retry = now() + GATHER;
                q->state = QUEUE_GATHERS;
                TAILQ_INSERT_TAIL(&i->gathering, q, link);
                if (TAILQ_FIRST(&i->gathering) == q)
                        timer_set(&i->gathered, q->retry);
        } else {
                gathered(i, q);
        }
}

void queues_gathered(struct intake *i, nsec t)
{
        struct queue *q;

        while ((q = TAILQ_FIRST(&i->gathering)) && q->retry <= t) {
                TAILQ_REMOVE(&i->gathering, q, link);
                q->state = QUEUE_EMPTY;
                gathered(i, q);
        }
        if (q)
                timer_set(&i->gathered, q->retry);
        else if (i->threaded)
                timer_stop(&i->gathered);
        filers_wake(i);
}

void queues_gather_tick(struct timer *t)
{
        queues_gathered((struct intake *)((char *)t - offsetof(struct intake, gathered)), now());
}

nsec queues_due(struct intake *i, nsec t)
{
        struct queue *q, *next;
        nsec first = NEVER;

        for (q = TAILQ_FIRST(&i->later); q; q = next) {
                next = TAILQ_NEXT(q, link);
                if (q->retry <= t)
                        queue_ready(i, q);
                else if (q->retry < first)
                        first = q->retry;
        }
        return first;
}

void work_tell(struct intake *i, struct work *w, unsigned peer)
{
        struct intake_place place = w->letter->place;

        place.number = w->number;
        if (w->state == WORK_TOLD || w->state == WORK_UNTOLD)
                TAILQ_REMOVE(w->state == WORK_TOLD ? &i->peers[w->peer].told : &i->peers[w->peer].untold, w,
                             link);
        w->peer = peer;
        if (i->hooks.tell_file(i->hooks.context, peer, &place) == 0) {
                w->state = WORK_TOLD;
                TAILQ_INSERT_TAIL(&i->peers[peer].told, w, link);
        } else {
                w->state = WORK_UNTOLD;
                TAILQ_INSERT_TAIL(&i->peers[peer].untold, w, link);
                keeper_wake(i, now() + SECOND);
        }
}

/* Memory for text is bounded; what is beyond is read back from the segment when its turn comes. */
static void keep_text(struct intake *i, struct letter *l)
{
        l->bytes = l->envelope.n + l->text.n;
        i->open_bytes += l->bytes;
        if (!l->body && l->text.n && i->kept_bytes + l->text.n > TEXT_KEPT) {
                buf_free(&l->text);
                l->absent = true;
        }
        i->kept_bytes += l->text.n;
}

static void letter_done(struct intake *i, struct letter *l)
{
        struct segment *s = l->segment;

        i->open_bytes -= l->bytes;
        i->kept_bytes -= l->text.n;
        if (s) {
                s->letters[l->place.sequence - s->first] = NULL;
                s->open--;
                if (l->body) {
                        s->bodies = mem_grow(s->bodies, s->body_count + 1, sizeof *s->bodies);
                        s->bodies[s->body_count++] = l->body;
                        l->body = NULL;
                }
                if (!s->open && s->closed)
                        keeper_wake(i, now());
        }
        letter_unref(&l);
}

/* One thing less is to be done. When only the receipt is left its turn has come. */
static void less(struct intake *i, struct letter *l)
{
        if (--l->open == 0) {
                letter_done(i, l);
        } else if (l->open == 1 && l->receipt && l->receipt->state == WORK_WAITS) {
                queue_add(i, l->receipt);
                filers_wake(i);
        }
}

void letter_queue(struct intake *i, struct letter *l)
{
        l->open = l->count + 1; /* ours, so that it stays until all are queued */
        keep_text(i, l);
        i->open_works += l->count;
        for (unsigned k = 0; k < l->count; k++) {
                struct work *w = &l->works[k];
                unsigned home =
                    *w->account ? account_home(str_of(w->account), i->hooks.processes) : i->hooks.self;

                if (w->receipt)
                        w->state = WORK_WAITS;
                else if (home == i->hooks.self || l->foreign || i->hooks.processes < 2)
                        queue_add(i, w);
                else
                        work_tell(i, w, home);
        }
        less(i, l);
}

static void touched(struct segment *s, const char *account)
{
        if (!*account) {
                s->touched_outbox = true;
                return;
        }
        if (s->touched_many)
                return;
        for (unsigned k = 0; k < s->touched_count; k++)
                if (str_eq(str_of(s->touched[k]), str_of(account)))
                        return;
        if (s->touched_count == SETTLE_EACH_MAX)
                s->touched_many = true;
        else
                s->touched[s->touched_count++] = mem_string(str_of(account));
}

void work_done(struct intake *i, struct work *w)
{
        struct letter *l = w->letter;

        if (l->foreign)
                foreign_done(i, l, w);
        else if (w->state == WORK_TOLD || w->state == WORK_UNTOLD)
                l->segment->touched_many = true; /* another process wrote there: syncfs covers it */
        else
                touched(l->segment, w->account);
        w->state = WORK_DONE;
        i->open_works--;
        less(i, l);
        if (!i->open_works)
                wake_all(&i->room);
        else if (!intake_crowded(i))
                wake_one(&i->room);
}

bool intake_crowded(const struct intake *i)
{
        return i->open_bytes > OPEN_BYTES_MAX || i->open_works > OPEN_WORKS_MAX;
}
