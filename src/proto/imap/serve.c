#include "proto/imap/imap.h"
#include "base/mem.h"
#include "proto/imap/capability.h"
#include "run/log.h"

enum { LINE_MOST = 64 * 1024, STRANGER_LINE_MOST = 16 * 1024 };

static void greet(struct session *s)
{
        auto_buf struct buf b;

        s->state = IMAP_STRANGER;
        s->greeted = true;
        imap_capabilities_read(s);
        buf_init(&b, 4096);
        put_capabilities(&b, s);
        imap_say(s, "OK [" PRS "] %s IMAP server ready", STR(buf_str(&b)), s->host);
}

static void goodbye(struct session *s)
{
        if (conn_signed_out(s->conn))
                imap_say(s, "BYE [UNAVAILABLE] you were signed out");
        else if (conn_stopping(s->conn))
                imap_say(s, "BYE [UNAVAILABLE] the server is shutting down");
        s->ending = true;
}

/* RFC 9051 §9: any ASTRING-CHAR but '+' */
static bool tag_char(unsigned char c)
{
        return c > ' ' && c < 127 && !strchr("(){%*\"\\+", c);
}

/* After a command that was refused, a literal may follow that needs no asking: passed over with the line behind it, until
 * the command has really ended (RFC 7888 §4). */
static void pass_over(struct session *s)
{
        struct imap *p = imap_of(s);
        struct scan rest;

        conn_secret(s->conn, true); /* of a LOGIN, maybe; nobody needs to see it */
        while (p->line_open && p->open.plus && conn_ok(s->conn)) {
                p->line_open = false;
                imap_literal_skip(s, p->open.n);
                if (conn_ok(s->conn))
                        imap_literal_done(s, &rest);
                arena_reset(&s->command);
        }
        conn_secret(s->conn, false);
        p->line_open = false;
}

static void run_line(struct session *s, struct str line)
{
        struct imap *p = imap_of(s);
        struct scan a;
        struct str tag;

        line = arena_str(&s->command, line); /* the connection's buffer goes when a literal is read */
        imap_line_read(s, line);
        a = scan_of(line);
        tag = scan_while(&a, tag_char);
        p->tag = S("");
        p->literals = 0;
        if (scan_end(&a) || a.bad || tag.n > 256 || !scan_try(&a, ' ')) {
                command_hide(s, &imap_dialect, line);
                command_done(s, &imap_dialect, imap_bad(s, "a command is: tag command arguments"));
        } else {
                p->tag = tag;
                scan_spaces(&a);
                imap_run(s, a);
        }
        pass_over(s);
        p->tag = S(""); /* it lay in the arena of the command; what a bell tells has none */
}

/* DONE, or something else, which may bring a literal along. */
static void end_idle(struct session *s, struct str line)
{
        imap_line_read(s, line);
        if (!str_ieq(line, S("DONE")))
                command_hide(s, &imap_dialect, line);
        command_done(s, &imap_dialect, imap_done(s, line));
        pass_over(s);
        imap_of(s)->tag = S("");
}

static long patience(const struct session *s)
{
        const struct settings *t = s->server->settings;

        return s->state & IMAP_STRANGER ? t->imap_login_timeout : t->imap_command_timeout;
}

static enum served imap_serve(struct session *s)
{
        struct str line;
        size_t most;

        if (!s->greeted)
                greet(s);
        else
                imap_bell(s); /* it may have rung while something else woke us */
        s->woken = WOKEN_INPUT;
        while (!s->ending) {
                most = s->state & IMAP_STRANGER ? STRANGER_LINE_MOST : LINE_MOST;
                switch (conn_line(s->conn, &line, most, session_next_command(s, patience(s)))) {
                case GOT_BARE: /* harmless here, and what people type */
                case GOT_LINE:
                        if (s->state & IMAP_IDLING)
                                end_idle(s, line);
                        else
                                run_line(s, line);
                        if (imap_of(s)->notify)
                                imap_bell(s); /* it may have rung meanwhile */
                        break;
                case GOT_LONG:
                        imap_of(s)->tag = S("");
                        if (!imap_line_lost(s, line))
                                command_done(s, &imap_dialect, imap_bad(s, "[TOOBIG] that line is too long"));
                        break;
                case GOT_QUIET: return PARKED;
                case GOT_LATE:
                        imap_say(s, "BYE you were away too long");
                        s->ending = true;
                        break;
                case GOT_END: goodbye(s); break;
                case GOT_CALLED: break; /* not here */
                }
        }
        return ENDED;
}

static void imap_parking(struct session *s)
{
        struct imap *p = imap_of(s);

        p->keywords = NULL;
        arena_finish(&p->awake);
}

static void imap_finish(struct session *s)
{
        imap_forget(s);
}

static void imap_turn_away(struct conn *c, const char *host, enum refusal why)
{
        (void)host;
        switch (why) {
        case REFUSED_FULL:
                conn_put(c, S("* BYE [UNAVAILABLE] too many connections, try again later\r\n"));
                break;
        case REFUSED_BANNED:
                conn_put(c, S("* BYE [UNAVAILABLE] too many failed sign-ins from your address\r\n"));
                break;
        case REFUSED_STOPPING: conn_put(c, S("* BYE [UNAVAILABLE] the server is shutting down\r\n")); break;
        case REFUSED_MEMORY: conn_put(c, S("* BYE [UNAVAILABLE] no resources, try again later\r\n")); break;
        }
}

/* For SIGQUIT: what is selected, and what it listens to. */
static void imap_describe(const struct session *s, struct buf *out)
{
        const struct imap *p = (const struct imap *)s;

        if (p->selected.key.owner)
                buf_printf(out, " mailbox=%s letters=%u", log_str(p->selected.path), p->selected.map.count);
        buf_printf(out, "%s%s%s", s->state & IMAP_IDLING ? " idle" : "", p->notify ? " notify" : "",
                   conn_compressed(s->conn) ? " deflate" : "");
}

const struct session_kind imap_kind = {
        .name = "imap",
        .size = sizeof(struct imap),
        .serve = imap_serve,
        .finish = imap_finish,
        .parking = imap_parking,
        .refuse = imap_turn_away,
        .describe = imap_describe,
        .scope = SCOPE_IMAP,
};
