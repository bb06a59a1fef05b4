/* What happens to the letters of a mailbox after they were filed: flags, copies, moves, removal; and what has changed
 * since somebody last looked. Everything here takes an open access (access.h), checks the rights that its own line
 * names, waits, and is one transaction unless said otherwise.
 *
 * Flags a reader sees: \Seen of others' mailboxes is his own (table `seen`), the rest is common.
 *
 * Sets of uids are ranges, ascending, apart from each other; {1, UINT32_MAX} is all. */
#pragma once
#include "store/access.h"

struct uid_range {
        uint32_t first, last;
};
struct uid_list { /* on the heap; a struct of zeros is empty */
        struct uid_range *ranges;
        size_t n, room;
};
void uid_list_add(struct uid_list *l, uint32_t first, uint32_t last); /* ascending calls join what touches */
void uid_list_free(struct uid_list *l);
bool uid_list_has(const struct uid_list *l, uint32_t uid);
uint64_t uid_list_count(const struct uid_list *l);

struct placed_list { /* on the heap, in uid order */
        struct placed *list;
        size_t n, room;
};
void placed_list_free(struct placed_list *l);

/* A mailbox in numbers, as the reader sees it (STATUS, SELECT). RIGHT_READ, or RIGHT_LOOKUP for what STATUS tells. */
struct mailbox_status {
        struct mailbox_view view; /* view.modseq is the account's, highest the mailbox's own */
        uint64_t highest; /* HIGHESTMODSEQ: every change in the mailbox has a modseq up to this; at least 1 */
        uint32_t unseen, deleted, recent;
        uint32_t first_unseen; /* uid; 0: none; only if asked for */
        uint32_t recent_from;  /* \Recent: uid >= this */
        uint64_t deleted_octets;
};
[[nodiscard]] int change_status(struct access *x, bool first_unseen, struct mailbox_status *out);
/* All mailboxes of an account at once, by number: what says whether something has happened there. No rights are looked at;
 * `unseen` is the owner's. Waits. */
struct mailbox_numbers {
        uint32_t mailbox, uidnext, count, unseen;
        uint64_t highest;
};
[[nodiscard]] int change_numbers(struct account *a, struct arena *m, struct mailbox_numbers **list,
                                 size_t *n);
/* SELECT: as above, and what is \Recent is so for this session only from now on (not for EXAMINE: take = false). */
[[nodiscard]] int change_select(struct access *x, bool take_recent, struct mailbox_status *out);

/* The placements among `uids` with a modseq over `since` (0: all). RIGHT_READ. */
[[nodiscard]] int change_list(struct access *x, const struct uid_range *uids, size_t n, uint64_t since,
                              struct placed_list *out);
/* The uids that are there, and the first of them that is not \Seen for the reader (0: none; NULL: not asked): SELECT's. Some
 * 2 ms for 100,000 letters; nothing but counters is read where none has ever gone. RIGHT_READ. */
[[nodiscard]] int change_uids(struct access *x, struct uid_list *out, uint32_t *first_unseen);
/* All that happened since the reader knew the mailbox with this uidnext at this modseq: *changed: placements with a
 * newer modseq, new ones among them; *gone: uids below uidnext that were removed since (who knows no uidnext gives
 * UINT32_MAX). modseq: the account's (view.modseq) or the mailbox's (highest). Costs what has changed, not what is there. -ESTALE: too long ago (gone is kept 30 days) or the numbers have jumped: gone is not
 * filled, all of changed is: whoever asked must look at what is missing (RFC 7162 §3.2.5.1 lets us name all that are not
 * there: change_absent). RIGHT_READ. */
[[nodiscard]] int change_since(struct access *x, uint32_t uidnext, uint64_t modseq,
                               struct placed_list *changed, struct uid_list *gone,
                               struct mailbox_status *now);
/* Of `uids`, those below uidnext that are not there. */
[[nodiscard]] int change_absent(struct access *x, const struct uid_range *uids, size_t n,
                                struct uid_list *absent);
/* A number that changes with every commit to the account, whoever made it, in whatever process. Cheap, does not wait:
 * equal: nothing is new, change_since need not be asked. Take it before change_since is asked, not after: what is committed
 * in between must not be missed. While a transaction runs here it is a number that never was. */
uint64_t change_stamp(const struct access *x);

