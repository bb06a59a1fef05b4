/* The handshake comes first, whatever the certificate; then it is judged, and a person asked if there is a doubt. Nothing of the conversation goes out
 * before that. */
#include "cli/talk.h"
#include "cli/terminal.h"
#include <errno.h>

#define HANDSHAKE_PATIENCE 60

static bool is_pinned(const struct known *k, const struct tls_found *found)
{
        return k->want.trust == TRUST_PINNED && k->want.pin &&
               str_eq(str_from(k->want.pin, 32), str_from(found->fingerprint, 32));
}

int talk_handshake(const struct talk_how *how, struct conn *c, struct tls_found *found)
{
        struct known known;
        struct tls_wanted want;
        int rc;

        known_want(&known, how->host, how->port, how->trust, how->ca_file);
        want = known.want;
        want.trust = TRUST_NOTHING;
        rc = conn_starttls_to(c, &want, in_seconds(HANDSHAKE_PATIENCE), found);
        if (rc < 0) {
                fprintf(stderr, "pail talk: TLS with %s: %s\n", how->host,
                        rc == -EPROTO ? "the handshake failed" : strerrordesc_np(-rc));
                return rc;
        }
        if (found->verified || how->trust == KNOWN_ANY || is_pinned(&known, found) ||
            known_asked(&known, found))
                return 0;
        fprintf(stderr, "pail talk: the certificate of %s: ", how->host);
        terminal_put(stderr, str_of(found->why));
        fprintf(stderr, "\n(--ca FILE names an authority to trust, --insecure takes any certificate)\n");
        conn_fail(c);
        return -EACCES;
}
