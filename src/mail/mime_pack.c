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

static struct mime_params take_params(struct unpack *u, struct mime *m)
{
        struct mime_params list = { .first = m->param_count };
        uint64_t n = number(u, MIME_FIELD_PARAMS_MAX);

        for (; n && !u->bad; n--) {
                if (!mime_room((void **)&m->params, &m->param_room, m->param_count, MIME_PARAMS_MAX,
                               sizeof *m->params)) {
                        u->bad = true;
                        break;
                }
                m->params[m->param_count] = (struct mime_param){ .name = word(u, names, COUNT(names)) };
                m->params[m->param_count++].value = string(u);
                list.count++;
        }
        return list;
}

static void take_envelope(struct unpack *u, const struct mime *m, const struct mime_part *p,
                          struct mime_envelope *e)
{
        uint64_t bits = number(u, (1u << MIME_ENVELOPE_FIELDS) - 1), n;

        for (unsigned i = 0; i < MIME_ENVELOPE_FIELDS; i++) {
                struct mime_field *f = &e->fields[i];

                if (!(bits >> i & 1))
                        continue;
                f->present = true;
                f->at = p->header + number(u, m->size - p->header);
                n = number(u, UINT32_MAX);
                f->held = n & 1;
                f->n = (uint32_t)(n >> 1);
                if (f->n > m->size - f->at)
                        u->bad = true;
                if (f->held)
                        f->text = unpack_bytes(u, f->n);
                if (u->bad)
                        f->text = S("");
        }
}

/* Its parent is the last part that is one level up; it must be one that has children, and a message has one. */
static bool place(struct mime *m, struct mime_part *p)
{
        uint32_t i = m->count - 1; /* p itself */

        if (!i)
                return p->depth == 0;
        if (!p->depth || p->depth >= MIME_DEPTH_MAX || p->depth > m->parts[i - 1].depth + 1)
                return false;
        for (p->parent = i - 1; m->parts[p->parent].depth >= p->depth;)
                p->parent = m->parts[p->parent].parent;
        return m->parts[p->parent].kind == MIME_MULTIPART ||
               (m->parts[p->parent].kind == MIME_MESSAGE && p->parent == i - 1);
}

static void take_part(struct unpack *u, struct mime *m, uint64_t last)
{
        struct mime_part *p = mime_add_part(m);
        uint64_t marks = number(u, (HAS_LOCATION << 1) - 1);

        p->kind = marks & MULTIPART ? MIME_MULTIPART : marks & MESSAGE ? MIME_MESSAGE : MIME_LEAF;
        p->has_type = marks & HAS_TYPE;
        p->depth = unpack_u8(u);
        p->header = last + number(u, m->size - last);
        p->body = p->header + number(u, m->size - p->header);
        p->end = p->body + number(u, m->size - p->body);
        p->header_lines = (uint32_t)number(u, UINT32_MAX);
        p->lines = (uint32_t)number(u, UINT32_MAX);
        take_type(u, p);
        p->encoding = word(u, encodings, COUNT(encodings));
        for (unsigned i = 0; i < OPTIONAL; i++)
                if (marks & optional_marks[i])
                        *optional(p, i) = string(u);
        if (marks & HAS_PARAMS)
                p->params = take_params(u, m);
        if (marks & HAS_DISPOSITION_PARAMS)
                p->disposition_params = take_params(u, m);
        if (u->bad || !place(m, p)) {
                u->bad = true;
                return;
        }
        if ((p->parent == MIME_NONE || m->parts[p->parent].kind == MIME_MESSAGE) != !!(marks & HAS_ENVELOPE))
                u->bad = true;
        else if (marks & HAS_ENVELOPE)
                take_envelope(u, m, p, mime_add_envelope(m, p));
}

/* The last parts promise no children that are not there. */
static bool kinds_hold(const struct mime *m)
{
        for (uint32_t i = 0; i < m->count; i++)
                if (m->parts[i].kind != MIME_LEAF && (i + 1 == m->count || m->parts[i + 1].parent != i))
                        return false;
        return true;
}

bool mime_unpack(struct mime *m, struct str packed)
{
        struct unpack u = unpack_of(packed);
        uint8_t version = unpack_u8(&u), marks = unpack_u8(&u);
        uint64_t count;

        mime_clear(m);
        m->size = number(&u, INT64_MAX);
        m->cut = marks & CUT;
        m->has_8bit = marks & HAS_8BIT;
        count = number(&u, MIME_PARTS_MAX);
        while (version == VERSION && !u.bad && m->count < count)
                take_part(&u, m, m->count ? m->parts[m->count - 1].header : 0);
        if (version == VERSION && m->count && unpack_done(&u) && kinds_hold(m))
                return true;
        mime_clear(m);
        return false;
}
