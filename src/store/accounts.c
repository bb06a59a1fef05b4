/* A process's set of open accounts. Runs on the loop: between waits it owns everything here. An account's struct stays
 * in the table while anybody uses it, while it is open, and after it was closed if it still needs its clean mark or a
 * checkpoint. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/account_inside.h"
#include "store/boot.h"
#include "store/disk.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { OPEN_SECONDS = 60, CLOSE_SECONDS = 2 };

/* A name becomes a folder: nothing that could mean another one, or a hidden one (".new-..." are ours). */
bool account_name_valid(struct str name)
{
        if (!name.n || name.n > 200 || name.p[0] == '.')
                return false;
        for (size_t i = 0; i < name.n; i++)
                if (name.p[i] == '/' || (unsigned char)name.p[i] < 32 || name.p[i] == 127)
                        return false;
        return true;
}

int account_path(struct accounts *a, struct str name, const char *file, struct buf *out)
{
        buf_init(out, 8192);
        buf_printf(out, "%s/" PRS "/%s", a->path, STR(name), file);
        return buf_u8(out, 0) ? 0 : -ENAMETOOLONG;
}

/* SQLite wants a path. It is read once; where folders above cannot be passed by us, it goes by way of our descriptor. */
static int path_of(int dir, char **path)
{
        struct buf b auto_buf;
        char link[40];
        ssize_t n;

        buf_init(&b, 4096);
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        n = readlink(link, buf_room(&b, 4096), 4096);
        if (n <= 0 || n == 4096)
                return n < 0 ? -errno : -ENAMETOOLONG;
        buf_added(&b, (size_t)n);
        *path = mem_string(buf_str(&b));
        if (access(*path, X_OK) < 0) {
                mem_free(*path);
                *path = mem_string(str_of(link));
        }
        return 0;
}

int accounts_open(struct accounts **out, int mail_dir, long max_open)
{
        struct accounts *a = mem_new(struct accounts);
        int rc = path_of(mail_dir, &a->path);

        *out = NULL;
        if (rc) {
                close(mail_dir);
                mem_free(a);
                return rc;
        }
        boot_id();
        a->dir = mail_dir;
        a->max_open = max_open < 1 ? 1 : max_open;
        a->table_size = 256;
        a->table = mem_array(a->table_size, sizeof(struct account *));
        pthread_mutex_init(&a->lock, NULL);
        stages_open(a);
        *out = a;
        return 0;
}

static struct account **slot(struct accounts *a, struct str name)
{
        struct account **at = &a->table[str_hash(name) & (a->table_size - 1)];

        while (*at && !str_eq(str_of((*at)->name), name))
                at = &(*at)->chain;
        return at;
}

static void grow_table(struct accounts *a)
{
        struct account **old = a->table, *next;
        size_t size = a->table_size;

        a->table_size *= 2;
        a->table = mem_array(a->table_size, sizeof(struct account *));
        for (size_t i = 0; i < size; i++)
                for (struct account *acc = old[i]; acc; acc = next) {
                        struct account **at = slot(a, str_of(acc->name));

                        next = acc->chain;
                        acc->chain = NULL;
                        *at = acc;
                }
        mem_free(old);
}

static struct account *find_or_add(struct accounts *a, struct str name)
{
        struct account **at = slot(a, name);

        if (*at)
                return *at;
        *at = mem_new(struct account);
        (*at)->set = a;
        (*at)->name = mem_string(name);
        (*at)->bodies = -1;
        if (++a->count <= a->table_size)
                return *at;
        grow_table(a);
        return *slot(a, name);
}

/* Nobody holds it and nothing is left to be done for it. */
static void forget_if_done(struct account *acc)
{
        struct account **at;

        if (acc->refs || acc->state != ACCOUNT_CLOSED || acc->wrote || account_grown(acc) ||
            acc->changed.head)
                return;
        at = slot(acc->set, str_of(acc->name));
        *at = acc->chain;
        acc->set->count--;
        mem_free(acc->name);
        mem_free(acc);
}

