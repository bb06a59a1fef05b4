#include "base/mem.h"
#include "proto/imap/fetch.h"
#include "run/fiber.h"

#include <errno.h>

/* Two slices: while one goes out, a fiber makes the next one ready. The command never ends before that fiber has. */
enum {
        PROGRESS_SECONDS = 10,
        /* items that begin to be written before they look at the structure */
        NEED_STRUCTURE = 1 << FETCH_ENVELOPE | 1 << FETCH_BODY | 1 << FETCH_BODYSTRUCTURE,
};

struct sending {
        struct fetch *f;
        struct fetch_reader *reader;
        struct fetch_slice slices[2];
        struct fetch_writer *pieces; /* for letters in pieces; made when the first comes */
        bool more;                   /* behind the slice read last */
        bool busy;
        struct fetch_slice *reading;
        struct waitlist done;
        nsec told_progress;
};

static void read_ahead(void *arg)
{
        struct sending *g = arg;

        g->more = fetch_next(g->reader, g->reading);
        g->busy = false;
        wake_all(&g->done);
}

static void start_ahead(struct sending *g, struct fetch_slice *slice)
{
        if (!fiber_self())
                return;
        g->reading = slice;
        g->busy = true;
        if (fiber_spawn("fetch ahead", read_ahead, g) < 0)
                g->busy = false;
}

/* Also in a cancelled fiber, where waiting is over at once: it is a matter of one slice. */
static void wait_ahead(struct sending *g)
{
        while (g->busy)
                if (wait_on(&g->done, "fetch ahead", NEVER) < 0)
                        fiber_yield();
}

static bool structure_holds(struct str packed)
{
        struct mime_walk *w = mem_new(struct mime_walk);
        bool holds;

        mime_walk_begin(w, packed);
        while (mime_walk_next(w))
                ;
        holds = !w->bad;
        mem_free(w);
        return holds;
}

/* A letter in pieces. */
static void send_alone(struct sending *g, const struct placed *p)
{
        struct fetch *f = g->f;
        struct fetch_source source = { .account = f->x->account, .letter = p->letter, .size = p->size };
        struct buf mime auto_buf, out auto_buf;
        struct fetch_facts facts;
        enum fetch_made made;
        int rc;

        buf_init(&mime, MIME_PACKED_MAX);
        buf_init(&out, 2 * FETCH_SLICE_MOST);
        rc = fetch_facts_of(f->x, p->letter, &mime, &facts);
        if (rc == 0 && !structure_holds(facts.mime)) {
                facts.mime = S(""); /* the whole letter can be given without it */
                rc = f->items.given & NEED_STRUCTURE ? -EBADMSG : 0;
        }
        if (rc == -ENOENT)
                f->missing++;
        else if (rc < 0)
                f->trouble = rc;
        if (rc < 0)
                return;
        if (!g->pieces) {
                g->pieces = mem_new(struct fetch_writer);
                fetch_writer_init(g->pieces, f->mode);
        }
        buf_init(&source.piece, FETCH_PIECE);
        g->pieces->out = (struct fetch_out){ &out, f->s };
        made = put_letter(f, g->pieces, p, &facts, &source);
        fetch_send(&g->pieces->out);
        buf_free(&source.piece);
        if (source.error)
                f->trouble = source.error;
        else if (made != FETCH_MADE)
                f->trouble = -EBADMSG;
        f->unknown_cte = f->unknown_cte || g->pieces->unknown_cte;
        g->pieces->unknown_cte = false;
        f->told++;
}

/* RFC 9585 */
static void tell_progress(struct sending *g)
{
        struct fetch *f = g->f;

        if (now() - g->told_progress < PROGRESS_SECONDS * SECOND || f->told >= f->total ||
            !imap_of(f->s)->tag.n || !imap_can(f->s, CAP_INPROGRESS))
                return;
        g->told_progress = now();
        imap_say(f->s, "OK [INPROGRESS (\"" PRS "\" %llu %llu)] still sending", STR(imap_of(f->s)->tag),
                 (unsigned long long)f->told, (unsigned long long)f->total);
}

/* The beginning of a letter's text is none of a watcher's business: of a PREVIEW in quotes he sees the length, too. */
static void put_watched(struct conn *c, struct str line)
{
        size_t at, end;

        while ((at = str_search(line, S("PREVIEW \""))) != STR_NONE) {
                at += S("PREVIEW \"").n;
                for (end = at; end < line.n && line.p[end] != '"'; end++)
                        end += line.p[end] == '\\';
                conn_put(c, str_sub(line, 0, at));
                conn_body(c, str_sub(line, at, end - at));
                line = str_from_at(line, end);
        }
        conn_put(c, line);
}

/* For a watcher: he sees the lines, and of literals how long they are. A line that ends with "{n}" is followed by one, always. */
static void send_watched(struct conn *c, struct str out)
{
        struct str line, number;
        size_t end, brace;
        uint64_t n;

        while (out.n) {
                end = str_find(out, '\n');
                line = str_sub(out, 0, end == STR_NONE ? out.n : end + 1);
                out = str_from_at(out, line.n);
                put_watched(c, line);
                brace = str_rfind(line, '{');
                if (brace == STR_NONE || !str_ends(line, S("}\r\n")))
                        continue;
                number = str_sub(line, brace + 1, line.n - brace - 4);
                if (!str_u64(number, &n))
                        continue;
                conn_body(c, str_sub(out, 0, (size_t)n));
                out = str_from_at(out, (size_t)n);
        }
}

static void send_slice(struct sending *g, struct fetch_slice *slice)
{
        struct conn *c = g->f->s->conn;

        if (conn_has_tap(c))
                send_watched(c, buf_str(&slice->out));
        else
                fetch_put(c, buf_str(&slice->out), conn_put);
        g->f->told += slice->letters;
        if (slice->has_alone && conn_ok(c))
                send_alone(g, &slice->alone);
}

void fetch_all(struct fetch *f)
{
        struct sending *g = mem_new(struct sending);
        struct fetch_slice *now_going = &g->slices[0], *next = &g->slices[1], *old;

        g->f = f;
        g->reader = fetch_reader_new(f);
        g->told_progress = now();
        buf_init(&g->slices[0].out, FETCH_SLICE_MOST);
        buf_init(&g->slices[1].out, FETCH_SLICE_MOST);
        g->more = fetch_next(g->reader, now_going);
        for (;;) {
                bool last = !g->more, ahead = false;

                if (!last) {
                        start_ahead(g, next);
                        ahead = g->busy;
                }
                send_slice(g, now_going);
                wait_ahead(g);
                if (last || !conn_ok(f->s->conn))
                        break;
                if (!ahead)
                        g->more = fetch_next(g->reader, next);
                old = now_going;
                now_going = next;
                next = old;
                tell_progress(g);
        }
        fetch_reader_free(g->reader);
        if (g->pieces)
                fetch_writer_finish(g->pieces);
        mem_free(g->pieces);
        buf_free(&g->slices[0].out);
        buf_free(&g->slices[1].out);
        mem_free(g);
}
