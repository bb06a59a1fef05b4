/* A letter: what the peer can take, its envelope, its bytes, and what became of each recipient. */
#include "base/codec.h"
#include "base/mem.h"
#include "mail/downcode.h"
#include "mail/header.h"
#include "mail/report.h"
#include "net/conn.h"
#include "proto/smtp/client_inside.h"
#include <errno.h>

enum {
        AT_ONCE_MOST = 64 * 1024,
        DOWNCODE_MOST = 64 * 1024 * 1024,
        BATCH = 100 /* recipients of one flight */
};

struct sending {
        struct smtp_client *c;
        const struct smtp_letter *l;
        struct smtp_answer *answers;
        struct buf whole; /* the letter, if it goes out at once or was down-coded */
        bool has_whole, eight_bit, utf8;
        bool data_asked; /* DATA or BDAT went out with the envelope */
        unsigned taken;  /* recipients that the peer takes */
};

static void answer_all(struct sending *s, const struct smtp_answer *answer)
{
        for (unsigned i = 0; i < s->l->count; i++)
                if (!s->answers[i].stage || s->answers[i].code / 100 == 2)
                        s->answers[i] = *answer;
}

static void ours_all(struct sending *s, const char *status, const char *text)
{
        struct smtp_answer a;

        answer_ours(&a, status, "before MAIL FROM", str_of(text));
        answer_all(s, &a);
}

/* ---- what the peer can take ---- */

/* RFC 6531 §3.2: an address, whatever the letter was marked with (an alias may lead to one); and a header that is not ASCII, which only letters
 * that were marked may have. Programs mark what is plain ASCII too. */
static bool needs_utf8(const struct smtp_letter *l)
{
        bool ascii = ascii_only(l->sender);

        for (unsigned i = 0; i < l->count; i++)
                ascii &= ascii_only(l->recipients[i].address);
        return !ascii || (l->utf8 && l->eight_bit);
}

static int read_whole(void *context, uint64_t at, size_t n, struct buf *out)
{
        struct sending *s = context;

        buf_puts(out, str_sub(buf_str(&s->whole), (size_t)at, n));
        return 0;
}

/* RFC 6152 §3: the peer takes seven bits. false: answered. */
static bool make_seven_bits(struct sending *s)
{
        struct buf coded = { 0 };
        int rc;

        rc = s->l->size > DOWNCODE_MOST ? -EFBIG : client_whole(s->l, &s->whole);
        if (rc < 0 && rc != -EFBIG) {
                ours_all(s, "4.3.0", "the letter cannot be read here just now");
                return false;
        }
        if (rc < 0) {
                ours_all(s, "5.6.3",
                         "the peer takes 7-bit letters only, and this one is too long to be recoded");
                return false;
        }
        s->has_whole = true;
        switch (downcode_look(buf_str(&s->whole))) {
        case DOWNCODE_NOT_NEEDED: return true;
        case DOWNCODE_SIGNED:
                ours_all(s, "5.6.3",
                         "the peer takes 7-bit letters only, and this one is signed: it may not be recoded");
                return false;
        case DOWNCODE_BROKEN:
                ours_all(s, "5.6.3", "the peer takes 7-bit letters only, and this one cannot be recoded");
                return false;
        case DOWNCODE_YES: break;
        }
        buf_init(&coded, 4 * s->whole.n + 4096);
        rc = downcode(buf_str(&s->whole), &coded);
        buf_free(&s->whole);
        s->whole = coded;
        if (rc < 0)
                ours_all(s, "5.6.3", "the peer takes 7-bit letters only, and this one cannot be recoded");
        s->eight_bit = false;
        return rc >= 0;
}

static bool fits(struct sending *s)
{
        struct smtp_client *c = s->c;

        if (s->l->require_tls && (!(c->offers & EXT_REQUIRETLS) || !c->has_tls || !c->found.verified)) {
                ours_all(
                    s, "5.7.30",
                    "the letter asks for TLS all the way (REQUIRETLS), and the peer does not promise it");
                return false;
        }
        s->utf8 = needs_utf8(s->l);
        if (s->utf8 && !(c->offers & EXT_SMTPUTF8)) {
                ours_all(s, "5.6.7",
                         "the letter has an international address or header, and the peer does not take "
                         "those (SMTPUTF8)");
                return false;
        }
        if (c->size_most && s->l->size > c->size_most) {
                ours_all(s, "5.3.4", "the letter is longer than the peer takes");
                return false;
        }
        s->eight_bit = s->l->eight_bit;
        return !s->eight_bit || c->offers & EXT_8BITMIME || make_seven_bits(s);
}

/* ---- the envelope ---- */

