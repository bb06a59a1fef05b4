#include "role/children.h"

#include "role/bells.h"
#include "role/taps.h"
#include "run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT_LIFE    (10 * SECOND)
#define BACKOFF_LEAST (50 * MSECOND)
#define BACKOFF_MOST  (30 * SECOND)

extern char **environ;

static const char *const role_names[] = {
        [CHILD_KEEPER] = "keeper", [CHILD_MAIL] = "mail", [CHILD_FILES] = "files", [CHILD_SENDER] = "sender"
};

struct child *children_keeper(struct children *all)
{
        return &all->list[0];
}

static void role_ready(struct channel_message *m)
{
        struct child *c = m->context;
        struct children *all = c->all;
        bool everybody = true;

        c->ready = true;
        role_taps_ready(c);
        for (unsigned i = 0; i < all->count; i++)
                everybody &= all->list[i].ready;
        if (everybody && !all->told_ready) {
                all->told_ready = true;
                if (all->how->ready)
                        all->how->ready(all->how->context);
        }
}

static void role_watches(struct channel_message *m)
{
        struct child *c = m->context;

        if (!switchboard_watch(c->all->bells, c->index, m->body))
                channel_nonsense(m);
}

static void role_changed(struct channel_message *m)
{
        struct child *c = m->context;

        if (!switchboard_changed(c->all->bells, c->index, m->body))
                channel_nonsense(m);
}

/* Something was put into the outbox. */
static void role_sends(struct channel_message *m)
{
        struct child *c = m->context;

        children_tell(c->all, ROLE_SENDING, S(""), -1, TO(CHILD_SENDER));
}

static void role_turned(struct channel_message *m)
{
        struct child *c = m->context;
        int fd = role_take_fd(m);

        children_tell(c->all, ROLE_TURNED, m->body, fd, TO(CHILD_SENDER));
        close(fd);
}

static void role_binds(struct channel_message *m)
{
        if (!children_bind_for(m->context, m))
                channel_nonsense(m);
}

static const struct channel_kind from_keeper[] = { { ROLE_READY, "ready", role_ready }, { 0 } };
static const struct channel_kind from_mail[] = {
        { ROLE_READY, "ready", role_ready },       { ROLE_WATCH, "watch", role_watches },
        { ROLE_CHANGED, "changed", role_changed }, { ROLE_SENDING, "sending", role_sends },
        { ROLE_TURNED, "turned", role_turned },    { 0 },
};
static const struct channel_kind from_files[] = {
        { ROLE_READY, "ready", role_ready },
        { ROLE_BIND, "bind", role_binds },
        { 0 },
};
static const struct channel_kind from_sender[] = { { ROLE_READY, "ready", role_ready }, { 0 } };
static const struct channel_kind *const from[] = { [CHILD_KEEPER] = from_keeper,
                                                   [CHILD_MAIL] = from_mail,
                                                   [CHILD_FILES] = from_files,
                                                   [CHILD_SENDER] = from_sender };

/* A role ends its channel by ending, or by sending what it may not: then it is broken, or not ours any more. */
static void role_left(struct channel *c, void *context)
{
        const struct child *child = context;

        (void)c;
        if (child->pid)
                kill(child->pid, SIGKILL);
}

