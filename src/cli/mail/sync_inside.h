/* What sync's files share.
 *
 * The states of a letter that comes. It becomes durable here by change_append, and what it is at the server by a row of sync.db (POP3: by its UIDL
 * noted there): two files, so one of them is first. In between, the account itself knows: each filing is an action, whose id goes into the
 * account's table `filed` by the transaction that files the letter (store/account.h). The id is (filing, uid there, sum of all its bytes); POP3: the
 * UIDL's hash in place of the uid. `filing` is a number by chance, of a mailbox (POP3: of the account), new whenever all is known to have rows.
 *
 *   sync.db: filing     filed         sync.db: row    the letter is             the next pass
 *   0                   -             -               there                     fetches it
 *   set, durable        -             -               there, or on its way      fetches it
 *   set                 written       -               durable here              the letter is here still: they pair up by size and header.
 *                                                                               It was moved or removed here: it is fetched, and change_append says
 *                                                                               "duplicate": a row without a letter here, which is removed there
 *                                                                               (where it was moved to it goes by APPEND)
 *   set                 written       written         in step                   compares
 *   0                   forgotten     written         in step                   compares
 *
 * `filing` goes back to 0 when a pass of the mailbox has come to its end, or the box_fetch that began it has written the rows of all it has filed;
 * then rows of `filed` mean nothing any more, and go when the account is next tidied. The sum is in the id since a server may give a uid or UIDL again, against
 * RFC 9051 §2.3.1.1 and RFC 1939 §7: another letter is another action. A sync.db that was removed or is new begins with other numbers.
 *
 * A power cut may take what sync.db got after its last sync; `filing` is synced when it is set, so what is lost of rows was filed under it, or
 * under one before it and then pairs up. */
#pragma once
#include "cli/mail/sync.h"
#include "proto/imap/client.h"
#include "proto/pop3/client.h"
#include "store/db.h"

enum { NOWHERE = UINT32_MAX };
struct row { /* a letter both sides have */
        uint32_t there, here /* NOWHERE: it was, and has gone */, letter /* 0: not known */;
        uint64_t flags; /* bits as here */
        uint64_t told;  /* what the server told of it: struct mark */
};
struct box {              /* a mailbox */
        uint64_t id;      /* in sync.db; 0: not there yet */
        char *path;       /* here */
        char *wire;       /* there; NULL: not yet */
        uint32_t mailbox; /* number here; 0: gone */
        uint32_t validity, uidnext;
        uint64_t highest;
        uint64_t filing;  /* see above */
        struct row *rows; /* by `there` */
        size_t n, room;
        struct placed_list here; /* what lies here, as scanned */
        uint32_t *fresh;         /* indices in `here`: without a row */
        size_t fresh_n;
        uint32_t *lost; /* indices in `rows`: not here any more */
        size_t lost_n;
        const struct imap_folder *folder; /* there, now */
        bool changed;                     /* to be written by state_changed_boxes */
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
        size_t n, room;
        struct imap_client *imap;
        struct imap_answer answer;
        struct arena arena;          /* of a pass: folders */
        struct imap_folder *folders; /* by path */
        const struct imap_folder **by_wire;
        size_t folder_n;
        uint64_t pop_filing; /* POP3's */
};

enum state_statement { /* of sync.db */
                       STATE_BOXES,
                       STATE_ROWS,
                       STATE_ADD_BOX,
                       STATE_SET_BOX,
                       STATE_DROP_BOX,
                       STATE_DROP_ROWS,
                       STATE_PUT_ROW,
                       STATE_DROP_ROW,
                       STATE_UIDLS,
                       STATE_PUT_UIDL,
                       STATE_LAST,
                       STATE_NO_LAST,
                       STATE_PUT_LAST,
                       STATE_STATEMENTS
};

/* sync_state.c */
[[nodiscard]] int state_open(struct work *w);
void state_close(struct work *w);
[[nodiscard]] int state_boxes(struct work *w); /* reads boxes and rows */
void state_forget_boxes(struct work *w);
[[nodiscard]] int state_box(struct work *w, struct box *b); /* writes the box itself */
[[nodiscard]] int state_changed_boxes(struct work *w);      /* those that say so, in one transaction */
void box_free(struct box *b);                               /* what it holds */
/* b->filing: one if there is none yet. Durable. */
[[nodiscard]] int state_filing(struct work *w, struct box *b);
[[nodiscard]] int state_drop_box(struct work *w, struct box *b); /* and its rows */
[[nodiscard]] int state_drop_rows(struct work *w, struct box *b);
/* Rows put (over one with the same `there`) and removed, in one transaction; the box in memory as well. */
[[nodiscard]] int state_rows(struct work *w, struct box *b, const struct row *put, size_t put_n,
                             const uint32_t *drop, size_t drop_n);
