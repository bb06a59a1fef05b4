#include "cli/follow.h"
#include "base/scan.h"

enum { LISTS_MOST = 64 };

void follow_begin(struct follow *f, enum talk_protocol p)
{
        *f = (struct follow){ .protocol = p, .due = p != TALK_UNKNOWN, .wait = p != TALK_UNKNOWN };
}

void follow_tls(struct follow *f)
{
        f->tls_asked = false;
}

static struct str word(struct scan *a)
{
        scan_spaces(a);
        return scan_until(a, " \t");
}

/* ---- what is typed ---- */

/* The verbs whose rest is a secret: from the word with this number on (0 is the verb). */
static const struct {
        enum talk_protocol protocol;
        const char *verb;
        unsigned from;
} secrets[] = {
        { TALK_SMTP, "AUTH", 2 }, { TALK_POP3, "AUTH", 2 },  { TALK_POP3, "PASS", 1 },
        { TALK_POP3, "APOP", 2 }, { TALK_FTP, "PASS", 1 },   { TALK_FTP, "ACCT", 1 },
        { TALK_FTP, "ADAT", 1 },  { TALK_IMAP, "LOGIN", 2 }, { TALK_IMAP, "AUTHENTICATE", 2 },
};

/* IMAP quotes words. */
static void pass_word(struct scan *a)
{
        scan_spaces(a);
        if (scan_try(a, '"')) {
                while (!scan_end(a) && scan_peek(a) != '"')
                        a->at += scan_peek(a) == '\\' && a->at + 1 < a->s.n ? 2 : 1;
                scan_try(a, '"');
        } else {
                scan_until(a, " \t");
        }
}

/* "PASS", and "PASS=hungry" or "PASShungry", which are meant so: then a is set behind the verb. */
static bool is_verb(struct str word, const char *verb, struct scan *a)
{
        size_t n = strlen(verb);

        if (!str_istarts(word, str_of(verb)))
                return false;
        a->at -= word.n - n;
        return true;
}

/* a stands behind the verb. */
static size_t secret_from(enum talk_protocol p, struct str verb, struct scan a)
{
        for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++)
                if ((secrets[i].protocol == p || p == TALK_UNKNOWN) && is_verb(verb, secrets[i].verb, &a)) {
                        for (unsigned k = 1; k < secrets[i].from; k++)
                                pass_word(&a);
                        scan_spaces(&a);
                        return scan_end(&a) ? STR_NONE : a.at;
                }
        return STR_NONE;
}

/* What is no command, said behind a sign-in that was refused, is more of that: one word that is no verb. */
static bool leftover(const struct follow *f, struct str verb, bool alone)
{
        static const char *const verbs[] = { "QUIT", "RSET", "NOOP", "HELP", "STARTTLS", "STLS",   "CAPA",
                                             "AUTH", "EHLO", "HELO", "LHLO", "USER",     "LANG",   "UTF8",
                                             "STAT", "LIST", "UIDL", "DATA", "VRFY",     "EXPN",   "FEAT",
                                             "SYST", "PASV", "EPSV", "REIN", "LAST",     "XCLIENT" };

        for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
                if (str_ieq(verb, str_of(verbs[i])))
                        return false;
        return f->refused && alone && verb.n;
}

/* "{12}" or "{12+}" at the end: so many octets follow. */
static uint64_t literal(struct str line, bool *sync)
{
        size_t open = str_ends(line, S("}")) ? str_rfind(line, '{') : STR_NONE;
        struct str digits = open == STR_NONE ? S("") : str_sub(line, open + 1, line.n - open - 2);
        uint64_t n;

        *sync = !str_ends(digits, S("+"));
        if (!*sync)
                digits.n--;
        return str_u64(digits, &n) ? n : 0;
}

static void due(struct follow *f, bool list)
{
        if (f->due < LISTS_MOST && list)
                f->lists |= (uint64_t)1 << f->due;
        f->due++;
}

