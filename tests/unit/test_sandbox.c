/* What a process can still do in its sandbox: each attempt in a child of its own, which tells by its exit status. */
#include "unit.h"
#include "role/sandbox.h"
#include "run/annotate.h"
#include "run/log.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/pail-sandbox-XXXXXX";
static char inside[64], reading[64], outside[64], link_there[64];
static int given = -1, given_to_listen = -1; /* sockets, bound before */
static struct sockaddr_in listening = { .sin_family = AF_INET };
static pid_t us;

static int result(long rc)
{
        return rc < 0 ? errno : 0;
}

static int opens(const char *file, int flags)
{
        return result(open(file, flags | O_CLOEXEC, 0600));
}

static int writes_inside(void)
{
        return opens(inside, O_WRONLY | O_CREAT);
}

static int reads_what_it_may_read(void)
{
        return opens(reading, O_RDONLY);
}

static int writes_what_it_may_read(void)
{
        return opens(reading, O_WRONLY);
}

static int reads_outside(void)
{
        return opens(outside, O_RDONLY);
}

static int signals_another(void)
{
        return result(syscall(SYS_tgkill, us, us, 0));
}

static int signals_another_by_kill(void)
{
        return result(kill(us, 0));
}

static int signals_itself(void)
{
        return result(syscall(SYS_tgkill, getpid(), getpid(), 0));
}

static int has_the_kernel_signal(void)
{
        return result(fcntl(0, F_SETOWN, us));
}

static int chooses_that_signal(void)
{
        return result(fcntl(0, F_SETSIG, SIGKILL));
}

static int copies_a_descriptor(void)
{
        return result(fcntl(0, F_DUPFD_CLOEXEC, 3));
}

static int limits_another(void)
{
        struct rlimit l;

        return result(prlimit(us, RLIMIT_CPU, NULL, &l));
}

static int asks_its_own_limit(void)
{
        struct rlimit l;

        return result(getrlimit(RLIMIT_NOFILE, &l));
}

static int types_at_the_terminal(void)
{
        return result(ioctl(0, TIOCSTI, "x"));
}

static int opens_a_socket(void)
{
        return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int opens_a_unix_socket(void)
{
        return result(socket(AF_UNIX, SOCK_SEQPACKET, 0));
}

static int binds_what_it_was_given(void)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        return result(bind(given, (struct sockaddr *)&a, sizeof(a)));
}

static int listens_on_what_it_was_given(void)
{
        return result(listen(given_to_listen, 1));
}

static int connects_what_it_was_given(void)
{
        return result(connect(given, (struct sockaddr *)&listening, sizeof(listening)));
}

static int opens_a_raw_socket(void)
{
        return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int dials(void)
{
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&listening, sizeof(listening)));
}

static int accepts(void)
{
        return result(accept(given_to_listen, NULL, NULL));
}

static int makes_a_link(void)
{
        return result(symlinkat("inside", AT_FDCWD, link_there));
}

static int makes_a_device(void)
{
        return result(mknod(link_there, S_IFIFO | 0600, 0));
}

static int maps_code(void)
{
        return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                       MAP_FAILED
                   ? errno
                   : 0;
}

static int makes_code(void)
{
        static _Alignas(4096) char page[4096];

        return result(mprotect(page, sizeof(page), PROT_READ | PROT_EXEC));
}

static int forks(void)
{
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        return result(pid);
}

static void *nothing(void *arg)
{
        return arg;
}

static int starts_a_thread(void)
{
        pthread_t t;
        int rc = pthread_create(&t, NULL, nothing, NULL);

        return rc ? rc : pthread_join(t, NULL);
}

static int executes(void)
{
        char *argv[] = { (char *)"true", NULL };

        return result(execv("/bin/true", argv));
}

