/* What every server session has, whatever it speaks; and the server it belongs to.
 *
 * A session is one struct and one function `enum served xxx_serve(struct session *)`, which greets once, reads a line,
 * has it carried out, and returns PARKED or ENDED. After PARKED it may be called again, on a new fiber: everything
 * remembered between commands lies in the struct, never on the stack. session.c does this:
 *
 *      listener -> session_start -> fiber: TLS handshake where implicit -> kind->serve
 *                      PARKED -> arenas emptied as far as the protocol allows -> conn_park -> woken -> fiber -> serve
 *                      ENDED  -> kind->finish -> conn_close
 *
 * Before each command: session_next_command(s) gives the deadline (kept over parking); `s->woken` says why a parked
 * session runs again. Goodbyes: conn_stopping(s->conn) after GOT_END means that output still goes: say 421 and end. */
#pragma once
#include "base/arena.h"
#include "net/conn.h"
#include "proto/bans.h"
#include "proto/keeper.h"
#include "settings.h"
#include "store/directory.h"
#include "store/intake.h"

enum served { PARKED, ENDED };
enum protocol {
        PROTOCOL_SMTP,
        PROTOCOL_SUBMISSION,
        PROTOCOL_SUBMISSIONS,
        PROTOCOL_LMTP,
        PROTOCOL_ATRN,
        PROTOCOL_POP3,
        PROTOCOL_POP3S,
        PROTOCOL_IMAP,
        PROTOCOL_IMAPS,
        PROTOCOL_FTP,
        PROTOCOL_FTPS,
        PROTOCOLS
};
enum refusal { REFUSED_FULL, REFUSED_BANNED, REFUSED_STOPPING, REFUSED_MEMORY };

/* What session.c must know of a protocol; smtp/smtp.h and pop3/pop3.h declare theirs, the role puts them into
 * server.kinds. */
struct session;
struct session_kind {
        const char *name; /* of its fibers, in the log: "smtp" */
        size_t size;      /* of the protocol's struct, whose first member is the session */
        enum served (*serve)(struct session *s);
        void (*finish)(
            struct session *s); /* frees what the protocol's struct owns; never waits when parked */
        void (*parking)(struct session *s); /* gives back what is not needed while parked; may be NULL */
        void (*refuse)(struct conn *c, const char *host,
                       enum refusal why);                           /* one line instead of a greeting */
        void (*describe)(const struct session *s, struct buf *out); /* more for SIGQUIT; may be NULL */
        unsigned scope;                                             /* SCOPE_ of the keeper */
        bool own_tickets; /* conn_own_tickets before an implicit handshake */
};

/* What a role gives its sessions. Plain pointers; a role fills in what it has. */
struct server {
        const struct settings
            *settings; /* may be replaced at SIGHUP: read it anew after each wait, keep nothing of it */
        struct directory *directory;
        struct accounts *accounts;
        struct intake *intake;
        struct sharing *sharing;   /* store/sharing.h */
        struct indexer *indexer;   /* store/search.h; NULL: nothing is indexed here */
        struct watchers *watchers; /* proto/watch.h; NULL: no bells */
        struct outbox *outbox;
        struct history
            *history;        /* store/history.h: what happened to each letter; NULL: nobody writes it down */
        struct files *files; /* store/files.h; NULL: no files here */
        struct passive *passive; /* net/passive.h: ports for PASV */
        /* A socket bound to this address and port (FTP's data ports), from the supervisor: -errno. Waits. */
        int (*bound_socket)(void *context, struct addr local);
        void *bound_context;
        struct xferlog *xferlog; /* NULL: none */
        struct taps *taps;       /* proto/tap.h: who watches; NULL: nobody can */
        /* ATRN (RFC 2645): the connection becomes the sender's client for these domains, by space; takes fd, a stream socket. 0 or -errno. */
        int (*turn)(void *context, int fd, struct str domains);
        struct channel *keeper;
        struct str
            srs_key; /* of senders of forwarded letters (mail/srs.h); empty: none yet, and none are rewritten */
        struct tls_context *tls;                     /* NULL: none; hold it while a session uses it */
        const char *status;                          /* NULL, or why new letters are refused just now */
        const struct session_kind *kinds[PROTOCOLS]; /* by enum protocol; NULL: not served */
        struct bans bans;                            /* what the keeper told (TELL_BAN) */
        struct session *sessions;                    /* list of all */
        unsigned session_count;
        unsigned
            session_most; /* what the descriptors allow, besides settings.max_connections; 0: any number */
        bool stopping;
        struct session *by_net[1024]; /* the same by address, for the limit; session.c's */
};

