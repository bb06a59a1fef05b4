/* Copy and server brought together. `sync.db` beside the account holds what both sides last agreed on: for each mailbox its name at the server,
 * UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ; for each letter (uid there, uid here, letter here, flags). What differs from it here was changed here,
 * what differs there was changed there; both: flags are merged bit by bit, a letter removed on one side and only marked on the other goes.
 *
 *   letter here without a row           it goes there by APPEND, or by UID MOVE or COPY if that letter has a row elsewhere
 *   row without a letter here           removed there (or moved, see above)
 *   row without a letter there          removed here
 *   UIDVALIDITY is another              the rows are found anew by Message-ID, size and date; nothing is fetched twice that is there
 *
 * A letter is fetched into a stage and filed with its row in an order such that a kill at any moment loses nothing and doubles nothing
 * (sync_STATES in sync.c). Nothing is removed at the server that was not first safe here (synced), nothing here because a server lost all it
 * had: more than half of a mailbox of 20 or more gone at once, with the same UIDVALIDITY, is asked about first.
 *
 * POP3: letters not yet known by their UIDL come into INBOX; keep mode leaves them; delete mode removes them after they are synced. */
#pragma once
#include "cli/mail/copy.h"

enum sync_state {
        SYNC_OFF,
        SYNC_CONNECTING,
        SYNC_WORKING,
        SYNC_LIVE /* IDLE */,
        SYNC_WAITING /* for the next try */
};
struct sync_says {
        void (*state)(void *context, enum sync_state s,
                      const char *words); /* "hill.com: INBOX 1,200 of 8,000" */
        void (*arrived)(void *context, struct str mailbox,
                        unsigned letters);                /* new at the server since the last time */
        bool (*ask)(void *context, const char *question); /* NULL: no */
        void *context;
};
struct sync_result {
        unsigned fetched, sent, flags_here, flags_there, removed_here, removed_there, moved, mailboxes;
        uint64_t octets;
};
/* Once, all mailboxes (or those named). 0, or *why. */
[[nodiscard]] int sync_once(struct copy *c, struct login *l, const struct str *only, size_t n,
                            const struct sync_says *says, struct sync_result *result, struct buf *why);
/* In the background until sync_stop: now, on every change here, on every news there (IDLE), again after a failure (from 5 s, doubling to 5
 * minutes, with jitter). */
struct sync;
[[nodiscard]] int sync_start(struct sync **out, struct copy *c, struct login *l,
                             const struct sync_says *says);
void sync_now(struct sync *s);
void sync_stop(struct sync **s); /* waits */
