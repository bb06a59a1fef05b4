/* Bells: a session says which accounts it watches; when one of them has changed, whoever changed it, in whatever process, the
 * session is woken (WOKEN_BELL) and looks for itself. Coalesced, never blocking, nothing polled.
 *
 *   the store commits  -> accounts' hook (store/account.h) -> watch_changed: own watchers, and the supervisor is told
 *   the supervisor     -> every other process that watches the account -> watch_ring
 *
 * The supervisor keeps which process watches which account (a name and a mask). On overflow it says "look at everything". A bell
 * starts at most WATCH_A_TURN fibers a turn of the loop; what a turn has to tell goes out at its end.
 *
 * A session: watch_start, then look once (it may have changed before). Woken, or GOT_QUIET: if watch_rang, then first
 * watch_heard, then look: what changes during the look rings anew. */
#pragma once
#include "base/str.h"
#include "proto/session.h"

enum { WATCH_A_TURN = 32, WATCH_NAME = 320 /* a longer name is nobody's */ };

struct watcher; /* one (session, account); some 50 bytes */
/* Watches from now on; the handle is kept in *w by the session. Does not wait. The session looks once after it has begun.
 * Without bells (server.watchers NULL) the handle is NULL, and never rings. */
void watch_start(struct watcher **w, struct session *s, struct str account);
void watch_stop(struct watcher **w); /* NULL is fine */
/* The bell rang since watch_start or the last watch_heard. */
bool watch_rang(const struct watcher *w);
void watch_heard(struct watcher *w);

/* For the role: how the supervisor is told. Called at the end of a turn; false: not now, it is asked again at the end of
 * a later one. */
struct watch_tell {
        bool (*watch)(void *context, bool on, struct str account);
        bool (*changed)(void *context, struct str account); /* empty: any account */
        void (*freed)(void *context);                       /* may be NULL */
        void *context;
};
struct watchers;
struct watchers *watchers_new(
    const struct watch_tell *tell);      /* NULL: alone in the world, as in tests. After loop_init */
void watchers_free(struct watchers **w); /* for tests: no session watches any more */
void watch_changed(struct watchers *w,
                   struct str account); /* this process has changed it: at the end of the turn */
void watch_ring(struct watchers *w, struct str account); /* another one has; empty: any account */
