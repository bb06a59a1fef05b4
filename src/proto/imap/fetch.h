/* FETCH (RFC 9051 §6.4.5, §7.5.2), for its own files:
 *
 *   fetch.c            the command: what to fetch, \Seen, modifiers, the reply
 *   fetch_slice.c      letters in slices, the next read while this one is written; large ones in pieces
 *   fetch_items.c      the grammar of the items
 *   fetch_letter.c     one letter's "* n FETCH (...)"
 *   fetch_body.c       BODY[section]<partial>, BINARY, PREVIEW
 *   fetch_decode.c     a transfer encoding undone piece by piece
 *   fetch_section.c    which bytes of a letter a section is; header fields picked out
 *   fetch_structure.c  BODY and BODYSTRUCTURE          fetch_envelope.c  ENVELOPE
 *
 * What is fast: most is written on a worker thread, straight from the packed structure as it lies in the database, into
 * a buffer that is sent as a whole. What is bounded: a slice holds some 256 KB, whatever is asked for; letters
 * over FETCH_WHOLE_MOST, and those of which many sections are asked, are read and sent in pieces. */
#pragma once
#include "mail/mime.h"
#include "proto/imap/imap.h"

enum {
        FETCH_ITEMS_MOST = 200,
        FETCH_FIELDS_MOST = 1000, /* names in all HEADER.FIELDS of a command */
        FETCH_PATH_MOST = MIME_DEPTH_MAX * 2,
        FETCH_WHOLE_MOST = 64 * 1024, /* letters up to this are read at once */
        FETCH_PIECE = 256 * 1024,
        FETCH_FLUSH = 64 * 1024,
        FETCH_FIELD_MOST = 128 * 1024,       /* of one header field so much becomes ENVELOPE */
        FETCH_HEADER_MOST = MIME_HEADER_MAX, /* in so much of a header fields are looked for */
        FETCH_PREVIEW_MOST = 64 * 1024,
        FETCH_SLICE_MOST = 1024 * 1024,
};

/* --- fetch_items.c --- */
enum fetch_what {
        FETCH_FLAGS,
        FETCH_UID,
        FETCH_SIZE,
        FETCH_MODSEQ,
        FETCH_EMAILID,
        FETCH_SAVEDATE,
        FETCH_INTERNALDATE, /* from here on facts are needed */
        FETCH_THREADID,
        FETCH_ENVELOPE,
        FETCH_BODY,
        FETCH_BODYSTRUCTURE,
        FETCH_SECTION, /* from here on bytes */
        FETCH_BINARY,
        FETCH_BINARY_SIZE,
        FETCH_PREVIEW,
};
enum fetch_text { TEXT_WHOLE, TEXT_HEADER, TEXT_FIELDS, TEXT_FIELDS_NOT, TEXT_MIME, TEXT_TEXT };
struct fetch_section {
        uint32_t *path; /* part numbers; in the command's arena, as all here */
        unsigned depth;
        enum fetch_text text;
        struct str *names, *sorted; /* as given; for looking up */
        unsigned n;
        bool partial;
        uint64_t from, count;
};
struct fetch_item {
        enum fetch_what what;
        struct str label; /* as it is answered: "BODY[1.MIME]<0> " */
        struct fetch_section section;
};
struct fetch_items {
        struct fetch_item *list;
        unsigned n;
        bool seen;  /* one of them sets \Seen */
        bool facts; /* what is the same in all placements of a letter is needed */
        bool bytes;
        bool modseq;       /* MODSEQ was asked for */
        unsigned sections; /* items that need bytes */
        unsigned fields;   /* names of header fields so far */
        bool too_many;
        size_t labels;  /* bytes of all labels */
        uint32_t given; /* bits of enum fetch_what */
};
/* fetch-att, or a list of them, or ALL, FAST, FULL. Failures stick in the cursor; "[LIMIT] ..." as its reason if there are too
 * many. */
void fetch_items(struct session *s, struct scan *a, struct fetch_items *out);
/* "1.2.HEADER", "TEXT", "" ...: what stands between the brackets of BODY[]. For HEADER.FIELDS literals may come. */
void fetch_section(struct session *s, struct scan *a, struct arena *m, struct fetch_section *out);

/* --- fetch_section.c --- */
struct fetch_range {
        uint64_t from, n;
        struct str encoding; /* transfer encoding of a part as a whole */
        bool there;
};
/* Where a section lies, from the packed structure; of HEADER.FIELDS the whole header. false: the structure is damaged. */
bool fetch_locate(struct str packed, const struct fetch_section *section, struct fetch_range *out);
/* The fields picked out of a header, and the empty line behind it if it is there (RFC 9051 §6.4.5.1). */
void fetch_fields(struct buf *out, struct str header, const struct fetch_section *section);
void fetch_sort_names(struct fetch_section *section);
/* The part [from, from + count) of n bytes that <partial> asks for. */
void fetch_partial(const struct fetch_section *section, uint64_t *from, uint64_t *n);

/* --- where it goes: a buffer that holds it all, or one that is sent on whenever some has gathered --- */
struct fetch_out {
        struct buf *b;
        struct session *s; /* NULL: all stays in b; on worker threads always */
};
void fetch_drain(struct fetch_out *o); /* sends what has gathered, if it is enough */
void fetch_send(struct fetch_out *o);  /* sends it in any case */
/* All of s by conn_put or conn_body, a bearable piece at a time. */
void fetch_put(struct conn *c, struct str s, void (*put)(struct conn *c, struct str s));
void put_u64(struct buf *b, uint64_t v); /* decimal */

