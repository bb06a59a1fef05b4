/* What the files of store/change share. Functions that take a struct db run on a worker thread inside a transaction. */
#pragma once
#include "store/account_inside.h"
#include "store/change.h"

/* Calls `each` for the placements among the ranges (ascending, apart), in uid order. < 0 ends it with that error. */
enum { PLACED_SAME = 0, PLACED_CHANGED = 1 /* only where pages are written back */, PLACED_STOP = 2 };
typedef int placed_fn(void *context, struct placed *p);
int pages_read(struct db *d, uint32_t mailbox, const struct uid_range *r, size_t n, placed_fn *each,
               void *context);
int pages_write(struct db *d, uint32_t mailbox, const struct uid_range *r, size_t n, placed_fn *each,
                void *context);

void placed_add(struct placed_list *l, const struct placed *p);

/* The end of a mailbox, where placements are added. c as it was read, and changed here; whoever began writes it. */
struct mailbox_end {
        struct counter *c;
        struct page page;
        unsigned used;
        uint64_t from; /* uidnext when it began */
};
int end_begin(struct db *d, struct counter *c, struct mailbox_end *e);
int end_add(struct db *d, struct mailbox_end *e, const struct placed *p); /* p->uid: the next one */
int end_finish(struct db *d, struct mailbox_end *e);

/* The mailbox is there and has this uidvalidity: else -ESTALE. */
int mailbox_current(struct db *d, uint32_t mailbox, uint32_t uidvalidity);
/* account_expunge.c: some or all placements of a mailbox go; stands for itself in a transaction. */
struct removing {
        struct account *a;
        uint32_t number, uidvalidity; /* of the mailbox */
        const struct uid_range *ranges;
        size_t n;
        bool only_deleted;
        struct counter all, mailbox;
        struct placed_list removed; /* out; the caller frees it */
};
int removing_run(struct db *d, void *arg);

/* change_copy.c: the letters of `list` get a placement more in the mailbox of `to`, which `dst` counts. */
int place_all(struct db *d, const struct access *to, struct counter *dst, uint64_t modseq,
              const struct placed *list, size_t n,
              struct place_op *ops /* their letters, and where they are taken from */);
/* -ENOSR of counter_ahead: so many uids of the mailbox are put by; how often it may come. */
enum { RESERVE_TRIES = 8 };
/* change_across.c */
int copy_across(struct access *from, const struct uid_range *uids, size_t n, struct access *to, uint64_t room,
                struct copied *out);

/* What the rights let him change; of a letter that is put there too (RFC 4314 §4). */
uint64_t flags_allowed(const struct access *x);

/* All of a mailbox goes: letters, counter, what readers keep of it; `gone` says so with uid 0. The row of `mailbox` and
 * what else hangs on it is the caller's. all: the counters of the account, with a new modseq; the caller writes them. */
int change_forget_mailbox(struct account *a, struct db *d, struct counter *all, uint32_t mailbox);

/* change_seen.c: \Seen of those who are not the owner. */
enum { SEEN_PIECE = 4096 };
struct seen_piece { /* of one reader in one mailbox */
        uint32_t mailbox, reader, piece;
        bool loaded, changed;
        unsigned char bits[SEEN_PIECE / 8];
};
int seen_get(struct db *d, struct seen_piece *s, uint32_t uid, bool *seen);
int seen_set(struct db *d, struct seen_piece *s, uint32_t uid, bool seen);
int seen_store(struct db *d, struct seen_piece *s);
int seen_count(struct db *d, uint32_t mailbox, uint32_t reader, uint64_t *n);
int seen_forget(struct db *d, uint32_t mailbox, const struct placed *list, size_t n);
