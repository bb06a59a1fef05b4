#include "mail/downcode.h"
#include "base/codec.h"
#include "mail/header.h"
#include "mail/mime.h"
#include <errno.h>

enum { LINE_MOST = 998, QP_LINE = 75, BASE64_BYTES = 57 };

static bool seven_bits(struct str text)
{
        struct str line;

        if (!ascii_only(text))
                return false;
        while (text.n) {
                str_cut(&text, '\n', &line);
                if (line.n > LINE_MOST + 1)
                        return false;
        }
        return true;
}

static struct str part_of(struct str letter, uint64_t from, uint64_t to)
{
        return str_sub(letter, (size_t)from, (size_t)(to - from));
}

static bool coded(const struct mime_part *p)
{
        return str_eq(p->encoding, S("base64")) || str_eq(p->encoding, S("quoted-printable"));
}

static bool inside_signed(const struct mime *m, uint32_t i)
{
        for (; i != MIME_NONE; i = m->parts[i].parent)
                if (str_eq(m->parts[i].type, S("multipart")) &&
                    (str_eq(m->parts[i].subtype, S("signed")) || str_eq(m->parts[i].subtype, S("encrypted"))))
                        return true;
        return false;
}

/* What stands before, between and behind parts is for nobody to read (RFC 2046 §5.1.1). */
static enum downcode_can look_between(const struct mime *m, uint32_t i, struct str between)
{
        if (seven_bits(between))
                return DOWNCODE_NOT_NEEDED;
        if (ascii_only(between)) /* a long line */
                return DOWNCODE_BROKEN;
        for (struct str line; between.n;) {
                str_cut(&between, '\n', &line);
                if (line.n > LINE_MOST + 1 || (str_starts(line, S("--")) && !ascii_only(line)))
                        return DOWNCODE_BROKEN; /* no boundary may change */
        }
        return inside_signed(m, i) ? DOWNCODE_SIGNED : DOWNCODE_YES;
}

static enum downcode_can look(const struct mime *m, struct str letter)
{
        enum downcode_can can = DOWNCODE_NOT_NEEDED, between;
        uint64_t at = 0;

        if (m->cut || m->has_8bit)
                return DOWNCODE_BROKEN;
        for (uint32_t i = 0; i <= m->count; i++) {
                const struct mime_part *p = &m->parts[i];

                between = look_between(m, i ? i - 1 : MIME_NONE,
                                       part_of(letter, at, i < m->count ? p->header : letter.n));
                if (between > DOWNCODE_YES)
                        return between;
                if (between == DOWNCODE_YES)
                        can = header_has(letter, S("DKIM-Signature")) ? DOWNCODE_SIGNED : DOWNCODE_YES;
                if (i == m->count || can == DOWNCODE_SIGNED)
                        break;
                at = p->kind == MIME_LEAF ? p->end : p->body;
                if (!ascii_only(part_of(letter, p->header, p->body)))
                        return DOWNCODE_BROKEN;
                if (p->kind != MIME_LEAF || seven_bits(part_of(letter, p->body, p->end)))
                        continue;
                if (inside_signed(m, i) || header_has(letter, S("DKIM-Signature")))
                        return DOWNCODE_SIGNED;
                if (coded(p) || str_eq(p->type, S("multipart")) || str_eq(p->type, S("message")))
                        return DOWNCODE_BROKEN; /* RFC 2045 §6.4: those may not be coded */
                can = DOWNCODE_YES;
        }
        return can;
}

/* ---- the encodings ---- */

/* RFC 2045 §6.7: a soft line break before a line grows over 76; what ends a line with white space is coded. */
static void put_quoted(struct buf *out, struct str text)
{
        static const char hex[] = "0123456789ABCDEF";
        size_t column = 0;

        for (size_t i = 0; i < text.n; i++) {
                unsigned char c = (unsigned char)text.p[i];
                bool line_end = c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n';
                bool last =
                    i + 1 == text.n || (i + 2 < text.n && text.p[i + 1] == '\r' && text.p[i + 2] == '\n');
                bool plain = (c > 32 && c < 127 && c != '=') || ((c == ' ' || c == '\t') && !last);

                if (line_end) {
                        buf_puts(out, S("\r\n"));
                        column = 0;
                        i++;
                        continue;
                }
                if (column + (plain ? 1 : 3) > QP_LINE) {
                        buf_puts(out, S("=\r\n"));
                        column = 0;
                }
                /* a dot or "From " at the start of a line has a hard life elsewhere; and no line may become a boundary */
                if (!column && (c == '.' || c == 'F' || c == '-'))
                        plain = false;
                if (plain) {
                        buf_u8(out, c);
                } else {
                        buf_u8(out, '=');
                        buf_u8(out, (uint8_t)hex[c >> 4]);
                        buf_u8(out, (uint8_t)hex[c & 15]);
                }
                column += plain ? 1 : 3;
        }
}

