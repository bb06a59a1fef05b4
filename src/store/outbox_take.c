/* What is due, and taken. A row is taken in memory only: the sender is one process, and what it held when it died is due again. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/outbox_inside.h"
#include <errno.h>

/* ---- the set ---- */

static size_t home(const struct taken *t, uint64_t letter, uint32_t number)
{
        return (size_t)((letter * 0x9E3779B97F4A7C15u + number) >> 20) & (t->room - 1);
}

static struct taken_one *find(const struct taken *t, uint64_t letter, uint32_t number)
{
        for (size_t i = home(t, letter, number);; i = (i + 1) & (t->room - 1))
                if (!t->at[i].letter || (t->at[i].letter == letter && t->at[i].number == number))
                        return &t->at[i];
}

bool taken_has(struct taken *t, uint64_t letter, uint32_t number)
{
        bool has;

        pthread_mutex_lock(&t->lock);
        has = t->count && find(t, letter, number)->letter;
        pthread_mutex_unlock(&t->lock);
        return has;
}

static void grow(struct taken *t)
{
        struct taken old = *t;

        if (t->count * 2 < t->room)
                return;
        t->room = old.room ? 2 * old.room : 256;
        t->at = mem_array(t->room, sizeof(*t->at));
        for (size_t i = 0; i < old.room; i++)
                if (old.at[i].letter)
                        *find(t, old.at[i].letter, old.at[i].number) = old.at[i];
        mem_free(old.at);
}

void taken_add(struct taken *t, uint64_t letter, uint32_t number)
{
        struct taken_one *e;

        pthread_mutex_lock(&t->lock);
        grow(t);
        e = find(t, letter, number);
        t->count += !e->letter;
        *e = (struct taken_one){ letter, number };
        pthread_mutex_unlock(&t->lock);
}

static size_t behind(const struct taken *t, size_t i)
{
        return (i + 1) & (t->room - 1);
}

/* Those behind it move up, so that no search ends too early. */
void taken_drop(struct taken *t, uint64_t letter, uint32_t number)
{
        struct taken_one *e, moved;

        pthread_mutex_lock(&t->lock);
        e = t->count ? find(t, letter, number) : NULL;
        if (e && e->letter) {
                t->count--;
                e->letter = 0;
                for (size_t i = behind(t, (size_t)(e - t->at)); (moved = t->at[i]).letter; i = behind(t, i)) {
                        t->at[i].letter = 0;
                        *find(t, moved.letter, moved.number) = moved; /* maybe where it was */
                }
        }
        pthread_mutex_unlock(&t->lock);
}

/* ---- when ---- */

#define LOST_AFTER (30 * INT64_C(1000000))

int outbox_ready(struct outbox *o, struct db *d, uint64_t destination, int64_t now)
{
        struct db_row q = db_query(d, DESTINATION_READ);
        int64_t ready = 0, rests = 0, next = NEVER;
        bool under_way = false;
        bool found;
        int rc;

        db_bind_u64(&q, 1, destination);
        found = db_next(&q);
        if (found) {
                ready = (int64_t)db_u64(&q, 0);
                rests = (int64_t)db_u64(&q, 1);
        }
        rc = db_end(&q);
        if (rc < 0 || !found)
                return rc;
        q = db_query(d, DUE_NEXT);
        db_bind_u64(&q, 1, destination);
        while (next == NEVER && db_next(&q)) {
                int64_t at = (int64_t)db_u64(&q, 0);

                /* with a time to come it has been done with, though its mark may not be taken off yet */
                if (at > now || !taken_has(&o->taken, db_u64(&q, 1), (uint32_t)db_u64(&q, 2)))
                        next = at;
                else
                        under_way = true;
        }
        rc = db_end(&q);
        if (under_way && next > now + LOST_AFTER)
                next = now + LOST_AFTER;
        if (next < rests)
                next = rests;
        if (rc < 0 || next == ready)
                return rc;
        q = db_query(d, DESTINATION_READY);
        db_bind_u64(&q, 1, destination);
        db_bind_u64(&q, 2, (uint64_t)next);
        return db_exec(&q);
}

