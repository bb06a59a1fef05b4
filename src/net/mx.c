#include "net/mx.h"
#include "base/mem.h"
#include "base/scan.h"
#include <errno.h>
#include <sys/random.h>

static unsigned any_below(unsigned n)
{
        uint32_t r = 0;

        if (getrandom(&r, sizeof(r), 0) != sizeof(r))
                r = (uint32_t)now();
        return r % n;
}

static void swap(struct mx_host *a, struct mx_host *b)
{
        struct mx_host kept = *a;

        *a = *b;
        *b = kept;
}

/* RFC 5321 §5.1: by preference, and hosts of one preference in an order that is different each time. */
static void sort_hosts(struct mx *m)
{
        for (unsigned i = m->count; i > 1; i--)
                swap(&m->hosts[i - 1], &m->hosts[any_below(i)]);
        for (unsigned i = 1; i < m->count; i++)
                for (unsigned k = i; k && m->hosts[k].preference < m->hosts[k - 1].preference; k--)
                        swap(&m->hosts[k], &m->hosts[k - 1]);
}

/* What is behind us is no way forward: from our own preference on nobody is asked. */
static void leave_out(struct mx *m, mx_self_fn *self, void *context)
{
        uint32_t ours = UINT32_MAX;
        unsigned kept = 0;

        for (unsigned i = 0; i < m->count; i++)
                if (self && self(context, m->hosts[i].name) && m->hosts[i].preference < ours)
                        ours = m->hosts[i].preference;
        for (unsigned i = 0; i < m->count; i++)
                if (m->hosts[i].preference < ours)
                        m->hosts[kept++] = m->hosts[i];
        m->myself = kept < m->count;
        m->count = kept;
}

static void take_hosts(struct mx *m, const struct dns_answer *answer, struct arena *a)
{
        m->hosts = arena_array(a, struct mx_host, answer->count);
        for (unsigned i = 0; i < answer->count; i++) {
                struct str data = answer->data[i], name;
                uint16_t preference;

                if (data.n < 3)
                        continue;
                preference = (uint16_t)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1]);
                data = str_from_at(data, 2);
                name = dns_name(a, &data);
                if (!name.p)
                        continue;
                m->null |= !name.n && answer->count == 1; /* RFC 7505 §3 */
                if (name.n)
                        m->hosts[m->count++] = (struct mx_host){ .name = name, .preference = preference };
        }
}

static bool literal(struct mx *m, struct str domain, struct arena *a)
{
        struct str text;

        if (!str_starts(domain, S("[")) || !str_ends(domain, S("]")))
                return false;
        text = str_sub(domain, 1, domain.n - 2);
        if (str_istarts(text, S("IPv6:")))
                text = str_from_at(text, 5);
        m->hosts = arena_new(a, struct mx_host);
        m->hosts->name = domain;
        m->count = m->hosts->count = addr_parse(text, 0, &m->hosts->addresses[0]) ? 1 : 0;
        m->canonical = domain;
        return true;
}

int mx_find(struct dns *d, struct str domain, mx_self_fn *self, void *context, nsec deadline, struct arena *a,
            struct mx *out, struct str *why)
{
        struct dns_answer answer;
        int rc;

        *out = (struct mx){ 0 };
        if (literal(out, domain, a)) {
                *why = S("that is no address");
                return out->count ? 0 : -ENOENT;
        }
        rc = dns_ask(d, domain, DNS_MX, deadline, a, &answer, why);
        if (rc < 0)
                return rc == -ECANCELED ? rc : -EAGAIN;
        out->secure = answer.secure;
        out->canonical = answer.canonical;
        if (answer.no_name) {
                *why = arena_printf(a, "there is no domain " PRS, STR(domain));
                return -ENOENT;
        }
        if (answer.exists) {
                take_hosts(out, &answer, a);
                sort_hosts(out);
        } else {
                out->implicit = true;
                out->count = 1;
                out->hosts = arena_new(a, struct mx_host);
                out->hosts->name = domain;
        }
        leave_out(out, self, context);
        if (out->count > MX_HOSTS_MOST) /* the best of them */
                out->count = MX_HOSTS_MOST;
        if (out->count || out->null || out->myself)
                return 0;
        *why = arena_printf(a, "the MX records of " PRS " make no sense", STR(domain));
        return -ENOENT;
}

/* The records of one family. */
static int ask_family(struct dns *d, struct mx_host *h, enum dns_type type, nsec deadline, struct arena *a,
                      struct addr *list, unsigned *n, bool *secure, struct str *why)
{
        size_t want = type == DNS_A ? 4 : 16;
        struct dns_answer answer;
        int rc = dns_ask(d, h->name, type, deadline, a, &answer, why);

        *n = 0;
        if (rc < 0)
                return rc;
        *secure &= answer.secure;
        if (answer.exists)
                h->canonical = answer.canonical;
        for (unsigned i = 0; i < answer.count && *n < MX_ADDRESSES_MOST / 2; i++) {
                struct addr *to = &list[*n];

                if (answer.data[i].n != want)
                        continue;
                *to = (struct addr){ .family = type == DNS_A ? 4 : 6 };
                mem_copy(to->ip, sizeof(to->ip), answer.data[i]);
                ++*n;
        }
        return 0;
}

int mx_addresses(struct dns *d, struct mx_host *h, nsec deadline, struct arena *a, struct str *why)
{
        struct addr six[MX_ADDRESSES_MOST / 2], four[MX_ADDRESSES_MOST / 2];
        unsigned n6 = 0, n4 = 0;
        bool secure = true;
        int rc6, rc4;

        if (h->count) /* a literal */
                return 0;
        rc6 = ask_family(d, h, DNS_AAAA, deadline, a, six, &n6, &secure, why);
        rc4 = rc6 == -ECANCELED ? rc6 : ask_family(d, h, DNS_A, deadline, a, four, &n4, &secure, why);
        h->secure = secure;
        for (unsigned i = 0; i < n6 || i < n4; i++) {
                if (i < n6)
                        h->addresses[h->count++] = six[i];
                if (i < n4)
                        h->addresses[h->count++] = four[i];
        }
        if (h->count)
                return 0;
        if (rc6 < 0 || rc4 < 0)
                return rc6 == -ECANCELED || rc4 == -ECANCELED ? -ECANCELED : -EAGAIN;
        *why = arena_printf(a, PRS " has no address", STR(h->name));
        return -ENOENT;
}
