/* ROLE_BIND: what the supervisor binds for a files process, and for what it ends one. */
#include "fibers.h"
#include "net/listen.h"
#include "role/children.h"
#include "run/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct settings settings;
static struct supervise how = { .settings = &settings };
static struct children all = { .how = &how, .files = 2 };
static struct child first = { .kind = CHILD_FILES, .index = 0, .all = &all };
static struct channel *role, *supervisor;
static bool ended;

static void binds(struct channel_message *m)
{
        if (!children_bind_for(m->context, m))
                channel_nonsense(m);
}

static const struct channel_kind kinds[] = { { ROLE_BIND, "bind", binds }, { 0 } };

static void role_ended(struct channel *c, void *context)
{
        (void)c;
        (void)context;
        ended = true;
}

static struct addr at(const char *ip, unsigned port)
{
        struct addr a;

        assert_true(addr_parse(str_of(ip), (uint16_t)port, &a));
        return a;
}

static void set(const char *name, const char *value)
{
        auto_buf struct buf why = { 0 };

        buf_init(&why, 1000);
        assert_int_equal(settings_set(&settings, str_of(name), str_of(value), &why), 0);
}

/* What was answered: a descriptor or -errno; -EPIPE: the role was ended. */
static int ask(struct str body)
{
        auto_buf struct buf answer = { 0 };
        int ends[2], fd = -1, rc;

        buf_init(&answer, 32);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        ended = false;
        role = channel_new(ends[0], NULL, NULL, NULL);
        supervisor = channel_new(ends[1], kinds, &first, role_ended);
        channel_survive(supervisor);
        rc = channel_ask(role, ROLE_BIND, body, -1, &answer, &fd, NEVER);
        if (!rc) {
                struct unpack u = unpack_of(buf_str(&answer));

                rc = (int)unpack_u32(&u);
                assert_true(unpack_done(&u));
                assert_int_equal(rc == 0, fd >= 0);
        }
        while (rc == -EPIPE && !ended)
                fiber_yield();
        channel_free(&role);
        channel_free(&supervisor);
        return rc ? rc : fd;
}

static int ask_for(struct addr a)
{
        auto_buf struct buf body = { 0 };

        buf_init(&body, 32);
        start_pack_bind(&body, &a);
        return ask(buf_str(&body));
}

/* A port that nobody has just now. */
static unsigned free_port(void)
{
        int fd = listen_bound(at("127.0.0.1", 0));
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);

        assert_true(fd >= 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
        close(fd);
        return addr_of((struct sockaddr *)&sa).port;
}

static void asks_what_is_its(void *arg)
{
        unsigned data = free_port();
        char text[12];
        int fd[3];

        (void)arg;
        set("listen", "127.0.0.1 127.0.0.2");
        snprintf(text, sizeof(text), "%u", data);
        set("ftp-data-port", text);
        /* several from the one port at once, and the descriptor is what was asked for */
        for (size_t i = 0; i < LENGTH(fd); i++) {
                struct sockaddr_storage sa;
                socklen_t n = sizeof(sa);
                int on = 1;

                fd[i] = ask_for(at("127.0.0.2", data));
                assert_true(fd[i] >= 0);
                assert_int_equal(getsockname(fd[i], (struct sockaddr *)&sa, &n), 0);
                struct addr here = addr_of((struct sockaddr *)&sa);

                assert_true(addr_same_host(here, at("127.0.0.2", 0)) && here.port == data);
                n = sizeof(on);
                assert_int_equal(getsockopt(fd[i], SOL_SOCKET, SO_ACCEPTCONN, &on, &n), 0);
                assert_int_equal(on, 0);
                assert_true(fcntl(fd[i], F_GETFL) & O_NONBLOCK);
                assert_true(fcntl(fd[i], F_GETFD) & FD_CLOEXEC);
        }
        /* and all of them connect, to peers of their own */
        for (size_t i = 0; i < LENGTH(fd); i++) {
                struct sockaddr_storage sa;
                struct addr peer = at("127.0.0.1", 0);
                socklen_t n = sizeof(sa);
                int listener = listen_on(peer, false, 1);

                assert_true(listener >= 0);
                assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &n), 0);
                fcntl(fd[i], F_SETFL, 0);
                assert_int_equal(connect(fd[i], (struct sockaddr *)&sa, n), 0);
                close(listener);
        }
        for (size_t i = 0; i < LENGTH(fd); i++)
                close(fd[i]);
        /* a port that somebody listens on is an answer, no crime */
        int taken = listen_on(at("127.0.0.1", data), false, 1);

        assert_true(taken >= 0);
        assert_int_equal(ask_for(at("127.0.0.1", data)), -EADDRINUSE);
        close(taken);
}

static void asks_for_more(void *arg)
{
        static const struct {
                const char *listen, *ip;
                unsigned port;
                bool granted;
        } rows[] = {
                { "127.0.0.1", "127.0.0.1", 50000, true },  { "127.0.0.1", "127.0.0.1", 50002, true },
                { "127.0.0.1", "127.0.0.1", 50001, false }, /* the other process's */
                { "127.0.0.1", "127.0.0.1", 49999, false }, { "127.0.0.1", "127.0.0.1", 51000, false },
                { "127.0.0.1", "127.0.0.1", 0, true },      { "127.0.0.1", "127.0.0.1", 10025, false },
                { "127.0.0.1", "127.0.0.2", 50000, false }, { "127.0.0.1", "0.0.0.0", 50000, false },
                { "0.0.0.0", "127.0.0.2", 50000, true },    { "0.0.0.0", "::1", 50000, false },
                { ":: 127.0.0.1", "::1", 50000, true },     { ":: 127.0.0.1", "127.0.0.3", 50000, false },
        };

        (void)arg;
        set("ftp-data-port", "10020");
        for (size_t i = 0; i < LENGTH(rows); i++) {
                set("listen", rows[i].listen);
                int rc = ask_for(at(rows[i].ip, rows[i].port));

                if ((rc != -EPIPE) != rows[i].granted)
                        fail_msg("row %zu: %d", i, rc);
                if (rc >= 0)
                        close(rc);
        }
        /* of a port that is off not the data port, and where both are off nothing */
        set("listen", "127.0.0.1");
        set("ftp-port", "0");
        assert_int_equal(ask_for(at("127.0.0.1", 10020)), -EPIPE);
        set("ftps-port", "0");
        assert_int_equal(ask_for(at("127.0.0.1", 0)), -EPIPE);
        assert_int_equal(ask_for(at("127.0.0.1", 50000)), -EPIPE);
}

static void asks_nonsense(void *arg)
{
        char body[24] = { 4, 127, 0, 0, 1 };

        (void)arg;
        body[17] = (char)(50000 & 0xff); /* whichever end the numbers begin with */
        body[18] = (char)(50000 >> 8);
        for (size_t n = 0; n < sizeof(body); n++)
                if (n != 19)
                        assert_int_equal(ask(str_from(body, n)), -EPIPE);
        body[0] = 0;
        assert_int_equal(ask(str_from(body, 19)), -EPIPE);
        body[0] = 10;
        assert_int_equal(ask(str_from(body, 19)), -EPIPE);
}

static void grants(void **state)
{
        (void)state;
        log_quiet = true;
        settings_default(&settings);
        spawn(asks_what_is_its, NULL);
        run_all();
        spawn(asks_for_more, NULL);
        run_all();
        spawn(asks_nonsense, NULL);
        run_all();
        settings_free(&settings);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(grants, begin, finish) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
