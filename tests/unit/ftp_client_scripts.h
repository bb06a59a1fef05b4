/* Servers that the FTP client meets, each a script. */
#pragma once
#include "fibers.h"
#include "proto/ftp/client_inside.h"
#include "run/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(60) /* reached by no test that passes */

/* ---- the server ---- */

enum deed {
        END,
        SAY,       /* a line, or several */
        HEAR,      /* that line */
        PORT,      /* listens, and says 227 with its port; text: the address in it, else 127,0,0,1 */
        HEAR_PORT, /* PORT, and whichever it is */
        CALL,      /* that port, from this address: 127.0.0.N */
        TAKE,      /* the data connection */
        DATA,      /* bytes on it */
        FINISH,    /* it ends as it should */
        CUT,       /* it is reset */
        ENDLESS,   /* that line, until nobody listens */
        DRIP,      /* that text, a byte now and then, without end */
        SILENCE,   /* nothing until they go */
        HANG_UP
};
struct step {
        enum deed deed;
        const char *text;
};
static const struct addr server_at = { .ip = { 127, 0, 0, 1 }, .family = 4, .port = 21 };

struct server {
        struct conn *conn;
        const struct step *steps;
        int listener;
        uint16_t port; /* the client's */
        struct stream *data;
        bool gone;
};

static void hear(struct server *s, const char *want)
{
        struct str line;
        enum got got = conn_line(s->conn, &line, 70000, SOON);

        if (got != GOT_LINE || !str_eq(line, str_of(want)))
                die("want \"%s\", got \"" PRS "\" (%d)", want, STR(line), (int)got);
}

static void open_port(struct server *s, const char *told)
{
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(at);

        s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        must(bind(s->listener, (struct sockaddr *)&at, n) == 0 && listen(s->listener, 1) == 0);
        must(getsockname(s->listener, (struct sockaddr *)&at, &n) == 0);
        conn_printf(s->conn, "227 Entering (%s,%u,%u)\r\n", told ? told : "127,0,0,1",
                    ntohs(at.sin_port) >> 8, ntohs(at.sin_port) & 255u);
}

static void take_data(struct server *s)
{
        int fd;

        (void)conn_flush(s->conn, SOON);
        while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
                must(errno == EAGAIN && fiber_sleep(now() + MSECOND) == 0);
        s->data = stream_new(fd);
        must(s->data);
}

static void hear_port(struct server *s)
{
        struct addr at;
        struct str line;

        must(conn_line(s->conn, &line, 1000, SOON) == GOT_LINE && str_starts(line, S("PORT 127,0,0,1,")));
        must(ftpc_pasv_parse(line, &at));
        s->port = at.port;
}

static void call_port(struct server *s, const char *from)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct sockaddr_in at = { .sin_family = AF_INET };
        struct addr to = { .ip = { 127, 0, 0, 1 }, .family = 4, .port = s->port };

        must(inet_pton(AF_INET, from, &at.sin_addr) == 1 &&
             bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
        must(stream_connect(fd, to, SOON, &s->data) == 0);
}

static void without_end(struct server *s, const char *text, bool slowly)
{
        for (unsigned i = 0; conn_ok(s->conn); i++) {
                if (slowly) {
                        conn_put(s->conn, str_from(text + i % strlen(text), 1));
                        (void)fiber_sleep(now() + 2 * MSECOND);
                } else {
                        conn_put(s->conn, str_of(text));
                        conn_put(s->conn, S("\r\n"));
                }
                if (conn_flush(s->conn, SOON) < 0 || (i % 64 == 0 && conn_hung(s->conn)))
                        break;
        }
}

static void play(struct server *s, const struct step *step)
{
        struct str line;

        switch (step->deed) {
        case END: break;
        case SAY: conn_printf(s->conn, "%s\r\n", step->text); break;
        case HEAR: hear(s, step->text); break;
        case PORT: open_port(s, step->text); break;
        case HEAR_PORT: hear_port(s); break;
        case CALL: call_port(s, step->text); break;
        case TAKE: take_data(s); break;
        case DATA: must(stream_write(s->data, str_of(step->text), 60 * SECOND) == 0); break;
        case FINISH:
                must(stream_end(s->data, SOON) == 0);
                stream_free(&s->data);
                break;
        case CUT: stream_free(&s->data); break;
        case ENDLESS: without_end(s, step->text, false); break;
        case DRIP: without_end(s, step->text, true); break;
        case SILENCE:
                while (conn_line(s->conn, &line, 1000, SOON) == GOT_LINE)
                        ;
                break;
        case HANG_UP: break;
        }
}

static void server_fiber(void *arg)
{
        struct server *s = arg;

        for (const struct step *step = s->steps; step->deed != END && step->deed != HANG_UP; step++)
                play(s, step);
        (void)conn_flush(s->conn, SOON);
        stream_free(&s->data);
        if (s->listener >= 0)
                close(s->listener);
        conn_free(&s->conn);
        s->gone = true;
}

/* ---- the client ---- */

struct played {
        const struct step *steps;
        int rc;           /* what is to come of it */
        const char *text; /* in the answer */
        int (*act)(struct ftp_client *c, struct ftp_answer *a);
        nsec patience;
};

static void shown(void *context, unsigned code, struct str line, bool last)
{
        (void)context, (void)code, (void)last;
        must(!str_has_control(line));
}

static void play_one(const struct played *p)
{
        static const struct ftp_hears hears = { NULL, shown, NULL };
        struct ftp_client_how how = { .hears = &hears, .patience = p->patience ? p->patience : 60 * SECOND };
        struct server s = { .steps = p->steps, .listener = -1 };
        struct ftp_client *c;
        struct ftp_answer a;
        int pair[2], rc;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        s.conn = conn_new(pair[0], server_at, server_at);
        conn_park_after(s.conn, -1);
        spawn(server_fiber, &s);
        rc = ftp_client_open(&c, conn_new(pair[1], server_at, server_at), &how, &a);
        if (rc == 0 && p->act)
                rc = p->act(c, &a);
        if (rc != p->rc || !strstr(a.text, p->text) || str_has_control(str_of(a.text)))
                die("\"%s ...\": %d, not %d; %u \"%s\", not \"%s\"", p->steps[0].text, rc, p->rc, a.code,
                    a.text, p->text);
        ftp_client_close(&c, 0);
        while (!s.gone)
                must(fiber_sleep(now() + MSECOND) == 0);
}

static void play_all(void *arg)
{
        for (const struct played *p = arg; p->steps; p++)
                play_one(p);
}

static inline void run(const struct played *all)
{
        loop_init();
        assert_int_equal(offload_start(1, 1), 0);
        spawn(play_all, (void *)(uintptr_t)all);
        run_all();
        offload_finish();
        loop_finish();
}

#define TO_PORT                                                      \
        { SAY, "220 ready" }, { HEAR, "TYPE I" }, { SAY, "200 ok" }, \
        {                                                            \
                HEAR, "PASV"                                         \
        }
