/* What the tests of the FTP client share: it visits our own server over a socketpair; data connections are real. */
#pragma once
#include "ftp_world.h"
#include "proto/ftp/client_inside.h"
#include <sys/mman.h>

/* All that was said, a line each, both ways. */
static struct buf heard_all;
static inline void note_sent(void *context, struct str line)
{
        (void)context;
        must(!str_has_control(line));
        buf_printf(&heard_all, "C: " PRS "\n", STR(line));
}

static inline void note_said(void *context, unsigned code, struct str line, bool last)
{
        (void)context, (void)code, (void)last;
        must(!str_has_control(line));
        buf_printf(&heard_all, "S: " PRS "\n", STR(line));
}
static const struct ftp_hears hearing = { note_sent, note_said, NULL };

static inline unsigned times_heard(const char *what)
{
        struct str rest = buf_str(&heard_all), want = str_of(what);
        unsigned n = 0;
        size_t at;

        while ((at = str_search(rest, want)) != STR_NONE) {
                n++;
                rest = str_from_at(rest, at + want.n);
        }
        return n;
}

static inline struct conn *call_server(struct world *w)
{
        int pair[2];
        bool six = w->client.family == 6;
        struct addr server = { .ip = { six ? 0 : 127, [3] = !six, [15] = six },
                               .family = six ? 6 : 4,
                               .port = 21 };
        struct conn *ours, *theirs;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        theirs = conn_new(pair[0], w->client, server);
        ours = conn_new(pair[1], server, w->client);
        must(theirs && ours);
        session_start(&w->server, theirs, PROTOCOL_FTP);
        return ours;
}

static inline struct ftp_client *open_as(struct world *w, const struct ftp_client_how *how)
{
        struct ftp_client *c;
        struct ftp_answer a;
        int rc;

        buf_init(&heard_all, 1 << 20);
        rc = ftp_client_open(&c, call_server(w), how, &a);
        if (rc == 0)
                rc = ftp_client_login(c, "jill", "tumbling", NULL, &a);
        if (rc < 0)
                die("%d: %u %s", rc, a.code, a.text);
        return c;
}

static inline struct ftp_client *open_client(struct world *w)
{
        struct ftp_client_how how = { .hears = &hearing, .patience = PATIENCE };

        return open_as(w, &how);
}

static inline void close_client(struct ftp_client **c)
{
        ftp_client_close(c, SOON);
        buf_free(&heard_all);
}

/* ---- files without a name ---- */

static inline int file_of(struct str bytes)
{
        int fd = memfd_create("test", MFD_CLOEXEC);

        must(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
        return fd;
}

static inline void holds(int fd, struct str want)
{
        auto_buf struct buf got = { 0 };
        char *room;

        buf_init(&got, want.n + 2);
        room = buf_room(&got, want.n + 1);
        buf_added(&got, (size_t)pread(fd, room, want.n + 1, 0));
        if (!str_eq(buf_str(&got), want))
                die("%zu bytes instead of %zu, or other ones", got.n, want.n);
}

static inline void went(int rc, const struct ftp_transfer *t)
{
        if (rc < 0)
                die("%s: %d, %u %s\n" PRS, t->remote, rc, t->answer.code, t->answer.text,
                    STR(buf_str(&heard_all)));
}

static inline void put_bytes(struct ftp_client *c, const char *name, struct str bytes)
{
        struct ftp_transfer t = { .move = FTP_PUT, .remote = name, .file = file_of(bytes) };

        went(ftp_client_transfer(c, &t), &t);
        must(t.bytes == bytes.n && t.size == bytes.n);
        close(t.file);
}

static inline void get_bytes(struct ftp_client *c, const char *name, struct str want)
{
        struct ftp_transfer t = { .move = FTP_GET, .remote = name, .file = file_of(S("")) };

        went(ftp_client_transfer(c, &t), &t);
        must(t.bytes == want.n);
        holds(t.file, want);
        close(t.file);
}
