/* What the files of store/files* share. Functions here that touch the disk are for worker threads, unless they say otherwise; what they
 * need of struct files there is atomic or under its lock. Paths of theirs are relative to an account's folder, "." itself. */
#pragma once
#include "run/fiber.h"
#include "store/files.h"
#include "store/usage.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum {
        ID_DIGITS = 16,
        PART_NAME = 96,
        SMALL = 64 * 1024,        /* of an upload: held in memory */
        PIECE_MOST = 4 << 20,     /* of reading and copying in one go */
        ALONE = 1 << 20,          /* an upload beyond is synced by itself before it joins others */
        SLICE_OF_QUOTA = 4 << 20, /* that a running upload takes in advance */
};

struct tally;
struct step;
struct files {
        int dir, parts, usage; /* D/files, .parts, .usage */
        _Atomic int facts;     /* .facts; -1: there is none yet */
        uint64_t
            memory;   /* the device of D/files, if it is a file system in memory, which never waits; else 0 */
        nsec calm_at; /* files_steps.c: short steps go to a worker until then. The loop's */
        struct files_how how;
        char id[ID_DIGITS + 1]; /* of this process's parts */
        int id_lock;
        atomic_uint number;
        pthread_mutex_t lock; /* what follows */
        struct tally *tallies;
        nsec room_at; /* when the disk's free room was asked for */
        uint64_t room_left;
        pthread_cond_t stepped; /* files_steps.c, with the lock */
        struct step *queue;     /* the loop's */
        bool running;
        struct waitlist ran;
};

struct root {
        struct files *files;
        int fd;
        bool read_only;
        mode_t lacks;
        uint64_t quota;
        char *account;
        char tag[ID_DIGITS + 1]; /* A of STATES.md */
        nsec letters_at;         /* when the mail role's number was read */
        uint64_t letters;
        _Atomic(struct tally *) tally;
};

/* --- files_jail.c --- */
int jail_path(struct str path, char **rel); /* checked, on the heap */
/* openat2 beneath the root; cached: -EAGAIN if the disk would have to be asked. Any thread. */
int jail_open(int root, const char *rel, int flags, bool cached);
/* To be read: a file or a folder, and what is known of it. Nothing else is even opened (-EACCES), for that alone lets go whoever waits at a
 * FIFO, and winds a tape. */
int jail_open_plain(int root, const char *rel, bool cached, struct statx *x);
/* The folder that a name lies in, open, and the name; rel is cut for it. */
struct spot {
        int dir;
        char *rel;
        const char *name;
};
int spot_open(struct root *r, struct str path, struct spot *s, bool cached); /* -EISDIR: the root itself */
int spot_reopen(struct root *r, struct spot *s, bool cached);                /* after -EAGAIN */
void spot_close(struct spot *s);
int look_at(int dir, const char *name,
            struct statx *x); /* not of what a link leads to; name "": of dir itself */
void facts_from(struct files *f, const struct statx *x,
                struct file_facts *out); /* f NULL: coded is not asked for */
uint64_t octets_of(struct files *f,
                   const struct statx *x); /* that count: a file's, and of the facts beside it */
bool leads_out(int root, const char *rel); /* a link, out of the root */
bool spot_leads_out(struct root *r, const struct spot *s);

/* --- files_beside.c: facts beside a file --- */
bool beside_any(struct files *f); /* has any file of anybody's facts? */
uint64_t beside_size(struct files *f, const struct statx *x);
int beside_read(struct files *f, const struct statx *x, struct buf *out);
int beside_write(struct files *f, const struct statx *x, struct str facts);
void beside_drop(struct files *f, const struct statx *x);

/* --- files_tally.c: an account's counters --- */
int tally_of(struct root *r,
             struct tally **out); /* opened with the root's first need, given back by root_close */
int tally_by_tag(struct files *f, const char *tag, struct tally **out);
void tally_put(struct files *f, struct tally **t);
int tally_need(struct root *r, struct tally **out); /* and counted, if the root has a quota */
bool tally_counted(const struct tally *t);
int tally_count(struct root *r, struct tally *t);
/* Any thread, at once: */
int tally_charge(struct root *r, struct tally *t, uint64_t octets); /* -EDQUOT */
void tally_uncharge(struct tally *t, uint64_t octets);
/* A change of the tree. octets: by how much the files grow; charged: of what was charged this much is used up. t NULL: as if the disk were
 * full. Whatever takes a name from a file (removes, replaces, moves it) is locked too, so that what is looked at is what goes. */
bool tally_begin(
    struct tally *t); /* false: the disk is too full even for that; counted anew when it is not */
void tally_take(struct tally *t, uint64_t octets); /* what was used is charged now; between the two */
void tally_end(struct root *r, struct tally *t, bool begun, int64_t octets, uint64_t charged);
void tally_lock(struct tally *t);
void tally_unlock(struct tally *t);
int files_walk(struct root *r, uint64_t *octets); /* files_walk.c: of all files below */
uint64_t tally_used(const struct tally *t);
uint64_t tally_total(const struct tally *t); /* with what is charged */
uint64_t quota_of(struct root *r);           /* less the letters, if shared; UINT64_MAX: none */

/* --- files.c --- */
int disk_room(struct files *f, uint64_t octets,
              uint64_t *left); /* -ENOSPC: so many would go into the reserve */

/* --- files_part.c --- */
int parts_open(struct files *f);
void parts_close(struct files *f);
void parts_sweep(struct files *f, bool old_ones);
void part_tag(const char *account, char tag[static ID_DIGITS + 1]);
int part_make(struct root *r, struct str path, char name[static PART_NAME]); /* its descriptor */
/* The kept one becomes ours; its descriptor. Its octets, used till now, are charged. -ENOENT: there is none. */
int part_claim(struct root *r, struct tally *t, struct str path, char name[static PART_NAME], uint64_t *size);
/* Ours becomes the kept one; what is charged becomes used. */
int part_keep(struct root *r, struct tally *t, struct str path, const char *name, int fd, uint64_t size,
              uint64_t charged);
int part_kept_size(struct root *r, struct str path, bool cached, uint64_t *size);
void part_forget(struct root *r, struct tally *t, struct str path); /* the kept one goes */
uint64_t parts_kept(struct files *f, const char *tag);              /* octets of an account's kept parts */

/* --- files_steps.c: durable changes, done and synced together with those that come at the same time --- */
struct step {
        int (*prepare)(struct step *s); /* writes; NULL: nothing to write */
        int (*act)(struct step *s);     /* changes names; says in dirs where */
        int data;                       /* to be synced before act; -1: nothing */
        int dirs[2];                    /* to be synced after it; -1: none */
        bool brief;                     /* few calls, few bytes: the loop may do it, if nothing is synced */
        int rc;
        bool taken, done;
        struct step *next;
};
int step_run(struct files *f, struct step *s); /* in a fiber or outside; what the step came to */
