/* What happened to each letter, for `pail trace`: D/history/, a file a day and process, lines of key=value appended in batches after the reply; a
 * crash may lose the last moments, never mail. Kept 30 days or up to a size (settings), the oldest dropped. A look-up reads the files
 * through once: no index to keep right, and a gigabyte takes about a second.
 *
 *      time=... event=accepted letter=k3f9.1 message-id=... from=... peer=... size=... file=jill@hill.com send=bob@hamburger.edu
 *      time=... event=filed letter=k3f9.1 account=... mailbox=...      event=sent|deferred|failed letter=k3f9.1 queue=12 to=... peer=... answer="..."
 *
 * `letter` is what its Received field says behind "id", in the mail role's lines and the sender's: so one look finds its whole way here. */
#pragma once
#include "base/buf.h"
#include "base/time.h"

struct history;
[[nodiscard]] int history_open(struct history **out, int dir /* taken */,
                               const char *writer /* "mail.0"; NULL: to read */, long keep_days,
                               uint64_t most);
/* A line: the event, then " key=value" after " key=value" appended by the caller, what comes from outside quoted by log_str. begin and end
 * without a wait between them; neither waits. A line is at most 8 KB, longer ones are lost. */
struct buf *history_begin(struct history *h, struct str event);
void history_event_end(struct history *h);
void history_note(struct history *h, struct str event, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* the same in one */
void history_close(struct history **h);
/* Every line since then that has `needle` in it, and all others of the same letters; by time within a day and process. Of more than ten
 * thousand letters the first are given. `each` false: enough. For verbs. */
[[nodiscard]] int history_find(struct history *h, struct str needle, int64_t since,
                               bool (*each)(void *context, struct str line), void *context);
