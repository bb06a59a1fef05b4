#include "proto/transcript.h"
#include "base/codec.h"

#include <errno.h>
#include <string.h>

enum { CONNECTIONS_MOST = 99 };

/* --- reading ------------------------------------------------------------------------------------------------- */

/* "S:", "C:", "D:", "S2:": who, on which connection, and what stands behind; false: something else. */
static bool spoken(struct str line, struct transcript_line *out)
{
        struct str text = line, who;
        uint64_t connection = 1;

        if (!str_cut(&text, ':', &who) || !who.n || !memchr("SCD", who.p[0], 3))
                return false;
        if (who.n > 1 && (!str_u64(str_from_at(who, 1), &connection) || connection < 1))
                return false;
        out->kind = who.p[0] == 'S'   ? TRANSCRIPT_SERVER
                    : who.p[0] == 'C' ? TRANSCRIPT_CLIENT
                                      : TRANSCRIPT_DATA;
        out->connection = connection > CONNECTIONS_MOST ? 0 : (unsigned)connection;
        out->text = str_starts(text, S(" ")) ? str_from_at(text, 1) : text;
        return true;
}

/* NULL, or what is wrong with it. */
static const char *read_line(struct str line, struct transcript_line *out)
{
        if (str_find(line, '\0') != STR_NONE)
                return "a NUL does not belong into a transcript; raw \"\\0\" sends one";
        if (spoken(line, out))
                return out->connection ? NULL : "so many connections are not possible";
        if (line.p[0] < 'a' || line.p[0] > 'z')
                return "neither S:, C: nor D:, nor a directive";
        out->kind = TRANSCRIPT_DIRECTIVE;
        out->connection = 1;
        out->text = str_trim(line);
        return NULL;
}

static size_t count_lines(struct str text)
{
        struct str line;
        size_t n = 0;

        while (text.n) {
                str_cut(&text, '\n', &line);
                n++;
        }
        return n;
}

int transcript_read(struct str text, struct arena *a, struct transcript_line **lines, size_t *n,
                    struct buf *why)
{
        unsigned number = 0;
        struct str line;

        *n = 0;
        *lines = arena_array(a, struct transcript_line, count_lines(text) + 1);
        while (text.n) {
                struct transcript_line *next = &(*lines)[*n];
                const char *wrong;

                str_cut(&text, '\n', &line);
                number++;
                if (str_ends(line, S("\r")))
                        line.n--;
                if (!str_trim(line).n || line.p[0] == '#')
                        continue;
                next->number = number;
                wrong = read_line(line, next);
                if (wrong) {
                        buf_printf(why, "%u: %s", number, wrong);
                        return -EINVAL;
                }
                ++*n;
        }
        return 0;
}

/* --- writing ------------------------------------------------------------------------------------------------- */

/* One line whatever the text: control characters as \xHH. What the server said is a pattern when it is read again, so
 * a star in it is written as \*. */
void transcript_write(struct buf *out, enum transcript_kind kind, unsigned connection, struct str text)
{
        if (kind != TRANSCRIPT_DIRECTIVE) {
                buf_puts(out, kind == TRANSCRIPT_SERVER   ? S("S")
                              : kind == TRANSCRIPT_CLIENT ? S("C")
                                                          : S("D"));
                if (connection > 1)
                        buf_printf(out, "%u", connection);
                buf_puts(out, S(": "));
        }
        for (size_t i = 0; i < text.n; i++) {
                unsigned char c = (unsigned char)text.p[i];

                if ((c < 32 && c != '\t') || c == 127)
                        buf_printf(out, "\\x%02x", c);
                else if (c == '*' && (kind == TRANSCRIPT_SERVER || kind == TRANSCRIPT_DATA))
                        buf_puts(out, S("\\*"));
                else
                        buf_u8(out, c);
        }
        buf_puts(out, S("\n"));
}

static bool digit(struct str s, size_t at)
{
        return at < s.n && s.p[at] >= '0' && s.p[at] <= '9';
}

/* A brace that would be read as the beginning of {name}; IMAP's literals stay as they are. */
static bool needs_escape(struct str s, size_t at)
{
        return s.p[at] == '{' && (!digit(s, at + 1) || (at && s.p[at - 1] == '\\'));
}

/* What is another one each time: the stamp in POP3's greeting (RFC 1939 §7), the port of 227 and 229, IMAP's UIDVALIDITY. From where; STR_NONE: nothing. */
static size_t passing(struct str line, char *until)
{
        size_t at;

        if (str_starts(line, S("+OK")) && (at = str_find(line, '<')) != STR_NONE && str_ends(line, S(">"))) {
                *until = '>';
                return at + 1;
        }
        if (str_starts(line, S("227 ")) || str_starts(line, S("229 "))) {
                *until = ')';
                at = str_find(line, '(');
                return at == STR_NONE ? at : at + 1;
        }
        at = str_starts(line, S("* ")) ? str_search(line, S("UIDVALIDITY ")) : STR_NONE;
        if (at != STR_NONE) {
                size_t end = at + 12;

                while (digit(line, end))
                        end++;
                *until = end < line.n ? line.p[end] : 0;
                return end < line.n && end > at + 12 ? at + 12 : STR_NONE;
        }
        return STR_NONE;
}

