/* A command of the person's: an editor, a pager, what prints a password, what a file is piped into. With the signals as programs expect them (the
 * loop has blocked all). */
#pragma once
#include "base/buf.h"

struct shell {
        const char *program;  /* NULL: /bin/sh */
        const char *command;  /* NULL: a shell to type at */
        const char *argument; /* "$1" of the command; NULL: none */
        int folder;           /* where it runs; -1: where we are */
        int in, out;          /* -1: as ours */
};
/* Begins. Its pid, or -errno; whoever began it waits for it. */
int shell_start(const struct shell *how);
/* The exit code as shells count: 128 and more is a signal's. Blocks until it has ended. */
int shell_wait(int pid);

/* command "$1" with this argument (NULL: none), by /bin/sh in the foreground. said: what it prints, as much as fits (the rest is passed over);
 * NULL: it has the terminal. -errno, or its exit code. Blocks until it has ended: use offload(). */
int shell_run(const char *command, const char *argument, struct buf *said);
