/* The mail role: SMTP, submission and POP3, one process a core. Accepts letters, files them, gives them out.
 *
 * open -> drop -> sandbox -> threads -> loop; role_mail() below is the story, the rest are its chapters. */
#include "role/start.h"

#include "mail/header.h"
#include "net/listen.h"
#include "net/tls.h"
#include "proto/imap/imap.h"
#include "proto/pop3/pop3.h"
#include "proto/session.h"
#include "proto/smtp/smtp.h"
#include "role/bells.h"
#include "role/peers.h"
#include "role/sandbox.h"
#include "role/supervisor.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/boot.h"
#include "store/disk.h"
#include "store/search.h"
#include "store/sharing.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CERTIFICATE_MOST (256 * 1024)
#define TICKET_KEY_WAIT  (10 * SECOND)
#define TIDY_EVERY       (20 * SECOND)
#define UNUSED_FOR       (10 * SECOND)
#define DESCRIPTORS_OURS 100
#define PEERS_WAIT       (20 * SECOND) /* the supervisor kills after 30 */
#define DRAIN_WAIT       (10 * SECOND)

struct mail {
        struct start start;
        struct server server;
        struct channel *supervisor;
        struct peers *peers;
        struct listener *listeners[START_MOST_FDS];
        struct buf ticket_key, chain; /* chain: the certificates in force, PEM */
        unsigned busy;                /* fibers that use the store, besides the sessions' */
};
static struct mail mail; /* the role is the process */

static void replay(void)
{
        mail.busy++;
        intake_replay(mail.server.intake);
        mail.busy--;
}

/* ---- TLS: the chain is here, the key is with the keeper ---- */

static int sign(void *context, unsigned algorithm, struct str hash, struct buf *signature)
{
        (void)context; /* the keeper of the moment: it may have been restarted since */
        return mail.server.keeper ? keeper_sign(mail.server.keeper, algorithm, hash, signature) : -EPIPE;
}

static bool tls_new(struct str chain)
{
        struct tls_context *fresh;

        if (tls_context_new(&fresh, chain, sign, NULL, buf_str(&mail.ticket_key)) < 0)
                return false;
        tls_context_drop(&mail.server.tls);
        mail.server.tls = fresh;
        return true;
}

/* ---- from the keeper ---- */

static void ticket_key_new(struct str key)
{
        buf_clear(&mail.ticket_key);
        buf_puts(&mail.ticket_key, key);
        if (mail.server.tls)
                tls_context_ticket_key(mail.server.tls, key);
        else if (mail.chain.n && !tls_new(buf_str(&mail.chain))) /* it waited for this */
                log_warn("certificate", "why=\"not usable: no TLS\"");
}

static void keeper_ticket_key(struct channel_message *m)
{
        ticket_key_new(m->body);
}

static void keeper_ban(struct channel_message *m)
{
        if (!bans_take(&mail.server.bans, m->body))
                die("keeper: a ban that cannot be read");
}

static void keeper_sign_out(struct channel_message *m)
{
        sessions_sign_out(&mail.server, m->body);
}

static const struct channel_kind from_keeper[] = {
        { TELL_TICKET_KEY, "ticket key", keeper_ticket_key },
        { TELL_BAN, "ban", keeper_ban },
        { TELL_SIGN_OUT, "sign out", keeper_sign_out },
        { 0 },
};

static void keeper_new(int fd)
{
        channel_free(&mail.server.keeper);
        mail.server.keeper = channel_new(fd, from_keeper, NULL, NULL);
}

