/* What the files of the outbox share:
 *
 *   outbox.c       opened; letters taken in; settled        outbox_sql.c   schema and statements
 *   outbox_take.c  what is due, and taken                   outbox_done.c  what became of it
 *   outbox_queue.c for people: list, show, order, check
 *   outbox_policy.c  MTA-STS policies */
#pragma once
#include "run/fiber.h"
#include "store/body.h"
#include "store/db.h"
#include "store/outbox.h"
#include <pthread.h>

#define NEVER INT64_MAX

/* Recipients that are taken: a set of (letter, number). Asked on worker threads, changed on the loop's. */
struct taken {
        pthread_mutex_t lock;
        struct taken_one {
                uint64_t letter; /* 0: free */
                uint32_t number;
        } * at;
        size_t room, count;
};
bool taken_has(struct taken *t, uint64_t letter, uint32_t number);
void taken_add(struct taken *t, uint64_t letter, uint32_t number);
void taken_drop(struct taken *t, uint64_t letter, uint32_t number);

struct outbox_waiting;
struct outbox {
        struct db *db;
        int dir, bodies;
        bool (*exists)(void *context, uint64_t segment);
        void *context;
        void (*put)(void *context);
        void *put_context;
        struct taken taken;
        struct fiber_lock taking;             /* from the look for what is free to its entry in `taken` */
        struct outbox_waiting *first, **last; /* outbox_done: gathered for the next commit */
        bool committing;
};

/* What a letter's sender has been told. */
enum told { TOLD_NOTHING, TOLD_DELAY };

enum outbox_statement {
        NEXT,
        NEXT_WRITE,
        LETTER_ADD,
        LETTER_READ,
        LETTER_TOLD,
        LETTER_EMPTY,
        LETTER_DROP,
        RECIPIENT_ADD,
        RECIPIENT_AGAIN,
        RECIPIENT_HOLD,
        RECIPIENT_DROP,
        RECIPIENTS_DROP,
        RECIPIENTS_DUE,
        RECIPIENTS_STATE,
        DUE_NEXT,
        OVERDUE_LETTERS,
        CONDEMNED_LETTERS,
        DESTINATION_FIND,
        DESTINATION_ADD,
        DESTINATION_READ,
        DESTINATION_READY,
        DESTINATION_SERVED,
        DESTINATION_REST,
        DESTINATIONS_DROP,
        DESTINATIONS,
        DESTINATIONS_DUE,
        DESTINATIONS_NEXT,
        DESTINATION_NAME,
        DESTINATIONS_WAKE,
        DESTINATIONS_RETRY,
        ATTEMPT_ADD,
        ATTEMPTS_TRIM,
        ATTEMPTS,
        ATTEMPTS_DROP,
        FILED_ADD,
        FILED_HAS,
        FILED_SEGMENTS,
        FILED_FORGET,
        LETTERS,
        LETTERS_TO,
        LETTERS_TO_FEW,
        LETTERS_HELD,
        RECIPIENTS_TO,
        LETTER,
        RECIPIENTS,
        ORDER_STATE,
        NUMBERS,
        ALL_RECIPIENTS,
        RECIPIENT_DESTINATION,
        BOUNCED,
        BOUNCES,
        POLICY_PUT,
        POLICY_READ,
        POLICIES_DROP,
        INTEGRITY,
        LOST_RECIPIENTS,
        LETTERS_WITHOUT,
        LOST_DESTINATIONS,
        OUTBOX_STATEMENTS
};
extern const struct db_store outbox_store;

/* In a transaction. */
int outbox_letter_kind(struct db *d, uint64_t letter); /* 1: text inline, 2: in a file, 0: no such letter */
/* The destination of an address, made if there is none; at `at`, if not before, it has something to do. */
int outbox_destination_of(struct db *d, struct str address, int64_t at, uint64_t *id);
/* A letter of this number with these recipients. */
int outbox_letter_add(struct db *d, uint64_t letter, const struct outbox_put *p);
/* The number for a new letter, and the next one free from now on. */
int outbox_number(struct db *d, uint64_t *letter);
int outbox_number_write(struct db *d, uint64_t next);
/* The letter goes if nobody is to get it any more. 1: its body's file may go when this is committed. */
int outbox_letter_end(struct db *d, uint64_t letter);
/* The destinations of the letter's recipients have something to do at `next`, if not before. */
int outbox_wake(struct db *d, uint64_t letter, int64_t next);
/* When the destination has something to do next; kept in its row. What is due at `now` is taken, and does not count; but it is looked at again
 * after a while, lest a row that came back in a moment between be forgotten. */
int outbox_ready(struct outbox *o, struct db *d, uint64_t destination, int64_t now);

/* Calls fn with each number that has a file in bodies/. */
int outbox_each_body(struct outbox *o, int (*fn)(struct outbox *o, uint64_t letter, void *arg), void *arg);
