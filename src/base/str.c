#include "base/str.h"
#include "base/mem.h"
#include <sodium.h>
#include <sys/random.h>

/* Empty strings may have a NULL pointer, which neither arithmetic nor the mem functions may see. */
static const char *plus(const char *p, size_t n)
{
        return n ? p + n : p;
}

char chr_lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool str_eq(struct str a, struct str b)
{
        return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

bool str_ieq(struct str a, struct str b)
{
        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                if (chr_lower(a.p[i]) != chr_lower(b.p[i]))
                        return false;
        return true;
}

int str_cmp(struct str a, struct str b)
{
        size_t n = a.n < b.n ? a.n : b.n;
        int order = n ? memcmp(a.p, b.p, n) : 0;

        return order ? order : (a.n > b.n) - (a.n < b.n);
}

struct str str_from_at(struct str s, size_t from)
{
        if (from > s.n)
                from = s.n;
        return (struct str){ plus(s.p, from), s.n - from };
}

struct str str_sub(struct str s, size_t from, size_t n)
{
        s = str_from_at(s, from);
        if (s.n > n)
                s.n = n;
        return s;
}

bool str_starts(struct str s, struct str prefix)
{
        return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
        return s.n >= prefix.n && str_ieq(str_sub(s, 0, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
        return s.n >= suffix.n && str_eq(str_from_at(s, s.n - suffix.n), suffix);
}

static bool blank(char c)
{
        return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
        size_t from = 0;

        while (s.n && blank(s.p[s.n - 1]))
                s.n--;
        while (from < s.n && blank(s.p[from]))
                from++;
        return str_from_at(s, from);
}

size_t str_find(struct str s, char c)
{
        const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

        return at ? (size_t)(at - s.p) : STR_NONE;
}

size_t str_rfind(struct str s, char c)
{
        const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;

        return at ? (size_t)(at - s.p) : STR_NONE;
}

size_t str_search(struct str s, struct str needle)
{
        const char *at;

        if (!needle.n)
                return 0;
        at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
        return at ? (size_t)(at - s.p) : STR_NONE;
}

bool str_cut(struct str *s, char at, struct str *head)
{
        size_t found = str_find(*s, at);

        *head = str_sub(*s, 0, found);
        *s = str_from_at(*s, found == STR_NONE ? s->n : found + 1);
        return found != STR_NONE;
}

bool str_u64(struct str s, uint64_t *out)
{
        uint64_t v = 0;

        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
                    __builtin_add_overflow(v, (unsigned)(s.p[i] - '0'), &v))
                        return false;
        if (!s.n)
                return false;
        *out = v;
        return true;
}

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

/* Before main, so that no thread can hash with half a key. */
__attribute__((constructor)) static void make_hash_key(void)
{
        if (getrandom(hash_key, sizeof hash_key, 0) != (ssize_t)sizeof hash_key)
                mem_die("the kernel gives no random bytes");
}

uint64_t str_hash(struct str s)
{
        union {
                unsigned char bytes[crypto_shorthash_BYTES];
                uint64_t number;
        } out;

        crypto_shorthash(out.bytes, (const unsigned char *)(s.n ? s.p : ""), s.n, hash_key);
        return out.number;
}

bool str_has_control(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
                        return true;
        return false;
}