static void certificate_new(int fd)
{
        auto_buf struct buf chain;
        ssize_t n;

        buf_init(&chain, CERTIFICATE_MOST);
        n = pread(fd, buf_room(&chain, CERTIFICATE_MOST), CERTIFICATE_MOST, 0);
        close(fd);
        if (n <= 0) {
                log_warn("certificate", "why=\"%s\"", n ? strerrordesc_np(errno) : "the file is empty");
                return;
        }
        buf_added(&chain, (size_t)n);
        if (mail.ticket_key.n && !tls_new(buf_str(&chain))) {
                log_warn("certificate", "why=\"not usable: the old one stays\"");
                return;
        }
        buf_clear(&mail.chain);
        buf_puts(&mail.chain, buf_str(&chain));
}

/* Without the keeper's answer there is no TLS until it comes back. */
static void fetch_ticket_key(void)
{
        auto_buf struct buf key;

        buf_init(&key, 256);
        if (mail.server.keeper &&
            !channel_ask(mail.server.keeper, ASK_TICKET_KEY, S(""), -1, &key, NULL, now() + TICKET_KEY_WAIT))
                ticket_key_new(buf_str(&key));
        else
                log_warn("ticket-key", "why=\"the keeper does not answer\"");
}

/* ---- from the supervisor ---- */

static void finish(void *arg)
{
        nsec asked = now();

        (void)arg;
        sessions_stop(&mail.server);
        indexer_stop(&mail.server.indexer);
        while (mail.server.session_count || mail.busy)
                if (fiber_sleep(now() + 10 * MSECOND))
                        break;
        if (intake_drain(mail.server.intake, now() + DRAIN_WAIT))
                log_warn("stop", "why=\"not all letters are filed yet: the log keeps them\"");
        /* The others may still be listening to a last letter, for an account whose home is here. */
        peers_tell_quiet(mail.peers);
        while (!peers_are_quiet(mail.peers) && now() < asked + PEERS_WAIT)
                if (fiber_sleep(now() + 10 * MSECOND))
                        break;
        intake_close(&mail.server.intake); /* it still uses the two below */
        accounts_close(&mail.server.accounts);
        sharing_close(&mail.server.sharing);
        outbox_close(&mail.server.outbox);
        fiber_cancel_all();
        loop_stop();
}

static void stop(struct channel_message *m)
{
        (void)m;
        if (mail.server.stopping)
                return;
        mail.server.stopping = true;
        for (unsigned i = 0; i < mail.start.listener_count && mail.listeners[i]; i++) /* NULL: not open yet */
                listener_stop(mail.listeners[i]);
        if (fiber_spawn("finish", finish, NULL) < 0)
                die("stop: no memory");
}

static void supervisor_gone(struct channel *c, void *context)
{
        (void)c;
        (void)context;
        log_warn("stop", "why=\"the supervisor is gone\"");
        stop(NULL);
}

static void new_peer(struct channel_message *m)
{
        struct unpack u = unpack_of(m->body);
        unsigned index = unpack_u32(&u);

        if (mail.server.stopping) /* the store may be closed already */
                return;
        peers_join(mail.peers, index, role_take_fd(m));
        intake_peer_new(mail.server.intake, index);
        /* Its segment is free now; whoever locks it first replays it. */
        replay();
}

static void new_keeper(struct channel_message *m)
{
        keeper_new(role_take_fd(m));
        fetch_ticket_key();
}

static void new_settings(struct channel_message *m)
{
        static struct settings room[2]; /* who reads them keeps no pointer across a command */
        static unsigned turn;
        struct settings *s = &room[turn++ % 2];

        if (s->data)
                settings_free(s);
        if (!settings_unpack(s, m->body))
                die("supervisor: settings that cannot be read");
        mail.server.settings = s;
        directory_separators(mail.server.directory, str_of(s->subaddress_separator));
}

static void new_certificate(struct channel_message *m)
{
        certificate_new(role_take_fd(m));
}

static void directory(struct channel_message *m)
{
        (void)m;
        directory_changed(mail.server.directory);
}

static void bell(struct channel_message *m)
{
        if (!bells_take(mail.server.watchers, m->body))
                die("supervisor: a bell that cannot be read");
}

