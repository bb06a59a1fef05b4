#include "proto/imap/append.h"

#include <errno.h>

struct replace {
        struct append append;
        uint32_t uid; /* of what goes */
};

/* Which one, and how many octets the account gets back if it is the same. */
static bool find(struct session *s, uint32_t number, struct str name, struct replace *r, uint64_t *freed,
                 int *rc)
{
        struct imap *p = imap_of(s);
        const struct seqmap *m = &p->selected.map;
        struct placed_list l = { 0 };
        struct str owner, path;
        struct access x;

        if (!number)
                r->uid = seqmap_last(m);
        else if (p->uid)
                r->uid = seqmap_seq(m, number) ? number : 0;
        else
                r->uid = seqmap_uid(m, number);
        if (!r->uid) {
                *rc = p->uid ? imap_no(s, "[NONEXISTENT] there is no such letter")
                             : imap_bad(s, "no message has such a number: there are %u", m->count);
                return false;
        }
        if (!imap_selected_open(s, RIGHT_READ | RIGHT_DELETE | RIGHT_EXPUNGE, &x, rc))
                return false;
        *rc = change_list(&x, &(struct uid_range){ r->uid, r->uid }, 1, 0, &l);
        *freed = l.n && imap_locate(s, name, &owner, &path) && str_eq(owner, x.owner) ? l.list[0].size : 0;
        access_close(&x);
        if (*rc || !l.n)
                *rc = *rc ? imap_trouble(s, *rc) : imap_no(s, "[EXPUNGEISSUED] that letter has gone");
        else
                r->append.session = s;
        placed_list_free(&l);
        return r->append.session;
}

/* RFC 8508 §4.3: APPENDUID comes before the EXPUNGE, so untagged. */
static int replaced(struct session *s, struct access *x, const struct access *to, const struct filing *letter)
{
        struct uid_list uid = { 0 };
        struct buf code auto_buf;

        buf_init(&code, 128);
        uid_list_add(&uid, letter->uid, letter->uid);
        if (to->rights & RIGHT_READ && imap_can_rev2(s, CAP_UIDPLUS))
                put_appenduid(&code, to->uidvalidity, &uid);
        uid_list_free(&uid);
        alter_say(s, buf_str(&code), "the new letter is there");
        return alter_removed(s, x, true, 0, "REPLACE completed");
}

static int replace(struct session *s, struct replace *r)
{
        struct access x, to;
        struct filing *letter;
        uint64_t room;
        int rc;

        if (!imap_selected_open(s, RIGHT_READ | RIGHT_DELETE | RIGHT_EXPUNGE, &x, &rc))
                return rc;
        rc = append_ready(&r->append, 1, &to, &letter, &room);
        if (rc) {
                access_close(&x);
                append_trouble(&r->append, rc);
                return r->append.rc;
        }
        rc = change_replace(&x, r->uid, &to, letter, room);
        if (rc == -ENOENT)
                rc = imap_no(s, "[EXPUNGEISSUED] that letter has gone");
        else
                rc = rc ? imap_trouble(s, rc) : replaced(s, &x, &to, letter);
        access_close(&to);
        access_close(&x);
        return rc;
}

/* REPLACE number mailbox [(flags)] [date-time] literal -- RFC 8508 §3 */
int imap_replace(struct session *s, struct scan *a)
{
        struct replace r = { 0 };
        uint32_t number = scan_try(a, '*') ? 0 : imap_nz_number(a);
        struct str name;
        uint64_t freed;
        int rc;

        imap_sp(a);
        name = imap_mailbox(s, a);
        imap_sp(a);
        if (a->bad)
                return imap_syntax(s, a);
        if (imap_of(s)->selected.read_only)
                return imap_no(s, "[READ-ONLY] this mailbox is open for reading only");
        if (!find(s, number, name, &r, &freed, &rc))
                return rc;
        if (!append_begin(&r.append, s, name, freed) || !append_letter(&r.append, a))
                rc = r.append.rc;
        else
                rc = imap_end(s, a) ? replace(s, &r) : imap_syntax(s, a);
        append_drop(&r.append);
        return rc;
}
