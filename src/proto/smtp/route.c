#include "proto/smtp/route.h"
#include "base/scan.h"

/* HOST, HOST:PORT, [IPv6]:PORT. */
static bool host_port(struct str text, uint16_t standard, struct route *out)
{
        struct addr literal;
        uint64_t port;
        size_t colon;

        out->port = standard;
        if (addr_parse(text, standard, &literal)) {
                out->host = text; /* with its port, which addr_parse reads again */
                out->port = literal.port;
                return true;
        }
        colon = str_rfind(text, ':');
        out->host = colon == STR_NONE ? text : str_sub(text, 0, colon);
        if (colon != STR_NONE) {
                if (!str_u64(str_from_at(text, colon + 1), &port) || !port || port > 65535)
                        return false;
                out->port = (uint16_t)port;
        }
        return out->host.n > 0 && str_find(out->host, ':') == STR_NONE;
}

static bool read_target(struct str text, struct route *out)
{
        *out = (struct route){ 0 };
        if (str_ieq(text, S("direct")) || str_ieq(text, S("hold"))) {
                out->kind = str_ieq(text, S("hold")) ? ROUTE_HOLD : ROUTE_DIRECT;
                return true;
        }
        if (str_istarts(text, S("lmtp:"))) {
                out->kind = ROUTE_LMTP;
                return host_port(str_from_at(text, 5), 24, out);
        }
        out->kind = ROUTE_RELAY;
        if (str_istarts(text, S("smtps:"))) {
                out->tls_at_once = true;
                return host_port(str_from_at(text, 6), 465, out);
        }
        if (str_istarts(text, S("smtp+tls:"))) {
                out->tls_must = true;
                return host_port(str_from_at(text, 9), 25, out);
        }
        return host_port(str_istarts(text, S("smtp:")) ? str_from_at(text, 5) : text, 25, out);
}

/* The next rule of the setting. false: the end, or *bad is the word that is none. */
static bool next_rule(struct str *rest, struct str *domain, struct route *out, struct str *bad)
{
        struct str word = { 0 };

        *bad = S("");
        while (rest->n && !word.n)
                str_cut(rest, ' ', &word);
        if (!word.n)
                return false;
        *bad = word;
        if (!str_cut(&word, '=', domain) || !domain->n || !read_target(word, out))
                return false;
        *bad = S("");
        return true;
}

bool routes_valid(struct str routes, struct str *why)
{
        struct str domain;
        struct route r;

        while (next_rule(&routes, &domain, &r, why))
                ;
        return !why->n;
}

static bool fits(struct str rule, struct str domain)
{
        if (str_eq(rule, S("*")))
                return true;
        if (rule.p[0] == '.')
                return domain.n > rule.n && str_ieq(str_from_at(domain, domain.n - rule.n), rule);
        return str_ieq(rule, domain);
}

struct route route_for(struct str routes, struct str domain, enum route_kind otherwise)
{
        struct str rule, bad;
        struct route r;

        while (next_rule(&routes, &rule, &r, &bad))
                if (fits(rule, domain)) {
                        r.ruled = true;
                        return r;
                }
        return (struct route){ .kind = otherwise };
}
