#include "mail/srs.h"
#include "base/codec.h"
#include "base/scan.h"
#include "mail/address.h"
#include <sodium.h>

enum { HASH_CHARACTERS = 8, DAYS_KEPT = 21, DAYS_ROUND = 1024 };

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* Two characters for the day, so that an address is good for some weeks only. */
static void day_put(char out[static 3], int64_t usec)
{
        unsigned day = (unsigned)(usec / 1000000 / 86400 % DAYS_ROUND);

        out[0] = base32[day >> 5];
        out[1] = base32[day & 31];
        out[2] = 0;
}

static int digit(char c)
{
        c = chr_lower(c);
        return c >= 'a' && c <= 'z' ? c - 'a' : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

static bool day_good(struct str s, int64_t usec)
{
        int high = s.n == 2 ? digit(s.p[0]) : -1, low = s.n == 2 ? digit(s.p[1]) : -1;
        int64_t today = usec / 1000000 / 86400 % DAYS_ROUND;

        return high >= 0 && low >= 0 && (today - (high * 32 + low) + DAYS_ROUND) % DAYS_ROUND <= DAYS_KEPT;
}

/* Letter case may change on the way, so the hash is of lower case and written in base 32. */
static void hash_put(char out[static HASH_CHARACTERS + 1], struct arena *a, struct str key, struct str text)
{
        unsigned char digest[16];
        struct str lower = arena_lower(a, text);

        crypto_generichash(digest, sizeof(digest), (const unsigned char *)lower.p, lower.n,
                           (const unsigned char *)key.p, key.n);
        for (unsigned i = 0; i < HASH_CHARACTERS; i++)
                out[i] = base32[digest[i] & 31];
        out[HASH_CHARACTERS] = 0;
}

static bool hash_good(struct arena *a, struct str key, struct str text, struct str said)
{
        char right[HASH_CHARACTERS + 1];

        hash_put(right, a, key, text);
        return str_ieq(said, str_of(right));
}

/* "SRS0=": the separators = + and - are all seen */
static bool is_srs(struct str local, char which)
{
        return local.n > 5 && str_istarts(local, S("SRS")) && local.p[3] == which &&
               (local.p[4] == '=' || local.p[4] == '+' || local.p[4] == '-');
}

/* What is put together may have to be quoted; what is longer than an address may be is as good as none. */
static struct str address_made(struct arena *a, struct str local, struct str domain, struct str otherwise)
{
        struct str made = address_write(a, local, domain);

        return local.n + 1 + domain.n <= ADDRESS_MAX ? made : otherwise;
}

struct str srs_forward(struct arena *a, struct str key, struct str sender, struct str our_domain, int64_t now)
{
        char day[3], hash[HASH_CHARACTERS + 1];
        struct str rest;
        struct path p;

        if (!address_parse(a, sender, &p) || str_ieq(p.domain, our_domain) ||
            str_find(p.domain, '=') != STR_NONE)
                return sender;      /* "=" is in literals only: "[tag:a=b]" */
        if (is_srs(p.local, '0')) { /* the first forwarder's: it comes back by way of him */
                rest = arena_printf(a, PRS "=" PRS, STR(p.domain), STR(str_from_at(p.local, 4)));
        } else if (is_srs(p.local, '1')) { /* the host between is left out; its hash goes too */
                struct str first;

                rest = str_from_at(p.local, 5);
                if (!str_cut(&rest, '=', &first))
                        return sender;
        } else {
                day_put(day, now);
                rest = arena_printf(a, "%s=" PRS "=" PRS, day, STR(p.domain), STR(p.local));
        }
        hash_put(hash, a, key, rest);
        return address_made(a,
                            arena_printf(a, "SRS%c=%s=" PRS,
                                         is_srs(p.local, '0') || is_srs(p.local, '1') ? '1' : '0', hash,
                                         STR(rest)),
                            our_domain, sender);
}

struct str srs_reverse(struct arena *a, struct str key, struct str local, int64_t now)
{
        struct str none = { 0 }, rest = str_from_at(local, 5), hash, day, domain;
        bool first = is_srs(local, '0');

        if ((!first && !is_srs(local, '1')) || !str_cut(&rest, '=', &hash) || !hash_good(a, key, rest, hash))
                return none;
        if (!first) /* domain, then the separator and the rest of its SRS0 */
                return str_cut(&rest, '=', &domain) && rest.n
                           ? address_write(a, arena_printf(a, "SRS0" PRS, STR(rest)), domain)
                           : none;
        if (!str_cut(&rest, '=', &day) || !day_good(day, now) || !str_cut(&rest, '=', &domain) || !rest.n ||
            !domain.n)
                return none;
        return address_write(a, rest, domain);
}

/* ---- list-bounces+local=domain@list's ---- */

struct str verp_write(struct arena *a, struct str list, struct str member)
{
        struct path l, m;
        struct str bounces;

        if (!address_parse(a, list, &l) || !address_parse(a, member, &m))
                return list;
        bounces = arena_printf(a, PRS "-bounces", STR(l.local));
        if (str_find(m.domain, '=') != STR_NONE)
                return address_write(a, bounces, l.domain);
        return address_made(a,
                            arena_printf(a, PRS "+" PRS "=" PRS, STR(bounces), STR(m.local), STR(m.domain)),
                            l.domain, address_write(a, bounces, l.domain));
}

bool verp_read(struct arena *a, struct str local, struct str domain, struct str *list, struct str *member)
{
        size_t at = str_search(local, S("-bounces"));
        struct str rest;
        size_t to;

        if (at == STR_NONE || !at)
                return false;
        *list = address_write(a, str_sub(local, 0, at), domain);
        *member = S("");
        rest = str_from_at(local, at + 8);
        if (!rest.n)
                return true;
        to = str_rfind(rest, '=');
        if (rest.p[0] != '+' || to == STR_NONE || to < 2)
                return false;
        *member = address_write(a, str_sub(rest, 1, to - 1), str_from_at(rest, to + 1));
        return true;
}
