#include "mail/address.h"
#include "base/codec.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <idn2.h>

enum { LABEL_MAX = 63, LITERAL_MAX = 64 };

static bool alnum(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* atext -- RFC 5322 §3.2.3, and UTF-8 beyond ASCII, RFC 6532 §3.2 */
static bool atext(unsigned char c)
{
        return alnum(c) || c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Let-dig, with UTF-8 for U-labels (RFC 6531 §3.3). The underscore is in no standard, but in the names of hosts that
 * send mail all the same. */
static bool let_dig(unsigned char c)
{
        return alnum(c) || c >= 0x80 || c == '_';
}

static bool label_valid(struct str s)
{
        if (!s.n || !let_dig((unsigned char)s.p[0]) || !let_dig((unsigned char)s.p[s.n - 1]))
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (!let_dig((unsigned char)s.p[i]) && s.p[i] != '-')
                        return false;
        return s.n <= LABEL_MAX || !ascii_only(s);
}

/* Domain = sub-domain *("." sub-domain) -- RFC 5321 §4.1.2 */
bool domain_valid(struct str s)
{
        struct str label;
        bool more = true;

        if (s.n > DOMAIN_MAX || !utf8_valid(s))
                return false;
        while (more) {
                more = str_cut(&s, '.', &label);
                if (!label_valid(label))
                        return false;
        }
        return true;
}

/* address-literal = "[" ( IPv4 / "IPv6:" IPv6 / tag ":" 1*dcontent ) "]" -- RFC 5321 §4.1.3 */
bool address_literal_valid(struct str s)
{
        char z[LITERAL_MAX];
        unsigned char ip[16];
        struct str inner, tag;

        if (s.n < 3 || s.n > sizeof z || s.p[0] != '[' || s.p[s.n - 1] != ']')
                return false;
        inner = str_sub(s, 1, s.n - 2);
        for (size_t i = 0; i < inner.n; i++)
                if (inner.p[i] < 33 || inner.p[i] > 126 || strchr("[\\]", inner.p[i]))
                        return false;
        if (str_istarts(inner, S("IPv6:"))) {
                inner = str_from_at(inner, 5);
                mem_copy(z, sizeof z - 1, inner);
                z[inner.n] = 0;
                return inet_pton(AF_INET6, z, ip) == 1;
        }
        if (str_find(inner, ':') == STR_NONE) {
                mem_copy(z, sizeof z - 1, inner);
                z[inner.n] = 0;
                return inet_pton(AF_INET, z, ip) == 1;
        }
        if (!str_cut(&inner, ':', &tag) || !tag.n || !inner.n || !alnum((unsigned char)tag.p[tag.n - 1]))
                return false;
        for (size_t i = 0; i < tag.n; i++)
                if (!alnum((unsigned char)tag.p[i]) && tag.p[i] != '-')
                        return false;
        return true;
}

/* Dot-string = Atom *("." Atom) */
static bool dot_string(struct str s)
{
        if (!s.n || s.p[0] == '.' || s.p[s.n - 1] == '.')
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (!atext((unsigned char)s.p[i]) && (s.p[i] != '.' || s.p[i + 1] == '.'))
                        return false;
        return true;
}

static bool in_dot_string(unsigned char c)
{
        return atext(c) || c == '.';
}

/* Quoted-string = DQUOTE *( qtextSMTP / "\" %d32-126 ) DQUOTE */
static struct str scan_quoted(struct scan *a, struct arena *m)
{
        char value[ADDRESS_MAX];
        size_t n = 0;
        int c;

        scan_char(a, '"');
        while ((c = scan_peek(a)) != '"' && !a->bad) {
                if (c == '\\') {
                        a->at++;
                        c = scan_peek(a);
                }
                if (c < 32 || c == 127)
                        scan_fail(a, "a quoted local part does not end, or holds a control character");
                else if (n == sizeof value)
                        scan_fail(a, "the address is longer than 254");
                else {
                        value[n++] = (char)c;
                        a->at++;
                }
        }
        scan_char(a, '"');
        if (!n)
                scan_fail(a, "the local part is empty");
        return a->bad ? S("") : arena_str(m, str_from(value, n));
}

static struct str scan_local(struct scan *a, struct arena *m)
{
        struct str s;

        if (scan_peek(a) == '"')
                return scan_quoted(a, m);
        s = scan_while(a, in_dot_string);
        if (!dot_string(s))
                scan_fail(a, "a local part is words with single dots between");
        return a->bad ? S("") : s;
}

static bool in_domain(unsigned char c)
{
        return let_dig(c) || c == '-' || c == '.';
}

static struct str scan_domain(struct scan *a, bool *literal)
{
        size_t start = a->at;
        struct str s;

        *literal = scan_peek(a) == '[';
        if (*literal) {
                scan_until(a, "]> ");
                scan_char(a, ']');
        } else {
                scan_while(a, in_domain);
        }
        s = a->bad ? S("") : str_sub(a->s, start, a->at - start);
        if (*literal ? !address_literal_valid(s) : !domain_valid(s))
                scan_fail(a, *literal ? "not an address literal" : "not a domain name");
        return s;
}

/* A-d-l = "@" Domain *( "," "@" Domain ) ":" -- to be read and ignored, RFC 5321 §3.6.1 and appendix C */
static void scan_route(struct scan *a)
{
        bool literal;

        do {
                scan_char(a, '@');
                scan_domain(a, &literal);
        } while (scan_try(a, ','));
        scan_char(a, ':');
}

static const struct path no_path = { .local = { "", 0 }, .domain = { "", 0 }, .text = { "", 0 } };

/* Mailbox = Local-part "@" ( Domain / address-literal ) */
static void scan_mailbox(struct scan *a, struct arena *m, struct path *p, bool bare_postmaster)
{
        size_t start = a->at;

        p->local = scan_local(a, m);
        if (scan_peek(a) == '@' || !bare_postmaster || !str_ieq(p->local, S("postmaster"))) {
                scan_char(a, '@');
                p->domain = scan_domain(a, &p->literal);
        }
        p->text = a->bad ? S("") : str_sub(a->s, start, a->at - start);
        p->utf8 = !ascii_only(p->text);
        if (!utf8_valid(p->text))
                scan_fail(a, "not UTF-8");
        if (p->local.n + 1 + p->domain.n > ADDRESS_MAX)
                scan_fail(a, "the address is longer than 254");
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">" */
static struct path scan_path(struct scan *a, struct arena *m, bool reverse)
{
        struct path p = no_path;
        bool angle;

        scan_spaces(a);
        angle = scan_try(a, '<');
        if (angle && reverse && scan_try(a, '>')) {
                p.null = true;
        } else {
                if (angle && scan_peek(a) == '@')
                        scan_route(a);
                scan_mailbox(a, m, &p, !reverse);
                if (angle)
                        scan_char(a, '>');
        }
        if (!scan_end(a) && scan_peek(a) != ' ')
                scan_fail(a, "a space must follow the path");
        return a->bad ? no_path : p;
}

struct path scan_reverse_path(struct scan *a, struct arena *m)
{
        return scan_path(a, m, true);
}

struct path scan_forward_path(struct scan *a, struct arena *m)
{
        return scan_path(a, m, false);
}

bool address_parse(struct arena *m, struct str text, struct path *out)
{
        struct scan a = scan_of(text);

        *out = no_path;
        scan_mailbox(&a, m, out, false);
        if (scan_done(&a))
                return true;
        *out = no_path;
        return false;
}

static bool in_keyword(unsigned char c)
{
        return alnum(c) || c == '-';
}

/* The standard forbids "=" inside a value; software that forgets to write it as xtext exists, and no harm comes of
 * taking it. */
static bool in_value(unsigned char c)
{
        return c > 32 && c != 127;
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value] */
bool scan_parameter(struct scan *a, struct str *key, struct str *value)
{
        *key = *value = S("");
        if (scan_end(a))
                return false;
        scan_space(a);
        if (scan_end(a))
                return false;
        *key = scan_while(a, in_keyword);
        if (key->n && key->p[0] == '-')
                scan_fail(a, "a keyword begins with a letter or digit");
        if (scan_try(a, '='))
                *value = scan_while(a, in_value);
        if (!scan_end(a) && scan_peek(a) != ' ')
                scan_fail(a, "not a parameter");
        if (!utf8_valid(*value))
                scan_fail(a, "not UTF-8");
        return !a->bad;
}

/* U-labels become A-labels by UTS 46 without its transitional mappings: what registries and browsers do today. */
bool domain_normal(struct arena *m, struct str domain, struct str *out)
{
        char *made = NULL;
        bool ok;

        *out = S("");
        if (domain.n && domain.p[0] == '[') {
                if (!address_literal_valid(domain))
                        return false;
                *out = arena_lower(m, domain);
                return true;
        }
        if (!domain_valid(domain))
                return false;
        if (ascii_only(domain)) {
                *out = arena_lower(m, domain);
                return true;
        }
        ok = idn2_to_ascii_8z(arena_str(m, domain).p, &made, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) ==
                 IDN2_OK &&
             domain_valid(str_of(made));
        if (ok)
                *out = arena_lower(m, str_of(made));
        if (made)
                idn2_free(made);
        return ok;
}

/* Room for `local` quoted, "@" and `domain`; the NUL is the arena's. */
struct str address_write(struct arena *m, struct str local, struct str domain)
{
        char *p = arena_alloc(m, 2 * local.n + domain.n + 4);
        bool quote = !dot_string(local);
        size_t n = 0;

        if (quote)
                p[n++] = '"';
        for (size_t i = 0; i < local.n; i++) {
                if (quote && (local.p[i] == '"' || local.p[i] == '\\'))
                        p[n++] = '\\';
                p[n++] = local.p[i];
        }
        if (quote)
                p[n++] = '"';
        if (domain.n)
                p[n++] = '@';
        mem_copy(p + n, domain.n, domain);
        return str_from(p, n + domain.n);
}

bool address_normal(struct arena *m, const struct path *p, struct str *out)
{
        struct str domain = S("");

        *out = S("");
        if (p->null || (p->domain.n && !domain_normal(m, p->domain, &domain)))
                return p->null;
        *out = address_write(m, p->local, domain);
        return true;
}

bool address_key(struct arena *m, const struct path *p, struct str *out)
{
        if (!address_normal(m, p, out))
                return false;
        *out = arena_lower(m, *out);
        return true;
}

bool address_split(struct str address, struct str *local, struct str *domain)
{
        size_t at = str_rfind(address, '@');

        *local = at == STR_NONE ? address : str_sub(address, 0, at);
        *domain = at == STR_NONE ? S("") : str_from_at(address, at + 1);
        return at != STR_NONE;
}

/* xchar = %d33-42 / %d44-60 / %d62-126; RFC 6533 lets nothing else through here either. */
bool xtext_put(struct buf *out, struct str plain)
{
        for (size_t i = 0; i < plain.n; i++) {
                unsigned char c = (unsigned char)plain.p[i];

                if (c < 33 || c > 126 || c == '+' || c == '=')
                        buf_printf(out, "+%02X", c);
                else
                        buf_u8(out, c);
        }
        return !out->full;
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool xtext_get(struct buf *out, struct str xtext)
{
        for (size_t i = 0; i < xtext.n; i++) {
                unsigned char c = (unsigned char)xtext.p[i];
                int high, low;

                if (c < 33 || c > 126 || c == '=')
                        return false;
                if (c == '+') {
                        if (xtext.n - i < 3)
                                return false;
                        high = hex_digit(xtext.p[i + 1]);
                        low = hex_digit(xtext.p[i + 2]);
                        if (high < 0 || low < 0)
                                return false;
                        c = (unsigned char)(high << 4 | low);
                        i += 2;
                }
                buf_u8(out, c);
        }
        return !out->full;
}
