#include "base/codec.h"
#include "mail/header.h"
#include "proto/imap/search.h"

/* Search keys, RFC 9051 §6.4.4 and §9; RFC 3501 (NEW OLD RECENT), 5032 (OLDER YOUNGER), 6203 (FUZZY), 7162 (MODSEQ), 8474
 * (EMAILID THREADID), 8514 (SAVED...), 9738 (UIDAFTER UIDBEFORE). */

#define DAY_SECONDS ((int64_t)86400)
#define USEC        ((int64_t)1000000)

struct reading {
        struct session *s;
        struct scan *a;
        struct search_program *p;
        bool fuzzy; /* below a FUZZY */
};

enum argument { PLAIN, FLAG, UNFLAG, WORD, UNWORD, TEXT, FIELD, DATE_BEFORE, DATE_ON, DATE_SINCE, OTHER };

static struct search_key *one_key(struct reading *r, unsigned depth);

static struct search_key *new_key(struct reading *r, enum search_what what)
{
        struct search_key *k = arena_new(&r->s->command, struct search_key);

        k->what = what;
        k->cost = (uint8_t)what;
        k->fuzzy = r->fuzzy;
        if (++r->p->keys > SEARCH_KEYS_MOST)
                scan_fail(r->a, "[LIMIT] too many search keys");
        return k;
}

