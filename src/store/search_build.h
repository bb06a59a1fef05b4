/* What search_build.c gathers and search_build_write.c writes. */
#pragma once
#include "base/arena.h"
#include "store/search_part.h"

enum {
        LETTERS_MOST = 4096,
        PAIRS_MOST = 2 * 1024 * 1024,
        TEXT_MOST = 16 * 1024 * 1024,
        CLASSES_MOST = 512, /* the fields of other names are strange ones */
        FOUND_MOST = 32,
        CLASS_BODY = 0, /* these are always there */
        CLASS_FILES,
        CLASS_STRANGE,
        CLASSES_FIXED,
};
struct word {
        uint64_t start;          /* its first 8 bytes, as they sort */
        uint32_t at, hash, last; /* in text; the letter that had it last, from 1 */
        uint16_t class;
        uint16_t n;
};
struct found_word { /* in a text, not yet looked up */
        struct str s;
        uint64_t start;
        uint32_t hash;
};
struct word_class {
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
        struct word_class classes[CLASSES_MOST];
        uint32_t class_n, class_table[CLASSES_MOST * 4];
        uint32_t class; /* of what is taken now */
        struct arena names;
        struct found_word found[FOUND_MOST];
        unsigned found_n;
};

void builder_clear(struct builder *b);
