/* Changing stacks: one file a processor (switch_x86_64.S, switch_arm64.S), switch_ucontext.c elsewhere. */
#pragma once
#include <stddef.h>

/* Saves what a call preserves on this stack and its top in *save, and goes on where `load` was saved. Returns when
 * somebody loads *save. No system call, no signal mask. */
void switch_stack(void **save, void *load);
/* A stack [low, low + size) on which the first switch calls entry(arg), which never returns. Gives what to load.
 * The frame ends the chain of callers, so that debuggers stop there. */
void *switch_prepare(void *low, size_t size, void (*entry)(void *arg), void *arg);
