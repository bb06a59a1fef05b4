/* What leaves, when, and by which connection: the sender's engine. One a process, one process of all.
 *
 *      outbox_due -> a *lane* for each destination with something to do -> its carriers, a fiber and a connection each
 *                      -> outbox_take -> smtp_client_send -> outbox_done -> the next letter on that connection
 *
 * A lane begins with one carrier; each letter that goes well lets one more begin, up to the setting, and a failure halves them. A connection
 * without work is kept for some seconds for what comes. A destination that cannot be reached at all rests (outbox_rest), longer each time, and is then
 * tried by one carrier: a peer that is down sees one probe, and its million letters cost one row.
 *
 * What a letter's answer means: 2xx sent; 5xx failed, with a report to its sender where NOTIFY wants one (mail/report.h); 4xx and what broke: again
 * later, 5 minutes first, half as long again each time up to 4 hours, each time a little by chance; after max-queue-time failed. After
 * delay-notice-after its sender is told once. No report for a report: a letter from <> that fails is noted and dropped.
 *
 * dispatch.c   the engine: due, lanes, overdue      carrier.c   a connection's life: where to, dial, TLS policy, letters
 * carrier_tls.c  DANE, MTA-STS, or whatever comes   sts.c       MTA-STS policies (RFC 8461), fetched and kept
 * verdict.c    outcome, time of the next attempt, reports      route.c   the setting `routes` */
#pragma once
#include "net/conn.h"
#include "net/dns.h"
#include "settings.h"
#include "store/directory.h"
#include "store/history.h"
#include "store/outbox.h"

struct dispatch;
struct dispatch_how {
        const struct settings *settings; /* may be another after SIGHUP: dispatch_settings */
        struct outbox *outbox;
        struct dns *dns;
        struct directory *directory; /* which domains are ours */
        struct history *history;     /* NULL: none */
        const char *relay_passwords; /* lines: HOST USER PASSWORD */
        struct taps *taps;           /* proto/tap.h: who watches; NULL: nobody can */
        /* A connection to our own SMTP server, for letters to domains of ours. Waits. */
        int (*self)(void *context, struct conn **out);
        void *context;
};
[[nodiscard]] int dispatch_start(struct dispatch **out, const struct dispatch_how *how);
void dispatch_settings(struct dispatch *d, const struct settings *s);
void dispatch_bell(struct dispatch *d);    /* something was put: look */
void dispatch_ordered(struct dispatch *d); /* a verb gave an order: look, also for what shall be bounced */
/* ATRN: this connection takes these domains' letters (by space), held ones too, as a client of ours that was turned round; takes conn.
 * Waits until it is done. */
void dispatch_turned(struct dispatch *d, struct conn *c, struct str domains);
void dispatch_stop(struct dispatch **d); /* carriers finish their letter; waits */
void dispatch_dump(const struct dispatch *d, int fd);
