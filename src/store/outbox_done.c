/* What became of it. Whoever comes while a commit runs is in the next one: one transaction and one sync for all of them. */
#include "base/codec.h"
#include "base/mem.h"
#include "mail/header.h"
#include "run/log.h"
#include "run/offload.h"
#include "store/outbox_inside.h"
#include <errno.h>

struct outbox_waiting {
        struct outbox_done *done;
        struct outbox_waiting *next;
        struct waitlist ready;
        bool over;
        bool file_gone; /* the letter is gone, and its body lies in a file */
};

static int drop(struct db *d, uint64_t letter, uint32_t number)
{
        struct db_row q = db_query(d, RECIPIENT_DROP);

        db_bind_u64(&q, 1, letter);
        db_bind_u64(&q, 2, number);
        return db_exec(&q);
}

static int again(struct db *d, uint64_t letter, const struct outbox_result *r)
{
        struct db_row q = db_query(d, RECIPIENT_AGAIN);

        db_bind_u64(&q, 1, letter);
        db_bind_u64(&q, 2, r->number);
        db_bind_u64(&q, 3, (uint64_t)r->next);
        db_bind_text(&q, 4, r->status);
        db_bind_text(&q, 5, r->answer);
        db_bind_text(&q, 6, r->peer);
        return db_exec(&q);
}

static int hold(struct db *d, uint64_t letter, const struct outbox_result *r)
{
        struct db_row q = db_query(d, RECIPIENT_HOLD);

        db_bind_u64(&q, 1, letter);
        db_bind_u64(&q, 2, r->number);
        db_bind_text(&q, 3, r->answer);
        return db_exec(&q);
}

static int tell(struct db *d, uint64_t letter)
{
        struct db_row q = db_query(d, LETTER_TOLD);

        db_bind_u64(&q, 1, letter);
        db_bind_u64(&q, 2, TOLD_DELAY);
        return db_exec(&q);
}

static int keep_conversation(struct db *d, const struct outbox_done *done)
{
        struct db_row q = db_query(d, ATTEMPT_ADD);
        int rc;

        db_bind_u64(&q, 1, done->letter);
        db_bind_u64(&q, 2, (uint64_t)done->at);
        db_bind_u64(&q, 3, done->destination);
        db_bind_text(&q, 4, done->count ? done->results[0].peer : S(""));
        db_bind_text(&q, 5, str_sub(done->conversation, 0, OUTBOX_CONVERSATION_MOST));
        rc = db_exec(&q);
        if (rc < 0)
                return rc;
        q = db_query(d, ATTEMPTS_TRIM);
        db_bind_u64(&q, 1, done->letter);
        return db_exec(&q);
}

void outbox_report_envelope(struct envelope *e, struct action *to, const struct outbox_report *r, int64_t at)
{
        *e = (struct envelope){ .null_sender = true,
                                .received = at,
                                .size = r->text.n,
                                .protocol = S("report"),
                                .eight_bit = !ascii_only(r->text),
                                .utf8 = !ascii_only(r->recipient) ||
                                        !ascii_only(str_sub(r->text, 0, header_size(r->text))),
                                .session = r->letter };
        *to = (struct action){ .kind = ACTION_SEND,
                               .address = r->recipient,
                               .original = r->recipient,
                               .parameters = S("NOTIFY=NEVER") };
}

static int report(struct db *d, const struct outbox_report *r, int64_t at)
{
        struct envelope e;
        struct action to;
        const struct action *const actions[] = { &to };
        struct outbox_put p = { .envelope = &e, .actions = actions, .count = 1, .text = r->text };
        uint64_t letter;
        int rc = outbox_number(d, &letter);

        outbox_report_envelope(&e, &to, r, at);
        if (rc >= 0)
                rc = outbox_letter_add(d, letter, &p);
        return rc < 0 ? rc : outbox_number_write(d, letter + 1);
}

int outbox_letter_end(struct db *d, uint64_t letter)
{
        struct db_row q = db_query(d, LETTER_EMPTY);
        bool waits;
        int rc, kind;

        db_bind_u64(&q, 1, letter);
        waits = db_next(&q);
        rc = db_end(&q);
        if (rc < 0 || waits)
                return rc;
        kind = outbox_letter_kind(d, letter);
        if (kind < 0)
                return kind;
        q = db_query(
            d,
            ATTEMPTS_DROP); /* a verb may have removed the letter, and an attempt come to its end after that */
        db_bind_u64(&q, 1, letter);
        rc = db_exec(&q);
        if (rc < 0 || !kind)
                return rc;
        q = db_query(d, LETTER_DROP);
        db_bind_u64(&q, 1, letter);
        rc = db_exec(&q);
        return rc < 0 ? rc : kind == 2;
}

static int one_result(struct db *d, uint64_t letter, const struct outbox_result *r)
{
        switch (r->outcome) {
        case SENT:
        case FAILED: return drop(d, letter, r->number);
        case DEFERRED: return again(d, letter, r);
        case HELD: return hold(d, letter, r);
        case NOTIFIED: return 0;
        }
        return -EINVAL;
}

/* The destinations of a letter's recipients have something to do at `next`, if not before. */
int outbox_wake(struct db *d, uint64_t letter, int64_t next)
{
        struct db_row q = db_query(d, DESTINATIONS_WAKE);

        db_bind_u64(&q, 1, letter);
        db_bind_u64(&q, 2, (uint64_t)next);
        return db_exec(&q);
}

