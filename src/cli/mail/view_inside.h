/* What view's files share. */
#pragma once
#include "cli/mail/view.h"

struct facts { /* of a letter; never change, live as long as the view */
        int64_t date, received;
        struct str from, to, subject;
        uint64_t own, parent; /* hashes of its Message-ID and of what it answers; 0: none */
        bool attachments;
};
struct entry { /* a placement; in order of uid */
        struct placed placed;
        struct facts *facts; /* NULL: not read yet */
        int64_t received;    /* seconds; with thread, 0 until view_dates */
        uint32_t thread;
        bool limited; /* the pattern leaves it out */
};
struct shown {
        uint32_t entry;
        uint16_t depth;
        uint32_t hidden;
        bool unread_below;
};
struct view {
        struct copy *copy;
        char *path;
        uint64_t stamp;
        struct entry *entries;
        size_t n;
        struct shown *shown;
        size_t shown_n;
        enum view_order order;
        bool backwards, fold_all;
        uint32_t *folds; /* threads for which fold_all is not so */
        size_t fold_n;
        struct buf pattern;
        struct arena facts; /* of rows and strings; never given back while the view lives */
        struct view_row *rows;
        size_t rows_room;
};

/* view_facts.c: of these entries (indices), or of all where list is NULL. Waits. */
[[nodiscard]] int view_facts(struct view *v, const uint32_t *list, size_t n);
[[nodiscard]] int view_dates(struct view *v);
/* view_sort.c: makes v->shown. */
[[nodiscard]] int view_arrange(struct view *v);
/* view_pattern.c: sets `match` of every entry. */
[[nodiscard]] int pattern_match(struct view *v, struct str pattern, bool *match, struct buf *why);
