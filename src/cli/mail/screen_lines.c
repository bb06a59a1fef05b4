/* A letter's lines as they are shown: safe, wrapped to the width, quotes folded. They are made once for a width; to draw one costs one. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"
#include "cli/terminal.h"

enum { TEXT_MOST = 256 << 20, LINES_MOST = 4 << 20, FLOW_WIDTH = 80, QUOTES_SHOWN = 20, FIELD_MOST = 8192 };

void lines_free(struct lines *l)
{
        buf_free(&l->text);
        mem_free(l->list);
        *l = (struct lines){ 0 };
}

static void begin(struct lines *l)
{
        lines_free(l);
        buf_init(&l->text, TEXT_MOST);
}

static bool add(struct lines *l, size_t from, size_t n, unsigned quoted, enum look look)
{
        if (l->n >= LINES_MOST)
                return false;
        if (l->n == l->room) {
                l->room = l->room ? l->room * 2 : 256;
                l->list = mem_grow(l->list, l->room, sizeof *l->list);
        }
        l->list[l->n++] =
            (struct shown_line){ .from = (uint32_t)from,
                                 .n = (uint32_t)n,
                                 .quoted = (uint16_t)(quoted < QUOTES_SHOWN ? quoted : QUOTES_SHOWN),
                                 .look = look };
        return true;
}

/* One line of a letter, as many as it needs here. */
static bool wrap(struct lines *l, struct str text, unsigned width, unsigned quoted, enum look look)
{
        size_t from = l->text.n;
        struct str rest;

        quoted = quoted < QUOTES_SHOWN ? quoted : QUOTES_SHOWN;
        width = width > quoted + 11 ? width - quoted - (quoted > 0) : 10;
        terminal_safe(&l->text, text);
        if (l->text.full)
                return false;
        rest = str_from_at(buf_str(&l->text), from);
        do {
                size_t n = draw_fit(rest, width, true), shown = n;

                while (n < rest.n && shown && rest.p[shown - 1] == ' ')
                        shown--; /* the blank at which it was cut */
                if (!add(l, (size_t)(rest.p - l->text.p), shown, quoted, look))
                        return false;
                rest = str_from_at(rest, n);
        } while (rest.n);
        return true;
}

static enum look look_of(const struct letter_line *line)
{
        switch (line->kind) {
        case LINE_HEADER: return LOOK_HEADER;
        case LINE_PART: return LOOK_FLAG;
        case LINE_SIGNATURE: return LOOK_DIM;
        default: return !line->quoted ? LOOK_PLAIN : line->quoted & 1 ? LOOK_QUOTE : LOOK_QUOTE2;
        }
}

/* How many quoted lines stand together from here on. */
static size_t quoted_here(const struct letter *l, size_t at)
{
        size_t n = 0;

        while (at + n < l->line_count && l->lines[at + n].kind == LINE_TEXT && l->lines[at + n].quoted)
                n++;
        return n;
}

void lines_make(struct lines *out, const struct letter *l, unsigned width, unsigned how)
{
        bool good = true;

        begin(out);
        for (size_t i = 0; i < l->line_count && good; i++) {
                const struct letter_line *line = &l->lines[i];
                size_t fold = how & LINES_FOLD ? quoted_here(l, i) : 0;

                if (fold > 1) {
                        size_t from = out->text.n;

                        buf_printf(&out->text, "[%zu quoted lines: T shows them]", fold);
                        good = add(out, from, out->text.n - from, 0, LOOK_DIM);
                        i += fold - 1;
                        continue;
                }
                good = wrap(out, line->text, line->flowed && width > FLOW_WIDTH ? FLOW_WIDTH : width,
                            line->quoted, look_of(line));
        }
        if (!good) {
                static const char rest[] = "[the rest is not shown]";

                out->text.n =
                    out->text.n < out->text.max - sizeof rest ? out->text.n : out->text.max - sizeof rest;
                out->text.full = false;
                buf_puts(&out->text, str_of(rest));
                out->n -= out->n == LINES_MOST;
                (void)add(out, out->text.n - (sizeof rest - 1), sizeof rest - 1, 0, LOOK_FLAG);
        }
}

void lines_text(struct lines *out, struct str text, unsigned width)
{
        struct str line;
        bool good = true;

        begin(out);
        while (text.n && good) {
                str_cut(&text, '\n', &line);
                good = wrap(out, line, width, 0, LOOK_PLAIN);
        }
}

void lines_draw(const struct lines *l, size_t at, int y, unsigned width)
{
        static const char marks[] = ">>>>>>>>>>>>>>>>>>>> ";
        const struct shown_line *line = at < l->n ? &l->list[at] : NULL;
        unsigned quoted = line ? line->quoted : 0, left = quoted ? quoted + 1 : 0;

        if (!line) {
                draw_text(y, 0, width, S(""), LOOK_PLAIN);
                return;
        }
        if (quoted)
                draw_text(y, 0, left, str_from_at(str_from(marks, sizeof marks - 1), QUOTES_SHOWN - quoted),
                          line->look);
        draw_text(y, (int)left, width > left ? width - left : 0,
                  str_sub(buf_str(&l->text), line->from, line->n), line->look);
}
