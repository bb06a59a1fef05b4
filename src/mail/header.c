#include "mail/header.h"

struct header header_of(struct str text)
{
        return (struct header){ .text = text };
}

/* After the line end of the line at `at`. */
static size_t line_after(struct str s, size_t at)
{
        size_t lf = str_find(str_from_at(s, at), '\n');

        return lf == STR_NONE ? s.n : at + lf + 1;
}

static bool space_or_end(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str trim(struct str s)
{
        while (s.n && space_or_end(s.p[0]))
                s = str_from_at(s, 1);
        while (s.n && space_or_end(s.p[s.n - 1]))
                s.n--;
        return s;
}

/* field-name *WSP ":" -- RFC 5322 §2.2, and §4.5.8 for the white space. Gives the colon's offset. */
static size_t field_name(struct str line, struct str *name)
{
        size_t n = 0, colon;

        while (n < line.n && line.p[n] > 32 && line.p[n] < 127 && line.p[n] != ':')
                n++;
        colon = n;
        while (colon < line.n && (line.p[colon] == ' ' || line.p[colon] == '\t'))
                colon++;
        *name = str_sub(line, 0, n);
        return n && colon < line.n && line.p[colon] == ':' ? colon : STR_NONE;
}

bool header_next(struct header *h, struct field *out)
{
        struct str s = h->text;

        while (!h->ended) {
                size_t at = h->at, end, colon;

                if (at >= s.n || s.p[at] == '\n' ||
                    (s.p[at] == '\r' && at + 1 < s.n && s.p[at + 1] == '\n')) {
                        h->at = at < s.n ? at + (s.p[at] == '\r') + 1 : at;
                        h->ended = true;
                        break;
                }
                end = line_after(s, at);
                while (end < s.n && (s.p[end] == ' ' || s.p[end] == '\t'))
                        end = line_after(s, end);
                h->at = end;
                colon = field_name(str_sub(s, at, end - at), &out->name);
                if (colon == STR_NONE)
                        continue;
                out->at = at;
                out->end = end;
                out->value = trim(str_sub(s, at + colon + 1, end - at - colon - 1));
                return true;
        }
        *out = (struct field){ S(""), S(""), h->at, h->at };
        return false;
}

size_t header_size(struct str text)
{
        size_t at = 0, end;

        for (; at < text.n; at = end) {
                end = line_after(text, at);
                if (end - at <= 2 && (text.p[at] == '\n' || (text.p[at] == '\r' && text.p[end - 1] == '\n')))
                        return end;
        }
        return text.n;
}

bool header_find(struct str text, struct str name, struct field *out)
{
        struct header h = header_of(text);

        while (header_next(&h, out))
                if (str_ieq(out->name, name))
                        return true;
        return false;
}

bool header_has(struct str text, struct str name)
{
        struct field f;

        return header_find(text, name, &f);
}

unsigned header_count(struct str text, struct str name)
{
        struct header h = header_of(text);
        struct field f;
        unsigned n = 0;

        while (header_next(&h, &f))
                n += str_ieq(f.name, name);
        return n;
}

struct str header_unfold(struct arena *m, struct str raw)
{
        char *to = arena_alloc(m, raw.n + 1);
        size_t n = 0;

        for (size_t i = 0; i < raw.n; i++) {
                unsigned char c = (unsigned char)raw.p[i];

                if (c != '\r' && c != '\n')
                        to[n++] = c < 32 || c == 127 ? ' ' : (char)c;
        }
        return str_from(to, n);
}

void header_skip_cfws(struct str *s)
{
        size_t at = 0, depth = 0;

        for (; at < s->n; at++) {
                char c = s->p[at];

                if (c == '(')
                        depth++;
                else if (depth && c == '\\')
                        at++;
                else if (depth && c == ')')
                        depth--;
                else if (!depth && c != ' ' && c != '\t' && c != '\r' && c != '\n')
                        break;
        }
        *s = str_from_at(*s, at);
}
