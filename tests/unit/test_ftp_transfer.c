/* How FTP's transfers are asked for, and what becomes of them: over a control connection in memory and real data connections. */
#include "ftp_world.h"

/* ---- how the next transfer goes ---- */

static void codings(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        talk(c,
             S("C: TYPE A\nS: 200 Type set to A N.\nC: TYPE a t\nS: 200 Type set to A T.\n"
               "C: TYPE A C\nS: 200 *\nC: TYPE E\nS: 200 Type set to E N.\nC: TYPE L 8\nS: 200 Type set to L "
               "8.\n"
               "C: TYPE L 36\nS: 200 *\nC: TYPE L\nS: 501 *\nC: TYPE L 0\nS: 501 *\nC: TYPE L 256\nS: 501 *\n"
               "C: TYPE X\nS: 504 *\nC: TYPE A X\nS: 504 *\nC: TYPE I N\nS: 501 *\nC: TYPE\nS: 501 *\n"
               "C: TYPE A N N\nS: 501 *\nC: STRU R\nS: 200 *\nC: STRU p\nS: 200 *\nC: STRU F\nS: 200 *\n"
               "C: STRU X\nS: 504 *\nC: STRU\nS: 501 *\nC: STRU FF\nS: 501 *\n"
               "C: MODE B\nS: 200 *\nC: MODE C\nS: 200 *\nC: MODE z\nS: 200 *\nC: MODE S\nS: 200 *\n"
               "C: MODE X\nS: 504 Unimplemented MODE X.\nC: MODE 1\nS: 501 *\nC: MODE\nS: 501 *"));
        talk(c, S("C: TYPE I\nS: 200 *\nC: REST 12\nS: 350 Restarting at 12.\nC: REST -1\nS: 501 *\n"
                  "C: REST 18446744073709551616\nS: 501 *\nC: REST\nS: 501 *\nC: REST 1 2\nS: 501 *\n"
                  "C: TYPE A\nS: 200 *\nC: REST 12\nS: 504 *\nC: REST 0\nS: 350 *\nC: MODE B\nS: 200 *\n"
                  "C: REST any-printable.marker\nS: 350 *\nC: MODE S\nS: 200 *\nC: TYPE I\nS: 200 *\n"
                  "C: RANG 0 99\nS: 350 Octets 0 to 99.\nC: RANG 1 0\nS: 350 The whole file.\nC: RANG 9 "
                  "8\nS: 501 *\n"
                  "C: RANG 5\nS: 501 *\nC: RANG a b\nS: 501 *\n"
                  "C: ALLO 1000\nS: 200 *\nC: ALLO 1000 R 80\nS: 200 *\nC: ALLO x\nS: 501 *\nC: ALLO 10 "
                  "80\nS: 501 *\n"
                  "C: ALLO 9000000000000000000\nS: 452 *"));
        leave(&c);
}

