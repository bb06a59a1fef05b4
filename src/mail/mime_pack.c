#include "mail/mime_field.h"

/* Version 1:
 *
 *      message:  version u8, marks u8 (1 cut, 2 has_8bit), size, number of parts, the parts
 *      part:     marks, depth u8, header - the last part's header, body - header, end - body, header_lines, lines,
 *                type, encoding, then what the marks say: id, description, md5, language, location, disposition,
 *                parameters, parameters of the disposition, envelope
 *      type:     u8 from `types` below; 0: two strings follow
 *      encoding: u8 from `encodings`; 0: a string follows
 *      parameters: number; each a name, as u8 from `names` or 0 and a string, and a string
 *      envelope: bits of the fields present; each field - the part's header, n * 2 + held, and if held n bytes
 *      string:   number of bytes, the bytes
 *
 * Numbers without a size are in groups of 7 bits, the lowest first, the high bit saying that more follow. The tables
 * are part of the format: they may grow at their ends, never change. */
enum { VERSION = 1, CUT = 1, HAS_8BIT = 2 };
enum mark {
        MULTIPART = 1 << 0,
        MESSAGE = 1 << 1,
        HAS_TYPE = 1 << 2,
        HAS_PARAMS = 1 << 3,
        HAS_ENVELOPE = 1 << 4,
        HAS_DISPOSITION = 1 << 5,
        HAS_DISPOSITION_PARAMS = 1 << 6,
        HAS_ID = 1 << 7,
        HAS_DESCRIPTION = 1 << 8,
        HAS_MD5 = 1 << 9,
        HAS_LANGUAGE = 1 << 10,
        HAS_LOCATION = 1 << 11,
};

#define Z(s)                    \
        {                       \
                s, sizeof s - 1 \
        }
static const struct {
        struct str type, subtype;
} types[] = {
        { Z(""), Z("") },
        { Z("text"), Z("plain") },
        { Z("text"), Z("html") },
        { Z("multipart"), Z("mixed") },
        { Z("multipart"), Z("alternative") },
        { Z("multipart"), Z("related") },
        { Z("multipart"), Z("report") },
        { Z("multipart"), Z("signed") },
        { Z("multipart"), Z("digest") },
        { Z("message"), Z("rfc822") },
        { Z("message"), Z("delivery-status") },
        { Z("application"), Z("octet-stream") },
        { Z("application"), Z("pdf") },
        { Z("application"), Z("zip") },
        { Z("image"), Z("jpeg") },
        { Z("image"), Z("png") },
        { Z("image"), Z("gif") },
        { Z("text"), Z("calendar") },
        { Z("application"), Z("pgp-signature") },
        { Z("application"), Z("pkcs7-signature") },
};
static const struct str encodings[] = { Z(""),       Z("7bit"),  Z("8bit"), Z("quoted-printable"),
                                        Z("base64"), Z("binary") };
static const struct str names[] = {
        Z(""),         Z("charset"),     Z("boundary"), Z("name"),      Z("filename"), Z("format"),
        Z("delsp"),    Z("type"),        Z("name*"),    Z("filename*"), Z("size"),     Z("micalg"),
        Z("protocol"), Z("report-type"), Z("start"),    Z("method"),
};
#undef Z
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void put_number(struct buf *out, uint64_t v)
{
        for (; v > 127; v >>= 7)
                buf_u8(out, (uint8_t)(v | 128));
        buf_u8(out, (uint8_t)v);
}

static void put_str(struct buf *out, struct str s)
{
        put_number(out, s.n);
        buf_puts(out, s);
}

static size_t index_of(const struct str *table, size_t n, struct str s)
{
        for (size_t i = 1; i < n; i++)
                if (str_eq(table[i], s))
                        return i;
        return 0;
}

static void put_word(struct buf *out, const struct str *table, size_t n, struct str s)
{
        size_t i = index_of(table, n, s);

        buf_u8(out, (uint8_t)i);
        if (!i)
                put_str(out, s);
}

