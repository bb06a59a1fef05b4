/* What the commands that alter mailboxes share: STORE, COPY, MOVE, EXPUNGE, APPEND, REPLACE. */
#pragma once
#include "proto/imap/imap.h"

/* The tagged OK of a command, `code` in brackets before the text; of any length (COPYUID of many letters that do not follow
 * one another). An empty code: none. Tells first what has changed, as imap_ok does. */
int alter_ok(struct session *s, struct str code, const char *english);
/* "* OK [code] english" */
void alter_say(struct session *s, struct str code, const char *english);
/* "COPYUID uidvalidity from to" (RFC 4315 §3), "APPENDUID uidvalidity uids" */
void put_copyuid(struct buf *b, const struct copied *c);
void put_appenduid(struct buf *b, uint32_t uidvalidity, const struct uid_list *uids);
/* The OK of a command that has removed letters from the selected mailbox: tells it, then OK [HIGHESTMODSEQ n] where
 * CONDSTORE is on (RFC 7162 §3.2.7). lowest: as alter_limited. */
int alter_removed(struct session *s, struct access *x, bool any, uint32_t lowest, const char *english);
/* MESSAGELIMIT (RFC 9738 §3.1): of more letters than a command may take, those with the highest uids stay. The lowest of
 * them, for alter_limited; 0: they are all. */
uint32_t alter_limit(const struct session *s, struct uid_list *uids);
long alter_most(const struct session *s); /* letters in one command; 0: any number */
/* alter_ok, or if `lowest` says so the OK that tells of the limit (untagged, when there is a code already). */
int alter_limited(struct session *s, struct str code, uint32_t lowest, const char *english);
/* The bits of these flags in x's account. New keywords get one if `make`, and a right to that; else they are left out. -ENOSPC: there is
 * none left. `known` may be NULL: they are read. */
[[nodiscard]] int alter_bits(struct session *s, struct access *x, const struct keyword_list *known,
                             const struct imap_flags *f, bool make, uint64_t *bits);
