/* NOTIFY (RFC 5465), for its own files:
 *
 *   notify.c         the command; what it means for the selected mailbox
 *   notify_who.c     which mailboxes, whose bells
 *   notify_look.c    the mailboxes as they are now beside what was told last
 *   notify_tell.c    LIST, STATUS and METADATA for what is different
 *
 * What lies in here stays while the session is parked: names, and a few numbers a mailbox that is watched. */
#pragma once
#include "proto/imap/selected.h"

enum {
        NOTIFY_GROUPS_MOST = 50,
        NOTIFY_NAMES_MOST = 1000,   /* named in a command */
        NOTIFY_ACCOUNTS_MOST = 100, /* whose mailboxes are watched */
        NOTIFY_BOXES_MOST = 2000,   /* watched; more: NOTIFICATIONOVERFLOW */
        NOTIFY_ITEMS_MOST = 2000,   /* octets of MessageNew's items */
};
enum notify_filter { FILTER_INBOXES, FILTER_PERSONAL, FILTER_SUBSCRIBED, FILTER_SUBTREE, FILTER_MAILBOXES };
struct notify_name {
        char *owner, *path;
};
struct notify_group {
        enum notify_filter filter;
        unsigned events;
        struct notify_name *names;
        size_t n;
};
struct notify_note { /* an annotation as last told */
        char *entry;
        uint64_t value; /* its hash */
};
struct notify_notes {
        struct notify_note *list;
        size_t n;
};
struct notify_box { /* a mailbox as last told; in order of number */
        uint32_t mailbox, uidvalidity;
        char *path;
        unsigned events, bits; /* bits: enum mailbox_bits without MAILBOX_SUBSCRIBED */
        bool readable;
        uint32_t uidnext, count, unseen;
        uint64_t highest, changed;
        struct notify_notes notes;
};
struct notify_account {
        char *owner;
        struct watcher *watch;
        bool looked;
        struct notify_box *boxes;
        size_t n;
        struct notify_notes notes; /* of the account as a whole: ServerMetadataChange */
};
struct notify {
        unsigned selected; /* events of the selected mailbox */
        bool delayed;      /* SELECTED-DELAYED */
        char *items;       /* of MessageNew; NULL: none */
        struct notify_group *groups;
        size_t group_count;
        unsigned events; /* of all groups */
        struct notify_account *accounts;
        size_t account_count;
        char **subscribed; /* names, in order; only if asked for */
        size_t subscribed_count;
};

void notify_notes_free(struct notify_notes *l);
void notify_box_free(struct notify_box *b);

/* --- notify_who.c --- */
/* The events that somebody wants of this mailbox. */
unsigned notify_events(const struct notify *n, struct session *s, struct arena *m, struct str owner,
                       struct str path, const struct str *subscribed, size_t subscribed_count);
struct str notify_name(struct session *s, struct arena *m, struct str owner, struct str path);
/* `names` in order. */
bool notify_named(struct str name, const struct str *names, size_t n);
void notify_sort(struct str *names, size_t n);
bool notify_below(struct str path, struct str top); /* or the same */
bool notify_wants_subscribed(const struct notify *n);
/* Mailboxes of others that are subscribed: their accounts are watched too. May move n->accounts. */
[[nodiscard]] int notify_need_subscribed(struct session *s, struct notify *n);
/* The accounts to watch are found, their bells are listened to. -E2BIG: too many. */
[[nodiscard]] int notify_begin(struct session *s, struct notify *n);

/* --- notify_look.c --- */
/* Looks at an account: tells what is different, remembers it. tell: false: only remembers; status: STATUS of every watched one.
 * -E2BIG: too many mailboxes. */
[[nodiscard]] int notify_look(struct session *s, struct notify *n, struct notify_account *a, bool tell,
                              bool status);

/* --- notify_tell.c --- */
void notify_tell_list(struct session *s, struct str name, const char *attributes, struct str old);
void notify_tell_notes(struct session *s, struct str name, const struct notify_notes *was,
                       const struct notify_notes *now);
enum { STATUS_LETTERS = 1, STATUS_FLAGS = 2, STATUS_ALL = 4 };
void notify_tell_status(struct session *s, struct str name, const struct notify_box *b, unsigned what);
