#include "proto/pop3/pop3.h"
#include "base/mem.h"

#include <stdio.h>
#include <sys/random.h>

enum { LINE_MOST = 4094 }; /* RFC 2449 §4 wants 253 and CRLF; AUTH's initial response may be longer */

/* The commands. CAPA prints from here what the last column offers. */
/* clang-format off */
static const struct command pop3_commands[] = {
        /* verb   handler    where                needs                                          offers */
        { "APOP", pop3_apop, POP3_STRANGER,       SECRET_RESPONSE,          0, "APOP name digest" },
        { "AUTH", pop3_auth, POP3_STRANGER,       SECRET_RESPONSE,          0, "AUTH [mechanism [response]]", "SASL" },
        { "CAPA", pop3_capa, POP3_ALWAYS,         NO_ARGUMENT,              0, "CAPA", "PIPELINING RESP-CODES AUTH-RESP-CODE" },
        { "DELE", pop3_dele, POP3_TRANSACTION,    0,                        0, "DELE message" },
        { "LANG", pop3_lang, POP3_ALWAYS,         0,                        0, "LANG [language]", "LANG" },
        { "LAST", pop3_last, POP3_TRANSACTION,    NO_ARGUMENT,              0, "LAST" },
        { "LIST", pop3_list, POP3_TRANSACTION,    0,                        0, "LIST [message]" },
        { "NOOP", pop3_noop, POP3_TRANSACTION,    NO_ARGUMENT,              0, "NOOP" },
        { "PASS", pop3_pass, POP3_NAMED,          NEEDS_TLS_FOR_SECRETS | SECRET, 0, "PASS password" },
        { "QUIT", pop3_quit, POP3_ALWAYS,         NO_ARGUMENT,              0, "QUIT" },
        { "RETR", pop3_retr, POP3_TRANSACTION,    0,                        0, "RETR message" },
        { "RSET", pop3_rset, POP3_TRANSACTION,    NO_ARGUMENT,              0, "RSET" },
        { "STAT", pop3_stat, POP3_TRANSACTION,    NO_ARGUMENT,              0, "STAT" },
        { "STLS", pop3_stls, POP3_STRANGER,       NO_ARGUMENT | LAST,       0, "STLS", "STLS" },
        { "TOP",  pop3_top,  POP3_TRANSACTION,    0,                        0, "TOP message lines", "TOP" },
        { "UIDL", pop3_uidl, POP3_TRANSACTION,    0,                        0, "UIDL [message]", "UIDL" },
        { "USER", pop3_user, POP3_STRANGER,       NEEDS_TLS_FOR_SECRETS,    0, "USER name", "USER" },
        { "UTF8", pop3_utf8, POP3_STRANGER,       NO_ARGUMENT,              0, "UTF8", "UTF8" },
};
/* clang-format on */

/* --- replies ------------------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 3, 0)))
vreply(struct session *s, struct str status, const char *format, va_list args)
{
        conn_put(s->conn, status);
        conn_vprintf(s->conn, pop3_text(pop3_of(s), format), args);
        conn_put(s->conn, S("\r\n"));
}

int pop3_ok(struct session *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vreply(s, S("+OK "), format, args);
        va_end(args);
        return OK;
}

int pop3_no(struct session *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vreply(s, S("-ERR "), format, args);
        va_end(args);
        return FAIL;
}

int pop3_sorry(struct session *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vreply(s, S("-ERR "), format, args);
        va_end(args);
        return OK;
}

/* --- what the table finds wrong ------------------------------------------------------------------------------ */

static int unknown(struct session *s, struct str verb)
{
        (void)verb;
        return pop3_no(s, "no such command; CAPA tells what there is");
}

static int misplaced(struct session *s, const struct command *c)
{
        if (s->state == POP3_TRANSACTION)
                return pop3_no(s, "%s: you are signed in already", c->verb);
        if (c->where == POP3_NAMED)
                return pop3_no(s, "USER comes before PASS");
        return pop3_no(s, "%s: sign in first, with USER and PASS or with AUTH", c->verb);
}

static int need_tls(struct session *s, const struct command *c)
{
        return pop3_no(s, "%s: a password may not travel in clear here; give STLS first", c->verb);
}

static int need_login(struct session *s, const struct command *c)
{
        return misplaced(s, c);
}

