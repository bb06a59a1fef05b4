/* What the tests of connections share: a body that runs in a fiber, and a connection with a bare other end. */
#pragma once
#include "unit.h"
#include "net/conn_private.h"
#include "net/listen.h"
#include "run/log.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Inside a fiber cmocka must not jump out: what does not hold there ends the process. */
#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(20) /* reached by no test that passes */

static const struct addr nobody;

/* Runs `body` as a fiber on a loop of its own, until it and all it started have ended. */
static inline void in_fiber(fiber_fn *body, void *arg)
{
        loop_init();
        assert_int_equal(fiber_spawn("test", body, arg), 0);
        loop_stop();
        loop_run();
        loop_finish();
}

/* A connection and the other end's bare descriptor. */
static inline struct conn *conn_and_peer(int *peer)
{
        int pair[2];
        struct conn *c;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        *peer = pair[1];
        c = conn_new(pair[0], nobody, nobody);
        must(c);
        return c;
}

/* Two ends of a TCP connection over the loopback, neither of them blocking: fd[0] connected, fd[1] accepted. */
static inline void tcp_pair(int fd[2])
{
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        struct addr a;
        int l;

        must(addr_parse(S("127.0.0.1"), 0, &a));
        l = listen_on(a, false, 1);
        must(l >= 0 && getsockname(l, (struct sockaddr *)&sa, &n) == 0);
        fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(connect(fd[0], (struct sockaddr *)&sa, n) == 0);
        fd[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        must(fd[1] >= 0 && fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
        close(l);
}

static inline void say(int fd, struct str s)
{
        must(send(fd, s.p, s.n, MSG_NOSIGNAL) == (ssize_t)s.n);
}

static inline void hears(int fd, struct str want)
{
        char got[256];
        ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);

        must(str_eq(str_from(got, n > 0 ? (size_t)n : 0), want));
}
