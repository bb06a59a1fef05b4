/* The body of a message on the wire, dot-stuffed and ended by CRLF . CRLF (RFC 5321 §4.5.2, RFC 1939 §3).
 * Reading: only CRLF.CRLF ends it. Everything that others took for an end (bare CR, bare LF, NUL) is remembered in
 * `faults` and the reading goes on to the true end, so that nothing smuggled is ever taken for a command. */
#pragma once
#include "base/buf.h"

/* DOT_LONG_LINE: over 998 octets (RFC 5322 §2.1.1); common in real mail, and for the caller to judge. */
enum dot_fault { DOT_BARE_CR = 1, DOT_BARE_LF = 2, DOT_NUL = 4, DOT_LONG_LINE = 8 };

struct dot_reader {
        unsigned state;
        unsigned faults;   /* enum dot_fault */
        bool eight_bit;    /* a byte above 127 was seen */
        bool mend_bare_lf; /* set by the caller: a bare LF becomes CRLF instead of a fault */
        uint32_t line;     /* bytes in the current line */
        uint64_t size;     /* bytes given out */
};
enum dot_got { DOT_MORE, DOT_END };
void dot_reader_init(struct dot_reader *r);
/* Reads `in`, appends plain bytes to *out (may be NULL: counted only; out must have room for in.n + 2, with
 * mend_bare_lf for 2 * in.n + 2, else it becomes full and nothing of `in` is kept), says in *used how many bytes of
 * `in` it took: all of them with DOT_MORE, up to and with the end's LF with DOT_END. */
enum dot_got dot_read(struct dot_reader *r, struct str in, size_t *used, struct buf *out);

/* Byte counts and faults of bytes that come without dots (BDAT): same fields, same faults, across chunks; the end is
 * said by the caller (a CR may have been the last byte). */
void dot_look(struct dot_reader *r, struct str in);
void dot_look_end(struct dot_reader *r);

struct conn;
/* A dot after any LF is stuffed, so that nobody who takes a bare LF for a line end sees an end that is none. */
struct dot_writer {
        bool line_start; /* at the start, or after LF */
        bool ended;      /* at the start, or after CRLF */
        char last;
};
void dot_writer_init(struct dot_writer *w);
void dot_write(struct dot_writer *w, struct conn *c, struct str piece); /* stuffs; may wait as conn_put */
void dot_write_end(struct dot_writer *w, struct conn *c);               /* CRLF if needed, then "." CRLF */
