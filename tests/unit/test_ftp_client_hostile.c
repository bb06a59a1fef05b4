/* The FTP client and servers that do what they should not: each is a script. */
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
        SAY,     /* a line, or several */
        HEAR,    /* that line */
        PORT,    /* listens, and says 227 with its port; text: the address in it, else 127,0,0,1 */
        TAKE,    /* the data connection */
        DATA,    /* bytes on it */
        FINISH,  /* it ends as it should */
        CUT,     /* it is reset */
        ENDLESS, /* that line, until nobody listens */
        DRIP,    /* that text, a byte now and then, without end */
        SILENCE, /* nothing until they go */
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

static void run(const struct played *all)
{
        loop_init();
        assert_int_equal(offload_start(1, 1), 0);
        spawn(play_all, (void *)(uintptr_t)all);
        run_all();
        offload_finish();
        loop_finish();
}

/* ---- replies ---- */

static int ask(struct ftp_client *c, struct ftp_answer *a)
{
        return ftp_client_ask(c, a, "NOOP");
}

static int ask_twice(struct ftp_client *c, struct ftp_answer *a)
{
        return ftp_client_ask(c, a, "NOOP") == 0 ? ftp_client_ask(c, a, "PWD") : -1;
}

static void replies(void **state)
{
        static const char long_line[20000] = { [0 ... 19998] = 'x' };
        const struct played all[] = {
                { (struct step[]){ { SAY, "220 ready" }, { HEAR, "NOOP" }, { SAY, "200 ok" }, { 0 } }, 0,
                  "ok", ask, 0 },
                { (struct step[]){ { SAY, "120 soon\r\n220-well\r\n\r\n 220 no\r\n230 no\r\n220" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200-a\r\n200-b\r\n200 c\033[2J\x9b\x07" },
                                   { 0 } },
                  0, "c\\033[2J\\233\\007", ask, 0 },
                { (struct step[]){ { SAY, "SSH-2.0-OpenSSH" }, { 0 } }, -EPROTO, "none", NULL, 0 },
                { (struct step[]){ { SAY, "220x" }, { 0 } }, -EPROTO, "none", NULL, 0 },
                { (struct step[]){ { SAY, "999 no" }, { 0 } }, -EPROTO, "none", NULL, 0 },
                { (struct step[]){ { SAY, long_line }, { 0 } }, -EPROTO, "line without end", NULL, 0 },
                { (struct step[]){ { ENDLESS, "220-and so on and so forth" }, { 0 } }, -EPROTO,
                  "reply without end", NULL, 0 },
                { (struct step[]){ { ENDLESS, "" }, { 0 } }, -EPROTO, "", NULL, 0 },
                { (struct step[]){ { DRIP, "220-welcome\r\n" }, { 0 } }, -ECONNRESET, "in time", NULL,
                  SECOND / 10 },
                { (struct step[]){ { DRIP, "x" }, { 0 } }, -ECONNRESET, "in time", NULL, SECOND / 10 },
                { (struct step[]){ { SILENCE, "" }, { 0 } }, -ECONNRESET, "in time", NULL, SECOND / 10 },
                { (struct step[]){ { HANG_UP, "" } }, -ECONNRESET, "closed", NULL, 0 },
                { (struct step[]){ { SAY, "421 too many" }, { 0 } }, -ECONNRESET, "too many", NULL, 0 },
                { (struct step[]){ { SAY, "500 go away" }, { 0 } }, -EREMOTEIO, "go away", NULL, 0 },
                { (struct step[]){ { SAY, "220 ready" }, { HEAR, "NOOP" }, { SAY, "421 bye" }, { 0 } },
                  -ECONNRESET, "bye", ask, 0 },
                { (struct step[]){ { SAY, "220 ready" },
                                   { HEAR, "NOOP" },
                                   { SAY, "150 wait\r\n200 done" },
                                   { HEAR, "PWD" },
                                   { SAY, "257 \"/\"" },
                                   { 0 } },
                  0, "\"/\"", ask_twice, 0 },
                { NULL, 0, NULL, NULL, 0 },
        };

        (void)state;
        run(all);
}

/* ---- transfers ---- */

static char file_text[64];
static int fetch_most(struct ftp_client *c, struct ftp_answer *a, struct ftp_transfer *t)
{
        int rc;
        ssize_t n;

        t->remote = "a";
        t->file = memfd_create("test", MFD_CLOEXEC);
        rc = ftp_client_transfer(c, t);
        n = pread(t->file, file_text, sizeof(file_text) - 1, 0);
        file_text[n < 0 ? 0 : n] = 0;
        close(t->file);
        *a = t->answer;
        return rc;
}

static int fetch(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_transfer t = { .move = FTP_GET };
        int rc = fetch_most(c, a, &t);

        must(rc < 0 || (t.bytes == 5 && strcmp(file_text, "water") == 0));
        return rc;
}

/* What went wrong, and then PWD is answered: in step. */
static int fetch_and_ask(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_transfer t = { .move = FTP_GET };
        struct ftp_answer b;
        int rc = fetch_most(c, a, &t);

        must(ftp_client_ask(c, &b, "PWD") == 0 && b.code == 257);
        return rc;
}

static void stop_it(void *context, uint64_t bytes)
{
        (void)bytes;
        ftp_client_stop(context);
}

static int fetch_and_stop(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_transfer t = { .move = FTP_GET, .progress = stop_it, .context = c, .most = 100000 };
        struct ftp_answer b;
        int rc = fetch_most(c, a, &t);

        must(ftp_client_ask(c, &b, "PWD") == 0 && b.code == 257);
        return rc;
}

static int store(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_transfer t = { .move = FTP_PUT, .remote = "a", .file = memfd_create("test", MFD_CLOEXEC) };
        int rc;

        must(ftruncate(t.file, 64 << 20) == 0);
        rc = ftp_client_transfer(c, &t);
        close(t.file);
        *a = t.answer;
        return rc;
}

#define TO_PORT                                                      \
        { SAY, "220 ready" }, { HEAR, "TYPE I" }, { SAY, "200 ok" }, \
        {                                                            \
                HEAR, "PASV"                                         \
        }
#define TO_DATA                  \
        TO_PORT, { PORT, NULL }, \
        {                        \
                HEAR, "RETR a"   \
        }
#define AND_PWD                                \
        { HEAR, "PWD" }, { SAY, "257 \"/\"" }, \
        {                                      \
                0                              \
        }

static void transfers(void **state)
{
        static char much[100001];
        const struct played all[] = {
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 Opening (5 bytes)" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { 0 } },
                  0, "done", fetch, 0 },
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok\r\n226 done" },
                                   { TAKE, "" },
                                   { DATA, "wa" },
                                   { DATA, "ter" },
                                   { FINISH, "" },
                                   { 0 } },
                  0, "done", fetch, 0 }, /* 226 before the data's end */
                { (struct step[]){
                      TO_DATA, { SAY, "226 done" }, { TAKE, "" }, { DATA, "water" }, { FINISH, "" }, { 0 } },
                  0, "done", fetch, 0 },
                { (struct step[]){ TO_PORT,
                                   { PORT, "10,9,8,7" },
                                   { HEAR, "RETR a" },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { 0 } },
                  0, "done", fetch, 0 }, /* points elsewhere */
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 Opening (6 bytes)" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   AND_PWD },
                  -EREMOTEIO, "5 octets came", fetch_and_ask, 0 },
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "wat" },
                                   { CUT, "" },
                                   { SAY, "226 done" },
                                   { HEAR, "PWD" },
                                   { SAY, "257 x" },
                                   { 0 } },
                  -EREMOTEIO, "cut after", fetch_and_ask, 0 },
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "wat" },
                                   { FINISH, "" },
                                   { SAY, "426 broken" },
                                   AND_PWD },
                  -EREMOTEIO, "broken", fetch_and_ask, 0 },
                { (struct step[]){ TO_DATA, { SAY, "550 none" }, AND_PWD }, -EREMOTEIO, "none", fetch_and_ask,
                  0 },
                { (struct step[]){
                      TO_DATA, { SAY, "150 ok" }, { TAKE, "" }, { DATA, "wat" }, { HANG_UP, "" } },
                  -ECONNRESET, "", fetch, 0 },
                { (struct step[]){ TO_DATA, { SAY, "227 what" }, { TAKE, "" }, { FINISH, "" }, AND_PWD },
                  -EREMOTEIO, "nothing of", fetch_and_ask, 0 },
                { (struct step[]){ TO_PORT, { SAY, "227 nowhere" }, { 0 } }, -EPROTO,
                  "no port in \"nowhere\"", fetch, 0 },
                { (struct step[]){ TO_PORT, { SAY, "227 (1,2,3,4,5,256)" }, { 0 } }, -EPROTO, "no port",
                  fetch, 0 },
                { (struct step[]){ TO_PORT, { SAY, "227 (127,0,0,1,0,0)" }, { 0 } }, -EPROTO, "no port",
                  fetch, 0 },
                { (struct step[]){
                      TO_PORT, { SAY, "502 no" }, { HEAR, "EPSV" }, { SAY, "229 (|||99999|)" }, { 0 } },
                  -EPROTO, "no port", fetch, 0 },
                { (struct step[]){ TO_PORT, { SAY, "502 no" }, { HEAR, "EPSV" }, { SAY, "502 no" }, { 0 } },
                  -EREMOTEIO, "no", fetch, 0 },
                /* stopped: 426 and 226; one reply only; three; none but NOOP's */
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, much },
                                   { HEAR, "ABOR" },
                                   { SAY, "426 cut\r\n226 ok" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   AND_PWD },
                  -ECANCELED, "stopped", fetch_and_stop, 0 },
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, much },
                                   { HEAR, "ABOR" },
                                   { SAY, "225 ok" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   AND_PWD },
                  -ECANCELED, "stopped", fetch_and_stop, 0 },
                { (struct step[]){ TO_PORT,
                                   { PORT, NULL },
                                   { HEAR, "STOR a" },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { CUT, "" },
                                   { SAY, "552 full" },
                                   { 0 } },
                  -EREMOTEIO, "full", store, 0 },
                { (struct step[]){ TO_PORT,
                                   { PORT, NULL },
                                   { HEAR, "STOR a" },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { CUT, "" },
                                   { SAY, "226 fine" },
                                   { 0 } },
                  -EREMOTEIO, "cut after", store, 0 },
                { NULL, 0, NULL, NULL, 0 },
        };

        (void)state;
        memset(much, 'x', sizeof(much) - 1);
        run(all);
}

