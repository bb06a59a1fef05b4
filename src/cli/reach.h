/* From a host's name to a connection, as a person names hosts: addresses, /etc/hosts and the system's resolvers. Waits; in a fiber. */
#pragma once
#include "net/conn.h"
#include "net/dial.h"

/* Its addresses with this port, at most DIAL_MOST. 0; -ENOENT: there is no such host; -EAGAIN; why: a sentence. */
[[nodiscard]] int reach_find(const char *host, unsigned port, struct addr to[static DIAL_MOST],
                             unsigned *count, struct buf *why);
/* And connected to the first that answers. 0; -errno, why: a sentence about each. */
[[nodiscard]] int reach(const char *host, unsigned port, nsec deadline, struct conn **out, struct buf *why);
