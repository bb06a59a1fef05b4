#include "role/sandbox.h"

#include "run/annotate.h"
#include "run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 12's headers know ABI 2; these came later. */
#define FS_TRUNCATE     (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV    (1ULL << 15) /* ABI 5 */
#define NET_BIND_TCP    (1ULL << 0)  /* ABI 4 */
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_SOCKET    (1ULL << 0) /* ABI 6: abstract Unix sockets */
#define SCOPE_SIGNAL    (1ULL << 1)

struct ruleset {
        uint64_t fs, net, scope;
};

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                      \
        (FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                    \
         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
         LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
#define FS_FILES (FS_WRITE | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define FS_FILE_ONLY                                                                                 \
        (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | \
         FS_TRUNCATE)

int sandbox_landlock_abi(void)
{
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

        return abi < 0 ? 0 : (int)abi;
}

static void allow_path(int ruleset, const struct sandbox_path *p, uint64_t handled)
{
        static const uint64_t rights[] = {
                [SANDBOX_READ] = FS_READ, [SANDBOX_WRITE] = FS_WRITE, [SANDBOX_FILES] = FS_FILES
        };
        struct stat st;
        int fd = open(p->path, O_PATH | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return;
        if (fd < 0 || fstat(fd, &st) < 0)
                die("sandbox: %s: %m", p->path);
        struct landlock_path_beneath_attr rule = {
                .allowed_access = rights[p->right] & handled,
                .parent_fd = fd,
        };

        if (!S_ISDIR(st.st_mode))
                rule.allowed_access &= FS_FILE_ONLY;
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
                die("sandbox: landlock rule for %s: %m", p->path);
        close(fd);
}

/* Landlock: the ABI in force, 0 where the kernel has none that serves (REFER needs ABI 2). */
static int enter_landlock(const struct sandbox_path *paths, size_t n, unsigned also)
{
        int abi = sandbox_landlock_abi();
        struct ruleset r = { .fs = (LANDLOCK_ACCESS_FS_REFER << 1) - 1 };
        size_t size = sizeof(r.fs);

        if (abi < 2)
                return 0;
        if (abi >= 3)
                r.fs |= FS_TRUNCATE;
        if (abi >= 4) {
                r.net = (also & SANDBOX_DIAL ? 0 : NET_BIND_TCP) |
                        (also & (SANDBOX_CONNECT | SANDBOX_DIAL) ? 0 : NET_CONNECT_TCP);
                size += sizeof(r.net);
        }
        if (abi >= 5)
                r.fs |= FS_IOCTL_DEV;
        if (abi >= 6) {
                r.scope = SCOPE_SOCKET | SCOPE_SIGNAL;
                size += sizeof(r.scope);
        }
        int ruleset = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);

        if (ruleset < 0)
                die("sandbox: landlock ruleset: %m");
        for (size_t i = 0; i < n; i++)
                allow_path(ruleset, &paths[i], r.fs);
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                die("sandbox: landlock: %m");
        close(ruleset);
        return abi;
}

static const int allowed[] = {
        /* memory, threads, time */
        SCMP_SYS(brk),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        SCMP_SYS(futex),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(get_robust_list),
        SCMP_SYS(rseq),
        SCMP_SYS(gettid),
        SCMP_SYS(getpid),
        SCMP_SYS(sched_yield),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(nanosleep),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(time),
        SCMP_SYS(getrandom),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(getrusage),
        SCMP_SYS(sysinfo),
        SCMP_SYS(uname),
        SCMP_SYS(getuid),
        SCMP_SYS(geteuid),
        SCMP_SYS(getgid),
        SCMP_SYS(getegid),
        SCMP_SYS(getppid),
        SCMP_SYS(membarrier),
        SCMP_SYS(getcpu),
        /* descriptors */
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(readv),
        SCMP_SYS(writev),
        SCMP_SYS(pread64),
        SCMP_SYS(pwrite64),
        SCMP_SYS(preadv),
        SCMP_SYS(pwritev),
        SCMP_SYS(preadv2),
        SCMP_SYS(pwritev2),
        SCMP_SYS(close),
        SCMP_SYS(close_range),
        SCMP_SYS(dup),
        SCMP_SYS(dup2),
        SCMP_SYS(dup3),
        SCMP_SYS(lseek),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(select),
        SCMP_SYS(pselect6),
        SCMP_SYS(epoll_create1),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_wait),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_pwait2),
        SCMP_SYS(eventfd2),
        SCMP_SYS(signalfd4),
        SCMP_SYS(pipe2),
        SCMP_SYS(memfd_create),
        SCMP_SYS(sendfile),
        SCMP_SYS(getrlimit),
        /* files */
        SCMP_SYS(open),
        SCMP_SYS(openat),
        SCMP_SYS(openat2),
        SCMP_SYS(creat),
        SCMP_SYS(stat),
        SCMP_SYS(fstat),
        SCMP_SYS(lstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(statx),
        SCMP_SYS(access),
        SCMP_SYS(faccessat),
        SCMP_SYS(faccessat2),
        SCMP_SYS(statfs),
        SCMP_SYS(fstatfs),
        SCMP_SYS(getdents64),
        SCMP_SYS(getcwd),
        SCMP_SYS(readlink),
        SCMP_SYS(readlinkat),
        SCMP_SYS(mkdir),
        SCMP_SYS(mkdirat),
        SCMP_SYS(rmdir),
        SCMP_SYS(unlink),
        SCMP_SYS(unlinkat),
        SCMP_SYS(rename),
        SCMP_SYS(renameat),
        SCMP_SYS(renameat2),
        SCMP_SYS(link),
        SCMP_SYS(linkat),
        SCMP_SYS(ftruncate),
        SCMP_SYS(truncate),
        SCMP_SYS(fallocate),
        SCMP_SYS(fsync),
        SCMP_SYS(fdatasync),
        SCMP_SYS(syncfs),
        SCMP_SYS(sync_file_range),
        SCMP_SYS(fchmod),
        SCMP_SYS(fadvise64),
        SCMP_SYS(flock),
        SCMP_SYS(umask),
        SCMP_SYS(utimensat),
        SCMP_SYS(copy_file_range),
        /* sockets that exist already */
        SCMP_SYS(recvfrom),
        SCMP_SYS(sendto),
        SCMP_SYS(recvmsg),
        SCMP_SYS(sendmsg),
        SCMP_SYS(shutdown),
        SCMP_SYS(getsockname),
        SCMP_SYS(getpeername),
        SCMP_SYS(setsockopt),
        SCMP_SYS(getsockopt),
        SCMP_SYS(arch_prctl),
};

