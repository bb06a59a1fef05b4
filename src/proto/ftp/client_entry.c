/* One line of a listing, of whatever kind the server speaks. */
#include "base/scan.h"
#include "proto/ftp/client_inside.h"
#include "proto/ftp/time.h"
#include <stdio.h>

enum { NAME_MOST = 255 };

bool ftp_name_safe(struct str name)
{
        if (!name.n || name.n > NAME_MOST || str_eq(name, S(".")) || str_eq(name, S("..")))
                return false;
        return !str_has_control(name) && str_find(name, '/') == STR_NONE && str_find(name, '\0') == STR_NONE;
}

static bool dots(struct str name)
{
        return !name.n || str_eq(name, S(".")) || str_eq(name, S(".."));
}

static void empty(struct ftp_entry *e)
{
        *e = (struct ftp_entry){
                .kind = FTP_ENTRY_OTHER, .size = UINT64_MAX, .modified = INT64_MIN, .mode = -1
        };
}

static bool octal(struct str s, int *mode)
{
        int v = 0;

        if (!s.n || s.n > 6)
                return false;
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] < '0' || s.p[i] > '7')
                        return false;
                v = v * 8 + (s.p[i] - '0');
        }
        *mode = v & 07777;
        return true;
}

/* ---- MLSD ---- */

static bool take_type(struct ftp_entry *e, struct str value, struct arena *a)
{
        static const char *const links[] = { "OS.unix=slink", "OS.unix=symlink" };

        if (str_ieq(value, S("cdir")) || str_ieq(value, S("pdir")))
                return false;
        if (str_ieq(value, S("file")))
                e->kind = FTP_ENTRY_FILE;
        else if (str_ieq(value, S("dir")))
                e->kind = FTP_ENTRY_FOLDER;
        for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
                struct str link = str_of(links[i]);

                if (!str_istarts(value, link))
                        continue;
                e->kind = FTP_ENTRY_LINK;
                if (value.n > link.n + 1 && value.p[link.n] == ':')
                        e->target = arena_str(a, str_from_at(value, link.n + 1));
        }
        return true;
}

static bool take_fact(struct ftp_entry *e, struct str name, struct str value, struct arena *a)
{
        int64_t usec;

        if (str_ieq(name, S("type")))
                return take_type(e, value, a);
        if (str_ieq(name, S("size")) || str_ieq(name, S("sizd"))) {
                if (!str_u64(value, &e->size))
                        e->size = UINT64_MAX;
        } else if (str_ieq(name, S("modify"))) {
                e->modified_exact = ftp_time_parse(value, &usec);
                if (e->modified_exact)
                        e->modified = usec / 1000000;
        } else if (str_ieq(name, S("UNIX.mode"))) {
                octal(value, &e->mode);
        } else if (str_ieq(name, S("perm")) && !str_has_control(value)) {
                snprintf(e->perm, sizeof(e->perm), PRS, STR(value));
        }
        return true;
}

/* entry = [ facts ] SP pathname; facts = 1*( fact "=" value ";" ) -- RFC 3659 §7.2 */
bool ftp_entry_of_facts(struct str line, struct arena *a, struct ftp_entry *out)
{
        size_t space = str_find(line, ' ');
        struct str facts = str_sub(line, 0, space == STR_NONE ? 0 : space), fact, name;

        empty(out);
        if (space == STR_NONE || (facts.n && facts.p[facts.n - 1] != ';'))
                return false;
        out->name = str_from_at(line, space + 1);
        if (dots(out->name))
                return false;
        while (facts.n) {
                str_cut(&facts, ';', &fact);
                if (!str_cut(&fact, '=', &name))
                        return false;
                if (!take_fact(out, name, fact, a))
                        return false;
        }
        out->name = arena_str(a, out->name);
        return true;
}

/* ---- dates without a calendar at hand ---- */

static bool moment(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                   int64_t *seconds)
{
        char text[32];
        int64_t usec;

        snprintf(text, sizeof(text), "%04u%02u%02u%02u%02u00", year, month, day, hour, minute);
        if (!ftp_time_parse(str_of(text), &usec))
                return false;
        *seconds = usec / 1000000;
        return true;
}

static unsigned year_of(int64_t seconds)
{
        struct ftp_day d = { 0 };

        ftp_day_set(&d, seconds / 86400);
        return d.year;
}

