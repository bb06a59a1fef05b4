#include "role/peers.h"

#include "base/mem.h"
#include "role/start.h"
#include "run/channel.h"
#include "run/log.h"
#include "run/loop.h"

#include <errno.h>

enum { PEER_FILE = 200, PEER_DONE, PEER_QUIET };
enum {
        PLACE = 8 + 8 + 8 + 4 + 4 + 4,
        AT_ONCE = CHANNEL_BODY / PLACE * PLACE,
        UNSENT_MOST = 64 * AT_ONCE, /* for a peer that reads slowly; beyond, the intake tells again later */
};

struct peer {
        struct peers *all;
        struct channel *channel; /* NULL: not there just now */
        struct buf file, done;   /* places not yet sent */
        bool quiet;
};
struct peers {
        struct intake **intake;
        struct turn_end turn_end;
        struct peer list[START_PEERS];
};

static bool pack_place(struct buf *b, const struct intake_place *p)
{
        return buf_u64(b, p->segment) && buf_u64(b, p->sequence) && buf_u64(b, p->offset) &&
               buf_u32(b, p->length) && buf_u32(b, p->number) && buf_u32(b, p->owner);
}

static struct intake_place unpack_place(struct unpack *u)
{
        return (struct intake_place){
                .segment = unpack_u64(u),
                .sequence = unpack_u64(u),
                .offset = unpack_u64(u),
                .length = unpack_u32(u),
                .number = unpack_u32(u),
                .owner = unpack_u32(u),
        };
}

/* What does not go now (the peer reads slowly) goes at the end of a later turn. To a peer that is gone nothing is
 * owed: its next self is told anew. */
static void send_places(struct peer *p, uint16_t kind, struct buf *places)
{
        int rc = 0;

        while (places->n && p->channel && !rc) {
                size_t n = places->n < AT_ONCE ? places->n : AT_ONCE;

                rc = channel_tell(p->channel, kind, str_from(places->p, n), -1);
                if (!rc)
                        buf_drop(places, n);
        }
        if (!p->channel || rc == -EPIPE)
                buf_clear(places);
}

static void send_all(struct turn_end *t)
{
        struct peers *all = (struct peers *)((char *)t - offsetof(struct peers, turn_end));

        for (unsigned i = 0; i < START_PEERS; i++) {
                send_places(&all->list[i], PEER_FILE, &all->list[i].file);
                send_places(&all->list[i], PEER_DONE, &all->list[i].done);
        }
}

static int tell_file(void *context, unsigned to, const struct intake_place *place)
{
        struct peers *all = context;

        if (to >= START_PEERS || !all->list[to].channel)
                return -EPIPE;
        return all->list[to].file.n < UNSENT_MOST && pack_place(&all->list[to].file, place) ? 0 : -ENOBUFS;
}

static int tell_done(void *context, unsigned to, const struct intake_place *place)
{
        struct peers *all = context;

        if (to >= START_PEERS || !all->list[to].channel)
                return -EPIPE;
        return all->list[to].done.n < UNSENT_MOST && pack_place(&all->list[to].done, place) ? 0 : -ENOBUFS;
}

/* Its places, one after another; none once we are about to end: whoever replays its log tells anew. */
static bool next_place(struct unpack *u, const struct peer *from, struct intake_place *p)
{
        if (unpack_done(u) || !*from->all->intake)
                return false;
        *p = unpack_place(u);
        if (u->bad)
                die("peer: a place that cannot be read");
        return true;
}

static void peer_file(struct channel_message *m)
{
        struct peer *from = m->context;
        struct unpack u = unpack_of(m->body);
        struct intake_place p;

        while (next_place(&u, from, &p))
                intake_file_for_peer(*from->all->intake, &p);
}

static void peer_done(struct channel_message *m)
{
        struct peer *from = m->context;
        struct unpack u = unpack_of(m->body);
        struct intake_place p;

        while (next_place(&u, from, &p))
                intake_done_by_peer(*from->all->intake, &p);
}

static void peer_quiet(struct channel_message *m)
{
        struct peer *from = m->context;

        from->quiet = true;
}

static const struct channel_kind from_peer[] = {
        { PEER_FILE, "file", peer_file },
        { PEER_DONE, "done", peer_done },
        { PEER_QUIET, "quiet", peer_quiet },
        { 0 },
};

static void peer_gone(struct channel *c, void *context)
{
        struct peer *p = context;

        if (p->channel == c)
                channel_free(&p->channel);
}

struct peers *peers_new(struct intake **intake, struct intake_hooks *hooks)
{
        struct peers *all = mem_new(struct peers);

        for (unsigned i = 0; i < START_PEERS; i++) {
                buf_init(&all->list[i].file, UNSENT_MOST + PLACE);
                buf_init(&all->list[i].done, UNSENT_MOST + PLACE);
        }
        all->turn_end.run = send_all;
        loop_at_turn_end(&all->turn_end);
        all->intake = intake;
        hooks->tell_file = tell_file;
        hooks->tell_done = tell_done;
        hooks->context = all;
        return all;
}

void peers_join(struct peers *p, unsigned index, int fd)
{
        if (index >= START_PEERS)
                die("peer %u is none", index);
        struct peer *peer = &p->list[index];

        channel_free(&peer->channel);
        buf_clear(&peer->file);
        buf_clear(&peer->done);
        peer->all = p;
        peer->quiet = false;
        peer->channel = channel_new(fd, from_peer, peer, peer_gone);
}

void peers_tell_quiet(struct peers *p)
{
        send_all(&p->turn_end);
        for (unsigned i = 0; i < START_PEERS; i++)
                if (p->list[i].channel)
                        channel_tell(p->list[i].channel, PEER_QUIET, S(""), -1);
}

bool peers_are_quiet(const struct peers *p)
{
        for (unsigned i = 0; i < START_PEERS; i++)
                if (p->list[i].channel && !p->list[i].quiet)
                        return false;
        return true;
}
