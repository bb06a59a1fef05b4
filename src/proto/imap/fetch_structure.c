#include "proto/imap/fetch.h"

/* body = "(" (body-type-1part / body-type-mpart) ")" -- RFC 9051 §9, written in one walk over the packed structure. What a part says
 * behind its children waits in w->open. The grammar wants children of a multipart and a message inside message/rfc822: where the
 * structure has none (no boundary was found, a limit was met, the message is encoded), the part is shown as something plain. */

static void put_optional(struct fetch_writer *w, struct str v)
{
        buf_puts(w->out.b, S(" "));
        if (v.n)
                put_string(w->out.b, v, w->mode);
        else
                buf_puts(w->out.b, S("NIL"));
}

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil */
static void put_params(struct fetch_writer *w, struct str packed)
{
        const char *before = "(";
        struct mime_param p;

        if (!packed.n) {
                buf_puts(w->out.b, S("NIL"));
                return;
        }
        while (mime_walk_param(&packed, &p)) {
                buf_put(w->out.b, before, 1);
                put_string(w->out.b, p.name, w->mode);
                buf_puts(w->out.b, S(" "));
                put_string(w->out.b, p.value, w->mode);
                before = " ";
        }
        buf_puts(w->out.b, S(")"));
}

/* body-fld-lang = nstring / "(" string *(SP string) ")" */
static void put_language(struct fetch_writer *w, struct str v)
{
        struct str rest = v, tag;
        unsigned n = 0;

        while (rest.n) {
                str_cut(&rest, ',', &tag);
                n += str_trim(tag).n > 0;
        }
        if (n < 2) {
                put_optional(w, v);
                return;
        }
        buf_puts(w->out.b, S(" "));
        for (const char *before = "("; v.n;) {
                str_cut(&v, ',', &tag);
                tag = str_trim(tag);
                if (!tag.n)
                        continue;
                buf_put(w->out.b, before, 1);
                put_string(w->out.b, tag, w->mode);
                before = " ";
        }
        buf_puts(w->out.b, S(")"));
}

/* [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]] */
static void put_extension(struct fetch_writer *w, const struct mime_part *p, struct str disposition_params)
{
        if (p->disposition.n) {
                buf_puts(w->out.b, S(" ("));
                put_string(w->out.b, p->disposition, w->mode);
                buf_puts(w->out.b, S(" "));
                put_params(w, disposition_params);
                buf_puts(w->out.b, S(")"));
        } else {
                buf_puts(w->out.b, S(" NIL"));
        }
        put_language(w, p->language);
        put_optional(w, p->location);
}

/* media-basic SP body-fields; the type's names as they are shown */
static void put_fields(struct fetch_writer *w, struct str type, struct str subtype, struct str params)
{
        const struct mime_part *p = &w->walk.part;
        struct buf *b = w->out.b;

        buf_puts(b, S("("));
        put_string(b, type, w->mode);
        buf_puts(b, S(" "));
        put_string(b, subtype, w->mode);
        buf_puts(b, S(" "));
        if (!p->has_type && !params.n && str_eq(type, S("text"))) /* RFC 2045 §5.2 */
                buf_puts(b, S("(\"charset\" \"us-ascii\")"));
        else
                put_params(w, params);
        put_optional(w, p->id);
        put_optional(w, p->description);
        put_optional(w, p->encoding.n ? p->encoding : S("7bit"));
        buf_puts(b, S(" "));
        put_u64(b, p->end - p->body);
}

static bool is_message(const struct mime_part *p)
{
        return str_eq(p->type, S("message")) &&
               (str_eq(p->subtype, S("rfc822")) || str_eq(p->subtype, S("global")));
}

static void put_leaf(struct fetch_writer *w, bool extended)
{
        const struct mime_part *p = &w->walk.part;
        bool text = str_eq(p->type, S("text"));

        if (str_eq(p->type, S("multipart"))) {
                text = true;
                put_fields(w, S("text"), S("plain"), S(""));
        } else if (is_message(p)) {
                put_fields(w, S("application"), S("octet-stream"), w->walk.params);
        } else {
                put_fields(w, p->type, p->subtype, w->walk.params);
        }
        if (text) {
                buf_puts(w->out.b, S(" "));
                put_u64(w->out.b, p->lines);
        }
        if (extended) {
                put_optional(w, p->md5);
                put_extension(w, p, w->walk.disposition_params);
        }
        buf_puts(w->out.b, S(")"));
}

/* What stands behind the children. */
static void close_part(struct fetch_writer *w, const struct fetch_open *o, bool extended)
{
        struct buf *b = w->out.b;

        buf_puts(b, S(" "));
        if (o->part.kind == MIME_MULTIPART) {
                put_string(b, o->part.subtype, w->mode);
                if (extended) {
                        buf_puts(b, S(" "));
                        put_params(w, o->params);
                }
        } else {
                put_u64(b, o->part.lines);
                if (extended)
                        put_optional(w, o->part.md5);
        }
        if (extended)
                put_extension(w, &o->part, o->disposition_params);
        buf_puts(b, S(")"));
}

enum fetch_made put_structure(struct fetch_writer *w, struct str packed, bool extended)
{
        unsigned depth = 0; /* parts that are open */
        enum fetch_made made;

        mime_walk_begin(&w->walk, packed);
        while (mime_walk_next(&w->walk)) {
                const struct mime_part *p = &w->walk.part;

                while (depth > p->depth)
                        close_part(w, &w->open[--depth], extended);
                if (p->kind == MIME_MESSAGE && !is_message(p))
                        return FETCH_DAMAGED;
                if (depth && w->open[depth - 1].part.kind == MIME_MESSAGE) {
                        buf_puts(w->out.b, S(" "));
                        made = put_envelope(w, &w->walk.envelope);
                        if (made != FETCH_MADE)
                                return made;
                        buf_puts(w->out.b, S(" "));
                }
                if (p->kind == MIME_LEAF) {
                        put_leaf(w, extended);
                } else {
                        if (p->kind == MIME_MULTIPART)
                                buf_puts(w->out.b, S("("));
                        else
                                put_fields(w, p->type, p->subtype, w->walk.params);
                        w->open[depth++] =
                            (struct fetch_open){ *p, w->walk.params, w->walk.disposition_params };
                }
                fetch_drain(&w->out);
        }
        if (w->walk.bad)
                return FETCH_DAMAGED;
        while (depth)
                close_part(w, &w->open[--depth], extended);
        return FETCH_MADE;
}
