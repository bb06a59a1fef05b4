/* What test_ftp_transfer.c plays in: an FTP server on a real folder, a keeper that knows jill, and a client that speaks transcripts on the
 * control connection (a socketpair) and bytes on data connections (real ones, on 127.0.0.1). */
#pragma once
#include "fibers.h"
#include "base/mem.h"
#include "proto/ftp/transfer.h"
#include "proto/transcript.h"
#include "run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Inside a fiber cmocka must not jump out: what does not hold there ends the process. */
#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(120) /* reached by no test that passes */
#define PATIENCE   (120 * SECOND)
enum { PORTS = 20 };

enum signin_result keeper_password(struct channel *keeper, const struct signin *who, struct str name,
                                   struct str password, struct arena *a, struct str *account)
{
        (void)keeper;
        must(who->scope == SCOPE_FTP);
        if (str_eq(name, S("later")))
                return SIGNIN_LATER;
        if (!str_istarts(name, S("jill")) || !str_eq(password, S("tumbling")))
                return SIGNIN_NO;
        *account = arena_str(a, S("jill"));
        return SIGNIN_OK;
}

/* ---- the server ---- */

struct world {
        struct server server;
        struct settings settings;
        char folder[64];
        uint16_t low_port;
        int listener; /* at the client's control port, for RFC 959's default data port */
        struct addr client;
};

