/* A connection to the first of several addresses that answers (RFC 8305: IPv6 and IPv4 in turn, the next begins when the one before has failed
 * or been silent for a quarter of a second). Waits. The sockets are made here: a role that dials may make them. */
#pragma once
#include "net/conn.h"
/* 0; -errno of the last that failed, *why says which and how. *which: index of the one that answered. */
[[nodiscard]] int dial_any(const struct addr *list, unsigned n, const struct addr *from4,
                           const struct addr *from6, nsec deadline, struct conn **out, unsigned *which,
                           struct buf *why);

/* What TLS a client asks of the other side. */
enum tls_trust {
        TRUST_NOTHING, /* opportunistic: encrypted is better than clear */
        TRUST_NAMES,   /* a chain to a known authority, for one of the names (MTA-STS, a relay) */
        TRUST_DANE,    /* TLSA records, already validated (RFC 7672): usages 2 and 3 */
};
struct tls_wanted {
        enum tls_trust trust;
        struct str server_name;  /* SNI */
        const struct str *names; /* for TRUST_NAMES; TRUST_DANE with usage 2 */
        unsigned name_count;
        const char *ca_file;    /* NULL: the system's */
        const struct str *tlsa; /* records as on the wire */
        unsigned tlsa_count;
};
struct tls_found {
        const char *version, *cipher;
        bool verified; /* as wanted; with TRUST_NOTHING: whether it would have been for server_name */
        char why[160]; /* what is wrong with the certificate; empty: nothing */
};
/* 0; -EACCES: not what was wanted (found->why); -errno. The connection has failed then. */
[[nodiscard]] int conn_starttls_to(struct conn *c, const struct tls_wanted *w, nsec deadline,
                                   struct tls_found *found);
