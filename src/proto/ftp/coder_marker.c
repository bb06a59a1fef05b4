/* A restart marker of ours, RFC 959 §3.5: whose, of what coding, then numbers in hexadecimal:
 *
 *      way type structure - offset . place . flags [ . kind facts ]        rAF-1f400.0.1   sL36P-91800.10.0
 *
 * place: receiving, how many bytes of the file the record that is open has; sending, how many records or pages have ended. The facts so
 * far, in base64, of files that came as records or pages and cannot be read otherwise. */
#include "base/codec.h"
#include "base/mem.h"
#include "proto/ftp/coder_private.h"

enum { HELD_CR = 1, OPEN = 2, HAS_LF = 4 };

/* Two codings with the same one understand each other's markers. */
static void put_coding(const struct coder *c, struct buf *to)
{
        bool octets = c->how.type == TYPE_IMAGE || (c->how.type == TYPE_LOCAL && c->how.byte_size == 8);

        buf_printf(to, "%c%c", c->way == CODER_SEND ? 's' : 'r', octets ? 'I' : "AEIL"[c->how.type]);
        if (!octets && c->how.type == TYPE_LOCAL)
                buf_printf(to, "%u", c->how.byte_size);
        buf_printf(to, "%c-", "FRP"[c->how.structure]);
}

/* The facts as they would be if the file ended here; they themselves stay as they are. */
static void put_facts(struct coder *c, struct buf *to)
{
        struct buf *kept = &c->facts.kept;
        enum facts_kind kind = c->facts.kind;
        uint64_t records = c->record.many, pages = c->paged ? c->paged->many : 0;
        size_t n = kept->n;

        if (n >= CODER_MARKER_MOST) {
                to->full = true;
                return;
        }
        if (c->paged)
                coder_pages_facts(c);
        else
                coder_records_facts(c);
        if (c->facts.kind != FACTS_NONE) {
                buf_printf(to, ".%c", c->facts.kind);
                base64_put(to, buf_str(kept));
        }
        kept->n = n;
        c->facts.kind = kind;
        c->record.many = records;
        if (c->paged)
                c->paged->many = pages;
}

bool coder_marker_make(struct coder *c, struct buf *to)
{
        const struct record_state *r = &c->record;
        uint64_t place = c->way == CODER_SEND ? r->done : c->offset - r->begin;

        if (c->failure || (c->paged && !coder_pages_pause(c)))
                return false;
        if (c->paged)
                place = c->way == CODER_SEND ? c->paged->done : 0;
        if (c->how.structure == STRUCTURE_FILE)
                place = 0;
        put_coding(c, to);
        buf_printf(to, "%llx.%llx.%x", (unsigned long long)c->offset, (unsigned long long)place,
                   (c->cr ? HELD_CR : 0U) | (r->open ? OPEN : 0U) | (r->has_lf ? HAS_LF : 0U));
        if (c->way == CODER_RECEIVE && c->how.structure != STRUCTURE_FILE)
                put_facts(c, to);
        return !to->full && to->n < CODER_MARKER_MOST;
}

void coder_marker_came(struct coder *c)
{
        auto_buf struct buf ours = { 0 };
        struct marker_pair *m;
        size_t n = c->wire.marker_n;

        c->wire.marker_n = 0;
        buf_init(&ours, CODER_MARKER_MOST);
        if (!n || n >= CODER_MARKER_MOST || !coder_marker_make(c, &ours))
                return;
        if (!c->marks)
                c->marks = mem_array(MARKERS_MOST, sizeof(*c->marks));
        if (c->marks_n == MARKERS_MOST) {
                for (size_t i = 1; i < MARKERS_MOST; i++)
                        c->marks[i - 1] = c->marks[i];
                c->marks_n--;
        }
        m = &c->marks[c->marks_n++];
        *m = (struct marker_pair){ 0 };
        mem_copy(m->theirs, sizeof(m->theirs), str_from(c->wire.marker, n));
        mem_copy(m->ours, sizeof(m->ours), buf_str(&ours));
}