/* ---- written ahead, to servers that do not keep up ---- */

static struct ftp_transfer ahead[2];
static unsigned ahead_next, ahead_done;
static struct ftp_transfer *next_of(void *context)
{
        (void)context;
        return ahead_next < LENGTH(ahead) ? &ahead[ahead_next++] : NULL;
}

static void done_with(void *context, struct ftp_transfer *t, int rc)
{
        char text[16] = { 0 };

        (void)context;
        if (rc < 0)
                die("%s: %d, %u %s", t->remote, rc, t->answer.code, t->answer.text);
        must(t == &ahead[ahead_done++]);
        must(pread(t->file, text, sizeof(text) - 1, 0) == 5 && strcmp(text, "water") == 0);
        close(t->file);
}

static int fetch_both(struct ftp_client *c, struct ftp_answer *a)
{
        const struct ftp_many many = { next_of, done_with, NULL };

        *a = (struct ftp_answer){ 0 };
        ahead_next = ahead_done = 0;
        for (size_t i = 0; i < LENGTH(ahead); i++)
                ahead[i] = (struct ftp_transfer){ .remote = i ? "b" : "a",
                                                  .file = memfd_create("test", MFD_CLOEXEC) };
        must(ftp_client_many(c, &many) == 0 && ahead_done == LENGTH(ahead));
        return 0;
}

