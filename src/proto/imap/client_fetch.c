/* FETCH (RFC 9051 §7.5.2, RFC 7162 §3.2): flags of many letters, and letters, whose bytes are handed on as they come. */
#include "base/mem.h"
#include "mail/date.h"
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include "store/account.h"
#include <errno.h>
#include <stdio.h>

struct fetching {
        struct imap_marks f;
        struct imap_client *c;
        /* what was asked for */
        uint32_t first, last;
        struct str set, near; /* letters: these; from where the last was found on */
        void (*each)(void *context, const struct imap_marks *f);
        void (*vanished)(void *context, uint32_t first, uint32_t last);
        void *context;
        const struct imap_take *take;
        uint32_t only;  /* the one uid that was asked for */
        uint32_t *late; /* letters whose bytes came before their uid */
        size_t late_n;
        bool nameless; /* this one's bytes did */
        bool bodied;
};

/* ---- a letter's facts ---- */

static uint64_t system_flag(struct str name)
{
        static const struct {
                const char *name;
                uint64_t flag;
        } flags[] = {
                { "\\Seen", FLAG_SEEN },       { "\\Answered", FLAG_ANSWERED }, { "\\Flagged", FLAG_FLAGGED },
                { "\\Deleted", FLAG_DELETED }, { "\\Draft", FLAG_DRAFT },
        };

        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
                if (str_ieq(name, str_of(flags[i].name)))
                        return flags[i].flag;
        return 0;
}

static bool plain(struct str word)
{
        for (size_t i = 0; i < word.n; i++)
                if (word.p[i] <= ' ' || word.p[i] >= 127)
                        return false;
        return word.n && word.n <= 250;
}

/* What begins with '\' and is not known, \Recent above all, is nobody's business. */
static void read_flags(struct imap_client *c, struct imap_marks *f)
{
        f->flags = 0;
        f->has_flags = true;
        buf_clear(&c->keywords);
        scan_char(&c->in, '(');
        while (!c->in.bad && !scan_try(&c->in, ')')) {
                struct str word = client_atom(c);

                scan_try(&c->in, ' ');
                if (str_starts(word, S("\\"))) {
                        f->flags |= system_flag(word);
                } else if (plain(word) && c->keywords.n + word.n + 1 < KEYWORDS_MOST) {
                        if (c->keywords.n)
                                buf_puts(&c->keywords, S(" "));
                        buf_puts(&c->keywords, word);
                }
        }
        f->keywords = buf_str(&c->keywords);
}

/* "17-Jul-1996 02:44:25 -0700": with blanks it is a letter's date. */
static int64_t read_date(struct imap_client *c)
{
        int64_t seconds = 0;
        unsigned dashes = 0;

        client_string(c, &c->text);
        for (size_t i = 0; i < c->text.n && dashes < 2; i++)
                if (c->text.p[i] == '-') {
                        c->text.p[i] = ' ';
                        dashes++;
                }
        return date_parse(str_trim(buf_str(&c->text)), &seconds, NULL) ? seconds : 0;
}

/* ---- a letter's bytes ---- */

/* They come in the set's order, as a rule. */
static bool in_set(struct fetching *x, uint32_t uid)
{
        struct str left = x->near, at = left;
        uint32_t first, last;
        bool bad = false;

        for (unsigned turn = 0; turn < 2; turn++, at = left = x->set)
                while (set_next(&left, &first, &last, &bad)) {
                        if (!first || !last || (uid >= first && uid <= last)) { /* '*' may be any */
                                x->near = at;
                                return true;
                        }
                        at = left;
                }
        return false;
}

static bool asked_for(struct fetching *x)
{
        x->bodied = true;
        if (!x->f.uid)
                x->f.uid = x->only;
        if (x->f.uid)
                return in_set(x, x->f.uid);
        x->nameless = true; /* to be asked for again, alone, when its uid is known */
        return false;
}

/* May its bytes be handed on? Once a callback has said no, to none. */
static bool begin(struct fetching *x, uint64_t n)
{
        struct imap_client *c = x->c;

        if (!asked_for(x) || c->result)
                return false;
        c->result = x->take->begin(x->take->context, &x->f, n);
        return !c->result;
}

static void stream(struct fetching *x, uint64_t n)
{
        const struct imap_take *take = x->take;
        struct imap_client *c = x->c;
        nsec window = 0;
        size_t came = 0;
        bool wanted = begin(x, n);

        while (n && wanted) {
                struct str piece = client_piece(c, n, &window, &came);

                if (!piece.n) {
                        scan_fail(&c->in, "cut off");
                        return;
                }
                n -= piece.n;
                c->result = take->piece(take->context, piece);
                wanted = !c->result;
        }
        if (wanted)
                c->result = take->end(take->context);
        client_pass(c, n);
}

/* Short ones may come quoted; NIL: there is none (RFC 9051 §7.5.2). */
static void hand_on(struct fetching *x)
{
        const struct imap_take *take = x->take;
        struct imap_client *c = x->c;
        auto_buf struct buf text = { 0 };

        buf_init(&text, LINE_MOST);
        client_string(c, &text);
        if (c->in.bad || !begin(x, text.n))
                return;
        if (text.n)
                c->result = take->piece(take->context, buf_str(&text));
        if (!c->result)
                c->result = take->end(take->context);
}

static void read_body(struct fetching *x, struct str name)
{
        struct imap_client *c = x->c;
        bool wanted = x->take && (x->take->header_only
                                      ? str_ieq(name, S("BODY[HEADER]")) || str_ieq(name, S("RFC822.HEADER"))
                                      : str_ieq(name, S("BODY[]")) || str_ieq(name, S("RFC822")));
        uint64_t n;

        scan_space(&c->in);
        if (!wanted)
                client_skip(c);
        else if (client_literal(c, &n))
                stream(x, n);
        else
                hand_on(x);
}

