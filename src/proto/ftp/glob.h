/* Patterns for names in LIST and NLST: `*`, `?`, `[a-z]`, `[!a-z]`, `\` before what is meant as it is. Pure. What a pattern may cost is bounded:
 * who asks for more steps than GLOB_STEPS for one name is told that it does not match (CVE-2011-0762 is a server that had no end). A '[' that
 * does not end is a '['. Bytes are compared, not characters. */
#pragma once
#include "base/str.h"

enum { GLOB_STEPS = 20000 };
bool glob_is_pattern(struct str s);
/* A name that begins with '.' is matched only by a pattern that does, unless `all`. */
bool glob_matches(struct str pattern, struct str name, bool all);
