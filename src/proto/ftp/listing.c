/* A listing: which entries, in which order; how they look is lines.c, how they are sent is the caller's business. A folder is never held whole,
 * unless it is small: then its names come in order. */
#include "proto/ftp/glob.h"
#include "proto/ftp/lines.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum {
        SORT_MOST = 2000,
        PUT_FROM = 60 << 10,  /* so many bytes are sent at once */
        LINE_ROOM = 16 << 10, /* one line at most: facts, a name, the folder before it, a link's target */
        DEPTH_MOST = 16,
        ENTRIES_MOST = 100000, /* of a recursive listing */
        FOLDERS_MOST = 4 << 20 /* bytes of names of folders that wait, at one level */
};
struct lister {
        struct root *root;
        const struct ftp_listing *l;
        ftp_put_fn *put;
        void *context;
        struct buf out;
        struct line_dates dates;
        unsigned entries;
        bool cut; /* a bound was met */
        int rc;   /* the first failure of put */
};

/* One folder of the listing. */
struct level {
        struct lister *r;
        struct str path;  /* absolute */
        struct str below; /* the same as seen from where the listing began: "", "a/b" */
        struct buf folders;
        struct entry {
                struct file_facts facts;
                char *name, *target; /* heap; target: of a link, else NULL */
        } * kept;                    /* while there are no more than SORT_MOST */
        size_t count;
        bool sorted;
};

/* --- MLSD ---------------------------------------------------------------------------------------------------- */

/* Most clients want to know what is behind a link; one that leads nowhere is told as what it is. May wait. */
static void put_mlsd_line(struct level *v, struct str name, const struct file_facts *f, struct str target)
{
        struct lister *r = v->r;
        struct file_facts behind;

        if (f->kind == FILE_LINK) {
                auto_arena struct arena a = { 0 };
                struct str path;

                arena_init(&a, 64 << 10);
                path = path_join(&a, v->path, name);
                if (path.p && file_facts(r->root, path, true, &behind) == 0)
                        f = &behind;
        }
        put_mlst_facts(&r->out, r->l->facts, r->l->read_only, f, target);
        buf_puts(&r->out, name);
        buf_puts(&r->out, S("\r\n"));
}

/* The folder itself and the one above it (RFC 3659 §7.5.1). */
static void put_own_lines(struct lister *r, const struct file_facts *own)
{
        const struct ftp_listing *l = r->l;
        auto_arena struct arena a = { 0 };
        struct file_facts above;
        struct str parent;

        buf_puts(&r->out, l->facts & FACT_TYPE ? S("Type=cdir;") : S(""));
        put_mlst_facts(&r->out, l->facts & (uint8_t)~FACT_TYPE, l->read_only, own, S(""));
        buf_puts(&r->out, S(".\r\n"));
        arena_init(&a, 16 << 10);
        parent = path_join(&a, l->path, S(".."));
        if (l->path.n == 1 || !parent.p || file_facts(r->root, parent, true, &above) < 0)
                return;
        buf_puts(&r->out, l->facts & FACT_TYPE ? S("Type=pdir;") : S(""));
        put_mlst_facts(&r->out, l->facts & (uint8_t)~FACT_TYPE, l->read_only, &above, S(""));
        buf_puts(&r->out, S("..\r\n"));
}

/* --- NLST ---------------------------------------------------------------------------------------------------- */

static void put_nlst_line(struct level *v, struct str name)
{
        const struct ftp_listing *l = v->r->l;
        struct str before = str_from_at(l->path, l->named_at);
        struct buf *b = &v->r->out;

        if (before.n && name.n) {
                buf_puts(b, before);
                if (before.p[before.n - 1] != '/')
                        buf_puts(b, S("/"));
        } else {
                buf_puts(b, before);
        }
        if (v->below.n) {
                buf_puts(b, v->below);
                buf_puts(b, S("/"));
        }
        buf_puts(b, name);
        buf_puts(b, S("\r\n"));
}

