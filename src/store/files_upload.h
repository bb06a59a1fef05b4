/* An upload, for what makes files in the same way: files_resume.c goes on in a part or behind a file, files_copy.c copies and joins. */
#pragma once
#include "store/files_inside.h"

struct upload {
        struct step step; /* first */
        struct root *root;
        struct tally *tally; /* the root's */
        enum upload_how how;
        char *path;
        const char *unique; /* of UPLOAD_UNIQUE, in path */
        struct spot spot;
        int fd;   /* of the part; -1: none yet */
        int from; /* of what is copied to its end: [from_at, from_end) is still to come; -1: nothing */
        uint64_t from_at, from_end;
        char part[PART_NAME]; /* empty: none, or it has got its name */
        struct buf first;     /* what came, as long as there is no part */
        struct buf facts;
        uint64_t at, end; /* where it began, how far it goes */
        uint64_t charged; /* of the quota */
        uint64_t credit;  /* octets of what it will replace */
        uint64_t room;    /* octets for which the disk was asked */
        uint64_t size;    /* at the end */
        uint64_t octets;  /* that count then: its facts' too */
        int64_t modified;
        bool appends;    /* it began with what the file holds */
        bool joins;      /* UPLOAD_APPEND that never goes on in a part that was left */
        uint64_t before; /* UPLOAD_APPEND: the inode that had its name when it began; 0: none */
        bool synced, committed, keep;
};
int upload_need_tally(struct upload *u); /* and counted, if there is a quota; on the fiber */
/* What will be replaced is given back at commit: so much need not be charged. */
static inline uint64_t upload_owed(const struct upload *u, uint64_t size)
{
        return size > u->credit ? size - u->credit : 0;
}
/* As upload_begin, UPLOAD_APPEND; but a part that an upload left is not what is meant. */
int upload_begin_join(struct root *r, struct str path, struct upload **out);
/* On a worker: */
int upload_go_on(struct upload *u);   /* UPLOAD_APPEND */
int upload_go_back(struct upload *u); /* UPLOAD_RESUME */
int upload_make_part(struct upload *u);
int upload_charge(struct upload *u, uint64_t size, bool slice);
int upload_take_in(struct upload *u, int from,
                   uint64_t n); /* begins to copy [0, n) of a file to its end; `from` is its own now */
int upload_take_rest(
    struct upload *u); /* on the fiber: the rest, in slices, for others want the workers too */

/* COMB removes what it has taken in, and not what has got its name since. */
struct taken {
        uint64_t inode;
        struct statx_timestamp born;
};
struct taken taken_of(const struct statx *x);
int file_remove_taken(struct root *r, struct str path,
                      const struct taken *what); /* -ENOENT: it is another one */
