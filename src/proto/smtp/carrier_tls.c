/* What TLS an MX host must have: DANE where the zone is signed (RFC 7672), else the domain's MTA-STS policy (RFC 8461), else whatever it offers. */
#include "proto/smtp/dispatch_inside.h"
#include <errno.h>

#define DNS_PATIENCE 30

const char *way_authorities(const struct dispatch *d, struct arena *a)
{
        const char *file = d->how.settings->tls_authorities;

        return file[0] ? arena_str(a, str_of(file)).p : NULL;
}

/* -EAGAIN: the records cannot be known: who goes on without them is who an attacker wants. 0: *usable of *count can be obeyed. */
static int ask_tlsa(struct dispatch *d, struct str host, uint16_t port, struct way *w, unsigned *usable,
                    struct arena *a, struct str *why)
{
        struct dns_answer answer;
        int rc = dns_ask(d->how.dns, arena_printf(a, "_%u._tcp." PRS, port, STR(host)), DNS_TLSA,
                         step_deadline(d, DNS_PATIENCE), a, &answer, why);

        *usable = 0;
        if (rc < 0)
                return -EAGAIN;
        if (!answer.exists || !answer.secure)
                return 0;
        w->want.server_name = host; /* the TLSA base domain (RFC 7672 §3.2.2) */
        w->want.tlsa = answer.data;
        w->want.tlsa_count = answer.count;
        for (unsigned i = 0; i < answer.count; i++)
                *usable += tlsa_usable(answer.data[i]);
        return 0;
}

int way_policy(struct dispatch *d, struct str domain, const struct mx *mx, const struct mx_host *h,
               struct way *w, struct arena *a, struct str *why)
{
        struct sts_policy sts;
        unsigned usable;
        int rc;

        w->tls = TLS_MAY;
        w->policy = S("may");
        w->want = (struct tls_wanted){ .server_name = h->name, .ca_file = way_authorities(d, a) };
        w->certain = mx->secure;
        if (d->how.settings->dane && mx->secure && h->secure) {
                bool alias = h->canonical.n && !str_ieq(h->canonical, h->name);

                rc = alias ? ask_tlsa(d, h->canonical, w->addresses[0].port, w, &usable, a, why) : 0;
                if (rc == 0 && !w->want.tlsa_count) /* RFC 7672 §2.2.2: behind the CNAMEs first */
                        rc = ask_tlsa(d, h->name, w->addresses[0].port, w, &usable, a, why);
                if (rc < 0)
                        return rc;
                if (w->want.tlsa_count) { /* none that can be used: TLS all the same (RFC 7672 §2.2) */
                        w->tls = TLS_MUST;
                        w->policy = usable ? S("dane") : S("must");
                        w->want.trust = usable ? TRUST_DANE : TRUST_NOTHING;
                        w->names[0] = w->want.server_name; /* RFC 7672 §3.2.2 */
                        w->names[1] = domain;
                        w->names[2] = h->name;
                        w->want.names = w->names;
                        w->want.name_count = 3;
                        return 0;
                }
        }
        if (!d->how.settings->mta_sts || !sts_policy(d, domain, a, &sts) || !sts.enforce)
                return 0;
        if (!sts_allows(sts.patterns, h->name)) {
                *why = arena_printf(a, "MTA-STS: the policy of " PRS " does not know " PRS, STR(domain),
                                    STR(h->name));
                return -EACCES;
        }
        w->tls = TLS_MUST;
        w->policy = S("mta-sts");
        w->certain = true;
        w->want.trust = TRUST_NAMES;
        w->names[0] = h->name;
        w->want.names = w->names;
        w->want.name_count = 1;
        return 0;
}