static void put_type(struct buf *out, const struct mime_part *p)
{
        size_t i = COUNT(types) - 1;

        while (i && !(str_eq(types[i].subtype, p->subtype) && str_eq(types[i].type, p->type)))
                i--;
        buf_u8(out, (uint8_t)i);
        if (!i) {
                put_str(out, p->type);
                put_str(out, p->subtype);
        }
}

static void put_params(struct buf *out, const struct mime *m, struct mime_params list)
{
        put_number(out, list.count);
        for (uint32_t i = list.first; i < list.first + list.count; i++) {
                put_word(out, names, COUNT(names), m->params[i].name);
                put_str(out, m->params[i].value);
        }
}

static void put_envelope(struct buf *out, const struct mime_part *p, const struct mime_envelope *e)
{
        unsigned bits = 0;

        for (unsigned i = 0; i < MIME_ENVELOPE_FIELDS; i++)
                bits |= (unsigned)e->fields[i].present << i;
        put_number(out, bits);
        for (unsigned i = 0; i < MIME_ENVELOPE_FIELDS; i++) {
                const struct mime_field *f = &e->fields[i];

                if (!f->present)
                        continue;
                put_number(out, f->at - p->header);
                put_number(out, (uint64_t)f->n << 1 | f->held);
                if (f->held)
                        buf_puts(out, f->text);
        }
}

/* The strings that may be absent, in the order of the format. */
#define OPTIONAL 6
static const unsigned optional_marks[OPTIONAL] = { HAS_ID,       HAS_DESCRIPTION, HAS_MD5,
                                                   HAS_LANGUAGE, HAS_LOCATION,    HAS_DISPOSITION };
static struct str *optional(struct mime_part *p, unsigned i)
{
        struct str *fields[OPTIONAL] = { &p->id,       &p->description, &p->md5,
                                         &p->language, &p->location,    &p->disposition };

        return fields[i];
}

static unsigned marks_of(struct mime_part *p)
{
        unsigned marks = p->kind == MIME_MULTIPART ? MULTIPART : p->kind == MIME_MESSAGE ? MESSAGE : 0;

        if (p->has_type)
                marks |= HAS_TYPE;
        if (p->params.count)
                marks |= HAS_PARAMS;
        if (p->disposition_params.count)
                marks |= HAS_DISPOSITION_PARAMS;
        if (p->envelope != MIME_NONE)
                marks |= HAS_ENVELOPE;
        for (unsigned i = 0; i < OPTIONAL; i++)
                if (optional(p, i)->n)
                        marks |= optional_marks[i];
        return marks;
}

static void put_part(struct buf *out, const struct mime *m, struct mime_part p, uint64_t last)
{
        unsigned marks = marks_of(&p);

        put_number(out, marks);
        buf_u8(out, p.depth);
        put_number(out, p.header - last);
        put_number(out, p.body - p.header);
        put_number(out, p.end - p.body);
        put_number(out, p.header_lines);
        put_number(out, p.lines);
        put_type(out, &p);
        put_word(out, encodings, COUNT(encodings), p.encoding);
        for (unsigned i = 0; i < OPTIONAL; i++)
                if (marks & optional_marks[i])
                        put_str(out, *optional(&p, i));
        if (marks & HAS_PARAMS)
                put_params(out, m, p.params);
        if (marks & HAS_DISPOSITION_PARAMS)
                put_params(out, m, p.disposition_params);
        if (marks & HAS_ENVELOPE)
                put_envelope(out, &p, &m->envelopes[p.envelope]);
}

bool mime_pack(const struct mime *m, struct buf *out)
{
        uint64_t last = 0;

        buf_u8(out, VERSION);
        buf_u8(out, (uint8_t)((m->cut ? CUT : 0) | (m->has_8bit ? HAS_8BIT : 0)));
        put_number(out, m->size);
        put_number(out, m->count);
        for (uint32_t i = 0; i < m->count; i++) {
                put_part(out, m, m->parts[i], last);
                last = m->parts[i].header;
        }
        return !out->full;
}