static void ports(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        talk(c, S("C: PORT 127,0,0,1,4,0\nS: 200 *\nC: PORT 127,0,0,1,3,255\nS: 504 *1024*\n"
                  "C: PORT 127,0,0,2,4,0\nS: 504 *\nC: PORT 0,0,0,0,4,0\nS: 504 *\nC: PORT 127,0,0,1,0,0\nS: "
                  "504 *\n"
                  "C: PORT 127,0,0,256,4,0\nS: 501 *\nC: PORT 127,0,0,1,4\nS: 501 *\nC: PORT "
                  "127,0,0,1,4,0,0\nS: 501 *\n"
                  "C: PORT\nS: 501 *\nC: PORT 127.0.0.1.4.0\nS: 501 *\nC: PORT 127,0,0,1,4,0 \nS: 501 *"));
        talk(c, S("C: EPRT |1|127.0.0.1|2000|\nS: 200 *\nC: EPRT ~1~127.0.0.1~2000~\nS: 200 *\n"
                  "C: EPRT |2|::ffff:127.0.0.1|2000|\nS: 200 *\nC: EPRT |2|::1|2000|\nS: 504 *\n"
                  "C: EPRT |3|127.0.0.1|2000|\nS: 522 Network protocol not supported, use (1,2)\n"
                  "C: EPRT |1|127.0.0.1|80|\nS: 504 *\nC: EPRT |1|127.0.0.1|65536|\nS: 501 *\n"
                  "C: EPRT |1|::1|2000|\nS: 501 *\nC: EPRT |2|127.0.0.1|2000|\nS: 501 *\n"
                  "C: EPRT |2|[::1]|2000|\nS: 501 *\nC: EPRT |1|127.0.0.1|2000\nS: 501 *\n"
                  "C: EPRT 1127.0.0.112000\nS: 501 *\nC: EPRT\nS: 501 *"));
        talk(c, S("C: PASV\nS: 227 Entering Passive Mode (127,0,0,1,*)\nC: PASV\nS: 227 *\nC: EPSV\nS: "
                  "229 * (|||*|)\n"
                  "C: EPSV 1\nS: 229 *\nC: EPSV 2\nS: 522 *use (1)\nC: EPSV x\nS: 501 *\n"
                  "C: EPSV ALL\nS: 200 *\nC: PASV\nS: 501 *\nC: PORT 127,0,0,1,4,0\nS: 501 *\n"
                  "C: EPRT |1|127.0.0.1|2000|\nS: 501 *\nC: EPSV\nS: 229 *"));
        must(passive_leases(w->server.passive) == 1);
        leave(&c);
}

/* NAT, third hosts, IPv6. */
static void addresses(void *arg)
{
        struct world *w = arg;
        struct addr far = { .ip = { 198, 51, 100, 7 }, .family = 4, .port = 3000 };
        struct addr six = { .ip = { 0x20, 1, 0xd, 0xb8, [15] = 9 }, .family = 6, .port = 3000 };
        struct addr here = { .ip = { 127, 0, 0, 1 }, .family = 4, .port = 21 };
        struct addr here_six = { .ip = { [15] = 1 }, .family = 6, .port = 21 };
        struct conn *c;

        mem_free(w->settings.ftp_public_address);
        w->settings.ftp_public_address = mem_string(S("203.0.113.5"));
        c = sign_in_at(w, far, here);
        talk(c, S("C: PASV\nS: 227 Entering Passive Mode (203,0,113,5,*)\nC: PORT 198,51,100,7,8,0\nS: "
                  "200 *\n"
                  "C: PORT 127,0,0,1,8,0\nS: 504 *"));
        w->settings.ftp_foreign_data = true;
        talk(c, S("C: PORT 192,0,2,1,8,0\nS: 200 *\nC: PORT 127,0,0,1,8,0\nS: 504 *\nC: PORT "
                  "224,0,0,1,8,0\nS: 504 *\n"
                  "C: PORT 0,0,0,0,8,0\nS: 504 *\nC: PORT 192,0,2,1,0,80\nS: 504 *"));
        leave(&c);
        c = sign_in(w);
        talk(c, S("C: PASV\nS: 227 Entering Passive Mode (127,0,0,1,*)"));
        leave(&c);
        c = sign_in_at(w, six, here_six);
        talk(c,
             S("C: PASV\nS: 425 *EPSV*\nC: EPSV 1\nS: 522 *use (2)\nC: EPRT |2|2001:db8::9|2000|\nS: 200 *\n"
               "C: EPSV 2\nS: 229 *"));
        leave(&c);
}

/* One client cannot have more ports outstanding than there are; what it gives back it can have again. */
static void exhaustion(void *arg)
{
        struct world *w = arg;
        struct conn *c[PORTS], *more = sign_in(w);

        for (size_t i = 0; i < LENGTH(c); i++) {
                c[i] = sign_in(w);
                talk(c[i], S("C: EPSV\nS: 229 *"));
        }
        talk(more, S("C: EPSV\nS: 425 *\nC: PASV\nS: 425 *"));
        leave(&c[0]);
        while (passive_leases(w->server.passive) == LENGTH(c))
                must(fiber_sleep(now() + MSECOND) == 0);
        talk(more, S("C: PASV\nS: 227 *"));
        for (size_t i = 1; i < LENGTH(c); i++)
                leave(&c[i]);
        leave(&more);
}

