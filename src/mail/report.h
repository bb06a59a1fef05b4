/* Delivery status notifications (RFC 3461, 3464, 6522; with UTF-8 6533): composed here, and read again when they come back for a list. Pure. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum report_action { REPORT_FAILED, REPORT_DELAYED, REPORT_DELIVERED, REPORT_RELAYED, REPORT_EXPANDED };
struct report_recipient {
        struct str final, original; /* original: ORCPT's "rfc822;a@b", or empty */
        enum report_action action;
        struct str status;     /* "5.1.1" */
        struct str diagnostic; /* the peer's words; empty: none */
        struct str remote;     /* the peer's name; empty: none */
        int64_t last, until;   /* attempt; DELAYED: how long it is tried */
};
struct report {
        struct str host; /* us: Reporting-MTA */
        struct str envid;
        int64_t arrived, now;
        struct str to; /* the sender of the letter: who gets this */
        const struct report_recipient *recipients;
        unsigned count;
        struct str
            letter; /* its text, or as much as there is; of it the header, or all (RET=FULL and at most 64 KB) */
        bool full, utf8;
        struct str message_id, boundary; /* made by the caller: unique */
};
void report_write(struct buf *out, const struct report *r);
/* NOTIFY of RCPT's parameters (RFC 3461 §4.1): which reports its sender wants. */
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8, NOTIFY_UNSAID = 16 };
unsigned notify_of(struct str parameters);
struct str parameter_of(struct str parameters,
                        struct str name); /* "ORCPT" -> "rfc822;a@b"; p NULL: not there */
/* In commands ENVID and ORCPT are xtext; in a report they are what it stands for (RFC 3461 §6.3). */
struct str report_plain(struct arena *a, struct str xtext);
/* The failed and delayed recipients that a report names. false: it is no report. At most 1000. */
struct report_read {
        struct str final;
        enum report_action action;
        struct str status;
};
[[nodiscard]] bool report_read(struct str text, struct arena *a, struct report_read **list, unsigned *n);
