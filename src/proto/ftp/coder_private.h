/* What the coder's files share.
 *
 *      coder.c          what may go together; a coder's life, put and end
 *      coder_text.c     TYPE A and E; code pages
 *      coder_send.c     sending: a file's bytes cut into records            coder_wire.c    ... and the modes they go out in
 *      coder_receive.c  receiving: the modes taken apart                    coder_squeeze.c the strings of MODE C, both ways
 *      coder_record.c   receiving: records stored; their facts              coder_page.c    receiving: pages stored; coder_page_send.c
 *      coder_marker.c   restart markers
 *
 * Work goes in steps: one takes at most STEP bytes and gives at most STEP_ROOM, and is begun only if there is so much room. */
#pragma once
#include "proto/ftp/coder.h"

#include <errno.h>
#include <zlib.h>

enum { STEP = 32 * 1024, STEP_ROOM = 8 * STEP, BLOCK_MOST = 32 * 1024, MARKERS_MOST = 32 };
/* Descriptor codes of MODE B and C, RFC 959 §3.4.2. */
enum { END_OF_RECORD = 128, END_OF_FILE = 64, SUSPECT = 32, RESTART = 16 };
/* Records and pages without data that a file may have: they cost nothing to store, so somebody must count them. */
enum { EMPTY_MOST = 1 << 24 };

struct code_page {
        char name[32];
        unsigned char to_wire[256], to_file[256];
};

/* Records' facts are pairs of numbers. FACTS_LINES: records end with LF in the file, and these hold LF themselves: bytes since the end of
 * the last such record, length. FACTS_RECORDS: records stand end to end: how many, of this length. FACTS_PAGES: coder_page.c. */
enum facts_kind { FACTS_NONE, FACTS_LINES = 'r', FACTS_RECORDS = 'i', FACTS_PAGES = 'p' };
enum { FACTS_HEAD = 10 }; /* kind, byte size, octets of the file: u8 u8 u64 */
struct facts {
        struct buf kept; /* the pairs, without the head */
        enum facts_kind kind;
        uint64_t size;    /* of the file they were made for */
        struct unpack at; /* sending: what is to be read of `kept` */
};

struct record_state {
        bool open;      /* something of it came or went */
        bool has_lf;    /* receiving lines */
        uint64_t begin; /* its offset in the file */
        uint64_t left;  /* sending: of the known length */
        bool known;     /* sending: its length is known from the facts */
        uint64_t next;  /* sending lines: where the next one of known length begins; UINT64_MAX: none */
        uint64_t next_length;
        uint64_t many,
            length;    /* a run: records of one length, not in the facts yet (receiving) or not gone yet */
        uint64_t past; /* receiving lines: the end of the last one in the facts */
        uint64_t done; /* how many have ended */
};

enum page_type { LAST_PAGE, SIMPLE_PAGE, DESCRIPTOR_PAGE, CONTROLLED_PAGE };
enum { PAGE_HEADER_LEAST = 4, PAGE_FIELDS = 20 }; /* fields beyond those four, at most */
struct page_kind {
        uint64_t length; /* logical bytes of data */
        unsigned type, fields;
        uint64_t field[PAGE_FIELDS]; /* from the fifth on: access control and the like */
};
struct page_state {
        bool open, data; /* in a page; past its header */
        unsigned bits;   /* receiving: waiting in `held`; sending: of the octet that is not full yet */
        unsigned held;
        unsigned header, have, need; /* receiving: fields so far, bits of this one so far; header's length */
        uint64_t value;
        uint64_t index;
        struct page_kind kind;
        uint64_t left; /* bits of data to come, or to go */
        struct page_kind
            run; /* pages that follow each other and are alike: not in the facts, or not gone yet */
        uint64_t run_first, many;
        struct str descriptor; /* sending: octets of a descriptor page, in the facts */
        struct buf taken;      /* receiving: the same */
        bool last;             /* the last page came or went */
        uint64_t done;
};

struct wire_state {
        struct buf pending; /* sending B and C: the block that is not full yet */
        unsigned owed;      /* sending: END_OF_RECORD is due behind it, or behind what has gone */
        uint64_t marker_at; /* sending: the file offset of the next marker; UINT64_MAX: none */
        /* receiving */
        unsigned have;       /* MODE B: header bytes so far; STRU R in MODE S: 1 behind the escape */
        unsigned descriptor; /* MODE B: of this block; C: of the string that comes */
        size_t left;         /* of the block, or string */
        enum { SQUEEZE_HEAD, SQUEEZE_ESCAPE, SQUEEZE_BYTES, SQUEEZE_BYTE } at;
        bool described; /* MODE C: an escape came before the string that comes */
        char marker[CODER_MARKER_MOST];
        size_t marker_n; /* more than fit: too long to answer */
};

