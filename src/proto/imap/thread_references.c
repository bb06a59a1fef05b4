#include "base/mem.h"
#include "proto/imap/thread.h"

#include <stdlib.h>

/* THREAD=REFERENCES, RFC 5256 §3: the steps as numbered there. Nodes are numbers in one array: those of the letters first, then
 * dummies. Nothing recurses, since a thread may be as deep as the mailbox is long. */

#define NONE UINT32_MAX

struct node {
        uint32_t letter; /* NONE: a dummy */
        uint32_t parent, first, last, next, before;
};
struct slot {
        uint64_t hash; /* 0: free */
        uint32_t node;
};
struct threads {
        const struct thread_letter *letters;
        const uint64_t *refs;
        struct node *nodes;
        uint32_t n, room;
        struct slot *table;
        size_t mask, used;
        uint64_t steps;   /* taken upwards in search of loops */
        struct node root; /* its children: the threads */
        uint32_t *list;   /* scratch, room for all nodes */
};

/* A chain of letters that is built from its end needs a look at all of it for each. Ordinary mail never comes near; after so
 * many steps links that need more than a few are left out, as if they made a loop. */
enum { STEPS_MOST = 50 * 1000 * 1000, STEPS_THEN = 1000 };

static struct node *node(struct threads *t, uint32_t i)
{
        return i == NONE ? &t->root : &t->nodes[i];
}

static uint32_t new_node(struct threads *t, uint32_t letter)
{
        if (t->n == t->room) {
                t->room = t->room ? t->room * 2 : 256;
                t->nodes = mem_grow(t->nodes, t->room, sizeof(*t->nodes));
        }
        t->nodes[t->n] = (struct node){ letter, NONE, NONE, NONE, NONE, NONE };
        return t->n++;
}

/* --- tables by hash --- */

static struct slot *slot(const struct threads *t, uint64_t hash)
{
        size_t i = (size_t)(hash * 0x9E3779B97F4A7C15u >> 20) & t->mask;

        while (t->table[i].hash && t->table[i].hash != hash)
                i = (i + 1) & t->mask;
        return &t->table[i];
}

static void table_begin(struct threads *t)
{
        t->mask = 255;
        t->table = mem_array(t->mask + 1, sizeof(*t->table));
        t->used = 0;
}

/* The slot of a hash, which stays where it is until the next one is put in. */
static struct slot *put_slot(struct threads *t, uint64_t hash, uint32_t i)
{
        struct slot *old = t->table, *s;

        if (++t->used > t->mask / 2) {
                size_t size = t->mask + 1;

                t->mask = size * 2 - 1;
                t->table = mem_array(size * 2, sizeof(*t->table));
                for (size_t k = 0; k < size; k++)
                        if (old[k].hash)
                                *slot(t, old[k].hash) = old[k];
                mem_free(old);
        }
        s = slot(t, hash);
        *s = (struct slot){ hash, i };
        return s;
}

/* --- children --- */

static void append(struct threads *t, uint32_t parent, uint32_t child)
{
        struct node *p = node(t, parent), *c = node(t, child);

        c->parent = parent;
        c->next = NONE;
        c->before = p->last;
        if (p->last != NONE)
                node(t, p->last)->next = child;
        else
                p->first = child;
        p->last = child;
}

static void detach(struct threads *t, uint32_t child)
{
        struct node *c = node(t, child), *p = node(t, c->parent);

        if (c->before != NONE)
                node(t, c->before)->next = c->next;
        else
                p->first = c->next;
        if (c->next != NONE)
                node(t, c->next)->before = c->before;
        else
                p->last = c->before;
        c->parent = c->next = c->before = NONE;
}

/* Is `above` the node itself or one above it? */
static bool descends(struct threads *t, uint32_t i, uint32_t above)
{
        uint64_t from = t->steps;

        if (i == above)
                return true;
        if (node(t, above)->first == NONE) /* nothing is below it: what a new letter is */
                return false;
        for (; i != NONE; i = node(t, i)->parent) {
                if (i == above)
                        return true;
                if (++t->steps > STEPS_MOST && t->steps - from > STEPS_THEN)
                        return true;
        }
        return false;
}

/* --- 1: links --- */

static uint32_t of_id(struct threads *t, uint64_t hash)
{
        struct slot *s = slot(t, hash);

        return s->hash ? s->node : put_slot(t, hash, new_node(t, NONE))->node;
}

