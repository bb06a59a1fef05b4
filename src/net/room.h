/* The memory under a connection's input and output: nothing, one page, or (for bodies and long lines) a piece of the
 * heap. Pages come from regions of their own and go back to the kernel when a connection parks, beyond some that are
 * kept at hand: thousands of parked connections leave no holes in the heap. One thread only. */
#pragma once
#include "base/str.h"

#include <stdarg.h>

enum { ROOM_PAGE = 4096 };

struct room {
        char *p;
        uint32_t n, cap; /* cap: 0, ROOM_PAGE, or more */
};

/* At least `want` writable bytes after n: a page if that will do, else at least `large` in all. NULL: over `most`. */
char *room_need(struct room *r, size_t want, size_t large, size_t most);
void room_drop(struct room *r, size_t n); /* forget the first n bytes */
void room_free(struct room *r);
