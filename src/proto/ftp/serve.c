#include "proto/ftp/commands.h"
#include "proto/ftp/telnet.h"
#include "base/mem.h"
#include "run/log.h"

enum {
        LINE_MOST = PATH_MOST + 17,
        RAW_MOST = 4 * LINE_MOST, /* with what Telnet adds */
        HELD_MOST = 32 << 10,
        ANSWERS_ROOM = 64,
        LEVEL = 1 /* of MODE Z: a quarter of what 6 costs */
};

/* Stands for a line that was too long, until it is its turn to be answered. */
#define TOO_LONG S("\n")

/* Commands that came while a transfer runs, in order: packed strings. */
struct ftp_held {
        struct buf lines;
        size_t at; /* up to here they have been carried out */
};

/* --- one command --------------------------------------------------------------------------------------------- */

struct ftp_next *ftp_next(struct session *s)
{
        struct ftp *p = ftp_of(s);

        if (!p->next)
                p->next = mem_new(struct ftp_next);
        return p->next;
}

void ftp_next_forget(struct ftp *p)
{
        if (!p->next)
                return;
        mem_free((char *)p->next->rename_from.p);
        mem_free((char *)p->next->copy_from.p);
        mem_free(p->next);
        p->next = NULL;
}

/* RFC 959 §4.1.3: RNTO follows RNFR at once. RFC 3659 §5.3, REST: a transfer, but clients say PASV and the like in between. `c`: what has
 * been carried out; NULL: nothing that there is. */
static void use_up(struct session *s, const struct command *c)
{
        if (!c || c->handle != ftp_rnfr)
                s->state &= ~(unsigned)FTP_RENAMING;
        if (!c || !(c->needs & KEEPS_NEXT))
                ftp_next_forget(ftp_of(s));
}

static const struct command *command_of(struct str line)
{
        struct str verb;

        str_cut(&line, ' ', &verb);
        return command_find(&ftp_dialect, verb);
}

static int wrong_line(struct session *s, struct str line)
{
        command_hide(s, &ftp_dialect, line);
        return str_eq(line, TOO_LONG) ? ftp_reply(s, "500 Line too long.")
                                      : ftp_reply(s, "501 No line may have a NUL in it.");
}

/* The line is gone when its command has been run. */
static void carry_out(struct session *s, struct str line)
{
        bool remembers = ftp_of(s)->next || s->state & FTP_RENAMING;
        const struct command *c = remembers ? command_of(line) : NULL;

        if (str_eq(line, TOO_LONG) || (line.n && memchr(line.p, '\0', line.n)))
                command_done(s, &ftp_dialect, wrong_line(s, line));
        else
                command_run(s, &ftp_dialect, line);
        if (remembers)
                use_up(s, c);
        /* Given back at once, to be used by the next session: given back only when thousands park, it would be holes in the heap. */
        arena_finish(&s->command);
}

/* --- what waits while a transfer runs ------------------------------------------------------------------------ */

bool ftp_holds(const struct ftp *p)
{
        return p->held && p->held->at < p->held->lines.n;
}

static bool held_full(const struct ftp *p)
{
        return p->held && p->held->lines.n - p->held->at > HELD_MOST;
}

static void hold(struct session *s, struct str line)
{
        struct ftp *p = ftp_of(s);

        if (!p->held) {
                p->held = mem_new(struct ftp_held);
                buf_init(&p->held->lines, 2 * (HELD_MOST + RAW_MOST));
        }
        command_hide(s, &ftp_dialect, line);
        if (p->held->at > HELD_MOST) { /* now and then, so that each byte moves once at most */
                buf_drop(&p->held->lines, p->held->at);
                p->held->at = 0;
        }
        buf_packed(&p->held->lines, line);
}

static struct str held_first(const struct ftp *p)
{
        struct unpack u = unpack_of(str_from_at(buf_str(&p->held->lines), p->held->at));

        return unpack_str(&u);
}

