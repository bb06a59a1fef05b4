#include "net/conn_private.h"

#include <assert.h>

/* What parking may lose is what lies in user space; what lies in the kernel makes an edge or stands in `readable`. */
bool conn_may_park(struct conn *c)
{
        return !c->failed && !c->ended && !c->called && !c->skipping && conn_buffered(c) == 0 &&
               c->out.n == 0 && (!c->tls || tls_may_park(c)) &&
               (!c->zip || (!zip_ready(c) && !zip_unsent(c)));
}

bool conn_parked(const struct conn *c)
{
        return c->woken != NULL;
}

/* Exactly once: whatever comes first takes `woken` away. Runs on the loop's stack. */
void conn_unpark(struct conn *c, enum woken why)
{
        void (*woken)(void *, enum woken) = c->woken;

        if (c->pending)
                why = (enum woken)(c->pending - 1);
        assert(woken && !fiber_self());
        timer_stop(&c->timer);
        c->woken = NULL;
        c->pending = 0;
        woken(c->context, why);
}

static void fire(struct timer *t)
{
        struct conn *c = (struct conn *)(void *)((char *)t - offsetof(struct conn, timer));

        conn_unpark(c, WOKEN_DEADLINE);
}

void conn_park(struct conn *c, nsec deadline, void (*woken)(void *context, enum woken why), void *context)
{
        assert(woken && !c->woken && waitlist_empty(&c->waiting));
        assert(c->failed || (conn_buffered(c) == 0 && c->out.n == 0)); /* only what conn_may_park allowed */
        conn_release(c);
        c->timer.fire = fire;
        c->context = context;
        c->woken = woken;
        c->pending_told = false;
        /* Tested last: an edge or a bell that came since GOT_QUIET wakes it at the loop's next turn. */
        if (!c->pending && c->stop)
                c->pending = c->stop;
        if (!c->pending && (c->readable || c->failed || c->ended || c->called))
                c->pending = WOKEN_INPUT + 1;
        if (c->pending)
                timer_set(&c->timer, 0);
        else if (deadline != NEVER)
                timer_set(&c->timer, deadline);
}

void conn_wake(struct conn *c, enum woken why)
{
        if (why == WOKEN_SHUTDOWN || why == WOKEN_SIGNED_OUT) {
                if (!c->stop)
                        c->stop = (uint8_t)(why + 1);
        }
        if (c->woken) {
                if (!c->pending) {
                        c->pending = (uint8_t)(why + 1);
                        timer_set(&c->timer, 0);
                }
        } else {
                if (why == WOKEN_BELL) {
                        c->pending = WOKEN_BELL + 1;
                        c->pending_told = false;
                }
                wake_all(&c->waiting);
        }
}

void conn_call(struct conn *c)
{
        c->called = true;
        if (c->woken)
                conn_wake(c, WOKEN_INPUT);
        else if (c->wants & EPOLLIN) /* a flush goes on */
                wake_all(&c->waiting);
}

void conn_shutdown(struct conn *c)
{
        conn_wake(c, WOKEN_SHUTDOWN);
}
