#include "mail/address.h"

/* address-list -- RFC 5322 §3.4 and §4.4. An element is skimmed once to see what it is, then its pieces are written
 * out; no byte is looked at more than a few times. */

static bool blank(char c)
{
        return (unsigned char)c <= 32 || c == 127;
}

/* From a "(" to after its ")": comments nest, a backslash takes the next byte with it. */
static size_t skip_comment(struct str s, size_t at)
{
        size_t depth = 0;

        for (; at < s.n; at++) {
                if (s.p[at] == '\\')
                        at++;
                else if (s.p[at] == '(')
                        depth++;
                else if (s.p[at] == ')' && --depth == 0)
                        return at + 1;
        }
        return s.n;
}

/* From an opening byte to after `close`. */
static size_t skip_quoted(struct str s, size_t at, char close)
{
        for (at++; at < s.n; at++) {
                if (s.p[at] == '\\')
                        at++;
                else if (s.p[at] == close)
                        return at + 1;
        }
        return s.n;
}

static size_t skip_piece(struct str s, size_t at)
{
        switch (s.p[at]) {
        case '(': return skip_comment(s, at);
        case '"': return skip_quoted(s, at, '"');
        case '[': return skip_quoted(s, at, ']');
        case '\\': return at + 2 < s.n ? at + 2 : s.n;
        default: return at + 1;
        }
}

/* The first of `stops` from `at` on that stands in no comment, quotes or brackets; or the end. */
static size_t skim(struct str s, size_t at, const char *stops)
{
        while (at < s.n && (!s.p[at] || !strchr(stops, s.p[at])))
                at = skip_piece(s, at);
        return at;
}

static size_t skip_blanks(struct str s, size_t at)
{
        while (at < s.n && (blank(s.p[at]) || s.p[at] == '('))
                at = s.p[at] == '(' ? skip_comment(s, at) : at + 1;
        return at;
}

/* Quoted text without quotes and backslashes; line ends of folding go, other control bytes become spaces. */
static size_t unquote(char *to, struct str s)
{
        size_t n = 0;

        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] == '\\' && i + 1 < s.n)
                        i++;
                if (s.p[i] != '\r' && s.p[i] != '\n')
                        to[n++] = (unsigned char)s.p[i] < 32 || s.p[i] == 127 ? ' ' : s.p[i];
        }
        return n;
}

static struct str inside(struct str s, size_t from, size_t end, char close)
{
        bool closed = end - from >= 2 && s.p[end - 1] == close;

        return str_sub(s, from + 1, end - from - 1 - closed);
}

/* phrase: words with one space where blanks or comments stood. */
static struct str phrase(struct arena *m, struct str s)
{
        char *to = arena_alloc(m, s.n + 1);
        bool gap = false;
        size_t n = 0, end;

        for (size_t at = 0; at < s.n; at = end) {
                end = at + 1;
                if (blank(s.p[at]) || s.p[at] == '(') {
                        end = s.p[at] == '(' ? skip_comment(s, at) : end;
                        gap = n > 0;
                        continue;
                }
                if (gap)
                        to[n++] = ' ';
                gap = false;
                if (s.p[at] == '"') {
                        end = skip_quoted(s, at, '"');
                        n += unquote(to + n, inside(s, at, end, '"'));
                } else if (s.p[at] != '\\') {
                        to[n++] = s.p[at];
                }
        }
        return str_from(to, n);
}

/* local-part or domain: words and dots, nothing else; blanks and comments may stand around each (obs-local-part).
 * `open` is what else may stand as a word: a quoted string in a local part, a bracketed literal in a domain. Two words
 * without a dot between are neither: *bad. */
static struct str dotted(struct arena *m, struct str s, char open, bool *bad)
{
        char *to = arena_alloc(m, s.n + 1), close = open == '[' ? ']' : open;
        bool apart = false, dot = true; /* the last word is over; a dot or the start was last */
        size_t n = 0, end;

        for (size_t at = 0; at < s.n; at = end) {
                char c = s.p[at];

                end = at + 1;
                if (blank(c) || c == '(') {
                        end = c == '(' ? skip_comment(s, at) : end;
                        apart = true;
                        continue;
                }
                if (c == '.' ? dot : !dot && (apart || c == open))
                        *bad = true;
                apart = c == open;
                dot = c == '.';
                if (c == open) {
                        end = skip_quoted(s, at, close);
                        if (s.p[end - 1] != close ||
                            (c == '[' && str_find(str_sub(s, at, end - at), '@') != STR_NONE))
                                *bad = true;
                        n += unquote(to + n, c == '[' ? str_sub(s, at, end - at) : inside(s, at, end, close));
                } else {
                        if (strchr("@<>,;:\\)[]\"", c))
                                *bad = true;
                        to[n++] = c;
                }
        }
        if (dot || !n)
                *bad = true;
        return str_from(to, n);
}

