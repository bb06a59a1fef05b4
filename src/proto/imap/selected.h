/* What the files around the selected mailbox share: set.c select.c update.c idle.c notify.c. */
#pragma once
#include "proto/imap/imap.h"

/* --- set.c --- */
/* The ranges of a set sorted and joined; `star` is what '*' means. */
void imap_set_list(const struct imap_set *set, uint32_t star, struct uid_list *out);
void uid_list_common(const struct uid_list *a, const struct uid_list *b, struct uid_list *out);
void uid_list_union(const struct uid_list *a, const struct uid_list *b, struct uid_list *out);
void uid_list_minus(const struct uid_list *a, const struct uid_list *b, struct uid_list *out);
/* Those of `uids` that the map holds. */
void imap_present(const struct seqmap *m, const struct uid_list *uids, struct uid_list *out);

/* --- update.c --- */
enum { PIECE = 16 * 1024 };                               /* output goes out when so much has gathered */
void imap_piece(struct session *s, struct buf *b);        /* if so; may wait */
void imap_say_flags(struct session *s, struct access *x); /* FLAGS and PERMANENTFLAGS */
/* "* VANISHED [(EARLIER) ]uids", in lines of a bearable length */
void imap_say_vanished(struct session *s, const char *earlier, const struct uid_list *uids);
/* A FETCH for each of these that the map holds and that has not gone; those of modseq `except` not. */
void imap_say_changed(struct session *s, struct access *x, const struct placed *list, size_t n,
                      uint64_t except);
uint32_t imap_recent(const struct session *s); /* how many letters are \Recent here */
bool imap_writable(const struct session *s);   /* READ-WRITE; else READ-ONLY */
/* The selected mailbox cannot be gone on with. */
void imap_mailbox_lost(struct session *s);

/* --- notify.c --- */
enum { /* events, in the order of notify.c's names */
       EVENT_NEW = 1,
       EVENT_EXPUNGE = 2,
       EVENT_FLAGS = 4,
       EVENT_NAME = 8,
       EVENT_SUBSCRIPTION = 16,
       EVENT_METADATA = 32,
       EVENT_SERVER_METADATA = 64,
       EVENTS_OF_LETTERS = EVENT_NEW | EVENT_EXPUNGE | EVENT_FLAGS,
};
/* What is to be told of the selected mailbox: all, unless NOTIFY says less. */
unsigned notify_selected_events(const struct imap *p);
/* The bells may tell it without a command, and EXPUNGE among it. */
bool notify_selected_bells(const struct imap *p, bool *expunge);
struct str notify_selected_items(const struct imap *p); /* of MessageNew: "(UID FLAGS)"; empty: none */
/* After SELECT, CLOSE, IDLE, DONE: which account's bells are needed for the selected mailbox. */
void notify_selected_changed(struct session *s);
/* Others' bells: what happened in mailboxes that are not selected. */
void notify_bell(struct session *s);
