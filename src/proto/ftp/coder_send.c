#include "proto/ftp/coder_private.h"

/* Lines: where the next record is that the facts tell of. */
static void next_known_line(struct coder *c)
{
        struct record_state *r = &c->record;
        uint64_t gap, base = r->next_length ? r->next + r->next_length + 1 : 0;

        r->next = UINT64_MAX;
        if (unpack_done(&c->facts.at) || c->facts.at.bad)
                return;
        gap = coder_facts_read(&c->facts.at);
        r->next_length = coder_facts_read(&c->facts.at);
        if (!c->facts.at.bad && gap < UINT64_MAX / 4 && r->next_length && r->next_length < UINT64_MAX / 4)
                r->next = base + gap;
}

void coder_records_begin(struct coder *c)
{
        c->record.next = UINT64_MAX;
        c->facts.at = unpack_of(buf_str(&c->facts.kept));
        if (c->facts.kind == FACTS_LINES)
                next_known_line(c);
}

static void record_data(struct coder *c, struct str s, struct buf *out)
{
        c->record.open = true;
        if (c->how.type == TYPE_EBCDIC) {
                buf_clear(&c->scratch);
                coder_translate(c->page->to_wire, s, &c->scratch);
                s = buf_str(&c->scratch);
        }
        coder_wire_data(c, s, out);
}

static void record_end(struct coder *c, struct buf *out)
{
        coder_wire_record_end(c, out);
        c->record.open = c->record.known = false;
        c->record.done++;
}

/* The facts do not fit: from here on records are lines. */
static void forget_facts(struct coder *c)
{
        c->record.known = false;
        c->record.next = UINT64_MAX;
}

/* A record whose length is known, then the LF that stands behind it. */
static struct str known_line(struct coder *c, struct str s, struct buf *out)
{
        struct str data = str_sub(s, 0, c->record.left < s.n ? (size_t)c->record.left : s.n);

        if (data.n) {
                record_data(c, data, out);
                c->record.left -= data.n;
                return str_from_at(s, data.n);
        }
        if (s.p[0] != '\n') {
                forget_facts(c);
                return s;
        }
        record_end(c, out);
        next_known_line(c);
        return str_from_at(s, 1);
}

static struct str line(struct coder *c, struct str s, uint64_t at, struct buf *out)
{
        struct record_state *r = &c->record;
        uint64_t until = r->next - at; /* here a line begins, if the facts fit */
        struct str data = str_sub(s, 0, until < s.n ? (size_t)until : s.n);
        const char *lf = memchr(data.p, '\n', data.n);

        if (lf)
                data.n = (size_t)(lf - data.p);
        if (data.n)
                record_data(c, data, out);
        if (lf)
                record_end(c, out);
        return str_from_at(s, data.n + (lf ? 1 : 0));
}

static void lines(struct coder *c, struct str *chunk, struct buf *out)
{
        struct record_state *r = &c->record;
        uint64_t at = c->offset + chunk->n; /* of the chunk's end */

        while (chunk->n) {
                if (!r->known && at - chunk->n == r->next) {
                        if (r->open) {
                                forget_facts(c);
                        } else {
                                r->known = true;
                                r->left = r->next_length;
                        }
                }
                *chunk = r->known ? known_line(c, *chunk, out) : line(c, *chunk, at - chunk->n, out);
        }
}

/* Records of one length that follow each other, as the facts tell; false: no more are known. */
static bool run_of_records(struct coder *c)
{
        struct record_state *r = &c->record;

        while (!r->many && c->facts.kind == FACTS_RECORDS && !unpack_done(&c->facts.at) && !c->facts.at.bad) {
                r->many = coder_facts_read(&c->facts.at);
                r->length = coder_facts_read(&c->facts.at);
                c->facts.at.bad = c->facts.at.bad || !coder_facts_bear(c, r->many, r->length);
                if (c->facts.at.bad)
                        r->many = 0;
        }
        return r->many != 0;
}

