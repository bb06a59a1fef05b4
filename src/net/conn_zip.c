#include "net/conn_private.h"
#include "base/mem.h"

#include <errno.h>
#include <zlib.h>

/* RFC 4978: raw deflate, no header, no checksum. The window towards the peer is small, as ours is the memory; his may be
 * of any size. */
enum {
        OUT_WINDOW = 12,
        OUT_MEMORY = 5, /* with the window: 38 KB */
        OUT_LEVEL = 3,
        IN_WINDOW = 15,         /* 42 KB */
        PIECE = 16384,          /* packed output goes out in such pieces */
        NOTHING_MOST = 1 << 16, /* input that stands for nothing, in a row: more of it is a flood */
};

struct conn_zip {
        z_stream in, out;
        struct room raw; /* read, not yet inflated */
        uint32_t raw_at;
        uint32_t nothing; /* bytes that came since the last that gave some */
        bool more;        /* the last inflate filled its room: it may have more */
        bool ended;       /* the peer ended its stream */
        bool unsent;      /* deflate holds output back */
};

static inline size_t raw_left(const struct conn_zip *z)
{
        return z->raw.n - z->raw_at;
}

/* A page, or a piece while bodies come, from TLS or the socket. */
static ssize_t fill(struct conn *c)
{
        struct conn_zip *z = c->zip;
        ssize_t got;
        char *p;

        z->raw.n = z->raw_at = 0;
        p = room_need(&z->raw, c->bulk ? PIECE : ROOM_PAGE, 0, PIECE);
        got = c->tls ? tls_read(c, p, z->raw.cap) : raw_read(c, p, z->raw.cap);
        if (got > 0)
                z->raw.n = (uint32_t)got;
        return got;
}

/* > 0: so many bytes; 0: none without more input; -EBADMSG. */
static ssize_t inflate_some(struct conn_zip *z, void *p, size_t n)
{
        size_t had = raw_left(z);
        int rc;

        z->in.next_in = (Bytef *)z->raw.p + z->raw_at;
        z->in.avail_in = (uInt)had;
        z->in.next_out = p;
        z->in.avail_out = (uInt)n;
        rc = inflate(&z->in, Z_SYNC_FLUSH);
        had -= z->in.avail_in;
        z->raw_at += (uint32_t)had;
        n -= z->in.avail_out;
        z->more = z->in.avail_out == 0;
        if (rc == Z_STREAM_END)
                z->ended = true;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
                return -EBADMSG;
        z->nothing = n ? 0 : z->nothing + (uint32_t)had;
        return z->nothing > NOTHING_MOST ? -EBADMSG : (ssize_t)n;
}

ssize_t zip_read(struct conn *c, void *p, size_t n)
{
        struct conn_zip *z = c->zip;
        ssize_t got;

        for (;;) {
                if (z->ended)
                        return 0;
                if (zip_ready(c)) {
                        got = inflate_some(z, p, n);
                        if (got)
                                return got;
                } else {
                        got = fill(c);
                        if (got <= 0)
                                return got;
                }
        }
}

bool zip_ready(const struct conn *c)
{
        return c->zip->ended || c->zip->more || raw_left(c->zip) > 0;
}

bool zip_unsent(const struct conn *c)
{
        return c->zip->unsent;
}

/* The next piece of packed output in *v; false: all of the text is in, and out as far as `sync` asks. */
static bool pack(struct conn_zip *z, struct room *room, bool sync, struct iovec *v)
{
        char *p = room_need(room, z->out.avail_in < ROOM_PAGE / 2 ? ROOM_PAGE : PIECE, 0, PIECE);
        uInt most = room->cap;

        z->out.next_out = (Bytef *)p;
        z->out.avail_out = most;
        if (deflate(&z->out, sync ? Z_SYNC_FLUSH : Z_NO_FLUSH) == Z_STREAM_ERROR)
                mem_die("deflate: its state is broken");
        *v = (struct iovec){ p, most - z->out.avail_out };
        return v->iov_len > 0;
}

static void pack_begin(struct conn_zip *z, struct str text, bool sync)
{
        z->out.next_in = (Bytef *)(uintptr_t)text.p;
        z->out.avail_in = (uInt)text.n;
        z->unsent = !sync;
}

int zip_send(struct conn *c, struct str text, bool sync, nsec deadline)
{
        struct room room = { 0 };
        struct iovec v;
        int rc = 0;

        pack_begin(c->zip, text, sync);
        while (!rc && pack(c->zip, &room, sync, &v)) {
                rc = conn_send_all(c, &v, 1, deadline);
                if (c->zip->out.avail_out > 0) /* asked again, a sync would write another empty block */
                        break;
        }
        room_free(&room);
        return rc;
}

void zip_last_words(struct conn *c, struct str text)
{
        struct room room = { 0 };
        struct iovec v;
        ssize_t sent = 0;

        if (!text.n && !c->zip->unsent)
                return;
        pack_begin(c->zip, text, true);
        do {
                if (!pack(c->zip, &room, true, &v))
                        break;
                sent = c->tls ? tls_write(c, v.iov_base, v.iov_len) : raw_write(c, &v, 1);
        } while (sent == (ssize_t)v.iov_len && c->zip->out.avail_out == 0);
        room_free(&room);
}

void zip_release(struct conn *c)
{
        if (raw_left(c->zip) > 0)
                return;
        room_free(&c->zip->raw);
        c->zip->raw_at = 0;
}

void zip_free(struct conn *c)
{
        struct conn_zip *z = c->zip;

        if (!z)
                return;
        c->zip = NULL;
        inflateEnd(&z->in);
        deflateEnd(&z->out);
        room_free(&z->raw);
        mem_free(z);
}

int conn_compress(struct conn *c)
{
        struct conn_zip *z;
        int rc;

        if (c->zip || conn_buffered(c) > 0) {
                conn_fail(c);
                return -EPROTO;
        }
        rc = conn_flush(c, now() + c->flush_within);
        if (rc < 0)
                return rc;
        z = mem_new(struct conn_zip);
        if (inflateInit2(&z->in, -IN_WINDOW) != Z_OK ||
            deflateInit2(&z->out, OUT_LEVEL, Z_DEFLATED, -OUT_WINDOW, OUT_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
                mem_die("out of memory for a compressed connection");
        c->zip = z;
        return 0;
}

bool conn_compressed(const struct conn *c)
{
        return c->zip != NULL;
}
