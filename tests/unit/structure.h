/* The grammar of ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 §9), read by somebody who knows nothing of how they are written: for
 * test_fetch.c and fuzz_imap_structure.c. Gives NULL, or what is wrong. */
#pragma once
#include "base/str.h"

const char *structure_wrong(struct str text, bool extended); /* BODYSTRUCTURE, or BODY */
const char *envelope_wrong(struct str text);