/* How many octets from here on may not stand in a file that somebody shows on a terminal: control characters (C1, too), what turns the order of
 * others or ends a line, and what is no UTF-8. 0: what stands there is fine. */
static size_t unfit(struct str s, size_t at, bool valid)
{
        unsigned char c = (unsigned char)s.p[at], second = at + 1 < s.n ? (unsigned char)s.p[at + 1] : 0,
                      third = at + 2 < s.n ? (unsigned char)s.p[at + 2] : 0;

        if ((c < 32 && c != '\t') || c == 127 || (c > 127 && !valid))
                return 1;
        if (c == 0xC2 && second < 0xA0)
                return 2;
        return c == 0xE2 && ((second == 0x80 && third >= 0xA8 && third <= 0xAE) ||
                             (second == 0x81 && third >= 0xA6 && third <= 0xA9))
                   ? 3
                   : 0;
}

/* Any bytes; behind a backslash it would be a star itself, so it takes that too. */
static void keep_star(struct buf *out)
{
        while (out->n && out->p[out->n - 1] == '\\')
                out->n--;
        buf_u8(out, '*');
}

static void keep_server(struct buf *out, struct str s)
{
        char until = 0;
        size_t star = passing(s, &until), bad;
        bool valid = utf8_valid(s);

        if (str_eq(s, S("..."))) { /* alone it would mean "any lines" */
                buf_puts(out, S("..*\n"));
                return;
        }
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                if (i == star) {
                        keep_star(out);
                        while (i + 1 < s.n && s.p[i] != until)
                                i++;
                        c = (unsigned char)s.p[i];
                }
                if (c == '*')
                        buf_puts(out, S("\\*"));
                else if ((bad = unfit(s, i, valid))) {
                        keep_star(out);
                        i += bad - 1;
                } else if (needs_escape(s, i))
                        buf_puts(out, S("\\{"));
                else
                        buf_u8(out, c);
        }
        buf_u8(out, '\n');
}

/* raw "...\r\n": its quotes are undone first, then its braces. */
static void keep_raw(struct buf *out, unsigned connection, struct str s)
{
        bool valid = utf8_valid(s);
        size_t bad = 0;

        buf_puts(out, S("raw \""));
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                bad = bad > 1 ? bad - 1 : unfit(s, i, valid);
                if (needs_escape(s, i))
                        buf_puts(out, S("\\\\{"));
                else if (c == '"' || c == '\\')
                        buf_printf(out, "\\%c", c);
                else if (c < 32 || bad)
                        buf_printf(out, "\\x%02x", c);
                else
                        buf_u8(out, c);
        }
        buf_puts(out, S("\\r\\n\""));
        if (connection > 1)
                buf_printf(out, " as %u", connection);
        buf_u8(out, '\n');
}

void transcript_keep(struct buf *out, enum transcript_kind kind, unsigned connection, struct str text)
{
        bool plain = true, valid = utf8_valid(text);

        for (size_t i = 0; i < text.n; i++)
                plain = plain && (unsigned char)text.p[i] >= 32 && !unfit(text, i, valid);
        if (kind == TRANSCRIPT_CLIENT && !plain) {
                keep_raw(out, connection, text);
                return;
        }
        if (kind == TRANSCRIPT_DIRECTIVE) {
                transcript_write(out, kind, connection, text);
                return;
        }
        buf_puts(out, kind == TRANSCRIPT_CLIENT ? S("C") : kind == TRANSCRIPT_SERVER ? S("S") : S("D"));
        if (connection > 1)
                buf_printf(out, "%u", connection);
        buf_puts(out, S(": "));
        if (kind != TRANSCRIPT_CLIENT) {
                keep_server(out, text);
                return;
        }
        for (size_t i = 0; i < text.n; i++)
                if (needs_escape(text, i))
                        buf_puts(out, S("\\{"));
                else
                        buf_u8(out, (uint8_t)text.p[i]);
        buf_u8(out, '\n');
}

/* --- matching ------------------------------------------------------------------------------------------------ */

/* The next element of the pattern: a byte, or '*' with *any. */
static char element(struct str pattern, size_t *at, bool *any)
{
        char c = pattern.p[(*at)++];

        *any = c == '*';
        if (c == '\\' && *at < pattern.n && pattern.p[*at] == '*')
                c = pattern.p[(*at)++];
        return c;
}

/* The last star takes one byte more whenever what follows it does not fit: no recursion, pattern × line at worst. */
bool transcript_matches(struct str pattern, struct str line)
{
        size_t p = 0, l = 0, after_star = STR_NONE, taken = 0;
        bool any;

        for (;;) {
                size_t before = p;

                if (p < pattern.n) {
                        char c = element(pattern, &p, &any);

                        if (any) {
                                after_star = p;
                                taken = l;
                                continue;
                        }
                        if (l < line.n && line.p[l] == c) {
                                l++;
                                continue;
                        }
                        p = before;
                } else if (l == line.n) {
                        return true;
                }
                if (after_star == STR_NONE || taken == line.n)
                        return false;
                l = ++taken;
                p = after_star;
        }
}
