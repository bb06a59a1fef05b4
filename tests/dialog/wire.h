/* The client's end of a connection for the dialog runner: lines in, bytes out, TLS or not. Everything waits at most
 * WIRE_PATIENCE; while it sends it goes on reading, so that neither side can block the other for ever. */
#pragma once
#include "base/buf.h"
#include "base/time.h"
#include <gnutls/gnutls.h>

#define WIRE_PATIENCE (60 * SECOND)

struct wire {
        int fd; /* -1: closed */
        gnutls_session_t tls;
        struct buf in;
        size_t at; /* read up to here */
        bool ended;
};
enum wire_got { WIRE_LINE, WIRE_END, WIRE_SILENCE };

bool wire_dial(struct wire *w, const char *address, unsigned port, struct buf *why);
/* The server's certificate must come from the authority in `ca`. */
bool wire_tls(struct wire *w, const char *ca, struct buf *why);
bool wire_send(struct wire *w, struct str bytes, struct buf *why); /* a peer that has gone is no error here */
/* The next line without its CRLF, until the next call; without CR, the LF alone is shown as "\n" at its end. */
enum wire_got wire_line(struct wire *w, struct str *line);
bool wire_has_more(struct wire *w); /* is a line there that nobody asked for? Does not wait. */
/* tls-exporter or tls-unique, for SCRAM-PLUS; false: none */
bool wire_binding(struct wire *w, bool exporter, struct buf *out);
void wire_close(struct wire *w);
