/* What sending reads from others, one parser for each first byte: records of DNS, routes, MTA-STS, reports that come back, and the addresses we
 * wrote for them (SRS, VERP). */
#include "base/mem.h"
#include "mail/address.h"
#include "mail/report.h"
#include "mail/srs.h"
#include "net/dns.h"
#include "net/tls_wanted.h"
#include "proto/smtp/route.h"
#include "proto/smtp/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

#define KEY S("0123456789abcdef")
#define AT  INT64_C(1700000000000000)

static void names(struct arena *a, struct str rest)
{
        struct str name;

        while ((name = dns_name(a, &rest)).p && rest.n)
                for (size_t i = 0; i < name.n; i++)
                        must(name.p[i] > ' ' && name.p[i] < 127, "a name that no host has");
}

static void routes(struct str text)
{
        struct str why, rules = text, domain;
        bool valid;
        struct route r;

        str_cut(&rules, '\n', &domain);
        valid = routes_valid(rules, &why);
        must(valid || why.n, "wrong, and nobody knows why");
        r = route_for(rules, domain, ROUTE_DIRECT);
        must((r.kind != ROUTE_RELAY && r.kind != ROUTE_LMTP) || (r.host.n && r.port),
             "a relay that is nowhere");
}

static void policy(struct arena *a, struct str text)
{
        struct sts_policy p;
        struct str records[2] = { text, str_from_at(text, text.n / 2) };

        if (sts_read(text, a, &p)) {
                must(p.max_age && (p.patterns.n || !p.enforce), "a policy that is none");
                (void)sts_allows(p.patterns, text);
        }
        (void)sts_id(records, 2, a);
}

/* Whatever stands before @ comes back, if it is one of ours; and nothing else does. */
static void rewritten(struct arena *a, struct str sender)
{
        struct str out = srs_forward(a, KEY, sender, S("forward.example"), AT), normal, list, member;
        struct path from, to;

        if (!str_eq(out, sender) && address_parse(a, sender, &from) && address_normal(a, &from, &normal) &&
            str_eq(normal, sender)) {
                must(address_parse(a, out, &to), "SRS makes what is no address");
                if (str_starts(to.local, S("SRS0=")))
                        must(str_eq(srs_reverse(a, KEY, to.local, AT), sender), "SRS does not come back");
        }
        if (address_parse(a, verp_write(a, S("friends@hill.com"), sender), &to) && to.local.n > 17)
                must(verp_read(a, to.local, to.domain, &list, &member) && str_eq(list, S("friends@hill.com")),
                     "VERP does not come back");
        must(!srs_reverse(a, KEY, sender, AT).p, "SRS by a stranger"); /* 40 bits would have to be guessed */
        (void)verp_read(a, sender, S("hill.com"), &list, &member);
}

static void reports(struct arena *a, struct str text)
{
        struct report_read *list;
        unsigned n;

        if (report_read(text, a, &list, &n))
                for (unsigned i = 0; i < n; i++)
                        must(list[i].final.n > 0, "a report on nobody");
        (void)notify_of(text);
        (void)parameter_of(text, S("ORCPT"));
}

/* Others' words make no lines of their own. */
static void written(struct arena *a, struct str words)
{
        struct report_recipient to = { .final = words,
                                       .original = words,
                                       .action = REPORT_FAILED,
                                       .status = S("5.1.1"),
                                       .diagnostic = words,
                                       .remote = words };
        struct report r = { .host = S("town.com"),
                            .envid = words,
                            .to = S("jack@town.com"),
                            .recipients = &to,
                            .count = 1,
                            .letter = words,
                            .utf8 = words.n & 1,
                            .message_id = S("1@town.com"),
                            .boundary = S("=_1") };
        struct report_read *list;
        struct buf out;
        unsigned n;

        buf_init(&out, 16 << 20);
        report_write(&out, &r);
        must(!out.full, "a report of that size");
        for (size_t i = 0; i < out.n; i++) {
                must(out.p[i] != '\n' || (i && out.p[i - 1] == '\r'), "a bare LF");
                must(out.p[i] != '\r' || (i + 1 < out.n && out.p[i + 1] == '\n'), "a bare CR");
        }
        if (report_read(buf_str(&out), a, &list, &n))
                must(n == 1 && list[0].action == REPORT_FAILED, "one became many");
        buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct arena a;
        struct str text;

        if (!size)
                return 0;
        text = str_from(data + 1, size - 1);
        arena_init(&a, 256 << 20);
        switch (data[0] % 7) {
        case 0: names(&a, text); break;
        case 1: (void)tlsa_usable(text); break;
        case 2: routes(text); break;
        case 3: policy(&a, text); break;
        case 4: rewritten(&a, text); break;
        case 5: reports(&a, text); break;
        case 6: written(&a, text); break;
        }
        arena_finish(&a);
        return 0;
}
