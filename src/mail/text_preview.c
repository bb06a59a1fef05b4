#include "mail/text_inside.h"

enum { CHARACTERS = 200, READ_ENOUGH = 64 * 1024 };

/* White space as one space, lines that quote (">") left out, no control characters. */
struct preview {
        struct buf out;
        unsigned characters;
        size_t read;
        bool line_start, quoted, space;
};

static void character(struct preview *p, struct str s)
{
        unsigned char c = (unsigned char)s.p[0];
        bool blank = c <= 32 || c == 127 || str_eq(s, S("\u00A0")) || str_eq(s, S("\u3000")) ||
                     str_eq(s, S("\u200B")) || str_eq(s, S("\uFEFF")) || str_eq(s, S("\u00AD")) ||
                     str_eq(s, S("\u034F")) || str_eq(s, S("\u200C")) ||
                     (s.n == 2 && c == 0xC2 && (unsigned char)s.p[1] < 0xA0);

        if (c == '\n' || c == '\r') {
                p->line_start = true;
                p->quoted = false;
        } else if (!blank && p->line_start) {
                p->line_start = false;
                p->quoted = c == '>';
        }
        if (blank) {
                p->space = p->out.n > 0;
                return;
        }
        if (p->quoted || p->characters + p->space >= CHARACTERS)
                return;
        if (p->space)
                buf_puts(&p->out, S(" "));
        buf_puts(&p->out, s);
        p->characters += 1 + p->space;
        p->space = false;
}

static bool preview_piece(void *context, struct str s)
{
        struct preview *p = context;

        for (size_t i = 0, n; i < s.n && p->characters < CHARACTERS; i += n) {
                unsigned char c = (unsigned char)s.p[i];

                n = c < 0xC2 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
                character(p, str_sub(s, i, n));
        }
        p->read += s.n;
        return p->characters < CHARACTERS && p->read < READ_ENOUGH;
}

/* Plain text that is no attachment is best, then HTML, then any. */
static unsigned worth(const struct mime_part *p)
{
        if (p->kind != MIME_LEAF || !str_eq(p->type, S("text")))
                return 0;
        if (str_eq(p->disposition, S("attachment")))
                return 1;
        return str_eq(p->subtype, S("plain")) ? 4 : str_eq(p->subtype, S("html")) ? 3 : 2;
}

struct str text_preview(struct arena *a, const struct mime *m, struct str letter)
{
        struct preview p = { .line_start = true };
        struct str made;

        buf_init(&p.out, (size_t)CHARACTERS * 4 + 64);
        for (unsigned best = 4; best && !p.out.n; best--)
                for (uint32_t i = 0; i < m->count && !p.out.n; i++) {
                        const struct mime_part *part = &m->parts[i];
                        struct str body = str_sub(letter, part->body, part->end - part->body);

                        if (worth(part) == best)
                                (void)text_of_part(m, part, str_sub(body, 0, (size_t)64 * 1024),
                                                   preview_piece, &p);
                }
        made = arena_str(a, buf_str(&p.out));
        buf_free(&p.out);
        return made;
}
