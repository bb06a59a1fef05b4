/* The supervisor: binds the ports, opens keys and certificates (unparsed), starts the roles and restarts them, passes
 * settings and bells on. It parses nothing that comes from outside; verbs reach it by D/control.sock, where the
 * kernel says who asks.
 *
 *   who          may ask or tell            what
 *   supervisor   mail, files, keeper        ROLE_* (role/start.h)
 *   mail         supervisor                 ROLE_READY, ROLE_WATCH, ROLE_CHANGED (role/bells.h)
 *   files        supervisor                 ROLE_READY, ROLE_BIND (a port of FTP's data connections: role/start.h)
 *   keeper       supervisor                 ROLE_READY
 *   mail, files  keeper                     ASK_PASSWORD .. ASK_TICKET_KEY (proto/keeper.h)
 *   keeper       mail, files                TELL_TICKET_KEY, TELL_BAN, TELL_SIGN_OUT
 *   supervisor   keeper                     ASK_SET_SECRET, ASK_SECRETS, ASK_BANS, ASK_UNBAN, for a verb
 *   mail         mail                       PEER_FILE, PEER_DONE, PEER_QUIET (role/peers.c)
 *   verbs        supervisor                 CONTROL_* (role/control.h); root or the owner of D only
 *
 * Whoever sends a kind that its channel's table does not have, or asks to bind what is not its: supervisor and keeper end that channel and say so, and the
 * supervisor kills the role; of mail processes the receiver ends, and is restarted. Files processes do not know of each other. */
#pragma once
#include "base/buf.h"
#include "settings.h"

struct supervise {
        struct settings *settings;
        const char *config; /* re-read at SIGHUP; NULL: none (demo) */
        bool drop;          /* started as root: the roles become uid and gid */
        unsigned uid, gid;
        void (*ready)(void *context);                     /* once, when every role serves */
        int (*reread)(struct settings *s, void *context); /* fills *s anew; 0, or -1 after it has said why */
        void *context;
};
/* Runs until SIGTERM or SIGINT. The working directory is the data folder. Returns the exit code. */
int supervise(const struct supervise *how);
unsigned supervise_workers(const struct settings *s); /* processes of each role that faces the network */

/* For roles and supervisor: the descriptor limit to its hard maximum, and a line in the log on what follows of it. */
void limits_raise(void);
