#include "cli/settings_check.h"

#include "net/addr.h"
#include "net/dial.h"
#include "proto/ftp/coder.h"
#include "proto/imap/capability.h"
#include "proto/smtp/route.h"
#include "role/supervisor.h"

static bool capabilities(const struct settings *s, struct buf *why)
{
        struct str unknown;

        if (capabilities_known(str_of(s->imap_disable), &unknown))
                return true;
        buf_printf(why, "imap-disable: " PRS ": IMAP here has no such capability", STR(unknown));
        return false;
}

/* Each of the processes has a share of them: one port at least. */
static bool passive_ports(const struct settings *s, struct buf *why)
{
        if (s->ftp_passive_low > s->ftp_passive_high) {
                buf_printf(why, "ftp-passive-low: %ld is more than ftp-passive-high, %ld", s->ftp_passive_low,
                           s->ftp_passive_high);
                return false;
        }
        if (s->ftp_passive_high - s->ftp_passive_low + 1 >= (long)supervise_workers(s))
                return true;
        buf_printf(why, "ftp-passive-high: ports %ld to %ld are fewer than the %u processes",
                   s->ftp_passive_low, s->ftp_passive_high, supervise_workers(s));
        return false;
}

/* PASV can say nothing else (RFC 959 §4.1.2). */
static bool public_address(const struct settings *s, struct buf *why)
{
        struct str value = str_of(s->ftp_public_address);
        struct addr a;

        if (!value.n || (addr_parse(value, 0, &a) && a.family == 4 && !a.port && !addr_any(a)))
                return true;
        buf_printf(why, "ftp-public-address: " PRS " is no IPv4 address", STR(value));
        return false;
}

static bool code_page(const struct settings *s, struct buf *why)
{
        if (coding_page(s->ftp_code_page))
                return true;
        buf_printf(why, "ftp-code-page: %s is no EBCDIC that iconv knows here",
                   *s->ftp_code_page ? s->ftp_code_page : "\"\"");
        return false;
}

static bool sending(const struct settings *s, struct buf *why)
{
        struct addr room[2];
        struct dial dial;
        struct str bad;

        if (!routes_valid(str_of(s->routes), &bad)) {
                buf_printf(why, "routes: " PRS " is not DOMAIN=direct, hold, HOST[:PORT] or lmtp:HOST[:PORT]",
                           STR(bad));
                return false;
        }
        if (dial_from(&dial, str_of(s->send_from), room))
                return true;
        buf_printf(why, "send-from: %s is not one IPv4 address, one IPv6 address or both", s->send_from);
        return false;
}

bool settings_check(const struct settings *s, struct buf *why)
{
        return capabilities(s, why) && passive_ports(s, why) && public_address(s, why) && code_page(s, why) &&
               sending(s, why);
}
