/* The outbox: letters that must leave this host, a letter once, its recipients as rows. `outbox/outbox.db` (SQLite, WAL) and
 * `outbox/bodies/`; STATES.md says what a crash leaves. Mail processes put, the sender takes and says what became of it, verbs look and steer;
 * all may have it open at once. All calls wait and work outside fibers.
 *
 *      intake -> outbox_put      recipients QUEUED, each under a destination: where its domain's route leads
 *      sender -> outbox_due      destinations with something to do, the longest waiting first
 *             -> outbox_take     a letter and its recipients for one transaction with one host
 *             -> (SMTP)
 *             -> outbox_done     what the peer said to each; what failed for good becomes a report in the same commit
 *
 * A *destination* is what shares connections and back-off: a domain sent to directly, or a relay. The rows of a million letters for a host that
 * is down are not looked at while the destination rests: its one row says until when.
 *
 * Exactly once into the outbox (table `filed`, as in an account). Out of it: outbox_done is synced, many at once, before the next letter goes
 * over that connection; so a kill or a power cut doubles at most the letters under way, one a connection. What is taken is known to the sender's
 * process only: one outbox of all may take, and when it is opened anew nothing is taken. */
#pragma once
#include "base/arena.h"
#include "mail/envelope.h"

struct outbox;
/* Makes what is not there yet; migrates; removes bodies that a crash left without their letter. dir is taken, also on failure. */
[[nodiscard]] int outbox_open(struct outbox **out, int dir /* descriptor of D/outbox */);
void outbox_close(struct outbox **o);
/* Which segments may still be replayed? Rows of `filed` of others are dropped when it settles. */
void outbox_segments(struct outbox *o, bool (*exists)(void *context, uint64_t segment), void *context);

/* ---- in: intake ---- */
#define OUTBOX_RECEIPT (UINT64_C(1) << 62)
struct outbox_put {
        uint64_t segment,
            sequence; /* 0: none. What it is put once by; of a report on it: with OUTBOX_RECEIPT */
        const struct envelope *envelope;
        const struct action *const *actions; /* its ACTION_SEND and ACTION_REPLY actions */
        unsigned count;
        struct str text; /* or: */
        int staged_dir;
        const char *staged_name;
        int error; /* out */
};
/* One transaction for the whole list, not synced: the log stands behind it until outbox_settle. 0: each says its own error; else nothing of it
 * was put. What (segment, sequence) was put before is done. A recipient's destination is its domain; the sender's routes say what that means.
 */
[[nodiscard]] int outbox_put(struct outbox *o, struct outbox_put *list, size_t n);
[[nodiscard]] int outbox_settle(
    struct outbox *o); /* all that was put, by any process, survives a power cut */

/* Called on the fiber that has put something or given an order, when it is committed. */
void outbox_on_put(struct outbox *o, void (*put)(void *context), void *context);

/* ---- out: the sender, one process ---- */
enum recipient_state {
        RECIPIENT_QUEUED = 1, /* due at `next` */
        RECIPIENT_HELD,       /* by a verb or a route: until it is released */
        RECIPIENT_CONDEMNED,  /* by a verb: to be bounced */
};
/* At its start: when each destination has something to do is computed anew. */
[[nodiscard]] int outbox_begin(struct outbox *o);

struct outbox_destination {
        uint64_t id;
        struct str name;     /* domain, as A-labels, lower case; or "[192.0.2.1]" */
        int64_t rests_until; /* wall usec: nothing is tried before; 0: it may */
        uint32_t failures;   /* of the host as a whole, in a row */
        struct str reason;   /* why it rests, the peer's words */
};
/* Destinations that have something due at `now` (their own rest and their recipients' times considered), the longest waiting first, at
 * most n; *next: when to look again if nothing comes in (INT64_MAX: never). Costs as many rows as it gives. */
[[nodiscard]] int outbox_due(struct outbox *o, int64_t now, struct arena *a, struct outbox_destination *list,
                             size_t *n, int64_t *next);
/* The destination of that name; -ENOENT. */
[[nodiscard]] int outbox_destination(struct outbox *o, struct str name, struct arena *a,
                                     struct outbox_destination *out);
/* The host failed as a whole (no connection, 421, no DNS): it rests until then. Synced with the next outbox_done. until 0: it works again. */
[[nodiscard]] int outbox_rest(struct outbox *o, uint64_t destination, int64_t until, struct str reason);
/* It does not fail, but no connection is to be had just now: it is not due before then, so that those behind it are seen. */
[[nodiscard]] int outbox_later(struct outbox *o, uint64_t destination, int64_t until);

struct outbox_recipient {
        uint32_t number;
        struct str address, original, parameters, reason; /* as in struct action */
        struct str sender; /* in place of the letter's, where not empty: a list's, a forwarder's (SRS) */
        uint32_t attempts;
        struct str answer, peer; /* of the last attempt */
};
struct outbox_job {
        uint64_t letter, destination;
        struct envelope envelope; /* its actions are not unpacked: the recipients are here */
        uint64_t size;
        int64_t received, expires;
        struct outbox_recipient *recipients;
        unsigned count;
        struct str text;    /* up to 64 KB whole; longer: outbox_text */
        struct arena arena; /* holds all of it */
};
/* The longest due letters for that destination, at most n jobs of at most `most` recipients each (one sender a job). They are taken until
 * outbox_done or outbox_give_back. */
