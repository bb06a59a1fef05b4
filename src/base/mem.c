#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

void mem_die(const char *why)
{
        fprintf(stderr, "pail: %s\n", why);
        abort();
}

void *mem_alloc(size_t n)
{
        void *p = calloc(1, n ? n : 1);

        if (!p)
                mem_die("out of memory");
        return p;
}

void *mem_array(size_t n, size_t size)
{
        void *p = calloc(n ? n : 1, size);

        if (!p)
                mem_die("out of memory");
        return p;
}

void *mem_grow(void *p, size_t n, size_t size)
{
        p = reallocarray(p, n ? n : 1, size);
        if (!p)
                mem_die("out of memory");
        return p;
}

char *mem_string(struct str s)
{
        char *p = mem_alloc(s.n + 1);

        mem_copy(p, s.n + 1, s);
        return p;
}

void mem_free(void *p)
{
        free(p);
}

void mem_copy(void *to, size_t room, struct str s)
{
        if (s.n > room)
                mem_die("copy beyond the end of its target");
        if (s.n)
                memcpy(to, s.p, s.n);
}
