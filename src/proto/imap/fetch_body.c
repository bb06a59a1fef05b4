#include "mail/header.h"
#include "mail/text.h"
#include "proto/imap/fetch.h"
#include "run/log.h"
#include "run/offload.h"

#include <errno.h>

/* A flush has a deadline (conn_write_deadline): what is given to it at once must be little enough for a slow line. */
void fetch_put(struct conn *c, struct str s, void (*put)(struct conn *c, struct str s))
{
        for (; s.n; s = str_from_at(s, FETCH_FLUSH))
                put(c, str_sub(s, 0, FETCH_FLUSH));
}

void fetch_drain(struct fetch_out *o)
{
        if (o->s && o->b->n >= 16384)
                fetch_send(o);
}

void fetch_send(struct fetch_out *o)
{
        fetch_put(o->s->conn, buf_str(o->b), conn_put);
        buf_clear(o->b);
}

struct str fetch_read(struct fetch_source *source, uint64_t from, uint64_t n)
{
        int rc;

        if (source->whole)
                return str_sub(source->bytes, (size_t)(from < SIZE_MAX ? from : SIZE_MAX),
                               (size_t)(n < SIZE_MAX ? n : SIZE_MAX));
        if (from >= source->size || !n)
                return S("");
        buf_clear(&source->piece);
        rc = letter_read(source->account, source->letter, from, n < FETCH_PIECE ? (size_t)n : FETCH_PIECE,
                         &source->piece);
        if (!rc && !source->piece.n)
                rc = -EBADMSG; /* it is shorter than it was */
        if (rc)
                source->error = rc;
        return rc ? S("") : buf_str(&source->piece);
}

static void put_head(struct buf *b, uint64_t n, bool with_nul)
{
        buf_puts(b, with_nul ? S("~{") : S("{"));
        put_u64(b, n);
        buf_puts(b, S("}\r\n"));
}

/* The bytes of a literal; where they are sent on, a watcher is told their number only. */
static void put_bytes(struct fetch_writer *w, struct str s)
{
        if (w->out.s) {
                fetch_send(&w->out);
                fetch_put(w->out.s->conn, s, conn_body);
        } else {
                buf_puts(w->out.b, s);
        }
}

/* The literal's length was said, so now only the end of the connection is unmistakable. */
static enum fetch_made cut_off(struct fetch_writer *w)
{
        struct session *s = w->out.s;

        log_warn("trouble", "session=%s protocol=imap account=%s why=\"a letter ends early\"", s->id,
                 log_str(s->account));
        conn_fail(s->conn);
        return FETCH_UNREAD;
}

static enum fetch_made put_nothing(struct fetch_writer *w, const struct fetch_item *item, struct str nothing)
{
        put_label(w, item->label);
        buf_puts(w->out.b, nothing);
        return FETCH_MADE;
}

/* [from, from + n) of the letter as it is. The first piece is read before anything is said. */
static enum fetch_made put_range(struct fetch_writer *w, const struct fetch_item *item, uint64_t from,
                                 uint64_t n)
{
        struct str piece;

        fetch_partial(&item->section, &from, &n);
        if (!n)
                return put_nothing(w, item, S("\"\""));
        piece = fetch_read(w->source, from, n);
        if (!piece.n && !w->source->whole)
                return FETCH_UNREAD;
        put_label(w, item->label);
        put_head(w->out.b, w->source->whole ? piece.n : n, false);
        for (;;) {
                put_bytes(w, piece);
                from += piece.n;
                n -= piece.n;
                if (w->source->whole || !n || !conn_ok(w->out.s->conn))
                        return FETCH_MADE;
                piece = fetch_read(w->source, from, n);
                if (!piece.n)
                        return cut_off(w);
        }
}

static enum fetch_made put_fields(struct fetch_writer *w, const struct fetch_item *item, uint64_t from,
                                  uint64_t n)
{
        struct buf header auto_buf;
        struct str text, piece;

        buf_init(&header, FETCH_HEADER_MOST);
        if (n > FETCH_HEADER_MOST)
                n = FETCH_HEADER_MOST;
        if (w->source->whole) {
                text = fetch_read(w->source, from, n);
        } else {
                for (; header.n < n; buf_puts(&header, piece)) {
                        piece = fetch_read(w->source, from + header.n, n - header.n);
                        if (!piece.n)
                                return FETCH_UNREAD;
                }
                text = buf_str(&header);
        }
        buf_clear(&w->temp);
        fetch_fields(&w->temp, text, &item->section);
        from = 0;
        n = w->temp.n;
        fetch_partial(&item->section, &from, &n);
        if (!n)
                return put_nothing(w, item, S("\"\""));
        put_label(w, item->label);
        put_head(w->out.b, n, false);
        put_bytes(w, str_sub(buf_str(&w->temp), (size_t)from, (size_t)n));
        return FETCH_MADE;
}

/* Where it lies. Of the letter itself header and text are found without the structure if all bytes are at hand. */
static bool locate(struct fetch_writer *w, const struct fetch_section *section, struct str packed,
                   struct fetch_range *range)
{
        uint64_t size = w->source->whole ? w->source->bytes.n : w->source->size, body;

