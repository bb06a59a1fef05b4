#include "net_unit.h"
#include "base/mem.h"
#include "net/stream_private.h"
#include "run/offload.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { MUCH = 9 << 20 }; /* more than two slices, and more than sockets hold */

static char *bytes; /* MUCH of them, that do not repeat soon */

static int make_bytes(void **state)
{
        uint32_t x = 1;

        (void)state;
        bytes = mem_alloc(MUCH);
        for (size_t i = 0; i < MUCH; i++) {
                x = x * 1664525 + 1013904223;
                bytes[i] = (char)(x >> 24);
        }
        return 0;
}

static int drop_bytes(void **state)
{
        (void)state;
        mem_free(bytes);
        return 0;
}

/* Both ends are ours; or the far one is a bare descriptor. */
static struct stream *stream_and_peer(int *peer)
{
        int fd[2];
        struct stream *s;

        tcp_pair(fd);
        *peer = fd[1];
        s = stream_new(fd[0]);
        must(s);
        return s;
}

struct two {
        struct stream *a, *b;
};

static struct two two_streams(void)
{
        struct two t;
        int peer;

        t.a = stream_and_peer(&peer);
        t.b = stream_new(peer);
        must(t.b);
        return t;
}

static void end_two(struct two *t)
{
        stream_free(&t->a);
        stream_free(&t->b);
}

static int new_file(size_t n)
{
        char name[] = "/tmp/pail-stream-XXXXXX";
        int fd = mkstemp(name);

        must(fd >= 0 && unlink(name) == 0);
        must(n == 0 || write(fd, bytes, n) == (ssize_t)n);
        return fd;
}

static void same_file(int fd, size_t n)
{
        char *got = mem_alloc(n + 1);

        must(pread(fd, got, n + 1, 0) == (ssize_t)n);
        must(memcmp(got, bytes, n) == 0);
        mem_free(got);
}

/* The other side's fiber. */
struct side {
        struct stream *s;
        size_t n, piece; /* to read, in such pieces */
        size_t got;
        bool done;
        struct waitlist told;
};

static void reads_all(void *arg)
{
        struct side *r = arg;
        char *room = mem_alloc(r->piece);
        size_t got;

        do {
                must(stream_read(r->s, room, r->piece, &got, 20 * SECOND) == 0);
                must(r->got + got <= MUCH && memcmp(room, bytes + r->got, got) == 0);
                r->got += got;
        } while (got > 0);
        must(r->got == r->n);
        mem_free(room);
        r->done = true;
        wake_all(&r->told);
}

static void writes_all(void *arg)
{
        struct side *w = arg;

        for (size_t at = 0; at < w->n; at += w->piece)
                must(stream_write(w->s, str_sub(str_from(bytes, w->n), at, w->piece), 20 * SECOND) == 0);
        must(stream_finish(w->s, SOON) == 0);
        w->done = true;
        wake_all(&w->told);
}

static void start(struct side *x, fiber_fn *fn)
{
        must(fiber_spawn("other side", fn, x) == 0);
}

static void join(struct side *x)
{
        while (!x->done)
                must(wait_on(&x->told, "the other side", SOON) == 0);
}

