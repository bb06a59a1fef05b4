#include "store/intake_record.h"
#include "base/codec.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MAGIC  0x5245494cu /* "LIER", as it lies */
#define SEGMENT_MAGIC 0x4c494150u /* "PAIL" */
#define VERSION       1
#define CHUNK         ((size_t)1024 * 1024)

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
static_assert(sizeof(struct record_head) == 40);

struct segment_head {
        uint32_t magic, version;
        uint64_t id, salt;
        uint32_t sum, zero;
};

static uint32_t head_sum(const struct segment_head *h)
{
        return crc32_of(0, str_from(h, offsetof(struct segment_head, sum)));
}

void segment_name(uint64_t id, char name[static SEGMENT_NAME])
{
        snprintf(name, SEGMENT_NAME, "%016llx.log", (unsigned long long)id);
}

bool segment_name_read(struct str name, uint64_t *id, struct str *rest)
{
        struct buf b;
        bool good;

        buf_init(&b, 8);
        good = name.n > 16 && hex_get(&b, str_sub(name, 0, 16)) && b.n == 8;
        *id = 0;
        for (size_t i = 0; good && i < 8; i++)
                *id = *id << 8 | (unsigned char)b.p[i];
        buf_free(&b);
        *rest = str_from_at(name, 16);
        return good;
}

void segment_head_write(struct buf *out, uint64_t id, uint64_t salt, uint32_t *start)
{
        struct segment_head h = { .magic = SEGMENT_MAGIC, .version = VERSION, .id = id, .salt = salt };

        h.sum = head_sum(&h);
        *start = crc32_of(0, str_from(&salt, sizeof salt));
        for (int i = 0; i < 2; i++) {
                buf_put(out, &h, sizeof h);
                for (size_t n = sizeof h; n < SEGMENT_AGAIN; n += 8)
                        buf_u64(out, 0);
        }
}

void record_seal(struct record_head *head, uint32_t start, enum record_kind kind, struct str envelope,
                 struct str rest)
{
        head->magic = RECORD_MAGIC;
        head->kind = (uint16_t)kind;
        head->length = (uint32_t)(envelope.n + rest.n);
        head->split = (uint32_t)envelope.n;
        head->sum = crc32_of(crc32_of(start, envelope), rest);
        head->head_sum =
            crc32_of(start, str_from(&head->sum, sizeof *head - offsetof(struct record_head, sum)));
}

/* What the payload says, once its sum is right; still nothing in it is trusted. */
static bool understand(const struct record_head *h, struct str payload, struct record *out)
{
        struct unpack u = unpack_of(payload);

        if (h->split > payload.n)
                return false;
        out->envelope = str_sub(payload, 0, h->split);
        out->text = str_from_at(payload, h->split);
        switch (h->kind) {
        case RECORD_LETTER:
        case RECORD_SETTLED: return true;
        case RECORD_STAGED:
                u.at = h->split;
                out->size = unpack_u64(&u);
                out->body = str_from_at(payload, (size_t)h->split + 8);
                return !u.bad && out->body.n && out->body.n < BODY_NAME &&
                       str_find(out->body, '/') == STR_NONE && str_find(out->body, 0) == STR_NONE;
        case RECORD_VOID:
                out->voided.segment = unpack_u64(&u);
                out->voided.first = unpack_u64(&u);
                out->voided.last = unpack_u64(&u);
                return unpack_done(&u);
        default: return false;
        }
}

int64_t record_parse(struct str bytes, uint64_t id, uint32_t start, struct record *out, size_t *need)
{
        struct record_head h;
        struct str payload;

        *need = sizeof h;
        if (bytes.n < sizeof h)
                return 0;
        mem_copy(&h, sizeof h, str_sub(bytes, 0, sizeof h));
        if (h.magic != RECORD_MAGIC || h.segment != id || !h.sequence || h.length > RECORD_MAX ||
            h.head_sum != crc32_of(start, str_sub(bytes, offsetof(struct record_head, sum),
                                                  sizeof h - offsetof(struct record_head, sum))))
                return -EBADMSG;
        *need = sizeof h + h.length;
        if (bytes.n < *need)
                return 0;
        payload = str_sub(bytes, sizeof h, h.length);
        *out = (struct record){
                .kind = h.kind, .sequence = h.sequence, .length = (uint32_t)*need, .within = h.within
        };
        if (h.sum != crc32_of(start, payload) || !understand(&h, payload, out))
                return -EILSEQ;
        return (int64_t)*need;
}

