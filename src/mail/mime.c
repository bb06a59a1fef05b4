#include "mail/mime_field.h"
#include "mail/header.h"
#include "base/codec.h"
#include "base/mem.h"

/* The scanner goes through the message once, line by line. `open` holds the multiparts around the place it is at, the
 * outermost first; a line that is the boundary of one of them ends all parts inside it. `current` is the innermost
 * part that has begun and not ended. */
enum { BOUNDARY_MAX = 200, PADDING_MAX = 200, ARENA_MAX = 16 * 1024 * 1024, ROOM_KEPT = 64 };

struct open {
        struct str boundary;
        uint32_t part;
        bool closed; /* its last boundary was seen; what follows is its epilogue */
};
struct scanner {
        struct mime *m;
        struct str s;
        size_t at;     /* start of a line */
        uint32_t line; /* line ends before `at` */
        uint32_t current;
        struct open open[MIME_DEPTH_MAX];
        unsigned depth;
};

void mime_init(struct mime *m)
{
        *m = (struct mime){ 0 };
        arena_init(&m->arena, ARENA_MAX);
}

void mime_finish(struct mime *m)
{
        mem_free(m->parts);
        mem_free(m->params);
        mem_free(m->envelopes);
        arena_finish(&m->arena);
        mime_init(m);
}

/* Empty, but for the memory of an ordinary letter. */
void mime_clear(struct mime *m)
{
        if (m->part_room > ROOM_KEPT || m->param_room > ROOM_KEPT || m->envelope_room > ROOM_KEPT)
                mime_finish(m);
        arena_reset(&m->arena);
        m->count = m->param_count = m->envelope_count = 0;
        m->size = 0;
        m->strings = 0;
        m->cut = m->has_8bit = false;
}

void mime_part_defaults(struct mime_part *p)
{
        *p = (struct mime_part){ .parent = MIME_NONE,
                                 .envelope = MIME_NONE,
                                 .type = S("text"),
                                 .subtype = S("plain"),
                                 .encoding = S("7bit") };
        p->disposition = p->id = p->description = p->md5 = p->language = p->location = S("");
}

struct mime_part *mime_add_part(struct mime *m)
{
        struct mime_part *p;

        if (!mime_room((void **)&m->parts, &m->part_room, m->count, MIME_PARTS_MAX, sizeof *m->parts)) {
                m->cut = true;
                return NULL;
        }
        p = &m->parts[m->count++];
        mime_part_defaults(p);
        return p;
}

/* There are never more envelopes than parts. */
struct mime_envelope *mime_add_envelope(struct mime *m, struct mime_part *p)
{
        struct mime_envelope *e;

        if (!mime_room((void **)&m->envelopes, &m->envelope_room, m->envelope_count, MIME_PARTS_MAX,
                       sizeof *m->envelopes))
                mem_die("more envelopes than parts");
        p->envelope = m->envelope_count++;
        e = &m->envelopes[p->envelope];
        *e = (struct mime_envelope){ 0 };
        for (unsigned i = 0; i < MIME_ENVELOPE_FIELDS; i++)
                e->fields[i].text = S("");
        return e;
}

/* After the line at `at`; counts it. */
static void next_line(struct scanner *c)
{
        const char *lf = memchr(c->s.p + c->at, '\n', c->s.n - c->at);

        c->line += lf != NULL;
        c->at = lf ? (size_t)(lf + 1 - c->s.p) : c->s.n;
}

/* Nobody pads a boundary with hundreds of blanks; not to look further keeps time linear. */
static bool only_blanks(struct str s)
{
        s = str_sub(s, 0, PADDING_MAX);
        for (size_t i = 0; i < s.n && s.p[i] != '\n'; i++)
                if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r')
                        return false;
        return true;
}

/* delimiter := "--" boundary; close-delimiter := delimiter "--" -- RFC 2046 §5.1.1. It is enough that the boundary
 * begins the line; but where one boundary begins with another, the line that is exactly one of them is that one's, and
 * of the rest the longest wins. Gives the index in `open`, or depth for none. */
static unsigned boundary_at(const struct scanner *c, bool *close)
{
        struct str line = str_from_at(c->s, c->at), rest;
        unsigned found = c->depth;

        if (!c->depth || line.n < 3 || line.p[0] != '-' || line.p[1] != '-')
                return c->depth;
        line = str_from_at(line, 2);
        for (unsigned i = c->depth; i-- > 0;) {
                const struct open *o = &c->open[i];

                if (o->closed || !str_starts(line, o->boundary))
                        continue;
                rest = str_from_at(line, o->boundary.n);
                if (found == c->depth || o->boundary.n > c->open[found].boundary.n) {
                        found = i;
                        *close = str_starts(rest, S("--"));
                }
                if (only_blanks(rest) || (str_starts(rest, S("--")) && only_blanks(str_from_at(rest, 2)))) {
                        found = i;
                        *close = str_starts(rest, S("--"));
                        break;
                }
        }
        return found;
}

