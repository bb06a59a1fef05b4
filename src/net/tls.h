/* TLS by GnuTLS: one context a certificate set, many connections. The private key is elsewhere: signing is asked of
 * the keeper by a function given here (which may wait; a handshake runs in a fiber). TLS 1.2 and 1.3. */
#pragma once
#include "base/buf.h"

struct tls_context;
/* Sign `hash` with the named key: 0 and the signature appended, or -errno. What is asked for is exactly
 * gnutls_privkey_sign_hash2(key, algorithm, 0, hash): with GNUTLS_SIGN_RSA_RAW (old clients of TLS 1.2) the hash comes
 * wrapped in its DigestInfo. */
typedef int tls_sign_fn(void *context, unsigned algorithm, struct str hash, struct buf *signature);

/* chain: PEM certificates, the host's own first. ticket_key: 64 bytes shared by all processes. 0, -EINVAL (no good
 * chain of RSA or ECDSA, or ticket key; the key pair itself is tried only by the first handshake), -ENOMEM. */
[[nodiscard]] int tls_context_new(struct tls_context **out, struct str chain, tls_sign_fn *sign,
                                  void *sign_context, struct str ticket_key);
void tls_context_ticket_key(struct tls_context *t, struct str key); /* rotated */
void tls_context_hold(struct tls_context *t);
void tls_context_drop(struct tls_context **t); /* freed when the last connection using it is gone */
