#include "role/bells.h"

#include "base/mem.h"
#include "role/bells_inside.h"
#include "role/start.h"
#include "run/loop.h"

#include <errno.h>

struct bells { /* one a process: it lives as long */
        struct channel **supervisor;
        struct bells_row watch, changed;
        nsec told; /* of changes, last */
        struct timer later;
        struct turn_end turn_end;
};

#define GATHER \
        (5 *   \
         MSECOND) /* so long after a message about changes the next one waits: many letters come at once */

/* ---- rows of names ---- */

bool bells_next(struct unpack *u, bool *off, struct str *name)
{
        uint16_t n;

        if (u->bad || unpack_done(u))
                return false;
        n = unpack_u16(u);
        *off = n & BELLS_OFF;
        n &= (uint16_t)~BELLS_OFF;
        if (n > WATCH_NAME)
                u->bad = true;
        *name = unpack_bytes(u, n);
        return !u->bad;
}

void bells_row(struct bells_row *r, uint16_t kind)
{
        r->kind = kind;
        buf_init(&r->names, CHANNEL_BODY);
}

bool bells_send(struct bells_row *r, struct channel *c)
{
        if (!r->names.n)
                return true;
        if (channel_waiting(c) || channel_tell(c, r->kind, buf_str(&r->names), -1) == -ENOBUFS)
                return false;
        buf_free(&r->names);
        return true;
}

bool bells_add(struct bells_row *r, struct channel *c, bool off, struct str name)
{
        if (r->names.n + 2 + name.n > CHANNEL_BODY && !bells_send(r, c))
                return false;
        buf_u16(&r->names, (uint16_t)(name.n | (off ? BELLS_OFF : 0)));
        return buf_puts(&r->names, name);
}

/* ---- to and from the supervisor ---- */

/* To one that is gone nothing is told: the process is about to end. */
static bool tell_watch(void *context, bool on, struct str account)
{
        struct bells *b = context;

        return !*b->supervisor || bells_add(&b->watch, *b->supervisor, !on, account);
}

static bool tell_changed(void *context, struct str account)
{
        struct bells *b = context;

        return !*b->supervisor || bells_add(&b->changed, *b->supervisor, false, account);
}

static void go(struct turn_end *t)
{
        struct bells *b = (struct bells *)((char *)t - offsetof(struct bells, turn_end));

        if (!*b->supervisor)
                return;
        (void)bells_send(&b->watch, *b->supervisor); /* or in a later turn */
        if (!b->changed.names.n)
                return;
        if (now() < b->told + GATHER)
                timer_set(&b->later, b->told + GATHER);
        else if (bells_send(&b->changed, *b->supervisor))
                b->told = now();
}

static void nothing(struct timer *t)
{
        (void)t; /* the turn it makes has an end */
}

static void freed(void *context)
{
        struct bells *b = context;

        timer_stop(&b->later);
        loop_not_at_turn_end(&b->turn_end);
        buf_free(&b->watch.names);
        buf_free(&b->changed.names);
        mem_free(b);
}

struct watchers *bells_new(struct channel **supervisor)
{
        struct bells *b = mem_new(struct bells);
        struct watchers *w = watchers_new(&(struct watch_tell){
            .watch = tell_watch, .changed = tell_changed, .freed = freed, .context = b });

        b->supervisor = supervisor;
        bells_row(&b->watch, ROLE_WATCH);
        bells_row(&b->changed, ROLE_CHANGED);
        b->told = now() - GATHER;
        b->later.fire = nothing;
        b->turn_end.run = go;
        loop_at_turn_end(&b->turn_end); /* after that of the watchers, who fill the rows */
        return w;
}

bool bells_take(struct watchers *w, struct str body)
{
        struct unpack u = unpack_of(body);
        struct str name;
        bool off;

        while (bells_next(&u, &off, &name))
                watch_ring(w, name);
        return !u.bad;
}