/* Days since 1970 (years as RFC 5322 has them). */
static int64_t day_number(int year, int month, int day)
{
        int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

        return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* --- text --- */

/* A string in the charset that was named; without one UTF-8, and what is not that as most programs mean it. */
static struct str decoded(struct reading *r, struct str s)
{
        struct str charset = r->p->charset.n ? r->p->charset : utf8_valid(s) ? S("utf-8") : S("windows-1252");
        struct str out = S("");

        if (s.n > SEARCH_TEXT_MOST) {
                scan_fail(r->a, "[LIMIT] that is too long to be looked for");
                return S("");
        }
        if (!charset_decode(&r->s->command, charset, s, &out))
                r->p->unknown = true;
        return out;
}

/* An empty text is in every letter, but where a field is meant it asks whether there is one (RFC 9051 §6.4.4, HEADER). */
static struct search_key *text_key(struct reading *r, enum search_field field, struct str name)
{
        struct search_key *k = new_key(r, field < SEARCH_BODY ? KEY_HEADER : KEY_TEXT);

        imap_sp(r->a);
        k->field = field;
        k->name = name;
        k->text = decoded(r, imap_astring(r->s, r->a));
        if (!k->text.n && field >= SEARCH_BODY) {
                k->what = KEY_ALL;
                k->cost = KEY_ALL;
                return k;
        }
        if (!k->text.n && field < SEARCH_HEADER) {
                static const struct str names[] = { [SEARCH_SUBJECT] = S("Subject"),
                                                    [SEARCH_FROM] = S("From"),
                                                    [SEARCH_TO] = S("To"),
                                                    [SEARCH_CC] = S("Cc"),
                                                    [SEARCH_BCC] = S("Bcc") };
                k->name = names[field];
                k->field = SEARCH_HEADER;
        }
        if (++r->p->texts > SEARCH_TEXTS_MOST)
                scan_fail(r->a, "[LIMIT] too many texts to look for");
        return k;
}

static struct search_key *header_key(struct reading *r, int64_t with)
{
        struct str name;

        (void)with;
        imap_sp(r->a);
        name = imap_astring(r->s, r->a);
        if (!r->a->bad && (!name.n || name.n > 998))
                scan_fail(r->a, "no field can have that name");
        return text_key(r, SEARCH_HEADER, name);
}

/* --- numbers --- */

static struct search_key *range_key(struct reading *r, enum search_what what, int64_t from, int64_t until)
{
        struct search_key *k = new_key(r, what);

        k->from = from;
        k->until = until;
        return k;
}

static struct search_key *date_key(struct reading *r, enum search_what what, enum argument how)
{
        int64_t unit = what == KEY_RECEIVED ? DAY_SECONDS * USEC : DAY_SECONDS, from;
        int year = 1970, month = 1, day = 1;

        imap_sp(r->a);
        imap_date(r->s, r->a, &year, &month, &day);
        from = day_number(year, month, day) * unit;
        switch (how) {
        case DATE_BEFORE: return range_key(r, what, INT64_MIN + 1, from);
        case DATE_ON: return range_key(r, what, from, from + unit);
        default: return range_key(r, what, from, INT64_MAX);
        }
}

static struct search_key *set_key(struct reading *r, enum search_what what)
{
        struct search_key *k = new_key(r, what);
        struct imap_set set = { 0 };

        imap_set(r->s, r->a, &set);
        k->ranges = set.ranges;
        k->n = set.n;
        if (set.saved) {
                k->what = KEY_SAVED;
                r->p->saved = true;
        } else if (what == KEY_SEQUENCE) {
                r->p->numbers = true;
        }
        return k;
}

static struct search_key *uid_key(struct reading *r, int64_t with)
{
        (void)with;
        imap_sp(r->a);
        return set_key(r, KEY_UID);
}

static struct search_key *one_range(struct reading *r, uint32_t first, uint32_t last)
{
        struct search_key *k = new_key(r, KEY_UID);

        k->ranges = arena_new(&r->s->command, struct uid_range);
        *k->ranges = (struct uid_range){ first, last };
        k->n = first <= last;
        return k;
}

/* RFC 9738 §3.2 */
static struct search_key *uidafter_key(struct reading *r, int64_t with)
{
        uint32_t uid;

        (void)with;
        imap_sp(r->a);
        uid = imap_nz_number(r->a);
        return uid == UINT32_MAX ? one_range(r, 1, 0) : one_range(r, uid + 1, UINT32_MAX);
}

static struct search_key *uidbefore_key(struct reading *r, int64_t with)
{
        uint32_t uid;

        (void)with;
        imap_sp(r->a);
        uid = imap_nz_number(r->a);
        return one_range(r, 1, uid ? uid - 1 : 0);
}

static struct search_key *larger_key(struct reading *r, int64_t with)
{
        int64_t n;

        (void)with;
        imap_sp(r->a);
        n = (int64_t)imap_number64(r->a);
        return range_key(r, KEY_SIZE, n < INT64_MAX ? n + 1 : n, INT64_MAX);
}

static struct search_key *smaller_key(struct reading *r, int64_t with)
{
        (void)with;
        imap_sp(r->a);
        return range_key(r, KEY_SIZE, 0, (int64_t)imap_number64(r->a));
}

/* RFC 5032 §2: OLDER n: received n seconds ago or before; YOUNGER n: since then. */
static struct search_key *within_key(struct reading *r, int64_t younger)
{
        int64_t then;

        imap_sp(r->a);
        then = wall_usec() - (int64_t)imap_nz_number(r->a) * USEC;
        r->p->passes = true;
        return younger ? range_key(r, KEY_RECEIVED, then, INT64_MAX)
                       : range_key(r, KEY_RECEIVED, INT64_MIN + 1, then + 1);
}

/* MODSEQ [entry-name SP entry-type-req SP] mod-sequence-valzer -- RFC 7162 §3.1.5. We keep one modseq a placement, so the
 * entry says nothing to us. */
static struct search_key *modseq_key(struct reading *r, int64_t with)
{
        (void)with;
        imap_sp(r->a);
        if (scan_peek(r->a) == '"') {
                imap_string(r->s, r->a);
                imap_sp(r->a);
                if (!scan_try_word(r->a, S("priv")) && !scan_try_word(r->a, S("shared")))
                        scan_word(r->a, S("all"));
                imap_sp(r->a);
        }
        r->p->modseq = true;
        return range_key(r, KEY_MODSEQ, (int64_t)imap_number64(r->a), INT64_MAX);
}

/* "M1f", "T1f" (RFC 8474 §4): ids that are not written as we write them are nobody's. */
static struct search_key *id_key(struct reading *r, enum search_what what, char letter)
{
        uint64_t v = 0;
        struct str id;
        size_t i;

        imap_sp(r->a);
        id = imap_astring(r->s, r->a);
        for (i = 1; i < id.n && i < 9; i++) {
                char c = id.p[i];

                if (c >= '0' && c <= '9')
                        v = v << 4 | (uint64_t)(c - '0');
                else if (c >= 'a' && c <= 'f')
                        v = v << 4 | (uint64_t)(c - 'a' + 10);
                else
                        break;
        }
        if (id.n < 2 || id.p[0] != letter || id.p[1] == '0' || i < id.n)
                v = 0;
        return range_key(r, what, (int64_t)v, v ? (int64_t)v + 1 : 0);
}

static struct search_key *emailid_key(struct reading *r, int64_t with)
{
        (void)with;
        return id_key(r, KEY_EMAILID, 'M');
}

static struct search_key *threadid_key(struct reading *r, int64_t with)
{
        (void)with;
        return id_key(r, KEY_THREADID, 'T');
}

/* --- keys of keys --- */

/* In the order of cost, else as they came: one list, at most 200 long. */
static void add_child(struct search_key *parent, struct search_key *child)
{
        struct search_key **at = &parent->first;

        while (*at && (*at)->cost <= child->cost)
                at = &(*at)->next;
        child->next = *at;
        *at = child;
        if (child->cost > parent->cost)
                parent->cost = child->cost;
}

static struct search_key *pair(struct reading *r, enum search_what what, struct search_key *a,
                               struct search_key *b)
{
        struct search_key *k = new_key(r, what);

        k->cost = 0;
        add_child(k, a);
        add_child(k, b);
        return k;
}

static struct search_key *flags_key(struct reading *r, int64_t bits, bool no)
{
        struct search_key *k = range_key(r, KEY_FLAGS, bits, 0);

        k->no = no;
        return k;
}

static struct search_key *recent_key(struct reading *r, int64_t with)
{
        struct search_key *k = new_key(r, KEY_RECENT);

        r->p->recent = true;
        if (with == 'n') /* NEW is (RECENT UNSEEN) */
                return pair(r, KEY_AND, k, flags_key(r, FLAG_SEEN, true));
        k->no = with == 'o';
        return k;
}

static struct search_key *keyword_key(struct reading *r, bool no)
{
        struct search_key *k = new_key(r, KEY_KEYWORD);

        imap_sp(r->a);
        k->text = imap_atom(r->a);
        k->no = no;
        return k;
}

static struct search_key *list_key(struct reading *r, unsigned depth)
{
        struct search_key *k = new_key(r, KEY_AND);

        k->cost = 0;
        scan_char(r->a, '(');
        do
                add_child(k, one_key(r, depth + 1));
        while (!r->a->bad && scan_try(r->a, ' '));
        scan_char(r->a, ')');
        return k;
}

static const struct name {
        struct str word;
        enum argument argument;
        int64_t with; /* flag bits, enum search_field, enum search_what */
        struct search_key *(*other)(struct reading *r, int64_t with);
        enum imap_capability needs; /* CAPABILITIES: always there */
} names[] = {
        { S("ALL"), PLAIN, 0, NULL, CAPABILITIES },
        { S("ANSWERED"), FLAG, FLAG_ANSWERED, NULL, CAPABILITIES },
        { S("BCC"), TEXT, SEARCH_BCC, NULL, CAPABILITIES },
        { S("BEFORE"), DATE_BEFORE, KEY_RECEIVED, NULL, CAPABILITIES },
        { S("BODY"), TEXT, SEARCH_BODY, NULL, CAPABILITIES },
        { S("CC"), TEXT, SEARCH_CC, NULL, CAPABILITIES },
        { S("DELETED"), FLAG, FLAG_DELETED, NULL, CAPABILITIES },
        { S("DRAFT"), FLAG, FLAG_DRAFT, NULL, CAPABILITIES },
        { S("EMAILID"), OTHER, 0, emailid_key, CAP_OBJECTID },
        { S("FLAGGED"), FLAG, FLAG_FLAGGED, NULL, CAPABILITIES },
        { S("FROM"), TEXT, SEARCH_FROM, NULL, CAPABILITIES },
        { S("HEADER"), OTHER, 0, header_key, CAPABILITIES },
        { S("KEYWORD"), WORD, 0, NULL, CAPABILITIES },
        { S("LARGER"), OTHER, 0, larger_key, CAPABILITIES },
        { S("MODSEQ"), OTHER, 0, modseq_key, CAP_CONDSTORE },
        { S("NEW"), OTHER, 'n', recent_key, CAPABILITIES },
        { S("OLD"), OTHER, 'o', recent_key, CAPABILITIES },
        { S("OLDER"), OTHER, 0, within_key, CAP_WITHIN },
        { S("ON"), DATE_ON, KEY_RECEIVED, NULL, CAPABILITIES },
        { S("RECENT"), OTHER, 'r', recent_key, CAPABILITIES },
        { S("SAVEDATESUPPORTED"), PLAIN, 0, NULL, CAP_SAVEDATE },
        { S("SAVEDBEFORE"), DATE_BEFORE, KEY_SAVEDATE, NULL, CAP_SAVEDATE },
        { S("SAVEDON"), DATE_ON, KEY_SAVEDATE, NULL, CAP_SAVEDATE },
        { S("SAVEDSINCE"), DATE_SINCE, KEY_SAVEDATE, NULL, CAP_SAVEDATE },
        { S("SEEN"), FLAG, FLAG_SEEN, NULL, CAPABILITIES },
        { S("SENTBEFORE"), DATE_BEFORE, KEY_SENT, NULL, CAPABILITIES },
        { S("SENTON"), DATE_ON, KEY_SENT, NULL, CAPABILITIES },
        { S("SENTSINCE"), DATE_SINCE, KEY_SENT, NULL, CAPABILITIES },
        { S("SINCE"), DATE_SINCE, KEY_RECEIVED, NULL, CAPABILITIES },
        { S("SMALLER"), OTHER, 0, smaller_key, CAPABILITIES },
        { S("SUBJECT"), TEXT, SEARCH_SUBJECT, NULL, CAPABILITIES },
        { S("TEXT"), TEXT, SEARCH_TEXT, NULL, CAPABILITIES },
        { S("THREADID"), OTHER, 0, threadid_key, CAP_OBJECTID },
        { S("TO"), TEXT, SEARCH_TO, NULL, CAPABILITIES },
        { S("UID"), OTHER, 0, uid_key, CAPABILITIES },
        { S("UIDAFTER"), OTHER, 0, uidafter_key, CAP_MESSAGELIMIT },
        { S("UIDBEFORE"), OTHER, 0, uidbefore_key, CAP_MESSAGELIMIT },
        { S("UNANSWERED"), UNFLAG, FLAG_ANSWERED, NULL, CAPABILITIES },
        { S("UNDELETED"), UNFLAG, FLAG_DELETED, NULL, CAPABILITIES },
        { S("UNDRAFT"), UNFLAG, FLAG_DRAFT, NULL, CAPABILITIES },
        { S("UNFLAGGED"), UNFLAG, FLAG_FLAGGED, NULL, CAPABILITIES },
        { S("UNKEYWORD"), UNWORD, 0, NULL, CAPABILITIES },
        { S("UNSEEN"), UNFLAG, FLAG_SEEN, NULL, CAPABILITIES },
        { S("YOUNGER"), OTHER, 1, within_key, CAP_WITHIN },
};

static struct search_key *named_key(struct reading *r, struct str word)
{
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                const struct name *n = &names[i];

                if (!str_ieq(word, n->word) || (n->needs != CAPABILITIES && !imap_can(r->s, n->needs)))
                        continue;
                switch (n->argument) {
                case PLAIN: return new_key(r, KEY_ALL);
                case FLAG:
                case UNFLAG: return flags_key(r, n->with, n->argument == UNFLAG);
                case WORD:
                case UNWORD: return keyword_key(r, n->argument == UNWORD);
                case TEXT: return text_key(r, (enum search_field)n->with, S(""));
                case OTHER: return n->other(r, n->with);
                default: return date_key(r, (enum search_what)n->with, n->argument);
                }
        }
        scan_fail(r->a, "there is no such search key");
        return new_key(r, KEY_ALL);
}

