#include "proto/smtp/smtp.h"

enum { LETTER_MANY = 4 << 20 }; /* bytes of envelope beyond which no recipient is added */

void letter_reset(struct smtp *s)
{
        struct letter *l = &s->letter;
        struct arena kept = l->arena;

        reception_drop(s);
        arena_reset(&kept);
        *l = (struct letter){ .arena = kept };
        s->session.state = s->helo ? SMTP_READY : SMTP_NEW;
}

bool letter_may_grow(const struct letter *l)
{
        return l->arena.used < LETTER_MANY && l->count < ENVELOPE_ACTIONS_MAX;
}

/* Two actions that are the same to the one who gets the letter. */
static struct str target(const struct action *t)
{
        return t->kind == ACTION_FILE ? t->account : t->address;
}

static uint32_t *place(const struct letter *l, const struct action *t)
{
        uint64_t at = str_hash(target(t)) + (uint64_t)t->kind;

        for (;; at++) {
                uint32_t *p = &l->seen[at & (l->seen_room - 1)];

                if (!*p ||
                    (l->actions[*p - 1].kind == t->kind && str_eq(target(&l->actions[*p - 1]), target(t))))
                        return p;
        }
}

/* Room for `more` actions, the table at most half full. */
static void grow(struct letter *l, unsigned more)
{
        unsigned room = l->room ? l->room : 4;
        struct action *old = l->actions;

        if (l->count + more <= l->room)
                return;
        while (room < l->count + more)
                room *= 2;
        l->actions = arena_array(&l->arena, struct action, room);
        l->seen = arena_array(&l->arena, uint32_t, 2 * room);
        l->seen_room = 2 * room;
        l->room = room;
        for (uint32_t i = 0; i < l->count; i++) {
                l->actions[i] = old[i];
                *place(l, &l->actions[i]) = i + 1;
        }
}

bool letter_has(const struct letter *l, const struct action *t)
{
        return l->count && *place(l, t);
}

bool letter_add(struct letter *l, const struct action *actions, unsigned count)
{
        if (count > ENVELOPE_ACTIONS_MAX - l->count)
                return false;
        grow(l, count);
        for (unsigned i = 0; i < count; i++) {
                uint32_t *p = place(l, &actions[i]);

                if (*p)
                        continue;
                l->actions[l->count] = actions[i];
                l->actions[l->count].number = l->count;
                *p = ++l->count;
        }
        return true;
}

bool smtp_may_send_as(struct session *s, struct str normal)
{
        return directory_may_send_as(s->server->directory, s->account, normal);
}
