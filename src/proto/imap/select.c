/* SELECT and EXAMINE with what CONDSTORE and QRESYNC ask of them (RFC 7162), and the ways out again. */
#include "proto/imap/selected.h"
#include "base/mem.h"
#include "proto/imap/list.h"

#include <errno.h>

enum {
        KEEPS_WRITABLE = RIGHT_INSERT | RIGHT_EXPUNGE | RIGHT_SEEN | RIGHT_WRITE | RIGHT_DELETE,
        LOOKS = 8, /* at a mailbox that others change, until they fit together */
};

struct qresync { /* RFC 7162 §3.2.5 */
        bool given;
        uint32_t uidvalidity;
        uint64_t modseq;
        bool has_known, has_match;
        struct imap_set known, seqs, uids; /* numbers, and the uids that the client has for them */
};
struct select {
        struct str given, name; /* name: composed */
        bool examine, condstore;
        struct qresync q;
        struct mailbox_status status;
        struct uid_list there;
        bool resync, forgotten; /* forgotten: what went since then is no longer known */
        struct placed_list changed;
        struct uid_list gone;
};

/* --- reading the command ----------------------------------------------------------------------------------------- */

/* known-uids, known-sequence-set, known-uid-set: sets without '*' and '$' */
static void plain_set(struct session *s, struct scan *a, struct imap_set *out)
{
        imap_set(s, a, out);
        if (out->saved)
                scan_fail(a, "$ cannot stand there");
        for (size_t i = 0; i < out->n; i++)
                if (!out->ranges[i].first || !out->ranges[i].last)
                        scan_fail(a, "'*' cannot stand there");
}

/* "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")" */
static void qresync(struct session *s, struct scan *a, struct qresync *q)
{
        q->given = true;
        imap_sp(a);
        scan_char(a, '(');
        q->uidvalidity = imap_nz_number(a);
        imap_sp(a);
        q->modseq = imap_number64(a);
        if (!q->modseq)
                scan_fail(a, "a mod-sequence begins with 1");
        if (!scan_try(a, ' ')) {
                scan_char(a, ')');
                return;
        }
        if (scan_peek(a) != '(') {
                q->has_known = true;
                plain_set(s, a, &q->known);
                q->has_match = scan_try(a, ' ');
        } else {
                q->has_match = true;
        }
        if (q->has_match) {
                scan_char(a, '(');
                plain_set(s, a, &q->seqs);
                imap_sp(a);
                plain_set(s, a, &q->uids);
                scan_char(a, ')');
        }
        scan_char(a, ')');
}

/* select-params = SP "(" select-param *(SP select-param) ")" -- RFC 4466 §2.1 */
static void parameters(struct session *s, struct scan *a, struct select *sel)
{
        if (!scan_try(a, ' '))
                return;
        scan_char(a, '(');
        do {
                if (imap_can(s, CAP_CONDSTORE) && scan_try_word(a, S("CONDSTORE")))
                        sel->condstore = true;
                else if (imap_can(s, CAP_QRESYNC) && scan_try_word(a, S("QRESYNC")))
                        qresync(s, a, &sel->q);
                else
                        scan_fail(a, "no such parameter");
        } while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
}

/* --- QRESYNC ----------------------------------------------------------------------------------------------------- */

/* Both run over consecutive numbers: the last of them where our uid is still the client's. 0: nowhere. Our uids grow at least as
 * fast as the client's, so the difference only grows. */
