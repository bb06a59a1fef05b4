/* Bells: a session says which accounts it watches; when one of them has changed, whoever changed it, in whatever process, the
 * session is woken (WOKEN_BELL) and looks for itself. Coalesced, never blocking, nothing polled.
 *
 *   the store commits  -> accounts' hook (store/account.h) -> watch_changed: own watchers, and the supervisor is told
 *   the supervisor     -> every other process that watches the account -> watch_ring
 *
 * The supervisor keeps which process watches which account (a name and a mask). On overflow it says "look at everything". A bell
 * starts at most WATCH_A_TURN fibers a turn of the loop. */
#pragma once
#include "base/str.h"
#include "proto/session.h"

enum { WATCH_A_TURN = 32 };

struct watcher; /* one (session, account); some 50 bytes */
/* Watches from now on; the handle is kept in *w by the session. Does not wait. The session looks once after it has begun. */
void watch_start(struct watcher **w, struct session *s, struct str account);
void watch_stop(struct watcher **w); /* NULL is fine */
/* The bell rang since watch_start or the last watch_heard. */
bool watch_rang(const struct watcher *w);
void watch_heard(struct watcher *w);

/* For the role: how the supervisor is told (`tell` may be NULL: alone in the world, as in tests). */
struct watchers;
struct watchers *watchers_new(void (*tell)(void *context, bool watch, struct str account),
                              void (*tell_changed)(void *context, struct str account), void *context);
void watch_changed(struct watchers *w,
                   struct str account); /* this process has changed it: at the end of the turn */
void watch_ring(struct watchers *w, struct str account); /* another one has; empty: any account */
