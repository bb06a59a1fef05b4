/* The grammar of RFC 9051 §9 over the cursor. A literal ends its line: reading it means asking for it, taking its bytes, and
 * going on in the line that follows; the cursor is then in that line. */
#include "base/codec.h"
#include "base/mem.h"
#include "mail/nfc.h"
#include "proto/imap/imap.h"
#include "proto/imap/utf7.h"

enum { LITERAL_MINUS_MOST = 4096, LINE_MOST = 64 * 1024, SKIP_SECONDS = 3600, LITERAL_SECONDS = 300 };

bool imap_end(struct session *s, struct scan *a)
{
        (void)s;
        scan_spaces(a);
        return scan_done(a);
}

void imap_sp(struct scan *a)
{
        scan_space(a);
}

static bool atom_char(unsigned char c)
{
        return c > ' ' && c < 127 && !strchr("(){%*\"\\]", c);
}

static bool astring_char(unsigned char c)
{
        return atom_char(c) || c == ']';
}

static bool list_char(unsigned char c)
{
        return astring_char(c) || c == '%' || c == '*' || c > 127;
}

struct str imap_atom(struct scan *a)
{
        return scan_while(a, atom_char);
}

/* --- literals --- */

/* {n}, {n+} (RFC 7888), {n-} never was; ~{n} (RFC 3516) */
bool imap_literal_head(struct scan *a, struct imap_literal *l)
{
        struct scan at = *a;

        *l = (struct imap_literal){ .binary = scan_try(&at, '~') };
        if (!scan_try(&at, '{'))
                return false;
        l->n = scan_number(&at, INT64_MAX);
        l->plus = scan_try(&at, '+');
        if (!scan_char(&at, '}') || (!scan_end(&at) && scan_peek(&at) != '\r')) {
                scan_fail(a, "a literal that cannot be read");
                return false;
        }
        *a = at;
        return true;
}

/* "{" digits "+}" of more than any number holds: there is no end that could be waited for. */
static bool endless(struct str tail)
{
        struct str digits;

        if (tail.n < 20 || !str_starts(tail, S("{")) || !str_ends(tail, S("+}")))
                return false;
        digits = str_sub(tail, 1, tail.n - 3);
        for (size_t i = 0; i < digits.n; i++)
                if (digits.p[i] < '0' || digits.p[i] > '9')
                        return false;
        return true;
}

/* Whatever becomes of the command: a literal that follows without being asked for must be passed over, never taken for commands. */
void imap_line_read(struct session *s, struct str line)
{
        struct imap *p = imap_of(s);
        size_t brace = str_rfind(line, '{');
        struct scan a = scan_of(str_from_at(line, brace == STR_NONE ? line.n : brace));

        p->line_open = imap_literal_head(&a, &p->open) && scan_done(&a);
        if (!p->line_open && brace != STR_NONE && endless(str_from_at(line, brace))) {
                p->open = (struct imap_literal){ .n = INT64_MAX, .plus = true };
                p->line_open = true;
        }
}

bool imap_line_lost(struct session *s, struct str line)
{
        if (!str_ends(line, S("+}")))
                return false;
        imap_say(s, "BYE that line is too long, and a literal follows it");
        s->ending = true;
        return true;
}

void imap_literal_go(struct session *s, const struct imap_literal *l)
{
        imap_of(s)->line_open = false;
        if (!l->plus && s->conn)
                conn_put(s->conn, S("+ OK\r\n"));
}

void imap_literal_done(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);
        nsec deadline = in_seconds(LITERAL_SECONDS);
        struct str line;
        enum got got;

        session_parking(s, false); /* inside a command; a bell is looked at after it */
        do {
                got = conn_line(s->conn, &line, LINE_MOST, deadline);
        } while (got == GOT_QUIET);
        session_parking(s, true);
        switch (got) {
        case GOT_BARE:
        case GOT_LINE:
                *a = scan_of(arena_str(&s->command, line));
                imap_line_read(s, a->s);
                p->literals += line.n; /* lines between empty literals are kept, too */
                if (p->literals > IMAP_LITERALS_MOST)
                        scan_fail(a, "[TOOBIG] the command is too long");
                return;
        case GOT_LONG:
                imap_line_lost(s, line);
                scan_fail(a, "the line is too long");
                return;
        default: conn_fail(s->conn); scan_fail(a, "the line ended");
        }
}