/* A number above max makes the reader bad and gives 0. */
static uint64_t number(struct unpack *u, uint64_t max)
{
        uint64_t v = 0;
        uint8_t byte;

        for (unsigned shift = 0; shift < 63; shift += 7) {
                byte = unpack_u8(u);
                v |= (uint64_t)(byte & 127) << shift;
                if (byte < 128)
                        break;
                if (shift == 56)
                        u->bad = true;
        }
        if (v > max)
                u->bad = true;
        return u->bad ? 0 : v;
}

static struct str string(struct unpack *u)
{
        struct str s = unpack_bytes(u, number(u, u->s.n));

        return u->bad ? S("") : s;
}

static struct str word(struct unpack *u, const struct str *table, size_t n)
{
        uint8_t i = unpack_u8(u);

        if (i >= n)
                u->bad = true;
        return u->bad ? S("") : i ? table[i] : string(u);
}

static void take_type(struct unpack *u, struct mime_part *p)
{
        uint8_t i = unpack_u8(u);

        if (i >= COUNT(types)) {
                u->bad = true;
        } else if (i) {
                p->type = types[i].type;
                p->subtype = types[i].subtype;
        } else {
                p->type = string(u);
                p->subtype = string(u);
        }
}

/* *(name value), read over once to see that it is whole; gives its bytes. */
static struct str take_params(struct unpack *u, struct mime_walk *w, uint32_t *count)
{
        uint64_t n = number(u, MIME_FIELD_PARAMS_MAX);
        size_t from = u->at;

        w->params_seen += (uint32_t)n;
        if (w->params_seen > MIME_PARAMS_MAX)
                u->bad = true;
        *count = (uint32_t)n;
        for (; n && !u->bad; n--) {
                word(u, names, COUNT(names));
                string(u);
        }
        return u->bad ? S("") : str_sub(u->s, from, u->at - from);
}

bool mime_walk_param(struct str *packed, struct mime_param *out)
{
        struct unpack u = unpack_of(*packed);

        if (!packed->n)
                return false;
        out->name = word(&u, names, COUNT(names));
        out->value = string(&u);
        *packed = str_from_at(*packed, u.at);
        return !u.bad;
}

static void take_envelope(struct unpack *u, struct mime_walk *w)
{
        uint64_t bits = number(u, (1u << MIME_ENVELOPE_FIELDS) - 1), n;

        for (unsigned i = 0; i < MIME_ENVELOPE_FIELDS; i++) {
                struct mime_field *f = &w->envelope.fields[i];

                f->present = bits >> i & 1;
                if (!f->present)
                        continue;
                f->at = w->part.header + number(u, w->size - w->part.header);
                n = number(u, UINT32_MAX);
                f->held = n & 1;
                f->n = (uint32_t)(n >> 1);
                if (f->n > w->size - f->at)
                        u->bad = true;
                f->text = f->held ? unpack_bytes(u, f->n) : S("");
                if (u->bad)
                        f->text = S("");
        }
}

/* Its parent is the last part that is one level up; it must be one that has children, and a message has one. Whoever promised
 * children and is followed by none is wrong. */
static bool place(struct mime_walk *w, struct mime_part *p)
{
        uint32_t i = w->index;

        if (!i) {
                if (p->depth)
                        return false;
        } else {
                if (!p->depth || p->depth >= MIME_DEPTH_MAX || p->depth > w->depth + 1 ||
                    (w->kinds[w->depth] != MIME_LEAF && p->depth != w->depth + 1))
                        return false;
                p->parent = w->at[p->depth - 1];
                if (w->kinds[p->depth - 1] != MIME_MULTIPART &&
                    (w->kinds[p->depth - 1] != MIME_MESSAGE || p->parent != i - 1))
                        return false;
        }
        w->depth = p->depth;
        w->at[p->depth] = i;
        w->kinds[p->depth] = (uint8_t)p->kind;
        return true;
}