/* Behind what is known the rest is one record. */
static void next_record(struct coder *c)
{
        c->record.known = true;
        c->record.left = UINT64_MAX;
        if (run_of_records(c)) {
                c->record.left = c->record.length;
                c->record.many--;
        }
}

static void records(struct coder *c, struct str *chunk, struct buf *out)
{
        struct record_state *r = &c->record;
        size_t budget = STEP;

        while (budget) {
                struct str data;

                if (!r->known)
                        next_record(c);
                data = str_sub(*chunk, 0, r->left < budget ? (size_t)r->left : budget);
                if (r->left && !data.n)
                        break;
                if (data.n)
                        record_data(c, data, out);
                *chunk = str_from_at(*chunk, data.n);
                if (r->left != UINT64_MAX)
                        r->left -= data.n;
                budget -= data.n;
                if (!r->left) {
                        record_end(c, out);
                        budget -= budget < 4 ? budget : 4;
                }
        }
        c->more = !budget;
}

static void whole_file(struct coder *c, struct str s, struct buf *out)
{
        if (!c->text) {
                if (c->how.mode == MODE_DEFLATE)
                        coder_deflate(c, s, out);
                else
                        coder_wire_data(c, s, out);
        } else if (c->how.mode == MODE_STREAM) {
                coder_text_send(c, s, out);
        } else if (c->how.mode == MODE_DEFLATE) {
                coder_text_send(c, s, &c->raw);
        } else {
                buf_clear(&c->scratch);
                coder_text_send(c, s, &c->scratch);
                coder_wire_data(c, buf_str(&c->scratch), out);
        }
}

/* Records known to stand end to end are cut so in text too: what came as TYPE I may go as TYPE A. */
static bool in_lines(const struct coder *c)
{
        return c->facts.kind != FACTS_RECORDS && (c->text || c->facts.kind == FACTS_LINES);
}

void coder_structure_send(struct coder *c, struct str *chunk, struct buf *out)
{
        c->more = false;
        switch (c->how.structure) {
        case STRUCTURE_FILE:
                whole_file(c, *chunk, out);
                *chunk = str_from_at(*chunk, chunk->n);
                break;
        case STRUCTURE_RECORD:
                if (in_lines(c))
                        lines(c, chunk, out);
                else
                        records(c, chunk, out);
                break;
        case STRUCTURE_PAGE: coder_pages_send(c, chunk, out); break;
        }
}

/* The end of the file ends its last record: all ends of records are explicit (RFC 959 §3.4). */
void coder_structure_send_end(struct coder *c, struct buf *out)
{
        if (c->how.structure == STRUCTURE_RECORD && c->record.open)
                record_end(c, out);
        if (c->how.structure == STRUCTURE_PAGE)
                coder_pages_send_end(c, out);
}

/* Before the first byte: goes to where a marker said. */
int coder_records_seek(struct coder *c, uint64_t at, uint64_t done, bool open)
{
        struct record_state *r = &c->record;

        if (in_lines(c)) {
                while (r->next != UINT64_MAX && r->next + r->next_length < at)
                        next_known_line(c);
                r->open = open;
                r->done = done;
                if (r->next < at) {
                        r->known = true;
                        r->left = r->next + r->next_length - at;
                }
                return 0;
        }
        while (r->done < done && run_of_records(c)) {
                uint64_t skip = done - r->done < r->many ? done - r->done : r->many;

                if (r->length && skip > (at - r->begin) / r->length)
                        return -EINVAL;
                r->begin += skip * r->length;
                r->many -= skip;
                r->done += skip;
        }
        next_record(c);
        if (r->done != done || (r->left != UINT64_MAX && at - r->begin > r->left))
                return -EINVAL;
        if (r->left != UINT64_MAX)
                r->left -= at - r->begin;
        r->open = open;
        return 0;
}
