/* What the files of store/search share. How the index is made, and why an answer from it is exact: search_part.h. */
#pragma once
#include "mail/mime.h"
#include "mail/text.h"
#include "store/account_inside.h"
#include "store/search.h"

/* ---- search_words.c: the words of a folded text, for the index and for comparing ----
 *
 * A word is a run between spaces, punctuation kept; of scripts that write without spaces, every two characters that stand
 * side by side (and a character that stands alone). Where the script changes a word ends. A run longer than WORD_MAX comes
 * as pieces that overlap, so that any part of it of up to WORD_SURE bytes lies whole in one of them; the first piece has
 * its beginning, the last its end. */
enum { WORD_MAX = 255, WORD_SURE = 64 };
typedef void word_fn(void *context, struct str word);
/* How many bytes were taken: without `last`, what may go on in the next piece of the text is left. */
size_t words_take(struct str folded, bool last, word_fn *word, void *context);
/* The segment at the start of s (no space in it): ends where the script changes. *dense: it is written without spaces. */
size_t words_segment(struct str s, bool *dense);
size_t words_character(struct str s); /* bytes of the first character */
/* Of the fields that people search by name, whole values are kept in the place of words, spaces and all: pieces of WORD_MAX
 * that overlap in the same way. So a needle with spaces is found there without reading a letter, too. */
bool words_whole(struct str field_name); /* lower case */
void words_value(struct str folded, word_fn *word, void *context);

/* ---- search_need.c: a needle, folded, and how the vocabulary of the index is asked for it ----
 *
 * The vocabulary lies as "\nword\nword\n": a piece of the needle that must begin a word is sought as "\npiece", and so on;
 * not so among whole values.
 * exact: what the only piece finds is the answer, no letter needs to be read. */
enum { NEED_PIECES = 24 };
struct need {
        enum search_field field;
        struct str name; /* lower case */
        struct buf text; /* folded */
        bool fuzzy, any /* the empty text */, exact;
        unsigned n;
        struct str pieces[NEED_PIECES]; /* patterns; of a fuzzy one: words */
        struct buf room;                /* where they lie */
};
void need_make(struct need *need, const struct search_needle *needle);
void need_free(struct need *need);
unsigned need_close(struct str wanted, struct str word); /* fuzzy: 0 not at all, 100 the same */

/* A text that is looked at piece by piece. */
struct look {
        const struct need *need;
        struct buf folded;
        bool found;
        uint8_t best[NEED_PIECES]; /* of a fuzzy one, a letter long */
        uint8_t score;
};
void look_init(struct look *l, const struct need *need);
void look_free(struct look *l);
/* Is it there? score says how well. The letter's MIME structure and text as reading_letter gives them. */
bool look_letter(struct look *l, const struct mime *m, struct str letter);

/* ---- search_read.c: letters from the account, a slice at a time ---- */
enum { SLICE_LETTERS = 256, SLICE_BYTES = 4 * 1024 * 1024 };
struct reading_item {
        uint32_t letter, size;
        uint64_t received, body;
        bool file; /* it lies in bodies/ */
        size_t mime, mime_n, text, text_n;
};
struct reading {
        struct account *a;
        const uint32_t *letters; /* these, ascending; NULL: from..to */
        size_t n, at;
        uint32_t from, to;
        bool more; /* after reading_some */
        size_t count;
        struct reading_item items[SLICE_LETTERS];
        struct buf bytes;
};
void reading_init(struct reading *r, struct account *a);
void reading_free(struct reading *r);
/* The next slice: waits. A letter that is gone is not among the items. */
[[nodiscard]] int reading_some(struct reading *r);
/* On a worker: the structure, and a letter that holds all texts: of a long one the rest is left out, and the structure says
 * so. false: it cannot be read (any more). `room` holds a long one. */
bool reading_letter(struct reading *r, size_t i, struct mime *m, struct buf *room, struct str *letter);

/* ---- search_scan.c: letters are read and looked at ---- */
/* match[which[i]] of letters[which[i]]; all of them are asked about. Waits. done, total: for how->progress. */
[[nodiscard]] int search_scan(struct account *a, const struct need *need, const uint32_t *letters,
                              const size_t *which, size_t n, bool *match, uint8_t *score,
                              const struct search_how *how, size_t done, size_t total);

/* ---- search_state.c, search_index.c ---- */
int search_behind(struct account *a, bool *behind); /* cheap: is there a letter that no part knows? */
int search_index_until(struct account *a, const bool *stop); /* *stop becomes true: after the slice at work */
/* ---- search_indexer.c ---- */
void indexer_urge(struct indexer *i, struct str account); /* as indexer_note; somebody waits for it */
