#include "cli/mail/copy.h"
#include "base/mem.h"
#include "cli/folder.h"
#include "cli/home.h"
#include "mail/address.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/disk.h"
#include "store/search.h"
#include "store/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { ACCOUNTS_OPEN = 4, MAKERS_MOST = 31 };

struct copy {
        struct accounts *accounts;
        struct account *account;
        struct indexer *indexer; /* NULL: the server indexes its own */
        char *name;
        struct listener {
                void (*changed)(void *context);
                void *context;
        } person, sync;
};

/* ---- opened ---- */

/* An account's name as the store has it: the address to compare by. */
static int name_of(const char *address, char **name)
{
        struct arena auto_arena a;
        struct path p;
        struct str key;

        arena_init(&a, 64 * 1024);
        if (!address_parse(&a, str_of(address), &p) || !address_key(&a, &p, &key))
                return -EINVAL;
        *name = mem_string(key);
        return 0;
}

/* D/mail, as D's owner; where we stand stays. */
static int open_store(const char *path, struct buf *why)
{
        int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
        struct folder f;

        if (here < 0)
                return -errno;
        if (folder_enter(&f, path, false)) {
                buf_printf(why, "%s cannot be used", path); /* what is wrong was said there */
                close(here);
                return -EACCES;
        }
        fd = disk_open_dir(AT_FDCWD, "mail");
        if (fchdir(here) < 0 && fd >= 0) { /* before: the owner may not come in here */
                close(fd);
                fd = -errno;
        }
        close(here);
        if (fd >= 0 && folder_become_owner(&f)) {
                buf_printf(why, "%s cannot be used", path);
                close(fd);
                fd = -EACCES;
        }
        return fd;
}

static void on_change(void *context, struct str account)
{
        struct copy *c = context;

        if (c->indexer)
                indexer_note(c->indexer, account);
        if (c->person.changed)
                c->person.changed(c->person.context);
        if (c->sync.changed)
                c->sync.changed(c->sync.context);
}

static int begin(struct copy *c, const struct login *l, struct buf *why)
{
        bool own = l->how != INCOMING_STORE;
        int fd = own ? home_open(HOME_DATA, "mail", true) : open_store(l->folder, why);
        int rc;

        if (fd < 0)
                return fd;
        rc = accounts_open(&c->accounts, fd, ACCOUNTS_OPEN);
        if (rc == 0)
                rc = account_get(c->accounts, str_of(c->name), &c->account);
        if (rc == -ENOENT && own) {
                rc = account_create(c->accounts, str_of(c->name));
                if (rc == 0 || rc == -EEXIST)
                        rc = account_get(c->accounts, str_of(c->name), &c->account);
        }
        if (rc == 0 && own)
                rc = indexer_start(&c->indexer, c->accounts);
        if (rc == 0)
                accounts_on_change(c->accounts, on_change, c);
        return rc;
}

int copy_open(struct copy **out, const struct login *l, struct buf *why)
{
        struct copy *c = mem_new(struct copy);
        int rc = name_of(l->address, &c->name);

        *out = NULL;
        if (rc == 0)
                rc = begin(c, l, why);
        if (rc < 0) {
                if (!why->n)
                        buf_printf(why, "%s: %s", l->address,
                                   rc == -ENOENT ? "there is no such account" : strerror(-rc));
                copy_close(&c);
                return rc;
        }
        if (c->indexer)
                indexer_note(c->indexer, str_of(c->name)); /* what came when nobody indexed */
        *out = c;
        return 0;
}

void copy_close(struct copy **c)
{
        if (!*c)
                return;
        if ((*c)->indexer)
                indexer_stop(&(*c)->indexer);
        if ((*c)->account)
                account_put(&(*c)->account);
        if ((*c)->accounts)
                accounts_close(&(*c)->accounts);
        mem_free((*c)->name);
        mem_free(*c);
        *c = NULL;
}

struct accounts *copy_accounts(struct copy *c)
{
        return c->accounts;
}

struct account *copy_account(struct copy *c)
{
        return c->account;
}

struct str copy_name(const struct copy *c)
{
        return str_of(c->name);
}

void copy_on_change(struct copy *c, void (*changed)(void *context), void *context)
{
        c->person = (struct listener){ changed, context };
}

void copy_on_sync(struct copy *c, void (*changed)(void *context), void *context)
{
        c->sync = (struct listener){ changed, context };
}

void copy_tidy(struct copy *c, segment_exists_fn *exists, void *context)
{
        accounts_segments(c->accounts, exists, context);
        accounts_checkpoint(c->accounts);
        accounts_segments(c->accounts, NULL, NULL);
}

/* ---- mailboxes ---- */

int copy_access(struct copy *c, struct access *x, struct str path, unsigned needs)
{
        return access_open(x, c->accounts, str_of(c->name), str_of(c->name), path, needs);
}

int copy_role(struct copy *c, struct arena *a, const char *role, struct str *path)
{
        struct mailbox_entry *list;
        uint32_t made;
        size_t n;
        int rc = mailbox_all(c->account, str_of(c->name), a, &list, &n);

        if (rc < 0)
                return rc;
        for (size_t i = 0; i < n; i++)
                if (str_eq(list[i].role, str_of(role))) {
                        *path = list[i].path;
                        return 0;
                }
        *path = arena_str(a, str_of(role));
        if (path->n)
                *path = arena_printf(a, "%c" PRS, role[0] - 'a' + 'A', STR(str_from_at(*path, 1)));
        rc = mailbox_create(c->account, str_of(c->name), *path, str_of(role), &made);
        return rc == -EEXIST ? 0 : rc; /* one of that name without the role will do */
}

/* Edits that are on their way at once share their sync (store/db.h). */
struct making {
        struct copy *c;
        struct copy_made *list;
        size_t n, next;
        unsigned makers;
        bool stop;
        struct waitlist ended;
};

static void make_some(struct making *m)
{
        while (m->next < m->n && !m->stop) {
                struct copy_made *one = &m->list[m->next++];

                one->rc = mailbox_create(m->c->account, str_of(m->c->name), one->path, S(""), &one->mailbox);
        }
}

static void maker(void *arg)
{
        struct making *m = arg;

        make_some(m);
        m->makers--;
        wake_all(&m->ended);
}

void copy_make(struct copy *c, struct copy_made *list, size_t n)
{
        struct making m = { .c = c, .list = list, .n = n };

        for (size_t i = 0; i < n; i++)
                list[i].rc = -ECANCELED;
        while (fiber_self() && m.makers < MAKERS_MOST && m.makers + 1 < n &&
               fiber_spawn("folders", maker, &m) == 0)
                m.makers++;
        make_some(&m);
        while (m.makers) /* they use what lies on our stack */
                if (wait_on(&m.ended, "folders", NEVER) < 0) {
                        m.stop = true;
                        fiber_yield();
                }
}

int copy_append(struct copy *c, struct str path, struct str text, uint64_t flags, uint32_t *uid)
{
        struct stage *g = stage_new(c->accounts);
        struct filing f = { .staged_dir = -1, .flags = flags, .received = wall_usec() };
        struct access x = { 0 };
        int rc;

        if (uid)
                *uid = 0;
        rc = stage_put(g, text);
        if (rc == 0)
                rc = stage_finish(g, &f);
        if (rc == 0)
                rc = copy_access(c, &x, path, RIGHT_INSERT);
        if (rc == 0)
                rc = change_append(&x, &f, 1, UINT64_MAX);
        access_close(&x);
        if (rc == 0 && uid)
                *uid = f.uid;
        stage_free(&g);
        return rc;
}