static void say_mail(struct sending *s)
{
        struct smtp_client *c = s->c;
        const struct smtp_letter *l = s->l;

        conn_printf(c->conn, "MAIL FROM:<" PRS ">", STR(l->sender));
        if (c->offers & EXT_SIZE)
                conn_printf(c->conn, " SIZE=%llu", (unsigned long long)(s->has_whole ? s->whole.n : l->size));
        if (c->offers & EXT_8BITMIME && s->eight_bit)
                conn_put(c->conn, S(" BODY=8BITMIME"));
        if (s->utf8)
                conn_put(c->conn, S(" SMTPUTF8"));
        if (l->require_tls)
                conn_put(c->conn, S(" REQUIRETLS"));
        if (c->offers & EXT_DSN && l->ret.n)
                conn_printf(c->conn, " RET=" PRS, STR(l->ret));
        if (c->offers & EXT_DSN && l->envid.n)
                conn_printf(c->conn, " ENVID=" PRS, STR(l->envid));
        conn_put(c->conn, S("\r\n"));
}

static void say_rcpt(struct sending *s, const struct smtp_rcpt *r)
{
        struct str notify = parameter_of(r->parameters, S("NOTIFY")),
                   orcpt = parameter_of(r->parameters, S("ORCPT"));

        conn_printf(s->c->conn, "RCPT TO:<" PRS ">", STR(r->address));
        if (s->c->offers & EXT_DSN && notify.n)
                conn_printf(s->c->conn, " NOTIFY=" PRS, STR(notify));
        if (s->c->offers & EXT_DSN && orcpt.n)
                conn_printf(s->c->conn, " ORCPT=" PRS, STR(orcpt));
        conn_put(s->c->conn, S("\r\n"));
}

/* A reply that concerns all who are not answered yet. 0: go on; 1: answered, the connection lives; -errno: it does not. */
static int judge(struct sending *s, int rc, const struct smtp_answer *a)
{
        if (rc >= 0 && answer_good(a))
                return 0;
        answer_all(s, a);
        return rc < 0 || a->code == 421 ? -ECONNRESET : 1;
}

static int take_reply(struct sending *s, const char *stage)
{
        struct smtp_answer a;

        return judge(s, client_reply(s->c, stage, client_in(s->c, SECONDS_COMMAND), s->l->arena, &a), &a);
}

/* Whoever refuses RSET is in a state that nobody knows: what follows would be answers to something else. */
static int take_reset(struct sending *s)
{
        struct smtp_answer a;
        int rc = client_reply(s->c, "RSET", client_in(s->c, SECONDS_COMMAND), s->l->arena, &a);

        if (rc >= 0 && answer_good(&a))
                return 0;
        if (rc >= 0 && a.code != 421)
                rc = client_broken(s->c, "RSET", s->l->arena, &a, S("the peer does not take RSET"));
        answer_all(s, &a);
        return -ECONNRESET;
}

static int take_rcpt(struct sending *s, unsigned i)
{
        struct smtp_answer *a = &s->answers[i];
        int rc = client_reply(s->c, "RCPT TO", client_in(s->c, SECONDS_COMMAND), s->l->arena, a);

        s->taken += rc >= 0 && answer_good(a);
        if (rc >= 0 && a->code != 421)
                return 0;
        answer_all(s, a);
        return -ECONNRESET;
}

/* What goes out with the envelope, so that the answer to the letter costs no further round trip. */
static void say_data(struct sending *s)
{
        if (s->has_whole && s->c->offers & EXT_CHUNKING) {
                conn_printf(s->c->conn, "BDAT %zu LAST\r\n", s->whole.n);
                conn_body(s->c->conn, buf_str(&s->whole));
                s->data_asked = true;
        } else if (!(s->c->offers & EXT_CHUNKING)) {
                conn_put(s->c->conn, S("DATA\r\n"));
                s->data_asked = true;
        }
}

static int envelope_pipelined(struct sending *s)
{
        int rc = 0, mail = 0;

        if (s->c->dirty)
                conn_put(s->c->conn, S("RSET\r\n"));
        say_mail(s);
        for (unsigned from = 0; from < s->l->count && rc >= 0; from += BATCH) {
                unsigned to = s->l->count - from < BATCH ? s->l->count : from + BATCH;

                for (unsigned i = from; i < to; i++)
                        say_rcpt(s, &s->l->recipients[i]);
                if (to == s->l->count)
                        say_data(s);
                if (from == 0 && s->c->dirty)
                        rc = take_reset(s);
                if (from == 0 && rc == 0)
                        mail = rc = take_reply(s, "MAIL FROM");
                for (unsigned i = from; i < to && rc >= 0; i++) {
                        struct smtp_answer kept = s->answers[i];

                        rc = take_rcpt(s, i);
                        if (mail > 0 &&
                            rc >=
                                0) { /* the sender was refused: what is said to recipients is of no account */
                                s->answers[i] = kept;
                                s->taken = 0;
                        }
                }
        }
        s->c->dirty = true;
        return rc < 0 ? rc : 0;
}

static int envelope_in_turn(struct sending *s)
{
        int rc = 0;

        if (s->c->dirty) {
                conn_put(s->c->conn, S("RSET\r\n"));
                rc = take_reset(s);
        }
        s->c->dirty = true;
        if (rc == 0) {
                say_mail(s);
                rc = take_reply(s, "MAIL FROM");
        }
        for (unsigned i = 0; i < s->l->count && rc == 0; i++) {
                say_rcpt(s, &s->l->recipients[i]);
                rc = take_rcpt(s, i);
        }
        if (rc == 0 && s->taken)
                say_data(s);
        return rc < 0 ? rc : 0;
}

