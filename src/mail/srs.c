#include "mail/srs.h"
#include "base/codec.h"
#include "base/scan.h"
#include <sodium.h>

enum { HASH_CHARACTERS = 8, DAYS_KEPT = 21, DAYS_ROUND = 1024, LOCAL_MOST = 200 };

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

struct str srs_forward(struct arena *a, struct str key, struct str sender, struct str our_domain, int64_t now)
{
        size_t at = str_rfind(sender, '@');
        struct str local, domain, rest;
        char day[3], hash[HASH_CHARACTERS + 1];

        if (!sender.n || at == STR_NONE)
                return sender;
        local = str_sub(sender, 0, at);
        domain = str_from_at(sender, at + 1);
        if (!local.n || !domain.n || str_ieq(domain, our_domain) || local.n > LOCAL_MOST ||
            str_find(domain, '=') != STR_NONE)
                return sender;
        if (is_srs(local, '0')) { /* the first forwarder's: it comes back by way of him */
                rest = arena_printf(a, PRS "=" PRS, STR(domain), STR(str_from_at(local, 4)));
                hash_put(hash, a, key, rest);
                return arena_printf(a, "SRS1=%s=" PRS "@" PRS, hash, STR(rest), STR(our_domain));
        }
        if (is_srs(local, '1')) { /* the host between is left out; its hash goes too */
                struct str first;

                rest = str_from_at(local, 5);
                if (!str_cut(&rest, '=', &first))
                        return sender;
                hash_put(hash, a, key, rest);
                return arena_printf(a, "SRS1=%s=" PRS "@" PRS, hash, STR(rest), STR(our_domain));
        }
        day_put(day, now);
        rest = arena_printf(a, "%s=" PRS "=" PRS, day, STR(domain), STR(local));
        hash_put(hash, a, key, rest);
        return arena_printf(a, "SRS0=%s=" PRS "@" PRS, hash, STR(rest), STR(our_domain));
}

struct str srs_reverse(struct arena *a, struct str key, struct str local, int64_t now)
{
        struct str none = { 0 }, rest = str_from_at(local, 5), hash, day, domain;
        bool first = is_srs(local, '0');

        if ((!first && !is_srs(local, '1')) || !str_cut(&rest, '=', &hash) || !hash_good(a, key, rest, hash))
                return none;
        if (!first) /* domain, then the separator and the rest of its SRS0 */
                return str_cut(&rest, '=', &domain) && rest.n
                           ? arena_printf(a, "SRS0" PRS "@" PRS, STR(rest), STR(domain))
                           : none;
        if (!str_cut(&rest, '=', &day) || !day_good(day, now) || !str_cut(&rest, '=', &domain) || !rest.n ||
            !domain.n)
                return none;
        return arena_printf(a, PRS "@" PRS, STR(rest), STR(domain));
}

/* ---- list-bounces+local=domain@list's ---- */

struct str verp_write(struct arena *a, struct str list, struct str member)
{
        size_t at = str_rfind(list, '@'), to = str_rfind(member, '@');

        if (at == STR_NONE || to == STR_NONE)
                return list;
        return arena_printf(a, PRS "-bounces+" PRS "=" PRS PRS, STR(str_sub(list, 0, at)),
                            STR(str_sub(member, 0, to)), STR(str_from_at(member, to + 1)),
                            STR(str_from_at(list, at)));
}

bool verp_read(struct arena *a, struct str local, struct str domain, struct str *list, struct str *member)
{
        size_t at = str_search(local, S("-bounces"));
        struct str rest;
        size_t to;

        if (at == STR_NONE || !at)
                return false;
        *list = arena_printf(a, PRS "@" PRS, STR(str_sub(local, 0, at)), STR(domain));
        *member = S("");
        rest = str_from_at(local, at + 8);
        if (!rest.n)
                return true;
        to = str_rfind(rest, '=');
        if (rest.p[0] != '+' || to == STR_NONE || to < 2)
                return false;
        *member = arena_printf(a, PRS "@" PRS, STR(str_sub(rest, 1, to - 1)), STR(str_from_at(rest, to + 1)));
        return true;
}
