/* What conn_tls.c needs of a context. */
#pragma once
#include "net/tls.h"

#include <gnutls/gnutls.h>

extern const char tls_priorities[];
enum { TICKET_KEY = 64 };

/* A server's session, with credentials and tickets; holds the context. NULL: out of memory. own_key: of the tickets, instead of the one that
 * all connections share. */
gnutls_session_t tls_context_session(struct tls_context *t, const uint8_t *own_key);
/* The same for a data connection: it resumes sessions with tickets of own_key, or none (NULL), and sends no tickets (TLS 1.3): who only
 * uploads never reads them, and his end of the connection would be a reset that eats the last bytes. */
gnutls_session_t tls_context_data_session(struct tls_context *t, const uint8_t *own_key);
/* A client's session and the authorities it trusts: 0, -ENOMEM, -ENOENT (no ca_file). Both belong to the caller, also if it fails. */
int tls_client_session(const char *host, const char *ca_file, gnutls_session_t *s,
                       gnutls_certificate_credentials_t *trust);
