/* The SMTP client against a peer that plays a script: "S:" is what the peer says, "C:" what it must hear. */
#include "unit.h"
#include "base/codec.h"
#include "base/mem.h"
#include "mail/downcode.h"
#include "net/conn.h"
#include "proto/smtp/client.h"
#include "proto/smtp/client_inside.h"
#include "proto/transcript.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(60) /* reached by no test that passes */

int conn_starttls_to(struct conn *c, const struct tls_wanted *w, nsec deadline, struct tls_found *found)
{
        (void)c, (void)w, (void)deadline;
        found->verified = true;
        return 0;
}

static struct arena arena;
static const char *script;
static unsigned peers;

/* ---- the peer ---- */

static void hear(struct conn *c, const struct transcript_line *want)
{
        struct str line;
        enum got got = conn_line(c, &line, 70000, SOON);

        if (got != GOT_LINE || !transcript_matches(want->text, line))
                die("%u: want \"" PRS "\", got \"" PRS "\" (%d)", want->number, STR(want->text), STR(line),
                    (int)got);
}

/* "550 5.7.1 e with an accent, again and again": one line of so many bytes. */
static void long_line(struct conn *c, unsigned bytes)
{
        conn_put(c, S("550 5.7.1 "));
        for (unsigned i = 10; i < bytes; i += 2)
                conn_put(c, S("\xC3\xA9"));
        conn_put(c, S("\r\n"));
}

/* A byte at a time, and the client looks at each. */
static void drip(struct conn *c, struct str words)
{
        for (size_t i = 0; i < words.n; i++) {
                conn_put(c, str_sub(words, i, 1));
                must(conn_flush(c, SOON) == 0);
                must(fiber_sleep(now()) == 0);
        }
}

/* Never a whole line, and never a pause: only whoever looks at the clock gets away. */
static void drip_for_ever(struct conn *c)
{
        do {
                conn_put(c, S("2"));
        } while (conn_flush(c, SOON) == 0 && fiber_sleep(now() + 10 * MSECOND) == 0);
}

static void peer(void *arg)
{
        struct conn *c = arg;
        bool drips = false;
        struct transcript_line *lines;
        auto_arena struct arena m;
        auto_buf struct buf why;
        struct str rest;
        size_t n;

        arena_init(&m, 1 << 20);
        buf_init(&why, 1000);
        must(transcript_read(str_of(script), &m, &lines, &n, &why) == 0);
        for (size_t i = 0; i < n; i++) {
                if (lines[i].kind == TRANSCRIPT_CLIENT)
                        hear(c, &lines[i]);
                else if (lines[i].kind == TRANSCRIPT_SERVER && drips)
                        drip(c, arena_printf(&m, PRS "\r\n", STR(lines[i].text)));
                else if (lines[i].kind == TRANSCRIPT_SERVER)
                        conn_printf(c, PRS "\r\n", STR(lines[i].text));
                else if (str_eq(lines[i].text, S("hang up")))
                        break;
                else if (str_eq(lines[i].text, S("drip")))
                        drips = true;
                else if (str_eq(lines[i].text, S("drip for ever")))
                        drip_for_ever(c);
                else if (str_eq(lines[i].text, S("long")))
                        long_line(c, 65000);
                else if (str_eq(lines[i].text, S("too long")))
                        long_line(c, 66000);
                else if (str_eq(lines[i].text, S("endless")))
                        for (int k = 0; k < 3000; k++)
                                conn_put(c, S("250-and so on and so forth and so on and so forth\r\n"));
        }
        conn_flush(c, SOON);
        if (n && !str_eq(lines[n - 1].text, S("hang up")) && !str_eq(lines[n - 1].text, S("endless")) &&
            !str_eq(lines[n - 1].text, S("drip for ever")))
                must(conn_line(c, &rest, 100, SOON) == GOT_END); /* and not another word */
        conn_free(&c);
        peers--;
}

/* ---- the letter ---- */

