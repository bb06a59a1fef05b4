/* What the table of settings cannot say: values that must fit together, or that only another room knows. */
#pragma once
#include "settings.h"

/* true; or false and a sentence: "ftp-passive-low: 51000 is more than ftp-passive-high, 50000". */
[[nodiscard]] bool settings_check(const struct settings *s, struct buf *why);
