/* What the files of the engine share. */
#pragma once
#include "net/mx.h"
#include "proto/smtp/client.h"
#include "proto/smtp/dispatch.h"
#include "proto/smtp/route.h"
#include "run/fiber.h"

struct sts;
struct lane {
        struct lane *next;
        struct dispatch *dispatch;
        uint64_t destination;
        char *name;
        unsigned carriers, limit; /* at work; how many may be */
        uint32_t failures;        /* of the host as a whole, in a row */
        bool drained;             /* nothing is left but what is under way */
        bool turned;              /* its letters go by a client's connection: no carrier of ours begins */
        struct fiber_lock taking;
        struct outbox_job jobs[32]; /* taken, not yet at a carrier's */
        size_t first, count;
};

/* What is known of hosts' addresses; the older of two that fall together gives way. */
struct host_state {
        struct addr at;
        nsec down_until;  /* it did not answer */
        nsec clear_until; /* TLS fails there: in clear, where that is allowed */
        unsigned open;    /* connections */
};
enum { HOSTS = 1024 };

/* Connections without work, kept for whoever goes the same way. */
struct idle {
        struct smtp_client *client;
        char *way; /* "host:port trust" */
        nsec until;
        struct addr at;
};
enum { IDLES = 64 };

struct dispatch {
        struct dispatch_how how;
        struct lane *lanes;
        unsigned lane_count, carriers;
        struct waitlist news;
        bool again, stopping, looking, ordered;
        unsigned fibers; /* all of ours */
        struct host_state hosts[HOSTS];
        struct idle idles[IDLES];
        struct sts *sts;
};

/* ---- dispatch.c ---- */
/* The next letter of the lane, the caller's. false: none just now. Waits. */
bool lane_next(struct lane *l, struct outbox_job *out);
void lane_grows(struct lane *l);        /* a letter went well: another carrier may begin */
void lane_give_back(struct lane *l);    /* all that is taken and at no carrier's */
void lane_carrier_ends(struct lane *l); /* the last thing a carrier does */

/* ---- carrier.c ---- */
void carrier(void *lane); /* the fiber */
void carry_turned(struct lane *l,
                  struct smtp_client *c); /* until the lane has nothing more, or the connection ends */
struct host_state *host_state(struct dispatch *d, struct addr at);
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
};
enum found {
        WAY_FOUND,
        WAY_HELD,  /* by its route */
        WAY_NEVER, /* no such domain, null MX, MX is ourselves */
        WAY_LATER,
};
/* The ways to the lane's destination, best first. status and why for what is not WAY_FOUND. In the arena. */
enum found ways_find(struct lane *l, struct arena *a, struct way **list, unsigned *n, const char **status,
                     struct str *why);

/* ---- carrier_tls.c, ways.c ---- */
/* What TLS this MX host of that domain must have. 0; -EAGAIN: it cannot be known now; -EACCES: the domain's policy does not know the host. */
int way_policy(struct dispatch *d, struct str domain, const struct mx *mx, const struct mx_host *h,
               struct way *w, struct arena *a, struct str *why);

/* ---- sts.c ---- */
struct sts_policy {
        bool enforce, testing;
        struct str patterns; /* "mx.example.org *.example.net" */
};
/* The domain's policy, fetched if need be. false: none. Waits. */
bool sts_policy(struct dispatch *d, struct str domain, struct arena *a, struct sts_policy *out);
bool sts_allows(struct str patterns, struct str host);
void sts_free(struct sts **s);

/* ---- verdict.c ---- */
/* What the answers mean for the job, kept in the outbox; tried again until it is. */
void verdict(struct lane *l, struct outbox_job *j, const struct smtp_answer *answers, const char *peer,
             unsigned offers, struct str conversation);
/* The same answer for all of a job, in words of our own; held: by its route. */
void verdict_all(struct lane *l, struct outbox_job *j, const char *status, struct str text, bool held);
void verdict_overdue(struct dispatch *d, struct outbox_job *j, enum overdue what);
/* After so many failures: when to try again (wall usec). */
int64_t retry_at(const struct settings *s, unsigned failures);
