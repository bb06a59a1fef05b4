#include "base/mem.h"
#include "store/search_build.h"
#include <stdlib.h>

struct sorted {
        uint64_t start; /* its first bytes, to compare by */
        uint32_t word;
};

static int by_word(const void *x, const void *y, void *context)
{
        const struct sorted *a = x, *b = y;
        const struct builder *builder = context;
        const struct word *v, *w;

        if (a->start != b->start)
                return a->start < b->start ? -1 : 1;
        v = &builder->words[a->word];
        w = &builder->words[b->word];
        return str_cmp((struct str){ builder->text.p + v->at, v->n },
                       (struct str){ builder->text.p + w->at, w->n });
}

static int by_name(const void *x, const void *y, void *context)
{
        const struct builder *b = context;

        return str_cmp(b->classes[*(const uint32_t *)x].name, b->classes[*(const uint32_t *)y].name);
}

/* The words of each class, classes in the order of their numbers: from[c] to from[c + 1]. */
static struct sorted *by_class(const struct builder *b, size_t *from)
{
        struct sorted *sorted = mem_array(b->word_n + 1, sizeof *sorted);

        for (size_t i = 0; i < b->word_n; i++)
                from[b->words[i].class + 1]++;
        for (size_t c = 0; c < b->class_n; c++)
                from[c + 1] += from[c];
        for (size_t i = b->word_n; i--;) {
                const struct word *w = &b->words[i];

                sorted[--from[w->class + 1]] = (struct sorted){ w->start, (uint32_t)i };
        }
        for (size_t c = 0; c < b->class_n; c++) /* each now holds where the class begins */
                from[c] = from[c + 1];
        from[b->class_n] = b->word_n;
        return sorted;
}

/* The letters of each word: word w's are (*ends)[w - 1] to (*ends)[w] of what is returned. */
static uint32_t *by_words(const struct builder *b, uint32_t **ends)
{
        uint32_t *list = mem_array(b->pair_n + 1, sizeof *list), *at = mem_array(b->word_n + 1, sizeof *at),
                 sum = 0;
        size_t pair = 0;

        for (size_t i = 0; i < b->pair_n; i++)
                at[b->pairs[i]]++;
        for (size_t w = 0; w < b->word_n; w++) {
                uint32_t n = at[w];

                at[w] = sum;
                sum += n;
        }
        for (uint32_t i = 0; i < b->n; i++)
                for (; pair < b->ends[i]; pair++)
                        list[at[b->pairs[pair]]++] = i;
        *ends = at;
        return list;
}

static unsigned choose_samples(const struct builder *b, struct part_sample *to)
{
        unsigned n = b->n < PART_SAMPLES ? b->n : PART_SAMPLES;

        for (unsigned i = 0; i < n; i++)
                to[i] = b->samples[(uint64_t)(b->n - 1) * (i + 1) / n];
        return n;
}

static void write_classes(struct builder *b, struct part_writer *w)
{
        uint32_t order[CLASSES_MOST], *ends, *lists;
        size_t *from = mem_array((size_t)b->class_n + 2, sizeof *from);
        struct sorted *sorted = by_class(b, from);

        lists = by_words(b, &ends);
        for (uint32_t i = 0; i < b->class_n; i++)
                order[i] = i;
        qsort_r(order, b->class_n, sizeof *order, by_name, b);
        for (uint32_t i = 0; i < b->class_n; i++) {
                const struct word_class *c = &b->classes[order[i]];
                size_t start = from[order[i]], n = from[order[i] + 1] - start;

                writer_class(w, c->name, c->has, c->has_n);
                qsort_r(sorted + start, n, sizeof *sorted, by_word, b);
                for (size_t k = start; k < start + n; k++) {
                        uint32_t word = sorted[k].word, first = word ? ends[word - 1] : 0;
                        const struct word *v = &b->words[word];

                        writer_word(w, (struct str){ b->text.p + v->at, v->n }, lists + first,
                                    ends[word] - first);
                }
        }
        mem_free(sorted);
        mem_free(from);
        mem_free(lists);
        mem_free(ends);
}

int builder_write(struct builder *b, int dir, uint32_t first, uint32_t last)
{
        struct part_writer *w = mem_new(struct part_writer);
        struct part_sample samples[PART_SAMPLES];
        int rc = writer_begin(w, dir, b->n);

        if (!rc) {
                write_classes(b, w);
                rc = writer_end(w, first, last, b->letters, samples, choose_samples(b, samples));
        }
        writer_free(w);
        mem_free(w);
        builder_clear(b);
        return rc;
}
