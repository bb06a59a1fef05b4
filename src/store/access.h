/* The one gate to a letter: who looks (reader), whose mailbox (owner), which, and what he may do there (RFC 4314).
 * Every path to a letter of another account goes through here, and IMAP's to its own as well.
 *
 *      struct access x;
 *      rc = access_open(&x, accounts, reader, owner, S("Work/2026"), RIGHT_READ);
 *      ... mailbox.h and change.h work on &x ...
 *      access_close(&x);
 *
 * An access holds the account open: it lives for a command, never while a session is parked. What stays is struct
 * access_key; access_again opens the same mailbox once more and looks at the rights anew.
 *
 * The owner has all rights to his own mailboxes, always. A reader who lacks RIGHT_LOOKUP gets -ENOENT, as if there were
 * nothing; with it but without a right in `needs`: -EACCES. What is only a name above others (NOSELECT) is -ENOENT if needs
 * has a right on letters; else those rights are missing in x.rights. The account's own list (table `acl`) decides; the rows in
 * store/sharing.h only say where to look. */
#pragma once
#include "store/account.h"

enum {                             /* RFC 4314 §2.1, in its order */
       RIGHT_LOOKUP = 1,           /* l */
       RIGHT_READ = 2,             /* r */
       RIGHT_SEEN = 4,             /* s: keep \Seen */
       RIGHT_WRITE = 8,            /* w: other flags */
       RIGHT_INSERT = 16,          /* i: append, copy into */
       RIGHT_POST = 32,            /* p */
       RIGHT_CREATE = 64,          /* k: mailboxes below */
       RIGHT_DELETE_MAILBOX = 128, /* x: also the rename */
       RIGHT_DELETE = 256,         /* t: \Deleted */
       RIGHT_EXPUNGE = 512,        /* e */
       RIGHT_ADMIN = 1024,         /* a */
       RIGHTS_ALL = 2047,
};
/* "lrswipkxtea" and back; obsolete c means k x as §2.1.1 has it, d means t e (x with neither). false: an unknown letter. */
bool rights_parse(struct str s, unsigned *rights);
struct str rights_text(unsigned rights, char room[static 16]);

/* What a session keeps of a selected mailbox; strings on the heap. */
struct access_key {
        char *owner;
        uint32_t mailbox, uidvalidity;
};
struct access {
        struct account *account;
        struct str owner, reader; /* live as long as the account is held; reader as given */
        uint32_t mailbox, uidvalidity;
        uint32_t reader_number; /* 0: the owner himself; else his number in the table `reader` */
        unsigned rights;
};
/* -ENOENT no such account or mailbox, or it may not be told; -EACCES. Waits. */
[[nodiscard]] int access_open(struct access *x, struct accounts *set, struct str reader, struct str owner,
                              struct str path, unsigned needs);
/* The account itself, mailbox 0: what may be done at its top, and what new mailboxes there inherit. It holds no letters. */
[[nodiscard]] int access_open_top(struct access *x, struct accounts *set, struct str reader, struct str owner,
                                  unsigned needs);
/* -ESTALE: the mailbox has gone or has other numbers now. */
[[nodiscard]] int access_again(struct access *x, struct accounts *set, struct str reader,
                               const struct access_key *key, unsigned needs);
void access_close(struct access *x); /* also after a failed open */
void access_keep(const struct access *x, struct access_key *key);
void access_forget(struct access_key *key);