void imap_literal_skip(struct session *s, uint64_t n)
{
        nsec deadline = in_seconds(SKIP_SECONDS);

        while (n) {
                struct str piece = conn_some(s->conn, n < 65536 ? (size_t)n : 65536, deadline);

                if (!piece.n) {
                        conn_fail(s->conn);
                        return;
                }
                n -= piece.n;
        }
}

/* RFC 7888 §5: LITERAL-, which IMAP4rev2 includes */
bool imap_literal_allowed(struct session *s, struct scan *a, const struct imap_literal *l)
{
        if (!l->plus || imap_can(s, CAP_LITERAL_PLUS))
                return true;
        if (!imap_can_rev2(s, CAP_LITERAL_MINUS)) {
                scan_fail(a, "a literal has to be asked for");
                return false;
        }
        if (l->n <= LITERAL_MINUS_MOST)
                return true;
        scan_fail(a, "[TOOBIG] only literals up to 4096 octets may come unasked");
        return false;
}

/* As in a fuzzer's input: what follows stands in the same text. */
static struct str literal_inline(struct scan *a, const struct imap_literal *l)
{
        struct str v;

        scan_try(a, '\r');
        scan_try(a, '\n');
        v = str_sub(a->s, a->at, l->n < a->s.n ? (size_t)l->n : a->s.n);
        a->at += v.n;
        if (v.n < l->n)
                scan_fail(a, "a literal that is cut off");
        return v;
}

static struct str literal(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);
        size_t most = s->state & IMAP_STRANGER ? IMAP_STRANGER_MOST : IMAP_LITERALS_MOST;
        struct imap_literal l;
        char *room;
        size_t have = 0;

        if (!imap_literal_head(a, &l)) {
                scan_fail(a, "a string is missing");
                return S("");
        }
        if (!imap_literal_allowed(s, a, &l))
                return S("");
        if (p->literals > most || l.n > most - p->literals) {
                scan_fail(a, "[TOOBIG] the literals of this command are too long");
                return S("");
        }
        p->literals += (size_t)l.n;
        if (!s->conn)
                return literal_inline(a, &l);
        imap_literal_go(s, &l);
        if (s->running && s->running->needs & SECRET)
                conn_secret(s->conn, true);
        room = arena_alloc(&s->command, (size_t)l.n + 1);
        while (have < l.n) {
                struct str piece = conn_some(s->conn, (size_t)l.n - have, in_seconds(LITERAL_SECONDS));

                if (!piece.n) {
                        conn_fail(s->conn);
                        scan_fail(a, "the literal was cut off");
                        return S("");
                }
                mem_copy(room + have, (size_t)l.n - have, piece);
                have += piece.n;
        }
        imap_literal_done(s, a);
        conn_secret(s->conn, false);
        return str_from(room, (size_t)l.n);
}

/* --- strings --- */

/* RFC 9051 §4.3. 8-bit is taken as it comes: clients send it, and names and keys are checked where they are used. */
static struct str quoted(struct session *s, struct scan *a)
{
        size_t from, n = 0;
        char *out;
        struct str body;
        int c;

        scan_char(a, '"');
        from = a->at;
        while ((c = scan_peek(a)) >= 0 && c != '"') {
                a->at += c == '\\' && a->at + 1 < a->s.n ? 2 : 1;
                n++;
        }
        body = str_sub(a->s, from, a->at - from);
        if (!scan_char(a, '"'))
                return S("");
        if (n == body.n)
                return body;
        out = arena_alloc(&s->command, n + 1);
        n = 0;
        for (size_t i = 0; i < body.n; i++) {
                if (body.p[i] == '\\' && i + 1 < body.n)
                        i++;
                out[n++] = body.p[i];
        }
        return str_from(out, n);
}

