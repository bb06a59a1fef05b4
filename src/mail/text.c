#include "mail/text.h"
#include "base/codec.h"
#include "mail/header.h"
#include "mail/text_inside.h"

enum {
        CHUNK = 64 * 1024, /* converted at a time */
        WIDE_MAX = 64 * 1024 * 1024,
};

static bool is_space(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Where a piece of about `most` bytes of s ends: after white space, best after a line; without any, before a character's
 * first byte, if it is UTF-8. */
static size_t piece_end(struct str s, size_t most)
{
        size_t n;

        if (s.n <= most)
                return s.n;
        n = str_rfind(str_sub(s, 0, most), '\n');
        if (n != STR_NONE)
                return n + 1;
        for (n = most; n; n--)
                if (is_space(s.p[n - 1]))
                        return n;
        for (n = most; n > most - 4 && ((unsigned char)s.p[n] & 0xC0) == 0x80;)
                n--;
        return n;
}

struct flow {
        text_piece_fn *piece;
        void *context;
        struct str charset;
        struct html *html;      /* NULL: plain text */
        struct buf utf8, shown; /* what was converted; what HTML says, up to the last white space given */
        bool shifted, enough;
};

static void give(struct flow *f, struct str s)
{
        if (s.n && !f->enough)
                f->enough = !f->piece(f->context, s);
}

/* Of what HTML has said, all up to the last white space; at the end all. */
static void give_shown(struct flow *f, bool last)
{
        struct str s = buf_str(&f->shown);
        size_t n = s.n;

        while (n && !is_space(s.p[n - 1]))
                n--;
        if (last || (!n && s.n > CHUNK))
                n = s.n;
        give(f, str_sub(s, 0, n));
        buf_drop(&f->shown, n);
}

static bool starts_with_any(struct str s, const struct str *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (str_istarts(s, list[i]))
                        return true;
        return false;
}

/* Charsets in which a line's end is more than a byte. */
static bool is_wide(struct str charset)
{
        static const struct str wide[] = {
                { "utf-16", 6 }, { "utf-32", 6 }, { "ucs-", 4 }, { "iso-10646", 9 }
        };

        return starts_with_any(charset, wide, sizeof wide / sizeof wide[0]);
}

/* Charsets in which ASCII bytes may mean something else. */
static bool is_shifted(struct str charset)
{
        static const struct str shifted[] = {
                { "iso-2022", 8 }, { "utf-7", 5 }, { "unicode-1-1-utf-7", 17 }, { "hz-", 3 }
        };

        return is_wide(charset) || starts_with_any(charset, shifted, sizeof shifted / sizeof shifted[0]);
}

/* Unlabelled bytes and unknown charsets are guessed (mail/charset.h). */
static struct str to_utf8(struct flow *f, struct str bytes)
{
        if (!f->shifted && ascii_only(bytes))
                return bytes;
        if (!f->charset.n && utf8_valid(bytes))
                return bytes;
        buf_clear(&f->utf8);
        f->utf8.max = bytes.n * CHARSET_GROWTH + 64;
        if (!f->charset.n || !charset_put(&f->utf8, f->charset, bytes))
                unlabelled_put(&f->utf8, bytes);
        return buf_str(&f->utf8);
}

static void flow_put(struct flow *f, struct str utf8)
{
        if (f->html) {
                html_feed(f->html, utf8, &f->shown);
                give_shown(f, false);
                return;
        }
        while (utf8.n && !f->enough) { /* conversion may have made it longer */
                size_t n = piece_end(utf8, CHUNK);

                give(f, str_sub(utf8, 0, n));
                utf8 = str_from_at(utf8, n);
        }
}

/* Wide ones are converted whole: what the first bytes say of their order holds for all. */
static void flow_bytes(struct flow *f, struct str bytes)
{
        size_t most = CHUNK, n;

        if (is_wide(f->charset)) {
                bytes = str_sub(bytes, 0, WIDE_MAX);
                most = bytes.n;
        }
        for (; bytes.n && !f->enough; bytes = str_from_at(bytes, n)) {
                n = piece_end(bytes, most);
                flow_put(f, to_utf8(f, str_sub(bytes, 0, n)));
        }
}

/* Of message/..., those that are themselves text, like what a bounce says (RFC 3464). */
static bool is_text(const struct mime_part *p)
{
        if (p->kind != MIME_LEAF)
                return false;
        return str_eq(p->type, S("text")) ||
               (str_eq(p->type, S("message")) && (str_eq(p->subtype, S("delivery-status")) ||
                                                  str_eq(p->subtype, S("disposition-notification")) ||
                                                  str_eq(p->subtype, S("global-delivery-status"))));
}

bool text_of_part(const struct mime *m, const struct mime_part *p, struct str bytes, text_piece_fn *piece,
                  void *context)
{
        struct html html = { .state = HTML_TEXT };
        struct flow f = { .piece = piece, .context = context };
        struct buf decoded;
        bool plain = !p->encoding.n || str_eq(p->encoding, S("7bit")) || str_eq(p->encoding, S("8bit")) ||
                     str_eq(p->encoding, S("binary"));

        if (!is_text(p))
                return false;
        f.charset = mime_param(m, p->params, S("charset"));
        f.shifted = is_shifted(f.charset);
        if (str_eq(p->type, S("text")) && (str_eq(p->subtype, S("html")) || str_eq(p->subtype, S("xhtml"))))
                f.html = &html;
        buf_init(&f.utf8, 0);
        buf_init(&f.shown, SIZE_MAX / 4);
        buf_init(&decoded, bytes.n + 64);
        if (!plain) {
                (void)text_decode(&decoded, p->encoding, bytes); /* what can be read of it */
                if (decoded.n || str_eq(p->encoding, S("base64")))
                        bytes = buf_str(&decoded);
        }
        flow_bytes(&f, bytes);
        if (f.html) {
                html_end(&html, &f.shown);
                give_shown(&f, true);
        }
        buf_free(&decoded);
        buf_free(&f.shown);
        buf_free(&f.utf8);
        return true;
}

struct stop {
        text_piece_fn *piece;
        void *context;
        bool enough;
};

static bool stop_piece(void *context, struct str s)
{
        struct stop *stop = context;

        if (!stop->enough && s.n)
                stop->enough = !stop->piece(stop->context, s);
        return !stop->enough;
}

static bool stop_field(void *context, struct str name, struct str value)
{
        if (name.n && stop_piece(context, name))
                stop_piece(context, S(": "));
        stop_piece(context, value);
        return stop_piece(context, S("\n"));
}

void text_of_body(const struct mime *m, struct str letter, text_piece_fn *piece, void *context)
{
        struct stop stop = { piece, context, false };

        for (uint32_t i = 0; i < m->count && !stop.enough; i++) {
                const struct mime_part *p = &m->parts[i];
                struct str header = str_sub(letter, p->header, p->body - p->header);

                if (p->parent != MIME_NONE && m->parts[p->parent].kind == MIME_MESSAGE)
                        text_header_fields(header, stop_field, &stop);
                if (text_of_part(m, p, str_sub(letter, p->body, p->end - p->body), stop_piece, &stop))
                        stop_piece(&stop, S("\n"));
        }
}

void text_of_header(const struct mime *m, struct str letter, text_piece_fn *piece, void *context)
{
        struct stop stop = { piece, context, false };

        text_fields(m, letter, stop_field, &stop);
}
