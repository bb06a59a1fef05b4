/* Unicode's composed form: one spelling of what looks the same (RFC 5198 §3). */
#pragma once
#include "base/arena.h"

/* Of valid UTF-8; s itself if it is so already, else a copy in the arena. */
struct str utf8_nfc(struct arena *m, struct str s);
bool utf8_is_nfc(struct str s);
