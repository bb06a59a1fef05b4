/* The supervisor's children: start, wire together, restart with back-off. See supervisor.h. */
#pragma once
#include "role/start.h"
#include "role/supervisor.h"
#include "run/channel.h"
#include "run/loop.h"

#include <sys/types.h>

struct switchboard;
struct taps;
enum child_kind { CHILD_KEEPER, CHILD_MAIL, CHILD_FILES, CHILD_SENDER };
#define TO(kind)  (1U << (kind))
#define TO_FRONTS (TO(CHILD_MAIL) | TO(CHILD_FILES) | TO(CHILD_SENDER))
#define TO_ALL    (TO(CHILD_KEEPER) | TO_FRONTS)

struct child {
        enum child_kind kind;
        unsigned index; /* of its kind */
        char name[20];
        pid_t pid; /* 0: not running */
        struct channel *channel;
        bool ready;
        unsigned failures; /* short lives in a row */
        nsec started;
        struct timer again;
        struct children *all;
};
struct listening {
        int fd;
        unsigned protocol;
        enum child_kind role;
        unsigned worker;
};
struct children {
        const struct supervise *how;
        struct child *list;          /* the keeper first, then mail.0 .., files.0 .., sender.0 */
        unsigned count, mail, files; /* of all, and of each kind */
        struct listening *listening;
        unsigned listening_count;
        int data, certificate, key;
        struct switchboard *bells;
        struct taps *taps; /* role/taps.h */
        bool stopping, told_ready;
};

/* Bind everything the settings ask for; says on stderr what is in use and how out of it. 0 or -errno. */
int children_bind(struct children *all);
void children_open_keys(struct children *all); /* at start and SIGHUP */
/* ROLE_BIND of a files process. false: that was not its to ask. */
bool children_bind_for(struct child *c, struct channel_message *m);
void children_start(struct children *all);
void children_reap(struct children *all); /* after SIGCHLD */
void children_tell(struct children *all, unsigned kind, struct str body, int fd,
                   unsigned to);          /* TO_ALL ... */
void children_stop(struct children *all); /* the fronts first; the keeper when they have ended */
void children_kill(struct children *all);
bool children_gone(const struct children *all);
struct child *children_keeper(struct children *all);
