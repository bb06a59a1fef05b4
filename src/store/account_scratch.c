/* What parsing needs lies ready for a few worker threads; more get their own for a moment. */
#include "base/mem.h"
#include "store/account_inside.h"

enum { SCRATCHES_MAX = 4, SCRATCH_TEXT = 1024 * 1024, SCRATCH_ARENA = 64 * 1024 * 1024 };

struct scratch *scratch_take(struct accounts *a)
{
        struct scratch *s;

        pthread_mutex_lock(&a->lock);
        s = a->scratches;
        if (s)
                a->scratches = s->next;
        pthread_mutex_unlock(&a->lock);
        if (s)
                return s;
        s = mem_new(struct scratch);
        mime_init(&s->mime);
        buf_init(&s->text, SCRATCH_TEXT);
        buf_init(&s->packed, (size_t)BATCH_MAX * MIME_PACKED_MAX);
        arena_init(&s->arena, SCRATCH_ARENA);
        arena_init(&s->keys, SCRATCH_ARENA);
        return s;
}

static void scratch_free(struct scratch *s)
{
        mime_finish(&s->mime);
        buf_free(&s->text);
        buf_free(&s->packed);
        arena_finish(&s->arena);
        arena_finish(&s->keys);
        mem_free(s);
}

void scratch_give(struct accounts *a, struct scratch *s)
{
        unsigned n = 0;

        arena_reset(&s->arena);
        buf_clear(&s->text);
        buf_clear(&s->packed);
        if (s->packed.cap > SCRATCH_TEXT)
                buf_free(&s->packed);
        pthread_mutex_lock(&a->lock);
        for (struct scratch *other = a->scratches; other; other = other->next)
                n++;
        if (n < SCRATCHES_MAX) {
                s->next = a->scratches;
                a->scratches = s;
                s = NULL;
        }
        pthread_mutex_unlock(&a->lock);
        if (s)
                scratch_free(s);
}

void scratch_free_all(struct accounts *a)
{
        struct scratch *s;

        while ((s = a->scratches)) {
                a->scratches = s->next;
                scratch_free(s);
        }
}