struct command;
struct session {
        struct server *server;
        struct conn *conn;
        enum protocol protocol;
        char id[12];          /* in the log */
        const char *host;     /* our name for this local address; lives as long as the process */
        struct arena life;    /* for the session; 4 KB as soon as it is used, so better nothing that parks */
        struct arena command; /* reset after every command; empty while parked */
        unsigned state;       /* bit of the protocol's own: where in the conversation */
        struct str account;   /* signed in as; empty: nobody. Set by session_sign_in */
        unsigned errors;      /* bad commands so far */
        bool greeted, ending; /* ending: leave after this reply */
        bool doubt;        /* command.c: a line that is no command may be a part of a secret or of a letter */
        bool implicit_tls; /* from its start; CCC may have ended it since */
        bool
            owner; /* the folder's owner, by pail send: may send to anywhere, as anybody, without a sign-in */
        enum woken woken; /* why it runs again after PARKED */
        nsec began;
        nsec deadline; /* for the next command; 0: not waiting for one yet */
        const struct command *running;
        const struct session_kind *kind;
        struct session_tap *tap;              /* NULL: nobody watches */
        struct session *next, **link;         /* in server.sessions */
        struct session *net_next, **net_link; /* in server.by_net */
};

/* Starts a session on a fresh connection: takes conn. Refuses politely over the limits and from banned addresses.
 * Does not wait: for the loop's stack. */
void session_start(struct server *server, struct conn *conn, enum protocol protocol);
void session_start_owner(struct server *server, struct conn *conn,
                         enum protocol protocol); /* of the folder */
/* The same in the running fiber, until the conversation has ended (or parked for the first time). For tests. */
void session_run_here(struct server *server, struct conn *conn, enum protocol protocol);
/* The deadline of the next command: `seconds` after the first call since the last command, also across parking.
 * command_run ends the count; who reads lines without it sets s->deadline = 0. */
nsec session_next_command(struct session *s, long seconds);
/* May the connection say GOT_QUIET (as the settings have it), or not: inside an exchange that cannot park. */
void session_parking(struct session *s, bool allowed);
void session_sign_in(struct session *s, struct str account); /* keeps a copy; "": nobody any more */
/* For log lines: conn_peer as text. */
struct addr_text session_peer(const struct session *s);
/* May a password travel in clear here? (settings plaintext-login, TLS) */
bool session_plaintext_ok(const struct session *s);
/* Loopback, this machine's own address and settings.trusted_addresses are never limited, slowed or banned: so the
 * keeper is told of loopback when the machine talks to itself. */
struct signin session_signin(const struct session *s, unsigned scope, struct conn_tls_facts *room);
/* Our name for a local address (settings host_names, else host_name): static text or in room. */
const char *host_for(const struct settings *t, struct addr local, char *room, size_t n);
/* SIGTERM: finish your command. In a fiber both wait, so that thousands of parked ones are woken some at a time. */
void sessions_stop(struct server *server);
void sessions_sign_out(struct server *server, struct str account);
void sessions_dump(const struct server *server, int fd); /* for SIGQUIT: one line each, parked ones too */
unsigned sessions_from(const struct server *server, struct addr peer);
