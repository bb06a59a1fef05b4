/* Listening sockets inside a role: accepts on the loop, out of descriptors it pauses and says so once. */
#pragma once
#include "net/conn.h"

struct listener;
struct listener *listener_new(int fd, void (*accepted)(struct conn *c, void *context),
                              void *context); /* takes fd */
void listener_stop(struct listener *l);       /* no more accepts, for shutdown */
void listener_free(struct listener **l);
/* Bind and listen, for the supervisor. Says what is wrong in errno. */
int listen_on(struct addr a, bool reuse_port, int backlog);
/* Bound, neither connected nor listening: FTP's data connections. Many at once may leave from one port, to different peers, and one that
 * was used a moment ago is had again; where somebody listens it is refused. -errno. */
int listen_bound(struct addr a);
/* Is somebody else listening there? Without SO_REUSEPORT, so that another pail is seen too. 0 free, -errno. */
int listen_probe(struct addr a);
