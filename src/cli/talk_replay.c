/* Plays a dialog against a server and says where it differs. A line that is another one than expected is said, and the dialog goes on; at a silence or
 * an end it stops. What only the dialog runner of the tests can do (it has the server's folder and its authority) is found before anything is said. */
#include "base/mem.h"
#include "cli/reach.h"
#include "cli/talk_play.h"
#include "cli/terminal.h"
#include "proto/transcript.h"
#include "run/offload.h"
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

void play_differs(struct replay *r, struct str what, struct str got)
{
        r->differs++;
        printf("%s:%u: ", r->file, r->line);
        terminal_put(stdout, what);
        if (got.p) {
                printf(", got \"");
                terminal_put(stdout, got);
                printf("\"");
        }
        printf("\n");
}

void play_stop(struct replay *r, const char *what)
{
        play_differs(r, str_of(what), (struct str){ 0 });
        r->stop = true;
}

/* ---- what the file says ---- */

struct conn *play_conn(struct replay *r, unsigned n)
{
        struct conn *c = n <= CONNECTIONS ? r->conns[n - 1] : NULL;

        if (!c)
                play_stop(r, "this connection is not open");
        return c;
}

bool play_line(struct replay *r, struct conn *c, struct str pattern, struct str *line)
{
        struct buf auto_buf words = { 0 };
        const char *instead;

        if (r->held_of == c) {
                r->held_of = NULL;
                *line = r->held;
                return true;
        }
        switch (conn_line(c, line, TALK_LINE_MOST, in_seconds(PATIENCE))) {
        case GOT_LINE:
        case GOT_BARE:
        case GOT_LONG: return true;
        case GOT_LATE: instead = "silence"; break;
        default: instead = "the end of the connection"; break;
        }
        buf_init(&words, 16384);
        buf_printf(&words, "expected \"" PRS "\", got %s", STR(pattern), instead);
        play_differs(r, buf_str(&words), (struct str){ 0 });
        r->stop = true;
        return false;
}

static void server_says(struct replay *r, const struct transcript_line *l)
{
        bool data = l->kind == TRANSCRIPT_DATA;
        struct conn *control = play_conn(r, l->connection),
                    *c = control && data ? play_data(r, l->connection) : control;
        struct buf auto_buf words = { 0 };
        bool any = r->skipping, matches = false;
        struct str line;

        if (!c)
                return;
        r->skipping = str_eq(l->text, S("..."));
        if (r->skipping)
                return;
        do {
                if (!play_line(r, c, l->text, &line))
                        return;
                if (!words_match(&r->variables, l->text, line, &matches, &r->why)) {
                        play_stop(r, arena_str(&r->arena, buf_str(&r->why)).p);
                        return;
                }
                if (!data)
                        (void)data_heard(&r->datas[l->connection - 1], c, line);
        } while (any && !matches);
        if (matches)
                return;
        buf_init(&words, 16384);
        buf_printf(&words, "expected \"" PRS "\"", STR(l->text));
        play_differs(r, buf_str(&words), line);
}

static void client_says(struct replay *r, const struct transcript_line *l)
{
        struct conn *c = play_conn(r, l->connection);
        struct buf auto_buf line = { 0 };

        if (!c)
                return;
        buf_init(&line, FILE_MOST);
        play_ask(r, l->text);
        if (!words_expand(&r->variables, l->text, false, &line, &r->why)) {
                play_stop(r, arena_str(&r->arena, buf_str(&r->why)).p);
                return;
        }
        conn_put(c, buf_str(&line));
        conn_put(c, S("\r\n"));
}

/* ---- directives ---- */

static void do_connect(struct replay *r, struct call *c)
{
        const struct service *service = c->n > 1 ? service_named(c->words[1]) : NULL;
        struct talk_how *place = &r->places[c->connection - 1];
        struct conn **conn = &r->conns[c->connection - 1];
        const char *written = "127.0.0.1";
        struct buf auto_buf why = { 0 };
        struct tls_found found;

        if (!service) {
                play_stop(r, "connect: to what?");
                return;
        }
        *place = *r->how;
        place->tls = place->tls || service->tls;
        for (size_t i = 2; i < c->n; i++)
                if (str_eq(c->words[i], S("tls")))
                        place->tls = true;
                else
                        written = c->words[i].p;
        if (!r->first && r->how->port)
                r->base = (int)r->how->port - (int)service->port;
        r->first = r->first ? r->first : written;
        if (!r->how->host || !strcmp(r->how->host, r->first)) /* else all of it is played there */
                place->host = written;
        place->port =
            (unsigned)(r->base +
                       (int)service->port); /* others stand as far from their usual ports as the first */
        conn_free(conn);
        buf_init(&why, 4096);
        if (reach(place->host, place->port, in_seconds(PATIENCE), conn, &why) < 0) {
                play_stop(r, arena_printf(&r->arena, "%s, port %u: " PRS, place->host, place->port,
                                          STR(buf_str(&why)))
                                 .p);
                return;
        }
        conn_park_after(*conn, -1);
        if (place->tls && talk_handshake(place, *conn, &found) < 0)
                play_stop(r, "no TLS");
}

