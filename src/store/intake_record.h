/* The form of the intake log, apart from who writes it and why: a segment's head, its records, and the reader that
 * finds them again in whatever a crash has left. STATES.md says what each kind means.
 *
 *      0      head (magic, version, id, salt, sum)            little-endian, as this machine is
 *      4096   the same head again: another sector, should the first be lost
 *      8192   record, record, ..., zeros
 *
 *      record = struct record_head | payload
 *      letter:  envelope (split bytes), text
 *      staged:  envelope (split bytes), u64 size, name of the body file
 *      void:    u64 segment, u64 first, u64 last
 *      settled: nothing
 *
 * Every sum starts from the salt, 64 random bits, so that no letter can hold what reads as a record of its own
 * segment. `within` is how many records of the same flush come before: nothing of a flush was acknowledged before all
 * of it was durable, so a gap before records of one flush is a crash, and any other gap is damage. */
#pragma once
#include "base/buf.h"
#include "base/str.h"
#include <sys/uio.h>

#define SEGMENT_START 8192
#define SEGMENT_AGAIN 4096
#define ENVELOPE_MAX  ((size_t)16 * 1024 * 1024)          /* packed */
#define RECORD_MAX    (ENVELOPE_MAX + (size_t)128 * 1024) /* of a payload */
#define SEGMENT_NAME  21                                  /* "0123456789abcdef.log" */
#define BODY_NAME     40                                  /* "0123456789abcdef-N.body" */

enum record_kind { RECORD_LETTER = 1, RECORD_STAGED, RECORD_VOID, RECORD_SETTLED };

struct record_head {
        uint32_t magic;
        uint32_t head_sum; /* of what follows, to the end of the head */
        uint32_t sum;      /* of the payload */
        uint16_t kind;
        uint16_t within;
        uint32_t length; /* of the payload */
        uint32_t split;
        uint64_t segment, sequence;
};

struct record {
        enum record_kind kind;
        uint64_t sequence, offset;
        uint32_t length; /* with its head */
        uint32_t within;
        struct str envelope, text; /* letter; text also the rest of the other kinds */
        struct str body;           /* staged: its name */
        uint64_t size;             /* staged */
        struct record_void {
                uint64_t segment, first, last;
        } voided;
};

void segment_name(uint64_t id, char name[static SEGMENT_NAME]);
/* "ID" and what follows: true and the id, the rest in *rest. */
bool segment_name_read(struct str name, uint64_t *id, struct str *rest);
/* Both copies, SEGMENT_START bytes. *start is what the sums start from. */
void segment_head_write(struct buf *out, uint64_t id, uint64_t salt, uint32_t *start);
/* Fills head for a payload in two pieces. */
void record_seal(struct record_head *head, uint32_t start, enum record_kind kind, struct str envelope,
                 struct str rest);
/* The record at the start of `bytes`. > 0: its length; 0: too few bytes, *need is how many there must be;
 * -EILSEQ: the head is right, the payload is not (*need is the record's length); -EBADMSG: no record begins here. */
[[nodiscard]] int64_t record_parse(struct str bytes, uint64_t id, uint32_t start, struct record *out,
                                   size_t *need);

struct segment_reader {
        int fd;
        uint64_t id;
        uint32_t start;
        uint64_t at;       /* where the next record is looked for */
        uint64_t end;      /* behind the last good record */
        uint64_t sequence; /* of the last good record */
        uint64_t size;     /* of the file */
        unsigned gaps;     /* places between good records that could not be read */
        unsigned damage;   /* of these, such as no crash leaves */
        bool torn;         /* behind the last good record stands something that is none */
        struct buf bytes;  /* of the file from bytes_at */
        uint64_t bytes_at;
};
/* Blocks, as all of these. -EBADMSG: neither head can be read. fd stays the caller's. */
[[nodiscard]] int segment_reader_open(struct segment_reader *r, int fd, uint64_t id);
/* 1: the next good record, valid until the next call; 0: there are no more; or -errno of a read. */
[[nodiscard]] int segment_next(struct segment_reader *r, struct record *out);
void segment_reader_close(struct segment_reader *r);
/* Reads the one record at a known place into *bytes. -EBADMSG: it is not there. */
[[nodiscard]] int record_read(int fd, uint64_t id, uint32_t start, uint64_t offset, uint32_t length,
                              struct buf *bytes, struct record *out);
