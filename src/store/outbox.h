/* The outbox in its first form: letters that must leave this host wait here, each with its recipients and the reason,
 * until sending exists. `outbox/outbox.db` and `outbox/bodies/`; handed over from intake exactly once (table `filed`,
 * as in an account). Several processes may have it open. All calls wait and work outside fibers. */
#pragma once
#include "base/arena.h"
#include "mail/envelope.h"

struct outbox;
/* Makes what is not there yet; removes bodies that a crash left without their letter. dir is taken, also on failure. */
[[nodiscard]] int outbox_open(struct outbox **out, int dir /* descriptor of D/outbox */);
void outbox_close(struct outbox **o);
/* Which segments may still be replayed? Rows of `filed` of others are dropped when it settles. */
void outbox_segments(struct outbox *o, bool (*exists)(void *context, uint64_t segment), void *context);

struct outbox_put {
        uint64_t segment, sequence; /* 0: none */
        const struct envelope *envelope;
        const struct action *const *actions; /* its ACTION_SEND and ACTION_REPLY actions */
        unsigned count;
        struct str text; /* or: */
        int staged_dir;
        const char *staged_name;
        int error; /* out */
};
/* One transaction for the whole list, not synced: the log stands behind it until outbox_settle. 0: each says its own
 * error; else nothing of it was put. What (segment, sequence) was put before is done. */
[[nodiscard]] int outbox_put(struct outbox *o, struct outbox_put *list, size_t n);
[[nodiscard]] int outbox_settle(
    struct outbox *o); /* all that was put, by any process, survives a power cut */

struct outbox_letter {
        uint64_t id;
        struct str sender, recipients; /* recipients: "addr (reason)" one a line */
        uint64_t size;
        int64_t received;
        unsigned waiting; /* recipients */
};
[[nodiscard]] int outbox_list(struct outbox *o, struct arena *a, struct outbox_letter **list, size_t *n);
[[nodiscard]] int outbox_show(struct outbox *o, uint64_t id, struct arena *a, struct outbox_letter *letter,
                              struct buf *text);
[[nodiscard]] int outbox_remove(struct outbox *o, uint64_t id); /* synced; -ENOENT */
[[nodiscard]] int outbox_check(struct outbox *o, struct buf *out, unsigned *wrong);
