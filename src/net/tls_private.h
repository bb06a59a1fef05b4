/* What conn_tls.c needs of a context. */
#pragma once
#include "net/tls.h"

#include <gnutls/gnutls.h>

extern const char tls_priorities[];
/* A server's session, with credentials and tickets; holds the context. NULL: out of memory. */
gnutls_session_t tls_context_session(struct tls_context *t);
