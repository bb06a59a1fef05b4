#include "role/bells_inside.h"

#include "base/mem.h"
#include "base/names.h"
#include "role/start.h"
#include "run/loop.h"

#define RECENT_SLOTS 4096
#define RECENT       (10 * SECOND) /* longer than a message between two roles travels */

_Static_assert(SWITCHBOARD_PROCESSES == START_PEERS && SWITCHBOARD_PROCESSES <= 64, "a bit of the mask each");

struct line { /* an account that is watched */
        struct name name;
        uint64_t who; /* a bit a process */
};
struct process {
        struct channel *channel; /* NULL: not there */
        struct bells_row bells;
        bool any;       /* more has changed than the row holds */
        unsigned names; /* that it watches */
        bool all;       /* more than we keep: it hears every bell */
};
struct switchboard {
        struct names lines;
        struct process list[SWITCHBOARD_PROCESSES];
        nsec recent[RECENT_SLOTS]; /* by hash of the name: when one of those last changed */
        struct turn_end turn_end;
};

static void ring(struct process *p, struct str name)
{
        if (p->any)
                return;
        if (!name.n || !bells_add(&p->bells, p->channel, false, name)) {
                p->any = true;
                buf_free(&p->bells.names);
        }
}

static void send_all(struct turn_end *t)
{
        struct switchboard *b = (struct switchboard *)((char *)t - offsetof(struct switchboard, turn_end));

        for (unsigned i = 0; i < SWITCHBOARD_PROCESSES; i++) {
                struct process *p = &b->list[i];

                if (!p->channel || channel_waiting(p->channel))
                        continue;
                if (p->any && bells_add(&p->bells, p->channel, false, S("")))
                        p->any = false;
                (void)bells_send(&p->bells, p->channel); /* or in a later turn */
        }
}

static nsec *recent(struct switchboard *b, struct str name)
{
        return &b->recent[str_hash(name) % RECENT_SLOTS];
}

struct switchboard *switchboard_new(void)
{
        struct switchboard *b = mem_new(struct switchboard);

        b->lines.item = sizeof(struct line);
        for (unsigned i = 0; i < RECENT_SLOTS; i++)
                b->recent[i] = -RECENT;
        for (unsigned i = 0; i < SWITCHBOARD_PROCESSES; i++)
                bells_row(&b->list[i].bells, ROLE_BELL);
        b->turn_end.run = send_all;
        loop_at_turn_end(&b->turn_end);
        return b;
}

void switchboard_free(struct switchboard **b)
{
        if (!*b)
                return;
        loop_not_at_turn_end(&(*b)->turn_end);
        for (unsigned i = 0; i < SWITCHBOARD_PROCESSES; i++)
                buf_free(&(*b)->list[i].bells.names);
        names_free(&(*b)->lines);
        mem_free(*b);
        *b = NULL;
}

static bool still_watched(void *thing, void *context)
{
        const uint64_t *others = context;
        struct line *l = thing;

        l->who &= *others;
        return l->who != 0;
}

static void forget(struct switchboard *b, unsigned index)
{
        struct process *p = &b->list[index];
        uint64_t others = ~((uint64_t)1 << index);

        if (p->names)
                names_sweep(&b->lines, still_watched, &others);
        buf_free(&p->bells.names);
        p->channel = NULL;
        p->any = p->all = false;
        p->names = 0;
}

void switchboard_join(struct switchboard *b, unsigned index, struct channel *c)
{
        if (index >= SWITCHBOARD_PROCESSES)
                return;
        forget(b, index);
        b->list[index].channel = c;
}

void switchboard_leave(struct switchboard *b, unsigned index)
{
        if (index >= SWITCHBOARD_PROCESSES || !b->list[index].channel)
                return;
        forget(b, index);
        for (unsigned i = 0; i < SWITCHBOARD_PROCESSES; i++)
                if (b->list[i].channel)
                        ring(&b->list[i], S(""));
}

static void on(struct switchboard *b, unsigned index, struct str name)
{
        struct process *p = &b->list[index];
        uint64_t bit = (uint64_t)1 << index;
        struct line *l;

        if (p->names >= SWITCHBOARD_NAMES) {
                p->all = true;
        } else {
                l = names_need(&b->lines, name);
                p->names += !(l->who & bit);
                l->who |= bit;
        }
        if (now() - *recent(b, name) < RECENT)
                ring(p, name);
}

static void off(struct switchboard *b, unsigned index, struct str name)
{
        uint64_t bit = (uint64_t)1 << index;
        struct line *l = names_find(&b->lines, name);

        if (!l || !(l->who & bit))
                return;
        b->list[index].names--;
        l->who &= ~bit;
        if (!l->who)
                names_remove(&b->lines, l);
}

bool switchboard_watch(struct switchboard *b, unsigned index, struct str body)
{
        struct unpack u = unpack_of(body);
        struct str name;
        bool no_more;

        if (index >= SWITCHBOARD_PROCESSES || !b->list[index].channel)
                return true;
        while (bells_next(&u, &no_more, &name)) {
                if (!name.n)
                        return false;
                (no_more ? off : on)(b, index, name);
        }
        return !u.bad;
}

bool switchboard_changed(struct switchboard *b, unsigned index, struct str body)
{
        struct unpack u = unpack_of(body);
        nsec at = now();
        struct str name;
        bool no_more;

        while (bells_next(&u, &no_more, &name)) {
                struct line *l = name.n ? names_find(&b->lines, name) : NULL;

                for (unsigned i = 0; !name.n && i < RECENT_SLOTS; i++)
                        b->recent[i] = at;
                if (name.n)
                        *recent(b, name) = at;
                for (unsigned i = 0; i < SWITCHBOARD_PROCESSES; i++) {
                        struct process *p = &b->list[i];

                        if (i != index && p->channel && (!name.n || p->all || (l && l->who >> i & 1)))
                                ring(p, name);
                }
        }
        return !u.bad;
}
