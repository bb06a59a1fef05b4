/* Where a destination's letters go, best way first. */
#include "base/mem.h"
#include "proto/smtp/dispatch_inside.h"
#include <errno.h>

#define DNS_PATIENCE 30
enum { SMTP_PORT = 25 };

static bool is_self(void *context, struct str host)
{
        const struct dispatch *d = context;
        const struct settings *s = d->how.settings;
        struct str rest = str_of(s->host_names), word, address;

        if (str_ieq(host, str_of(s->host_name)))
                return true;
        while (rest.n) {
                str_cut(&rest, ' ', &word);
                if (str_cut(&word, '=', &address) && str_ieq(word, host))
                        return true;
        }
        return false;
}

static void ports(struct way *w, uint16_t port)
{
        for (unsigned i = 0; i < w->count; i++)
                w->addresses[i].port = port;
}

/* One server for all: its name's addresses, not its MX. */
static enum found relay(struct dispatch *d, const struct route *r, struct arena *a, struct way **list,
                        unsigned *n, const char **status, struct str *why)
{
        struct mx_host host = { .name = r->host };
        struct way *w = arena_new(a, struct way);
        struct addr literal;
        int rc = 0;

        w->route = *r;
        w->name = r->host;
        w->policy = S("relay");
        w->tls = r->kind == ROUTE_LMTP ? TLS_NEVER : r->tls_at_once ? TLS_AT_ONCE : TLS_MAY;
        w->want.server_name = w->name;
        w->want.ca_file = d->how.settings->tls_authorities[0] ? d->how.settings->tls_authorities : NULL;
        if (addr_parse(r->host, r->port, &literal)) {
                w->addresses[0] = literal;
                w->count = 1;
        } else {
                rc = mx_addresses(d->how.dns, &host, in_seconds(DNS_PATIENCE), a, why);
                for (; w->count < host.count; w->count++)
                        w->addresses[w->count] = host.addresses[w->count];
        }
        ports(w, r->port);
        *list = w;
        *n = 1;
        *status = "4.4.3";
        return rc < 0 ? WAY_LATER : WAY_FOUND;
}

/* A host of the domain's, as a way; -errno: none for now. */
static int mx_way(struct lane *l, const struct mx *mx, struct mx_host *h, struct way *w, struct arena *a,
                  struct str *why)
{
        int rc = mx_addresses(l->dispatch->how.dns, h, in_seconds(DNS_PATIENCE), a, why);

        if (rc < 0)
                return rc;
        *w = (struct way){ .route = { .kind = ROUTE_DIRECT }, .name = h->name };
        for (; w->count < h->count; w->count++)
                w->addresses[w->count] = h->addresses[w->count];
        ports(w, SMTP_PORT);
        return way_policy(l->dispatch, str_of(l->name), mx, h, w, a, why);
}

static enum found direct(struct lane *l, struct arena *a, struct way **list, unsigned *n, const char **status,
                         struct str *why)
{
        bool later = false;
        struct str reason;
        struct mx mx;
        int rc = mx_find(l->dispatch->how.dns, str_of(l->name), is_self, l->dispatch,
                         in_seconds(DNS_PATIENCE), a, &mx, why);

        *status = rc == -ENOENT ? "5.1.2" : "4.4.3";
        if (rc < 0)
                return rc == -ENOENT ? WAY_NEVER : WAY_LATER;
        if (mx.null) {
                *status = "5.1.10"; /* RFC 7505 §4.2 */
                *why = arena_printf(a, "%s takes no mail (null MX)", l->name);
                return WAY_NEVER;
        }
        if (!mx.count) {
                *status = "5.4.6";
                *why = arena_printf(
                    a, "mail for %s loops back to us: we are its MX, and it is no domain of ours", l->name);
                return WAY_NEVER;
        }
        *list = arena_array(a, struct way, mx.count);
        for (unsigned i = 0; i < mx.count; i++) {
                rc = mx_way(l, &mx, &mx.hosts[i], &(*list)[*n], a, &reason);
                if (rc == 0) {
                        ++*n;
                } else {
                        later |= rc != -ENOENT;
                        *why = reason;
                }
        }
        if (*n)
                return WAY_FOUND;
        *status = later ? "4.4.3" : "5.4.4";
        return later ? WAY_LATER : WAY_NEVER;
}

enum found ways_find(struct lane *l, struct arena *a, struct way **list, unsigned *n, const char **status,
                     struct str *why)
{
        struct dispatch *d = l->dispatch;
        const struct settings *s = d->how.settings;
        struct route r;

        *n = 0;
        *why = S("");
        if (directory_is_local(d->how.directory, str_of(l->name))) {
                *list = arena_new(a, struct way);
                (*list)->route.kind = ROUTE_SELF;
                (*list)->name = str_of(s->host_name);
                (*list)->policy = S("self");
                *n = 1;
                return WAY_FOUND;
        }
        r = route_for(arena_str(a, str_of(s->routes)), str_of(l->name),
                      s->hold_unrouted ? ROUTE_HOLD : ROUTE_DIRECT);
        switch (r.kind) {
        case ROUTE_HOLD:
                *status = "4.0.0";
                *why = S("no route leads there, and nothing leaves this machine without one");
                return WAY_HELD;
        case ROUTE_RELAY:
        case ROUTE_LMTP: return relay(d, &r, a, list, n, status, why);
        default: return direct(l, a, list, n, status, why);
        }
}
