/* A letter's bytes on their way out. Whatever came in (BDAT, APPEND), what leaves has CRLF and neither byte alone: who takes one of them
 * for a line's end must not see an end of data where we see none. */
#include "base/mem.h"
#include "net/conn.h"
#include "net/dot.h"
#include "proto/smtp/client_inside.h"
#include <errno.h>

enum { PIECE = 64 * 1024, WHOLE_MOST = 128 * 1024 * 1024 };

/* From one byte that ends a line, or might, to the next. */
static size_t plain(struct str in)
{
        size_t i = 0;

        while (i < in.n && in.p[i] != '\r' && in.p[i] != '\n')
                i++;
        return i;
}

void client_filter_put(struct client_filter *f, struct str in, bool end, struct buf *out)
{
        while (in.n) {
                size_t n = plain(in);

                if (f->cr) { /* CRLF, or a CR alone */
                        buf_puts(out, S("\r\n"));
                        f->cr = false;
                        if (*in.p == '\n') {
                                in = str_from_at(in, 1);
                                continue;
                        }
                }
                buf_puts(out, str_sub(in, 0, n));
                in = str_from_at(in, n);
                if (!in.n)
                        break;
                f->cr = *in.p == '\r';
                if (!f->cr)
                        buf_puts(out, S("\r\n"));
                in = str_from_at(in, 1);
        }
        if (end && (f->cr || (out->n >= 2 ? out->p[out->n - 1] != '\n' : out->n > 0)))
                buf_puts(out, S("\r\n"));
}

/* The next piece, filtered. 0 or -errno; *end: it was the last. */
static int next_piece(const struct smtp_letter *l, uint64_t *at, struct client_filter *f, struct buf *raw,
                      struct buf *out, bool *end)
{
        int rc;

        buf_clear(raw);
        buf_clear(out);
        rc = l->read(l->context, *at, PIECE, raw);
        if (rc < 0)
                return rc;
        if (!raw->n && *at < l->size) /* half a letter is none */
                return -EIO;
        *at += raw->n;
        *end = *at >= l->size;
        client_filter_put(f, buf_str(raw), *end, out);
        return 0;
}

int client_put_data(struct smtp_client *c, const struct smtp_letter *l)
{
        auto_buf struct buf raw = { 0 }, out = { 0 };
        struct client_filter f = { 0 };
        struct dot_writer w;
        uint64_t at = 0;
        bool end = false;
        int rc = 0;

        buf_init(&raw, PIECE);
        buf_init(&out, 2 * PIECE + 4);
        dot_writer_init(&w);
        conn_write_deadline(c->conn, client_in(c, SECONDS_BLOCK) - now());
        while (!end && rc >= 0 && conn_ok(c->conn)) {
                rc = next_piece(l, &at, &f, &raw, &out, &end);
                if (rc >= 0)
                        dot_write(&w, c->conn, buf_str(&out));
        }
        if (rc >= 0)
                dot_write_end(&w, c->conn);
        return rc < 0 ? rc : conn_ok(c->conn) ? 0 : -ECONNRESET;
}

/* Each chunk is answered before the next goes out: who refuses the first is spared the rest. */
int client_put_chunks(struct smtp_client *c, const struct smtp_letter *l, struct arena *a,
                      struct smtp_answer *answer, bool *answered)
{
        auto_buf struct buf raw = { 0 }, out = { 0 };
        struct client_filter f = { 0 };
        uint64_t at = 0;
        bool end = false;
        int rc = 0;

        buf_init(&raw, PIECE);
        buf_init(&out, 2 * PIECE + 4);
        *answered = false;
        while (!end && rc >= 0) {
                rc = next_piece(l, &at, &f, &raw, &out, &end);
                if (rc < 0)
                        return rc;
                conn_printf(c->conn, "BDAT %zu%s\r\n", out.n, end ? " LAST" : "");
                conn_body(c->conn, buf_str(&out));
                if (end)
                        return 0;
                rc = client_reply(c, "BDAT", client_in(c, SECONDS_END), a, answer);
                if (rc >= 0 && !answer_good(answer)) {
                        *answered = true;
                        return 0;
                }
        }
        return rc;
}

int client_whole(const struct smtp_letter *l, struct buf *out)
{
        auto_buf struct buf raw = { 0 };
        struct client_filter f = { 0 };
        uint64_t at = 0;
        int rc = 0;

        if (l->size > WHOLE_MOST)
                return -EFBIG;
        buf_init(&raw, PIECE);
        buf_init(out, 2 * (size_t)l->size + 4);
        do {
                buf_clear(&raw);
                rc = l->read(l->context, at, PIECE, &raw);
                if (rc >= 0 && !raw.n && at < l->size)
                        rc = -EIO;
                at += raw.n;
                client_filter_put(&f, buf_str(&raw), !raw.n || at >= l->size, out);
        } while (rc >= 0 && raw.n && at < l->size);
        return rc < 0 ? rc : out->full ? -EFBIG : 0;
}
