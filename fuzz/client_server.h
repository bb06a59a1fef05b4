/* The other side of the clients' harnesses: it says any bytes in any cut into segments (0xff marks the cuts), and reads what comes. */
#pragma once
#include "base/codec.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/tls_wanted.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* A handshake that always goes well. */
int conn_starttls_to(struct conn *c, const struct tls_wanted *w, nsec deadline, struct tls_found *found)
{
        (void)c, (void)w, (void)deadline;
        found->version = "TLS1.3";
        found->verified = true;
        return 0;
}

struct talk {
        int fd;
        struct str input;
        unsigned how;
        bool over;
};

static bool hear(struct talk *t)
{
        char piece[4096];
        ssize_t n = recv(t->fd, piece, sizeof(piece), MSG_DONTWAIT);

        return n > 0 || (n < 0 && errno == EAGAIN);
}

static void server(void *arg)
{
        struct talk *t = arg;
        struct str piece;

        while (t->input.n) {
                str_cut(&t->input, (char)0xff, &piece);
                if (piece.n && send(t->fd, piece.p, piece.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        break;
                fiber_yield();
                if (!hear(t))
                        break;
        }
        shutdown(t->fd, SHUT_WR);
        while (!t->over && hear(t))
                fiber_yield();
        close(t->fd);
}

/* The client's end. */
static inline struct conn *visit(struct talk *t)
{
        struct addr nobody = { 0 };
        int fd[2];

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0, "no sockets");
        t->fd = fd[1];
        must(fiber_spawn("server", server, t) == 0, "no fiber");
        return conn_new(fd[0], nobody, nobody);
}

static inline void check_text(const char *text)
{
        must(!str_has_control(str_of(text)) && utf8_valid(str_of(text)), "a text that is not printable");
}

static inline void play(fiber_fn *client, const uint8_t *data, size_t size)
{
        struct talk t = { 0 };

        log_quiet = true;
        t.how = data[0];
        t.input = str_from(data + 1, size - 1);
        loop_init();
        must(fiber_spawn("client", client, &t) == 0, "no fiber");
        loop_stop();
        loop_run();
        loop_finish();
}
