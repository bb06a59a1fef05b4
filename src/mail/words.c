#include "mail/charset.h"
#include "base/codec.h"

/* encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?=" -- RFC 2047 §2, RFC 2231 §5 */
struct word {
        struct str charset, text;
        bool base64;
        size_t n; /* of the whole */
};
enum { CHARSET_MAX = 64 };

/* Looks no further than the second "?" after the encoding, so that a row of broken words costs what it is long. */
static bool word_at(struct str s, struct word *w)
{
        struct str rest = str_from_at(s, 2), head = str_sub(rest, 0, CHARSET_MAX);
        size_t n = str_find(head, '?'), star;

        if (n == STR_NONE || !n || n + 2 >= rest.n || rest.p[n + 2] != '?')
                return false;
        w->charset = str_sub(rest, 0, n);
        star = str_find(w->charset, '*');
        if (star != STR_NONE)
                w->charset.n = star;
        w->base64 = chr_lower(rest.p[n + 1]) == 'b';
        if (!w->base64 && chr_lower(rest.p[n + 1]) != 'q')
                return false;
        rest = str_from_at(rest, n + 3);
        for (n = 0; n < rest.n && rest.p[n] != '?'; n++)
                if (rest.p[n] == ' ')
                        return false;
        if (n + 1 >= rest.n || rest.p[n + 1] != '=')
                return false;
        w->text = str_sub(rest, 0, n);
        w->n = (size_t)(rest.p + n + 2 - s.p);
        return true;
}

static int hex_value(char c)
{
        c = chr_lower(c);
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The "Q" encoding -- RFC 2047 §4.2. A "=" without two digits stands for itself. */
static void q_put(struct buf *out, struct str s)
{
        for (size_t i = 0; i < s.n; i++) {
                int high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1,
                    low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;
                char c = s.p[i] == '_' ? ' ' : s.p[i];

                if (c == '=' && high >= 0 && low >= 0) {
                        c = (char)(high << 4 | low);
                        i += 2;
                }
                buf_u8(out, (uint8_t)c);
        }
}

static int base64_value(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The "B" encoding, leniently: padding may lack, other bytes are passed over. */
static void b_put(struct buf *out, struct str s)
{
        unsigned bits = 0, have = 0;

        for (size_t i = 0; i < s.n; i++) {
                int v = base64_value(s.p[i]);

                if (v < 0)
                        continue;
                bits = (bits << 6 | (unsigned)v) & 0xFFFF;
                have += 6;
                if (have >= 8) {
                        have -= 8;
                        buf_u8(out, (uint8_t)(bits >> have));
                }
        }
}

/* Words of one charset that follow each other are decoded together: some programs cut a character in two. */
struct decoder {
        struct buf *out;
        struct buf bytes;    /* decoded, not yet converted */
        struct str charset;  /* of these */
        struct str as_found; /* the words as they stood */
};

static void flush(struct decoder *d)
{
        if (d->as_found.n && !charset_put(d->out, d->charset, buf_str(&d->bytes)))
                unlabelled_put(d->out, d->as_found);
        buf_clear(&d->bytes);
        d->as_found = S("");
}

static void word(struct decoder *d, struct str s, const struct word *w)
{
        if (d->as_found.n && str_ieq(d->charset, w->charset)) {
                d->as_found.n = (size_t)(s.p + w->n - d->as_found.p);
        } else {
                flush(d);
                d->charset = w->charset;
                d->as_found = str_sub(s, 0, w->n);
        }
        if (w->base64)
                b_put(&d->bytes, w->text);
        else
                q_put(&d->bytes, w->text);
}

/* White space between two encoded words is not shown (RFC 2047 §6.2); between a word and text it is. */
static void decode(struct decoder *d, struct str s)
{
        size_t plain = 0, at = 0; /* what stands in [plain, at) is not yet written */
        bool after_word = false;
        struct word w;

        while (at < s.n) {
                bool found =
                    s.p[at] == '=' && at + 1 < s.n && s.p[at + 1] == '?' && word_at(str_from_at(s, at), &w);

                if (!found) {
                        at++;
                        continue;
                }
                if (!after_word || str_trim(str_sub(s, plain, at - plain)).n) {
                        flush(d);
                        unlabelled_put(d->out, str_sub(s, plain, at - plain));
                }
                word(d, str_from_at(s, at), &w);
                at += w.n;
                plain = at;
                after_word = true;
        }
        flush(d);
        unlabelled_put(d->out, str_from_at(s, plain));
}

struct str word_decode(struct arena *m, struct str raw)
{
        struct str s = header_unfold(m, raw), made;
        struct decoder d = { .as_found = S("") };
        struct buf out;

        if (ascii_only(s) && str_search(s, S("=?")) == STR_NONE)
                return s;
        buf_init(&out, arena_times(s.n, CHARSET_GROWTH) + 64);
        buf_init(&d.bytes, s.n + 1);
        d.out = &out;
        decode(&d, s);
        made = text_without_controls(m, buf_str(&out));
        buf_free(&d.bytes);
        buf_free(&out);
        return made;
}
