/* Copy and server brought together. `sync.db` beside the account holds what both sides last agreed on: for each mailbox its name at the server,
 * UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ; for each letter (uid there, uid here, letter, flags). What differs from it here was changed here, what
 * differs there was changed there; both: flags are merged bit by bit, and a letter removed on one side and marked on the other goes.
 *
 *   letter here without a row        it goes there by APPEND; by UID MOVE if it is the letter of a row elsewhere whose place here is empty
 *   letter there without a row       it is fetched
 *   ... and both at once             of one size and one Message-ID they are one letter: a row is made, nothing is transferred
 *   row without a letter here        removed there (or moved, see above)
 *   row without a letter there       removed here
 *   UIDVALIDITY is another           no row counts: all letters pair up as above
 *
 * So nothing has to be written down before a step is taken: a kill or a power cut at any moment leaves letters without rows, on one side or on
 * both, and the next time they go over or pair up. Letters that came and were moved or removed here before their rows were written are not fetched
 * for good again either: sync_inside.h has the states. Nothing is removed at the server that is not so here durably, and the other way. If more
 * than half of a mailbox of 20 letters or more has gone at once on one side, with its folder or without, a person is asked first; without one nothing is removed.
 *
 * Outbox stays here. Mailboxes made, renamed or removed here are so there, and the other way; one that still holds letters which are only on one
 * side is not removed there.
 *
 * A server that gives a uid again under the same UIDVALIDITY (RFC 9051 §2.3.1.1 forbids it): a row also holds size and INTERNALDATE; where they are
 * others the headers are compared, and what is another letter is fetched. The one that was here under that uid stays, and goes there again by APPEND:
 * it may come back, it is not lost. Two letters of one size and one second cannot be told apart. Where UIDNEXT or HIGHESTMODSEQ run backwards all
 * of a mailbox is looked at.
 *
 * POP3: letters whose UIDL is not known yet come into INBOX; keep mode leaves them, delete mode removes them once they are durable here. A server
 * that gives a UIDL again (RFC 1939 §7): a letter of another size, or of another header, is another letter and is fetched. Headers are read (TOP) of
 * 16 letters at each end of the list, and of all once one is another; before anything is removed at the server, of all that did not come in this
 * session, or they are fetched again where there is no TOP. In keep mode without TOP two letters of one UIDL and size cannot be told apart.
 *
 *      sync.c        once; in the background; the lock      sync_state.c   sync.db
 *      sync_imap.c   a pass: one folder after another       sync_folders.c folders on both sides
 *      sync_box.c    a mailbox: what has changed on both sides
 *      sync_fetch.c  letters that come and go               sync_pair.c    which letter is which
 *      sync_flags.c  flags                                  sync_move.c    moves between mailboxes
 *      sync_pop3.c   POP3                                   sync_pop3_know.c   which of its letters are known; sync_uidl.c: in sync.db */
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