static uint32_t match_run(const struct seqmap *m, uint32_t seq, uint32_t uid, uint32_t n)
{
        uint32_t low = 0, high = n; /* of the first `low` we are not ahead */

        while (low < high) {
                uint32_t middle = low + (high - low) / 2, ours = seqmap_uid(m, seq + middle);

                if (ours && ours <= uid + middle)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low && seqmap_uid(m, seq + low - 1) == uid + low - 1 ? uid + low - 1 : 0;
}

/* Message sequence match data: up to this uid nothing has gone that the client does not know of. */
static uint32_t matched(const struct qresync *q, const struct seqmap *m)
{
        struct uid_list seqs = { 0 }, uids = { 0 };
        uint32_t best = 0;
        size_t i = 0, k = 0;
        uint32_t i_at = 0, k_at = 0;

        imap_set_list(&q->seqs, 0, &seqs);
        imap_set_list(&q->uids, 0, &uids);
        while (i < seqs.n && k < uids.n) {
                uint32_t seq = seqs.ranges[i].first + i_at, uid = uids.ranges[k].first + k_at;
                uint32_t seqs_left = seqs.ranges[i].last - seq, uids_left = uids.ranges[k].last - uid;
                uint32_t n = seqs_left < uids_left ? seqs_left : uids_left; /* and one */
                uint32_t found = match_run(m, seq, uid, n < UINT32_MAX ? n + 1 : n);

                best = found ? found : best;
                i_at = n == seqs_left ? 0 : i_at + n + 1;
                k_at = n == uids_left ? 0 : k_at + n + 1;
                i += n == seqs_left;
                k += n == uids_left;
        }
        uid_list_free(&seqs);
        uid_list_free(&uids);
        return best;
}

/* What of the client's uids is there no more. When that was forgotten: all that are not there (§3.2.6, <minmodseq>). */
static int vanished(struct session *s, struct access *x, struct select *sel, const struct uid_list *known)
{
        const struct seqmap *m = &imap_of(s)->selected.map;
        uint32_t from = sel->forgotten && sel->q.has_match ? matched(&sel->q, m) : 0;
        uint32_t uidnext = sel->status.view.uidnext;
        struct uid_range rest = { from + 1, uidnext - 1 };
        struct uid_list wanted = { 0 }, absent = { 0 }, here = { 0 };
        int rc = 0;

        if (rest.first <= rest.last)
                uid_list_common(known, &(struct uid_list){ &rest, 1, 1 }, &wanted);
        if (sel->forgotten)
                rc = change_absent(x, wanted.ranges, wanted.n, &absent);
        else
                uid_list_common(&sel->gone, &wanted, &absent);
        uid_list_free(&sel->gone);
        imap_present(m, &absent, &here); /* went after the list was read: told later, as any other */
        uid_list_minus(&absent, &here, &sel->gone);
        uid_list_free(&wanted);
        uid_list_free(&absent);
        uid_list_free(&here);
        return rc;
}

static void tell_changed(struct session *s, struct access *x, struct placed_list *changed,
                         const struct uid_list *known)
{
        size_t n = 0;

        for (size_t i = 0; i < changed->n; i++)
                if (uid_list_has(known, changed->list[i].uid))
                        changed->list[n++] = changed->list[i];
        imap_say_changed(s, x, changed->list, n, 0);
}

static int resynchronize(struct session *s, struct access *x, struct select *sel)
{
        struct uid_list known = { 0 };
        int rc;

        if (sel->q.has_known)
                imap_set_list(&sel->q.known, 0, &known);
        else
                uid_list_add(&known, 1, UINT32_MAX);
        rc = vanished(s, x, sel, &known);
        if (!rc) {
                imap_say_vanished(s, "(EARLIER) ", &sel->gone);
                tell_changed(s, x, &sel->changed, &known);
        }
        uid_list_free(&known);
        return rc;
}

/* --- SELECT, EXAMINE --------------------------------------------------------------------------------------------- */

/* What the session keeps of it. */
static void keep(struct session *s, const struct access *x, struct select *sel, uint64_t stamp)
{
        struct imap_selected *kept = &imap_of(s)->selected;
        const struct mailbox_view *v = &sel->status.view;
        struct str owner, path;

        *kept = (struct imap_selected){
                .read_only = sel->examine,
                .rights = x->rights,
                .uidnext = v->uidnext,
                .modseq = v->modseq,
                .highest = sel->status.highest,
                .stamp = stamp,
                .recent_from = sel->status.recent_from,
                .recent_until = v->uidnext,
        };
        access_keep(x, &kept->key);
        if (imap_locate(s, sel->name, &owner, &path))
                kept->path = str_from(mem_string(path), path.n);
        for (size_t i = 0; i < sel->there.n; i++) {
                struct uid_range r = sel->there.ranges[i];

                if (r.last >= v->uidnext) /* came between the two looks: told as new */
                        r.last = v->uidnext - 1;
                if (r.first <= r.last)
                        seqmap_add_range(&kept->map, r.first, r.last);
        }
        seqmap_trim(&kept->map);
        imap_of(s)->keywords = NULL;
        s->state = IMAP_SELECTED;
}

/* What LIST would say of it (RFC 9051 §6.3.2): its attributes as they are, its name composed; as it was given, if that differs. */
static int say_name(struct session *s, struct access *x, const struct select *sel)
{
        const struct imap_selected *kept = &imap_of(s)->selected;
        struct mailbox_entry *list;
        struct buf b auto_buf = { 0 };
        size_t n;
        int rc = mailbox_all(x->account, s->account, &s->command, &list, &n);

        if (rc)
                return rc;
        buf_init(&b, 16384);
        buf_puts(&b, S("* LIST ("));
        for (size_t i = 0; i < n; i++)
                if (list[i].mailbox == x->mailbox) {
                        bool own = str_eq(str_of(kept->key.owner), s->account);
                        struct str role = own ? role_attribute(list[i].role) : S("");

                        buf_puts(&b,
                                 list[i].bits & MAILBOX_CHILDREN ? S("\\HasChildren") : S("\\HasNoChildren"));
                        if (role.n)
                                buf_printf(&b, " " PRS, STR(role));
                }
        buf_puts(&b, S(") \"/\" "));
        put_mailbox(&b, imap_name_of(s, str_of(kept->key.owner), kept->path), imap_mode(s));
        if (!str_eq(sel->given, sel->name)) {
                buf_puts(&b, S(" (\"OLDNAME\" ("));
                put_mailbox(&b, sel->given, imap_mode(s));
                buf_puts(&b, S("))"));
        }
        buf_puts(&b, S("\r\n"));
        conn_put(s->conn, buf_str(&b));
        return 0;
}

static int describe(struct session *s, struct access *x, const struct select *sel)
{
        const struct imap *p = imap_of(s);
        const struct imap_selected *kept = &p->selected;
        bool rev2 = p->enabled & ENABLED_REV2;
        uint32_t unseen = seqmap_seq(&kept->map, sel->status.first_unseen);
        char room[12];

        imap_say_flags(s, x);
        imap_say(s, "%u EXISTS", kept->map.count);
        if (!rev2)
                imap_say(s, "%u RECENT", imap_recent(s));
        if (!rev2 && unseen && !(p->enabled & ENABLED_UIDONLY))
                imap_say(s, "OK [UNSEEN %u] the first that nobody has seen", unseen);
        imap_say(s, "OK [UIDVALIDITY %u] the numbers are good", kept->key.uidvalidity);
        imap_say(s, "OK [UIDNEXT %u] the next one", kept->uidnext);
        if (imap_can(s, CAP_CONDSTORE))
                imap_say(s, "OK [HIGHESTMODSEQ %llu] the last change", (unsigned long long)kept->highest);
        if (imap_can(s, CAP_OBJECTID))
                imap_say(s, "OK [MAILBOXID (" PRS ")] its name for good",
                         STR(mailbox_id(kept->key.mailbox, room)));
        return rev2 ? say_name(s, x, sel) : 0;
}

static void forget_look(struct select *sel)
{
        uid_list_free(&sel->there);
        uid_list_free(&sel->gone);
        placed_list_free(&sel->changed);
}

static int look(struct session *s, struct access *x, struct select *sel)
{
        bool writable = !sel->examine && x->rights & KEEPS_WRITABLE;
        bool rev2 = imap_of(s)->enabled & ENABLED_REV2;
        struct mailbox_status now;
        int rc = change_status(x, false, &sel->status);

        if (!rc && writable && !rev2 && sel->status.recent_from < sel->status.view.uidnext)
                rc = change_select(x, true, &sel->status);
        if (!rc)
                rc = change_uids(x, &sel->there, rev2 ? NULL : &sel->status.first_unseen);
        sel->resync = sel->q.given && sel->q.uidvalidity == sel->status.view.uidvalidity;
        if (rc || !sel->resync)
                return rc;
        rc = change_since(x, sel->status.view.uidnext, sel->q.modseq, &sel->changed, &sel->gone, &now);
        sel->forgotten = rc == -ESTALE;
        return sel->forgotten ? 0 : rc;
}

/* One went between two of these looks: it would be counted by EXISTS, and neither named nor said to have vanished. */
static bool torn(const struct select *sel)
{
        struct uid_list both = { 0 };
        bool any;

        uid_list_common(&sel->there, &sel->gone, &both);
        any = both.n > 0;
        uid_list_free(&both);
        return any;
}

static int take_up(struct session *s, struct access *x, struct select *sel)
{
        uint64_t stamp;
        int rc;

        for (unsigned tries = LOOKS; tries; tries--) {
                forget_look(sel);
                stamp = change_stamp(x);
                rc = look(s, x, sel);
                if (rc)
                        return rc;
                if (!torn(sel))
                        break;
        }
        keep(s, x, sel, stamp);
        if (sel->condstore || sel->q.given)
                imap_of(s)->enabled |= ENABLED_CONDSTORE;
        rc = describe(s, x, sel);
        if (!rc && sel->resync)
                rc = resynchronize(s, x, sel);
        if (rc)
                imap_unselect(s);
        else
                notify_selected_changed(s);
        return rc;
}

static int select_mailbox(struct session *s, struct scan *a, bool examine)
{
        struct imap *p = imap_of(s);
        struct select sel = { .examine = examine };
        struct access x;
        int rc;

        sel.given = imap_mailbox_given(s, a);
        sel.name = imap_composed(s, sel.given);
        parameters(s, a, &sel);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (sel.q.given && !(p->enabled & ENABLED_QRESYNC))
                return imap_bad(s, "QRESYNC must be enabled first");
        if (sel.q.has_match && p->enabled & ENABLED_UIDONLY)
                return imap_bad(s, "[UIDREQUIRED] there are no sequence numbers with UIDONLY");
        if (p->selected.key.owner) { /* also if the new one cannot be opened (RFC 9051 §6.3.2) */
                imap_unselect(s);
                imap_say(s, "OK [CLOSED] what was selected before is closed");
        }
        rc = imap_open(s, sel.name, RIGHT_READ, &x);
        if (!rc)
                rc = take_up(s, &x, &sel);
        access_close(&x);
        forget_look(&sel);
        if (rc)
                return imap_trouble(s, rc);
        if (imap_writable(s))
                return imap_ok(s, "[READ-WRITE] %s completed", s->running->verb);
        return imap_ok(s, "[READ-ONLY] %s completed", s->running->verb);
}

/* SELECT mailbox [(parameters)] -- RFC 9051 §6.3.2 */
int imap_select(struct session *s, struct scan *a)
{
        return select_mailbox(s, a, false);
}

/* EXAMINE mailbox [(parameters)] -- RFC 9051 §6.3.3 */
int imap_examine(struct session *s, struct scan *a)
{
        return select_mailbox(s, a, true);
}

/* --- the ways out ------------------------------------------------------------------------------------------------ */

/* CLOSE -- RFC 9051 §6.4.1: what is \Deleted goes without a word, if it may (RFC 4314 §4). */
int imap_close(struct session *s, struct scan *a)
{
        static const struct uid_range all = { 1, UINT32_MAX };
        struct imap_selected *sel = &imap_of(s)->selected;
        struct uid_list gone = { 0 };
        struct access x;
        int rc;

        (void)a;
        if (!sel->read_only) {
                if (!imap_selected_open(s, 0, &x, &rc))
                        return rc;
                rc = x.rights & RIGHT_EXPUNGE && conn_ok(s->conn) ? change_expunge(&x, &all, 1, true, &gone)
                                                                  : 0;
                access_close(&x);
                uid_list_free(&gone);
                if (rc)
                        return imap_trouble(s, rc);
        }
        imap_unselect(s);
        return imap_ok(s, "CLOSE completed");
}

/* UNSELECT -- RFC 9051 §6.4.2 */
int imap_unselect_command(struct session *s, struct scan *a)
{
        (void)a;
        imap_unselect(s);
        return imap_ok(s, "UNSELECT completed");
}

/* CHECK -- RFC 3501 §6.4.1: what was changed so far would now survive a power cut. */
int imap_check(struct session *s, struct scan *a)
{
        struct access x;
        int rc;

        (void)a;
        if (!imap_selected_open(s, 0, &x, &rc))
                return rc;
        rc = account_settle(x.account);
        access_close(&x);
        return rc ? imap_trouble(s, rc) : imap_ok(s, "CHECK completed");
}
