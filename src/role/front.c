#include "role/front.h"

#include "net/listen.h"
#include "net/tls.h"
#include "proto/session_tap.h"
#include "proto/tap.h"
#include "role/supervisor.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define CERTIFICATE_MOST (256 * 1024)
#define TICKET_KEY_WAIT  (10 * SECOND)
#define TIDY_EVERY       (20 * SECOND)
#define DESCRIPTORS_OURS 100

struct front front;
static struct listener *listeners[START_MOST_FDS];
static bool beginning;               /* begin() is not over: whoever stops waits for it */
static struct buf ticket_key, chain; /* chain: the certificates in force, PEM */

/* ---- TLS: the chain is here, the key is with the keeper ---- */

static int sign(void *context, unsigned algorithm, struct str hash, struct buf *signature)
{
        (void)context; /* the keeper of the moment: it may have been restarted since */
        return front.server.keeper ? keeper_sign(front.server.keeper, algorithm, hash, signature) : -EPIPE;
}

static bool tls_new(struct str certificates)
{
        struct tls_context *fresh;

        if (tls_context_new(&fresh, certificates, sign, NULL, buf_str(&ticket_key)) < 0)
                return false;
        tls_context_drop(&front.server.tls);
        front.server.tls = fresh;
        return true;
}

static void certificate_new(int fd)
{
        auto_buf struct buf fresh;
        ssize_t n;

        buf_init(&fresh, CERTIFICATE_MOST);
        n = pread(fd, buf_room(&fresh, CERTIFICATE_MOST), CERTIFICATE_MOST, 0);
        close(fd);
        if (n <= 0) {
                log_warn("certificate", "why=\"%s\"", n ? strerrordesc_np(errno) : "the file is empty");
                return;
        }
        buf_added(&fresh, (size_t)n);
        if (ticket_key.n && !tls_new(buf_str(&fresh))) {
                log_warn("certificate", "why=\"not usable: the old one stays\"");
                return;
        }
        buf_clear(&chain);
        buf_puts(&chain, buf_str(&fresh));
}

/* ---- from the keeper ---- */

static void ticket_key_new(struct str key)
{
        buf_clear(&ticket_key);
        buf_puts(&ticket_key, key);
        if (front.server.tls)
                tls_context_ticket_key(front.server.tls, key);
        else if (chain.n && !tls_new(buf_str(&chain))) /* it waited for this */
                log_warn("certificate", "why=\"not usable: no TLS\"");
}

static void keeper_ticket_key(struct channel_message *m)
{
        ticket_key_new(m->body);
}

static void keeper_ban(struct channel_message *m)
{
        if (!bans_take(&front.server.bans, m->body))
                die("keeper: a ban that cannot be read");
}

static void keeper_sign_out(struct channel_message *m)
{
        sessions_sign_out(&front.server, m->body);
}

static const struct channel_kind from_keeper[] = {
        { TELL_TICKET_KEY, "ticket key", keeper_ticket_key },
        { TELL_BAN, "ban", keeper_ban },
        { TELL_SIGN_OUT, "sign out", keeper_sign_out },
        { 0 },
};

static void keeper_new(int fd)
{
        channel_free(&front.server.keeper);
        front.server.keeper = channel_new(fd, from_keeper, NULL, NULL);
}

/* Without the keeper's answer there is no TLS until it comes back. */
static void fetch_ticket_key(void)
{
        auto_buf struct buf key;

        buf_init(&key, 256);
        if (front.server.keeper &&
            !channel_ask(front.server.keeper, ASK_TICKET_KEY, S(""), -1, &key, NULL, now() + TICKET_KEY_WAIT))
                ticket_key_new(buf_str(&key));
        else
                log_warn("ticket-key", "why=\"the keeper does not answer\"");
}

/* ---- from the supervisor ---- */

static void finish(void *arg)
{
        (void)arg;
        sessions_stop(&front.server);
        while (beginning) /* or the hook would not see what is only being started, and nobody would stop it */
                if (fiber_sleep(now() + 10 * MSECOND))
                        break;
        if (front.hooks->stop)
                front.hooks->stop();
        while (front.server.session_count || front.busy)
                if (fiber_sleep(now() + 10 * MSECOND))
                        break;
        front.hooks->finish();
        fiber_cancel_all();
        loop_stop();
}

void front_stop(struct channel_message *m)
{
        (void)m;
        if (front.server.stopping)
                return;
        front.server.stopping = true;
        front.asked_to_stop = now();
        for (unsigned i = 0; i < front.start.listener_count && listeners[i]; i++) /* NULL: not open yet */
                listener_stop(listeners[i]);
        if (fiber_spawn("finish", finish, NULL) < 0)
                die("stop: no memory");
}

static void supervisor_gone(struct channel *c, void *context)
{
        (void)c;
        (void)context;
        log_warn("stop", "why=\"the supervisor is gone\"");
        front_stop(NULL);
}

void front_keeper(struct channel_message *m)
{
        keeper_new(role_take_fd(m));
        fetch_ticket_key();
}

