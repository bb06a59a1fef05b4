#include "role/keeper_inside.h"
#include <sodium.h>

/* What is remembered of a verified password is a keyed hash of account and password, under a key that this process
 * made for itself; with the account's length before it, so that no two pairs can look alike. */

enum { REMEMBERED = 3600 }; /* seconds */

void verified_init(struct verified_cache *c)
{
        randombytes_buf(c->key, sizeof c->key);
        c->entries = mem_array((size_t)VERIFIED_SETS * VERIFIED_WAYS, sizeof(*c->entries));
}

void verified_free(struct verified_cache *c)
{
        mem_free(c->entries);
        c->entries = NULL;
}

static void digest_of(const struct verified_cache *c, struct str account, struct str password,
                      unsigned char digest[static 16])
{
        crypto_generichash_state s;
        uint64_t n = account.n;

        crypto_generichash_init(&s, c->key, sizeof c->key, 16);
        crypto_generichash_update(&s, (const unsigned char *)&n, sizeof n);
        crypto_generichash_update(&s, (const unsigned char *)account.p, account.n);
        crypto_generichash_update(&s, (const unsigned char *)password.p, password.n);
        crypto_generichash_final(&s, digest, 16);
        sodium_memzero(&s, sizeof s);
}

static struct verified *set_of(struct verified_cache *c, const unsigned char digest[static 16])
{
        size_t set = (digest[0] | (size_t)digest[1] << 8) % VERIFIED_SETS;

        return c->entries + set * VERIFIED_WAYS;
}

const struct verified *verified_find(struct verified_cache *c, struct str account, struct str password,
                                     int64_t now)
{
        unsigned char digest[16];
        struct verified *set;

        digest_of(c, account, password, digest);
        set = set_of(c, digest);
        for (size_t i = 0; i < VERIFIED_WAYS; i++)
                if (set[i].until > now && sodium_memcmp(set[i].digest, digest, sizeof digest) == 0)
                        return &set[i];
        return NULL;
}

void verified_put(struct verified_cache *c, struct str account, struct str password, uint64_t id,
                  unsigned scope, int64_t now)
{
        struct verified v = {
                .account = str_hash(account), .id = id, .until = now + REMEMBERED, .scope = (uint16_t)scope
        };
        struct verified *set, *place;

        digest_of(c, account, password, v.digest);
        place = set = set_of(c, v.digest);
        for (size_t i = 1; i < VERIFIED_WAYS; i++)
                if (set[i].until < place->until)
                        place = &set[i];
        *place = v;
}

void verified_drop(struct verified_cache *c, struct str account)
{
        uint64_t hash = str_hash(account);

        c->generation++;
        for (size_t i = 0; i < (size_t)VERIFIED_SETS * VERIFIED_WAYS; i++)
                if (c->entries[i].until && (!account.n || c->entries[i].account == hash))
                        c->entries[i] = (struct verified){ 0 };
}
