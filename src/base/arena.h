/* Memory by lifetime: allocate freely, give all back at once. One arena a command (the loop resets it), one a
 * session for what must outlive a command. Out of memory ends the process; so does more than `max`, because what
 * comes from outside must have been bounded before. Memory is zeroed. Strings made here end with NUL. */
#pragma once
#include "base/str.h"
#include <stdarg.h>

struct arena_chunk;
struct arena {
        struct arena_chunk *chunk;
        size_t used, max;
};

void arena_init(struct arena *a, size_t max);
void arena_reset(struct arena *a);  /* everything is gone; keeps at most one small chunk */
void arena_finish(struct arena *a); /* everything is gone, nothing kept */
void *arena_alloc(struct arena *a, size_t n);
#define arena_new(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), arena_times(sizeof(type), (n))))
size_t arena_times(size_t a, size_t b); /* a * b, or ends the process */
struct str arena_str(struct arena *a, struct str s);
struct str arena_lower(struct arena *a, struct str s); /* ASCII lower case */
struct str arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *a, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
#define auto_arena __attribute__((cleanup(arena_finish)))
