/* What the files of the engine share. */
#pragma once
#include "net/mx.h"
#include "proto/smtp/client.h"
#include "proto/smtp/dispatch.h"
#include "proto/smtp/route.h"
#include "proto/smtp/sts.h"
#include "run/fiber.h"

struct sts;
enum { LANE_JOBS = 32 };
struct lane {
        struct lane *next, *same_home;
        struct dispatch *dispatch;
        uint64_t destination;
        char *name;
        unsigned carriers, limit; /* at work; how many may be */
        unsigned
            connected; /* of the carriers, greetings done; until one is, there is no second: a peer that is down sees one probe */
        nsec pause_until;  /* no carrier begins before */
        nsec grows_at;     /* nor is the limit raised: the peer would not have one more */
        uint32_t failures; /* of the host as a whole, in a row */
        bool drained;      /* nothing is left but what is under way */
        bool turned;       /* its letters go by a client's connection: no carrier of ours begins */
        struct addr wants; /* a place there: it has as many connections as it may */
        nsec wants_since;  /* 0: it wants none */
        struct fiber_lock taking;
        struct outbox_job *jobs; /* taken, not yet at a carrier's; LANE_JOBS of them, or NULL: none yet */
        size_t first, count;
};

/* What is known of hosts' addresses and ports: a relay may have several servers; the oldest of some that fall together gives way, but none that has connections. */
struct host_state {
        struct addr at;
        nsec down_until;  /* it did not answer */
        nsec clear_until; /* TLS fails there: in clear, where that is allowed */
        nsec grows_at;
        unsigned open, limit; /* connections, of all lanes and the idle ones; how many may be */
        bool met;             /* the last one was greeted well; if not, there is one at a time */
};
enum { HOSTS = 4096, HOSTS_NEAR = 8, LIMIT_FIRST = 2 };

/* Connections without work, kept for whoever goes the same way. */
struct idle {
        struct smtp_client *client;
        char *way; /* all that its TLS and its password depend on */
        nsec until;
        struct addr at;
};
enum { IDLES = 64 };

/* A fiber that has to do with a peer, so that the end need not wait for one that is silent. */
struct work {
        struct work *next;
        struct fiber *fiber;
        bool sending; /* a letter is under way: it has some seconds to come to its end */
};

enum { LANE_HOMES = 1024 };
struct dispatch {
        struct dispatch_how how;
        struct lane *lanes, *homes[LANE_HOMES]; /* all, and by destination */
        unsigned lane_count, carriers;
        unsigned wanting; /* of the lanes: a place at a host that has none */
        struct waitlist news;
        bool again, stopping, looking, ordered;
        unsigned fibers; /* all of ours */
        bool sweeping;
        struct work *work;
        struct host_state hosts[HOSTS], nowhere;
        struct idle idles[IDLES];
        struct sts *sts;
};

/* ---- dispatch.c ---- */
/* The next letter of the lane, the caller's. false: none just now. Waits. */
bool lane_next(struct lane *l, struct outbox_job *out);
void lane_grows(struct lane *l);     /* a letter went well: another carrier may begin */
void lane_give_back(struct lane *l); /* all that is taken and at no carrier's */
/* One that was not sent after all: another carrier's, or due again. Freed. */
void lane_return(struct lane *l, struct outbox_job *j);
/* No connection can be made there now. It waits in a row; what is at hand stays, for its turn comes soon. false: the row is too long. */
#define FULL_FOR SECOND /* then a look of its own whether there is a place */
bool lane_wants(struct lane *l, struct addr at);
/* There is a place: a carrier begins for whoever has waited longest. */
void place_free(struct dispatch *d, struct addr at);
bool place_wanted(const struct dispatch *d, struct addr at);
void work_begins(struct dispatch *d, struct work *w);
void work_ends(struct dispatch *d, struct work *w);
void lane_carrier_ends(struct lane *l); /* the last thing a carrier does */

/* ---- carrier.c ---- */
#define GROWS_AFTER (60 * SECOND) /* a refusal */
void carrier(void *lane);         /* the fiber */
void carry_turned(struct lane *l,
                  struct smtp_client *c); /* until the lane has nothing more, or the connection ends */

