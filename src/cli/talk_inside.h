/* A conversation that is typed: what talk_live.c and talk_transfer.c share. */
#pragma once
#include "cli/talk.h"
#include "run/fiber.h"

#define LOOK (MSECOND * 500) /* is there a part of a line? have all answers come? */

struct talk {
        const struct talk_how *how;
        struct conn *conn;
        struct follow follow;
        struct telnet telnet;
        struct saved *saved;
        struct prompt *prompt;
        struct fiber *typist;
        struct waitlist changed;
        struct buf queue;   /* lines typed, by \n */
        struct buf partial; /* of their line; what was shown of it */
        bool person;        /* types at a terminal */
        bool connect_saved, input_ended, ended;
        struct data data;
        bool receiving;         /* data: the connection must not go away */
        bool stores, sending;   /* FTP: a file was announced; its lines are typed now */
        char protection, asked; /* FTP: what PROT has set, and what it was asked for: 'P' */
        nsec began, last_heard, end;
        int rc;
};
void talk_dim(const struct talk *t, const char *before, const char *text);
void talk_show(char from, struct str line);
void talk_send_queue(struct talk *t);

/* FTP's transfers. In the fiber that owns the connections. */
bool transfer_typed(struct talk *t,
                    struct str line); /* before a command is sent; true: it is in the transcript already */
bool transfer_line(struct talk *t, struct str line); /* true: it was a line of the file, and is sent */
void transfer_heard(struct talk *t, struct str reply, bool final);
void transfer_end(struct talk *t); /* no more lines are typed */
