/* How much an account uses, said by one role to another (the setting shared-quota): D/usage/A holds a number for its letters, written by the
 * mail role, and one for its files, written by the files role; each reads the other's. A hint, not a ledger: it is not synced, both
 * numbers are written anew when an account or root is opened. Missing: 0. */
#pragma once
#include "base/str.h"

enum usage_of { USAGE_LETTERS, USAGE_FILES };
struct usage;
[[nodiscard]] int usage_open(struct usage **out, int folder /* D/usage, taken */);
void usage_close(struct usage **u);
/* Both block for a moment: to be called in an offload, or where files are touched anyway. */
void usage_set(struct usage *u, struct str account, enum usage_of what, uint64_t octets);
uint64_t usage_get(struct usage *u, struct str account, enum usage_of what);
