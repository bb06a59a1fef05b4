/* Text in columns. All that is shown goes through draw_text: terminal_safe first, so that no control character is left, then character by character
 * as wide as wcwidth says. What has no width and joins nothing (marks of direction, blanks of no width) is left out, of joining marks a few a cell. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <wchar.h>

enum { COLUMNS_MOST = 1000, MARKS_MOST = 3, TEXT_MOST = 64 * 1024, TAB = 8 };

static attr_t attributes(enum look look)
{
        static const attr_t plain[] = {
                [LOOK_PLAIN] = A_NORMAL,  [LOOK_BAR] = A_REVERSE,  [LOOK_CURSOR] = A_REVERSE,
                [LOOK_HEADER] = A_NORMAL, [LOOK_QUOTE] = A_NORMAL, [LOOK_QUOTE2] = A_NORMAL,
                [LOOK_DIM] = A_DIM,       [LOOK_NEW] = A_BOLD,     [LOOK_FLAG] = A_BOLD,
                [LOOK_ERROR] = A_BOLD
        };

        return plain[look];
}

static void set_look(enum look look)
{
        bool color = look == LOOK_HEADER || look == LOOK_QUOTE || look == LOOK_QUOTE2 || look == LOOK_FLAG ||
                     look == LOOK_ERROR;

        /* without colors the pair is not made: curses takes it for the usual one */
        wattr_set(stdscr, attributes(look), color && has_colors() ? (short)look : 0, NULL);
}

/* Valid UTF-8, as terminal_safe leaves it. */
size_t draw_char(struct str s, wchar_t *c, unsigned *columns)
{
        unsigned char first = (unsigned char)s.p[0];
        size_t n = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        uint32_t code = n == 1 ? first : first & (0x7Fu >> n);
        int w;

        if (n > s.n)
                n = s.n;
        for (size_t i = 1; i < n; i++)
                code = code << 6 | ((unsigned char)s.p[i] & 0x3F);
        w = code == '\t' ? 1 : wcwidth((wchar_t)code);
        if (w < 0) { /* not a character that is known here */
                code = 0xFFFD;
                w = 1;
        }
        *c = (wchar_t)code;
        *columns = (unsigned)w;
        return n;
}

/* Of those without a width: may it be put on the character before it? */
static bool joins(wchar_t c)
{
        return !((c >= 0x200B && c <= 0x200F && c != 0x200C && c != 0x200D) || (c >= 0x2028 && c <= 0x202F) ||
                 (c >= 0x2060 && c <= 0x206F) || c == 0x061C || c == 0xFEFF || c == 0xAD || c == 0 ||
                 (c >= 0xFFF0 && c <= 0xFFFB) || c >= 0xE0000);
}

/* On a terminal of ASCII: threads' lines have a likeness, the rest has a sign. */
static wchar_t plain(wchar_t c)
{
        return c < 127 ? c : c == 0x2514 ? '`' : c == 0x2500 ? '-' : '?';
}

void draw_text(int y, int x, unsigned width, struct str text, enum look look)
{
        struct buf auto_buf safe = { 0 };
        static wchar_t line[COLUMNS_MOST * (MARKS_MOST + 1) + 1]; /* nothing here waits */
        struct str rest;
        unsigned at = 0, marks = 0;
        bool ascii = term_is_ascii();
        size_t n = 0;

        width = width < COLUMNS_MOST ? width : COLUMNS_MOST;
        buf_init(&safe, TEXT_MOST * 8 + 64);
        terminal_safe(&safe, str_sub(text, 0, TEXT_MOST));
        rest = buf_str(&safe);
        while (rest.n) {
                unsigned columns;
                wchar_t c;
                size_t took = draw_char(rest, &c, &columns);

                if (c == '\t') {
                        c = ' ';
                        columns = TAB - at % TAB;
                        for (; columns > 1 && at + 1 < width; columns--, at++)
                                line[n++] = ' ';
                        columns = 1;
                }
                if (columns && at + columns > width)
                        break;
                if (columns || (!ascii && at && marks < MARKS_MOST && joins(c))) {
                        line[n++] = ascii ? plain(c) : c;
                        marks = columns ? 0 : marks + 1;
                        for (unsigned i = 1; ascii && i < columns; i++)
                                line[n++] = ' ';
                }
                at += columns;
                rest = str_from_at(rest, took);
        }
        while (at++ < width)
                line[n++] = ' ';
        set_look(look);
        mvaddnwstr(y, x, line, (int)n);
        set_look(LOOK_PLAIN);
}

void draw_printf(int y, int x, unsigned width, enum look look, const char *format, ...)
{
        struct buf auto_buf text = { 0 };
        va_list args;

        buf_init(&text, TEXT_MOST);
        va_start(args, format);
        buf_vprintf(&text, format, args);
        va_end(args);
        draw_text(y, x, width, buf_str(&text), look);
}

size_t draw_fit(struct str s, unsigned width, bool words)
{
        size_t at = 0, blank = 0;
        unsigned used = 0;

        while (at < s.n) {
                unsigned columns;
                wchar_t c;
                size_t took = draw_char(str_from_at(s, at), &c, &columns);

                if (c == '\t')
                        columns = TAB - used % TAB;
                if (c == ' ' && words)
                        blank = at + 1;
                if (used + columns > width && (!words || c != ' '))
                        return blank ? blank : at ? at : took;
                used += columns;
                at += took;
        }
        return at;
}

unsigned draw_width(struct str s)
{
        unsigned used = 0, columns;
        wchar_t c;

        while (s.n) {
                s = str_from_at(s, draw_char(s, &c, &columns));
                used += columns;
        }
        return used;
}

void draw_help(const struct keys *k)
{
        struct buf auto_buf text = { 0 };

        buf_init(&text, 4096);
        for (const struct key *const *table = k->tables; *table; table++)
                for (const struct key *key = *table; key->code; key++)
                        if (key->hint)
                                buf_printf(&text, "%s:%s  ", key->shown, key->hint);
        draw_text(0, 0, term_columns(), buf_str(&text), LOOK_BAR);
}

void draw_bar(struct str text)
{
        draw_text((int)term_rows() - 2, 0, term_columns(), text, LOOK_BAR);
}

void draw_message(const struct screen *s)
{
        draw_text((int)term_rows() - 1, 0, term_columns(), str_of(s->message),
                  s->message_bad ? LOOK_ERROR : LOOK_PLAIN);
}