/* Makes the file's bytes from r->at be there, `want` of them if the file has so many. Gives what is there. */
static int look(struct segment_reader *r, size_t want, struct str *out)
{
        bool inside = r->at >= r->bytes_at && r->at < r->bytes_at + r->bytes.n;
        size_t have = inside ? (size_t)(r->bytes_at + r->bytes.n - r->at) : 0;
        ssize_t got;
        char *to;

        if (r->at >= r->size)
                want = 0;
        else if (want > r->size - r->at)
                want = (size_t)(r->size - r->at);
        if (have < want || !inside) {
                buf_drop(&r->bytes, r->bytes.n - have);
                r->bytes_at = r->at;
                while (r->bytes.n < want) {
                        to = buf_room(&r->bytes, want - r->bytes.n > CHUNK ? want - r->bytes.n : CHUNK);
                        if (!to)
                                return -EMSGSIZE;
                        got = pread(r->fd, to, r->bytes.cap - r->bytes.n, (off_t)(r->at + r->bytes.n));
                        if (got < 0 && errno != EINTR)
                                return -errno;
                        if (got == 0) { /* shorter than it was: somebody cut it */
                                r->size = r->at + r->bytes.n;
                                break;
                        }
                        if (got > 0)
                                buf_added(&r->bytes, (size_t)got);
                }
        }
        *out = str_from_at(buf_str(&r->bytes), (size_t)(r->at - r->bytes_at));
        if (out->n > r->size - r->at)
                out->n = (size_t)(r->size - r->at);
        return 0;
}

static int parse_here(struct segment_reader *r, struct record *out, int64_t *parsed, size_t *need)
{
        struct str bytes;
        int rc = look(r, sizeof(struct record_head), &bytes);

        if (rc < 0)
                return rc;
        *parsed = record_parse(bytes, r->id, r->start, out, need);
        if (*parsed == 0 && bytes.n >= sizeof(struct record_head)) {
                rc = look(r, *need, &bytes);
                if (rc < 0)
                        return rc;
                *parsed = record_parse(bytes, r->id, r->start, out, need);
        }
        return 0;
}

static size_t leading_zeros(struct str s)
{
        size_t n = 0;

        while (n < s.n && !s.p[n])
                n++;
        return n;
}

/* No record begins at r->at: on to the next place where one may. */
static int step(struct segment_reader *r)
{
        static const uint32_t magic = RECORD_MAGIC;
        struct str bytes;
        size_t at, zeros;
        int rc;

        rc = look(r, sizeof(struct record_head), &bytes);
        if (rc < 0)
                return rc;
        zeros = leading_zeros(bytes);
        if (zeros < bytes.n)
                r->torn = true;
        if (bytes.n <= sizeof magic) {
                r->at = r->size;
                return 0;
        }
        at = str_search(str_from_at(bytes, 1), str_from(&magic, sizeof magic));
        r->at += at == STR_NONE ? bytes.n - sizeof magic + 1 : at + 1;
        return 0;
}

int segment_next(struct segment_reader *r, struct record *out)
{
        bool gap = false, torn_before = r->torn;
        int64_t parsed;
        size_t need;
        int rc;

        while (r->at < r->size) {
                rc = parse_here(r, out, &parsed, &need);
                if (rc < 0)
                        return rc;
                if (parsed > 0 && out->sequence > r->sequence &&
                    out->sequence - 1 <= (r->at - SEGMENT_START) / sizeof(struct record_head)) {
                        if (gap)
                                r->gaps++;
                        if (gap && out->sequence - out->within > r->sequence + 1)
                                r->damage++;
                        r->torn = torn_before;
                        out->offset = r->at;
                        r->sequence = out->sequence;
                        r->at += (uint64_t)parsed;
                        r->end = r->at;
                        return 1;
                }
                gap = true;
                if (parsed == -EILSEQ && need <= r->size - r->at) {
                        r->torn = true;
                        r->at += need;
                } else {
                        rc = step(r);
                        if (rc < 0)
                                return rc;
                }
        }
        return 0;
}

int segment_reader_open(struct segment_reader *r, int fd, uint64_t id)
{
        struct segment_head h;
        struct stat st;

        *r = (struct segment_reader){ .fd = fd, .id = id, .at = SEGMENT_START, .end = SEGMENT_START };
        buf_init(&r->bytes, RECORD_MAX + 2 * CHUNK);
        if (fstat(fd, &st) < 0)
                return -errno;
        r->size = (uint64_t)st.st_size;
        for (off_t at = 0; at <= SEGMENT_AGAIN; at += SEGMENT_AGAIN) {
                ssize_t n = pread(fd, &h, sizeof h, at);

                if (n < 0)
                        return -errno;
                if (n == sizeof h && h.magic == SEGMENT_MAGIC && h.version == VERSION && h.id == id &&
                    h.sum == head_sum(&h)) {
                        r->start = crc32_of(0, str_from(&h.salt, sizeof h.salt));
                        return 0;
                }
        }
        return -EBADMSG;
}

void segment_reader_close(struct segment_reader *r)
{
        buf_free(&r->bytes);
}

int record_read(int fd, uint64_t id, uint32_t start, uint64_t offset, uint32_t length, struct buf *bytes,
                struct record *out)
{
        size_t need;
        ssize_t n;
        char *to;

        buf_clear(bytes);
        if (length > RECORD_MAX + sizeof(struct record_head) || !(to = buf_room(bytes, length)))
                return -EBADMSG;
        n = pread(fd, to, length, (off_t)offset);
        if (n < 0)
                return -errno;
        buf_added(bytes, (size_t)n);
        if (record_parse(buf_str(bytes), id, start, out, &need) != (int64_t)length)
                return -EBADMSG;
        out->offset = offset;
        return 0;
}
