#include "cli/mail/letter_inside.h"
#include "mail/charset.h"

enum { LINK_MOST = 2000 };

static struct str attribute(struct str tag, struct str name)
{
        for (size_t at; (at = str_find(tag, '=')) != STR_NONE;) {
                struct str key = str_trim(str_sub(tag, 0, at)), value = str_trim(str_from_at(tag, at + 1));
                char quote = value.n && (value.p[0] == '"' || value.p[0] == '\'') ? value.p[0] : 0;
                size_t end, blank = str_rfind(key, ' ');

                if (quote)
                        value = str_from_at(value, 1);
                end = str_find(value, quote ? quote : ' ');
                tag = end == STR_NONE ? S("") : str_from_at(value, end + 1);
                value = str_sub(value, 0, end);
                if (str_ieq(blank == STR_NONE ? key : str_from_at(key, blank + 1), name))
                        return str_trim(value);
        }
        return S("");
}

/* Ends of lines and tabs in a link are nothing (WHATWG's URL standard says so, and mail folds them); &amp; is &. */
static struct str plain(struct letter *l, struct str link)
{
        struct buf auto_buf out = { 0 }, safe = { 0 };

        buf_init(&out, LINK_MOST);
        buf_init(&safe, LINK_MOST * 3);
        for (size_t i = 0; i < link.n; i++) {
                if (str_istarts(str_from_at(link, i), S("&amp;"))) {
                        buf_puts(&out, S("&"));
                        i += 4;
                } else if ((unsigned char)link.p[i] > ' ') {
                        buf_put(&out, link.p + i, 1);
                }
        }
        utf8_put(&safe, buf_str(&out));
        return arena_str(&l->arena, buf_str(&safe));
}

static bool leads_somewhere(struct str link)
{
        return str_istarts(link, S("http:")) || str_istarts(link, S("https:")) ||
               str_istarts(link, S("mailto:")) || str_istarts(link, S("ftp:")) ||
               str_istarts(link, S("ftps:"));
}

void letter_add_links(struct letter *l, struct str html)
{
        struct str tag, last = S("");
        unsigned n = 0;

        for (size_t at; n < LETTER_LINKS_MOST && (at = str_find(html, '<')) != STR_NONE;) {
                html = str_from_at(html, at + 1);
                if (!html.n || chr_lower(html.p[0]) != 'a' || html.n < 2 || (unsigned char)html.p[1] > ' ')
                        continue;
                if (!str_cut(&html, '>', &tag))
                        break;
                tag = attribute(str_sub(tag, 1, 4 * LINK_MOST), S("href"));
                if (!leads_somewhere(tag) || str_eq(tag, last))
                        continue;
                last = tag;
                if (!n++)
                        letter_add_line(l, (struct letter_line){ .text = S(""), .kind = LINE_TEXT });
                letter_add_line(l, (struct letter_line){
                                       .text = arena_printf(&l->arena, "[%u] " PRS, n, STR(plain(l, tag))),
                                       .kind = LINE_TEXT });
        }
}
