/* What conn_tls.c needs of a context. */
#pragma once
#include "net/tls.h"

#include <gnutls/gnutls.h>

extern const char tls_priorities[];
enum { TICKET_KEY = 64 };

/* What makes the sessions of a control connection its own: data connections resume these and no others. */
enum { TLS_MASTER = 48 };
struct tls_own {
        uint8_t key[TICKET_KEY];    /* of its tickets */
        uint8_t master[TLS_MASTER]; /* TLS 1.2 */
        bool has_master;
        uint8_t id[32], *session; /* TLS 1.2 without tickets; heap */
        size_t id_n, session_n;
};
struct tls_own *tls_own_new(void);
void tls_own_free(struct tls_own **o);
int tls_own_attach(struct tls_own *o, gnutls_session_t s, bool control); /* GnuTLS's result */
void tls_own_learn(struct tls_own *o, gnutls_session_t s); /* after the control connection's handshake */
bool tls_own_resumed(const struct tls_own *o,
                     gnutls_session_t s); /* did a data connection resume that one? */

/* A server's session, with credentials and tickets; holds the context. NULL: out of memory. own: NULL: with the tickets that all connections
 * share. */
gnutls_session_t tls_context_session(struct tls_context *t, struct tls_own *own);
/* The same for a data connection: it resumes sessions of its control connection, or none (NULL), and sends no tickets (TLS 1.3): who only
 * uploads never reads them, and his end of the connection would be a reset that eats the last bytes. */
gnutls_session_t tls_context_data_session(struct tls_context *t, struct tls_own *own);
/* A client's session and the authorities it trusts: 0, -ENOMEM, -ENOENT (no ca_file). Both belong to the caller, also if it fails. */
int tls_client_session(const char *host, const char *ca_file, gnutls_session_t *s,
                       gnutls_certificate_credentials_t *trust);
