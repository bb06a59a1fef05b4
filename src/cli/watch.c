/* pail watch: what a running pail's conversations say, as they say it. The roles write records to a socket that the supervisor passed to them
 * (proto/tap.h); here they become lines. */
#include "cli/watch.h"
#include "cli/cli.h"
#include "cli/control.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum { SOCKET_ROOM = 4 * 1024 * 1024 };

static volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
        interrupted = signo;
}

static int ask(struct tool *t, const struct tap_wanted *wanted, int *fd)
{
        struct buf auto_buf body = { 0 }, auto_buf answer = { 0 };
        int pair[2], room = SOCKET_ROOM, rc;

        buf_init(&body, 4096);
        buf_init(&answer, 64);
        tap_wanted_pack(&body, wanted);
        if (body.full)
                return tool_fail(t, -EINVAL, S("what to watch"), "that is too long");
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return tool_fail(t, -errno, S("socket"), NULL);
        setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room,
                   sizeof(room)); /* what does not fit is lost, and counted */
        rc = cli_control_fd(CONTROL_WATCH, buf_str(&body), pair[1], &answer);
        close(pair[1]);
        *fd = pair[0];
        if (rc == 0 && answer.n)
                return 0;
        close(pair[0]);
        if (control_nobody(rc)) {
                tool_fail(t, -EAGAIN, S("watch"), "no server runs here");
                return EX_UNAVAILABLE;
        }
        return tool_fail(t, rc ? rc : -EAGAIN, S("the running server"), rc ? NULL : "too many watch already");
}

static int listen_to(struct watching *w, int fd)
{
        static char message[TAP_RECORD_MOST];

        while (!interrupted && !w->finished) {
                struct tap_record r;
                ssize_t n = recv(fd, message, sizeof(message), 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        if (!w->json)
                                printf("# the server has ended\n");
                        return EX_UNAVAILABLE;
                }
                if (!tap_unpack(str_from(message, (size_t)n), &r)) {
                        fprintf(stderr, "pail watch: the running server is of another version\n");
                        return EX_PROTOCOL;
                }
                watch_record(w, &r);
                fflush(stdout);
        }
        return EX_OK;
}

/* Ctrl-C is how it ends; what is being kept is written then. */
static void take_signals(void)
{
        struct sigaction a = { .sa_handler = on_signal };

        sigaction(SIGINT, &a, NULL);
        sigaction(SIGTERM, &a, NULL);
        sigaction(SIGHUP, &a, NULL);
}

static int run(struct tool *t, struct watching *w, struct str account)
{
        int fd = -1, rc;

        if (account.n && tool_account(t, account, &w->wanted.account))
                return EX_NOUSER;
        take_signals();
        rc = ask(t, &w->wanted, &fd);
        if (rc)
                return rc;
        if (!w->json) {
                printf("# watching; Ctrl-C ends it\n");
                fflush(stdout);
        }
        rc = listen_to(w, fd);
        close(fd);
        return watch_finish(w) < 0 ? EX_IOERR : rc;
}

/* Before we become the folder's owner, who may not write where the file shall be. */
static int open_saved(struct tool *t, struct watching *w)
{
        if (!w->save)
                return 0;
        w->save_fd = open(w->save, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (w->save_fd >= 0)
                return 0;
        tool_fail(t, -errno, str_of(w->save), NULL);
        return EX_CANTCREAT;
}

static int enter(struct tool *t, struct watching *w)
{
        const char *path = NULL;
        int rc = t->count ? tool_usage(t) : tool_find(t, &path);

        if (rc)
                return rc;
        if (!path)
                return tool_fail(t, -EINVAL, S("which folder?"), "say --dir D or --config F");
        rc = open_saved(t, w);
        return rc ? rc : tool_enter(t, path);
}

int verb_watch(int argc, char **argv)
{
        static struct watching w;
        const char *address = NULL, *account = NULL, *protocol = NULL, *session = NULL;
        struct tool_option options[] = {
                { "address", &address, NULL }, { "account", &account, NULL }, { "protocol", &protocol, NULL },
                { "session", &session, NULL }, { "save", &w.save, NULL },     { 0 },
        };
        static struct tool t;
        int rc = tool_options(&t, argc, argv, options);

        rc = rc ? rc : enter(&t, &w);
        if (rc == 0) {
                w.json = t.json;
                w.wanted = (struct tap_wanted){ .address = str_of(address),
                                                .protocol = str_of(protocol),
                                                .session = str_of(session) };
                rc = run(&t, &w, str_of(account));
        }
        return tool_end(&t, rc);
}
