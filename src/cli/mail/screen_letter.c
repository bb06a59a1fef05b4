/* A letter. What is done to letters in the rows is done here by the same keys; when that leads to another letter, that one is shown. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdio.h>

struct pager {
        struct letter *letter;
        bool own;          /* it lies inside another: not one of the rows */
        const char *title; /* of one that does */
        uint32_t uid;
        unsigned flags, how; /* LETTER_, LINES_ */
        struct lines lines;
        unsigned width;
        size_t top;
        char *sought;
};

static void make(struct pager *p)
{
        size_t before = p->lines.n, top = p->top;

        p->width = term_columns();
        lines_make(&p->lines, p->letter, p->width, p->how);
        p->top = before && top ? top * p->lines.n / before : 0;
}

/* ---- opened ---- */

/* The current row's letter; it is read now. */
static bool load(struct screen *s, struct pager *p)
{
        struct uid_list one = { 0 };
        struct view_row row;
        struct letter *l;
        int rc;

        if (!index_row(s, &row))
                return false;
        rc = letter_open(&l, copy_account(s->mail->copy), row.letter, p->flags);
        if (rc < 0) {
                say_bad(s, "The letter cannot be read: %s", strerror(-rc));
                return false;
        }
        letter_free(&p->letter);
        p->letter = l;
        p->uid = row.uid;
        p->lines.n = p->top = 0;
        make(p);
        if (!(row.flags & FLAG_SEEN)) {
                uid_list_add(&one, row.uid, row.uid);
                (void)set_flags(s, &one, FLAGS_ADD, FLAG_SEEN);
                uid_list_free(&one);
        }
        return true;
}

/* ---- moving ---- */

static void go(struct pager *p, size_t top)
{
        size_t last = p->lines.n > term_room() ? p->lines.n - term_room() : 0;

        p->top = top < last ? top : last;
}

static bool at_end(const struct pager *p)
{
        return p->top + term_room() >= p->lines.n;
}

static enum done line_down(struct screen *s)
{
        go(s->pager, s->pager->top + 1);
        return STAY;
}

static enum done line_up(struct screen *s)
{
        go(s->pager, s->pager->top ? s->pager->top - 1 : 0);
        return STAY;
}

static enum done next_letter(struct screen *s)
{
        size_t at = view_seek(s->view, s->at + 1, 1, FLAG_DELETED, 0);

        if (s->pager->own || at == SIZE_MAX)
                say(s, "There is no other letter below.");
        else
                index_go(s, at);
        return STAY;
}

static enum done previous_letter(struct screen *s)
{
        size_t at = s->at ? view_seek(s->view, s->at - 1, -1, FLAG_DELETED, 0) : SIZE_MAX;

        if (s->pager->own || at == SIZE_MAX)
                say(s, "There is no other letter above.");
        else
                index_go(s, at);
        return STAY;
}

static enum done page_down(struct screen *s)
{
        if (at_end(s->pager))
                return next_letter(s);
        go(s->pager, s->pager->top + term_room());
        return STAY;
}

static enum done page_up(struct screen *s)
{
        go(s->pager, s->pager->top < term_room() ? 0 : s->pager->top - term_room());
        return STAY;
}

static enum done go_first(struct screen *s)
{
        s->pager->top = 0;
        return STAY;
}

static enum done go_last(struct screen *s)
{
        go(s->pager, s->pager->lines.n);
        return STAY;
}

static enum done next_unread(struct screen *s)
{
        size_t at = view_seek(s->view, s->at + 1, 1, FLAG_SEEN | FLAG_DELETED, 0);

        if (at == SIZE_MAX)
                at = view_seek(s->view, 0, 1, FLAG_SEEN | FLAG_DELETED, 0);
        if (s->pager->own || at == SIZE_MAX)
                say(s, "There are no new letters here.");
        else
                index_go(s, at);
        return STAY;
}

/* Behind the quoted lines that come next. */
static enum done skip_quoted(struct screen *s)
{
        struct pager *p = s->pager;
        size_t at = p->top;

        while (at < p->lines.n && !p->lines.list[at].quoted)
                at++;
        while (at < p->lines.n && p->lines.list[at].quoted)
                at++;
        if (at < p->lines.n)
                p->top = at;
        else
                say(s, "There are no quoted lines below.");
        return STAY;
}

/* ---- seen in another way ---- */

static enum done toggle_headers(struct screen *s)
{
        struct pager *p = s->pager;
        struct letter *again;

        p->flags ^= LETTER_ALL_FIELDS;
        if (letter_parse(&again, buf_str(&p->letter->raw), p->flags) == 0) {
                letter_free(&p->letter);
                p->letter = again;
                p->top = 0;
                make(p);
        }
        return STAY;
}

static enum done toggle_html(struct screen *s)
{
        s->pager->flags ^= LETTER_ALL_FIELDS | LETTER_PREFER_HTML; /* the first is turned back below */
        return toggle_headers(s);
}

static enum done toggle_raw(struct screen *s)
{
        s->pager->flags ^= LETTER_ALL_FIELDS | LETTER_RAW;
        return toggle_headers(s);
}

static enum done toggle_quoted(struct screen *s)
{
        s->pager->how ^= LINES_FOLD;
        make(s->pager);
        return STAY;
}

/* ---- found ---- */

static bool contains(struct str text, struct str what)
{
        for (size_t at = 0; at + what.n <= text.n; at++)
                if (str_ieq(str_sub(text, at, what.n), what))
                        return true;
        return false;
}

static enum done search_on(struct screen *s)
{
        struct pager *p = s->pager;