/* --- a folder ------------------------------------------------------------------------------------------------ */

static bool flush(struct lister *r, size_t from)
{
        if (r->rc == 0 && r->out.n > from) {
                r->rc = r->put(r->context, buf_str(&r->out));
                buf_clear(&r->out);
        }
        return r->rc == 0;
}

static void put_line(struct level *v, struct str name, const struct file_facts *f, struct str target)
{
        switch (v->r->l->form) {
        case LISTING_LIST: put_list_line(&v->r->out, &v->r->dates, name, f, target); break;
        case LISTING_NLST: put_nlst_line(v, name); break;
        case LISTING_MLSD: put_mlsd_line(v, name, f, target); break;
        }
        flush(v->r, PUT_FROM);
}

/* A name with a line's end in it cannot be said where names are taken as they are. */
static bool wanted(const struct level *v, struct str name)
{
        const struct ftp_listing *l = v->r->l;

        if (l->form != LISTING_LIST && (str_find(name, '\n') != STR_NONE || str_find(name, '\r') != STR_NONE))
                return false;
        if (l->pattern.n && !v->below.n)
                return glob_matches(l->pattern, name, l->all);
        return l->all || !str_starts(name, S("."));
}

static void keep(struct level *v, const struct file_entry *e)
{
        struct entry *kept;

        if (v->count % 64 == 0)
                v->kept = mem_grow(v->kept, v->count + 64, sizeof(*v->kept));
        kept = &v->kept[v->count++];
        kept->facts = e->facts;
        kept->name = mem_string(e->name);
        kept->target = e->target.n ? mem_string(e->target) : NULL;
}

static void tell_kept(struct level *v)
{
        for (size_t i = 0; i < v->count; i++) {
                struct entry *e = &v->kept[i];

                if (v->r->rc == 0)
                        put_line(v, str_of(e->name), &e->facts, str_of(e->target));
                mem_free(e->name);
                mem_free(e->target);
        }
        mem_free(v->kept);
        v->kept = NULL;
        v->count = 0;
}

static bool take(void *context, const struct file_entry *list, size_t n)
{
        struct level *v = context;
        struct lister *r = v->r;

        for (size_t i = 0; i < n && r->rc == 0; i++) {
                const struct file_entry *e = &list[i];

                if (!wanted(v, e->name))
                        continue;
                if (r->l->recursive && ++r->entries > ENTRIES_MOST) {
                        r->cut = true;
                        return false;
                }
                if (r->l->recursive && e->facts.kind == FILE_FOLDER)
                        buf_packed(&v->folders, e->name);
                if (v->sorted && v->count == SORT_MOST) { /* too many to hold */
                        tell_kept(v);
                        v->sorted = false;
                }
                if (v->sorted)
                        keep(v, e);
                else
                        put_line(v, e->name, &e->facts, e->target);
        }
        return r->rc == 0;
}

static int by_name(const void *a, const void *b)
{
        const struct entry *one = a, *other = b;

        return strcmp(one->name, other->name);
}

static int list_folder(struct lister *r, struct str path, struct str below, unsigned depth);

/* Those of this level, in the order told. Links are not followed. */
static int list_below(struct level *v, unsigned depth)
{
        struct unpack u = unpack_of(buf_str(&v->folders));
        auto_arena struct arena a = { 0 };
        int rc = 0;

        arena_init(&a, 64 << 10);
        while (rc == 0 && !unpack_done(&u) && !u.bad && v->r->entries <= ENTRIES_MOST) {
                struct str name = unpack_str(&u), path = path_join(&a, v->path, name), below;

                if (!path.p) { /* as long as paths may be */
                        v->r->cut = true;
                        continue;
                }
                below = v->below.n ? arena_printf(&a, PRS "/" PRS, STR(v->below), STR(name))
                                   : arena_str(&a, name);
                rc = list_folder(v->r, path, below, depth + 1);
                if (rc == -ENOENT || rc == -EACCES || rc == -ENOTDIR) /* gone meanwhile */
                        rc = 0;
                arena_reset(&a);
        }
        return rc;
}

