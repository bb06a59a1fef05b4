/* The structure of messages, and its packed form read from hostile bytes. What is promised holds for every letter:
 * parts lie within their parents, one after another, and packing forgets nothing. */
#include "base/codec.h"
#include "base/mem.h"
#include "mail/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static void whole(const struct mime *m)
{
        for (uint32_t i = 0; i < m->count; i++) {
                const struct mime_part *p = &m->parts[i], *parent = i ? &m->parts[p->parent] : NULL;

                must(p->header <= p->body && p->body <= p->end && p->end <= m->size, "mime: offsets");
                must(i ? p->parent < i : p->parent == MIME_NONE, "mime: parent");
                must(p->depth == (parent ? parent->depth + 1 : 0) && p->depth < MIME_DEPTH_MAX,
                     "mime: depth");
                must(!parent || parent->kind != MIME_LEAF, "mime: a leaf with children");
                must((p->envelope != MIME_NONE) == (!parent || parent->kind == MIME_MESSAGE),
                     "mime: envelope");
                must(p->params.first + p->params.count <= m->param_count, "mime: parameters");
                must(p->kind == MIME_LEAF || (i + 1 < m->count && m->parts[i + 1].parent == i),
                     "mime: no children");
        }
}

static void lies_in_parent(const struct mime *m, struct str s)
{
        uint64_t end[MIME_DEPTH_MAX] = { 0 };

        for (uint32_t i = 0; i < m->count; i++) {
                const struct mime_part *p = &m->parts[i], *parent = i ? &m->parts[p->parent] : NULL;
                uint32_t lines = 0;

                must(!parent || (p->header >= parent->body && p->end <= parent->end),
                     "mime: outside its parent");
                must(!parent || p->header >= end[p->depth] || p->parent == i - 1, "mime: siblings overlap");
                end[p->depth] = p->end;
                for (uint64_t k = p->body; k < p->end && m->count < 50; k++)
                        lines += s.p[k] == '\n';
                must(m->count >= 50 || lines == p->lines, "mime: lines");
        }
}

static void texts(const struct mime *m)
{
        auto_arena struct arena a;

        arena_init(&a, 64 * 1024 * 1024);
        for (uint32_t i = 0; i < m->count && i < 50; i++) {
                struct str name = mime_filename(m, &m->parts[i], &a);

                must(utf8_valid(name) && !str_has_control(name), "mime: file name");
        }
}

static void unpacks(struct str packed, struct buf *again)
{
        static struct mime m;
        auto_buf struct buf twice;

        if (!m.arena.max)
                mime_init(&m);
        buf_init(&twice, again->max);
        buf_clear(again);
        if (!mime_unpack(&m, packed))
                return;
        whole(&m);
        texts(&m);
        must(mime_pack(&m, again), "pack: full");
        must(mime_unpack(&m, buf_str(again)) && mime_pack(&m, &twice), "pack: does not unpack");
        must(str_eq(buf_str(&twice), buf_str(again)), "pack: changes");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct mime m;
        struct str s = str_from(data, size);
        auto_buf struct buf packed, again;

        if (!m.arena.max)
                mime_init(&m);
        buf_init(&packed, MIME_PACKED_MAX);
        buf_init(&again, MIME_PACKED_MAX * 2);
        unpacks(s, &again);
        mime_parse(&m, s);
        must(m.count > 0 && m.parts[0].end == size, "mime: no message");
        whole(&m);
        lies_in_parent(&m, s);
        texts(&m);
        must(mime_pack(&m, &packed), "pack: MIME_PACKED_MAX is too little");
        unpacks(buf_str(&packed), &again);
        must(str_eq(buf_str(&packed), buf_str(&again)), "pack: another structure");
        return 0;
}
