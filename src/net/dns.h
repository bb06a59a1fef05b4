/* DNS for sending: libunbound, which validates DNSSEC itself. Answers are of three kinds and must never be mixed: there is one, there is none
 * (a proven or plain NXDOMAIN, NODATA), or it cannot be known now (SERVFAIL, bogus, time-out): then a letter waits.
 *
 *      dns_open(&d, &how)                       -- before the sandbox: anchors and hosts are read there
 *      rc = dns_ask(d, S("example.org"), DNS_MX, deadline, &a, &answer);       -- waits in a fiber; many at once
 *
 * resolver = recursive asks the root servers itself; system: what /etc/resolv.conf says; else addresses ("127.0.0.1@5300"), by space. A forwarder
 * that strips DNSSEC is found by dns_probe. Names are A-labels. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"
#include "net/addr.h"

struct dns;
struct dns_how {
        const char *resolver;     /* "recursive", "system", addresses */
        const char *trust_anchor; /* file, as dns-root-data has it; empty: none, nothing is secure */
        const char *stubs;        /* "example.org=127.0.0.1@5300 ...": zones asked there; tests */
        const char *anchors;      /* more trust anchors, "zone DS ..." in a file; tests; empty: none */
};
[[nodiscard]] int dns_open(struct dns **out, const struct dns_how *how, struct buf *why);
void dns_close(struct dns **d);
enum dns_type {
        DNS_A = 1,
        DNS_CNAME = 5,
        DNS_PTR = 12,
        DNS_MX = 15,
        DNS_TXT = 16,
        DNS_AAAA = 28,
        DNS_SRV = 33,
        DNS_TLSA = 52
};
struct dns_answer {
        bool secure;          /* validated: the records, or that there are none */
        bool exists;          /* there are records */
        bool no_name;         /* NXDOMAIN */
        struct str canonical; /* the name at the end of its CNAMEs */
        uint32_t ttl;
        const struct str *data; /* records as on the wire */
        unsigned count;
};
/* 0; -EAGAIN: it cannot be known now (*why: a sentence: "SERVFAIL", "bogus: ..."); -ETIMEDOUT, -ECANCELED, -EINVAL: no name. */
[[nodiscard]] int dns_ask(struct dns *d, struct str name, enum dns_type type, nsec deadline, struct arena *a,
                          struct dns_answer *out, struct str *why);
/* Does the resolver give DNSSEC data? Asked once at start; a sentence in why if not. */
[[nodiscard]] int dns_probe(struct dns *d, nsec deadline, struct buf *why);

/* Where mail for a domain goes (RFC 5321 §5.1, RFC 7505). */
struct mx_host {
        struct str name; /* A-labels, no dot at the end; an address literal's text */
        uint16_t preference;
        struct addr addresses[16]; /* filled by mx_addresses */
        unsigned count;
        bool secure; /* name and addresses came validated: DANE may be asked for */
};
struct mx {
        bool null;     /* "." alone: takes no mail */
        bool implicit; /* no MX: the domain itself */
        bool secure;   /* the MX records (or their absence) validated */
        struct mx_host *hosts;
        unsigned count; /* by preference, shuffled within one; at most 32 */
        struct str canonical;
};
/* 0; -ENOENT: no such domain, or nothing to send to (why); -EAGAIN: not known now. self: is that name or address ours? Hosts from
 * our own preference on are left out; -ELOOP if none is left: MX is myself. */
typedef bool mx_self_fn(void *context, struct str host, struct addr a);
[[nodiscard]] int mx_find(struct dns *d, struct str domain, mx_self_fn *self, void *context, nsec deadline,
                          struct arena *a, struct mx *out, struct str *why);
[[nodiscard]] int mx_addresses(struct dns *d, struct mx_host *h, nsec deadline, struct arena *a,
                               struct str *why);
