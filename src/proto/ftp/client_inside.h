/* What the files of the FTP client share. */
#pragma once
#include "proto/ftp/client.h"
#include "run/loop.h"

#define FTPC_PATIENCE (60 * SECOND)
enum {
        FTPC_LINE_MOST = 16 * 1024, /* of a reply */
        FTPC_REPLY_MOST = 64 * 1024,
        FTPC_KEPT_MOST = 8 * 1024,
        FTPC_COMMAND_MOST = 16 * 1024,
        FTPC_SMALL = 64 * 1024 /* a file up to this goes through memory, in as few calls as possible */
};

/* The data connection, on its way or there: a stream that connects by itself, or a listening socket. */
struct ftpc_data {
        struct watch watch; /* of the listening socket */
        bool watched, came; /* it stands; somebody knocks */
        struct ftp_client *client;
        struct stream *stream; /* NULL: nobody is there yet. It may still be connecting */
        int fd;                /* the stream's, to look at */
        struct addr to;        /* passive: where it goes */
        bool kept;             /* MODE B: it served a file before */
        bool stands;           /* TLS and all */
};

struct ftp_client {
        struct conn *conn;
        struct ftp_client_how how;
        char *host;
        struct conn_tap tap; /* between conn's and how.tap: conn's letters are a server's */
        struct tls_found found;
        bool has_tls, private_data;
        unsigned offers;
        nsec patience;
        struct buf lines; /* the last reply */
        /* how files go */
        struct coding want, is;
        bool type_said; /* `is` is what we said, not what servers begin with */
        enum ftp_data_way way;
        bool foreign, no_pasv;
        /* replies */
        unsigned due;   /* final replies that have not come yet */
        unsigned stale; /* so many of them nobody waits for any more */
        unsigned extra; /* read by ftpc_settle */
        bool busy, stopping, aborting;
        bool trying; /* a reply to what was written ahead is awaited: it may never come */
        /* the transfer at work */
        struct ftpc_data *data;
        struct ftp_transfer *transfer;
        struct stream *kept; /* MODE B's, between two files */
        enum {
                MANY_AHEAD,
                MANY_PAIR,
                MANY_NOT
        } many; /* what may be written ahead: the next files' commands; PASV and RETR together; nothing */
};

/* client_reply.c */
void ftpc_ours(struct ftp_answer *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
int ftpc_broken(struct ftp_client *c, struct ftp_answer *a, int error, const char *why);
/* The next reply, whatever its code; -ECANCELED: stopped, its reply will be passed over. called: return 1 when conn_call was
 * heard (never if false). While a transfer is at work, or something is tried, a deadline breaks nothing: -ETIMEDOUT. */
int ftpc_reply(struct ftp_client *c, struct ftp_answer *a, nsec deadline, bool called);
/* 0: 1xx to 3xx; -EREMOTEIO; 421: -ECONNRESET */
int ftpc_judge(struct ftp_client *c, const struct ftp_answer *a);
void ftpc_printable(struct buf *out, struct str s);
unsigned ftpc_features(struct str lines);
void ftpc_learn(struct ftp_client *c, const struct ftp_answer *a,
                unsigned what); /* 500, 502: it has not that */

/* client.c */
int ftpc_say(struct ftp_client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
int ftpc_vsay(struct ftp_client *c, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
bool ftpc_begin(struct ftp_client *c); /* an operation; false: within another */
int ftpc_end(struct ftp_client *c, bool outer, int rc);

/* client_data.c */
/* Says what it takes and reads the answer; the connection is then on its way. */
int ftpc_data_open(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a);
/* Written ahead: "EPSV" or "PASV" alone; false: another way is wanted. Then the answer. */
bool ftpc_data_ahead(struct ftp_client *c);
int ftpc_data_heard(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a);
/* Once the server has said 150: it is ours, TLS and all. A final reply that comes instead is in *a: 1. */
int ftpc_data_stands(struct ftp_client *c, struct ftpc_data *d, struct ftp_answer *a);
void ftpc_data_close(struct ftpc_data *d);         /* at once; a reset for the peer */
bool ftpc_data_pending(const struct ftpc_data *d); /* nobody answered there */
bool ftpc_data_connecting(const struct ftpc_data *d);
bool ftpc_pasv_parse(struct str text, struct addr *out);
bool ftpc_epsv_parse(struct str text, uint16_t *port);

/* client_move.c: the bytes. 0 or -errno; whose it was in *end. */
enum ftpc_whose { FTPC_FINE, FTPC_DATA, FTPC_FILE, FTPC_CODING, FTPC_ENOUGH };
struct ftpc_move {
        struct ftp_client *c;
        struct ftp_transfer *t;
        struct coding coding;
        struct ftpc_data *data;
        const char *command;     /* NULL: of t->move and t->remote */
        uint64_t most;           /* t->most; 0: all */
        struct ftp_answer stray; /* to a PASV that was written ahead, where the transfer's own should be */
        bool refused;            /* by the first reply to its command */
        bool ranged;             /* RANG was taken: the server ends it there */
        uint64_t told;           /* how much the 150 spoke of; UINT64_MAX: nothing */
        struct coder *coder;     /* NULL: the wire is the file */
        uint64_t at;             /* where in the file it began */
        enum ftpc_whose whose;
        int error;
        struct buf piece, out;
};
void ftpc_get(struct ftpc_move *m);
void ftpc_put(struct ftpc_move *m);
bool ftpc_keeps(const struct coding *c); /* MODE B and C: the connection stays */
bool ftpc_counts_octets(const struct coding *c);

/* client_transfer.c */
void ftpc_note_mark(struct ftp_transfer *t, struct str text); /* of a 110 */
void ftpc_move_init(struct ftpc_move *m, struct ftp_client *c, struct ftp_transfer *t,
                    const struct coding *how, struct ftpc_data *d);
void ftpc_move_free(struct ftpc_move *m);
int ftpc_move_begin(struct ftpc_move *m); /* what can be found wrong here */
int ftpc_say_move(struct ftp_client *c, const struct ftp_transfer *t);
int ftpc_run(struct ftpc_move *m); /* its command has gone out, the data connection is on its way */
int ftpc_transfer(struct ftp_client *c, struct ftp_transfer *t, const struct coding *how,
                  const char *command);

/* client_coding.c. TYPE, STRU, MODE as `want`, where they are not so. */
int ftpc_coding(struct ftp_client *c, const struct coding *want, struct ftp_answer *a);

/* client_step.c: reads away what replies are still to come, until the session is in step again; else the connection has failed. stray: is told of
 * 227 and 229. */
typedef void ftpc_stray_fn(struct ftp_client *c, struct ftp_answer *a);
int ftpc_settle(struct ftp_client *c, ftpc_stray_fn *stray);
int ftpc_abort(struct ftp_client *c); /* the same after ABOR and the data connection's end */
