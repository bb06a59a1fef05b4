#include "proto/smtp/dispatch.h"
#include "base/mem.h"
#include "proto/smtp/dispatch_inside.h"
#include "run/log.h"
#include <errno.h>
#include <stdio.h>

#define SWEEP_MOST    60           /* seconds: for what is overdue */
#define LOOK_AGAIN    (5 * SECOND) /* after trouble with the outbox */
#define LOOK_PAUSE    (50 * MSECOND)
#define STOP_PATIENCE (15 * SECOND) /* for letters under way */
enum { DUE_MOST = 256, WANTING_MOST = 8192, OVERDUE_MOST = 16, RECIPIENTS_A_LETTER = 100 };

/* ---- lanes ---- */

static struct lane *lane_of(struct dispatch *d, const struct outbox_destination *to)
{
        struct lane **home = &d->homes[to->id % LANE_HOMES], *l = *home;

        while (l && l->destination != to->id)
                l = l->same_home;
        if (l)
                return l;
        l = mem_new(struct lane);
        *l = (struct lane){ .next = d->lanes,
                            .same_home = *home,
                            .dispatch = d,
                            .destination = to->id,
                            .name = mem_string(to->name),
                            .limit =
                                to->failures || d->how.settings->sender_connections_per_domain < LIMIT_FIRST
                                    ? 1
                                    : LIMIT_FIRST,
                            .failures = to->failures };
        d->lanes = *home = l;
        d->lane_count++;
        return l;
}

static void wants_no_more(struct lane *l)
{
        l->dispatch->wanting -= l->wants_since != 0;
        l->wants_since = 0;
}

static void lane_free(struct lane *l)
{
        struct lane **at = &l->dispatch->homes[l->destination % LANE_HOMES];

        wants_no_more(l);
        while (*at != l)
                at = &(*at)->same_home;
        *at = l->same_home;
        for (at = &l->dispatch->lanes; *at != l;)
                at = &(*at)->next;
        *at = l->next;
        l->dispatch->lane_count--;
        mem_free(l->jobs);
        mem_free(l->name);
        mem_free(l);
}

static bool may_begin(const struct lane *l)
{
        const struct dispatch *d = l->dispatch;

        return !d->stopping && !l->turned && l->carriers < l->limit && (!l->carriers || l->connected) &&
               l->pause_until <= now() && d->carriers < (unsigned)d->how.settings->sender_connections;
}

static void begin_carrier(struct lane *l)
{
        if (fiber_spawn("carrier", carrier, l) < 0)
                return;
        l->carriers++;
        l->dispatch->carriers++;
        l->dispatch->fibers++;
}

void lane_grows(struct lane *l)
{
        if (l->limit < (unsigned)l->dispatch->how.settings->sender_connections_per_domain &&
            l->grows_at <= now())
                l->limit++;
        if (!l->drained && may_begin(l) && l->count > l->carriers)
                begin_carrier(l);
}

/* Should the row not say so, the look for what is under way comes upon it (outbox_ready). */
static void give_back(struct dispatch *d, struct outbox_job *j)
{
        if (outbox_give_back(d->how.outbox, j) < 0)
                log_warn("outbox", "letter=%llu what=\"it cannot be given back just now\"",
                         (unsigned long long)j->letter);
        outbox_job_free(j);
}

void lane_give_back(struct lane *l)
{
        while (l->count) {
                struct outbox_job j = l->jobs[l->first++]; /* ours: others may take anew meanwhile */

                l->count--;
                give_back(l->dispatch, &j);
        }
        l->drained = true;
}

void lane_return(struct lane *l, struct outbox_job *j)
{
        if (l->first && !l->taking.held && !l->dispatch->stopping) {
                l->jobs[--l->first] = *j;
                l->count++;
                *j = (struct outbox_job){ 0 };
                return;
        }
        give_back(l->dispatch, j);
        l->drained = false;
}

