/* How a role begins life: the supervisor re-executes the binary as `pail -x ROLE`, with one end of a socketpair as
 * descriptor 3, and sends what the role needs: first the facts, then descriptors one a message, then "go".
 * The role reads all of it, in one blocking call, before it drops rights and enters its sandbox.
 *
 *   facts:       u8 START_FACTS | u32 index | u32 processes | u32 uid | u32 gid | u8 drop | packed settings
 *   descriptor:  u8 what | u32 number, and the descriptor
 *   go:          u8 START_GO
 *
 * After that the socket becomes the channel between the two; its kinds are below. */
#pragma once
#include "settings.h"

#define START_FD       3
#define START_MOST_FDS 600
#define START_PEERS    64
#define START_FRONTS   (2 * START_PEERS) /* mail processes, then files processes */

enum start_what {
        START_FACTS = 1,
        START_DATA,        /* the data folder, O_PATH */
        START_KEEPER,      /* mail, files: channel to the keeper */
        START_PEER,        /* mail: channel to mail process `number` */
        START_FRONT,       /* keeper: channel to front `number` */
        START_LISTENER,    /* mail, files: number is the enum protocol */
        START_CERTIFICATE, /* mail, files: the chain, PEM, unparsed */
        START_KEY,         /* keeper: the private key, PEM, unparsed */
        START_GO,
};

struct start {
        unsigned index, processes; /* of this role */
        unsigned uid, gid;
        bool drop; /* started as root: become uid and gid */
        struct settings settings;
        int data, keeper, certificate, key; /* -1: none */
        int peers[START_PEERS], fronts[START_FRONTS];
        struct {
                int fd;
                unsigned protocol;
        } listeners[START_MOST_FDS];
        unsigned listener_count;
};

/* Role's side: fills *s; ends the process if the supervisor talks nonsense. */
void start_receive(struct start *s);
/* Become the user the supervisor named, for good, and go to the data folder. */
void start_drop(const struct start *s);
/* Supervisor's side. 0 or -errno; the descriptor stays the caller's. */
int start_send_facts(int socket, const struct start *s);
int start_send_fd(int socket, enum start_what what, unsigned number, int fd);
int start_send_go(int socket);

/* The channel between supervisor and roles, after "go". */
enum role_kind {
        /* role to supervisor */
        ROLE_READY = 100, /* the role serves */
        ROLE_WATCH,       /* mail: accounts it watches from now on, or no more (role/bells.h) */
        ROLE_CHANGED,     /* mail: accounts it has changed */
        ROLE_BIND,        /* files: a socket bound to an address and port, see below */
        ROLE_TURNED, /* mail, and on to the sender: domains by space, and the descriptor of a client that takes their letters */
        ROLE_SENDING, /* mail, and on to the sender: something was put into the outbox, or ("order") a verb gave one */
        /* supervisor to role */
        ROLE_STOP,        /* finish your commands and end */
        ROLE_PEER,        /* u32 index, and the descriptor: a mail process was restarted */
        ROLE_KEEPER,      /* and the descriptor: the keeper was restarted */
        ROLE_FRONT,       /* u32 index, and the descriptor: to the keeper, a front was restarted */
        ROLE_SETTINGS,    /* packed settings, after SIGHUP */
        ROLE_CERTIFICATE, /* and the descriptor, after SIGHUP */
        ROLE_KEY,         /* and the descriptor, to the keeper, after SIGHUP */
        ROLE_DIRECTORY,   /* the directory has changed */
        ROLE_DUMP,        /* SIGQUIT: print your fibers */
        ROLE_SUBMIT, /* to mail: and a descriptor, on which the owner of the folder speaks SMTP (pail send) */
        ROLE_BELL,   /* to mail: accounts that another has changed (role/bells.h) */
        ROLE_TAP, /* to mail, files and sender: struct tap_wanted, and the socket of somebody who watches (proto/tap.h) */
};
struct channel_message;
int role_take_fd(
    struct channel_message *m); /* the descriptor of a ROLE_ message; without one the role ends */

/* The one thing that a role may ask the supervisor for: ROLE_BIND, u8 4 or 6 | 16 bytes address (IPv4: the first 4) | u16 port, by files. The
 * answer is i32 0 or -errno and the descriptor: bound with the supervisor's rights, neither connected nor listening. Granted are
 * ftp-data-port, ftps-data-port, the asker's own share of the passive ports (each so many-th of the range), and 0, any port, where
 * the data port will not do; on addresses that `listen` names. Who asks for another one is broken, or not ours any more, and is killed. */
struct addr;
void start_pack_bind(struct buf *out, const struct addr *a);
[[nodiscard]] bool start_unpack_bind(struct str body, struct addr *a);

/* The roles' mains: called by `pail -x NAME`. */
int role_mail(void);
int role_files(void);
int role_sender(void);
int role_keeper(void);
