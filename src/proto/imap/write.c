#include "base/codec.h"
#include "proto/imap/imap.h"
#include "proto/imap/utf7.h"

#include <time.h>

/* Can it stand between quotes? RFC 9051 §4.3; UTF-8 in quotes only where that was enabled (RFC 6855 §3). */
static bool quotable(struct str v, unsigned mode)
{
        bool eight = false;

        if (v.n > 1000) /* long ones are easier on clients as literals */
                return false;
        for (size_t i = 0; i < v.n; i++) {
                unsigned char c = (unsigned char)v.p[i];

                if (!c || c == '\r' || c == '\n')
                        return false;
                eight |= c > 127;
        }
        return !eight || (mode & MODE_UTF8 && utf8_valid(v));
}

void put_string(struct buf *b, struct str v, unsigned mode)
{
        size_t from = 0;

        if (!quotable(v, mode)) {
                buf_printf(b, "{%zu}\r\n", v.n);
                buf_puts(b, v);
                return;
        }
        buf_put(b, "\"", 1);
        for (size_t i = 0; i < v.n; i++) {
                if (v.p[i] != '"' && v.p[i] != '\\')
                        continue;
                buf_puts(b, str_sub(v, from, i - from));
                buf_put(b, "\\", 1);
                from = i;
        }
        buf_puts(b, str_from_at(v, from));
        buf_put(b, "\"", 1);
}

void put_nstring(struct buf *b, struct str v, unsigned mode)
{
        if (v.p)
                put_string(b, v, mode);
        else
                buf_puts(b, S("NIL"));
}

static bool is_atom(struct str v)
{
        for (size_t i = 0; i < v.n; i++) {
                unsigned char c = (unsigned char)v.p[i];

                if (c <= ' ' || c > 126 || strchr("(){%*\"\\]", c))
                        return false;
        }
        return v.n > 0 && v.n < 100 && !str_ieq(v, S("NIL"));
}

void put_astring(struct buf *b, struct str v, unsigned mode)
{
        if (is_atom(v))
                buf_puts(b, v);
        else
                put_string(b, v, mode);
}

void put_mailbox(struct buf *b, struct str name, unsigned mode)
{
        auto_buf struct buf encoded = { 0 };

        if (mode & MODE_UTF8 || (ascii_only(name) && str_find(name, '&') == STR_NONE)) {
                put_astring(b, name, mode);
                return;
        }
        buf_init(&encoded, 16384);
        utf7_put(&encoded, name);
        put_astring(b, buf_str(&encoded), mode);
}

void put_flags(struct buf *b, uint64_t flags, bool recent, const struct keyword_list *k)
{
        static const struct str names[] = { S("\\Seen"), S("\\Answered"), S("\\Flagged"), S("\\Deleted"),
                                            S("\\Draft") };
        const char *space = "";

        buf_put(b, "(", 1);
        for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
                if (!(flags >> i & 1))
                        continue;
                buf_put(b, space, *space != '\0');
                buf_puts(b, names[i]);
                space = " ";
        }
        if (recent) {
                buf_put(b, space, *space != '\0');
                buf_puts(b, S("\\Recent"));
                space = " ";
        }
        for (uint64_t rest = k ? flags & k->bits & ~(uint64_t)255 : 0; rest; rest &= rest - 1) {
                buf_put(b, space, *space != '\0');
                buf_puts(b, k->names[__builtin_ctzll(rest)]);
                space = " ";
        }
        buf_put(b, ")", 1);
}

void put_uids(struct buf *b, const struct uid_list *l)
{
        for (size_t i = 0; i < l->n; i++) {
                buf_printf(b, "%s%u", i ? "," : "", l->ranges[i].first);
                if (l->ranges[i].last > l->ranges[i].first)
                        buf_printf(b, ":%u", l->ranges[i].last);
        }
}

/* RFC 9051 §9, date-time: always in UTC, which every client turns into its own time. */
void put_date_time(struct buf *b, int64_t usec)
{
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        time_t seconds = (time_t)(usec / 1000000);
        struct tm t;

        gmtime_r(&seconds, &t);
        buf_printf(b, "\"%2d-%.3s-%04d %02d:%02d:%02d +0000\"", t.tm_mday, months + 3 * t.tm_mon,
                   t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}
