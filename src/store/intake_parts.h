/* What the files of the intake share, and nobody else includes.
 *
 *   intake.c           open, close, drain, the numbers
 *   intake_incoming.c  a letter while it arrives: memory, then a staged body; commit
 *   intake_log.c       the flusher: writes what waits, one fdatasync for all, and what follows when that fails
 *   intake_segment.c   the segments it writes: made, marked, kept for who needs them
 *   intake_queue.c     letters and their actions, in queues: one an account, one the outbox, one a peer
 *   intake_file.c      the filers: empty these queues
 *   intake_receipt.c   reports of what was delivered
 *   intake_foreign.c   actions that a peer told us: read from its segment, done, told back
 *   intake_unfiled.c   what could not be filed
 *   intake_settle.c    the keeper of the house: closes and settles segments, tries again what failed
 *   intake_replay.c    segments that nobody holds
 *
 * Threads: everything belongs to the loop's thread but what stands under `mutex` (the pending list, the segment that is
 * written, what was flushed) and, while `writing` is held, the writer's end of that segment. */
#pragma once
#include "run/fiber.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/intake.h"
#include "store/intake_record.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#define FILERS          2                         /* fibers */
#define FILE_AT_ONCE    64                        /* letters in one transaction */
#define FILE_BYTES      ((size_t)4 * 1024 * 1024) /* and their text */
#define TEXT_KEPT       ((size_t)32 * 1024 * 1024) /* text in memory; beyond, it is read back from the segment */
#define OPEN_BYTES_MAX  ((size_t)64 * 1024 * 1024) /* accepted, not filed: beyond, intake_begin waits */
#define OPEN_WORKS_MAX  20000
#define SETTLE_EACH_MAX 8 /* accounts a segment touched, before one syncfs is cheaper */
#define QUEUES          4096
#define UNFILED_AGAIN   (300 * SECOND)
#define FLUSH_AT_ONCE   340 /* records: three iovecs each, below IOV_MAX */

struct letter;
struct segment;

enum work_state {
        WORK_DONE,
        WORK_QUEUED,
        WORK_TOLD,
        WORK_UNTOLD,
        WORK_WAITS /* for all others of its letter */
};

/* One action. All SEND and REPLY actions of a letter are one piece of work for the outbox, all RECEIPT actions another: `number` is the
 * first's. */
struct work {
        TAILQ_ENTRY(work) link; /* of the queue, or of the peer, that state says */
        struct letter *letter;
        char *account; /* "": the outbox */
        char *mailbox; /* NULL: INBOX */
        uint32_t number, flags;
        enum work_state state;
        unsigned peer; /* WORK_TOLD, WORK_UNTOLD */
        nsec failing;  /* since then; 0: not tried yet */
        int error;     /* the last one */
        bool receipt;  /* goes into the outbox when all else is done */
        bool aside;    /* done: it lies in unfiled/ */
};
TAILQ_HEAD(works, work);

/* A record, from commit (or replay) until all its actions are done. */
struct letter {
        struct intake_place place;
        struct segment *segment;   /* ours; NULL: a peer's */
        struct foreign *foreign;   /* the peer's segment */
        struct buf envelope, text; /* text also holds the rest of a staged record */
        char *body;                /* staged: the file's name */
        uint64_t size;
        int64_t received;
        bool absent;  /* the text is no longer in memory: read it back */
        size_t bytes; /* counted in intake.open_bytes */
        /* between commit and flush */
        struct letter *next;
        struct record_head head;
        struct waitlist committed;
        bool flushed; /* under mutex */
        bool handed;  /* the loop knows */
        int rc;
        unsigned references;
        unsigned open, count;
        struct work *receipt; /* NULL: none */
        struct work works[];
};

/* What waits for one account; name "" is the outbox. It exists while there is something in it. */
enum queue_state { QUEUE_EMPTY, QUEUE_READY, QUEUE_BUSY, QUEUE_LATER, QUEUE_GATHERS };
struct queue {
        TAILQ_ENTRY(queue) link; /* in ready, later or gathering */
        struct queue *bucket;
        char *name;
        struct works works;
        enum queue_state state;
        nsec retry, backoff;
};
TAILQ_HEAD(queues, queue);

/* A segment we hold the lock of. */
struct segment {
        TAILQ_ENTRY(segment) link; /* under mutex */
        uint64_t id;
        int fd;
        uint32_t start;
        nsec made;
        /* the writer's end */
        uint64_t end, zeroed, sequence;
        bool failed;        /* never written again; under mutex */
        atomic_bool closed; /* nobody appends; written under mutex, looked at by the loop without */
        unsigned in_flight; /* written, not yet handed to the loop; under mutex */
        unsigned arriving;  /* letters whose staged body bears our id; under mutex */
        /* the loop's end */
        uint64_t open;           /* letters with open actions */
        struct letter **letters; /* by sequence - first; NULL: done */
        uint64_t first;
        size_t letter_count, letter_room;
        char *touched[SETTLE_EACH_MAX];
        unsigned touched_count;
        bool touched_many, touched_outbox;
        char **bodies;
        size_t body_count;
        uint64_t *voids; /* segments whose records this one voids */
        size_t void_count;
        bool marked;  /* the settled record is durable */
        bool safe;    /* all it touched was settled */
        bool reading; /* replay has not come to its end */
        bool replayed;
};
TAILQ_HEAD(segments, segment);

/* A segment that a peer holds, open for reading. */
struct foreign {
        struct foreign *next;
        uint64_t id;
        int fd;
        uint32_t start;
        unsigned references;
};

