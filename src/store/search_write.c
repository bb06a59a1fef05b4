#include "base/mem.h"
#include "store/disk.h"
#include "store/search_header.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC 0x6863727365617031u
enum { LISTS_AT_ONCE = 512 * 1024, WORDS_AT_ONCE = 4 * 1024 * 1024 };

void part_header_put(struct buf *out, const struct part_header *h)
{
        size_t before = out->n;

        buf_u64(out, MAGIC);
        buf_u32(out, PART_VERSION);
        buf_u32(out, TEXT_FOLDING);
        buf_u32(out, h->first);
        buf_u32(out, h->last);
        buf_u32(out, h->letters);
        buf_u32(out, h->directory_n);
        buf_u64(out, h->directory_at);
        buf_u64(out, h->directory_sum);
        buf_u64(out, bytes_sum(str_from_at(buf_str(out), before)));
}

bool part_header_get(struct part_header *h, struct str s)
{
        struct unpack u = unpack_of(s);
        bool ours =
            unpack_u64(&u) == MAGIC && unpack_u32(&u) == PART_VERSION && unpack_u32(&u) == TEXT_FOLDING;

        *h = (struct part_header){ .first = unpack_u32(&u) };
        h->last = unpack_u32(&u);
        h->letters = unpack_u32(&u);
        h->directory_n = unpack_u32(&u);
        h->directory_at = unpack_u64(&u);
        h->directory_sum = unpack_u64(&u);
        return ours && unpack_u64(&u) == bytes_sum(str_sub(s, 0, HEADER_SIZE - 8)) && unpack_done(&u);
}

int writer_begin(struct part_writer *w, int dir, uint32_t n)
{
        *w = (struct part_writer){ .fd = -1, .dir = dir, .n = n, .at = HEADER_SIZE };
        buf_init(&w->lists, SIZE_MAX / 4);
        buf_init(&w->words, SIZE_MAX / 4);
        buf_init(&w->table, SIZE_MAX / 4);
        buf_init(&w->directory, UINT32_MAX);
        (void)disk_unlink(dir, PART_NEW); /* of one that did not come to its end */
        w->fd = disk_create(dir, PART_NEW, 0);
        w->rc = w->fd < 0 ? w->fd : 0;
        return w->rc;
}

static void put(struct part_writer *w, struct str s, uint64_t at)
{
        struct iovec v = { (void *)s.p, s.n }; /* iovec lacks a const */

        if (!w->rc && s.n)
                w->rc = disk_pwritev(w->fd, &v, 1, (off_t)at);
}

static void flush_lists(struct part_writer *w)
{
        put(w, buf_str(&w->lists), w->at);
        w->at += w->lists.n;
        buf_clear(&w->lists);
        w->block = 0;
}

/* Between two groups. */
static void flush_words(struct part_writer *w)
{
        flush_lists(w);
        for (; w->written < w->group_n; w->written++)
                w->groups[w->written].words_at += w->at;
        put(w, buf_str(&w->words), w->at);
        w->at += w->words.n;
        buf_clear(&w->words);
}

static struct part_group *group(struct part_writer *w)
{
        return &w->groups[w->group_n - 1];
}

static void end_block(struct part_writer *w)
{
        buf_u32(&w->table, (uint32_t)bytes_sum(str_from_at(buf_str(&w->lists), w->block)));
        if (w->lists.n > LISTS_AT_ONCE)
                flush_lists(w);
        w->block = w->lists.n;
}

static void end_group(struct part_writer *w)
{
        struct part_group *g;

        if (!w->open)
                return;
        w->open = false;
        g = group(w);
        end_block(w);
        g->lists_n = (uint32_t)(w->at + w->lists.n - g->lists_at);
        g->words_n = (uint32_t)(w->words.n - w->words_from);
        buf_puts(&w->words, buf_str(&w->table));
        g->sum = bytes_sum(str_from_at(buf_str(&w->words), w->words_from));
        buf_clear(&w->table);
        if (w->words.n > WORDS_AT_ONCE)
                flush_words(w);
}

static void *more(void *list, size_t n, size_t *room, size_t size)
{
        if (n < *room)
                return list;
        *room = *room ? *room * 2 : 64;
        return mem_grow(list, *room, size);
}

static void begin_group(struct part_writer *w)
{
        w->groups = more(w->groups, w->group_n, &w->group_room, sizeof *w->groups);
        w->groups[w->group_n++] =
            (struct part_group){ .words_at = w->words.n, .lists_at = w->at + w->lists.n };
        w->words_from = w->words.n;
        w->block = w->lists.n;
        buf_puts(&w->words, S("\n"));
        w->open = true;
}

