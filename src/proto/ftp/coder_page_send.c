#include "proto/ftp/coder_private.h"

enum { PLAIN_PAGE = 512 };

static uint64_t octets_of(const struct coder *c, const struct page_kind *k)
{
        return (k->length * c->how.byte_size + 7) / 8;
}

static void put_octets(struct page_state *p, struct str s, struct buf *to)
{
        if (!p->bits) {
                buf_puts(to, s);
                return;
        }
        for (size_t i = 0; i < s.n; i++) {
                unsigned all = p->held << 8 | (unsigned char)s.p[i];

                buf_u8(to, (uint8_t)(all >> p->bits));
                p->held = all & ((1U << p->bits) - 1);
        }
}

static void put_bits(struct page_state *p, unsigned v, unsigned n, struct buf *to)
{
        p->held = p->held << n | v;
        p->bits += n;
        if (p->bits < 8)
                return;
        p->bits -= 8;
        buf_u8(to, (uint8_t)(p->held >> p->bits));
        p->held &= (1U << p->bits) - 1;
}

static void put_number(struct coder *c, uint64_t v, struct buf *to)
{
        unsigned n = c->how.byte_size;

        if (n < 64 && v >> n) {
                coder_fail(c, -EFBIG,
                           "The file has pages whose numbers do not fit into logical bytes of this size");
                return;
        }
        while (n) {
                unsigned some = n % 8 ? n % 8 : 8;

                n -= some;
                put_bits(c->paged, n < 64 ? (unsigned)(v >> n) & ((1U << some) - 1) : 0, some, to);
        }
}

static void put_header(struct coder *c, uint64_t index, const struct page_kind *k, struct buf *to)
{
        put_number(c, PAGE_HEADER_LEAST + k->fields, to);
        put_number(c, index, to);
        put_number(c, k->length, to);
        put_number(c, k->type, to);
        for (unsigned i = 0; i < k->fields; i++)
                put_number(c, k->field[i], to);
        c->paged->left = k->length * c->how.byte_size;
}

/* The next pages that the facts tell of; false: no more are known. */
static bool run_of_pages(struct coder *c)
{
        struct page_state *p = c->paged;
        struct unpack *u = &c->facts.at;
        struct page_kind *k = &p->run;

        while (!p->many && c->facts.kind == FACTS_PAGES && !unpack_done(u) && !u->bad) {
                uint64_t type, fields;

                p->many = coder_facts_read(u);
                p->run_first = coder_facts_read(u);
                k->length = coder_facts_read(u);
                type = coder_facts_read(u);
                fields = coder_facts_read(u);
                u->bad = u->bad || fields > PAGE_FIELDS || !type || type > CONTROLLED_PAGE ||
                         k->length > UINT64_MAX / 512 || (type == DESCRIPTOR_PAGE && p->many != 1) ||
                         !coder_facts_bear(c, p->many, k->length);
                k->type = (unsigned)type;
                k->fields = u->bad ? 0 : (unsigned)fields;
                for (unsigned i = 0; i < k->fields; i++)
                        k->field[i] = coder_facts_read(u);
                if (!u->bad && type == DESCRIPTOR_PAGE && octets_of(c, k) < CODER_FACTS_MOST)
                        p->descriptor = unpack_bytes(u, (size_t)octets_of(c, k));
                else if (type == DESCRIPTOR_PAGE)
                        u->bad = true;
                if (u->bad)
                        p->many = 0;
        }
        return p->many != 0;
}

/* Octets of a page where nothing is known: as a length of 512 and the size of the logical byte allow. */
static size_t plain_octets(const struct coder *c)
{
        unsigned n = c->how.byte_size, most = n < 10 ? (1U << n) - 1 : PLAIN_PAGE;

        return most * n / 8;
}

static void plain_page(struct coder *c, struct buf *to)
{
        struct page_state *p = c->paged;
        unsigned n = c->how.byte_size, filled;
        struct page_kind k = { .length = (p->taken.n * 8 + n - 1) / n, .type = SIMPLE_PAGE };

        put_header(c, p->run_first, &k, to);
        put_octets(p, buf_str(&p->taken), to);
        for (filled = (unsigned)(p->left - p->taken.n * 8); filled; filled -= filled < 8 ? filled : 8)
                put_bits(p, 0, filled < 8 ? filled : 8, to);
        buf_clear(&p->taken);
        p->run_first++;
        p->done++;
}

