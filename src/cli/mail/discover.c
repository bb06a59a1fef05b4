/* The servers of an address: RFC 6186 and 8314's SRV records, the domain's own file, common names. No password is said here. */
#include "cli/mail/autoconfig.h"
#include "cli/reach.h"
#include "mail/address.h"
#include "net/mx.h"
#include "proto/imap/client.h"
#include "proto/pop3/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DNS_PATIENCE   10
#define KNOCK_PATIENCE (4 * SECOND)

struct search {
        struct login *login;
        struct login_found *found;
        struct str domain; /* A-labels */
        struct dns *dns;
        struct arena arena;
        struct buf *why;
        bool unknown; /* DNS gave no answer */
};

static bool take(struct search *s, const char *scheme, struct str host, unsigned port, bool outgoing)
{
        struct str url =
            arena_printf(&s->arena, "%s://%s@" PRS ":%u", scheme, s->login->address, STR(host), port);

        return login_set(s->login, outgoing ? S("outgoing") : S("incoming"), url);
}

/* ---- SRV ---- */

struct service {
        const char *label, *scheme;
};
static const struct service incoming[] = {
        { "_imaps", "imaps" }, { "_imap", "imap" }, { "_pop3s", "pop3s" }, { "_pop3", "pop3" }, { 0 }
};
static const struct service outgoing[] = { { "_submissions", "submissions" },
                                           { "_submission", "submission" },
                                           { 0 } };
struct target {
        unsigned priority, weight, port;
        struct str host;
};

/* RFC 2782: priority weight port target. */
static bool target_of(struct arena *a, struct str data, struct target *t)
{
        const unsigned char *p = (const unsigned char *)data.p;
        struct str name, normal = str_from_at(data, 6);

        if (data.n < 7)
                return false;
        *t = (struct target){ .priority = p[0] * 256u + p[1],
                              .weight = p[2] * 256u + p[3],
                              .port = p[4] * 256u + p[5] };
        name = dns_name(a, &normal);
        return name.p && name.n && t->port && domain_normal(a, name, &t->host); /* "." alone: not offered */
}

static bool is_below(struct str host, struct str domain)
{
        return str_ieq(host, domain) || (host.n > domain.n && host.p[host.n - domain.n - 1] == '.' &&
                                         str_ieq(str_from_at(host, host.n - domain.n), domain));
}

/* The best one by priority, then weight. */
static bool by_srv(struct search *s, const struct service *list, bool out)
{
        for (; list->label; list++) {
                struct str name = arena_printf(&s->arena, "%s._tcp." PRS, list->label, STR(s->domain)),
                           why = S("");
                struct target best = { 0 }, one;
                struct dns_answer answer = { 0 };
                int rc = dns_ask(s->dns, name, DNS_SRV, in_seconds(DNS_PATIENCE), &s->arena, &answer, &why);

                if (rc < 0) {
                        buf_printf(s->why, "DNS " PRS ": " PRS "\n", STR(name), STR(why));
                        s->unknown = true;
                        return false;
                }
                for (unsigned i = 0; i < answer.count; i++)
                        if (target_of(&s->arena, answer.data[i], &one) &&
                            (!best.host.n || one.priority < best.priority ||
                             (one.priority == best.priority && one.weight > best.weight)))
                                best = one;
                buf_printf(s->why, "DNS " PRS ": " PRS "\n", STR(name),
                           STR(best.host.n    ? best.host
                               : answer.count ? S("not offered")
                                              : S("nothing")));
                if (best.host.n && take(s, list->scheme, best.host, best.port, out)) {
                        s->found->foreign |= !answer.secure && !is_below(best.host, s->domain);
                        return true;
                }
        }
        return false;
}

/* ---- common names ---- */

/* How many of its addresses, by the resolver that was asked for the rest; -errno. */
static int look_up(struct search *s, struct str host, unsigned port, struct addr to[static DIAL_MOST])
{
        struct mx_host h = { .name = host };
        struct str why;
        int n = 0, rc = mx_addresses(s->dns, &h, in_seconds(DNS_PATIENCE), &s->arena, &why);

        for (; rc == 0 && n < (int)h.count && n < DIAL_MOST; n++) {
                to[n] = h.addresses[n];
                to[n].port = (uint16_t)port;
        }
        return rc < 0 ? rc : n;
}

static int connect_to(struct search *s, struct str host, unsigned port, struct conn **conn)
{
        struct addr to[DIAL_MOST];
        struct buf auto_buf nobody = { 0 };
        int rc = look_up(s, host, port, to);
        unsigned n = rc < 0 ? 0 : (unsigned)rc, which;

        buf_init(&nobody, 4096);
        return rc < 0 ? rc
                      : dial_any(&(struct dial){ .to = to, .count = n }, now() + KNOCK_PATIENCE, conn, &which,
                                 &nobody);
}

