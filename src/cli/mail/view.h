/* A folder as rows. Opening 100,000 letters costs their placements (some ms); what a row shows is read for the rows that are looked at, and kept. In
 * the order in which they were filed it needs nothing more; threads read dates and threads of all, and headers of those that have answers; other orders read
 * the headers of all, once. It follows what happens in the folder (view_look); rows are found again by uid (view_find). One fiber uses a view.
 *
 *      view.c          opened, looked at again, rows      view_facts.c      what rows show, read when needed
 *      view_sort.c     orders, threads, folding           view_pattern.c    mutt's patterns: limit and search */
#pragma once
#include "cli/mail/copy.h"

enum view_order { VIEW_ARRIVED, VIEW_THREADS, VIEW_DATE, VIEW_FROM, VIEW_SUBJECT, VIEW_SIZE };
struct view_row {
        uint32_t uid, letter;
        uint64_t flags;
        uint64_t size;
        int64_t date; /* of the Date field, seconds since 1970; INT64_MIN: none that can be read */
        int64_t when; /* that, or else when it came */
        struct str from, to,
            subject; /* decoded, one line, display name or address; live as long as the view. No From: the envelope's */
        bool attachments, unread_below; /* below: of a collapsed thread */
        unsigned depth;                 /* in its thread */
        unsigned hidden;                /* how many a collapsed thread hides */
};
struct view;
[[nodiscard]] int view_open(struct view **out, struct copy *c, struct str path);
void view_close(struct view **v);
size_t view_count(const struct view *v);
[[nodiscard]] int view_rows(struct view *v, size_t from, size_t n,
                            const struct view_row **rows); /* reads what is not known yet */
size_t view_find(const struct view *v, uint32_t uid);      /* SIZE_MAX: not here */
/* From this row on, in steps of 1 or -1, the first whose flags & mask are `is`; SIZE_MAX: none. A collapsed thread is unread if one of it is. These two
 * read nothing. */
size_t view_seek(const struct view *v, size_t from, int step, uint64_t mask, uint64_t is);
bool view_place(const struct view *v, size_t row, uint32_t *uid, uint64_t *flags); /* false: no such row */
/* The uids of the row's thread within this folder, ascending; on the heap. */
[[nodiscard]] int view_thread(struct view *v, size_t row, uint32_t **uids, size_t *n);
[[nodiscard]] int view_sort(struct view *v, enum view_order order, bool backwards);
void view_fold(struct view *v, size_t row, bool folded); /* its thread; SIZE_MAX: all */
/* mutt's patterns: ~f FROM ~t TO ~c CC ~s SUBJECT ~b BODY ~B ANYWHERE ~h HEADER; ~d DATE: <7d, >1m, 2026-11-01..2026-12-01; ~z SIZE: >10k; ~k KEYWORD; ~N
 * or ~U unread, ~R read, ~F flagged, ~D deleted, ~Q answered, ~A all; ! | ( ) and "quotes". A bare word: anywhere. Texts by the store's index: parts of
 * words, case and accents do not count. Empty: all. -EINVAL: *why. */
[[nodiscard]] int view_limit(struct view *v, struct str pattern, struct buf *why);
[[nodiscard]] int view_matching(struct view *v, struct str pattern, uint32_t **uids, size_t *n,
                                struct buf *why);
[[nodiscard]] int view_look(struct view *v); /* what has changed since */
