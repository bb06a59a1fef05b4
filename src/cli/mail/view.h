/* A folder as rows. Opening 100,000 letters costs their placements (some ms); what a row shows is read for the rows that are looked at, and kept. By
 * date (as they were filed) it needs nothing more; threads and other orders read dates, threads or headers of all, in slices, and the view says
 * when it has done. It follows what happens in the folder (view_look) without losing the place. */
#pragma once
#include "cli/mail/copy.h"

enum view_order { VIEW_DATE, VIEW_THREADS, VIEW_FROM, VIEW_SUBJECT, VIEW_SIZE, VIEW_ARRIVED };
struct view_row {
        uint32_t uid, letter;
        uint64_t flags;
        uint64_t size;
        int64_t date; /* of the Date field, seconds since 1970; INT64_MIN: none that can be read */
        struct str from, to,
            subject; /* decoded, one line, display name or address; live as long as the view */
        bool attachments, list, unread_below; /* below: of a collapsed thread */
        unsigned depth;                       /* in its thread */
        unsigned hidden;                      /* how many a collapsed thread hides */
};
struct view;
[[nodiscard]] int view_open(struct view **out, struct copy *c, struct str path);
void view_close(struct view **v);
size_t view_count(const struct view *v);
[[nodiscard]] int view_rows(struct view *v, size_t from, size_t n,
                            const struct view_row **rows); /* reads what is not known yet */
size_t view_find(const struct view *v, uint32_t uid);      /* SIZE_MAX: not here */
[[nodiscard]] int view_sort(struct view *v, enum view_order order, bool backwards);
void view_fold(struct view *v, size_t row, bool folded); /* its thread; SIZE_MAX: all */
/* mutt's patterns: ~f FROM ~t TO ~s SUBJECT ~b BODY ~B ANYWHERE ~d DATES ~N ~O ~U ~F ~D ~A ~z SIZE ~k KEYWORD, ! | ( ); bare words: from or subject, and
 * body. Empty: all. -EINVAL: *why. Body texts by the index. */
[[nodiscard]] int view_limit(struct view *v, struct str pattern, struct buf *why);
[[nodiscard]] int view_matching(struct view *v, struct str pattern, uint32_t **uids, size_t *n,
                                struct buf *why);
[[nodiscard]] int view_look(struct view *v); /* what has changed since */
