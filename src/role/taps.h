/* Who watches (proto/tap.h), as the supervisor has it: a watcher's socket goes to every role that has conversations, and again to each that is
 * started later; the watcher hears of both. */
#pragma once
#include "role/children.h"

void role_taps_begin(struct children *all);
void role_taps_end(struct children *all);
/* CONTROL_WATCH: takes fd. false: too many watch already, or the body is nonsense. */
[[nodiscard]] bool role_taps_watch(struct children *all, int fd, struct str wanted);
void role_taps_started(const struct child *c); /* it has a channel now */
void role_taps_ready(const struct child *c);
void role_taps_gone(const struct child *c); /* c->pid has ended */
