#include "store/intake_parts.h"
#include "base/mem.h"
#include "run/log.h"
#include <errno.h>

/* One turn of a filer: the works of one queue, and what became of each. */
struct turn {
        struct intake *intake;
        struct queue *queue;
        struct work *works[FILE_AT_ONCE];
        int errors[FILE_AT_ONCE];
        struct buf read[FILE_AT_ONCE]; /* text that was no longer in memory: the whole record */
        struct str text[FILE_AT_ONCE];
        unsigned n;
        struct str reasons; /* for those that go to unfiled */
        bool rang;
};

/* On a worker: text that memory did not hold, from the segment. */
static int read_back(void *arg)
{
        struct turn *t = arg;

        for (unsigned k = 0; k < t->n; k++) {
                const struct letter *l = t->works[k]->letter;
                struct record r;

                if (!l->absent)
                        continue;
                t->errors[k] = record_read(l->foreign ? l->foreign->fd : l->segment->fd, l->place.segment,
                                           l->foreign ? l->foreign->start : l->segment->start,
                                           l->place.offset, l->place.length, &t->read[k], &r);
                if (t->errors[k] == 0)
                        t->text[k] = r.text;
        }
        return 0;
}

static void fetch_text(struct turn *t)
{
        bool absent = false;

        for (unsigned k = 0; k < t->n; k++) {
                buf_init(&t->read[k], RECORD_MAX + sizeof(struct record_head));
                t->text[k] = t->works[k]->letter->body ? S("") : buf_str(&t->works[k]->letter->text);
                absent |= t->works[k]->letter->absent;
        }
        if (absent)
                offload(QUICK, read_back, t);
}

static void fill(const struct turn *t, unsigned k, struct filing *f)
{
        const struct work *w = t->works[k];
        const struct letter *l = w->letter;

        *f = (struct filing){ .segment = l->place.segment,
                              .sequence = l->place.sequence,
                              .number = w->number,
                              .mailbox = w->mailbox ? str_of(w->mailbox) : INBOX,
                              .flags = w->flags,
                              .received = l->received,
                              .envelope = buf_str(&l->envelope),
                              .text = t->text[k],
                              .staged_dir = l->body ? t->intake->dir : -1,
                              .staged_name = l->body };
}

static void fail_all(struct turn *t, int rc)
{
        for (unsigned k = 0; k < t->n; k++)
                if (!t->errors[k])
                        t->errors[k] = rc;
}

static void file_letters(struct turn *t)
{
        struct filing *list = mem_array(t->n, sizeof *list);
        unsigned index[FILE_AT_ONCE], n = 0;
        struct account *account;
        int rc = account_get(t->intake->accounts, str_of(t->queue->name), &account);

        for (unsigned k = 0; k < t->n; k++)
                if (!t->errors[k]) {
                        index[n] = k;
                        fill(t, k, &list[n++]);
                }
        if (rc >= 0) {
                rc = n ? account_file(account, list, n) : 0;
                account_put(&account);
        }
        if (rc < 0)
                fail_all(t, rc);
        for (unsigned k = 0; rc >= 0 && k < n; k++) {
                t->errors[index[k]] = list[k].error;
                t->rang |= !list[k].error && !list[k].duplicate;
        }
        mem_free(list);
}

static void put_of(const struct turn *t, unsigned k, const struct envelope *e, struct arena *m,
                   struct outbox_put *out)
{
        const struct letter *l = t->works[k]->letter;
        const struct action **actions = arena_array(m, const struct action *, e->count);
        unsigned count = 0;

        for (unsigned j = 0; j < e->count; j++)
                if (e->actions[j].kind == ACTION_SEND || e->actions[j].kind == ACTION_REPLY)
                        actions[count++] = &e->actions[j];
        *out = (struct outbox_put){ .segment = l->place.segment,
                                    .sequence = l->place.sequence,
                                    .envelope = e,
                                    .actions = actions,
                                    .count = count,
                                    .text = t->text[k],
                                    .staged_dir = l->body ? t->intake->dir : -1,
                                    .staged_name = l->body };
}

static bool receipt_of(const struct turn *t, unsigned k, const struct envelope *e, struct arena *m,
                       struct outbox_put *out)
{
        const struct letter *l = t->works[k]->letter;
        struct receipt_letter r = receipt_letter_of(t->intake, l, t->text[k]);

        return receipt_make(&r, l, e, m, out);
}

static int put_out(struct turn *t, struct outbox_put *list, struct envelope *envelopes, struct arena *m)
{
        unsigned index[FILE_AT_ONCE], n = 0;
        int rc;

        for (unsigned k = 0; k < t->n; k++) {
                const struct work *w = t->works[k];
                struct envelope *e = &envelopes[n];

                if (t->errors[k])
                        continue;
                if (!envelope_unpack(e, m, buf_str(&w->letter->envelope))) {
                        t->errors[k] = -EBADMSG;
                        continue;
                }
                if (!w->receipt)
                        put_of(t, k, e, m, &list[n]);
                else if (!receipt_of(t, k, e, m, &list[n]))
                        continue;
                index[n++] = k;
        }
        rc = n ? outbox_put(t->intake->outbox, list, n) : 0;
        for (unsigned k = 0; rc >= 0 && k < n; k++)
                t->errors[index[k]] = list[k].error;
        return rc;
}

