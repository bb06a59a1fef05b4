#include "base/names.h"
#include "base/mem.h"

enum { LEAST = 16 };

static struct name **slot(const struct names *t, uint32_t hash)
{
        return &t->slots[hash & (t->size - 1)];
}

struct str names_text(const struct names *t, const void *thing)
{
        const struct name *i = thing;

        return str_from((const char *)i + t->item, i->n);
}

static struct name *find(const struct names *t, struct str name, uint32_t hash)
{
        struct name *i = t->size ? *slot(t, hash) : NULL;

        while (i && !(i->hash == hash && str_eq(names_text(t, i), name)))
                i = i->next;
        return i;
}

void *names_find(const struct names *t, struct str name)
{
        return find(t, name, (uint32_t)str_hash(name));
}

/* Twice as many slots, or half: a table that was once large does not stay so. */
static void resize(struct names *t, size_t size)
{
        struct names old = *t;

        t->size = size;
        t->slots = mem_array(size, sizeof(struct name *));
        for (size_t i = 0; i < old.size; i++)
                for (struct name *n = old.slots[i], *next; n; n = next) {
                        struct name **to = slot(t, n->hash);

                        next = n->next;
                        n->next = *to;
                        *to = n;
                }
        mem_free(old.slots);
}

void *names_need(struct names *t, struct str name)
{
        uint32_t hash = (uint32_t)str_hash(name);
        struct name *i = find(t, name, hash), **to;

        if (i)
                return i;
        if (t->count >= t->size)
                resize(t, t->size ? 2 * t->size : LEAST);
        i = mem_alloc(t->item + name.n);
        mem_copy((char *)i + t->item, name.n, name);
        to = slot(t, hash);
        *i = (struct name){ .next = *to, .hash = hash, .n = (uint32_t)name.n };
        *to = i;
        t->count++;
        return i;
}

static void shrink(struct names *t)
{
        if (t->size > LEAST && t->count < t->size / 4)
                resize(t, t->size / 2);
}

void names_remove(struct names *t, void *thing)
{
        struct name *i = thing, **at = slot(t, i->hash);

        while (*at != i)
                at = &(*at)->next;
        *at = i->next;
        t->count--;
        mem_free(i);
        shrink(t);
}

void names_sweep(struct names *t, bool (*keep)(void *thing, void *context), void *context)
{
        for (size_t i = 0; i < t->size; i++)
                for (struct name **at = &t->slots[i], *n; (n = *at);) {
                        if (keep(n, context)) {
                                at = &n->next;
                                continue;
                        }
                        *at = n->next;
                        t->count--;
                        mem_free(n);
                }
        shrink(t);
}

static bool none(void *thing, void *context)
{
        (void)thing;
        (void)context;
        return false;
}

void names_free(struct names *t)
{
        names_sweep(t, none, NULL);
        mem_free(t->slots);
        *t = (struct names){ .item = t->item };
}