        *range = (struct fetch_range){ 0, size, S("7bit"), true };
        if (!section->depth && section->text == TEXT_WHOLE)
                return true;
        if (section->depth || !w->source->whole)
                return fetch_locate(packed, section, range);
        body = header_size(w->source->bytes);
        range->from = section->text == TEXT_TEXT ? body : 0;
        range->n = section->text == TEXT_TEXT ? size - body : body;
        return true;
}

enum fetch_made put_section(struct fetch_writer *w, const struct fetch_item *item, struct str packed)
{
        struct fetch_range range;

        if (!locate(w, &item->section, packed, &range))
                return FETCH_DAMAGED;
        if (!range.there)
                return put_nothing(w, item, S("NIL"));
        if (item->section.text == TEXT_FIELDS || item->section.text == TEXT_FIELDS_NOT)
                return put_fields(w, item, range.from, range.n);
        return put_range(w, item, range.from, range.n);
}

/* --- BINARY (RFC 3516): the part without its transfer encoding --- */

/* Decodes it all and gives [skip, skip + *n) of the result to w, or only counts. */
struct decoding {
        struct fetch_writer *w;
        struct fetch_decoder d;
        bool put;
        bool nul;
        uint64_t at, skip, n; /* of the result */
};

static void decoded(struct decoding *g, struct str s)
{
        uint64_t from = g->skip > g->at ? g->skip - g->at : 0, end = g->skip + g->n;

        g->nul = g->nul || str_find(s, '\0') != STR_NONE;
        if (g->put && from < s.n && g->at < end) {
                struct str part = str_from_at(s, (size_t)from);

                put_bytes(g->w, str_sub(part, 0, (size_t)(end - g->at - from)));
        }
        g->at += s.n;
}

struct piece {
        struct fetch_decoder *d;
        struct str raw, plain;
        bool last;
};

static int decode_piece(void *arg)
{
        struct piece *p = arg;

        p->plain = fetch_decode(p->d, p->raw, p->last);
        return 0;
}

static enum fetch_made decode(struct decoding *g, const struct fetch_range *range)
{
        struct fetch_source *source = g->w->source;
        uint64_t left = range->n;
        enum fetch_made made = FETCH_MADE;

        fetch_decoder_init(&g->d, range->encoding);
        while (left && !g->d.bad && made == FETCH_MADE) {
                struct piece piece = { .d = &g->d };

                piece.raw = fetch_read(source, range->from + range->n - left,
                                       left < FETCH_PIECE ? left : FETCH_PIECE);
                if (!piece.raw.n) {
                        made = FETCH_UNREAD;
                        break;
                }
                left -= piece.raw.n;
                piece.last = !left;
                if (g->w->out.s)
                        offload(QUICK, decode_piece, &piece);
                else
                        decode_piece(&piece); /* on a worker thread already */
                decoded(g, piece.plain);
                if (g->put && g->w->out.s && !conn_ok(g->w->out.s->conn))
                        break;
        }
        if (g->d.bad)
                g->w->unknown_cte = true;
        fetch_decoder_finish(&g->d);
        return made;
}

enum fetch_made put_binary(struct fetch_writer *w, const struct fetch_item *item, struct str packed)
{
        struct decoding count = { .w = w }, put = { .w = w, .put = true };
        struct fetch_range range;
        enum fetch_made made;

        if (!locate(w, &item->section, packed, &range))
                return FETCH_DAMAGED;
        if (!range.there)
                return put_nothing(w, item, item->what == FETCH_BINARY_SIZE ? S("0") : S("NIL"));
        made = decode(&count, &range);
        if (made != FETCH_MADE || count.d.bad)
                return made;
        put.n = count.at;
        fetch_partial(&item->section, &put.skip, &put.n);
        if (item->what == FETCH_BINARY_SIZE || !put.n) {
                put_label(w, item->label);
                if (item->what == FETCH_BINARY_SIZE)
                        put_u64(w->out.b, count.at);
                else
                        buf_puts(w->out.b, S("\"\""));
                return FETCH_MADE;
        }
        put_label(w, item->label);
        put_head(w->out.b, put.n, count.nul);
        made = decode(&put, &range);
        return made != FETCH_MADE && w->out.s ? cut_off(w) : made;
}

/* RFC 8970 */
enum fetch_made put_preview(struct fetch_writer *w, const struct fetch_item *item, struct str packed)
{
        struct str start = fetch_read(w->source, 0, FETCH_PREVIEW_MOST);
        struct mime m;
        bool whole;

        if (w->source->error)
                return FETCH_UNREAD;
        mime_init(&m);
        whole = mime_unpack(&m, packed);
        if (whole) {
                arena_reset(&w->scratch);
                put_label(w, item->label);
                put_string(w->out.b, text_preview(&w->scratch, &m, start), w->mode);
        }
        mime_finish(&m);
        return whole ? FETCH_MADE : FETCH_DAMAGED;
}
