/* A compressed connection (COMPRESS=DEFLATE) on whatever a peer sends, in pieces of any size: what it gives must be what
 * zlib gives for the whole, up to where that breaks; it ends when the input ends, and holds no more than it was asked for. The
 * first two bytes choose the size of the pieces, and lines or bytes. */
#include "base/mem.h"
#include "net/conn_private.h"

#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 1 << 20, LINE = 200 };

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* The whole at once; what comes before it breaks counts. */
static void reference(struct str in, struct buf *out)
{
        z_stream z = { 0 };
        int rc = inflateInit2(&z, -15);

        must(rc == Z_OK, "no memory");
        z.next_in = (Bytef *)(uintptr_t)in.p;
        z.avail_in = (uInt)in.n;
        while (rc == Z_OK && !out->full) {
                char room[4096];

                z.next_out = (Bytef *)room;
                z.avail_out = sizeof(room);
                rc = inflate(&z, Z_SYNC_FLUSH);
                buf_put(out, room, sizeof(room) - z.avail_out);
        }
        inflateEnd(&z);
}

/* As much as is there; false: the end. */
static bool take(struct conn *c, bool lines, struct buf *got)
{
        struct str part;

        if (!lines) {
                part = conn_some(c, 1000, now());
                buf_puts(got, part);
                return part.n || conn_late(c);
        }
        switch (conn_line(c, &part, LINE, now())) {
        case GOT_LINE:
                must(part.n <= LINE, "a line over the limit");
                buf_puts(got, part);
                buf_puts(got, S("\r\n"));
                return true;
        case GOT_BARE:
                must(part.n <= LINE, "a line over the limit");
                buf_puts(got, part);
                buf_puts(got, S("\n"));
                return true;
        case GOT_LONG: got->full = true; return true; /* nothing can be compared any more */
        case GOT_LATE: return true;
        case GOT_QUIET:
        case GOT_CALLED:
        case GOT_END: break;
        }
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_buf struct buf want = { 0 }, got = { 0 };
        struct addr nobody = { 0 };
        struct conn *c;
        struct str in;
        size_t piece, sent = 0;
        bool lines, more = true;
        int pair[2];

        if (size < 3 || size > 60000)
                return 0;
        if (!data[1])
                return 0;
        lines = data[0] & 1;
        piece = data[1];
        in = str_from(data + 2, size - 2);
        buf_init(&want, MOST);
        buf_init(&got, MOST);
        reference(in, &want);
        loop_init();
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "no sockets");
        c = conn_new(pair[0], nobody, nobody);
        must(c && conn_compress(c) == 0, "not compressed");
        while (more && !got.full) {
                struct str part = str_sub(in, sent, piece);

                if (part.n)
                        must(send(pair[1], part.p, part.n, MSG_NOSIGNAL) == (ssize_t)part.n, "not sent");
                else
                        shutdown(pair[1], SHUT_WR);
                sent += part.n;
                c->readable = true; /* no loop runs that would say so */
                more = take(c, lines, &got);
                must(c->in.cap <= IN_MOST, "more memory than anybody asked for");
        }
        if (!got.full && !want.full) {
                must(str_starts(buf_str(&want), buf_str(&got)), "other bytes than zlib's");
                must(lines || !conn_ok(c) || got.n == want.n, "fewer bytes than zlib's");
        }
        conn_free(&c);
        close(pair[1]);
        loop_finish();
        return 0;
}
