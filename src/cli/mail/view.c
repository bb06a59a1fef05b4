#include "cli/mail/view_inside.h"
#include "base/mem.h"

#include <errno.h>

enum { FACTS_MOST = 1 << 30, PATTERN_MOST = 4096 };

/* The placements as they are now; what is known of those that were there stays. */
static int load(struct view *v, struct access *x)
{
        struct placed_list list = { 0 };
        struct uid_range all = { 1, UINT32_MAX };
        uint64_t stamp = change_stamp(x);
        struct entry *entries;
        size_t old = 0;
        int rc = change_list(x, &all, 1, 0, &list);

        if (rc < 0)
                return rc;
        entries = mem_array(list.n + 1, sizeof *entries);
        for (size_t i = 0; i < list.n; i++) {
                while (old < v->n && v->entries[old].placed.uid < list.list[i].uid)
                        old++;
                if (old < v->n && v->entries[old].placed.uid == list.list[i].uid)
                        entries[i] = v->entries[old];
                entries[i].placed = list.list[i];
        }
        mem_free(v->entries);
        v->entries = entries;
        v->n = list.n;
        v->stamp = stamp;
        placed_list_free(&list);
        return 0;
}

static int limit(struct view *v, struct buf *why)
{
        bool *match;
        int rc;

        for (size_t i = 0; i < v->n; i++)
                v->entries[i].limited = false;
        if (!v->pattern.n)
                return 0;
        match = mem_array(v->n + 1, sizeof *match);
        rc = pattern_match(v, buf_str(&v->pattern), match, why);
        for (size_t i = 0; i < v->n && rc == 0; i++)
                v->entries[i].limited = !match[i];
        mem_free(match);
        return rc;
}

int view_open(struct view **out, struct copy *c, struct str path)
{
        struct view *v = mem_new(struct view);
        struct access x = { 0 };
        int rc;

        *out = NULL;
        v->copy = c;
        v->path = mem_string(path);
        arena_init(&v->facts, FACTS_MOST);
        buf_init(&v->pattern, PATTERN_MOST);
        rc = copy_access(c, &x, path, RIGHT_READ);
        if (rc == 0)
                rc = load(v, &x);
        access_close(&x);
        if (rc == 0)
                rc = view_arrange(v);
        if (rc < 0)
                view_close(&v);
        *out = v;
        return rc;
}

void view_close(struct view **v)
{
        if (!*v)
                return;
        mem_free((*v)->path);
        mem_free((*v)->entries);
        mem_free((*v)->shown);
        mem_free((*v)->folds);
        mem_free((*v)->rows);
        buf_free(&(*v)->pattern);
        arena_finish(&(*v)->facts);
        mem_free(*v);
        *v = NULL;
}

int view_look(struct view *v)
{
        struct access x = { 0 };
        struct buf auto_buf why = { 0 };
        int rc = copy_access(v->copy, &x, str_of(v->path), RIGHT_READ);

        if (rc == 0 && change_stamp(&x) == v->stamp) {
                access_close(&x);
                return 0;
        }
        buf_init(&why, 1024);
        if (rc == 0)
                rc = load(v, &x);
        access_close(&x);
        if (rc == 0)
                rc = limit(v, &why);
        return rc ? rc : view_arrange(v);
}

int view_limit(struct view *v, struct str pattern, struct buf *why)
{
        struct buf auto_buf before = { 0 };
        int rc;

        buf_init(&before, PATTERN_MOST);
        buf_puts(&before, buf_str(&v->pattern));
        buf_clear(&v->pattern);
        rc = buf_puts(&v->pattern, str_trim(pattern)) ? limit(v, why) : -E2BIG;
        if (rc < 0) { /* as it was */
                struct buf auto_buf nobody = { 0 };

                buf_init(&nobody, 1024);
                buf_clear(&v->pattern);
                buf_puts(&v->pattern, buf_str(&before));
                (void)limit(v, &nobody);
                return rc;
        }
        return view_arrange(v);
}

