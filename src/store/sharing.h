/* Who was granted something by whom: so that LIST of others' mailboxes opens only accounts that show something. A small
 * SQLite file, `sharing/sharing.db` (WAL), written by the mail processes when rights change, read through a cache. It
 * only says where to look; the account's own list decides (store/access.h). It can be made anew from the accounts: pail check compares.
 *
 * Rows: (owner account, identifier, how many mailboxes). A reader matches by his name, "anyone", "$his-domain". */
#pragma once
#include "base/arena.h"

struct sharing;
[[nodiscard]] int sharing_open(struct sharing **out, const char *path); /* made if missing */
void sharing_close(struct sharing **s);
/* Absolute: so many mailboxes of the owner name this identifier now. Synced. Waits. */
[[nodiscard]] int sharing_set(struct sharing *s, struct str owner, struct str identifier, uint32_t mailboxes);
/* The owners who may show something to the reader, in order of name, without himself. Waits. */
[[nodiscard]] int sharing_owners(struct sharing *s, struct str reader, struct arena *m, struct str **owners,
                                 size_t *n);
[[nodiscard]] int sharing_remove_owner(struct sharing *s, struct str owner); /* the account is gone */
