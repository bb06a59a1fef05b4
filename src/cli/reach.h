/* A host that a person named: found by the system's own way (/etc/hosts and all), connected to by the first of its addresses that answers. In a
 * fiber; waits. */
#pragma once
#include "net/conn.h"

/* 0; -EHOSTUNREACH: no such host, -EAGAIN: not to be found just now, or of the last address tried; *why: a sentence. host may be an address. */
[[nodiscard]] int reach(const char *host, unsigned port, nsec patience, struct conn **out, struct buf *why);
