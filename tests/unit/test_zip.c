#include "net_unit.h"
#include "base/mem.h"
#include "base/scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* The other end as a program of somebody's: raw deflate with the largest window. */
struct other {
        int fd;
        z_stream out, in;
};

static struct conn *compressed(struct other *o)
{
        struct conn *c = conn_and_peer(&o->fd);

        must(!conn_compressed(c));
        must(conn_compress(c) == 0 && conn_compressed(c));
        memset(&o->out, 0, sizeof(o->out));
        memset(&o->in, 0, sizeof(o->in));
        must(deflateInit2(&o->out, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) == Z_OK);
        must(inflateInit2(&o->in, -15) == Z_OK);
        return c;
}

static void other_ends(struct other *o)
{
        deflateEnd(&o->out);
        inflateEnd(&o->in);
        close(o->fd);
}

/* What stands for s, in room; the length. */
static size_t packed(struct other *o, struct str s, int flush, char *room, size_t n)
{
        o->out.next_in = (Bytef *)(uintptr_t)s.p;
        o->out.avail_in = (uInt)s.n;
        o->out.next_out = (Bytef *)room;
        o->out.avail_out = (uInt)n;
        (void)deflate(&o->out, flush);
        must(o->out.avail_in == 0 && o->out.avail_out > 0);
        return n - o->out.avail_out;
}

static void says(struct other *o, struct str s)
{
        static char room[1 << 18];

        say(o->fd, str_from(room, packed(o, s, Z_SYNC_FLUSH, room, sizeof(room))));
}

/* What it can read of what came so far. */
static void reads(struct other *o, struct str want)
{
        static char raw[1 << 16], text[1 << 16];
        ssize_t n = recv(o->fd, raw, sizeof(raw), MSG_DONTWAIT);

        o->in.next_in = (Bytef *)raw;
        o->in.avail_in = n > 0 ? (uInt)n : 0;
        o->in.next_out = (Bytef *)text;
        o->in.avail_out = sizeof(text);
        (void)inflate(&o->in, Z_SYNC_FLUSH);
        must(o->in.avail_in == 0);
        must(str_eq(str_from(text, sizeof(text) - o->in.avail_out), want));
}

static bool next_is(struct conn *c, struct str want)
{
        struct str line;

        return conn_line(c, &line, 9999, SOON) == GOT_LINE && str_eq(line, want);
}

/* ---- lines ---- */

static void lines_body(void *arg)
{
        struct other o;
        struct conn *c = compressed(&o);
        char room[1000];
        struct str line;
        size_t n;

        (void)arg;
        says(&o, S("a NOOP\r\n"));
        must(next_is(c, S("a NOOP")));
        conn_put(c, S("a OK "));
        conn_put(c, S("done\r\n"));
        reads(&o, S(""));                        /* nothing before a flush */
        says(&o, S("b NOOP\r\nc NOOP\r\nd LO")); /* several in a block, and a part */
        must(next_is(c, S("b NOOP")));
        must(next_is(c, S("c NOOP")));
        says(&o, S("GOUT\r\n"));
        must(next_is(c, S("d LOGOUT"))); /* which waited: so what was said is out */
        must(conn_flush(c, SOON) == 0);
        reads(&o, S("a OK done\r\n"));
        must(conn_flush(c, SOON) == 0); /* nothing to say: not a byte */
        must(recv(o.fd, room, sizeof(room), MSG_DONTWAIT) < 0);

        /* byte by byte; a line is there as soon as its last byte is */
        n = packed(&o, S("e FETCH 1:* (ENVELOPE BODYSTRUCTURE)\r\n"), Z_SYNC_FLUSH, room, sizeof(room));
        for (size_t i = 0; i < n; i++) {
                say(o.fd, str_from(room + i, 1));
                fiber_yield();
                fiber_sleep(now());
                if (i + 6 < n)
                        must(conn_line(c, &line, 99, now()) == GOT_LATE);
        }
        must(next_is(c, S("e FETCH 1:* (ENVELOPE BODYSTRUCTURE)")));

        /* a block that has begun but not ended: what can be read of it is given, and nobody waits for its end */
        n = packed(&o, S("f NOOP\r\n"), Z_PARTIAL_FLUSH, room, sizeof(room));
        say(o.fd, str_from(room, n));
        must(next_is(c, S("f NOOP")));
        conn_free(&c);
        other_ends(&o);
}

