/* The index: immutable parts, files in mail/NAME/search/, each for the letters of one range of numbers. An indexing run
 * writes a part for what is new; parts of like size are merged. A part that is damaged, or of another version or folding, is
 * removed and its letters are indexed anew; whatever no part knows is read and looked at.
 *
 * A part has classes: the body's texts (empty name), one for each name of header fields (lower case), one for the file names
 * of parts (" "), and one for fields with strange names ("\t", name and value together). A class has a vocabulary of words
 * (search_inside.h says what a word is), sorted, in groups of about 64 KB, and for each word the list of letters that hold
 * it; of some fields whole values stand there in the place of words (words_whole). To find a needle without a space is to look for it in the vocabulary, byte by byte: every place where it stands in a
 * text lies whole in some word of it. So the answer is the union of the lists of the words that hold it, and exact.
 *
 * A file, little-endian:
 *   header      struct part_header, its sum
 *   then        lists of groups and, some megabytes at a time, vocabularies of groups, as they were written
 *   directory   letters as runs (count; gap, length), samples, classes (search_part.c)
 * A group's vocabulary: "\nword\nword\n", then for every 32 words where their lists begin (u32, from the group's first) and
 * the sum of these (u32). A list: varint bytes * 2 + dense, then either varints (the first ordinal, then how many were left
 * out before the next), or, dense, a bit for each letter of the part. Ordinals count the part's letters from 0.
 *
 * Every byte is under a sum, and whatever is read is checked against its bounds besides. */
#pragma once
#include "store/search_inside.h"

#define PART_FILES   S(" ")
#define PART_STRANGE S("\t")
enum {
        PART_VERSION = 2,
        PART_BLOCK = 32, /* words */
        PART_GROUP = 64 * 1024,
        PART_SAMPLES = 4,
        PART_NAME_MAX = 60, /* of a field with a class of its own */
};

/* ---- search_bytes.c ---- */
uint64_t bytes_sum(struct str s);
uint64_t bytes_hash(struct str s, uint64_t start);               /* for tables in memory */
size_t bytes_find(struct str s, struct str needle, size_t from); /* STR_NONE; needle is not empty */
size_t bytes_count(struct str s, char c);

/* ---- search_list.c ---- */
struct list {
        struct str bytes;
        bool dense;
};
void list_put(struct buf *out, const uint32_t *at, size_t n, uint32_t letters); /* as a record; ascending */
bool list_take(struct str *s, struct list *out); /* the record at the start of s */
/* Sets their bits; *count grows by those that were not set. false: damaged. */
bool list_or(struct list l, uint32_t letters, uint64_t *bits, size_t *count);
bool list_each(struct list l, uint32_t letters, void (*each)(void *context, uint32_t at), void *context);
void put_varint(struct buf *out, uint64_t v);
uint64_t take_varint(struct str *s); /* UINT64_MAX: damaged, s is empty then */
static inline size_t bits_words(uint32_t letters)
{
        return (size_t)letters / 64 + 1;
}

/* ---- search_part.c: reading one ---- */
struct part_group {
        uint64_t words_at, lists_at, sum; /* of the vocabulary */
        uint32_t words_n, count, lists_n;
};
struct part_class {
        struct str name;
        struct list has; /* letters with such a field */
        struct part_group *groups;
        size_t group_n;
};
struct part_sample {
        uint32_t letter, size;
        uint64_t received;
};
struct part {
        int fd;
        char name[24];
        uint32_t first, last, n;
        uint32_t *letters;
        struct part_class *classes; /* in order of name */
        size_t class_n;
        struct part_sample samples[PART_SAMPLES];
        unsigned sample_n;
        uint64_t bytes;
        struct buf directory;
};
/* On a worker. -ENOENT; -EBADMSG: damaged, or not of this version and folding. */
int part_open(struct part *p, int dir, const char *name);
void part_close(struct part *p);
const struct part_class *part_class(const struct part *p, struct str name); /* NULL */
/* Appends vocabulary and block table of a group; the vocabulary alone is *words. -EBADMSG, -EIO. */
int part_words(const struct part *p, const struct part_group *g, struct buf *out, struct str *words);
/* Appends the lists of blocks [from, to). table: what follows the vocabulary. */
int part_lists(const struct part *p, const struct part_group *g, struct str table, size_t from, size_t to,
               struct buf *out);
