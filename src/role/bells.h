/* Bells between mail processes (proto/watch.h), and the supervisor's switchboard between them: which account is watched in which
 * processes, a name and a mask. Nobody asks and nobody waits.
 *
 *   mail to supervisor   ROLE_WATCH     accounts that the sender watches from now on, or no more
 *                        ROLE_CHANGED   accounts that the sender has changed
 *   supervisor to mail   ROLE_BELL      accounts that were changed in another process
 *
 * Every body is a row of names: u16 length | bytes, at most WATCH_NAME of them. In ROLE_WATCH the length has BELLS_OFF in it
 * where it is no more; in ROLE_CHANGED and ROLE_BELL a name of no length is any account. What is told within a turn of the loop goes out at its end, in as few messages as hold it;
 * of changes at most one message in 5 ms, unless it is full.
 *
 * A reader that is slow gets nothing while messages wait in its channel; what comes meanwhile is kept, at most a message
 * full of it, and beyond that it is one "any account". So bells never take the room of what the roles must hear.
 *
 * Who begins to watch what was changed a moment ago hears a bell at once: the change may have been told before the wish
 * to hear of it came. When a process dies, all others look at everything: it may have died between a commit and its bell. */
#pragma once
#include "proto/watch.h"
#include "run/channel.h"

#define BELLS_OFF 0x8000

/* ---- in a mail process ---- */
/* *supervisor may be set, and become NULL, later. */
struct watchers *bells_new(struct channel **supervisor);
/* ROLE_BELL's body; false: it cannot be read. */
bool bells_take(struct watchers *w, struct str body);

/* ---- in the supervisor ---- */
#define SWITCHBOARD_PROCESSES 64
#define SWITCHBOARD_NAMES     100000 /* of one process; who watches more hears every bell */

struct switchboard;
struct switchboard *switchboard_new(void); /* after loop_init */
void switchboard_free(struct switchboard **b);
/* The process was started and watches nothing; the channel stays the caller's until switchboard_leave. */
void switchboard_join(struct switchboard *b, unsigned index, struct channel *c);
void switchboard_leave(struct switchboard *b, unsigned index);
/* The bodies of ROLE_WATCH and ROLE_CHANGED. false: they cannot be read. */
bool switchboard_watch(struct switchboard *b, unsigned index, struct str body);
bool switchboard_changed(struct switchboard *b, unsigned index, struct str body);
