#include "proto/smtp/smtp.h"
#include "base/codec.h"
#include "base/mem.h"
#include "run/log.h"

enum {
        LINE_MOST = 2046,       /* RFC 5321 §4.5.3.1.4 wants 512, extensions add to it */
        AUTH_LINE_MOST = 12286, /* RFC 4954 §4 */
        LETTER_MEMORY = 64 << 20,
};

/* The commands. EHLO and HELP print from here; the columns are enforced by command_run.
 *
 * RFC 2920 §3.1 has clients wait behind EHLO, DATA, VRFY and others. Whoever pastes a whole session into telnet does
 * not, and that harms nobody: so LAST stands only where what follows would change its meaning. BDAT is allowed
 * everywhere because its chunk must be taken off the wire even where it is refused. */
/* clang-format off */
static const struct command smtp_commands[] = {
        /* verb      handler        where            needs */
        { "HELO",     smtp_helo,     SMTP_ALWAYS,     0, 0, "HELO host" },
        { "EHLO",     smtp_ehlo,     SMTP_ALWAYS,     0, 0, "EHLO host", "PIPELINING ENHANCEDSTATUSCODES" },
        { "LHLO",     smtp_lhlo,     SMTP_ALWAYS,     UNLISTED, 0, "LHLO host" },
        { "MAIL",     smtp_mail,     SMTP_READY,      NEEDS_LOGIN_TO_SUBMIT, 0,
          "MAIL FROM:<address> [SIZE=octets] [BODY=7BIT|8BITMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=xtext] [REQUIRETLS]",
          "SIZE 8BITMIME SMTPUTF8 DSN REQUIRETLS" },
        { "RCPT",     smtp_rcpt,     SMTP_MAIL | SMTP_RCPT, 0, 0, "RCPT TO:<address> [NOTIFY=...] [ORCPT=type;xtext]", "LIMITS" },
        { "DATA",     smtp_data,     SMTP_MAIL | SMTP_RCPT, NO_ARGUMENT | BODY, 0, "DATA" },
        { "BDAT",     smtp_bdat,     SMTP_ALWAYS,     BODY, 0, "BDAT octets [LAST]", "CHUNKING" },
        { "RSET",     smtp_rset,     SMTP_ALWAYS,     NO_ARGUMENT, 0, "RSET" },
        { "VRFY",     smtp_vrfy,     SMTP_ALWAYS,     0, 0, "VRFY address", "VRFY" },
        { "EXPN",     smtp_expn,     SMTP_ALWAYS,     0, 0, "EXPN list", "EXPN" },
        { "HELP",     smtp_help,     SMTP_ALWAYS,     0, 0, "HELP [command]", "HELP" },
        { "NOOP",     smtp_noop,     SMTP_ALWAYS,     0, 0, "NOOP" },
        { "QUIT",     smtp_quit,     SMTP_ALWAYS,     NO_ARGUMENT, 0, "QUIT" },
        { "ETRN",     smtp_etrn,     SMTP_READY,      0, 0, "ETRN domain", "ETRN" },
        { "ATRN",     smtp_atrn,     SMTP_READY,      NEEDS_LOGIN | LAST, 0, "ATRN [domain,...]", "ATRN" },
        { "STARTTLS", smtp_starttls, SMTP_READY | SMTP_MAIL | SMTP_RCPT, NO_ARGUMENT | LAST, 0, "STARTTLS", "STARTTLS" },
        { "AUTH",     smtp_auth,     SMTP_READY,      NEEDS_TLS_FOR_SECRETS | SECRET_RESPONSE, 0,
          "AUTH mechanism [initial-response]", "AUTH" },
        { "SEND",     smtp_send,     SMTP_READY,      NEEDS_LOGIN_TO_SUBMIT, 0, "SEND FROM:<address>" },
        { "SOML",     smtp_mail,     SMTP_READY,      NEEDS_LOGIN_TO_SUBMIT, 0, "SOML FROM:<address>" },
        { "SAML",     smtp_mail,     SMTP_READY,      NEEDS_LOGIN_TO_SUBMIT, 0, "SAML FROM:<address>" },
        { "TURN",     smtp_turn,     SMTP_ALWAYS,     0, 0, "TURN" },
        /* as lecture 49 spells them */
        { "VERFY",    smtp_vrfy,     SMTP_ALWAYS,     UNLISTED },
        { "SMOL",     smtp_mail,     SMTP_READY,      NEEDS_LOGIN_TO_SUBMIT | UNLISTED },
        { "SMAL",     smtp_mail,     SMTP_READY,      NEEDS_LOGIN_TO_SUBMIT | UNLISTED },
};
/* clang-format on */

/* --- replies ------------------------------------------------------------------------------------------------- */