static struct search_key *fuzzy_key(struct reading *r, unsigned depth)
{
        bool before = r->fuzzy;
        struct search_key *k;

        imap_sp(r->a);
        r->fuzzy = r->p->fuzzy = true;
        k = one_key(r, depth + 1);
        r->fuzzy = before;
        return k;
}

static bool letter(unsigned char c)
{
        c |= 32;
        return c >= 'a' && c <= 'z';
}

static struct search_key *one_key(struct reading *r, unsigned depth)
{
        int c = scan_peek(r->a);
        struct search_key *k, *other;
        struct str word;

        if (depth > IMAP_DEPTH_MOST)
                scan_fail(r->a, "[LIMIT] the search keys are nested too deeply");
        if (r->a->bad)
                return new_key(r, KEY_ALL);
        if (c == '(')
                return list_key(r, depth);
        if (c == '$' || c == '*' || (c >= '0' && c <= '9'))
                return set_key(r, KEY_SEQUENCE);
        if (c < 0 || !letter((unsigned char)c)) {
                scan_fail(r->a, "a search key is missing");
                return new_key(r, KEY_ALL);
        }
        word = scan_while(r->a, letter);
        if (str_ieq(word, S("NOT"))) {
                imap_sp(r->a);
                k = one_key(r, depth + 1);
                k->no = !k->no;
                return k;
        }
        if (str_ieq(word, S("OR"))) {
                imap_sp(r->a);
                k = one_key(r, depth + 1);
                imap_sp(r->a);
                other = one_key(r, depth + 1);
                return pair(r, KEY_OR, k, other);
        }
        if (str_ieq(word, S("FUZZY")) && imap_can(r->s, CAP_SEARCH_FUZZY))
                return fuzzy_key(r, depth);
        return named_key(r, word);
}

void search_keys(struct session *s, struct scan *a, struct search_program *out)
{
        struct reading r = { .s = s, .a = a, .p = out };
        struct search_key *root = new_key(&r, KEY_AND);

        root->cost = 0;
        out->keys--;
        do
                add_child(root, one_key(&r, 0));
        while (!a->bad && scan_try(a, ' ') && (scan_spaces(a), !scan_end(a)));
        out->root = root->first && !root->first->next ? root->first : root;
}
