/* What the files of the POP3 client share. */
#pragma once
#include "proto/pop3/client.h"

enum {
        ANSWER_LINE_MOST = 4096, /* RFC 2449 §4: 512; some say more */
        ENTRIES_MOST = 200000,
        COMMANDS_AHEAD = 64,
        LETTERS_AHEAD = 32,
};
struct pop3_client {
        struct conn *conn;
        struct pop3_client_how how;
        struct conn_tap tap; /* between conn's and how.tap: conn's letters are a server's */
        struct tls_found found;
        bool has_tls;
        unsigned offers;
        bool has_capa;
        char mechanisms[256];
        char stamp[256]; /* of the greeting, "<...>"; empty: none */
        int broken;      /* sticky */
};

/* client_say.c */
int popc_break(struct pop3_client *c, int rc);
int popc_ours(struct pop3_answer *answer, int rc, const char *text);
/* 0: +OK; -EREMOTEIO: -ERR; 1: "+ ", and *challenge is what stands behind it (NULL: then that breaks it). */
int popc_answer(struct pop3_client *c, struct pop3_answer *answer, struct str *challenge);
int popc_run(struct pop3_client *c, struct pop3_answer *answer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The lines behind a +OK up to "."; at most `most`, with each not NULL. */
int popc_lines(struct pop3_client *c, size_t most, void (*each)(void *context, struct str line),
               void *context, struct pop3_answer *answer);

/* client.c */
int popc_capa(struct pop3_client *c, struct pop3_answer *answer);