/* ---- parking ---- */

static void woken(void *context, enum woken why)
{
        *(int *)context = (int)why + 1;
}

static void parks_body(void *arg)
{
        struct other o;
        struct conn *c = compressed(&o);
        struct str line;
        int why = 0;

        (void)arg;
        conn_park_after(c, 0);
        conn_put(c, S("+ idling\r\n"));
        must(!conn_may_park(c));
        must(conn_line(c, &line, 99, SOON) == GOT_QUIET);
        reads(&o, S("+ idling\r\n"));
        for (int i = 0; i < 3; i++) {
                conn_park(c, NEVER, woken, &why);
                must(!c->in.p && !c->out.p);
                if (i == 1)
                        conn_wake(c, WOKEN_BELL);
                else
                        says(&o, S("DONE\r\n"));
                while (!why)
                        fiber_sleep(now() + MSECOND);
                must(why == (i == 1 ? WOKEN_BELL : WOKEN_INPUT) + 1);
                why = 0;
                if (i != 1)
                        must(next_is(c, S("DONE")));
                conn_put(c, S("* 3 EXISTS\r\n"));
                must(conn_line(c, &line, 99, SOON) == GOT_QUIET);
                reads(&o, S("* 3 EXISTS\r\n"));
        }
        /* said, and freed while it is parked or not: the last words are compressed too */
        conn_put(c, S("* BYE\r\n"));
        conn_free(&c);
        reads(&o, S("* BYE\r\n"));
        other_ends(&o);
}

/* ---- ends ---- */

