#include "proto/bans.h"
#include "base/mem.h"

struct ban {
        struct addr net;
        nsec until;
        struct ban *chain; /* same hash */
        struct ban *older, *newer;
};

static struct ban **place(struct bans *b, struct addr net)
{
        struct ban **p = &b->chains[str_hash(str_from(net.ip, sizeof(net.ip))) % BANS_CHAINS];

        while (*p && !addr_same_host((*p)->net, net))
                p = &(*p)->chain;
        return p;
}

static void forget(struct bans *b, struct ban **p)
{
        struct ban *gone = *p;

        *p = gone->chain;
        *(gone->older ? &gone->older->newer : &b->oldest) = gone->newer;
        *(gone->newer ? &gone->newer->older : &b->newest) = gone->older;
        b->count--;
        mem_free(gone);
}

void bans_set(struct bans *b, struct addr a, nsec until)
{
        struct addr net = addr_net(a);
        struct ban **p = place(b, net), *n;

        if (*p)
                forget(b, p);
        if (until == 0)
                return;
        if (b->count >= BANS_MOST)
                forget(b, place(b, b->oldest->net));
        p = place(b, net);
        n = mem_new(struct ban);
        *n = (struct ban){ .net = net, .until = until, .older = b->newest };
        *(b->newest ? &b->newest->newer : &b->oldest) = n;
        b->newest = n;
        *p = n;
        b->count++;
}

bool bans_hold(struct bans *b, struct addr a)
{
        struct ban **p = place(b, addr_net(a));

        if (*p && (*p)->until <= now())
                forget(b, p);
        return *place(b, addr_net(a)) != NULL;
}

void bans_free(struct bans *b)
{
        while (b->oldest)
                forget(b, place(b, b->oldest->net));
}

void bans_pack(struct buf *out, struct addr a, uint64_t seconds)
{
        buf_u8(out, a.family);
        buf_put(out, a.ip, sizeof(a.ip));
        buf_u64(out, seconds);
}

bool bans_take(struct bans *b, struct str message)
{
        struct unpack u = unpack_of(message);
        struct addr a = { .family = unpack_u8(&u) };
        struct str ip = unpack_bytes(&u, sizeof(a.ip));
        uint64_t seconds = unpack_u64(&u);

        if (!unpack_done(&u) || (a.family != 4 && a.family != 6))
                return false;
        memcpy(a.ip, ip.p, sizeof(a.ip));
        if (seconds > 10ull * 365 * 24 * 3600)
                seconds = 10ull * 365 * 24 * 3600;
        bans_set(b, a, seconds ? in_seconds((nsec)seconds) : 0);
        return true;
}
