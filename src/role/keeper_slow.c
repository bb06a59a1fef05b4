#include "role/keeper_inside.h"
#include "run/fiber.h"
#include "run/log.h"
#include <errno.h>

enum {
        FORGOTTEN = 3600, /* seconds after which failures count no more */
        DELAY_MOST_MS = 5000,
        DELAYED_MOST = 256, /* answers that wait at once; beyond, a failure is answered at once */
        REFUSED_MOST = 4096,
        HOT = 100, /* failures against one name, wherever from: from here on one try a second */
};

/* ---- counting: tables of fixed size; in a full set the one longest quiet gives way ---- */

static struct failures *find(struct failures *table, uint64_t who, int64_t now, bool make)
{
        struct failures *set = table + who % FAILURE_SETS * FAILURE_WAYS, *place = set;

        for (size_t i = 0; i < FAILURE_WAYS; i++) {
                if (set[i].who == who) {
                        if (set[i].last + FORGOTTEN < now)
                                set[i] = (struct failures){ .who = who };
                        return &set[i];
                }
                if (set[i].last < place->last)
                        place = &set[i];
        }
        if (!make)
                return NULL;
        *place = (struct failures){ .who = who };
        return place;
}

static uint64_t hash_of_addr(struct addr net)
{
        return str_hash(str_from(net.ip, sizeof net.ip)) | 1; /* never 0 */
}

static uint64_t hash_of_name(struct str name)
{
        char lower[256];
        size_t n = name.n < sizeof lower ? name.n : sizeof lower;

        for (size_t i = 0; i < n; i++)
                lower[i] = chr_lower(name.p[i]);
        return str_hash(str_from(lower, n)) | 1;
}

static bool exempt(const struct keeper *k, struct addr peer)
{
        return !peer.family || addr_loopback(peer) ||
               addr_in_list(peer, str_of(k->settings->trusted_addresses));
}

/* ---- refused addresses ---- */

static struct refused *refused_find(struct keeper *k, struct addr net)
{
        for (size_t i = 0; i < k->slow.refused_count; i++)
                if (addr_same_host(k->slow.refused[i].net, net))
                        return &k->slow.refused[i];
        return NULL;
}

static void put_row(struct buf *out, const struct refused *r, int64_t now)
{
        struct ban_entry e = { r->net, r->until > now ? r->until : 0, r->times };

        ban_entry_pack(&e, out);
}

/* Not heard (a full channel): the keeper refuses it all the same. */
static void tell(struct keeper *k, const struct refused *r)
{
        struct buf auto_buf body = { 0 };

        buf_init(&body, 100);
        put_row(&body, r, k->clock());
        for (struct front *f = k->fronts; f; f = f->next)
                if (!f->gone)
                        (void)channel_tell(f->channel, TELL_BAN, buf_str(&body), -1);
}

void slow_tell_all(struct keeper *k, struct channel *front)
{
        struct buf auto_buf body = { 0 };
        int64_t now = k->clock();

        buf_init(&body, CHANNEL_BODY);
        for (size_t i = 0; i < k->slow.refused_count; i++) {
                if (k->slow.refused[i].until <= now)
                        continue;
                put_row(&body, &k->slow.refused[i], now);
                if (body.n + 64 > body.max) {
                        (void)channel_tell(front, TELL_BAN, buf_str(&body), -1);
                        buf_clear(&body);
                }
        }
        if (body.n)
                (void)channel_tell(front, TELL_BAN, buf_str(&body), -1);
}

/* In place of the one whose time is over soonest, when there are too many; that one's address is given back. */
static struct refused *refused_add(struct keeper *k, struct addr net, struct addr *forgotten)
{
        struct slow *s = &k->slow;
        size_t at = 0;

        if (s->refused_count < REFUSED_MOST) {
                at = s->refused_count++;
        } else {
                for (size_t i = 1; i < s->refused_count; i++)
                        if (s->refused[i].until < s->refused[at].until)
                                at = i;
                *forgotten = s->refused[at].net;
        }
        s->refused[at] = (struct refused){ .net = net };
        return &s->refused[at];
}

/* The first time for ban-first, then twice as long each time; forgotten when it kept quiet for ban-most. */
static void refuse(struct keeper *k, struct addr net)
{
        struct refused *r = refused_find(k, net);
        int64_t now = k->clock(), length = k->settings->ban_first;
        struct addr_text text = addr_text(net);
        struct addr forgotten = { 0 };
        struct ban b;

        r = r ? r : refused_add(k, net, &forgotten);
        if (r->until + k->settings->ban_most < now)
                r->times = 0;
        for (uint64_t i = 0; i < r->times && length < k->settings->ban_most; i++)
                length *= 2;
        if (length > k->settings->ban_most)
                length = k->settings->ban_most;
        r->times++;
        r->until = now + length;
        b = (struct ban){ str_of(text.z), r->until, r->times };
        log_warn("refused", "address=%s seconds=%lld times=%llu", text.z, (long long)length,
                 (unsigned long long)r->times);
        tell(k, r);
        if (secrets_put_ban(k->secrets, &b) < 0) /* this waits: r may have moved */
                log_warn("refused", "address=%s what=\"not written down\"", text.z);
        if (forgotten.family)
                (void)secrets_drop_ban(k->secrets, str_of(addr_text(forgotten).z));
}

bool slow_refuses(struct keeper *k, struct addr peer)
{
        struct refused *r = exempt(k, peer) ? NULL : refused_find(k, addr_net(peer));

        return r && r->until > k->clock();
}

/* ---- failures and successes ---- */