/* " 2.1.0 " behind the number: how long, or 0 */
static size_t enhanced_code(const char *format)
{
        size_t n = 4;

        if (format[n] < '2' || format[n] > '5' || format[n + 1] != '.')
                return 0;
        for (n += 2; format[n] >= '0' && format[n] <= '9'; n++)
                ;
        if (format[n++] != '.')
                return 0;
        for (; format[n] >= '0' && format[n] <= '9'; n++)
                ;
        return format[n] == ' ' ? n + 1 - 4 : 0;
}

__attribute__((format(printf, 2, 0))) static int vreply(struct session *s, const char *format, va_list args)
{
        struct smtp *p = smtp_of(s);
        size_t code = p->plain_codes ? enhanced_code(format) : 0;

        if (code || p->answers) {
                struct str text = arena_vprintf(&s->command, format, args);

                do {
                        conn_put(s->conn, str_sub(text, 0, 4));
                        conn_put(s->conn, str_from_at(text, 4 + code));
                        conn_put(s->conn, S("\r\n"));
                } while (p->answers && --p->answers);
                return format[0] == '5' ? FAIL : OK;
        }
        conn_vprintf(s->conn, format, args);
        conn_put(s->conn, S("\r\n"));
        return format[0] == '5' ? FAIL : OK;
}

int smtp_reply(struct session *s, const char *format, ...)
{
        va_list args;
        int rc;

        va_start(args, format);
        rc = vreply(s, format, args);
        va_end(args);
        return rc;
}

int smtp_refuse(struct session *s, const char *format, ...)
{
        struct str reply;
        va_list args;
        int rc;

        va_start(args, format);
        reply = arena_vprintf(&s->command, format, args);
        va_end(args);
        log_event("refused", "session=%s protocol=%s peer=%s reply=%s", s->id, s->kind->name,
                  session_peer(s).z, log_str(reply));
        smtp_note_refused(smtp_of(s), reply);
        va_start(args, format);
        rc = vreply(s, format, args);
        va_end(args);
        return rc;
}

/* --- what the table finds wrong ------------------------------------------------------------------------------ */

static int unknown(struct session *s, struct str verb)
{
        (void)verb;
        return smtp_reply(s, "500 5.5.1 Command unrecognized; HELP lists those there are");
}

static int misplaced(struct session *s, const struct command *c)
{
        switch ((enum smtp_state)s->state) {
        case SMTP_NEW: return smtp_reply(s, "503 5.5.1 %s: say HELO or EHLO first", c->verb);
        case SMTP_READY: return smtp_reply(s, "503 5.5.1 %s: need MAIL first", c->verb);
        case SMTP_CHUNKS:
                return smtp_reply(s, "503 5.5.1 %s: BDAT has begun; go on with it, or RSET", c->verb);
        case SMTP_BROKEN: return smtp_reply(s, "503 5.5.1 %s: BDAT has failed; RSET first", c->verb);
        default: return smtp_reply(s, "503 5.5.1 %s: not within a mail transaction; RSET ends it", c->verb);
        }
}

static int need_tls(struct session *s, const struct command *c)
{
        (void)c;
        return smtp_reply(s, "538 5.7.11 Encryption required: STARTTLS first");
}

static int need_login(struct session *s, const struct command *c)
{
        (void)c;
        return smtp_reply(s, "530 5.7.0 Authentication required");
}

static int argument(struct session *s, const struct command *c)
{
        return smtp_reply(s, "501 5.5.4 %s takes no argument", c->verb);
}

static int too_many(struct session *s)
{
        s->ending = true;
        return smtp_reply(s, "421 4.7.0 %s too many errors, closing connection", s->host);
}

/* STARTTLS with plaintext behind it: what was meant for later may have been put there by somebody in between, and
 * must not be carried out, now or under TLS (RFC 3207 §4.2, CVE-2011-0411). */
static int pipelined(struct session *s, const struct command *c)
{
        s->ending = true;
        return smtp_refuse(s, "503 5.5.1 %s must not be followed by anything before its reply", c->verb);
}

const struct dialect smtp_dialect = {
        .commands = smtp_commands,
        .count = sizeof(smtp_commands) / sizeof(*smtp_commands),
        .unknown = unknown,
        .misplaced = misplaced,
        .need_tls = need_tls,
        .need_login = need_login,
        .argument = argument,
        .too_many = too_many,
        .pipelined = pipelined,
};

/* --- the conversation ---------------------------------------------------------------------------------------- */

bool smtp_submission(const struct session *s)
{
        return s->protocol == PROTOCOL_SUBMISSION || s->protocol == PROTOCOL_SUBMISSIONS;
}

bool smtp_lmtp(const struct session *s)
{
        return s->protocol == PROTOCOL_LMTP;
}

