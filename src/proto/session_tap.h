/* Sessions' taps, while somebody watches (proto/tap.h). session.c calls these; the role calls sessions_tapped when server.taps says that it has
 * changed. */
#pragma once
#include "proto/session.h"

void sessions_tapped(struct server *server); /* taps into the connections of all, or out of them */
void session_tap_begin(struct session *s);   /* behind one branch: taps_on(server->taps) */
void session_tap_end(struct session *s);     /* s->tap may be NULL */
/* FTP's data connection: TAP_DATA. other: of family 0: not said. */
void session_tap_data(const struct session *s, const char *what, struct addr other, char from,
                      uint64_t octets);
