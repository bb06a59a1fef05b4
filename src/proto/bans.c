#include "proto/bans.h"
#include "base/mem.h"
#include "proto/keeper_message.h"

#define LONGEST_SECONDS (10 * 365 * 24 * (int64_t)3600)

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

bool bans_take(struct bans *b, struct str message)
{
        struct unpack u = unpack_of(message);
        struct ban_entry e;

        while (ban_entry_next(&u, &e)) {
                int64_t left = e.until - wall_usec() / 1000000;

                if (left > LONGEST_SECONDS)
                        left = LONGEST_SECONDS;
                bans_set(b, e.net, left > 0 ? in_seconds(left) : 0);
        }
        return unpack_done(&u);
}