static struct str text = S("Subject: water\r\n\r\nJill\r\n.dot\r\n");
static int read_text(void *context, uint64_t at, size_t n, struct buf *out)
{
        (void)context;
        buf_puts(out, str_sub(text, (size_t)at, n < 7 ? n : 7)); /* in small pieces */
        return 0;
}

static const struct smtp_rcpt two[] = { { S("jill@hill.com"), S("NOTIFY=NEVER ORCPT=rfc822;j@h") },
                                        { S("bob@hill.com"), S("") } };
static const struct smtp_rcpt international[] = { { S("j\xc3\xbcrgen@hill.com"), S("") } };

struct play {
        const char *script;
        struct smtp_client_how how;
        unsigned count;   /* recipients; 0: only opened */
        const char *text; /* NULL: the one above */
        bool eight_bit, utf8, require_tls, twice;
        bool international;  /* the recipient's address */
        int opened, sent;    /* 0, or that it fails (-1) */
        const char *answers; /* code and status of each, in the last letter */
        const char *before;  /* the same of the first of two; NULL: as in the last */
        bool spent;          /* the connection may not be used again, though nothing went wrong */
};

static void send_one(struct smtp_client *c, const struct play *p)
{
        struct smtp_letter l = { .sender = S("jack@town.com"),
                                 .recipients = p->international ? international : two,
                                 .count = p->count,
                                 .eight_bit = p->eight_bit,
                                 .utf8 = p->utf8,
                                 .require_tls = p->require_tls,
                                 .ret = S("HDRS"),
                                 .envid = S("7"),
                                 .size = text.n,
                                 .read = read_text,
                                 .arena = &arena };
        struct smtp_answer answers[2];
        char got[200] = "";
        int rc = smtp_client_send(c, &l, answers);

        for (unsigned i = 0; i < p->count; i++)
                must(answers[i].text.n <= 1024 && utf8_valid(answers[i].text));
        for (unsigned i = 0; i < p->count; i++)
                snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%u %s", i ? ", " : "",
                         answers[i].code, answers[i].status);
        if ((rc < 0) != (p->sent < 0) || strcmp(got, p->answers))
                die("rc %d, answers \"%s\", want \"%s\"", rc, got, p->answers);
}

static void play(const struct play *p)
{
        struct smtp_answer answer;
        struct smtp_client *c;
        struct play first = *p;
        int fds[2], rc;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        script = p->script;
        text = p->text ? str_of(p->text) : S("Subject: water\r\n\r\nJill\r\n.dot\r\n");
        peers++;
        must(fiber_spawn("peer", peer, conn_new(fds[0], (struct addr){ 0 }, (struct addr){ 0 })) == 0);
        rc = smtp_client_open(&c, conn_new(fds[1], (struct addr){ 0 }, (struct addr){ 0 }), &p->how, &arena,
                              &answer);
        if ((rc < 0) != (p->opened < 0))
                die("open: %d, %u %s " PRS, rc, answer.code, answer.status, STR(answer.text));
        if (c && p->count) {
                first.sent = 0;
                if (p->before)
                        first.answers = p->before;
                if (p->twice)
                        send_one(c, &first);
                send_one(c, p);
                if (p->sent == 0)
                        must(smtp_client_alive(c) == !p->spent);
        }
        smtp_client_close(&c, 0);
        while (peers)
                fiber_yield();
}

#define HELLO  "S: 220 hill.com\nC: EHLO town.com\n"
#define PLAIN  HELLO "S: 250 hill.com\n"
#define PIPED  HELLO "S: 250-hill.com\nS: 250-SIZE 1000\nS: 250-8BITMIME\nS: 250-DSN\nS: 250 PIPELINING\n"
#define CHUNKS HELLO "S: 250-hill.com\nS: 250-PIPELINING\nS: 250 CHUNKING\n"
#define BODY   "C: Subject: water\nC:\nC: Jill\nC: ..dot\nC: .\n"
#define MAIL2  "C: MAIL FROM:<jack@town.com>\n"