static int argument(struct session *s, const struct command *c)
{
        return pop3_no(s, "%s stands alone on its line", c->verb);
}

static int too_many(struct session *s)
{
        s->ending = true;
        return pop3_no(s, "too many errors, goodbye");
}

/* STLS with plaintext behind it: somebody in between may have put it there. It is carried out neither now nor under
 * TLS (RFC 2595 §4, CVE-2011-0411). */
static int pipelined(struct session *s, const struct command *c)
{
        s->ending = true;
        return pop3_no(s, "nothing may follow %s before its reply; goodbye", c->verb);
}

const struct dialect pop3_dialect = {
        .commands = pop3_commands,
        .count = sizeof(pop3_commands) / sizeof(*pop3_commands),
        .unknown = unknown,
        .misplaced = misplaced,
        .need_tls = need_tls,
        .need_login = need_login,
        .argument = argument,
        .too_many = too_many,
        .pipelined = pipelined,
};

/* --- the conversation ---------------------------------------------------------------------------------------- */

/* RFC 1939 §7, APOP: a msg-id that no other greeting has */
struct str pop3_stamp(const struct pop3 *p, char room[static 320])
{
        int n = snprintf(room, 320, "<%016llx.%s@%.250s>", (unsigned long long)p->stamp, p->session.id,
                         p->session.host);

        return str_from(room, (size_t)n);
}

static void greet(struct session *s)
{
        struct pop3 *p = pop3_of(s);
        char room[320];

        if (getrandom(&p->stamp, sizeof(p->stamp), 0) != (ssize_t)sizeof(p->stamp))
                p->stamp = (uint64_t)wall_usec();
        s->state = POP3_AUTHORIZATION;
        s->greeted = true;
        pop3_ok(s, "POP3 server ready " PRS, STR(pop3_stamp(p, room)));
}

/* Their end or ours. RFC 1939 §6: whoever leaves without QUIT deletes nothing. */
static void goodbye(struct session *s)
{
        if (conn_signed_out(s->conn))
                pop3_sorry(s, "[SYS/TEMP] you were signed out, goodbye");
        else if (conn_stopping(s->conn))
                pop3_sorry(s, "[SYS/TEMP] POP3 server shutting down, goodbye");
        s->ending = true;
}

static enum served pop3_serve(struct session *s)
{
        struct str line;

        if (!s->greeted)
                greet(s);
        while (!s->ending) {
                long patience = s->server->settings->pop3_command_timeout;

                switch (conn_line(s->conn, &line, LINE_MOST, session_next_command(s, patience))) {
                case GOT_BARE: /* harmless here, and what people type */
                case GOT_LINE: command_run(s, &pop3_dialect, line); break;
                case GOT_LONG: command_done(s, &pop3_dialect, pop3_no(s, "that line is too long")); break;
                case GOT_QUIET: return PARKED;
                case GOT_LATE: s->ending = true; break; /* without a word: RFC 1939 §3 */
                case GOT_END: goodbye(s); break;
                case GOT_CALLED: break; /* not here */
                }
        }
        return ENDED;
}

static void pop3_parking(struct session *s)
{
        struct pop3 *p = pop3_of(s);

        account_list_free(&p->list);
        ahead_drop(&p->ahead);
}

static void pop3_finish(struct session *s)
{
        struct pop3 *p = pop3_of(s);

        pop3_parking(s);
        pop3_unmark(p);
        mem_free(p->name);
}

static void pop3_turn_away(struct conn *c, const char *host, enum refusal why)
{
        (void)host;
        switch (why) {
        case REFUSED_FULL: conn_put(c, S("-ERR [SYS/TEMP] too many connections, try again later\r\n")); break;
        case REFUSED_BANNED:
                conn_put(c, S("-ERR [AUTH] too many failed sign-ins from your address\r\n"));
                break;
        case REFUSED_STOPPING: conn_put(c, S("-ERR [SYS/TEMP] POP3 server shutting down\r\n")); break;
        case REFUSED_MEMORY: conn_put(c, S("-ERR [SYS/TEMP] no resources, try again later\r\n")); break;
        }
}

const struct session_kind pop3_kind = {
        .name = "pop3",
        .size = sizeof(struct pop3),
        .serve = pop3_serve,
        .finish = pop3_finish,
        .parking = pop3_parking,
        .refuse = pop3_turn_away,
        .scope = SCOPE_POP3,
};