/* A fresh socketpair between two living children; one end goes by start message or channel to each. 0 or -errno. */
static int pair(int ends[static 2])
{
        return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

static void tell_index(struct child *to, unsigned kind, unsigned index, int fd)
{
        auto_buf struct buf b;

        buf_init(&b, 4);
        buf_u32(&b, index);
        channel_tell(to->channel, (uint16_t)kind, buf_str(&b), fd);
}

/* The keeper counts its fronts in one row. */
static unsigned front_number(const struct child *c)
{
        return c->kind == CHILD_FILES ? START_PEERS + c->index : c->index;
}

static bool talk(const struct child *a, const struct child *b)
{
        if (a->kind == CHILD_SENDER ||
            b->kind == CHILD_SENDER) /* it signs nothing, and nobody signs in there */
                return false;
        return a->kind == CHILD_KEEPER || b->kind == CHILD_KEEPER ||
               (a->kind == CHILD_MAIL && b->kind == CHILD_MAIL);
}

/* Wires c, which is being started through `start`, to those who run already. 0 or -errno. */
static int wire(struct children *all, struct child *c, int start)
{
        for (unsigned i = 0; i < all->count; i++) {
                struct child *other = &all->list[i];
                int ends[2], rc;

                if (other == c || !other->channel || !talk(c, other))
                        continue;
                rc = pair(ends);
                if (rc < 0)
                        return rc;
                if (c->kind == CHILD_KEEPER) {
                        start_send_fd(start, START_FRONT, front_number(other), ends[0]);
                        channel_tell(other->channel, ROLE_KEEPER, S(""), ends[1]);
                } else if (other->kind == CHILD_KEEPER) {
                        start_send_fd(start, START_KEEPER, 0, ends[0]);
                        tell_index(other, ROLE_FRONT, front_number(c), ends[1]);
                } else {
                        start_send_fd(start, START_PEER, other->index, ends[0]);
                        tell_index(other, ROLE_PEER, c->index, ends[1]);
                }
                close(ends[0]);
                close(ends[1]);
        }
        return 0;
}

static pid_t spawn(struct child *c, int start)
{
        char index[12];
        char *argv[] = { (char *)"pail", (char *)"-x", (char *)role_names[c->kind], index, NULL };
        posix_spawn_file_actions_t actions;
        pid_t pid;

        snprintf(index, sizeof(index), "%u", c->index);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, start, START_FD);
        /* It neither reads the terminal nor writes to our output. */
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        int rc = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ);

        posix_spawn_file_actions_destroy(&actions);
        if (rc) {
                errno = rc;
                log_warn("role-start", "role=%s why=\"%m\"", c->name);
                return 0;
        }
        return pid;
}

static int send_start(struct children *all, struct child *c, int socket)
{
        struct start *s = &(struct start){
                .index = c->index,
                .processes = c->kind == CHILD_FILES    ? all->files
                             : c->kind == CHILD_SENDER ? 1
                                                       : all->mail,
                .uid = all->how->uid,
                .gid = all->how->gid,
                .drop = all->how->drop,
                .settings = *all->how->settings,
        };
        int rc = start_send_facts(socket, s);

        rc |= start_send_fd(socket, START_DATA, 0, all->data);
        if (c->kind == CHILD_KEEPER && all->key >= 0)
                rc |= start_send_fd(socket, START_KEY, 0, all->key);
        if ((c->kind == CHILD_MAIL || c->kind == CHILD_FILES) && all->certificate >= 0)
                rc |= start_send_fd(socket, START_CERTIFICATE, 0, all->certificate);
        for (unsigned i = 0; i < all->listening_count; i++)
                if (all->listening[i].role == c->kind && all->listening[i].worker == c->index)
                        rc |= start_send_fd(socket, START_LISTENER, all->listening[i].protocol,
                                            all->listening[i].fd);
        rc |= wire(all, c, socket);
        rc |= start_send_go(socket);
        return rc;
}

static void again_later(struct child *c)
{
        nsec wait = BACKOFF_LEAST << (c->failures > 10 ? 10 : c->failures);

        if (wait > BACKOFF_MOST)
                wait = BACKOFF_MOST;
        timer_set(&c->again, now() + wait);
}

static void start_one(struct child *c)
{
        int ends[2], rc = pair(ends);

        c->started = now();
        c->ready = false;
        if (rc < 0) {
                log_warn("role-start", "role=%s why=\"%s\"", c->name, strerrordesc_np(-rc));
                c->failures++;
                again_later(c);
                return;
        }
        /* A socketpair holds some hundred messages; a role that reads its start slowly makes this wait. */
        c->pid = spawn(c, ends[1]);
        close(ends[1]);
        if (!c->pid || (rc = send_start(c->all, c, ends[0])) != 0) {
                close(ends[0]);
                if (c->pid) { /* it ends by itself, for lack of a start; then comes the next */
                        log_warn("role-start", "role=%s why=\"not all it needs could be sent\"", c->name);
                        return;
                }
                c->failures++;
                again_later(c);
                return;
        }
        c->channel = channel_new(ends[0], from[c->kind], c, role_left);
        channel_survive(c->channel);
        role_taps_started(c);
        if (c->kind == CHILD_MAIL)
                switchboard_join(c->all->bells, c->index, c->channel);
}