static void reading_and_writing_body(void *arg)
{
        static const size_t pieces[] = { 1 << 20, 100000, 4099 };
        struct two t;
        char room[32];
        size_t got;

        (void)arg;
        for (size_t i = 0; i < LENGTH(pieces); i++) {
                struct side w, r;

                t = two_streams();
                w = (struct side){ .s = t.a, .n = MUCH, .piece = pieces[i] };
                r = (struct side){ .s = t.b, .n = MUCH, .piece = pieces[LENGTH(pieces) - 1 - i] };
                start(&w, writes_all);
                start(&r, reads_all);
                join(&w);
                join(&r);
                end_two(&t);
        }
        /* what was given back comes first, and the end after it; both ways of one connection */
        t = two_streams();
        must(!stream_has_tls(t.a) && addr_loopback(stream_peer(t.a)) && stream_peer(t.a).port > 0);
        must(stream_write(t.a, S("header body"), SECOND) == 0);
        must(stream_write(t.a, S(""), SECOND) == 0);
        for (got = 0; got < 11;) {
                size_t more;

                must(stream_read(t.b, room + got, sizeof(room) - got, &more, 20 * SECOND) == 0 && more);
                got += more;
        }
        stream_unread(t.b, S("dy"));
        stream_unread(t.b, S("bo"));
        must(stream_finish(t.a, SOON) == 0);
        must(stream_read(t.b, room, 3, &got, SECOND) == 0 && str_eq(str_from(room, got), S("bod")));
        stream_unread(t.b, S("d"));
        must(stream_read(t.b, room, 9, &got, SECOND) == 0 && str_eq(str_from(room, got), S("dy")));
        must(stream_read(t.b, room, 9, &got, 20 * SECOND) == 0 && got == 0);
        must(stream_read(t.b, room, 9, &got, 20 * SECOND) == 0 && got == 0);
        must(stream_write(t.b, S("late"), SECOND) == 0);
        must(stream_finish(t.b, SOON) == 0);
        must(stream_read(t.a, room, 9, &got, 20 * SECOND) == 0 && str_eq(str_from(room, got), S("late")));
        stream_unread(t.a, str_from(bytes, STREAM_BACK + 1));
        must(stream_read(t.a, room, 9, &got, SECOND) == -EMSGSIZE);
        end_two(&t);
}

struct file_job {
        struct side side;
        int file;
        uint64_t most;
};

static void takes_file(void *arg)
{
        struct file_job *j = arg;
        uint64_t got;

        do {
                must(stream_receive_file(j->side.s, j->file, j->side.got, j->most, &got, 20 * SECOND) == 0);
                must(got <= j->most);
                j->side.got += got;
        } while (got > 0);
        j->side.done = true;
        wake_all(&j->side.told);
}

static void files_body(void *arg)
{
        static const uint64_t most[] = { UINT64_MAX, 70001 };
        int from = new_file(MUCH);
        uint64_t at, got;
        struct two t;

        (void)arg;
        for (size_t i = 0; i < LENGTH(most) * 2; i++) {
                struct file_job j = { .file = new_file(0), .most = most[i / 2] };
                int cold = i % 2 ? new_file(MUCH) : from;

                if (i % 2)
                        must(fsync(cold) == 0 && posix_fadvise(cold, 0, 0, POSIX_FADV_DONTNEED) == 0);
                t = two_streams();
                /* As if much had come: by way of a pipe, from which a file that is appended to takes nothing. */
                t.b->bulk = true;
                must(i != 1 || fcntl(j.file, F_SETFL, O_APPEND) == 0);
                j.side.s = t.b;
                start(&j.side, takes_file);
                at = 0;
                must(stream_send_file(t.a, cold, &at, 100, 20 * SECOND) == 0 && at == 100);
                must(stream_send_file(t.a, cold, &at, MUCH, 20 * SECOND) == 0 && at == MUCH); /* it ends */
                must(stream_send_file(t.a, cold, &at, 1, 20 * SECOND) == 0 && at == MUCH);
                must(stream_finish(t.a, SOON) == 0);
                join(&j.side);
                must(j.side.got == MUCH);
                same_file(j.file, MUCH);
                end_two(&t);
                close(j.file);
                if (cold != from)
                        close(cold);
        }
        /* what was given back goes to the file first; a file that cannot be written, or read */
        t = two_streams();
        stream_unread(t.b, str_from(bytes, 100));
        must(stream_receive_file(t.b, from, 0, 60, &got, SECOND) == 0 && got == 60);
        must(stream_receive_file(t.b, from, 60, 60, &got, SECOND) == 0 && got == 40);
        same_file(from, MUCH);
        must(stream_write(t.a, S("x"), SECOND) == 0);
        must(stream_receive_file(t.b, -1, 0, 60, &got, 20 * SECOND) == -EBADF && got == 0);
        at = 0;
        must(stream_send_file(t.a, -1, &at, 60, SECOND) == -EBADF && at == 0);
        must(stream_write(t.a, S("x"), SECOND) == -EBADF); /* the first error stays */
        end_two(&t);
        close(from);
}

