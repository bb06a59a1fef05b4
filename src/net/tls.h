/* TLS by GnuTLS: one context a certificate set, many connections. The private key is elsewhere: signing is asked of
 * the keeper by a function given here (which may wait; a handshake runs in a fiber). TLS 1.2 and 1.3. */
#pragma once
#include "base/buf.h"

struct tls_context;
/* Sign `data` with the named key: 0 and the signature appended, or -errno. The data are the bytes themselves, not yet
 * hashed, at most some hundred (what TLS signs to prove itself): gnutls_privkey_sign_data2(key, algorithm, 0, ...).
 * algorithm is GnuTLS's gnutls_sign_algorithm_t. */
typedef int tls_sign_fn(void *context, unsigned algorithm, struct str data, struct buf *signature);

/* chain: PEM certificates, the host's own first. ticket_key: 64 bytes shared by all processes. 0, -EINVAL (no good
 * chain or ticket key; the key pair itself is tried only by the first handshake), -ENOMEM. */
[[nodiscard]] int tls_context_new(struct tls_context **out, struct str chain, tls_sign_fn *sign,
                                  void *sign_context, struct str ticket_key);
void tls_context_ticket_key(struct tls_context *t, struct str key); /* rotated */
void tls_context_hold(struct tls_context *t);
void tls_context_drop(struct tls_context **t); /* freed when the last connection using it is gone */