struct row *row_there(struct box *b, uint32_t there); /* NULL: none */
uint64_t state_number(void);                          /* by chance: a `filing` */

/* sync_uidl.c: POP3's. A letter known: its UIDL, what LIST told of its size, its octets as they came, letter_identity. */
struct known_uidl {
        struct str uidl;
        uint64_t told, octets, identity;
};
struct pop_state {
        uint32_t last_here; /* INBOX: up to this uid all is known */
        uint64_t filing;
};
[[nodiscard]] int state_uidls(struct work *w, struct arena *a, struct known_uidl **list,
                              size_t *n); /* by UIDL */
[[nodiscard]] int state_put_uidls(struct work *w, const struct known_uidl *list, size_t n,
                                  const struct pop_state *now); /* durable */
[[nodiscard]] int state_pop(struct work *w, struct pop_state *now);

/* sync_imap.c */
[[nodiscard]] int imap_begin(struct work *w); /* connected, signed in */
[[nodiscard]] int imap_pass(struct work *w, const struct str *only, size_t n);
/* sync_folders.c: every box has a folder then */
[[nodiscard]] int imap_pair_folders(struct work *w);
struct mark { /* a letter there */
        uint32_t uid, size;
        uint64_t flags; /* bits as here */
        uint64_t
            told; /* size and INTERNALDATE: what never changes of a letter, and mostly differs of two; 0: not told */
};
/* May STATUS be believed? Not of a mailbox that is selected (RFC 9051 §6.3.11), as INBOX is for IDLE. */
static inline bool box_status(const struct box *b)
{
        return b->folder->uidvalidity && !str_eq(str_of(b->path), INBOX);
}
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
/* sync_pair.c. marks: letters there without a row. Those that pair up with one of b->fresh get a row; both lists shrink. */
[[nodiscard]] int box_pair(struct work *w, struct box *b, struct mark *marks, size_t *n);
/* Rows whose mark tells of another letter than it did (the server has given a uid again): the header decides, and what is another letter loses its
 * row. Then b is scanned anew. marks: all or some, by uid. */
[[nodiscard]] int box_recheck(struct work *w, struct box *b, const struct mark *marks, size_t n);
/* sync_fetch.c. It scans b anew where letters had come before that have gone here since: they are among b->lost. */
[[nodiscard]] int box_fetch(struct work *w, struct box *b, const struct mark *marks, size_t n);
[[nodiscard]] int box_send(struct work *w, struct box *b); /* b->fresh, by APPEND */
/* The letters' Message-ID, or what else of the header tells letters apart: a hash; 0: nothing. */
uint64_t letter_identity(struct str header);
struct letter_sum { /* of all its bytes, in pieces as they come; zeros: of none yet */
        uint64_t sum, octets, word /* those of the last eight that are not in the sum yet */;
};
void letter_sum_add(struct letter_sum *s, struct str bytes);
uint32_t letter_sum_end(struct letter_sum *s);
[[nodiscard]] int letter_identity_here(struct work *w, uint32_t letter, uint64_t *identity);

/* sync_pop3.c */
[[nodiscard]] int pop3_sync(struct work *w);
/* sync_pop3_know.c: of a server's letters, which are not the ones that are known. */
struct pop_letter {
        bool fetch; /* it has to be: nobody knows it, or knows that it is another one than before */
        bool safe;  /* it is durable here, and was compared in this session */
};
struct pop_asked {
        struct work *w;
        struct pop3_client *client;
        struct pop3_answer *answer;
        struct arena *a;
        const struct pop3_entry *list;
        size_t n;
        const struct known_uidl *known; /* by UIDL */
        size_t known_n;
};
[[nodiscard]] int pop3_look(const struct pop_asked *p, struct pop_letter *letters);
/* The place of the first of that UIDL and size told, or of what comes behind it. A server may have given a UIDL to as many as it likes: so many of them
 * are looked at. */
enum { KNOWN_MOST = 1000 };
size_t pop3_known(const struct known_uidl *known, size_t known_n, struct str uidl, uint64_t told);

/* "1:3,7" of ascending uids, at most `most` bytes; *at moves on. */
void uid_set(struct buf *out, const uint32_t *uids, size_t n, size_t *at, size_t most);
int work_answer(struct work *w, int rc, const struct box *b); /* the server's words, if it had any */
void work_state(struct work *w, enum sync_state s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int work_failed(struct work *w, int rc, const char *what); /* says why, gives rc */
