#include "cli/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void usual_signals(posix_spawnattr_t *how)
{
        sigset_t none, all;

        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_init(how);
        posix_spawnattr_setsigmask(how, &none);
        posix_spawnattr_setsigdefault(how, &all);
        posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

int shell_start(const struct shell *s)
{
        const char *program = s->program ? s->program : "/bin/sh";
        /* posix_spawn changes none of them */
        char *const words[] = { (char *)program,     s->command ? (char *)"-c" : NULL,
                                (char *)s->command,  (char *)program,
                                (char *)s->argument, NULL };
        posix_spawn_file_actions_t files;
        posix_spawnattr_t how;
        pid_t pid = -1;
        int rc;

        usual_signals(&how);
        posix_spawn_file_actions_init(&files);
        if (s->folder >= 0)
                posix_spawn_file_actions_addfchdir_np(&files, s->folder);
        if (s->in >= 0)
                posix_spawn_file_actions_adddup2(&files, s->in, STDIN_FILENO);
        if (s->out >= 0)
                posix_spawn_file_actions_adddup2(&files, s->out, STDOUT_FILENO);
        rc = posix_spawn(&pid, program, &files, &how, words, environ);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&how);
        return rc ? -rc : pid;
}

int shell_wait(int pid)
{
        int status = 0;

        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
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

int shell_run(const char *command, const char *argument, struct buf *said)
{
        char line[2048];
        int pipe_of[2] = { -1, -1 }, pid;

        if (snprintf(line, sizeof line, "%s%s", command, argument ? " \"$1\"" : "") >= (int)sizeof line)
                return -ENAMETOOLONG;
        if (said && pipe2(pipe_of, O_CLOEXEC) < 0)
                return -errno;
        pid = shell_start(&(struct shell){
            .command = line, .argument = argument, .folder = -1, .in = -1, .out = pipe_of[1] });
        if (said) {
                close(pipe_of[1]);
                if (pid >= 0)
                        take(pipe_of[0], said);
                close(pipe_of[0]);
        }
        return pid < 0 ? pid : shell_wait(pid);
}
