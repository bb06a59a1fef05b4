/* Orders and threads. A thread stands where its newest letter stands; in it answers stand below what they answer, as far as References and
 * In-Reply-To say so within this folder; what answers a letter that is not here stands one step in. */
#include "cli/mail/view_inside.h"
#include "base/mem.h"

#include <stdlib.h>

enum { TREE_MOST = 2000, DEPTH_MOST = 60 };

/* ---- flat orders ---- */

static int by(int64_t a, int64_t b)
{
        return a < b ? -1 : a > b;
}

static struct str subject_of(struct str s)
{
        while (str_istarts(s, S("re:")) || str_istarts(s, S("fwd:")) || str_istarts(s, S("aw:")) ||
               str_istarts(s, S("wg:")))
                s = str_trim(str_from_at(s, str_find(s, ':') + 1));
        return s;
}

static int by_text(struct str a, struct str b)
{
        for (size_t i = 0; i < a.n && i < b.n; i++) {
                int d = by((unsigned char)chr_lower(a.p[i]), (unsigned char)chr_lower(b.p[i]));

                if (d)
                        return d;
        }
        return by((int64_t)a.n, (int64_t)b.n);
}

static int compare(const void *pa, const void *pb, void *context)
{
        const struct view *v = context;
        const struct shown *sa = pa, *sb = pb;
        const struct entry *a = &v->entries[sa->entry], *b = &v->entries[sb->entry];
        static const struct facts none = { .date = INT64_MIN };
        const struct facts *fa = a->facts ? a->facts : &none, *fb = b->facts ? b->facts : &none;
        int d = 0;

        switch (v->order) {
        case VIEW_DATE:
                d = by(fa->date != INT64_MIN ? fa->date : a->received,
                       fb->date != INT64_MIN ? fb->date : b->received);
                break;
        case VIEW_FROM: d = by_text(fa->from, fb->from); break;
        case VIEW_SUBJECT: d = by_text(subject_of(fa->subject), subject_of(fb->subject)); break;
        case VIEW_SIZE: d = by(a->placed.size, b->placed.size); break;
        case VIEW_ARRIVED:
        case VIEW_THREADS: break;
        }
        return d ? d : by(a->placed.uid, b->placed.uid);
}

static void backwards(struct view *v)
{
        for (size_t i = 0; i < v->shown_n / 2; i++) {
                struct shown s = v->shown[i];

                v->shown[i] = v->shown[v->shown_n - 1 - i];
                v->shown[v->shown_n - 1 - i] = s;
        }
}

/* ---- threads ---- */

struct member {
        uint32_t entry, thread;
        uint32_t newest; /* uid, of the thread */
};

static int by_thread(const void *pa, const void *pb)
{
        const struct member *a = pa, *b = pb;
        int d = by(a->thread, b->thread);

        return d ? d : by(a->entry, b->entry);
}

static int by_newest(const void *pa, const void *pb)
{
        const struct member *a = pa, *b = pb;
        int d = by(a->newest, b->newest);

        if (!d)
                d = by(a->thread, b->thread);
        return d ? d : by(a->entry, b->entry);
}

static int down_by_newest(const void *pa, const void *pb)
{
        const struct member *a = pa, *b = pb;
        int d = by(b->newest, a->newest);

        if (!d)
                d = by(a->thread, b->thread);
        return d ? d : by(a->entry, b->entry);
}

static size_t group_end(const struct member *m, size_t from, size_t n)
{
        size_t end = from + 1;

        while (end < n && m[end].thread == m[from].thread)
                end++;
        return end;
}

static bool is_folded(const struct view *v, uint32_t thread)
{
        for (size_t i = 0; i < v->fold_n; i++)
                if (v->folds[i] == thread)
                        return !v->fold_all;
        return v->fold_all;
}

struct node {
        uint32_t parent, first, last, next; /* indices in the group; UINT32_MAX: none */
        bool out;                           /* its letter is answered by one that comes before */
};

/* Is `at` above `below`, or the same? Then a link would close a circle (hostile or broken References). */
static bool is_above(const struct node *nodes, uint32_t at, uint32_t below)
{
        for (unsigned steps = 0; below != UINT32_MAX && steps <= TREE_MOST;
             steps++, below = nodes[below].parent)
                if (below == at)
                        return true;
        return false;
}

struct own {
        uint64_t own;
        uint32_t at;
};

static int by_own(const void *pa, const void *pb)
{
        const struct own *a = pa, *b = pb;
        int d = a->own < b->own ? -1 : a->own > b->own;

        return d ? d : by(a->at, b->at);
}

static uint32_t find_own(const struct own *list, size_t n, uint64_t hash)
{
        size_t low = 0, high = n;

        while (hash && low < high) {
                size_t middle = low + (high - low) / 2;

                if (list[middle].own < hash)
                        low = middle + 1;
                else
                        high = middle;
        }
        return hash && low < n && list[low].own == hash ? list[low].at : UINT32_MAX;
}

