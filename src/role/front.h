/* What the roles that face the network have in common: mail (mail.c) and files (files.c). A front has certificates but no keys,
 * the keeper to ask, listeners that the supervisor bound, sessions, and an end that waits for them.
 *
 *      int role_xxx(void)
 *      {
 *              front_receive("xxx");           // open: what the supervisor sent
 *              ...                             // what needs rights or /proc: charsets, logs
 *              start_drop(&front.start);
 *              sandbox_enter(...);
 *              front_threads(2, 2);
 *              ...                             // the store
 *              return front_run(&hooks);       // connect, begin, doors open, loop
 *      }
 *
 * Who may tell a front what is its own table; FRONT_KINDS are the rows that all of them have. */
#pragma once
#include "base/buf.h"
#include "proto/session.h"
#include "role/start.h"
#include "run/channel.h"

struct front_hooks {
        const struct channel_kind *from_supervisor;
        void (*begin)(void);    /* in a fiber, with the keeper's keys, before the doors open; may be NULL */
        void (*tidy)(void);     /* every 20 s, in a fiber; may be NULL */
        void (*stop)(void);     /* sessions have been told to end; may be NULL */
        void (*finish)(void);   /* there is no session and no busy fiber any more: close the store */
        void (*settings)(void); /* server.settings are new; may be NULL */
};
struct front {
        struct start start;
        struct server server;
        struct channel *supervisor;
        const struct front_hooks *hooks;
        nsec asked_to_stop; /* 0: not */
        unsigned busy;      /* fibers that use the store, besides the sessions': the end waits for them */
};
extern struct front front; /* the role is the process */

void front_receive(const char *role);
void front_threads(unsigned quick, unsigned long_ones); /* the loop and the workers */
/* Descriptors are shared out at start, so that no flood of connections keeps the store from its files: of `have`, `kept` are
 * for the store, some for the log, the threads and the roles, the rest for connections. */
long front_descriptors(void);
void front_share(long kept);
void front_make_folder(const char *name);  /* before the sandbox, where an older pail may have made none */
int front_open_folder(const char *name);   /* or the process ends */
void front_must(int rc, const char *what); /* 0, or the process ends */
void front_open_directory(void);
int front_run(const struct front_hooks *hooks);

/* Handlers for the table. */
struct channel_message;
void front_stop(struct channel_message *m);
void front_keeper(struct channel_message *m);
void front_settings(struct channel_message *m);
void front_certificate(struct channel_message *m);
void front_directory(struct channel_message *m);
void front_dump(struct channel_message *m);
void front_tap(struct channel_message *m);
/* clang-format off */
#define FRONT_KINDS                                           \
        { ROLE_STOP, "stop", front_stop },                    \
        { ROLE_KEEPER, "keeper", front_keeper },              \
        { ROLE_SETTINGS, "settings", front_settings },        \
        { ROLE_CERTIFICATE, "certificate", front_certificate }, \
        { ROLE_DIRECTORY, "directory", front_directory },     \
        { ROLE_DUMP, "dump", front_dump },                    \
        { ROLE_TAP, "tap", front_tap }
/* clang-format on */