void front_settings(struct channel_message *m)
{
        static struct settings room[2]; /* who reads them keeps no pointer across a command */
        static unsigned turn;
        struct settings *s = &room[turn++ % 2];

        if (s->data)
                settings_free(s);
        if (!settings_unpack(s, m->body))
                die("supervisor: settings that cannot be read");
        front.server.settings = s;
        directory_separators(front.server.directory, str_of(s->subaddress_separator));
        if (front.hooks->settings)
                front.hooks->settings();
}

void front_certificate(struct channel_message *m)
{
        certificate_new(role_take_fd(m));
}

void front_directory(struct channel_message *m)
{
        (void)m;
        directory_changed(front.server.directory);
}

void front_dump(struct channel_message *m)
{
        (void)m;
        fiber_dump(STDERR_FILENO);
        sessions_dump(&front.server, STDERR_FILENO);
}

static void watched(void *context)
{
        (void)context;
        sessions_tapped(&front.server);
}

void front_tap(struct channel_message *m)
{
        struct tap_wanted wanted;
        int fd = role_take_fd(m);

        if (front.server.taps && tap_wanted_unpack(m->body, &wanted))
                (void)taps_watch(front.server.taps, fd, &wanted);
        else
                close(fd); /* a verb of another version */
}

/* ---- the beginning ---- */

void front_receive(const char *role)
{
        static char name[16];

        start_receive(&front.start);
        snprintf(name, sizeof(name), "%s.%u", role, front.start.index);
        log_role(name);
        limits_raise();
        buf_init(&ticket_key, 256);
        buf_init(&chain, CERTIFICATE_MOST);
        front.server.settings = &front.start.settings;
}

void front_threads(unsigned quick, unsigned long_ones)
{
        loop_init();
        front_must(offload_start(quick, long_ones), "threads");
}

void front_make_folder(const char *name)
{
        int rc = disk_mkdir(AT_FDCWD, name);

        front_must(rc == -EEXIST ? 0 : rc, name);
}

int front_open_folder(const char *name)
{
        int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                die("%s: %m", name);
        return fd;
}

void front_must(int rc, const char *what)
{
        if (rc < 0)
                die("%s: %s", what, strerror(-rc));
}

long front_descriptors(void)
{
        struct rlimit l = { .rlim_cur = 1024 };

        getrlimit(RLIMIT_NOFILE, &l);
        return l.rlim_cur < (1 << 30) ? (long)l.rlim_cur : 1 << 30;
}

void front_share(long kept)
{
        const struct settings *s = front.server.settings;
        long connections = front_descriptors() - kept - DESCRIPTORS_OURS - (long)front.start.listener_count;

        if (connections < 16) /* hardly a server: accepting will pause */
                connections = 16;
        front.server.session_most = (unsigned)connections;
        if (s->max_connections < connections)
                connections = s->max_connections;
        log_event("shares", "connections=%ld kept=%ld", connections, kept);
}

/* Of an older pail: the keeper, who may write there while it starts, is bringing it up to date. */
void front_open_directory(void)
{
        nsec patience = in_seconds(60);
        int rc;

        while ((rc = directory_open(&front.server.directory, "directory/directory.db", false)) == -EROFS &&
               now() < patience)
                usleep(20000);
        front_must(rc, "directory/");
        directory_separators(front.server.directory, str_of(front.server.settings->subaddress_separator));
}

static void accepted(struct conn *c, void *context)
{
        const unsigned *protocol = context;

        session_start(&front.server, c, (enum protocol) * protocol);
}

static void housekeeping(void *arg)
{
        (void)arg;
        while (!fiber_sleep(now() + TIDY_EVERY) && !front.server.stopping) {
                front.busy++;
                if (front.hooks->tidy)
                        front.hooks->tidy();
                malloc_trim(0); /* parked sessions and what was closed leave holes */
                if (!front.server.tls && chain.n)
                        fetch_ticket_key();
                front.busy--;
        }
}

/* What needs the loop: keys from the keeper, what the role itself has to do first, then the doors open. */
static void begin(void *arg)
{
        (void)arg;
        if (front.start.keeper >= 0)
                fetch_ticket_key();
        if (front.start.certificate >= 0)
                certificate_new(front.start.certificate);
        if (front.hooks->begin)
                front.hooks->begin();
        beginning = false;
        if (front.server.stopping)
                return;
        for (unsigned i = 0; i < front.start.listener_count; i++)
                listeners[i] =
                    listener_new(front.start.listeners[i].fd, accepted, &front.start.listeners[i].protocol);
        if (fiber_spawn("housekeeping", housekeeping, NULL) < 0)
                die("start: no memory");
        channel_tell(front.supervisor, ROLE_READY, S(""), -1);
}

int front_run(const struct front_hooks *hooks)
{
        front.hooks = hooks;
        front.server.taps = taps_new(watched, NULL);
        front.supervisor = channel_new(START_FD, hooks->from_supervisor, NULL, supervisor_gone);
        if (front.start.keeper >= 0)
                keeper_new(front.start.keeper);
        beginning = true;
        if (fiber_spawn("begin", begin, NULL) < 0)
                die("start: no memory");
        loop_run();
        return 0;
}