/* ---- the response ---- */

static void read_item(struct fetching *x)
{
        struct imap_client *c = x->c;
        struct str name = client_atom(c);

        if (str_ieq(name, S("UID"))) {
                scan_space(&c->in);
                x->f.uid = (uint32_t)scan_number(&c->in, UINT32_MAX);
        } else if (str_ieq(name, S("FLAGS"))) {
                scan_space(&c->in);
                read_flags(c, &x->f);
        } else if (str_ieq(name, S("MODSEQ"))) {
                scan_word(&c->in, S(" ("));
                x->f.modseq = scan_number(&c->in, INT64_MAX);
                scan_char(&c->in, ')');
        } else if (str_ieq(name, S("RFC822.SIZE"))) {
                uint64_t n;

                scan_space(&c->in);
                n = scan_number(&c->in, INT64_MAX);
                x->f.size = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
        } else if (str_ieq(name, S("INTERNALDATE"))) {
                scan_space(&c->in);
                x->f.received = read_date(c);
        } else {
                read_body(x, name);
        }
}

static void read_vanished(struct fetching *x)
{
        struct imap_client *c = x->c;
        uint32_t first, last;
        struct str set;
        bool bad = false;

        scan_word(&c->in, S("(EARLIER) "));
        set = client_atom(c);
        while (set_next(&set, &first, &last, &bad)) {
                if (first < x->first)
                        first = x->first;
                if (last > x->last)
                        last = x->last;
                if (first && first <= last)
                        x->vanished(x->context, first, last);
        }
        if (bad)
                scan_fail(&c->in, "VANISHED");
}

static void remember_late(struct fetching *x)
{
        if (x->late_n % 64 == 0)
                x->late = mem_grow(x->late, x->late_n + 64, sizeof(*x->late));
        x->late[x->late_n++] = x->f.uid;
}

static bool heard_fetch(struct imap_client *c, void *context, uint32_t number, struct str word)
{
        struct fetching *x = context;

        (void)number;
        if (x->vanished && str_ieq(word, S("VANISHED")) && scan_peek(&c->in) == '(') {
                read_vanished(x);
                return true;
        }
        if (!str_ieq(word, S("FETCH")) && !str_ieq(word, S("UIDFETCH")))
                return false;
        x->f = (struct imap_marks){ .keywords = S(""), .uid = str_ieq(word, S("UIDFETCH")) ? number : 0 };
        x->nameless = x->bodied = false;
        scan_char(&c->in, '(');
        while (!c->in.bad && !scan_try(&c->in, ')')) {
                read_item(x);
                scan_try(&c->in, ' ');
        }
        if (c->in.bad)
                return true;
        if (x->each && x->f.has_flags && x->f.uid >= x->first && x->f.uid <= x->last && x->f.uid)
                x->each(x->context, &x->f);
        else if (!x->bodied)
                c->told = true;
        if (x->nameless && x->f.uid && in_set(x, x->f.uid) && x->late_n < 100000)
                remember_late(x);
        return true;
}

int imap_client_flags(struct imap_client *c, uint32_t first, uint32_t last, uint64_t since, bool facts,
                      void (*each)(void *context, const struct imap_marks *f),
                      void (*vanished)(void *context, uint32_t first, uint32_t last), void *context,
                      struct imap_answer *answer)
{
        struct fetching x = { .c = c, .first = first, .last = last, .each = each, .context = context };
        struct client_ask ask = { .context = &x, .hear = heard_fetch };
        char changed[80] = "", range[32];

        if (!first || first > last)
                return client_ours(answer, -EINVAL, "that is no range of uids");
        if (since && c->offers & IMAP_HAS_CONDSTORE && c->now.highest) {
                bool gone = c->qresync && vanished;

                x.vanished = gone ? vanished : NULL;
                snprintf(changed, sizeof(changed), " (CHANGEDSINCE %llu%s)", (unsigned long long)since,
                         gone ? " VANISHED" : "");
        }
        if (last == UINT32_MAX)
                snprintf(range, sizeof(range), "%u:*", first);
        else
                snprintf(range, sizeof(range), "%u:%u", first, last);
        return client_command(c, &ask, answer, "UID FETCH %s (UID FLAGS%s%s)%s", range,
                              facts ? " INTERNALDATE RFC822.SIZE" : "", c->now.highest ? " MODSEQ" : "",
                              changed);
}

/* ---- letters ---- */

static int put_fetch(struct imap_client *c, void *context, struct str part)
{
        const struct fetching *x = context;

        conn_printf(c->conn, "UID FETCH " PRS " (UID FLAGS INTERNALDATE BODY.PEEK[%s])", STR(part),
                    x->take->header_only ? "HEADER" : "");
        return 0;
}

int imap_client_letters(struct imap_client *c, const char *set, const struct imap_take *take,
                        struct imap_answer *answer)
{
        struct fetching x = { .c = c, .take = take, .set = str_of(set), .near = str_of(set) };
        struct client_ask ask = { .context = &x, .hear = heard_fetch };
        uint64_t only;
        int rc;

        if (str_u64(x.set, &only) && only <= UINT32_MAX)
                x.only = (uint32_t)only;
        rc = client_by_parts(c, set, &ask, answer, put_fetch, &x);
        for (size_t i = 0; i < x.late_n && rc == 0; i++) {
                char one[16];

                x.only = x.late[i];
                snprintf(one, sizeof(one), "%u", x.only);
                x.set = x.near = str_of(one);
                rc = client_by_parts(c, one, &ask, answer, put_fetch, &x);
        }
        mem_free(x.late);
        return rc;
}