bool lane_wants(struct lane *l, struct addr at)
{
        wants_no_more(l);
        if (l->dispatch->wanting >= WANTING_MOST)
                return false;
        l->wants = at;
        l->wants_since = now();
        l->dispatch->wanting++;
        l->pause_until = now() + FULL_FOR;
        return true;
}

bool place_wanted(const struct dispatch *d, struct addr at)
{
        const struct lane *l = d->wanting ? d->lanes : NULL;

        while (l && !(l->wants_since && host_same(l->wants, at)))
                l = l->next;
        return l != NULL;
}

void place_free(struct dispatch *d, struct addr at)
{
        struct lane *first = NULL;

        for (struct lane *l = d->wanting ? d->lanes : NULL; l; l = l->next)
                if (l->wants_since && (l->count || !l->drained) && host_same(l->wants, at) &&
                    (!first || l->wants_since < first->wants_since))
                        first = l;
        if (!first)
                return;
        wants_no_more(first);
        first->pause_until = 0;
        if (may_begin(first))
                begin_carrier(first);
}

void work_begins(struct dispatch *d, struct work *w)
{
        w->fiber = fiber_self();
        w->next = d->work;
        d->work = w;
}

void work_ends(struct dispatch *d, struct work *w)
{
        struct work **at = &d->work;

        while (*at != w)
                at = &(*at)->next;
        *at = w->next;
}

static bool may_go(const struct lane *l)
{
        return !l->carriers && !l->count && !l->taking.held && !l->turned && l->pause_until <= now();
}

void lane_carrier_ends(struct lane *l)
{
        struct dispatch *d = l->dispatch;

        l->carriers--;
        d->carriers--;
        d->fibers--;
        if (!l->carriers) {
                if (d->stopping)
                        lane_give_back(l);
                if (may_go(l) && l->drained)
                        lane_free(l);
        }
        d->again = true; /* another lane may have waited for the place */
        wake_all(&d->news);
}

bool lane_next(struct lane *l, struct outbox_job *out)
{
        struct dispatch *d = l->dispatch;
        size_t n = LANE_JOBS;
        int rc;

        if (lock_take(&l->taking, "letters", in_seconds(600)) < 0)
                return false;
        if (!l->count && !l->drained) {
                if (!l->jobs)
                        l->jobs = mem_array(LANE_JOBS, sizeof(*l->jobs));
                rc =
                    outbox_take(d->how.outbox, l->destination, wall_usec(), l->jobs, &n, RECIPIENTS_A_LETTER);
                l->first = 0;
                l->count = rc < 0 ? 0 : n;
                l->drained = rc < 0 || !n;
                if (rc < 0)
                        l->pause_until = now() + LOOK_AGAIN;
                if (l->count > l->carriers && may_begin(l))
                        begin_carrier(l);
        }
        if (l->count) {
                *out = l->jobs[l->first++];
                l->count--;
                lock_drop(&l->taking);
                return true;
        }
        lock_drop(&l->taking);
        return false;
}

/* ---- the look ---- */

/* Lanes that only waited. */
static void drop_lanes(struct dispatch *d)
{
        for (struct lane *l = d->lanes, *next; l; l = next) {
                next = l->next;
                if (may_go(l))
                        lane_free(l);
        }
}

/* A destination with something to do: a carrier, or one more. When to look again. */
static int64_t look_at(struct dispatch *d, const struct outbox_destination *to)
{
        struct lane *l = lane_of(d, to);

        l->drained = false;
        if (l->pause_until > now())
                return wall_usec() + (l->pause_until - now()) / 1000 + 1;
        if (may_begin(l))
                begin_carrier(l);
        if (l->carriers || l->turned)
                return INT64_MAX;
        l->drained = true; /* no memory for a fiber */
        lane_free(l);
        return wall_usec() + LOOK_AGAIN / 1000;
}

