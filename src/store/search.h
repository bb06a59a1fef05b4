/* Search: which letters contain a text, as IMAP means it (RFC 9051 §6.4.4): substrings, in decoded text, case and accents folded
 * (mail/text.h). An index beside each account (the folder `search/`, may be removed at any time: it is made anew) answers
 * for what it has seen, the rest is read and looked at: never wrong, only slower.
 *
 * Exact answers, without reading a letter, for a needle without spaces of up to 64 bytes, in scripts written without spaces
 * for one or two characters. For others the index names candidates, which are read. A letter's text never changes, so the
 * index only grows; letters that are gone are dropped when many are. How it lies on disk: search_part.h.
 *
 * Of one letter in a file (over 64 KB) the first 64 MB of headers and texts are looked at. */
#pragma once
#include "store/account.h"

enum search_field {
        SEARCH_SUBJECT,
        SEARCH_FROM,
        SEARCH_TO,
        SEARCH_CC,
        SEARCH_BCC,
        SEARCH_HEADER, /* the field `name`; with an empty text: the letter has such a field */
        SEARCH_BODY,   /* the text of all text parts; what attachments are called counts as header */
        SEARCH_TEXT,   /* header or body */
};
struct search_needle {
        enum search_field field;
        struct str name; /* of SEARCH_HEADER */
        struct str text; /* UTF-8, as it came; folded here */
        bool fuzzy;      /* RFC 6203: words in any order, close ones too */
};
/* Between slices, on the fiber that asked: it may write to its client. false: give up (-ECANCELED). */
typedef bool search_progress_fn(void *context, size_t done, size_t total);
struct search_how {
        search_progress_fn *progress; /* may be NULL */
        void *context;
};
/* Of the letters (ascending numbers), those that contain the needle: match[i] says it of letters[i]; where match[i] is false
 * already, the letter is not asked about. score (may be NULL): relevancy 1..100 of fuzzy matches. Waits. */
[[nodiscard]] int search_letters(struct account *a, const struct search_needle *needle,
                                 const uint32_t *letters, size_t n, bool *match, uint8_t *score,
                                 const struct search_how *how);

/* The background: accounts that got letters are noted (cheap, may run on the loop; coalesced) and indexed when they have been left alone
 * for a moment or much has gathered; one fiber a process does it, below everything else. */
struct accounts;
struct indexer;
int indexer_start(struct indexer **out, struct accounts *accounts);
void indexer_note(struct indexer *i, struct str account);
bool indexer_idle(const struct indexer *i);
void indexer_stop(struct indexer **i); /* waits for the slice at work */
/* Index all that is not yet (verbs, tests, benches). */
[[nodiscard]] int search_index(struct account *a);
/* How far: letters that are in the index, and bytes on disk. */
[[nodiscard]] int search_state(struct account *a, uint64_t *indexed, uint64_t *letters, uint64_t *bytes);
/* pail check */
[[nodiscard]] int search_check(struct account *a, struct buf *out, unsigned *wrong);