/* ---- the letter ---- */

/* LMTP answers for each recipient it has taken (RFC 2033 §4.2), SMTP once. */
static int take_end(struct sending *s)
{
        nsec deadline = client_in(s->c, SECONDS_END);
        struct smtp_answer a;
        int rc = 0;

        if (!s->c->how.lmtp || !s->taken) {
                rc = client_reply(s->c, "end of data", deadline, s->l->arena, &a);
                for (unsigned i = 0; i < s->l->count; i++)
                        if (answer_good(&s->answers[i]))
                                s->answers[i] = a;
        }
        for (unsigned i = 0; i < s->l->count && s->c->how.lmtp; i++)
                if (answer_good(&s->answers[i])) {
                        if (rc >= 0)
                                rc = client_reply(s->c, "end of data", deadline, s->l->arena, &a);
                        s->answers[i] = a;
                }
        s->c->dirty = rc >= 0 && !answer_good(&a);
        return rc < 0 || a.code == 421 ? -ECONNRESET : 0;
}

/* Our own trouble with the letter's bytes: the connection must not see an end of data. */
static int spoilt(struct sending *s, int error)
{
        struct smtp_answer a;

        answer_ours(&a, "4.3.0", "the letter",
                    arena_printf(s->l->arena, "the letter cannot be read here: %s", strerrordesc_np(-error)));
        if (!conn_ok(s->c->conn))
                answer_ours(&a, "4.4.2", "the letter",
                            S("the connection was lost while the letter was sent"));
        conn_fail(s->c->conn);
        answer_all(s, &a);
        return -ECONNRESET;
}

static int by_data(struct sending *s)
{
        struct smtp_letter whole = *s->l;
        struct smtp_answer a;
        int rc = client_reply(s->c, "DATA", client_in(s->c, SECONDS_DATA), s->l->arena, &a);

        if (rc >= 0 && a.code / 100 == 3 &&
            !s->taken) { /* nobody is there to get it: an empty letter ends it */
                conn_put(s->c->conn, S(".\r\n"));
                return take_end(s);
        }
        if (rc < 0 || a.code / 100 != 3) {
                if (answer_good(&a)) /* neither 354 nor a refusal: what it waits for is unknown */
                        return spoilt(s, -EPROTO);
                if (s->taken)
                        answer_all(s, &a);
                return rc < 0 || a.code == 421 ? -ECONNRESET : 0;
        }
        if (s->has_whole) {
                whole.read = read_whole;
                whole.context = s;
                whole.size = s->whole.n;
        }
        rc = client_put_data(s->c, &whole);
        return rc < 0 ? spoilt(s, rc) : take_end(s);
}

static int by_chunks(struct sending *s)
{
        struct smtp_answer a;
        bool answered;
        int rc;

        if (!s->taken)
                return 0;
        rc = client_put_chunks(s->c, s->l, s->l->arena, &a, &answered);
        if (answered) {
                answer_all(s, &a);
                return a.code == 421 ? -ECONNRESET : 0;
        }
        return rc < 0 ? spoilt(s, rc) : take_end(s);
}

static int send_some(struct smtp_client *c, const struct smtp_letter *l, struct smtp_answer *answers)
{
        struct sending s = { .c = c, .l = l, .answers = answers };
        int rc = 0;

        for (unsigned i = 0; i < l->count; i++)
                answers[i] = (struct smtp_answer){ 0 };
        if (!fits(&s)) {
                buf_free(&s.whole);
                return 0;
        }
        if (!s.has_whole && l->size <= AT_ONCE_MOST && c->offers & EXT_CHUNKING) {
                rc = client_whole(l, &s.whole);
                s.has_whole = rc >= 0;
        }
        if (rc < 0)
                rc = spoilt(&s, rc);
        else
                rc = c->offers & EXT_PIPELINING ? envelope_pipelined(&s) : envelope_in_turn(&s);
        if (rc >= 0 && s.data_asked)
                rc = c->offers & EXT_CHUNKING ? take_end(&s) : by_data(&s);
        else if (rc >= 0)
                rc = by_chunks(&s);
        buf_free(&s.whole);
        return rc;
}

/* No more recipients at once than the peer takes (RFC 9422): the rest go in another transaction. */
int smtp_client_send(struct smtp_client *c, const struct smtp_letter *l, struct smtp_answer *answers)
{
        unsigned most = c->rcpt_most && c->rcpt_most < l->count ? (unsigned)c->rcpt_most : l->count;
        struct smtp_letter some = *l;
        int rc = 0;

        for (unsigned at = 0; at < l->count; at += some.count) {
                some.recipients = l->recipients + at;
                some.count = l->count - at < most ? l->count - at : most;
                if (rc >= 0) {
                        c->mails++;
                        rc = send_some(c, &some, answers + at);
                        continue;
                }
                for (unsigned i = at; i < at + some.count; i++) /* it broke before their turn */
                        answer_ours(&answers[i], "4.4.2", "MAIL FROM", S("the connection was lost before"));
        }
        conn_told(c->conn); /* the conversation is kept with the answers */
        return rc;
}