static int64_t look(struct dispatch *d)
{
        auto_arena struct arena a = { 0 };
        struct outbox_destination *list;
        int64_t next = INT64_MAX;
        size_t n;
        int rc;

        drop_lanes(d);
        n = DUE_MOST + d->wanting; /* those are due, too, and must not hide the others */
        arena_init(&a, 16 << 20);
        list = arena_array(&a, struct outbox_destination, n);
        rc = outbox_due(d->how.outbox, wall_usec(), &a, list, &n, &next);
        if (rc < 0)
                return wall_usec() + LOOK_AGAIN / 1000;
        for (size_t i = 0; i < n && !d->stopping; i++) {
                int64_t at;

                if (d->carriers >= (unsigned)d->how.settings->sender_connections)
                        break; /* until one ends */
                at = look_at(d, &list[i]);
                if (at < next)
                        next = at;
        }
        return next;
}

static void sweep_one(struct dispatch *d, enum overdue what, int64_t before)
{
        struct outbox_job jobs[OVERDUE_MOST];
        size_t n, told = 1;

        while (told && !d->stopping) {
                n = OVERDUE_MOST;
                if (outbox_overdue(d->how.outbox, what, before, jobs, &n) < 0)
                        return;
                told = 0;
                for (size_t i = 0; i < n; i++) {
                        told += jobs[i].count;
                        if (jobs[i].count)
                                verdict_overdue(d, &jobs[i], what);
                        outbox_job_free(&jobs[i]);
                }
        }
}

/* In a fiber of its own: a million letters that are given up must not keep the others. */
static void sweep(void *arg)
{
        struct dispatch *d = arg;
        const struct settings *s = d->how.settings;
        int64_t at = wall_usec(), most = s->max_queue_time * INT64_C(1000000),
                delay = s->delay_notice_after * INT64_C(1000000);

        sweep_one(d, OVERDUE_CONDEMNED, 0);
        sweep_one(d, OVERDUE_NOTICE, at - (delay && delay < most ? delay : most));
        sweep_one(d, OVERDUE_EXPIRED, at - most);
        d->sweeping = false;
        d->fibers--;
        wake_all(&d->news);
}

static void begin_sweep(struct dispatch *d)
{
        if (fiber_spawn("sweep", sweep, d) < 0)
                return;
        d->sweeping = true;
        d->fibers++;
}

/* Often enough that what is told after a short time is told by then. */
static nsec sweep_every(const struct settings *s)
{
        long t = s->delay_notice_after && s->delay_notice_after < s->max_queue_time ? s->delay_notice_after
                                                                                    : s->max_queue_time;

        t /= 2;
        return (t < 1 ? 1 : t > SWEEP_MOST ? SWEEP_MOST : t) * SECOND;
}

static void engine(void *arg)
{
        struct dispatch *d = arg;
        nsec sweep_at = 0;

        while (!d->stopping) {
                nsec every = sweep_every(d->how.settings), until = now() + every;
                int64_t next, away;

                d->again = false;
                if ((now() >= sweep_at || d->ordered) && !d->sweeping) {
                        d->ordered = false;
                        begin_sweep(d);
                        sweep_at = now() + every;
                }
                idles_end(d, now());
                next = look(d);
                away = next - wall_usec();
                if (away < every / 1000)
                        until = now() + (away > 0 ? away * 1000 : 0);
                for (unsigned i = 0; i < IDLES; i++)
                        if (d->idles[i].client && d->idles[i].until < until)
                                until = d->idles[i].until + 1;
                while (!d->again && !d->stopping && now() < until)
                        if (wait_on(&d->news, "something to send", until) == -ECANCELED)
                                d->stopping = true;
                /* places are handed on without a look, which takes long now */
                if (d->wanting > DUE_MOST && !d->stopping && fiber_sleep(now() + LOOK_PAUSE) == -ECANCELED)
                        d->stopping = true;
        }
        d->fibers--;
        wake_all(&d->news);
}

