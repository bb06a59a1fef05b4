#include "base/mem.h"
#include "store/search_part.h"
#include <stdlib.h>

/* A part is gathered in memory: a table of words, and for each letter the numbers of its words, each once. */
enum {
        LETTERS_MOST = 4096,
        PAIRS_MOST = 2 * 1024 * 1024,
        TEXT_MOST = 16 * 1024 * 1024,
        CLASSES_MOST = 512, /* the fields of other names are strange ones */
        CLASS_BODY = 0,
};
struct word {
        uint32_t at, hash, last; /* in text; the letter that had it last, from 1 */
        uint16_t class;
        uint16_t n;
};
struct class
{
        struct str name; /* in names */
        uint32_t last;
        uint32_t *has;
        size_t has_n, has_room;
};
struct builder {
        uint64_t key;
        struct word *words;
        size_t word_n, word_room;
        uint32_t *table; /* of words by hash, from 1 */
        size_t table_size;
        struct buf text, folded;
        uint32_t *pairs;
        size_t pair_n, pair_room;
        uint32_t *letters, *ends;    /* ends: in pairs */
        struct part_sample *samples; /* of each letter */
        uint32_t n, room;
        struct class classes[CLASSES_MOST];
        uint32_t class_n, class_table[CLASSES_MOST * 4];
        uint32_t class; /* of what is taken now */
        struct arena names;
};

struct builder *builder_new(void)
{
        struct builder *b = mem_new(struct builder);

        b->key = str_hash(S("words of the index")); /* not to be foreseen from outside */
        b->table_size = 1 << 14;
        b->table = mem_array(b->table_size, sizeof *b->table);
        buf_init(&b->text, UINT32_MAX);
        buf_init(&b->folded, SIZE_MAX / 4);
        arena_init(&b->names, 1 << 20);
        b->class_n = 1; /* the body's has no name */
        return b;
}

static void clear(struct builder *b)
{
        for (uint32_t i = 0; i < b->class_n; i++)
                mem_free(b->classes[i].has);
        for (uint32_t i = 0; i < CLASSES_MOST; i++)
                b->classes[i] = (struct class){ 0 };
        for (size_t i = 0; i < sizeof b->class_table / sizeof b->class_table[0]; i++)
                b->class_table[i] = 0;
        for (size_t i = 0; i < b->table_size; i++)
                b->table[i] = 0;
        arena_reset(&b->names);
        buf_clear(&b->text);
        b->word_n = b->pair_n = 0;
        b->n = 0;
        b->class_n = 1;
}

void builder_free(struct builder **bp)
{
        struct builder *b = *bp;

        *bp = NULL;
        if (!b)
                return;
        clear(b);
        mem_free(b->words);
        mem_free(b->table);
        mem_free(b->pairs);
        mem_free(b->letters);
        mem_free(b->ends);
        mem_free(b->samples);
        buf_free(&b->text);
        buf_free(&b->folded);
        arena_finish(&b->names);
        mem_free(b);
}

static void grow_table(struct builder *b)
{
        mem_free(b->table);
        b->table_size *= 4;
        b->table = mem_array(b->table_size, sizeof *b->table);
        for (size_t i = 0; i < b->word_n; i++) {
                size_t at = b->words[i].hash & (b->table_size - 1);

                while (b->table[at])
                        at = (at + 1) & (b->table_size - 1);
                b->table[at] = (uint32_t)i + 1;
        }
}

static struct word *find_word(struct builder *b, struct str s)
{
        uint32_t hash = (uint32_t)bytes_hash(s, b->key + b->class);
        size_t at = hash & (b->table_size - 1);
        struct word *w;

        for (; b->table[at]; at = (at + 1) & (b->table_size - 1)) {
                w = &b->words[b->table[at] - 1];
                if (w->hash == hash && w->n == s.n && w->class == b->class &&
                    !memcmp(b->text.p + w->at, s.p, s.n))
                        return w;
        }
        if (b->word_n == b->word_room) {
                b->word_room = b->word_room ? b->word_room * 2 : 8192;
                b->words = mem_grow(b->words, b->word_room, sizeof *b->words);
        }
        w = &b->words[b->word_n++];
        *w = (struct word){ (uint32_t)b->text.n, hash, 0, (uint16_t)b->class, (uint16_t)s.n };
        buf_puts(&b->text, s);
        b->table[at] = (uint32_t)b->word_n;
        if (b->word_n * 2 > b->table_size) {
                grow_table(b);
                w = &b->words[b->word_n - 1];
        }
        return w;
}

