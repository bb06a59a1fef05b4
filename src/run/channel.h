/* Messages between roles: one SOCK_SEQPACKET socketpair each, small messages, perhaps a descriptor with one.
 *
 *   layout: u16 kind | u16 flags (1 = answer) | u32 id | body (at most CHANNEL_BODY bytes)
 *
 * Ask and wait:      rc = channel_ask(keeper, ASK_SIGNIN, body, &answer, NULL, in_seconds(30));
 * Tell, never wait:  channel_tell(supervisor, TELL_BELL, body, -1);
 *
 * What the other side may ask is a table of kinds; anything else ends the process (the asker is broken or hostile, and
 * the supervisor restarts us), or only the channel where that was wished (channel_survive). A handler runs in a fiber of its own and may wait; it answers once, or, for a
 * kind told, not at all. When the other side is gone every ask returns -EPIPE and `closed` is called.
 * A sender whose socket is full waits (ask) or keeps the message in a bounded queue (tell).
 * At most CHANNEL_HANDLERS handlers of a channel run at once; beyond, its messages wait in the socket, answers too.
 * In a process without a loop (verbs) everything blocks, and handlers run inside channel_ask.
 * send_fd (-1: none) stays the caller's. */
#pragma once
#include "base/buf.h"
#include "base/time.h"

#define CHANNEL_BODY     16384
#define CHANNEL_HANDLERS 1024

struct channel;
struct channel_message {
        struct channel *channel;
        uint16_t kind;
        uint32_t id;
        struct str body; /* owned by the message, valid in the handler */
        int fd;          /* -1, or a descriptor the handler now owns (set to -1 when taken) */
        void *context;   /* of the channel */
};
struct channel_kind {
        uint16_t kind; /* 0 ends the table */
        const char *name;
        void (*handle)(struct channel_message *m);
};

/* Takes fd. `kinds` says what the other side may send (NULL: nothing but answers). `closed` may be NULL; it runs once,
 * on the loop, and not after channel_free. Where a loop is used, loop_init comes first. */
struct channel *channel_new(int fd, const struct channel_kind *kinds, void *context,
                            void (*closed)(struct channel *c, void *context));
void channel_free(struct channel **c); /* closes; who asks gets -EPIPE */
/* Nonsense from the other side shall end the channel, as if it were gone (`closed` is called), and not this process:
 * for those whom others need more than the one who sent it. */
void channel_survive(struct channel *c);
void channel_nonsense(struct channel_message *m); /* for a handler that cannot read a body; it returns then */
/* 0 and the answer appended to *answer (may be NULL), or -EPIPE, -ETIMEDOUT, -ECANCELED. Outside a fiber it blocks. */
[[nodiscard]] int channel_ask(struct channel *c, uint16_t kind, struct str body, int send_fd,
                              struct buf *answer, int *answer_fd, nsec deadline);
int channel_tell(struct channel *c, uint16_t kind, struct str body, int send_fd); /* 0, -EPIPE, -ENOBUFS */
bool channel_waiting(
    const struct channel *c); /* messages told wait for room in the socket: the other side is slow */
int channel_answer(struct channel_message *m, struct str body, int send_fd);
/* A blocking client for verbs: connect to a Unix socket. 0 or -errno. */
int channel_connect(const char *path, struct channel **c);
