/* The files of an account, files/ADDRESS, for `pail account`. */
#pragma once
#include "cli/tool.h"

bool account_files_there(struct tool *t, struct str name);
/* What an earlier account of this name may have left besides: kept parts of its uploads, counters. 0 or -errno. */
[[nodiscard]] int account_files_forget(struct tool *t, struct str name);
/* Only with purge, and only while no server runs (the caller holds the folder's lock); else it says that they are kept. An exit code. */
int account_files_remove(struct tool *t, struct str name, bool purge);
/* Octets of its files; 0 if it has none. 0 or -errno. */
[[nodiscard]] int account_files_used(struct tool *t, struct str name, uint64_t *octets);
