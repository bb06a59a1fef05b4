/* pail mx: where a domain's mail goes, as DNS says it, what must be proved on the way, and what we would do, in order. The lectures'
 * nslookup -type=MX, but finished. */
#include "cli/cli.h"
#include "cli/tool.h"
#include "base/mem.h"
#include "mail/address.h"
#include "proto/smtp/dispatch_inside.h"
#include "run/loop.h"
#include "run/offload.h"
#include <errno.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE 30
enum { SMTP_PORT = 25 };

struct looking {
        struct tool *tool;
        struct dispatch *dispatch;
        struct str domain;
        int rc;
        bool demo; /* its settings are not in a file */
};

static struct str hexadecimal(struct arena *a, struct str bytes)
{
        static const char digits[] = "0123456789abcdef";
        char *out = arena_alloc(a, 2 * bytes.n + 1);

        for (size_t i = 0; i < bytes.n; i++) {
                out[2 * i] = digits[(unsigned char)bytes.p[i] >> 4];
                out[2 * i + 1] = digits[bytes.p[i] & 15];
        }
        return str_from(out, 2 * bytes.n);
}

/* "3 1 1 ab12..." */
static struct str tlsa_words(struct arena *a, struct str record)
{
        if (record.n < 3)
                return S("?");
        return arena_printf(a, "%u %u %u " PRS, (unsigned char)record.p[0], (unsigned char)record.p[1],
                            (unsigned char)record.p[2], STR(hexadecimal(a, str_from_at(record, 3))));
}

/* ---- what DNS says ---- */

static void show_tlsa(struct looking *g, const struct mx *mx, const struct mx_host *h)
{
        struct tool *t = g->tool;
        struct dns_answer answer;
        struct str why;
        int rc =
            dns_ask(g->dispatch->how.dns, arena_printf(&t->arena, "_%u._tcp." PRS, SMTP_PORT, STR(h->name)),
                    DNS_TLSA, in_seconds(PATIENCE), &t->arena, &answer, &why);
        bool good = rc == 0 && mx->secure && h->secure && answer.secure;

        json_open(&t->out, "tlsa", '[');
        if (rc < 0 && !t->json)
                printf("             TLSA cannot be known now: " PRS "\n", STR(why));
        for (unsigned i = 0; rc == 0 && i < answer.count; i++) {
                struct str words = tlsa_words(&t->arena, answer.data[i]);
                bool usable = good && tlsa_usable(answer.data[i]);

                json_open(&t->out, NULL, '{');
                json_str(&t->out, "record", words);
                json_bool(&t->out, "usable", usable);
                json_close(&t->out, '}');
                if (!t->json)
                        printf("             TLSA " PRS "%s\n", STR(words),
                               usable  ? ""
                               : !good ? " (not validated: as if there were none)"
                                       : " (of no use between mail servers)");
        }
        json_close(&t->out, ']');
}

static void show_host(struct looking *g, const struct mx *mx, struct mx_host *h)
{
        struct tool *t = g->tool;
        struct str why = S("");
        int rc = mx_addresses(g->dispatch->how.dns, h, in_seconds(PATIENCE), &t->arena, &why);

        json_open(&t->out, NULL, '{');
        json_str(&t->out, "host", h->name);
        json_number(&t->out, "preference", h->preference);
        json_bool(&t->out, "secure", h->secure);
        json_open(&t->out, "addresses", '[');
        if (!t->json && mx->implicit)
                printf("host         " PRS "\n", STR(h->name));
        else if (!t->json)
                printf("MX %8u  " PRS "\n", h->preference, STR(h->name));
        for (unsigned i = 0; i < h->count; i++) {
                struct addr_text at = addr_text(h->addresses[i]);

                json_str(&t->out, NULL, str_of(at.z));
                if (!t->json)
                        printf("             %s\n", at.z);
        }
        json_close(&t->out, ']');
        if (rc < 0)
                json_str(&t->out, "problem", why);
        if (rc < 0 && !t->json)
                printf("             " PRS "\n", STR(why));
        show_tlsa(g, mx, h);
        json_close(&t->out, '}');
}

