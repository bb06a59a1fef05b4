/* DNS for sending: libunbound, which validates DNSSEC itself. An answer is of three kinds, never to be mixed: there is something; there is
 * nothing (NXDOMAIN, no data); or it cannot be known now (SERVFAIL, bogus, time-out): then a letter waits.
 *
 *      dns_open(&d, &how, &why)                -- before the sandbox: anchors and /etc/resolv.conf are read there
 *      rc = dns_ask(d, S("example.org"), DNS_MX, deadline, &arena, &answer);  -- waits in a fiber; many at once
 *
 * libunbound works in a thread of its own, begun by the first question; its answers come by a descriptor in our loop. Outside fibers a
 * question simply blocks. Names are A-labels, without the last dot. In a fiber dns_open and dns_close run on a thread with a stack of its own,
 * for libunbound needs more than a fiber has. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"
#include "net/addr.h"

struct dns;
struct dns_how {
        const char *
            resolver; /* "recursive": asks from the root servers on; "system": as /etc/resolv.conf says; else addresses by
                                 space, "127.0.0.1@5300" */
        const char *anchors; /* files with trust anchors, by space; empty: nothing is secure */
        const char *stubs;   /* "example.org=127.0.0.1@5300 ...": zones whose servers are known; tests */
};
[[nodiscard]] int dns_open(struct dns **out, const struct dns_how *how,
                           struct buf *why); /* 0, or -EINVAL and a sentence */
void dns_close(struct dns **d);

/* Where forwarders are asked: do they pass on what DNSSEC needs? 0, or *why is a sentence, and nothing can be validated by way of them. Waits. */
[[nodiscard]] int dns_check(struct dns *d, nsec deadline, struct arena *a, struct str *why);

enum dns_type {
        DNS_A = 1,
        DNS_MX = 15,
        DNS_TXT = 16,
        DNS_AAAA = 28,
        DNS_SRV = 33,
        DNS_DNSKEY = 48,
        DNS_TLSA = 52
};
struct dns_answer {
        bool exists;          /* there are records */
        bool no_name;         /* NXDOMAIN */
        bool secure;          /* validated: the records, or that there are none */
        struct str canonical; /* the name at the end of its CNAMEs */
        uint32_t ttl;
        struct str *data; /* records as on the wire, names in them whole */
        unsigned count;
};
/* 0; -EAGAIN: it cannot be known now, *why is a sentence; -ETIMEDOUT, -ECANCELED. */
[[nodiscard]] int dns_ask(struct dns *d, struct str name, enum dns_type type, nsec deadline, struct arena *a,
                          struct dns_answer *out, struct str *why);
/* The name that stands at *rdata (wire form), which moves behind it. p NULL: there is none. */
struct str dns_name(struct arena *a, struct str *rdata);
