#include "powercut.h"
#include "base/buf.h"
#include "base/mem.h"
#include "store/disk_trace.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 4096, TEAR = 512, FILE_MAX = 1 << 30 };

struct record {
        enum trace_kind kind;
        char *path, *to;
        uint64_t at;
        struct str data; /* in the trace's memory */
};

/* A file or a folder, whatever names it has. */
struct node {
        bool folder;
        struct buf durable;
        const struct record **pending; /* writes and cuts not yet synced */
        size_t pending_n;
        struct entry *entries; /* as the running system sees them */
        struct entry *durable_entries;
        char *written; /* where it was put when rebuilding */
        struct node *next;
};
struct entry {
        char *name;
        struct node *node;
        struct entry *next;
};
/* A change of a name; node NULL removes it. A rename is two with one group. */
struct change {
        struct node *folder;
        const char *name;
        struct node *node;
        unsigned group;
        bool done;
};
struct powercut {
        struct buf text;
        struct record *records;
        size_t n;
        char *base;
        /* while replaying: */
        struct node *nodes, *root;
        struct change *changes;
        size_t changes_n;
        unsigned groups;
};

uint64_t powercut_random(uint64_t *seed, uint64_t n) /* splitmix64 */
{
        uint64_t z = *seed += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return n ? (z ^ z >> 31) % n : 0;
}

static void need(bool yes, const char *what)
{
        if (!yes)
                mem_die(what);
}

static void read_file(const char *path, struct buf *out)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        need(fd >= 0, "a file cannot be read");
        buf_init(out, FILE_MAX);
        while ((n = read(fd, buf_room(out, 1 << 20), 1 << 20)) > 0)
                buf_added(out, (size_t)n);
        close(fd);
}

struct powercut *powercut_open(const char *base, const char *trace)
{
        struct powercut *p = mem_new(struct powercut);
        struct unpack u;

        read_file(trace, &p->text);
        p->base = base ? mem_string(str_of(base)) : NULL;
        u = unpack_of(buf_str(&p->text));
        while (!unpack_done(&u)) {
                struct trace_head head;
                struct str raw = unpack_bytes(&u, sizeof head);
                struct record r;

                need(!u.bad, "the trace is cut off");
                mem_copy((char *)&head, sizeof head, raw);
                need(head.magic == TRACE_MAGIC, "the trace is damaged");
                r.kind = (enum trace_kind)head.kind;
                r.path = mem_string(unpack_bytes(&u, head.path));
                r.to = mem_string(unpack_bytes(&u, head.to));
                r.at = head.at;
                r.data = unpack_bytes(&u, head.data);
                need(!u.bad, "the trace is cut off");
                if (!(p->n & (p->n + 1)))
                        p->records = mem_grow(p->records, (p->n + 1) * 2, sizeof *p->records);
                p->records[p->n++] = r;
        }
        return p;
}

static struct node *node_new(struct powercut *p, bool folder)
{
        struct node *n = mem_new(struct node);

        n->folder = folder;
        buf_init(&n->durable, FILE_MAX);
        n->next = p->nodes;
        p->nodes = n;
        return n;
}

static void entries_free(struct entry *e)
{
        for (struct entry *next; e; e = next) {
                next = e->next;
                mem_free(e->name);
                mem_free(e);
        }
}

static void forget_nodes(struct powercut *p)
{
        for (struct node *n = p->nodes, *next; n; n = next) {
                next = n->next;
                buf_free(&n->durable);
                mem_free(n->pending);
                mem_free(n->written);
                entries_free(n->entries);
                entries_free(n->durable_entries);
                mem_free(n);
        }
        mem_free(p->changes);
        p->changes = NULL;
        p->changes_n = 0;
        p->nodes = p->root = NULL;
}

void powercut_close(struct powercut **pp)
{
        struct powercut *p = *pp;

        *pp = NULL;
        forget_nodes(p);
        for (size_t i = 0; i < p->n; i++) {
                mem_free(p->records[i].path);
                mem_free(p->records[i].to);
        }
        mem_free(p->records);
        mem_free(p->base);
        buf_free(&p->text);
        mem_free(p);
}

uint64_t powercut_operations(const struct powercut *p)
{
        return p->n;
}

static void entry_set(struct entry **list, struct str name, struct node *node)
{
        struct entry *e;

        while (*list && !str_eq(str_of((*list)->name), name))
                list = &(*list)->next;
        e = *list;
        if (e && !node) {
                *list = e->next;
                mem_free(e->name);
                mem_free(e);
        } else if (e) {
                e->node = node;
        } else if (node) {
                e = *list = mem_new(struct entry);
                e->name = mem_string(name);
                e->node = node;
        }
}

static struct node *entry_find(struct entry *e, struct str name)
{
        while (e && !str_eq(str_of(e->name), name))
                e = e->next;
        return e ? e->node : NULL;
}