struct beginning {
        struct outbox *outbox;
        uint64_t *list;
        size_t n, room;
};

static int begin_all(struct db *d, void *arg)
{
        struct beginning *b = arg;
        struct db_row q = db_query(d, DESTINATIONS_DROP);
        int rc;

        db_bind_u64(&q, 1, (uint64_t)wall_usec());
        rc = db_exec(&q);
        if (rc < 0)
                return rc;
        q = db_query(d, DESTINATIONS);
        b->n = 0;
        while (db_next(&q)) {
                if (b->n == b->room) {
                        b->room = b->room ? 2 * b->room : 64;
                        b->list = mem_grow(b->list, b->room, sizeof(*b->list));
                }
                b->list[b->n++] = db_u64(&q, 0);
        }
        rc = db_end(&q);
        for (size_t i = 0; i < b->n && rc >= 0; i++)
                rc = outbox_ready(b->outbox, d, b->list[i], wall_usec());
        return rc;
}

int outbox_begin(struct outbox *o)
{
        struct beginning b = { .outbox = o };
        int rc = db_transact(o->db, "outbox begin", begin_all, &b, DB_WRITE | DB_LONG);

        mem_free(b.list);
        return rc;
}

struct looking {
        struct arena *arena;
        struct outbox_destination *list;
        size_t n, most;
        int64_t now, next;
};

static int look(struct db *d, void *arg)
{
        struct looking *l = arg;
        struct db_row q = db_query(d, DESTINATIONS_DUE);
        int rc;

        l->n = 0;
        l->next = NEVER;
        db_bind_u64(&q, 1, (uint64_t)l->now);
        db_bind_u64(&q, 2, l->most);
        while (l->n < l->most && db_next(&q))
                l->list[l->n++] = (struct outbox_destination){
                        .id = db_u64(&q, 0),
                        .name = arena_str(l->arena, db_text(&q, 1)),
                        .rests_until = (int64_t)db_u64(&q, 2),
                        .failures = (uint32_t)db_u64(&q, 3),
                        .reason = arena_str(l->arena, db_text(&q, 4)),
                };
        rc = db_end(&q);
        if (rc < 0)
                return rc;
        q = db_query(d, DESTINATIONS_NEXT);
        db_bind_u64(&q, 1, (uint64_t)l->now);
        if (db_next(&q) && !db_null(&q, 0))
                l->next = (int64_t)db_u64(&q, 0);
        return db_end(&q);
}

int outbox_due(struct outbox *o, int64_t now, struct arena *a, struct outbox_destination *list, size_t *n,
               int64_t *next)
{
        struct looking l = { .arena = a, .list = list, .most = *n, .now = now };
        int rc = db_transact(o->db, "outbox due", look, &l, DB_READ);

        *n = rc < 0 ? 0 : l.n;
        *next = l.next;
        return rc < 0 ? rc : 0;
}

struct finding {
        struct str name;
        uint64_t id;
};

static int find_destination(struct db *d, void *arg)
{
        struct finding *f = arg;
        struct db_row q = db_query(d, DESTINATION_FIND);

        db_bind_text(&q, 1, f->name);
        f->id = db_next(&q) ? db_u64(&q, 0) : 0;
        return db_end(&q);
}

int outbox_destination(struct outbox *o, struct str name, struct arena *a, struct outbox_destination *out)
{
        struct finding f = { name, 0 };
        int rc = db_transact(o->db, "outbox destination", find_destination, &f, DB_READ);

        *out = (struct outbox_destination){ .id = f.id, .name = arena_str(a, name) };
        return rc < 0 ? rc : f.id ? 0 : -ENOENT;
}

/* ---- taking ---- */

enum {
        JOB_MOST = 64 << 20,
        RECIPIENTS_FIRST = 4,
        OVERDUE_RECIPIENTS = 100,
        AT_HAND_MOST = 256 * 1024 /* text: there may be hundreds of destinations */
};

