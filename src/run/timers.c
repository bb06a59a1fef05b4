#include "run/inside.h"
#include "base/mem.h"
#include <assert.h>

/* A heap of four children a node, the keys beside the pointers. Setting a timer later only changes timer.at, its key
 * stays: when the key comes up, the timer moves to where it belongs. So a deadline that every command pushes on costs
 * a store, and one move in as much time as the deadline is long. Setting NEVER is the same. */

struct node {
        nsec key; /* <= timer->at, or the timer was set for a time past */
        struct timer *timer;
};

static struct {
        struct node *nodes; /* from 1, as slot 0 means "not set" */
        unsigned n, room;
        nsec firing; /* a timer set now for then or earlier fires next time, so firing ends */
} heap = { .firing = INT64_MIN };

static unsigned parent(unsigned i)
{
        return (i + 2) / 4;
}

static unsigned first_child(unsigned i)
{
        return 4 * i - 2;
}

static void put(unsigned i, struct node node)
{
        heap.nodes[i] = node;
        node.timer->slot = i;
}

static void sift_up(unsigned i, struct node node)
{
        while (i > 1 && heap.nodes[parent(i)].key > node.key) {
                put(i, heap.nodes[parent(i)]);
                i = parent(i);
        }
        put(i, node);
}

static void sift_down(unsigned i, struct node node)
{
        for (;;) {
                unsigned child = first_child(i), least = child, end = child + 4;

                if (child > heap.n)
                        break;
                for (; child < end && child <= heap.n; child++)
                        if (heap.nodes[child].key < heap.nodes[least].key)
                                least = child;
                if (heap.nodes[least].key >= node.key)
                        break;
                put(i, heap.nodes[least]);
                i = least;
        }
        put(i, node);
}

static void add(struct timer *t, nsec key)
{
        if (heap.n + 1 >= heap.room) {
                heap.room = heap.room ? 2 * heap.room : 256;
                heap.nodes = mem_grow(heap.nodes, heap.room, sizeof *heap.nodes);
        }
        heap.n++;
        sift_up(heap.n, (struct node){ key, t });
}

void timer_set(struct timer *t, nsec at)
{
        t->at = at;
        if (at <= heap.firing)
                at = heap.firing + 1;
        if (t->slot) {
                if (at < heap.nodes[t->slot].key)
                        sift_up(t->slot, (struct node){ at, t });
        } else if (at != NEVER) {
                add(t, at);
        }
}

void timer_stop(struct timer *t)
{
        unsigned i = t->slot;
        struct node last;

        if (!i)
                return;
        assert(i <= heap.n && heap.nodes[i].timer == t);
        t->slot = 0;
        last = heap.nodes[heap.n--];
        if (last.timer == t)
                return;
        if (i > 1 && heap.nodes[parent(i)].key > last.key)
                sift_up(i, last);
        else
                sift_down(i, last);
}

void timers_fire(nsec t)
{
        heap.firing = t;
        while (heap.n && heap.nodes[1].key <= t) {
                struct timer *timer = heap.nodes[1].timer;

                if (timer->at > heap.nodes[1].key && timer->at != NEVER) {
                        sift_down(1, (struct node){ timer->at, timer });
                        continue;
                }
                timer_stop(timer);
                if (timer->at != NEVER)
                        timer->fire(timer);
        }
        heap.firing = INT64_MIN;
}

nsec timers_next(void)
{
        return heap.n ? heap.nodes[1].key : NEVER;
}

void timers_finish(void)
{
        unsigned i;

        for (i = 1; i <= heap.n; i++)
                heap.nodes[i].timer->slot = 0;
        mem_free(heap.nodes);
        heap.nodes = NULL;
        heap.n = heap.room = 0;
}
