#include "proto/ftp/transfer.h"
#include "base/mem.h"

#include <stdio.h>

/* One row for each account, address, or the guests together, while transfers of theirs run; none where no rate is set. So there are
 * never more rows than transfers. */
enum { CHAINS = 256 };

struct shared_rate {
        struct rate rate; /* first: what others see */
        struct shared_rate *next;
        unsigned users;
        char *who;
};
static struct shared_rate *chains[CHAINS];

static struct shared_rate **find(struct str who)
{
        struct shared_rate **at = &chains[str_hash(who) % CHAINS];

        while (*at && !str_eq(str_of((*at)->who), who))
                at = &(*at)->next;
        return at;
}

static struct rate *hold(struct str who, long most)
{
        struct shared_rate **at, *r;

        if (most <= 0)
                return NULL;
        at = find(who);
        if (!*at) {
                *at = mem_new(struct shared_rate);
                (*at)->who = mem_string(who);
        }
        r = *at;
        r->users++;
        r->rate.most = (uint64_t)most; /* the newest settings hold for all */
        return &r->rate;
}

struct rate *rate_of_account(const struct session *s)
{
        const struct settings *t = s->server->settings;
        char who[300];

        if (((const struct ftp *)s)->anonymous)
                return hold(S("guests"), t->ftp_rate_anonymous);
        snprintf(who, sizeof(who), "account " PRS, STR(s->account));
        return hold(str_of(who), t->ftp_rate_account);
}

struct rate *rate_of_address(const struct session *s)
{
        char who[80];

        snprintf(who, sizeof(who), "address %s", addr_text(addr_net(conn_peer(s->conn))).z);
        return hold(str_of(who), s->server->settings->ftp_rate_address);
}

void rate_drop(struct rate **rate)
{
        struct shared_rate *r = (struct shared_rate *)*rate, **at;

        *rate = NULL;
        if (!r || --r->users > 0)
                return;
        at = find(str_of(r->who));
        *at = r->next;
        mem_free(r->who);
        mem_free(r);
}
