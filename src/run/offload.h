/* Whatever may block (SQLite, fsync, hashing, every call on a file) runs on a worker thread while the calling fiber
 * waits and the loop goes on. Not cancellable: arg stays valid until it returns. fn must not touch fibers, the loop
 * or anything another fiber may touch meanwhile. Outside a fiber (verbs, unit tests) fn simply runs.
 *
 * QUICK is for some milliseconds at most, LONG for the rest; each has its own threads. Start the threads after the
 * sandbox stands. */
#pragma once

enum pool { QUICK, LONG };
int offload_start(unsigned quick_threads, unsigned long_threads); /* 0 or -errno */
int offload(enum pool pool, int (*fn)(void *arg), void *arg);     /* what fn returned */
void offload_finish(void);
