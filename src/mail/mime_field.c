#include "mail/mime_field.h"
#include "mail/header.h"
#include "base/mem.h"

bool mime_room(void **array, uint32_t *room, uint32_t count, uint32_t max, size_t size)
{
        if (count == max)
                return false;
        if (count == *room) {
                *room = *room ? *room > max / 2 ? max : *room * 2 : 16;
                *array = mem_grow(*array, *room, size);
        }
        return true;
}

static bool counted(struct mime *m, size_t n)
{
        if (n > MIME_STRINGS_MAX - m->strings) {
                m->cut = true;
                return false;
        }
        m->strings += n;
        return true;
}

struct str mime_keep(struct mime *m, struct str s)
{
        if (!counted(m, s.n))
                return S("");
        return str_has_control(s) ? header_unfold(&m->arena, s) : s;
}

static bool has_upper(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] >= 'A' && s.p[i] <= 'Z')
                        return true;
        return false;
}

struct str mime_keep_lower(struct mime *m, struct str s)
{
        s = mime_keep(m, s);
        return has_upper(s) ? arena_lower(&m->arena, s) : s;
}

/* token -- RFC 2045 §5.1, except that 8-bit bytes are let in: file names come so. */
static bool in_token(char c)
{
        return ((unsigned char)c > 32 && c != 127 && !strchr("()<>@,;:\\\"/[]?=", c));
}

/* What an unquoted value may hold in real mail: all but what ends it. */
static bool in_loose_value(char c)
{
        return (unsigned char)c > 32 && c != 127 && !strchr("(;\"", c);
}

static struct str take(struct str *s, bool (*in)(char c))
{
        struct str got;
        size_t n = 0;

        while (n < s->n && in(s->p[n]))
                n++;
        got = str_sub(*s, 0, n);
        *s = str_from_at(*s, n);
        return got;
}

bool mime_take_word(struct mime *m, struct str *raw, struct str *word)
{
        struct str token;

        header_skip_cfws(raw);
        token = take(raw, in_token);
        *word = mime_keep_lower(m, token);
        return word->n > 0;
}

bool mime_take_type(struct mime *m, struct str *raw, struct str *type, struct str *subtype)
{
        struct str first, second;

        header_skip_cfws(raw);
        first = take(raw, in_token);
        header_skip_cfws(raw);
        if (!first.n || !raw->n || raw->p[0] != '/')
                return false;
        *raw = str_from_at(*raw, 1);
        header_skip_cfws(raw);
        second = take(raw, in_token);
        if (!second.n)
                return false;
        *type = mime_keep_lower(m, first);
        *subtype = mime_keep_lower(m, second);
        return type->n && subtype->n;
}

/* quoted-string without its quotes; a missing end is the end. */
static struct str take_quoted(struct mime *m, struct str *s)
{
        size_t n = 1, made = 0;
        bool plain = true;
        struct str inner;
        char *to;

        for (; n < s->n && s->p[n] != '"'; n++) {
                if (s->p[n] == '\\') {
                        plain = false;
                        n++;
                }
        }
        n = n < s->n ? n : s->n;
        inner = str_sub(*s, 1, n - 1);
        *s = str_from_at(*s, n + 1);
        if (plain)
                return inner;
        if (!counted(m, inner.n))
                return S("");
        to = arena_alloc(&m->arena, inner.n + 1);
        for (size_t i = 0; i < inner.n; i++) {
                if (inner.p[i] == '\\' && i + 1 < inner.n)
                        i++;
                to[made++] = inner.p[i];
        }
        return str_from(to, made);
}

/* A parameter as it stands. RFC 2231 splits its name: base ["*" section] ["*"]. */
struct raw_param {
        struct str base, value;
        unsigned section; /* WHOLE, or 0 and up */
        bool encoded, used;
};
enum { WHOLE = UINT16_MAX };

static void split_name(struct raw_param *p, struct str name)
{
        struct str base, digits;
        uint64_t section;

        *p = (struct raw_param){ .base = name, .section = WHOLE };
        if (name.n > 1 && name.p[name.n - 1] == '*') {
                p->encoded = true;
                name.n--;
                p->base = name;
        }
        digits = name;
        if (!str_cut(&digits, '*', &base))
                return;
        if (base.n && digits.n <= 3 && str_u64(digits, &section)) {
                p->base = base;
                p->section = (unsigned)section;
        } else {
                p->encoded = false;
                p->base = name;
        }
}

