/* The lines of a listing. They are made by hand, since ten thousand of them are asked for at once; how they are sent is the caller's
 * business. A folder is never held whole, unless it is small: then its names come in order. */
#include "proto/ftp/ftp.h"
#include "proto/ftp/glob.h"
#include "proto/ftp/time.h"
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
#define HALF_YEAR (182LL * 86400 * 1000000)

struct lister {
        struct root *root;
        const struct ftp_listing *l;
        ftp_put_fn *put;
        void *context;
        struct buf out;
        struct ftp_day day;
        int64_t now;
        unsigned entries;
        int rc; /* the first failure of put */
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

/* --- numbers ------------------------------------------------------------------------------------------------- */

static size_t digits_of(uint64_t v, char text[static 20])
{
        size_t n = 20;

        do {
                text[--n] = (char)('0' + v % 10);
                v /= 10;
        } while (v);
        return n;
}

static void put_spaces(struct buf *b, size_t n)
{
        static const char spaces[] = "                    ";

        buf_puts(b, str_from(spaces, n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1));
}

static void put_number(struct buf *b, uint64_t v, size_t width_before, size_t width_after)
{
        char text[20];
        size_t at = digits_of(v, text), n = sizeof(text) - at;

        if (n < width_before)
                put_spaces(b, width_before - n);
        buf_puts(b, str_from(text + at, n));
        if (n < width_after)
                put_spaces(b, width_after - n);
}

/* --- LIST: -rw-r--r--   1 1000     1000          1234 Sep 24  2002 name -> target ----------------------------- */

static void put_mode(struct buf *b, const struct file_facts *f)
{
        static const char kinds[] = {
                [FILE_REGULAR] = '-', [FILE_FOLDER] = 'd', [FILE_LINK] = 'l', [FILE_OTHER] = '?'
        };
        char text[10] = { kinds[f->kind], 'r', 'w', 'x', 'r', 'w', 'x', 'r', 'w', 'x' };

        for (unsigned i = 0; i < 9; i++)
                if (!(f->mode >> (8 - i) & 1))
                        text[i + 1] = '-';
        buf_puts(b, str_from(text, sizeof(text)));
}

/* "Sep 24  2002", or "Nov 20 23:47" within half a year; in UTC, as all times here */
static void put_date(struct lister *r, int64_t usec)
{
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        int64_t age = r->now - usec;
        unsigned second;

        ftp_day_set(&r->day, ftp_day_number(usec, &second));
        buf_puts(&r->out, str_from(months + 3 * (r->day.month - 1), 3));
        put_number(&r->out, r->day.day, 3, 0);
        if (age > HALF_YEAR || age < -HALF_YEAR / 182) {
                put_number(&r->out, r->day.year, 6, 0);
                return;
        }
        second /= 60;
        char time[6] = { ' ', (char)('0' + second / 600),     (char)('0' + second / 60 % 10),
                         ':', (char)('0' + second % 60 / 10), (char)('0' + second % 10) };
        buf_puts(&r->out, str_from(time, sizeof(time)));
}

/* Control characters would act on the terminal of whoever looks. */
static void put_seen(struct buf *b, struct str name)
{
        size_t at = b->n;

        buf_puts(b, name);
        for (; at < b->n; at++)
                if ((unsigned char)b->p[at] < 32 || b->p[at] == 127)
                        b->p[at] = '?';
}

static void put_list_line(struct level *v, struct str name, const struct file_facts *f, struct str target)
{
        struct buf *b = &v->r->out;

        put_mode(b, f);
        put_number(b, f->links, 4, 0);
        put_spaces(b, 1);
        put_number(b, f->uid, 0, 8);
        put_spaces(b, 1);
        put_number(b, f->gid, 0, 8);
        put_spaces(b, 1);
        put_number(b, f->size, 8, 0);
        put_spaces(b, 1);
        put_date(v->r, f->modified);
        put_spaces(b, 1);
        put_seen(b, name);
        if (f->kind == FILE_LINK && target.n) {
                buf_puts(b, S(" -> "));
                put_seen(b, target);
        }
        buf_puts(b, S("\r\n"));
}

/* --- MLSD: Type=file;Size=1;... name -------------------------------------------------------------------------- */

static void put_hex(struct buf *b, uint64_t v)
{
        char text[16];
        size_t n = sizeof(text);

        do {
                text[--n] = "0123456789abcdef"[v & 15];
                v >>= 4;
        } while (v);
        buf_puts(b, str_from(text + n, sizeof(text) - n));
}

/* RFC 3659 §7.5.5: what this client may try with it */
static void put_perm(struct buf *b, const struct file_facts *f, bool read_only)
{
        bool reads = f->mode & 0400, writes = !read_only && f->mode & 0200;

        buf_puts(b, S("Perm="));
        if (f->kind == FILE_FOLDER)
                buf_puts(b, writes ? S("cdeflmp") : read_only ? S("el") : S("defl"));
        else {
                buf_puts(b, writes ? S("a") : S(""));
                buf_puts(b, read_only ? S("") : S("df"));
                buf_puts(b, reads ? S("r") : S(""));
                buf_puts(b, writes ? S("w") : S(""));
        }
        buf_puts(b, S(";"));
}

static void put_type(struct buf *b, const struct file_facts *f, struct str target)
{
        switch (f->kind) {
        case FILE_REGULAR: buf_puts(b, S("Type=file;")); break;
        case FILE_FOLDER: buf_puts(b, S("Type=dir;")); break;
        case FILE_LINK: /* ';' would end the fact */
                buf_puts(b, S("Type=OS.unix=slink:"));
                if (str_find(target, ';') == STR_NONE)
                        put_seen(b, target);
                buf_puts(b, S(";"));
                break;
        case FILE_OTHER: buf_puts(b, S("Type=OS.unix=other;")); break;
        }
}

void put_mlst_facts(struct buf *b, uint8_t facts, bool read_only, const struct file_facts *f,
                    struct str target)
{
        if (facts & FACT_TYPE)
                put_type(b, f, target);
        if (facts & FACT_SIZE && f->kind == FILE_REGULAR) {
                buf_puts(b, S("Size="));
                put_number(b, f->size, 0, 0);
                buf_puts(b, S(";"));
        }
        if (facts & FACT_MODIFY) {
                buf_puts(b, S("Modify="));
                put_ftp_time(b, f->modified);
                buf_puts(b, S(";"));
        }
        if (facts & FACT_PERM)
                put_perm(b, f, read_only);
        if (facts & FACT_UNIQUE) {
                buf_puts(b, S("Unique="));
                put_hex(b, f->device);
                buf_puts(b, S("g"));
                put_hex(b, f->inode);
                buf_puts(b, S(";"));
        }
        if (facts & FACT_MODE) {
                char mode[] = { '0', (char)('0' + (f->mode >> 6 & 7)), (char)('0' + (f->mode >> 3 & 7)),
                                (char)('0' + (f->mode & 7)) };

                buf_puts(b, S("UNIX.mode="));
                buf_puts(b, str_from(mode, sizeof(mode)));
                buf_puts(b, S(";"));
        }
        if (facts & FACT_OWNER) {
                buf_puts(b, S("UNIX.owner="));
                put_number(b, f->uid, 0, 0);
                buf_puts(b, S(";"));
        }
        if (facts & FACT_GROUP) {
                buf_puts(b, S("UNIX.group="));
                put_number(b, f->gid, 0, 0);
                buf_puts(b, S(";"));
        }
        buf_puts(b, S(" "));
}

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
        case LISTING_LIST: put_list_line(v, name, f, target); break;
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
                if (r->l->recursive && ++r->entries > ENTRIES_MOST)
                        return false;
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