static void show_sts(struct looking *g)
{
        struct tool *t = g->tool;
        struct sts_policy p;
        bool found = sts_policy(g->dispatch, g->domain, &t->arena, &p);
        const char *mode = !found ? "none" : p.enforce ? "enforce" : p.testing ? "testing" : "none";

        json_open(&t->out, "mta-sts", '{');
        json_str(&t->out, "mode", str_of(mode));
        json_str(&t->out, "mx", found ? p.patterns : S(""));
        json_close(&t->out, '}');
        if (!t->json)
                printf("MTA-STS      %s%s" PRS "\n", mode, found ? ": " : "",
                       STR(found ? p.patterns : S("")));
}

static int show_mx(struct looking *g)
{
        struct tool *t = g->tool;
        struct mx mx;
        struct str why = S("");
        int rc =
            mx_find(g->dispatch->how.dns, g->domain, NULL, NULL, in_seconds(PATIENCE), &t->arena, &mx, &why);

        if (rc < 0) {
                json_str(&t->out, "problem", why);
                if (!t->json)
                        printf("DNS          " PRS "\n", STR(why));
                return rc == -ENOENT ? EX_NOHOST : EX_TEMPFAIL;
        }
        json_bool(&t->out, "null-mx", mx.null);
        json_bool(&t->out, "implicit", mx.implicit);
        json_bool(&t->out, "secure", mx.secure);
        if (!t->json && mx.canonical.n && !str_ieq(mx.canonical, g->domain))
                printf("CNAME        " PRS "\n", STR(mx.canonical));
        if (!t->json && mx.null)
                printf("MX        0  .            it takes no mail (null MX, RFC 7505)\n");
        if (!t->json && mx.implicit)
                printf("MX           none: the domain itself is its mail host (RFC 5321 5.1)\n");
        json_open(&t->out, "mx", '[');
        for (unsigned i = 0; i < mx.count; i++)
                show_host(g, &mx, &mx.hosts[i]);
        json_close(&t->out, ']');
        if (!t->json)
                printf("DNSSEC       %s\n", mx.secure ? "validated" : "not signed, or not validated here");
        if (!mx.null)
                show_sts(g);
        return EX_OK;
}

/* ---- what we would do ---- */

static const char *tls_words(const struct way *w)
{
        if (str_eq(w->policy, S("dane")))
                return "TLS by DANE, or not at all";
        if (str_eq(w->policy, S("mta-sts")))
                return "TLS with a good certificate (MTA-STS), or not at all";
        switch (w->tls) {
        case TLS_NEVER: return "without TLS";
        case TLS_MAY: return "TLS if it can";
        case TLS_MUST: return "TLS, or not at all";
        case TLS_AT_ONCE: return "TLS from the start";
        }
        return "";
}

static const char *const kinds[] = { [ROUTE_DIRECT] = "direct",
                                     [ROUTE_RELAY] = "relay",
                                     [ROUTE_LMTP] = "lmtp",
                                     [ROUTE_HOLD] = "hold",
                                     [ROUTE_SELF] = "self" };

static void show_way(struct tool *t, const struct way *w, unsigned number)
{
        json_open(&t->out, NULL, '{');
        json_str(&t->out, "kind", str_of(kinds[w->route.kind]));
        json_str(&t->out, "host", w->name);
        json_number(&t->out, "port", w->count ? w->addresses[0].port : 0);
        json_str(&t->out, "tls", str_of(tls_words(w)));
        json_close(&t->out, '}');
        if (t->json)
                return;
        if (w->route.kind == ROUTE_SELF)
                printf("pail         it is a domain here: filed, not sent\n");
        else
                printf("pail %6u. %s" PRS ", port %u, %s\n", number,
                       w->route.kind == ROUTE_RELAY  ? "by the relay "
                       : w->route.kind == ROUTE_LMTP ? "by LMTP to "
                                                     : "to ",
                       STR(w->name), w->count ? w->addresses[0].port : 0, tls_words(w));
}