bool part_name(const char *name, uint32_t *first, uint32_t *last);
void part_name_make(uint32_t first, uint32_t last, char name[static 24]);

/* ---- search_write.c: writing one: classes in order, words in order ---- */
#define PART_NEW "new" /* its name while it is written */
struct part_writer {
        int fd, dir, rc;
        uint32_t n;
        uint64_t at;             /* of the file, behind which `lists` will stand */
        struct buf lists, words; /* not yet written; groups' vocabularies */
        struct buf table;        /* of the group that is open */
        struct buf directory;    /* of the classes */
        struct part_group *groups;
        size_t group_n, group_room, written; /* whose vocabulary is written */
        size_t first_group;                  /* of the class */
        size_t block;                        /* in lists, where the open block begins */
        size_t words_from;                   /* in words, where the open group begins */
        bool open;
        struct part_writer_class {
                size_t has_end; /* in directory */
                size_t groups;
        } * classes;
        size_t class_n, class_room;
};
int writer_begin(struct part_writer *w, int dir, uint32_t n);
void writer_class(struct part_writer *w, struct str name, const uint32_t *has, size_t n);
void writer_word(struct part_writer *w, struct str word, const uint32_t *at, size_t n);
/* The file gets its name. 0 or what went wrong since writer_begin; then nothing is left of it. */
int writer_end(struct part_writer *w, uint32_t first, uint32_t last, const uint32_t *letters,
               const struct part_sample *samples, unsigned sample_n);
void writer_free(struct part_writer *w); /* also after writer_end */

/* ---- search_build.c: a part from letters ---- */
struct builder;
struct builder *builder_new(void);
void builder_free(struct builder **b);
void builder_letter(struct builder *b, const struct reading_item *item, const struct mime *m,
                    struct str letter);
uint32_t builder_letters(const struct builder *b);
bool builder_full(const struct builder *b);
int builder_write(struct builder *b, int dir, uint32_t first, uint32_t last); /* and is empty again */

/* ---- search_query.c: asking one ---- */
struct answer {
        uint64_t *yes, *maybe; /* bits by ordinal; maybe: these must be read */
        uint8_t *score;        /* of fuzzy ones */
};
int part_query(const struct part *p, const struct need *need, struct answer *out);
void answer_free(struct answer *a);

/* ---- search_merge.c: parts that follow each other become one, without the letters that are gone ---- */
struct merge;
/* Takes over the parts. alive: bits by number of letter, from parts[0].first on; NULL: all are. */
struct merge *merge_new(int dir, struct part *parts, size_t n, const uint64_t *alive);
int merge_some(
    struct merge *m); /* on a worker, some milliseconds: 1 there is more, 0 done, -EBADMSG: *bad is damaged */
const char *merge_bad(const struct merge *m);
void merge_free(struct merge **m);

/* ---- search_shelf.c: the folder of an account's parts; all on a worker ---- */
struct shelf_part {
        uint32_t first, last;
        char name[24];
};
struct shelf {
        int dir, lock;
        struct shelf_part *parts; /* ascending; none within another */
        size_t n;
};
int shelf_open(struct shelf *s, struct account *a, bool make); /* -ENOENT: there is none */
void shelf_close(struct shelf *s);
int shelf_lock(struct shelf *s);            /* -EBUSY: somebody else indexes */
int shelf_list(struct shelf *s, bool tidy); /* tidy: what is superseded goes; only with the lock */
void shelf_remove(struct shelf *s, const char *name);
void shelf_remove_all(struct shelf *s);

/* What parts say about letters of the account: an index that knows letters of the future, or others under the same numbers,
 * belongs to another state of the account (a backup was put back). */
struct witness {
        struct part_sample *samples;
        size_t n, room;
        uint32_t last;
        bool lies; /* out */
};
void witness_add(struct witness *w, const struct part *p);
int witness_ask(struct witness *w, struct account *a); /* waits */
void witness_free(struct witness *w);

/* ---- search_ask.c ---- */
enum known { UNKNOWN, KNOWN_NO, KNOWN_YES, KNOWN_MAYBE };
/* What the index says of letters[which[i]]: known[i]. Waits. Whatever fails leaves letters unknown. */
void search_ask(struct account *a, const struct need *need, const uint32_t *letters, const size_t *which,
                size_t n, uint8_t *known, uint8_t *score);
