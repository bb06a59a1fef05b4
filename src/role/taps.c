#include "role/taps.h"
#include "proto/tap.h"

#include <unistd.h>

void role_taps_begin(struct children *all)
{
        all->taps = taps_new(NULL, NULL);
}

void role_taps_end(struct children *all)
{
        taps_free(&all->taps);
}

bool role_taps_watch(struct children *all, int fd, struct str wanted)
{
        struct tap_wanted w;

        if (!tap_wanted_unpack(wanted, &w)) {
                close(fd);
                return false;
        }
        if (!taps_watch(all->taps, fd, &w))
                return false;
        children_tell(all, ROLE_TAP, wanted, fd, TO_FRONTS);
        return true;
}

static void hand_on(void *context, int fd, struct str wanted)
{
        const struct child *c = context;

        channel_tell(c->channel, ROLE_TAP, wanted, fd);
}

void role_taps_started(const struct child *c)
{
        if (TO_FRONTS & TO(c->kind))
                taps_each(c->all->taps, hand_on, (void *)(uintptr_t)c);
}

static void tell(const struct child *c, enum tap_what what)
{
        struct tap_record r = { .what = what, .text = str_of(c->name), .process = (uint32_t)c->pid };

        if (TO_FRONTS & TO(c->kind) && !c->all->stopping)
                taps_tell(c->all->taps, &r);
}

void role_taps_ready(const struct child *c)
{
        if (c->all->told_ready)
                tell(c, TAP_BACK);
}

void role_taps_gone(const struct child *c)
{
        tell(c, TAP_GONE);
}
