#include "store/outbox_inside.h"
#include "base/mem.h"
#include "run/log.h"
#include "run/offload.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

int outbox_each_body(struct outbox *o, int (*fn)(struct outbox *o, uint64_t letter, void *arg), void *arg)
{
        int fd = openat(o->bodies, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        if (!d) {
                if (fd >= 0)
                        close(fd);
                return -errno;
        }
        while (rc >= 0 && (e = readdir(d))) {
                unsigned long long letter;
                char name[24], rest;

                if (sscanf(e->d_name, "%16llx%c", &letter, &rest) != 1)
                        continue;
                body_name(letter, name);
                if (str_eq(str_of(name), str_of(e->d_name)))
                        rc = fn(o, letter, arg);
        }
        closedir(d);
        return rc;
}

int outbox_letter_kind(struct db *d, uint64_t letter)
{
        struct db_row q = db_query(d, LETTER);
        int kind = 0, rc;

        db_bind_u64(&q, 1, letter);
        if (db_next(&q))
                kind = db_null(&q, 3) ? 2 : 1;
        rc = db_end(&q);
        return rc < 0 ? rc : kind;
}

static int drop_orphan(struct outbox *o, uint64_t letter, void *arg)
{
        int kind = outbox_letter_kind(arg, letter);

        return kind < 0 ? kind : kind == 2 ? 0 : body_drop(o->bodies, letter);
}

/* In a write transaction, so that nobody is between linking a body and committing its letter. */
static int drop_orphans(struct db *d, void *arg)
{
        return outbox_each_body(arg, drop_orphan, d);
}

/* The database's path, for SQLite takes no descriptors. Where folders above cannot be passed, by way of ours. */
static int path_of(int dir, struct buf *path)
{
        char link[40], *to;
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        buf_init(path, PATH_MAX + 16);
        to = buf_room(path, PATH_MAX);
        n = to ? readlink(link, to, PATH_MAX) : -1;
        if (n > 0 && n < PATH_MAX)
                buf_added(path, (size_t)n);
        if (n <= 0 || n >= PATH_MAX || !buf_u8(path, 0) || access(path->p, X_OK) < 0) {
                buf_clear(path);
                buf_puts(path, str_of(link));
        } else {
                path->n--;
        }
        return buf_printf(path, "/outbox.db") ? 0 : -ENAMETOOLONG;
}

static int open_folders(void *arg)
{
        struct outbox *o = arg;
        int rc = disk_mkdir(o->dir, "bodies");

        if (rc >= 0)
                rc = disk_sync_dir(o->dir);
        if (rc < 0 && rc != -EEXIST)
                return rc;
        o->bodies = rc = disk_open_dir(o->dir, "bodies");
        return rc < 0 ? rc : 0;
}

static int sync_folder(void *arg)
{
        struct outbox *o = arg;

        return disk_sync_dir(o->dir);
}

int outbox_open(struct outbox **out, int dir)
{
        struct outbox *o = mem_new(struct outbox);
        struct buf path;
        int rc;

        *out = NULL;
        o->dir = dir;
        o->bodies = -1;
        o->last = &o->first;
        pthread_mutex_init(&o->taken.lock, NULL);
        rc = offload(LONG, open_folders, o);
        if (rc >= 0) {
                rc = path_of(dir, &path);
                if (rc >= 0)
                        rc = db_open(&o->db, &outbox_store, path.p, DB_CREATE, NULL);
                buf_free(&path);
        }
        if (rc >= 0) /* the new database's name */
                rc = offload(LONG, sync_folder, o);
        if (rc >= 0)
                rc = db_transact(o->db, "outbox bodies", drop_orphans, o, DB_WRITE);
        if (rc < 0)
                outbox_close(&o);
        else
                *out = o;
        return rc;
}

void outbox_close(struct outbox **o)
{
        struct outbox *old = *o;

        *o = NULL;
        if (!old)
                return;
        db_close(&old->db);
        if (old->bodies >= 0)
                close(old->bodies);
        close(old->dir);
        pthread_mutex_destroy(&old->taken.lock);
        mem_free(old->taken.at);
        mem_free(old);
}

void outbox_segments(struct outbox *o, bool (*exists)(void *context, uint64_t segment), void *context)
{
        o->exists = exists;
        o->context = context;
}

struct putting {
        struct outbox *outbox;
        struct outbox_put *list;
        size_t n;
};

/* 1: it was put before. After a power cut that letter may be there without its body's name, which was not yet synced:
 * the log still has the body, so it is linked anew. */
static int was_put(struct db *d, const struct outbox *o, const struct outbox_put *p)
{
        struct db_row q;
        uint64_t letter = 0;
        int rc;

        if (!p->segment)
                return 0;
        q = db_query(d, FILED_HAS);
        db_bind_u64(&q, 1, p->segment);
        db_bind_u64(&q, 2, p->sequence);
        if (db_next(&q))
                letter = db_u64(&q, 0);
        rc = db_end(&q);
        if (rc < 0 || !letter)
                return rc;
        if (p->staged_name && outbox_letter_kind(d, letter) == 2)
                rc = body_link(p->staged_dir, p->staged_name, o->bodies, letter);
        return rc < 0 && rc != -ENOENT ? rc : 1;
}

static int put_filed(struct db *d, const struct outbox_put *p, uint64_t letter)
{
        struct db_row q;

        if (!p->segment)
                return 0;
        q = db_query(d, FILED_ADD);
        db_bind_u64(&q, 1, p->segment);
        db_bind_u64(&q, 2, p->sequence);
        db_bind_u64(&q, 3, letter);
        return db_exec(&q);
}

/* What is due already keeps its place among those that wait; so a look at the row is enough most times. */
int outbox_destination_of(struct db *d, struct str address, int64_t at, uint64_t *id)
{
        size_t sign = str_rfind(address, '@');
        struct str name = sign == STR_NONE ? S("") : str_from_at(address, sign + 1);
        struct db_row q = db_query(d, DESTINATION_FIND);
        int64_t ready = 0, rests = 0;
        bool found;
        int rc;

        db_bind_text(&q, 1, name);
        found = db_next(&q);
        if (found) {
                *id = db_u64(&q, 0);
                ready = (int64_t)db_u64(&q, 1);
                rests = (int64_t)db_u64(&q, 2);
        }
        rc = db_end(&q);
        if (at < rests)
                at = rests;
        if (rc < 0 || (found && ready <= at))
                return rc;
        if (found) {
                q = db_query(d, DESTINATION_READY);
                db_bind_u64(&q, 1, *id);
                db_bind_u64(&q, 2, (uint64_t)at);
                return db_exec(&q);
        }
        q = db_query(d, DESTINATION_ADD);
        db_bind_text(&q, 1, name);
        db_bind_u64(&q, 2, (uint64_t)at);
        rc = db_exec(&q);
        *id = db_last_id(d);
        return rc;
}

static int put_recipient(struct db *d, uint64_t letter, const struct action *a, int64_t at)
{
        uint64_t destination;
        struct db_row q;
        int rc = outbox_destination_of(d, a->address, at, &destination);

        if (rc < 0)
                return rc;
        q = db_query(d, RECIPIENT_ADD);
        db_bind_u64(&q, 1, letter);
        db_bind_u64(&q, 2, a->number);
        db_bind_u64(&q, 3, a->kind);
        db_bind_text(&q, 4, a->address);
        db_bind_text(&q, 5, a->original);
        db_bind_text(&q, 6, a->parameters);
        db_bind_text(&q, 7, a->reason);
        db_bind_text(&q, 8, a->sender);
        db_bind_u64(&q, 9, destination);
        db_bind_u64(&q, 10, a->flags & ACTION_HELD ? RECIPIENT_HELD : RECIPIENT_QUEUED);
        return db_exec(&q);
}

int outbox_letter_add(struct db *d, uint64_t letter, const struct outbox_put *p)
{
        struct db_row q = db_query(d, LETTER_ADD);
        struct buf envelope;
        int rc;

        buf_init(&envelope, SIZE_MAX); /* it was bounded when it was accepted */
        envelope_pack(p->envelope, &envelope);
        db_bind_u64(&q, 1, letter);
        db_bind_text(&q, 2, p->envelope->sender);
        db_bind_u64(&q, 3, (uint64_t)p->envelope->received);
        db_bind_u64(&q, 4, p->envelope->size);
        db_bind_blob(&q, 5, buf_str(&envelope));
        if (p->staged_name)
                db_bind_null(&q, 6);
        else
                db_bind_blob(&q, 6, p->text);
        rc = db_exec(&q);
        buf_free(&envelope);
        for (unsigned k = 0; rc >= 0 && k < p->count; k++)
                rc = put_recipient(d, letter, p->actions[k], p->envelope->received);
        return rc;
}

int outbox_number(struct db *d, uint64_t *letter)
{
        struct db_row q = db_query(d, NEXT);
        int rc;

        *letter = db_next(&q) ? db_u64(&q, 0) : 0;
        rc = db_end(&q);
        return rc >= 0 && !*letter ? -EBADMSG : rc;
}

int outbox_number_write(struct db *d, uint64_t next)
{
        struct db_row q = db_query(d, NEXT_WRITE);

        db_bind_u64(&q, 1, next);
        return db_exec(&q);
}

static int put_all(struct db *d, void *arg)
{
        struct putting *g = arg;
        uint64_t next;
        int rc = outbox_number(d, &next);

        for (size_t k = 0; rc >= 0 && k < g->n; k++) {
                struct outbox_put *p = &g->list[k];

                p->error = 0;
                rc = was_put(d, g->outbox, p);
                if (rc < 0)
                        break;
                if (rc == 1) {
                        rc = 0;
                        continue;
                }
                if (p->staged_name) /* what can fail for this one alone */
                        p->error = body_link(p->staged_dir, p->staged_name, g->outbox->bodies, next);
                if (p->error < 0)
                        continue;
                rc = put_filed(d, p, next);
                if (rc >= 0)
                        rc = outbox_letter_add(d, next++, p);
        }
        return rc < 0 ? rc : outbox_number_write(d, next);
}

int outbox_put(struct outbox *o, struct outbox_put *list, size_t n)
{
        struct putting g = { o, list, n };
        int rc = db_transact(o->db, "outbox put", put_all, &g, DB_WRITE);

        if (rc >= 0 && o->put)
                o->put(o->put_context);
        return rc;
}

void outbox_on_put(struct outbox *o, void (*put)(void *context), void *context)
{
        o->put = put;
        o->put_context = context;
}

static int sync_bodies(void *arg)
{
        struct outbox *o = arg;

        return disk_sync_dir(o->bodies);
}

static int forget(struct db *d, void *arg)
{
        struct outbox *o = arg;
        struct db_row q = db_query(d, FILED_SEGMENTS);
        uint64_t gone[64];
        size_t n = 0;
        int rc;

        while (n < 64 && db_next(&q)) {
                gone[n] = db_u64(&q, 0);
                if (!o->exists(o->context, gone[n]))
                        n++;
        }
        rc = db_end(&q);
        for (size_t k = 0; rc >= 0 && k < n; k++) {
                q = db_query(d, FILED_FORGET);
                db_bind_u64(&q, 1, gone[k]);
                rc = db_exec(&q);
        }
        return rc;
}

/* Bodies first: no letter is durable before its body's name. Another process may have linked them, so always. */
int outbox_settle(struct outbox *o)
{
        bool complete;
        int rc = offload(LONG, sync_bodies, o);

        if (rc >= 0)
                rc = db_sync(o->db);
        if (rc >= 0 && o->exists && db_transact(o->db, "outbox forget", forget, o, DB_WRITE) < 0)
                log_warn("outbox-forget", "what=\"what the log has forgotten stays for now\"");
        if (rc >= 0 && db_checkpoint(o->db, &complete) < 0)
                log_warn("outbox-checkpoint", "what=\"failed; the next one follows\"");
        return rc;
}