static const struct smtp_client_how simply = { .host = "town.com" };

static void talks(void *arg)
{
        static const struct play plays[] = {
                /* in turn, as RFC 821 had it */
                { PLAIN MAIL2 "S: 250 ok\nC: RCPT TO:<jill@hill.com>\nS: 250 ok\nC: RCPT "
                              "TO:<bob@hill.com>\nS: 550 5.1.1 no\nC: DATA\nS: 354 go\n" BODY
                              "S: 250 2.0.0 thanks\n",
                  .count = 2, .answers = "250 2.0.0, 550 5.1.1" },
                /* HELO where EHLO is not known */
                { HELLO "S: 500 what?\nC: HELO town.com\nS: 250 hi\n" MAIL2
                        "S: 250 ok\nC: RCPT TO:<jill@hill.com>\nS: 450 later\n",
                  .count = 1, .answers = "450 4.0.0" },
                /* in one piece; DSN's parameters */
                { PIPED
                  "C: MAIL FROM:<jack@town.com> SIZE=30 RET=HDRS ENVID=7\nC: RCPT TO:<jill@hill.com> "
                  "NOTIFY=NEVER ORCPT=rfc822;j@h\n"
                  "C: RCPT TO:<bob@hill.com>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" BODY
                  "S: 452 4.3.1 full\n",
                  .count = 2, .answers = "452 4.3.1, 452 4.3.1" },
                /* nobody is taken, and yet it says 354 */
                { PIPED "C: MAIL FROM:*\nC: RCPT TO:*\nC: DATA\nS: 250 ok\nS: 550 no\nS: 354 go\nC: .\nS: "
                        "554 no recipients\n",
                  .count = 1, .answers = "550 5.0.0" },
                /* the sender is refused */
                { PIPED "C: MAIL FROM:*\nC: RCPT TO:*\nC: RCPT TO:*\nC: DATA\nS: 553 5.1.8 you\nS: 503 "
                        "no\nS: 503 no\nS: 503 no\n",
                  .count = 2, .answers = "553 5.1.8, 553 5.1.8" },
                /* with the envelope, and RSET before the next after a failure */
                { CHUNKS "C: MAIL FROM:*\nC: RCPT TO:*\nC: BDAT 30 LAST\nC: Subject: water\nC:\nC: Jill\nC: "
                         ".dot\nS: 250 ok\nS: 250 ok\nS: 554 5.7.1 spam\n"
                         "C: RSET\nC: MAIL FROM:*\nC: RCPT TO:*\nC: BDAT 30 LAST\nC: Subject: water\nC:\nC: "
                         "Jill\nC: .dot\nS: 250 ok\nS: 250 ok\n"
                         "S: 250 ok\nS: 554 5.7.1 spam\n",
                  .count = 1, .twice = true, .answers = "554 5.7.1" },
                /* who refuses RSET is left: in turn, and in one piece, where more answers are under way */
                { PLAIN MAIL2 "S: 553 5.1.8 you\nC: RSET\nS: 502 5.5.1 what?\n", .count = 1, .twice = true,
                  .before = "553 5.1.8", .sent = -1, .answers = "0 4.4.2" },
                { PIPED "C: MAIL FROM:*\nC: RCPT TO:*\nC: DATA\nS: 250 ok\nS: 550 no\nS: 554 nobody\n"
                        "C: RSET\nC: MAIL FROM:*\nC: RCPT TO:*\nC: DATA\nS: 500 what?\nS: 503 no\nS: 250 "
                        "ok\nS: 354 go\nhang up\n",
                  .count = 1, .twice = true, .before = "550 5.0.0", .sent = -1, .answers = "0 4.4.2" },
                { PLAIN MAIL2 "S: 553 5.1.8 you\nC: RSET\nS: 421 4.3.2 enough\nhang up\n", .count = 1,
                  .twice = true, .before = "553 5.1.8", .sent = -1, .answers = "421 4.3.2" },
                /* LIMITS: so many recipients in a transaction, so many transactions; what is no number counts not */
                { HELLO "S: 250-hill.com\nS: 250 LIMITS RCPTMAX=1\n" MAIL2
                        "S: 250 ok\nC: RCPT TO:<jill@hill.com>\nS: 250 ok\nC: DATA\nS: 354 go\n" BODY
                        "S: 250 2.0.0 one\n" MAIL2 "S: 250 ok\nC: RCPT TO:<bob@hill.com>\nS: 550 5.1.1 two\n",
                  .count = 2, .answers = "250 2.0.0, 550 5.1.1" },
                { HELLO "S: 250-hill.com\nS: 250 LIMITS MAILMAX=1\n" MAIL2
                        "S: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\n" BODY "S: 250 ok\n",
                  .count = 1, .answers = "250 2.0.0", .spent = true },
                { HELLO
                  "S: 250-hill.com\nS: 250 LIMITS RCPTMAX=0 RCPTMAX=-1 MAILMAX=99999999999999999999999 "
                  "RCPTMAX MAILMAX=one LIMITS=2\n" MAIL2
                  "S: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\n" BODY
                  "S: 250 ok\n",
                  .count = 2, .answers = "250 2.0.0, 250 2.0.0" },
                /* byte by byte it is the same; and whoever never comes to an end is left */
                { "drip\n" PIPED "C: MAIL FROM:*\nC: RCPT TO:*\nC: RCPT TO:*\nC: DATA\nS: 250-first\nS: 250 "
                  "2.1.0 last\nS: 250 "
                  "ok\nS: 550-5.1.1 no\nS: 550 5.1.1 body\nS: 354 go\n" BODY
                  "S: 250-2.0.0 thanks\nS: 250 2.0.0 a lot\n",
                  .count = 2, .answers = "250 2.0.0, 550 5.1.1" },
                { "drip for ever\n", .how = { .patience = 1 }, .opened = -1 },
                { PLAIN MAIL2 "drip for ever\n", .how = { .patience = 1 }, .count = 1, .sent = -1,
                  .answers = "0 4.4.2" },
                /* too long for it */
                { HELLO "S: 250-hill.com\nS: 250 SIZE 10\n", .count = 1, .answers = "0 5.3.4" },
                /* SMTPUTF8: where something needs it, said or not */
                { PLAIN, .count = 1, .utf8 = true, .eight_bit = true, .answers = "0 5.6.7" },
                { PLAIN, .count = 1, .international = true, .answers = "0 5.6.7" },
                { HELLO "S: 250-hill.com\nS: 250 SMTPUTF8\nC: MAIL FROM:<jack@town.com> SMTPUTF8\nS: 250 ok\n"
                        "C: RCPT TO:<j\xc3\xbcrgen@hill.com>\nS: 550 no\n",
                  .count = 1, .international = true, .answers = "550 5.0.0" },
                { PLAIN "C: MAIL FROM:<jack@town.com>\nS: 250 ok\nC: RCPT TO:*\nS: 550 no\n", .count = 1,
                  .utf8 = true, .answers = "550 5.0.0" },
                { PLAIN, .count = 1, .require_tls = true, .answers = "0 5.7.30" },
                /* no smuggling: a CR or LF alone becomes a line end */
                { PLAIN MAIL2 "S: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nC: a\nC: ..\nC: b\nC: "
                              "..\nC: c\nC: .\nS: 250 ok\n",
                  .count = 1, .text = "a\n.\nb\r.\rc", .answers = "250 2.0.0" },
                /* seven bits only: recoded */
                { PLAIN MAIL2 "S: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nC: Subject: x\nC: "
                              "MIME-Version: 1.0\n"
                              "C: Content-Type: text/plain; charset=utf-8\nC: Content-Transfer-Encoding: "
                              "quoted-printable\nC:\nC: caf=C3=A9\nC: .\nS: 250 ok\n",
                  .count = 1, .eight_bit = true, .text = "Subject: x\r\n\r\ncaf\xC3\xA9\r\n",
                  .answers = "250 2.0.0" },
                { PLAIN, .count = 1, .eight_bit = true,
                  .text = "DKIM-Signature: x\r\nSubject: x\r\n\r\ncaf\xC3\xA9\r\n", .answers = "0 5.6.3" },
                /* eight bits: as they are where they are taken; where none are, nothing is said of them */
                { PIPED "C: MAIL FROM:<jack@town.com> SIZE=* BODY=8BITMIME*\nC: RCPT TO:*\nC: DATA\nS: 250 "
                        "ok\nS: 250 "
                        "ok\nS: 354 go\nC: Subject: x\nC:\nC: caf\xC3\xA9\nC: .\nS: 250 ok\n",
                  .count = 1, .eight_bit = true, .text = "Subject: x\r\n\r\ncaf\xC3\xA9\r\n",
                  .answers = "250 2.0.0" },
                { PLAIN MAIL2 "S: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\n" BODY "S: 250 ok\n",
                  .count = 1, .eight_bit = true, .answers = "250 2.0.0" },
                { CHUNKS "C: MAIL FROM:<jack@town.com>\nC: RCPT TO:*\nC: BDAT 130 LAST\nC: Subject: x\nC: "
                         "MIME-Version: "
                         "1.0\nC: Content-Type: text/plain; charset=utf-8\nC: Content-Transfer-Encoding: "
                         "quoted-printable\nC:\nC: caf=C3=A9\nS: 250 ok\nS: 250 ok\nS: 250 ok\n",
                  .count = 1, .eight_bit = true, .text = "Subject: x\r\n\r\ncaf\xC3\xA9\r\n",
                  .answers = "250 2.0.0" },
                { PLAIN, .count = 1, .eight_bit = true, .text = "Subject: caf\xC3\xA9\r\n\r\nx\r\n",
                  .answers = "0 5.6.3" },
                /* the peer breaks off, lies, never ends */
                { PLAIN MAIL2 "S: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nhang up\n", .count = 1,
                  .sent = -1, .answers = "0 4.4.2" },
                { PLAIN MAIL2 "S: 421 4.3.2 going down\nhang up\n", .count = 2, .sent = -1,
                  .answers = "421 4.3.2, 421 4.3.2" },
                { PLAIN MAIL2 "S: 25 what\nhang up\n", .count = 1, .sent = -1, .answers = "0 4.4.2" },
                { PLAIN MAIL2 "endless\n", .count = 1, .sent = -1, .answers = "0 4.4.2" },
                /* of a line of any length the first part is kept, and the conversation goes on; 64 KB is the end */
                { PLAIN MAIL2
                  "S: 250 ok\nC: RCPT TO:*\nlong\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\n" BODY
                  "S: 250 2.0.0 thanks\n",
                  .count = 2, .answers = "550 5.7.1, 250 2.0.0" },
                { PLAIN MAIL2 "S: 250 ok\nC: RCPT TO:*\ntoo long\nhang up\n", .count = 1, .sent = -1,
                  .answers = "0 4.4.2" },
                { PLAIN MAIL2 "S: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 250 strange\nhang up\n",
                  .count = 1, .sent = -1, .answers = "0 4.3.0" },
                { "S: 554 no mail here\nhang up\n", .opened = -1 },
                { "hang up\n", .opened = -1 },
                /* AUTH, by what is offered */
                { HELLO "S: 250 AUTH GSSAPI PLAIN\nC: AUTH PLAIN AGphY2sAY3Jvd24=\nS: 235 in\n",
                  .how = { .user = S("jack"), .password = S("crown") } },
                { HELLO "S: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: amFjaw==\nS: 334 "
                        "UGFzc3dvcmQ6\nC: Y3Jvd24=\nS: 535 5.7.8 no\nC: QUIT\nS: 221 bye\n",
                  .how = { .user = S("jack"), .password = S("crown") }, .opened = -1 },
                { HELLO
                  "S: 250 AUTH PLAIN SCRAM-SHA-256\nC: AUTH SCRAM-SHA-256 *\nS: 535 5.7.8 no\nC: AUTH PLAIN "
                  "AGphY2sAY3Jvd24=\nS: 235 in\n",
                  .how = { .user = S("jack"), .password = S("crown") } },
                { HELLO "S: 250 AUTH XPLAIN\nC: QUIT\nS: 221 bye\n",
                  .how = { .user = S("jack"), .password = S("crown") }, .opened = -1 },
                /* STARTTLS: what was said before is forgotten */
                { HELLO "S: 250-SIZE 10\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nC: EHLO town.com\nS: 250 "
                        "hill.com\n" MAIL2 "S: 250 ok\nC: RCPT TO:*\nS: 550 no\n",
                  .how = { .tls = TLS_MAY }, .count = 1, .answers = "550 5.0.0" },
                { PLAIN "C: QUIT\nS: 221 bye\n", .how = { .tls = TLS_MUST }, .opened = -1 },
                /* LMTP answers for each */
                { "S: 220 hill.com\nC: LHLO town.com\nS: 250 PIPELINING\nC: MAIL FROM:*\nC: RCPT TO:*\nC: "
                  "RCPT TO:*\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" BODY
                  "S: 250 2.0.0 ok\nS: 452 4.2.2 full\n",
                  .how = { .lmtp = true }, .count = 2, .answers = "250 2.0.0, 452 4.2.2" },
        };

        (void)arg;
        for (size_t i = 0; i < LENGTH(plays); i++) {
                struct play p = plays[i];

                p.how.host = simply.host;
                play(&p);
        }
        fiber_cancel_all();
        loop_stop();
}

