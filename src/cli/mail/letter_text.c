/* Text parts as lines: RFC 3676 for format=flowed, and the quote marks that people and programs put before lines. */
#include "cli/mail/letter_inside.h"
#include "base/mem.h"
#include "mail/text.h"

enum { QUOTES_MOST = 99 };

static bool gather(void *context, struct str piece)
{
        struct buf *b = context;
        size_t room = LETTER_TEXT_MOST - b->n;

        buf_puts(b, str_sub(piece, 0, room));
        return piece.n < room;
}

/* Marks at the start; fixed text may have a blank between them. */
static unsigned quotes(struct str *line, bool flowed)
{
        unsigned n = 0;

        for (;;) {
                struct str s = *line;

                if (!flowed && n && s.n > 1 && s.p[0] == ' ' && s.p[1] == '>')
                        s = str_from_at(s, 1);
                if (!s.n || s.p[0] != '>' || n == QUOTES_MOST)
                        break;
                *line = str_from_at(s, 1);
                n++;
        }
        if (n && !flowed && line->n && line->p[0] == ' ')
                *line = str_from_at(*line, 1);
        return n;
}

/* A paragraph that is not whole yet. */
struct flowing {
        struct buf text;
        unsigned quoted;
        bool open;
};

static void flow_out(struct letter *l, struct flowing *f)
{
        if (f->open)
                letter_add_line(l, (struct letter_line){ .text = arena_str(&l->arena, buf_str(&f->text)),
                                                         .quoted = f->quoted,
                                                         .flowed = true,
                                                         .kind = LINE_TEXT });
        buf_clear(&f->text);
        f->open = false;
}

static void flow_line(struct letter *l, struct flowing *f, struct str line, bool delsp)
{
        unsigned quoted = quotes(&line, true);
        bool soft, signature;

        if (line.n && line.p[0] == ' ')
                line = str_from_at(line, 1); /* stuffed */
        signature = str_eq(line, S("-- "));
        soft = line.n && line.p[line.n - 1] == ' ' && !signature;
        if (f->open && (quoted != f->quoted || signature))
                flow_out(l, f);
        f->quoted = quoted;
        f->open = true;
        buf_puts(&f->text, soft && delsp ? str_sub(line, 0, line.n - 1) : line);
        if (!soft)
                flow_out(l, f);
}

/* What stands behind "-- " to the end is a signature, if it is not quoted. */
static void mark_signature(struct letter *l, size_t from)
{
        size_t at = l->line_count;

        while (at > from && !(str_eq(l->lines[at - 1].text, S("-- ")) && !l->lines[at - 1].quoted))
                at--;
        for (at = at > from ? at - 1 : l->line_count; at < l->line_count; at++)
                if (!l->lines[at].quoted)
                        l->lines[at].kind = LINE_SIGNATURE;
}

static void add_lines(struct letter *l, struct str text, bool flowed, bool delsp)
{
        struct flowing f = { 0 };
        size_t from = l->line_count;
        struct str line;

        buf_init(&f.text, LETTER_TEXT_MOST);
        while (text.n) {
                str_cut(&text, '\n', &line);
                if (line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                if (flowed) {
                        flow_line(l, &f, line, delsp);
                        continue;
                }
                unsigned quoted = quotes(&line, false);

                letter_add_line(l, (struct letter_line){ .text = line, .quoted = quoted, .kind = LINE_TEXT });
        }
        flow_out(l, &f);
        mark_signature(l, from);
        buf_free(&f.text);
}

/* HTML's blocks leave many empty lines: one is enough. */
static struct str squeeze(struct letter *l, struct str text)
{
        struct buf auto_buf out = { 0 };
        struct str line;
        bool empty = true;

        buf_init(&out, text.n + 1);
        while (text.n) {
                str_cut(&text, '\n', &line);
                line = str_trim(line);
                if (!line.n && empty)
                        continue;
                empty = !line.n;
                buf_puts(&out, line);
                buf_puts(&out, S("\n"));
        }
        return arena_str(&l->arena, buf_str(&out));
}

void letter_add_text(struct letter *l, const struct mime_part *p)
{
        struct buf auto_buf text = { 0 }, html = { 0 };
        struct str bytes = str_sub(buf_str(&l->raw), p->body, p->end - p->body);
        bool is_html = str_eq(p->subtype, S("html")) || str_eq(p->subtype, S("xhtml"));

        buf_init(&text, LETTER_TEXT_MOST);
        (void)text_of_part(&l->mime, p, bytes, gather, &text);
        if (l->arena.used + 2 * text.n > l->arena.max / 2) {
                letter_add_line(l, (struct letter_line){ .text = S("[more text, which is not shown]"),
                                                         .kind = LINE_PART });
                return;
        }
        if (!is_html) {
                add_lines(l, arena_str(&l->arena, buf_str(&text)),
                          str_ieq(mime_param(&l->mime, p->params, S("format")), S("flowed")),
                          str_ieq(mime_param(&l->mime, p->params, S("delsp")), S("yes")));
        } else {
                struct str rest = squeeze(l, buf_str(&text)), line;

                while (rest.n) {
                        str_cut(&rest, '\n', &line);
                        letter_add_line(
                            l, (struct letter_line){ .text = line, .flowed = true, .kind = LINE_TEXT });
                }
                buf_init(&html, bytes.n + 64);
                if (text_decode(&html, p->encoding, bytes))
                        letter_add_links(l, buf_str(&html));
        }
        if (text.n == LETTER_TEXT_MOST)
                letter_add_line(
                    l, (struct letter_line){ .text = S("[the rest is not shown]"), .kind = LINE_PART });
}
