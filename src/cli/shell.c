#include "cli/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int spawn(pid_t *child, char *const *argv, int out)
{
        posix_spawnattr_t how;
        posix_spawn_file_actions_t files;
        sigset_t none, usual;
        int rc;

        sigemptyset(&none);
        sigemptyset(&usual);
        sigaddset(&usual, SIGPIPE);
        sigaddset(&usual, SIGINT);
        sigaddset(&usual, SIGQUIT);
        posix_spawnattr_init(&how);
        posix_spawnattr_setsigmask(&how, &none);
        posix_spawnattr_setsigdefault(&how, &usual);
        posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawn_file_actions_init(&files);
        if (out >= 0)
                posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
        rc = posix_spawn(child, "/bin/sh", &files, &how, argv, environ);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&how);
        return -rc;
}

static void take(int fd, struct buf *said)
{
        char over[1024];
        ssize_t n;

        do {
                n = read(fd, over, sizeof over);
                if (n > 0)
                        buf_put(said, over, (size_t)n);
        } while (n > 0 || (n < 0 && errno == EINTR));
}

int shell_run(const char *command, char *argument, struct buf *said)
{
        char line[2048], sh[] = "sh", by_text[] = "-c";
        char *const argv[] = { sh, by_text, line, sh, argument, NULL };
        int pipe_of[2] = { -1, -1 }, status = 0, rc;
        pid_t child;

        if (snprintf(line, sizeof line, "%s%s", command, argument ? " \"$1\"" : "") >= (int)sizeof line)
                return -ENAMETOOLONG;
        if (said && pipe2(pipe_of, O_CLOEXEC) < 0)
                return -errno;
        rc = spawn(&child, argv, pipe_of[1]);
        if (said) {
                close(pipe_of[1]);
                if (rc == 0)
                        take(pipe_of[0], said);
                close(pipe_of[0]);
        }
        if (rc < 0)
                return rc;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        return status;
}
