/* The client's end of a connection for the dialog runner: lines in, bytes out, TLS or not. Everything waits at most
 * WIRE_PATIENCE; while it sends it goes on reading, so that neither side can block the other for ever. */
#pragma once
#include "base/buf.h"
#include "base/time.h"
#include <gnutls/gnutls.h>

#ifndef WIRE_PATIENCE
#define WIRE_PATIENCE (60 * SECOND)
#endif

struct wire {
        int fd; /* -1: closed */
        gnutls_session_t tls;
        struct buf in;
        size_t at; /* read up to here */
        bool ended;
        bool broken; /* ended otherwise than by the peer's close (with TLS: its close_notify) */
};
enum wire_got { WIRE_LINE, WIRE_END, WIRE_SILENCE };

bool wire_dial(struct wire *w, const char *address, unsigned port, struct buf *why);
/* A socket bound to this numeric address and port (0: any), which others may share; -1. */
int wire_bound(const char *address, unsigned port);
/* The same from such a socket, which it takes; -1: from anywhere. */
bool wire_dial_from(struct wire *w, int fd, const char *address, unsigned port, struct buf *why);
void wire_take(struct wire *w, int fd); /* a connection that was accepted */
/* The server's certificate must come from the authority in `ca`. resume: the connection whose session is resumed, or NULL. */
bool wire_tls(struct wire *w, const char *ca, struct wire *resume, struct buf *why);
bool wire_resumed(const struct wire *w);
bool wire_send(struct wire *w, struct str bytes, struct buf *why); /* a peer that has gone is no error here */
/* The next line without its CRLF, until the next call; without CR, the LF alone is shown as "\n" at its end. */
enum wire_got wire_line(struct wire *w, struct str *line);
/* The next n bytes, fewer if the end comes before them; until the next call. */
enum wire_got wire_bytes(struct wire *w, size_t n, struct str *bytes);
bool wire_has_more(struct wire *w); /* is a line there that nobody asked for? Does not wait. */
/* tls-exporter or tls-unique, for SCRAM-PLUS; false: none */
bool wire_binding(struct wire *w, bool exporter, struct buf *out);
bool wire_leave_tls(struct wire *w, struct buf *why); /* CCC: what is said from now on is in clear */
void wire_close(struct wire *w);
void wire_cut(struct wire *w); /* without close_notify; without TLS by a reset */
