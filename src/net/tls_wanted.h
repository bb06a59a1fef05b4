/* What TLS a client asks of the other side, and what it found. */
#pragma once
#include "base/time.h"
#include "net/tls.h"

struct conn;
enum tls_trust {
        TRUST_NOTHING, /* opportunistic: encrypted is better than clear */
        TRUST_NAMES,   /* a chain to a known authority, for one of the names (MTA-STS, a relay) */
        TRUST_PINNED,  /* a chain as with TRUST_NAMES, or this very certificate */
        TRUST_DANE, /* TLSA records that DNSSEC has validated (RFC 7672): usages 2 and 3, others count as none */
};
struct tls_wanted {
        enum tls_trust trust;
        struct str server_name; /* SNI; empty: none */
        const struct str
            *names; /* TRUST_NAMES, and TRUST_DANE's usage 2: the certificate is for one of them */
        unsigned name_count;
        const char *ca_file;      /* NULL: the system's authorities */
        const unsigned char *pin; /* TRUST_PINNED: SHA-256 of the host's own certificate (DER) */
        const struct str *tlsa;   /* records as on the wire */
        unsigned tlsa_count;
};
struct tls_found {
        const char *version, *cipher;
        bool
            verified; /* as wanted; with TRUST_NOTHING: whether the chain and server_name would have been good */
        unsigned char fingerprint[32]; /* SHA-256 of its certificate; zeros: none came */
        char why[200];                 /* what is wrong with the certificate; empty: nothing */
};
/* 0; -EACCES: not what was wanted, found->why says what; -errno. On an error the connection has failed. Waits. */
[[nodiscard]] int conn_starttls_to(struct conn *c, const struct tls_wanted *w, nsec deadline,
                                   struct tls_found *found);
/* Is there a record that RFC 7672 can use? */
bool tlsa_usable(struct str record);
