#include "proto/imap/fetch.h"
#include "proto/imap/selected.h"

#include <errno.h>

enum { UIDS_AT_ONCE = 4096, RANGES_AT_ONCE = 4096 };

/* What stands behind the items. */
struct modifiers {
        bool changed_since, vanished, partial, from_end;
        uint64_t since;
        uint32_t first, last; /* PARTIAL */
};

/* partial-range -- RFC 9394 §4: 1:500, or -1:-100 counted from the end */
static void partial_range(struct scan *a, struct modifiers *m)
{
        uint32_t v;

        m->partial = true;
        m->from_end = scan_try(a, '-');
        m->first = imap_nz_number(a);
        scan_char(a, ':');
        if (m->from_end)
                scan_char(a, '-');
        m->last = imap_nz_number(a);
        if (m->first > m->last) {
                v = m->first;
                m->first = m->last;
                m->last = v;
        }
}

/* [SP "(" fetch-modifier *(SP fetch-modifier) ")"] -- RFC 4466 §2.4, RFC 7162 §7, RFC 9394 §4 */
static void modifiers(struct session *s, struct scan *a, struct modifiers *m)
{
        if (scan_peek(a) != ' ')
                return;
        imap_sp(a);
        scan_char(a, '(');
        do {
                if (imap_can(s, CAP_CONDSTORE) && scan_try_word(a, S("CHANGEDSINCE "))) {
                        m->changed_since = true;
                        m->since = imap_number64(a);
                } else if (imap_can(s, CAP_QRESYNC) && scan_try_word(a, S("VANISHED"))) {
                        m->vanished = true;
                } else if (imap_can(s, CAP_PARTIAL) && scan_try_word(a, S("PARTIAL "))) {
                        partial_range(a, m);
                } else {
                        scan_fail(a, "no such FETCH modifier");
                }
        } while (!a->bad && scan_peek(a) == ' ' && (imap_sp(a), true));
        scan_char(a, ')');
}

/* Of a list the letters first..last, counted from 1. */
static void cut_list(struct uid_list *l, uint64_t first, uint64_t last)
{
        struct uid_list out = { 0 };
        uint64_t at = 1;

        for (size_t i = 0; i < l->n; i++) {
                struct uid_range r = l->ranges[i];
                uint64_t n = (uint64_t)r.last - r.first + 1, from = first > at ? first - at : 0,
                         to = last >= at ? last - at + 1 : 0;

                to = to < n ? to : n;
                if (from < to)
                        uid_list_add(&out, r.first + (uint32_t)from, r.first + (uint32_t)to - 1);
                at += n;
        }
        uid_list_free(l);
        *l = out;
}

static void apply_partial(const struct modifiers *m, struct uid_list *l)
{
        uint64_t n = uid_list_count(l);

        if (!m->from_end)
                cut_list(l, m->first, m->last);
        else
                cut_list(l, m->last > n ? 1 : n - m->last + 1, m->first > n ? 0 : n - m->first + 1);
}

/* VANISHED (EARLIER) -- RFC 7162 §3.2.6: what the client asked about and has gone since. What it still counts with is not named here:
 * that is told by a VANISHED of its own. */
static int tell_vanished(struct session *s, struct access *x, const struct imap_set *set, uint64_t since)
{
        struct imap *p = imap_of(s);
        struct uid_list asked = { 0 }, gone = { 0 }, named = { 0 }, here = { 0 }, rest = { 0 };
        struct placed_list changed = { 0 };
        struct mailbox_status status;
        int rc;

        if (set->saved)
                uid_list_union(&p->selected.saved, &rest, &asked);
        else
                imap_set_list(set, p->selected.uidnext ? p->selected.uidnext - 1 : 0, &asked);
        rc = change_since(x, p->selected.uidnext, since, &changed, &gone, &status);
        placed_list_free(&changed);
        if (rc == -ESTALE) {
                uid_list_free(&gone);
                rc = change_absent(x, asked.ranges, asked.n, &gone);
        }
        if (rc == 0) {
                uid_list_common(&asked, &gone, &named);
                imap_present(&p->selected.map, &named, &here);
                uid_list_minus(&named, &here, &rest);
                if (rest.n)
                        imap_say_vanished(s, "(EARLIER) ", &rest);
        }
        uid_list_free(&asked);
        uid_list_free(&gone);
        uid_list_free(&named);
        uid_list_free(&here);
        uid_list_free(&rest);
        return rc;
}