static void put_base64(struct buf *out, struct str bytes)
{
        for (size_t at = 0; at < bytes.n; at += BASE64_BYTES) {
                base64_put(out, str_sub(bytes, at, BASE64_BYTES));
                if (at + BASE64_BYTES < bytes.n)
                        buf_puts(out, S("\r\n"));
        }
}

/* The header with another Content-Transfer-Encoding. */
static void put_header(struct buf *out, struct str header, const char *encoding, const char *more)
{
        struct header h = header_of(header);
        struct field f;
        size_t from = 0;

        while (header_next(&h, &f)) {
                if (!str_ieq(f.name, S("Content-Transfer-Encoding")))
                        continue;
                buf_puts(out, str_sub(header, from, f.at - from));
                from = f.end;
        }
        /* up to the empty line, if there is one */
        size_t end = str_ends(header, S("\r\n\r\n")) ? header.n - 2
                     : str_eq(header, S("\r\n"))     ? 0
                                                     : header.n;

        if (end > from)
                buf_puts(out, str_sub(header, from, end - from));
        buf_printf(out, "%sContent-Transfer-Encoding: %s\r\n\r\n", more, encoding);
}

static const char *missing_fields(const struct mime_part *p, struct str letter, struct str body)
{
        if (p->parent != MIME_NONE || p->has_type)
                return p->parent == MIME_NONE && !header_has(letter, S("MIME-Version"))
                           ? "MIME-Version: 1.0\r\n"
                           : "";
        return utf8_valid(body)
                   ? "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   : "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"; /* RFC 1428 */
}

static void put_leaf(struct buf *out, struct str letter, const struct mime_part *p)
{
        struct str header = part_of(letter, p->header, p->body), body = part_of(letter, p->body, p->end);
        bool text = str_eq(p->type, S("text"));

        put_header(out, header, text ? "quoted-printable" : "base64", missing_fields(p, letter, body));
        if (text)
                put_quoted(out, body);
        else
                put_base64(out, body);
}

static void put_between(struct buf *out, struct str text)
{
        for (size_t i = 0; i < text.n; i++)
                buf_u8(out, (uint8_t)text.p[i] > 127 ? '?' : (uint8_t)text.p[i]);
}

static void code(const struct mime *m, struct str letter, struct buf *out)
{
        uint64_t at = 0;

        for (uint32_t i = 0; i < m->count; i++) {
                const struct mime_part *p = &m->parts[i];

                put_between(out, part_of(letter, at, p->header));
                at = p->header;
                if (p->kind != MIME_LEAF && !str_eq(p->encoding, S("7bit"))) {
                        put_header(out, part_of(letter, p->header, p->body), "7bit", "");
                        at = p->body;
                } else if (p->kind == MIME_LEAF && !seven_bits(part_of(letter, p->body, p->end))) {
                        put_leaf(out, letter, p);
                        at = p->end;
                }
        }
        put_between(out, part_of(letter, at, letter.n));
}

enum downcode_can downcode_look(struct str letter)
{
        enum downcode_can can;
        struct mime m;

        if (seven_bits(letter))
                return DOWNCODE_NOT_NEEDED;
        mime_init(&m);
        mime_parse(&m, letter);
        can = look(&m, letter);
        mime_finish(&m);
        return can;
}

int downcode(struct str letter, struct buf *out)
{
        struct mime m;

        mime_init(&m);
        mime_parse(&m, letter);
        code(&m, letter, out);
        mime_finish(&m);
        return out->full ? -EFBIG : 0;
}