#define BOTH_ASKED                                                                                         \
        { SAY, "220 ready" }, { HEAR, "TYPE I" }, { SAY, "200 ok" }, { HEAR, "PASV" }, { HEAR, "RETR a" }, \
            { HEAR, "PASV" },                                                                              \
        {                                                                                                  \
                HEAR, "RETR b"                                                                             \
        }
#define ONE(name)                                                                                  \
        { HEAR, "PASV" }, { PORT, NULL }, { HEAR, "RETR " name }, { SAY, "150 ok" }, { TAKE, "" }, \
            { DATA, "water" }, { FINISH, "" },                                                     \
        {                                                                                          \
                SAY, "226 done"                                                                    \
        }

static void not_keeping_up(void **state)
{
        const struct played all[] = {
                /* one that does */
                { (struct step[]){ BOTH_ASKED,
                                   { PORT, NULL },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "150 ok\r\n226 done" },
                                   { PORT, NULL },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "150 ok\r\n226 done" },
                                   { 0 } },
                  0, "", fetch_both, 0 },
                /* ProFTPD: 450 while a transfer runs */
                { (struct step[]){ BOTH_ASKED,
                                   { PORT, NULL },
                                   { SAY, "150 ok\r\n450 busy\r\n450 busy" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   ONE("a"),
                                   ONE("b"),
                                   { 0 } },
                  0, "", fetch_both, 0 },
                /* the second PASV ends the first transfer, quietly, and the second waits for its connection */
                { (struct step[]){ BOTH_ASKED,
                                   { PORT, NULL },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "wat" },
                                   { FINISH, "" },
                                   { PORT, NULL },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { CUT, "" },
                                   { SAY, "426 cut" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   ONE("a"),
                                   ONE("b"),
                                   { 0 } },
                  0, "", fetch_both, 0 },
                { NULL, 0, NULL, NULL, 0 },
        };

        (void)state;
        run(all);
}

