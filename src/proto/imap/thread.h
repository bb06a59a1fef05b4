/* THREAD (RFC 5256): letters in, trees out. Pure: no session, no store, so that it runs on a worker thread and in unit tests. */
#pragma once
#include "base/buf.h"
#include <stdint.h>

struct thread_letter {
        uint32_t shown;   /* the number that is written: sequence number or uid */
        int64_t date;     /* sent */
        uint64_t subject; /* hash of the folded base subject; 0: empty */
        bool reply;       /* or a forward (RFC 5256 §2.1) */
        uint64_t id;      /* hash of the message-id; 0: none */
        size_t first_ref; /* in refs; oldest first, the parent last */
        uint32_t refs;
};
/* letters in the order of their numbers. The response's text behind "* THREAD " goes to out. false: out is full. */
bool thread_references(const struct thread_letter *letters, size_t n, const uint64_t *refs, struct buf *out);
bool thread_orderedsubject(const struct thread_letter *letters, size_t n, struct buf *out);
