/* Where mail for a domain goes (RFC 5321 §5.1, RFC 7505), as DNS says. */
#pragma once
#include "net/dns.h"

enum { MX_HOSTS_MOST = 32, MX_ADDRESSES_MOST = 16 };
struct mx_host {
        struct str name; /* A-labels; of an address literal its text */
        uint16_t preference;
        struct addr addresses[MX_ADDRESSES_MOST]; /* filled by mx_addresses: IPv6 and IPv4 in turn, port 0 */
        unsigned count;
        struct str canonical; /* at the end of its CNAMEs */
        bool secure;          /* name and addresses came validated: DANE may be asked for (RFC 7672 §2.2) */
};
struct mx {
        bool null;     /* "." alone: the domain takes no mail */
        bool implicit; /* no MX: the domain itself */
        bool secure;   /* the MX records (or that there are none) validated */
        bool myself;   /* hosts were left out: we are one of them, or better */
        struct str canonical;
        struct mx_host *hosts; /* by preference, shuffled within one */
        unsigned count;
};
/* Is that host name ours? Hosts with our own preference and worse are left out. */
typedef bool mx_self_fn(void *context, struct str host);
/* 0 (null and myself too: look at them); -ENOENT: no such domain; -EAGAIN: not known now; *why: a sentence. */
[[nodiscard]] int mx_find(struct dns *d, struct str domain, mx_self_fn *self, void *context, nsec deadline,
                          struct arena *a, struct mx *out, struct str *why);
/* 0; -ENOENT: it has none; -EAGAIN. What could be learnt of one family is given though the other failed. */
[[nodiscard]] int mx_addresses(struct dns *d, struct mx_host *h, nsec deadline, struct arena *a,
                               struct str *why);