void writer_class(struct part_writer *w, struct str name, const uint32_t *has, size_t n)
{
        end_group(w);
        w->classes = more(w->classes, w->class_n, &w->class_room, sizeof *w->classes);
        buf_packed(&w->directory, name);
        list_put(&w->directory, has, n, w->n);
        w->classes[w->class_n++] = (struct part_writer_class){ w->directory.n, w->group_n };
}

/* A group's lists stay below 4 GB, as its numbers must. */
void writer_word(struct part_writer *w, struct str word, const uint32_t *at, size_t n)
{
        if (w->open && (w->words.n - w->words_from > PART_GROUP - 1 ||
                        w->at + w->lists.n - group(w)->lists_at > (uint64_t)1 << 30))
                end_group(w);
        if (!w->open)
                begin_group(w);
        if (group(w)->count % PART_BLOCK == 0) {
                if (group(w)->count)
                        end_block(w);
                buf_u32(&w->table, (uint32_t)(w->at + w->lists.n - group(w)->lists_at));
        }
        group(w)->count++;
        buf_puts(&w->words, word);
        buf_puts(&w->words, S("\n"));
        list_put(&w->lists, at, n, w->n);
}

static void put_letters(struct buf *out, uint32_t first, const uint32_t *letters, uint32_t n)
{
        uint32_t runs = 0, next = first;

        for (uint32_t i = 0; i < n; i++)
                runs += !i || letters[i] != letters[i - 1] + 1;
        put_varint(out, runs);
        for (uint32_t i = 0, end; i < n; i = end) {
                for (end = i + 1; end < n && letters[end] == letters[end - 1] + 1;)
                        end++;
                put_varint(out, letters[i] - next);
                put_varint(out, end - i);
                next = letters[end - 1] + 1;
        }
}

static void put_directory(struct part_writer *w, struct buf *out, uint32_t first, const uint32_t *letters,
                          const struct part_sample *samples, unsigned sample_n)
{
        struct str classes = buf_str(&w->directory);
        size_t at = 0;

        put_letters(out, first, letters, w->n);
        buf_u8(out, (uint8_t)sample_n);
        for (unsigned i = 0; i < sample_n; i++) {
                buf_u32(out, samples[i].letter);
                buf_u64(out, samples[i].received);
                buf_u32(out, samples[i].size);
        }
        buf_u32(out, (uint32_t)w->class_n);
        for (size_t i = 0; i < w->class_n; i++) {
                size_t to = i + 1 < w->class_n ? w->classes[i + 1].groups : w->group_n;

                buf_puts(out, str_sub(classes, at, w->classes[i].has_end - at));
                at = w->classes[i].has_end;
                buf_u32(out, (uint32_t)(to - w->classes[i].groups));
                for (size_t k = w->classes[i].groups; k < to; k++) {
                        const struct part_group *g = &w->groups[k];

                        buf_u64(out, g->words_at);
                        buf_u64(out, g->lists_at);
                        buf_u64(out, g->sum);
                        buf_u32(out, g->words_n);
                        buf_u32(out, g->count);
                        buf_u32(out, g->lists_n);
                }
        }
}

int writer_end(struct part_writer *w, uint32_t first, uint32_t last, const uint32_t *letters,
               const struct part_sample *samples, unsigned sample_n)
{
        struct buf directory auto_buf, head auto_buf;
        char name[24];

        end_group(w);
        flush_words(w);
        buf_init(&directory, UINT32_MAX);
        buf_init(&head, HEADER_SIZE);
        put_directory(w, &directory, first, letters, samples, sample_n);
        if (directory.full || w->directory.full)
                w->rc = -EFBIG;
        put(w, buf_str(&directory), w->at);
        part_header_put(&head, &(struct part_header){ first, last, w->n, (uint32_t)directory.n, w->at,
                                                      bytes_sum(buf_str(&directory)) });
        put(w, buf_str(&head), 0);
        part_name_make(first, last, name);
        if (!w->rc)
                w->rc = disk_rename(w->dir, PART_NEW, w->dir, name);
        return w->rc;
}

void writer_free(struct part_writer *w)
{
        if (w->fd >= 0)
                close(w->fd);
        if (w->rc)
                (void)disk_unlink(w->dir, PART_NEW);
        buf_free(&w->lists);
        buf_free(&w->words);
        buf_free(&w->table);
        buf_free(&w->directory);
        mem_free(w->groups);
        mem_free(w->classes);
        *w = (struct part_writer){ .fd = -1 };
}