/* Keywords: an account's names of the flag bits from 8 up, at most 56. Sessions keep all of them, and FLAGS names them all. */
enum { KEYWORD_NAME_MOST = 100 };
struct keyword_list {
        struct str names[64]; /* by bit; empty: unused */
        uint64_t bits;        /* those in use */
};
/* Names live in the arena. Read once and kept by change_stamp. */
[[nodiscard]] int change_keywords(struct access *x, struct arena *a, struct keyword_list *out);
/* The bit of a name (any case), given one if it is new. RIGHT_WRITE or RIGHT_INSERT. -ENOSPC: 56 are in use; -E2BIG: too long. */
[[nodiscard]] int change_keyword(struct access *x, struct str name, unsigned *bit);

enum flags_how { FLAGS_SET, FLAGS_ADD, FLAGS_REMOVE };
struct flags_change {
        const struct uid_range *uids;
        size_t n;
        enum flags_how how;
        uint64_t flags;
        uint64_t
            unchanged_since; /* placements with a newer modseq are left alone and named; UINT64_MAX: none */
        struct placed_list
            changed; /* out: all that are as wished now, with their modseq (also if nothing had to change) */
        struct uid_list modified; /* out: those left alone */
        bool denied;              /* out: some bit could not be changed for lack of a right */
};
/* Survives kill -9 at once, a power cut when settled. \Seen needs RIGHT_SEEN, \Deleted RIGHT_DELETE, the others
 * RIGHT_WRITE; bits without their right are left as they are (RFC 4314 §4); if none of them may be changed: -EACCES. */
[[nodiscard]] int change_flags(struct access *x, struct flags_change *c);

struct copied {
        struct uid_list from, to; /* the i-th uid of one became the i-th of the other */
        uint32_t uidvalidity;     /* of the target */
};
void copied_free(struct copied *c);
/* COPY: a placement more of each letter; between accounts the body is linked and the letter filed there. Flags and
 * keywords go along (as far as the rights there allow), saved is now. RIGHT_READ here, RIGHT_INSERT there. Synced; all or
 * none. room: how many octets the target may still take (quota; counted only where letters are new to an account;
 * UINT64_MAX: any): -EDQUOT. Uids that are not there are passed over. */
[[nodiscard]] int change_copy(struct access *from, const struct uid_range *uids, size_t n, struct access *to,
                              uint64_t room, struct copied *out);
/* MOVE (RFC 6851): the same and gone here, one transaction within an account; between accounts synced there first.
 * RIGHT_DELETE and RIGHT_EXPUNGE here too. */
[[nodiscard]] int change_move(struct access *from, const struct uid_range *uids, size_t n, struct access *to,
                              uint64_t room, struct copied *out);
/* Removes those of `uids` that are marked \Deleted (only_deleted) or all of them. RIGHT_EXPUNGE. Synced. */
[[nodiscard]] int change_expunge(struct access *x, const struct uid_range *uids, size_t n, bool only_deleted,
                                 struct uid_list *gone);

/* APPEND: into this mailbox; filing.mailbox is not looked at. All or none (RFC 3502), each with its uid. RIGHT_INSERT;
 * flags as the rights allow. Synced. -EDQUOT as above. */
[[nodiscard]] int change_append(struct access *x, struct filing *list, size_t n, uint64_t room);
/* REPLACE (RFC 8508): append there and remove `uid` here, in one transaction if it is one account. */
[[nodiscard]] int change_replace(struct access *x, uint32_t uid, struct access *to, struct filing *letter,
                                 uint64_t room);

/* What never changes of letters, read in one go. `each` runs on the worker thread for every letter found, in the order
 * asked for; it returns false to stop (then *done says how many were read). Strings live only during the call. */
struct letter_facts_row {
        uint32_t letter, thread;
        uint64_t body;
        uint64_t size;
        int64_t received;          /* wall usec */
        struct str mime, envelope; /* packed: mail/mime.h, mail/envelope.h */
};
typedef bool facts_each_fn(void *context, size_t index, const struct letter_facts_row *row);
[[nodiscard]] int change_facts(struct access *x, const uint32_t *letters, size_t n, facts_each_fn *each,
                               void *context, size_t *done);
/* The same without mime and envelope, which stay empty: a third of the time. */
[[nodiscard]] int change_dates(struct access *x, const uint32_t *letters, size_t n, facts_each_fn *each,
                               void *context, size_t *done);