/* No year is told: the last one in which that is not in the future; a day more, for the server's clock and zone. */
static bool recent(int64_t now, unsigned month, unsigned day, unsigned hour, unsigned minute,
                   int64_t *seconds)
{
        unsigned year = year_of(now + 86400);

        for (unsigned back = 0; back < 5 && year > back; back++) /* five: the 29th of February */
                if (moment(year - back, month, day, hour, minute, seconds) && *seconds <= now + 86400)
                        return true;
        return false;
}

static unsigned month_of(struct str word)
{
        static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

        for (unsigned i = 0; word.n == 3 && i < 12; i++)
                if (str_ieq(word, str_from(names + 3 * i, 3)))
                        return i + 1;
        return 0;
}

static bool number(struct str s, unsigned most, unsigned *out)
{
        uint64_t v;

        if (!str_u64(s, &v) || v > most)
                return false;
        *out = (unsigned)v;
        return true;
}

static bool clock_of(struct str word, unsigned *hour, unsigned *minute)
{
        struct str h;

        return str_cut(&word, ':', &h) && h.n <= 2 && word.n == 2 && number(h, 23, hour) &&
               number(word, 59, minute);
}

/* ---- EPLF: "+i8388621.29609,m824255902,/,<tab>name" ---- */

static bool of_eplf(struct str line, struct arena *a, struct ftp_entry *e)
{
        struct str facts, fact;
        uint64_t v;

        line = str_from_at(line, 1);
        if (!str_cut(&line, '\t', &facts) || dots(line))
                return false;
        while (facts.n) {
                str_cut(&facts, ',', &fact);
                if (!fact.n)
                        continue;
                switch (fact.p[0]) {
                case '/': e->kind = FTP_ENTRY_FOLDER; break;
                case 'r': e->kind = FTP_ENTRY_FILE; break;
                case 's':
                        if (str_u64(str_from_at(fact, 1), &v))
                                e->size = v;
                        break;
                case 'm':
                        if (str_u64(str_from_at(fact, 1), &v) && v < INT32_MAX * 100LL) {
                                e->modified = (int64_t)v;
                                e->modified_exact = true;
                        }
                        break;
                case 'u':
                        if (fact.n > 2 && fact.p[1] == 'p')
                                octal(str_from_at(fact, 2), &e->mode);
                        break;
                default: break;
                }
        }
        e->name = arena_str(a, line);
        return true;
}

/* ---- DOS: "04-27-2000  09:09PM  <DIR>  name", "... 1234 name" ---- */

static bool dos_date(struct str date, struct str time, int64_t *seconds)
{
        unsigned month, day, year, hour, minute;
        bool afternoon = str_ends(time, S("PM")) || str_ends(time, S("pm")),
             morning = str_ends(time, S("AM")) || str_ends(time, S("am"));

        if ((date.n != 8 && date.n != 10) || date.p[2] != '-' || date.p[5] != '-' ||
            !number(str_sub(date, 0, 2), 12, &month) || !number(str_sub(date, 3, 2), 31, &day) ||
            !number(str_from_at(date, 6), 9999, &year))
                return false;
        if (date.n == 8)
                year += year < 70 ? 2000 : 1900;
        if (!clock_of(str_sub(time, 0, time.n - (afternoon || morning ? 2 : 0)), &hour, &minute))
                return false;
        if ((afternoon || morning) && (hour > 12 || !hour))
                return false;
        if (afternoon || morning)
                hour = hour % 12 + (afternoon ? 12 : 0);
        return moment(year, month, day, hour, minute, seconds);
}

static bool of_dos(struct str line, struct arena *a, struct ftp_entry *e)
{
        struct scan s = scan_of(line);
        struct str date = scan_token(&s), time, what;

        scan_space(&s);
        time = scan_token(&s);
        scan_space(&s);
        what = scan_token(&s);
        scan_char(&s, ' ');
        if (s.bad || time.n < 2 || !dos_date(date, time, &e->modified))
                return false;
        if (str_ieq(what, S("<DIR>")) || str_ieq(what, S("<JUNCTION>")) || str_ieq(what, S("<SYMLINKD>"))) {
                e->kind = FTP_ENTRY_FOLDER;
                scan_spaces(&s);
        } else if (str_ieq(what, S("<SYMLINK>"))) {
                e->kind = FTP_ENTRY_LINK;
                scan_spaces(&s);
        } else if (str_u64(what, &e->size)) {
                e->kind = FTP_ENTRY_FILE;
        } else {
                return false;
        }
        e->name = scan_rest(&s);
        if (dots(e->name))
                return false;
        e->name = arena_str(a, e->name);
        return true;
}

