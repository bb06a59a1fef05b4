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

enum { SAID_VERSION = 1, SAID_MODE = 2, SAID_AGE = 4 };

/* A field that stands once: of several the first counts (§3.2). */
static void single(struct str key, struct str value, struct sts_policy *out, unsigned *said, unsigned *good)
{
        unsigned what = str_eq(key, S("version"))   ? SAID_VERSION
                        : str_eq(key, S("mode"))    ? SAID_MODE
                        : str_eq(key, S("max_age")) ? SAID_AGE
                                                    : 0;
        bool fine = false;

        if (!what || *said & what)
                return;
        *said |= what;
        if (what == SAID_VERSION) {
                fine = str_eq(value, S("STSv1"));
        } else if (what == SAID_MODE) {
                out->enforce = str_eq(value, S("enforce"));
                out->testing = str_eq(value, S("testing"));
                fine = out->enforce || out->testing || str_eq(value, S("none"));
        } else {
                fine = str_u64(value, &out->max_age) && out->max_age > 0;
        }
        if (fine)
                *good |= what;
}

/* "key: value" lines; what is not known is passed over. */
bool sts_read(struct str text, struct arena *a, struct sts_policy *out)
{
        auto_buf struct buf patterns = { 0 };
        unsigned said = 0, good = 0;

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
                if (str_eq(key, S("mx")) && is_pattern(line))
                        buf_printf(&patterns, "%s" PRS, patterns.n ? " " : "", STR(line));
                else
                        single(key, line, out, &said, &good);
        }
        if (out->max_age > AGE_MOST)
                out->max_age = AGE_MOST;
        out->patterns = arena_str(a, buf_str(&patterns));
        return good == (SAID_VERSION | SAID_MODE | SAID_AGE) && !patterns.full &&
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

/* sts-id: 1*32(ALPHA / DIGIT) */
static bool is_id(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (!(chr_lower(s.p[i]) >= 'a' && chr_lower(s.p[i]) <= 'z') &&
                    !(s.p[i] >= '0' && s.p[i] <= '9'))
                        return false;
        return s.n > 0 && s.n <= 32;
}

/* "v=STSv1; id=20160831085700Z;" (§3.1) */
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
        return found == 1 && is_id(id) ? id : (struct str){ 0 };
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
