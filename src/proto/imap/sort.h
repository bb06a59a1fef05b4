/* What SORT and THREAD (RFC 5256) share: the rows of the letters found, read a slice at a time on worker threads, and texts as
 * they are compared (i;unicode-casemap as far as our folding goes: case, width and accents do not count). */
#pragma once
#include "mail/mime.h"
#include "proto/imap/search.h"

enum { SORT_TEXTS_MOST = 64 * 1024 * 1024, SORT_FIELD_MOST = 32 * 1024 };

/* For found letter i. envelope NULL: its structure is damaged. Runs on a worker thread; strings live only during the call. false: enough memory
 * is used (-ENOBUFS). */
typedef bool sort_row_fn(void *context, size_t i, const struct letter_facts_row *row,
                         const struct mime_envelope *envelope);
/* envelope false: it is not wanted, only dates are read. placed: of the found, in their order (search_placed). Letters that have gone are left out. Waits. */
[[nodiscard]] int sort_rows(struct search_scope *c, const struct placed *placed, size_t n, bool envelope,
                            sort_row_fn *fn, void *context);

/* Fields that are too long to be held beside the letter are noted and read one by one afterwards. */
struct sort_later {
        size_t i;
        unsigned what; /* the asker's */
        uint64_t at;
        uint32_t n;
        bool end; /* more than SORT_FIELD_MOST: its end is what matters */
};
struct sort_laters {
        struct sort_later *list;
        size_t n, room;
};
void sort_note(struct sort_laters *l, size_t i, unsigned what, const struct mime_field *f, bool end);
typedef bool sort_field_fn(void *context, const struct sort_later *l, struct str value);
[[nodiscard]] int sort_fields(struct search_scope *c, const struct placed *placed,
                              const struct sort_laters *l, sort_field_fn *fn, void *context);
void sort_laters_free(struct sort_laters *l);

/* Seconds since 1970 of the Date field; without one that can be read, of the internal date (RFC 5256 §2.2). */
int64_t sort_date(const struct mime_envelope *e, int64_t received);
/* Appends the form in which texts are compared. false: out is full. */
bool sort_fold(struct buf *out, struct buf *scratch, struct str utf8);
