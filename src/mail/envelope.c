#include "mail/envelope.h"

/* version u8, marks u8, received u64, size u64, the strings in the order of `texts`, count u32, and for each action:
 * number u32, kind u8, flags u32, the strings in the order of `action_text`; version 1 lacks the last of them. */
enum { VERSION = 2, NULL_SENDER = 1, EIGHT_BIT = 2, UTF8 = 4, MARKS = 7 };
enum { TEXTS = 10, ACTION_TEXTS = 7, ACTION_TEXTS_1 = 6, ACTION_SIZE = 4 + 1 + 4 + 4 * ACTION_TEXTS_1 };

static struct str *text(struct envelope *e, unsigned i)
{
        struct str *texts[TEXTS] = {
                &e->sender, &e->mail_parameters, &e->user,   &e->peer, &e->peer_name, &e->host, &e->helo,
                &e->tls,    &e->protocol,        &e->session
        };

        return texts[i];
}

static struct str *action_text(struct action *a, unsigned i)
{
        struct str *texts[ACTION_TEXTS] = { &a->account,    &a->mailbox, &a->address, &a->original,
                                            &a->parameters, &a->reason,  &a->sender };

        return texts[i];
}

static void pack_action(struct action a, struct buf *out)
{
        buf_u32(out, a.number);
        buf_u8(out, (uint8_t)a.kind);
        buf_u32(out, a.flags);
        for (unsigned i = 0; i < ACTION_TEXTS; i++)
                buf_packed(out, *action_text(&a, i));
}

bool envelope_pack(const struct envelope *e, struct buf *out)
{
        struct envelope copy = *e;

        if (e->count > ENVELOPE_ACTIONS_MAX)
                return false;
        buf_u8(out, VERSION);
        buf_u8(out, (uint8_t)((e->null_sender ? NULL_SENDER : 0) | (e->eight_bit ? EIGHT_BIT : 0) |
                              (e->utf8 ? UTF8 : 0)));
        buf_u64(out, (uint64_t)e->received);
        buf_u64(out, e->size);
        for (unsigned i = 0; i < TEXTS; i++)
                buf_packed(out, *text(&copy, i));
        buf_u32(out, e->count);
        for (unsigned i = 0; i < e->count; i++)
                pack_action(e->actions[i], out);
        return !out->full;
}

static void unpack_action(struct action *a, unsigned texts, struct unpack *u)
{
        uint8_t kind;

        a->number = unpack_u32(u);
        kind = unpack_u8(u);
        a->flags = unpack_u32(u);
        for (unsigned i = 0; i < texts; i++)
                *action_text(a, i) = unpack_str(u);
        if (kind < ACTION_FILE || kind > ACTION_RECEIPT)
                u->bad = true;
        a->kind = (enum action_kind)kind;
}

/* The number of actions is believed only as far as bytes for them are there. */
bool envelope_unpack(struct envelope *e, struct arena *m, struct str packed)
{
        struct unpack u = unpack_of(packed);
        uint8_t version = unpack_u8(&u), marks = unpack_u8(&u);

        *e = (struct envelope){ 0 };
        e->null_sender = marks & NULL_SENDER;
        e->eight_bit = marks & EIGHT_BIT;
        e->utf8 = marks & UTF8;
        e->received = (int64_t)unpack_u64(&u);
        e->size = unpack_u64(&u);
        for (unsigned i = 0; i < TEXTS; i++)
                *text(e, i) = unpack_str(&u);
        e->count = unpack_u32(&u);
        if (version >= 1 && version <= VERSION && marks <= MARKS && !u.bad &&
            e->count <= ENVELOPE_ACTIONS_MAX && e->count <= (packed.n - u.at) / ACTION_SIZE) {
                e->actions = arena_array(m, struct action, e->count);
                for (unsigned i = 0; i < e->count; i++)
                        unpack_action(&e->actions[i], version == 1 ? ACTION_TEXTS_1 : ACTION_TEXTS, &u);
                if (unpack_done(&u))
                        return true;
        }
        *e = (struct envelope){ 0 };
        return false;
}

struct str envelope_session(struct str packed)
{
        struct unpack u = unpack_of(packed);
        struct str last = S("");

        unpack_bytes(&u, 1 + 1 + 8 + 8);
        for (unsigned i = 0; i < TEXTS; i++)
                last = unpack_str(&u);
        return u.bad ? S("") : last;
}
