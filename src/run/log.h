/* The log: one line an event on stderr, `key=value` pairs, never a password, never a body.
 *
 *      log_event("accepted", "session=%s from=%s size=%zu", s->id, log_str(from), size);
 *      -> time=2026-11-20T17:29:44.123Z role=mail.0 event=accepted session=k3f9 from=<a@b> size=1024
 *
 * log_str quotes what came from outside (spaces, controls, quotes); its result lives until 8 more calls, and never
 * across a wait. Writing never blocks the loop: what the pipe does not take at once is dropped and counted. */
#pragma once
#include "base/str.h"

void log_role(const char *role); /* "mail.0"; before any event */
void log_event(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *log_str(struct str s);
extern bool log_quiet; /* tests and verbs: only warnings */
void log_warn(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void die(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2))); /* ends the process, EX_SOFTWARE */
