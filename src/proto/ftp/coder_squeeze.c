/* MODE C, RFC 959 §3.4.3. A string is bytes (n, d1 ... dn), a byte n times (128 + n, d), or n fillers (192 + n); before it may stand an
 * escape (0, descriptor) that says what ends with it. What has a descriptor and no bytes goes as no fillers (192); received, an escape
 * behind an escape says the same. */
#include "proto/ftp/coder_private.h"

enum { BYTES_MOST = 127, TIMES_MOST = 63, TIMES = 128, FILLERS = 192 };

/* How often the first byte stands there, if it pays to say so; else 0. A string of its own costs up to two bytes of head. */
static size_t run(const unsigned char *p, size_t n, unsigned char filler)
{
        size_t most = n < TIMES_MOST ? n : TIMES_MOST, k = 1;

        while (k < most && p[k] == p[0])
                k++;
        return k >= 4 || (k == 3 && p[0] == filler) ? k : 0;
}

/* Where the next run begins. Two bytes that differ rule out a run of three over both. */
static size_t bytes_before_run(const unsigned char *p, size_t n, unsigned char filler)
{
        size_t i = 0;

        while (i + 2 < n && i < BYTES_MOST) {
                if (p[i + 1] != p[i + 2])
                        i += 2;
                else if (p[i] != p[i + 1])
                        i += 1;
                else if (run(p + i, n - i, filler))
                        return i;
                else
                        i += 1;
        }
        i = i + 2 < n ? i : n;
        return i < BYTES_MOST ? i : BYTES_MOST;
}

static unsigned char filler_of(const struct coder *c)
{
        if (c->how.type == TYPE_ASCII)
                return ' ';
        return c->how.type == TYPE_EBCDIC ? 0x40 : 0;
}

void coder_squeeze(const struct coder *c, struct str s, unsigned descriptor, struct buf *out)
{
        unsigned char filler = filler_of(c);
        const unsigned char *p = (const unsigned char *)s.p;
        size_t left = s.n, k;

        if (!left && descriptor) {
                const char nothing[3] = { 0, (char)descriptor, (char)FILLERS };

                buf_put(out, nothing, sizeof(nothing));
        }
        while (left) {
                bool same = (k = run(p, left, filler)) != 0;

                if (!same)
                        k = bytes_before_run(p, left, filler);
                if (k == left && descriptor) {
                        buf_u8(out, 0);
                        buf_u8(out, (uint8_t)descriptor);
                }
                buf_u8(out, (uint8_t)(!same ? k : p[0] == filler ? FILLERS + k : TIMES + k));
                if (!same || p[0] != filler)
                        buf_put(out, p, same ? 1 : k);
                p += k;
                left -= k;
        }
}

static unsigned char take(struct coder *c)
{
        unsigned char byte = (unsigned char)c->in.p[0];

        c->in = str_from_at(c->in, 1);
        return byte;
}

static void flush(struct coder *c, struct buf *out)
{
        if (c->scratch.n)
                coder_string_data(c, buf_str(&c->scratch), out);
        buf_clear(&c->scratch);
}

static void string_ended(struct coder *c, struct buf *out)
{
        c->wire.at = SQUEEZE_HEAD;
        if (!c->wire.described)
                return;
        flush(c, out);
        c->wire.described = false;
        if (!c->failure)
                coder_string_end(c, out);
}

static void repeated(struct coder *c, unsigned char byte, size_t n, struct buf *out)
{
        char bytes[TIMES_MOST + 1];

        for (size_t i = 0; i < n; i++)
                bytes[i] = (char)byte;
        buf_put(&c->scratch, bytes, n);
        string_ended(c, out);
}

static void head(struct coder *c, struct buf *out)
{
        unsigned char h = (unsigned char)c->in.p[0];

        if (!h &&
            c->wire
                .described) { /* the escape before this one was of nothing; it may have been the file's end */
                string_ended(c, out);
                return;
        }
        take(c);
        c->wire.left = h < TIMES ? h : h & TIMES_MOST;
        if (!h)
                c->wire.at = SQUEEZE_ESCAPE;
        else if (h < TIMES)
                c->wire.at = SQUEEZE_BYTES;
        else if (h < FILLERS)
                c->wire.at = SQUEEZE_BYTE;
        else
                repeated(c, filler_of(c), c->wire.left, out);
}

static void some_bytes(struct coder *c, struct buf *out)
{
        struct str some = str_sub(c->in, 0, c->wire.left);

        buf_puts(&c->scratch, some);
        c->in = str_from_at(c->in, some.n);
        c->wire.left -= some.n;
        if (!c->wire.left)
                string_ended(c, out);
}

/* Bytes gather in the scratch until a step's worth is there or something ends. */
void coder_unsqueeze(struct coder *c, struct buf *out)
{
        size_t before = c->in.n, out_before = out->n;

        while (c->in.n && !c->ended && !c->failure && before - c->in.n < STEP &&
               c->scratch.n + (out->n - out_before) < STEP) {
                switch (c->wire.at) {
                case SQUEEZE_HEAD: head(c, out); break;
                case SQUEEZE_ESCAPE:
                        flush(c, out); /* what came before is not what the descriptor speaks of */
                        c->wire.described = true;
                        c->wire.descriptor = take(c);
                        c->wire.at = SQUEEZE_HEAD;
                        if (c->wire.descriptor & (SUSPECT - 1) & ~RESTART)
                                coder_fail(c, -EBADMSG, "Unknown descriptor in compressed data");
                        break;
                case SQUEEZE_BYTES: some_bytes(c, out); break;
                case SQUEEZE_BYTE: repeated(c, take(c), c->wire.left, out); break;
                }
        }
        if (!c->failure && !c->ended)
                flush(c, out);
}
