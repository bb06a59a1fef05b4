#include "mail/mime.h"
#include "mail/charset.h"

struct str mime_param(const struct mime *m, struct mime_params list, struct str name)
{
        for (uint32_t i = list.first; i < list.first + list.count; i++)
                if (str_eq(m->params[i].name, name))
                        return m->params[i].value;
        return S("");
}

static int hex_value(char c)
{
        c = chr_lower(c);
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str percent_decode(struct arena *a, struct str s)
{
        char *to = arena_alloc(a, s.n + 1);
        size_t n = 0;

        for (size_t i = 0; i < s.n; i++) {
                int high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1,
                    low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;

                to[n++] = s.p[i];
                if (s.p[i] == '%' && high >= 0 && low >= 0) {
                        to[n - 1] = (char)(high << 4 | low);
                        i += 2;
                }
        }
        return str_from(to, n);
}

/* charset "'" [language] "'" percent-encoded bytes -- RFC 2231 §4. Without a charset that we know: a guess. */
static struct str extended(struct arena *a, struct str value)
{
        struct str charset, language, text = value, bytes, made;
        struct buf out;

        if (!str_cut(&text, '\'', &charset) || !str_cut(&text, '\'', &language)) {
                text = value;
                charset = S("");
        }
        bytes = percent_decode(a, text);
        buf_init(&out, arena_times(bytes.n, CHARSET_GROWTH) + 64);
        if (!charset.n || !charset_put(&out, charset, bytes))
                unlabelled_put(&out, bytes);
        made = text_without_controls(a, buf_str(&out));
        buf_free(&out);
        return made;
}

bool mime_param_text(const struct mime *m, struct mime_params list, struct arena *a, struct str name,
                     struct str *out)
{
        const struct mime_param *plain = NULL;

        *out = S("");
        for (uint32_t i = list.first; i < list.first + list.count; i++) {
                struct str have = m->params[i].name;

                if (have.n == name.n + 1 && str_starts(have, name) && have.p[name.n] == '*') {
                        *out = extended(a, m->params[i].value);
                        return true;
                }
                if (!plain && str_eq(have, name))
                        plain = &m->params[i];
        }
        if (plain)
                *out = word_decode(a, plain->value);
        return plain;
}

struct str mime_filename(const struct mime *m, const struct mime_part *p, struct arena *a)
{
        struct str name;

        if (!mime_param_text(m, p->disposition_params, a, S("filename"), &name) || !name.n)
                mime_param_text(m, p->params, a, S("name"), &name);
        return name;
}
