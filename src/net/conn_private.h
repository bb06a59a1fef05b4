/* What the files of the connection share among themselves; nobody else includes this.
 *
 *   conn.c       birth, death, the edge that the loop reports
 *   conn_in.c    reading: fill, lines, bytes
 *   conn_out.c   writing: gather, flush
 *   conn_park.c  parking, waking, calls from the session's other fibers
 *   conn_tap.c   what the tap sees
 *   conn_tls.c   the TLS session under reading and writing
 *   conn_zip.c   deflate, between those and the socket or TLS */
#pragma once
#include "net/conn.h"
#include "net/room.h"
#include "run/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

enum {
        READ_LEAST = 1024,  /* while commands come, a read asks for the rest of a page, at least this much */
        READ_BULK = 65536,  /* and while bodies come for this */
        IN_MOST = 16 << 20, /* the longest line anybody may ask for, and a bulk read after it */
        GATHER = 32768,     /* output is flushed when this much stands there */
        OUT_MOST = 1 << 20, /* one conn_printf longer than this fails the connection */
        KEEP_MOST = GATHER, /* a larger empty buffer is given back before a wait for a command */
        SEND_STRAIGHT = 16384, /* a piece this large is sent from where it stands */
};

struct conn_tls;
struct conn_zip;
struct tls_own;
struct conn_watched {
        struct conn_tap *tap;
        struct buf line; /* output up to its line end */
        struct str
            heard; /* the last line read, in the connection's buffer: told when it is sure what may be shown */
        size_t shown;     /* so much of it */
        bool hearing;     /* there is one that was not told */
        uint64_t in, out; /* body bytes not yet told */
};

/* About 250 bytes; what only some need stands behind a pointer. */
struct conn {
        struct watch watch;      /* registered once, edge-triggered; owns the descriptor */
        struct waitlist waiting; /* the one fiber that uses this connection */
        struct timer timer;      /* parked: the deadline, or the next turn */
        void (*woken)(void *context, enum woken why); /* set: parked */
        void *context;
        struct room in, out;
        uint32_t in_at;   /* in: taken up to here */
        uint32_t scanned; /* in: bytes after in_at known to hold no LF */
        uint32_t wants;   /* EPOLLIN or EPOLLOUT while `waiting` waits */
        nsec park_after, flush_within;
        struct conn_tls *tls;
        struct tls_own *own;  /* own tickets. It outlives TLS: data connections may go on with it */
        struct conn_zip *zip; /* NULL: not compressed */
        struct conn_watched *watched;
        struct addr peer, local;
        uint8_t pending;       /* enum woken + 1 of a conn_wake that nobody has heard yet */
        uint8_t stop;          /* enum woken + 1: shut down or signed out */
        bool pending_told : 1; /* conn_line gave GOT_QUIET for it */
        bool readable : 1;     /* an edge came and the socket was not read dry since */
        bool writable : 1;
        bool hung : 1;  /* the peer hung up: a short read no longer means "dry" */
        bool ended : 1; /* end of input was read */
        bool failed : 1;
        bool skipping : 1; /* inside a line that was too long */
        char end[3];       /* of such a line what came last, CR included */
        bool bulk : 1;     /* the last read filled its room */
        bool late : 1;     /* the last conn_some met its deadline */
        bool secret : 1;
        bool called : 1;        /* conn_call that conn_line has not told yet */
        bool urgent_inline : 1; /* Telnet's urgent data is looked for, and stays in its place */
        bool urgent_ahead : 1;  /* noticed, not read yet */
        bool urgent : 1;        /* noticed, not asked for yet */
};

/* conn.c */
int conn_wait(struct conn *c, uint32_t wants, const char *what,
              nsec deadline);                        /* 0, -ETIMEDOUT, -ECANCELED */
ssize_t raw_read(struct conn *c, void *p, size_t n); /* > 0, 0: end, -EAGAIN, -errno */
ssize_t raw_write(struct conn *c, const struct iovec *v, int count);
void conn_release(struct conn *c); /* gives back empty buffers */

/* conn_in.c */
static inline size_t conn_buffered(const struct conn *c)
{
        return c->in.n - c->in_at;
}

/* conn_park.c */
void conn_unpark(struct conn *c, enum woken why); /* on the loop's stack; a reason given earlier goes first */

/* conn_tap.c */
void tap_in(struct conn *c, struct str line);
void tap_heard(struct conn *c); /* tells what tap_in was given; before its buffer changes */
void tap_out(struct conn *c, struct str text);
void tap_body_in(struct conn *c, size_t n);
void tap_body_out(struct conn *c, size_t n);
void tap_unread(struct conn *c, size_t n);
void tap_free(struct conn *c);

/* conn_tls.c; results as raw_read and raw_write. None of them waits. */
ssize_t tls_read(struct conn *c, void *p, size_t n);
ssize_t tls_write(struct conn *c, const void *p, size_t n);
bool tls_ready(const struct conn *c); /* may tls_read give bytes without a new edge? */
bool tls_may_park(const struct conn *c);
void tls_release(struct conn *c);
void tls_bye(struct conn *c); /* close_notify, if it fits */
void tls_free(struct conn *c);
struct gnutls_session_int;
/* Nothing of what was said in clear may be left on either side of the switch: flushes, waits. */
int tls_before(struct conn *c, nsec deadline);
int tls_begin(struct conn *c, struct gnutls_session_int *session,
              nsec deadline);                                      /* takes it; the handshake */
struct gnutls_session_int *conn_tls_session(const struct conn *c); /* NULL: none */
void conn_owe_ticket(struct conn *c); /* one of its own tickets was used; some clients use each but once */

/* conn_out.c; v[0..count) whole, waiting where it must */
int conn_send_all(struct conn *c, struct iovec *v, int count, nsec deadline);

/* conn_zip.c; results as raw_read. zip_read does not wait but for its turn. */
ssize_t zip_read(struct conn *c, void *p, size_t n);
bool zip_ready(const struct conn *c);  /* may zip_read give bytes without a new edge? */
bool zip_unsent(const struct conn *c); /* is output in the compressor, for the next sync? */
int zip_send(struct conn *c, struct str text, bool sync, nsec deadline);
void zip_last_words(struct conn *c, struct str text); /* one try, without a wait */
void zip_release(struct conn *c);
void zip_free(struct conn *c);

/* listen.c */
void listen_descriptor_freed(void); /* a paused listener may try again */
