/* Letters for a host that dials in. ETRN (RFC 1985): "try my queue now", on a connection of ours to its MX. ATRN (RFC 2645): who has signed in
 * takes them on this very connection, which is turned round: what TURN of RFC 821 wanted, with somebody known at the other end. */
#include "proto/smtp/smtp.h"
#include "mail/address.h"
#include "net/addr.h"
#include "run/fiber.h"
#include "run/log.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNED_PIECE = 64 * 1024, DOMAINS_MOST = 50 };
#define TURNED_PATIENCE 600

/* A stranger may ask for domains that we are backup MX for: it is their mail, and goes to nobody but their MX. */
static bool may_ask(struct session *s, struct str domain)
{
        struct str rest = str_of(s->server->settings->relay_for), one;

        if (smtp_trusted(s) || s->account.n)
                return true;
        while (rest.n) {
                str_cut(&rest, ' ', &one);
                if (str_ieq(one, domain))
                        return true;
        }
        return false;
}

int smtp_etrn(struct session *s, struct scan *a)
{
        struct str word = scan_token(a), domain;
        struct outbox_filter f = { 0 };
        uint64_t n = 0;

        if (!scan_done(a) || !domain_normal(&s->command, word, &domain))
                return smtp_reply(s, "501 5.5.4 Syntax: ETRN domain");
        if (!may_ask(s, domain))
                return smtp_refuse(
                    s, "459 4.7.1 Node " PRS " not allowed: sign in, or ask whoever runs this server",
                    STR(domain));
        f.domain = domain;
        if (outbox_order(s->server->outbox, ORDER_RETRY, &f, &n) < 0)
                return smtp_refuse(s, "458 4.3.0 Unable to queue messages for node " PRS, STR(domain));
        if (!n)
                return smtp_reply(s, "251 2.0.0 OK, no messages waiting for node " PRS, STR(domain));
        return smtp_reply(s, "253 2.0.0 OK, %llu pending messages for node " PRS " started",
                          (unsigned long long)n, STR(domain));
}

/* ---- ATRN ---- */

/* The domains of the line, or all that this user may have. Whose a domain is says the directory: may-send-as @domain. */
static int read_domains(struct session *s, struct scan *a, struct buf *out)
{
        struct str rest = str_trim(scan_rest(a)), word, domain;

        if (!rest.n)
                return smtp_reply(s, "450 4.7.0 Name the domains: ATRN domain,domain");
        while (rest.n) {
                str_cut(&rest, ',', &word);
                if (!domain_normal(&s->command, str_trim(word), &domain))
                        return smtp_reply(s, "501 5.5.4 Syntax: ATRN domain,domain");
                if (!directory_may_send_as(s->server->directory, s->account,
                                           arena_printf(&s->command, "postmaster@" PRS, STR(domain))))
                        return smtp_refuse(s, "450 4.7.1 ATRN refused: " PRS " is not yours", STR(domain));
                buf_printf(out, "%s" PRS, out->n ? " " : "", STR(domain));
        }
        return OK;
}

struct turned {
        struct conn *here, *there; /* the client, and the sender's end */
        struct waitlist over;
        bool done;
};

/* From the sender to the client, in a fiber; the other way stays with the session. */
static void pass_out(void *arg)
{
        struct turned *t = arg;
        struct str piece;

        while ((piece = conn_some(t->there, TURNED_PIECE, in_seconds(TURNED_PATIENCE))).n) {
                conn_put(t->here, piece);
                if (conn_flush(t->here, in_seconds(TURNED_PATIENCE)) < 0)
                        break;
        }
        conn_shutdown(t->here);
        t->done = true;
        wake_all(&t->over);
}

static void pass_in(struct turned *t)
{
        struct str piece;

        while (!t->done && (piece = conn_some(t->here, TURNED_PIECE, in_seconds(TURNED_PATIENCE))).n) {
                conn_put(t->there, piece);
                if (conn_flush(t->there, in_seconds(TURNED_PATIENCE)) < 0)
                        break;
        }
        conn_shutdown(t->there);
        while (!t->done)
                if (wait_on(&t->over, "the turned connection", in_seconds(TURNED_PATIENCE)) == -ECANCELED)
                        fiber_yield();
}

/* RFC 2645 §5.2: after 250 the roles are reversed; the session ends with the connection. */
static int turn_round(struct session *s, struct str domains)
{
        struct turned t = { .here = s->conn };
        struct addr nobody = { 0 };
        int ends[2], rc;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
                return smtp_refuse(s, "451 4.3.0 Local error, try again later");
        t.there = conn_new(ends[0], nobody, nobody);
        rc = t.there ? s->server->turn(NULL, ends[1], domains) : -ENOMEM;
        if (rc < 0) {
                conn_free(&t.there);
                return smtp_refuse(s, "453 4.3.0 You have no mail, or it cannot be sent just now");
        }
        log_event("turned", "session=%s account=%s domains=%s", s->id, log_str(s->account), log_str(domains));
        session_parking(s, false);
        rc = smtp_reply(s, "250 2.0.0 OK now reversing the connection");
        conn_flush(s->conn, in_seconds(TURNED_PATIENCE));
        if (fiber_spawn("turned", pass_out, &t) == 0)
                pass_in(&t);
        conn_free(&t.there);
        s->ending = true;
        return rc;
}

int smtp_atrn(struct session *s, struct scan *a)
{
        auto_buf struct buf domains = { 0 };
        int rc;

        if (s->protocol != PROTOCOL_ATRN || !s->server->turn)
                return smtp_reply(s, "502 5.5.1 ATRN is done on a port of its own (RFC 2645 §5)");
        buf_init(&domains, 4096);
        rc = read_domains(s, a, &domains);
        return rc != OK || !domains.n ? rc : turn_round(s, buf_str(&domains));
}
