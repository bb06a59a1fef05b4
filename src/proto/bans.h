/* Addresses that are refused for a while, as the keeper told us (TELL_BAN). IPv6 counts by /64 (addr_net). The
 * newest BANS_MOST are remembered: a flood from many addresses pushes out the oldest, never grows. Nothing waits. */
#pragma once
#include "base/time.h"
#include "net/addr.h"

enum { BANS_MOST = 4096, BANS_CHAINS = 1024 };

struct ban;
struct bans {
        struct ban *chains[BANS_CHAINS];
        struct ban *oldest, *newest;
        unsigned count;
};
void bans_set(struct bans *b, struct addr a, nsec until); /* until 0: not any more */
bool bans_hold(struct bans *b, struct addr a);            /* refused now? Forgets what has run out. */
void bans_free(struct bans *b);

/* TELL_BAN, rows of struct ban_entry (proto/keeper_message.h). */
[[nodiscard]] bool bans_take(struct bans *b, struct str message);
