/* A dialog that is played: what talk_replay.c and talk_play.c share. */
#pragma once
#include "cli/talk.h"
#include "proto/transcript_words.h"

#define PATIENCE 30
enum { FILE_MOST = 4 << 20, MEMORY = 64 << 20, CONNECTIONS = 99, REPEAT_MOST = 1 << 26 };

struct replay {
        const struct talk_how *how;
        const char *file;
        struct arena arena;
        struct variables variables;
        struct buf text, why;
        struct conn *conns[CONNECTIONS];
        struct talk_how places[CONNECTIONS]; /* for the handshake */
        struct data datas[CONNECTIONS];
        struct conn *held_of; /* its next line was read already: */
        struct str held;
        bool skipping;
        const char *first; /* address that the dialog connects to */
        int base;          /* of ports */
        unsigned line, differs;
        bool stop;
};

/* A directive that is to be carried out. */
struct call {
        struct str words[WORDS_MOST];
        size_t n;
        unsigned connection;
        bool look; /* only whether it can be */
};

void play_differs(struct replay *r, struct str what, struct str got);
void play_stop(struct replay *r, const char *what);
void play_ask(struct replay *r, struct str text);
struct conn *play_conn(struct replay *r, unsigned n);
bool play_line(struct replay *r, struct conn *c, struct str pattern, struct str *line);

struct conn *play_data(struct replay *r,
                       unsigned n); /* the data connection of that one; NULL, and it was said */
void play_transfer(struct replay *r, struct call *c); /* data ... */
void play_auth(struct replay *r, struct call *c);     /* auth pop3|smtp MECHANISM USER PASSWORD */