static void put_letters(struct turn *t)
{
        struct outbox_put *list = mem_array(t->n, sizeof *list);
        struct envelope *envelopes = mem_array(t->n, sizeof *envelopes);
        struct arena m;
        int rc;

        arena_init(&m, SIZE_MAX); /* envelopes were bounded when they were accepted */
        rc = t->intake->outbox ? put_out(t, list, envelopes, &m) : -ENOENT;
        if (rc < 0)
                fail_all(t, rc);
        arena_finish(&m);
        mem_free(envelopes);
        mem_free(list);
}

struct unfiling {
        struct turn *turn;
        unsigned k;
};

static int to_unfiled(void *arg)
{
        struct unfiling *u = arg;
        struct turn *t = u->turn;

        return unfiled_put(t->intake, t->works[u->k], t->text[u->k]);
}

/* Work that failed: tried again, or, when its minute is over or its account is gone, put aside. true: put aside. */
static bool set_aside(struct turn *t, unsigned k, nsec at)
{
        struct intake *i = t->intake;
        struct work *w = t->works[k];
        struct unfiling u = { t, k };
        nsec patience = i->limits.unfile_after_ms ? i->limits.unfile_after_ms * MSECOND : 60 * SECOND;
        int rc;

        if (!w->failing)
                log_warn("intake-file", "account=%s segment=%016llx sequence=%llu number=%u error=\"%s\"",
                         log_str(str_of(*w->account ? w->account : "(outbox)")),
                         (unsigned long long)w->letter->place.segment,
                         (unsigned long long)w->letter->place.sequence, w->number,
                         strerrordesc_np(-t->errors[k]));
        w->error = t->errors[k];
        if (!w->failing)
                w->failing = at;
        if (w->receipt) /* nothing of it is worth to be looked at by people: it is tried until it can be put */
                return w->error == -EBADMSG || w->error == -ENOENT;
        if (w->error != -ENOENT && at - w->failing < patience)
                return false;
        rc = offload(LONG, to_unfiled, &u);
        if (rc < 0) {
                log_warn("intake-unfiled", "account=%s error=\"%s\"", log_str(str_of(w->account)),
                         strerrordesc_np(-rc));
                return false;
        }
        w->aside = true;
        i->numbers.unfiled++;
        keeper_wake(i, at + UNFILED_AGAIN);
        if (i->unfiled_next == NEVER)
                i->unfiled_next = at + UNFILED_AGAIN;
        return true;
}

static void note(const struct turn *t, unsigned k)
{
        const struct work *w = t->works[k];
        const struct intake_hooks *h = &t->intake->hooks;

        if (h->noted && (*t->queue->name || t->errors[k]))
                h->noted(h->context, envelope_session(buf_str(&w->letter->envelope)), str_of(t->queue->name),
                         w->mailbox ? str_of(w->mailbox) : S("INBOX"),
                         t->errors[k] ? strerrordesc_np(-t->errors[k]) : NULL);
}

static void turn_run(struct turn *t)
{
        struct intake *i = t->intake;
        struct work *failed[FILE_AT_ONCE];
        unsigned failures = 0;
        nsec at;

        t->n = queue_take(t->queue, t->works, FILE_AT_ONCE, FILE_BYTES);
        fetch_text(t);
        if (*t->queue->name)
                file_letters(t);
        else
                put_letters(t);
        at = now();
        for (unsigned k = 0; k < t->n; k++) {
                if (t->errors[k] && !set_aside(t, k, at)) {
                        failed[failures++] = t->works[k];
                        continue;
                }
                i->numbers.filed += !t->errors[k];
                note(t, k);
                work_done(i, t->works[k]);
        }
        for (unsigned k = 0; k < t->n; k++)
                buf_free(&t->read[k]);
        if (t->rang && i->hooks.filed)
                i->hooks.filed(i->hooks.context, str_of(t->queue->name));
        queue_back(i, t->queue, failed, failures);
}

bool file_one_batch(struct intake *i)
{
        struct turn *t;
        struct queue *q;

        foreign_read(i);
        q = queue_next(i);
        if (!q)
                return false;
        t = mem_new(struct turn);
        *t = (struct turn){ .intake = i, .queue = q };
        turn_run(t);
        mem_free(t);
        return true;
}

static void filer(void *arg)
{
        struct intake *i = arg;

        while (!i->closing && file_one_batch(i))
                ;
        i->filers--;
        wake_all(&i->room);
}

/* Filers exist while there is something to file. */
void filers_wake(struct intake *i)
{
        unsigned wanted =
            (TAILQ_FIRST(&i->ready) ? 1u + (TAILQ_NEXT(TAILQ_FIRST(&i->ready), link) != NULL) : 0) +
            (i->told_count && !i->reading);

        if (!i->threaded || i->closing)
                return;
        while (i->filers < FILERS && i->filers < wanted) {
                if (fiber_spawn("filer", filer, i) < 0) {
                        keeper_wake(i, now() + SECOND);
                        return;
                }
                i->filers++;
        }
}