bool smtp_trusted(const struct session *s)
{
        struct addr peer = conn_peer(s->conn);

        return addr_loopback(peer) || addr_in_list(peer, str_of(s->server->settings->trusted_addresses));
}

bool smtp_offers_auth(const struct session *s)
{
        return smtp_submission(s) || s->protocol == PROTOCOL_ATRN || s->server->settings->auth_on_25;
}

static void greet(struct session *s)
{
        arena_init(&smtp_of(s)->letter.arena, LETTER_MEMORY);
        s->state = SMTP_NEW;
        s->greeted = true;
        if (smtp_lmtp(s) && !smtp_trusted(s)) {
                smtp_refuse(s, "554 5.7.1 LMTP is for hosts that are trusted here");
                s->ending = true;
                return;
        }
        smtp_reply(s, "220 %s %s service ready", s->host, smtp_lmtp(s) ? "LMTP" : "SMTP");
}

/* A line is text: no control characters, and what is not ASCII must be UTF-8 (RFC 6531 §3.3). */
static void run_line(struct session *s, struct str line)
{
        command_hide(s, &smtp_dialect, line);
        if (line.n > LINE_MOST && !str_istarts(line, S("AUTH ")))
                command_done(s, &smtp_dialect, smtp_reply(s, "500 5.5.2 Line too long"));
        else if (str_has_control(line))
                command_done(s, &smtp_dialect, smtp_reply(s, "501 5.5.2 Control characters are not allowed"));
        else if (!utf8_valid(line))
                command_done(s, &smtp_dialect, smtp_reply(s, "501 5.5.2 Neither ASCII nor UTF-8"));
        else
                command_run(s, &smtp_dialect, line);
}

/* Their end or ours: what may still be said. */
static void goodbye(struct session *s)
{
        if (conn_signed_out(s->conn))
                smtp_reply(s, "421 4.7.0 %s you were signed out, closing connection", s->host);
        else if (conn_stopping(s->conn))
                smtp_reply(s, "421 4.3.2 %s Service shutting down, closing connection", s->host);
        s->ending = true;
}

static enum served smtp_serve(struct session *s)
{
        struct str line;

        if (!s->greeted)
                greet(s);
        while (!s->ending) {
                long patience = s->server->settings->smtp_command_timeout;

                switch (conn_line(s->conn, &line, AUTH_LINE_MOST, session_next_command(s, patience))) {
                case GOT_LINE: run_line(s, line); break;
                case GOT_BARE:
                        command_hide(s, &smtp_dialect, line);
                        command_done(s, &smtp_dialect,
                                     smtp_reply(s, "500 5.5.2 Bare LF: end lines with CRLF (nc -C)"));
                        break;
                case GOT_LONG:
                        command_done(s, &smtp_dialect, smtp_reply(s, "500 5.5.2 Line too long"));
                        break;
                case GOT_QUIET: return PARKED;
                case GOT_LATE:
                        smtp_reply(s, "421 4.4.2 %s no command for %ld seconds, closing connection", s->host,
                                   patience);
                        s->ending = true;
                        break;
                case GOT_END: goodbye(s); break;
                case GOT_CALLED: break; /* not here */
                }
        }
        return ENDED;
}

static void smtp_parking(struct session *s)
{
        if (s->state & (SMTP_NEW | SMTP_READY))
                arena_finish(&smtp_of(s)->letter.arena);
}

void smtp_forget(struct smtp *s)
{
        session_sign_in(&s->session, S(""));
        mem_free(s->helo);
        s->helo = NULL;
        s->extended = s->plain_codes = false;
        letter_reset(s);
        s->session.state = SMTP_NEW;
}

static void smtp_finish(struct session *s)
{
        reception_drop(smtp_of(s));
        arena_finish(&smtp_of(s)->letter.arena);
        mem_free(smtp_of(s)->helo);
}

static void smtp_turn_away(struct conn *c, const char *host, enum refusal why)
{
        switch (why) {
        case REFUSED_FULL: conn_printf(c, "421 %s too many connections, try again later\r\n", host); break;
        case REFUSED_BANNED:
                conn_printf(c, "554 %s too many failed sign-ins from your address\r\n", host);
                break;
        case REFUSED_STOPPING: conn_printf(c, "421 %s Service shutting down\r\n", host); break;
        case REFUSED_MEMORY: conn_printf(c, "421 %s no resources, try again later\r\n", host); break;
        }
}

const struct session_kind smtp_kind = {
        .name = "smtp",
        .size = sizeof(struct smtp),
        .serve = smtp_serve,
        .finish = smtp_finish,
        .parking = smtp_parking,
        .refuse = smtp_turn_away,
        .scope = SCOPE_SMTP,
};