static void add_word(void *context, struct str s)
{
        struct builder *b = context;
        struct word *w = find_word(b, s);

        if (w->last == b->n)
                return;
        w->last = b->n;
        if (b->pair_n == b->pair_room) {
                b->pair_room = b->pair_room ? b->pair_room * 2 : 65536;
                b->pairs = mem_grow(b->pairs, b->pair_room, sizeof *b->pairs);
        }
        b->pairs[b->pair_n++] = (uint32_t)(w - b->words);
}

/* Takes what is folded; without `last` the end, which may go on, stays. */
static void take_words(struct builder *b, uint32_t class, bool last)
{
        size_t taken;

        b->class = class;
        taken = words_take(buf_str(&b->folded), last, add_word, b);
        if (last)
                buf_clear(&b->folded);
        else
                buf_drop(&b->folded,
                         taken && taken == b->folded.n ? taken - 1 : taken); /* a last space stays */
}

static bool is_plain_name(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':')
                        return false;
        return s.n && s.n <= PART_NAME_MAX;
}

/* 0: there is no room for another name. */
static uint32_t find_class(struct builder *b, struct str name)
{
        size_t size = sizeof b->class_table / sizeof b->class_table[0];
        size_t at = bytes_hash(name, b->key) & (size - 1);

        for (; b->class_table[at]; at = (at + 1) & (size - 1))
                if (str_eq(b->classes[b->class_table[at]].name, name))
                        return b->class_table[at];
        if (b->class_n == CLASSES_MOST || (b->class_n >= CLASSES_MOST - 2 && name.n > 1))
                return 0;
        b->classes[b->class_n].name = arena_str(&b->names, name);
        b->class_table[at] = b->class_n;
        return b->class_n++;
}

static void class_has(struct builder *b, uint32_t class)
{
        struct class *c = &b->classes[class];

        if (c->last == b->n)
                return;
        c->last = b->n;
        if (c->has_n == c->has_room) {
                c->has_room = c->has_room ? c->has_room * 2 : 64;
                c->has = mem_grow(c->has, c->has_room, sizeof *c->has);
        }
        c->has[c->has_n++] = b->n - 1;
}

static bool add_field(void *context, struct str name, struct str value)
{
        struct builder *b = context;
        char lower[PART_NAME_MAX];
        uint32_t class = 0;

        if (!name.n)
                class = find_class(b, PART_FILES);
        else if (is_plain_name(name)) {
                for (size_t i = 0; i < name.n; i++)
                        lower[i] = chr_lower(name.p[i]);
                class = find_class(b, (struct str){ lower, name.n });
        }
        if (!class) {
                class = find_class(b, PART_STRANGE);
                text_fold(&b->folded, name);
                text_fold(&b->folded, S(": "));
        }
        text_fold(&b->folded, value);
        take_words(b, class, true);
        class_has(b, class);
        return true;
}

static bool add_body(void *context, struct str utf8)
{
        struct builder *b = context;

        text_fold(&b->folded, utf8);
        take_words(b, CLASS_BODY, false);
        return true;
}

void builder_letter(struct builder *b, const struct reading_item *item, const struct mime *m,
                    struct str letter)
{
        if (b->n == b->room) {
                b->room = b->room ? b->room * 2 : 256;
                b->letters = mem_grow(b->letters, b->room, sizeof *b->letters);
                b->ends = mem_grow(b->ends, b->room, sizeof *b->ends);
                b->samples = mem_grow(b->samples, b->room, sizeof *b->samples);
        }
        b->letters[b->n] = item->letter;
        b->samples[b->n] = (struct part_sample){ item->letter, item->size, item->received };
        b->n++;
        buf_clear(&b->folded);
        text_fields(m, letter, add_field, b);
        buf_clear(&b->folded);
        text_of_body(m, letter, add_body, b);
        take_words(b, CLASS_BODY, true);
        if (b->folded.cap > TEXT_MOST)
                buf_trim(&b->folded);
        b->ends[b->n - 1] = (uint32_t)b->pair_n;
}

uint32_t builder_letters(const struct builder *b)
{
        return b->n;
}

bool builder_full(const struct builder *b)
{
        return b->n >= LETTERS_MOST || b->pair_n >= PAIRS_MOST || b->text.n >= TEXT_MOST;
}

/* ---- writing ---- */

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

static uint64_t start_of(struct str s)
{
        uint64_t v = 0;

        for (size_t i = 0; i < 8; i++)
                v = v << 8 | (i < s.n ? (unsigned char)s.p[i] : 0);
        return v;
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

                sorted[--from[w->class + 1]] =
                    (struct sorted){ start_of((struct str){ b->text.p + w->at, w->n }), (uint32_t)i };
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
                const struct class *c = &b->classes[order[i]];
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
        clear(b);
        return rc;
}
