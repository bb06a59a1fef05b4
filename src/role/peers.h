/* Mail processes among each other: who files what (store/intake.h). A process that accepted a letter for an account at
 * home elsewhere says where the record lies; the other says when it is filed.
 *
 *   PEER_FILE, PEER_DONE: of each record u64 segment | u64 sequence | u64 offset | u32 length | u32 number | u32 owner
 *   PEER_QUIET: nothing; the sender is about to end, and has no letter any more that the other must file
 *
 * What is told within a turn of the loop goes out at its end, in as few messages as hold it. */
#pragma once
#include "store/intake.h"

struct peers;
/* The hooks' context is the peers; *intake is set before the first letter comes. */
struct peers *peers_new(struct intake **intake, struct intake_hooks *hooks);
void peers_join(struct peers *p, unsigned index,
                int fd); /* takes fd; a restarted peer replaces its former self */
/* At the end: tells all that nothing of ours is open; has everybody who is there said so? */
void peers_tell_quiet(struct peers *p);
bool peers_are_quiet(const struct peers *p);
