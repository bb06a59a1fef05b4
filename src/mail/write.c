#include "mail/write.h"
#include "base/codec.h"
#include "mail/address.h"
#include "mail/charset.h"

enum { LINE = 76, WORD = 75, FLOWED = 72, LINE_LIMIT = 998 };

static bool plain_ascii(struct str s)
{
        return ascii_only(s) && !str_has_control(s);
}

/* ---- fields ---- */

/* Where the line began on which `out` ends. */
static size_t column(const struct buf *out, size_t from)
{
        size_t nl = str_rfind(str_from_at(buf_str(out), from), '\n');

        return out->n - from - (nl == STR_NONE ? 0 : nl + 1);
}

static void fold(struct buf *out)
{
        buf_puts(out, S("\r\n "));
}

static size_t char_size(struct str s)
{
        size_t n = 1;

        while (n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
                n++;
        return n;
}

static bool q_safe(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '!' ||
               c == '*' || c == '+' || c == '-' || c == '/';
}

static size_t q_size(struct str s)
{
        size_t n = 0;

        for (size_t i = 0; i < s.n; i++)
                n += q_safe((unsigned char)s.p[i]) || s.p[i] == ' ' ? 1 : 3;
        return n;
}

static void q_put(struct buf *out, struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] == ' ')
                        buf_puts(out, S("_"));
                else if (q_safe((unsigned char)s.p[i]))
                        buf_put(out, s.p + i, 1);
                else
                        buf_printf(out, "=%02X", (unsigned char)s.p[i]);
}

/* Encoded words, each of whole characters and at most 75 long (RFC 2047 §2, §5), B or Q, whatever is shorter. */
static void put_words(struct buf *out, size_t from, struct str s)
{
        const size_t around = sizeof "=?UTF-8?B?"
                                     "?=" -
                              1;
        bool b = q_size(s) > (s.n + 2) / 3 * 4;

        while (s.n) {
                size_t n = 0, size = 0, at = column(out, from);
                size_t room = (at + around + 8 > LINE ? LINE - 1 : LINE - at) - around;

                if (room > WORD - around)
                        room = WORD - around;
                if (at + around + 8 > LINE)
                        fold(out);
                while (n < s.n) {
                        size_t one = char_size(str_from_at(s, n));

                        size = b ? (n + one + 2) / 3 * 4 : size + q_size(str_sub(s, n, one));
                        if (size > room && n)
                                break;
                        n += one;
                }
                buf_puts(out, b ? S("=?UTF-8?B?") : S("=?UTF-8?Q?"));
                if (b)
                        base64_put(out, str_sub(s, 0, n));
                else
                        q_put(out, str_sub(s, 0, n));
                buf_puts(out, S("?="));
                s = str_from_at(s, n);
                if (s.n)
                        fold(out);
        }
}

/* Plain words, folded at blanks. */
static void put_plain(struct buf *out, size_t from, struct str s)
{
        while (s.n) {
                size_t n = str_find(str_from_at(s, 1), ' ');

                n = n == STR_NONE ? s.n : n + 1;
                if (column(out, from) + n > LINE && s.p[0] == ' ' && n > 1)
                        buf_puts(out, S("\r\n")); /* the blank itself goes to the new line */
                buf_puts(out, str_sub(s, 0, n));
                s = str_from_at(s, n);
        }
}

static bool needs_words(struct str s)
{
        size_t run = 0;

        for (size_t i = 0; i < s.n; i++) {
                run = s.p[i] == ' ' ? 0 : run + 1;
                if (run > 900)
                        return true; /* nowhere to fold */
        }
        return !plain_ascii(s) || str_search(s, S("=?")) != STR_NONE;
}

static struct str clean(struct arena *a, struct str utf8)
{
        struct buf auto_buf good = { 0 };

        buf_init(&good, utf8.n * 3 + 1);
        utf8_put(&good, utf8);
        return text_without_controls(a, buf_str(&good));
}

void write_field(struct buf *out, struct str name, struct str utf8)
{
        struct arena auto_arena a;
        size_t from = out->n;

        arena_init(&a, utf8.n * 8 + 4096);
        utf8 = str_trim(clean(&a, utf8));
        buf_puts(out, name);
        buf_puts(out, S(": "));
        if (needs_words(utf8))
                put_words(out, from, utf8);
        else
                put_plain(out, from, utf8);
        buf_puts(out, S("\r\n"));
}

/* ---- addresses ---- */

