/* The SMTP client (and LMTP's, RFC 2033): a connection to a peer, many letters one after another. The sender uses it, and `pail send`.
 *
 *      struct smtp_client *c;
 *      rc = smtp_client_open(&c, conn, &how);          -- greeting, EHLO or HELO, STARTTLS, AUTH
 *      rc = smtp_client_send(c, &letter, answers);     -- MAIL, RCPT ..., DATA or BDAT; an answer a recipient
 *      smtp_client_close(&c, deadline);                -- QUIT
 *
 * What the peer says is hostile: replies of any length and shape are bounded (64 KB a reply, 2 KB of it kept), their text never reaches a
 * terminal or a header raw. Deadlines are RFC 5321 §4.5.3.2's. What leaves has no bare CR or LF, no line over 998 bytes unless by BDAT. */
#pragma once
#include "base/buf.h"
#include "net/dial.h"

enum smtp_extension {
        EXT_PIPELINING = 1,
        EXT_SIZE = 2,
        EXT_8BITMIME = 4,
        EXT_SMTPUTF8 = 8,
        EXT_CHUNKING = 16,
        EXT_BINARYMIME = 32,
        EXT_DSN = 64,
        EXT_STARTTLS = 128,
        EXT_AUTH = 256,
        EXT_REQUIRETLS = 512,
        EXT_ENHANCED = 1024,
        EXT_LIMITS = 2048,
        EXT_ATRN = 4096,
};
enum tls_need { TLS_NEVER, TLS_MAY, TLS_MUST, TLS_AT_ONCE /* port 465 */ };
struct smtp_client_how {
        const char *host; /* what we call ourselves */
        bool lmtp;
        enum tls_need tls;
        const struct tls_wanted *want; /* for the handshake */
        struct str user, password;     /* a relay's; empty: no AUTH */
        struct buf *conversation;      /* transcript form, bodies by number, secrets masked; NULL: none */
        struct conn_tap *tap;          /* pail send -v: as it goes; NULL: none */
};
struct smtp_answer {
        uint16_t code;     /* 250, 421 ...; 0: the connection broke, or something of ours: text says */
        char status[12];   /* "5.1.1"; empty: none was given */
        struct str text;   /* one line, harmless characters; in the letter's arena */
        const char *stage; /* "RCPT TO", "end of data" */
};
struct smtp_letter {
        struct str sender; /* empty: <> */
        const struct smtp_rcpt {
                struct str address, parameters; /* NOTIFY, ORCPT: as the DSN parameters stood */
        } * recipients;
        unsigned count;
        bool utf8, eight_bit, require_tls;
        struct str envid, ret; /* DSN; empty: none */
        uint64_t size;
        /* The letter's bytes, from the start each time it is asked for at 0. *got 0: the end. */
        int (*read)(void *context, uint64_t at, char *room, size_t n, size_t *got);
        void *context;
        struct arena *arena; /* for the answers */
};
struct smtp_client;
[[nodiscard]] int smtp_client_open(struct smtp_client **out, struct conn *c,
                                   const struct smtp_client_how *how, struct arena *a,
                                   struct smtp_answer *answer);
unsigned smtp_client_offers(const struct smtp_client *c);             /* after TLS */
const struct tls_found *smtp_client_tls(const struct smtp_client *c); /* NULL: in clear */
/* One answer a recipient. 0: the connection may carry another letter; -errno: it may not. What the peer lacks (8BITMIME, SMTPUTF8, SIZE, REQUIRETLS)
 * is answered by ourselves, or the letter is down-coded (mail/downcode.h). */
[[nodiscard]] int smtp_client_send(struct smtp_client *c, const struct smtp_letter *l,
                                   struct smtp_answer *answers);
void smtp_client_close(struct smtp_client **c, nsec deadline);
