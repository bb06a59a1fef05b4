/* Stacks for fibers: guard pages below, a struct of the owner's at the top, a pool with a cap. Below the guard starts
 * nothing of ours; compiled with -fstack-clash-protection no frame jumps over it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* The lowest usable byte of stack_size() bytes, or NULL: no memory (or too many mappings). */
void *stack_get(void);
/* Back to the pool (or to the system, when the pool is full). Only its hot top pages stay resident. */
void stack_put(void *low);
size_t stack_size(void);
/* Of all stacks of this process, before the first: a client's libraries (libedit, libunbound) want more than a session does. It is address
 * space; memory is what is touched. More under the sanitizers. */
void stack_set_size(size_t bytes);
bool stack_guards(const void *low, const void *at); /* is `at` in the guard of this stack? */
size_t stack_used(const void *low); /* high-water mark in bytes, by pages; costs a system call */
void stack_finish(void);            /* empties the pool */