static int show_ways(struct looking *g)
{
        struct tool *t = g->tool;
        struct lane *lane = arena_new(&t->arena, struct lane);
        const char *status = "";
        struct str why = S("");
        struct way *ways;
        unsigned n = 0;
        enum found found;

        lane->dispatch = g->dispatch;
        lane->name = (char *)arena_str(&t->arena, g->domain).p;
        found = ways_find(lane, &t->arena, &ways, &n, &status, &why);
        json_open(&t->out, "ways", '[');
        for (unsigned i = 0; found == WAY_FOUND && i < n; i++)
                show_way(t, &ways[i], i + 1);
        json_close(&t->out, ']');
        if (found == WAY_FOUND)
                return EX_OK;
        json_str(&t->out, "result",
                 str_of(found == WAY_HELD    ? "held"
                        : found == WAY_NEVER ? "bounced"
                                             : "later"));
        json_str(&t->out, "why", why);
        if (!t->json)
                printf("pail         %s: " PRS "\n",
                       found == WAY_HELD    ? "would hold it"
                       : found == WAY_NEVER ? "would bounce it at once"
                                            : "would try again later",
                       STR(why));
        if (!t->json && found == WAY_HELD && g->demo)
                printf("             (where a --route of the demo leads is known to the demo alone)\n");
        return found == WAY_NEVER ? EX_NOHOST : found == WAY_LATER ? EX_TEMPFAIL : EX_OK;
}

static void look(void *arg)
{
        struct looking *g = arg;
        struct tool *t = g->tool;
        struct dispatch *d = g->dispatch;
        bool here = d->how.directory && directory_is_local(d->how.directory, g->domain);
        int rc;

        json_open(&t->out, NULL, '{');
        json_str(&t->out, "domain", g->domain);
        if (!t->json)
                printf("domain       " PRS "\n", STR(g->domain));
        g->rc = show_mx(g);
        rc = show_ways(g); /* also where DNS says nothing: a route may lead there */
        if (rc == EX_OK && (here || g->rc == EX_OK || d->how.settings->routes[0]))
                g->rc = EX_OK;
        g->rc = g->rc ? g->rc : rc;
        json_close(&t->out, '}');
        loop_stop();
}

/* ---- the verb ---- */

/* Settings and directory, as far as they are there and we may read them. */
static int enter(struct tool *t, struct looking *g)
{
        const char *path;
        struct stat st;
        int rc = tool_find(t, &path);

        if (rc || !path || (geteuid() != 0 && (stat(path, &st) < 0 || st.st_uid != geteuid())))
                return rc;
        rc = tool_enter(t, path);
        g->demo = rc == 0 && !t->config;
        if (g->demo)
                t->settings.hold_unrouted = 1;
        return rc ? rc : tool_directory(t);
}

static int run(struct tool *t, struct looking *g, const char *resolver)
{
        struct settings *s = &t->settings;
        struct dns_how ask = { resolver ? resolver : s->resolver,
                               access(s->trust_anchors, R_OK) ? "" : s->trust_anchors, s->stub_zones };
        struct buf auto_buf why = { 0 };

        buf_init(&why, 1024);
        if (dns_open(&g->dispatch->how.dns, &ask, &why) < 0)
                return tool_fail(t, -EINVAL, S("dns"), arena_str(&t->arena, buf_str(&why)).p);
        g->dispatch->how.settings = s;
        g->dispatch->how.directory = t->directory;
        g->dispatch->how.relay_passwords = "";
        loop_init();
        if (offload_start(1, 2) < 0 || fiber_spawn("mx", look, g) < 0)
                return tool_fail(t, -ENOMEM, S("mx"), NULL);
        loop_run();
        sts_free(&g->dispatch->sts);
        dns_close(&g->dispatch->how.dns);
        return g->rc;
}

int verb_mx(int argc, char **argv)
{
        const char *resolver = NULL;
        const struct tool_option options[] = { { "resolver", &resolver, NULL }, { 0 } };
        struct tool t;
        struct looking g = { .tool = &t };
        int rc = tool_options(&t, argc, argv, options);

        if (rc == 0 && t.count != 1)
                rc = tool_usage(&t);
        if (rc == 0 && !domain_normal(&t.arena, t.words[0], &g.domain))
                rc = tool_fail(&t, -EINVAL, t.words[0], "no domain");
        rc = rc ? rc : enter(&t, &g);
        if (rc == 0) {
                g.dispatch = mem_new(struct dispatch);
                rc = run(&t, &g, resolver);
                mem_free(g.dispatch);
        }
        return tool_end(&t, rc);
}
