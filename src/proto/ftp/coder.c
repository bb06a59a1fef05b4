/* How a file is stored, by the TYPE and STRU it came in; the MODE leaves no trace. What goes out in the same TYPE and STRU is what came.
 *
 *   TYPE   STRU   the file                                                        its facts
 *   A      F      CR LF is LF; any other CR stays, also CR CR LF (as CR LF).      none
 *                 A LF that came bare goes out with a CR: the one thing lost,
 *                 as by every server. All formats (N, T, C) alike: the file is
 *                 what the printer would be given (RFC 1123 §4.1.2.2), and of C
 *                 a line's first character is its carriage control.
 *   E      F      each character by a table of the code page and ISO-8859-1,     none
 *                 both ways one to one; NL is LF, and LF is U+0085.
 *   I, L n F      the octets. Of TYPE L n the logical bytes stand as they came,   none
 *                 packed, the last octet filled up with zero bits: TYPE I
 *                 gives the same octets, so nothing has to be known of n.
 *   A, E   R      a record a line, with LF behind it; ends of line within a       which records hold LF
 *                 record stay as they are.
 *   I, L n R      the records' octets end to end.                                 the records' lengths, unless
 *                                                                                 the file is one record
 *   I, L n P      the pages' data in the order in which they came, each from a    each page's header; data of
 *                 new octet on. Holes take no room.                               descriptor pages
 *
 * Pages are of TYPE I and L only: their headers are numbers of one logical byte each (§3.1.2.3), and TYPE A's and E's logical bytes are
 * characters, whose number changes where lines end. Of a byte below 3 bits no header can be made: its length is 4 at least. */
#include "base/mem.h"
#include "proto/ftp/coder_private.h"

bool coding_plain(const struct coding *c)
{
        return c->structure == STRUCTURE_FILE && c->mode == MODE_STREAM &&
               (c->type == TYPE_IMAGE || c->type == TYPE_LOCAL);
}

bool coding_allowed(const struct coding *c, const char **why)
{
        bool text = c->type == TYPE_ASCII || c->type == TYPE_EBCDIC;

        *why = NULL;
        if (c->type == TYPE_LOCAL && !c->byte_size)
                *why = "A logical byte has 1 to 255 bits";
        else if (!text && c->form != FORM_NONPRINT)
                *why = "Only types A and E have a format";
        else if (text && c->structure == STRUCTURE_PAGE)
                *why = "Pages are of type I or L";
        else if (c->type == TYPE_LOCAL && c->structure == STRUCTURE_PAGE && c->byte_size < 3)
                *why = "Page headers need logical bytes of at least 3 bits";
        else if (c->mode == MODE_DEFLATE && (c->level < 1 || c->level > 9))
                *why = "Deflate has levels 1 to 9";
        return !*why;
}

bool coding_page(const char *name)
{
        return coder_code_page(name) != NULL;
}

int coder_fail(struct coder *c, int error, const char *why)
{
        if (!c->failure) {
                c->failure = error;
                c->why = why;
        }
        return c->failure;
}

static void deflate_begin(struct coder *c)
{
        int level = c->how.level < 1 || c->how.level > 9 ? 1 : c->how.level;

        c->z = mem_new(z_stream);
        if ((c->way == CODER_SEND ? deflateInit(c->z, level) : inflateInit(c->z)) != Z_OK)
                mem_die("no memory for zlib");
}

struct coder *coder_new(const struct coding *how, enum coder_way way, struct str facts)
{
        const struct code_page *page = NULL;
        struct coder *c;

        if (how->type == TYPE_EBCDIC && !(page = coder_code_page(how->code_page))) {
                errno = EINVAL;
                return NULL;
        }
        c = mem_new(struct coder);
        c->how = *how;
        c->way = way;
        c->page = page;
        c->text = how->type == TYPE_ASCII || how->type == TYPE_EBCDIC;
        if (how->type != TYPE_LOCAL)
                c->how.byte_size = 8;
        c->wire.marker_at = UINT64_MAX;
        if (way == CODER_SEND && how->marker_every &&
            (how->mode == MODE_BLOCK || how->mode == MODE_COMPRESSED))
                c->wire.marker_at = how->marker_every;
        buf_init(&c->wire.pending, BLOCK_MOST);
        buf_init(&c->scratch, 2 * STEP + 1024);
        buf_init(&c->raw, STEP_ROOM);
        buf_init(&c->result, CODER_FACTS_MOST);
        coder_facts_load(c, facts);
        if (how->mode == MODE_DEFLATE)
                deflate_begin(c);
        if (how->structure == STRUCTURE_RECORD && way == CODER_SEND)
                coder_records_begin(c);
        if (how->structure == STRUCTURE_PAGE)
                coder_pages_begin(c);
        return c;
}