static void link_up(const struct view *v, const struct member *m, uint32_t n, struct node *nodes)
{
        struct own *owns = mem_array(n, sizeof *owns);

        for (uint32_t i = 0; i < n; i++) {
                const struct facts *f = v->entries[m[i].entry].facts;

                nodes[i] = (struct node){ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, false };
                owns[i] = (struct own){ f ? f->own : 0, i };
        }
        qsort(owns, n, sizeof *owns, by_own);
        for (uint32_t i = 0; i < n; i++) {
                const struct facts *f = v->entries[m[i].entry].facts;
                uint32_t up = f ? find_own(owns, n, f->parent) : UINT32_MAX;

                if (up == UINT32_MAX || is_above(nodes, i, up))
                        continue;
                nodes[i].parent = up;
                if (nodes[up].first == UINT32_MAX)
                        nodes[up].first = i;
                else
                        nodes[nodes[up].last].next = i;
                nodes[up].last = i;
        }
        mem_free(owns);
}

static void put(struct view *v, const struct member *m, size_t depth)
{
        v->shown[v->shown_n++] =
            (struct shown){ .entry = m->entry, .depth = (uint16_t)(depth < DEPTH_MOST ? depth : DEPTH_MOST) };
}

static void walk(struct view *v, const struct member *m, uint32_t n)
{
        struct node *nodes = mem_array(n, sizeof *nodes);
        bool first = true;

        link_up(v, m, n, nodes);
        for (uint32_t root = 0; root < n; root++) {
                uint32_t at = root;
                size_t depth = first ? 0 : 1;

                if (nodes[root].parent != UINT32_MAX)
                        continue;
                first = false;
                while (at != UINT32_MAX) {
                        put(v, &m[at], depth);
                        if (nodes[at].first != UINT32_MAX) {
                                at = nodes[at].first;
                                depth++;
                                continue;
                        }
                        while (at != root && nodes[at].next == UINT32_MAX) {
                                at = nodes[at].parent;
                                depth--;
                        }
                        at = at == root ? UINT32_MAX : nodes[at].next;
                }
        }
        mem_free(nodes);
}

static void put_thread(struct view *v, const struct member *m, size_t n)
{
        size_t top = v->shown_n;

        if (n == 1 || n > TREE_MOST)
                for (size_t i = 0; i < n; i++)
                        put(v, &m[i], i ? 1 : 0);
        else
                walk(v, m, (uint32_t)n);
        for (size_t i = 1; i < n; i++)
                v->shown[top].unread_below |= !(v->entries[v->shown[top + i].entry].placed.flags & FLAG_SEEN);
        if (n > 1 && is_folded(v, m->thread)) {
                v->shown[top].hidden = (uint32_t)(n - 1);
                v->shown_n = top + 1;
        }
}

static int arrange_threads(struct view *v)
{
        struct member *m = mem_array(v->n + 1, sizeof *m);
        uint32_t *answered = mem_array(v->n + 1, sizeof *answered);
        size_t n = 0, many = 0;
        int rc = view_dates(v);

        for (size_t i = 0; i < v->n; i++)
                if (!v->entries[i].limited)
                        m[n++] = (struct member){ .entry = (uint32_t)i, .thread = v->entries[i].thread };
        qsort(m, n, sizeof *m, by_thread);
        for (size_t at = 0, end; at < n; at = end) {
                end = group_end(m, at, n);
                for (size_t i = at; i < end; i++) {
                        m[i].newest = v->entries[m[end - 1].entry].placed.uid;
                        if (end - at > 1 && end - at <= TREE_MOST)
                                answered[many++] = m[i].entry;
                }
        }
        if (rc == 0)
                rc = view_facts(v, answered, many);
        qsort(m, n, sizeof *m, v->backwards ? down_by_newest : by_newest);
        for (size_t at = 0, end; at < n && rc == 0; at = end) {
                end = group_end(m, at, n);
                put_thread(v, m + at, end - at);
        }
        mem_free(answered);
        mem_free(m);
        return rc;
}

/* ---- all of it ---- */

int view_arrange(struct view *v)
{
        int rc = 0;

        mem_free(v->shown);
        v->shown = mem_array(v->n + 1, sizeof *v->shown);
        v->shown_n = 0;
        if (v->order == VIEW_THREADS)
                return arrange_threads(v);
        for (size_t i = 0; i < v->n; i++)
                if (!v->entries[i].limited)
                        v->shown[v->shown_n++] = (struct shown){ .entry = (uint32_t)i };
        if (v->order != VIEW_ARRIVED && v->order != VIEW_SIZE)
                rc = view_facts(v, NULL, 0);
        if (v->order != VIEW_ARRIVED)
                qsort_r(v->shown, v->shown_n, sizeof *v->shown, compare, v);
        if (v->backwards)
                backwards(v);
        return rc;
}

int view_sort(struct view *v, enum view_order order, bool reverse)
{
        v->order = order;
        v->backwards = reverse;
        return view_arrange(v);
}

void view_fold(struct view *v, size_t row, bool folded)
{
        uint32_t thread;

        if (row == SIZE_MAX) {
                v->fold_all = folded;
                v->fold_n = 0;
        } else if (row < v->shown_n) {
                thread = v->entries[v->shown[row].entry].thread;
                if (is_folded(v, thread) == folded)
                        return;
                for (size_t i = 0; i < v->fold_n; i++)
                        if (v->folds[i] == thread) {
                                v->folds[i] = v->folds[--v->fold_n];
                                thread = 0;
                                break;
                        }
                if (thread) {
                        v->folds = mem_grow(v->folds, v->fold_n + 1, sizeof *v->folds);
                        v->folds[v->fold_n++] = thread;
                }
        }
        if (v->order == VIEW_THREADS)
                (void)view_arrange(v); /* nothing new is read for it */
}
