#include "proto/smtp/sts.h"
#include "base/codec.h"
#include "base/scan.h"

enum { PATTERNS_MOST = 64 * 1024, RECORD_MOST = 1024, AGE_MOST = 31557600 };

static bool is_pattern(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] <= ' ' || s.p[i] == 127)
                        return false;
        return s.n > 0;
}

/* "key: value" lines; what is not known is passed over. */
bool sts_read(struct str text, struct arena *a, struct sts_policy *out)
{
        auto_buf struct buf patterns = { 0 };
        bool version = false, mode = false;

        *out = (struct sts_policy){ 0 };
        buf_init(&patterns, PATTERNS_MOST);
        while (text.n) {
                struct str line, key;

                str_cut(&text, '\n', &line);
                if (str_ends(line, S("\r")))
                        line.n--;
                if (!str_cut(&line, ':', &key))
                        continue;
                key = str_trim(key);
                line = str_trim(line);
                if (str_eq(key, S("version"))) {
                        version = str_eq(line, S("STSv1"));
                } else if (str_eq(key, S("mode"))) {
                        out->enforce = str_eq(line, S("enforce"));
                        out->testing = str_eq(line, S("testing"));
                        mode = out->enforce || out->testing || str_eq(line, S("none"));
                } else if (str_eq(key, S("mx")) && is_pattern(line)) {
                        buf_printf(&patterns, "%s" PRS, patterns.n ? " " : "", STR(line));
                } else if (str_eq(key, S("max_age")) && !str_u64(line, &out->max_age)) {
                        out->max_age = 0;
                }
        }
        if (out->max_age > AGE_MOST)
                out->max_age = AGE_MOST;
        out->patterns = arena_str(a, buf_str(&patterns));
        return version && mode && out->max_age && !patterns.full &&
               (out->patterns.n || !(out->enforce || out->testing));
}

/* A record is strings of up to 255 bytes, which belong together. */
static struct str joined(struct str record, struct buf *out)
{
        buf_clear(out);
        while (record.n) {
                size_t n = (unsigned char)record.p[0];

                buf_puts(out, str_sub(record, 1, n));
                record = str_from_at(record, 1 + n);
        }
        return out->full ? S("") : buf_str(out);
}

/* "v=STSv1; id=20160831085700Z;" */
struct str sts_id(const struct str *records, unsigned n, struct arena *a)
{
        auto_buf struct buf room = { 0 };
        struct str id = { 0 };
        unsigned found = 0;

        buf_init(&room, RECORD_MOST);
        for (unsigned i = 0; i < n; i++) {
                struct str text = joined(records[i], &room), field, key;

                str_cut(&text, ';', &field);
                if (!str_eq(str_trim(field), S("v=STSv1")))
                        continue;
                found++;
                while (text.n) {
                        str_cut(&text, ';', &field);
                        if (str_cut(&field, '=', &key) && str_eq(str_trim(key), S("id")))
                                id = arena_str(a, str_trim(field));
                }
        }
        return found == 1 && id.n ? id : (struct str){ 0 };
}

/* "*.example.org" stands for one label (§4.1). */
bool sts_allows(struct str patterns, struct str host)
{
        size_t dot = str_find(host, '.');
        struct str pattern;

        while (patterns.n) {
                str_cut(&patterns, ' ', &pattern);
                if (str_ieq(pattern, host))
                        return true;
                if (str_starts(pattern, S("*.")) && dot != STR_NONE && dot &&
                    str_ieq(str_from_at(pattern, 1), str_from_at(host, dot)))
                        return true;
        }
        return false;
}
