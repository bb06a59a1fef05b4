#include "store/search_part.h"

void put_varint(struct buf *out, uint64_t v)
{
        unsigned char bytes[10];
        size_t n = 0;

        for (; v >= 128; v >>= 7)
                bytes[n++] = (unsigned char)(v | 128);
        bytes[n++] = (unsigned char)v;
        buf_put(out, bytes, n);
}

uint64_t take_varint(struct str *s)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < s->n && i < 9; i++) {
                unsigned char c = (unsigned char)s->p[i];

                v |= (uint64_t)(c & 127) << (7 * i);
                if (c < 128) {
                        *s = str_from_at(*s, i + 1);
                        return v;
                }
        }
        *s = S("");
        return UINT64_MAX;
}

static size_t varint_size(uint32_t v)
{
        return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : v < 1u << 21 ? 3 : v < 1u << 28 ? 4 : 5;
}

static void put_dense(struct buf *out, const uint32_t *at, size_t n, size_t size)
{
        unsigned char *to = (unsigned char *)buf_room(out, size);

        if (!to)
                return;
        for (size_t i = 0; i < size; i++)
                to[i] = 0;
        for (size_t i = 0; i < n; i++)
                to[at[i] / 8] = (unsigned char)(to[at[i] / 8] | 1u << at[i] % 8);
        buf_added(out, size);
}

void list_put(struct buf *out, const uint32_t *at, size_t n, uint32_t letters)
{
        size_t size = 0, dense = ((size_t)letters + 7) / 8;
        unsigned char *to;

        for (size_t i = 0; i < n && size <= dense; i++)
                size += varint_size(i ? at[i] - at[i - 1] - 1 : at[i]);
        if (size > dense) {
                put_varint(out, dense * 2 + 1);
                put_dense(out, at, n, dense);
                return;
        }
        put_varint(out, size * 2);
        to = (unsigned char *)buf_room(out, size);
        for (size_t i = 0; to && i < n; i++) {
                uint32_t v = i ? at[i] - at[i - 1] - 1 : at[i];

                for (; v >= 128; v >>= 7)
                        *to++ = (unsigned char)(v | 128);
                *to++ = (unsigned char)v;
        }
        if (to)
                buf_added(out, size);
}

bool list_take(struct str *s, struct list *out)
{
        uint64_t v = take_varint(s);

        if (v == UINT64_MAX || v / 2 > s->n)
                return false;
        *out = (struct list){ str_sub(*s, 0, (size_t)(v / 2)), v & 1 };
        *s = str_from_at(*s, (size_t)(v / 2));
        return true;
}

static bool or_dense(struct list l, uint32_t letters, uint64_t *bits, size_t *count)
{
        if (l.bytes.n != ((size_t)letters + 7) / 8 ||
            (letters % 8 && (unsigned char)l.bytes.p[l.bytes.n - 1] >> letters % 8))
                return false;
        for (size_t i = 0; i < l.bytes.n; i += 8) {
                uint64_t v = 0, fresh;

                for (size_t k = 0; k < 8 && i + k < l.bytes.n; k++)
                        v |= (uint64_t)(unsigned char)l.bytes.p[i + k] << (8 * k);
                fresh = v & ~bits[i / 8];
                bits[i / 8] |= v;
                *count += (size_t)__builtin_popcountll(fresh);
        }
        return true;
}

bool list_or(struct list l, uint32_t letters, uint64_t *bits, size_t *count)
{
        const unsigned char *p = (const unsigned char *)l.bytes.p, *end = p + l.bytes.n;
        uint64_t next = 0;

        if (l.dense)
                return or_dense(l, letters, bits, count);
        while (p < end) {
                uint64_t v = *p & 127, bit;

                for (unsigned shift = 7; *p++ >= 128; shift += 7) {
                        if (p == end || shift > 28)
                                return false;
                        v |= (uint64_t)(*p & 127) << shift;
                }
                next += v;
                if (next >= letters)
                        return false;
                bit = (uint64_t)1 << next % 64;
                *count += !(bits[next / 64] & bit);
                bits[next / 64] |= bit;
                next++;
        }
        return true;
}

bool list_each(struct list l, uint32_t letters, void (*each)(void *context, uint32_t at), void *context)
{
        struct str s = l.bytes;
        uint64_t next = 0, v;

        if (l.dense) {
                if (s.n != ((size_t)letters + 7) / 8)
                        return false;
                for (uint32_t i = 0; i < letters; i++)
                        if ((unsigned char)s.p[i / 8] >> i % 8 & 1)
                                each(context, i);
                return true;
        }
        while (s.n) {
                v = take_varint(&s);
                if (v >= letters || next + v >= letters)
                        return false;
                next += v;
                each(context, (uint32_t)next++);
        }
        return true;
}
