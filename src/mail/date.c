#include "mail/date.h"
#include "mail/header.h"

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
enum { DAY = 24 * 60 * 60, MAX_OFFSET = 24 * 60 - 1 };

/* Days from 1970-01-01 to a date of the Gregorian calendar. The year begins in March here, so that the leap day is its
 * last; an era is 400 years of 146,097 days. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
        int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

        return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* The reverse, for years above 0. */
static void date_of(int64_t n, int *year, int *month, int *day)
{
        int64_t z = n + 719468, era = z / 146097, in_era = z % 146097;
        int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
        int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
        int64_t m = (5 * in_year + 2) / 153;

        *day = (int)(in_year - (153 * m + 2) / 5 + 1);
        *month = (int)(m < 10 ? m + 3 : m - 9);
        *year = (int)(era * 400 + y + (*month < 3));
}

bool date_put(struct buf *out, int64_t seconds, int offset)
{
        int64_t first = days_of(1, 1, 2) * DAY, last = days_of(9999, 12, 31) * DAY - 1, local, n;
        int year, month, day, left;

        offset = offset < -MAX_OFFSET ? -MAX_OFFSET : offset > MAX_OFFSET ? MAX_OFFSET : offset;
        seconds = seconds < first ? first : seconds > last ? last : seconds;
        local = seconds + offset * 60;
        n = local >= 0 ? local / DAY : -((DAY - 1 - local) / DAY);
        left = (int)(local - n * DAY);
        date_of(n, &year, &month, &day);
        return buf_printf(out, "%.3s, %d %.3s %04d %02d:%02d:%02d %c%02d%02d", days + ((n % 7 + 11) % 7) * 3,
                          day, months + (month - 1) * 3, year, left / 3600, left / 60 % 60, left % 60,
                          offset < 0 ? '-' : '+', (offset < 0 ? -offset : offset) / 60,
                          (offset < 0 ? -offset : offset) % 60);
}

static bool try_char(struct str *s, char c)
{
        header_skip_cfws(s);
        if (!s->n || s->p[0] != c)
                return false;
        *s = str_from_at(*s, 1);
        return true;
}

static struct str letters(struct str *s)
{
        struct str got;
        size_t n = 0;

        header_skip_cfws(s);
        while (n < s->n && chr_lower(s->p[n]) >= 'a' && chr_lower(s->p[n]) <= 'z')
                n++;
        got = str_sub(*s, 0, n);
        *s = str_from_at(*s, n);
        return got;
}

/* A number of `least` to `most` digits, at most `max`; else -1. *digits gets how many there were. */
static int digits_of(struct str *s, size_t least, size_t most, int max, size_t *digits)
{
        size_t n = 0;
        int v = 0;

        header_skip_cfws(s);
        for (; n < s->n && n <= most && s->p[n] >= '0' && s->p[n] <= '9'; n++)
                v = v * 10 + (s->p[n] - '0');
        *s = str_from_at(*s, n);
        if (digits)
                *digits = n;
        return n < least || n > most || v > max ? -1 : v;
}

/* In minutes. Unknown names mean that nothing is known (RFC 5322 §4.3): UTC. */
static int zone(struct str *s, bool *bad)
{
        static const struct {
                char name[4];
                int hours;
        } names[] = { { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 },
                      { "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 } };
        bool minus = try_char(s, '-');
        struct str name;
        int v;

        if (minus || try_char(s, '+')) {
                v = digits_of(s, 4, 4, 2359, NULL);
                *bad = v < 0 || v % 100 > 59;
                v = v / 100 * 60 + v % 100;
                return *bad ? 0 : minus ? -v : v;
        }
        name = letters(s);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                if (str_ieq(name, str_of(names[i].name)))
                        return names[i].hours * 60;
        return 0;
}

static int month_of(struct str name)
{
        for (int i = 0; i < 12; i++)
                if (str_ieq(name, str_from(months + 3 * i, 3)))
                        return i + 1;
        return 0;
}

static int year_of(struct str *s)
{
        size_t n;
        int v = digits_of(s, 2, 4, 9999, &n);

        if (v < 0)
                return -1;
        return n == 2 && v < 50 ? 2000 + v : n < 4 ? 1900 + v : v;
}

/* date-time = [ day-name "," ] day month year hour ":" minute [ ":" second ] zone */
bool date_parse(struct str s, int64_t *seconds, int *offset)
{
        static const char lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        int day, month, year, hour, minute, second = 0, off;
        bool bad = false;

        if (letters(&s).n)
                try_char(&s, ',');
        day = digits_of(&s, 1, 2, 31, NULL);
        month = month_of(letters(&s));
        year = year_of(&s);
        hour = digits_of(&s, 1, 2, 23, NULL);
        bad = !try_char(&s, ':');
        minute = digits_of(&s, 1, 2, 59, NULL);
        if (try_char(&s, ':'))
                second = digits_of(&s, 1, 2, 60, NULL); /* a leap second */
        if (bad || !month || day < 1 || day > lengths[month - 1] || year < 1 || hour < 0 || minute < 0 ||
            second < 0)
                return false;
        if (month == 2 && day == 29 && (year % 4 || (year % 100 == 0 && year % 400)))
                return false;
        off = zone(&s, &bad);
        if (bad)
                return false;
        *seconds = days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second - (int64_t)off * 60;
        if (offset)
                *offset = off;
        return true;
}
