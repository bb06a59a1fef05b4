/* What passes on FTP's data connection while one talks: talk opens it where the conversation says so, shows what comes as D: lines, and sends what is
 * typed behind STOR up to a dot alone. */
#include "base/codec.h"
#include "cli/talk_inside.h"
#include "cli/terminal.h"
#include <errno.h>

#define PATIENCE 30
enum {
        DATA_LINE_MOST = 8192,
        KEPT_MOST = 64 * 1024,
        PIECE = 16 * 1024,
        SILENT_MOST = 10 /* looks, when the answer is here */
};

static void note(const struct talk *t, const char *before, const char *text)
{
        if (t->prompt)
                prompt_away(t->prompt);
        talk_dim(t, before, text);
        if (t->prompt)
                prompt_back(t->prompt);
        fflush(stdout);
}

/* ---- commands ---- */

bool transfer_typed(struct talk *t, struct str line)
{
        struct addr where;

        if (t->follow.protocol != TALK_FTP)
                return false;
        t->stores =
            str_istarts(line, S("STOR ")) || str_istarts(line, S("APPE ")) || str_istarts(line, S("STOU"));
        if (str_istarts(line, S("PROT ")) && line.n == 6)
                t->asked = line.p[5] == 'p' ? 'P' : line.p[5];
        if (t->receiving || !data_typed(line, &where) || data_listen(&t->data, t->conn, &where) < 0)
                return false; /* somebody else's, or nobody's */
        note(t, "the data connection is awaited at ", addr_text(where).z);
        saved_directive(t->saved, "data active");
        saved_directive(t->saved, str_istarts(line, S("PORT")) ? "C: PORT {port}" : "C: EPRT {eprt}");
        return true;
}

static void close_data(struct talk *t)
{
        if (t->data.conn)
                conn_close(&t->data.conn, in_seconds(PATIENCE));
        data_end(&t->data);
        t->sending = false;
        saved_directive(t->saved, "data close");
}

bool transfer_line(struct talk *t, struct str line)
{
        if (!t->sending)
                return false;
        if (!t->person)
                talk_show('D', line);
        if (str_eq(line, S("."))) {
                close_data(t);
                return true;
        }
        saved_data(t->saved, 'C', line);
        conn_put(t->data.conn, line);
        conn_put(t->data.conn, S("\r\n"));
        (void)conn_flush(t->data.conn, in_seconds(PATIENCE));
        return true;
}

void transfer_end(struct talk *t)
{
        if (t->sending)
                close_data(t);
}

/* ---- what comes ---- */

struct coming {
        struct buf line; /* not whole yet */
        struct buf kept; /* lines for the transcript, by \n, as long as they are text and not too many */
        bool kept_all;
};

static void one_line(struct coming *c, struct str line, bool whole)
{
        bool text = whole && str_ends(line, S("\r"));

        if (str_ends(line, S("\r")))
                line.n--;
        talk_show('D', line);
        for (size_t i = 0; i < line.n; i++)
                text = text && (unsigned char)line.p[i] >= 32 && line.p[i] != 127;
        c->kept_all = c->kept_all && text && utf8_valid(line) && !str_eq(line, S("..."));
        buf_puts(&c->kept, line);
        buf_u8(&c->kept, '\n');
        c->kept_all = c->kept_all && !c->kept.full;
}

static void show_piece(struct talk *t, struct coming *c, struct str piece)
{
        if (t->prompt)
                prompt_away(t->prompt);
        while (piece.n) {
                struct str part;
                bool whole = str_cut(&piece, '\n', &part);

                while (c->line.n + part.n > DATA_LINE_MOST) { /* longer than a line is shown */
                        size_t room = DATA_LINE_MOST - c->line.n;

                        buf_puts(&c->line, str_sub(part, 0, room));
                        one_line(c, buf_str(&c->line), false);
                        buf_clear(&c->line);
                        part = str_from_at(part, room);
                }
                buf_puts(&c->line, part);
                if (!whole)
                        break;
                one_line(c, buf_str(&c->line), true);
                buf_clear(&c->line);
        }
        fflush(stdout);
        if (t->prompt)
                prompt_back(t->prompt);
}