static void typed_imap(struct follow *f, struct str line, struct typed *out)
{
        struct scan a = scan_of(line);
        struct str verb;
        bool sync;

        if (f->idle) {
                f->idle = false;
                return;
        }
        if (!f->after_literal) {
                f->tag = str_hash(word(&a));
                verb = word(&a);
                if (str_ieq(verb, S("UID")))
                        verb = word(&a);
                if (!verb.n) {
                        out->shown = f->refused && line.n ? 0 : STR_NONE;
                        return;
                }
                f->bye = str_ieq(verb, S("LOGOUT"));
                due(f, false);
                out->shown = secret_from(TALK_IMAP, verb, a);
                f->auth = str_ieq(verb, S("AUTHENTICATE"));
                f->idle = str_ieq(verb, S("IDLE"));
                f->tls_asked = str_ieq(verb, S("STARTTLS"));
                f->wait = f->auth || f->idle || f->tls_asked;
                f->secret_octets = str_ieq(verb, S("LOGIN"));
                if (f->refused && verb.p[0] == '{') { /* a name, and the size of a password */
                        f->secret_octets = true;
                        out->shown = 0;
                }
        } else if (f->secret_octets) {
                out->shown = 0;
        }
        f->octets = literal(line, &sync);
        f->after_literal = f->octets > 0;
        if (f->octets && out->shown != STR_NONE && out->shown < line.n && line.p[out->shown] == '{')
                out->shown = STR_NONE; /* the size of a secret, not the secret */
        f->wait = f->wait || (f->octets && sync);
}

/* POP3: has it, said with that many words, an answer up to "."? */
static bool lists(struct str verb, bool argument)
{
        return str_ieq(verb, S("RETR")) || str_ieq(verb, S("TOP")) || str_ieq(verb, S("CAPA")) ||
               (!argument && (str_ieq(verb, S("LIST")) || str_ieq(verb, S("UIDL")) ||
                              str_ieq(verb, S("LANG")) || str_ieq(verb, S("AUTH"))));
}

static void typed_command(struct follow *f, struct str line, struct typed *out)
{
        struct scan a = scan_of(line);
        struct str verb = word(&a), argument;
        uint64_t n;

        out->shown = secret_from(f->protocol, verb, a);
        if (f->protocol == TALK_UNKNOWN) { /* behind a tag, too */
                argument = word(&a);
                if (out->shown == STR_NONE && argument.n)
                        out->shown = secret_from(TALK_IMAP, argument, a);
                return;
        }
        argument = word(&a);
        if (leftover(f, verb, !argument.n))
                out->shown = 0;
        f->bye = str_ieq(verb, S("QUIT"));
        due(f, f->protocol == TALK_POP3 && lists(verb, argument.n > 0));
        f->auth = str_ieq(verb, S("AUTH")) && f->protocol != TALK_FTP && argument.n;
        f->tls_asked = (f->protocol == TALK_SMTP && str_ieq(verb, S("STARTTLS"))) ||
                       (f->protocol == TALK_POP3 && str_ieq(verb, S("STLS"))) ||
                       (f->protocol == TALK_FTP && str_ieq(verb, S("AUTH")));
        f->wait = f->auth || f->tls_asked || (f->protocol == TALK_SMTP && str_ieq(verb, S("DATA")));
        if (f->protocol == TALK_SMTP && str_ieq(verb, S("BDAT")) && str_u64(argument, &n))
                f->octets = n;
}

void follow_typed(struct follow *f, struct str line, struct typed *out)
{
        *out = (struct typed){ .shown = STR_NONE };
        if (f->octets) {
                uint64_t size = line.n + 2;

                out->shown = f->secret_octets ? 0 : STR_NONE;
                if (f->octets >= size) {
                        f->octets -= size;
                        return;
                }
                line = str_from_at(line, (size_t)f->octets); /* the rest is of the command */
                f->octets = 0;
                if (f->protocol == TALK_IMAP) {
                        size_t shown = out->shown;

                        typed_imap(f, line, out);
                        out->shown = shown == 0 ? 0 : out->shown;
                        return;
                }
        }
        if (f->letter) {
                out->letter = true;
                if (!str_eq(line, S(".")))
                        return;
                f->letter = out->letter = false;
                due(f, false);
                return;
        }
        if (f->answer) {
                f->answer = false;
                out->shown = line.n && !str_eq(line, S("*")) ? 0 : STR_NONE;
                if (f->protocol != TALK_IMAP)
                        due(f, false);
                f->wait = true;
                return;
        }
        if (f->protocol == TALK_IMAP)
                typed_imap(f, line, out);
        else
                typed_command(f, line, out);
}

/* ---- what is heard ---- */

/* Who greets so. What says 220 is mostly SMTP; FTP servers tend to say that they are one. */
static enum talk_protocol guess(struct str line)
{
        if (str_istarts(line, S("+OK")))
                return TALK_POP3;
        if (str_istarts(line, S("* OK")) || str_istarts(line, S("* PREAUTH")) ||
            str_istarts(line, S("* BYE")))
                return TALK_IMAP;
        if (!str_starts(line, S("220")))
                return TALK_UNKNOWN;
        return str_search(line, S("FTP")) != STR_NONE && str_search(line, S("SMTP")) == STR_NONE ? TALK_FTP
                                                                                                 : TALK_SMTP;
}