static void held_free(struct ftp *p)
{
        if (!p->held)
                return;
        buf_free(&p->held->lines);
        mem_free(p->held);
        p->held = NULL;
}

static bool meanwhile(struct str line)
{
        const struct command *c = command_of(line);

        return c && c->needs & MEANWHILE;
}

/* In the order in which they came, as far as the transfer allows. */
static void run_held(struct session *s)
{
        struct ftp *p = ftp_of(s);
        struct str line, copy;

        while (ftp_holds(p) && !s->ending && conn_ok(s->conn)) {
                line = held_first(p);
                if (p->transfer && !meanwhile(line))
                        return;
                p->held->at += 4 + line.n;
                copy = arena_str(&s->command, line); /* whose memory may move: the command may wait */
                if (!ftp_holds(p)) {
                        buf_clear(&p->held->lines);
                        p->held->at = 0;
                }
                carry_out(s, copy);
        }
}

/* An ABOR or STAT is carried out in its turn, which while a transfer runs is at once; sent as urgent data it goes before those that wait
 * (RFC 959 §4.1.3). */
static void heard(struct session *s, struct str line)
{
        struct ftp *p = ftp_of(s);
        bool at_once = !p->transfer && !ftp_holds(p);

        if (line.n > LINE_MOST) {
                command_hide(s, &ftp_dialect, line);
                line = TOO_LONG;
        }
        if (p->transfer && meanwhile(line))
                at_once = !ftp_holds(p) || conn_urgent(s->conn);
        if (at_once)
                carry_out(s, line);
        else
                hold(s, line);
}

/* The line without Telnet's part of it, in the command's arena if there was any. */
static struct str plain_line(struct session *s, struct str line)
{
        auto_buf struct buf out = { 0 }, answers = { 0 };

        if (!telnet_in(line))
                return line;
        buf_init(&out, RAW_MOST);
        buf_init(&answers, ANSWERS_ROOM);
        telnet_take(line, &out, &answers);
        line = arena_str(&s->command, buf_str(&out));
        if (answers.n) {
                command_hide(s, &ftp_dialect, line); /* the tap hears of the line now */
                conn_put(s->conn, buf_str(&answers));
        }
        return line;
}

/* --- the conversation ---------------------------------------------------------------------------------------- */

static void greet(struct session *s)
{
        s->greeted = true;
        ftp_forget(s);
        conn_urgent_inline(s->conn);
        ftp_reply(s, "220 %s FTP server ready.", s->host);
}

/* While a transfer runs it is the transfer that loses patience. */
static enum got next_line(struct session *s, struct str *line)
{
        const struct settings *t = s->server->settings;
        long patience = s->state & FTP_SIGNED_IN ? t->ftp_command_timeout : t->ftp_login_timeout;
        struct ftp *p = ftp_of(s);

        session_parking(s, !p->transfer);
        if (!p->transfer)
                return conn_line(s->conn, line, RAW_MOST, session_next_command(s, patience));
        s->deadline = 0;
        return held_full(p) ? conn_await_call(s->conn, NEVER) : conn_line(s->conn, line, RAW_MOST, NEVER);
}

/* A client that has said QUIT and then closes its half wants what it asked for; any other whose connection ends has gone, and half a file shall
 * not look like a whole one (the data connection's end is all that MODE S has to say so). */
static bool said_quit(const struct ftp *p)
{
        struct unpack u;
        bool quit = false;

        if (!p->held)
                return false;
        u = unpack_of(str_from_at(buf_str(&p->held->lines), p->held->at));
        while (!unpack_done(&u) && !u.bad)
                quit |= str_ieq(unpack_str(&u), S("QUIT"));
        return quit;
}

/* The transfer has something to say. */
static void called(struct session *s)
{
        bool ended = ftp_transfer_look(s);

        arena_finish(&s->command);
        if (ended)
                run_held(s);
}

static void finish_held(struct session *s)
{
        while (ftp_of(s)->transfer && conn_await_call(s->conn, NEVER) == GOT_CALLED)
                called(s);
}

