#include "proto/ftp/time.h"

enum { DAY_SECONDS = 86400 };
#define USEC            1000000LL
#define FIRST_DAY       (-719162LL) /* 1 January 1 */
#define LAST_DAY        2932896LL   /* 31 December 9999 */
#define DAYS_400_YEARS  146097
#define DAYS_TO_MARCH_0 719468 /* from 1 March 0 to 1970 */

/* The calendar counts from 1 March, so that leap days come last (Howard Hinnant's days_from_civil). */
static int64_t day_of(int64_t year, unsigned month, unsigned day)
{
        int64_t y = month <= 2 ? year - 1 : year, era = y / 400;
        unsigned of_era = (unsigned)(y - era * 400), shifted = month > 2 ? month - 3 : month + 9;
        unsigned of_year = (153 * shifted + 2) / 5 + day - 1;

        return era * DAYS_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_MARCH_0;
}

void ftp_day_set(struct ftp_day *d, int64_t number)
{
        int64_t n, era;
        unsigned of_era, year, of_year, shifted;

        number = number < FIRST_DAY ? FIRST_DAY : number > LAST_DAY ? LAST_DAY : number;
        if (d->number == number && d->day)
                return;
        n = number + DAYS_TO_MARCH_0;
        era = n / DAYS_400_YEARS;
        of_era = (unsigned)(n - era * DAYS_400_YEARS);
        year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        of_year = of_era - (365 * year + year / 4 - year / 100);
        shifted = (5 * of_year + 2) / 153;
        d->number = number;
        d->day = of_year - (153 * shifted + 2) / 5 + 1;
        d->month = shifted < 10 ? shifted + 3 : shifted - 9;
        d->year = (unsigned)(era * 400) + year + (d->month <= 2);
}

int64_t ftp_day_number(int64_t usec, unsigned *second_of_day)
{
        int64_t seconds = usec / USEC - (usec % USEC < 0), day = seconds / DAY_SECONDS;

        day -= seconds % DAY_SECONDS < 0;
        *second_of_day = (unsigned)(seconds - day * DAY_SECONDS);
        return day;
}

static unsigned digits(struct str s, size_t at, size_t n)
{
        unsigned v = 0;

        for (size_t i = at; i < at + n; i++)
                v = v * 10 + (unsigned)(s.p[i] - '0');
        return v;
}

static unsigned month_days(unsigned year, unsigned month)
{
        static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        return days[month - 1] + (month == 2 && leap);
}

static bool all_digits(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
        return s.n > 0;
}

bool ftp_time_parse(struct str s, int64_t *usec)
{
        struct str whole, fraction = s;
        unsigned year, month, day, hour, minute, second, unit = USEC / 10;
        bool has_fraction = str_cut(&fraction, '.', &whole);
        int64_t time;

        if (whole.n != 14 || !all_digits(whole) || (has_fraction && !all_digits(fraction)))
                return false;
        year = digits(whole, 0, 4);
        month = digits(whole, 4, 2);
        day = digits(whole, 6, 2);
        hour = digits(whole, 8, 2);
        minute = digits(whole, 10, 2);
        second = digits(whole, 12, 2);
        if (!year || !month || month > 12 || !day || day > month_days(year, month) || hour > 23 ||
            minute > 59 || second > 60)
                return false;
        time = (day_of(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second) * USEC;
        for (size_t i = 0; i < fraction.n && unit; i++, unit /= 10)
                time += digits(fraction, i, 1) * unit;
        *usec = time;
        return true;
}

static void put_digits(char *p, unsigned v, unsigned n)
{
        while (n--) {
                p[n] = (char)('0' + v % 10);
                v /= 10;
        }
}

void put_ftp_time(struct buf *b, int64_t usec)
{
        static struct ftp_day last; /* of no time but the one that it is asked for */
        unsigned second;
        int64_t day = ftp_day_number(usec, &second);
        char text[14];

        ftp_day_set(&last, day);
        put_digits(text, last.year, 4);
        put_digits(text + 4, last.month, 2);
        put_digits(text + 6, last.day, 2);
        put_digits(text + 8, second / 3600, 2);
        put_digits(text + 10, second / 60 % 60, 2);
        put_digits(text + 12, second % 60, 2);
        buf_puts(b, str_from(text, sizeof(text)));
}
