#include "base/mem.h"
#include "proto/ftp/client_inside.h"
#include <errno.h>
#include <stdlib.h>

enum {
        LINE_MOST = 8 * 1024,
        PASSED_OVER_MOST = 16 * 1024 * 1024, /* of one line; it has no end */
        ENTRIES_MOST = 4 * 1024 * 1024,
        OCTETS_MOST = 1024 * 1024 * 1024,
        ARENA_SLACK = 256 * 1024 /* what an arena may lose at the ends of its pieces, and more */
};

/* Lines out of what comes in pieces. One that is too long is passed over. */
struct lines {
        struct buf part;
        bool skipping;
        int (*line)(void *context, struct str line);
        void *context;
        size_t skipped, passed_over;
};

static int take_line(struct lines *l, struct str line)
{
        if (line.n && line.p[line.n - 1] == '\r')
                line.n--;
        if (l->skipping)
                l->skipped++;
        else if (line.n)
                return l->line(l->context, line);
        return 0;
}

static int lines_come(void *context, char *room, size_t n, size_t *got)
{
        struct lines *l = context;
        struct str in = str_from(room, n), line;
        int rc = 0;

        *got = n;
        while (in.n && rc == 0) {
                bool whole = str_cut(&in, '\n', &line);

                if (whole && !l->part.n && !l->skipping) {
                        if (line.n > LINE_MOST)
                                l->skipped++;
                        else
                                rc = take_line(l, line);
                        continue;
                }
                if (!l->skipping && !buf_puts(&l->part, line))
                        l->skipping = true;
                l->passed_over += l->skipping ? line.n : 0;
                if (l->passed_over > PASSED_OVER_MOST)
                        return -ENOBUFS;
                if (!whole)
                        break;
                rc = take_line(l, buf_str(&l->part));
                buf_clear(&l->part);
                l->skipping = false;
                l->passed_over = 0;
        }
        return rc;
}

/* A listing is text whatever the type says; its lines end with CRLF, or LF from some. In MODE C the filler is the type's (RFC 959 §3.4.3). */
static struct coding listing_coding(const struct ftp_client *c)
{
        struct coding how = c->want;
        bool ascii = c->type_said && c->is.type == TYPE_ASCII && c->is.form == FORM_NONPRINT;

        how.structure = STRUCTURE_FILE;
        how.form = FORM_NONPRINT;
        how.type = ascii || how.mode == MODE_COMPRESSED ? TYPE_ASCII : TYPE_IMAGE;
        return how;
}

/* A name that looks like options is said as a path. */
static struct str with_path(struct arena *a, const char *command, const char *path)
{
        if (!path || !*path)
                return arena_str(a, str_of(command));
        return arena_printf(a, "%s %s%s", command, path[0] == '-' ? "./" : "", path);
}

static int list(struct ftp_client *c, const char *command, const char *path, struct lines *l,
                struct ftp_answer *answer)
{
        struct ftp_transfer t = {
                .move = FTP_GET, .remote = path, .file = -1, .each = lines_come, .context = l
        };
        struct coding how = listing_coding(c);
        auto_arena struct arena a = { 0 };
        int rc;

        if (strlen(command) + (path ? strlen(path) : 0) > FTPC_COMMAND_MOST) {
                *answer = (struct ftp_answer){ 0 };
                ftpc_ours(answer, "the path is too long");
                return -ENAMETOOLONG;
        }
        arena_init(&a, 4 * FTPC_COMMAND_MOST);
        buf_init(&l->part, LINE_MOST);
        rc = ftpc_transfer(c, &t, &how, with_path(&a, command, path).p);
        if (rc == 0 && (l->part.n || l->skipping))
                rc = take_line(l, buf_str(&l->part));
        buf_free(&l->part);
        *answer = t.answer;
        return rc;
}

/* ---- as it is ---- */

struct shown {
        void (*line)(void *context, struct str line);
        void *context;
};

static int show(void *context, struct str line)
{
        struct shown *s = context;
        auto_buf struct buf text = { 0 };

        buf_init(&text, 4 * line.n + 8);
        ftpc_printable(&text, line);
        s->line(s->context, buf_str(&text));
        return 0;
}

int ftp_client_listing(struct ftp_client *c, const char *command, const char *path,
                       void (*line)(void *context, struct str line), void *context, struct ftp_answer *answer)
{
        struct shown s = { line, context };
        struct lines l = { .line = show, .context = &s };

        return list(c, command, path, &l, answer);
}

/* ---- taken apart ---- */

struct gathered {
        struct arena *a;
        struct ftp_entry *list;
        size_t n, room;
        size_t unsafe;
        uint64_t octets;
        int64_t now;
        bool facts;
};

static int gather(void *context, struct str line)
{
        struct gathered *g = context;
        struct ftp_entry e;

        g->octets += line.n + 2;
        if (g->n >= ENTRIES_MOST || g->octets > OCTETS_MOST ||
            g->a->max - g->a->used < (g->n + 2) * sizeof(*g->list) + 2 * line.n + ARENA_SLACK)
                return -ENOBUFS;
        if (g->facts ? !ftp_entry_of_facts(line, g->a, &e) : !ftp_entry_of_list(line, g->now, g->a, &e))
                return 0;
        if (!ftp_name_safe(e.name)) {
                g->unsafe++;
                return 0;
        }
        if (g->n == g->room) {
                g->room = g->room ? 2 * g->room : 64;
                g->list = mem_grow(g->list, g->room, sizeof(*g->list));
        }
        g->list[g->n++] = e;
        return 0;
}

static int by_name(const void *a, const void *b)
{
        return str_cmp(((const struct ftp_entry *)a)->name, ((const struct ftp_entry *)b)->name);
}

static int gather_by(struct ftp_client *c, const char *path, struct gathered *g, bool facts,
                     struct ftp_answer *answer)
{
        struct lines l = { .line = gather, .context = g };
        int rc;

        g->facts = facts;
        g->n = g->unsafe = 0;
        g->octets = 0;
        rc = list(c, facts ? "MLSD" : "LIST", path, &l, answer);
        g->unsafe += l.skipped;
        return rc;
}

int ftp_client_entries(struct ftp_client *c, const char *path, struct arena *a, struct ftp_entry **out,
                       size_t *n, size_t *unsafe, struct ftp_answer *answer)
{
        struct gathered g = { .a = a, .now = wall_usec() / 1000000 };
        bool facts = c->offers & FTP_HAS_MLST;
        int rc = gather_by(c, path, &g, facts, answer);

        if (rc == -EREMOTEIO && facts && (answer->code == 500 || answer->code == 502)) {
                ftpc_learn(c, answer, FTP_HAS_MLST);
                rc = gather_by(c, path, &g, false, answer);
        }
        *out = NULL;
        *n = *unsafe = 0;
        if (rc == 0) {
                *out = arena_array(a, struct ftp_entry, g.n ? g.n : 1);
                for (size_t i = 0; i < g.n; i++)
                        (*out)[i] = g.list[i];
                qsort(*out, g.n, sizeof(**out), by_name);
                *n = g.n;
                *unsafe = g.unsafe;
        }
        mem_free(g.list);
        return rc;
}