/* The first comment of s, for `jack@town.com (Jack)`. */
static bool comment_name(struct arena *m, struct str s, struct address *out)
{
        size_t at = skim(s, 0, "("), end;
        char *to;

        if (at == s.n)
                return false;
        end = skip_comment(s, at);
        to = arena_alloc(m, end - at + 1);
        out->name = str_trim(str_from(to, unquote(to, inside(s, at, end, ')'))));
        out->has_name = true;
        return true;
}

/* addr-spec = local-part "@" domain; s has no angle brackets. */
static void addr_spec(struct arena *m, struct str s, struct address *out)
{
        size_t at = skim(s, 0, "@");
        bool bad = at == s.n;

        out->local = dotted(m, str_sub(s, 0, at), '"', &bad);
        if (at < s.n)
                out->domain = dotted(m, str_from_at(s, at + 1), '[', &bad);
        if (bad)
                out->kind = ADDRESS_BAD;
}

/* "<" [obs-route] addr-spec ">"; gives where it ends. */
static size_t angle_addr(struct arena *m, struct str s, size_t at, struct address *out)
{
        size_t start = skip_blanks(s, at + 1), end, colon;

        end = skim(s, start, ">");
        if (start < end && s.p[start] == '@') {
                colon = skim(str_sub(s, 0, end), start, ":");
                start = colon < end ? colon + 1 : start;
        }
        addr_spec(m, str_sub(s, start, end - start), out);
        if (end == s.n)
                out->kind = ADDRESS_BAD;
        return end < s.n ? end + 1 : end;
}

static bool is_empty(struct str s)
{
        return skip_blanks(s, 0) == s.n;
}

/* One mailbox that reaches to `end`; *at is behind the stop that skim found, which is "<" or the end. */
static void mailbox(struct addresses *list, struct arena *m, size_t stop, struct address *out)
{
        struct str before = str_sub(list->s, list->at, stop - list->at);
        size_t end;

        if (stop == list->s.n || list->s.p[stop] != '<') {
                addr_spec(m, before, out);
                comment_name(m, before, out);
                list->at = stop;
                return;
        }
        out->name = phrase(m, before);
        out->has_name = out->name.n || skim(before, 0, "\"") < before.n;
        stop = angle_addr(m, list->s, stop, out);
        end = skim(list->s, stop, ",;");
        if (!is_empty(str_sub(list->s, stop, end - stop)))
                out->kind = ADDRESS_BAD;
        else if (!out->has_name && !comment_name(m, before, out))
                comment_name(m, str_sub(list->s, stop, end - stop), out);
        list->at = end;
}

struct addresses addresses_of(struct str raw)
{
        return (struct addresses){ .s = raw };
}

bool address_next(struct addresses *list, struct arena *m, struct address *out)
{
        struct str s = list->s;
        size_t stop;

        *out = (struct address){ ADDRESS_MAILBOX, S(""), S(""), S(""), false };
        if (list->count == ADDRESSES_MAX) {
                list->cut = list->cut || skip_blanks(s, list->at) < s.n;
                return false;
        }
        /* Empty elements between commas are allowed (obs-addr-list); Outlook separates by semicolons. */
        while ((list->at = skip_blanks(s, list->at)) < s.n &&
               (s.p[list->at] == ',' || s.p[list->at] == ';')) {
                if (s.p[list->at++] == ';' && list->in_group)
                        goto group_end;
        }
        if (list->at == s.n) {
                if (list->in_group)
                        goto group_end;
                return false;
        }
        list->count++;
        stop = skim(s, list->at, list->in_group ? "<,;" : "<,;:@");
        if (stop < s.n && s.p[stop] == ':') {
                out->kind = ADDRESS_GROUP;
                out->name = phrase(m, str_sub(s, list->at, stop - list->at));
                out->has_name = true;
                list->in_group = true;
                list->at = stop + 1;
                return true;
        }
        if (stop < s.n && s.p[stop] == '@')
                stop = skim(s, stop, "<,;");
        mailbox(list, m, stop, out);
        return true;
group_end:
        list->in_group = false;
        list->count++;
        out->kind = ADDRESS_GROUP_END;
        return true;
}
