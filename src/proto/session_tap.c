#include "proto/session_tap.h"
#include "base/mem.h"
#include "proto/tap.h"

struct session_tap {
        struct conn_tap tap;
        struct session *session;
        bool tls;  /* has been told, or need not be */
        bool told; /* something was */
};

static const char *const names[PROTOCOLS] = {
        [PROTOCOL_SMTP] = "smtp",
        [PROTOCOL_SUBMISSION] = "submission",
        [PROTOCOL_SUBMISSIONS] = "submissions",
        [PROTOCOL_LMTP] = "lmtp",
        [PROTOCOL_ATRN] = "atrn",
        [PROTOCOL_POP3] = "pop3",
        [PROTOCOL_POP3S] = "pop3s",
        [PROTOCOL_IMAP] = "imap",
        [PROTOCOL_IMAPS] = "imaps",
        [PROTOCOL_FTP] = "ftp",
        [PROTOCOL_FTPS] = "ftps",
};

static void tell(const struct session *s, enum tap_what what, char from, struct str text, uint64_t number)
{
        struct tap_record r = {
                .what = what,
                .from = from,
                .session = str_of(s->id),
                .protocol = str_of(names[s->protocol]),
                .account = s->account,
                .text = text,
                .peer = conn_peer(s->conn),
                .local = conn_local(s->conn),
                .number = number,
        };

        taps_tell(s->server->taps, &r);
}

static void line(struct conn_tap *t, char from, struct str text, uint64_t bytes)
{
        struct session_tap *tap =
            (struct session_tap *)(void *)((char *)t - offsetof(struct session_tap, tap));
        struct session *s = tap->session;
        struct conn_tls_facts facts;

        if (!taps_on(s->server->taps))
                return;
        /* The line that asked for TLS passed before, whatever comes now is under it. */
        if (tap->tls != conn_has_tls(s->conn)) {
                tap->tls = !tap->tls;
                if (tap->tls && conn_tls_facts(s->conn, &facts))
                        tell(s, TAP_TLS, from, str_of(facts.version), 0);
        }
        tell(s, text.p ? TAP_LINE : TAP_BODY, from, text.p ? text : S(""), bytes);
}

static void into(struct session *s)
{
        struct session_tap *tap = mem_new(struct session_tap);

        tap->tap.line = line;
        tap->session = s;
        tap->tls = s->implicit_tls || conn_has_tls(s->conn);
        s->tap = tap;
        conn_set_tap(s->conn, &tap->tap);
}

void session_tap_begin(struct session *s)
{
        into(s);
        tell(s, TAP_BEGIN, 'S', S(""), 0);
}

void session_tap_end(struct session *s)
{
        if (!s->tap)
                return;
        if (s->conn) {
                conn_set_tap(s->conn, NULL); /* what it has not told yet it tells now */
                if (taps_on(s->server->taps))
                        tell(s, TAP_END, 'S', S(""), 0);
        }
        mem_free(s->tap);
        s->tap = NULL;
}

void session_tap_data(const struct session *s, const char *what, struct addr other, char from,
                      uint64_t octets)
{
        struct buf auto_buf words = { 0 };

        if (!s->tap || !taps_on(s->server->taps))
                return;
        buf_init(&words, 256);
        buf_printf(&words, "%s", what);
        if (other.family)
                buf_printf(&words, " with %s, port %u", addr_text(other).z, other.port);
        conn_told(s->conn); /* what asked for it stands before it */
        tell(s, TAP_DATA, from, buf_str(&words), octets);
}

void sessions_tapped(struct server *server)
{
        bool on = taps_on(server->taps);

        for (struct session *s = server->sessions; s; s = s->next) {
                if (on && !s->tap && s->conn)
                        into(s);
                if (!on && s->tap)
                        session_tap_end(s);
        }
}