static const struct attempt {
        const char *name;
        int (*run)(void);
        int want; /* errno, or -signal */
        bool by_landlock, not_sanitized, file_server, sender;
} attempts[] = {
        { "writes inside", writes_inside, 0 },
        { "reads what it may read", reads_what_it_may_read, 0 },
        { "writes what it may read", writes_what_it_may_read, EACCES, .by_landlock = true },
        { "reads outside", reads_outside, EACCES, .by_landlock = true },
        { "signals another", signals_another, EPERM },
        { "signals another by kill", signals_another_by_kill, EPERM },
        { "signals itself", signals_itself, 0 },
        { "has the kernel signal", has_the_kernel_signal, EPERM },
        { "chooses that signal", chooses_that_signal, EPERM },
        { "copies a descriptor", copies_a_descriptor, 0 },
        { "limits another", limits_another, EPERM },
        { "asks its own limit", asks_its_own_limit, 0 },
        { "types at the terminal", types_at_the_terminal, EPERM },
        { "opens a socket", opens_a_socket, EPERM },
        { "opens a Unix socket", opens_a_unix_socket, EPERM },
        { "maps code", maps_code, EPERM, .not_sanitized = true },
        { "makes code", makes_code, EPERM, .not_sanitized = true },
        { "forks", forks, EPERM },
        { "starts a thread", starts_a_thread, 0 },
        { "executes", executes, -SIGSYS },
        { "connects", connects_what_it_was_given, EPERM },
        { "makes a link", makes_a_link, EPERM },
        { "a file server writes inside", writes_inside, 0, .file_server = true },
        { "a file server reads outside", reads_outside, EACCES, .by_landlock = true, .file_server = true },
        { "a file server opens a socket", opens_a_socket, EPERM, .file_server = true },
        { "a file server opens a Unix socket", opens_a_unix_socket, EPERM, .file_server = true },
        { "a file server binds", binds_what_it_was_given, EPERM, .file_server = true },
        { "a file server connects", connects_what_it_was_given, 0, .file_server = true },
        { "a file server listens", listens_on_what_it_was_given, 0, .file_server = true },
        { "a file server makes a link", makes_a_link, 0, .file_server = true },
        { "a file server makes a FIFO", makes_a_device, EPERM, .file_server = true },
        { "a file server executes", executes, -SIGSYS, .file_server = true },
        { "the sender writes inside", writes_inside, 0, .sender = true },
        { "the sender reads outside", reads_outside, EACCES, .by_landlock = true, .sender = true },
        { "the sender dials", dials, 0, .sender = true },
        { "the sender opens a Unix socket", opens_a_unix_socket, EPERM, .sender = true },
        { "the sender opens a raw socket", opens_a_raw_socket, EPERM, .sender = true },
        { "the sender listens", listens_on_what_it_was_given, EPERM, .sender = true },
        { "the sender accepts", accepts, EPERM, .sender = true },
        { "the sender makes a link", makes_a_link, EPERM, .sender = true },
        { "the sender forks", forks, EPERM, .sender = true },
        { "the sender executes", executes, -SIGSYS, .sender = true },
};

static int try(const struct attempt *a)
{
        struct sandbox_path paths[] = {
                { folder, a->file_server ? SANDBOX_FILES : SANDBOX_WRITE },
                { reading, SANDBOX_READ },
        };
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                log_quiet = true;
                sandbox_enter(paths, LENGTH(paths),
                              a->file_server ? SANDBOX_CONNECT | SANDBOX_FILE_SERVER
                              : a->sender    ? SANDBOX_DIAL
                                             : 0);
                _exit(a->run());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void a_role_in_its_sandbox(void **state)
{
        bool landlock = sandbox_landlock_abi() >= 2, sanitized = false;

        (void)state;
#if defined(PAIL_ASAN) || defined(PAIL_TSAN)
        sanitized = true;
#endif
        us = getpid();
        for (size_t i = 0; i < LENGTH(attempts); i++) {
                const struct attempt *a = &attempts[i];
                int got;

                if ((a->by_landlock && !landlock) || (a->not_sanitized && sanitized))
                        continue;
                got = try(a);
                if (got != a->want)
                        fail_msg("%s: %d (%s), not %d", a->name, got, got > 0 ? strerror(got) : "", a->want);
        }
}

/* Somebody to connect to, and a socket to do it with. */
static int listen_and_bind(void)
{
        struct sockaddr_in any = { .sin_family = AF_INET };
        int there = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t n = sizeof(listening);

        any.sin_addr.s_addr = listening.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        given = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        given_to_listen = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return bind(there, (struct sockaddr *)&listening, n) || listen(there, 8) ||
                       getsockname(there, (struct sockaddr *)&listening, &n) ||
                       bind(given, (struct sockaddr *)&any, sizeof(any)) ||
                       bind(given_to_listen, (struct sockaddr *)&any, sizeof(any))
                   ? -1
                   : 0;
}

static int make_files(void **state)
{
        (void)state;
        if (!mkdtemp(folder))
                return -1;
        snprintf(inside, sizeof(inside), "%s/inside", folder);
        snprintf(reading, sizeof(reading), "%s.reading", folder);
        snprintf(outside, sizeof(outside), "%s.outside", folder);
        close(open(reading, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        snprintf(link_there, sizeof(link_there), "%s/link", folder);
        close(open(outside, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        return listen_and_bind();
}

static int remove_files(void **state)
{
        (void)state;
        unlink(inside);
        unlink(link_there);
        unlink(reading);
        unlink(outside);
        return rmdir(folder);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_role_in_its_sandbox, make_files, remove_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