static void the_client_talks(void **state)
{
        (void)state;
        arena_init(&arena, 1 << 24);
        loop_init();
        assert_int_equal(offload_start(1, 1), 0);
        assert_int_equal(fiber_spawn("talks", talks, NULL), 0);
        loop_run();
        offload_finish();
        arena_finish(&arena);
}

/* ---- seven bits ---- */

static void recodes(void **state)
{
        static const struct {
                const char *letter, *want;
                enum downcode_can can;
        } rows[] = {
                { "Subject: x\r\n\r\nplain\r\n", NULL, DOWNCODE_NOT_NEEDED },
                { "Subject: \xC3\xA9\r\n\r\nx\r\n", NULL, DOWNCODE_BROKEN },
                { "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xE9\r\n--b--\r\n", NULL,
                  DOWNCODE_SIGNED },
                { "Content-Transfer-Encoding: base64\r\n\r\n\xE9\r\n", NULL, DOWNCODE_BROKEN },
                { "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
                  "boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nintro\r\n--b\r\n"
                  "Content-Type: text/plain; charset=latin1\r\nContent-Transfer-Encoding: "
                  "8bit\r\n\r\n.caf\xE9 = \r\nFrom x\r\n--b\r\nContent-Type: "
                  "image/x\r\n\r\n\xFF\xFE\x01\r\n--b\r\n\r\nplain\r\n--b--\r\n",
                  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
                  "boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\nintro\r\n--b\r\n"
                  "Content-Type: text/plain; charset=latin1\r\nContent-Transfer-Encoding: "
                  "quoted-printable\r\n\r\n=2Ecaf=E9 =3D=20\r\n=46rom x\r\n--b\r\nContent-Type: "
                  "image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n//4B\r\n--b\r\n\r\nplain\r\n--b--\r\n",
                  DOWNCODE_YES },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct buf out;

                assert_int_equal(downcode_look(str_of(rows[i].letter)), rows[i].can);
                if (!rows[i].want)
                        continue;
                buf_init(&out, 10000);
                assert_int_equal(downcode(str_of(rows[i].letter), &out), 0);
                assert_str(buf_str(&out), str_of(rows[i].want));
                buf_free(&out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_client_talks),
                cmocka_unit_test(recodes),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("smtp_client", tests, NULL, NULL);
}
