/* What the files of store/account share. Functions that take a struct db run on a worker thread inside a transaction,
 * the others on the loop. */
#pragma once
#include "mail/mime.h"
#include "run/fiber.h"
#include "store/account.h"
#include "store/account_sql.h"
#include "store/body.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
        MAILBOX_INBOX = 1,
        UIDS_AHEAD = 1000,      /* unsynced numbers run at most so far ahead of the last settle, ... */
        MODSEQS_AHEAD = 100000, /* ... and after an unclean boot all numbers jump by that much */
        GONE_DAYS = 30,
        BATCH_MAX = 512, /* filings in one transaction */
        PAGE_PLACED = 126,
        WAL_PAGES = 256, /* of an open account: then the settler checkpoints it */
        WAL_PAGES_MOST =
            4096, /* beyond, who changes something checkpoints it himself: the settler comes only with letters */
        WAL_PAGES_CLOSED = 32 /* of one to be closed: who opens it must read them all */
};
_Static_assert(sizeof(struct placed) == 32, "as it lies in a page");

/* What parsing letters needs; shared by the accounts of a process, one a worker thread. */
struct scratch {
        struct mime mime;
        struct buf text, packed;
        struct arena arena;
        struct arena keys; /* of one letter's thread_keys_of */
        struct scratch *next;
};

enum account_state { ACCOUNT_CLOSED, ACCOUNT_OPENING, ACCOUNT_OPEN, ACCOUNT_CLOSING };

struct account {
        struct accounts *set;
        struct account *chain;         /* of the hash table */
        struct account *newer, *older; /* of those open and unused, most recently used first */
        nsec unused_since;
        char *name;
        enum account_state state;
        unsigned refs;
        struct waitlist changed; /* state has */
        struct db *db;
        uint64_t openings;        /* of all accounts, when this one was opened: for change_stamp */
        atomic_bool doomed;       /* has letters on their way out: account_reap */
        bool wrote;               /* since it was last marked clean; the loop's */
        atomic_bool bodies_dirty; /* a name there may not be durable; set after the link, before the commit */
        int bodies;               /* descriptor of bodies/, -1: not yet needed */
        unsigned wal_pages;       /* when it was closed */
        uint64_t told;            /* octets of letters, last said to the files role */
        unsigned wal_tried; /* pages in the WAL when somebody tried to checkpoint it at WAL_PAGES_MOST */
};

/* stage.c: letters that arrive without the log, in .staged/ */
struct stages {
        int dir, lock; /* -1: not yet needed */
        uint64_t id;   /* what this process's files there begin with */
        unsigned number;
        size_t memory; /* that they take */
};
void stages_open(struct accounts *a);
void stages_close(struct accounts *a);

struct accounts {
        int dir;
        char *path; /* of dir */
        long max_open;
        unsigned open; /* opening and closing ones too */
        struct account **table;
        size_t table_size, count;
        struct account *newest, *oldest; /* unused */
        struct waitlist room;
        void (*changed)(void *context, struct str account);
        void *changed_context;
        uint64_t openings, unique; /* change_stamp */
        segment_exists_fn *segment_exists;
        void *segment_context;
        pthread_mutex_t lock; /* scratches and the descriptors of bodies/ */
        struct scratch *scratches;
        struct indexer *indexer; /* store/search.h; NULL: none runs */
        int sync_failed;         /* what syncfs said once */
        struct sharing *sharing; /* told of rights; not ours */
        struct stages stages;
        struct usage *usage; /* shared quotas; not ours; NULL: none */
};
void account_tell(struct account *a); /* account_quota.c */

struct scratch *scratch_take(struct accounts *a);
void scratch_give(struct accounts *a, struct scratch *s);
void scratch_free_all(struct accounts *a);
void account_use(struct account *acc); /* the first reference: it is no longer among the unused */
bool account_name_valid(struct str name);
int account_path(struct accounts *a, struct str name, const char *file, struct buf *out); /* ends with NUL */

/* Opened by store/db: the first look at the file. context is the struct account. */
int account_opened(struct db *d, void *context);
/* db_transact for what changes the account: claims the file for this boot first. fn begins with account_writes. */
int account_change(struct account *a, const char *name, int (*before)(void *arg),
                   int (*fn)(struct db *d, void *arg), void *arg, enum db_how how);
/* The same for what nobody can see: no bell. */
int account_change_quietly(struct account *a, const char *name, int (*fn)(struct db *d, void *arg), void *arg,
                           enum db_how how);
int account_migrated(struct db *d, unsigned version);
int account_writes(struct db *d);
int account_mark_clean(struct account *a);
int account_bodies(struct account *a); /* the descriptor of bodies/ or -errno */

