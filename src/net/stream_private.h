/* What the files of the stream share among themselves; nobody else includes this.
 *
 *   stream.c       birth, death, the edge that the loop reports, reading and writing
 *   stream_end.c   how what we send ends, so that nothing of it is lost
 *   stream_file.c  files sent and received
 *   stream_splice.c  large files received without a buffer
 *   stream_tls.c   TLS under reading and writing
 *   stream_rate.c  limits */
#pragma once
#include "base/buf.h"
#include "net/stream.h"
#include "run/fiber.h"
#include "run/loop.h"

#include <sys/types.h>

enum {
        STREAM_PIECE = 512 * 1024,      /* what one call sends or takes; faster than less or more */
        STREAM_TURN = 2 * 1024 * 1024,  /* after so much, others have their turn */
        STREAM_SLICE = 4 * 1024 * 1024, /* what a worker does at once */
        STREAM_BACK = 256 * 1024,       /* the most of stream_unread */
};

struct stream_tls;
struct stream {
        struct watch watch;      /* registered once, edge-triggered; owns the descriptor */
        struct waitlist waiting; /* the one fiber that uses it */
        struct stream_tls *tls;
        struct buf back; /* what stream_unread gave back, from back_at */
        size_t back_at;
        struct rate *rates[2];
        nsec reserved[2]; /* in each, for `allowed` bytes */
        size_t allowed;
        struct addr peer;
        int pipe[2];             /* of a large upload, empty between two calls; or -1 */
        bool unspliced;          /* no pipe is to be had, or the file takes nothing from one */
        int in_memory;           /* the file that was found to lie in memory, or -1 */
        uint32_t wants;          /* EPOLLIN or EPOLLOUT while `waiting` waits for it */
        int error;               /* the first */
        bool readable, writable; /* an edge came, and no -EAGAIN since */
        bool hung;               /* the peer hung up: a short read no longer means that there is no more */
        bool ended;              /* end of input was read */
        bool wrote;              /* something was sent, or tried */
        uint64_t pushed;         /* TLS: octets that the socket took */
        bool finished;           /* and is with the peer, whole */
        bool at_work;            /* in an offload */
        bool prompt;             /* TCP_NODELAY stands */
        bool bulk;               /* the last offload took much */
};

static inline nsec stream_until(nsec patience)
{
        return patience == NEVER ? NEVER : now() + patience;
}

/* stream.c */
int stream_fail(struct stream *s, int error); /* the first error, which may be an earlier one */
/* Both may return early, so look again; what is wrong fails the stream. Until an edge of `wants`, or until the time has come. */
int stream_pause(struct stream *s, uint32_t wants, const char *what, nsec until);
/* The same, but that the time has come is wrong (-ETIMEDOUT). */
int stream_wait(struct stream *s, uint32_t wants, const char *what, nsec until);
ssize_t socket_recv(int fd, void *p, size_t n); /* > 0, 0: end, -errno */
ssize_t socket_send(int fd, const struct iovec *v, int count, bool more);
ssize_t stream_recv(struct stream *s, void *p, size_t n); /* > 0, 0: end, -EAGAIN, -errno */
ssize_t stream_send(struct stream *s, const struct iovec *v, int count, bool more);
/* fn on a worker thread, which may use the socket: it says in *dry whether it met EAGAIN. */
int stream_offload(struct stream *s, int (*fn)(void *arg), void *arg, bool *flag, const bool *dry);

/* stream_rate.c: how much of n may pass now, which may take a while; 0: the stream has failed. stream_passed: so much has. */
size_t stream_allowed(struct stream *s, size_t n);
void stream_passed(struct stream *s, ssize_t n);

/* stream_splice.c: what is there, at most `most` octets, moved to the file by way of a pipe, with a copy less than recv and write have. *dry,
 * *ended: as take_slice says. -EOPNOTSUPP: nothing was moved, and nothing ever will be. *got counts in any case. Also on a worker. */
int stream_splice(struct stream *s, int file, uint64_t at, size_t most, size_t *got, bool *dry, bool *ended);
void stream_splice_end(struct stream *s);

/* stream_tls.c; results as stream_recv. None of them waits. Reading and writing also work on a worker (at_work). */
ssize_t stream_tls_read(struct stream *s, void *p, size_t n);
ssize_t stream_tls_write(struct stream *s, const void *p, size_t n);
bool stream_tls_ready(const struct stream *s); /* may stream_tls_read give bytes without a new edge? */
int stream_tls_bye(struct stream *s);          /* close_notify: 0, -EAGAIN, -EPIPE */
void stream_tls_release(struct stream *s);     /* gives back an empty buffer */
void stream_tls_free(struct stream *s);
