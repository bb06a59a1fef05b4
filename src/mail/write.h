/* Messages written: fields, encoded words, parameters, transfer encodings, flowed text. What comes in is UTF-8 (bad bytes become U+FFFD);
 * what is appended has lines of at most 78 characters where words allow it, never more than 998, ended by CRLF, and no control character, so
 * that no field can be smuggled in. Pure. */
#pragma once
#include "base/buf.h"

/* "Subject: ..." with encoded words where it is not ASCII (RFC 2047), folded. */
void write_field(struct buf *out, struct str name, struct str utf8);
/* "To: Jack <jack@town.com>, ..." from what a person typed; names become quoted strings or encoded words; domains A-labels. Each address is also
 * appended to *normal, if that is not NULL (mail/address.h, ended by \n). false: *why says which one is none. Empty: nothing is written. */
struct arena;
[[nodiscard]] bool write_addresses(struct buf *out, struct str name, struct str utf8, struct arena *a,
                                   struct buf *normal, struct buf *why);
/* "; filename=report.pdf", by RFC 2231 §4 and §3 where it is not plain ASCII or long; begins with ";". */
void write_parameter(struct buf *out, struct str name, struct str utf8);
/* Transfer encodings (RFC 2045 §6). Text with lines by CRLF; quoted-printable keeps them. */
void write_quoted(struct buf *out, struct str text);
void write_base64(struct buf *out, struct str bytes);
/* Lines by \n as typed -> format=flowed (RFC 3676): those over 78 columns are broken softly, "From ", '>' and blanks at the start are stuffed where
 * they are no quote marks; lines by CRLF. */
void write_flowed(struct buf *out, struct str text);
/* What a text needs: 0: 7bit, 1: 8bit, 2: a line is over 998 octets or there is a NUL or a bare CR or LF. */
unsigned write_needs(struct str text);