/* true: to its end. Meanwhile what is typed goes out (ABOR), and an answer ends the wait for a server that is silent here. */
static bool receive(struct talk *t, struct coming *c)
{
        struct conn *d = t->data.conn;

        for (unsigned silent = 0; silent < SILENT_MOST && conn_ok(t->conn); silent++) {
                struct str piece = conn_some(d, PIECE, now() + LOOK);

                if (!piece.n && !conn_late(d))
                        return conn_ok(d);
                if (piece.n)
                        show_piece(t, c, piece);
                talk_send_queue(t);
                (void)conn_flush(t->conn, now() + LOOK);
                if (piece.n || !conn_input_waits(t->conn))
                        silent = 0;
        }
        return false;
}

static void save(struct talk *t, const struct coming *c, bool whole)
{
        struct str lines = buf_str(&c->kept), line;

        if (!whole || !c->kept_all) {
                saved_directive(t->saved, "data gone");
                return;
        }
        while (lines.n) {
                str_cut(&lines, '\n', &line);
                saved_data(t->saved, 'D', line);
        }
        saved_directive(t->saved, "data end");
}

static void show_data(struct talk *t)
{
        struct coming c = { .kept_all = true };
        bool whole;

        buf_init(&c.line, DATA_LINE_MOST);
        buf_init(&c.kept, KEPT_MOST);
        t->receiving = true;
        whole = receive(t, &c);
        t->receiving = false;
        if (c.line.n)
                show_piece(t, &c, S("\n")), c.kept_all = false;
        save(t, &c, whole);
        if (!whole)
                note(t, "", "the data connection has broken off");
        data_end(&t->data);
        buf_free(&c.line);
        buf_free(&c.kept);
}

/* ---- replies ---- */

static void begin(struct talk *t)
{
        struct tls_found found;
        int rc = data_stands(&t->data, t->conn, in_seconds(PATIENCE));

        if (rc == -ENOTCONN) /* another program's */
                return;
        if (rc == 0 && t->protection == 'P') {
                rc = talk_handshake(t->how, t->data.conn, &found);
                saved_directive(t->saved, "data tls new");
        }
        if (rc < 0) {
                note(t, "no data connection: ", strerrordesc_np(-rc));
                data_end(&t->data);
        } else if (t->stores) {
                t->sending = true;
                note(t, "", "now the file; a dot alone on its line ends it");
        } else {
                show_data(t);
        }
}

static void passive(struct talk *t, struct str reply)
{
        char number[8];
        int rc;

        if (!data_heard(&t->data, t->conn, reply))
                return;
        snprintf(number, sizeof(number), "%u", t->data.to.port);
        rc = data_connect(&t->data, t->conn, in_seconds(PATIENCE));
        if (rc < 0) {
                note(t, "no data connection: ", strerrordesc_np(-rc));
                return;
        }
        saved_directive(t->saved, "data passive");
        note(t,
             t->data.foreign ? "a data connection to the server's own address, not where it said, port "
                             : "a data connection to port ",
             number);
}

void transfer_heard(struct talk *t, struct str reply, bool final)
{
        if (t->follow.protocol != TALK_FTP || t->follow.multi)
                return;
        if (t->asked && final && !t->follow.due) {
                t->protection = str_starts(reply, S("2")) ? t->asked : t->protection;
                t->asked = 0;
        }
        passive(t, reply);
        if (str_starts(reply, S("1")) && reply.n > 3 && reply.p[3] == ' ' && !str_starts(reply, S("110")))
                begin(t);
        if (final && !t->follow.due) {
                if (t->sending) /* it will take no more */
                        close_data(t);
                t->stores = false;
        }
}
