#include "base/codec.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/text_inside.h"

/* Its largest use: a value decoded (5 times its size), and the same with its addresses as people read them. */
#define VALUE_ARENA ((size_t)16 * TEXT_FIELD_MAX + ((size_t)ADDRESSES_MAX << 11))

static bool has_addresses(struct str name)
{
        static const struct str names[] = {
#define N(s) { s, sizeof s - 1 }
                N("from"),          N("to"),          N("cc"),        N("bcc"),       N("sender"),
                N("reply-to"),      N("resent-from"), N("resent-to"), N("resent-cc"), N("resent-bcc"),
                N("resent-sender"),
#undef N
        };

        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                if (str_ieq(names[i], name))
                        return true;
        return false;
}

/* "Name <local@domain>, ..." */
static void put_addresses(struct buf *out, struct arena *a, struct str raw)
{
        struct addresses list = addresses_of(raw);
        struct address who;
        bool first = true;

        while (!out->full && address_next(&list, a, &who)) {
                struct str name = word_decode(a, who.name);

                if (who.kind != ADDRESS_MAILBOX)
                        continue;
                if (!first)
                        buf_puts(out, S(", "));
                first = false;
                buf_puts(out, name);
                buf_puts(out, name.n ? S(" <") : S(""));
                buf_puts(out, address_write(a, who.local, who.domain));
                buf_puts(out, name.n ? S(">") : S(""));
        }
}

static void put_value(struct buf *out, struct arena *a, const struct field *f)
{
        struct str raw = str_sub(f->value, 0, TEXT_FIELD_MAX), decoded;
        struct buf shown auto_buf;

        buf_init(&shown, (size_t)4 * TEXT_FIELD_MAX);
        decoded = word_decode(a, raw);
        if (!ascii_only(decoded) && !utf8_valid(decoded))
                unlabelled_put(out, decoded);
        else
                buf_puts(out, decoded);
        if (!has_addresses(f->name))
                return;
        put_addresses(&shown, a, raw);
        if (str_search(decoded, buf_str(&shown)) == STR_NONE && buf_puts(out, S("\n")))
                buf_puts(out, buf_str(&shown));
}

bool text_header_fields(struct str header, text_field_fn *field, void *context)
{
        struct header h = header_of(header);
        struct buf value auto_buf;
        struct arena a auto_arena;
        struct field f;
        bool more = true;

        buf_init(&value, (size_t)16 * TEXT_FIELD_MAX);
        arena_init(&a, VALUE_ARENA);
        while (more && header_next(&h, &f)) {
                buf_clear(&value);
                put_value(&value, &a, &f);
                more = field(context, f.name, buf_str(&value));
                arena_reset(&a);
        }
        return more;
}

void text_fields(const struct mime *m, struct str letter, text_field_fn *field, void *context)
{
        struct arena a auto_arena;
        struct str name;
        bool more = m->count > 0;

        arena_init(&a, VALUE_ARENA);
        if (more)
                more = text_header_fields(str_sub(letter, 0, m->parts[0].body), field, context);
        for (uint32_t i = 0; i < m->count && more; i++) {
                name = mime_filename(m, &m->parts[i], &a);
                if (name.n)
                        more = field(context, S(""), name);
                arena_reset(&a);
        }
}