static int bound(void *context, struct addr local)
{
        struct sockaddr_storage to;
        socklen_t n = addr_to(local, &to);
        int fd =
            socket(local.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int on = 1;

        (void)context;
        must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
        if (bind(fd, (struct sockaddr *)&to, n) == 0)
                return fd;
        close(fd);
        return -errno;
}

static struct addr local_of(int fd)
{
        struct sockaddr_storage is;
        socklen_t n = sizeof(is);

        must(getsockname(fd, (struct sockaddr *)&is, &n) == 0);
        return addr_of((struct sockaddr *)&is);
}

/* PORTS of them and one more that are free, below those that connections take by themselves; of runs beside this one each looks elsewhere first. */
static uint16_t free_ports(void)
{
        enum { LOW = 22000, WINDOWS = 480 };

        for (unsigned turn = 0; turn < WINDOWS; turn++) {
                uint16_t low = (uint16_t)(LOW + ((unsigned)getpid() + turn) % WINDOWS * (PORTS + 1)), i = 0;

                for (; i <= PORTS; i++) {
                        int fd = bound(NULL, (struct addr){ .ip = { 127, 0, 0, 1 },
                                                            .family = 4,
                                                            .port = (uint16_t)(low + i) });

                        if (fd < 0)
                                break;
                        close(fd);
                }
                if (i > PORTS)
                        return low;
        }
        die("no ports are free");
}

static int listen_somewhere(void)
{
        int fd = bound(NULL, (struct addr){ .ip = { 127, 0, 0, 1 }, .family = 4 });

        must(fd >= 0 && listen(fd, 8) == 0);
        return fd;
}

static void open_files(struct world *w)
{
        struct files_how how = { .durable = false, .keep_parts = 3600 };
        char path[80];

        snprintf(path, sizeof(path), "%s/files", w->folder);
        must(mkdir(path, 0700) == 0);
        must(files_open(&w->server.files, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &how) == 0);
}

static void open_world(struct world *w)
{
        *w = (struct world){ .folder = "/tmp/test-ftp-XXXXXX" };
        must(mkdtemp(w->folder));
        open_files(w);
        settings_default(&w->settings);
        w->settings.ftp_data_port = 0;
        w->settings.plaintext_login = PLAINTEXT_ALWAYS;
        w->settings.max_errors = 100;
        w->settings.park_after_ms = 0;
        w->settings.files_durable = false;
        w->server.settings = &w->settings;
        w->server.kinds[PROTOCOL_FTP] = &ftp_kind;
        w->server.bound_socket = bound;
        w->low_port = free_ports();
        w->server.passive = passive_new(w->low_port, (uint16_t)(w->low_port + PORTS - 1), 0, 1, bound, NULL);
        w->listener = listen_somewhere();
        w->client = local_of(w->listener);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
        (void)st;
        (void)kind;
        (void)where;
        return remove(path);
}

static void close_world(struct world *w)
{
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        must(passive_leases(w->server.passive) == 0);
        passive_free(&w->server.passive);
        files_close(&w->server.files);
        settings_free(&w->settings);
        close(w->listener);
        must(nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

/* ---- the client ---- */

static struct conn *visit_at(struct world *w, struct addr client, struct addr server)
{
        int pair[2];
        struct conn *ours, *theirs;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        theirs = conn_new(pair[0], client, server);
        ours = conn_new(pair[1], server, client);
        must(theirs && ours);
        conn_park_after(ours, -1);
        session_start(&w->server, theirs, PROTOCOL_FTP);
        return ours;
}

static void talk(struct conn *c, struct str text)
{
        auto_arena struct arena arena = { 0 };
        auto_buf struct buf why = { 0 };
        struct transcript_line *lines;
        struct str got;
        size_t n;

        arena_init(&arena, 1 << 20);
        buf_init(&why, 1000);
        must(transcript_read(text, &arena, &lines, &n, &why) == 0);
        for (size_t i = 0; i < n; i++) {
                if (lines[i].kind == TRANSCRIPT_CLIENT) {
                        conn_put(c, lines[i].text);
                        conn_put(c, S("\r\n"));
                        continue;
                }
                if (conn_line(c, &got, 100000, SOON) != GOT_LINE || !transcript_matches(lines[i].text, got))
                        die("expected \"" PRS "\", got \"" PRS "\"", STR(lines[i].text), STR(got));
        }
}

static struct conn *sign_in_at(struct world *w, struct addr client, struct addr server)
{
        struct conn *c = visit_at(w, client, server);

        talk(c, S("S: 220 *\nC: USER jill\nS: 331 *\nC: PASS tumbling\nS: 230 *\nC: TYPE I\nS: 200 *"));
        return c;
}

static inline struct conn *sign_in(struct world *w)
{
        return sign_in_at(w, w->client, (struct addr){ .ip = { 127, 0, 0, 1 }, .family = 4, .port = 21 });
}

static inline void leave(struct conn **c)
{
        talk(*c, S("C: QUIT\nS: 221 *"));
        conn_free(c);
}

static struct stream *call_port(uint16_t port)
{
        struct addr to = { .ip = { 127, 0, 0, 1 }, .family = 4, .port = port };
        struct stream *data;

        must(stream_connect(bound(NULL, (struct addr){ .ip = { 127, 0, 0, 1 }, .family = 4 }), to, SOON,
                            &data) == 0);
        return data;
}

/* A data connection by EPSV. */
static inline struct stream *passive(struct conn *c)
{
        struct str line;
        struct scan a;

        conn_put(c, S("EPSV\r\n"));
        must(conn_line(c, &line, 1000, SOON) == GOT_LINE);
        a = scan_of(line);
        must(scan_try_word(&a, S("229 ")));
        scan_until(&a, "|");
        scan_word(&a, S("|||"));
        return call_port((uint16_t)scan_number(&a, UINT16_MAX));
}

static inline void read_until(struct stream *data, struct buf *out, size_t most)
{
        size_t got = 1;

        while (got > 0 && out->n < most) {
                char *room = buf_room(out, most - out->n < 65536 ? most - out->n : 65536);

                must(stream_read(data, room, most - out->n < 65536 ? most - out->n : 65536, &got, PATIENCE) ==
                     0);
                buf_added(out, got);
        }
}

/* All that comes until they close. */
static inline void read_all(struct stream **data, struct buf *out)
{
        read_until(*data, out, out->max);
        stream_free(data);
}

static inline void write_all(struct stream **data, struct str bytes)
{
        must(stream_write(*data, bytes, PATIENCE) == 0);
        must(stream_finish(*data, SOON) == 0);
        stream_free(data);
}

/* n bytes that look like nothing; `seed` makes them different. */
static inline void fill(struct buf *b, size_t n, uint64_t seed)
{
        buf_init(b, n ? n : 1);
        for (uint64_t v = seed; b->n < n;) {
                v = v * 6364136223846793005 + 1442695040888963407;
                buf_u8(b, (uint8_t)(v >> 56));
        }
}

static inline void upload(struct conn *c, const char *command, struct str bytes)
{
        struct stream *data = passive(c);

        conn_printf(c, "%s\r\n", command);
        talk(c, S("S: 150 *"));
        write_all(&data, bytes);
        talk(c, S("S: 226 Transfer complete*"));
}

static inline void downloads(struct conn *c, const char *command, struct str want)
{
        auto_buf struct buf got = { 0 };
        struct stream *data = passive(c);

        buf_init(&got, want.n + 1);
        conn_printf(c, "%s\r\n", command);
        talk(c, S("S: 150 *"));
        read_all(&data, &got);
        talk(c, S("S: 226 *"));
        if (!str_eq(buf_str(&got), want))
                die("%s: %zu bytes instead of %zu, or other ones", command, got.n, want.n);
}