static bool is_atoms(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (!q_safe((unsigned char)s.p[i]) && s.p[i] != ' ' && s.p[i] != '_' && s.p[i] != '\'')
                        return false;
        return s.n != 0;
}

static void put_name(struct buf *out, size_t from, struct str name)
{
        if (needs_words(name)) {
                put_words(out, from, name);
        } else if (is_atoms(name)) {
                put_plain(out, from, name);
        } else {
                buf_puts(out, S("\""));
                for (size_t i = 0; i < name.n; i++) {
                        if (name.p[i] == '"' || name.p[i] == '\\')
                                buf_puts(out, S("\\"));
                        buf_put(out, name.p + i, 1);
                }
                buf_puts(out, S("\""));
        }
}

static bool put_address(struct buf *out, size_t from, const struct address *who, struct arena *a,
                        struct buf *normal)
{
        struct str name = str_trim(clean(a, who->name)), text, to;
        struct path p;

        if (!address_parse(a, address_write(a, who->local, who->domain), &p) || !p.domain.n ||
            !address_normal(a, &p, &to))
                return false;
        text = p.utf8 && !ascii_only(p.local) ? p.text : to;
        if (column(out, from) + name.n + text.n + 4 > LINE && column(out, from) > 10)
                fold(out);
        if (name.n) {
                put_name(out, from, name);
                buf_printf(out, " <" PRS ">", STR(text));
        } else {
                buf_puts(out, text);
        }
        if (normal)
                buf_printf(normal, PRS "\n", STR(to));
        return true;
}

bool write_addresses(struct buf *out, struct str name, struct str utf8, struct arena *a, struct buf *normal,
                     struct buf *why)
{
        struct addresses list = addresses_of(utf8);
        size_t from = out->n;
        struct address who;
        unsigned n = 0;
        bool comma = false;

        while (address_next(&list, a, &who)) {
                if (who.kind == ADDRESS_GROUP_END) {
                        buf_puts(out, S(";"));
                        comma = true;
                        continue;
                }
                if (!n++)
                        buf_printf(out, PRS ": ", STR(name));
                else if (comma)
                        buf_puts(out, S(", "));
                comma = who.kind != ADDRESS_GROUP;
                if (who.kind == ADDRESS_GROUP) {
                        put_name(out, from, str_trim(clean(a, who.name)));
                        buf_puts(out, S(": "));
                } else if (who.kind == ADDRESS_BAD || !put_address(out, from, &who, a, normal)) {
                        struct str bad = who.kind == ADDRESS_BAD && who.name.n
                                             ? who.name
                                             : address_write(a, who.local, who.domain);

                        buf_printf(why, PRS ": " PRS " is no address", STR(name), STR(str_sub(bad, 0, 200)));
                        return false;
                }
        }
        if (n)
                buf_puts(out, S("\r\n"));
        return true;
}

/* ---- parameters ---- */

static bool attribute_char(unsigned char c)
{
        return c > ' ' && c < 127 && !strchr("*'%()<>@,;:\\\"/[]?=", c);
}

static void put_extended(struct buf *out, struct str name, struct str s)
{
        for (unsigned piece = 0; s.n || !piece; piece++) {
                size_t used = name.n + 8;

                buf_printf(out, ";\r\n " PRS "*%u*=%s", STR(name), piece, piece ? "" : "UTF-8''");
                used += piece ? 0 : 7;
                while (s.n) {
                        size_t one = char_size(s), size = 0;

                        for (size_t i = 0; i < one; i++)
                                size += attribute_char((unsigned char)s.p[i]) ? 1 : 3;
                        if (used + size > LINE)
                                break;
                        used += size;
                        for (size_t i = 0; i < one; i++)
                                if (attribute_char((unsigned char)s.p[i]))
                                        buf_put(out, s.p + i, 1);
                                else
                                        buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
                        s = str_from_at(s, one);
                }
        }
}

void write_parameter(struct buf *out, struct str name, struct str utf8)
{
        struct arena auto_arena a;
        bool token = utf8.n != 0;

        arena_init(&a, utf8.n * 8 + 4096);
        utf8 = clean(&a, utf8);
        for (size_t i = 0; i < utf8.n; i++)
                token &= attribute_char((unsigned char)utf8.p[i]);
        if (!plain_ascii(utf8) || utf8.n > LINE - name.n - 6) {
                put_extended(out, name, utf8);
                return;
        }
        buf_printf(out, ";\r\n " PRS "=%s", STR(name), token ? "" : "\"");
        for (size_t i = 0; i < utf8.n; i++) {
                if (utf8.p[i] == '"' || utf8.p[i] == '\\')
                        buf_puts(out, S("\\"));
                buf_put(out, utf8.p + i, 1);
        }
        buf_puts(out, token ? S("") : S("\""));
}

