/* The directory: domains, accounts, aliases, lists, forwards, quota: who gets what is sent where. One small SQLite
 * file, `directory/directory.db`, written by the verbs, read by the fronts through a cache that is dropped when the
 * file has changed. It holds no secrets (those are the keeper's, role/keeper.h).
 *
 * Addresses are compared lower-cased, the domain as A-label (mail/address.h address_key); subaddresses
 * (`jill+shop@`) fall back to the part before the separator; then the domain's catch-all.
 *
 * Lookups answer from memory and do not wait, unless the cache has to be read anew (then they wait). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "mail/envelope.h"

struct directory;
/* write: for the verbs, makes it if it is missing. Else only read, also where the sandbox lets nothing be written;
 * what a verb left half done by a power cut is put right by whoever opens it to write (the supervisor, at start). */
[[nodiscard]] int directory_open(struct directory **out, const char *path, bool write);
void directory_close(struct directory **d);
void directory_changed(struct directory *d); /* a bell: read anew at the next look-up */
/* Characters that begin a subaddress (settings.subaddress_separator); "+" until said otherwise. */
void directory_separators(struct directory *d, struct str characters);

enum standing {
        STANDING_OK,        /* delivered here (and perhaps elsewhere too) */
        STANDING_FORWARDED, /* only elsewhere: 251 */
        STANDING_MOVED,     /* names its new address, takes nothing: 551 */
        STANDING_UNKNOWN,   /* our domain, no such mailbox: 550 5.1.1 */
        STANDING_FOREIGN,   /* not our domain */
        STANDING_DISABLED,  /* account switched off: 550 5.2.1 */
        STANDING_LOOP,      /* aliases that go in circles, or too deep: 554 5.4.6 */
};
/* A mailing list's settings. Its letters are letters of their own: sent by ADDRESS-bounces, with List-Id and the like before their header. */
struct list_entry {
        struct str title; /* "Friends of the hill"; may be empty */
        struct str
            owner; /* address that gets what comes for -owner and -request; empty: the domain's postmaster */
        uint64_t max_size; /* octets; 0: any */
        bool moderated;    /* its letters are held until `pail queue release` */
};
struct resolved {
        enum standing standing;
        struct str account;  /* when one account only stands behind it */
        struct str moved_to; /* STANDING_MOVED; with STANDING_FORWARDED the (first) address it goes to */
        struct str list;     /* the list's address when it is one */
        struct list_entry list_entry;
        struct action *actions; /* FILE and SEND, duplicates removed; at most 10,000 */
        unsigned count;
};
/* What RCPT TO:<local@domain> means; without a domain: <Postmaster>. Strings live in a, which should have a maximum
 * of 4 MB or more where large lists are to be expanded: what does not fit it is STANDING_LOOP, or -ENOBUFS.
 * 0 or -errno (the file cannot be read: 451). */
[[nodiscard]] int directory_resolve(struct directory *d, struct arena *a, struct str local, struct str domain,
                                    struct resolved *out);
bool directory_is_local(struct directory *d, struct str domain);
/* The account behind a sign-in name: an address of it, or a bare name when it is unique. -ENOENT. */
[[nodiscard]] int directory_signin(struct directory *d, struct arena *a, struct str name,
                                   struct str *account);
/* May this account use this address as its sender? Its own, its aliases', subaddresses, granted ones. */
bool directory_may_send_as(struct directory *d, struct str account, struct str address);
struct account_entry {
        struct str name;
        uint64_t quota; /* octets; 0: none */
        bool disabled;
        struct str moved_to;
        struct str forward_to; /* addresses by space */
        bool keep_copy;        /* when forwarding */
        struct str real_name;
        struct str language;
        struct str imap_disable; /* IMAP capabilities switched off for this account, by space */
};
[[nodiscard]] int directory_account(struct directory *d, struct arena *a, struct str name,
                                    struct account_entry *out);

/* For the verbs. Each is one synced transaction; names are checked; *why gets a sentence when it fails (-EINVAL,
 * -EEXIST, -ENOENT). Lists iterate in order of name. */
struct directory_row {
        struct str name, value, more; /* what they are is said by each list's verb */
        uint64_t number;
};
enum directory_what {
        DIR_DOMAINS,
        DIR_ACCOUNTS,
        DIR_ALIASES,
        DIR_LISTS,
        DIR_MEMBERS,
        DIR_LOGINS,
        DIR_GRANTS
};
[[nodiscard]] int directory_rows(struct directory *d, enum directory_what what, struct str of,
                                 struct arena *a, struct directory_row **rows, size_t *n);
int directory_add_domain(struct directory *d, struct str domain, struct str alias_of, struct buf *why);
int directory_remove_domain(struct directory *d, struct str domain, struct buf *why); /* not while in use */
int directory_set_catch_all(struct directory *d, struct str domain, struct str account,
                            struct buf *why); /* "": none */
int directory_add_account(struct directory *d, struct str name, struct buf *why);
int directory_remove_account(struct directory *d, struct str name, struct buf *why);
int directory_set_account(struct directory *d, struct str name, struct str key, struct str value,
                          struct buf *why);
int directory_add_login(struct directory *d, struct str account, struct str login, struct buf *why);
int directory_remove_login(struct directory *d, struct str account, struct str login, struct buf *why);
int directory_add_alias(struct directory *d, struct str address, struct str target,
                        struct buf *why); /* again: one more */
int directory_remove_alias(struct directory *d, struct str address, struct str target,
                           struct buf *why); /* target "": all */
int directory_add_list(struct directory *d, struct str address, struct buf *why);
/* key: title, owner, max-size, moderated. */
int directory_set_list(struct directory *d, struct str address, struct str key, struct str value,
                       struct buf *why);
[[nodiscard]] int directory_list(struct directory *d, struct arena *a, struct str address,
                                 struct list_entry *out); /* -ENOENT */
int directory_remove_list(struct directory *d, struct str address, struct buf *why);
int directory_add_member(struct directory *d, struct str list, struct str member, struct buf *why);
int directory_remove_member(struct directory *d, struct str list, struct str member, struct buf *why);
int directory_grant(struct directory *d, struct str account, struct str address, bool yes, struct buf *why);
[[nodiscard]] int directory_check(struct directory *d, struct buf *out, unsigned *wrong);
