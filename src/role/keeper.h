/* The keeper: alone opens the secrets, runs every sign-in, signs for TLS with keys that no front sees, counts failures
 * and refuses addresses. No network. Asked by the message kinds of proto/keeper.h.
 *
 * A process of its own (role_keeper), or, where no server runs, part of a verb: keeper_start opens the same files, and
 * keeper_set_secret and its neighbours are what the messages call. Everything here waits.
 *
 * After 100 failures against one name within an hour, wherever from, one try a second: not even a front that lies about
 * its peers guesses faster. A password remembered and an app password are let in all the same.
 *
 * A wrong name and a wrong password cost the same: one look into the secrets and one Argon2 run. What was verified is
 * remembered for an hour as a keyed hash, so that reconnecting costs none (keeper_password.c). */
#pragma once
#include "proto/keeper_message.h"
#include "settings.h"

struct keeper;
struct keeper_setup {
        const char *secrets, *directory; /* files */
        const struct settings *settings; /* stay the caller's; see keeper_settings */
        bool create;                     /* make secrets.db if it is missing */
        int64_t (*clock)(void);          /* seconds since 1970; NULL: the real one */
};
[[nodiscard]] int keeper_start(struct keeper **out, const struct keeper_setup *setup); /* 0 or -errno */
void keeper_stop(struct keeper **k); /* waits; fronts are freed */
void keeper_settings(struct keeper *k, const struct settings *settings);
void keeper_directory_changed(struct keeper *k);

/* The private key, PEM; read from fd, which is taken. 0, or -EINVAL: no key; the one before stays. */
int keeper_key(struct keeper *k, int fd);
/* A front's channel: fd is taken. Tells it who is refused and answers what it asks, until it is gone. */
void keeper_front(struct keeper *k, int fd);
void keeper_rotate_ticket_key(struct keeper *k); /* and tells all fronts */
void keeper_note_uses(struct keeper *k);         /* writes down when secrets were last used; now and then */

/* What the supervisor, or a verb, may ask besides. Texts are those of struct keeper_said. */
int keeper_set_secret(struct keeper *k, const struct ask_set_secret *m, struct buf *text);
int keeper_list_secrets(struct keeper *k, struct str account, struct buf *text); /* rows of secret_entry */
int keeper_list_bans(struct keeper *k, uint32_t skip, struct buf *text);         /* rows of ban_entry */
int keeper_unban(struct keeper *k, struct str address);                          /* -ENOENT, -EINVAL */

/* For tests: how often Argon2 ran, and how many SASL exchanges are open. */
unsigned long keeper_hash_runs(const struct keeper *k);
unsigned keeper_exchanges(const struct keeper *k);