static const int deadly[] = {
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(fork),
        SCMP_SYS(vfork),
        SCMP_SYS(ptrace),
        SCMP_SYS(mount),
        SCMP_SYS(umount2),
        SCMP_SYS(pivot_root),
        SCMP_SYS(chroot),
        SCMP_SYS(bpf),
        SCMP_SYS(init_module),
        SCMP_SYS(finit_module),
        SCMP_SYS(kexec_load),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(unshare),
        SCMP_SYS(setns),
        SCMP_SYS(keyctl),
        SCMP_SYS(add_key),
        SCMP_SYS(userfaultfd),
        SCMP_SYS(perf_event_open),
        SCMP_SYS(io_uring_setup),
};

#if defined(PAIL_ASAN) || defined(PAIL_TSAN)
#define SANITIZED 1
/* At exit the leak check reads /proc and starts a tracer, which a role cannot: it would fail, and spoil a clean end. */
int __lsan_is_turned_off(void);
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
        return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}
#else
#define SANITIZED 0
#endif

/* Of these two, what programs do. The rest types at the terminal that our log goes to (TIOCSTI), or has the kernel
 * send signals to other processes of the same user (F_SETOWN with F_SETSIG). */
static const unsigned fcntl_commands[] = {
        F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,     F_GETFL,      F_SETFL,     F_GETLK,
        F_SETLK, F_SETLKW,        F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS,
};
/* How much of ours the peer has not got yet; urgent data. */
static const unsigned fcntl_of_file_server[] = { F_SETPIPE_SZ };
static const unsigned ioctl_of_file_server[] = { SIOCOUTQ, SIOCATMARK };
static const unsigned ioctl_requests[] = { TCGETS, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, SIOCATMARK };

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define LOW_HALF 0xffffffffU /* the kernel looks at no more of an int */

