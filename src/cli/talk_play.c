/* Of a dialog that is played: variables that are asked for, FTP's data connections, and signing in. */
#include "cli/talk_play.h"
#include "cli/terminal.h"
#include "proto/sasl_client.h"
#include <errno.h>

enum { PIECE = 64 * 1024 };

/* ---- variables that nobody has set: secrets that were not written down ---- */

/* The answer to a question about each {name} of the line that is not known yet. */
void play_ask(struct replay *r, struct str text)
{
        size_t open, close;

        while ((open = str_find(text, '{')) != STR_NONE) {
                bool escaped = open && text.p[open - 1] == '\\';
                struct str name;

                text = str_from_at(text, open + 1);
                close = str_find(text, '}');
                name = str_sub(text, 0, close == STR_NONE ? 0 : close);
                for (size_t i = 0; i < name.n; i++)
                        if (!((name.p[i] >= 'a' && name.p[i] <= 'z') || name.p[i] == '-' ||
                              (i && name.p[i] >= '0' && name.p[i] <= '9')))
                                name.n = 0;
                if (name.n && !escaped && !variable(&r->variables, name)) {
                        struct buf auto_buf answer = { 0 };

                        buf_init(&answer, 16384);
                        if (terminal_ask(arena_printf(&r->arena, "{" PRS "}: ", STR(name)).p, false, &answer))
                                (void)variable_set(&r->variables, name, buf_str(&answer));
                }
        }
}

/* ---- data connections ---- */

struct conn *play_data(struct replay *r, unsigned n)
{
        struct conn *control = play_conn(r, n);
        int rc = control ? conn_flush(control, in_seconds(PATIENCE)) : -ENOTCONN;

        if (rc == 0)
                rc = data_stands(&r->datas[n - 1], control, in_seconds(PATIENCE));
        if (rc == 0)
                return r->datas[n - 1].conn;
        if (control)
                play_stop(r, rc == -ENOTCONN ? "there is no data connection"
                                             : "the server did not make the data connection");
        return NULL;
}

/* At most n octets, fewer at the end. */
static uint64_t pass(struct conn *c, uint64_t n, struct buf *kept)
{
        uint64_t got = 0;

        while (got < n) {
                struct str piece =
                    conn_some(c, n - got < PIECE ? (size_t)(n - got) : PIECE, in_seconds(PATIENCE));

                if (!piece.n)
                        break;
                if (kept)
                        buf_puts(kept, piece);
                got += piece.n;
        }
        return got;
}

static void passive(struct replay *r, struct call *c, struct data *d)
{
        struct conn *control = play_conn(r, c->connection);

        if (control && data_connect(d, control, in_seconds(PATIENCE)) < 0)
                play_stop(r, "data passive: nobody answers there, or no 227 or 229 has said where");
}

/* {port} as PORT wants it, {eprt} as EPRT does. */
static void active(struct replay *r, struct call *c, struct data *d)
{
        struct conn *control = play_conn(r, c->connection);
        struct addr at = control ? conn_local(control) : (struct addr){ 0 };
        struct str eprt;

        at.port = 0;
        if (!control)
                return;
        if (data_listen(d, control, &at) < 0) {
                play_stop(r, "data active: no port can be had");
                return;
        }
        eprt = arena_printf(&r->arena, "|%d|%s|%u|", at.family == 6 ? 2 : 1, addr_text(at).z, at.port);
        if (at.family == 4)
                (void)variable_set(&r->variables, S("port"),
                                   arena_printf(&r->arena, "%u,%u,%u,%u,%u,%u", at.ip[0], at.ip[1], at.ip[2],
                                                at.ip[3], at.port >> 8, at.port & 255));
        (void)variable_set(&r->variables, S("eprt"), eprt);
}

static void none(struct replay *r, struct call *c, struct data *d)
{
        struct conn *control = play_conn(r, c->connection);

        if (control && data_stands(d, control, now()) == 0)
                play_differs(r, S("the server has made a data connection"), (struct str){ 0 });
        data_end(d);
}

static void secure(struct replay *r, struct call *c, struct data *d)
{
        struct tls_found found;

        if (talk_handshake(&r->places[c->connection - 1], d->conn, &found) < 0)
                play_stop(r, "no TLS on the data connection");
}

static void put(struct replay *r, struct call *c, struct data *d)
{
        conn_put(d->conn, c->words[2]);
        if (conn_flush(d->conn, in_seconds(PATIENCE)) < 0)
                play_stop(r, "the data connection has broken off");
}

static void fill(struct replay *r, struct call *c, struct data *d)
{
        static const char zeros[PIECE];
        uint64_t n;

        if (!str_u64(c->words[2], &n)) {
                play_stop(r, "data fill: how many?");
                return;
        }
        for (uint64_t piece; n && conn_ok(d->conn); n -= piece) {
                piece = n < PIECE ? n : PIECE;
                conn_put(d->conn, str_from(zeros, (size_t)piece));
                (void)conn_flush(d->conn, in_seconds(PATIENCE));
        }
        if (n)
                play_stop(r, "the data connection has broken off");
}

