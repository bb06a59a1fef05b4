#include "proto/imap/fetch.h"

#include <stdio.h>

/* One letter's answer: "* n FETCH (item value ...)" -- RFC 9051 §7.5.2; "* uid UIDFETCH (...)" -- RFC 9586 §3.3 */

void fetch_writer_init(struct fetch_writer *w, unsigned mode)
{
        w->mode = mode;
        w->out = (struct fetch_out){ 0 };
        w->source = NULL;
        w->unknown_cte = false;
        buf_init(&w->temp, 2 * FETCH_HEADER_MOST);
        arena_init(&w->scratch, 64 * 1024 * 1024); /* bounded by FETCH_FIELD_MOST and ADDRESSES_MAX */
}

void fetch_writer_finish(struct fetch_writer *w)
{
        buf_free(&w->temp);
        arena_finish(&w->scratch);
}

void put_label(struct fetch_writer *w, struct str label)
{
        buf_put(w->out.b, w->before, w->before_n);
        buf_puts(w->out.b, label);
        w->before[0] = ' ';
        w->before_n = 1;
        w->begun = true;
}

static void add(struct fetch_writer *w, char c)
{
        w->before[w->before_n++] = c;
}

static void add_number(struct fetch_writer *w, uint32_t v)
{
        char digits[10];
        unsigned n = 0;

        do {
                digits[n++] = (char)('0' + v % 10);
                v /= 10;
        } while (v);
        while (n)
                add(w, digits[--n]);
}

static void add_word(struct fetch_writer *w, const char *word)
{
        for (; *word; word++)
                add(w, *word);
}

static void begin(const struct fetch *f, struct fetch_writer *w, uint32_t seq, uint32_t uid)
{
        w->before_n = 0;
        w->begun = false;
        add_word(w, "* ");
        add_number(w, f->uid_only ? uid : seq);
        add_word(w, f->uid_only ? " UIDFETCH (" : " FETCH (");
}

static void put_hex(struct buf *b, char letter, uint32_t v)
{
        char digits[9];
        size_t at = sizeof digits;

        do {
                digits[--at] = "0123456789abcdef"[v & 15];
                v >>= 4;
        } while (v);
        digits[--at] = letter;
        buf_puts(b, S("("));
        buf_put(b, digits + at, sizeof digits - at);
        buf_puts(b, S(")"));
}

/* date-time, without the printing of formats: it is asked for of all letters */
static void put_date(struct buf *b, int64_t usec)
{
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        char *to = buf_room(b, 28);
        int64_t seconds = usec >= 0 ? usec / 1000000 : 0, days = seconds / 86400;
        unsigned rest = (unsigned)(seconds % 86400);
        int64_t era, year;
        unsigned of_era, year_of, day_of, m, day, month;
        unsigned parts[3];

        /* civil_from_days: days since 1970 to the proleptic Gregorian calendar, years beginning in March */
        days += 719468;
        era = days / 146097;
        of_era = (unsigned)(days % 146097);
        year_of = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        day_of = of_era - (365 * year_of + year_of / 4 - year_of / 100);
        m = (5 * day_of + 2) / 153;
        day = day_of - (153 * m + 2) / 5 + 1;
        month = m < 10 ? m + 2 : m - 10; /* 0: January */
        year = year_of + era * 400 + (month < 2);
        if (!to)
                return;
        if (year > 9999) {
                put_date_time(b, usec);
                return;
        }
        parts[0] = rest / 3600;
        parts[1] = rest / 60 % 60;
        parts[2] = rest % 60;
        *to++ = '"';
        *to++ = day > 9 ? (char)('0' + day / 10) : ' ';
        *to++ = (char)('0' + day % 10);
        *to++ = '-';
        for (unsigned i = 0; i < 3; i++)
                *to++ = months[month * 3 + i];
        *to++ = '-';
        for (int64_t unit = 1000; unit; unit /= 10)
                *to++ = (char)('0' + year / unit % 10);
        for (unsigned i = 0; i < 3; i++) {
                *to++ = i ? ':' : ' ';
                *to++ = (char)('0' + parts[i] / 10);
                *to++ = (char)('0' + parts[i] % 10);
        }
        for (const char *zone = " +0000\""; *zone; zone++)
                *to++ = *zone;
        buf_added(b, 28);
}

