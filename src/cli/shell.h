/* A command of the person's: an editor, a pager, what prints a password. By /bin/sh, in the foreground, with the signals as programs expect them (the
 * loop has blocked all). Blocks until it has ended: use offload(). */
#pragma once
#include "base/buf.h"

/* command "$1" with this argument (NULL: none). said: what it prints, as much as fits (the rest is passed over); NULL: it has the terminal. -errno, or
 * the status of waitpid(2): 0 is good. */
int shell_run(const char *command, char *argument, struct buf *said);