static void do_starttls(struct replay *r, struct call *c)
{
        struct conn *conn = play_conn(r, c->connection);
        struct tls_found found;

        if (conn && talk_handshake(&r->places[c->connection - 1], conn, &found) < 0)
                play_stop(r, "no TLS");
}

/* raw and split: one after another; repeat N "bytes" */
static void do_bytes(struct replay *r, struct call *c)
{
        struct conn *conn = play_conn(r, c->connection);
        bool repeat = str_eq(c->words[0], S("repeat"));
        uint64_t times = 1;

        if (!conn)
                return;
        if (repeat && (c->n != 3 || !str_u64(c->words[1], &times) || times * c->words[2].n > REPEAT_MOST)) {
                play_stop(r, "repeat: how many times?");
                return;
        }
        for (size_t i = repeat ? 2 : 1; i < c->n && !r->stop; i++) {
                struct buf auto_buf bytes = { 0 };

                buf_init(&bytes, FILE_MOST);
                play_ask(r, c->words[i]);
                if (!words_expand(&r->variables, c->words[i], false, &bytes, &r->why)) {
                        play_stop(r, arena_str(&r->arena, buf_str(&r->why)).p);
                        return;
                }
                for (uint64_t k = 0; k < times; k++)
                        conn_put(conn, buf_str(&bytes));
                (void)conn_flush(conn, in_seconds(PATIENCE));
        }
}

static void do_close(struct replay *r, struct call *c)
{
        if (play_conn(r, c->connection))
                conn_close(&r->conns[c->connection - 1], in_seconds(PATIENCE));
}

static void do_expect_close(struct replay *r, struct call *c)
{
        struct conn *conn = play_conn(r, c->connection);
        struct str line;
        enum got got;

        if (!conn)
                return;
        got = conn_line(conn, &line, TALK_LINE_MOST, in_seconds(PATIENCE));
        if (got != GOT_END)
                play_differs(r, S("expected the end of the connection"),
                             got == GOT_LATE ? S("(silence)") : line);
        conn_free(&r->conns[c->connection - 1]);
}

static void do_endtls(struct replay *r, struct call *c)
{
        struct conn *conn = play_conn(r, c->connection);

        if (conn && (!conn_has_tls(conn) || conn_stoptls(conn, in_seconds(PATIENCE)) < 0))
                play_stop(r, "endtls: TLS has not ended in good order");
}

/* The demo of the tests is made so; a server that is there is as it is. */
static void do_set(struct replay *r, struct call *c)
{
        printf("# %s:%u: ", r->file, r->line);
        printf(c->n > 1 ? "this was written for a server with" : "this was written for a new demo");
        for (size_t i = 1; i < c->n; i++) {
                printf(" ");
                terminal_put(stdout, c->words[i]);
        }
        printf("\n");
}

static const struct {
        const char *name;
        void (*run)(struct replay *r, struct call *c);
        size_t least, most; /* words behind it */
} directives[] = {
        { "connect", do_connect, 1, 3 },
        { "starttls", do_starttls, 0, 0 },
        { "endtls", do_endtls, 0, 0 },
        { "auth", play_auth, 4, 4 },
        { "raw", do_bytes, 1, 1 },
        { "split", do_bytes, 2, WORDS_MOST },
        { "repeat", do_bytes, 2, 2 },
        { "close", do_close, 0, 0 },
        { "expect-close", do_expect_close, 0, 0 },
        { "data", play_transfer, 1, 3 },
        { "set", do_set, 1, 10 },
        { "fresh", do_set, 0, 0 },
};