/* The node of a letter: a dummy that was waiting for its id, or a new one. The first letter has the id. */
static uint32_t of_letter(struct threads *t, uint32_t i)
{
        uint64_t id = t->letters[i].id;
        uint32_t at;

        if (!id)
                return new_node(t, i);
        at = of_id(t, id);
        if (node(t, at)->letter != NONE)
                return new_node(t, i);
        node(t, at)->letter = i;
        return at;
}

static void link_letter(struct threads *t, uint32_t i)
{
        const struct thread_letter *l = &t->letters[i];
        uint32_t own = of_letter(t, i), above = NONE;

        for (uint32_t k = 0; k < l->refs; k++) { /* 1.A */
                uint32_t ref = of_id(t, t->refs[l->first_ref + k]);

                if (above != NONE && node(t, ref)->parent == NONE && !descends(t, above, ref))
                        append(t, above, ref);
                above = ref;
        }
        if (node(t, own)->parent == above) /* 1.B */
                return;
        if (node(t, own)->parent != NONE)
                detach(t, own);
        if (above != NONE && !descends(t, above, own))
                append(t, above, own);
}

/* --- 2, 3: the root, and dummies out --- */

static void gather(struct threads *t)
{
        for (uint32_t i = 0; i < t->n; i++)
                if (node(t, i)->parent == NONE)
                        append(t, NONE, i);
}

/* All nodes, each before its children. append has set the parent of top nodes to NONE, which is the root. */
static size_t in_order(struct threads *t, uint32_t *out)
{
        size_t n = 0;

        for (uint32_t i = t->root.first; i != NONE; i = node(t, i)->next)
                out[n++] = i;
        for (size_t at = 0; at < n; at++)
                for (uint32_t c = node(t, out[at])->first; c != NONE; c = node(t, c)->next)
                        out[n++] = c;
        return n;
}

/* A dummy's children take its place among its siblings. */
static void splice(struct threads *t, uint32_t parent, uint32_t dummy)
{
        struct node *d = node(t, dummy), *p = node(t, parent);
        uint32_t before = d->before, next = d->next, first = d->first, last = d->last;

        if (first == NONE) {
                detach(t, dummy);
                return;
        }
        for (uint32_t c = first; c != NONE; c = node(t, c)->next)
                node(t, c)->parent = parent;
        node(t, first)->before = before;
        node(t, last)->next = next;
        if (before != NONE)
                node(t, before)->next = first;
        else
                p->first = first;
        if (next != NONE)
                node(t, next)->before = last;
        else
                p->last = last;
        d->first = d->last = d->next = d->before = d->parent = NONE;
}

static void prune(struct threads *t)
{
        size_t n = in_order(t, t->list);

        while (n--) { /* children before their parents */
                uint32_t i = t->list[n], parent = node(t, i)->parent;
                const struct node *d = node(t, i);

                if (d->letter != NONE)
                        continue;
                if (parent != NONE || d->first == NONE || d->first == d->last)
                        splice(t, parent, i);
        }
}

/* --- 4, 6: sorting siblings --- */

static const struct thread_letter *letter(struct threads *t, uint32_t i)
{
        const struct node *d = node(t, i);

        if (d->letter == NONE)
                d = node(t, d->first);
        return &t->letters[d->letter];
}

static int by_date(const void *a, const void *b, void *context)
{
        const struct thread_letter *x = letter(context, *(const uint32_t *)a);
        const struct thread_letter *y = letter(context, *(const uint32_t *)b);

        if (x->date != y->date)
                return x->date < y->date ? -1 : 1;
        return (x > y) - (x < y); /* by number */
}

static void sort_children(struct threads *t, uint32_t parent)
{
        struct node *p = node(t, parent);
        uint32_t *list, n = 0;

        if (p->first == p->last)
                return;
        for (uint32_t c = p->first; c != NONE; c = node(t, c)->next)
                n++;
        list = mem_array(n, sizeof(*list));
        n = 0;
        for (uint32_t c = p->first; c != NONE; c = node(t, c)->next)
                list[n++] = c;
        qsort_r(list, n, sizeof(*list), by_date, t);
        p->first = p->last = NONE;
        for (uint32_t i = 0; i < n; i++)
                append(t, parent, list[i]);
        mem_free(list);
}

static void sort_top(struct threads *t)
{
        for (uint32_t i = t->root.first; i != NONE; i = node(t, i)->next)
                if (node(t, i)->letter == NONE)
                        sort_children(t, i);
        sort_children(t, NONE);
}

