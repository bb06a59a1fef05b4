/* A folder's entries, some hundred at a time: read and looked at by a worker, handed out on the fiber. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/files_inside.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAMES_ROOM = 16 * 1024, LEAST_ENTRY = 24, ENTRIES_MOST = NAMES_ROOM / LEAST_ENTRY, LINK_MOST = 4096 };

struct reading {
        struct root *root;
        char *rel;
        bool facts, cached;
        bool coded; /* some file may have facts beside it */
        int fd;
        char *names;
        struct file_entry *list;
        size_t n;
        struct arena targets;
};

static int open_folder(void *arg)
{
        struct reading *d = arg;

        d->fd = jail_open(d->root->fd, d->rel, O_RDONLY | O_DIRECTORY | O_NONBLOCK, d->cached);
        return d->fd < 0 ? d->fd : 0;
}

static bool link_leads_out(struct reading *d, const char *name)
{
        struct buf b auto_buf;

        buf_init(&b, (size_t)PATH_MOST + 1);
        return !buf_printf(&b, "%s/%s", d->rel, name) || !buf_u8(&b, 0) || leads_out(d->root->fd, b.p);
}

static void read_target(struct reading *d, struct file_entry *e)
{
        char target[LINK_MOST];
        ssize_t n = readlinkat(d->fd, e->name.p, target, sizeof target);

        e->target = arena_str(&d->targets, str_from(target, n < 0 ? 0 : (size_t)n));
}

/* False: it is not there for anybody, or no more. */
static bool look_at_entry(struct reading *d, struct file_entry *e, unsigned char type)
{
        struct statx x;

        e->facts = (struct file_facts){ .kind = type == DT_REG   ? FILE_REGULAR
                                                : type == DT_DIR ? FILE_FOLDER
                                                : type == DT_LNK ? FILE_LINK
                                                                 : FILE_OTHER };
        e->target = S("");
        if (d->facts || type == DT_UNKNOWN) {
                if (look_at(d->fd, e->name.p, &x))
                        return false;
                facts_from(d->coded ? d->root->files : NULL, &x, &e->facts);
        }
        if (e->facts.kind != FILE_LINK)
                return true;
        if (link_leads_out(d, e->name.p))
                return false;
        if (d->facts)
                read_target(d, e);
        return true;
}

struct entry_on_disk { /* linux_dirent64 */
        uint64_t inode;
        int64_t next;
        unsigned short size;
        unsigned char type;
        char name[];
};

static int read_some(void *arg)
{
        struct reading *d = arg;
        long got = syscall(SYS_getdents64, d->fd, d->names, NAMES_ROOM);

        d->n = 0;
        d->coded = d->facts && beside_any(d->root->files);
        arena_reset(&d->targets);
        if (got <= 0)
                return got < 0 ? -errno : 0;
        for (long at = 0; at < got;) {
                const struct entry_on_disk *r = (const void *)(d->names + at);
                struct file_entry *e = &d->list[d->n];

                at += r->size;
                e->name = str_of(r->name);
                if (str_eq(e->name, S(".")) || str_eq(e->name, S("..")))
                        continue;
                if (look_at_entry(d, e, r->type))
                        d->n++;
        }
        return 1;
}

static int read_all(struct reading *d, folder_each_fn *each, void *context)
{
        int rc;

        d->names = mem_alloc(NAMES_ROOM);
        d->list = mem_array(ENTRIES_MOST, sizeof *d->list);
        arena_init(&d->targets, (size_t)ENTRIES_MOST * (LINK_MOST + 64));
        while ((rc = offload(QUICK, read_some, d)) > 0)
                if (d->n && !each(context, d->list, d->n))
                        break;
        arena_finish(&d->targets);
        mem_free(d->list);
        mem_free(d->names);
        return rc < 0 ? rc : 0;
}

int folder_read(struct root *r, struct str path, bool with_facts, folder_each_fn *each, void *context)
{
        struct reading d = { .root = r, .facts = with_facts, .cached = true, .fd = -1 };
        int rc = jail_path(path, &d.rel);

        if (!rc)
                rc = open_folder(&d);
        if (rc == -EAGAIN) {
                d.cached = false;
                rc = offload(QUICK, open_folder, &d);
        }
        if (!rc) {
                rc = read_all(&d, each, context);
                close(d.fd);
        }
        mem_free(d.rel);
        return rc;
}
