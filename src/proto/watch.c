#include "proto/watch.h"

#include "base/mem.h"
#include "base/names.h"
#include "run/loop.h"

enum { CHANGED_MOST = 4096 }; /* changes the supervisor does not take: beyond, one "any account" */

struct watcher {
        struct session *session;
        struct watched *watched;
        struct watcher *next, **link;         /* of the account */
        struct watcher *next_due, **due_link; /* rung, its fiber not yet started */
        bool rang;
};
struct watched { /* an account that somebody here watches, or of which something is to be told */
        struct name name;
        struct watcher *first;
        struct watched *next_untold;
        bool untold;  /* in the list of those to be looked at when the turn ends */
        bool told_on; /* the supervisor knows that we watch it */
        bool changed; /* here, and nobody has been told */
};
struct watchers {
        struct names names;
        struct watched *untold;
        struct watcher *due, **last_due;
        unsigned changed;
        bool changed_any;
        struct watch_tell tell;
        struct turn_end turn_end;
        struct timer next_turn; /* bells are left over */
};

static void to_tell(struct watchers *all, struct watched *p)
{
        if (p->untold)
                return;
        p->untold = true;
        p->next_untold = all->untold;
        all->untold = p;
}

/* ---- ringing ---- */

static void not_due(struct watchers *all, struct watcher *w)
{
        if (!w->due_link)
                return;
        *w->due_link = w->next_due;
        if (w->next_due)
                w->next_due->due_link = w->due_link;
        else
                all->last_due = w->due_link;
        w->next_due = NULL;
        w->due_link = NULL;
}

static void ring_all(struct watchers *all, struct watched *p)
{
        for (struct watcher *w = p->first; w; w = w->next) {
                if (w->rang) /* it has not looked since: one bell is enough */
                        continue;
                w->rang = true;
                w->due_link = all->last_due;
                *all->last_due = w;
                all->last_due = &w->next_due;
        }
}

/* Some at a time: a bell for thousands is a crowd of fibers that would all open accounts at once. */
static void start_due(struct watchers *all)
{
        for (unsigned i = 0; all->due && i < WATCH_A_TURN; i++) {
                struct watcher *w = all->due;

                not_due(all, w);
                conn_wake(w->session->conn, WOKEN_BELL);
        }
        if (all->due)
                timer_set(&all->next_turn, 0);
}

static void nothing(struct timer *t)
{
        (void)t; /* its purpose is the turn itself */
}

/* ---- telling ---- */

/* True: nothing is left to be told of it. */
static bool tell_watched(struct watchers *all, struct watched *p)
{
        const struct watch_tell *t = &all->tell;
        bool on = p->first != NULL;

        if (on != p->told_on && (!t->watch || t->watch(t->context, on, names_text(&all->names, p))))
                p->told_on = on;
        if (p->changed &&
            (all->changed_any || !t->changed || t->changed(t->context, names_text(&all->names, p)))) {
                p->changed = false;
                all->changed--;
        }
        return on == p->told_on && !p->changed;
}

static void tell_all(struct watchers *all)
{
        struct watched *p = all->untold, *next;

        if (!p && !all->changed_any)
                return;
        all->untold = NULL;
        for (; p; p = next) {
                next = p->next_untold;
                p->untold = false;
                if (!tell_watched(all, p))
                        to_tell(all, p);
                else if (!p->first)
                        names_remove(&all->names, p);
        }
        if (all->changed_any && (!all->tell.changed || all->tell.changed(all->tell.context, S(""))))
                all->changed_any = false;
}

static void turn_ends(struct turn_end *t)
{
        struct watchers *all = (struct watchers *)((char *)t - offsetof(struct watchers, turn_end));

        tell_all(all);
        start_due(all);
}

/* ---- for sessions ---- */

void watch_start(struct watcher **wp, struct session *s, struct str account)
{
        struct watchers *all = s->server->watchers;
        struct watcher *w;

        watch_stop(wp);
        if (!all || !account.n || account.n > WATCH_NAME)
                return;
        w = mem_new(struct watcher);
        w->session = s;
        w->watched = names_need(&all->names, account);
        w->link = &w->watched->first;
        w->next = *w->link;
        if (w->next)
                w->next->link = &w->next;
        *w->link = w;
        if (!w->watched->told_on)
                to_tell(all, w->watched);
        *wp = w;
}

void watch_stop(struct watcher **wp)
{
        struct watcher *w = *wp;
        struct watchers *all;

        if (!w)
                return;
        *wp = NULL;
        all = w->session->server->watchers;
        not_due(all, w);
        *w->link = w->next;
        if (w->next)
                w->next->link = w->link;
        if (!w->watched->first)
                to_tell(all, w->watched); /* and it goes */
        mem_free(w);
}

bool watch_rang(const struct watcher *w)
{
        return w && w->rang;
}

void watch_heard(struct watcher *w)
{
        if (!w || !w->rang)
                return;
        not_due(w->session->server->watchers, w);
        w->rang = false;
}

/* ---- for the role ---- */

struct watchers *watchers_new(const struct watch_tell *tell)
{
        struct watchers *all = mem_new(struct watchers);

        if (tell)
                all->tell = *tell;
        all->names.item = sizeof(struct watched);
        all->last_due = &all->due;
        all->next_turn.fire = nothing;
        all->turn_end.run = turn_ends;
        loop_at_turn_end(&all->turn_end);
        return all;
}

void watchers_free(struct watchers **w)
{
        if (!*w)
                return;
        loop_not_at_turn_end(&(*w)->turn_end);
        timer_stop(&(*w)->next_turn);
        if ((*w)->tell.freed)
                (*w)->tell.freed((*w)->tell.context);
        names_free(&(*w)->names);
        mem_free(*w);
        *w = NULL;
}

void watch_changed(struct watchers *all, struct str account)
{
        struct watched *p;

        if (!account.n || account.n > WATCH_NAME)
                return;
        p = all->changed < CHANGED_MOST ? names_need(&all->names, account) : names_find(&all->names, account);
        if (p)
                ring_all(all, p);
        if (all->changed >= CHANGED_MOST && !(p && p->changed)) {
                all->changed_any = true;
        } else if (!p->changed) {
                p->changed = true;
                all->changed++;
                to_tell(all, p);
        }
}

static bool ring_one(void *thing, void *context)
{
        ring_all(context, thing);
        return true;
}

void watch_ring(struct watchers *all, struct str account)
{
        struct watched *p;

        if (!account.n) {
                names_sweep(&all->names, ring_one, all);
                return;
        }
        p = names_find(&all->names, account);
        if (p)
                ring_all(all, p);
}