/* --- fetch_envelope.c, fetch_structure.c --- */
struct fetch_source;
enum fetch_made {
        FETCH_MADE,
        FETCH_NEEDS_BYTES, /* a header field must be read from the letter, and there is no way to here */
        FETCH_DAMAGED,
        FETCH_UNREAD, /* source->error says why */
};
struct fetch_open { /* a part whose children are being written */
        struct mime_part part;
        struct str params, disposition_params;
};
struct fetch_writer {
        unsigned mode;
        struct fetch_out out;
        char before[48]; /* what stands before the first item; then a space */
        size_t before_n;
        bool begun;       /* an item has been written */
        bool unknown_cte; /* one has been left out: its encoding cannot be undone (RFC 3516 §4.3) */
        struct buf temp;
        struct fetch_source *source; /* NULL: only what is held */
        struct arena scratch;
        struct mime_walk walk;
        struct fetch_open open[MIME_DEPTH_MAX];
};
void fetch_writer_init(struct fetch_writer *w, unsigned mode);
void fetch_writer_finish(struct fetch_writer *w);
enum fetch_made put_envelope(struct fetch_writer *w, const struct mime_envelope *e);
enum fetch_made put_structure(struct fetch_writer *w, struct str packed, bool extended);
/* The envelope of the letter itself. */
enum fetch_made put_letter_envelope(struct fetch_writer *w, struct str packed);

/* --- fetch_letter.c --- */
struct fetch_facts {
        bool there;
        uint32_t thread;
        int64_t received;
        struct str mime; /* packed */
};
/* Where bytes of a letter come from. */
struct fetch_source {
        struct str bytes; /* the whole letter, if `whole` */
        bool whole;
        struct account *account; /* else they are read: waits */
        uint32_t letter;
        uint64_t size;
        struct buf piece;
        int error; /* of the last read */
};
/* At most n bytes at `from`, FETCH_PIECE at once; they live until the next call. Empty: the end, or source->error. */
struct str fetch_read(struct fetch_source *source, uint64_t from, uint64_t n);

struct fetch {
        struct session *s;
        struct access *x;
        struct fetch_items items;
        unsigned mode;
        bool with_modseq;           /* CHANGEDSINCE was said, even if 0 */
        bool uid, uid_only;         /* as UID FETCH; RFC 9586 */
        bool tell_modseq, tell_uid; /* with flags that have changed (RFC 7162 §3.2.4) */
        bool recent;                /* \Recent exists (not in rev2) */
        uint64_t own_modseq;        /* of the \Seen this command has set; 0: none */
        uint64_t since;             /* CHANGEDSINCE */
        const struct keyword_list *keywords;
        const struct imap_selected *selected;
        struct uid_list uids;
        uint64_t total, told; /* letters asked for; done with */
        uint64_t missing;     /* were not there any more */
        bool unknown_cte;     /* BINARY: some part could not be decoded */
        int trouble;          /* the last letter that could not be read */
};
/* "* n FETCH (...)" CRLF. Anything but FETCH_MADE: nothing was written, or (with out.s) an item or more was left out; a damaged
 * structure must have been found out before. When out.s is NULL nothing here waits, and it may run on a worker thread. If the letter has gone from what the client knows, or nothing
 * of it can be told, nothing is written and that is FETCH_MADE too. */
enum fetch_made put_letter(const struct fetch *f, struct fetch_writer *w, const struct placed *p,
                           const struct fetch_facts *facts, struct fetch_source *source);
void put_label(struct fetch_writer *w, struct str label); /* what stands before it, and the label */

/* --- fetch_body.c: labels and values. packed: p NULL if only whole letters and their headers are asked for. --- */
enum fetch_made put_section(struct fetch_writer *w, const struct fetch_item *item, struct str packed);
enum fetch_made put_binary(struct fetch_writer *w, const struct fetch_item *item, struct str packed);
enum fetch_made put_preview(struct fetch_writer *w, const struct fetch_item *item, struct str packed);

/* --- fetch_decode.c --- */
struct fetch_decoder {
        struct str encoding;
        struct buf raw, plain; /* what is left of the last piece; what has been decoded */
        uint64_t good, other;  /* base64: letters of it, and what is none */
        bool bad;
};
void fetch_decoder_init(struct fetch_decoder *d, struct str encoding);
void fetch_decoder_finish(struct fetch_decoder *d);
/* The next decoded bytes, which live until the next call; `last`: no more raw bytes will come. Broken: d->bad. */
struct str fetch_decode(struct fetch_decoder *d, struct str raw, bool last);

/* --- fetch_slice.c, fetch_read.c --- */
/* Tells all of f->uids. Waits. */
void fetch_all(struct fetch *f);

/* Letters made ready to be sent: those before `alone`, then that one, which must be sent in pieces. */
struct fetch_slice {
        struct buf out; /* at most FETCH_SLICE_MOST */
        bool has_alone;
        struct placed alone;
        uint32_t letters;
};
struct fetch_reader;
struct fetch_reader *fetch_reader_new(struct fetch *f);
void fetch_reader_free(struct fetch_reader *r);
/* The next slice; false: there are no more behind it. Waits. */
bool fetch_next(struct fetch_reader *r, struct fetch_slice *slice);
/* Those placements of the next part of f->uids that are there; false: no more. */
struct fetch_uids { /* a place in a list of uids */
        size_t range;
        uint32_t uid; /* 0: at the range's beginning */
};
bool fetch_uids_next(const struct uid_list *l, struct fetch_uids *at, struct uid_list *out, uint64_t most);
/* The facts of one letter; the mime's bytes go to `room`. 0 or -errno, -ENOENT: it has gone. */
int fetch_facts_of(struct access *x, uint32_t letter, struct buf *room, struct fetch_facts *out);