static void floods(void *arg)
{
        while (stream_write(arg, str_from(bytes, MUCH), 20 * SECOND) == 0)
                ;
}

/* Whoever reads what comes must not take a piece of something for the whole. */
static void ends_body(void *arg)
{
        struct stream *s;
        struct two t;
        char room[16];
        size_t got;
        int peer;

        (void)arg;
        /* finished: an end. Not finished, though all has arrived: a reset */
        for (int finished = 0; finished < 2; finished++) {
                s = stream_and_peer(&peer);
                must(stream_write(s, S("piece"), SECOND) == 0);
                must(!finished || stream_finish(s, SOON) == 0);
                must(fcntl(peer, F_SETFL, 0) == 0);
                must(recv(peer, room, sizeof(room), 0) == 5);
                stream_free(&s);
                got = (size_t)recv(peer, room, sizeof(room), 0);
                must(finished ? got == 0 : got == (size_t)-1 && errno == ECONNRESET);
                close(peer);
        }
        /* nothing was sent: the same, unless it was for them to send */
        for (int theirs = 0; theirs < 2; theirs++) {
                s = stream_and_peer(&peer);
                if (theirs) {
                        must(send(peer, "all", 3, 0) == 3 && shutdown(peer, SHUT_WR) == 0);
                        must(stream_read(s, room, sizeof(room), &got, 20 * SECOND) == 0 && got == 3);
                        must(stream_read(s, room, sizeof(room), &got, 20 * SECOND) == 0 && got == 0);
                }
                stream_free(&s);
                must(fcntl(peer, F_SETFL, 0) == 0);
                got = (size_t)recv(peer, room, sizeof(room), 0);
                must(theirs ? got == 0 : got == (size_t)-1 && errno == ECONNRESET);
                close(peer);
        }
        /* finishing waits for who does not read, and reads what they say meanwhile */
        s = stream_and_peer(&peer);
        must(send(peer, "noise", 5, 0) == 5);
        must(stream_write(s, S("all"), SECOND) == 0);
        must(stream_finish(s, SOON) == 0);
        stream_free(&s);
        must(fcntl(peer, F_SETFL, 0) == 0);
        must(recv(peer, room, sizeof(room), 0) == 3 && recv(peer, room, sizeof(room), 0) == 0);
        close(peer);
        s = stream_and_peer(&peer);
        while (stream_write(s, str_from(bytes, MUCH), 10 * MSECOND) == 0) /* until no socket takes more */
                ;
        must(stream_finish(s, SOON) == -ETIMEDOUT); /* it sticks */
        stream_free(&s);
        close(peer);
        s = stream_and_peer(&peer);
        t = (struct two){ s, stream_new(peer) };
        must(fiber_spawn("floods", floods, t.b) == 0);
        must(stream_write(s, S("all"), SECOND) == 0);
        must(stream_finish(s, SOON) == 0);
        stream_cancel(t.b);
        fiber_yield();
        end_two(&t);
        /* gone in the middle; kept without use, one sees it */
        s = stream_and_peer(&peer);
        must(stream_alive(s));
        must(send(peer, "x", 1, 0) == 1 && shutdown(peer, SHUT_WR) == 0);
        fiber_sleep(now() + MSECOND);
        must(stream_alive(s)); /* there is something to read */
        must(stream_read(s, room, 1, &got, 20 * SECOND) == 0 && got == 1);
        while (stream_alive(s))
                fiber_yield();
        stream_free(&s);
        close(peer);
        s = stream_and_peer(&peer);
        must(setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger)) == 0);
        close(peer);
        must(stream_read(s, room, sizeof(room), &got, 20 * SECOND) == -ECONNRESET);
        must(stream_finish(s, SOON) == -ECONNRESET);
        stream_free(&s);
}

/* One that waits, and how it ended. */
struct waiter {
        struct stream *s;
        enum { READS, WRITES, WAITS_FOR_RATE, TAKES_FILES } what;
        int rc;
        bool done;
        struct waitlist told;
};