/* Where a boundary follows at once, the line end before it, which is the boundary's, was taken for the header's or
 * the last boundary's. */
static void cut_header(struct mime_part *p, size_t end)
{
        if (p->header <= end)
                p->header_lines--;
        else
                p->header = end;
        p->body = p->end = end;
        p->lines = 0;
}

/* Ends `current` and the parts around it, up to `outer`, which stays; the line end before a boundary is the
 * boundary's. */
static void end_parts(struct scanner *c, uint32_t outer, bool at_boundary)
{
        size_t end = c->at;
        uint32_t line = c->line;

        if (at_boundary && end && c->s.p[end - 1] == '\n') {
                end -= end > 1 && c->s.p[end - 2] == '\r' ? 2 : 1;
                line--;
        }
        for (; c->current != outer; c->current = c->m->parts[c->current].parent) {
                struct mime_part *p = &c->m->parts[c->current];

                if (end < p->body) {
                        cut_header(p, end);
                } else {
                        p->end = end;
                        p->lines = line - p->lines; /* until here: the number of its first line */
                }
        }
}

/* Goes to the end of the header that begins here: after its empty line, or to a boundary or the message's end. */
static void skip_header(struct scanner *c)
{
        while (c->at < c->s.n) {
                const char *p = c->s.p + c->at;
                bool close;

                if (p[0] == '\n' || (p[0] == '\r' && c->at + 1 < c->s.n && p[1] == '\n')) {
                        next_line(c);
                        return;
                }
                if (boundary_at(c, &close) < c->depth)
                        return;
                next_line(c);
        }
}

static bool envelope_field(struct mime *m, struct mime_envelope *e, struct str letter, const struct field *f)
{
        static const struct str names[MIME_ENVELOPE_FIELDS] = {
                [MIME_DATE] = { "date", 4 },
                [MIME_SUBJECT] = { "subject", 7 },
                [MIME_FROM] = { "from", 4 },
                [MIME_SENDER] = { "sender", 6 },
                [MIME_REPLY_TO] = { "reply-to", 8 },
                [MIME_TO] = { "to", 2 },
                [MIME_CC] = { "cc", 2 },
                [MIME_BCC] = { "bcc", 3 },
                [MIME_IN_REPLY_TO] = { "in-reply-to", 11 },
                [MIME_MESSAGE_ID] = { "message-id", 10 },
                [MIME_REFERENCES] = { "references", 10 },
        };
        struct mime_field *out;
        unsigned i = 0;

        while (i < MIME_ENVELOPE_FIELDS && !str_ieq(f->name, names[i]))
                i++;
        if (i == MIME_ENVELOPE_FIELDS || e->fields[i].present)
                return i < MIME_ENVELOPE_FIELDS;
        out = &e->fields[i];
        *out = (struct mime_field){ .at = (uint64_t)(f->value.p - letter.p),
                                    .n = (uint32_t)f->value.n,
                                    .present = true,
                                    .text = S("") };
        if (f->value.n <= MIME_HELD_MAX && f->value.n <= MIME_STRINGS_MAX - m->strings) {
                m->strings += f->value.n;
                out->held = true;
                out->text = f->value;
        }
        return true;
}

static void content_field(struct mime *m, struct mime_part *p, const struct field *f)
{
        struct str name = str_from_at(f->name, 8), value = f->value; /* after "Content-" */

        if (str_ieq(name, S("type")) && !p->has_type) {
                p->has_type = mime_take_type(m, &value, &p->type, &p->subtype);
                if (p->has_type)
                        p->params = mime_take_params(m, value);
                else
                        p->type = S("text"), p->subtype = S("plain");
        } else if (str_ieq(name, S("transfer-encoding"))) {
                if (!mime_take_word(m, &value, &p->encoding))
                        p->encoding = S("7bit");
        } else if (str_ieq(name, S("disposition")) && !p->disposition.n) {
                if (mime_take_word(m, &value, &p->disposition))
                        p->disposition_params = mime_take_params(m, value);
        } else if (str_ieq(name, S("id")) && !p->id.n) {
                p->id = mime_keep(m, value);
        } else if (str_ieq(name, S("description")) && !p->description.n) {
                p->description = mime_keep(m, value);
        } else if (str_ieq(name, S("md5")) && !p->md5.n) {
                p->md5 = mime_keep(m, value);
        } else if (str_ieq(name, S("language")) && !p->language.n) {
                p->language = mime_keep(m, value);
        } else if (str_ieq(name, S("location")) && !p->location.n) {
                p->location = mime_keep(m, value);
        }
}

