/* The mailboxes of an account: names, roles, subscriptions, rights, annotations. A path is UTF-8 (NFC), names from the top
 * with '/' between, INBOX in any case; at most 255 bytes a name, 1,000 bytes and 32 names a path; no control characters, no empty name, no
 * '.' or '..', no '%' or '*'. Whoever calls has turned modified UTF-7 into UTF-8.
 *
 * Edits are synced before they return. `reader` is who asks; rights are checked here (RFC 4314 §4). -EINVAL a name that
 * cannot be, -EEXIST, -ENOENT, -EACCES, -ENOTEMPTY, -EMLINK too many (10,000 mailboxes or subscriptions, 1,000 identifiers). */
#pragma once
#include "store/change.h"
#include "store/sharing.h"

enum mailbox_bits {
        MAILBOX_SUBSCRIBED = 1,
        MAILBOX_NOSELECT = 2, /* only a name above others */
        MAILBOX_CHILDREN = 4,
};
struct mailbox_entry {
        uint32_t mailbox, parent, uidvalidity;
        struct str path;
        struct str
            role; /* "", "drafts" "sent" "junk" "trash" "archive" "all" "flagged" "important" (RFC 6154, 8621, 8457) */
        unsigned bits;             /* enum mailbox_bits */
        unsigned rights;           /* the reader's */
        uint64_t created, changed; /* modseqs */
};
/* Those that the reader may look up, parents before children, in order of path with INBOX first. Lives in the arena. */
[[nodiscard]] int mailbox_all(struct account *a, struct str reader, struct arena *m,
                              struct mailbox_entry **list, size_t *n);
/* The id that never changes, also by RENAME (RFC 8474 §4: MAILBOXID): "F" and the mailbox number in hex. */
struct str mailbox_id(uint32_t mailbox, char room[static 12]);

/* Missing parents are made too. role "" or as above; -EBUSY: another mailbox has the role. */
[[nodiscard]] int mailbox_create(struct account *a, struct str reader, struct str path, struct str role,
                                 uint32_t *mailbox);
/* Its letters go. With children it stays as a name (MAILBOX_NOSELECT). INBOX: -EPERM. -ENOTEMPTY: it is NOSELECT and has children. */
[[nodiscard]] int mailbox_delete(struct account *a, struct str reader, struct str path);
/* With all below it. INBOX: its letters move into the new mailbox (RFC 9051 §6.3.6). */
[[nodiscard]] int mailbox_rename(struct account *a, struct str reader, struct str from, struct str to);

/* Subscriptions are names, of this reader, as a client wrote them (with the prefixes of other namespaces), whether there is
 * such a mailbox or not. They lie in the reader's own account. */
[[nodiscard]] int mailbox_subscribe(struct account *own, struct str name, bool yes);
[[nodiscard]] int mailbox_subscriptions(struct account *own, struct arena *m, struct str **names, size_t *n);

/* Rights. identifier: an account's name, "anyone" (every account of this server), "$DOMAIN" (every account of it), and each of them with '-' before
 * it: taken away. Needs RIGHT_ADMIN (mailbox_rights: RIGHT_ADMIN or one's own). */
struct acl_entry {
        struct str identifier;
        unsigned rights;
};
[[nodiscard]] int mailbox_acl(struct access *x, struct arena *m, struct acl_entry **list, size_t *n);
enum acl_how { ACL_SET, ACL_ADD, ACL_REMOVE };
/* 0 rights with ACL_SET: the entry goes. Also tells store/sharing. */
[[nodiscard]] int mailbox_set_acl(struct access *x, struct sharing *sharing, struct str identifier,
                                  enum acl_how how, unsigned rights);

/* Annotations (RFC 5464): entry "/private/..." is the reader's, "/shared/..." everybody's; mailbox 0: of the account. value NULL
 * string (p NULL) removes. Limits: -E2BIG value over 64 KB, -ENOSPC over 1,000 entries a mailbox. */
struct annotation {
        struct str entry, value;
};
[[nodiscard]] int mailbox_annotations(struct account *a, uint32_t reader_number, uint32_t mailbox,
                                      struct arena *m, struct annotation **list, size_t *n);
[[nodiscard]] int mailbox_annotate(struct account *a, uint32_t reader_number, uint32_t mailbox,
                                   const struct annotation *list, size_t n);
