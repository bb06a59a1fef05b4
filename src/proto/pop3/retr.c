#include "proto/pop3/pop3.h"
#include "base/codec.h"
#include "mail/envelope.h"
#include "mail/mime.h"
#include "net/dot.h"
#include "run/log.h"

#include <errno.h>

enum { PIECE = 128 << 10, ENVELOPE_MOST = 32 << 20 };

/* How much of a letter TOP shows: the header, the empty line, and so many lines. */
struct top {
        bool everything; /* RETR */
        uint32_t lines;
        bool in_body, done;
        bool blank,
            cr; /* of the line that has begun: nothing but perhaps a CR so far; its last byte is one */
};

/* How many of these next bytes are shown. Lines end with LF: letters are given as they came. */
static size_t top_take(struct top *t, struct str s)
{
        size_t at = 0;

        while (at < s.n && !t->done && !t->everything) {
                struct str rest = str_from_at(s, at);
                size_t lf = str_find(rest, '\n'), n = lf == STR_NONE ? rest.n : lf;

                if (n > 0) {
                        t->blank = t->blank && !t->cr && n == 1 && rest.p[0] == '\r';
                        t->cr = rest.p[n - 1] == '\r';
                }
                if (lf == STR_NONE)
                        return s.n;
                at += lf + 1;
                if (t->in_body)
                        t->lines--;
                else if (t->blank)
                        t->in_body = true;
                t->done = t->in_body && t->lines == 0;
                t->blank = true;
                t->cr = false;
        }
        return t->everything ? s.n : at;
}

/* RFC 6856 §2.1: a letter that came with SMTPUTF8 and whose header is not ASCII is only for those who said UTF8.
 * Other 8-bit headers are older than that rule, and nobody is helped by keeping them back. */
static bool needs_utf8(struct session *s, const struct placed *m, struct str start)
{
        size_t end = str_search(start, S("\r\n\r\n"));
        struct account *account = NULL;
        struct envelope envelope = { 0 };
        struct buf mime, packed;
        bool needs = false;

        if (pop3_of(s)->utf8 || ascii_only(str_sub(start, 0, end == STR_NONE ? start.n : end)))
                return false;
        if (account_get(s->server->accounts, s->account, &account) < 0)
                return false;
        buf_init(&mime, MIME_PACKED_MAX);
        buf_init(&packed, ENVELOPE_MOST);
        if (letter_facts(account, m->letter, &mime, &packed) == 0 &&
            envelope_unpack(&envelope, &s->command, buf_str(&packed)))
                needs = envelope.utf8;
        buf_free(&mime);
        buf_free(&packed);
        account_put(&account);
        return needs;
}

/* What RETR and TOP have in common once the message is found. */
struct sending {
        struct session *s;
        struct placed *m;
        uint32_t number;
        struct top top;
        struct dot_writer dots;
};

static int begin(struct sending *g)
{
        if (g->top.everything)
                pop3_ok(g->s, "%u octets", g->m->size);
        else
                pop3_ok(g->s, "top of the message follows");
        dot_writer_init(&g->dots);
        return OK;
}

/* The letter is not there after all. */
static int missing(struct sending *g, int error)
{
        if (error != -ENOENT)
                return pop3_trouble(g->s, error);
        g->m->letter = 0;
        return pop3_gone(g->s, g->number);
}

static int send_whole(struct sending *g)
{
        struct str text;
        int rc = ahead_letter(pop3_of(g->s), g->number - 1, &text);

        if (rc < 0)
                return missing(g, rc);
        if (needs_utf8(g->s, g->m, text))
                return pop3_sorry(g->s, "[UTF8] this message is only for those who have said UTF8");
        begin(g);
        dot_write(&g->dots, g->s->conn, str_sub(text, 0, top_take(&g->top, text)));
        dot_write_end(&g->dots, g->s->conn);
        return OK;
}

/* The account is not held while a slow reader takes a piece. */
static int read_piece(struct sending *g, uint64_t from, struct buf *piece)
{
        struct session *s = g->s;
        struct account *account = NULL;
        int rc = account_get(s->server->accounts, s->account, &account);

        buf_clear(piece);
        if (rc == 0)
                rc = letter_read(account, g->m->letter, from, PIECE, piece);
        else if (rc == -ENOENT)
                rc = -ESTALE;
        account_put(&account);
        return rc < 0 ? rc : piece->n == 0 ? -EBADMSG : 0;
}

static int send_pieces(struct sending *g)
{
        auto_buf struct buf piece;
        uint64_t at = 0;
        int rc;

        buf_init(&piece, PIECE);
        rc = read_piece(g, 0, &piece);
        if (rc < 0)
                return missing(g, rc);
        if (needs_utf8(g->s, g->m, buf_str(&piece)))
                return pop3_sorry(g->s, "[UTF8] this message is only for those who have said UTF8");
        begin(g);
        for (;;) {
                dot_write(&g->dots, g->s->conn,
                          str_sub(buf_str(&piece), 0, top_take(&g->top, buf_str(&piece))));
                at += piece.n;
                if (g->top.done || at >= g->m->size || !conn_ok(g->s->conn))
                        break;
                rc = read_piece(g, at, &piece);
                if (rc < 0) { /* +OK was said: only the end of the connection is unmistakable now */
                        log_warn("trouble", "session=%s protocol=pop3 account=%s why=\"a letter ends early\"",
                                 g->s->id, log_str(g->s->account));
                        conn_fail(g->s->conn);
                        return OK;
                }
        }
        dot_write_end(&g->dots, g->s->conn);
        return OK;
}

static int send_message(struct session *s, uint32_t number, struct top top)
{
        struct sending g = { .s = s, .number = number, .top = top };
        struct pop3 *p = pop3_of(s);
        int rc;

        g.m = pop3_message(s, number, &rc);
        if (!g.m)
                return rc;
        rc = g.m->size <= POP3_WHOLE_MOST ? send_whole(&g) : send_pieces(&g);
        p->expected = number + 1;
        if (number > p->last)
                p->last = number;
        return rc;
}

/* RETR msg -- RFC 1939 §5 */
int pop3_retr(struct session *s, struct scan *a)
{
        uint32_t number;

        if (!pop3_numbers(a, &number, NULL))
                return pop3_no(s, "give one number: RETR message");
        return send_message(s, number, (struct top){ .everything = true });
}

/* TOP msg n -- RFC 1939 §7 */
int pop3_top(struct session *s, struct scan *a)
{
        struct top top = { .blank = true };
        uint32_t number;

        if (!pop3_numbers(a, &number, &top.lines))
                return pop3_no(s, "give two numbers: TOP message lines");
        return send_message(s, number, top);
}