/* Without run: can it be played? */
static void directive(struct replay *r, struct str text, bool run)
{
        struct call c = { .connection = 1, .look = !run };
        uint64_t n;

        if (!words_split(text, &r->arena, c.words, &c.n, &r->why)) {
                play_stop(r, arena_str(&r->arena, buf_str(&r->why)).p);
                return;
        }
        if (c.n > 2 && str_eq(c.words[c.n - 2], S("as"))) {
                if (!str_u64(c.words[c.n - 1], &n) || n < 1 || n > CONNECTIONS) {
                        play_stop(r, "as: a number from 1 to 99");
                        return;
                }
                c.connection = (unsigned)n;
                c.n -= 2;
        }
        for (size_t i = 0; i < sizeof(directives) / sizeof(*directives); i++) {
                if (!c.n || !str_eq(c.words[0], str_of(directives[i].name)))
                        continue;
                if (c.n - 1 < directives[i].least || c.n - 1 > directives[i].most)
                        play_stop(r, arena_printf(&r->arena, PRS ": so many words it does not take",
                                                  STR(c.words[0]))
                                         .p);
                else if (run || directives[i].run == play_transfer)
                        directives[i].run(r, &c);
                return;
        }
        play_stop(
            r, arena_printf(&r->arena, PRS ": only the dialog runner of the tests does this", STR(c.words[0]))
                   .p);
}

/* ---- the file ---- */

static int read_file(void *arg)
{
        struct replay *r = arg;
        int fd = open(r->file, O_RDONLY | O_CLOEXEC);
        ssize_t n = 1;

        if (fd < 0)
                return -errno;
        while (n > 0) {
                char *room = buf_room(&r->text, 65536);

                n = room ? read(fd, room, 65536) : -1;
                if (n < 0) {
                        n = room ? -errno : -EFBIG;
                        close(fd);
                        return (int)n;
                }
                buf_added(&r->text, (size_t)n);
        }
        close(fd);
        return 0;
}

static void nothing_left(struct replay *r)
{
        struct str line;

        for (unsigned i = 0; i < CONNECTIONS && !r->stop; i++)
                if (r->conns[i] && conn_flush(r->conns[i], in_seconds(PATIENCE)) == 0 &&
                    conn_input_waits(r->conns[i]) &&
                    conn_line(r->conns[i], &line, TALK_LINE_MOST, in_seconds(1)) == GOT_LINE)
                        play_differs(r, S("expected nothing more"), line);
}

static void play(struct replay *r)
{
        struct transcript_line *lines;
        size_t n;

        if (transcript_read(buf_str(&r->text), &r->arena, &lines, &n, &r->why) < 0) {
                play_stop(r, arena_str(&r->arena, buf_str(&r->why)).p);
                return;
        }
        for (size_t i = 0; i < n && !r->stop; i++) {
                r->line = lines[i].number;
                if (lines[i].kind == TRANSCRIPT_DIRECTIVE)
                        directive(r, lines[i].text, false);
        }
        for (size_t i = 0; i < n && !r->stop; i++) {
                r->line = lines[i].number;
                switch (lines[i].kind) {
                case TRANSCRIPT_SERVER: server_says(r, &lines[i]); break;
                case TRANSCRIPT_CLIENT: client_says(r, &lines[i]); break;
                case TRANSCRIPT_DATA: server_says(r, &lines[i]); break;
                case TRANSCRIPT_DIRECTIVE: directive(r, lines[i].text, true); break;
                }
        }
        nothing_left(r);
}

int talk_replay(const struct talk_how *how, const char *file)
{
        struct replay *r = mem_new(struct replay);
        int rc;

        r->how = how;
        r->file = file;
        for (unsigned i = 0; i < CONNECTIONS; i++)
                data_begin(&r->datas[i]);
        buf_init(&r->text, FILE_MOST);
        buf_init(&r->why, 65536);
        arena_init(&r->arena, MEMORY);
        arena_init(&r->variables.arena, MEMORY);
        rc = offload(QUICK, read_file, r);
        if (rc < 0)
                fprintf(stderr, "pail talk: %s: %s\n", file, strerrordesc_np(-rc));
        else
                play(r);
        if (rc == 0)
                printf(r->differs ? "%s: differs\n" : "%s: as expected\n", file);
        rc = rc < 0 ? EX_NOINPUT : r->differs ? EX_DATAERR : EX_OK;
        for (unsigned i = 0; i < CONNECTIONS; i++) {
                data_end(&r->datas[i]);
                conn_free(&r->conns[i]);
        }
        buf_free(&r->text);
        buf_free(&r->why);
        arena_finish(&r->variables.arena);
        arena_finish(&r->arena);
        mem_free(r);
        return rc;
}