bool coder_marker(struct coder *c, char theirs[static CODER_MARKER_MOST], char ours[static CODER_MARKER_MOST])
{
        if (!c->marks_n)
                return false;
        mem_copy(theirs, CODER_MARKER_MOST, str_from(c->marks[0].theirs, CODER_MARKER_MOST));
        mem_copy(ours, CODER_MARKER_MOST, str_from(c->marks[0].ours, CODER_MARKER_MOST));
        c->marks_n--;
        for (size_t i = 0; i < c->marks_n; i++)
                c->marks[i] = c->marks[i + 1];
        return true;
}

static bool hexadecimal(struct str *s, char end, uint64_t *v)
{
        struct str digits;
        bool more = str_cut(s, end, &digits);

        *v = 0;
        for (size_t i = 0; i < digits.n; i++) {
                char d = digits.p[i];

                *v = *v << 4 | (uint64_t)(d <= '9' ? d - '0' : d - 'a' + 10);
                if (!(d >= '0' && d <= '9') && !(d >= 'a' && d <= 'f'))
                        return false;
        }
        return digits.n && digits.n <= 15 && (more || end == '.');
}

static int restart_at(struct coder *c, uint64_t at)
{
        if (at > INT64_MAX)
                return -EINVAL;
        if (c->how.structure == STRUCTURE_FILE || !at)
                return 0;
        if (c->way == CODER_SEND) /* which record or page is there, only a marker tells */
                return -EINVAL;
        if (c->facts.size != at)
                c->facts.kind = FACTS_NONE;
        if (c->facts.kind == FACTS_NONE)
                buf_clear(&c->facts.kept);
        return c->paged ? coder_pages_append(c, at) : coder_records_append(c, at);
}

static int load_facts(struct coder *c, struct str s)
{
        char kind = s.n ? s.p[0] : 0;

        if (c->how.structure == STRUCTURE_FILE)
                return -EINVAL;
        if (kind != (c->paged ? FACTS_PAGES : FACTS_RECORDS) && (kind != FACTS_LINES || !c->text))
                return -EINVAL;
        buf_clear(&c->facts.kept);
        c->facts.kind = (enum facts_kind)kind;
        return base64_get(&c->facts.kept, str_from_at(s, 1)) ? 0 : -EINVAL;
}

static int restart_received(struct coder *c, uint64_t at, uint64_t place, uint64_t flags, struct str facts)
{
        int rc = facts.n ? load_facts(c, facts) : 0;

        if (rc || place > at)
                return -EINVAL;
        c->cr = flags & HELD_CR && c->how.type == TYPE_ASCII && c->how.structure == STRUCTURE_FILE;
        if (c->how.structure != STRUCTURE_RECORD)
                return c->paged && at ? coder_pages_append(c, at) : 0;
        if (at != place)
                rc = coder_records_append(c, at - place);
        if (facts.n) /* they tell of everything before */
                c->record.many = 0;
        c->record.begin = at - place;
        c->record.open = flags & OPEN;
        c->record.has_lf = flags & HAS_LF;
        return rc;
}

int coder_restart(struct coder *c, struct str marker, uint64_t *at)
{
        auto_buf struct buf coding = { 0 };
        uint64_t place, flags;
        int rc;

        if (!str_u64(marker, at)) {
                buf_init(&coding, CODER_MARKER_MOST);
                put_coding(c, &coding);
                if (!str_starts(marker, buf_str(&coding)))
                        return -EINVAL;
                marker = str_from_at(marker, coding.n);
                if (!hexadecimal(&marker, '.', at) || !hexadecimal(&marker, '.', &place) ||
                    !hexadecimal(&marker, '.', &flags))
                        return -EINVAL;
                if (c->way == CODER_RECEIVE)
                        rc = restart_received(c, *at, place, flags, marker);
                else if (c->how.structure == STRUCTURE_RECORD)
                        rc = coder_records_seek(c, *at, place, flags & OPEN);
                else
                        rc = c->paged ? coder_pages_seek(c, *at, place) : 0;
        } else {
                rc = restart_at(c, *at);
        }
        if (rc)
                return rc;
        c->offset = *at;
        if (c->wire.marker_at != UINT64_MAX)
                c->wire.marker_at = *at + c->how.marker_every;
        return 0;
}