static void ends_body(void *arg)
{
        static char zeros[1 << 20];
        char room[4096];
        struct other o;
        struct conn *c;
        struct str line;
        size_t n;

        (void)arg;
        c = conn_and_peer(&o.fd); /* what came in clear behind the command is never obeyed */
        say(o.fd, S("a COMPRESS DEFLATE\r\nb DELETE x\r\n"));
        must(next_is(c, S("a COMPRESS DEFLATE")));
        must(conn_compress(c) == -EPROTO && !conn_ok(c));
        conn_free(&c);
        close(o.fd);

        c = compressed(&o); /* twice */
        must(conn_compress(c) == -EPROTO);
        conn_free(&c);
        other_ends(&o);

        c = compressed(&o); /* cut off in the middle */
        n = packed(&o, S("a NOOP\r\n"), Z_SYNC_FLUSH, room, sizeof(room));
        say(o.fd, str_from(room, n / 2));
        shutdown(o.fd, SHUT_WR);
        must(conn_line(c, &line, 99, SOON) == GOT_END && conn_ok(c));
        conn_free(&c);
        other_ends(&o);

        c = compressed(&o); /* ended by the peer: what was said before counts */
        n = packed(&o, S("a NOOP\r\n"), Z_FINISH, room, sizeof(room));
        say(o.fd, str_from(room, n));
        say(o.fd, S("b DELETE x\r\n"));
        must(next_is(c, S("a NOOP")));
        must(conn_line(c, &line, 99, SOON) == GOT_END && conn_ok(c));
        conn_free(&c);
        other_ends(&o);

        c = compressed(&o); /* no deflate at all (block type 3) */
        say(o.fd, S("\7a NOOP\r\n"));
        must(conn_line(c, &line, 99, SOON) == GOT_END && !conn_ok(c));
        conn_free(&c);
        other_ends(&o);

        c = compressed(&o); /* empty blocks without end */
        for (int i = 0; i < 100000 && conn_ok(c); i += 1000) {
                for (int k = 0; k < 1000; k++)
                        (void)send(o.fd, "\0\0\0\xff\xff", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
                fiber_sleep(now());
                (void)conn_line(c, &line, 99, now());
        }
        must(!conn_ok(c));
        conn_free(&c);
        other_ends(&o);

        c = compressed(
            &o); /* a line of a hundred megabytes in a few hundred kilobytes: skipped, in little memory */
        for (int i = 0; i < 100; i++) {
                says(&o, str_from(zeros, sizeof(zeros)));
                must(conn_line(c, &line, 9999, now() + MSECOND) == GOT_LATE);
                must(c->in.cap <= READ_BULK);
        }
        says(&o, S("\r\na NOOP\r\n"));
        must(conn_line(c, &line, 9999, SOON) == GOT_LONG);
        must(next_is(c, S("a NOOP")));
        conn_free(&c);
        other_ends(&o);
}

/* ---- both ends ours, much of it, in pieces of any size ---- */

enum { LETTERS = 60, BYTES = 300000 };

static unsigned chance(unsigned *seed)
{
        *seed = *seed * 1103515245 + 12345;
        return *seed >> 8;
}

/* Some of it repeats, some does not. */
static char letter_byte(unsigned i, size_t at)
{
        uint32_t x = (uint32_t)at * 2654435761u + i * 40503u;

        return (char)(at / 512 % 2 ? "From: jill@hill.com\r\n"[at % 21] : (char)(x >> 24));
}

/* APPENDs in a row, each a line, a literal and a line; nobody waits for an answer. */
static void send_letters(struct conn *c)
{
        char *letter = mem_alloc(BYTES);
        unsigned seed = 7;

        for (unsigned i = 0; i < LETTERS; i++) {
                size_t n = chance(&seed) % (i % 3 ? 300 : BYTES);

                for (size_t k = 0; k < n; k++)
                        letter[k] = letter_byte(i, k);
                conn_printf(c, "%u APPEND INBOX {%zu+}\r\n", i, n);
                for (size_t at = 0; at < n;) {
                        struct str part = str_sub(str_from(letter, n), at, 1 + chance(&seed) % 40000);

                        conn_body(c, part);
                        at += part.n;
                }
                conn_put(c, S("\r\n"));
                if (chance(&seed) % 4 == 0)
                        must(conn_flush(c, SOON) == 0);
        }
        conn_put(c, S("bye\r\n"));
        must(conn_flush(c, SOON) == 0);
        mem_free(letter);
}

static void take_letters(struct conn *c)
{
        struct str line, part;
        unsigned i = 0;

        for (; conn_line(c, &line, 99, SOON) == GOT_LINE && !str_eq(line, S("bye")); i++) {
                struct scan a = scan_of(line);
                size_t n, at = 0;

                must(scan_number(&a, UINT32_MAX) == i);
                scan_word(&a, S(" APPEND INBOX {"));
                n = scan_number(&a, BYTES);
                must(!a.bad);
                for (; at < n; at += part.n) {
                        part = conn_some(c, n - at, SOON);
                        must(part.n && part.n <= n - at);
                        for (size_t k = 0; k < part.n; k++)
                                must(part.p[k] == letter_byte(i, at + k));
                }
                must(next_is(c, S("")));
        }
        must(i == LETTERS);
}

static void server(void *arg)
{
        struct conn **c = arg;

        take_letters(*c);
        send_letters(*c);
        conn_free(c);
}

static void both_body(void *arg)
{
        struct conn *client, *serving;
        int fd[2];

        (void)arg;
        for (int zip = 0; zip < 2; zip++) {
                must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
                client = conn_new(fd[0], nobody, nobody);
                serving = conn_new(fd[1], nobody, nobody);
                must(!zip || (conn_compress(client) == 0 && conn_compress(serving) == 0));
                must(fiber_spawn("server", server, &serving) == 0);
                send_letters(client);
                take_letters(client);
                while (serving)
                        must(fiber_sleep(now() + MSECOND) == 0);
                conn_free(&client);
        }
}

static void compression(void **state)
{
        (void)state;
        in_fiber(lines_body, NULL);
        in_fiber(parks_body, NULL);
        in_fiber(ends_body, NULL);
        in_fiber(both_body, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(compression) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
