/* An account: `mail/NAME/` with `account.db` and `bodies/`, all there is of a person's mail. To back up, move or
 * delete a person is to handle that folder. The words (ARCHITECTURE.md):
 *
 *   letter     never changes: id, thread, body, size, received, envelope, MIME structure (mail/mime.h, packed)
 *   placement  a letter in a mailbox: uid, flags, modseq, saved. Lies packed, 126 to a page row, in uid order
 *   gone       (mailbox, uid, letter, modseq) of a removed placement, kept 30 days
 *   filed      (segment, sequence, number) of the intake's actions filed here and not yet forgotten by the log
 *
 * struct accounts is a process's set of open accounts: at most settings.max_open_accounts, least recently used
 * closed. account_get shares; everything here that takes an account waits (SQLite on a worker thread) and works
 * outside fibers too. Only the process that account_home names files into it; all may read and write otherwise.
 *
 * Durability: account_file is NORMAL (the log stands behind it), the rest syncs before it returns unless it says
 * otherwise. -ENOENT no such account/mailbox/letter, -EBADMSG the file is damaged, else see store/db.h. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"

struct accounts;
struct account;

#define INBOX S("INBOX")

enum { /* flags of a placement; keywords take the bits from 8 up, their names in the table `keyword` */
       FLAG_SEEN = 1,
       FLAG_ANSWERED = 2,
       FLAG_FLAGGED = 4,
       FLAG_DELETED = 8,
       FLAG_DRAFT = 16,
};

/* A placement, exactly as it lies in a page (little-endian machine assumed and asserted at build). letter 0: gone. */
struct placed {
        uint32_t uid;
        uint32_t letter;
        uint64_t modseq;
        uint32_t size;  /* octets of the letter */
        uint32_t saved; /* seconds since 1970 */
        uint64_t flags;
};

int accounts_open(struct accounts **out, int mail_dir /* descriptor of D/mail, taken */, long max_open);
void accounts_close(struct accounts **a); /* settles and closes cleanly all; waits */
[[nodiscard]] int account_get(struct accounts *a, struct str name,
                              struct account **out); /* -ENOENT: no folder */
void account_put(struct account **a);
[[nodiscard]] int account_create(struct accounts *a,
                                 struct str name); /* folder, file, mailboxes; synced; -EEXIST */
struct str account_name(const struct account *a);
unsigned account_home(struct str name,
                      unsigned processes); /* which mail process files into it (stable hash) */

/* A letter to be filed. The bytes: either `text` (in memory) or, over 64 KB, a staged body (store/body.h). */
struct filing {
        uint64_t segment, sequence; /* the action's id in the log; segment 0: none (import, APPEND) */
        uint32_t number;
        struct str mailbox; /* by name; unknown: INBOX */
        uint64_t flags;
        int64_t received;    /* wall usec */
        struct str envelope; /* packed, mail/envelope.h; may be empty */
        struct str text;     /* the letter, when it lies in memory */
        int staged_dir;      /* -1, or where the staged body file lies */
        const char *staged_name;
        /* out */
        uint32_t uid, letter;
        uint64_t size;  /* of the text */
        bool duplicate; /* was filed before: nothing done */
        int error;      /* this one only: 0, or -errno (others in the batch go on) */
};
/* One transaction for the whole batch, of at most 512. 0: each says its own error; else nothing of it was filed. */
[[nodiscard]] int account_file(struct account *a, struct filing *list, size_t n);
/* The same, synced before it returns: for what the log does not hold. */
[[nodiscard]] int account_file_synced(struct account *a, struct filing *list, size_t n);

/* A mailbox as it stands now. */
struct mailbox_view {
        uint32_t mailbox, uidvalidity, uidnext;
        uint64_t modseq; /* the account's */
        uint32_t count;  /* letters */
        uint64_t octets; /* of all letters */
};
[[nodiscard]] int account_view(struct account *a, struct str mailbox, struct mailbox_view *out);
/* What stood in the mailbox when `view` was taken: what is there now below its uidnext, and, with letter = 0, what
 * has gone since its modseq; in uid order. *list is malloc'ed by account_list and freed with account_list_free.
 * -ESTALE: gone is no longer complete or the numbers have jumped. */
[[nodiscard]] int account_list(struct account *a, const struct mailbox_view *view, struct placed **list,
                               size_t *n);
void account_list_free(struct placed **list);
/* Appends the bytes of letters[0..n) to out one after another, ends[i] = out->n after each, until all are read or
 * out would pass `enough` bytes (but at least one, if it fits out's maximum). *done = how many. What goes wrong with
 * a later one ends the list before it; with the first one it is the result: -ENOENT: letters[0] is gone. -EFBIG: it
 * does not fit out: read it with letter_read. One worker call. */
[[nodiscard]] int account_read(struct account *a, const uint32_t *letters, size_t n, size_t enough,
                               struct buf *out, size_t *ends, size_t *done);
/* Appends bytes [from, from+n) of one letter, as many as there are. */
[[nodiscard]] int letter_read(struct account *a, uint32_t letter, uint64_t from, size_t n, struct buf *out);
[[nodiscard]] int letter_facts(struct account *a, uint32_t letter, struct buf *mime /* packed */,
                               struct buf *envelope);
/* Removes these placements (uids ascending; those already gone are skipped), all or none, synced. */
[[nodiscard]] int account_expunge(struct account *a, const struct mailbox_view *view, const uint32_t *uids,
                                  size_t n);

/* How full: octets of all letters (each counted once). */
[[nodiscard]] int account_usage(struct account *a, uint64_t *octets, uint64_t *letters);
/* What counts against its quota: these octets, and with the setting shared-quota those of its files. */
[[nodiscard]] int account_taken(struct account *a, uint64_t *octets);
/* Shared quotas: the octets of an account's letters are told there after every change and whenever an account is opened, and its files' are
 * read from there. NULL (as it begins): neither. */
struct usage;
void accounts_usage(struct accounts *a, struct usage *usage);

/* Settling: make all that was filed survive a power cut. */
[[nodiscard]] int account_settle(struct account *a);
/* Many at once: commits nothing in each but uses one syncfs on the mail folder; marks all open accounts settled. */
[[nodiscard]] int accounts_settle_all(struct accounts *a);
/* Which segments still lie in intake/? Rows of `filed` whose segment is not among them are dropped, now and then. */
/* Called on worker threads. It must say true until the removal of the segment's file is durable. */
typedef bool segment_exists_fn(void *context, uint64_t segment);
void accounts_segments(struct accounts *a, segment_exists_fn *exists, void *context);
/* Checkpoints the WALs that have grown, and drops the rows and bodies of letters that an expunge has left; for the
 * settler, in the background. */
void accounts_checkpoint(struct accounts *a);
/* Closes what nobody has used for so long: an open account costs some 155 KB, a closed one nothing. */
void accounts_close_unused(struct accounts *a, nsec for_so_long);

/* Called on the loop after a transaction that changed something in an account, whoever in this process asked for it: the
 * bell. Must not wait. */
void accounts_on_change(struct accounts *a, void (*changed)(void *context, struct str account),
                        void *context);

/* pail check: says in words what is wrong, one line each, appended to *out. *wrong counts. */
[[nodiscard]] int account_check(struct account *a, struct buf *out, unsigned *wrong);