/* Without facts, or behind what they tell. A page is sent when it is full or the file ends, since its length goes first. */
static void plain_pages(struct coder *c, struct str *chunk, struct buf *to)
{
        struct page_state *p = c->paged;
        struct str some = str_sub(*chunk, 0, plain_octets(c) - p->taken.n);

        buf_puts(&p->taken, some);
        *chunk = str_from_at(*chunk, some.n);
        if (p->taken.n == plain_octets(c))
                plain_page(c, to);
}

static void page_data(struct coder *c, struct str *from, struct buf *to)
{
        struct page_state *p = c->paged;
        struct str some = str_sub(*from, 0, p->left / 8 < from->n ? (size_t)(p->left / 8) : from->n);

        put_octets(p, some, to);
        *from = str_from_at(*from, some.n);
        p->left -= some.n * 8;
        if (p->left && p->left < 8 && from->n) {
                put_bits(p, (unsigned char)from->p[0] >> (8 - p->left), (unsigned)p->left, to);
                *from = str_from_at(*from, 1);
                p->left = 0;
        }
}

static void known_page(struct coder *c, struct str *chunk, size_t budget, struct buf *to)
{
        struct page_state *p = c->paged;
        struct str some = str_sub(*chunk, 0, budget);
        size_t had = some.n;

        if (!p->open)
                put_header(c, p->run_first, &p->run, to);
        p->open = true;
        if (p->run.type == DESCRIPTOR_PAGE) {
                struct str part = str_sub(p->descriptor, 0, budget);
                size_t n = part.n;

                page_data(c, &part, to);
                p->descriptor = str_from_at(p->descriptor, n - part.n);
        } else {
                page_data(c, &some, to);
                *chunk = str_from_at(*chunk, had - some.n);
        }
        if (p->left)
                return;
        p->open = false;
        p->run_first++;
        p->many--;
        p->done++;
}

void coder_pages_send(struct coder *c, struct str *chunk, struct buf *out)
{
        struct page_state *p = c->paged;
        struct buf *to = &c->scratch;
        uint64_t at = c->offset + chunk->n;

        buf_clear(to);
        while (!c->failure) {
                size_t budget = to->n < STEP ? STEP - to->n : 0, before = to->n;
                bool known = p->open || run_of_pages(c);

                c->more = !budget || (at - chunk->n >= c->wire.marker_at && coder_pages_pause(c));
                if (c->more || (!known && !chunk->n))
                        break;
                if (known)
                        known_page(c, chunk, budget, to);
                else
                        plain_pages(c, chunk, to);
                if (p->open && !chunk->n && to->n == before)
                        break;
        }
        coder_wire_data(c, buf_str(to), out);
}

void coder_pages_send_end(struct coder *c, struct buf *out)
{
        struct page_state *p = c->paged;
        const struct page_kind last = { .type = LAST_PAGE };

        buf_clear(&c->scratch);
        if (p->open && !c->failure)
                coder_fail(c, -EBADMSG, "The file is shorter than its pages");
        if (p->taken.n)
                plain_page(c, &c->scratch);
        put_header(c, 0, &last, &c->scratch);
        if (p->bits)
                put_bits(p, 0, 8 - p->bits, &c->scratch);
        coder_wire_data(c, buf_str(&c->scratch), out);
}

int coder_pages_seek(struct coder *c, uint64_t at, uint64_t done)
{
        struct page_state *p = c->paged;
        uint64_t begin = 0, pages;

        while (p->done < done && run_of_pages(c)) {
                uint64_t octets = p->run.type == DESCRIPTOR_PAGE ? 0 : octets_of(c, &p->run);
                uint64_t skip = done - p->done < p->many ? done - p->done : p->many;

                if (octets && skip > (at - begin) / octets)
                        return -EINVAL;
                begin += skip * octets;
                p->many -= skip;
                p->run_first += skip;
                p->done += skip;
        }
        pages = done - p->done;
        if (pages != (at - begin) / plain_octets(c) || (at - begin) % plain_octets(c))
                return -EINVAL;
        p->run_first += pages;
        p->done = done;
        return 0;
}
