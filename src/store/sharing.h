/* Who was granted something by whom: so that LIST of others' mailboxes opens only accounts that show something. A small
 * SQLite file, `sharing/sharing.db` (WAL), written by the mail processes when rights change, read in one short look. It
 * only says where to look; the account's own list decides (store/access.h). It can be made anew from the accounts: pail check compares.
 *
 * Rows: (owner account, identifier, how many mailboxes). A reader matches by his name, "anyone", "$his-domain". */
#pragma once
#include "base/arena.h"
#include "store/account.h"

struct sharing;
[[nodiscard]] int sharing_open(struct sharing **out, const char *path); /* made if missing */
void sharing_close(struct sharing **s);
/* Absolute: so many mailboxes of the owner name this identifier now. Synced. Waits. */
[[nodiscard]] int sharing_set(struct sharing *s, struct str owner, struct str identifier, uint32_t mailboxes);
/* The owners who may show something to the reader, in order of name, without himself. Waits. */
[[nodiscard]] int sharing_owners(struct sharing *s, struct str reader, struct arena *m, struct str **owners,
                                 size_t *n);
[[nodiscard]] int sharing_remove_owner(struct sharing *s, struct str owner); /* the account is gone */
/* From now on what happens to the rights of these accounts' mailboxes is told to s (NULL: no more). */
void accounts_share(struct accounts *a, struct sharing *s);

/* How many mailboxes of the owner name whom, as told; in order of identifier. Waits. */
struct share {
        struct str identifier;
        uint32_t mailboxes;
};
[[nodiscard]] int sharing_of(struct sharing *s, struct str owner, struct arena *m, struct share **list,
                             size_t *n);
/* Makes what is told of an account true: after its folder was put back, or its rows were lost. */
[[nodiscard]] int sharing_tell(struct sharing *s, struct account *a);
/* For pail check: what is told, against the account's own lists. A line for each that differs. */
[[nodiscard]] int sharing_check(struct sharing *s, struct account *a, struct buf *out, unsigned *wrong);
