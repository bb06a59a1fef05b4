/* The SMTP client against a peer that says any bytes in any cut into segments (0xff marks the cuts). The first byte says how it is used. What must
 * hold: every recipient has an answer in one printable line; good is only what the peer called so; nothing leaves with a bare CR or LF,
 * whatever the letter has. */
#include "base/codec.h"
#include "base/mem.h"
#include "net/conn.h"
#include "proto/smtp/client.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* A handshake that always goes well. */
int conn_starttls_to(struct conn *c, const struct tls_wanted *w, nsec deadline, struct tls_found *found)
{
        (void)c, (void)w, (void)deadline;
        found->version = "TLS1.3";
        found->verified = true;
        return 0;
}

struct talk {
        int fd;
        struct str input;
        unsigned how;
        bool good; /* the peer has said something that begins with 2 */
        char last;
        bool over;
};

static struct str letter = S("Subject: caf\303\251\r\n\nbare\rhere\n.\r\n..\r\rend\n.\n\r\n\r");

static int read_letter(void *context, uint64_t at, size_t n, struct buf *out)
{
        (void)context;
        buf_puts(out, str_sub(letter, (size_t)at, n < 9 ? n : 9));
        return 0;
}

/* What has left so far: lines. */
static bool hear(struct talk *t)
{
        char piece[4096];
        ssize_t n = recv(t->fd, piece, sizeof(piece), MSG_DONTWAIT);

        for (ssize_t i = 0; i < n; i++) {
                must(piece[i] != '\n' || t->last == '\r', "a bare LF leaves");
                must(t->last != '\r' || piece[i] == '\n', "a bare CR leaves");
                t->last = piece[i];
        }
        return n > 0 || (n < 0 && errno == EAGAIN);
}

static void peer(void *arg)
{
        struct talk *t = arg;
        struct str piece;

        while (t->input.n) {
                str_cut(&t->input, (char)0xff, &piece);
                if (piece.n && send(t->fd, piece.p, piece.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        break;
                fiber_yield();
                if (!hear(t))
                        break;
        }
        shutdown(t->fd, SHUT_WR);
        while (!t->over && hear(t))
                fiber_yield();
        while (hear(t) && !t->over)
                ;
        close(t->fd);
}

static void check(const struct smtp_answer *a, bool any_good)
{
        must(a->stage && a->status[0] >= '2' && a->status[0] <= '5' && a->status[1] == '.', "no answer");
        must(!a->code || (a->code >= 200 && a->code < 600), "no code");
        must(!str_has_control(a->text) && utf8_valid(a->text), "an answer that is not printable");
        must(!answer_good(a) || any_good, "good, and nobody said so");
}

static void client(void *arg)
{
        struct talk *t = arg;
        struct smtp_client_how how = { .host = "town.com",
                                       .lmtp = t->how & 1,
                                       .tls = t->how & 2 ? TLS_MAY : TLS_NEVER,
                                       .user = t->how & 4 ? S("jack") : S(""),
                                       .password = S("crown") };
        struct smtp_rcpt to[3] = { { S("jill@hill.com"), S("NOTIFY=NEVER ORCPT=rfc822;x@y") },
                                   { S("alice@crepes.fr"), S("") },
                                   { t->how & 8 ? S("b\303\266b@hamburger.edu") : S("bob@hamburger.edu"),
                                     S("") } };
        struct smtp_answer answers[3], answer;
        struct smtp_client *c;
        struct arena a;
        struct addr nobody = { 0 };
        int fd[2], rc;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0, "no sockets");
        t->fd = fd[1];
        arena_init(&a, 64 << 20);
        must(fiber_spawn("peer", peer, t) == 0, "no fiber");
        rc = smtp_client_open(&c, conn_new(fd[0], nobody, nobody), &how, &a, &answer);
        must(rc == 0 || !c, "a client that failed");
        if (rc < 0)
                check(&answer, t->good);
        for (unsigned i = 0; i < 2 && rc == 0; i++) {
                struct smtp_letter l = { .sender = i ? S("") : S("jack@town.com"),
                                         .recipients = to,
                                         .count = 3,
                                         .eight_bit = t->how & 16,
                                         .utf8 = t->how & 8,
                                         .require_tls = t->how & 32,
                                         .envid = S("QQ314"),
                                         .ret = S("HDRS"),
                                         .size = letter.n,
                                         .read = read_letter,
                                         .arena = &a };

                rc = smtp_client_send(c, &l, answers);
                for (unsigned k = 0; k < 3; k++)
                        check(&answers[k], t->good);
                if (rc == 0 && !smtp_client_alive(c))
                        break;
        }
        smtp_client_close(&c, t->how & 64 ? now() + SECOND : 0);
        t->over = true;
        arena_finish(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct talk t = { 0 };

        if (!size)
                return 0;
        log_quiet = true;
        t.how = data[0];
        t.input = str_from(data + 1, size - 1);
        t.good = str_find(t.input, '2') != STR_NONE;
        loop_init();
        must(fiber_spawn("client", client, &t) == 0, "no fiber");
        loop_stop();
        loop_run();
        loop_finish();
        return 0;
}