static void read_fields(struct scanner *c, struct mime_part *p)
{
        struct mime_envelope *e = p->envelope == MIME_NONE ? NULL : &c->m->envelopes[p->envelope];
        struct str text = str_sub(c->s, p->header, p->body - p->header);
        struct header h;
        struct field f;

        if (text.n > MIME_HEADER_MAX) {
                text.n = MIME_HEADER_MAX;
                c->m->cut = true;
        }
        c->m->has_8bit = c->m->has_8bit || !ascii_only(text);
        h = header_of(text);
        while (header_next(&h, &f)) {
                if (str_istarts(f.name, S("content-")))
                        content_field(c->m, p, &f);
                else if (e)
                        envelope_field(c->m, e, c->s, &f);
        }
}

/* Encoded messages and multiparts are against RFC 2046 §5.2.1 and RFC 2045 §6.4; multiparts are mostly not really
 * encoded then, messages are. */
static bool holds_message(const struct mime_part *p)
{
        return str_eq(p->type, S("message")) &&
               (str_eq(p->subtype, S("rfc822")) || str_eq(p->subtype, S("global"))) &&
               !str_eq(p->encoding, S("base64")) && !str_eq(p->encoding, S("quoted-printable"));
}

/* A part begins here: reads its header and says what is inside. Gives whether that begins at once, as a message in a
 * message does. */
static bool begin_part(struct scanner *c, bool in_digest)
{
        struct mime *m = c->m;
        struct mime_part *p = mime_add_part(m),
                         *parent = c->current == MIME_NONE ? NULL : &m->parts[c->current];
        struct str boundary;
        uint32_t line = c->line;

        if (!p)
                return false;
        p->parent = c->current;
        p->depth = parent ? (uint8_t)(parent->depth + 1) : 0;
        p->header = c->at;
        if (in_digest)
                p->type = S("message"), p->subtype = S("rfc822");
        if (!parent || parent->kind == MIME_MESSAGE)
                mime_add_envelope(m, p);
        c->current = m->count - 1;
        skip_header(c);
        p->body = c->at;
        p->header_lines = c->line - line;
        p->lines = c->line;
        read_fields(c, p);
        if (str_eq(p->type, S("multipart")))
                p->kind = MIME_MULTIPART;
        else if (holds_message(p))
                p->kind = MIME_MESSAGE;
        if (p->kind != MIME_LEAF && p->depth + 1 == MIME_DEPTH_MAX) {
                p->kind = MIME_LEAF;
                m->cut = true;
        }
        if (p->kind != MIME_MULTIPART)
                return p->kind == MIME_MESSAGE;
        boundary = mime_param(m, p->params, S("boundary"));
        while (boundary.n && boundary.p[boundary.n - 1] == ' ')
                boundary.n--;
        if (boundary.n && boundary.n <= BOUNDARY_MAX)
                c->open[c->depth++] = (struct open){ .boundary = boundary, .part = c->current };
        else
                p->kind = MIME_LEAF;
        return false;
}

/* Kinds promise listed children; where none came (no boundary was found, the limit was met), the part is a leaf. */
static void settle_kinds(struct mime *m)
{
        for (uint32_t i = 0; i < m->count; i++)
                if (m->parts[i].kind != MIME_LEAF && (i + 1 == m->count || m->parts[i + 1].parent != i))
                        m->parts[i].kind = MIME_LEAF;
}

void mime_parse(struct mime *m, struct str letter)
{
        struct scanner c = { .m = m, .s = letter, .current = MIME_NONE };
        bool begins = true, digest = false, close = false;
        unsigned which;

        mime_clear(m);
        m->size = letter.n;
        if (!letter.p)
                c.s = S("");
        for (;;) {
                while (begins)
                        begins = begin_part(&c, digest), digest = false;
                if (c.at >= c.s.n)
                        break;
                which = boundary_at(&c, &close);
                if (which == c.depth) {
                        next_line(&c);
                        continue;
                }
                end_parts(&c, c.open[which].part, true);
                c.depth = which + 1;
                next_line(&c);
                c.open[which].closed = close;
                digest = !close && str_eq(m->parts[c.open[which].part].subtype, S("digest"));
                begins = !close;
        }
        end_parts(&c, MIME_NONE, false);
        settle_kinds(m);
}