static void start_again(struct timer *t)
{
        struct child *c = (struct child *)((char *)t - offsetof(struct child, again));

        if (!c->all->stopping)
                start_one(c);
}

static void start_first(struct children *all, struct child *c, enum child_kind kind, unsigned index)
{
        c->kind = kind;
        c->index = index;
        c->all = all;
        c->again.fire = start_again;
        if (kind == CHILD_KEEPER)
                snprintf(c->name, sizeof(c->name), "keeper");
        else
                snprintf(c->name, sizeof(c->name), "%s.%u", role_names[kind], index);
        start_one(c);
}

void children_start(struct children *all)
{
        all->bells = switchboard_new();
        role_taps_begin(all);
        start_first(all, &all->list[0], CHILD_KEEPER, 0);
        for (unsigned i = 0; i < all->mail; i++)
                start_first(all, &all->list[1 + i], CHILD_MAIL, i);
        for (unsigned i = 0; i < all->files; i++)
                start_first(all, &all->list[1 + all->mail + i], CHILD_FILES, i);
        start_first(all, &all->list[1 + all->mail + all->files], CHILD_SENDER, 0);
}

static void say_how_it_ended(const struct child *c, int status)
{
        if (WIFSIGNALED(status))
                log_warn("role-died", "role=%s pid=%d signal=%d what=\"%s\"", c->name, (int)c->pid,
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
                log_warn("role-died", "role=%s pid=%d exit=%d", c->name, (int)c->pid, WEXITSTATUS(status));
}

void children_reap(struct children *all)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                for (unsigned i = 0; i < all->count; i++) {
                        struct child *c = &all->list[i];

                        if (c->pid != pid)
                                continue;
                        if (!all->stopping || !WIFEXITED(status) || WEXITSTATUS(status))
                                say_how_it_ended(c, status);
                        c->failures = now() - c->started < SHORT_LIFE ? c->failures + 1 : 0;
                        role_taps_gone(c);
                        c->pid = 0;
                        c->ready = false;
                        if (c->kind == CHILD_MAIL)
                                switchboard_leave(c->all->bells, c->index);
                        channel_free(&c->channel);
                        if (!all->stopping)
                                again_later(c);
                }
}

void children_tell(struct children *all, unsigned kind, struct str body, int fd, unsigned to)
{
        for (unsigned i = 0; i < all->count; i++)
                if (all->list[i].channel && to & TO(all->list[i].kind))
                        channel_tell(all->list[i].channel, (uint16_t)kind, body, fd);
}

static bool running(const struct children *all, unsigned which)
{
        for (unsigned i = 0; i < all->count; i++)
                if (all->list[i].pid && which & TO(all->list[i].kind))
                        return true;
        return false;
}

/* Whoever comes now shall hear at once that nobody is here, and the next server may have the ports. */
static void stop_listening(struct children *all)
{
        for (unsigned i = 0; i < all->listening_count; i++)
                close(all->listening[i].fd);
        all->listening_count = 0;
}

void children_stop(struct children *all)
{
        if (!all->stopping) {
                children_tell(all, ROLE_STOP, S(""), -1, TO_FRONTS);
                stop_listening(all);
        }
        all->stopping = true;
        if (!running(all, TO_FRONTS))
                children_tell(all, ROLE_STOP, S(""), -1, TO(CHILD_KEEPER));
}

void children_kill(struct children *all)
{
        for (unsigned i = 0; i < all->count; i++)
                if (all->list[i].pid)
                        kill(all->list[i].pid, SIGKILL);
}

bool children_gone(const struct children *all)
{
        return !running(all, TO_ALL);
}