                if (!path.p) /* as long as paths may be */
                        continue;
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
        if (rc == 0 && l->recursive && depth < DEPTH_MOST)
                rc = list_below(&v, depth);
        buf_free(&v.folders);
        return rc;
}

/* A file, or a folder itself: one line, with the name it was asked for. */
static void list_one(struct lister *r, const struct file_facts *facts)
{
        struct str name = str_from_at(r->l->path, r->l->named_at);
        struct level v = { .r = r, .path = r->l->path };

        if (r->l->form == LISTING_NLST)
                put_nlst_line(&v, name.n ? S("") : S("."));
        else
                put_line(&v, name.n ? name : S("."), facts, S(""));
}

int ftp_listing_run(struct root *root, const struct ftp_listing *l, ftp_put_fn *put, void *context)
{
        struct lister r = { .root = root, .l = l, .put = put, .context = context, .now = wall_usec() };
        struct file_facts facts;
        int rc = file_facts(root, l->path, true, &facts);

        if (rc < 0)
                return rc;
        buf_init(&r.out, PUT_FROM + LINE_ROOM);
        if (facts.kind == FILE_FOLDER && !l->folder_itself)
                rc = list_folder(&r, l->path, S(""), 1);
        else
                list_one(&r, &facts);
        if (rc == 0)
                flush(&r, 0);
        buf_free(&r.out);
        return rc ? rc : r.rc;
}