/* Calls whose second argument is one of these. */
static int add_requests(scmp_filter_ctx f, int call, const unsigned *requests, size_t n)
{
        int bad = 0;

        for (size_t i = 0; i < n; i++)
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1,
                                        SCMP_A1(SCMP_CMP_MASKED_EQ, LOW_HALF, requests[i]));
        return bad;
}

/* New connections, taken from listeners that it was given. */
static int add_listening(scmp_filter_ctx f)
{
        static const int calls[] = { SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4) };
        int bad = 0;

        for (size_t i = 0; i < COUNT(calls); i++)
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
        return bad;
}

/* Who dials binds too: to the address it sends from, and for DNS; it listens to nobody. */
static int add_dialling(scmp_filter_ctx f)
{
        static const int calls[] = { SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(sendmmsg),
                                     SCMP_SYS(recvmmsg) };
        static const unsigned families[] = { AF_INET, AF_INET6 };
        int bad = 0;

        for (size_t i = 0; i < COUNT(calls); i++)
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
        for (size_t i = 0; i < COUNT(families); i++)
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                        SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_HALF, families[i]));
        return bad;
}

static int add_file_server(scmp_filter_ctx f)
{
        return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(symlinkat), 0) |
               seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(splice), 0) |
               add_requests(f, SCMP_SYS(fcntl), fcntl_of_file_server, COUNT(fcntl_of_file_server)) |
               add_requests(f, SCMP_SYS(ioctl), ioctl_of_file_server, COUNT(ioctl_of_file_server));
}

/* What is allowed to ourselves only, and in part only. */
static int add_partly_allowed(scmp_filter_ctx f)
{
        scmp_datum_t self = (scmp_datum_t)getpid();
        int bad = 0;

        bad |= add_requests(f, SCMP_SYS(fcntl), fcntl_commands, COUNT(fcntl_commands));
        bad |= add_requests(f, SCMP_SYS(ioctl), ioctl_requests, COUNT(ioctl_requests));
        /* Other processes of this user get no signals and keep their limits. */
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_HALF, self));
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_HALF, 0));
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_HALF, AF_UNIX));
        /* No new page is ever executable. */
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        bad |=
            seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        return bad;
}

static bool add_rules(scmp_filter_ctx f, unsigned also)
{
        int bad = add_partly_allowed(f);

        for (size_t i = 0; i < COUNT(allowed); i++)
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
        for (size_t i = 0; i < COUNT(deadly); i++)
                bad |= seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
        /* Threads, but no processes. clone3's flags lie in memory where no filter sees them: glibc falls back. */
        bad |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA));
        if (also & SANDBOX_CONNECT)
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
        bad |= also & SANDBOX_DIAL ? add_dialling(f) : add_listening(f);
        if (also & SANDBOX_FILE_SERVER)
                bad |= add_file_server(f);
        if (SANITIZED) { /* what the sanitizers' own runtime asks for */
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 0);
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 0);
                bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 0);
        }
        return !bad;
}

static void enter_seccomp(unsigned also)
{
        scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));

        if (!f || !add_rules(f, also) || seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0 ||
            seccomp_load(f) < 0)
                die("sandbox: seccomp could not be entered: %m");
        seccomp_release(f);
}

void sandbox_enter(const struct sandbox_path *paths, size_t n, unsigned also)
{
        int abi = enter_landlock(paths, n, also);

        enter_seccomp(also);
        log_event("sandbox", "landlock=%d seccomp=yes", abi);
        if (!abi)
                log_warn("sandbox",
                         "what=\"this kernel has no Landlock (ABI 2 needs Linux 5.19): files are guarded "
                         "by their owner alone\"");
}