/* Greets, and has a certificate that is good for this name. */
static int knock(struct search *s, const char *scheme, struct str host, struct conn *conn, enum tls_need tls,
                 unsigned port)
{
        struct tls_found found = { 0 };
        struct known k;
        int rc;

        known_want(&k, host.p, port, KNOWN_REFUSE, s->login->ca);
        if (*scheme == 'i') {
                struct imap_client_how how = { .host = host.p,
                                               .tls = tls,
                                               .want = &k.want,
                                               .found = &found,
                                               .patience = KNOCK_PATIENCE };
                struct imap_answer answer;
                struct imap_client *c = NULL;

                rc = imap_client_open(&c, conn, &how, &answer);
                if (c)
                        imap_client_close(&c, in_seconds(1));
        } else if (*scheme == 'p') {
                struct pop3_client_how how = { .host = host.p,
                                               .tls = tls,
                                               .want = &k.want,
                                               .found = &found,
                                               .patience = KNOCK_PATIENCE };
                struct pop3_answer answer;
                struct pop3_client *c = NULL;

                rc = pop3_client_open(&c, conn, &how, &answer);
                if (c)
                        pop3_client_drop(&c);
        } else {
                struct smtp_client_how how = {
                        .host = "localhost", .tls = tls, .want = &k.want, .found = &found
                };
                struct smtp_answer answer;
                struct smtp_client *c = NULL;

                rc = smtp_client_open(&c, conn, &how, &s->arena, &answer);
                if (c)
                        smtp_client_close(&c, in_seconds(1));
        }
        if (rc < 0)
                buf_printf(s->why, "%s://" PRS ": %s\n", scheme, STR(host),
                           *found.why ? found.why : strerror(-rc));
        return rc;
}

static bool by_name(struct search *s, bool out)
{
        static const struct {
                const char *scheme, *name;
                unsigned port;
                bool out;
        } guesses[] = {
                { "imaps", "imap.", 993, false },      { "imaps", "mail.", 993, false },
                { "imaps", "", 993, false },           { "imap", "imap.", 143, false },
                { "imap", "mail.", 143, false },       { "pop3s", "pop.", 995, false },
                { "pop3s", "mail.", 995, false },      { "submissions", "smtp.", 465, true },
                { "submissions", "mail.", 465, true }, { "submissions", "", 465, true },
                { "submission", "smtp.", 587, true },  { "submission", "mail.", 587, true },
        };

        for (size_t i = 0; i < sizeof guesses / sizeof *guesses; i++) {
                struct str host = arena_printf(&s->arena, "%s" PRS, guesses[i].name, STR(s->domain));
                bool at_once = str_ends(str_of(guesses[i].scheme), S("s"));
                struct conn *conn;

                if (guesses[i].out != out || connect_to(s, host, guesses[i].port, &conn) < 0)
                        continue;
                if (knock(s, guesses[i].scheme, host, conn, at_once ? TLS_AT_ONCE : TLS_MUST,
                          guesses[i].port) == 0 &&
                    take(s, guesses[i].scheme, host, guesses[i].port, out))
                        return true;
        }
        buf_printf(s->why, "%s." PRS ", mail." PRS ": nobody there\n", out ? "smtp" : "imap", STR(s->domain),
                   STR(s->domain));
        return false;
}

/* ---- the domain's file ---- */

static void by_file(struct search *s)
{
        for (unsigned i = 0; i < AUTOCONFIG_PLACES; i++) {
                struct str host = arena_printf(&s->arena, "%s" PRS, i ? "" : "autoconfig.", STR(s->domain));
                struct addr to[DIAL_MOST];
                int n = look_up(s, host, 443, to);
                struct buf auto_buf addresses = { 0 };

                buf_init(&addresses, 2048);
                for (int k = 0; k < n; k++)
                        buf_printf(&addresses, "%s%s", k ? "," : "", addr_text(to[k]).z);
                if (autoconfig_find(s->login, i, host, buf_str(&addresses), s->why))
                        return;
        }
}

/* ---- all ---- */

static void look(struct search *s)
{
        struct login *l = s->login;
        struct login_found *f = s->found;

        if (!l->incoming.host && by_srv(s, incoming, false))
                f->incoming = "SRV";
        if (!l->outgoing.host && !l->by_send && !s->unknown && by_srv(s, outgoing, true))
                f->outgoing = "SRV";
        if (!l->incoming.host || (!l->outgoing.host && !l->by_send)) {
                bool in = l->incoming.host, out = l->outgoing.host;

                by_file(s);
                f->incoming = !in && l->incoming.host ? "autoconfig" : f->incoming;
                f->outgoing = !out && l->outgoing.host ? "autoconfig" : f->outgoing;
        }
        if (!l->incoming.host && by_name(s, false))
                f->incoming = "name";
        if (!l->outgoing.host && !l->by_send && by_name(s, true))
                f->outgoing = "name";
}

int login_discover(struct login *l, const char *resolver, struct login_found *found, struct buf *why)
{
        struct search s = { .login = l, .found = found, .why = why };
        struct dns_how ask = { resolver ? resolver : "system", "", "" };
        size_t sign = str_rfind(str_of(l->address), '@');
        int rc;

        *found = (struct login_found){ 0 };
        arena_init(&s.arena, 16 << 20);
        if (sign == STR_NONE ||
            !domain_normal(&s.arena, str_from_at(str_of(l->address), sign + 1), &s.domain)) {
                buf_puts(why, S("that is no domain\n"));
                rc = -EINVAL;
        } else {
                rc = dns_open(&s.dns, &ask, why);
        }
        if (rc == 0) {
                look(&s);
                dns_close(&s.dns);
                rc = l->incoming.host ? 0 : -ENOENT;
        }
        arena_finish(&s.arena);
        return rc;
}