static void unused_add(struct account *acc)
{
        struct accounts *a = acc->set;

        acc->unused_since = now();
        acc->newer = NULL;
        acc->older = a->newest;
        if (a->newest)
                a->newest->newer = acc;
        else
                a->oldest = acc;
        a->newest = acc;
}

void account_use(struct account *acc)
{
        struct accounts *a = acc->set;

        if (acc->newer)
                acc->newer->older = acc->older;
        else
                a->newest = acc->older;
        if (acc->older)
                acc->older->newer = acc->newer;
        else
                a->oldest = acc->newer;
        acc->newer = acc->older = NULL;
}

static int close_bodies(void *arg)
{
        struct account *acc = arg;

        if (acc->bodies >= 0)
                close(acc->bodies);
        acc->bodies = -1;
        return 0;
}

/* It is open and not in the list of the unused. */
static void close_account(struct account *acc)
{
        acc->state = ACCOUNT_CLOSING;
        acc->wal_pages = db_wal_pages(acc->db);
        if (acc->bodies >= 0)
                (void)offload(QUICK, close_bodies, acc);
        db_close(&acc->db);
        acc->state = ACCOUNT_CLOSED;
        acc->set->open--;
        wake_all(&acc->changed);
        wake_one(&acc->set->room);
}

/* One more may be open. When all are in use, waits for one. */
static int make_room(struct accounts *a)
{
        nsec deadline = in_seconds(OPEN_SECONDS);
        struct account *acc;
        int rc;

        while (a->open >= (unsigned long)a->max_open) {
                acc = a->oldest;
                if (acc) {
                        account_use(acc);
                        close_account(acc);
                        forget_if_done(acc);
                        continue;
                }
                if (!fiber_self())
                        return -EMFILE;
                rc = wait_on(&a->room, "an account to be closed", deadline);
                if (rc)
                        return rc;
        }
        a->open++;
        return 0;
}

void accounts_close_unused(struct accounts *a, nsec for_so_long)
{
        nsec before = now() - for_so_long;
        struct account *acc;

        while ((acc = a->oldest) && acc->unused_since <= before) {
                account_use(acc);
                close_account(acc);
                forget_if_done(acc);
        }
}

static int open_account(struct account *acc)
{
        struct accounts *a = acc->set;
        auto_buf struct buf path = { 0 };
        int rc;

        acc->state = ACCOUNT_OPENING;
        rc = account_path(a, str_of(acc->name), "account.db", &path);
        if (!rc)
                rc = make_room(a);
        if (!rc) {
                rc = db_open(&acc->db, &account_store, path.p, 0, acc);
                if (rc) {
                        a->open--;
                        wake_one(&a->room);
                }
        }
        acc->told = UINT64_MAX;
        if (!rc)
                account_tell(acc);
        acc->openings = ++a->openings;
        acc->state = rc ? ACCOUNT_CLOSED : ACCOUNT_OPEN;
        wake_all(&acc->changed);
        return rc;
}

int account_get(struct accounts *a, struct str name, struct account **out)
{
        nsec deadline = in_seconds(2 * OPEN_SECONDS);
        struct account *acc;
        int rc = 0;

        *out = NULL;
        if (!account_name_valid(name))
                return -ENOENT;
        acc = find_or_add(a, name);
        if (acc->state == ACCOUNT_OPEN && !acc->refs)
                account_use(acc);
        acc->refs++;
        while (!rc && acc->state != ACCOUNT_OPEN) {
                if (acc->state == ACCOUNT_CLOSED)
                        rc = open_account(acc);
                else
                        rc = wait_on(&acc->changed, "an account to be opened", deadline);
        }
        if (!rc) {
                *out = acc;
                return 0;
        }
        acc->refs--;
        if (acc->state == ACCOUNT_OPEN && !acc->refs)
                unused_add(acc);
        forget_if_done(acc);
        return rc;
}