static void delay(struct keeper *k, unsigned failures)
{
        long ms = k->settings->signin_delay_ms;
        nsec until;

        for (unsigned i = 1; i < failures && ms < DELAY_MOST_MS; i++)
                ms *= 2;
        if (ms > DELAY_MOST_MS)
                ms = DELAY_MOST_MS;
        if (!ms || !fiber_self() || k->slow.waiting >= DELAYED_MOST)
                return;
        k->slow.waiting++;
        until = now() + ms * MSECOND;
        while (!k->stopping && wait_on(&k->slow.delayed, "the time a failed sign-in takes", until) == 0)
                ;
        k->slow.waiting--;
}

/* Accounts in a table of their own: strangers can push out no count of one by making up names. */
static struct failures *against(struct keeper *k, struct str account, struct str name, bool make)
{
        return find(account.n ? k->slow.tries_accounts : k->slow.tries_nobody,
                    hash_of_name(account.n ? account : name), k->clock(), make);
}

/* The last bound, and the only one for a front that lies about its peers, or for thousands of addresses that guess at
 * one account. Success does not lift it; an hour without failures does. */
bool slow_may_try(struct keeper *k, struct str account, struct str name)
{
        struct failures *f = against(k, account, name, false);
        int64_t now = k->clock();

        if (!f || f->count < HOT)
                return true;
        if (f->last == now)
                return false;
        f->last = now;
        return true;
}

void slow_failure(struct keeper *k, const struct signin *who, struct str account_name, struct str given)
{
        struct str name = account_name.n ? account_name : given;
        int64_t now = k->clock();
        struct failures *address, *account, *tries = against(k, account_name, given, true);
        struct addr net = addr_net(who->peer);
        unsigned count;

        tries->count++;
        tries->last = now;
        if (exempt(k, who->peer))
                return;
        address = find(k->slow.addresses, hash_of_addr(net), now, true);
        account = find(k->slow.accounts, hash_of_name(name), now, true);
        if (address->own_against != account->who) {
                address->own_against = account->who;
                address->own = 0;
        }
        address->own++;
        address->last = account->last = now;
        account->count++;
        count = ++address->count;
        if (account->count > count)
                count = account->count;
        if (address->count >= (uint32_t)k->settings->ban_after) {
                *address = (struct failures){ 0 };
                refuse(k, net);
        }
        delay(k, count);
}

/* One's own success takes back one's own failures: those against the same account. Somebody who guesses at others
 * cannot wipe that out by signing in to an account of his own. */
void slow_success(struct keeper *k, const struct signin *who, struct str account)
{
        int64_t now = k->clock();
        uint64_t name = hash_of_name(account);
        struct failures *a = find(k->slow.accounts, name, now, false);
        struct failures *address = find(k->slow.addresses, hash_of_addr(addr_net(who->peer)), now, false);

        if (a)
                *a = (struct failures){ 0 };
        if (address && address->own_against == name && address->own <= address->count) {
                address->count -= address->own;
                address->own = 0;
        }
}

/* ---- for people ---- */

int keeper_list_bans(struct keeper *k, uint32_t skip, struct buf *text)
{
        int64_t now = k->clock();

        for (size_t i = 0; i < k->slow.refused_count; i++) {
                const struct refused *r = &k->slow.refused[i];
                struct ban_entry e = { r->net, r->until, r->times };

                if (r->until <= now || (skip && skip--))
                        continue;
                if (text->n + 64 > text->max)
                        break; /* asked for again, with a larger skip */
                ban_entry_pack(&e, text);
        }
        return 0;
}

int keeper_unban(struct keeper *k, struct str address)
{
        struct addr net;
        struct refused *r, old;
        int rc;

        if (!addr_parse(address, 0, &net))
                return -EINVAL;
        net = addr_net(net);
        r = refused_find(k, net);
        if (!r)
                return -ENOENT;
        old = *r;
        *r = k->slow.refused[--k->slow.refused_count];
        old.until = 0;
        tell(k, &old);
        rc = secrets_drop_ban(k->secrets, str_of(addr_text(net).z));
        return rc == -ENOENT ? 0 : rc;
}

int slow_init(struct keeper *k)
{
        struct arena auto_arena a = { 0 };
        struct ban *list;
        struct addr net;
        size_t n;
        int rc;

        arena_init(&a, (size_t)16 << 20);
        k->slow.addresses = mem_array((size_t)FAILURE_SETS * FAILURE_WAYS, sizeof(struct failures));
        k->slow.accounts = mem_array((size_t)FAILURE_SETS * FAILURE_WAYS, sizeof(struct failures));
        k->slow.tries_accounts = mem_array((size_t)FAILURE_SETS * FAILURE_WAYS, sizeof(struct failures));
        k->slow.tries_nobody = mem_array((size_t)FAILURE_SETS * FAILURE_WAYS, sizeof(struct failures));
        k->slow.refused = mem_array(REFUSED_MOST, sizeof(struct refused));
        rc = secrets_bans(k->secrets, &a, &list, &n);
        for (size_t i = 0; rc == 0 && i < n && k->slow.refused_count < REFUSED_MOST; i++)
                if (addr_parse(list[i].net, 0, &net))
                        k->slow.refused[k->slow.refused_count++] =
                            (struct refused){ net, list[i].until, list[i].times };
        return rc;
}

void slow_free(struct keeper *k)
{
        mem_free(k->slow.addresses);
        mem_free(k->slow.accounts);
        mem_free(k->slow.tries_accounts);
        mem_free(k->slow.tries_nobody);
        mem_free(k->slow.refused);
}
