/* RETR and TOP: many on their way at once, each handed on as it comes. */
#include "net/conn.h"
#include "net/dot.h"
#include "proto/pop3/client_inside.h"
#include "run/fiber.h"
#include <errno.h>

enum { PIECE = 32 << 10, OCTETS_AHEAD = 1 << 20 /* by what LIST told */, SLACK = 16 << 20 };
#define LETTER_MOST ((uint64_t)2 << 30)

/* LIST's sizes are rough at some servers, but a letter without end would fill the disk. */
static uint64_t most_of(const struct pop3_entry *e)
{
        return e->size < LETTER_MOST / 8 ? 4 * e->size + SLACK : LETTER_MOST;
}

static bool wait_bytes(struct pop3_client *c, struct str *got, nsec *window, size_t *came)
{
        for (;;) {
                if (!*window || now() >= *window) {
                        if (*window && *came < 1024) {
                                popc_break(c, -ETIMEDOUT);
                                return false;
                        }
                        *window = now() + c->how.patience;
                        *came = 0;
                }
                *got = conn_some(c->conn, PIECE, *window);
                *came += got->n;
                if (got->n)
                        return true;
                if (!conn_late(c->conn)) {
                        popc_break(c, conn_stopping(c->conn) || fiber_cancelled() ? -ECANCELED : -ECONNRESET);
                        return false;
                }
        }
}

/* A letter's lines, to its dot. Once *result is set nothing is handed on. */
static void read_letter(struct pop3_client *c, const struct pop3_take *take, uint64_t most, int *result)
{
        struct dot_reader r;
        auto_buf struct buf out = { 0 };
        enum dot_got got = DOT_MORE;
        nsec window = 0;
        size_t came = 0, used;
        struct str piece;

        dot_reader_init(&r);
        r.mend_bare_lf = true;
        buf_init(&out, 2 * PIECE + 2);
        while (got == DOT_MORE) {
                if (!wait_bytes(c, &piece, &window, &came))
                        return;
                buf_clear(&out);
                got = dot_read(&r, piece, &used, *result ? NULL : &out);
                conn_unread(c->conn, piece.n - used);
                if (used > most) {
                        popc_break(c, -EFBIG);
                        return;
                }
                most -= used;
                if (!*result && out.n)
                        *result = take->piece(take->context, buf_str(&out));
        }
        if (!*result)
                *result = take->end(take->context);
}

static int one_letter(struct pop3_client *c, const struct pop3_entry *e, const struct pop3_take *take,
                      int *result, struct pop3_answer *answer)
{
        int rc = popc_answer(c, answer, NULL);

        if (rc < 0)
                return rc;
        if (!*result)
                *result = take->begin(take->context, e);
        read_letter(c, take, most_of(e), result);
        if (!c->broken)
                return 0;
        return popc_ours(answer, c->broken,
                         c->broken == -ETIMEDOUT ? "it fell silent in the middle of a letter"
                         : c->broken == -EFBIG   ? "a letter without end"
                                                 : "cut off in the middle of a letter");
}

int pop3_client_letters(struct pop3_client *c, const struct pop3_entry *list, size_t n,
                        const struct pop3_take *take, struct pop3_answer *answer)
{
        size_t most = c->offers & POP3_HAS_PIPELINING ? LETTERS_AHEAD : 1, sent = 0;
        uint64_t ahead = 0;
        struct pop3_answer one;
        int result = 0, refused = 0;

        *answer = (struct pop3_answer){ .good = true };
        for (size_t i = 0; i < n && (i < sent || !result); i++) {
                int rc;

                for (; !result && sent < n && sent - i < most && (sent == i || ahead < OCTETS_AHEAD);
                     sent++) {
                        conn_printf(c->conn, take->header_only ? "TOP %u 0\r\n" : "RETR %u\r\n",
                                    list[sent].number);
                        ahead += list[sent].size < OCTETS_AHEAD ? list[sent].size : OCTETS_AHEAD;
                }
                rc = one_letter(c, &list[i], take, &result, &one);
                ahead -= list[i].size < OCTETS_AHEAD ? list[i].size : OCTETS_AHEAD;
                if (rc < 0 && (c->broken || !refused)) {
                        refused = rc;
                        *answer = one;
                }
                if (c->broken)
                        return rc;
        }
        return result ? result : refused;
}
