/* The SMTP client (RFC 5321), and LMTP's (RFC 2033): a connection to a peer, many letters one after another. The sender uses it, and
 * `pail send`.
 *
 *      rc = smtp_client_open(&c, conn, &how, arena, &answer);   -- greeting, EHLO or HELO, STARTTLS, AUTH
 *      rc = smtp_client_send(c, &letter, answers);              -- MAIL, RCPT ..., DATA or BDAT; an answer a recipient
 *      smtp_client_close(&c, deadline);                         -- QUIT
 *
 *   client.c        opened: greeting, EHLO, STARTTLS; closed      client_reply.c  replies, and what they offer
 *   client_auth.c   AUTH                                          client_send.c   a letter's envelope and its answers
 *   client_body.c   a letter's bytes on their way out
 *
 * What the peer says is hostile: a reply is read to its end up to 64 KB, 1 KB of it is kept, without control characters. Deadlines are RFC
 * 5321 §4.5.3.2's, each for a whole reply, so that who drips gains nothing. What leaves has no bare CR and no bare LF, whatever came in.
 *
 * With PIPELINING the envelope goes out in one piece; with CHUNKING too a letter of up to 64 KB goes out with it: one round trip. */
#pragma once
#include "base/arena.h"
#include "net/conn.h"
#include "net/tls_wanted.h"

enum smtp_extension { /* LIMITS: RFC 9422 */
                      EXT_PIPELINING = 1,
                      EXT_SIZE = 2,
                      EXT_8BITMIME = 4,
                      EXT_SMTPUTF8 = 8,
                      EXT_CHUNKING = 16,
                      EXT_DSN = 32,
                      EXT_STARTTLS = 64,
                      EXT_AUTH = 128,
                      EXT_REQUIRETLS = 256,
                      EXT_ENHANCED = 512,
                      EXT_LIMITS = 1024,
                      EXT_LMTP = 2048, /* no extension: it is spoken */
};
enum tls_need { TLS_NEVER, TLS_MAY, TLS_MUST, TLS_AT_ONCE /* port 465 */ };
struct smtp_client_how {
        const char *host; /* what we call ourselves */
        bool lmtp;
        enum tls_need tls;
        const struct tls_wanted *want; /* for the handshake; NULL: TRUST_NOTHING */
        struct tls_found
            *found; /* what the handshake found, also when that was refused; NULL: not asked for */
        struct str user,
            password; /* a relay's; user empty: no AUTH. Like all above, for smtp_client_open only */
        /* Seconds for a greeting and for a reply to most commands, the others in proportion; 0: RFC 5321's 300. */
        long patience;
        struct conn_tap *
            tap; /* the conversation: 'C' is us, 'S' the peer; secrets masked, bodies by number; NULL: none */
};

struct smtp_answer {
        uint16_t code;     /* 250, 421 ...; 0: ours, the text says */
        char status[12];   /* "5.1.1"; made from the code if the peer gave none */
        struct str text;   /* one line, printable, valid UTF-8; in the arena given with the question */
        const char *stage; /* "RCPT TO", "end of data" */
};
static inline bool answer_good(const struct smtp_answer *a)
{
        return a->code / 100 == 2;
}
/* Without TLS it might have gone well: the handshake failed, or the peer hung up when it heard the word. */
bool answer_tls_trouble(const struct smtp_answer *a);
/* By us, not by the peer: permanent if `status` begins with 5. */
void answer_ours(struct smtp_answer *a, const char *status, const char *stage, struct str text);

struct smtp_rcpt {
        struct str address;
        struct str
            parameters; /* as they stood in our own RCPT: NOTIFY and ORCPT are passed on where the peer knows DSN */
};
struct smtp_letter {
        struct str sender; /* empty: <> */
        const struct smtp_rcpt *recipients;
        unsigned count;
        bool eight_bit, utf8, require_tls;
        struct str envid, ret; /* DSN; empty: none */
        uint64_t size;         /* of what `read` gives */
        /* Bytes from `at` on, appended, as many as there are up to n. 0 or -errno. May wait. */
        int (*read)(void *context, uint64_t at, size_t n, struct buf *out);
        void *context;
        struct arena *arena; /* for the answers' texts */
};
struct smtp_client;
/* Takes conn in any case. 0; -errno: *answer is why (-EACCES: TLS is not as wanted, or the password is wrong). */
[[nodiscard]] int smtp_client_open(struct smtp_client **out, struct conn *c,
                                   const struct smtp_client_how *how, struct arena *a,
                                   struct smtp_answer *answer);
unsigned smtp_client_offers(const struct smtp_client *c);             /* enum smtp_extension, after TLS */
const struct tls_found *smtp_client_tls(const struct smtp_client *c); /* NULL: in clear */
/* One answer a recipient. 0: the connection may carry another letter; -ECONNRESET: it may not (421, or it broke). What the peer lacks is
 * answered by ourselves: SIZE 5.3.4, SMTPUTF8 5.6.7, REQUIRETLS 5.7.30, and 8BITMIME 5.6.3 where mail/downcode.h does not help. */
[[nodiscard]] int smtp_client_send(struct smtp_client *c, const struct smtp_letter *l,
                                   struct smtp_answer *answers);
void smtp_client_tap(
    struct smtp_client *c,
    struct conn_tap *tap); /* another tap from now on; NULL: none. One there must have been */
bool smtp_client_alive(
    struct smtp_client
        *c); /* nothing came, it is not closed, nor has the peer had all it wants: it may be used again */
void smtp_client_close(struct smtp_client **c, nsec deadline); /* QUIT; waits. deadline 0: without a word */