void account_put(struct account **ap)
{
        struct account *acc = *ap;

        *ap = NULL;
        if (!acc)
                return;
        assert(acc->refs && acc->state == ACCOUNT_OPEN);
        if (--acc->refs)
                return;
        unused_add(acc);
        wake_one(&acc->set->room);
}

struct str account_name(const struct account *acc)
{
        return str_of(acc->name);
}

/* FNV-1a: the same in every process and version, for all of them must agree. */
unsigned account_home(struct str name, unsigned processes)
{
        uint32_t h = 2166136261u;

        for (size_t i = 0; i < name.n; i++)
                h = (h ^ (unsigned char)name.p[i]) * 16777619u;
        return processes ? (h ^ h >> 15) % processes : 0;
}

static int open_bodies(struct account *acc)
{
        struct buf name auto_buf;

        buf_init(&name, 300);
        buf_printf(&name, "%s/bodies", acc->name);
        return buf_u8(&name, 0) ? disk_open_dir(acc->set->dir, name.p) : -ENAMETOOLONG;
}

int account_bodies(struct account *acc)
{
        int rc;

        pthread_mutex_lock(&acc->set->lock);
        rc = acc->bodies;
        if (rc < 0) {
                rc = open_bodies(acc);
                if (rc >= 0)
                        acc->bodies = rc;
        }
        pthread_mutex_unlock(&acc->set->lock);
        return rc;
}

void accounts_segments(struct accounts *a, segment_exists_fn *exists, void *context)
{
        a->segment_exists = exists;
        a->segment_context = context;
}

void accounts_on_change(struct accounts *a, void (*changed)(void *context, struct str account), void *context)
{
        a->changed = changed;
        a->changed_context = context;
}

static struct account *next_in_need(struct accounts *a)
{
        for (size_t i = 0; i < a->table_size; i++)
                for (struct account *acc = a->table[i]; acc; acc = acc->chain)
                        if (acc->wrote || acc->state == ACCOUNT_OPEN)
                                return acc;
        return NULL;
}

/* Marks what was written here as cleanly closed, after all of it is durable; then the mark costs no sync of its own. */
void accounts_close(struct accounts **ap)
{
        struct accounts *a = *ap;
        nsec enough = in_seconds(CLOSE_SECONDS); /* a large WAL costs the next start something, and no more */
        struct account *acc, *got;

        *ap = NULL;
        if (!a)
                return;
        (void)accounts_settle_all(a);
        while ((acc = next_in_need(a))) {
                bool wrote = acc->wrote;

                if (acc->state != ACCOUNT_OPEN && account_get(a, str_of(acc->name), &got)) {
                        acc->wrote = false; /* damaged meanwhile; the next start finds it unclean */
                        forget_if_done(acc);
                        continue;
                }
                if (wrote && account_mark_clean(acc))
                        acc->wrote = false;
                if (db_wal_pages(acc->db) > WAL_PAGES_CLOSED && now() < enough)
                        (void)db_checkpoint(acc->db, &(bool){ false });
                if (!acc->refs)
                        account_use(acc);
                acc->refs = 0;
                close_account(acc);
                acc->wal_pages = 0;
                forget_if_done(acc);
        }
        (void)disk_sync_all(a->dir);
        for (size_t i = 0; i < a->table_size; i++)
                while ((acc = a->table[i])) {
                        acc->wrote = false;
                        acc->refs = 0;
                        acc->wal_pages = 0;
                        a->table[i] = acc->chain;
                        mem_free(acc->name);
                        mem_free(acc);
                }
        scratch_free_all(a);
        stages_close(a);
        pthread_mutex_destroy(&a->lock);
        close(a->dir);
        mem_free(a->table);
        mem_free(a->path);
        mem_free(a);
}
