#include "base/mem.h"
#include "mail/text_inside.h"

static const struct str blocks[] = {
#define B(s)                    \
        {                       \
                s, sizeof s - 1 \
        }
        B("address"), B("article"), B("aside"),   B("blockquote"), B("br"),       B("caption"), B("center"),
        B("dd"),      B("div"),     B("dl"),      B("dt"),         B("fieldset"), B("figure"),  B("footer"),
        B("form"),    B("h1"),      B("h2"),      B("h3"),         B("h4"),       B("h5"),      B("h6"),
        B("header"),  B("hr"),      B("li"),      B("main"),       B("nav"),      B("ol"),      B("option"),
        B("p"),       B("pre"),     B("section"), B("table"),      B("tr"),       B("ul"),
};
static const struct str cells[] = { B("td"), B("th") }, hides[] = { B("script"), B("style"), B("title") };
#undef B

static bool among(const struct str *list, size_t n, struct str name)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(list[i], name))
                        return true;
        return false;
}
#define AMONG(list, name) among(list, sizeof(list) / sizeof(list)[0], name)

static bool is_letter(char c)
{
        c = chr_lower(c);
        return c >= 'a' && c <= 'z';
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* The tag's ">" was read. */
static void tag_done(struct html *h, struct buf *out)
{
        struct str name = { h->name, h->name_n };

        h->state = HTML_TEXT;
        if (AMONG(blocks, name))
                buf_puts(out, S("\n"));
        else if (AMONG(cells, name))
                buf_puts(out, S(" "));
        else if (!h->closing && AMONG(hides, name)) {
                mem_copy(h->hidden, sizeof h->hidden, name);
                h->hidden_n = h->name_n;
                h->matched = 0;
                h->state = HTML_HIDDEN;
        }
}

static void entity_done(struct html *h, struct buf *out, bool ended)
{
        struct str name = { h->entity, h->entity_n };
        uint32_t c = text_entity(name);

        h->state = HTML_TEXT;
        if (c) {
                text_put_character(out, c);
                return;
        }
        buf_puts(out, S("&"));
        buf_puts(out, name);
        if (ended)
                buf_puts(out, S(";"));
}

/* false: c is yet to be looked at in the new state. */
static bool entity(struct html *h, char c, struct buf *out)
{
        bool fits = h->entity_n < sizeof h->entity;

        if (fits && (is_letter(c) || (c >= '0' && c <= '9') || (c == '#' && !h->entity_n))) {
                h->entity[h->entity_n++] = c;
                return true;
        }
        entity_done(h, out, c == ';');
        return c == ';';
}

/* "</name" and then anything that ends a name. */
static void hidden(struct html *h, char c)
{
        char want = h->matched == 0 ? '<' : h->matched == 1 ? '/' : 0;

        if (h->matched == h->hidden_n + 2) {
                if (c == '>' || c == '/' || is_space(c)) {
                        h->closing = true;
                        h->name_n = 0;
                        h->state = c == '>' ? HTML_TEXT : HTML_TAG;
                        return;
                }
                h->matched = 0;
                want = '<';
        }
        if (!want)
                want = h->hidden[h->matched - 2];
        h->matched = chr_lower(c) == want ? h->matched + 1 : c == '<';
}

/* "-->", also "--!>"; and "<!-->" and "<!--->" are whole comments. */
static void comment(struct html *h, char c)
{
        if (c == '>' && h->matched >= 2)
                h->state = HTML_TEXT;
        else if (c == '-')
                h->matched = h->matched < 2 ? h->matched + 1 : 2;
        else if (c != '!' || h->matched < 2)
                h->matched = 0;
}

static bool declare(struct html *h, char c)
{
        if (c == '-' && ++h->matched == 2)
                h->state = HTML_COMMENT; /* with both dashes matched: they may begin its end */
        if (c == '-')
                return true;
        h->state = HTML_BOGUS;
        return false;
}

static bool opened(struct html *h, char c, struct buf *out)
{
        h->name_n = 0;
        h->matched = 0;
        if (is_letter(c)) {
                h->state = HTML_NAME;
                return false;
        }
        if (c == '/' && !h->closing) {
                h->closing = true;
                return true;
        }
        if (c == '!' && !h->closing) {
                h->state = HTML_DECLARE;
                return true;
        }
        if (c == '?' || h->closing) {
                h->state = HTML_BOGUS;
                return false;
        }
        h->state = HTML_TEXT;
        buf_puts(out, S("<"));
        return false;
}

/* One character; false: it is yet to be looked at in the state that is now. */
static bool step(struct html *h, char c, struct buf *out)
{
        switch (h->state) {
        case HTML_TEXT:
                if (c == '<') {
                        h->state = HTML_OPEN;
                        h->closing = false;
                } else {
                        h->state = HTML_ENTITY;
                        h->entity_n = 0;
                }
                return true;
        case HTML_OPEN: return opened(h, c, out);
        case HTML_NAME:
                if (c == '>' || c == '/' || is_space(c)) {
                        h->state = HTML_TAG;
                        return false;
                }
                if (h->name_n < sizeof h->name)
                        h->name[h->name_n++] = chr_lower(c);
                return true;
        case HTML_TAG:
                if (c == '>')
                        tag_done(h, out);
                else if (c == '=')
                        h->state = HTML_EQUALS;
                return true;
        case HTML_EQUALS:
                if (is_space(c))
                        return true;
                h->state = c == '"' || c == '\'' ? HTML_QUOTED : HTML_TAG;
                h->quote = c;
                return h->state == HTML_QUOTED;
        case HTML_QUOTED:
                if (c == h->quote)
                        h->state = HTML_TAG;
                return true;
        case HTML_DECLARE: return declare(h, c);
        case HTML_BOGUS:
                if (c == '>')
                        h->state = HTML_TEXT;
                return true;
        case HTML_COMMENT: comment(h, c); return true;
        case HTML_HIDDEN: hidden(h, c); return true;
        case HTML_ENTITY: return entity(h, c, out);
        }
        return true;
}

/* How much of s the state passes over at one go. */
static size_t plain(const struct html *h, struct str s)
{
        size_t n = 0;

        switch (h->state) {
        case HTML_TEXT:
                while (n < s.n && s.p[n] != '<' && s.p[n] != '&')
                        n++;
                return n;
        case HTML_QUOTED: n = str_find(s, h->quote); break;
        case HTML_BOGUS: n = str_find(s, '>'); break;
        case HTML_COMMENT: n = h->matched ? 0 : str_find(s, '-'); break;
        case HTML_HIDDEN: n = h->matched ? 0 : str_find(s, '<'); break;
        default: return 0;
        }
        return n == STR_NONE ? s.n : n;
}

void html_feed(struct html *h, struct str s, struct buf *out)
{
        while (s.n) {
                size_t n = plain(h, s);

                if (h->state == HTML_TEXT)
                        buf_puts(out, str_sub(s, 0, n));
                s = str_from_at(s, n);
                if (s.n && step(h, s.p[0], out))
                        s = str_from_at(s, 1);
        }
}

void html_end(struct html *h, struct buf *out)
{
        if (h->state == HTML_ENTITY)
                entity_done(h, out, false);
        else if (h->state == HTML_OPEN)
                buf_puts(out, S("<"));
}
