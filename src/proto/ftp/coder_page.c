/* STRU P, RFC 959 §3.1.2.3 and appendix I. A page: header length, index, data length, type, further fields; each one logical byte of
 * the TYPE's size, then so many logical bytes of data, all packed as bits, the first the highest. In the file stands the data of
 * each page from a new octet on. The facts: how many pages that follow each other and are alike, the first one's index, data length, type,
 * number of further fields, those; behind that of a descriptor page (type 2) its data. */
#include "base/mem.h"
#include "proto/ftp/coder_private.h"

enum { HEADER_MOST = PAGE_HEADER_LEAST + PAGE_FIELDS };

void coder_pages_begin(struct coder *c)
{
        c->paged = mem_new(struct page_state);
        buf_init(&c->paged->taken, CODER_FACTS_MOST);
        c->facts.at = unpack_of(buf_str(&c->facts.kept));
}

bool coder_pages_pause(const struct coder *c)
{
        const struct page_state *p = c->paged;

        return !p->open && !p->last && !p->bits && !p->taken.n;
}

static bool alike(const struct page_kind *a, const struct page_kind *b)
{
        bool same = a->length == b->length && a->type == b->type && a->fields == b->fields;

        for (unsigned i = 0; same && i < a->fields; i++)
                same = a->field[i] == b->field[i];
        return same;
}

void coder_pages_facts(struct coder *c)
{
        struct page_state *p = c->paged;

        if (!p->many)
                return;
        c->facts.kind = FACTS_PAGES;
        coder_facts_number(c, p->many);
        coder_facts_number(c, p->run_first);
        coder_facts_number(c, p->run.length);
        coder_facts_number(c, p->run.type);
        coder_facts_number(c, p->run.fields);
        for (unsigned i = 0; i < p->run.fields; i++)
                coder_facts_number(c, p->run.field[i]);
        p->many = 0;
}

static void page_came(struct coder *c)
{
        struct page_state *p = c->paged;

        if (!p->many || !alike(&p->run, &p->kind) || p->index != p->run_first + p->many ||
            p->kind.type == DESCRIPTOR_PAGE) {
                coder_pages_facts(c);
                p->run = p->kind;
                p->run_first = p->index;
        }
        p->many++;
        if (!coder_facts_bear(c, 1, p->kind.length))
                coder_fail(c, -EFBIG, "Too many empty pages");
        if (p->kind.type == DESCRIPTOR_PAGE) {
                coder_pages_facts(c);
                if (!c->failure && !buf_puts(&c->facts.kept, buf_str(&p->taken)))
                        coder_fail(c, -EFBIG, "More descriptor pages than can be kept");
                buf_clear(&p->taken);
        }
        p->open = p->data = false;
        p->have = 0;
        p->done++;
}

static void header_came(struct coder *c)
{
        static const unsigned char length_of[] = {
                [LAST_PAGE] = 4, [SIMPLE_PAGE] = 4, [CONTROLLED_PAGE] = 5
        };
        struct page_state *p = c->paged;
        struct page_kind *k = &p->kind;

        k->fields = p->header - PAGE_HEADER_LEAST;
        if (k->type > CONTROLLED_PAGE)
                coder_fail(c, -EBADMSG, "Unknown type of a page");
        else if (k->type != DESCRIPTOR_PAGE && p->header != length_of[k->type])
                coder_fail(c, -EBADMSG, "The header of a page has the wrong length for its type");
        else if (k->type == LAST_PAGE && k->length)
                coder_fail(c, -EBADMSG, "The last page has data");
        else if (k->length > UINT64_MAX / 512)
                coder_fail(c, -EBADMSG, "A page is too long");
        if (c->failure)
                return;
        p->last = k->type == LAST_PAGE;
        p->left = k->length * c->how.byte_size;
        p->data = true;
}

static void field_came(struct coder *c)
{
        struct page_state *p = c->paged;

        switch (p->have++) {
        case 0:
                p->header = p->value < PAGE_HEADER_LEAST || p->value > HEADER_MOST ? 0 : (unsigned)p->value;
                if (!p->header)
                        coder_fail(c, -EBADMSG, "The header of a page has an impossible length");
                break;
        case 1: p->index = p->value; break;
        case 2: p->kind.length = p->value; break;
        case 3: p->kind.type = p->value > CONTROLLED_PAGE ? CONTROLLED_PAGE + 1 : (unsigned)p->value; break;
        default: p->kind.field[p->have - 1 - PAGE_HEADER_LEAST] = p->value; break;
        }
        p->need = c->how.byte_size;
        p->value = 0;
        if (!c->failure && p->have >= PAGE_HEADER_LEAST && p->have == p->header)
                header_came(c);
}

/* So many bits (8 at most), or -1: they have not come yet. */
static int some_bits(struct page_state *p, struct str *s, unsigned want)
{
        unsigned v;

        if (p->bits < want) {
                if (!s->n)
                        return -1;
                p->held = p->held << 8 | (unsigned char)s->p[0];
                p->bits += 8;
                *s = str_from_at(*s, 1);
        }
        p->bits -= want;
        v = p->held >> p->bits;
        p->held &= (1U << p->bits) - 1;
        return (int)v;
}

static void header_bits(struct coder *c, struct str *s)
{
        struct page_state *p = c->paged;

        if (!p->open)
                p->need = c->how.byte_size;
        while (!p->data && !c->failure) {
                unsigned want = p->need < 8 ? p->need : 8;
                int v = some_bits(p, s, want);

                if (v < 0)
                        return;
                p->open = true;
                if (p->value >> (64 - want)) {
                        coder_fail(c, -EBADMSG, "A number in the header of a page is too large");
                        return;
                }
                p->value = p->value << want | (unsigned)v;
                p->need -= want;
                if (!p->need)
                        field_came(c);
        }
}

static void data_bits(struct coder *c, struct str *s, struct buf *to)
{
        struct page_state *p = c->paged;

        if (!p->bits) {
                struct str some = str_sub(*s, 0, p->left / 8 < s->n ? (size_t)(p->left / 8) : s->n);

                buf_puts(to, some);
                *s = str_from_at(*s, some.n);
                p->left -= some.n * 8;
        }
        while (p->left) {
                unsigned want = p->left < 8 ? (unsigned)p->left : 8;
                int v = some_bits(p, s, want);

                if (v < 0)
                        return;
                buf_u8(to, (uint8_t)(v << (8 - want)));
                p->left -= want;
        }
}

struct str coder_pages_receive(struct coder *c, struct str s, struct buf *out)
{
        struct page_state *p = c->paged;

        while (!c->failure && !p->last && (s.n || p->bits)) {
                size_t before = out->n, left = s.n, bits = p->bits;

                if (!p->data)
                        header_bits(c, &s);
                if (!p->data || c->failure || p->last)
                        break;
                data_bits(c, &s, p->kind.type == DESCRIPTOR_PAGE ? &p->taken : out);
                if (p->taken.full)
                        coder_fail(c, -EFBIG, "A descriptor page is longer than can be kept");
                c->offset += out->n - before;
                if (!p->left)
                        page_came(c);
                else if (left == s.n && bits == p->bits)
                        break;
        }
        if (p->last && p->held)
                coder_fail(c, -EBADMSG, "The last page is not filled up with zeros");
        return s;
}

int coder_pages_append(struct coder *c, uint64_t at)
{
        (void)at;
        return c->facts.kind == FACTS_PAGES ? 0 : -EINVAL;
}
