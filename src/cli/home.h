/* What the clients keep for a person: settings in $XDG_CONFIG_HOME/pail (else ~/.config/pail), data in $XDG_DATA_HOME/pail (else ~/.local/share/pail).
 * Folders are made with mode 0700, files with 0600 and whole or not at all. All calls block: use offload(). They return a descriptor, 0 or -errno;
 * -ENOENT also where there is no home. */
#pragma once
#include "base/buf.h"

enum home { HOME_CONFIG, HOME_DATA };
/* "~/.config/pail" and "/below" (NULL: nothing), ended by NUL. false: there is no home, or it is too long. */
[[nodiscard]] bool home_path(struct buf *out, enum home kind, const char *below);
/* What a person typed as a path, ended by NUL: "~" and "~/" are at home, as those expect who have not asked a shell. false: it is too long. Does not block. */
[[nodiscard]] bool home_expand(struct buf *out, struct str typed);
int home_open(enum home kind, const char *below, bool make); /* a descriptor of the folder */
int home_read(int folder, const char *name, struct buf *text);
int home_write(int folder, const char *name, struct str text); /* synced */