struct str imap_string(struct session *s, struct scan *a)
{
        return scan_peek(a) == '"' ? quoted(s, a) : literal(s, a);
}

static struct str string_or(struct session *s, struct scan *a, bool (*in)(unsigned char c))
{
        int c = scan_peek(a);

        if (c == '"' || c == '{' || c == '~')
                return c == '~' && !strchr("{", a->at + 1 < a->s.n ? a->s.p[a->at + 1] : 'x')
                           ? scan_while(a, in)
                           : imap_string(s, a);
        return scan_while(a, in);
}

struct str imap_astring(struct session *s, struct scan *a)
{
        return string_or(s, a, astring_char);
}

struct str imap_nstring(struct session *s, struct scan *a)
{
        int c = scan_peek(a);

        if (c == '"' || c == '{' || c == '~')
                return imap_string(s, a);
        scan_word(a, S("NIL"));
        return (struct str){ NULL, 0 };
}

/* --- mailbox names --- */

static struct str decoded(struct session *s, struct scan *a, struct str name)
{
        struct str utf8 = name;

        if (a->bad)
                return S("");
        if (!(imap_mode(s) & MODE_UTF8) && ascii_only(name)) {
                if (!utf7_decode(&s->command, name, &utf8))
                        scan_fail(a, "[CANNOT] that name is not modified UTF-7");
        } else if (!utf8_valid(name)) {
                scan_fail(a, "[CANNOT] that name is not UTF-8");
        }
        if (str_find(utf8, '\0') != STR_NONE)
                scan_fail(a, "[CANNOT] a name cannot hold NUL");
        return a->bad ? S("") : utf8;
}

/* INBOX in capitals, also as the first name of a path (RFC 9051 §5.1) */
static struct str with_inbox(struct session *s, struct str name)
{
        struct str rest = str_from_at(name, INBOX.n);

        if (!str_istarts(name, INBOX) || (rest.n && rest.p[0] != '/'))
                return name;
        return arena_printf(&s->command, "INBOX" PRS, STR(rest));
}

struct str imap_mailbox_given(struct session *s, struct scan *a)
{
        return with_inbox(s, decoded(s, a, imap_astring(s, a)));
}

struct str imap_composed(struct session *s, struct str name)
{
        return utf8_nfc(&s->command, name);
}

struct str imap_mailbox(struct session *s, struct scan *a)
{
        return imap_composed(s, imap_mailbox_given(s, a));
}

struct str imap_list_mailbox(struct session *s, struct scan *a)
{
        return imap_composed(s, decoded(s, a, string_or(s, a, list_char)));
}

/* --- numbers, dates, flags --- */

uint32_t imap_number(struct scan *a)
{
        return (uint32_t)scan_number(a, UINT32_MAX);
}

uint64_t imap_number64(struct scan *a)
{
        return scan_number(a, INT64_MAX);
}

uint32_t imap_nz_number(struct scan *a)
{
        uint32_t v = imap_number(a);

        if (!v && !a->bad)
                scan_fail(a, "numbers begin with 1");
        return v;
}

static int two_digits(struct scan *a)
{
        struct scan two = scan_of(str_sub(a->s, a->at, 2));
        int v = (int)scan_number(&two, 99);

        if (!scan_done(&two) || two.at != 2)
                scan_fail(a, "two digits are wanted");
        else
                a->at += 2;
        return v;
}

static int month(struct scan *a)
{
        static const char *const names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

        for (int i = 0; i < 12; i++)
                if (scan_try_word(a, str_of(names[i])))
                        return i + 1;
        scan_fail(a, "no such month");
        return 1;
}

static bool day_exists(int year, int m, int day)
{
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return day >= 1 && day <= days[m - 1] + (m == 2 && leap);
}

