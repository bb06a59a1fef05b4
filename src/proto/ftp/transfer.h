/* A transfer that runs: what the files transfer*.c share. Others see ftp.h.
 *
 *   control fiber   ftp_transfer_start: transfer_prepare_ opens all that can fail without a data connection, so that 550 comes before
 *                   150; then 150 or 125, then the fiber; ... conn_call ...; transfer_settle: 226 or what went wrong, the log
 *   its own fiber   the data connection, then transfer_send, transfer_receive or transfer_list, then all is closed and it has ended
 *
 * The first failure is noted, with whose it was, and ends it; the reply is made of that. */
#pragma once
#include "proto/ftp/ftp.h"
#include "run/fiber.h"

enum transfer_end {
        END_COMPLETE,
        END_NO_DATA,   /* 425; 522 for TLS: `why` */
        END_CUT,       /* 426 */
        END_MALFORMED, /* 451, 551: what came broke the rules of its coding */
        END_RESTART,   /* 554: there is not so much to go on behind */
        END_SHORT,     /* 451: the file became shorter meanwhile */
        END_TROUBLE,   /* the store's */
};

struct transfer {
        struct session *s;
        struct root *root;   /* the session's */
        struct arena memory; /* for strings of what was asked */
        struct ftp_asked asked;
        struct coding coding;
        struct ftp_data_how how;
        nsec patience, began;
        uint64_t at;       /* file octets: where it begins */
        uint64_t size;     /* sending: where it ends; storing: of the file that is there */
        uint64_t done;     /* file octets that have moved */
        uint64_t allotted; /* what ALLO said */
        /* what is open */
        struct file *file;
        struct upload *upload;
        struct coder *coder; /* NULL: the wire is the file */
        struct buf facts;    /* kept beside the file; the coder reads them */
        struct buf piece, out;
        struct stream *stream;
        struct rate *account_rate, *address_rate;
        /* between the two fibers */
        struct fiber *fiber;
        struct waitlist begun, told, waiters;
        struct buf marks; /* of 110 replies that are due, a line each */
        unsigned aborts;  /* ABORs that wait for their answer */
        bool opening;     /* the data connection */
        bool aborted, ended;
        bool partial; /* a listing that says not all */
        bool awaited; /* the control fiber looks by itself as soon as this one waits */
        /* how it ended */
        enum transfer_end end;
        int error;
        const char *why;
};

enum { TRANSFER_SMALL = 64 * 1024 }; /* a file up to this goes through memory, in as few calls as possible */

/* What can be found wrong before there is a data connection. False: the reply has been given, *rc is the result. next: may be NULL. */
bool transfer_prepare_send(struct transfer *t, const struct ftp_next *next, int *rc);
bool transfer_prepare_receive(struct transfer *t, const struct ftp_next *next, int *rc);
bool transfer_prepare_list(struct transfer *t, const struct ftp_next *next, int *rc);
/* In the transfer's fiber, once the stream stands. 0, or -1 after transfer_failed. */
int transfer_send(struct transfer *t);
int transfer_receive(struct transfer *t);
int transfer_list(struct transfer *t);

struct str transfer_name(const struct transfer *t); /* of its file, without the folder */
/* Notes the first failure; -1, for `return transfer_failed(...)`. */
int transfer_failed(struct transfer *t, enum transfer_end end, int error);
/* The coder, if one is needed. */
bool transfer_coder(struct transfer *t, enum coder_way way, int *rc);
/* Types and structures of which an octet on the wire is an octet of the file, so that an offset means something (RFC 3659 §5; coding.c). */
bool ftp_counts_octets(const struct coding *c);
/* Where REST's marker or number of octets wants to begin; 0 if it is empty. */
bool transfer_restart(struct transfer *t, struct str marker, uint64_t *at, int *rc);
int transfer_restart_reply(struct session *s);
/* coder_put, or coder_end, to t->out: where that may take long, not on the loop. */
int transfer_code(struct transfer *t, struct str in, bool end);
/* Sending: encodes and writes; with `last` the coding's end in the same piece. */
int transfer_put(struct transfer *t, struct str in, bool last);
/* MODE B and C say where a file ends: the connection stays for the next one (RFC 959 §3.3). */
bool transfer_keeps(const struct transfer *t);

void ftp_kept_end(struct ftp *p); /* that connection; may wait a moment (data.c) */

/* The control fiber: replies, logs, frees. The result is that of the last reply. */
int transfer_settle(struct session *s);
void transfer_free(struct transfer **t);
void transfer_tell_marks(struct transfer *t);

/* Bytes a second shared by all transfers of an account (or of all guests), of an address (rates.c). NULL: any rate. */
struct rate *rate_of_account(const struct session *s);
struct rate *rate_of_address(const struct session *s);
void rate_drop(struct rate **r);
