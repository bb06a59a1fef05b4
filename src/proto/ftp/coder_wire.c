#include "base/mem.h"
#include "proto/ftp/coder_private.h"

static bool in_blocks(const struct coder *c)
{
        return c->how.mode == MODE_BLOCK || c->how.mode == MODE_COMPRESSED;
}

/* RFC 959 §3.4.2: descriptor, length in two bytes, data; §3.4.3 of MODE C. */
static void block(struct coder *c, struct str s, unsigned descriptor, struct buf *out)
{
        if (c->how.mode == MODE_COMPRESSED) {
                coder_squeeze(c, s, descriptor, out);
                return;
        }
        buf_u8(out, (uint8_t)descriptor);
        buf_u8(out, (uint8_t)(s.n >> 8));
        buf_u8(out, (uint8_t)s.n);
        buf_puts(out, s);
}

static void block_flush(struct coder *c, unsigned descriptor, struct buf *out)
{
        block(c, buf_str(&c->wire.pending), descriptor, out);
        buf_clear(&c->wire.pending);
        c->wire.owed = 0;
}

/* The last block waits, since the bit that says so stands before it. */
static void block_data(struct coder *c, struct str s, struct buf *out)
{
        struct buf *pending = &c->wire.pending;

        if (c->wire.owed)
                block_flush(c, END_OF_RECORD, out);
        while (s.n > BLOCK_MOST - pending->n) {
                struct str some = str_sub(s, 0, BLOCK_MOST - pending->n);

                s = str_from_at(s, some.n);
                if (pending->n) {
                        buf_puts(pending, some);
                        block_flush(c, 0, out);
                } else {
                        block(c, some, 0, out);
                }
        }
        buf_puts(pending, s);
}

/* MODE S, and what MODE Z deflates: RFC 959 §3.4.1. */
static void stream_data(struct coder *c, struct str s, struct buf *to)
{
        if (c->how.structure != STRUCTURE_RECORD) {
                buf_puts(to, s);
                return;
        }
        if (c->wire.owed)
                buf_puts(to, S("\xff\x01"));
        c->wire.owed = 0;
        while (s.n) {
                const char *escape = memchr(s.p, 0xff, s.n);
                size_t n = escape ? (size_t)(escape - s.p) + 1 : s.n;

                buf_puts(to, (struct str){ s.p, n });
                if (escape)
                        buf_puts(to, S("\xff"));
                s = (struct str){ s.p + n, s.n - n };
        }
}

static struct buf *stream_target(struct coder *c, struct buf *out)
{
        return c->how.mode == MODE_DEFLATE ? &c->raw : out;
}

void coder_wire_data(struct coder *c, struct str s, struct buf *out)
{
        if (!s.n)
                return;
        if (in_blocks(c))
                block_data(c, s, out);
        else
                stream_data(c, s, stream_target(c, out));
}

/* Its sign waits for what comes behind: the last one is joined with the file's end. */
void coder_wire_record_end(struct coder *c, struct buf *out)
{
        if (c->wire.owed && in_blocks(c))
                block_flush(c, END_OF_RECORD, out);
        else if (c->wire.owed)
                buf_puts(stream_target(c, out), S("\xff\x01"));
        c->wire.owed = END_OF_RECORD;
}

/* RFC 959 §3.5: behind all of the file up to here. */
void coder_wire_marker(struct coder *c, struct buf *out)
{
        auto_buf struct buf text = { 0 };

        buf_init(&text, CODER_MARKER_MOST);
        if (!coder_marker_make(c, &text))
                return;
        if (c->wire.pending.n || c->wire.owed)
                block_flush(c, c->wire.owed, out);
        if (c->how.mode == MODE_BLOCK) {
                block(c, buf_str(&text), RESTART, out);
        } else { /* one string, whatever stands in it */
                buf_u8(out, 0);
                buf_u8(out, RESTART);
                buf_u8(out, (uint8_t)text.n);
                buf_puts(out, buf_str(&text));
        }
}

void coder_wire_end(struct coder *c, struct buf *out)
{
        if (in_blocks(c))
                block_flush(c, c->wire.owed | END_OF_FILE, out);
        else if (c->how.structure == STRUCTURE_RECORD)
                buf_puts(stream_target(c, out), c->wire.owed ? S("\xff\x03") : S("\xff\x02"));
        c->wire.owed = 0;
}

static int squash(struct coder *c, int flush, struct buf *out)
{
        enum { PIECE = 16 * 1024 };
        int rc;

        do {
                char *room = buf_room(out, PIECE);

                if (!room)
                        return Z_BUF_ERROR;
                c->z->next_out = (Bytef *)room;
                c->z->avail_out = PIECE;
                rc = deflate(c->z, flush);
                buf_added(out, PIECE - c->z->avail_out);
        } while (rc == Z_OK && (c->z->avail_in || !c->z->avail_out) && out->n + PIECE < CODER_ROOM);
        return rc;
}

void coder_deflate(struct coder *c, struct str s, struct buf *out)
{
        c->z->next_in = (Bytef *)(uintptr_t)s.p;
        c->z->avail_in = (uInt)s.n;
        if (s.n)
                (void)squash(c, Z_NO_FLUSH, out);
        if (c->z->avail_in)
                mem_die("a step was larger than the room for it");
}

void coder_wire_step(struct coder *c, struct buf *out)
{
        if (c->how.mode != MODE_DEFLATE)
                return;
        coder_deflate(c, buf_str(&c->raw), out);
        buf_clear(&c->raw);
}

bool coder_wire_finish(struct coder *c, struct buf *out)
{
        if (c->how.mode != MODE_DEFLATE)
                return true;
        c->z->avail_in = 0;
        return squash(c, Z_FINISH, out) == Z_STREAM_END;
}
