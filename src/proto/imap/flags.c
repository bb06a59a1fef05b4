/* Flags as the client is told of them: FLAGS, PERMANENTFLAGS, FETCH (FLAGS ...). */
#include "proto/imap/selected.h"

/* --- keywords ---------------------------------------------------------------------------------------------------- */

static bool same_keywords(const struct keyword_list *a, const struct keyword_list *b)
{
        if (a->bits != b->bits)
                return false;
        for (unsigned i = 0; i < 64; i++)
                if (a->bits >> i & 1 && !str_eq(a->names[i], b->names[i]))
                        return false;
        return true;
}

/* Kept while awake, for the account of the selected mailbox; a copy is made only when they are really others: at most 56
 * times, as names are only added. */
const struct keyword_list *imap_keywords(struct session *s, struct access *x)
{
        struct imap *p = imap_of(s);
        uint64_t stamp = change_stamp(x);
        struct keyword_list *k;
        bool keep = p->selected.key.owner && str_eq(x->owner, str_of(p->selected.key.owner));

        if (keep && p->keywords && p->keywords_stamp == stamp)
                return p->keywords;
        k = arena_new(&s->command, struct keyword_list);
        if (change_keywords(x, &s->command, k) || !keep)
                return k;
        p->keywords_stamp = stamp;
        if (p->keywords && same_keywords(p->keywords, k))
                return p->keywords;
        p->keywords = arena_new(&p->awake, struct keyword_list);
        p->keywords->bits = k->bits;
        for (unsigned i = 0; i < 64; i++)
                if (k->bits >> i & 1)
                        p->keywords->names[i] = arena_str(&p->awake, k->names[i]);
        return p->keywords;
}

/* What may be changed for good here (RFC 9051 §7.1, PERMANENTFLAGS): by the rights, one by one (RFC 4314 §4). */
static void put_permanent_flags(struct buf *b, const struct imap_selected *sel, const struct keyword_list *k)
{
        uint64_t flags = 0, free_bits = ~(k->bits | 255);
        struct buf list auto_buf;

        if (sel->rights & RIGHT_SEEN)
                flags |= FLAG_SEEN;
        if (sel->rights & RIGHT_DELETE)
                flags |= FLAG_DELETED;
        if (sel->rights & RIGHT_WRITE)
                flags |= FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT | (k->bits & ~(uint64_t)255);
        buf_init(&list, 32 * 1024);
        put_flags(&list, sel->read_only ? 0 : flags, false, k);
        if (!sel->read_only && sel->rights & RIGHT_WRITE && free_bits) {
                list.n--; /* the parenthesis */
                buf_puts(&list, S(" \\*)"));
        }
        buf_puts(b, buf_str(&list));
}

void imap_say_flags(struct session *s, struct access *x)
{
        static const uint64_t system = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT;
        struct imap_selected *sel = &imap_of(s)->selected;
        const struct keyword_list *k = imap_keywords(s, x);
        struct buf b auto_buf;

        buf_init(&b, 64 * 1024);
        buf_puts(&b, S("* FLAGS "));
        put_flags(&b, system | k->bits, false, k);
        buf_puts(&b, S("\r\n* OK [PERMANENTFLAGS "));
        put_permanent_flags(&b, sel, k);
        buf_puts(&b, S("] what may be changed\r\n"));
        sel->keywords = k->bits;
        conn_put(s->conn, buf_str(&b));
}

/* --- letters ----------------------------------------------------------------------------------------------------- */

static bool recent(const struct imap *p, uint32_t uid)
{
        return !(p->enabled & ENABLED_REV2) && uid >= p->selected.recent_from &&
               uid < p->selected.recent_until;
}

uint32_t imap_recent(const struct session *s)
{
        const struct imap_selected *sel = &((const struct imap *)s)->selected;

        return seqmap_from(&sel->map, sel->recent_until) - seqmap_from(&sel->map, sel->recent_from);
}

void put_flags_fetch(struct buf *b, struct session *s, uint32_t seq, const struct placed *m,
                     const struct keyword_list *k)
{
        const struct imap *p = imap_of(s);
        bool modseq = p->enabled & (ENABLED_CONDSTORE | ENABLED_QRESYNC);

        if (seq)
                buf_printf(b, "* %u FETCH (FLAGS ", seq);
        else
                buf_printf(b, "* %u UIDFETCH (FLAGS ", m->uid);
        put_flags(b, m->flags, recent(p, m->uid), k);
        /* RFC 7162 §3.2.4, RFC 5465 §5.1, RFC 9051 §7.5.2: what comes unasked names its letter by UID */
        if (seq && (p->uid || p->notify || p->enabled & (ENABLED_QRESYNC | ENABLED_REV2)))
                buf_printf(b, " UID %u", m->uid);
        if (modseq)
                buf_printf(b, " MODSEQ (%llu)", (unsigned long long)m->modseq);
        buf_puts(b, S(")\r\n"));
}

void imap_say_changed(struct session *s, struct access *x, const struct placed *list, size_t n,
                      uint64_t except)
{
        struct imap *p = imap_of(s);
        const struct keyword_list *k = NULL;
        struct buf b auto_buf;

        buf_init(&b, 64 * 1024);
        for (size_t i = 0; i < n; i++) {
                uint32_t seq;

                if (list[i].modseq == except)
                        continue;
                seq = seqmap_seq(&p->selected.map, list[i].uid);
                if (!seq || uid_list_has(&p->selected.held, list[i].uid))
                        continue;
                if (!k)
                        k = imap_keywords(s, x);
                put_flags_fetch(&b, s, p->enabled & ENABLED_UIDONLY ? 0 : seq, &list[i], k);
                imap_piece(s, &b);
        }
        conn_put(s->conn, buf_str(&b));
}
