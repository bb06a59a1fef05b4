/* A part of the search index that is damaged in ways its sums do not show: nothing it says makes a reader crash, hang or
 * read elsewhere. A whole part is made once; the input changes bytes of it, and then the sums are made right again. */
#include "base/mem.h"
#include "store/search_header.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME "00000001-00000100"
static int dir = -1;
static struct part whole;   /* as it was made */
static struct buf original; /* its bytes */

static void must(bool ok)
{
        if (!ok)
                abort();
}

static void read_file(struct buf *out)
{
        int fd = openat(dir, NAME, O_RDONLY | O_CLOEXEC);
        ssize_t n = pread(fd, buf_room(out, 1 << 20), 1 << 20, 0);

        must(n > 0);
        buf_added(out, (size_t)n);
        close(fd);
}

static void make(void)
{
        char folder[] = "/dev/shm/fuzz_search.XXXXXX";
        struct builder *b = builder_new();
        struct buf text auto_buf;
        struct mime m;

        must(mkdtemp(folder) != NULL);
        dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        buf_init(&text, 1 << 20);
        mime_init(&m);
        for (uint32_t i = 1; i <= 200; i++) {
                struct reading_item item = { .letter = i + i / 9, .size = i, .received = i };

                buf_clear(&text);
                buf_printf(
                    &text,
                    "From: a%u@b.c\r\nSubject: s%u \xe6\xbc\xa2\xe5\xad\x97\r\n\r\npail of water %u %u\r\n",
                    i, i % 7, i * 7, i % 3);
                mime_parse(&m, buf_str(&text));
                builder_letter(b, &item, &m, buf_str(&text));
        }
        mime_finish(&m);
        must(builder_write(b, dir, 1, 256) == 0);
        builder_free(&b);
        must(part_open(&whole, dir, NAME) == 0);
        buf_init(&original, 1 << 20);
        read_file(&original);
}

static void put_number(struct buf *to, size_t at, uint64_t v, size_t n)
{
        for (size_t i = 0; i < n && at + i < to->n; i++)
                to->p[at + i] = (char)(v >> (8 * i));
}

/* The sums that the whole part's directory names, over what stands there now. */
static void mend(struct buf *file)
{
        struct unpack u = unpack_of(buf_str(file));
        struct buf head auto_buf, sum auto_buf;
        struct part_header h;
        uint64_t directory_at;
        size_t place;

        u.at = 40;
        directory_at = whole.bytes - whole.directory.n;
        buf_init(&sum, 64);
        for (size_t c = 0; c < whole.class_n; c++)
                for (size_t i = 0; i < whole.classes[c].group_n; i++) {
                        const struct part_group *g = &whole.classes[c].groups[i];
                        size_t blocks = (g->count + PART_BLOCK - 1) / PART_BLOCK;

                        for (size_t k = 0; k < blocks; k++) {
                                size_t at = (size_t)g->words_at + g->words_n + k * 8;
                                struct unpack t = unpack_of(str_from_at(buf_str(file), at));
                                uint32_t from = unpack_u32(&t), to;

                                (void)unpack_u32(&t);
                                to = k + 1 < blocks ? unpack_u32(&t) : g->lists_n;
                                if (from <= to)
                                        put_number(file, at + 4,
                                                   bytes_sum(str_sub(buf_str(file),
                                                                     (size_t)g->lists_at + from, to - from)),
                                                   4);
                        }
                        buf_clear(&sum);
                        buf_u64(&sum, g->sum);
                        place =
                            str_search(str_from_at(buf_str(&original), (size_t)directory_at), buf_str(&sum));
                        must(place != STR_NONE);
                        put_number(
                            file, (size_t)directory_at + place,
                            bytes_sum(str_sub(buf_str(file), (size_t)g->words_at, g->words_n + blocks * 8)),
                            8);
                }
        u = unpack_of(str_from_at(buf_str(file), 16));
        h.first = unpack_u32(&u);
        h.last = unpack_u32(&u);
        h.letters = unpack_u32(&u);
        h.directory_n = unpack_u32(&u);
        h.directory_at = unpack_u64(&u);
        h.directory_sum = bytes_sum(str_sub(buf_str(file), (size_t)h.directory_at, h.directory_n));
        buf_init(&head, HEADER_SIZE);
        part_header_put(&head, &h);
        for (size_t i = 0; i < HEADER_SIZE; i++)
                file->p[i] = head.p[i];
}

static void ask(void)
{
        static const struct search_needle needles[] = {
                { .field = SEARCH_BODY, .text = S("a") },
                { .field = SEARCH_TEXT, .text = S("water") },
                { .field = SEARCH_TEXT, .text = S("pail of water") },
                { .field = SEARCH_SUBJECT, .text = S("\u6f22\u5b57") },
                { .field = SEARCH_HEADER, .name = S("from"), .text = S("") },
                { .field = SEARCH_TEXT, .text = S("watre pail"), .fuzzy = true },
        };

        for (size_t i = 0; i < sizeof needles / sizeof needles[0]; i++) {
                struct answer answer = { 0 };
                struct need need;
                struct part p;
                int rc;

                if (part_open(&p, dir, NAME))
                        return;
                need_make(&need, &needles[i]);
                rc = part_query(&p, &need, &answer);
                must(rc == 0 || rc == -EBADMSG);
                answer_free(&answer);
                need_free(&need);
                part_close(&p);
        }
}

static void merge(void)
{
        struct part parts[1];
        struct merge *m;
        int rc = 1;

        if (part_open(&parts[0], dir, NAME))
                return;
        m = merge_new(dir, parts, 1, NULL);
        while (rc == 1)
                rc = merge_some(m);
        must(rc == 0 || rc == -EBADMSG);
        merge_free(&m);
        if (!rc) {
                must(part_open(&parts[0], dir, NAME) == 0);
                part_close(&parts[0]);
        }
}

/* Four bytes a change: where (16 bits, from the start or from the end), what is put there, and whether it is added. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf file auto_buf;
        int fd;

        if (dir < 0)
                make();
        buf_init(&file, 1 << 20);
        buf_puts(&file, buf_str(&original));
        for (size_t i = 0; i + 4 <= size; i += 4) {
                size_t at = (data[i] | (size_t)data[i + 1] << 8) % file.n;

                if (data[i + 3] & 2)
                        at = file.n - 1 - at;
                file.p[at] = (char)(data[i + 3] & 1 ? file.p[at] + (char)data[i + 2] : (char)data[i + 2]);
        }
        mend(&file);
        fd = openat(dir, NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        must(pwrite(fd, file.p, file.n, 0) == (ssize_t)file.n);
        close(fd);
        ask();
        merge();
        return 0;
}