static struct node *look(struct powercut *p, struct str path)
{
        struct node *n = p->root;
        struct str name;

        while (n && path.n) {
                str_cut(&path, '/', &name);
                if (!str_eq(name, S(".")))
                        n = entry_find(n->entries, name);
        }
        return n;
}

static struct node *folder_of(struct powercut *p, const char *path, const char **name)
{
        size_t slash = str_rfind(str_of(path), '/');

        *name = slash == STR_NONE ? path : path + slash + 1;
        return slash == STR_NONE ? p->root : look(p, str_sub(str_of(path), 0, slash));
}

static void change(struct powercut *p, const char *path, struct node *node, unsigned group)
{
        const char *name;
        struct node *folder = folder_of(p, path, &name);

        need(folder, "the trace names a folder that is not there");
        entry_set(&folder->entries, str_of(name), node);
        if (!(p->changes_n & (p->changes_n + 1)))
                p->changes = mem_grow(p->changes, (p->changes_n + 1) * 2, sizeof *p->changes);
        p->changes[p->changes_n++] = (struct change){ folder, name, node, group, false };
}

/* With all of its group, and before it what was done to the same names earlier. */
static void make_durable(struct powercut *p, size_t at)
{
        unsigned group = p->changes[at].group;

        for (size_t i = 0; i < p->changes_n; i++) {
                struct change *c = &p->changes[i];

                if (c->group != group || c->done)
                        continue;
                for (size_t k = 0; k < i; k++)
                        if (!p->changes[k].done && p->changes[k].group != group &&
                            p->changes[k].folder == c->folder &&
                            str_eq(str_of(p->changes[k].name), str_of(c->name)))
                                make_durable(p, k);
                c->done = true;
                entry_set(&c->folder->durable_entries, str_of(c->name), c->node);
        }
}

static void drop_done(struct powercut *p)
{
        size_t n = 0;

        for (size_t i = 0; i < p->changes_n; i++)
                if (!p->changes[i].done)
                        p->changes[n++] = p->changes[i];
        p->changes_n = n;
}

static void put_at(struct buf *b, uint64_t at, struct str data)
{
        while (b->n < at + data.n)
                buf_u8(b, 0);
        mem_copy(b->p + at, b->n - at, data);
}

static void cut_at(struct buf *b, uint64_t size)
{
        while (b->n < size)
                buf_u8(b, 0);
        b->n = size;
}

static void apply(struct buf *b, const struct record *r)
{
        if (r->kind == TRACE_WRITE)
                put_at(b, r->at, r->data);
        else
                cut_at(b, r->at);
}

static void sync_data(struct node *n)
{
        for (size_t i = 0; i < n->pending_n; i++)
                apply(&n->durable, n->pending[i]);
        n->pending_n = 0;
}

static void sync_names(struct powercut *p, const struct node *folder)
{
        for (size_t i = 0; i < p->changes_n; i++)
                if (!p->changes[i].done && (!folder || p->changes[i].folder == folder))
                        make_durable(p, i);
        drop_done(p);
}

static void replay(struct powercut *p, const struct record *r)
{
        struct node *n = look(p, str_of(r->path));
        unsigned group = ++p->groups;

        switch (r->kind) {
        case TRACE_CREATE: change(p, r->path, node_new(p, false), group); return;
        case TRACE_MKDIR: change(p, r->path, node_new(p, true), group); return;
        case TRACE_UNLINK: change(p, r->path, NULL, group); return;
        case TRACE_SYNC_ALL:
                for (n = p->nodes; n; n = n->next)
                        sync_data(n);
                sync_names(p, NULL);
                return;
        default: break;
        }
        need(n, "the trace names a file that is not there");
        switch (r->kind) {
        case TRACE_RENAME:
                change(p, r->path, NULL, group);
                change(p, r->to, n, group);
                return;
        case TRACE_LINK: change(p, r->to, n, group); return;
        case TRACE_SYNC: sync_data(n); return;
        case TRACE_SYNC_DIR: sync_names(p, n); return;
        default:
                n->pending = mem_grow(n->pending, n->pending_n + 1, sizeof *n->pending);
                n->pending[n->pending_n++] = r;
        }
}

/* How a cut treats what was not synced: parts of a hundred that are there, and of these that are torn. */
struct fate {
        uint64_t seed;
        unsigned there, torn;
};

static void lose_write(struct node *n, const struct record *r, struct fate *f)
{
        for (uint64_t at = r->at, end = r->at + r->data.n; at < end;) {
                uint64_t stop = (at / SECTOR + 1) * SECTOR;
                struct str piece;

                if (stop > end)
                        stop = end;
                piece = str_sub(r->data, at - r->at, stop - at);
                if (powercut_random(&f->seed, 100) < f->there) {
                        if (powercut_random(&f->seed, 100) < f->torn)
                                piece.n = powercut_random(&f->seed, piece.n / TEAR + 1) * TEAR;
                        put_at(&n->durable, at, piece);
                }
                at = stop;
        }
}