static int one_done(struct db *d, struct outbox_waiting *w)
{
        struct outbox_done *done = w->done;
        bool deferred = false, told = false, news = false;
        int64_t next = NEVER;
        int rc = 0;

        for (unsigned i = 0; i < done->count && rc >= 0; i++) {
                const struct outbox_result *r = &done->results[i];

                rc = one_result(d, done->letter, r);
                news |= rc >= 0 && (r->outcome == SENT || r->outcome == FAILED) && db_changes(d);
                deferred |= r->outcome == DEFERRED;
                told |= r->outcome == NOTIFIED;
                if (r->outcome == NOTIFIED)
                        next = 0;
                if (r->outcome == DEFERRED && r->next < next)
                        next = r->next;
        }
        if (rc >= 0 && told) {
                rc = tell(d, done->letter);
                news |= rc >= 0 && db_changes(d);
        }
        if (rc >= 0 && deferred && done->conversation.n)
                rc = keep_conversation(d, done);
        if (rc >= 0 && next != NEVER)
                rc = outbox_wake(d, done->letter, next);
        /* No news: it was written before, the sync failed, and it is said again. */
        for (unsigned i = 0; news && i < done->report_count && rc >= 0; i++)
                rc = report(d, &done->reports[i], done->at);
        if (rc >= 0)
                rc = outbox_letter_end(d, done->letter);
        w->file_gone = rc == 1;
        return rc < 0 ? rc : 0;
}

struct batch {
        struct outbox *outbox;
        struct outbox_waiting *list;
};

static int commit_all(struct db *d, void *arg)
{
        struct batch *b = arg;
        int rc = 0;

        for (struct outbox_waiting *w = b->list; w && rc >= 0; w = w->next)
                rc = one_done(d, w);
        return rc;
}

static int drop_bodies(void *arg)
{
        struct batch *b = arg;

        for (struct outbox_waiting *w = b->list; w; w = w->next)
                if (w->file_gone && body_drop(b->outbox->bodies, w->done->letter) < 0)
                        log_warn("outbox-body", "letter=%llu what=\"its body goes at the next start\"",
                                 (unsigned long long)w->done->letter);
        return 0;
}

/* The next batch: who waits by now. Whoever is in it learns how it ended. */
static void commit_batch(struct outbox *o)
{
        struct batch b = { o, o->first };
        bool files = false;
        int rc;

        o->first = NULL;
        o->last = &o->first;
        rc = db_transact(o->db, "outbox done", commit_all, &b, DB_SYNC);
        for (struct outbox_waiting *w = b.list; w; w = w->next)
                files |= rc >= 0 && w->file_gone;
        if (files)
                offload(LONG, drop_bodies, &b);
        while (b.list) {
                struct outbox_waiting *w = b.list; /* on a stack that ends when its fiber runs again */

                b.list = w->next;
                for (unsigned i = 0; i < w->done->count && rc >= 0;
                     i++) /* else it would be sent a second time */
                        taken_drop(&o->taken, w->done->letter, w->done->results[i].number);
                w->done->error = rc < 0 ? rc : 0;
                w->over = true;
                wake_all(&w->ready);
        }
}

int outbox_done(struct outbox *o, struct outbox_done *done)
{
        struct outbox_waiting w = { .done = done };

        *o->last = &w;
        o->last = &w.next;
        while (!w.over) {
                if (o->committing) { /* the answer is true only if it is waited for, also in a cancelled fiber */
                        if (wait_on(&w.ready, "the outbox", in_seconds(60)) == -ECANCELED)
                                fiber_yield();
                        continue;
                }
                o->committing = true;
                commit_batch(o);
                o->committing = false;
                if (o->first)
                        wake_all(&o->first->ready);
        }
        return done->error;
}

static int give_back(struct db *d, void *arg)
{
        const struct outbox_job *j = arg;

        return outbox_wake(d, j->letter, 0);
}

int outbox_give_back(struct outbox *o, const struct outbox_job *j)
{
        for (unsigned k = 0; k < j->count; k++)
                taken_drop(&o->taken, j->letter, j->recipients[k].number);
        return db_transact(o->db, "outbox give back", give_back, (void *)(uintptr_t)j, DB_WRITE);
}

struct resting {
        uint64_t destination;
        int64_t until;
        struct str reason;
};

static int rest(struct db *d, void *arg)
{
        const struct resting *r = arg;
        struct db_row q = db_query(d, DESTINATION_REST);

        db_bind_u64(&q, 1, r->destination);
        db_bind_u64(&q, 2, (uint64_t)r->until);
        db_bind_text(&q, 3, r->reason);
        return db_exec(&q);
}

int outbox_rest(struct outbox *o, uint64_t destination, int64_t until, struct str reason)
{
        struct resting r = { destination, until, reason };

        return db_transact(o->db, "outbox rest", rest, &r, DB_WRITE);
}

static int put_off(struct db *d, void *arg)
{
        const struct resting *r = arg;
        struct db_row q = db_query(d, DESTINATION_SERVED);

        db_bind_u64(&q, 1, r->destination);
        db_bind_u64(&q, 2, (uint64_t)r->until);
        return db_exec(&q);
}

int outbox_later(struct outbox *o, uint64_t destination, int64_t until)
{
        struct resting r = { destination, until, S("") };

        return db_transact(o->db, "outbox later", put_off, &r, DB_WRITE);
}
