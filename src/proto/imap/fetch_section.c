#include "mail/header.h"
#include "proto/imap/fetch.h"

#include <stdlib.h>
#include <strings.h>

/* A part found on the way down, as much of it as matters. */
struct found {
        uint64_t header, body, end;
        uint32_t index;
        enum mime_kind kind;
        struct str encoding;
};

static struct found here(const struct mime_walk *w)
{
        return (struct found){ w->part.header, w->part.body, w->part.end,
                               w->index - 1,   w->part.kind, w->part.encoding };
}

/* Goes on in the walk to the n-th child of the part the walk stands at. */
static bool child(struct mime_walk *w, uint32_t n, struct found *out)
{
        unsigned depth = w->part.depth;

        while (mime_walk_next(w) && w->part.depth > depth) {
                if (w->part.depth == depth + 1 && --n == 0) {
                        *out = here(w);
                        return true;
                }
        }
        return false;
}

/* RFC 9051 §6.4.5.1: parts are numbered inside the multipart; a message that is none has one part, number 1, which is its body. The
 * numbers behind a message/rfc822 part are those of the message in it. */
static bool descend(struct mime_walk *w, const struct fetch_section *s, struct found *at)
{
        for (unsigned i = 0; i < s->depth; i++) {
                bool message = !i; /* the part at hand is the root of a message */

                if (at->kind == MIME_MESSAGE && i) {
                        if (!child(w, 1, at))
                                return false;
                        message = true;
                }
                if (at->kind == MIME_MULTIPART) {
                        if (!child(w, s->path[i], at))
                                return false;
                } else if (!message || s->path[i] != 1) {
                        return false;
                }
        }
        return true;
}

bool fetch_locate(struct str packed, const struct fetch_section *s, struct fetch_range *out)
{
        struct mime_walk w;
        struct found at;

        *out = (struct fetch_range){ .encoding = S("7bit") };
        mime_walk_begin(&w, packed);
        if (!mime_walk_next(&w))
                return false;
        at = here(&w);
        if (!s->depth && s->text == TEXT_WHOLE) {
                *out = (struct fetch_range){ 0, w.size, S("7bit"), true };
                return true;
        }
        out->there = descend(&w, s, &at);
        if (out->there && s->depth && s->text != TEXT_WHOLE && s->text != TEXT_MIME)
                out->there = at.kind == MIME_MESSAGE && child(&w, 1, &at);
        if (!out->there)
                return !w.bad;
        if (s->text == TEXT_WHOLE || s->text == TEXT_TEXT) {
                out->from = at.body;
                out->n = at.end - at.body;
        } else {
                out->from = at.header;
                out->n = at.body - at.header;
        }
        if (s->text == TEXT_WHOLE)
                out->encoding = at.encoding;
        return true;
}

static int by_name(const void *a, const void *b)
{
        const struct str *x = a, *y = b;

        if (x->n != y->n)
                return x->n < y->n ? -1 : 1;
        return strncasecmp(x->p, y->p, x->n);
}

/* Thousands of names and thousands of fields must not be compared each with each. */
void fetch_sort_names(struct fetch_section *s)
{
        qsort(s->sorted, s->n, sizeof *s->sorted, by_name);
}

static bool named(struct str name, const struct fetch_section *s)
{
        return bsearch(&name, s->sorted, s->n, sizeof name, by_name) != NULL;
}

void fetch_fields(struct buf *out, struct str header, const struct fetch_section *s)
{
        struct header h = header_of(header);
        size_t from = 0, end = 0; /* what is wanted and lies together is copied together */
        struct field f;

        while (header_next(&h, &f)) {
                if (named(f.name, s) != (s->text == TEXT_FIELDS))
                        continue;
                if (f.at != end) {
                        buf_puts(out, str_sub(header, from, end - from));
                        from = f.at;
                }
                end = f.end;
        }
        buf_puts(out, str_sub(header, from, end - from));
        if (h.at == header.n && str_ends(header, S("\n"))) { /* the empty line, as it stands there */
                size_t n = str_ends(header, S("\r\n")) ? 2 : 1;

                if (header.n == n || header.p[header.n - n - 1] == '\n')
                        buf_puts(out, str_from_at(header, header.n - n));
        }
}

void fetch_partial(const struct fetch_section *s, uint64_t *from, uint64_t *n)
{
        uint64_t skip = !s->partial ? 0 : s->from < *n ? s->from : *n;

        *from += skip;
        *n -= skip;
        if (s->partial && s->count < *n)
                *n = s->count;
}
