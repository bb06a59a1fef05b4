/* pail talk, in parts:
 *
 *   talk.c        the verb's options, services, where to        talk_live.c    the conversation: two fibers, one reads what is typed
 *   talk_tls.c    the handshake, and whether to trust           talk_saved.c   the transcript that is a dialog
 *   talk_replay.c plays one                                     talk_telnet.c  what Telnet says between the lines
 *   talk_data.c   FTP's data connection                         talk_transfer.c  what passes there, shown and typed
 *   follow.h      what is due, secret, a letter; explain.c      what replies mean */
#pragma once
#include "base/arena.h"
#include "cli/follow.h"
#include "cli/known.h"
#include "net/conn.h"
#include <stdio.h>

enum { TALK_LINE_MOST = 128 * 1024 - 1024 };

struct service {
        const char *name;
        unsigned port;
        enum talk_protocol protocol;
        bool tls; /* from the start */
};
const struct service *service_named(struct str name);
const struct service *service_at(unsigned port);
const char *service_for(enum talk_protocol p, bool tls); /* its name, for `connect` */

struct talk_how {
        const char *host;
        unsigned port;
        enum talk_protocol protocol;
        bool tls, explain, dot_stuff, colour;
        enum known_policy trust;
        const char *ca_file, *save;
};
/* The three are bodies for client_run's fiber: exit codes. */
int talk_live(const struct talk_how *how);
int talk_replay(const struct talk_how *how, const char *file); /* how->host NULL: where the file says */

/* 0; -EACCES: not trusted; -errno. What went wrong has been said. */
[[nodiscard]] int talk_handshake(const struct talk_how *how, struct conn *c, struct tls_found *found);

/* Telnet's commands go out of the line; what must be answered is sent. The line is changed in place. */
struct telnet {
        unsigned state, verb;
        unsigned char refused[2][32]; /* a bit an option: WILL, DO */
};
void telnet_line(struct telnet *t, struct str *line, char *room, struct conn *c);

/* FTP's data connection. */
struct data {
        struct conn *conn; /* it stands */
        int listener;      /* -1; or active mode, and nobody has come yet */
        struct addr
            to; /* where 227 or 229 said, at the server's own address; port 0: it was used, or none said */
        bool foreign; /* it said another address */
};
void data_begin(struct data *d);
void data_end(struct data *d);
bool data_heard(struct data *d, const struct conn *control,
                struct str reply);                    /* a 227 or 229 that says where */
bool data_typed(struct str line, struct addr *where); /* a PORT or EPRT */
[[nodiscard]] int data_connect(struct data *d, const struct conn *control, nsec deadline);
/* at: the control connection's own address; port 0: any, which it is then. */
[[nodiscard]] int data_listen(struct data *d, const struct conn *control, struct addr *at);
/* Accepts the server if it has not come yet. 0, and d->conn stands; -ENOTCONN: none was opened. */
[[nodiscard]] int data_stands(struct data *d, const struct conn *control, nsec deadline);

/* The file behind --save. NULL is fine: nothing is written. */
struct saved;
[[nodiscard]] int saved_open(struct saved **out, const char *path);
void saved_connect(struct saved *s, const struct talk_how *how, enum talk_protocol p, struct addr peer);
void saved_server(struct saved *s, struct str line);
void saved_client(struct saved *s, struct str line, size_t shown,
                  bool password); /* shown: STR_NONE, or where a secret begins */
void saved_directive(struct saved *s, const char *text);
void saved_data(struct saved *s, char who,
                struct str line);                /* 'D': that came; 'C': that we sent, with its line end */
[[nodiscard]] int saved_close(struct saved **s); /* 0 or -errno of all that was written */