static int unseen_among(struct fetch *f, struct uid_list *unseen)
{
        struct fetch_uids at = { 0 };
        struct uid_list part = { 0 };
        struct placed_list list = { 0 };
        int rc = 0;

        while (rc == 0 && fetch_uids_next(&f->uids, &at, &part, UIDS_AT_ONCE)) {
                placed_list_free(&list);
                rc = change_list(f->x, part.ranges, part.n, f->since, &list);
                for (size_t i = 0; i < list.n && rc == 0; i++)
                        if (!(list.list[i].flags & FLAG_SEEN))
                                uid_list_add(unseen, list.list[i].uid, list.list[i].uid);
        }
        placed_list_free(&list);
        uid_list_free(&part);
        return rc;
}

/* \Seen for all of them at once, before they are given: they then have one modseq, by which put_letter knows that
 * their flags are news. Whoever may not set it gets the letters all the same. */
static int mark_seen(struct fetch *f)
{
        struct imap *p = imap_of(f->s);
        struct flags_change c = { .how = FLAGS_ADD, .flags = FLAG_SEEN, .unchanged_since = UINT64_MAX };
        struct uid_list unseen = { 0 };
        int rc = unseen_among(f, &unseen);

        if (rc == 0 && unseen.n) {
                c.uids = unseen.ranges;
                c.n = unseen.n;
                rc = change_flags(f->x, &c);
                for (size_t i = 0; i < c.changed.n && rc == 0; i++)
                        if (c.changed.list[i].modseq > f->own_modseq)
                                f->own_modseq = c.changed.list[i].modseq;
                if (f->own_modseq > p->selected.own_modseq)
                        p->selected.own_modseq = f->own_modseq;
                if (rc == -EACCES)
                        rc = 0;
        }
        placed_list_free(&c.changed);
        uid_list_free(&c.modified);
        uid_list_free(&unseen);
        return rc;
}

static void prepare(struct session *s, struct fetch *f, struct access *x)
{
        struct imap *p = imap_of(s);

        f->s = s;
        f->x = x;
        f->mode = imap_mode(s);
        f->uid_only = p->enabled & ENABLED_UIDONLY;
        f->recent = !(p->enabled & ENABLED_REV2);
        f->tell_modseq = p->enabled & (ENABLED_CONDSTORE | ENABLED_QRESYNC);
        f->tell_uid = p->enabled & ENABLED_QRESYNC;
        f->selected = &p->selected;
        f->keywords = imap_keywords(s, x);
        f->total = uid_list_count(&f->uids);
}

/* MESSAGELIMIT -- RFC 9738 §3.1: of too many, those with the highest uids. false: the reply has been given. */
static bool limit(struct session *s, const struct modifiers *m, struct fetch *f, uint32_t *lowest, int *rc)
{
        long most = imap_can(s, CAP_MESSAGELIMIT) ? s->server->settings->message_limit : 0;
        uint64_t n = uid_list_count(&f->uids);

        *lowest = 0;
        if (most <= 0 || n <= (uint64_t)most)
                return true;
        if (m->partial) {
                *rc = imap_no(s, "[MESSAGELIMIT %ld] FETCH: too many messages at once", most);
                return false;
        }
        cut_list(&f->uids, n - (uint64_t)most + 1, n);
        *lowest = f->uids.ranges[0].first;
        return true;
}