static void dump(struct channel_message *m)
{
        (void)m;
        fiber_dump(STDERR_FILENO);
        sessions_dump(&mail.server, STDERR_FILENO);
}

static const struct channel_kind from_supervisor[] = {
        { ROLE_STOP, "stop", stop },
        { ROLE_PEER, "peer", new_peer },
        { ROLE_KEEPER, "keeper", new_keeper },
        { ROLE_SETTINGS, "settings", new_settings },
        { ROLE_CERTIFICATE, "certificate", new_certificate },
        { ROLE_DIRECTORY, "directory", directory },
        { ROLE_DUMP, "dump", dump },
        { ROLE_BELL, "bell", bell },
        { 0 },
};

/* ---- the story ---- */

static int open_folder(const char *name)
{
        int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                die("%s: %m", name);
        return fd;
}

static void must(int rc, const char *what)
{
        if (rc < 0)
                die("%s: %s", what, strerror(-rc));
}

/* Descriptors are shared out at start, so that no flood of connections keeps an account from being opened: three an
 * open account, some for the log, the threads and the roles, the rest for connections. Gives the number of accounts. */
static long share_descriptors(const struct settings *s)
{
        struct rlimit l = { .rlim_cur = 1024 };
        long have, accounts, connections;

        getrlimit(RLIMIT_NOFILE, &l);
        have = l.rlim_cur < (1 << 30) ? (long)l.rlim_cur : 1 << 30;
        accounts = s->max_open_accounts < have / 8 ? s->max_open_accounts : have / 8;
        connections = have - 3 * accounts - DESCRIPTORS_OURS - (long)mail.start.listener_count;
        if (connections < 16) /* hardly a server: accepting will pause */
                connections = 16;
        mail.server.session_most = (unsigned)connections;
        if (s->max_connections < connections)
                connections = s->max_connections;
        log_event("shares", "connections=%ld accounts=%ld", connections, accounts);
        return accounts;
}

/* Of an older pail: the keeper, who may write there while it starts, is bringing it up to date. */
static int open_directory(void)
{
        nsec patience = in_seconds(60);
        int rc;

        while ((rc = directory_open(&mail.server.directory, "directory/directory.db", false)) == -EROFS &&
               now() < patience)
                usleep(20000);
        return rc;
}

/* Whatever changes an account here, a letter that is filed or a command of somebody's: who watches hears of it, and
 * the indexer looks whether there are letters it does not know. */
static void account_changed(void *context, struct str account)
{
        (void)context;
        watch_changed(mail.server.watchers, account);
        indexer_note(mail.server.indexer, account); /* NULL until we serve */
}

static void open_store(void)
{
        const struct settings *s = mail.server.settings;
        long accounts_most = share_descriptors(s);
        struct intake_limits limits = {
                .segment_size = (uint64_t)s->segment_size,
                .max_log_size = (uint64_t)s->max_log_size,
                .disk_reserve = (uint64_t)s->disk_reserve,
                .settle_after = (unsigned)s->settle_after,
        };
        struct intake_hooks hooks = {
                .self = mail.start.index,
                .processes = mail.start.processes,
        };

        mail.server.watchers = bells_new(&mail.supervisor);
        mail.peers = peers_new(&mail.server.intake, &hooks);

        must(accounts_open(&mail.server.accounts, open_folder("mail"), accounts_most), "mail/");
        accounts_on_change(mail.server.accounts, account_changed, NULL);
        must(sharing_open(&mail.server.sharing, "sharing/sharing.db"), "sharing/");
        accounts_share(mail.server.accounts, mail.server.sharing);
        must(outbox_open(&mail.server.outbox, open_folder("outbox")), "outbox/");
        must(open_directory(), "directory/");
        directory_separators(mail.server.directory, str_of(s->subaddress_separator));
        must(intake_open(&mail.server.intake, open_folder("intake"), mail.server.accounts, mail.server.outbox,
                         &limits, &hooks),
             "intake/");
}

