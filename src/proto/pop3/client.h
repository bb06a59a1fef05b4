/* The POP3 client (RFC 1939, 1734, 2449, 2595, 5034, 6856): one session. With PIPELINING many RETRs are on their way at once.
 *
 *      rc = pop3_client_open(&c, conn, &how, &answer);       -- greeting, CAPA, STLS
 *      rc = pop3_client_login(c, user, password, &answer);   -- AUTH, APOP where the greeting has a timestamp and there is no TLS, USER and PASS
 *      rc = pop3_client_list(c, arena, &list, &n, &answer);  -- LIST and UIDL
 *      rc = pop3_client_letters(c, numbers, n, &take, &answer);
 *      rc = pop3_client_delete(c, numbers, n, &answer);
 *      rc = pop3_client_quit(&c, &answer);                   -- only now the server removes: 0 says that it did
 *
 *   client.c       opened, TLS, CAPA, closed      client_login.c    AUTH, APOP, USER and PASS
 *   client_say.c   answers and lists, line by line; LIST, UIDL, DELE   client_letters.c  RETR and TOP
 *
 * A password is shown to the other side only under TLS, to this machine itself, or with clear_password; APOP's digest may go in clear. Errors: as in
 * proto/imap/client.h, -EREMOTEIO is -ERR. A letter that one -ERR is about is left out, the others come, and that is the result.
 *
 * Hostile as ever: bounded lines, dots unstuffed, sizes told are not believed, unique-ids of more than 70 characters or with controls are -EPROTO. */
#pragma once
#include "base/arena.h"
#include "net/conn.h"
#include "net/tls_wanted.h"
#include "proto/smtp/client.h" /* enum tls_need */

enum pop3_offers {
        POP3_HAS_PIPELINING = 1,
        POP3_HAS_UIDL = 2,
        POP3_HAS_TOP = 4,
        POP3_HAS_UTF8 = 8,
        POP3_HAS_STLS = 16,
        POP3_HAS_USER = 32
};
struct pop3_client_how {
        const char *host;
        enum tls_need tls;
        const struct tls_wanted *want;
        struct tls_found
            *found; /* what the handshake found, also when that was refused; NULL: not asked for */
        struct conn_tap *tap;
        nsec patience;       /* 0: 60 s */
        bool clear_password; /* it may be shown without TLS, wherever that is */
};
struct pop3_answer {
        bool good;
        char code[32]; /* RFC 2449's [IN-USE], without brackets */
        char text[512];
};
struct pop3_entry {
        uint32_t number;
        uint64_t size;
        struct str uidl; /* empty: the server has none */
};
struct pop3_take {
        int (*begin)(void *context, const struct pop3_entry *e);
        int (*piece)(void *context, struct str bytes); /* with CRLF, dots unstuffed */
        int (*end)(void *context);
        void *context;
        bool header_only; /* TOP n 0 */
};
struct pop3_client;
[[nodiscard]] int pop3_client_open(struct pop3_client **out, struct conn *conn,
                                   const struct pop3_client_how *how, struct pop3_answer *answer);
[[nodiscard]] int pop3_client_login(struct pop3_client *c, const char *user, const char *password,
                                    struct pop3_answer *answer);
unsigned pop3_client_offers(const struct pop3_client *c);
const struct tls_found *pop3_client_tls(const struct pop3_client *c);
/* In order of number; at most 200,000. The arena needs 32 MB of room. */
[[nodiscard]] int pop3_client_list(struct pop3_client *c, struct arena *a, struct pop3_entry **list,
                                   size_t *n, struct pop3_answer *answer);
/* A callback that does not give 0 ends it, and that is the result; they may wait. */
[[nodiscard]] int pop3_client_letters(struct pop3_client *c, const struct pop3_entry *list, size_t n,
                                      const struct pop3_take *take, struct pop3_answer *answer);
[[nodiscard]] int pop3_client_delete(struct pop3_client *c, const struct pop3_entry *list, size_t n,
                                     struct pop3_answer *answer);
[[nodiscard]] int pop3_client_quit(struct pop3_client **c, struct pop3_answer *answer);
void pop3_client_drop(struct pop3_client **c); /* without QUIT: nothing is removed there */