static int answer(struct session *s, const struct fetch *f, uint32_t lowest)
{
        long most = s->server->settings->message_limit;
        bool expunged = f->missing && !f->uid;

        if (f->trouble == -EBADMSG)
                return imap_no(s, "[CORRUPTION] some of these letters are damaged and could not be read");
        if (f->trouble)
                return imap_trouble(s, f->trouble);
        if (f->unknown_cte)
                return imap_no(s, "[UNKNOWN-CTE] the encoding of some part cannot be undone");
        if (expunged && lowest)
                imap_say(s, "NO [MESSAGELIMIT %ld %u] FETCH completed with partial results", most, lowest);
        if (expunged && f->missing == f->total) /* RFC 2180 §4.1 */
                return imap_no(s, "[EXPUNGEISSUED] these letters have gone");
        if (expunged)
                return imap_ok(s, "[EXPUNGEISSUED] some of these letters have gone");
        if (lowest)
                return imap_ok(s, "[MESSAGELIMIT %ld %u] FETCH completed with partial results", most, lowest);
        return imap_ok(s, "FETCH completed");
}

static int fetch_open_mailbox(struct session *s, const struct imap_set *set, const struct modifiers *m,
                              struct fetch *f, struct access *x)
{
        struct imap *p = imap_of(s);
        uint32_t lowest;
        int rc = 0;

        if (!limit(s, m, f, &lowest, &rc))
                return rc;
        if (m->vanished)
                rc = tell_vanished(s, x, set, m->since);
        if (rc < 0)
                return imap_trouble(s, rc);
        if (f->items.seen && !p->selected.read_only && x->rights & RIGHT_SEEN && f->uids.n) {
                imap_updates(s, x, false); /* what others did before */
                prepare(s, f, x);
                rc = mark_seen(f);
                if (rc < 0)
                        return imap_trouble(s, rc);
        }
        prepare(s, f, x);
        if (f->uids.n)
                fetch_all(f);
        return answer(s, f, lowest);
}

/* FETCH set items [(modifiers)] -- RFC 9051 §6.4.5 */
int imap_fetch(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);
        struct modifiers m = { 0 };
        struct fetch f = { .uid = p->uid };
        struct imap_set set;
        struct access x;
        int rc = OK;

        imap_set(s, a, &set);
        imap_sp(a);
        fetch_items(s, a, &f.items);
        modifiers(s, a, &m);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if ((m.partial || m.vanished) && !p->uid)
                return imap_bad(s, "that modifier belongs to UID FETCH");
        if (m.vanished && (!m.changed_since || !(p->enabled & ENABLED_QRESYNC)))
                return imap_bad(s, "VANISHED needs CHANGEDSINCE and ENABLE QRESYNC");
        if (m.changed_since || f.items.modseq)
                imap_use_condstore(s);
        f.since = m.since;
        f.with_modseq = m.changed_since;
        if (!imap_resolve(s, &set, p->uid, &f.uids))
                return FAIL;
        if (m.partial)
                apply_partial(&m, &f.uids);
        if (imap_selected_open(s, RIGHT_READ, &x, &rc)) {
                rc = fetch_open_mailbox(s, &set, &m, &f, &x);
                access_close(&x);
        }
        uid_list_free(&f.uids);
        return rc;
}

int imap_fetch_new(struct session *s, struct access *x, struct str items, const struct uid_list *uids)
{
        struct scan a = scan_of(items);
        struct fetch f = { .uid = true };
        struct uid_list none = { 0 };

        fetch_items(s, &a, &f.items);
        if (!scan_done(&a))
                return -EINVAL;
        f.items.seen = false; /* RFC 5465 §5.2: it is not the reader who looks */
        uid_list_union(uids, &none, &f.uids);
        prepare(s, &f, x);
        if (f.uids.n)
                fetch_all(&f);
        uid_list_free(&f.uids);
        return f.trouble;
}
