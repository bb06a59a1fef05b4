#include "base/mem.h"
#include "proto/ftp/coder_private.h"

/* What stands in the file: the last layer, of all modes. */
static void structure_data(struct coder *c, struct str s, struct buf *out)
{
        size_t before = out->n;

        switch (c->how.structure) {
        case STRUCTURE_FILE:
                if (c->text)
                        coder_text_receive(c, s, out);
                else
                        buf_puts(out, s);
                c->offset += out->n - before;
                break;
        case STRUCTURE_RECORD: coder_records_data(c, s, out); break;
        case STRUCTURE_PAGE:
                if (coder_pages_receive(c, s, out).n)
                        coder_fail(c, -EBADMSG, "More came behind the last page");
                break;
        }
}

static void structure_over(struct coder *c, struct buf *out)
{
        size_t before = out->n;

        if (c->how.structure == STRUCTURE_RECORD)
                coder_records_over(c, out);
        if (c->how.structure == STRUCTURE_PAGE && !c->paged->last)
                coder_fail(c, -EBADMSG, "The file ended before its last page");
        if (c->how.structure == STRUCTURE_FILE) {
                coder_text_received(c, out);
                c->offset += out->n - before;
        }
        c->over = true;
}

void coder_string_data(struct coder *c, struct str s, struct buf *out)
{
        struct wire_state *w = &c->wire;

        if (!(w->descriptor & RESTART)) {
                structure_data(c, s, out);
                return;
        }
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] < 33 || s.p[i] > 126) {
                        coder_fail(c, -EBADMSG, "A restart marker is not of printable characters");
                        return;
                }
                if (w->marker_n < CODER_MARKER_MOST - 1)
                        w->marker[w->marker_n] = s.p[i];
                if (w->marker_n < CODER_MARKER_MOST)
                        w->marker_n++;
        }
}

/* RFC 959 §3.4.2: what a block ends. Data suspected of errors is data. A file without records may say that it ends with one. */
void coder_string_end(struct coder *c, struct buf *out)
{
        unsigned d = c->wire.descriptor;

        c->wire.descriptor = 0;
        if (d & RESTART)
                coder_marker_came(c);
        if (d & END_OF_RECORD && c->how.structure == STRUCTURE_RECORD)
                coder_records_end(c, out);
        else if (d & END_OF_RECORD && !(d & END_OF_FILE))
                coder_fail(
                    c, -EBADMSG,
                    "The end of a record came in a file without records: STRU R says that there are some");
        if (d & END_OF_FILE) {
                structure_over(c, out);
                c->ended = true;
        }
}

static void block_head(struct coder *c)
{
        struct wire_state *w = &c->wire;

        while (w->have < 3 && c->in.n) {
                unsigned char byte = (unsigned char)c->in.p[0];

                c->in = str_from_at(c->in, 1);
                if (w->have++ == 0)
                        w->descriptor = byte;
                else
                        w->left = (w->left << 8 | byte) & 0xffff;
        }
        if (w->have == 3 && w->descriptor & (SUSPECT - 1) & ~RESTART)
                coder_fail(c, -EBADMSG, "Unknown descriptor in the header of a block");
}

static void blocks(struct coder *c, struct buf *out)
{
        struct wire_state *w = &c->wire;
        size_t budget = STEP;

        while (c->in.n && budget && !c->ended && !c->failure) {
                struct str some;

                if (w->have < 3) {
                        block_head(c);
                        if (w->have < 3 || c->failure)
                                return;
                        budget -= budget < 3 ? budget : 3;
                }
                some = str_sub(c->in, 0, w->left < budget ? w->left : budget);
                c->in = str_from_at(c->in, some.n);
                w->left -= some.n;
                budget -= some.n;
                if (some.n)
                        coder_string_data(c, some, out);
                if (!w->left && !c->failure) {
                        w->have = 0;
                        coder_string_end(c, out);
                }
        }
}

/* RFC 959 §3.4.1: FF 01, FF 02, FF 03 are ends; FF FF is a byte. */
static void escape_code(struct coder *c, unsigned char code, struct buf *out)
{
        c->wire.have = 0;
        switch (code) {
        case 0xff: structure_data(c, S("\xff"), out); break;
        case 1: coder_records_end(c, out); break;
        case 2: structure_over(c, out); break;
        case 3:
                coder_records_end(c, out);
                structure_over(c, out);
                break;
        default: coder_fail(c, -EBADMSG, "Unknown escape in a stream of records"); break;
        }
}

