/* Where a destination's letters go, best way first. */
#include "base/mem.h"
#include "net/dial.h"
#include "proto/smtp/dispatch_inside.h"
#include <errno.h>

#define DNS_PATIENCE 30
enum { SMTP_PORT = 25 };

nsec step_deadline(const struct dispatch *d, long seconds)
{
        long most = d->how.settings->sender_reply_timeout;

        return in_seconds(most && most < seconds ? most : seconds);
}

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

/* A listener of ours is at that address (and a letter that goes there comes back). */
static bool is_own_address(const struct dispatch *d, struct addr at)
{
        const struct settings *s = d->how.settings;
        struct str rest = str_of(s->listen), word;
        struct addr own;

        if (s->smtp_port != SMTP_PORT)
                return false;
        while (rest.n) {
                str_cut(&rest, ' ', &word);
                if (!addr_parse(word, 0, &own))
                        continue;
                if (addr_same_host(own, at) || (addr_any(own) && dial_is_own(at)))
                        return true;
        }
        return false;
}

/* TLS at a relay. A password goes to nobody but the right one, and not in clear but on this machine. */
static void relay_tls(struct dispatch *d, struct way *w, struct arena *a)
{
        const struct route *r = &w->route;
        struct addr literal;
        struct str user, password;
        bool secret = r->kind == ROUTE_RELAY && relay_password(d, w->name, &user, &password),
             here = w->count > 0;

        for (unsigned i = 0; i < w->count; i++)
                here &= addr_loopback(w->addresses[i]);
        w->tls = r->kind == ROUTE_LMTP              ? TLS_NEVER
                 : r->tls_at_once                   ? TLS_AT_ONCE
                 : r->tls_must || (secret && !here) ? TLS_MUST
                                                    : TLS_MAY;
        if (w->tls == TLS_MAY || w->tls == TLS_NEVER)
                return;
        w->names[0] = w->name;
        if (addr_parse(w->name, 0, &literal)) /* without its port */
                w->names[0] = arena_str(a, str_of(addr_text(literal).z));
        w->want.trust = TRUST_NAMES;
        w->want.names = w->names;
        w->want.name_count = 1;
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
        w->certain = true;
        w->want.server_name = w->name;
        w->want.ca_file = way_authorities(d, a);
        if (addr_parse(r->host, r->port, &literal)) {
                w->addresses[0] = literal;
                w->count = 1;
        } else {
                rc = mx_addresses(d->how.dns, &host, step_deadline(d, DNS_PATIENCE), a, why);
                for (; w->count < host.count; w->count++)
                        w->addresses[w->count] = host.addresses[w->count];
        }
        ports(w, r->port);
        relay_tls(d, w, a);
        *list = w;
        *n = 1;
        *status = "4.4.3";
        return rc < 0 ? WAY_LATER : WAY_FOUND;
}

/* A host of the domain's, as a way; -errno: none for now. */
static int mx_way(struct lane *l, const struct mx *mx, struct mx_host *h, struct way *w, struct arena *a,
                  struct str *why)
{
        int rc = mx_addresses(l->dispatch->how.dns, h, step_deadline(l->dispatch, DNS_PATIENCE), a, why);

        if (rc < 0)
                return rc;
        *w = (struct way){ .route = { .kind = ROUTE_DIRECT }, .name = h->name };
        for (; w->count < h->count; w->count++)
                w->addresses[w->count] = h->addresses[w->count];
        ports(w, SMTP_PORT);
        return way_policy(l->dispatch, str_of(l->name), mx, h, w, a, why);
}

/* From where we are ourselves, by address, the way is no further: those as good or worse go (RFC 5321 §5.1). */
static void leave_out_own(struct dispatch *d, struct way *list, const uint16_t *preferences, unsigned *n,
                          bool *myself)
{
        uint32_t ours = UINT32_MAX;
        unsigned kept = 0;

        for (unsigned i = 0; i < *n; i++)
                for (unsigned k = 0; k < list[i].count; k++)
                        if (is_own_address(d, list[i].addresses[k]) && preferences[i] < ours)
                                ours = preferences[i];
        for (unsigned i = 0; i < *n; i++)
                if (preferences[i] < ours) {
                        list[kept] = list[i];
                        list[kept].want.names = list[kept].names;
                        kept++;
                }
        *myself = kept < *n;
        *n = kept;
}

static enum found direct(struct lane *l, struct arena *a, struct way **list, unsigned *n, const char **status,
                         struct str *why)
{
        uint16_t preferences[MX_HOSTS_MOST];
        bool later = false, myself;
        struct str reason = S("");
        struct mx mx;
        int rc = mx_find(l->dispatch->how.dns, str_of(l->name), is_self, l->dispatch,
                         step_deadline(l->dispatch, DNS_PATIENCE), a, &mx, why);

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
                        preferences[*n] = mx.hosts[i].preference;
                        ++*n;
                } else {
                        later |= rc != -ENOENT;
                        *why = reason;
                }
        }
        leave_out_own(l->dispatch, *list, preferences, n, &myself);
        if (*n)
                return WAY_FOUND;
        if (myself && !later) {
                *status = "5.4.6";
                *why =
                    arena_printf(a, "mail for %s loops back to us: its MX has an address of ours", l->name);
                return WAY_NEVER;
        }
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
        if (d->how.directory && directory_is_local(d->how.directory, str_of(l->name))) {
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
                *why = r.ruled ? S("its route is \"hold\": until another stands and it is released, or its "
                                   "host fetches it (ATRN)")
                               : S("no route leads there, and nothing leaves this machine without one");
                return WAY_HELD;
        case ROUTE_RELAY:
        case ROUTE_LMTP: return relay(d, &r, a, list, n, status, why);
        default: return direct(l, a, list, n, status, why);
        }
}
