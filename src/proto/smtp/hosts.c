/* What is known of other hosts, by address; and the connections to them that nobody needs just now. */
#include "base/mem.h"
#include "proto/smtp/dispatch_inside.h"

#define IDLE_FOR (5 * SECOND)
#define GOODBYE  5 /* seconds */

bool host_same(struct addr a, struct addr b)
{
        return a.port == b.port && addr_same_host(a, b);
}

struct host_state *host_state(struct dispatch *d, struct addr at)
{
        struct host_state *oldest = NULL;
        size_t home = str_hash(str_from(at.ip, sizeof(at.ip)));

        for (size_t i = 0; i < HOSTS_NEAR; i++) {
                struct host_state *h = &d->hosts[(home + i) % HOSTS];

                if (h->limit && host_same(h->at, at))
                        return h;
                if (!h->open &&
                    (!oldest || h->down_until + h->clear_until < oldest->down_until + oldest->clear_until))
                        oldest = h;
        }
        if (!oldest)
                oldest = &d->nowhere;
        *oldest = (struct host_state){ .at = at, .limit = LIMIT_FIRST };
        return oldest;
}

bool host_has_place(struct dispatch *d, struct addr at)
{
        const struct host_state *h = host_state(d, at);

        return (h->open < (h->met ? h->limit : 1) &&
                h->open < (unsigned)d->how.settings->sender_connections_per_domain) ||
               h == &d->nowhere;
}

void host_opened(struct dispatch *d, struct addr at)
{
        if (at.family)
                host_state(d, at)->open++;
}

void host_closed(struct dispatch *d, struct addr at)
{
        struct host_state *h;

        if (!at.family)
                return;
        h = host_state(d, at);
        if (h->open)
                h->open--;
        if (host_has_place(d, at))
                place_free(d, at);
}

void host_met(struct dispatch *d, struct addr at, bool well)
{
        struct host_state *h;
        bool news;

        if (!at.family)
                return;
        h = host_state(d, at);
        news = well && !h->met;
        h->met = well;
        if (news && host_has_place(d, at))
                place_free(d, at);
}

void host_grows(struct dispatch *d, struct addr at)
{
        struct host_state *h = host_state(d, at);

        h->met = true;
        if (h->limit < (unsigned)d->how.settings->sender_connections_per_domain && h->grows_at <= now()) {
                h->limit++;
                place_free(d, at);
        }
}

void host_shrinks(struct dispatch *d, struct addr at)
{
        struct host_state *h = host_state(d, at);

        h->limit = h->limit > 1 ? h->limit / 2 : 1;
        h->grows_at = now() + GROWS_AFTER;
}

/* ---- connections without work ---- */

struct ending {
        struct dispatch *dispatch;
        struct idle idle;
        struct work work;
};

/* QUIT waits for an answer, and nobody else should. */
static void say_goodbye(void *arg)
{
        struct ending *e = arg;
        struct dispatch *d = e->dispatch;

        e->work.sending = true;
        work_begins(d, &e->work);
        smtp_client_close(&e->idle.client, in_seconds(GOODBYE));
        work_ends(d, &e->work);
        host_closed(d, e->idle.at);
        mem_free(e->idle.way);
        mem_free(e);
        d->fibers--;
        wake_all(&d->news);
}

static void idle_end(struct dispatch *d, struct idle *i)
{
        struct ending *e = mem_new(struct ending);

        *e = (struct ending){ .dispatch = d, .idle = *i };
        *i = (struct idle){ 0 };
        if (fiber_spawn("goodbye", say_goodbye, e) == 0) {
                d->fibers++;
                return;
        }
        smtp_client_close(&e->idle.client, 0);
        host_closed(d, e->idle.at);
        mem_free(e->idle.way);
        mem_free(e);
}

void idles_end(struct dispatch *d, nsec before)
{
        for (unsigned i = 0; i < IDLES; i++)
                if (d->idles[i].client && d->idles[i].until < before)
                        idle_end(d, &d->idles[i]);
}

/* A place at that address is needed. */
void idles_end_at(struct dispatch *d, struct addr at)
{
        for (unsigned i = 0; i < IDLES; i++)
                if (d->idles[i].client && host_same(d->idles[i].at, at))
                        idle_end(d, &d->idles[i]);
}

bool idle_keep(struct dispatch *d, struct smtp_client *client, const char *way, struct addr at)
{
        smtp_client_tap(client, NULL); /* it ends with its fiber */
        for (unsigned i = 0; i < IDLES && !d->stopping; i++)
                if (!d->idles[i].client) {
                        d->idles[i] = (struct idle){ client, mem_string(str_of(way)), now() + IDLE_FOR, at };
                        place_free(d, at);
                        return true;
                }
        return false;
}

struct smtp_client *idle_take(struct dispatch *d, const char *way, struct addr *at)
{
        for (unsigned i = 0; i < IDLES; i++) {
                struct idle found = d->idles[i];

                if (!found.client || strcmp(found.way, way))
                        continue;
                if (!smtp_client_alive(found.client)) {
                        idle_end(d, &d->idles[i]);
                        continue;
                }
                d->idles[i] = (struct idle){ 0 };
                mem_free(found.way);
                *at = found.at;
                return found.client;
        }
        return NULL;
}
