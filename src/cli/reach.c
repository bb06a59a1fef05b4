#include "cli/reach.h"
#include "base/arena.h"
#include "mail/address.h"
#include "net/mx.h"
#include <errno.h>

#define DNS_PATIENCE 30

int reach_find(const char *host, unsigned port, struct addr to[static DIAL_MOST], unsigned *count,
               struct buf *why)
{
        struct dns_how ask = { "system", "", "" };
        struct mx_host found = { 0 };
        auto_arena struct arena a = { 0 };
        struct str words = S("");
        struct dns *dns;
        int rc;

        *count = 1;
        if (addr_parse(str_of(host), (uint16_t)port, to)) {
                to->port = (uint16_t)port;
                return 0;
        }
        *count = 0;
        arena_init(&a, 1 << 20);
        if (!domain_normal(&a, str_of(host), &found.name)) {
                buf_printf(why, "no host can have this name");
                return -ENOENT;
        }
        if (dns_open(&dns, &ask, why) < 0)
                return -EAGAIN;
        rc = mx_addresses(dns, &found, in_seconds(DNS_PATIENCE), &a, &words);
        dns_close(&dns);
        if (rc < 0)
                buf_puts(why, words.n ? words : S("it has no address"));
        for (; rc == 0 && *count < found.count && *count < DIAL_MOST; ++*count) {
                to[*count] = found.addresses[*count];
                to[*count].port = (uint16_t)port;
        }
        return rc;
}

int reach(const char *host, unsigned port, nsec deadline, struct conn **out, struct buf *why)
{
        struct addr to[DIAL_MOST];
        unsigned count, which;
        int rc = reach_find(host, port, to, &count, why);

        return rc < 0 ? rc : dial_any(&(struct dial){ .to = to, .count = count }, deadline, out, &which, why);
}