/* ---- Unix: "-rw-r--r--   1 owner  group  1234 Sep  2  1996 name" ---- */

static bool unix_mode(struct str word, struct ftp_entry *e)
{
        static const char places[] = "rwxrwxrwx";
        int mode = 0;

        if (word.n < 10)
                return false;
        for (size_t i = 0; i < 9; i++) {
                char c = word.p[i + 1];
                bool special =
                    i % 3 == 2 && (c == 's' || c == 'S' || c == 't' || c == 'T' || c == 'l' || c == 'L');

                if (c != '-' && c != places[i] && !special)
                        return false;
                if (c == places[i] || c == 's' || c == 't')
                        mode |= 0400 >> i;
                if (special)
                        mode |= 04000 >> (i / 3);
        }
        e->mode = mode;
        return true;
}

static bool unix_kind(char c, struct ftp_entry *e)
{
        switch (c) {
        case '-': e->kind = FTP_ENTRY_FILE; return true;
        case 'd': e->kind = FTP_ENTRY_FOLDER; return true;
        case 'l': e->kind = FTP_ENTRY_LINK; return true;
        case 'b':
        case 'c':
        case 'p':
        case 's':
        case 'D': return true;
        default: return false;
        }
}

/* At a word: "Sep  2  1996", "Sep  2 10:15", "2 Sep 10:15", "1996-09-02 10:15", and one space. What stands behind is the name. */
static bool unix_date(struct scan *at, int64_t now, int64_t *seconds)
{
        struct scan s = *at;
        struct str first = scan_token(&s), second, third;
        unsigned month, day = 0, year, hour = 0, minute = 0;
        bool good;

        scan_space(&s);
        second = scan_token(&s);
        if (first.n == 10 && first.p[4] == '-' && first.p[7] == '-') {
                good = number(str_sub(first, 0, 4), 9999, &year) &&
                       number(str_sub(first, 5, 2), 12, &month) && number(str_sub(first, 8, 2), 31, &day) &&
                       clock_of(second, &hour, &minute) && moment(year, month, day, hour, minute, seconds);
        } else {
                month = month_of(first);
                if (month)
                        good = number(second, 31, &day);
                else
                        good = (month = month_of(second)) && number(first, 31, &day);
                scan_space(&s);
                third = scan_token(&s);
                if (good && clock_of(third, &hour, &minute))
                        good = recent(now, month, day, hour, minute, seconds);
                else
                        good = good && third.n == 4 && number(third, 9999, &year) &&
                               moment(year, month, day, 0, 0, seconds);
        }
        good = good && scan_try(&s, ' ') && !s.bad;
        if (good)
                *at = s;
        return good;
}

static bool of_unix(struct str line, int64_t now, struct arena *a, struct ftp_entry *e)
{
        struct scan s = scan_of(line);
        struct str word = scan_token(&s), last = S("");
        size_t arrow;

        if (!unix_kind(line.p[0], e) ||
            (!unix_mode(word, e) && word.n != 1)) /* NetWare: "d [RWCE] owner ..." */
                return false;
        for (unsigned words = 1; words < 12; words++) {
                scan_spaces(&s);
                if (s.bad || scan_end(&s))
                        return false;
                if (words >= 3 && unix_date(&s, now, &e->modified))
                        break;
                last = scan_token(&s);
        }
        if (e->modified == INT64_MIN)
                return false;
        if (e->kind != FTP_ENTRY_OTHER && !str_u64(last, &e->size))
                return false;
        e->name = scan_rest(&s);
        arrow = e->kind == FTP_ENTRY_LINK ? str_search(e->name, S(" -> ")) : STR_NONE;
        if (arrow != STR_NONE) {
                e->target = arena_str(a, str_from_at(e->name, arrow + 4));
                e->name = str_sub(e->name, 0, arrow);
        }
        if (dots(e->name))
                return false;
        e->name = arena_str(a, e->name);
        return true;
}

bool ftp_entry_of_list(struct str line, int64_t now, struct arena *a, struct ftp_entry *out)
{
        empty(out);
        if (line.n < 3)
                return false;
        if (line.p[0] == '+')
                return of_eplf(line, a, out);
        if (line.p[0] >= '0' && line.p[0] <= '9')
                return of_dos(line, a, out);
        return of_unix(line, now, a, out);
}
