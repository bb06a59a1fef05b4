/* SEARCH and all that searches (RFC 9051 §6.4.4 and its extensions): what its files share.
 *
 *   search_key.c      the keys of a command become a tree        search_program.c  with their charset; copies of it
 *   search.c          SEARCH, its return options
 *   search_run.c      which letters of a mailbox a tree means    search_facts.c    what it must read for that
 *   search_reply.c    SEARCH, SORT and ESEARCH responses         search_context.c  RFC 5267: kept up to date
 *   search_many.c     ESEARCH over many mailboxes (RFC 7377)     sort*.c thread*.c RFC 5256, 5957
 *
 * A search goes over the letters that the client knows (a seqmap), 65,536 of them at a time, as bits. A key is asked about
 * those letters only that are still open, and keys are asked in the order of what they cost: numbers, then placements (flags,
 * sizes), then letter rows (dates), then text. So each letter is read at most once for each kind, and memory does not grow
 * with the mailbox beyond some bits and the numbers found. */
#pragma once
#include "proto/imap/imap.h"
#include "store/search.h"

enum {
        SEARCH_KEYS_MOST = 200, /* in a command; more: NO [LIMIT] */
        SEARCH_TEXTS_MOST = 100,
        SEARCH_TEXT_MOST = 8192, /* octets of one text */
        SEARCH_WINDOW = 65536,   /* letters looked at together; a multiple of 64 */
        SEARCH_SLICE = 2048,     /* letter rows read in one worker call */
        SEARCH_CONTEXTS_MOST = 16,
        SEARCH_MAILBOXES_MOST = 1000,
};

/* --- the tree --- */
enum search_what {
        /* by number: nothing is read */
        KEY_ALL,
        KEY_SEQUENCE, /* ranges; 0 stands for '*' */
        KEY_UID,
        KEY_SAVED, /* $ */
        KEY_RECENT,
        /* by placement */
        KEY_FLAGS,   /* all bits of `from` */
        KEY_KEYWORD, /* text */
        KEY_SIZE,    /* from <= size < until, as with all below */
        KEY_SAVEDATE,
        KEY_MODSEQ,
        KEY_EMAILID,
        /* by letter row */
        KEY_RECEIVED, /* wall usec */
        KEY_THREADID,
        KEY_SENT, /* seconds since 1970 of the day in the Date field, as it stands there */
        /* by text */
        KEY_HEADER,
        KEY_TEXT,
        /* of others */
        KEY_AND,
        KEY_OR,
};
struct search_key {
        enum search_what what;
        bool no; /* all letters but these */
        bool fuzzy;
        uint8_t cost;                    /* the largest `what` below, those of others aside */
        struct search_key *first, *next; /* of KEY_AND and KEY_OR; in the order of cost */
        struct uid_range *ranges;
        size_t n;
        int64_t from, until;
        enum search_field field; /* KEY_HEADER, KEY_TEXT */
        struct str name, text;   /* UTF-8 */
};
struct search_program {
        struct search_key *root;
        unsigned keys, texts;
        bool fuzzy;   /* FUZZY stands in it */
        bool modseq;  /* MODSEQ */
        bool numbers; /* message sequence numbers */
        bool saved;   /* $ */
        bool recent;  /* RECENT, NEW, OLD */
        bool passes;  /* OLDER, YOUNGER: changes by itself */
        bool unknown; /* the charset: NO [BADCHARSET] */
        struct str charset;
};

/* ["CHARSET" SP charset SP] search-key *(SP search-key). The tree lies in s->command; what is wrong sticks in the cursor. */
void search_program(struct session *s, struct scan *a, struct search_program *out);
/* search-key *(SP search-key), in the charset that *out names already */
void search_keys(struct session *s, struct scan *a, struct search_program *out);
/* charset SP search-key..., as SORT and THREAD have it */
void search_criteria(struct session *s, struct scan *a, struct search_program *out);
/* What can only be judged when the line is over. false: the reply is in *rc. */
bool search_allowed(struct session *s, const struct search_program *p, int *rc);
/* A copy that needs nothing of the session: numbers and $ as the uids they mean now. NULL: it would be too large. */
struct search_key *search_copy(struct arena *m, struct session *s, const struct search_key *k);

/* --- where to look --- */
struct search_scope {
        struct session *s;
        struct access *x;
        const struct seqmap *map;
        const struct keyword_list *keywords;
        const struct uid_list *saved; /* $; NULL: there is none here */
        uint32_t recent_from, recent_until;
        uint32_t limit;  /* RFC 9738: most letters to look at; 0: all */
        int64_t started; /* wall usec */
        nsec told;       /* when the client last heard of us (RFC 9585) */
};
/* Of the selected mailbox, open in x. */
void search_scope(struct search_scope *c, struct session *s, struct access *x);
/* RFC 9585: "* OK [INPROGRESS ...]" if the client has waited for some time; false: it has gone. A search_progress_fn. */
bool search_progress(void *scope, size_t done, size_t total);