struct taking {
        struct outbox *outbox;
        struct outbox_job *jobs;
        size_t n, most;
        unsigned recipients;
        uint64_t destination;
        int64_t until;
        enum overdue what;
};

static struct outbox_job *job_begin(struct taking *t, uint64_t letter)
{
        struct outbox_job *j = &t->jobs[t->n++];

        *j = (struct outbox_job){ .letter = letter, .destination = t->destination };
        arena_init(&j->arena, JOB_MOST);
        return j;
}

static void jobs_free(struct taking *t)
{
        while (t->n)
                outbox_job_free(&t->jobs[--t->n]);
}

/* The columns are RECIPIENT_COLUMNS, from `col` on. */
static void job_add(struct outbox_job *j, struct db_row *q, int col)
{
        struct outbox_recipient *old = j->recipients;

        if (!(j->count & (j->count - 1)) && (!j->count || j->count >= RECIPIENTS_FIRST)) {
                j->recipients = arena_array(&j->arena, struct outbox_recipient,
                                            j->count ? 2 * j->count : RECIPIENTS_FIRST);
                for (unsigned i = 0; i < j->count; i++)
                        j->recipients[i] = old[i];
        }
        j->recipients[j->count++] = (struct outbox_recipient){
                .number = (uint32_t)db_u64(q, col),
                .address = arena_str(&j->arena, db_text(q, col + 1)),
                .original = arena_str(&j->arena, db_text(q, col + 2)),
                .parameters = arena_str(&j->arena, db_text(q, col + 3)),
                .reason = arena_str(&j->arena, db_text(q, col + 4)),
                .sender = arena_str(&j->arena, db_text(q, col + 5)),
                .attempts = (uint32_t)db_u64(q, col + 6),
                .answer = arena_str(&j->arena, db_text(q, col + 7)),
                .peer = arena_str(&j->arena, db_text(q, col + 8)),
        };
}

static int job_letter(struct db *d, struct outbox_job *j)
{
        struct db_row q = db_query(d, LETTER_READ);
        bool good = false;
        int rc;

        db_bind_u64(&q, 1, j->letter);
        if (db_next(&q)) {
                good = envelope_unpack(&j->envelope, &j->arena, arena_str(&j->arena, db_blob(&q, 0)));
                j->envelope.actions = NULL;
                j->envelope.count = 0;
                j->size = db_u64(&q, 1);
                j->received = (int64_t)db_u64(&q, 2);
                j->text = db_null(&q, 3) ? (struct str){ 0 } : arena_str(&j->arena, db_blob(&q, 3));
        }
        rc = db_end(&q);
        return rc < 0 ? rc : good ? 0 : -EBADMSG;
}

static int take_due(struct db *d, struct taking *t)
{
        struct db_row q = db_query(d, RECIPIENTS_DUE);
        struct outbox_job *j = NULL;
        int rc;

        db_bind_u64(&q, 1, t->destination);
        db_bind_u64(&q, 2, (uint64_t)t->until);
        while (db_next(&q)) {
                uint64_t letter = db_u64(&q, 0);

                if (taken_has(&t->outbox->taken, letter, (uint32_t)db_u64(&q, 1)))
                        continue;
                if (!j || j->letter != letter || j->count == t->recipients ||
                    !str_eq(j->recipients[0].sender, db_text(&q, 6))) {
                        if (t->n == t->most)
                                break;
                        j = job_begin(t, letter);
                }
                job_add(j, &q, 1);
        }
        rc = db_end(&q);
        if (rc < 0)
                return rc;
        if (t->n == 0) /* nothing left but what is under way */
                return outbox_ready(t->outbox, d, t->destination, t->until);
        q = db_query(d, DESTINATION_SERVED); /* others have waited longer now */
        db_bind_u64(&q, 1, t->destination);
        db_bind_u64(&q, 2, (uint64_t)t->until);
        return db_exec(&q);
}

