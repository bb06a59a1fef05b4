#include "store/search_part.h"
#include "base/mem.h"
#include "store/disk.h"
#include "store/search_header.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void part_name_make(uint32_t first, uint32_t last, char name[static 24])
{
        snprintf(name, 24, "%08x-%08x", first, last);
}

static bool hex_number(struct str s, uint32_t *out)
{
        *out = 0;
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
                        return false;
                *out = *out << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        return s.n == 8;
}

bool part_name(const char *name, uint32_t *first, uint32_t *last)
{
        struct str s = str_of(name);

        return s.n == 17 && s.p[8] == '-' && hex_number(str_sub(s, 0, 8), first) &&
               hex_number(str_from_at(s, 9), last) && *first && *first <= *last;
}

/* All n bytes at `at`, appended. */
static int read_at(int fd, uint64_t at, size_t n, struct buf *out)
{
        char *to = buf_room(out, n);

        if (!to)
                return -EBADMSG; /* more than anything of ours */
        for (size_t got = 0; got < n;) {
                ssize_t one = pread(fd, to + got, n - got, (off_t)(at + got));

                if (one < 0 && errno == EINTR)
                        continue;
                if (one <= 0)
                        return one < 0 ? -errno : -EBADMSG;
                got += (size_t)one;
        }
        buf_added(out, n);
        return 0;
}

static bool take_letters(struct part *p, struct str *s)
{
        uint64_t runs = take_varint(s), next = p->first, gap, length;
        uint32_t n = 0;

        if (p->n > p->last - p->first + 1 || runs > p->n)
                return false;
        p->letters = mem_array((size_t)p->n + 1, sizeof *p->letters);
        for (; runs; runs--) {
                gap = take_varint(s);
                length = take_varint(s);
                if (gap > UINT32_MAX || length > p->n - n || next + gap + length > (uint64_t)p->last + 1)
                        return false;
                next += gap;
                while (length--)
                        p->letters[n++] = (uint32_t)next++;
        }
        return n == p->n;
}

static bool take_samples(struct part *p, struct unpack *u)
{
        p->sample_n = unpack_u8(u);
        if (p->sample_n > PART_SAMPLES)
                return false;
        for (unsigned i = 0; i < p->sample_n; i++) {
                p->samples[i].letter = unpack_u32(u);
                p->samples[i].received = unpack_u64(u);
                p->samples[i].size = unpack_u32(u);
        }
        return !u->bad;
}

static bool take_group(struct part *p, struct unpack *u, struct part_group *g)
{
        uint64_t table;

        g->words_at = unpack_u64(u);
        g->lists_at = unpack_u64(u);
        g->sum = unpack_u64(u);
        g->words_n = unpack_u32(u);
        g->count = unpack_u32(u);
        g->lists_n = unpack_u32(u);
        table = ((uint64_t)g->count + PART_BLOCK - 1) / PART_BLOCK * 8;
        return !u->bad && g->count && g->count < g->words_n && g->words_n <= PART_GROUP + WORD_MAX + 2 &&
               g->words_at <= p->bytes && g->words_n + table <= p->bytes - g->words_at &&
               g->lists_at <= p->bytes && g->lists_n <= p->bytes - g->lists_at;
}

static bool take_class(struct part *p, struct unpack *u, struct part_class *c)
{
        struct str rest;
        uint32_t n;

        c->name = unpack_str(u);
        rest = str_from_at(u->s, u->at);
        if (u->bad || !list_take(&rest, &c->has))
                return false;
        u->at = u->s.n - rest.n;
        n = unpack_u32(u);
        if (u->bad || n > (u->s.n - u->at) / 36)
                return false;
        c->group_n = n;
        c->groups = mem_array((size_t)n + 1, sizeof *c->groups);
        for (uint32_t i = 0; i < n; i++)
                if (!take_group(p, u, &c->groups[i]))
                        return false;
        return true;
}

static bool take_directory(struct part *p)
{
        struct str s = buf_str(&p->directory);
        struct unpack u;
        uint32_t n;

        if (!take_letters(p, &s))
                return false;
        u = unpack_of(s);
        if (!take_samples(p, &u))
                return false;
        n = unpack_u32(&u);
        if (u.bad || n > (u.s.n - u.at) / 9)
                return false;
        p->classes = mem_array((size_t)n + 1, sizeof *p->classes);
        while (p->class_n < n) {
                struct part_class *c = &p->classes[p->class_n++]; /* what it has is freed with the rest */

                if (!take_class(p, &u, c) || (p->class_n > 1 && str_cmp(c[-1].name, c->name) >= 0))
                        return false;
        }
        return unpack_done(&u);
}