/* Their end or ours. */
static void goodbye(struct session *s)
{
        if (!conn_stopping(s->conn) && conn_ok(s->conn) && said_quit(ftp_of(s)))
                finish_held(s);
        ftp_transfer_end(s);
        if (conn_signed_out(s->conn))
                ftp_reply(s, "421 You were signed out, goodbye.");
        else if (conn_stopping(s->conn))
                ftp_reply(s, "421 The server is shutting down, goodbye.");
        s->ending = true;
}

static void late(struct session *s)
{
        ftp_reply(s, "421 No command for too long, goodbye.");
        s->ending = true;
}

static enum served ftp_serve(struct session *s)
{
        struct str line;

        if (!s->greeted)
                greet(s);
        while (!s->ending) {
                switch (next_line(s, &line)) {
                case GOT_BARE: /* harmless here, and what people type */
                case GOT_LINE: heard(s, plain_line(s, line)); break;
                case GOT_LONG: heard(s, TOO_LONG); break;
                case GOT_QUIET: return PARKED;
                case GOT_LATE: late(s); break;
                case GOT_END: goodbye(s); break;
                case GOT_CALLED: called(s); break;
                }
        }
        return ENDED;
}

/* --- its beginning and end ----------------------------------------------------------------------------------- */

static void forget_text(char **text)
{
        mem_free(*text);
        *text = NULL;
}

void ftp_forget(struct session *s)
{
        struct ftp *p = ftp_of(s);

        s->state = FTP_STRANGER;
        session_sign_in(s, S(""));
        ftp_data_forget(s);
        ftp_next_forget(p);
        root_close(&p->root);
        forget_text(&p->name);
        forget_text(&p->cwd);
        forget_text(&p->domain);
        forget_text(&p->client);
        p->coding = (struct coding){ .byte_size = 8, .level = LEVEL };
        p->language = LANGUAGE_ENGLISH;
        p->hash = HASH_SHA256;
        p->facts = FACTS_USUAL;
        p->umask_bits = 022;
        p->quota = 0;
        p->anonymous = p->read_only = p->epsv_all = false;
        p->private_data = s->implicit_tls; /* whoever came by TLS expects it everywhere */
        p->pbsz = false;
}

static void ftp_parking(struct session *s)
{
        struct ftp *p = ftp_of(s);

        root_close(&p->root);
        held_free(p);
}

static void ftp_finish(struct session *s)
{
        struct ftp *p = ftp_of(s);

        ftp_transfer_end(s);
        ftp_forget(s);
        held_free(p);
}

static void ftp_turn_away(struct conn *c, const char *host, enum refusal why)
{
        (void)host;
        switch (why) {
        case REFUSED_FULL: conn_put(c, S("421 Too many connections, try again later.\r\n")); break;
        case REFUSED_BANNED: conn_put(c, S("421 Too many failed sign-ins from your address.\r\n")); break;
        case REFUSED_STOPPING: conn_put(c, S("421 The server is shutting down, goodbye.\r\n")); break;
        case REFUSED_MEMORY: conn_put(c, S("421 No resources, try again later.\r\n")); break;
        }
}

static void ftp_describe(const struct session *s, struct buf *out)
{
        const struct ftp *p = (const struct ftp *)s;

        if (p->client)
                buf_printf(out, " client=%s", log_str(str_of(p->client)));
        if (p->transfer) {
                buf_puts(out, S(" transfer=\""));
                ftp_transfer_describe((struct session *)(uintptr_t)s, out);
                buf_puts(out, S("\""));
        }
}

const struct session_kind ftp_kind = {
        .name = "ftp",
        .size = sizeof(struct ftp),
        .serve = ftp_serve,
        .finish = ftp_finish,
        .parking = ftp_parking,
        .refuse = ftp_turn_away,
        .describe = ftp_describe,
        .scope = SCOPE_FTP,
        .own_tickets = true,
};
