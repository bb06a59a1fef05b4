#include "base/buf.h"
#include "base/mem.h"
#include <stdio.h>

enum { FIRST_SIZE = 64 };

void buf_init(struct buf *b, size_t max)
{
        *b = (struct buf){ .max = max };
}

void buf_free(struct buf *b)
{
        mem_free(b->p);
        buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
        b->n = 0;
        b->full = false;
}

void buf_trim(struct buf *b)
{
        if (!b->n) {
                mem_free(b->p);
                b->p = NULL;
        } else if (b->cap > b->n) {
                b->p = mem_grow(b->p, b->n, 1);
        }
        b->cap = b->n;
}

/* Makes the memory hold `need` bytes, doubling up to the maximum. Printing may go one byte beyond that for its NUL. */
static void grow(struct buf *b, size_t need)
{
        size_t cap = b->cap > b->max / 2 ? b->max : b->cap * 2;

        if (need <= b->cap)
                return;
        if (cap < FIRST_SIZE && FIRST_SIZE < b->max)
                cap = FIRST_SIZE;
        if (cap < need)
                cap = need;
        b->p = mem_grow(b->p, cap, 1);
        b->cap = cap;
}

char *buf_room(struct buf *b, size_t want)
{
        if (b->n > b->max || want > b->max - b->n) {
                b->full = true;
                return NULL;
        }
        grow(b, b->n + (want ? want : 1));
        return b->p + b->n;
}

void buf_added(struct buf *b, size_t n)
{
        if (n > b->cap - b->n)
                mem_die("more added to a buffer than there was room");
        b->n += n;
}

bool buf_put(struct buf *b, const void *p, size_t n)
{
        char *to = b->full ? NULL : buf_room(b, n);

        if (!to)
                return false;
        if (n)
                memcpy(to, p, n);
        b->n += n;
        return true;
}

bool buf_vprintf(struct buf *b, const char *format, va_list args)
{
        va_list again;
        int n;

        if (b->full)
                return false;
        va_copy(again, args);
        n = vsnprintf(b->p ? b->p + b->n : NULL, b->cap - b->n, format, args);
        if (n < 0 || b->n > b->max || (size_t)n > b->max - b->n) {
                b->full = true;
        } else if ((size_t)n >= b->cap - b->n) {
                grow(b, b->n + (size_t)n + 1);
                vsnprintf(b->p + b->n, b->cap - b->n, format, again);
        }
        va_end(again);
        if (!b->full)
                b->n += (size_t)n;
        return !b->full;
}

bool buf_printf(struct buf *b, const char *format, ...)
{
        va_list args;
        bool fits;

        va_start(args, format);
        fits = buf_vprintf(b, format, args);
        va_end(args);
        return fits;
}

void buf_drop(struct buf *b, size_t n)
{
        if (n > b->n)
                mem_die("more dropped from a buffer than it held");
        b->n -= n;
        if (n && b->n)
                memmove(b->p, b->p + n, b->n);
}

static bool put_number(struct buf *b, uint64_t v, size_t bytes)
{
        unsigned char raw[8];

        for (size_t i = 0; i < bytes; i++)
                raw[i] = (unsigned char)(v >> (8 * i));
        return buf_put(b, raw, bytes);
}

bool buf_u8(struct buf *b, uint8_t v)
{
        return put_number(b, v, 1);
}

bool buf_u16(struct buf *b, uint16_t v)
{
        return put_number(b, v, 2);
}

bool buf_u32(struct buf *b, uint32_t v)
{
        return put_number(b, v, 4);
}

bool buf_u64(struct buf *b, uint64_t v)
{
        return put_number(b, v, 8);
}

bool buf_packed(struct buf *b, struct str s)
{
        if (s.n > UINT32_MAX)
                b->full = true;
        return buf_u32(b, (uint32_t)s.n) && buf_puts(b, s);
}

struct str unpack_bytes(struct unpack *u, size_t n)
{
        struct str got;

        if (u->bad || n > u->s.n - u->at) {
                u->bad = true;
                return S("");
        }
        got = str_sub(u->s, u->at, n);
        u->at += n;
        return got;
}

static uint64_t get_number(struct unpack *u, size_t bytes)
{
        struct str raw = unpack_bytes(u, bytes);
        uint64_t v = 0;

        for (size_t i = raw.n; i-- > 0;)
                v = v << 8 | (unsigned char)raw.p[i];
        return v;
}

uint8_t unpack_u8(struct unpack *u)
{
        return (uint8_t)get_number(u, 1);
}

uint16_t unpack_u16(struct unpack *u)
{
        return (uint16_t)get_number(u, 2);
}

uint32_t unpack_u32(struct unpack *u)
{
        return (uint32_t)get_number(u, 4);
}

uint64_t unpack_u64(struct unpack *u)
{
        return get_number(u, 8);
}

struct str unpack_str(struct unpack *u)
{
        return unpack_bytes(u, unpack_u32(u));
}

bool unpack_done(const struct unpack *u)
{
        return !u->bad && u->at == u->s.n;
}
