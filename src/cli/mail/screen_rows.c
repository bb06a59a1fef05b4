/* How a folder's rows look. Only those that are seen are asked for. */
#include "cli/mail/screen_inside.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <time.h>

enum { FROM_WIDTH = 20, TREE_MOST = 12 };

static void put_date(struct buf *out, int64_t seconds)
{
        time_t t = (time_t)seconds, today = time(NULL);
        char text[64] = "";
        struct tm tm;
        bool old = t < today - 300 * 86400 || t > today + 86400;

        if (seconds != INT64_MIN && localtime_r(&t, &tm))
                strftime(text, sizeof text, old ? "%b %d  %Y" : "%b %d %H:%M", &tm);
        buf_printf(out, "%-12.12s", text);
}

static void put_size(struct buf *out, uint64_t size)
{
        if (size < 10000)
                buf_printf(out, "%4lluB", (unsigned long long)size);
        else if (size < 10240000)
                buf_printf(out, "%4lluK", (unsigned long long)(size / 1024));
        else
                buf_printf(out, "%4lluM", (unsigned long long)(size / 1048576));
}

/* A text in columns, filled: by width, not by bytes. */
static void put_columns(struct buf *out, struct str text, unsigned width)
{
        struct buf auto_buf safe = { 0 };
        struct str fits;

        buf_init(&safe, 4096);
        terminal_safe(&safe, text);
        fits = str_sub(buf_str(&safe), 0, draw_fit(buf_str(&safe), width, false));
        if (draw_width(fits) > width)
                fits = S("");
        buf_puts(out, fits);
        for (unsigned n = draw_width(fits); n < width; n++)
                buf_puts(out, S(" "));
}

static void put_row(struct screen *s, struct buf *out, size_t number, const struct view_row *r)
{
        bool mine = str_eq(str_of(s->path), OUTBOX) || is_role(s, "sent") || is_role(s, "drafts");

        buf_printf(out, "%5zu %c%c%c ", number + 1,
                   is_tagged(s, r->uid)      ? '*'
                   : r->flags & FLAG_FLAGGED ? '!'
                                             : ' ',
                   r->flags & FLAG_DELETED    ? 'D'
                   : !(r->flags & FLAG_SEEN)  ? 'N'
                   : r->flags & FLAG_ANSWERED ? 'r'
                   : r->flags & FLAG_DRAFT    ? 'd'
                                              : ' ',
                   r->attachments ? '@' : ' ');
        put_date(out, r->when);
        buf_puts(out, S(" "));
        if (mine)
                buf_puts(out, S("To "));
        put_columns(out, mine ? r->to : r->from, mine ? FROM_WIDTH - 3 : FROM_WIDTH);
        buf_puts(out, S(" "));
        put_size(out, r->size);
        buf_puts(out, S(" "));
        if (r->depth) {
                for (unsigned i = 1; i < r->depth && i < TREE_MOST; i++)
                        buf_puts(out, S("  "));
                buf_puts(out, S("\u2514\u2500>"));
        }
        if (r->hidden)
                buf_printf(out, "[+%u] ", r->hidden);
        buf_puts(out, r->subject.n ? r->subject : S("(no subject)"));
}

void rows_draw(struct screen *s)
{
        const struct view_row *rows = NULL;
        size_t n = view_count(s->view), seen;
        unsigned y = 1;

        if (s->at < s->top)
                s->top = s->at;
        if (s->at >= s->top + term_room())
                s->top = s->at - term_room() + 1;
        if (s->top >= n)
                s->top = n ? n - 1 : 0;
        seen = n - s->top < term_room() ? n - s->top : term_room();
        if (view_rows(s->view, s->top, seen, &rows) < 0)
                say_bad(s, "Some rows cannot be read.");
        for (size_t i = 0; i < seen && rows; i++) {
                struct buf auto_buf text = { 0 };
                const struct view_row *r = &rows[i];

                buf_init(&text, 16384);
                put_row(s, &text, s->top + i, r);
                draw_text((int)y++, 0, term_columns(), buf_str(&text),
                          s->top + i == s->at                                         ? LOOK_CURSOR
                          : r->flags & FLAG_DELETED                                   ? LOOK_DIM
                          : r->flags & FLAG_FLAGGED                                   ? LOOK_FLAG
                          : !(r->flags & FLAG_SEEN) || (r->hidden && r->unread_below) ? LOOK_NEW
                                                                                      : LOOK_PLAIN);
        }
        while (y <= term_room())
                draw_text((int)y++, 0, term_columns(), S(""), LOOK_PLAIN);
}

void rows_bar(struct screen *s)
{
        struct buf auto_buf text = { 0 };
        const struct folder_row *f = NULL;

        buf_init(&text, 4096);
        for (size_t i = 0; i < s->folder_n; i++)
                if (str_eq(str_of(s->folders[i].path), str_of(s->path)))
                        f = &s->folders[i];
        buf_printf(&text, "%s: %s  [%zu of %u", s->mail->login->address, s->path, view_count(s->view),
                   f ? f->count : 0);
        if (f && f->unseen)
                buf_printf(&text, ", %u new", f->unseen);
        if (s->tag_n)
                buf_printf(&text, ", %zu tagged", s->tag_n);
        buf_printf(&text, "]  by %s%s", s->backwards ? "reverse " : "", order_name(s->order));
        for (size_t i = 0; i < s->folder_n; i++)
                if (s->folders[i].count && str_eq(str_of(s->folders[i].path), OUTBOX))
                        buf_printf(&text, "  Outbox: %u", s->folders[i].count);
        if (s->limited)
                buf_printf(&text, "  limit: %s", s->limited);
        if (s->sync_state == SYNC_LIVE)
                buf_puts(&text, S("  live"));
        else if (s->sync_state == SYNC_CONNECTING || s->sync_state == SYNC_WORKING)
                buf_printf(&text, "  %s", s->sync_words);
        else if (s->sync_state == SYNC_WAITING)
                buf_printf(&text, "  offline: %s", s->sync_words);
        draw_bar(buf_str(&text));
}