/* ---- ATRN ---- */

static void turn_domain(struct dispatch *d, struct smtp_client *client, struct str domain)
{
        struct outbox_filter f = { .domain = domain };
        struct outbox_destination to;
        auto_arena struct arena a = { 0 };
        struct lane *l;
        uint64_t n;

        arena_init(&a, 64 * 1024);
        if (outbox_destination(d->how.outbox, domain, &a, &to) < 0)
                return;
        l = lane_of(d, &to);
        if (l->turned)
                return;
        l->turned = true;
        while (l->carriers && !fiber_sleep(now() + 10 * MSECOND))
                ;
        if (!l->carriers && outbox_order(d->how.outbox, ORDER_RELEASE, &f, &n) == 0 &&
            outbox_order(d->how.outbox, ORDER_RETRY, &f, &n) == 0) {
                l->drained = false;
                carry_turned(l, client);
        }
        lane_give_back(l);
        l->turned = false;
        if (!l->carriers)
                lane_free(l);
        dispatch_bell(d); /* what is left goes by its route again */
}

void dispatch_turned(struct dispatch *d, struct conn *conn, struct str domains)
{
        struct smtp_client_how how = { 0 };
        struct work work = { .sending = true };
        struct smtp_answer answer;
        struct smtp_client *client;
        auto_arena struct arena a = { 0 };
        struct str rest, domain;

        arena_init(&a, 1 << 20);
        rest = arena_str(&a, domains);
        how.host = arena_str(&a, str_of(d->how.settings->host_name)).p;
        d->fibers++;
        work_begins(d, &work);
        if (smtp_client_open(&client, conn, &how, &a, &answer) == 0) {
                while (rest.n && !d->stopping) {
                        str_cut(&rest, ' ', &domain);
                        turn_domain(d, client, domain);
                }
                smtp_client_close(&client, in_seconds(30));
        }
        work_ends(d, &work);
        d->fibers--;
        wake_all(&d->news);
}

/* ---- for the role ---- */

int dispatch_start(struct dispatch **out, const struct dispatch_how *how)
{
        struct dispatch *d = mem_new(struct dispatch);
        int rc;

        d->how = *how;
        rc = outbox_begin(how->outbox);
        if (rc == 0)
                rc = fiber_spawn("dispatch", engine, d);
        if (rc < 0) {
                mem_free(d);
                d = NULL;
        } else {
                d->fibers = 1;
        }
        *out = d;
        return rc;
}

void dispatch_settings(struct dispatch *d, const struct settings *s)
{
        d->how.settings = s;
        dispatch_bell(d);
}

void dispatch_bell(struct dispatch *d)
{
        d->again = true;
        wake_all(&d->news);
}

void dispatch_ordered(struct dispatch *d)
{
        d->ordered = true;
        dispatch_bell(d);
}

void dispatch_stop(struct dispatch **dp)
{
        struct dispatch *d = *dp;
        nsec patience = now() + STOP_PATIENCE;

        if (!d)
                return;
        d->stopping = true;
        wake_all(&d->news);
        idles_end(d, NEVER);
        sts_stop(d->sts);
        while (d->fibers) {
                for (struct work *w = d->work; w; w = w->next)
                        if (!w->sending || now() >= patience)
                                fiber_cancel(w->fiber);
                if (wait_on(&d->news, "carriers", now() + SECOND) == -ECANCELED)
                        fiber_yield();
        }
        while (d->lanes) {
                lane_give_back(d->lanes);
                lane_free(d->lanes);
        }
        sts_free(&d->sts);
        mem_free(d);
        *dp = NULL;
}

void dispatch_dump(const struct dispatch *d, int fd)
{
        for (const struct lane *l = d->lanes; l; l = l->next)
                dprintf(fd, "lane %s: %u of %u carriers, %zu letters at hand, %u failures\n", l->name,
                        l->carriers, l->limit, l->count, l->failures);
}
