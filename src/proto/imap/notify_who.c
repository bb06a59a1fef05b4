/* Which mailboxes NOTIFY's groups mean (RFC 5465 §6), and whose bells are needed for that. */
#include "proto/imap/notify.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

/* --- who is watched ---------------------------------------------------------------------------------------------- */

bool notify_below(struct str path, struct str top)
{
        return str_starts(path, top) && (path.n == top.n || path.p[top.n] == '/');
}

static bool group_has(const struct notify_group *g, struct str owner, struct str path)
{
        for (size_t i = 0; i < g->n; i++) {
                struct str named = str_of(g->names[i].path);

                if (!str_eq(owner, str_of(g->names[i].owner)))
                        continue;
                if (g->filter == FILTER_SUBTREE ? notify_below(path, named) : str_eq(path, named))
                        return true;
        }
        return false;
}

static int by_name(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

bool notify_named(struct str name, const struct str *names, size_t n)
{
        return n && bsearch(&name, names, n, sizeof *names, by_name) != NULL;
}

void notify_sort(struct str *names, size_t n)
{
        if (n)
                qsort(names, n, sizeof *names, by_name);
}

/* As imap_name_of, into an arena of ours: the command's is not made for all the mailboxes of a hundred accounts. */
struct str notify_name(struct session *s, struct arena *m, struct str owner, struct str path)
{
        struct arena command = s->command;
        struct str name;

        s->command = *m;
        name = imap_name_of(s, owner, path);
        *m = s->command;
        s->command = command;
        return name;
}

/* INBOXES: letters may be filed into any mailbox, so that it is PERSONAL (§6.3). */
unsigned notify_events(const struct notify *n, struct session *s, struct arena *m, struct str owner,
                       struct str path, const struct str *subscribed, size_t subscribed_count)
{
        bool own = str_eq(owner, s->account);
        unsigned events = 0;

        for (size_t i = 0; i < n->group_count; i++) {
                const struct notify_group *g = &n->groups[i];
                bool fits = false;

                switch (g->filter) {
                case FILTER_INBOXES:
                case FILTER_PERSONAL: fits = own; break;
                case FILTER_SUBSCRIBED:
                        fits = g->events & ~events &&
                               notify_named(notify_name(s, m, owner, path), subscribed, subscribed_count);
                        break;
                case FILTER_SUBTREE:
                case FILTER_MAILBOXES: fits = group_has(g, owner, path); break;
                }
                events |= fits ? g->events : 0;
        }
        return events;
}

static int need_account(struct session *s, struct notify *n, struct str owner)
{
        struct notify_account *a;

        for (size_t i = 0; i < n->account_count; i++)
                if (str_eq(str_of(n->accounts[i].owner), owner))
                        return 0;
        if (n->account_count == NOTIFY_ACCOUNTS_MOST)
                return -E2BIG;
        n->accounts = mem_grow(n->accounts, n->account_count + 1, sizeof *n->accounts);
        a = &n->accounts[n->account_count++];
        *a = (struct notify_account){ .owner = mem_string(owner) };
        if (s->server->watchers)
                watch_start(&a->watch, s, owner);
        return 0;
}

bool notify_wants_subscribed(const struct notify *n)
{
        for (size_t i = 0; i < n->group_count; i++)
                if (n->groups[i].filter == FILTER_SUBSCRIBED && n->groups[i].events)
                        return true;
        return false;
}

/* Those of others that are subscribed: their accounts are watched too. */
int notify_need_subscribed(struct session *s, struct notify *n)
{
        int rc = 0;

        for (size_t i = 0; i < n->subscribed_count && !rc; i++) {
                struct str owner, path;

                if (imap_locate(s, str_of(n->subscribed[i]), &owner, &path))
                        rc = need_account(s, n, owner);
        }
        return rc;
}

/* One's own account first: it says what is subscribed. */
int notify_begin(struct session *s, struct notify *n)
{
        bool own = n->events & (EVENT_SUBSCRIPTION | EVENT_SERVER_METADATA);
        int rc;

        for (size_t i = 0; i < n->group_count; i++)
                own |= n->groups[i].events && n->groups[i].filter <= FILTER_SUBSCRIBED;
        rc = own ? need_account(s, n, s->account) : 0;
        for (size_t i = 0; i < n->group_count && !rc; i++)
                for (size_t k = 0; k < n->groups[i].n && n->groups[i].events && !rc; k++)
                        rc = need_account(s, n, str_of(n->groups[i].names[k].owner));
        return rc;
}