        for (size_t i = 1; s->sought && i <= p->lines.n; i++) {
                size_t at = (p->top + i) % p->lines.n;
                const struct shown_line *line = &p->lines.list[at];

                if (!contains(str_sub(buf_str(&p->lines.text), line->from, line->n), str_of(s->sought)))
                        continue;
                if (at < p->top)
                        say(s, "Searched on from the top.");
                p->top = at;
                return STAY;
        }
        say(s, "Not found.");
        return STAY;
}

static enum done search(struct screen *s)
{
        struct buf auto_buf typed = { 0 };

        buf_init(&typed, 1000);
        buf_puts(&typed, str_of(s->sought));
        if (!ask_line(s, "Search in the letter: ", &typed, NULL, ASK_OFFERED) || !typed.n)
                return STAY;
        keep_string(&s->sought, buf_str(&typed));
        return search_on(s);
}

static enum done parts(struct screen *s)
{
        return parts_page(s, s->pager->letter);
}

static enum done leave(struct screen *s)
{
        (void)s;
        return LEAVE;
}

static const struct key pager_keys[] = {
        { 'q', "q", "Back", "back", leave },
        { '?', "?", "Help", "this page", leave }, /* screen_do shows it */
        { 'i', NULL, NULL, NULL, leave },
        { ' ', "Space", "More", "next page; at the end the next letter", page_down },
        { KEY_CODE | KEY_NPAGE, NULL, NULL, NULL, page_down },
        { '-', "-", NULL, "the page before", page_up },
        { KEY_CODE | KEY_PPAGE, NULL, NULL, NULL, page_up },
        { '\n', "Enter", NULL, "next line", line_down },
        { KEY_CODE | KEY_DOWN, NULL, NULL, NULL, line_down },
        { KEY_CODE | KEY_BACKSPACE, "Backspace", NULL, "the line before", line_up },
        { 127, NULL, NULL, NULL, line_up },
        { KEY_CODE | KEY_UP, NULL, NULL, NULL, line_up },
        { '^', "^, Home", NULL, "the beginning", go_first },
        { KEY_CODE | KEY_HOME, NULL, NULL, NULL, go_first },
        { KEY_CODE | KEY_END, "End", NULL, "the end", go_last },
        { '/', "/", NULL, "search in the letter", search },
        { 'n', "n", NULL, "search on", search_on },
        { 'T', "T", NULL, "fold quoted lines, or show them", toggle_quoted },
        { 'S', "S", NULL, "skip quoted lines", skip_quoted },
        { 'h', "h", NULL, "all header fields, or the usual ones", toggle_headers },
        { 'H', "H", NULL, "HTML as text, where there is plain text too", toggle_html },
        { '\\', "\\", NULL, "the letter as it came", toggle_raw },
        { 'v', "v", "Parts", "its parts: open, save", parts },
        { 0 },
};
static const struct key row_keys[] = {
        { 'j', "j", NULL, "next letter", next_letter },
        { 'k', "k", NULL, "the letter before", previous_letter },
        { 'J', NULL, NULL, NULL, line_down },
        { 'K', NULL, NULL, NULL, line_up },
        { '\t', "Tab", NULL, "next unread letter", next_unread },
        { 0 },
};
static const struct keys keys = { "A letter", { pager_keys, row_keys, letter_keys, NULL } };
static const struct keys keys_inside = { "A letter inside a letter", { pager_keys, NULL } };

/* ---- the page ---- */

static void draw(struct screen *s, const struct keys *k)
{
        struct pager *p = s->pager;
        struct buf auto_buf bar = { 0 };
        uint64_t flags = 0;
        uint32_t uid;
        unsigned percent;

        if (p->width != term_columns())
                make(p);
        go(p, p->top);
        draw_help(k);
        for (unsigned y = 0; y < term_room(); y++)
                lines_draw(&p->lines, p->top + y, (int)y + 1, p->width);
        buf_init(&bar, 16384);
        percent = p->lines.n > term_room() ? (unsigned)(100 * p->top / (p->lines.n - term_room())) : 100;
        if (p->own)
                buf_printf(&bar, "%s", p->title);
        else if (view_place(s->view, s->at, &uid, &flags))
                buf_printf(&bar, "%s %zu of %zu%s%s: ", s->path, s->at + 1, view_count(s->view),
                           flags & FLAG_DELETED ? " deleted" : "", flags & FLAG_FLAGGED ? " flagged" : "");
        if (!p->own)
                buf_puts(&bar, p->letter->subject);
        buf_printf(&bar, " -- %u%%", percent);
        draw_bar(buf_str(&bar));
        draw_message(s);
        term_show();
}

static void finish(struct pager *p)
{
        letter_free(&p->letter);
        lines_free(&p->lines);
}

enum done letter_page(struct screen *s)
{
        struct pager p = { 0 }, *before = s->pager;
        enum done done = STAY;

        s->pager = &p;
        if (load(s, &p))
                while (done == STAY && !s->ended) {
                        draw(s, &keys);
                        done = screen_do(s, &keys, screen_key(s));
                        if (done == STAY && p.uid != s->uid && (!s->uid || !load(s, &p)))
                                done = LEAVE; /* it has gone */
                }
        finish(&p);
        s->pager = before;
        return STAY;
}

void letter_show(struct screen *s, struct letter *l, const char *title)
{
        struct pager p = { .letter = l, .own = true, .title = title }, *before = s->pager;
        enum done done = STAY;

        s->pager = &p;
        make(&p);
        while (done == STAY && !s->ended) {
                draw(s, &keys_inside);
                done = screen_do(s, &keys_inside, screen_key(s));
        }
        finish(&p);
        s->pager = before;
}
