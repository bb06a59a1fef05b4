#include "base/arena.h"
#include "base/mem.h"
#include "base/page.h"
#include <stdio.h>

/* Under ASan the unused part of a chunk is poisoned and every piece is followed by a red zone, so that a step
 * beyond a piece is caught as it would be on the heap. */
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#define hide(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define show(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { RED_ZONE = 16 };
#else
#define hide(p, n) ((void)(p), (void)(n))
#define show(p, n) ((void)(p), (void)(n))
enum { RED_ZONE = 0 };
#endif

enum { ALIGN = 16, SMALL = PAGE - 32, LARGE = 64 * 1024 - 64 };

struct arena_chunk {
        struct arena_chunk *next;
        size_t size, at; /* of data */
        _Alignas(ALIGN) char data[];
};

_Static_assert(sizeof(struct arena_chunk) + SMALL <= PAGE, "a small chunk is a page");

void arena_init(struct arena *a, size_t max)
{
        *a = (struct arena){ .max = max };
}

static void free_chunk(struct arena_chunk *c)
{
        show(c->data, c->size);
        if (c->size == SMALL)
                page_put((char *)c);
        else
                mem_free(c);
}

void arena_reset(struct arena *a)
{
        struct arena_chunk *c = a->chunk, *kept = NULL, *next;

        for (; c; c = next) {
                next = c->next;
                if (!kept && c->size <= SMALL) {
                        kept = c;
                        hide(c->data, c->size);
                        c->next = NULL;
                        c->at = 0;
                } else {
                        free_chunk(c);
                }
        }
        a->chunk = kept;
        a->used = 0;
}

void arena_finish(struct arena *a)
{
        struct arena_chunk *c = a->chunk, *next;

        for (; c; c = next) {
                next = c->next;
                free_chunk(c);
        }
        arena_init(a, a->max);
}

/* One small chunk, then larger ones, growing with what is used. A piece too large for them gets its own, behind the
 * first, which stays in use. */
static struct arena_chunk *add_chunk(struct arena *a, size_t n)
{
        size_t size = !a->chunk ? SMALL : a->used < 2 * SMALL ? 2 * SMALL : a->used < LARGE ? a->used : LARGE;
        struct arena_chunk *c;
        bool own = n > size || (a->chunk && n > size / 2);

        if (own)
                size = n;
        if (own && size == SMALL)
                size++;
        c = size == SMALL ? (struct arena_chunk *)(void *)page_get() : mem_grow(NULL, sizeof *c + size, 1);
        *c = (struct arena_chunk){ .size = size };
        hide(c->data, size);
        if (own && a->chunk) {
                c->next = a->chunk->next;
                a->chunk->next = c;
        } else {
                c->next = a->chunk;
                a->chunk = c;
        }
        return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
        struct arena_chunk *c = a->chunk;
        size_t room;
        char *p;

        if (n > a->max || a->used > a->max - n)
                mem_die("an arena grew beyond its maximum");
        room = (n + RED_ZONE + ALIGN - 1) / ALIGN * ALIGN;
        if (room < n)
                mem_die("an arena grew beyond all bounds");
        if (!c || room > c->size - c->at)
                c = add_chunk(a, room);
        p = c->data + c->at;
        c->at += room;
        a->used += n;
        show(p, n);
        memset(p, 0, n);
        return p;
}

size_t arena_times(size_t a, size_t b)
{
        size_t n;

        if (__builtin_mul_overflow(a, b, &n))
                mem_die("an array beyond all bounds");
        return n;
}

struct str arena_str(struct arena *a, struct str s)
{
        char *p = arena_alloc(a, s.n + 1);

        mem_copy(p, s.n, s);
        return (struct str){ p, s.n };
}

struct str arena_lower(struct arena *a, struct str s)
{
        char *p = arena_alloc(a, s.n + 1);

        for (size_t i = 0; i < s.n; i++)
                p[i] = chr_lower(s.p[i]);
        return (struct str){ p, s.n };
}

struct str arena_vprintf(struct arena *a, const char *format, va_list args)
{
        va_list again;
        char *p;
        int n;

        va_copy(again, args);
        n = vsnprintf(NULL, 0, format, args);
        if (n < 0)
                mem_die("a text beyond all bounds");
        p = arena_alloc(a, (size_t)n + 1);
        vsnprintf(p, (size_t)n + 1, format, again);
        va_end(again);
        return (struct str){ p, (size_t)n };
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
        struct str s;
        va_list args;

        va_start(args, format);
        s = arena_vprintf(a, format, args);
        va_end(args);
        return s;
}
