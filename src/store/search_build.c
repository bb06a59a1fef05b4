#include "base/mem.h"
#include "store/search_build.h"

/* A part is gathered in memory: a table of words, and for each letter the numbers of its words, each once. */

static void fixed_classes(struct builder *b)
{
        b->class_n = CLASSES_FIXED;
        b->classes[CLASS_BODY].name = S("");
        b->classes[CLASS_FILES].name = PART_FILES;
        b->classes[CLASS_STRANGE].name = PART_STRANGE;
}

struct builder *builder_new(void)
{
        struct builder *b = mem_new(struct builder);

        b->key = str_hash(S("words of the index")); /* not to be foreseen from outside */
        b->table_size = 1 << 14;
        b->table = mem_array(b->table_size, sizeof *b->table);
        buf_init(&b->text, UINT32_MAX);
        buf_init(&b->folded, SIZE_MAX / 4);
        arena_init(&b->names, 1 << 20);
        fixed_classes(b);
        return b;
}

void builder_clear(struct builder *b)
{
        for (uint32_t i = 0; i < b->class_n; i++)
                mem_free(b->classes[i].has);
        for (uint32_t i = 0; i < CLASSES_MOST; i++)
                b->classes[i] = (struct word_class){ 0 };
        for (size_t i = 0; i < sizeof b->class_table / sizeof b->class_table[0]; i++)
                b->class_table[i] = 0;
        for (size_t i = 0; i < b->table_size; i++)
                b->table[i] = 0;
        arena_reset(&b->names);
        buf_clear(&b->text);
        b->word_n = b->pair_n = 0;
        b->n = 0;
        fixed_classes(b);
}

void builder_free(struct builder **bp)
{
        struct builder *b = *bp;

        *bp = NULL;
        if (!b)
                return;
        builder_clear(b);
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

/* Numbers that stand anywhere. */
struct __attribute__((packed, may_alias)) any32 {
        uint32_t v;
};
static uint64_t big32(const char *p)
{
        return __builtin_bswap32(((const struct any32 *)(const void *)p)->v);
}

static uint64_t start_of(struct str s)
{
        uint64_t v = 0;

        if (s.n >= 8)
                return big32(s.p) << 32 | big32(s.p + 4);
        if (s.n >= 4)
                return big32(s.p) << 32 | (big32(s.p + s.n - 4) << (64 - 8 * s.n) & UINT32_MAX);
        for (size_t i = 0; i < s.n; i++)
                v |= (uint64_t)(unsigned char)s.p[i] << (56 - 8 * i);
        return v;
}

/* Most words are short: then their first bytes are all there is. */
static struct word *find_word(struct builder *b, const struct found_word *f)
{
        struct str s = f->s;
        size_t at = f->hash & (b->table_size - 1);
        struct word *w;

        for (; b->table[at]; at = (at + 1) & (b->table_size - 1)) {
                w = &b->words[b->table[at] - 1];
                if (w->hash == f->hash && w->start == f->start && w->n == s.n && w->class == b->class &&
                    (s.n <= 8 || !memcmp(b->text.p + w->at, s.p, s.n)))
                        return w;
        }
        if (b->word_n == b->word_room) {
                b->word_room = b->word_room ? b->word_room * 2 : 8192;
                b->words = mem_grow(b->words, b->word_room, sizeof *b->words);
        }
        w = &b->words[b->word_n++];
        *w = (struct word){ f->start, (uint32_t)b->text.n, f->hash, 0, (uint16_t)b->class, (uint16_t)s.n };
        buf_puts(&b->text, s);
        b->table[at] = (uint32_t)b->word_n;
        if (b->word_n * 2 > b->table_size) {
                grow_table(b);
                w = &b->words[b->word_n - 1];
        }
        return w;
}

static void add_pair(struct builder *b, struct word *w)
{
        if (w->last == b->n)
                return;
        w->last = b->n;
        if (b->pair_n == b->pair_room) {
                b->pair_room = b->pair_room ? b->pair_room * 2 : 65536;
                b->pairs = mem_grow(b->pairs, b->pair_room, sizeof *b->pairs);
        }
        b->pairs[b->pair_n++] = (uint32_t)(w - b->words);
}

/* The table and the words are larger than what lies near the processor: some are fetched while others are on their way. */
static void add_found(struct builder *b)
{
        for (unsigned i = 0; i < b->found_n; i++) {
                uint32_t word = b->table[b->found[i].hash & (b->table_size - 1)];

                if (word)
                        __builtin_prefetch(&b->words[word - 1]);
        }
        for (unsigned i = 0; i < b->found_n; i++)
                add_pair(b, find_word(b, &b->found[i]));
        b->found_n = 0;
}

static void add_word(void *context, struct str s)
{
        struct builder *b = context;
        uint64_t start = start_of(s);
        struct str hashed = s.n > 8 ? s : (struct str){ (const char *)&start, 8 };
        uint32_t hash = (uint32_t)bytes_hash(hashed, b->key + b->class);

        __builtin_prefetch(&b->table[hash & (b->table_size - 1)]);
        b->found[b->found_n++] = (struct found_word){ s, start, hash };
        if (b->found_n == FOUND_MOST)
                add_found(b);
}

/* Takes what is folded; without `last` the end, which may go on, stays. */
static void take_words(struct builder *b, uint32_t class, bool last)
{
        size_t taken;

        b->class = class;
        taken = words_take(buf_str(&b->folded), last, add_word, b);
        add_found(b);
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
        if (b->class_n == CLASSES_MOST)
                return 0;
        b->classes[b->class_n].name = arena_str(&b->names, name);
        b->class_table[at] = b->class_n;
        return b->class_n++;
}

static void class_has(struct builder *b, uint32_t class)
{
        struct word_class *c = &b->classes[class];

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
                class = CLASS_FILES;
        else if (is_plain_name(name)) {
                for (size_t i = 0; i < name.n; i++)
                        lower[i] = chr_lower(name.p[i]);
                class = find_class(b, (struct str){ lower, name.n });
        }
        if (!class) {
                class = CLASS_STRANGE;
                text_fold(&b->folded, name);
                text_fold(&b->folded, S(": "));
        }
        text_fold(&b->folded, value);
        if (words_whole(b->classes[class].name)) {
                b->class = class;
                words_value(buf_str(&b->folded), add_word, b);
                add_found(b);
                buf_clear(&b->folded);
        } else {
                take_words(b, class, true);
        }
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