static void waits(void *arg)
{
        struct waiter *w = arg;
        struct rate slow = { .most = 1 };
        char room[16];
        uint64_t at = 0, came = 1;
        size_t got = 1;
        int file = new_file(0);

        if (w->what == WAITS_FOR_RATE)
                stream_limit(w->s, NULL, &slow);
        do {
                if (w->what == READS)
                        w->rc = stream_read(w->s, room, sizeof(room), &got, 20 * SECOND);
                else if (w->what == TAKES_FILES)
                        w->rc = stream_receive_file(w->s, file, at, 99, &came, 20 * SECOND);
                else
                        w->rc = stream_write(w->s, str_from(bytes, MUCH), 20 * SECOND);
        } while (w->rc == 0 && got && came);
        close(file);
        stream_limit(w->s, NULL, NULL);
        w->done = true;
        wake_all(&w->told);
}

static void cancel_body(void *arg)
{
        struct stream *s;
        char room[16];
        size_t got;
        int peer;

        (void)arg;
        for (int what = READS; what <= TAKES_FILES; what++) {
                struct waiter w = { .s = s = stream_and_peer(&peer), .what = what };

                must(fiber_spawn("waiter", waits, &w) == 0);
                while (what == TAKES_FILES ? !s->at_work : waitlist_empty(&s->waiting)) {
                        if (what == TAKES_FILES) /* some time it is met while a worker works for it */
                                must(send(peer, "x", 1, 0) == 1);
                        fiber_yield();
                }
                stream_cancel(s);
                while (!w.done)
                        must(wait_on(&w.told, "the waiter", SOON) == 0);
                must(w.rc == -ECANCELED);
                must(stream_read(s, room, sizeof(room), &got, SECOND) == -ECANCELED);
                must(stream_write(s, S("x"), SECOND) == -ECANCELED);
                must(stream_finish(s, SOON) == -ECANCELED);
                stream_free(&s);
                close(peer);
        }
}

static void late_body(void *arg)
{
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        struct stream *s;
        struct addr to;
        uint64_t came;
        char room[16];
        size_t got;
        int peer, file = new_file(0), l;

        (void)arg;
        s = stream_and_peer(&peer);
        must(stream_read(s, room, sizeof(room), &got, MSECOND) == -ETIMEDOUT && got == 0);
        must(stream_read(s, room, sizeof(room), &got, SECOND) == -ETIMEDOUT);
        stream_free(&s);
        close(peer);
        s = stream_and_peer(&peer);
        must(stream_receive_file(s, file, 0, 9, &came, MSECOND) == -ETIMEDOUT && came == 0);
        stream_free(&s);
        close(peer);
        s = stream_and_peer(&peer);
        must(send(peer, "x", 1, 0) == 1);
        fiber_sleep(now() + MSECOND);
        must(stream_read(s, room, sizeof(room), &got, 0) == 0 && got == 1); /* it was there */
        stream_free(&s);
        close(peer);

        /* dialling: to somebody, to nobody */
        must(addr_parse(S("127.0.0.1"), 0, &to));
        l = listen_on(to, false, 1);
        must(l >= 0 && getsockname(l, (struct sockaddr *)&sa, &n) == 0);
        to = addr_of((struct sockaddr *)&sa);
        must(stream_connect(socket(AF_INET, SOCK_STREAM, 0), to, SOON, &s) == 0);
        must(stream_peer(s).port == to.port);
        stream_free(&s);
        close(l);
        must(stream_connect(socket(AF_INET, SOCK_STREAM, 0), to, SOON, &s) == -ECONNREFUSED && !s);
        close(file);
}

static void lifts(void *arg)
{
        struct rate *r = arg;

        fiber_sleep(now() + MSECOND);
        r->most = 0;
}