struct marker_pair {
        char theirs[CODER_MARKER_MOST], ours[CODER_MARKER_MOST];
};

struct coder {
        struct coding how;
        enum coder_way way;
        bool text; /* TYPE A or E */
        const struct code_page *page;
        int failure;
        const char *why;
        struct str in;   /* what is left of the last put */
        uint64_t offset; /* in the file */
        uint64_t empty;  /* records and pages without data so far, by the facts */
        bool more;       /* sending: there is more to say without more of the file */
        bool cr;         /* receiving ASCII: a CR was held back */
        bool over;       /* receiving: the structure's end came (STRU R, P) */
        bool ended;      /* receiving: the mode's, too */
        enum { END_NOT, END_STRUCTURE, END_MODE, END_DONE } ending;
        struct wire_state wire;
        struct record_state record;
        struct page_state *paged;
        struct facts facts;
        struct buf result;         /* coder_facts */
        struct buf scratch;        /* text on its way to a block; strings of MODE C expanded */
        struct buf raw;            /* MODE Z: what is to be deflated, or was inflated */
        z_stream *z;               /* MODE Z */
        struct marker_pair *marks; /* receiving */
        size_t marks_n;
};

int coder_fail(struct coder *c, int error, const char *why); /* sticks; returns error */

/* coder_text.c */
const struct code_page *coder_code_page(const char *name);
void coder_text_send(const struct coder *c, struct str s, struct buf *to); /* with its ends of line */
void coder_text_receive(struct coder *c, struct str s, struct buf *to);
void coder_text_received(struct coder *c, struct buf *to); /* the CR held back, if any */
void coder_translate(const unsigned char table[256], struct str s, struct buf *to);

/* coder_send.c: takes some of *chunk; sets c->more. */
void coder_records_begin(struct coder *c);
void coder_structure_send(struct coder *c, struct str *chunk, struct buf *out);
void coder_structure_send_end(struct coder *c, struct buf *out);
[[nodiscard]] int coder_records_seek(struct coder *c, uint64_t at, uint64_t done, bool open);

/* coder_wire.c: of STRU R data goes piece by piece, then the record's end. */
void coder_wire_data(struct coder *c, struct str s, struct buf *out);
void coder_wire_record_end(struct coder *c, struct buf *out);
void coder_wire_marker(struct coder *c, struct buf *out);
void coder_wire_step(struct coder *c, struct buf *out); /* what was put together is deflated */
void coder_wire_end(struct coder *c, struct buf *out);
bool coder_wire_finish(struct coder *c, struct buf *out); /* MODE Z: false: there is more */
void coder_deflate(struct coder *c, struct str s, struct buf *out);

/* coder_squeeze.c */
void coder_squeeze(const struct coder *c, struct str s, unsigned descriptor, struct buf *out);
void coder_unsqueeze(struct coder *c, struct buf *out);

/* coder_receive.c */
void coder_receive_step(struct coder *c, struct buf *out);
void coder_receive_end(struct coder *c, struct buf *out);
/* of B and C, whose strings end with what their descriptor says */
void coder_string_data(struct coder *c, struct str s, struct buf *out);
void coder_string_end(struct coder *c, struct buf *out);

/* coder_record.c */
void coder_records_data(struct coder *c, struct str s, struct buf *out);
void coder_records_end(struct coder *c, struct buf *out); /* of one */
void coder_records_over(struct coder *c, struct buf *out);
void coder_records_facts(struct coder *c); /* what is not in the facts yet goes there */
[[nodiscard]] int coder_records_append(struct coder *c, uint64_t at);
bool coder_facts_number(struct coder *c, uint64_t v);
uint64_t coder_facts_read(struct unpack *u);
bool coder_facts_bear(struct coder *c, uint64_t many, uint64_t length); /* not more than EMPTY_MOST */
void coder_facts_load(struct coder *c, struct str facts);
void coder_facts_result(struct coder *c);

/* coder_page.c, coder_page_send.c */
void coder_pages_begin(struct coder *c);
void coder_pages_send(struct coder *c, struct str *chunk, struct buf *out);
void coder_pages_send_end(struct coder *c, struct buf *out);
struct str coder_pages_receive(struct coder *c, struct str s,
                               struct buf *out); /* what stands behind the last one */
void coder_pages_facts(struct coder *c);
bool coder_pages_pause(const struct coder *c); /* between two pages, no part of an octet waits */
[[nodiscard]] int coder_pages_seek(struct coder *c, uint64_t at, uint64_t done);
[[nodiscard]] int coder_pages_append(struct coder *c, uint64_t at);

/* coder_marker.c */
void coder_marker_came(struct coder *c);
bool coder_marker_make(struct coder *c, struct buf *to); /* false: the state does not fit */
