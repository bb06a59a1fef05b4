#include "proto/imap/alter.h"

#include <errno.h>

enum { SLICE = 32 * 1024 };

struct store {
        struct imap_set set;
        bool conditional, silent;
        enum flags_how how;
        struct imap_flags flags;
        struct flags_change change;
        struct uid_list uids; /* that were asked for */
        uint32_t lowest;      /* alter_limit */
};

/* store-modifiers: SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" -- RFC 7162 §7, RFC 4466 §2.5 */
static void modifiers(struct session *s, struct store *st, struct scan *a)
{
        if (!scan_try(a, '('))
                return;
        if (!imap_can(s, CAP_CONDSTORE))
                scan_fail(a, "there are no STORE modifiers");
        scan_word(a, S("UNCHANGEDSINCE"));
        imap_sp(a);
        st->change.unchanged_since = imap_number64(a);
        st->conditional = true;
        scan_char(a, ')');
        imap_sp(a);
}

/* store-att-flags = ["+" / "-"] "FLAGS" [".SILENT"] SP (flag-list / (flag *(SP flag))) -- RFC 9051 §9 */
static void att_flags(struct session *s, struct store *st, struct scan *a)
{
        st->how = FLAGS_SET;
        if (scan_try(a, '+'))
                st->how = FLAGS_ADD;
        else if (scan_try(a, '-'))
                st->how = FLAGS_REMOVE;
        scan_word(a, S("FLAGS"));
        st->silent = scan_try_word(a, S(".SILENT"));
        imap_sp(a);
        imap_flags(s, a, &st->flags);
}

/* What the client would see with .SILENT and CONDSTORE: no flags, but the new modseq (RFC 7162 §3.1.3). */
static void put_modseq_fetch(struct buf *b, const struct imap *p, uint32_t seq, const struct placed *m)
{
        if (p->enabled & ENABLED_UIDONLY)
                buf_printf(b, "* %u UIDFETCH (MODSEQ (%llu))\r\n", m->uid, (unsigned long long)m->modseq);
        else if (p->uid || p->enabled & ENABLED_QRESYNC)
                buf_printf(b, "* %u FETCH (UID %u MODSEQ (%llu))\r\n", seq, m->uid,
                           (unsigned long long)m->modseq);
        else
                buf_printf(b, "* %u FETCH (MODSEQ (%llu))\r\n", seq, (unsigned long long)m->modseq);
}

/* The new state of what was changed, in slices. All of this is then known to the client, so that imap_updates does not
 * tell it again. */
static void tell(struct session *s, const struct store *st, const struct keyword_list *k)
{
        struct imap *p = imap_of(s);
        bool modseq = p->enabled & (ENABLED_CONDSTORE | ENABLED_QRESYNC);
        struct buf b auto_buf;

        buf_init(&b, 2 * SLICE);
        for (size_t i = 0; i < st->change.changed.n; i++) {
                const struct placed *m = &st->change.changed.list[i];
                uint32_t seq = st->silent && !modseq ? 0 : seqmap_seq(&p->selected.map, m->uid);

                if (m->modseq > p->selected.own_modseq)
                        p->selected.own_modseq = m->modseq;
                if (!seq)
                        continue;
                if (st->silent)
                        put_modseq_fetch(&b, p, seq, m);
                else
                        put_flags_fetch(&b, s, p->enabled & ENABLED_UIDONLY ? 0 : seq, m, k);
                if (b.n >= SLICE) {
                        conn_put(s->conn, buf_str(&b));
                        buf_clear(&b);
                        fiber_yield_if_due();
                }
        }
        conn_put(s->conn, buf_str(&b));
}

/* As the command named them: numbers, or uids after UID. */
static void add_named(const struct imap *p, struct uid_list *l, uint32_t uid)
{
        uint32_t v = p->uid ? uid : seqmap_seq(&p->selected.map, uid);

        if (v)
                uid_list_add(l, v, v);
}

/* What was asked for is in changed, in modified, or has gone; the last only where others removed it and this client was
 * not told yet. `named` gets the modified and the gone ones; says how many have gone. */