/* ---- files come and go ---- */

static void sizes(void *arg)
{
        static const size_t table[] = { 0, 1, 1000, 65535, 65536, 65537, 1 << 20, 9000001 };
        struct world *w = arg;
        struct conn *c = sign_in(w);

        for (size_t i = 0; i < LENGTH(table); i++) {
                auto_buf struct buf b = { 0 };

                fill(&b, table[i], i);
                upload(c, "STOR a", buf_str(&b));
                downloads(c, "RETR a", buf_str(&b));
                upload(c, "STOR a", S("short"));
                downloads(c, "RETR a", S("short"));
        }
        leave(&c);
}

static void parts(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        upload(c, "STOR a", S("0123456789"));
        talk(c, S("C: REST 4\nS: 350 *"));
        downloads(c, "RETR a", S("456789"));
        downloads(c, "RETR a", S("0123456789"));
        talk(c, S("C: RANG 2 4\nS: 350 *"));
        downloads(c, "RETR a", S("234"));
        talk(c, S("C: RANG 8 400\nS: 350 *"));
        downloads(c, "RETR a", S("89"));
        talk(c, S("C: REST 10\nS: 350 *"));
        downloads(c, "RETR a", S(""));
        talk(c, S("C: REST 11\nS: 350 *\nC: RETR a\nS: 554 *\nC: RANG 11 12\nS: 350 *\nC: RETR a\nS: 554 *\n"
                  "C: RANG 1 2\nS: 350 *\nC: STOR a\nS: 504 *\nC: REST 1\nS: 350 *\nC: STOU a\nS: 554 *\n"
                  "C: REST 4\nS: 350 *\nC: TYPE A\nS: 200 *\nC: RETR a\nS: 554 *\nC: TYPE I\nS: 200 *"));
        upload(c, "APPE a", S("abc"));
        downloads(c, "RETR a", S("0123456789abc"));
        talk(c, S("C: REST 2\nS: 350 *"));
        upload(c, "STOR a", S("xy"));
        downloads(c, "RETR a", S("01xy"));
        upload(c, "APPE new", S("new"));
        downloads(c, "RETR new", S("new"));
        talk(c, S("C: REST 50\nS: 350 *\nC: STOR a\nS: 554 *"));
        downloads(c, "RETR a", S("01xy"));
        leave(&c);
}

/* RFC 1123 §4.1.2.9 */
static void unique(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct stream *data = passive(c);
        char command[300];
        struct str line;

        conn_put(c, S("STOU a\r\n"));
        must(conn_line(c, &line, 1000, SOON) == GOT_LINE && str_starts(line, S("150 FILE: ")));
        snprintf(command, sizeof(command), "RETR " PRS, STR(str_from_at(line, 10)));
        write_all(&data, S("one of a kind"));
        talk(c, S("S: 226 Transfer complete, unique file name: a.*"));
        downloads(c, command, S("one of a kind"));
        leave(&c);
}

static void refusals(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        auto_buf struct buf none = { 0 };
        struct stream *data;

        buf_init(&none, 1);
        upload(c, "STOR a", S("here"));
        talk(c, S("C: MKD d\nS: 257 *\nC: RETR none\nS: 550 *\nC: RETR d\nS: 550 *\n"
                  "C: STOR none/a\nS: 550 *\nC: STOR a/b\nS: 55*\nC: ABOR\nS: 225 *\n"
                  "C: TYPE A C\nS: 200 *\nC: STRU P\nS: 200 *\nC: RETR a\nS: 504 *\nC: STRU F\nS: 200 *\nC: "
                  "TYPE I\nS: 200 *"));
        data = passive(c); /* a refused RETR leaves the data connection as it is */
        talk(c, S("C: RETR none\nS: 550 *\nC: RETR a\nS: 150 Opening BINARY mode data connection for a (4 "
                  "bytes)."));
        must(stream_finish(data, SOON) == 0);
        stream_free(&data);
        talk(c, S("S: 226 *"));
        w->settings.ftp_private_data = true;
        talk(c, S("C: RETR a\nS: 521 *"));
        w->settings.ftp_private_data = false;
        leave(&c);
}

