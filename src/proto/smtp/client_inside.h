/* What the files of the SMTP client share. */
#pragma once
#include "proto/smtp/client.h"

#define SECONDS_GREETING 300 /* RFC 5321 §4.5.3.2; smtp_client_how.patience has them shorter or longer */
#define SECONDS_COMMAND  300
#define SECONDS_DATA     120
#define SECONDS_BLOCK    180
#define SECONDS_END      600

struct smtp_client {
        struct conn *conn;
        struct smtp_client_how how;
        struct conn_tap tap; /* between conn's and how.tap: conn's letters are a server's */
        unsigned offers;
        uint64_t size_most;                   /* SIZE=; 0: not said */
        uint64_t rcpt_most, mail_most, mails; /* LIMITS: recipients of a letter, letters; 0: not said */
        char mechanisms[200];
        bool dirty; /* a transaction may be open: RSET before the next */
        bool has_tls;
        struct tls_found found;
};

/* In so many seconds, by the peer's patience. */
nsec client_in(const struct smtp_client *c, unsigned seconds);
/* A reply, read to its end. 0; -errno: it broke, or makes no sense: then the connection has failed and *answer says so. */
int client_reply(struct smtp_client *c, const char *stage, nsec deadline, struct arena *a,
                 struct smtp_answer *answer);
/* Each line of a reply, without its code. */
typedef void client_line_fn(struct smtp_client *c, struct str line);
int client_reply_lines(struct smtp_client *c, const char *stage, nsec deadline, struct arena *a,
                       struct smtp_answer *answer, client_line_fn *each);
/* A command and its reply. */
int client_say(struct smtp_client *c, const char *stage, struct arena *a, struct smtp_answer *answer,
               const char *format, ...) __attribute__((format(printf, 5, 6)));
int client_broken(struct smtp_client *c, const char *stage, struct arena *a, struct smtp_answer *answer,
                  struct str why);

int client_auth(struct smtp_client *c, struct arena *a, struct smtp_answer *answer);

/* client_body.c: line ends made right on the way. */
struct client_filter {
        bool cr; /* the last byte was a CR, which is not out yet */
};
/* Appends `in` to out with every line end as CRLF; out needs 2 * in.n + 2 of room. end: nothing follows; the text then ends with CRLF. */
void client_filter_put(struct client_filter *f, struct str in, bool end, struct buf *out);
/* The letter's bytes: by DATA (the 354 has come), or BDAT. 0, -errno of reading or of the connection. */
int client_put_data(struct smtp_client *c, const struct smtp_letter *l);
int client_put_chunks(struct smtp_client *c, const struct smtp_letter *l, struct arena *a,
                      struct smtp_answer *answer, bool *answered);
/* The whole letter at once, filtered: for one BDAT with the envelope, for down-coding. */
int client_whole(const struct smtp_letter *l, struct buf *out);