/* ---- listings ---- */

static int list_all(struct ftp_client *c, struct ftp_answer *a)
{
        struct arena m;
        struct ftp_entry *list;
        size_t n, unsafe;
        int rc;

        arena_init(&m, 1 << 20);
        rc = ftp_client_entries(c, "", &m, &list, &n, &unsafe, a);
        if (rc == 0)
                must(n == 2 && unsafe == 4 && str_eq(list[0].name, S("a")) && str_eq(list[1].name, S("w")));
        arena_finish(&m);
        return rc;
}

static void listings(void **state)
{
        static char long_name[400], endless[600000];
        const struct played all[] = {
                { (struct step[]){
                      TO_PORT,
                      { PORT, NULL },
                      { HEAR, "LIST" },
                      { SAY, "150 ok" },
                      { TAKE, "" },
                      { DATA,
                        "total 7\r\n-rw-r--r-- 1 x x 5 Jan  1 2020 w\r\n-rw-r--r-- 1 x x 5 Jan  1 2020 ../w\n"
                        "-rw-r--r-- 1 x x 5 Jan  1 2020 ..\r\n-rw-r--r-- 1 x x 5 Jan  1 2020 a\rb\r\n" },
                      { DATA, "-rw-r--r-- 1 x x 5 Jan  1 2020 a\033[2J\r\n" },
                      { DATA, long_name },
                      { DATA, "\r\n" },
                      { DATA, "-rw-r--r-- 1 x x 5 Jan  1 2020 a" },
                      { FINISH, "" },
                      { SAY, "226 done" },
                      { 0 } },
                  0, "done", list_all, 0 },
                { (struct step[]){ TO_PORT,
                                   { PORT, NULL },
                                   { HEAR, "LIST" },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, endless },
                                   { DATA, endless },
                                   { HEAR, "ABOR" },
                                   { SAY, "426 cut\r\n226 ok" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   { 0 } },
                  -ENOBUFS, "the listing", list_all, 0 },
                { NULL, 0, NULL, NULL, 0 },
        };
        size_t n = 0;

        (void)state;
        snprintf(long_name, sizeof(long_name), "-rw-r--r-- 1 x x 5 Jan  1 2020 ");
        memset(long_name + strlen(long_name), 'n', sizeof(long_name) - 1 - strlen(long_name));
        while (n + 80 < sizeof(endless))
                n += (size_t)snprintf(endless + n, sizeof(endless) - n,
                                      "-rw-r--r-- 1 x x 5 Jan  1 2020 %zu\r\n", n);
        run(all);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(replies),
                cmocka_unit_test(transfers),
                cmocka_unit_test(not_keeping_up),
                cmocka_unit_test(listings),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