/* ---- broken off ---- */

static void aborts(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        auto_buf struct buf big = { 0 };
        struct stream *data;

        fill(&big, 200000, 7);
        talk(c,
             S("C: EPSV\nS: 229 *\nC: STOR a\nS: 150 *\nC: ABOR\nS: 426 *\nS: 226 *")); /* nobody connected */
        data = passive(c);
        talk(c, S("C: STOR a\nS: 150 *"));
        must(stream_write(data, buf_str(&big), PATIENCE) == 0);
        talk(c, S("C: STAT\nS: 21*"));
        for (struct str line = S("211-"); str_starts(line, S("211-")) || str_starts(line, S(" "));)
                must(conn_line(c, &line, 1000, SOON) == GOT_LINE);
        talk(c, S("C: ABOR\nC: ABOR\nS: 426 *\nS: 226 *\nS: 2*\nC: RETR a\nS: 550 *"));
        stream_free(&data);
        leave(&c);
}

/* A part is kept for whoever comes back. */
static void resumes(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        auto_buf struct buf big = { 0 };
        struct stream *data = passive(c);

        fill(&big, 300000, 8);
        talk(c, S("C: STOR a\nS: 150 *"));
        must(stream_write(data, str_sub(buf_str(&big), 0, 200000), PATIENCE) == 0);
        while (!ftp_of(w->server.sessions)->transfer || ftp_of(w->server.sessions)->transfer->done < 65536)
                must(fiber_sleep(now() + MSECOND) == 0);
        conn_free(&c); /* the client has gone; its data connection ends well, which does not count */
        must(stream_finish(data, SOON) == 0 || true);
        stream_free(&data);
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        c = sign_in(w);
        talk(c, S("C: RETR a\nS: 550 *\nC: REST 65536\nS: 350 *"));
        upload(c, "STOR a", str_from_at(buf_str(&big), 65536));
        downloads(c, "RETR a", buf_str(&big));
        leave(&c);
}

/* ---- block mode ---- */

static void blocks(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct stream *data;
        auto_buf struct buf got = { 0 };

        upload(c, "STOR a", S("abc"));
        talk(c, S("C: MODE B\nS: 200 *"));
        data = passive(c);
        talk(c, S("C: RETR a\nS: 150 *\nS: 226 *\nC: RETR a\nS: 125 Data connection already open; transfer "
                  "starting.\n"
                  "S: 226 *\nC: RETR a\nC: RETR none\nC: RETR a\nS: 125 *\nS: 226 *\nS: 550 *\nS: 125 *\nS: "
                  "226 *"));
        buf_init(&got, 4 * 6 + 1);
        read_until(data, &got, 4 * 6);
        must(str_eq(buf_str(&got), S("\x40\0\3abc"
                                     "\x40\0\3abc"
                                     "\x40\0\3abc"
                                     "\x40\0\3abc")));
        must(stream_write(data,
                          S("\x40\0\2xy"
                            "\0\0\1p"
                            "\x40\0\1q"),
                          PATIENCE) == 0); /* two files in one piece */
        talk(c, S("C: STOR b\nS: 125 *\nS: 226 *\nC: STOR c\nS: 125 *\nS: 226 *\nC: ABOR\nS: 226 *"));
        read_until(data, &got, 4 * 6 + 1); /* RFC 959 §3.2: ABOR closes it */
        must(got.n == 4 * 6);
        stream_free(&data);
        data = passive(c);
        must(stream_write(data, S("\0\0\2xy"), PATIENCE) == 0);
        talk(c, S("C: STOR b\nS: 150 *"));
        stream_free(&data); /* in the middle of a file */
        talk(c, S("S: 426 *\nC: MODE S\nS: 200 *"));
        downloads(c, "RETR b", S("xy"));
        downloads(c, "RETR c", S("pq"));
        leave(&c);
}