static void lose_data(struct node *n, struct fate *f)
{
        uint64_t size = n->durable.n;

        for (size_t i = 0; i < n->pending_n; i++) {
                const struct record *r = n->pending[i];

                if (r->kind == TRACE_WRITE)
                        lose_write(n, r, f);
                else if (powercut_random(&f->seed, 100) < f->there)
                        cut_at(&n->durable, r->at);
                if (r->kind == TRACE_WRITE && r->at + r->data.n > size)
                        size = r->at + r->data.n;
        }
        if (size > n->durable.n &&
            powercut_random(&f->seed, 4) == 0) /* the size came through, the data did not */
                cut_at(&n->durable, size);
        n->pending_n = 0;
}

static void lose_names(struct powercut *p, struct fate *f)
{
        size_t keep = powercut_random(&f->seed, p->changes_n + 1);
        bool prefix = powercut_random(&f->seed, 2);

        for (size_t i = 0; i < p->changes_n; i++)
                if (!p->changes[i].done && (prefix ? i < keep : powercut_random(&f->seed, 100) < f->there))
                        make_durable(p, i);
}

static char *join(const char *folder, const char *name)
{
        struct buf b;
        char *path;

        buf_init(&b, 8192);
        buf_printf(&b, "%s/%s", folder, name);
        path = mem_string(buf_str(&b));
        buf_free(&b);
        return path;
}

static void write_folder(struct node *n, const char *folder)
{
        if (mkdir(folder, 0700) < 0)
                need(errno == EEXIST, "a folder cannot be made");
        for (struct entry *e = n->durable_entries; e; e = e->next) {
                char *path = join(folder, e->name);
                int fd;

                if (e->node->folder) {
                        write_folder(e->node, path);
                } else if (e->node->written) {
                        need(!link(e->node->written, path), "a link cannot be made");
                } else {
                        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                        need(fd >= 0, "a file cannot be made");
                        for (size_t at = 0; at < e->node->durable.n;) {
                                ssize_t done = write(fd, e->node->durable.p + at, e->node->durable.n - at);

                                need(done > 0, "a file cannot be written");
                                at += (size_t)done;
                        }
                        close(fd);
                        e->node->written = mem_string(str_of(path));
                }
                mem_free(path);
        }
}

struct seen { /* inodes of the base, for its hard links */
        ino_t ino;
        struct node *node;
        struct seen *next;
};

static void load_folder(struct powercut *p, struct node *n, const char *folder, struct seen **seen)
{
        DIR *list = opendir(folder);
        struct dirent *e;

        need(list, "the base cannot be read");
        while ((e = readdir(list))) {
                struct str name = str_of(e->d_name);
                char *path = join(folder, e->d_name);
                struct node *child = NULL;
                struct stat s;

                need(!lstat(path, &s), "the base cannot be read");
                if (!str_eq(name, S(".")) && !str_eq(name, S("..")) && !str_ends(name, S("-shm"))) {
                        for (struct seen *i = *seen; i; i = i->next)
                                if (i->ino == s.st_ino)
                                        child = i->node;
                        if (!child) {
                                struct seen *i = mem_new(struct seen);

                                child = node_new(p, S_ISDIR(s.st_mode));
                                *i = (struct seen){ s.st_ino, child, *seen };
                                *seen = i;
                                if (child->folder)
                                        load_folder(p, child, path, seen);
                                else
                                        read_file(path, &child->durable);
                        }
                        entry_set(&n->entries, name, child);
                        entry_set(&n->durable_entries, name, child);
                }
                mem_free(path);
        }
        closedir(list);
}

void powercut_leave(struct powercut *p, uint64_t at, uint64_t seed, const char *folder)
{
        static const unsigned there[] = { 0, 10, 50, 90, 100 }, torn[] = { 0, 0, 10, 50 };
        struct fate f = { seed, 0, 0 };
        struct seen *seen = NULL;

        forget_nodes(p);
        p->root = node_new(p, true);
        if (p->base)
                load_folder(p, p->root, p->base, &seen);
        for (struct seen *next; seen; seen = next) {
                next = seen->next;
                mem_free(seen);
        }
        for (size_t i = 0; i < p->n && i < at; i++)
                replay(p, &p->records[i]);
        f.there = there[powercut_random(&f.seed, 5)];
        f.torn = torn[powercut_random(&f.seed, 4)];
        for (struct node *n = p->nodes; n; n = n->next)
                lose_data(n, &f);
        lose_names(p, &f);
        write_folder(p->root, folder);
}
