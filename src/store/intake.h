/* Intake: accepted means durable, once for all who wait.
 *
 * Every accepted message is appended to a segment in intake/; a thread of its own writes what has gathered and calls
 * fdatasync once for all; then each waiting session says 250. What the record says is then carried out (filed in
 * accounts, handed to the outbox), and when all that a segment holds would survive a power cut without it, the
 * segment is removed. STATES.md is the table of states on disk and what each guarantees.
 *
 *      struct incoming *in;
 *      rc = intake_begin(intake, &in);                 // -ENOSPC: 452; memory for the text is taken when it comes
 *      rc = incoming_put(in, trace_fields); ... incoming_put(in, piece);       // over 64 KB: a staged body file
 *      rc = incoming_commit(in, &envelope, &id);       // waits for the flush; 0: it will be delivered
 *      incoming_free(&in);                             // always; not committed: nothing is left of it
 *
 * commit errors: -EIO and the like: 451, and no replay will ever deliver it.
 *
 * One intake a process. Several mail processes share the folder: a writer holds an OFD lock on its segment; at start
 * and after a death whoever gets the lock of a segment replays it. The actions of an account are filed by its home
 * process: others tell it where the record lies (intake_hooks.tell) and hear when it is done. */
#pragma once
#include "mail/envelope.h"
#include "store/account.h"
#include "store/outbox.h"

struct intake;
struct incoming;

#define INTAKE_ASIDE (1u << 31)
struct intake_place {
        uint64_t segment, sequence;
        uint64_t offset;
        uint32_t length;
        uint32_t number; /* of the action; when it is done, with INTAKE_ASIDE if it lies in unfiled/ now */
        uint32_t owner;  /* the process whose segment it is */
};
struct intake_hooks {
        unsigned self, processes;
        /* Tell process `to`: file this action (a place in the segment); or: this action is done. Must not wait. 0 or -errno
         * (then it is told again when intake_peer_new comes, or at the next retry). */
        int (*tell_file)(void *context, unsigned to, const struct intake_place *place);
        int (*tell_done)(void *context, unsigned to, const struct intake_place *place);
        void (*filed)(void *context, struct str account); /* a letter is there: ring the bell */
        /* One letter's: filed, or (why) set aside in unfiled/. letter: its envelope's `session`. For the history; must not wait. */
        void (*noted)(void *context, struct str letter, struct str account, struct str mailbox,
                      const char *why);
        void *context;
};
struct intake_limits {
        uint64_t segment_size, max_log_size, disk_reserve;
        unsigned settle_after; /* seconds */
        unsigned
            unfile_after_ms; /* a letter that cannot be filed for so long goes to unfiled/; 0: a minute */
};

/* dir: descriptor of D/intake, taken, also when it fails. Where a loop exists, it starts the flusher thread, and filing
 * goes on by itself; without a loop (verbs, unit tests) commit flushes inline and intake_drain does the rest. Waits. */
[[nodiscard]] int intake_open(struct intake **out, int dir, struct accounts *accounts, struct outbox *outbox,
                              const struct intake_limits *limits, const struct intake_hooks *hooks);
/* Replays every segment that nobody holds: at start, and when a peer has died. Returns when its actions are queued. */
int intake_replay(struct intake *i);
void intake_file_for_peer(struct intake *i, const struct intake_place *place); /* a peer told us: file it */
void intake_done_by_peer(struct intake *i, const struct intake_place *place);  /* a peer told us: done */
void intake_peer_new(struct intake *i, unsigned peer); /* a peer was restarted: tell it again what is open */
/* All filed and settled, segments removed. For shutdown (deadline) and tests. 0 or -ETIMEDOUT. */
int intake_drain(struct intake *i, nsec deadline);
void intake_close(struct intake **i); /* before the accounts and the outbox, which it uses to the end */

/* Is there room for letters, above the disk's reserve and below the log's limit? Also for those that do not pass through
 * the log (APPEND). Measured once a second at most; then it waits. */
bool intake_has_room(struct intake *i);
[[nodiscard]] int intake_begin(struct intake *i, struct incoming **out); /* -ENOSPC: log or disk too full */
[[nodiscard]] int incoming_put(struct incoming *in, struct str piece);   /* may wait; errors stick */
/* Waits, also in a cancelled fiber: its answer is always true. e->size is not looked at: the log counts itself. *id is
 * for people (log, reply), unique enough for them. */
[[nodiscard]] int incoming_commit(struct incoming *in, const struct envelope *e, uint64_t *id);
void incoming_free(struct incoming **in);
uint64_t incoming_size(const struct incoming *in);

/* Letters that could not be carried out lie in intake/unfiled; dir is a descriptor of D/intake, kept by the caller.
 * For the verbs, beside a running server. */
struct intake_unfiled {
        struct str name;    /* of its file, what intake_unfiled_remove wants */
        struct str account; /* empty: the outbox's */
        struct str sender, recipient, reason;
        uint64_t size;
        int64_t received, since; /* wall clock, microseconds */
};
[[nodiscard]] int intake_unfiled_list(int dir, struct arena *a, struct intake_unfiled **list, size_t *n);
[[nodiscard]] int intake_unfiled_remove(int dir, struct str name); /* synced; -ENOENT */
/* pail check: appends one line for each thing that is wrong in the folder. Beside a running server too. */
[[nodiscard]] int intake_check(int dir, struct buf *out, unsigned *wrong);

struct intake_numbers {
        uint64_t accepted, flushes, filed, unfiled, segments, log_bytes;
};
void intake_numbers(struct intake *i, struct intake_numbers *out);