static void answered(struct follow *f, struct heard *out)
{
        out->final = true;
        f->greeted = true;
        f->due -= f->due > 0;
        f->lists >>= 1;
        f->wait = f->wait && f->due;
        f->tls_asked = f->tls_asked && (f->due || out->handshake);
}

/* RFC 5321 §4.2.1, RFC 959 §4.2: in FTP lines between the first and the last may look like anything. */
static void heard_code(struct follow *f, struct str line, struct heard *out)
{
        unsigned code = 0;

        for (size_t i = 0; i < 3; i++) {
                if (i >= line.n || line.p[i] < '0' || line.p[i] > '9')
                        return;
                code = code * 10 + (unsigned)(line.p[i] - '0');
        }
        if (line.n > 3 && line.p[3] == '-') {
                f->multi = f->multi ? f->multi : code;
                return;
        }
        if ((line.n > 3 && line.p[3] != ' ') || (f->protocol == TALK_FTP && f->multi && f->multi != code))
                return;
        f->multi = 0;
        if (f->protocol == TALK_FTP && code < 200)
                return;
        out->handshake = f->tls_asked && f->due == 1 && code == (f->protocol == TALK_FTP ? 234U : 220U);
        answered(f, out);
        if (f->due) /* not the answer to what was said last */
                return;
        f->letter = f->protocol == TALK_SMTP && code == 354;
        if (f->auth)
                f->refused = code >= 400;
        f->answer = f->auth && code == 334;
        f->auth = f->answer;
}

static void heard_pop3(struct follow *f, struct str line, struct heard *out)
{
        if (f->multi) {
                if (!str_eq(line, S(".")))
                        return;
                f->multi = 0;
                answered(f, out);
        } else if (str_starts(line, S("+OK")) && f->lists & 1) {
                f->multi = 1;
        } else if (str_starts(line, S("+OK")) || str_starts(line, S("-ERR"))) {
                out->handshake = f->tls_asked && f->due == 1 && line.p[0] == '+';
                if (f->auth && f->due == 1)
                        f->refused = line.p[0] == '-';
                f->auth = f->auth && f->due > 1;
                answered(f, out);
        } else if (str_eq(line, S("+")) || str_starts(line, S("+ "))) {
                f->answer = f->auth;
                answered(f, out);
        }
}

static void heard_imap(struct follow *f, struct str line, struct heard *out)
{
        struct scan a = scan_of(line);
        struct str tag;
        bool sync;

        if (f->skip) {
                uint64_t size = line.n + 2;

                if (f->skip >= size) {
                        f->skip -= size;
                        return;
                }
                f->skip = literal(str_from_at(line, (size_t)f->skip), &sync);
                return;
        }
        f->skip = literal(line, &sync);
        tag = word(&a);
        if (str_eq(tag, S("+"))) {
                f->answer = f->auth;
                f->wait = false;
        } else if (!str_eq(tag, S("*")) || !f->greeted) {
                out->handshake = f->tls_asked && f->due == 1 && str_ieq(word(&a), S("OK")) && f->greeted;
                if (f->tag == str_hash(tag)) {
                        struct scan ahead = a;

                        if (f->auth || f->secret_octets)
                                f->refused = !str_ieq(word(&ahead), S("OK"));
                        f->auth = f->answer = f->idle = f->after_literal = false;
                        f->octets = 0; /* refused before it came */
                        f->wait = false;
                }
                answered(f, out);
        }
}

void follow_heard(struct follow *f, struct str line, struct heard *out)
{
        *out = (struct heard){ 0 };
        if (f->protocol == TALK_UNKNOWN && !f->greeted) {
                unsigned asked = f->due;

                f->greeted = true;
                f->protocol = guess(line);
                if (f->protocol == TALK_UNKNOWN)
                        return;
                f->greeted = false;
                f->due = asked + 1;
        }
        switch (f->protocol) {
        case TALK_SMTP:
        case TALK_FTP: heard_code(f, line, out); break;
        case TALK_POP3: heard_pop3(f, line, out); break;
        case TALK_IMAP: heard_imap(f, line, out); break;
        case TALK_UNKNOWN: break;
        }
}