static void accepted(struct conn *c, void *context)
{
        const unsigned *protocol = context;

        session_start(&mail.server, c, (enum protocol) * protocol);
}

static void housekeeping(void *arg)
{
        (void)arg;
        while (!fiber_sleep(now() + TIDY_EVERY) && !mail.server.stopping) {
                mail.busy++;
                accounts_checkpoint(mail.server.accounts);
                accounts_close_unused(mail.server.accounts, UNUSED_FOR);
                malloc_trim(0); /* parked sessions and closed accounts leave holes */
                if (!mail.server.tls && mail.chain.n)
                        fetch_ticket_key();
                mail.busy--;
        }
}

/* What needs the loop: keys from the keeper, replay, then the doors open. */
static void begin(void *arg)
{
        (void)arg;
        fetch_ticket_key();
        if (mail.start.certificate >= 0)
                certificate_new(mail.start.certificate);
        replay();
        mail.busy--; /* role_mail counted it */
        if (mail.server.stopping)
                return;
        for (unsigned i = 0; i < mail.start.listener_count; i++)
                mail.listeners[i] =
                    listener_new(mail.start.listeners[i].fd, accepted, &mail.start.listeners[i].protocol);
        if (fiber_spawn("housekeeping", housekeeping, NULL) < 0 ||
            indexer_start(&mail.server.indexer, mail.server.accounts) < 0)
                die("start: no memory");
        channel_tell(mail.supervisor, ROLE_READY, S(""), -1);
}

int role_mail(void)
{
        static const struct sandbox_path paths[] = {
                { "mail", SANDBOX_WRITE },          { "intake", SANDBOX_WRITE },
                { "outbox", SANDBOX_WRITE },        { "sharing", SANDBOX_WRITE },
                { "directory", SANDBOX_READ }, /* no WAL there: whoever reads it writes nothing */
                { "/etc/localtime", SANDBOX_READ },
        };
        static char name[16];

        start_receive(&mail.start);
        snprintf(name, sizeof(name), "mail.%u", mail.start.index);
        log_role(name);
        limits_raise();
        buf_init(&mail.ticket_key, 256);
        buf_init(&mail.chain, CERTIFICATE_MOST);
        mail.server.settings = &mail.start.settings;
        mail.server.kinds[PROTOCOL_SMTP] = &smtp_kind;
        mail.server.kinds[PROTOCOL_SUBMISSION] = &smtp_kind;
        mail.server.kinds[PROTOCOL_SUBMISSIONS] = &smtp_kind;
        mail.server.kinds[PROTOCOL_POP3] = &pop3_kind;
        mail.server.kinds[PROTOCOL_POP3S] = &pop3_kind;
        mail.server.kinds[PROTOCOL_IMAP] = &imap_kind;
        mail.server.kinds[PROTOCOL_IMAPS] = &imap_kind;
        charsets_open();
        boot_id(); /* from /proc, soon out of reach */
        start_drop(&mail.start);
        int rc = disk_mkdir(AT_FDCWD, "sharing"); /* a folder of an older pail has none */

        if (rc < 0 && rc != -EEXIST)
                die("sharing/: %s", strerror(-rc));
        sandbox_enter(paths, sizeof(paths) / sizeof(*paths), 0);
        loop_init();
        must(offload_start(2, 2), "threads");
        open_store();
        mail.supervisor = channel_new(START_FD, from_supervisor, NULL, supervisor_gone);
        if (mail.start.keeper >= 0)
                keeper_new(mail.start.keeper);
        for (unsigned i = 0; i < START_PEERS; i++)
                if (mail.start.peers[i] >= 0)
                        peers_join(mail.peers, i, mail.start.peers[i]);
        mail.busy = 1; /* begin: whoever stops meanwhile waits for it */
        if (fiber_spawn("begin", begin, NULL) < 0)
                die("start: no memory");
        loop_run();
        return 0;
}
