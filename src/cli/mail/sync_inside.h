/* What sync's files share. */
#pragma once
#include "cli/mail/sync.h"
#include "proto/imap/client.h"
#include "proto/pop3/client.h"
#include "store/db.h"

struct row { /* a letter both sides have */
        uint32_t there, here, letter;
        uint64_t flags; /* bits as here */
};
struct box {              /* a mailbox */
        uint64_t id;      /* in sync.db; 0: not there yet */
        char *path;       /* here */
        char *wire;       /* there; NULL: not yet */
        uint32_t mailbox; /* number here; 0: gone */
        uint32_t validity, uidnext;
        uint64_t highest;
        struct row *rows; /* by `there` */
        size_t n, room;
        struct placed_list here; /* what lies here, as scanned */
        uint32_t *fresh;         /* indices in `here`: without a row */
        size_t fresh_n;
        uint32_t *lost; /* indices in `rows`: not here any more */
        size_t lost_n;
        const struct imap_folder *folder; /* there, now */
};
struct pair_uids {
        uint32_t here, there;
};
struct work {
        struct copy *copy;
        struct login *login;
        const struct sync_says *says;
        struct sync_result *result;
        struct buf *why;
        struct db *db;
        int lock;
        struct box *boxes;
        size_t n;
        struct imap_client *imap;
        struct imap_answer answer;
        struct arena arena; /* of a pass: folders */
        struct imap_folder *folders;
        size_t folder_n;
        bool asked_for_delete;
};

/* sync_state.c */
[[nodiscard]] int state_open(struct work *w);
void state_close(struct work *w);
[[nodiscard]] int state_boxes(struct work *w); /* reads boxes and rows */
void state_forget_boxes(struct work *w);
[[nodiscard]] int state_box(struct work *w, struct box *b);      /* writes the box itself */
[[nodiscard]] int state_drop_box(struct work *w, struct box *b); /* and its rows */
[[nodiscard]] int state_drop_rows(struct work *w, struct box *b);
/* Rows put (over one with the same `there`) and removed, in one transaction; the box in memory as well. */
[[nodiscard]] int state_rows(struct work *w, struct box *b, const struct row *put, size_t put_n,
                             const uint32_t *drop, size_t drop_n);
struct row *row_there(struct box *b, uint32_t there); /* NULL: none */
/* POP3 */
[[nodiscard]] int state_uidls(struct work *w, struct arena *a, struct str **list, size_t *n); /* sorted */
[[nodiscard]] int state_put_uidls(struct work *w, const struct str *list, size_t n, uint32_t last_here);
[[nodiscard]] int state_last_here(struct work *w, uint32_t *uid);

/* sync_imap.c */
[[nodiscard]] int imap_begin(struct work *w); /* connected, signed in */
[[nodiscard]] int imap_pass(struct work *w, const struct str *only, size_t n);
struct mark { /* a letter there */
        uint32_t uid, size;
        uint64_t flags; /* bits as here */
};
/* sync_box.c */
[[nodiscard]] int box_scan(struct work *w, struct box *b); /* here, fresh, lost */
[[nodiscard]] int box_sync(struct work *w, struct box *b);
/* Would so many letters, gone at the one side ("here", "at the server"), be too many to go at the other as well? A person is asked. */
[[nodiscard]] bool box_loses_much(struct work *w, const struct box *b, size_t n, const char *where);
/* sync_move.c: of all that were scanned */
[[nodiscard]] int box_moves(struct work *w);
/* sync_flags.c: flags of letters both sides have; marks by uid, of those that the server told of */
[[nodiscard]] int box_flags(struct work *w, struct box *b, const struct mark *marks, size_t count,
                            bool read_only);
/* sync_fetch.c. marks: letters there without a row. Those that pair up with one of b->fresh get a row; both lists shrink. */
[[nodiscard]] int box_pair(struct work *w, struct box *b, struct mark *marks, size_t *n);
[[nodiscard]] int box_fetch(struct work *w, struct box *b, const struct mark *marks, size_t n);
[[nodiscard]] int box_send(struct work *w, struct box *b); /* b->fresh, by APPEND */
/* The letters' Message-ID, or what else of the header tells letters apart: a hash; 0: nothing. */
uint64_t letter_identity(struct str header);
[[nodiscard]] int letter_identity_here(struct work *w, uint32_t letter, uint64_t *identity);

/* sync_pop3.c */
[[nodiscard]] int pop3_sync(struct work *w);

/* "1:3,7" of ascending uids, at most `most` bytes; *at moves on. */
void uid_set(struct buf *out, const uint32_t *uids, size_t n, size_t *at, size_t most);
int work_answer(struct work *w, int rc, const struct box *b); /* the server's words, if it had any */
void work_state(struct work *w, enum sync_state s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int work_failed(struct work *w, int rc, const char *what); /* says why, gives rc */
