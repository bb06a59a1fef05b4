#include "role/start.h"

#include "base/mem.h"
#include "net/addr.h"
#include "run/channel.h"
#include "run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define START_MESSAGE 32768

static int send_message(int socket, struct str body, int fd)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec v = { (void *)body.p, body.n };
        struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

        if (fd >= 0) {
                m.msg_control = &control;
                m.msg_controllen = sizeof(control.room);
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);

                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                *(int *)(void *)CMSG_DATA(c) = fd;
        }
        while (sendmsg(socket, &m, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

int start_send_facts(int socket, const struct start *s)
{
        auto_buf struct buf b;

        buf_init(&b, START_MESSAGE);
        buf_u8(&b, START_FACTS);
        buf_u32(&b, s->index);
        buf_u32(&b, s->processes);
        buf_u32(&b, s->uid);
        buf_u32(&b, s->gid);
        buf_u8(&b, s->drop);
        settings_pack(&s->settings, &b);
        return b.full ? -EMSGSIZE : send_message(socket, buf_str(&b), -1);
}

int start_send_fd(int socket, enum start_what what, unsigned number, int fd)
{
        auto_buf struct buf b;

        buf_init(&b, 8);
        buf_u8(&b, (uint8_t)what);
        buf_u32(&b, number);
        return send_message(socket, buf_str(&b), fd);
}

int start_send_go(int socket)
{
        uint8_t go = START_GO;

        return send_message(socket, str_from(&go, 1), -1);
}

/* One message into *room; *fd is the descriptor that came with it, or -1. */
static struct str receive_message(char *room, size_t n, int *fd)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec v = { room, n };
        struct msghdr m = { .msg_iov = &v,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control.room) };
        ssize_t got;

        do
                got = recvmsg(START_FD, &m, MSG_CMSG_CLOEXEC);
        while (got < 0 && errno == EINTR);
        if (got <= 0 || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
                die("start: the supervisor is gone or talks nonsense");
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);

        *fd = c && c->cmsg_type == SCM_RIGHTS ? *(int *)(void *)CMSG_DATA(c) : -1;
        return str_from(room, (size_t)got);
}

static void take_facts(struct start *s, struct unpack *u)
{
        s->index = unpack_u32(u);
        s->processes = unpack_u32(u);
        s->uid = unpack_u32(u);
        s->gid = unpack_u32(u);
        s->drop = unpack_u8(u);
        if (u->bad || !settings_unpack(&s->settings, str_from_at(u->s, u->at)))
                die("start: the settings cannot be read");
}

static void take_fd(struct start *s, enum start_what what, unsigned number, int fd)
{
        switch (what) {
        case START_DATA: s->data = fd; return;
        case START_KEEPER: s->keeper = fd; return;
        case START_CERTIFICATE: s->certificate = fd; return;
        case START_KEY: s->key = fd; return;
        case START_PEER:
                if (number < START_PEERS) {
                        s->peers[number] = fd;
                        return;
                }
                break;
        case START_FRONT:
                if (number < START_FRONTS) {
                        s->fronts[number] = fd;
                        return;
                }
                break;
        case START_LISTENER:
                if (s->listener_count < START_MOST_FDS) {
                        s->listeners[s->listener_count].fd = fd;
                        s->listeners[s->listener_count++].protocol = number;
                        return;
                }
                break;
        default: break;
        }
        die("start: message %d with number %u", (int)what, number);
}

void start_receive(struct start *s)
{
        static char room[START_MESSAGE];

        *s = (struct start){ .data = -1, .keeper = -1, .certificate = -1, .key = -1 };
        for (unsigned i = 0; i < START_PEERS; i++)
                s->peers[i] = -1;
        for (unsigned i = 0; i < START_FRONTS; i++)
                s->fronts[i] = -1;
        for (;;) {
                int fd;
                struct unpack u = unpack_of(receive_message(room, sizeof(room), &fd));
                enum start_what what = unpack_u8(&u);

                if (what == START_GO)
                        break;
                if (what == START_FACTS)
                        take_facts(s, &u);
                else if (fd < 0)
                        die("start: message %d without its descriptor", (int)what);
                else
                        take_fd(s, what, unpack_u32(&u), fd);
        }
        fcntl(START_FD, F_SETFD, FD_CLOEXEC);
}

/* A service manager may have given the supervisor the one that ports below 1024 need: it is not for the roles. */
static bool drop_capabilities(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

        return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
               syscall(SYS_capset, &header, none) == 0;
}

void start_drop(const struct start *s)
{
        if (s->data >= 0 && fchdir(s->data) < 0)
                die("cannot go to the data folder: %m");
        if (s->drop) {
                gid_t gid = s->gid;

                if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 ||
                    setresuid(s->uid, s->uid, s->uid) < 0)
                        die("cannot become uid %u: %m", s->uid);
        }
        if (!drop_capabilities() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                die("cannot give up rights: %m");
}

void start_pack_bind(struct buf *out, const struct addr *a)
{
        buf_u8(out, a->family);
        buf_put(out, a->ip, sizeof(a->ip));
        buf_u16(out, a->port);
}

bool start_unpack_bind(struct str body, struct addr *a)
{
        struct unpack u = unpack_of(body);

        *a = (struct addr){ .family = unpack_u8(&u) };
        struct str ip = unpack_bytes(&u, sizeof(a->ip));

        a->port = unpack_u16(&u);
        if (!u.bad)
                mem_copy(a->ip, sizeof(a->ip), ip);
        return unpack_done(&u) && (a->family == 4 || a->family == 6);
}

int role_take_fd(struct channel_message *m)
{
        int fd = m->fd;

        m->fd = -1;
        if (fd < 0)
                die("supervisor: a message %u without its descriptor", m->kind);
        return fd;
}