static void at_end(struct replay *r, struct data *d)
{
        struct buf auto_buf more = { 0 };

        buf_init(&more, PIECE);
        if (pass(d->conn, 100, &more))
                play_differs(r, S("expected the end of the data connection"), buf_str(&more));
        else if (!conn_ok(d->conn) || conn_late(d->conn))
                play_differs(r, S("expected the end of the data connection"), (struct str){ 0 });
        data_end(d);
}

static void end(struct replay *r, struct call *c, struct data *d)
{
        (void)c;
        at_end(r, d);
}

static void expect(struct replay *r, struct call *c, struct data *d)
{
        struct buf auto_buf got = { 0 };

        buf_init(&got, c->words[2].n + 1);
        (void)pass(d->conn, c->words[2].n, &got);
        if (!str_eq(buf_str(&got), c->words[2]))
                play_differs(r, S("other octets than expected on the data connection"),
                             str_sub(buf_str(&got), 0, 200));
}

static void size(struct replay *r, struct call *c, struct data *d)
{
        uint64_t n = 0, got;

        if (!str_u64(c->words[2], &n)) {
                play_stop(r, "data size: how many?");
                return;
        }
        got = pass(d->conn, n, NULL);
        if (got < n)
                play_differs(r,
                             arena_printf(&r->arena, "expected %llu octets on the data connection, got %llu",
                                          (unsigned long long)n, (unsigned long long)got),
                             (struct str){ 0 });
        at_end(r, d);
}

static void gone(struct replay *r, struct call *c, struct data *d)
{
        (void)c;
        (void)pass(d->conn, UINT64_MAX, NULL);
        if (conn_late(d->conn))
                play_differs(r, S("expected the end of the data connection"), S("(silence)"));
        data_end(d);
}

static void close_it(struct replay *r, struct call *c, struct data *d)
{
        (void)r;
        (void)c;
        conn_close(&d->conn, in_seconds(PATIENCE));
        data_end(d);
}

static const struct {
        const char *name;
        void (*run)(struct replay *r, struct call *c, struct data *d);
        size_t words;
        bool stands;      /* the connection must */
        const char *word; /* may stand behind it */
} actions[] = {
        { "passive", passive, 0, false, NULL }, { "active", active, 0, false, NULL },
        { "none", none, 0, false, NULL },       { "tls", secure, 0, true, "new" },
        { "send", put, 1, true, NULL },         { "fill", fill, 1, true, NULL },
        { "expect", expect, 1, true, NULL },    { "size", size, 1, true, NULL },
        { "end", end, 0, true, NULL },          { "gone", gone, 0, true, NULL },
        { "close", close_it, 0, true, NULL },
};

void play_transfer(struct replay *r, struct call *c)
{
        for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
                bool more = actions[i].word && c->n == 3 && str_eq(c->words[2], str_of(actions[i].word));

                if (!str_eq(c->words[1], str_of(actions[i].name)) || (c->n - 2 != actions[i].words && !more))
                        continue;
                if (!c->look && (!actions[i].stands || play_data(r, c->connection)))
                        actions[i].run(r, c, &r->datas[c->connection - 1]);
                return;
        }
        play_stop(r, arena_printf(&r->arena,
                                  "data " PRS "%s" PRS ": only the dialog runner of the tests does this",
                                  STR(c->words[1]), c->n > 2 ? " " : "", STR(c->n > 2 ? c->words[2] : S("")))
                         .p);
}

/* ---- signing in ---- */

/* Its challenges; the server's last line is left to be read again. */
static void exchange(struct replay *r, struct conn *c, struct sasl_client *x, struct str prompt)
{
        struct buf auto_buf out = { 0 };
        struct str line;

        buf_init(&out, 2 * SASL_TOKEN_MOST);
        while (play_line(r, c, prompt, &line)) {
                if (!str_starts(line, prompt)) {
                        r->held = arena_str(&r->arena, line);
                        r->held_of = c;
                        return;
                }
                if (client_sasl_step(x, str_from_at(line, prompt.n), &out) < 0)
                        buf_puts(&out, S("*"));
                conn_put(c, buf_str(&out));
                conn_put(c, S("\r\n"));
        }
}

void play_auth(struct replay *r, struct call *c)
{
        struct conn *conn = play_conn(r, c->connection);
        struct sasl_client_who who = { c->words[2], c->words[3], c->words[4], conn, true, false };
        struct buf auto_buf first = { 0 };
        struct sasl_client *x;

        if (!conn)
                return;
        if (client_sasl_new(&x, &who) < 0) {
                play_stop(r, "auth: a mechanism that talk does not know, or not here");
                return;
        }
        buf_init(&first, 2 * SASL_TOKEN_MOST);
        conn_printf(conn, "AUTH " PRS, STR(c->words[2]));
        if (client_sasl_begins(x) && client_sasl_step(x, S(""), &first) == 0)
                conn_printf(conn, " " PRS, STR(buf_str(&first)));
        conn_put(conn, S("\r\n"));
        exchange(r, conn, x, str_eq(c->words[1], S("pop3")) ? S("+ ") : S("334 "));
        client_sasl_free(&x);
}