static int read_all(struct part *p)
{
        struct buf b auto_buf;
        struct part_header h;
        struct stat st;
        int rc;

        buf_init(&b, HEADER_SIZE);
        if (fstat(p->fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        p->bytes = (uint64_t)st.st_size;
        rc = read_at(p->fd, 0, HEADER_SIZE, &b);
        if (rc)
                return rc;
        if (!part_header_get(&h, buf_str(&b)) || h.first != p->first || h.last != p->last ||
            h.directory_at > p->bytes || h.directory_n > p->bytes - h.directory_at)
                return -EBADMSG;
        p->n = h.letters;
        buf_init(&p->directory, h.directory_n);
        rc = read_at(p->fd, h.directory_at, h.directory_n, &p->directory);
        if (rc)
                return rc;
        return bytes_sum(buf_str(&p->directory)) == h.directory_sum && take_directory(p) ? 0 : -EBADMSG;
}

int part_open(struct part *p, int dir, const char *name)
{
        int rc;

        *p = (struct part){ .fd = -1 };
        buf_init(&p->directory, 0);
        if (!part_name(name, &p->first, &p->last))
                return -EBADMSG;
        mem_copy(p->name, sizeof p->name, (struct str){ name, 18 });
        p->fd = disk_open(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        if (p->fd < 0)
                return p->fd;
        rc = read_all(p);
        if (rc)
                part_close(p);
        return rc;
}

void part_close(struct part *p)
{
        if (p->fd >= 0)
                close(p->fd);
        p->fd = -1;
        for (size_t i = 0; i < p->class_n; i++)
                mem_free(p->classes[i].groups);
        mem_free(p->classes);
        mem_free(p->letters);
        buf_free(&p->directory);
        p->classes = NULL;
        p->letters = NULL;
        p->class_n = 0;
        p->n = 0;
}

const struct part_class *part_class(const struct part *p, struct str name)
{
        size_t low = 0, high = p->class_n;

        while (low < high) {
                size_t middle = (low + high) / 2;
                int order = str_cmp(p->classes[middle].name, name);

                if (!order)
                        return &p->classes[middle];
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static size_t blocks(const struct part_group *g)
{
        return ((size_t)g->count + PART_BLOCK - 1) / PART_BLOCK;
}

int part_words(const struct part *p, const struct part_group *g, struct buf *out, struct str *words)
{
        size_t before = out->n, n = g->words_n + blocks(g) * 8;
        int rc = read_at(p->fd, g->words_at, n, out);

        if (rc)
                return rc;
        *words = str_sub(buf_str(out), before, g->words_n);
        if (bytes_sum(str_sub(buf_str(out), before, n)) != g->sum)
                return -EBADMSG;
        return words->p[0] == '\n' && words->p[words->n - 1] == '\n' ? 0 : -EBADMSG;
}

int part_lists(const struct part *p, const struct part_group *g, struct str table, size_t from, size_t to,
               struct buf *out)
{
        size_t before = out->n, start, end, next;
        struct unpack u = unpack_of(str_sub(table, from * 8, (to - from + 1) * 8));
        uint32_t sum;
        int rc;

        start = unpack_u32(&u);
        u = unpack_of(str_from_at(table, to * 8));
        end = to < blocks(g) ? unpack_u32(&u) : g->lists_n;
        if (u.bad || start > end || end > g->lists_n)
                return -EBADMSG;
        rc = read_at(p->fd, g->lists_at + start, end - start, out);
        u = unpack_of(str_from_at(table, from * 8));
        (void)unpack_u32(&u);
        for (size_t at = start; !rc && from < to; from++, at = next) {
                sum = unpack_u32(&u);
                next = from + 1 < to ? unpack_u32(&u) : end;
                if (u.bad || next < at || next > end ||
                    (uint32_t)bytes_sum(str_sub(buf_str(out), before + at - start, next - at)) != sum)
                        rc = -EBADMSG;
        }
        return rc;
}
