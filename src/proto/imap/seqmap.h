/* Sequence numbers and uids of a selected mailbox, as the client knows them: runs of uids that follow one another, 12 bytes a
 * run. A mailbox in which nothing was ever removed is one run. Pure. */
#pragma once
#include "store/change.h"

struct seq_run {
        uint32_t uid, n; /* uid .. uid + n - 1 */
        uint32_t seq;    /* of the first */
};
struct seqmap {
        struct seq_run *runs;
        uint32_t n, room;
        uint32_t count; /* letters */
};
void seqmap_free(struct seqmap *m);
void seqmap_add(struct seqmap *m, uint32_t uid); /* higher than all before */
void seqmap_add_range(struct seqmap *m, uint32_t first, uint32_t last);
void seqmap_trim(struct seqmap *m);                        /* gives unused memory back */
uint32_t seqmap_seq(const struct seqmap *m, uint32_t uid); /* 0: not there */
uint32_t seqmap_uid(const struct seqmap *m, uint32_t seq); /* 0: no such number */
uint32_t seqmap_last(const struct seqmap *m);              /* the highest uid; 0: empty */
/* The sequence number of the first uid >= this one; count + 1 if there is none. */
uint32_t seqmap_from(const struct seqmap *m, uint32_t uid);
/* Removes all of `uids` that are there, in one pass; their numbers (as they were before) are appended to seqs, ascending. */
void seqmap_remove(struct seqmap *m, const struct uid_list *uids, struct uid_list *seqs);
/* The uids with the numbers first..last, appended to *out. */
void seqmap_uids(const struct seqmap *m, uint32_t first, uint32_t last, struct uid_list *out);
/* Those of [first, last] that are there, appended. */
void seqmap_present(const struct seqmap *m, uint32_t first, uint32_t last, struct uid_list *out);
