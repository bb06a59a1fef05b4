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
        WAL_PAGES = 256,      /* of an open account: then the settler checkpoints it */
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
        bool wrote;               /* since it was last marked clean; the loop's */
        atomic_bool bodies_dirty; /* a name there may not be durable; set after the link, before the commit */
        int bodies;               /* descriptor of bodies/, -1: not yet needed */
        unsigned wal_pages;       /* when it was closed */
};

struct accounts {
        int dir;
        char *path; /* of dir */
        long max_open;
        unsigned open; /* opening and closing ones too */
        struct account **table;
        size_t table_size, count;
        struct account *newest, *oldest; /* unused */
        struct waitlist room;
        segment_exists_fn *segment_exists;
        void *segment_context;
        pthread_mutex_t lock; /* scratches and the descriptors of bodies/ */
        struct scratch *scratches;
        int sync_failed; /* what syncfs said once */
};

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
int account_writes(struct db *d);
int account_mark_clean(struct account *a);
int account_bodies(struct account *a); /* the descriptor of bodies/ or -errno */

/* A row of `counter`. */
struct counter {
        uint32_t mailbox;
        uint64_t uidnext, safe, modseq, modsafe, count, octets, unseen, deleted;
};
int counter_read(struct db *d, uint32_t mailbox, struct counter *c); /* -ENOENT */
int counter_write(struct db *d, const struct counter *c);
/* Before so many numbers are given out: *c is as it was read. Syncs if they would run too far ahead. */
int counter_ahead(struct db *d, struct counter *c, uint64_t uids, uint64_t modseqs);

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
int account_forget_filed(struct account *a);
int account_purge_gone(struct account *a);