/* ---- ways.c ---- */
/* Of a question to DNS, of connecting: in so many seconds, or in the setting's if those are fewer. */
nsec step_deadline(const struct dispatch *d, long seconds);

/* ---- hosts.c ---- */
bool host_same(struct addr a, struct addr b);
struct host_state *host_state(struct dispatch *d, struct addr at); /* not to be kept over a wait */
bool host_has_place(struct dispatch *d, struct addr at);
void host_opened(struct dispatch *d,
                 struct addr at); /* a connection; at of no family: to ourselves, not counted */
void host_closed(struct dispatch *d, struct addr at);
void host_met(struct dispatch *d, struct addr at, bool well); /* a new connection there works, or not */
void host_grows(struct dispatch *d,
                struct addr at); /* a letter went well: one more connection may be made there */
void host_shrinks(struct dispatch *d, struct addr at);
void idles_end_at(struct dispatch *d, struct addr at);
/* false: there is no room, the client stays the caller's. */
bool idle_keep(struct dispatch *d, struct smtp_client *client, const char *way, struct addr at);
struct smtp_client *idle_take(struct dispatch *d, const char *way,
                              struct addr *at);  /* NULL: none that lives */
void idles_end(struct dispatch *d, nsec before); /* those whose time is over; NEVER: all */

/* A way to a destination, found: where to connect and what TLS must be. */
struct way {
        struct route route;
        struct str name; /* of the host */
        struct addr addresses[MX_ADDRESSES_MOST];
        unsigned count;
        enum tls_need tls;
        struct tls_wanted want;
        struct str names[3];
        struct str policy; /* for the log: "dane", "mta-sts", "may", "relay" */
        bool
            certain; /* that it is this host's mail nobody could have forged: DNSSEC, MTA-STS or our own routes say so (RFC 8689 §4.2.1) */
};
enum found {
        WAY_FOUND,
        WAY_HELD,  /* by its route */
        WAY_NEVER, /* no such domain, null MX, MX is ourselves */
        WAY_LATER,
        WAY_FULL, /* its addresses have as many connections as they may */
};
/* The ways to the lane's destination, best first. status and why for what is not WAY_FOUND. In the arena. */
enum found ways_find(struct lane *l, struct arena *a, struct way **list, unsigned *n, const char **status,
                     struct str *why);

/* User and password for a relay; the strings live as long as the process. */
bool relay_password(const struct dispatch *d, struct str host, struct str *user, struct str *password);

/* ---- carrier_tls.c, ways.c ---- */
/* The setting's file, copied: settings may change while a connection is made. NULL: the system's. */
const char *way_authorities(const struct dispatch *d, struct arena *a);
/* What TLS this MX host of that domain must have. 0; -EAGAIN: it cannot be known now; -EACCES: the domain's policy does not know the host. */
int way_policy(struct dispatch *d, struct str domain, const struct mx *mx, const struct mx_host *h,
               struct way *w, struct arena *a, struct str *why);

/* ---- sts.c ---- */
/* The domain's policy, fetched if need be. false: none. Waits. */
bool sts_policy(struct dispatch *d, struct str domain, struct arena *a, struct sts_policy *out);
void sts_stop(struct sts *s); /* what is fetched just now need not come to its end; s may be NULL */
void sts_free(struct sts **s);

/* ---- verdict.c ---- */
/* What the answers mean for the job, kept in the outbox; tried again until it is. */
void verdict(struct lane *l, struct outbox_job *j, const struct smtp_answer *answers, const char *peer,
             unsigned offers, struct str conversation);
/* The destination rests: this letter was the probe. Only for the history: its recipients stay as they are. */
void verdict_rests(struct lane *l, const struct outbox_job *j, const char *status, struct str why);
/* The same answer for all of a job, in words of our own; held: by its route. */
void verdict_all(struct lane *l, struct outbox_job *j, const char *status, struct str text, bool held);
void verdict_overdue(struct dispatch *d, struct outbox_job *j, enum overdue what);
/* After so many failures: when to try again (wall usec). */
int64_t retry_at(const struct settings *s, unsigned failures);