/* Gives back what stands behind the end of the file. */
static struct str escaped(struct coder *c, struct str s, struct buf *out)
{
        while (s.n && !c->over && !c->failure) {
                const char *escape;
                size_t n;

                if (c->wire.have) {
                        escape_code(c, (unsigned char)s.p[0], out);
                        s = str_from_at(s, 1);
                        continue;
                }
                escape = memchr(s.p, 0xff, s.n);
                n = escape ? (size_t)(escape - s.p) : s.n;
                structure_data(c, str_sub(s, 0, n), out);
                c->wire.have = escape ? 1 : 0;
                s = str_from_at(s, n + (escape ? 1 : 0));
        }
        return s;
}

/* What MODE S has, and MODE Z under its deflate. Gives back what stands behind the structure's own end. */
static struct str stream(struct coder *c, struct str s, struct buf *out)
{
        if (c->how.structure == STRUCTURE_RECORD)
                return escaped(c, s, out);
        if (c->how.structure == STRUCTURE_PAGE)
                return coder_pages_receive(c, s, out);
        structure_data(c, s, out);
        return str_from_at(s, s.n);
}

static void stream_step(struct coder *c, struct buf *out)
{
        struct str some = str_sub(c->in, 0, STEP), left;

        c->in = str_from_at(c->in, some.n);
        left = stream(c, some, out);
        c->in = (struct str){ c->in.p - left.n, c->in.n + left.n };
        c->ended = c->over || (c->paged && c->paged->last);
}

/* A zlib stream of what MODE S would have sent (draft-preston-ftpext-deflate): it ends with the connection or a little before. */
static void inflate_step(struct coder *c, struct buf *out)
{
        char *room;
        struct str left;
        int rc;

        buf_clear(&c->raw);
        room = buf_room(&c->raw, STEP);
        c->z->next_in = (Bytef *)(uintptr_t)c->in.p;
        c->z->avail_in = c->in.n < UINT32_MAX ? (uInt)c->in.n : UINT32_MAX;
        c->z->next_out = (Bytef *)room;
        c->z->avail_out = STEP;
        rc = inflate(c->z, Z_NO_FLUSH);
        buf_added(&c->raw, STEP - c->z->avail_out);
        c->in = str_from_at(c->in, (size_t)((const char *)c->z->next_in - c->in.p));
        c->more = rc == Z_OK && !c->z->avail_out; /* there may be more without more of theirs */
        left = stream(c, buf_str(&c->raw), out);
        if (left.n && !c->failure)
                coder_fail(c, -EBADMSG, "More came behind the end of the file");
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
                coder_fail(c, -EBADMSG, "What came is not deflated");
        if (rc != Z_STREAM_END || c->failure)
                return;
        if (c->how.structure == STRUCTURE_RECORD && !c->over)
                coder_fail(c, -EBADMSG, "The file ended without the sign of its end");
        else if (!c->over)
                structure_over(c, out);
        c->ended = !c->failure;
}

void coder_receive_step(struct coder *c, struct buf *out)
{
        switch (c->how.mode) {
        case MODE_STREAM: stream_step(c, out); break;
        case MODE_BLOCK: blocks(c, out); break;
        case MODE_COMPRESSED: coder_unsqueeze(c, out); break;
        case MODE_DEFLATE: inflate_step(c, out); break;
        }
}

/* The connection has ended, or the caller has seen coder_ended. */
void coder_receive_end(struct coder *c, struct buf *out)
{
        struct wire_state *w = &c->wire;

        if (!c->ended && c->how.mode == MODE_STREAM && c->how.structure == STRUCTURE_FILE) {
                structure_over(c, out);
                c->ended = true;
        }
        /* the last escape's string was left out */
        if (!c->ended && c->how.mode == MODE_COMPRESSED && w->described && w->at == SQUEEZE_HEAD)
                coder_string_end(c, out);
        if (!c->ended && !c->failure)
                coder_fail(c, -EBADMSG, "The connection ended before the file did");
        if (!c->failure)
                coder_facts_result(c);
}
