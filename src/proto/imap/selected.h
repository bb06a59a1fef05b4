/* What the files around the selected mailbox share: set.c select.c update.c idle.c notify.c. */
#pragma once
#include "proto/imap/imap.h"

/* --- set.c --- */
/* The ranges of a set sorted and joined; `star` is what '*' means. */
void imap_set_list(const struct imap_set *set, uint32_t star, struct uid_list *out);
void uid_list_common(const struct uid_list *a, const struct uid_list *b, struct uid_list *out);
void uid_list_union(const struct uid_list *a, const struct uid_list *b, struct uid_list *out);
/* Those of `uids` that the map holds. */
void imap_present(const struct seqmap *m, const struct uid_list *uids, struct uid_list *out);