void coder_free(struct coder **c)
{
        struct coder *d = *c;

        if (!d)
                return;
        if (d->z && d->way == CODER_SEND)
                deflateEnd(d->z);
        else if (d->z)
                inflateEnd(d->z);
        buf_free(&d->wire.pending);
        buf_free(&d->scratch);
        buf_free(&d->raw);
        buf_free(&d->result);
        buf_free(&d->facts.kept);
        if (d->paged)
                buf_free(&d->paged->taken);
        mem_free(d->paged);
        mem_free(d->marks);
        mem_free(d->z);
        mem_free(d);
        *c = NULL;
}

static bool has_room(const struct buf *out)
{
        size_t most = out->max < CODER_ROOM ? out->max : CODER_ROOM;

        return out->n < most && most - out->n >= STEP_ROOM;
}

/* A marker stands at the same place of the file however it was split; among pages, behind the first that ends there or later. */
static void send_step(struct coder *c, struct buf *out)
{
        uint64_t until = c->paged ? STEP : c->wire.marker_at - c->offset;
        struct str chunk = str_sub(c->in, 0, until < STEP ? (size_t)until : STEP), rest = chunk;

        coder_structure_send(c, &rest, out);
        c->in = str_from_at(c->in, chunk.n - rest.n);
        c->offset += chunk.n - rest.n;
        if (c->offset >= c->wire.marker_at && (c->paged ? coder_pages_pause(c) : !c->more)) {
                coder_wire_marker(c, out);
                c->wire.marker_at = c->offset + c->how.marker_every;
        }
        coder_wire_step(c, out);
}

static int work(struct coder *c, struct buf *out)
{
        while (!c->failure && (c->more || (c->in.n && !c->ended))) {
                if (!has_room(out))
                        return -ENOBUFS;
                if (c->way == CODER_SEND)
                        send_step(c, out);
                else
                        coder_receive_step(c, out);
        }
        return c->failure;
}

int coder_put(struct coder *c, struct str in, struct buf *out)
{
        if (c->failure)
                return c->failure;
        if (in.n && (!c->in.n || c->ended))
                c->in = in;
        else if (in.n)
                mem_die("the coder was given more before it had done with the last");
        return work(c, out);
}

int coder_end(struct coder *c, struct buf *out)
{
        int rc;

        if (c->ending == END_DONE || c->failure)
                return c->failure;
        if (c->way == CODER_RECEIVE) {
                rc = work(c, out);
                if (rc)
                        return rc;
                coder_receive_end(c, out);
                c->ending = END_DONE;
                return c->failure;
        }
        if (c->ending == END_NOT) {
                do { /* records and pages that have no bytes of the file */
                        if (!has_room(out))
                                return -ENOBUFS;
                        send_step(c, out);
                } while (!c->failure && (c->more || c->in.n));
                coder_structure_send_end(c, out);
                coder_wire_end(c, out);
                coder_wire_step(c, out);
                c->ending = END_MODE;
        }
        if (!has_room(out))
                return -ENOBUFS;
        if (coder_wire_finish(c, out))
                c->ending = END_DONE;
        return c->failure ? c->failure : c->ending == END_DONE ? 0 : -ENOBUFS;
}

const char *coder_why(const struct coder *c)
{
        return c->why ? c->why : "";
}

bool coder_ended(const struct coder *c)
{
        return c->ended;
}

size_t coder_left(const struct coder *c)
{
        return c->ended ? c->in.n : 0;
}

uint64_t coder_file_offset(const struct coder *c)
{
        return c->offset;
}

struct str coder_facts(const struct coder *c)
{
        return buf_str(&c->result);
}

void coder_size(struct coder_size *z, const struct coding *how, struct str piece)
{
        z->octets += piece.n;
        if (how->type != TYPE_ASCII)
                return;
        while (piece.n) {
                const char *lf = memchr(piece.p, '\n', piece.n);

                if (!lf)
                        return;
                z->octets++;
                piece = str_from_at(piece, (size_t)(lf - piece.p) + 1);
        }
}