/* *(";" attribute "=" value); garbage is passed over up to the next ";". */
static unsigned read_params(struct mime *m, struct str s, struct raw_param *list, unsigned max)
{
        unsigned n = 0;

        while (s.n) {
                struct str name;

                while (s.n && s.p[0] != ';') {
                        if (s.p[0] == '(') {
                                header_skip_cfws(&s);
                                continue;
                        }
                        if (s.p[0] == '"')
                                take_quoted(m, &s);
                        else
                                s = str_from_at(s, 1);
                }
                s = str_from_at(s, 1);
                header_skip_cfws(&s);
                name = take(&s, in_token);
                header_skip_cfws(&s);
                if (!name.n || !s.n || s.p[0] != '=')
                        continue;
                if (n == max) {
                        m->cut = true;
                        break;
                }
                s = str_from_at(s, 1);
                header_skip_cfws(&s);
                split_name(&list[n], name);
                list[n++].value = s.n && s.p[0] == '"' ? take_quoted(m, &s) : take(&s, in_loose_value);
        }
        return n;
}

/* Unencoded bytes of a value that goes on encoded: RFC 2231 §4.1 lets pieces of both kinds follow each other. */
static size_t percent(char *to, struct str s)
{
        static const char hex[] = "0123456789ABCDEF";
        size_t n = 0;

        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                if (c > 32 && c < 127 && !strchr("*'%", c)) {
                        to[n++] = (char)c;
                        continue;
                }
                to[n++] = '%';
                to[n++] = hex[c >> 4];
                to[n++] = hex[c & 15];
        }
        return n;
}

static struct raw_param *section(struct raw_param *list, unsigned n, struct str base, unsigned number)
{
        for (unsigned i = 0; i < n; i++)
                if (list[i].section == number && !list[i].used && str_ieq(list[i].base, base))
                        return &list[i];
        return NULL;
}

/* Sections 0, 1, 2, ... of one base, in whatever order they stood. The list is at most 100 long. */
static struct str join(struct mime *m, struct raw_param *list, unsigned n, struct str base, bool *encoded)
{
        struct raw_param *pieces[MIME_FIELD_PARAMS_MAX], *piece;
        unsigned count = 0;
        size_t size = 3, at = 0; /* room for the quotes of an unsaid charset, and a NUL */
        char *to;

        *encoded = false;
        while (count < n && (piece = section(list, n, base, count))) {
                piece->used = true;
                pieces[count++] = piece;
                *encoded = *encoded || piece->encoded;
                size += 3 * piece->value.n;
        }
        if (!counted(m, size))
                return S("");
        to = arena_alloc(&m->arena, size);
        if (*encoded && !pieces[0]->encoded) {
                mem_copy(to, size, S("''"));
                at = 2;
        }
        for (unsigned i = 0; i < count; i++) {
                if (*encoded && !pieces[i]->encoded) {
                        at += percent(to + at, pieces[i]->value);
                } else {
                        mem_copy(to + at, size - at, pieces[i]->value);
                        at += pieces[i]->value.n;
                }
        }
        return str_from(to, at);
}

static bool add_param(struct mime *m, struct mime_params *out, struct str name, bool star, struct str value)
{
        struct mime_param *p;
        char *to;

        if (!mime_room((void **)&m->params, &m->param_room, m->param_count, MIME_PARAMS_MAX,
                       sizeof *m->params)) {
                m->cut = true;
                return false;
        }
        p = &m->params[m->param_count];
        p->name = mime_keep_lower(m, name);
        p->value = mime_keep(m, value);
        if (!p->name.n)
                return false;
        if (star) {
                to = arena_alloc(&m->arena, p->name.n + 2);
                mem_copy(to, p->name.n, p->name);
                to[p->name.n] = '*';
                p->name = str_from(to, p->name.n + 1);
        }
        m->param_count++;
        out->count++;
        return true;
}

struct mime_params mime_take_params(struct mime *m, struct str raw)
{
        struct raw_param list[MIME_FIELD_PARAMS_MAX];
        struct mime_params out = { .first = m->param_count };
        unsigned n = 0;

        if (m->param_count < MIME_PARAMS_MAX)
                n = read_params(m, raw, list, MIME_FIELD_PARAMS_MAX);
        for (unsigned i = 0; i < n; i++) {
                bool encoded = list[i].encoded;
                struct str value = list[i].value, base = list[i].base;

                if (list[i].used || (list[i].section != WHOLE && list[i].section != 0))
                        continue;
                if (list[i].section == 0)
                        value = join(m, list, n, base, &encoded);
                if (!add_param(m, &out, base, encoded, value))
                        break;
        }
        return out;
}
