/* TYPE, STRU and MODE (RFC 959 §3): what a file's bytes look like on the wire, both ways. Pure: bytes in, bytes out, any split of them
 * gives the same (what MODE Z sends: the same when it is inflated). No byte is dropped that a RETR in the same coding would not bring back.
 *
 *      file bytes -> structure (records, pages) -> type (ASCII, EBCDIC, local) -> mode (stream, block, compressed, deflate) -> wire
 *
 *      struct coder *c = coder_new(&how, CODER_SEND, facts);
 *      while (more) { coder_put(c, piece, &out); write out; }
 *      coder_end(c, &out); write out;
 *      coder_free(&c);
 *
 * `out` is made with room for CODER_ROOM and emptied by the caller between calls; one coder_put of at most CODER_PIECE bytes seldom needs
 * more. What expands without bound (MODE C and Z received; empty records and pages sent) stops near CODER_ROOM and says -ENOBUFS: take out
 * away and call again, coder_put with S("") (the bytes of its last `in` must still be there), coder_end as before.
 *
 * Stored form. A file that came with STRU R reads sensibly as a plain file (coder.c has the table), and how to find its records again are
 * its *facts*, which the store keeps beside it (upload_facts, file_facts of store/files.h); the same for pages. A file without facts that is
 * asked for with STRU R has a record a line, of TYPE I and L one record (RFC 1123 §4.1.2.13); with STRU P pages of equal length. Facts that
 * do not fit the file (it was changed by somebody else) are as none. */
#pragma once
#include "base/buf.h"

enum ftp_type { TYPE_ASCII, TYPE_EBCDIC, TYPE_IMAGE, TYPE_LOCAL };
enum ftp_form { FORM_NONPRINT, FORM_TELNET, FORM_CARRIAGE };
enum ftp_structure { STRUCTURE_FILE, STRUCTURE_RECORD, STRUCTURE_PAGE };
enum ftp_mode { MODE_STREAM, MODE_BLOCK, MODE_COMPRESSED, MODE_DEFLATE };
struct coding {
        uint8_t type, form, structure, mode; /* the enums above */
        uint8_t byte_size;                   /* of TYPE L: 1 to 255 */
        uint8_t level;                       /* of MODE Z: 1 to 9 */
        const char *code_page;               /* of TYPE E: "IBM-1047"; lives as long as the coder */
        uint64_t
            marker_every; /* MODE B and C, sending: a restart marker behind so many file bytes; 0: none */
};
enum {
        CODER_PIECE = 256 * 1024,
        CODER_ROOM = 2 * 1024 * 1024,
        CODER_FACTS_MOST = 1024 * 1024,
        CODER_MARKER_MOST = 64
};

bool coding_plain(const struct coding *c); /* the wire is the file: sendfile and splice will do */
/* RFC 959 §5.1 and §3: may these go together? *why: a sentence for the 504. */
bool coding_allowed(const struct coding *c, const char **why);
/* iconv knows it, and it is EBCDIC of one byte a character. What it finds is kept for the process: call it with the setting before the
 * sandbox closes, since iconv loads its tables from files. */
bool coding_page(const char *name);

enum coder_way { CODER_SEND, CODER_RECEIVE };
struct coder;
/* facts: of the stored file (sending; or receiving, when the records or pages that come are appended to it: then coder_restart with its size
 * in decimal digits), else empty; copied. NULL: no such code page, errno is EINVAL. */
struct coder *coder_new(const struct coding *how, enum coder_way way, struct str facts);
void coder_free(struct coder **c);
/* 0; -ENOBUFS: see above; -EBADMSG: what came breaks the rules of its coding (receiving); -EFBIG: more records or pages than the facts
 * can hold, or than the coding can number. The last two stick, and coder_why is a sentence for the reply. */
[[nodiscard]] int coder_put(struct coder *c, struct str in, struct buf *out);
/* The end of the file (sending), or of the connection (receiving): -EBADMSG if the mode says that this was not the end. */
[[nodiscard]] int coder_end(struct coder *c, struct buf *out);
const char *coder_why(const struct coder *c);
/* Receiving: the coding's own end of file was seen (MODE B, C and Z; STRU R and P), and how much of the last `in` belongs to what comes
 * behind it on the same connection (MODE B and C keep it open: RFC 959 §3.3). coder_end is still to be called. */
bool coder_ended(const struct coder *c);
size_t coder_left(const struct coder *c);
uint64_t coder_file_offset(const struct coder *c); /* bytes of the file so far */
/* Receiving: a restart marker came; it is to be answered "110 MARK theirs = ours". One at a time, in order; ours is what REST takes to
 * go on from there, a printable text that holds offset and state; nothing may be needed but it and the file up to there. So a marker whose
 * state does not fit into 63 characters (records of many lengths, the middle of a page) is not answered, nor one of theirs that is longer;
 * of more than 32 that nobody asked for the oldest are forgotten. */
bool coder_marker(struct coder *c, char theirs[static CODER_MARKER_MOST],
                  char ours[static CODER_MARKER_MOST]);
/* To go on at a marker of ours, of either way (or at an offset: decimal digits alone): before the first put. *at: the offset in the file, from
 * which it is read or written. -EINVAL: no marker of ours, or of another coding. */
[[nodiscard]] int coder_restart(struct coder *c, struct str marker, uint64_t *at);
/* Receiving, after coder_end: what is to be kept beside the file; empty: nothing. */
struct str coder_facts(const struct coder *c);
/* The facts were made for a file of this size. Others are not worth giving to coder_new. */
bool coder_facts_fit(struct str facts, uint64_t size);
/* How many octets a file would have on the wire in STRU F and MODE S (SIZE, RFC 3659 §4): adds up pieces. */
struct coder_size {
        uint64_t octets;
};
void coder_size(struct coder_size *z, const struct coding *how, struct str piece);
