/* A growing buffer with a hard maximum. What would go beyond is refused and the sticky `full` is set, so that a
 * row of puts needs one look at the end: puts after it are refused too, so a full buffer holds the start of what was
 * put, without holes. Out of memory ends the process. Raw memory is touched in this folder only.
 *
 *      struct buf b;
 *      buf_init(&b, 4096);
 *      buf_puts(&b, S("250 "));
 *      buf_printf(&b, "%u", n);
 *      ...
 *      buf_free(&b);
 *
 * The numbers are little-endian; a packed string is its length (u32) and its bytes. struct unpack reads them back:
 * sticky `bad`, so that a record is read without checks and judged once. */
#pragma once
#include "base/str.h"
#include <stdarg.h>

struct buf {
        char *p;
        size_t n, cap;
        size_t max; /* never grows beyond */
        bool full;  /* something did not fit */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  /* also usable as a cleanup attribute's target; leaves an empty buffer */
void buf_clear(struct buf *b); /* n = 0, full = false; keeps the memory */
void buf_trim(struct buf *b);  /* gives unused memory back */
static inline struct str buf_str(const struct buf *b)
{
        return (struct str){ b->p, b->n };
}
bool buf_put(struct buf *b, const void *p, size_t n);
/* In place, since replies are written in small pieces. */
static inline bool buf_puts(struct buf *b, struct str s)
{
        if (b->full || s.n > b->cap - b->n)
                return buf_put(b, s.p, s.n);
        if (s.n)
                memcpy(b->p + b->n, s.p, s.n);
        b->n += s.n;
        return true;
}
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* At least `want` writable bytes at the end, or NULL (full). After writing, say how many with buf_added. */
char *buf_room(struct buf *b, size_t want);
void buf_added(struct buf *b, size_t n);
void buf_drop(struct buf *b, size_t n); /* forget the first n bytes */

bool buf_u8(struct buf *b, uint8_t v);
bool buf_u16(struct buf *b, uint16_t v);
bool buf_u32(struct buf *b, uint32_t v);
bool buf_u64(struct buf *b, uint64_t v);
bool buf_packed(struct buf *b, struct str s);

struct unpack {
        struct str s;
        size_t at;
        bool bad; /* read past the end */
};
static inline struct unpack unpack_of(struct str s)
{
        return (struct unpack){ s, 0, false };
}
uint8_t unpack_u8(struct unpack *u);
uint16_t unpack_u16(struct unpack *u);
uint32_t unpack_u32(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
struct str unpack_str(struct unpack *u); /* points into u->s */
struct str unpack_bytes(struct unpack *u, size_t n);
bool unpack_done(const struct unpack *u); /* all read, nothing bad */

#define auto_buf __attribute__((cleanup(buf_free)))
