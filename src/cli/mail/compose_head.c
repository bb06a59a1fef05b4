/* The header of a draft, field by field. */
#include "cli/mail/compose.h"
#include "mail/header.h"

struct str head_get(const struct draft *d, const char *name, struct arena *a)
{
        struct field f;

        return header_find(buf_str(&d->head), str_of(name), &f) ? header_unfold(a, f.value) : S("");
}

/* From `at` to `end` with this in between. */
static void splice(struct draft *d, size_t at, size_t end, struct str text)
{
        struct buf auto_buf all = { 0 };

        buf_init(&all, d->head.max);
        buf_puts(&all, str_sub(buf_str(&d->head), 0, at));
        buf_puts(&all, text);
        buf_puts(&all, str_from_at(buf_str(&d->head), end));
        if (all.full)
                return; /* as it was */
        buf_clear(&d->head);
        buf_puts(&d->head, buf_str(&all));
}

void head_set(struct draft *d, const char *name, struct str value)
{
        bool stays = str_ieq(str_of(name), S("To")) || str_ieq(str_of(name), S("Subject"));
        struct buf auto_buf line = { 0 };
        struct field f;
        bool there = header_find(buf_str(&d->head), str_of(name), &f);

        buf_init(&line, d->head.max);
        if (value.n || stays)
                buf_printf(&line, "%s: " PRS "\n", name, STR(value));
        splice(d, there ? f.at : d->head.n, there ? f.end : d->head.n, buf_str(&line));
}

void head_add(struct draft *d, const char *name, struct str value)
{
        buf_printf(&d->head, "%s: " PRS "\n", name, STR(value));
}

bool head_drop(struct draft *d, const char *name, unsigned number)
{
        struct header h = header_of(buf_str(&d->head));
        struct field f;

        while (header_next(&h, &f))
                if (str_ieq(f.name, str_of(name)) && number-- == 0) {
                        splice(d, f.at, f.end, S(""));
                        return true;
                }
        return false;
}