static void day_month_year(struct scan *a, int *year, int *m, int *day)
{
        size_t at;

        *day = (int)scan_number(a, 31);
        scan_char(a, '-');
        *m = month(a);
        scan_char(a, '-');
        at = a->at;
        *year = (int)scan_number(a, 9999);
        if (!a->bad && (a->at - at != 4 || !day_exists(*year, *m, *day)))
                scan_fail(a, "no such date");
}

bool imap_date(struct session *s, struct scan *a, int *year, int *m, int *day)
{
        bool in_quotes = scan_try(a, '"');

        (void)s;
        day_month_year(a, year, m, day);
        if (in_quotes)
                scan_char(a, '"');
        return !a->bad;
}

/* Days since 1970 of a date of the Gregorian calendar, by counting from March. */
static int64_t days_of(int year, int m, int day)
{
        int64_t y = year - (m <= 2), era = (y >= 0 ? y : y - 399) / 400;
        int64_t of_era = y - era * 400, of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + day - 1;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* " 1-Feb-1994 21:52:25 -0800" -- date-time */
int64_t imap_date_time(struct scan *a)
{
        int year, m, day, hour, minute, second, zone;
        bool west;

        scan_char(a, '"');
        scan_try(a, ' ');
        day_month_year(a, &year, &m, &day);
        scan_char(a, ' ');
        hour = two_digits(a);
        scan_char(a, ':');
        minute = two_digits(a);
        scan_char(a, ':');
        second = two_digits(a);
        scan_char(a, ' ');
        west = scan_try(a, '-');
        if (!west)
                scan_char(a, '+');
        zone = two_digits(a) * 60;
        zone += two_digits(a);
        scan_char(a, '"');
        if (!a->bad && (hour > 23 || minute > 59 || second > 60 || zone > 1439))
                scan_fail(a, "no such time");
        if (a->bad)
                return 0;
        return ((days_of(year, m, day) * 24 + hour) * 60 + minute - (west ? -zone : zone)) * 60000000LL +
               second * 1000000LL;
}

static void one_flag(struct session *s, struct scan *a, struct imap_flags *f)
{
        static const struct str system[] = { S("\\Seen"), S("\\Answered"), S("\\Flagged"), S("\\Deleted"),
                                             S("\\Draft") };
        struct str name;

        if (scan_peek(a) == '\\') {
                for (unsigned i = 0; i < sizeof(system) / sizeof(*system); i++)
                        if (scan_try_word(a, system[i])) {
                                f->system |= 1u << i;
                                return;
                        }
                if (!scan_try_word(a, S("\\Recent"))) /* nobody can set it (RFC 3501 §2.3.2): passed over */
                        scan_fail(a, "no such system flag");
                return;
        }
        name = imap_atom(a);
        if (name.n > KEYWORD_NAME_MOST)
                scan_fail(a, "[LIMIT] a keyword of more than 100 octets");
        for (unsigned i = 0; i < f->n; i++)
                if (str_ieq(f->keywords[i], name))
                        return;
        if (f->n == 64) {
                scan_fail(a, "[LIMIT] too many flags");
                return;
        }
        if (!f->keywords)
                f->keywords = arena_array(&s->command, struct str, 64);
        f->keywords[f->n++] = name;
}

static void flags_until(struct session *s, struct scan *a, char end, struct imap_flags *out)
{
        while (!a->bad && !scan_end(a) && scan_peek(a) != end) {
                one_flag(s, a, out);
                scan_spaces(a);
        }
}

void imap_flag_list(struct session *s, struct scan *a, struct imap_flags *out)
{
        *out = (struct imap_flags){ 0 };
        scan_char(a, '(');
        flags_until(s, a, ')', out);
        scan_char(a, ')');
}

void imap_flags(struct session *s, struct scan *a, struct imap_flags *out)
{
        if (scan_peek(a) == '(') {
                imap_flag_list(s, a, out);
                return;
        }
        *out = (struct imap_flags){ 0 };
        if (scan_end(a))
                scan_fail(a, "flags are missing");
        flags_until(s, a, '\0', out);
}