/* A row of `counter`. */
enum { RING = 16 };
struct counter {
        uint32_t mailbox;
        uint64_t uidnext, safe, modseq, modsafe, count, octets, unseen, deleted, deleted_octets, reserved,
            recent;
        unsigned ring_n;
        struct ring_entry {
                uint64_t modseq;
                uint32_t first, last;
        } ring[RING]; /* change_ring.c */
};
void counter_took(struct counter *c, const struct placed *p); /* it lies there now, or as it is now ... */
void counter_lost(struct counter *c, const struct placed *p); /* ... and no longer, or as it was */
bool ring_from(struct counter *c, struct str blob);           /* false: damaged */
void ring_note(struct counter *c, uint64_t modseq, uint32_t first, uint32_t last);
/* Where placements may be new or changed after `modseq`; false: nowhere. */
bool ring_since(const struct counter *c, uint64_t modseq, uint32_t *first, uint32_t *last);
int counter_read(struct db *d, uint32_t mailbox, struct counter *c); /* -ENOENT */
int counter_write(struct db *d, const struct counter *c);
/* Before so many numbers are given out: *c is as it was read. Syncs if they would run too far ahead. -ENOSR: they are more
 * than may run ahead at all: account_reserve, then once more. */
int counter_ahead(struct db *d, struct counter *c, uint64_t uids, uint64_t modseqs);
int account_reserve(struct account *a, uint32_t mailbox,
                    uint64_t uids); /* waits; a transaction of its own, synced */

/* A row of `page`. */
struct page {
        uint64_t place; /* 0: none */
        bool fresh;     /* not in the table yet */
        bool changed;
        struct placed at[PAGE_PLACED];
};
static inline uint64_t place_of(uint32_t mailbox, uint64_t uid)
{
        return (uint64_t)mailbox << 32 | uid;
}
int page_last(struct db *d, uint32_t mailbox, struct page *p);             /* place 0: the mailbox has none */
int page_of(struct db *d, uint32_t mailbox, uint32_t uid, struct page *p); /* place 0: no page can hold it */
int page_store(struct db *d, struct page *p); /* if changed: adds, writes, or drops it when nothing is left */
unsigned page_used(const struct page *p);     /* entries */
struct placed *page_find(struct page *p, uint32_t uid);          /* NULL: not in it */
bool page_from(struct page *p, uint64_t place, struct str data); /* false: damaged */

int mailbox_find(struct db *d, struct str path, uint32_t *mailbox); /* -ENOENT */

/* account_thread.c: the thread that a letter joins; registers its ids. hashes as thread_hashes made them in `keep`. */
size_t thread_hashes(struct arena *keep, struct arena *work, struct str letter, uint64_t **hashes);
int thread_join(struct db *d, uint32_t letter, const uint64_t *hashes, size_t n, uint32_t *thread);
int thread_leave(struct db *d, uint32_t letter, uint32_t thread);

bool account_grown(const struct account *acc); /* its WAL wants a checkpoint */
/* What has gone from a mailbox: (uid, letter), in uid order. */
int gone_add(struct db *d, uint32_t mailbox, uint64_t modseq, const struct placed *list, size_t n,
             uint64_t now);
/* For each that went after `modseq`; stops at what `each` returns if it is not 0. */
int gone_since(struct db *d, uint32_t mailbox, uint64_t modseq,
               int (*each)(void *context, uint32_t uid, uint32_t letter, uint64_t modseq), void *context);

/* account_reap.c: letters without a place. They are not counted in `counter` 0. */
int letters_doom(struct db *d, const uint32_t *letters, size_t n, uint64_t until);
int account_reap(struct account *a); /* waits: removes them, in slices */

/* account_places.c: where letters lie. */
struct place {
        uint32_t mailbox, uid;
};
enum place_how { PLACE_ADD, PLACE_MOVE, PLACE_REMOVE };
struct place_op {
        uint32_t letter, size;
        enum place_how how;
        struct place from, to;
        uint32_t left; /* out: of PLACE_REMOVE: places that it still has */
};
int places_apply(struct db *d, struct place_op *ops, size_t n); /* sorts them by letter */
/* These placements were taken out of their pages, in uid order: counters of the mailbox, `gone`, `seen`; ... */
int placements_gone(struct db *d, const struct counter *all, struct counter *box, const struct placed *list,
                    size_t n);
/* ... and their places, and letters that have none left. */
int placements_removed(struct account *a, struct db *d, struct counter *all, struct counter *box,
                       const struct placed *list, size_t n);

int account_forget_filed(struct account *a);
int account_purge_gone(struct account *a);
