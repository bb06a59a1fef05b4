#include "base/mem.h"
#include "run/log.h"
#include "store/search_inside.h"
#include <errno.h>

/* Accounts that got letters wait in a list until they have been left alone for a moment, or for long enough. While letters
 * come in one after another indexing them one by one would only be in their way. */
#define QUIET_FOR (300 * MSECOND)
#define AT_MOST   (10 * SECOND)
#define BUSY_FOR  (2 * SECOND) /* another process indexes it: later */
enum { NOTES_MOST = 4096, ACCOUNTS_MOST = 100000, TABLE = 1024 };

struct noted {
        char *name;
        nsec first, last;
        unsigned notes;
        struct noted *chain, *next; /* of the hash table; of the list, oldest first */
};
struct indexer {
        struct accounts *accounts;
        struct noted *table[TABLE];
        struct noted *oldest, *newest;
        unsigned count;
        struct waitlist wake, ended;
        bool stop, over, working;
};

static struct noted **slot(struct indexer *i, struct str name)
{
        struct noted **at = &i->table[str_hash(name) % TABLE];

        while (*at && !str_eq(str_of((*at)->name), name))
                at = &(*at)->chain;
        return at;
}

static void put_last(struct indexer *i, struct noted *n)
{
        n->next = NULL;
        if (i->newest)
                i->newest->next = n;
        else
                i->oldest = n;
        i->newest = n;
}

static struct noted *take_first(struct indexer *i)
{
        struct noted *n = i->oldest;

        i->oldest = n->next;
        if (!i->oldest)
                i->newest = NULL;
        return n;
}

static struct noted *note(struct indexer *i, struct str account)
{
        struct noted **at, *n;

        at = slot(i, account);
        n = *at;
        if (!n) {
                if (i->count == ACCOUNTS_MOST) /* it is indexed with its next letter */
                        return NULL;
                n = *at = mem_new(struct noted);
                n->name = mem_string(account);
                n->first = now();
                i->count++;
                put_last(i, n);
        }
        n->last = now();
        n->notes++;
        if (i->count == 1 || n->notes == NOTES_MOST)
                wake_all(&i->wake);
        return n;
}

void indexer_note(struct indexer *i, struct str account)
{
        if (i && !i->stop)
                (void)note(i, account);
}

void indexer_urge(struct indexer *i, struct str account)
{
        struct noted *n = i && !i->stop ? note(i, account) : NULL;

        if (!n || n->notes >= NOTES_MOST)
                return;
        n->notes = NOTES_MOST;
        wake_all(&i->wake);
}

static void forget(struct indexer *i, struct noted *n)
{
        struct noted **at = slot(i, str_of(n->name));

        *at = n->chain;
        i->count--;
        mem_free(n->name);
        mem_free(n);
}

static nsec due(const struct noted *n)
{
        nsec quiet = n->last + QUIET_FOR, most = n->first + AT_MOST;

        if (n->notes >= NOTES_MOST)
                return n->first;
        return quiet < most ? quiet : most;
}

/* The first that is due. Those before it go to the end of the list: they were noted again. */
static struct noted *next_due(struct indexer *i, nsec *wait)
{
        nsec time = now();

        *wait = NEVER;
        for (unsigned most = i->count; most; most--) {
                struct noted *n = take_first(i);

                if (due(n) <= time)
                        return n;
                if (due(n) < *wait)
                        *wait = due(n);
                put_last(i, n);
        }
        return NULL;
}

static void index_one(struct indexer *i, struct noted *n)
{
        struct account *a;
        bool behind = false;
        int rc;

        n->notes = 0; /* what is noted from here on comes again */
        rc = account_get(i->accounts, str_of(n->name), &a);
        if (!rc) {
                rc = search_behind(a, &behind); /* most changes are of flags */
                if (!rc && behind)
                        rc = search_index_until(a, &i->stop);
                account_put(&a);
        }
        if (rc == -EBUSY) {
                n->first = n->last = now() + BUSY_FOR;
                put_last(i, n);
        } else if (n->notes && !rc) {
                n->first = now();
                put_last(i, n);
        } else {
                if (rc && rc != -ENOENT && rc != -ECANCELED)
                        log_warn("index", "account=%s error=%s", log_str(str_of(n->name)),
                                 strerrorname_np(-rc));
                forget(i, n);
        }
}

static void work(void *arg)
{
        struct indexer *i = arg;
        struct noted *n;
        nsec wait;

        while (!i->stop && !fiber_cancelled()) {
                n = next_due(i, &wait);
                if (n) {
                        i->working = true;
                        index_one(i, n);
                        i->working = false;
                } else if (wait_on(&i->wake, "letters to be indexed", wait) == -ECANCELED) {
                        break;
                }
        }
        i->over = true;
        wake_all(&i->ended);
}

int indexer_start(struct indexer **out, struct accounts *accounts)
{
        struct indexer *i = mem_new(struct indexer);
        int rc;

        i->accounts = accounts;
        rc = fiber_spawn("indexer", work, i);
        if (rc) {
                mem_free(i);
                i = NULL;
        } else {
                accounts->indexer = i;
        }
        *out = i;
        return rc;
}

bool indexer_idle(const struct indexer *i)
{
        return !i->count;
}

void indexer_stop(struct indexer **ip)
{
        struct indexer *i = *ip;

        *ip = NULL;
        if (!i)
                return;
        i->stop = true;
        i->accounts->indexer = NULL;
        wake_all(&i->wake);
        while (!i->over)
                if (wait_on(&i->ended, "the indexer to end", NEVER))
                        fiber_yield(); /* cancelled: it ends all the same */
        while (i->oldest)
                forget(i, take_first(i));
        mem_free(i);
}
