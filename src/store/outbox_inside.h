/* What the two files of the outbox share: outbox.c takes letters in, outbox_queue.c is for people. */
#pragma once
#include "store/body.h"
#include "store/db.h"
#include "store/outbox.h"

struct outbox {
        struct db *db;
        int dir, bodies;
        bool (*exists)(void *context, uint64_t segment);
        void *context;
};

enum outbox_statement {
        NEXT,
        NEXT_WRITE,
        LETTER_ADD,
        RECIPIENT_ADD,
        FILED_ADD,
        FILED_HAS,
        FILED_SEGMENTS,
        FILED_FORGET,
        LETTERS,
        LETTER,
        RECIPIENTS,
        RECIPIENTS_DROP,
        LETTER_DROP,
        INTEGRITY,
        LOST_RECIPIENTS,
        LETTERS_WITHOUT,
        OUTBOX_STATEMENTS
};

/* In a transaction. 1: text inline, 2: in a file, 0: no such letter. */
int outbox_letter_kind(struct db *d, uint64_t letter);
/* Calls fn with each number that has a file in bodies/. */
int outbox_each_body(struct outbox *o, int (*fn)(struct outbox *o, uint64_t letter, void *arg), void *arg);