static uint64_t left_alone(const struct imap *p, const struct store *st, struct uid_list *named)
{
        const struct flags_change *c = &st->change;
        uint64_t gone = 0;
        size_t at = 0;

        if (!c->modified.n && c->changed.n == uid_list_count(&st->uids))
                return 0;
        for (size_t i = 0; i < st->uids.n; i++)
                for (uint64_t uid = st->uids.ranges[i].first; uid <= st->uids.ranges[i].last; uid++) {
                        while (at < c->changed.n && c->changed.list[at].uid < uid)
                                at++;
                        if (at < c->changed.n && c->changed.list[at].uid == uid)
                                continue;
                        gone += !uid_list_has(&c->modified, (uint32_t)uid);
                        add_named(p, named, (uint32_t)uid);
                }
        return gone;
}

static int answer(struct session *s, struct store *st)
{
        struct imap *p = imap_of(s);
        struct uid_list named = { 0 };
        uint64_t gone = left_alone(p, st, &named);
        struct buf code auto_buf;
        int rc;

        buf_init(&code, 16 << 20);
        if (named.n && st->conditional) {
                buf_puts(&code, S("MODIFIED "));
                put_uids(&code, &named);
        }
        uid_list_free(&named);
        if (st->lowest && (code.n || (gone && !p->uid)))
                imap_say(s, "NO [MESSAGELIMIT %ld %u] STORE: not all of them", alter_most(s), st->lowest);
        if (code.n && gone && !p->uid)
                rc = imap_no(s, "[" PRS "] some of these letters have gone", STR(buf_str(&code)));
        else if (code.n)
                rc = alter_ok(s, buf_str(&code), "STORE: some have changed meanwhile and were left alone");
        else if (gone && !p->uid && !st->silent) /* RFC 2180 §4.2.1 */
                rc = imap_no(s, "[EXPUNGEISSUED] some of these letters have gone");
        else if (st->change.denied)
                rc = imap_ok(s, "STORE completed as far as you have the rights");
        else
                rc = alter_limited(s, S(""), st->lowest, "STORE completed");
        return rc;
}

static int carry_out(struct session *s, struct access *x, struct store *st)
{
        int rc =
            alter_bits(s, x, imap_keywords(s, x), &st->flags, st->how != FLAGS_REMOVE, &st->change.flags);

        if (rc == -ENOSPC)
                return imap_no(s, "[LIMIT] there are 56 keywords already in this account");
        if (rc)
                return imap_trouble(s, rc);
        imap_updates(s, x, false); /* what others did before; a new keyword's FLAGS */
        if (!conn_ok(s->conn))
                return FAIL;
        st->change.uids = st->uids.ranges;
        st->change.n = st->uids.n;
        st->change.how = st->how;
        rc = change_flags(x, &st->change);
        if (rc)
                return imap_trouble(s, rc);
        tell(s, st, imap_keywords(s, x));
        return answer(s, st);
}

/* STORE set [(UNCHANGEDSINCE n)] [+|-]FLAGS[.SILENT] (flags) -- RFC 9051 §6.4.6 */
int imap_store(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);
        struct store st = { .change.unchanged_since = UINT64_MAX };
        struct access x;
        int rc = OK;

        imap_set(s, a, &st.set);
        imap_sp(a);
        modifiers(s, &st, a);
        att_flags(s, &st, a);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (p->selected.read_only)
                return imap_no(s, "[READ-ONLY] this mailbox is open for reading only");
        if (st.conditional)
                imap_use_condstore(s);
        if (!imap_resolve(s, &st.set, p->uid, &st.uids))
                return FAIL;
        st.lowest = alter_limit(s, &st.uids);
        if (imap_selected_open(s, RIGHT_READ, &x, &rc)) {
                rc = carry_out(s, &x, &st);
                access_close(&x);
        }
        placed_list_free(&st.change.changed);
        uid_list_free(&st.change.modified);
        uid_list_free(&st.uids);
        return rc;
}