static int list_folder(struct lister *r, struct str path, struct str below, unsigned depth)
{
        const struct ftp_listing *l = r->l;
        struct level v = { .r = r, .path = path, .below = below, .sorted = l->form != LISTING_MLSD };
        bool with_facts = l->form == LISTING_LIST || (l->form == LISTING_MLSD && l->facts & ~FACT_TYPE);
        int rc;

        if (below.n && l->form == LISTING_LIST) { /* as `ls -R` */
                buf_puts(&r->out, S("\r\n"));
                put_seen(&r->out, below);
                buf_puts(&r->out, S(":\r\n"));
                flush(r, PUT_FROM);
        }
        buf_init(&v.folders, FOLDERS_MOST);
        rc = folder_read(r->root, path, with_facts, take, &v);
        if (v.count)
                qsort(v.kept, v.count, sizeof(*v.kept), by_name);
        tell_kept(&v);
        if (r->rc != 0)
                rc = r->rc;
        r->cut |= v.folders.full || (depth == DEPTH_MOST && v.folders.n > 0);
        if (rc == 0 && l->recursive && depth < DEPTH_MOST)
                rc = list_below(&v, depth);
        buf_free(&v.folders);
        return rc;
}

/* What a link says of itself only its folder tells. */
struct one_link {
        struct level *v;
        struct str name, shown;
};

static bool tell_link(void *context, const struct file_entry *list, size_t n)
{
        struct one_link *o = context;

        for (size_t i = 0; i < n; i++)
                if (str_eq(list[i].name, o->name)) {
                        put_list_line(&o->v->r->out, &o->v->r->dates, o->shown, &list[i].facts,
                                      list[i].target);
                        return false;
                }
        return true;
}

static bool list_link(struct level *v, struct str shown)
{
        struct file_facts facts;
        size_t slash = str_rfind(v->path, '/');
        auto_arena struct arena a = { 0 };
        struct one_link o = { .v = v, .name = str_from_at(v->path, slash + 1), .shown = shown };
        struct str parent;

        if (v->r->l->form != LISTING_LIST || file_facts(v->r->root, v->path, false, &facts) < 0 ||
            facts.kind != FILE_LINK)
                return false;
        arena_init(&a, 16 << 10);
        parent = path_join(&a, v->path, S(".."));
        return parent.p && folder_read(v->r->root, parent, true, tell_link, &o) == 0 && v->r->out.n > 0;
}

/* A file, or a folder itself: one line, with the name it was asked for. */
static void list_one(struct lister *r, const struct file_facts *facts)
{
        struct str name = str_from_at(r->l->path, r->l->named_at);
        struct level v = { .r = r, .path = r->l->path };

        if (list_link(&v, name.n ? name : S(".")))
                return;
        if (r->l->form == LISTING_NLST)
                put_nlst_line(&v, name.n ? S("") : S("."));
        else
                put_line(&v, name.n ? name : S("."), facts, S(""));
}

int ftp_listing_run(struct root *root, const struct ftp_listing *l, ftp_put_fn *put, void *context)
{
        struct lister r = { .root = root, .l = l, .put = put, .context = context, .dates.now = wall_usec() };
        struct file_facts facts;
        int rc = file_facts(root, l->path, true, &facts);

        if (rc < 0)
                return rc;
        buf_init(&r.out, PUT_FROM + LINE_ROOM);
        if (l->form == LISTING_MLSD)
                put_own_lines(&r, &facts);
        if (facts.kind == FILE_FOLDER && !l->folder_itself)
                rc = list_folder(&r, l->path, S(""), 1);
        else
                list_one(&r, &facts);
        if (rc == 0)
                flush(&r, 0);
        buf_free(&r.out);
        if (rc == 0)
                rc = r.rc;
        return rc ? rc : r.cut;
}