static void put_letter_flags(const struct fetch *f, struct fetch_writer *w, const struct placed *p)
{
        bool recent = f->recent && p->uid >= f->selected->recent_from && p->uid < f->selected->recent_until;

        put_flags(w->out.b, p->flags, recent, f->keywords);
}

static void put_modseq(struct fetch_writer *w, const struct placed *p)
{
        put_label(w, S("MODSEQ "));
        buf_puts(w->out.b, S("("));
        put_u64(w->out.b, p->modseq);
        buf_puts(w->out.b, S(")"));
}

static enum fetch_made put_item(const struct fetch *f, struct fetch_writer *w, const struct fetch_item *item,
                                const struct placed *p, const struct fetch_facts *facts)
{
        struct buf *b = w->out.b;

        switch (item->what) {
        case FETCH_SECTION: return put_section(w, item, facts->mime);
        case FETCH_BINARY:
        case FETCH_BINARY_SIZE: return put_binary(w, item, facts->mime);
        case FETCH_PREVIEW: return put_preview(w, item, facts->mime);
        case FETCH_MODSEQ: put_modseq(w, p); return FETCH_MADE;
        default: break;
        }
        put_label(w, item->label);
        switch (item->what) {
        case FETCH_FLAGS: put_letter_flags(f, w, p); break;
        case FETCH_UID: put_u64(b, p->uid); break;
        case FETCH_SIZE: put_u64(b, p->size); break;
        case FETCH_EMAILID: put_hex(b, 'M', p->letter); break;
        case FETCH_THREADID: put_hex(b, 'T', facts->thread); break;
        case FETCH_SAVEDATE: put_date(b, (int64_t)p->saved * 1000000); break;
        case FETCH_INTERNALDATE: put_date(b, facts->received); break;
        case FETCH_ENVELOPE: return put_letter_envelope(w, facts->mime);
        case FETCH_BODY: return put_structure(w, facts->mime, false);
        case FETCH_BODYSTRUCTURE: return put_structure(w, facts->mime, true);
        default: break;
        }
        return FETCH_MADE;
}

/* What is told without being asked for. */
static void put_extras(const struct fetch *f, struct fetch_writer *w, const struct placed *p)
{
        bool seen = f->own_modseq && p->modseq == f->own_modseq;

        if ((f->uid || (seen && f->tell_uid)) && !f->uid_only && !(f->items.given & 1u << FETCH_UID)) {
                put_label(w, S("UID "));
                put_u64(w->out.b, p->uid);
        }
        if (seen && !(f->items.given & 1u << FETCH_FLAGS)) {
                put_label(w, S("FLAGS "));
                put_letter_flags(f, w, p);
        }
        if (!f->items.modseq && (f->with_modseq || (seen && f->tell_modseq)))
                put_modseq(w, p);
}

enum fetch_made put_letter(const struct fetch *f, struct fetch_writer *w, const struct placed *p,
                           const struct fetch_facts *facts, struct fetch_source *source)
{
        static const struct fetch_facts none;
        uint32_t seq = f->uid_only ? 0 : seqmap_seq(&f->selected->map, p->uid);
        struct buf *b = w->out.b;
        size_t before = b->n;
        enum fetch_made made = FETCH_MADE;

        if (!seq && !f->uid_only)
                return FETCH_MADE;
        begin(f, w, seq, p->uid);
        w->source = source;
        put_extras(f, w, p);
        for (unsigned i = 0; i < f->items.n && made == FETCH_MADE; i++) {
                made = put_item(f, w, &f->items.list[i], p, facts ? facts : &none);
                fetch_drain(&w->out);
        }
        w->source = NULL;
        if (w->begun && (made == FETCH_MADE || w->out.s)) /* what could not be read is left out */
                buf_puts(b, S(")\r\n"));
        if (made != FETCH_MADE && !w->out.s && !b->full)
                b->n = before;
        return made;
}
