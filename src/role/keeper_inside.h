/* What the files of the keeper share. */
#pragma once
#include "base/mem.h"
#include "base/time.h"
#include "role/keeper.h"
#include "run/channel.h"
#include "run/fiber.h"
#include "store/directory.h"
#include "store/secrets.h"
#include <gsasl.h>

#define SERVER_KEY 32
#define TICKET_KEY 64

/* ---- keeper_cache.c: what was verified not long ago. Fixed size, the oldest of a set gives way. ---- */
#define VERIFIED_SETS 4096
#define VERIFIED_WAYS 4
struct verified {
        unsigned char digest[16];
        uint64_t account; /* hash of its name */
        uint64_t id;      /* the secret that it was */
        int64_t until;    /* 0: empty */
        uint16_t scope;
};
struct verified_cache {
        unsigned char key[32];
        struct verified *entries;
        uint64_t generation; /* changes with every drop: what was being verified meanwhile does not count */
};
void verified_init(struct verified_cache *c);
void verified_free(struct verified_cache *c);
const struct verified *verified_find(struct verified_cache *c, struct str account, struct str password,
                                     int64_t now);
void verified_put(struct verified_cache *c, struct str account, struct str password, uint64_t id,
                  unsigned scope, int64_t now);
void verified_drop(struct verified_cache *c, struct str account); /* empty: all */

/* ---- keeper_slow.c: failures, delays, refused addresses ---- */
#define FAILURE_SETS 1024
#define FAILURE_WAYS 8
struct failures {     /* of an address, or against an account */
        uint64_t who; /* hash; 0: empty */
        uint32_t count;
        uint32_t own;         /* of an address: the last so many were against the same account, */
        uint64_t own_against; /* this one (hash) */
        int64_t last;
};
struct refused {
        struct addr net;
        int64_t until;
        uint64_t times;
};
struct slow {
        struct failures *addresses, *accounts;
        struct failures *tries_accounts,
            *tries_nobody;       /* wherever they came from; names that are none apart */
        struct refused *refused; /* also those whose time is over, for a while: the next is longer */
        size_t refused_count;
        unsigned waiting;        /* answers that are being delayed, */
        struct waitlist delayed; /* on this */
};
int slow_init(struct keeper *k);
void slow_free(struct keeper *k);
bool slow_refuses(struct keeper *k, struct addr peer);
/* Whoever this is about to be tried for (account: empty if the name is nobody's): not if that was tried too often. */
bool slow_may_try(struct keeper *k, struct str account, struct str name);
/* Counts it, refuses the address when it is too many, and waits as long as this failure shall take. */
void slow_failure(struct keeper *k, const struct signin *who, struct str account, struct str name);
void slow_success(struct keeper *k, const struct signin *who, struct str account);
void slow_tell_all(struct keeper *k, struct channel *front);

/* ---- keeper_sign.c, keeper_sasl.c ---- */
struct signing_key;
#define EXCHANGES_MOST 1024 /* of one front */
struct exchange;
struct exchanges {
        struct exchange **list;
        size_t room;
        unsigned count;
        uint16_t generation;
};
struct front {
        struct keeper *keeper;
        struct channel *channel;
        struct exchanges exchanges;
        unsigned running; /* handlers */
        nsec gone;        /* when its channel ended; 0: not. Freed a while later, when no handler is left */
        struct front *next;
};
int sasl_init(struct keeper *k);
void sasl_start(struct front *f, const struct ask_sasl_start *m, struct arena *a, struct signin_answer *out);
void sasl_step(struct front *f, const struct ask_sasl_step *m, struct arena *a, struct signin_answer *out);
void sasl_drop(struct front *f, uint32_t handle);
void sasl_drop_all(struct front *f);

struct keeper {
        const struct settings *settings;
        struct secrets *secrets;
        struct directory *directory;
        int64_t (*clock)(void);
        unsigned char app_key[SERVER_KEY], fake_key[SERVER_KEY]; /* of app passwords; of salts for nobody */
        struct verified_cache verified;
        struct slow slow;
        Gsasl *gsasl;
        struct front *fronts;
        struct signing_key *key;
        unsigned char ticket_key[TICKET_KEY];
        unsigned hashing; /* waiting for Argon2, or in it */
        unsigned long hash_runs;
        struct secret_use *uses; /* since they were last written down */
        size_t use_count;
        bool stopping;
        int64_t looked; /* whether another process has changed the secrets */
};

/* ---- keeper_password.c ---- */
/* account: in a, when OK. Counts and delays failures. */
enum signin_result keeper_check_password(struct keeper *k, const struct signin *who, struct str name,
                                         struct str password, struct arena *a, struct str *account);
enum signin_result keeper_check_apop(struct keeper *k, const struct ask_apop *m, struct arena *a,
                                     struct str *account);
void keeper_used(struct keeper *k, uint64_t id);
void keeper_password_init(struct keeper *k);
/* Of name: the account and its secrets; of nobody: account "" and none, after the same work. 0 or -errno. */
int keeper_secrets_of(struct keeper *k, struct arena *a, struct str name, struct str *account,
                      struct secret **list, size_t *n);

/* ---- keeper_secret.c ---- */
#define SCRAM_ITERATIONS 10000
#define SALT_MOST        64
struct scram {
        uint32_t iterations;
        struct str salt, stored_key, server_key;
};
[[nodiscard]] bool scram_unpack(struct scram *s, struct str value);
/* "abcd-efgh-..." as typed, to its keyed hash. false: it has not the form of one. */
[[nodiscard]] bool app_password_hash(const struct keeper *k, struct str typed, unsigned char hash[static 32]);
/* Argon2id with what OWASP recommends at least: 19 MiB, 2 passes. */
#define ARGON_PASSES 2
#define ARGON_MEMORY (19 * 1024 * 1024)

/* ---- keeper_sign.c ---- */
int keeper_sign_hash(struct keeper *k, const struct ask_sign *m, struct buf *signature);
void keeper_key_drop(struct keeper *k);