int view_matching(struct view *v, struct str pattern, uint32_t **uids, size_t *n, struct buf *why)
{
        bool *match = mem_array(v->n + 1, sizeof *match);
        int rc = pattern_match(v, pattern, match, why);

        *uids = mem_array(v->n + 1, sizeof **uids);
        *n = 0;
        for (size_t i = 0; i < v->n && rc == 0; i++)
                if (match[i] && !v->entries[i].limited)
                        (*uids)[(*n)++] = v->entries[i].placed.uid;
        mem_free(match);
        return rc;
}

size_t view_count(const struct view *v)
{
        return v->shown_n;
}

size_t view_find(const struct view *v, uint32_t uid)
{
        for (size_t i = 0; i < v->shown_n; i++)
                if (v->entries[v->shown[i].entry].placed.uid == uid)
                        return i;
        return SIZE_MAX;
}

bool view_place(const struct view *v, size_t at, uint32_t *uid, uint64_t *flags)
{
        if (at >= v->shown_n)
                return false;
        *uid = v->entries[v->shown[at].entry].placed.uid;
        *flags = v->entries[v->shown[at].entry].placed.flags;
        return true;
}

size_t view_seek(const struct view *v, size_t from, int step, uint64_t mask, uint64_t is)
{
        bool unread = mask & FLAG_SEEN && !(is & FLAG_SEEN);

        for (; from < v->shown_n; from += (size_t)step) /* below 0 it is far beyond */
                if ((v->entries[v->shown[from].entry].placed.flags & mask) == is ||
                    (unread && v->shown[from].hidden && v->shown[from].unread_below))
                        return from;
        return SIZE_MAX;
}

int view_thread(struct view *v, size_t at, uint32_t **uids, size_t *n)
{
        uint32_t thread;
        int rc = at < v->shown_n ? view_dates(v) : -ERANGE;

        *uids = NULL;
        *n = 0;
        if (rc < 0)
                return rc;
        thread = v->entries[v->shown[at].entry].thread;
        *uids = mem_array(v->n, sizeof **uids);
        for (size_t i = 0; i < v->n; i++)
                if (v->entries[i].thread == thread)
                        (*uids)[(*n)++] = v->entries[i].placed.uid;
        return 0;
}

static void row(const struct view *v, const struct shown *s, struct view_row *r)
{
        const struct entry *e = &v->entries[s->entry];

        *r = (struct view_row){ .uid = e->placed.uid,
                                .letter = e->placed.letter,
                                .flags = e->placed.flags,
                                .size = e->placed.size,
                                .date = INT64_MIN,
                                .when = INT64_MIN,
                                .depth = s->depth,
                                .hidden = s->hidden,
                                .unread_below = s->unread_below };
        if (!e->facts)
                return; /* it has gone since */
        r->date = e->facts->date;
        r->when = r->date != INT64_MIN ? r->date : e->facts->received;
        r->from = e->facts->from;
        r->to = e->facts->to;
        r->subject = e->facts->subject;
        r->attachments = e->facts->attachments;
}

int view_rows(struct view *v, size_t from, size_t n, const struct view_row **rows)
{
        uint32_t *wanted;
        int rc;

        if (from > v->shown_n || n > v->shown_n - from)
                return -ERANGE;
        if (n > v->rows_room) {
                v->rows = mem_grow(v->rows, n, sizeof *v->rows);
                v->rows_room = n;
        }
        wanted = mem_array(n + 1, sizeof *wanted);
        for (size_t i = 0; i < n; i++)
                wanted[i] = v->shown[from + i].entry;
        rc = view_facts(v, wanted, n);
        mem_free(wanted);
        for (size_t i = 0; i < n; i++)
                row(v, &v->shown[from + i], &v->rows[i]);
        *rows = v->rows;
        return rc;
}