/* ---- bodies ---- */

void write_quoted(struct buf *out, struct str text)
{
        size_t col = 0;

        for (size_t i = 0; i < text.n; i++) {
                unsigned char c = (unsigned char)text.p[i];
                bool line_end = c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n';
                bool at_end = i + 1 == text.n || str_starts(str_from_at(text, i + 1), S("\r\n"));
                bool plain = (c > ' ' && c < 127 && c != '=' && !(c == '.' && !col)) ||
                             ((c == ' ' || c == '\t') && !at_end);
                size_t size = plain ? 1 : 3;

                if (line_end) {
                        buf_puts(out, S("\r\n"));
                        i++;
                        col = 0;
                        continue;
                }
                if (col + size > LINE - (at_end ? 0 : 1)) {
                        buf_puts(out, S("=\r\n"));
                        col = 0;
                }
                if (plain)
                        buf_put(out, text.p + i, 1);
                else
                        buf_printf(out, "=%02X", c);
                col += size;
        }
}

void write_base64(struct buf *out, struct str bytes)
{
        while (bytes.n) {
                base64_put(out, str_sub(bytes, 0, 57));
                buf_puts(out, S("\r\n"));
                bytes = str_from_at(bytes, 57);
        }
}

/* Columns, roughly: characters. It looks no further than it must: a line may be as long as a letter. */
static bool is_wider(struct str s, size_t columns)
{
        size_t n = 0;

        for (size_t i = 0; i < s.n && n <= columns; i++)
                n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
        return n > columns;
}

/* Where a line is broken: behind the last blank before column 72, else behind the first one at all; 0: nowhere. A line that cannot be broken and is
 * longer than any may be is left to the transfer encoding. */
static size_t break_at(struct str s)
{
        size_t last = 0, col = 0;

        for (size_t i = 0; i < s.n; i++) {
                col += ((unsigned char)s.p[i] & 0xC0) != 0x80;
                if (s.p[i] != ' ' || i + 1 == s.n)
                        continue;
                if (col > FLOWED && last)
                        return last;
                last = i + 1;
                if (col > FLOWED)
                        return last;
        }
        return last;
}

static void flowed_line(struct buf *out, struct str marks, struct str line)
{
        for (bool first = true; first || line.n; first = false) {
                size_t n = is_wider(line, marks.n > LINE + 2 ? 0 : LINE + 2 - marks.n) ? break_at(line) : 0;
                struct str piece = n ? str_sub(line, 0, n) : line;

                buf_puts(out, marks);
                if (piece.n &&
                    (piece.p[0] == ' ' || marks.n || str_starts(piece, S("From ")) || piece.p[0] == '>'))
                        buf_puts(out, S(" "));
                buf_puts(out, piece);
                buf_puts(out, S("\r\n"));
                line = str_from_at(line, piece.n);
        }
}

void write_flowed(struct buf *out, struct str text)
{
        struct str line;

        while (text.n) {
                size_t marks = 0, n;

                str_cut(&text, '\n', &line);
                if (line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                if (!str_eq(line, S("-- ")))
                        while (line.n && line.p[line.n - 1] == ' ')
                                line.n--; /* a blank at the end would say that the line goes on */
                /* "> > text" as people's programs write it: the marks stand together here (RFC 3676 §4.5) */
                struct buf auto_buf quote = { 0 };

                buf_init(&quote, 256);
                for (n = 0; n < line.n && marks < 99; n++)
                        if (line.p[n] == '>') {
                                marks = n + 1;
                                buf_puts(&quote, S(">"));
                        } else if (line.p[n] != ' ' || !marks) {
                                break;
                        }
                line = str_from_at(line, marks);
                if (marks && line.n && line.p[0] == ' ')
                        line = str_from_at(line, 1);
                flowed_line(out, buf_str(&quote), line);
        }
}

unsigned write_needs(struct str text)
{
        unsigned needs = 0;
        size_t line = 0;

        for (size_t i = 0; i < text.n; i++) {
                unsigned char c = (unsigned char)text.p[i];

                if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
                        i++;
                        line = 0;
                        continue;
                }
                if (!c || c == '\r' || c == '\n' || ++line > LINE_LIMIT)
                        return 2;
                if (c > 127)
                        needs = 1;
        }
        return needs;
}
