#include "proto/ftp/coder_private.h"

bool coder_facts_number(struct coder *c, uint64_t v)
{
        unsigned char raw[10];
        size_t n = 0;

        for (; v >= 128; v >>= 7)
                raw[n++] = (unsigned char)(v | 128);
        raw[n++] = (unsigned char)v;
        if (buf_put(&c->facts.kept, raw, n))
                return true;
        coder_fail(c, -EFBIG, "Too many records of too many lengths to keep account of");
        return false;
}

uint64_t coder_facts_read(struct unpack *u)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 64; shift += 7) {
                unsigned char byte = unpack_u8(u);

                v |= (uint64_t)(byte & 127) << shift;
                if (byte < 128)
                        return v;
        }
        u->bad = true;
        return 0;
}

bool coder_facts_bear(struct coder *c, uint64_t many, uint64_t length)
{
        if (length)
                return true;
        c->empty = many > EMPTY_MOST ? EMPTY_MOST + 1 : c->empty + many;
        return c->empty <= EMPTY_MOST;
}

void coder_records_data(struct coder *c, struct str s, struct buf *out)
{
        struct record_state *r = &c->record;
        size_t before = out->n;

        if (!s.n)
                return;
        r->open = true;
        if (c->how.type == TYPE_EBCDIC)
                coder_translate(c->page->to_file, s, out);
        else
                buf_puts(out, s);
        if (c->text && !r->has_lf)
                r->has_lf = memchr(out->p + before, '\n', out->n - before) != NULL;
        c->offset += out->n - before;
}

static void run_to_facts(struct coder *c)
{
        struct record_state *r = &c->record;

        if (!r->many)
                return;
        c->facts.kind = FACTS_RECORDS;
        if (coder_facts_number(c, r->many))
                coder_facts_number(c, r->length);
        r->many = 0;
}

void coder_records_end(struct coder *c, struct buf *out)
{
        struct record_state *r = &c->record;
        uint64_t length = c->offset - r->begin;

        if (!c->text || c->facts.kind == FACTS_RECORDS) {
                if (r->many && r->length != length)
                        run_to_facts(c);
                r->length = length;
                r->many++;
                if (!coder_facts_bear(c, 1, length))
                        coder_fail(c, -EFBIG, "Too many empty records");
        } else {
                if (r->has_lf) {
                        c->facts.kind = FACTS_LINES;
                        if (coder_facts_number(c, r->begin - r->past))
                                coder_facts_number(c, length);
                        r->past = c->offset + 1;
                }
                buf_puts(out, S("\n"));
                c->offset++;
        }
        r->open = r->has_lf = false;
        r->begin = c->offset;
        r->done++;
}

/* The file's end behind a record that nobody ended ends it, too. */
void coder_records_over(struct coder *c, struct buf *out)
{
        if (c->record.open)
                coder_records_end(c, out);
}

/* A whole file in one record needs no facts: without them it is just that. */
void coder_records_facts(struct coder *c)
{
        struct record_state *r = &c->record;

        if (c->facts.kind == FACTS_NONE && r->many == 1 && r->length == c->offset && c->offset)
                return;
        run_to_facts(c);
}

/* Records that come behind those of a file which is there already. */
int coder_records_append(struct coder *c, uint64_t at)
{
        struct record_state *r = &c->record;

        r->begin = at;
        if (c->facts.kind == FACTS_LINES && !c->text)
                return -EINVAL;
        if (c->facts.kind == FACTS_NONE && !c->text && at) {
                r->many = 1;
                r->length = at;
        }
        if (c->facts.kind == FACTS_LINES) {
                struct unpack u = unpack_of(buf_str(&c->facts.kept));

                while (!unpack_done(&u) && !u.bad) {
                        r->past += coder_facts_read(&u);
                        r->past += coder_facts_read(&u) + 1;
                }
                if (u.bad || r->past > at)
                        return -EINVAL;
        }
        return 0;
}

void coder_facts_load(struct coder *c, struct str facts)
{
        static const unsigned char kind_of[] = {
                [STRUCTURE_RECORD] = FACTS_LINES, [STRUCTURE_PAGE] = FACTS_PAGES
        };
        struct unpack u = unpack_of(facts);
        unsigned char kind;

        buf_init(&c->facts.kept, CODER_FACTS_MOST - FACTS_HEAD);
        if (facts.n <= FACTS_HEAD || c->how.structure == STRUCTURE_FILE)
                return;
        kind = unpack_u8(&u);
        if (kind != kind_of[c->how.structure] &&
            (kind != FACTS_RECORDS || c->how.structure != STRUCTURE_RECORD))
                return;
        if (unpack_u8(&u) != c->how.byte_size && kind == FACTS_PAGES)
                return;
        c->facts.size = unpack_u64(&u);
        if (buf_puts(&c->facts.kept, str_from_at(facts, FACTS_HEAD)))
                c->facts.kind = kind;
}

void coder_facts_result(struct coder *c)
{
        if (c->how.structure == STRUCTURE_RECORD)
                coder_records_facts(c);
        if (c->how.structure == STRUCTURE_PAGE)
                coder_pages_facts(c);
        if (c->facts.kind == FACTS_NONE)
                return;
        buf_u8(&c->result, (uint8_t)c->facts.kind);
        buf_u8(&c->result, c->how.byte_size);
        buf_u64(&c->result, c->offset);
        buf_puts(&c->result, buf_str(&c->facts.kept));
}

bool coder_facts_fit(struct str facts, uint64_t size)
{
        struct unpack u = unpack_of(facts);
        uint8_t kind = unpack_u8(&u);

        (void)unpack_u8(&u);
        return unpack_u64(&u) == size && !u.bad &&
               (kind == FACTS_LINES || kind == FACTS_RECORDS || kind == FACTS_PAGES);
}
