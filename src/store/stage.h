/* A letter that arrives for an account without the intake's log behind it (APPEND, REPLACE): it becomes a filing for
 * change_append. Up to 64 KB gather in memory; what is longer is written to a staged body file while it arrives
 * (store/body.h), in mail/.staged/, which lies on one file system with every account's bodies/. So nothing holds a
 * letter whole in memory. When a process has many in memory, they are staged earlier.
 *
 *      struct stage *g = stage_new(accounts);
 *      while (more) stage_put(g, piece);               // waits; errors stick
 *      rc = stage_finish(g, &filing);                  // filing.text, or filing.staged_dir and staged_name
 *      if (rc == 0) rc = change_append(&x, &filing, 1, room);
 *      stage_free(&g);                                 // always; what filing points to goes with it
 *
 * STATES.md says what a crash leaves and who removes it. One fiber at a time uses a stage. */
#pragma once
#include "store/account.h"

struct stage;
struct stage *stage_new(struct accounts *set);
int stage_put(struct stage *g, struct str piece);
[[nodiscard]] int stage_finish(struct stage *g, struct filing *f);
void stage_free(struct stage **g);
uint64_t stage_size(const struct stage *g); /* of the letter so far */
