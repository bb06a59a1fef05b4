/* An account's letters on this machine: a store of one account, `$XDG_DATA_HOME/pail/mail/ADDRESS/` (else ~/.local/share/pail/mail), or on the
 * server itself the server's own. One process at a time brings the copy in step with the server (sync.h has a lock for it); others may read and
 * change it too, as they may the server's.
 *
 * Reading and changing is store/{access,mailbox,change,search}.h's: copy_access opens a mailbox. What is changed is brought to the server by
 * sync (sync.h), which compares: so a change made with no network, or by another program, needs no journal.
 *
 * On the server itself this process becomes the folder's owner, if it is root. */
#pragma once
#include "cli/mail/logins.h"
#include "store/access.h"
#include "store/change.h"
#include "store/mailbox.h"

struct copy;
[[nodiscard]] int copy_open(struct copy **out, const struct login *l, struct buf *why);
void copy_close(struct copy **c); /* stops sync first; waits */
struct accounts *copy_accounts(struct copy *c);
struct account *copy_account(struct copy *c); /* held as long as the copy */
struct str copy_name(const struct copy *c);   /* reader and owner for access.h */
[[nodiscard]] int copy_access(struct copy *c, struct access *x, struct str path, unsigned needs);
/* The mailbox with that role ("sent", "drafts", "trash", "junk", "archive"), made if there is none. Lives in the arena. */
[[nodiscard]] int copy_role(struct copy *c, struct arena *a, const char *role, struct str *path);
/* Mailboxes, many at once: they are durable together, some in one sync of the disk. rc and number of each: mailbox_create's. Parents first. */
struct copy_made {
        struct str path;
        uint32_t mailbox;
        int rc;
};
void copy_make(struct copy *c, struct copy_made *list, size_t n);
/* A letter filed here: drafts, Sent. */
[[nodiscard]] int copy_append(struct copy *c, struct str path, struct str text, uint64_t flags,
                              uint32_t *uid);
void copy_on_change(struct copy *c, void (*changed)(void *context),
                    void *context); /* letters came, went or changed; on the loop */
void copy_on_sync(struct copy *c, void (*changed)(void *context), void *context); /* the same, for sync.c */
/* What nobody needs any more goes, and the account's files are put in order, if much was written since: letters without a place, and rows of `filed`
 * (store/account.h) of segments that `exists` does not know (on a worker thread). Waits. */
void copy_tidy(struct copy *c, segment_exists_fn *exists, void *context);
