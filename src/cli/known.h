/* Trust on first use: certificates that a person has said yes to. A file of lines `HOST PORT sha256:HEX SINCE` in
 * $XDG_CONFIG_HOME/pail/known-certificates (else ~/.config/pail). A certificate with a good chain for the name needs no row and makes none.
 *
 *      known_want(&k, host, port, policy, &want);    -- TRUST_NAMES, or TRUST_PINNED if there is a row
 *      rc = conn_starttls_to(conn, &want, ...);      -- -EACCES: found.why, found.fingerprint
 *      again = known_asked(&k, &found);              -- asks the person (shows the fingerprint, says if it has changed), keeps the answer
 */
#pragma once
#include "net/tls_wanted.h"

enum known_policy {
        KNOWN_ASK,    /* a person is asked where there is a terminal; without one: refused */
        KNOWN_REFUSE, /* only good chains and rows */
        KNOWN_ANY,    /* --insecure */
};
struct known {
        struct tls_wanted want; /* valid until the next call */
        struct str name;
        char host[256];
        unsigned port;
        enum known_policy policy;
        bool changed; /* there was a row with another certificate */
        unsigned char pin[32];
};
void known_want(struct known *k, const char *host, unsigned port, enum known_policy policy,
                const char *ca_file);
/* After -EACCES: true: the person has said yes, k->want accepts this one now; connect again. */
bool known_asked(struct known *k, const struct tls_found *found);
