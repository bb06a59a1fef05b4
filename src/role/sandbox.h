/* The sandbox of a role: Landlock for files and TCP, then seccomp. Entered once, after rights were dropped and before
 * any thread starts. What the kernel lacks is logged, never hidden: event=sandbox landlock=7 seccomp=yes.
 *
 *      struct sandbox_path paths[] = { { "mail", SANDBOX_WRITE }, { "/etc/localtime", SANDBOX_READ } };
 *      sandbox_enter(paths, 2, 0);
 *
 * Paths that do not exist are skipped. seccomp refuses with EPERM what a role never needs; what only an attacker
 * wants (execve, ptrace, mount, new processes, ...) kills the process, and the supervisor says so. */
#pragma once
#include <stddef.h>

enum sandbox_right {
        SANDBOX_READ,
        SANDBOX_WRITE,
        SANDBOX_FILES, /* SANDBOX_WRITE, and symbolic links */
};
enum sandbox_also {
        SANDBOX_CONNECT = 1,     /* sockets that it was given may connect; it makes and binds none */
        SANDBOX_FILE_SERVER = 2, /* symbolic links; what a data connection is asked about */
        SANDBOX_DIAL = 4,        /* makes IPv4 and IPv6 sockets and connects them; listens nowhere */
};
struct sandbox_path {
        const char *path; /* a folder: all beneath it */
        enum sandbox_right right;
};
void sandbox_enter(const struct sandbox_path *paths, size_t n, unsigned also);
int sandbox_landlock_abi(void); /* of this kernel; 0: none */