bool mime_walk_begin(struct mime_walk *w, struct str packed)
{
        struct unpack u = unpack_of(packed);
        uint8_t version = unpack_u8(&u), marks = unpack_u8(&u);

        w->size = number(&u, INT64_MAX);
        w->cut = marks & CUT;
        w->has_8bit = marks & HAS_8BIT;
        w->count = (uint32_t)number(&u, MIME_PARTS_MAX);
        w->index = w->params_seen = w->depth = 0;
        w->part.header = 0;
        w->u = u;
        w->bad = u.bad || version != VERSION || !w->count;
        return !w->bad;
}

static void take_part(struct unpack *u, struct mime_walk *w)
{
        uint64_t last = w->part.header, marks = number(u, (HAS_LOCATION << 1) - 1);
        struct mime_part *p = &w->part;
        bool in_message;

        mime_part_defaults(p);
        p->kind = marks & MULTIPART ? MIME_MULTIPART : marks & MESSAGE ? MIME_MESSAGE : MIME_LEAF;
        p->has_type = marks & HAS_TYPE;
        p->depth = unpack_u8(u);
        p->header = last + number(u, w->size - last);
        p->body = p->header + number(u, w->size - p->header);
        p->end = p->body + number(u, w->size - p->body);
        p->header_lines = (uint32_t)number(u, UINT32_MAX);
        p->lines = (uint32_t)number(u, UINT32_MAX);
        take_type(u, p);
        p->encoding = word(u, encodings, COUNT(encodings));
        if (marks & (HAS_ID | HAS_DESCRIPTION | HAS_MD5 | HAS_LANGUAGE | HAS_LOCATION | HAS_DISPOSITION))
                for (unsigned i = 0; i < OPTIONAL; i++)
                        if (marks & optional_marks[i])
                                *optional(p, i) = string(u);
        w->params = w->disposition_params = S("");
        if (marks & HAS_PARAMS)
                w->params = take_params(u, w, &p->params.count);
        if (marks & HAS_DISPOSITION_PARAMS)
                w->disposition_params = take_params(u, w, &p->disposition_params.count);
        if (u->bad || !place(w, p)) {
                u->bad = true;
                return;
        }
        in_message = !p->depth || w->kinds[p->depth - 1] == MIME_MESSAGE;
        w->has_envelope = marks & HAS_ENVELOPE;
        if (in_message != w->has_envelope)
                u->bad = true;
        else if (in_message)
                take_envelope(u, w);
}

bool mime_walk_next(struct mime_walk *w)
{
        if (w->bad)
                return false;
        if (w->index == w->count) {
                w->bad = !unpack_done(&w->u) || w->kinds[w->depth] != MIME_LEAF;
                return false;
        }
        take_part(&w->u, w);
        w->index++;
        w->bad = w->u.bad;
        return !w->bad;
}

static bool unpack_params(struct mime *m, struct str packed, struct mime_params *list)
{
        struct mime_param param;

        list->first = m->param_count;
        while (mime_walk_param(&packed, &param)) {
                if (!mime_room((void **)&m->params, &m->param_room, m->param_count, MIME_PARAMS_MAX,
                               sizeof *m->params))
                        return false;
                m->params[m->param_count++] = param;
        }
        return true;
}

static bool unpack_part(struct mime *m, const struct mime_walk *w)
{
        struct mime_part *p = mime_add_part(m);
        struct mime_envelope *e;

        *p = w->part;
        if (w->has_envelope) {
                e = mime_add_envelope(m, p);
                for (unsigned i = 0; i < MIME_ENVELOPE_FIELDS; i++)
                        if (w->envelope.fields[i].present)
                                e->fields[i] = w->envelope.fields[i];
        }
        return (!w->params.n || unpack_params(m, w->params, &p->params)) &&
               (!w->disposition_params.n || unpack_params(m, w->disposition_params, &p->disposition_params));
}

bool mime_unpack(struct mime *m, struct str packed)
{
        struct mime_walk w;
        bool whole = mime_walk_begin(&w, packed);

        mime_clear(m);
        m->size = w.size;
        m->cut = w.cut;
        m->has_8bit = w.has_8bit;
        while (whole && mime_walk_next(&w))
                whole = unpack_part(m, &w);
        if (whole && !w.bad)
                return true;
        mime_clear(m);
        return false;
}
