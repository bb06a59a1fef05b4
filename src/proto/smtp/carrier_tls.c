/* What TLS an MX host must have: DANE where the zone is signed (RFC 7672), else the domain's MTA-STS policy (RFC 8461), else whatever it offers. */
#include "proto/smtp/dispatch_inside.h"
#include <errno.h>

#define DNS_PATIENCE 30

/* -EAGAIN: the records cannot be known: who goes on without them is who an attacker wants. 0: *usable of *count can be obeyed. */
static int ask_tlsa(struct dispatch *d, const struct mx_host *h, uint16_t port, struct way *w,
                    unsigned *usable, struct arena *a, struct str *why)
{
        struct dns_answer answer;
        int rc = dns_ask(d->how.dns, arena_printf(a, "_%u._tcp." PRS, port, STR(h->name)), DNS_TLSA,
                         in_seconds(DNS_PATIENCE), a, &answer, why);

        *usable = 0;
        if (rc < 0)
                return -EAGAIN;
        if (!answer.exists || !answer.secure)
                return 0;
        w->want.tlsa = answer.data;
        w->want.tlsa_count = answer.count;
        for (unsigned i = 0; i < answer.count; i++)
                *usable += tlsa_usable(answer.data[i]);
        return 0;
}

int way_policy(struct dispatch *d, struct str domain, const struct mx *mx, const struct mx_host *h,
               struct way *w, struct arena *a, struct str *why)
{
        const struct settings *s = d->how.settings;
        struct sts_policy sts;
        unsigned usable;
        int rc;

        w->tls = TLS_MAY;
        w->policy = S("may");
        w->want = (struct tls_wanted){ .server_name = h->name,
                                       .ca_file = s->tls_authorities[0] ? s->tls_authorities : NULL };
        if (s->dane && mx->secure && h->secure) {
                rc = ask_tlsa(d, h, w->addresses[0].port, w, &usable, a, why);
                if (rc < 0)
                        return rc;
                if (w->want.tlsa_count) { /* none that can be used: TLS all the same (RFC 7672 §2.2) */
                        w->tls = TLS_MUST;
                        w->policy = usable ? S("dane") : S("must");
                        w->want.trust = usable ? TRUST_DANE : TRUST_NOTHING;
                        w->names[0] = h->name; /* RFC 7672 §3.2.2 */
                        w->names[1] = domain;
                        w->want.names = w->names;
                        w->want.name_count = 2;
                        return 0;
                }
        }
        if (!s->mta_sts || !sts_policy(d, domain, a, &sts) || !sts.enforce)
                return 0;
        if (!sts_allows(sts.patterns, h->name)) {
                *why = arena_printf(a, "MTA-STS: the policy of " PRS " does not know " PRS, STR(domain),
                                    STR(h->name));
                return -EACCES;
        }
        w->tls = TLS_MUST;
        w->policy = S("mta-sts");
        w->want.trust = TRUST_NAMES;
        w->names[0] = h->name;
        w->want.names = w->names;
        w->want.name_count = 1;
        return 0;
}
