/* The heap, for what is shared and outlives a session; everything else belongs in an arena. Out of memory ends the
 * process, so nothing here returns NULL. Pairs: what mem_ made, mem_free gives back. */
#pragma once
#include "base/str.h"

void *mem_alloc(size_t n);                      /* zeroed */
void *mem_array(size_t n, size_t size);         /* zeroed; n * size beyond all bounds ends the process */
void *mem_grow(void *p, size_t n, size_t size); /* to n elements; the new ones are not zeroed */
char *mem_string(struct str s);                 /* a copy that ends with NUL */
void mem_free(void *p);                         /* NULL is fine */
#define mem_new(type) ((type *)mem_alloc(sizeof(type)))
/* Copies s to the start of an array of `room` bytes; more than fits is a mistake of ours and ends the process. */
void mem_copy(void *to, size_t room, struct str s);
_Noreturn void mem_die(const char *why); /* says why on stderr, aborts */
