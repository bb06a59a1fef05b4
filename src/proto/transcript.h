/* A conversation as text, the common language of documentation, tests, watching and teaching:
 *
 *      # A comment. A file is one behaviour, named for it.
 *      connect smtp 127.0.0.1              -- also: as 2 (a second connection), tls
 *      S: 220 hill.com SMTP service ready
 *      C: HELO town.com
 *      S: 250 *
 *
 * S: a line the server says; `*` stands for anything, `250-*` ... The reader and the writer are here, for the dialog
 * runner and for watching; the directives are documented in tests/dialog/README.md. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum transcript_kind {
        TRANSCRIPT_SERVER,    /* S: */
        TRANSCRIPT_CLIENT,    /* C: */
        TRANSCRIPT_DATA,      /* D: a line the server says on FTP's data connection */
        TRANSCRIPT_DIRECTIVE, /* anything else: connect, starttls, raw, ... */
};
struct transcript_line {
        enum transcript_kind kind;
        unsigned number;     /* in the file, from 1 */
        unsigned connection; /* "S2:" is the second; 1 without a digit */
        struct str text;     /* without "S: "; for a directive the whole line */
};
/* *why gets "line: what" on -EINVAL. */
[[nodiscard]] int transcript_read(struct str text, struct arena *a, struct transcript_line **lines, size_t *n,
                                  struct buf *why);
void transcript_write(struct buf *out, enum transcript_kind kind, unsigned connection, struct str text);
/* The same so that the dialog runner plays it: what the client said goes out again byte by byte (as `raw` if it must), what the server said is
 * awaited as it was; a star stands where no text can. Addresses, ports and stamps that are others each time are stars too. */
void transcript_keep(struct buf *out, enum transcript_kind kind, unsigned connection, struct str text);
bool transcript_matches(struct str pattern, struct str line); /* `*` is any run of bytes; `\*` a star */
