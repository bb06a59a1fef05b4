/* Letters for a host that dials in. ETRN (RFC 1985): "try my queue now", on a connection of ours to its MX. ATRN (RFC 2645): who has signed in
 * takes them on this very connection, which is turned round: what TURN of RFC 821 wanted, with somebody known at the other end. */
#include "proto/smtp/smtp.h"
#include "mail/address.h"
#include "net/addr.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNED_PIECE = 64 * 1024 };
/* seconds */
#define TURNED_PATIENCE 600 /* for the client's next line: the sender has its own */
#define WRITE_PATIENCE  180 /* RFC 5321 §4.5.3.2.5 */
#define SENDER_PATIENCE 60
#define STOP_PATIENCE   20 /* more than the sender has */
#define LOOK_EVERY      (50 * MSECOND)

/* A stranger may ask for domains that we are backup MX for: it is their mail, and goes to nobody but their MX. */
static bool may_ask(struct session *s, struct str domain)
{
        struct str rest = str_of(s->server->settings->relay_for), one, of;

        if (smtp_trusted(s) || s->account.n)
                return true;
        while (rest.n) {
                str_cut(&rest, ' ', &one);
                str_cut(&one, ':', &of); /* "example.net:jack,jill" */
                if (str_ieq(of, domain))
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

/* One fiber does both ways: lines from the client, which speaks replies only, as they come; and whenever the sender says something conn_line
 * comes back for it (conn_call). */
struct turned {
        struct watch there; /* the sender's end */
        struct conn *here;  /* the client */
        struct buf piece;
        struct waitlist room; /* the sender takes more */
};

static void sender_moved(struct watch *w, uint32_t events)
{
        struct turned *t = (struct turned *)(void *)((char *)w - offsetof(struct turned, there));

        if (events & ~(uint32_t)EPOLLOUT)
                conn_call(t->here);
        if (events & ~(uint32_t)EPOLLIN)
                wake_all(&t->room);
}

/* All that it has said so far. false: it has ended, or the client has. */
static bool from_sender(struct turned *t)
{
        char *p = buf_room(&t->piece, TURNED_PIECE);
        ssize_t n;

        while ((n = recv(t->there.fd, p, TURNED_PIECE, MSG_DONTWAIT)) > 0 && conn_ok(t->here)) {
                conn_body(t->here, str_from(p, (size_t)n));
                fiber_yield_if_due();
        }
        return n < 0 && errno == EAGAIN;
}

static bool to_sender(struct turned *t, struct str s)
{
        while (s.n) {
                ssize_t n = send(t->there.fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n > 0)
                        s = str_from_at(s, (size_t)n);
                else if (errno != EAGAIN || wait_on(&t->room, "the sender", in_seconds(SENDER_PATIENCE)) < 0)
                        return false;
        }
        return true;
}

static void pass_lines(struct turned *t)
{
        struct str line;
        enum got got;

        while (from_sender(t)) {
                got = conn_line(t->here, &line, TURNED_PIECE, in_seconds(TURNED_PATIENCE));
                if (got == GOT_CALLED || got == GOT_QUIET)
                        continue;
                if (got != GOT_LINE && got != GOT_BARE)
                        return;
                if (!to_sender(t, line) || !to_sender(t, S("\r\n")))
                        return;
        }
}

/* Who stops lets the letter under way come to its end: the sender, which is told to stop at the same time, ends the conversation then. */
static void pass_the_rest(struct turned *t)
{
        nsec patience = in_seconds(STOP_PATIENCE);
        struct str piece;

        while (now() < patience && from_sender(t)) {
                piece = conn_some(t->here, TURNED_PIECE, now() + LOOK_EVERY);
                if (piece.n ? !to_sender(t, piece) : !conn_late(t->here))
                        return;
        }
}

static void pass(struct session *s, int there)
{
        struct turned t = { .there = { there, sender_moved }, .here = s->conn };

        buf_init(&t.piece, TURNED_PIECE);
        conn_write_deadline(s->conn, WRITE_PATIENCE * SECOND);
        if (watch_add(&t.there, EPOLLIN | EPOLLOUT | EPOLLRDHUP) == 0) {
                pass_lines(&t);
                if (conn_stopping(s->conn) && !conn_signed_out(s->conn))
                        pass_the_rest(&t);
                watch_remove(&t.there);
        }
        buf_free(&t.piece);
}

/* RFC 2645 §5.2: after 250 the roles are reversed; the session ends with the connection. */
static int turn_round(struct session *s, struct str domains)
{
        int ends[2], rc;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
                return smtp_refuse(s, "451 4.3.0 Local error, try again later");
        rc = s->server->turn(NULL, ends[1], domains);
        if (rc < 0) {
                close(ends[0]);
                return smtp_refuse(s, "453 4.3.0 You have no mail, or it cannot be sent just now");
        }
        log_event("turned", "session=%s account=%s domains=%s", s->id, log_str(s->account), log_str(domains));
        session_parking(s, false);
        rc = smtp_reply(s, "250 2.0.0 OK now reversing the connection");
        pass(s, ends[0]);
        close(ends[0]);
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
