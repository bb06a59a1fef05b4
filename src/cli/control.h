/* Asking a running server by the control socket of the folder we are in. */
#pragma once
#include "base/buf.h"
#include "role/control.h"

/* 0 and the answer appended (may be NULL); -ENOENT or -ECONNREFUSED: no server runs here; else -errno. */
[[nodiscard]] int cli_control(enum control_kind kind, struct str body, struct buf *answer);
[[nodiscard]] int cli_control_fd(enum control_kind kind, struct str body, int fd,
                                 struct buf *answer); /* fd stays ours */
bool control_nobody(int rc);                          /* was it that no server runs? */