/* The kept connection is not used where the client has said something else meanwhile. */
static void kept(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct stream *data, *other;
        auto_buf struct buf got = { 0 };

        buf_init(&got, 100);
        upload(c, "STOR a", S("abc"));
        talk(c, S("C: MODE B\nS: 200 *"));
        data = passive(c);
        talk(c, S("C: RETR a\nS: 150 *\nS: 226 *"));
        other = passive(c);
        talk(c, S("C: RETR a\nS: 150 *\nS: 226 *"));
        read_all(&data, &got);
        must(got.n == 6); /* closed behind the first file */
        stream_free(&other);
        data = passive(c);
        talk(c, S("C: RETR a\nS: 150 *\nS: 226 *\nC: MODE S\nS: 200 *"));
        buf_clear(&got);
        read_all(&data, &got);
        must(got.n == 6);
        leave(&c);
}

/* RFC 959 §3.5: markers are answered when what stands before them is safe, and are where REST goes on. */
static void markers(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct stream *data;
        char rest[100];
        struct str line;
        size_t at;

        talk(c, S("C: MODE B\nS: 200 *"));
        data = passive(c);
        talk(c, S("C: STOR a\nS: 150 *"));
        must(stream_write(data,
                          S("\0\0\3abc"
                            "\x10\0\2m1"
                            "\0\0\3xxx"),
                          PATIENCE) == 0);
        must(conn_line(c, &line, 1000, SOON) == GOT_LINE && str_starts(line, S("110 MARK m1 = ")));
        at = sizeof("110 MARK m1 = ") - 1;
        snprintf(rest, sizeof(rest), "REST " PRS "\r\n", STR(str_from_at(line, at)));
        stream_free(&data);
        talk(c, S("S: 426 *"));
        data = passive(c);
        conn_put(c, str_of(rest));
        talk(c, S("S: 350 *\nC: STOR a\nS: 150 *"));
        must(stream_write(data, S("\x40\0\3def"), PATIENCE) == 0);
        talk(c, S("S: 226 *\nC: MODE S\nS: 200 *"));
        stream_free(&data);
        downloads(c, "RETR a", S("abcdef"));
        leave(&c);
}

/* ---- active ---- */

static struct stream *answer(int listener, struct addr *from)
{
        struct sockaddr_storage peer;
        socklen_t n = sizeof(peer);
        int fd;