/* How long it took at least is sure; how long at most would be the machine's business. */
static void rates_body(void *arg)
{
        struct rate r = { .most = 2000000 }, other = { .most = 4000000 }, slow;
        struct side w1, w2, r1, r2;
        struct two t = two_streams(), u = two_streams();
        int file = new_file(300000);
        uint64_t at = 0;
        nsec begin = now();

        (void)arg;
        /* 300,000 bytes each share 2 MB a second: 0.3 s, less what may come at once; on one side by file */
        stream_limit(t.a, &r, &other);
        stream_limit(u.a, NULL, &r);
        w1 = (struct side){ .s = t.a, .n = 300000, .piece = 300000 };
        r1 = (struct side){ .s = t.b, .n = 300000, .piece = 65536 };
        r2 = (struct side){ .s = u.b, .n = 300000, .piece = 65536 };
        start(&w1, writes_all);
        start(&r1, reads_all);
        start(&r2, reads_all);
        must(stream_send_file(u.a, file, &at, 300000, 20 * SECOND) == 0);
        must(stream_finish(u.a, SOON) == 0);
        join(&w1);
        join(&r1);
        join(&r2);
        must(now() - begin >= 180 * MSECOND);
        end_two(&t);
        end_two(&u);

        /* reading is limited as well */
        t = two_streams();
        begin = now();
        r = (struct rate){ .most = 2000000 };
        stream_limit(t.b, &r, NULL);
        w2 = (struct side){ .s = t.a, .n = 400000, .piece = 400000 };
        r2 = (struct side){ .s = t.b, .n = 400000, .piece = 400000 };
        start(&w2, writes_all);
        start(&r2, reads_all);
        join(&w2);
        join(&r2);
        must(now() - begin >= 90 * MSECOND);
        end_two(&t);

        /* 100 bytes a second, until somebody lifts it */
        t = two_streams();
        slow = (struct rate){ .most = 100 };
        stream_limit(t.a, &slow, NULL);
        w1 = (struct side){ .s = t.a, .n = 1000000, .piece = 1000000 };
        r1 = (struct side){ .s = t.b, .n = 1000000, .piece = 65536 };
        start(&w1, writes_all);
        start(&r1, reads_all);
        must(fiber_spawn("lifts", lifts, &slow) == 0);
        join(&w1);
        join(&r1);
        end_two(&t);
        close(file);
}

static void with_workers(fiber_fn *body)
{
        loop_init();
        assert_int_equal(offload_start(1, 2), 0);
        assert_int_equal(fiber_spawn("test", body, NULL), 0);
        loop_stop();
        loop_run();
        offload_finish();
        loop_finish();
}

static void reading_and_writing(void **state)
{
        (void)state;
        in_fiber(reading_and_writing_body, NULL);
        with_workers(reading_and_writing_body);
}

static void files(void **state)
{
        (void)state;
        in_fiber(files_body, NULL);
        with_workers(files_body);
}

static void ends(void **state)
{
        (void)state;
        in_fiber(ends_body, NULL);
}

static void cancelling(void **state)
{
        (void)state;
        with_workers(cancel_body);
}

static void deadlines(void **state)
{
        (void)state;
        with_workers(late_body);
}

static void rates(void **state)
{
        (void)state;
        with_workers(rates_body);
}

/* A verb has no fiber: the same functions block. */
static void outside_of_fibers(void **state)
{
        struct two t;
        char room[16];
        uint64_t at = 0;
        size_t got;
        int file;

        (void)state;
        loop_init();
        t = two_streams();
        file = new_file(5);
        assert_int_equal(stream_send_file(t.a, file, &at, 99, SECOND), 0);
        assert_int_equal(stream_finish(t.a, SOON), 0);
        assert_int_equal(stream_read(t.b, room, sizeof(room), &got, 20 * SECOND), 0);
        assert_str(str_from(room, got), str_from(bytes, 5));
        assert_int_equal(stream_read(t.b, room, sizeof(room), &got, 20 * SECOND), 0);
        assert_int_equal(got, 0);
        assert_int_equal(stream_read(t.a, room, sizeof(room), &got, MSECOND), -ETIMEDOUT);
        end_two(&t);
        close(file);
        loop_finish();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reading_and_writing), cmocka_unit_test(files),     cmocka_unit_test(ends),
                cmocka_unit_test(cancelling),          cmocka_unit_test(deadlines), cmocka_unit_test(rates),
                cmocka_unit_test(outside_of_fibers),
        };

        return cmocka_run_group_tests(tests, make_bytes, drop_bytes);
}
