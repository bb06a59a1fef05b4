/* Filing, as account_file.c does it, for the other ways by which letters come into an account (change_append.c,
 * change_across.c). Before the transaction filing_parse, inside it filing_run, which stands for itself: it reads and writes
 * the counters. */
#pragma once
#include "store/change_inside.h"

struct filing_parsed {
        size_t mime, mime_end; /* in scratch->packed */
        uint64_t *hashes;
        size_t n;
        uint64_t size;
};
struct filing_end { /* of a mailbox, where letters are added */
        struct filing_end *next;
        struct counter c;
        struct mailbox_end end;
};
struct filing_job {
        struct account *a;
        struct filing *list;
        size_t n;
        struct scratch *scratch;
        struct filing_parsed *parsed; /* in scratch->arena */
        struct filing_end *ends;
        struct counter all; /* of the account */
        size_t filed;
        uint32_t now; /* seconds */
        bool patient; /* parsing may take its time: on a thread for long work */
        bool synced;  /* no log stands behind it */
        bool linked;  /* a name was added to bodies/ */
        /* Of those that are not the intake's: all or none, ... */
        const struct access *x; /* into this mailbox, with the flags that its rights allow */
        uint64_t room;          /* octets that may be added */
        struct seen_piece seen;
        bool unplaced; /* ... or into no mailbox yet: in `doomed` until somebody places them */
};
enum { UNPLACED_SECONDS = 3600 };
int filing_parse(void *arg); /* arg: struct filing_job; -EAGAIN: once more, with patience */
int filing_run(struct db *d, void *arg);
/* The whole: scratch, parsing, the transaction. fn gets j, which may be the start of something larger, and calls filing_run. */
int filing_do(struct filing_job *j, const char *name, int (*fn)(struct db *d, void *arg), enum db_how how);

/* change_unplaced.c: letters that were filed with `unplaced`, in whatever many slices, and now get their places at once. */
struct unplaced {
        struct access *to;
        struct placed_list list; /* letter, size, flags */
        bool linked;             /* long bodies among them */
        uint32_t first;          /* out: the uid of the first; the others follow */
        struct counter all, dst;
        uint32_t *letters; /* ascending */
};
int unplaced_place(struct unplaced *u); /* synced */
