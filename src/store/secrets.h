/* The secrets: what proves who somebody is, and which addresses are refused. One SQLite file, `secrets/secrets.db`,
 * opened by the keeper alone (or by a verb where no server runs). Nothing here hashes or compares; values are bytes
 * whose meaning is role/keeper_secret.c's.
 *
 * A secret belongs to an account and has a label: "" for the password and what is derived from it, else the name of
 * an app password. All calls wait. 0 or -errno, see store/db.h. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum secret_kind {                      /* also on disk */
                   SECRET_PASSWORD = 1, /* Argon2id, libsodium's string */
                   SECRET_APP = 2,      /* 32 bytes, keyed hash */
                   SECRET_SCRAM_SHA1 =
                       3, /* u32 iterations | packed salt | packed StoredKey | packed ServerKey */
                   SECRET_SCRAM_SHA256 = 4,
                   SECRET_APOP = 5, /* the password itself: APOP needs it */
                   SECRET_TOTP = 6, /* reserved */
};
struct secret {
        enum secret_kind kind;
        unsigned scope; /* SCOPE_ bits of proto/keeper.h */
        struct str label, value;
        uint64_t id;           /* random, new with each value */
        int64_t created, used; /* seconds since 1970; used 0: never */
};
struct secrets;
[[nodiscard]] int secrets_open(struct secrets **out, const char *path, bool create);
void secrets_close(struct secrets **s);
bool secrets_changed(struct secrets *s); /* has another process changed the file since the last call? */

/* All of an account, in order of label and kind; of one it has nothing of: n = 0. */
[[nodiscard]] int secrets_of(struct secrets *s, struct arena *a, struct str account, struct secret **list,
                             size_t *n);
/* In place of all that has this label; the list's labels and ids are not looked at. n = 0 removes: -ENOENT if there
 * was nothing. Synced. */
[[nodiscard]] int secrets_replace(struct secrets *s, struct str account, struct str label,
                                  const struct secret *list, size_t n, int64_t now);
[[nodiscard]] int secrets_remove_account(struct secrets *s, struct str account);
[[nodiscard]] int secrets_accounts(struct secrets *s, struct arena *a, struct str **list, size_t *n);
/* Last use; not synced, many at once. */
struct secret_use {
        uint64_t id;
        int64_t when;
};
int secrets_used(struct secrets *s, const struct secret_use *list, size_t n);
/* 32 random bytes that stay: made when first asked for. */
[[nodiscard]] int secrets_server_key(struct secrets *s, const char *name, unsigned char key[static 32]);

struct ban {
        struct str net; /* as text: "192.0.2.1", "2001:db8::" */
        int64_t until;  /* seconds since 1970 */
        uint64_t times; /* so far, this one included */
};
[[nodiscard]] int secrets_bans(struct secrets *s, struct arena *a, struct ban **list, size_t *n);
[[nodiscard]] int secrets_put_ban(struct secrets *s, const struct ban *b);
[[nodiscard]] int secrets_drop_ban(struct secrets *s, struct str net); /* -ENOENT */