[[nodiscard]] int outbox_take(struct outbox *o, uint64_t destination, int64_t now, struct outbox_job *jobs,
                              size_t *n, unsigned most);
/* Whatever their destinations do: letters received before `before` of which the sender has to be told something, with those of their recipients
 * that are queued. */
enum overdue {
        OVERDUE_NOTICE,    /* no delay notice went out yet (then outcome NOTIFIED) */
        OVERDUE_EXPIRED,   /* given up (then FAILED) */
        OVERDUE_CONDEMNED, /* by a verb; `before` counts not */
};
[[nodiscard]] int outbox_overdue(struct outbox *o, enum overdue what, int64_t before, struct outbox_job *jobs,
                                 size_t *n);
[[nodiscard]] int outbox_give_back(struct outbox *o,
                                   const struct outbox_job *j); /* as if it had not been taken */
void outbox_job_free(struct outbox_job *j);
/* Bytes [at, at + n) of a long one are appended, as many as there are. */
[[nodiscard]] int outbox_text(struct outbox *o, uint64_t letter, uint64_t at, struct buf *out, size_t n);

enum outcome {
        SENT = 1, /* the peer has it: the row goes */
        FAILED,   /* for good */
        DEFERRED, /* again at `next` */
        HELD,     /* until a verb releases it */
        NOTIFIED, /* stays as it is; its letter's sender has been told of the delay */
};
struct outbox_result {
        uint32_t number;
        enum outcome outcome;
        int64_t next;
        struct str status; /* "5.1.1" */
        struct str answer; /* the peer's words, or ours */
        struct str peer;   /* "mx.example.org [192.0.2.1]"; empty: none was reached */
};
/* A letter to be sent that tells of it (mail/report.h): to the letter's sender. In the same commit. */
struct outbox_report {
        struct str recipient;
        struct str text;
        struct str letter; /* the session of the letter's envelope: the history is one */
};
/* As what a report is put: e and to point into it. */
void outbox_report_envelope(struct envelope *e, struct action *to, const struct outbox_report *r, int64_t at);
enum { OUTBOX_CONVERSATION_MOST = 16 * 1024 };
struct outbox_done {
        uint64_t letter, destination;
        const struct outbox_result *results;
        unsigned count;
        const struct outbox_report *reports;
        unsigned report_count;
        struct str
            conversation; /* transcript of the attempt, kept with the letter while it stays: the last 8 */
        int64_t at;
        int error; /* out */
};
/* Synced when it returns 0; callers at the same time share one transaction and one sync. On an error it stays taken: say it again. */
[[nodiscard]] int outbox_done(struct outbox *o, struct outbox_done *d);

/* ---- MTA-STS policies (RFC 8461), kept over a restart: until they expire ---- */
struct outbox_policy {
        struct str id, text; /* text: as it was fetched */
        int64_t expires;
};
[[nodiscard]] int outbox_policy_put(struct outbox *o, struct str domain, const struct outbox_policy *p);
/* -ENOENT: none that is still good. */
[[nodiscard]] int outbox_policy(struct outbox *o, struct str domain, struct arena *a,
                                struct outbox_policy *out);

/* ---- lists: what came back, counted for each member ---- */
[[nodiscard]] int outbox_bounced(struct outbox *o, struct str list, struct str member, int64_t at);
struct outbox_bounce {
        struct str member;
        uint64_t count;
        int64_t last;
};
[[nodiscard]] int outbox_bounces(struct outbox *o, struct str list, struct arena *a,
                                 struct outbox_bounce **rows, size_t *n);

/* ---- verbs ---- */
struct outbox_filter {
        struct str domain, sender, recipient, reason; /* substring of reason; empty: any */
        int64_t before;                               /* received; 0: any */
        enum recipient_state state;                   /* 0: any */
        uint64_t letter;                              /* 0: any */
};
struct outbox_letter {
        uint64_t id;
        struct str sender, recipients; /* recipients: "addr (state, attempts, next, reason)" one a line */
        uint64_t size;
        int64_t received, next;
        unsigned waiting; /* recipients */
};
/* Letters from `after` on, at most n: pages, so that a million are listed as they come. */
[[nodiscard]] int outbox_list(struct outbox *o, const struct outbox_filter *f, uint64_t after,
                              struct arena *a, struct outbox_letter *list, size_t *n);
struct outbox_attempt {
        int64_t at;
        struct str destination, peer, conversation;
};
[[nodiscard]] int outbox_show(struct outbox *o, uint64_t id, struct arena *a, struct outbox_letter *letter,
                              struct outbox_attempt **attempts, size_t *n, struct buf *text);
enum outbox_order {
        ORDER_RETRY,
        ORDER_HOLD,
        ORDER_RELEASE,
        ORDER_REMOVE,
        ORDER_BOUNCE /* the sender does it */
};
/* To all recipients the filter names; synced; *n: how many. In slices, so that a million rows stop nobody. */
[[nodiscard]] int outbox_order(struct outbox *o, enum outbox_order what, const struct outbox_filter *f,
                               uint64_t *n);
struct outbox_numbers {
        uint64_t letters, recipients, held, destinations;
        int64_t oldest;
};
[[nodiscard]] int outbox_numbers(struct outbox *o, struct outbox_numbers *n);
[[nodiscard]] int outbox_check(struct outbox *o, struct buf *out, unsigned *wrong);
