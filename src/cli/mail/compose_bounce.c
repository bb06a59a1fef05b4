#include "cli/mail/compose_inside.h"
#include "base/time.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/write.h"

#include <errno.h>
#include <time.h>

static void put_date(struct buf *out)
{
        time_t at = (time_t)(wall_usec() / 1000000);
        struct tm tm;

        localtime_r(&at, &tm);
        buf_puts(out, S("Resent-Date: "));
        date_put(out, at, (int)(tm.tm_gmtoff / 60));
        buf_puts(out, S("\r\n"));
}

static void put_unique(struct draft *d, const struct login *l, struct buf *out)
{
        size_t sign = str_rfind(str_of(l->address), '@');

        buf_printf(out, "Resent-Message-ID: <%s@" PRS ">\r\n", d->unique,
                   STR(sign == STR_NONE ? S("localhost") : str_from_at(str_of(l->address), sign + 1)));
}

/* Return-Path is written where a letter ends its way (RFC 5321 §4.4); Bcc would tell whom its writer did not name. */
static void put_letter(struct str raw, struct buf *out)
{
        struct header h = header_of(raw);
        struct field f;
        size_t end = 0;

        while (header_next(&h, &f)) {
                if (!str_ieq(f.name, S("Return-Path")) && !str_ieq(f.name, S("Bcc")))
                        buf_puts(out, str_sub(raw, f.at, f.end - f.at));
                end = f.end;
        }
        if (!end)
                buf_puts(out, S("\r\n")); /* no header: all is text */
        buf_puts(out, str_from_at(raw, end));
}

int compose_bounce(struct draft *d, const struct login *l, const struct letter *of, struct str to,
                   struct buf *message, struct buf *normal, struct buf *why)
{
        struct arena auto_arena a;

        arena_init(&a, 4 << 20);
        put_date(message);
        if (!write_addresses(message, S("Resent-From"), head_get(d, "From", &a), &a, NULL, why) ||
            !write_addresses(message, S("Resent-To"), to, &a, normal, why))
                return -EINVAL;
        if (!normal->n) {
                buf_puts(why, S("nobody is named"));
                return -EINVAL;
        }
        put_unique(d, l, message);
        put_letter(buf_str(&of->raw), message);
        return message->full ? -EFBIG : 0;
}