static void sort_all(struct threads *t)
{
        size_t n = in_order(t, t->list);

        while (n--)
                sort_children(t, t->list[n]);
        sort_children(t, NONE);
}

/* --- 5: threads of one subject --- */

static bool is_dummy(struct threads *t, uint32_t i)
{
        return node(t, i)->letter == NONE;
}

/* Whether "the message" is a reply: a dummy has no subject of its own. */
static bool is_reply(struct threads *t, uint32_t i)
{
        return !is_dummy(t, i) && t->letters[node(t, i)->letter].reply;
}

static void subject_table(struct threads *t)
{
        for (uint32_t i = t->root.first; i != NONE; i = node(t, i)->next) {
                uint64_t subject = letter(t, i)->subject;
                struct slot *s;

                if (!subject)
                        continue;
                s = slot(t, subject);
                if (!s->hash)
                        put_slot(t, subject, i);
                else if (!is_dummy(t, s->node) &&
                         (is_dummy(t, i) || (is_reply(t, s->node) && !is_reply(t, i))))
                        s->node = i;
        }
}

static void merge(struct threads *t, struct slot *s, uint32_t i)
{
        uint32_t held = s->node;

        if (is_dummy(t, i) && is_dummy(t, held)) {
                while (node(t, i)->first != NONE) {
                        uint32_t c = node(t, i)->first;

                        detach(t, c);
                        append(t, held, c);
                }
                detach(t, i);
        } else if (is_dummy(t, held) || (is_reply(t, i) && !is_reply(t, held))) {
                detach(t, i);
                append(t, held, i);
        } else {
                uint32_t dummy = new_node(t, NONE);

                detach(t, i);
                detach(t, held);
                append(t, dummy, held);
                append(t, dummy, i);
                append(t, NONE, dummy);
                s->node = dummy;
        }
}

static void gather_subjects(struct threads *t)
{
        uint32_t n = 0;

        for (uint32_t i = t->root.first; i != NONE; i = node(t, i)->next)
                t->list[n++] = i;
        for (uint32_t k = 0; k < n; k++) {
                uint32_t i = t->list[k];
                uint64_t subject = letter(t, i)->subject;
                struct slot *s = subject ? slot(t, subject) : NULL;

                if (s && s->node != i)
                        merge(t, s, i);
        }
}

/* --- the response --- */

enum { CLOSE = UINT32_MAX - 1 };

/* thread-list = "(" (thread-members / thread-nested) ")" */
static void put_thread(struct threads *t, uint32_t top, uint32_t *stack, struct buf *out)
{
        size_t n = 0;

        stack[n++] = top;
        while (n) {
                uint32_t i = stack[--n];

                if (i == CLOSE) {
                        buf_put(out, ")", 1);
                        continue;
                }
                buf_put(out, "(", 1);
                for (;;) { /* an only child follows in the same list */
                        const struct node *d = node(t, i);

                        if (d->letter != NONE)
                                buf_printf(out, "%u", t->letters[d->letter].shown);
                        if (d->first == NONE) {
                                buf_put(out, ")", 1);
                                break;
                        }
                        if (d->letter != NONE)
                                buf_put(out, " ", 1);
                        if (d->first != d->last) {
                                stack[n++] = CLOSE;
                                for (uint32_t c = d->last; c != NONE; c = node(t, c)->before)
                                        stack[n++] = c;
                                break;
                        }
                        i = d->first;
                }
        }
}

bool thread_references(const struct thread_letter *letters, size_t n, const uint64_t *refs, struct buf *out)
{
        struct threads t = { .letters = letters, .refs = refs };

        t.root = (struct node){ NONE, NONE, NONE, NONE, NONE, NONE };
        table_begin(&t);
        for (uint32_t i = 0; i < n; i++)
                link_letter(&t, i);
        mem_free(t.table);
        gather(&t);
        t.list = mem_array(t.n + 1, sizeof(*t.list));
        prune(&t);
        sort_top(&t);
        table_begin(&t);
        subject_table(&t);
        gather_subjects(&t);
        mem_free(t.table);
        mem_free(t.list);
        t.list = mem_array(2 * (size_t)t.n + 1, sizeof(*t.list)); /* merging has made more nodes */
        sort_all(&t);
        for (uint32_t i = t.root.first; i != NONE; i = node(&t, i)->next)
                put_thread(&t, i, t.list, out);
        mem_free(t.list);
        mem_free(t.nodes);
        return !out->full;
}
