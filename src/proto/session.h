/* What every server session has, whatever it speaks; and the server it belongs to.
 *
 * A session is one struct and one function `enum served xxx_serve(struct xxx *)`, which greets once, reads a line,
 * has it carried out, and returns PARKED or ENDED. After PARKED it may be called again, on a new fiber: everything
 * remembered between commands lies in the struct, never on the stack. session_run does this (proto/session.c). */
#pragma once
#include "base/arena.h"
#include "net/conn.h"
#include "proto/keeper.h"
#include "settings.h"
#include "store/directory.h"
#include "store/intake.h"

/* What a role gives its sessions. Plain pointers; a role fills in what it has. */
struct server {
        const struct settings *settings; /* may be replaced at SIGHUP: read it anew each command, keep nothing of it */
        struct directory *directory;
        struct accounts *accounts;
        struct intake *intake;
        struct outbox *outbox;
        struct channel *keeper;
        struct tls_context *tls; /* NULL: none; hold it while a session uses it */
        const char *status;      /* NULL, or why new letters are refused just now */
        struct session *sessions; /* list of all */
        unsigned session_count;
        bool stopping;
};

enum served { PARKED, ENDED };
enum protocol { PROTOCOL_SMTP, PROTOCOL_SUBMISSION, PROTOCOL_SUBMISSIONS, PROTOCOL_POP3, PROTOCOL_POP3S };

struct command;
struct session {
        struct server *server;
        struct conn *conn;
        enum protocol protocol;
        char id[12];              /* in the log */
        const char *host;         /* our name for this local address; of the settings when the session began */
        struct arena life;        /* for the session; small */
        struct arena command;     /* reset after every command */
        unsigned state;           /* bit of the protocol's own: where in the conversation */
        struct str account;       /* signed in as; empty: nobody. In life */
        unsigned errors;          /* bad commands so far */
        bool greeted, ending;     /* ending: leave after this reply */
        bool implicit_tls;
        enum woken woken;
        nsec began;
        const struct command *running;
        enum served (*serve)(struct session *s);
        void (*finish)(struct session *s); /* frees what the protocol's struct owns */
        struct session *next, *previous;
};

/* Starts a session on a fresh connection: takes conn; size: of the protocol's struct, whose first member is the
 * session. Refuses politely over the limits. */
void session_start(struct server *server, struct conn *conn, enum protocol protocol);
/* May a password travel in clear here? (settings plaintext-login, TLS) */
bool session_plaintext_ok(const struct session *s);
struct signin session_signin(const struct session *s, unsigned scope, struct conn_tls_facts *room);
const char *host_for(const struct settings *t, struct addr local, char *room, size_t n);
void sessions_stop(struct server *server);                         /* SIGTERM: finish your command */
void sessions_sign_out(struct server *server, struct str account);
unsigned sessions_from(const struct server *server, struct addr peer);
