#include "role/peers.h"

#include "base/mem.h"
#include "role/start.h"
#include "run/channel.h"
#include "run/log.h"

#include <errno.h>

enum { PEER_FILE = 200, PEER_DONE, PEER_QUIET };

struct peer {
        struct peers *all;
        struct channel *channel; /* NULL: not there just now */
        bool quiet;
};
struct peers {
        struct intake **intake;
        struct peer list[START_PEERS];
};

static struct str pack_place(struct buf *b, const struct intake_place *p)
{
        buf_init(b, 64);
        buf_u64(b, p->segment);
        buf_u64(b, p->sequence);
        buf_u64(b, p->offset);
        buf_u32(b, p->length);
        buf_u32(b, p->number);
        buf_u32(b, p->owner);
        return buf_str(b);
}

static struct intake_place unpack_place(struct str body)
{
        struct unpack u = unpack_of(body);
        struct intake_place p = {
                .segment = unpack_u64(&u),
                .sequence = unpack_u64(&u),
                .offset = unpack_u64(&u),
                .length = unpack_u32(&u),
                .number = unpack_u32(&u),
                .owner = unpack_u32(&u),
        };

        if (!unpack_done(&u))
                die("peer: a place that cannot be read");
        return p;
}

static int tell(struct peers *all, unsigned to, uint16_t kind, const struct intake_place *place)
{
        auto_buf struct buf b = { 0 };

        if (to >= START_PEERS || !all->list[to].channel)
                return -EPIPE;
        return channel_tell(all->list[to].channel, kind, pack_place(&b, place), -1);
}

static int tell_file(void *context, unsigned to, const struct intake_place *place)
{
        return tell(context, to, PEER_FILE, place);
}

static int tell_done(void *context, unsigned to, const struct intake_place *place)
{
        return tell(context, to, PEER_DONE, place);
}

static void peer_file(struct channel_message *m)
{
        struct peer *from = m->context;
        struct intake_place p = unpack_place(m->body);

        if (*from->all->intake) /* else: we are about to end; whoever replays its log tells anew */
                intake_file_for_peer(*from->all->intake, &p);
}

static void peer_done(struct channel_message *m)
{
        struct peer *from = m->context;
        struct intake_place p = unpack_place(m->body);

        if (*from->all->intake) /* else: we are about to end; whoever replays its log tells anew */
                intake_done_by_peer(*from->all->intake, &p);
}

static void peer_quiet(struct channel_message *m)
{
        struct peer *from = m->context;

        from->quiet = true;
}

static const struct channel_kind from_peer[] = {
        {PEER_FILE,  "file", peer_file },
        { PEER_DONE, "done", peer_done },
        { PEER_QUIET, "quiet", peer_quiet },
        { 0},
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
        peer->all = p;
        peer->quiet = false;
        peer->channel = channel_new(fd, from_peer, peer, peer_gone);
}

void peers_tell_quiet(struct peers *p)
{
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
