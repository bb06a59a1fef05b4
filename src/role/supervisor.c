#include "role/supervisor.h"

#include "base/mem.h"
#include "role/children.h"
#include "role/control_socket.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/offload.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define STOP_GRACE (30 * SECOND)

static struct children
    children; /* one supervisor a process; its signal handlers have no context of their own */
static struct timer stop_grace;
static nsec asked_to_stop;
static struct settings started; /* as they were then: some are heeded at no other time */
static bool on_terminal;        /* started in one */

void limits_raise(void)
{
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) < 0)
                return;
        l.rlim_cur = l.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &l) < 0)
                getrlimit(RLIMIT_NOFILE, &l);
        log_event("limits", "descriptors=%llu", (unsigned long long)l.rlim_cur);
}

static void grace_is_over(struct timer *t)
{
        (void)t;
        log_warn("stop", "why=\"some roles did not end in time: killed\"");
        children_kill(&children);
}

static void on_stop(int signo)
{
        if (children
                .stopping) { /* asked again: at once; but a shell's signal may come to us and to our group */
                if (now() - asked_to_stop > SECOND)
                        children_kill(&children);
                return;
        }
        asked_to_stop = now();
        log_event("stop", "signal=%d", signo);
        stop_grace.fire = grace_is_over;
        timer_set(&stop_grace, now() + STOP_GRACE);
        children_stop(&children);
        if (children_gone(&children))
                loop_stop();
}

static void on_child(int signo)
{
        (void)signo;
        children_reap(&children);
        if (!children.stopping)
                return;
        children_stop(&children);
        if (children_gone(&children)) {
                timer_stop(&stop_grace);
                loop_stop();
        }
}

static void keep_started(const struct settings *s)
{
        auto_buf struct buf b = { 0 };

        buf_init(&b, CHANNEL_BODY);
        settings_pack(s, &b);
        if (!settings_unpack(&started, buf_str(&b)))
                die("supervisor: settings that cannot be packed");
}

static void say_reread(struct str later)
{
        if (later.n)
                log_warn("reread", "what=\"settings and certificates\" not-before-restart=%s",
                         log_str(later));
        else
                log_event("reread", "what=\"settings and certificates\"");
}

static void on_hangup(int signo)
{
        const struct supervise *how = children.how;
        auto_buf struct buf b = { 0 }, later = { 0 };

        if (on_terminal &&
            !isatty(STDERR_FILENO)) { /* it was closed: nobody is there to press Ctrl-C any more */
                on_stop(signo);
                return;
        }
        if (how->reread && how->reread(how->settings, how->context) < 0)
                return;
        buf_init(&later, 2048);
        settings_need_restart(&started, how->settings, &later);
        settings_keep(how->settings, &started); /* the roles go by what the ports and grants were made from */
        buf_init(&b, CHANNEL_BODY);
        settings_pack(how->settings, &b);
        if (b.full) {
                log_warn("reread",
                         "why=\"the settings are longer than %d bytes: not heeded, and no role would "
                         "start with them\"",
                         CHANNEL_BODY);
                return;
        }
        children_tell(&children, ROLE_SETTINGS, buf_str(&b), -1, TO_ALL);
        children_open_keys(&children);
        if (children.certificate >= 0)
                children_tell(&children, ROLE_CERTIFICATE, S(""), children.certificate,
                              TO(CHILD_MAIL) | TO(CHILD_FILES));
        if (children.key >= 0)
                children_tell(&children, ROLE_KEY, S(""), children.key, TO(CHILD_KEEPER));
        say_reread(buf_str(&later));
}

static void on_quit(int signo)
{
        (void)signo;
        fiber_dump(STDERR_FILENO);
        children_tell(&children, ROLE_DUMP, S(""), -1, TO_ALL);
}

unsigned supervise_workers(const struct settings *s)
{
        long n = s->workers ? s->workers : sysconf(_SC_NPROCESSORS_ONLN);

        return (unsigned)(n < 1 ? 1 : n > START_PEERS ? START_PEERS : n);
}

int supervise(const struct supervise *how)
{
        children = (struct children){ .how = how, .certificate = -1, .key = -1 };
        children.mail = supervise_workers(how->settings);
        children.files = how->settings->ftp_port || how->settings->ftps_port ? children.mail : 0;
        children.count = 1 + children.mail + children.files + 1;
        children.list = mem_array(children.count, sizeof(*children.list));
        close_range(STDERR_FILENO + 1, ~0U,
                    CLOSE_RANGE_CLOEXEC); /* what our caller left open is not for the roles */
        children.data = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        log_role("supervisor");
        limits_raise();
        on_terminal = isatty(STDERR_FILENO);
        keep_started(how->settings);
        if (children.data < 0 || children_bind(&children) < 0)
                return EX_UNAVAILABLE;
        children_open_keys(&children);
        loop_init();
        loop_signal(SIGTERM, on_stop);
        loop_signal(SIGINT, on_stop);
        loop_signal(SIGCHLD, on_child);
        loop_signal(SIGHUP, on_hangup);
        loop_signal(SIGQUIT, on_quit);
        if (control_open(&children) < 0)
                return EX_OSERR;
        children_start(&children);
        loop_run();
        control_close();
        settings_free(&started);
        log_event("stopped", "pid=%d", (int)getpid());
        return EX_OK;
}
