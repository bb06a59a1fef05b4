/* Passive ports (FTP's PASV and EPSV): a range shared by all clients of a process. A *lease* says: the next connection from this client
 * address to this local address and port is yours. (client, local, port) is unique among the outstanding ones, so sessions of one
 * household never mix, and nobody else can take a connection: one that no lease waits for is closed at once.
 *
 * Listeners are bound when first needed, by a function given here (the supervisor's one request), and stay; a few of a local address are used
 * in turn, more only when one client's leases ask for them. A lease without a connection is a row in a table: ten thousand cost nothing. */
#pragma once
#include "base/time.h"
#include "net/addr.h"

/* A socket bound to this address and port, not yet listening; -errno. Waits. */
typedef int passive_bind_fn(void *context, struct addr local);
struct passive;
/* Ports low + offset, low + offset + step, ... up to high are this process's. */
struct passive *passive_new(unsigned low, unsigned high, unsigned offset, unsigned step,
                            passive_bind_fn *bind, void *context);
void passive_free(struct passive **p);

struct lease;
/* any_client: whoever comes first (the setting foreign-data). -EBUSY: this client has all ports outstanding; -errno of bind. Waits if a
 * listener has to be made. */
[[nodiscard]] int lease_take(struct passive *p, struct addr local, struct addr client, bool any_client,
                             struct lease **out);
void lease_end(struct lease **l); /* also closes a connection that came and was not taken */
uint16_t lease_port(const struct lease *l);
/* The connection: *fd is the caller's, non-blocking. One a lease. 0, -ETIMEDOUT, -ECANCELED. */
[[nodiscard]] int lease_accept(struct lease *l, nsec deadline, int *fd);
void lease_cancel(struct lease *l);               /* from another fiber: lease_accept gives -ECANCELED */
unsigned passive_leases(const struct passive *p); /* outstanding */
