#include "role/control_socket.h"

#include "proto/keeper.h"
#include "role/control.h"
#include "role/taps.h"
#include "run/fiber.h"
#include "run/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_FILE  "control.sock"
#define KEEPER_ANSWER (30 * SECOND)
#define VERBS_MOST    64

static struct watch listening = { .fd = -1 };
static struct channel *verbs[VERBS_MOST]; /* who is asking */
static struct children *children;

static void directory_changed(struct channel_message *m)
{
        children_tell(children, ROLE_DIRECTORY, S(""), -1, TO_ALL);
        channel_answer(m, S(""), -1);
}

static void outbox_changed(struct channel_message *m)
{
        children_tell(children, ROLE_SENDING, S("order"), -1, TO(CHILD_SENDER));
        channel_answer(m, S(""), -1);
}

static void status(struct channel_message *m)
{
        auto_buf struct buf b;

        buf_init(&b, CHANNEL_BODY);
        for (unsigned i = 0; i < children->count; i++) {
                const struct child *c = &children->list[i];

                buf_printf(&b, "%s pid=%d %s\n", c->name, (int)c->pid,
                           c->ready ? "ready"
                           : c->pid ? "starting"
                                    : "waiting");
        }
        channel_answer(m, buf_str(&b), -1);
}

/* The keeper's questions pass through; an empty answer means that it is not there. */
static void ask_keeper(struct channel_message *m, uint16_t kind)
{
        struct child *keeper = children_keeper(children);
        auto_buf struct buf answer;

        buf_init(&answer, CHANNEL_BODY);
        if (!keeper->channel ||
            channel_ask(keeper->channel, kind, m->body, -1, &answer, NULL, now() + KEEPER_ANSWER))
                buf_clear(&answer);
        channel_answer(m, buf_str(&answer), -1);
}

static void set_secret(struct channel_message *m)
{
        ask_keeper(m, ASK_SET_SECRET);
}

static void secrets(struct channel_message *m)
{
        ask_keeper(m, ASK_SECRETS);
}

static void bans(struct channel_message *m)
{
        ask_keeper(m, ASK_BANS);
}

/* The first mail process that serves takes it. */
static void submit(struct channel_message *m)
{
        bool taken = false;

        for (unsigned i = 0; i < children->count && m->fd >= 0 && !taken; i++) {
                const struct child *c = &children->list[i];

                taken = c->kind == CHILD_MAIL && c->channel && c->ready &&
                        channel_tell(c->channel, ROLE_SUBMIT, S(""), m->fd) == 0;
        }
        channel_answer(m, taken ? S("yes") : S(""), -1);
}

static void watch(struct channel_message *m)
{
        int fd = m->fd;

        m->fd = -1; /* taken */
        channel_answer(m, fd >= 0 && role_taps_watch(children, fd, m->body) ? S("yes") : S(""), -1);
}

static void unban(struct channel_message *m)
{
        ask_keeper(m, ASK_UNBAN);
}

static const struct channel_kind from_verb[] = {
        { CONTROL_DIRECTORY_CHANGED, "directory changed", directory_changed },
        { CONTROL_OUTBOX_CHANGED, "outbox changed", outbox_changed },
        { CONTROL_STATUS, "status", status },
        { CONTROL_SET_SECRET, "set secret", set_secret },
        { CONTROL_SECRETS, "secrets", secrets },
        { CONTROL_BANS, "bans", bans },
        { CONTROL_UNBAN, "unban", unban },
        { CONTROL_SUBMIT, "submit", submit },
        { CONTROL_WATCH, "watch", watch },
        { 0 },
};

static void verb_left(struct channel *c, void *context)
{
        (void)c;
        channel_free(context);
}

/* NULL: too many ask just now. */
static struct channel **free_place(void)
{
        for (size_t i = 0; i < VERBS_MOST; i++)
                if (!verbs[i])
                        return &verbs[i];
        return NULL;
}

static bool may_ask(int fd)
{
        struct ucred who;
        struct stat st;
        socklen_t n = sizeof(who);

        return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) && !fstat(children->data, &st) &&
               (who.uid == 0 || who.uid == st.st_uid || who.uid == geteuid());
}

static void verb_came(struct watch *w, uint32_t events)
{
        int fd;

        (void)events;
        while ((fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
                struct channel **place = may_ask(fd) ? free_place() : NULL;

                if (!place) {
                        close(fd);
                        continue;
                }
                *place = channel_new(fd, from_verb, place, verb_left);
                channel_survive(*place); /* a verb may be of another version than the server */
        }
}

int control_open(struct children *all)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = CONTROL_FILE };

        children = all;
        listening.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        listening.ready = verb_came;
        /* The ports are ours, so whoever left this socket is dead. */
        unlink(CONTROL_FILE);
        mode_t old = umask(0077);
        int rc = listening.fd < 0 || bind(listening.fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
                         listen(listening.fd, 16) < 0
                     ? -errno
                     : 0;

        umask(old);
        if (!rc && all->how->drop && lchown(CONTROL_FILE, all->how->uid, all->how->gid) < 0)
                rc = -errno;
        if (!rc)
                rc = watch_add(&listening, EPOLLIN);
        if (rc)
                fprintf(stderr, "pail: " CONTROL_FILE ": %s\n", strerror(-rc));
        return rc;
}

void control_close(void)
{
        unlink(CONTROL_FILE);
        if (listening.fd >= 0) {
                watch_remove(&listening);
                close(listening.fd);
        }
        listening.fd = -1;
        for (size_t i = 0; i < VERBS_MOST; i++)
                channel_free(&verbs[i]);
        role_taps_end(children);
}