/* Those of one letter that have one sender, for they become one report; the rest are overdue next time. */
static int take_overdue(struct db *d, struct taking *t)
{
        struct db_row q = db_query(d, t->what == OVERDUE_CONDEMNED ? CONDEMNED_LETTERS : OVERDUE_LETTERS);
        int rc;

        if (t->what != OVERDUE_CONDEMNED) {
                db_bind_u64(&q, 1, t->what == OVERDUE_NOTICE ? TOLD_NOTHING : TOLD_DELAY);
                db_bind_u64(&q, 2, (uint64_t)t->until);
        }
        while (t->n < t->most && db_next(&q))
                job_begin(t, db_u64(&q, 0));
        rc = db_end(&q);
        for (size_t i = 0; i < t->n && rc >= 0; i++) {
                q = db_query(d, RECIPIENTS_STATE);
                db_bind_u64(&q, 1, t->jobs[i].letter);
                db_bind_u64(&q, 2, t->what == OVERDUE_CONDEMNED ? RECIPIENT_CONDEMNED : RECIPIENT_QUEUED);
                while (t->jobs[i].count < OVERDUE_RECIPIENTS && db_next(&q))
                        if (!taken_has(&t->outbox->taken, t->jobs[i].letter, (uint32_t)db_u64(&q, 0)) &&
                            (!t->jobs[i].count || str_eq(t->jobs[i].recipients[0].sender, db_text(&q, 5))))
                                job_add(&t->jobs[i], &q, 0);
                rc = db_end(&q);
        }
        return rc;
}

static int take(struct db *d, void *arg)
{
        struct taking *t = arg;
        size_t bytes = 0;
        int rc;

        jobs_free(t);
        rc = t->destination ? take_due(d, t) : take_overdue(d, t);
        for (size_t i = 0; i < t->n && rc >= 0; i++) {
                rc = job_letter(d, &t->jobs[i]);
                bytes += t->jobs[i].text.n;
                while (bytes > AT_HAND_MOST && t->n > i + 1)
                        outbox_job_free(&t->jobs[--t->n]);
        }
        return rc;
}

static int take_jobs(struct outbox *o, struct taking *t, size_t *n)
{
        int rc = lock_take(&o->taking, "the outbox", in_seconds(600));

        *n = 0;
        if (rc < 0)
                return rc;
        rc = db_transact(o->db, "outbox take", take, t, DB_WRITE);
        if (rc < 0)
                jobs_free(t);
        for (size_t i = 0; i < t->n; i++)
                for (unsigned k = 0; k < t->jobs[i].count; k++)
                        taken_add(&o->taken, t->jobs[i].letter, t->jobs[i].recipients[k].number);
        lock_drop(&o->taking);
        *n = t->n;
        return rc < 0 ? rc : 0;
}

int outbox_take(struct outbox *o, uint64_t destination, int64_t now, struct outbox_job *jobs, size_t *n,
                unsigned most)
{
        struct taking t = { .outbox = o,
                            .jobs = jobs,
                            .most = *n,
                            .recipients = most,
                            .destination = destination,
                            .until = now };

        return take_jobs(o, &t, n);
}

int outbox_overdue(struct outbox *o, enum overdue what, int64_t before, struct outbox_job *jobs, size_t *n)
{
        struct taking t = { .outbox = o, .jobs = jobs, .most = *n, .until = before, .what = what };

        return take_jobs(o, &t, n);
}

void outbox_job_free(struct outbox_job *j)
{
        arena_finish(&j->arena);
        *j = (struct outbox_job){ 0 };
}

struct text_piece {
        struct outbox *outbox;
        uint64_t letter, at;
        size_t n;
        struct buf out;
};

static int text_read(void *arg)
{
        struct text_piece *p = arg;
        char name[24];

        body_name(p->letter, name);
        return body_read(p->outbox->bodies, name, p->at, p->n, &p->out);
}

int outbox_text(struct outbox *o, uint64_t letter, uint64_t at, struct buf *out, size_t n)
{
        struct text_piece p = { o, letter, at, n, *out };
        int rc = offload(LONG, text_read, &p);

        *out = p.out;
        return rc;
}
