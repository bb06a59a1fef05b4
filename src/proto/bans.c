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
