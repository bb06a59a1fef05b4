/* A table of things that have a name: found by it, a chain of hashes, grows as it fills. The thing begins with a
 * struct name; the name's bytes stand behind it in the same piece of memory, so that thousands cost little.
 *
 *      struct place { struct name name; struct watcher *first; };
 *      struct names t = { .item = sizeof(struct place) };
 *      struct place *p = names_need(&t, S("jill@hill.com")); // zeroed but for its name
 *      ... names_text(&t, p) ...
 *      names_remove(&t, p);
 *
 * One thread. No order. */
#pragma once
#include "base/str.h"

struct name {
        struct name *next;
        uint32_t hash, n;
};
struct names {
        size_t item; /* bytes of a thing; set by the owner */
        struct name **slots;
        size_t size, count;
};
void *names_find(const struct names *t, struct str name); /* or NULL */
void *names_need(struct names *t, struct str name);       /* found or made */
void names_remove(struct names *t, void *thing);
struct str names_text(const struct names *t, const void *thing);
/* Looks at each; those for which keep says false are removed. */
void names_sweep(struct names *t, bool (*keep)(void *thing, void *context), void *context);
void names_free(struct names *t); /* all of them */
