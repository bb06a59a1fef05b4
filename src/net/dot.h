/* The body of a message on the wire, dot-stuffed and ended by CRLF . CRLF (RFC 5321 §4.5.2, RFC 1939 §3).
 * Reading: only CRLF.CRLF ends it. Everything that others took for an end (bare CR, bare LF, NUL) is remembered in
 * `faults` and the reading goes on to the true end, so that nothing smuggled is ever taken for a command. */
#pragma once
#include "base/buf.h"

enum dot_fault { DOT_BARE_CR = 1, DOT_BARE_LF = 2, DOT_NUL = 4, DOT_LONG_LINE = 8 };

struct dot_reader {
        unsigned state;
        unsigned faults;    /* enum dot_fault */
        bool eight_bit;     /* a byte above 127 was seen */
        bool mend_bare_lf;  /* set by the caller: a bare LF becomes CRLF instead of a fault */
        uint32_t line;      /* bytes in the current line */
        uint64_t size;      /* bytes given out */
};
enum dot_got { DOT_MORE, DOT_END };
void dot_reader_init(struct dot_reader *r);
/* Reads `in`, appends plain bytes to *out (may be NULL: counted only; out must have room for in.n + 2), says in
 * *used how many bytes of `in` it took: all of them with DOT_MORE, up to and with the end's LF with DOT_END. */
enum dot_got dot_read(struct dot_reader *r, struct str in, size_t *used, struct buf *out);

/* Byte counts and faults of bytes that come without dots (BDAT): same fields, same faults, no end. */
void dot_look(struct dot_reader *r, struct str in);

struct conn;
struct dot_writer {
        bool line_start;
        char last;
};
void dot_writer_init(struct dot_writer *w);
void dot_write(struct dot_writer *w, struct conn *c, struct str piece); /* stuffs; may wait as conn_put */
void dot_write_end(struct dot_writer *w, struct conn *c);               /* CRLF if needed, then "." CRLF */