/* --- what was found --- */
struct search_found {
        uint32_t *seqs;  /* ascending, or as SORT orders them */
        uint8_t *scores; /* 1..100, NULL without FUZZY */
        size_t n;
        uint32_t lowest; /* RFC 9738: the limit was met, this is the lowest uid that was looked at; else 0 */
};
void search_found_free(struct search_found *f);
/* 0 or -errno. Waits. */
[[nodiscard]] int search_run(struct search_scope *c, const struct search_key *root, struct search_found *out);
/* The placements of these numbers, out[i] that of seqs[i] (any order); letter 0: gone by now. */
[[nodiscard]] int search_placed(struct search_scope *c, const uint32_t *seqs, size_t n, struct placed *out);

/* --- search_facts.c: the letters of a window --- */
struct search_window {
        struct search_scope *scope;
        uint32_t first; /* position (sequence number - 1) of the first letter */
        uint32_t n;
        size_t words;          /* of 64 letters, in every set of bits */
        struct placed *placed; /* of those in placed_known */
        uint64_t *placed_known;
        int64_t *received, *sent; /* sent: INT64_MIN: no date */
        uint32_t *thread;
        uint64_t *facts_known, *sent_known;
        uint8_t *scores;
        int error;
};
void window_finish(struct search_window *w);
/* Each: all of `ask` are known afterwards; false: w->error. Letters that have gone have letter 0. */
bool window_placed(struct search_window *w, const uint64_t *ask);
bool window_facts(struct search_window *w, const uint64_t *ask);
bool window_sent(struct search_window *w, const uint64_t *ask);
/* Those of `ask` that have the text. */
bool window_text(struct search_window *w, const struct search_key *k, const uint64_t *ask, uint64_t *yes);

/* --- return options --- */
struct search_return {
        bool given; /* RETURN stood there */
        bool min, max, all, count, save, relevancy, partial, update, context;
        int64_t from,
            until; /* PARTIAL: 1-based, first <= last; below 0: from the end, -1 the last, from <= until */
        bool backwards; /* the range as it came is written back: "-1:-100" */
        uint32_t asked_from, asked_until;
};
/* ["RETURN" SP "(" ... ")" SP] */
void search_return(struct session *s, struct scan *a, struct search_return *out);
/* Which of the found are returned (RFC 9394 §3.2, RFC 9051 §6.4.4.1): first <= i < until; empty: none. */
void search_partial(const struct search_return *r, size_t found, size_t *first, size_t *until);
/* Do the options fit the keys? false: the reply is in *rc. */
bool search_options_allowed(struct session *s, const struct search_return *r, const struct search_program *p,
                            int *rc);
/* The tagged NO for an error; with SAVE there is nothing in $ then. */
int search_failed(struct session *s, const struct search_return *r, int error);
/* SAVE: sets $. */
void search_save(struct session *s, const struct search_return *r, const struct search_found *f);

/* --- search_reply.c --- */
struct search_reply {
        const char *verb; /* "SEARCH", "SORT": without return options */
        const struct search_return *ret;
        bool uid;
        struct str mailbox; /* RFC 7377; p NULL: none */
        uint32_t uidvalidity;
        bool modseq; /* MODSEQ is to be told */
};
[[nodiscard]] int search_reply(struct search_scope *c, const struct search_reply *r,
                               const struct search_found *f);
/* Long lists go out piece by piece. */
struct search_out {
        struct session *s;
        struct buf b;
        const char *space;
};
void out_begin(struct search_out *o, struct session *s);
void out_printf(struct search_out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Numbers in this order as a sequence-set: ranges where they follow one another. */
void out_set(struct search_out *o, const struct seqmap *map, bool uid, const uint32_t *seqs, size_t n);
void out_end(struct search_out *o); /* CRLF */
/* The tagged OK, with MESSAGELIMIT if it was met. */
int search_done(struct session *s, const struct search_scope *c, const struct search_found *f,
                const char *words);

/* --- search_context.c --- */
/* RETURN (UPDATE): the tag is used already. */
bool context_exists(struct session *s, struct str tag);
/* Keeps a search up, or says [NOUPDATE]. */
void context_start(struct session *s, const struct search_program *p, const struct search_scope *c,
                   const struct search_found *f);