struct peer {
        struct works told, untold; /* our actions, filed there */
        struct intake_place *done; /* its actions, done here, not yet told */
        size_t done_count, done_room;
};

struct intake {
        int dir, unfiled_dir;
        struct accounts *accounts;
        struct outbox *outbox;
        struct intake_limits limits;
        struct intake_hooks hooks;
        struct intake_numbers numbers;

        /* the log */
        pthread_mutex_t mutex, writing;
        pthread_cond_t work, flushed;
        bool threaded, stop, asleep;
        pthread_t flusher;
        struct watch bell;
        struct letter *pending, **pending_last;
        struct letter *done, **done_last;
        struct segment *current;
        struct segments segments;
        struct record_void *voids; /* in failed segments that still lie there */
        size_t void_count;
        struct iovec *iov; /* under writing */
        unsigned body_number;

        /* what is to be done */
        struct queue *buckets[QUEUES];
        struct queues ready, later;
        struct queues gathering; /* filed a moment ago, in the order in which they may be filed again */
        struct timer gathered;
        size_t open_bytes, open_works, kept_bytes;
        unsigned filers;
        struct waitlist room; /* for intake_begin, replay and drain: something was done */
        struct peer *peers;
        struct foreign *foreign;
        struct intake_place *told; /* by peers, not yet read */
        size_t told_count, told_room;
        bool reading;
        nsec told_retry;

        /* the keeper */
        struct timer tick;
        bool keeping, closing, draining;
        nsec unfiled_next; /* when unfiled/ is tried again; NEVER: it is empty */

        /* room on the disk, measured once in a while */
        nsec measured;
        bool measuring, no_room;
        size_t arriving_bytes; /* in memory, of letters not yet committed */
        struct fiber_lock replaying;
};

/* intake_log.c, intake_segment.c */
int log_segment_make(struct intake *i,
                     struct segment **out); /* writing is held; blocks; it is the current one */
bool log_usable(const struct intake *i, const struct segment *s); /* writing is held */
int log_segment_lock(int fd);                                     /* 0, or -EAGAIN: somebody holds it */
void log_flush_inline(struct intake *i);
void log_hand_over(struct intake *i);
int log_commit(struct intake *i, struct letter *l); /* waits */
int log_start(struct intake *i);
void log_stop(struct intake *i);
void log_close_current(struct intake *i);             /* the current segment takes no more */
int log_settled(struct intake *i, struct segment *s); /* appends the mark; blocks */
void log_gone(struct intake *i, uint64_t segment);    /* its removal is durable: no more need to void it */
struct segment *log_arriving(
    struct intake *i); /* the segment new staged bodies are named by; NULL: none can be made. May wait */
void log_arrived(struct intake *i, struct segment *s);

/* intake_queue.c */
struct letter *letter_new(const struct envelope *e);
void letter_unref(struct letter **l);
void letter_queue(struct intake *i, struct letter *l); /* all its actions; the reference is the queues' */
struct queue *queue_of(struct intake *i, struct str name);
struct queue *queue_next(struct intake *i); /* the next that has work; ours until queue_back */
void queues_gather_tick(struct timer *t);
void queues_gathered(struct intake *i, nsec t); /* those whose time has come by t may be filed */
unsigned queue_take(struct queue *q, struct work **list, unsigned most, size_t bytes);
void queue_back(struct intake *i, struct queue *q, struct work *const *failed,
                unsigned n);               /* those later again */
nsec queues_due(struct intake *i, nsec t); /* makes ready what is due; when the next is */
void queues_free(struct intake *i);
void work_done(struct intake *i, struct work *w);
void work_tell(struct intake *i, struct work *w, unsigned peer);
bool intake_crowded(const struct intake *i);

/* intake_file.c */
void filers_wake(struct intake *i);
bool file_one_batch(struct intake *i); /* false: nothing to do */

/* intake_receipt.c */
struct receipt_letter {
        uint64_t segment, key; /* what the outbox takes it once by */
        struct str text;       /* or: */
        int dir;
        const char *body;
};
struct receipt_letter receipt_letter_of(const struct intake *i, const struct letter *l, struct str text);
/* The report on the letter, whose envelope is e, as something to put; of its receipts those whose accounts are not put aside, if l is given. All
 * in the arena. false: nobody is to be told anything. Waits. */
bool receipt_make(const struct receipt_letter *r, const struct letter *l, const struct envelope *e,
                  struct arena *m, struct outbox_put *out);

/* intake_foreign.c */
bool foreign_read(struct intake *i); /* what peers told; false: nothing to read */
void foreign_done(struct intake *i, const struct letter *l, const struct work *w);
void foreign_tell(struct intake *i, unsigned peer);
void foreign_close(struct intake *i);

/* intake_unfiled.c */
int unfiled_put(struct intake *i, const struct work *w, struct str text); /* blocks; durable */
bool unfiled_has(struct intake *i, uint64_t segment);
int unfiled_retry(struct intake *i); /* waits; how many still lie there, or -errno */
int unfiled_clean(struct intake *i); /* removes what was half written; blocks */

/* intake_settle.c */
void keeper_wake(struct intake *i, nsec at);
void keeper_tick(struct timer *t);
bool keep_house(struct intake *i); /* one round; waits; false: nothing could be done */
bool intake_segment_exists(void *intake, uint64_t segment);
void segment_free(struct segment **s);

/* intake_replay.c */
void segment_add_letter(struct segment *s, struct letter *l);