        while ((fd = accept4(listener, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
                must(errno == EAGAIN && fiber_sleep(now() + MSECOND) == 0);
        *from = addr_of((struct sockaddr *)&peer);
        return stream_new(fd);
}

static void active(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        int listener = listen_somewhere();
        unsigned port = local_of(listener).port;
        struct stream *data;
        struct addr from;
        auto_buf struct buf got = { 0 };

        buf_init(&got, 100);
        w->settings.ftp_data_port = w->low_port + PORTS;
        upload(c, "STOR a", S("abc"));
        conn_put(c, S("RETR a\r\n")); /* RFC 959 §3.3: to the control connection's own port */
        talk(c, S("S: 150 *"));
        data = answer(w->listener, &from);
        must(from.port == w->low_port + PORTS);
        read_all(&data, &got);
        talk(c, S("S: 226 *"));
        for (int again = 0; again < 2;
             again++) { /* the second pair of ports rests in TIME_WAIT: another one is taken */
                conn_printf(c, "PORT 127,0,0,1,%u,%u\r\nRETR a\r\n", port >> 8, port & 255);
                talk(c, S("S: 200 *\nS: 150 *"));
                data = answer(listener, &from);
                must(again || from.port == w->low_port + PORTS);
                read_all(&data, &got);
                talk(c, S("S: 226 *"));
        }
        must(str_eq(buf_str(&got), S("abcabcabc")));
        close(listener);
        conn_printf(c, "PORT 127,0,0,1,%u,%u\r\nRETR a\r\n", port >> 8, port & 255);
        talk(c, S("S: 200 *\nS: 150 *\nS: 425 *"));
        leave(&c);
}

/* ---- listings, ASCII, rates, the log ---- */

static void texts(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        upload(c, "STOR a", S("one\ntwo\n"));
        talk(c, S("C: TYPE A\nS: 200 *"));
        downloads(c, "RETR a", S("one\r\ntwo\r\n"));
        upload(c, "STOR b", S("three\r\nfour\r\n"));
        downloads(c, "NLST", S("a\r\nb\r\n"));
        talk(c, S("C: TYPE I\nS: 200 *"));
        downloads(c, "NLST", S("a\r\nb\r\n"));
        downloads(c, "RETR b", S("three\nfour\n"));
        talk(c, S("C: MODE Z\nS: 200 *"));
        upload(c, "STOR z", S("\x78\x9c\x4b\x4c\x4a\x06\x00\x02\x4d\x01\x27")); /* abc */
        talk(c, S("C: MODE S\nS: 200 *"));
        downloads(c, "RETR z", S("abc"));
        leave(&c);
}

/* All transfers of an account share one bucket, which goes with the last of them. */
static void rates(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct rate *one, *two, *address;

        must(!rate_of_account(w->server.sessions));
        w->settings.ftp_rate_account = 1000;
        w->settings.ftp_rate_address = 2000;
        one = rate_of_account(w->server.sessions);
        two = rate_of_account(w->server.sessions);
        address = rate_of_address(w->server.sessions);
        must(one && one == two && one->most == 1000 && address->most == 2000);
        rate_drop(&one);
        must(two->most == 1000);
        rate_drop(&two);
        rate_drop(&address);
        rate_drop(&address);
        w->settings.ftp_rate_account = w->settings.ftp_rate_address = 0;
        leave(&c);
}

static void logs(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        char path[100], text[1000] = "";
        FILE *f;

        snprintf(path, sizeof(path), "%s/xferlog", w->folder);
        must(xferlog_open(&w->server.xferlog, path) == 0);
        upload(c, "STOR a name", S("0123456789"));
        downloads(c, "RETR a name", S("0123456789"));
        leave(&c);
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        xferlog_close(&w->server.xferlog);
        f = fopen(path, "r");
        must(f && fread(text, 1, sizeof(text) - 1, f) > 0);
        fclose(f);
        if (!transcript_matches(S(" * 127.0.0.1 10 /a_name b _ i r jill ftp 0 \\* c\n"
                                  "* 127.0.0.1 10 /a_name b _ o r jill ftp 0 \\* c\n"),
                                str_from_at(str_of(text), sizeof("Thu Feb  7 13:31:16 2002") - 1)))
                die("xferlog: %s", text);
}

/* ---- all of them ---- */

struct test {
        void (*run)(void *);
        struct world world;
};

static void test_fiber(void *arg)
{
        struct test *t = arg;

        must(offload_start(2, 1) == 0);
        open_world(&t->world);
        t->run(&t->world);
        close_world(&t->world);
}

static void run_one(void (*test)(void *))
{
        static struct test t;

        t = (struct test){ .run = test };
        loop_init();
        spawn(test_fiber, &t);
        run_all();
        offload_finish();
        loop_finish();
}

#define TEST(name)                            \
        static void test_##name(void **state) \
        {                                     \
                (void)state;                  \
                run_one(name);                \
        }
TEST(codings)
TEST(ports)
TEST(addresses)
TEST(exhaustion)
TEST(sizes)
TEST(parts)
TEST(unique)
TEST(refusals)
TEST(aborts)
TEST(resumes)
TEST(blocks)
TEST(kept)
TEST(markers)
TEST(active)
TEST(texts)
TEST(rates)
TEST(logs)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_codings),   cmocka_unit_test(test_ports),
                cmocka_unit_test(test_addresses), cmocka_unit_test(test_exhaustion),
                cmocka_unit_test(test_sizes),     cmocka_unit_test(test_parts),
                cmocka_unit_test(test_unique),    cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_aborts),    cmocka_unit_test(test_resumes),
                cmocka_unit_test(test_blocks),    cmocka_unit_test(test_kept),
                cmocka_unit_test(test_markers),   cmocka_unit_test(test_active),
                cmocka_unit_test(test_texts),     cmocka_unit_test(test_rates),
                cmocka_unit_test(test_logs),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
